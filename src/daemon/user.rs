//! The user the daemon becomes when root has started it.
//!
//! Existing files and folders are not changed: that user must be able to write them. A missing
//! folder can be made for it.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{self, Gid, Uid, User, fchown};
use thiserror::Error;

use super::Exit;
use crate::opening;

/// The permission bits that let all users pass through a folder.
const PASS_THROUGH: u32 = 0o111;

/// A user that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// As configured.
    pub name: String,
    /// Its id.
    pub user: Uid,
    /// Its primary group; the others are looked up by [`Account::assume`].
    pub group: Gid,
}

/// Why the daemon cannot run as the user asked for.
#[derive(Debug, Error)]
pub enum UserError {
    /// There is no such user.
    #[error(
        "the user {0} does not exist; name one that does with setuid_username, or say `setuid off`"
    )]
    Unknown(String),
    /// The users cannot be looked up.
    #[error("the user {name} cannot be looked up: {errno}")]
    LookUp {
        /// As configured.
        name: String,
        /// What the system says.
        errno: Errno,
    },
    /// The system refuses it.
    #[error("cannot become the user {name}: {what}: {errno}; say `setuid off` to go on as root")]
    Become {
        /// As configured.
        name: String,
        /// The call that failed.
        what: &'static str,
        /// What the system says.
        errno: Errno,
    },
    /// It could be undone afterwards.
    #[error("privileges of root were not dropped for good on becoming user {0}; refusing to start")]
    NotKept(String),
}

impl UserError {
    /// What the process exits with.
    pub fn exit(&self) -> Exit {
        match self {
            UserError::Unknown(_) => Exit::Config,
            UserError::LookUp { .. } => Exit::System,
            UserError::Become { .. } | UserError::NotKept(_) => Exit::NoPermission,
        }
    }
}

/// The user to become: `None` unless started by root with a user in the configuration.
pub fn account_to_become(name: Option<&str>) -> Result<Option<Account>, UserError> {
    match name {
        Some(name) if Uid::effective().is_root() => Account::named(name).map(Some),
        _ => Ok(None),
    }
}

impl Account {
    fn named(name: &str) -> Result<Self, UserError> {
        match User::from_name(name) {
            Ok(Some(user)) => Ok(Account {
                name: name.into(),
                user: user.uid,
                group: user.gid,
            }),
            // Some name services return these errors where others return no user.
            Ok(None) | Err(Errno::ENOENT | Errno::ESRCH) => Err(UserError::Unknown(name.into())),
            Err(errno) => Err(UserError::LookUp {
                name: name.into(),
                errno,
            }),
        }
    }

    /// Makes a missing folder and gives it to this user. Missing folders above it are made too; they
    /// stay root's, and whatever the umask, everybody may pass through them. An existing folder stays
    /// as it is.
    pub fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if fs::symlink_metadata(folder).is_ok() {
            return Ok(());
        }
        opening::make_folders(folder, |made, is_last| {
            if is_last {
                return Ok(fchown(made, Some(self.user), Some(self.group))?);
            }
            let mode = made.metadata()?.permissions().mode();
            made.set_permissions(Permissions::from_mode(mode | PASS_THROUGH))
        })
    }

    /// Becomes this user irrevocably, with all of its groups and none of root's. Who is root and stays it
    /// keeps the groups that it was started with: to look them up loads the system's name services.
    pub fn assume(&self) -> Result<(), UserError> {
        let is_root = self.user.is_root() && unistd::getuid().is_root();
        if is_root && [unistd::getgid(), unistd::getegid()] == [self.group; 2] {
            return Ok(());
        }
        let failed = |what| {
            move |errno| UserError::Become {
                name: self.name.clone(),
                what,
                errno,
            }
        };
        let name =
            CString::new(self.name.as_str()).map_err(|_| UserError::Unknown(self.name.clone()))?;
        unistd::initgroups(&name, self.group).map_err(failed("initgroups"))?;
        unistd::setgid(self.group).map_err(failed("setgid"))?;
        unistd::setuid(self.user).map_err(failed("setuid"))?;
        if !self.user.is_root() && unistd::setuid(Uid::from_raw(0)).is_ok() {
            return Err(UserError::NotKept(self.name.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_that_does_not_exist_is_named() {
        let error = Account::named("no-such-user").expect_err("unknown");
        assert!(
            error
                .to_string()
                .starts_with("the user no-such-user does not exist"),
            "{error}"
        );
    }

    #[test]
    fn a_user_that_exists_is_found_with_its_ids() {
        let root = Account::named("root").expect("there is always root");
        assert!(root.user.is_root());
        assert_eq!(root.group, Gid::from_raw(0));
    }

    #[test]
    fn without_a_name_nobody_is_become() {
        assert_eq!(account_to_become(None).expect("no look-up"), None);
    }
}
