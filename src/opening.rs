//! Opens files by the names that the configuration gives them, also as root and where others may write:
//! root follows no link that somebody else may have put there, and nobody waits for the other end of a
//! FIFO.
//!
//! What a file has to be is for its user to say.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use gmetad_config::other_kind;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FcntlArg, OFlag, fcntl, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, fchownat};

/// As many links as the system itself follows.
const MOST_LINKS: u32 = 40;

/// Bits of a folder's mode: others may write, and only an owner may remove.
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// A folder is only a step on the way, so it need not be readable.
#[cfg(target_os = "linux")]
const STEP: OFlag = OFlag::O_PATH
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);
#[cfg(not(target_os = "linux"))]
const STEP: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

/// Where a file is or is to be.
#[derive(Debug)]
pub(crate) struct Place {
    /// The folder it is in; `None`: the name is a whole path, and followed as the system does it.
    folder: Option<OwnedFd>,
    name: OsString,
    /// Whether the name is a link of the kernel's own, as `/dev/stderr` leads to.
    is_kernels: bool,
}

/// Finds where a file is or is to be. For root, no link on the way may be anybody else's.
pub(crate) fn place(path: &Path) -> io::Result<Place> {
    if !Uid::effective().is_root() {
        return Ok(Place {
            folder: None,
            name: path.into(),
            is_kernels: false,
        });
    }
    let (place, rest) = walk(path)?;
    if rest.is_empty() {
        Ok(place)
    } else {
        Err(Errno::ENOENT.into())
    }
}

/// Makes a folder and those above it that are missing, as root; `made` gets each of them, and whether it
/// is the one that was asked for.
pub(crate) fn make_folders(
    path: &Path,
    made: impl Fn(&File, bool) -> io::Result<()>,
) -> io::Result<()> {
    let (mut place, mut rest) = walk(path)?;
    loop {
        let folder = place.folder.as_ref().map_or(AT_FDCWD, AsFd::as_fd);
        let all = Mode::from_bits_truncate(0o777);
        mkdirat(folder, place.name.as_os_str(), all)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let folder = place.open(flags, Mode::empty())?;
        // Somebody may have put another in its place.
        if fstat(&folder)?.st_uid != Uid::effective().as_raw() {
            return Err(io::Error::other("it was replaced while it was made"));
        }
        let next = rest.pop();
        made(&folder, next.is_none())?;
        let Some(name) = next else { return Ok(()) };
        place = Place {
            folder: Some(folder.into()),
            name,
            is_kernels: false,
        };
    }
}

impl Place {
    /// Opens it, at once; as root not if it is a link.
    pub(crate) fn open(&self, flags: OFlag, mode: Mode) -> io::Result<File> {
        let mut flags = flags | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        if self.folder.is_some() && !self.is_kernels {
            flags |= OFlag::O_NOFOLLOW;
        }
        let folder = self.folder.as_ref().map_or(AT_FDCWD, AsFd::as_fd);
        Ok(openat(folder, self.name.as_os_str(), flags, mode)?.into())
    }
}

/// Why root does not use a regular file, or a user one that has been opened: it is somebody else's, or
/// has another name too, which may be that of a file which must not be written to.
pub(crate) fn foreign(file: &File, user: Option<Uid>) -> io::Result<Option<String>> {
    use std::os::unix::fs::MetadataExt;
    let about = file.metadata()?;
    if !Uid::effective().is_root() || !about.is_file() {
        return Ok(None);
    }
    let (owner, names) = (about.uid(), about.nlink());
    Ok(if names > 1 {
        Some(format!(
            "it has {names} names (hard links), so it may be another file too"
        ))
    } else if owner != 0 && user.is_none_or(|user| user.as_raw() != owner) {
        Some(format!("it belongs to user {owner}; chown it to root"))
    } else {
        None
    })
}

/// Gives a socket that root has just made to a user. In a folder of others, its name may lead elsewhere
/// by now: then nothing is given.
#[cfg_attr(
    not(any(feature = "rrd", test)),
    expect(dead_code, reason = "only rrdcached's socket is given")
)]
pub(crate) fn give_socket(path: &Path, user: Uid, group: Gid) -> io::Result<()> {
    let place = place(path)?;
    #[cfg(target_os = "linux")]
    {
        let socket = place.open(OFlag::O_PATH, Mode::empty())?;
        let about = fstat(&socket)?;
        if !is(&about, SFlag::S_IFSOCK) || about.st_uid != 0 || about.st_nlink != 1 {
            return Err(io::Error::other("it was replaced while it was made"));
        }
        fchownat(&socket, "", Some(user), Some(group), AtFlags::AT_EMPTY_PATH)?;
    }
    #[cfg(not(target_os = "linux"))]
    {
        let folder = place.folder.as_ref().map_or(AT_FDCWD, AsFd::as_fd);
        let (name, flags) = (place.name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
        fchownat(folder, name, Some(user), Some(group), flags)?;
    }
    Ok(())
}

/// What stands where a file should be, for one that the system does not open.
pub(crate) fn kind_at(path: &Path) -> Option<&'static str> {
    fs::metadata(path).ok().and_then(|about| other_kind(&about))
}

