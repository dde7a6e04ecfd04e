//! Which symbolic links on the way to a file are followed: those of root and of the user that gmetad runs
//! as, such as a cluster's folder that is on another disk. A link of anybody else could lead anywhere.
//!
//! A link that is changed between this look and the use of the file is not noticed. What is below the
//! root is root's and gmetad's own, unless somebody has given others the right to write there. Folders on the
//! way to one of this second are not looked at again for the next.
//!
//! A folder of which several files are written is held open meanwhile, within one update at most.

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::geteuid;

use crate::file::open::open_folder;
use crate::writer::failure::Failure;

/// Files of one folder, one after the other, before it is looked at again.
const LOOK_AGAIN: u32 = 256;

/// How long the way to a folder is known, for other folders that share a part of it.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// The folder that was looked at last.
#[derive(Debug, Default)]
pub(super) struct Links {
    folder: Vec<u8>,
    uses: u32,
    /// That folder, while it is held open.
    open: Option<OwnedFd>,
    /// When all of the way to that folder was looked at, if it was.
    looked: Option<Instant>,
}

impl Links {
    /// Holds the folder of the file that was checked last open until `leave`, if it is not the first file
    /// of it: for one alone that would not pay.
    pub(super) fn hold(&mut self) -> Option<BorrowedFd<'_>> {
        if self.uses > 0 && self.open.is_none() {
            let folder = CString::new(self.folder.as_slice()).ok()?;
            self.open = open_folder(&folder);
        }
        self.open.as_ref().map(AsFd::as_fd)
    }

    /// The update is over: before the next one, another folder may be put in this one's place.
    pub(super) fn leave(&mut self) {
        self.open = None;
    }

    /// Refuses a file that is behind a link of somebody else than root and the user that gmetad runs as.
    pub(super) fn check(&mut self, path: &CStr) -> Result<(), Failure> {
        let path = path.to_bytes();
        let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let folder = &path[..end];
        if self.uses < LOOK_AGAIN && self.folder == folder {
            self.uses = self.uses.saturating_add(1);
            return Ok(());
        }
        self.leave();
        let is_known =
            self.folder != folder && self.looked.is_some_and(|it| it.elapsed() < KNOWN_FOR);
        let known: &[u8] = if is_known { &self.folder } else { b"" };
        let found = foreign(as_path(folder), as_path(known));
        self.folder.clear();
        if let Some((link, owner)) = found {
            self.looked = None;
            return Err(Failure::Link { link, owner });
        }
        if !is_known {
            self.looked = Some(Instant::now());
        }
        self.uses = 0;
        self.folder.extend_from_slice(folder);
        Ok(())
    }
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// The first link on the way to a folder that is somebody else's, and whose. The way to `known` is passed over.
fn foreign(folder: &Path, known: &Path) -> Option<(PathBuf, u32)> {
    let own = geteuid().as_raw();
    let way = folder.ancestors();
    let way: Vec<&Path> = way.take_while(|place| !known.starts_with(place)).collect();
    for place in way.into_iter().rev() {
        // What is missing is made, and is no link then.
        let about = fs::symlink_metadata(place).ok()?;
        if about.is_symlink() && about.uid() != 0 && about.uid() != own {
            return Some((place.to_owned(), about.uid()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    #[test]
    fn links_of_root_and_of_our_own_user_are_followed_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("there")).unwrap();
        symlink("there", at("link")).unwrap();
        let file = |folder: &str| CString::new(at(folder).join("h/m.rrd").as_os_str().as_bytes());
        let mut links = Links::default();
        for folder in ["there", "link", "missing"] {
            assert!(links.check(&file(folder).unwrap()).is_ok(), "{folder}");
        }
        if !geteuid().is_root() {
            println!("SKIPPED the link of another user: needs root");
            return;
        }
        lchown(at("link"), Some(4321), None).unwrap();
        let refused = links.check(&file("link").unwrap()).unwrap_err().to_string();
        let link = at("link");
        assert_eq!(
            refused,
            format!(
                "the link {} belongs to user 4321, and only links of root and of gmetad's user are \
                 followed; chown -h it, or remove it",
                link.display()
            )
        );
        assert!(links.check(&file("there").unwrap()).is_ok());
        lchown(&link, Some(0), None).unwrap();
        assert!(links.check(&file("link").unwrap()).is_ok());
        // A folder is looked at again, also if nothing else is written in between.
        lchown(&link, Some(4321), None).unwrap();
        let refused = (0..=LOOK_AGAIN).find(|_| links.check(&file("link").unwrap()).is_err());
        assert_eq!(refused, Some(LOOK_AGAIN));
    }

    #[test]
    fn of_the_way_to_a_second_folder_only_what_is_new_is_looked_at() {
        if !geteuid().is_root() {
            println!("SKIPPED the link of another user: needs root");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("there/h")).unwrap();
        symlink("there", at("link")).unwrap();
        symlink("h", at("there/other")).unwrap();
        lchown(at("link"), Some(4321), None).unwrap();
        let found = |folder: &str, known: &str| foreign(&at(folder), &at(known)).map(|it| it.0);
        assert_eq!(found("link/other", "there/h"), Some(at("link")));
        assert_eq!(found("link/other", "link/h"), None);
        lchown(at("there/other"), Some(4321), None).unwrap();
        assert_eq!(found("link/other", "link/h"), Some(at("link/other")));
        assert_eq!(
            foreign(&at("link/h"), Path::new("")),
            Some((at("link"), 4321))
        );
    }
}