/// From now on, writing waits for whoever reads.
pub(crate) fn let_wait(file: &File) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    fcntl(file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    Ok(())
}

/// Goes as far as there is something. What is left is below a folder that is missing; the next is last.
fn walk(path: &Path) -> io::Result<(Place, Vec<OsString>)> {
    let start = || {
        open(
            if path.is_absolute() { "/" } else { "." },
            STEP,
            Mode::empty(),
        )
    };
    let mut folder = start()?;
    let mut at = PathBuf::new();
    let mut left = Vec::new();
    push(&mut left, path);
    let mut links = 0;
    loop {
        let name = left.pop().unwrap_or_else(|| ".".into());
        let place = |folder, name, is_kernels| Place {
            folder: Some(folder),
            name,
            is_kernels,
        };
        let found = match fstatat(&folder, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Err(Errno::ENOENT) => return Ok((place(folder, name, false), left)),
            found => found?,
        };
        if !is(&found, SFlag::S_IFLNK) {
            if left.is_empty() {
                return Ok((place(folder, name, false), left));
            }
            at.push(&name);
            folder = openat(
                &folder,
                name.as_os_str(),
                STEP | OFlag::O_NOFOLLOW,
                Mode::empty(),
            )?;
            continue;
        }
        if left.is_empty() && is_of_the_kernel(&folder) {
            return Ok((place(folder, name, true), left));
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Errno::ELOOP.into());
        }
        let about = fstat(&folder)?;
        if !is_roots(found.st_uid, about.st_uid, about.st_mode) {
            return Err(io::Error::other(format!(
                "{} is a link that others than root may have made; name what it leads to",
                Path::new("/").join(at).join(name).display()
            )));
        }
        let target = PathBuf::from(readlinkat(&folder, name.as_os_str())?);
        if target.is_absolute() {
            folder = open("/", STEP, Mode::empty())?;
            at.clear();
        }
        push(&mut left, &target);
    }
}

/// Puts the components of a path in front of those that are left.
fn push(left: &mut Vec<OsString>, path: &Path) {
    let names = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    left.extend(names);
}

/// Whether only root can have made a link with that owner, in a folder with that owner and mode.
fn is_roots(link_owner: u32, folder_owner: u32, folder_mode: u32) -> bool {
    let others_write = folder_mode & OTHERS_WRITE != 0 && folder_mode & STICKY == 0;
    link_owner == 0 && folder_owner == 0 && !others_write
}

fn is(stat: &FileStat, kind: SFlag) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == kind.bits()
}

/// Whether a folder is one of the kernel's own, whose links lead to what no path names.
#[cfg(target_os = "linux")]
fn is_of_the_kernel(folder: &OwnedFd) -> bool {
    use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
    fstatfs(folder).is_ok_and(|it| it.filesystem_type() == PROC_SUPER_MAGIC)
}

#[cfg(not(target_os = "linux"))]
fn is_of_the_kernel(_: &OwnedFd) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn a_link_is_roots_if_nobody_else_can_have_put_it_there() {
        for (link, folder, mode, roots) in [
            (0, 0, 0o755, true),
            (0, 0, 0o775, true),
            (0, 0, 0o1777, true),
            (0, 0, 0o777, false),
            (0, 1000, 0o755, false),
            (1000, 0, 0o1777, false),
            (1000, 1000, 0o700, false),
        ] {
            assert_eq!(
                is_roots(link, folder, mode),
                roots,
                "{link} {folder} {mode:o}"
            );
        }
    }

    /// A folder of nobody's, in one of root's.
    fn foreign_folder() -> Option<(tempfile::TempDir, PathBuf)> {
        if !Uid::effective().is_root() {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let theirs = folder.path().join("theirs");
        fs::create_dir(&theirs).expect("made");
        chown(&theirs, Some(65_534), None).expect("root may");
        Some((folder, theirs))
    }

    fn make(path: &Path) -> io::Result<File> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT;
        place(path)?.open(flags, Mode::from_bits_truncate(0o644))
    }

    #[test]
    fn roots_links_are_followed_and_those_of_others_are_not() {
        let Some((folder, theirs)) = foreign_folder() else {
            return;
        };
        let real = folder.path().join("real");
        fs::create_dir(&real).expect("made");
        // As /var/run is a link to /run, and one to a file that is not there yet.
        symlink("real", folder.path().join("run")).expect("linked");
        symlink(real.join("new"), folder.path().join("file")).expect("linked");
        make(&folder.path().join("run/pid")).expect("followed");
        make(&folder.path().join("file")).expect("followed");
        assert!(real.join("pid").exists() && real.join("new").exists());
        // In a folder of others, a link may be anybody's, whoever owns it.
        symlink(&real, theirs.join("folder")).expect("linked");
        symlink(real.join("none"), theirs.join("file")).expect("linked");
        for name in ["folder/none", "file"] {
            let error = make(&theirs.join(name)).expect_err("refused").to_string();
            assert!(
                error.contains("is a link that others than root may have made"),
                "{error}"
            );
        }
        assert!(!real.join("none").exists());
        make(&theirs.join("own")).expect("a file that is what it is called");
        assert!(make(&folder.path().join("no/file")).is_err());
        symlink("loop", folder.path().join("loop")).expect("linked");
        assert!(make(&folder.path().join("loop")).is_err());
    }

    #[test]
    fn a_file_with_another_name_or_owner_is_foreign_to_root() {
        let Some((folder, theirs)) = foreign_folder() else {
            return;
        };
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").expect("written");
        fs::hard_link(&victim, theirs.join("other")).expect("linked");
        let said = |path: &Path, user| foreign(&make(path).expect("opened"), user).expect("asked");
        assert!(said(&theirs.join("other"), None).is_some_and(|it| it.contains("2 names")));
        let own = theirs.join("own");
        assert_eq!(said(&own, None), None);
        chown(&own, Some(65_534), None).expect("root may");
        assert_eq!(
            said(&own, None).as_deref(),
            Some("it belongs to user 65534; chown it to root")
        );
        assert_eq!(said(&own, Some(Uid::from_raw(65_534))), None);
    }

    #[test]
    fn folders_are_made_up_to_the_one_that_is_asked_for_and_never_through_a_link_of_others() {
        let Some((folder, theirs)) = foreign_folder() else {
            return;
        };
        let give = |made: &File, is_last: bool| {
            let mode = made.metadata()?.permissions().mode();
            let passable = if is_last { mode } else { mode | 0o111 };
            made.set_permissions(Permissions::from_mode(passable))
        };
        make_folders(&folder.path().join("a/b/c"), give).expect("made");
        assert!(
            fs::metadata(folder.path().join("a/b/c"))
                .expect("there")
                .uid()
                == 0
        );
        let real = folder.path().join("real");
        fs::create_dir(&real).expect("made");
        symlink(&real, theirs.join("link")).expect("linked");
        assert!(make_folders(&theirs.join("link/a"), give).is_err());
        assert_eq!(fs::read_dir(&real).expect("a folder").count(), 0);
        make_folders(&theirs.join("own/a"), give).expect("made");
    }

    #[test]
    fn a_socket_is_given_and_nothing_that_has_taken_its_place() {
        let Some((folder, theirs)) = foreign_folder() else {
            return;
        };
        let nobody = (Uid::from_raw(65_534), Gid::from_raw(65_534));
        let give = |path: &Path| give_socket(path, nobody.0, nobody.1);
        let path = theirs.join("socket");
        let _socket = std::os::unix::net::UnixListener::bind(&path).expect("bound");
        give(&path).expect("given");
        assert_eq!(fs::metadata(&path).expect("there").uid(), 65_534);
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").expect("written");
        for replace in [
            symlink::<&Path, &Path> as fn(_, _) -> _,
            fs::hard_link::<&Path, &Path>,
        ] {
            fs::remove_file(&path).expect("removed");
            replace(&victim, &path).expect("replaced");
            assert!(give(&path).is_err());
            assert_eq!(fs::metadata(&victim).expect("there").uid(), 0);
        }
    }

    #[test]
    fn what_the_kernel_leads_to_is_opened() {
        let path = Path::new("/dev/stderr");
        if path.exists() {
            let opened = place(path).and_then(|it| it.open(OFlag::O_WRONLY, Mode::empty()));
            // A socket cannot be opened at all.
            assert!(opened.is_ok() || kind_at(path) == Some("a socket"));
        }
    }
}
