//! Files that may be plugins: which ones plugins_dir has, what loads each, and whether gmetad may
//! load it.
//!
//! Loads nothing.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc::O_NONBLOCK;
use nix::unistd::{Uid, geteuid};

use super::error::LoadError;
use gmetad_config::Config;
use gmetad_core::model::sorted;

/// The library that runs plugins in Python: beside gmetad, as cargo builds them, or where it is
/// installed.
const PYTHON_HOST: &str = "libgmetad_python_host.so";
const INSTALLED: &str = "../lib/gmetad";

/// A file, and the shared object that loads it, which may be the file itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The shared object to load.
    pub library: PathBuf,
    /// The file that it is asked for.
    pub file: PathBuf,
}

/// The shared objects and Python files in a directory, in order of name, without hidden ones.
pub fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        let is_plugin = has_extension(Path::new(&name), "so") || is_python(Path::new(&name));
        if !is_hidden && is_plugin {
            files.push(folder.join(name));
        }
    }
    Ok(sorted(files, Ord::cmp))
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension() == Some(OsStr::new(extension))
}

pub(super) fn is_python(file: &Path) -> bool {
    has_extension(file, "py")
}

/// Whether it is a Python module that plugins import, and not a plugin.
pub(super) fn is_module(file: &Path, all: &[PathBuf]) -> bool {
    /// What every plugin defines.
    const FACTORY: &str = "get_plugin";
    if !is_python(file) {
        return false;
    }
    let text = |file: &Path| {
        let mut bytes = Vec::new();
        // As far as it can be read: what is wrong with it is told when it is loaded.
        let _ = regular(file).and_then(|mut file| file.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let Some(stem) = file.file_stem().and_then(OsStr::to_str) else {
        return false;
    };
    if text(file).contains(FACTORY) {
        return false;
    }
    let mut others = all
        .iter()
        .filter(|other| *other != file && is_python(other));
    stem == "__init__" || others.any(|other| imports(&text(other), stem))
}

/// Whether a line of Python imports a module of that name.
fn imports(text: &str, module: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.lines().any(|line| {
        let line = line.trim_start();
        let is_import = line.starts_with("import ") || line.starts_with("from ");
        is_import && line.split(|c| !is_word(c)).any(|word| word == module)
    })
}

impl Candidate {
    /// Finds what loads a file.
    pub(super) fn of(file: &Path, config: &Config) -> Result<Candidate, LoadError> {
        let library = if is_python(file) {
            python_host(config)?
        } else {
            file.to_owned()
        };
        let file = file.to_owned();
        Ok(Candidate { library, file })
    }

    /// Refuses files that others may write than root and the user that gmetad runs as, and files that
    /// do not begin like a shared object.
    pub(super) fn check(&self) -> Result<(), LoadError> {
        is_object(trusted(&self.library)?)?;
        if self.file != self.library {
            trusted(&self.file)?;
        }
        Ok(())
    }
}

fn python_host(config: &Config) -> Result<PathBuf, LoadError> {
    if let Some(host) = &config.python_host {
        return Ok(host.clone());
    }
    let own = std::env::current_exe().map_err(LoadError::Unreadable)?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    let places = [folder.join(INSTALLED), folder.to_owned()].map(|it| it.join(PYTHON_HOST));
    match places.iter().find(|place| place.exists()) {
        Some(place) => Ok(place.clone()),
        None => Err(LoadError::NoPythonHost),
    }
}

/// Opens a file that only root and the user that gmetad runs as may write, in a folder of which the
/// same is true, so that nobody else can put another in its place. What is looked at is what was opened.
pub(super) fn trusted(path: &Path) -> Result<File, LoadError> {
    let real = path.canonicalize().map_err(LoadError::Unreadable)?;
    // A link has a folder of its own.
    for folder in [path.parent(), real.parent()].into_iter().flatten() {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let opened = File::open(folder).map_err(LoadError::Unreadable)?;
        is_trusted(folder, &opened)?;
    }
    let file = regular(&real).map_err(LoadError::Unreadable)?;
    is_trusted(&real, &file)?;
    Ok(file)
}

/// Opens a regular file, and waits for nothing: not for a writer of a pipe that is called `x.py`.
fn regular(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

fn is_trusted(path: &Path, opened: &File) -> Result<(), LoadError> {
    let found = opened.metadata().map_err(LoadError::Unreadable)?;
    is_trusted_as(path, found.uid(), found.mode(), geteuid())
}

fn is_trusted_as(path: &Path, owner: u32, mode: u32, user: Uid) -> Result<(), LoadError> {
    const OTHERS_WRITE: u32 = 0o002;
    let runs_as = || {
        if user.is_root() {
            "root".to_owned()
        } else {
            format!("user {user}")
        }
    };
    let path = path.to_owned();
    if owner != 0 && owner != user.as_raw() {
        let user = runs_as();
        return Err(LoadError::Owner { path, owner, user });
    }
    if mode & OTHERS_WRITE != 0 {
        let user = runs_as();
        return Err(LoadError::Writable { path, user });
    }
    Ok(())
}

/// Refuses files that do not begin like a shared object.
fn is_object(mut file: File) -> Result<(), LoadError> {
    const MAGIC: &[u8; 4] = if cfg!(target_vendor = "apple") {
        b"\xcf\xfa\xed\xfe"
    } else {
        b"\x7fELF"
    };
    let mut start = [0; 4];
    match file.read_exact(&mut start) {
        Ok(()) if start == *MAGIC => Ok(()),
        Ok(()) => Err(LoadError::NotAnObject),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(LoadError::NotAnObject),
        Err(error) => Err(LoadError::Unreadable(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_a_plugin_is_looked_at_in_order_of_name() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "c.so", "b.py", "a.so", "README", "c.so.1", ".d.so", ".e.py", "f.pyc", "so",
        ] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let files = files_in(folder.path()).unwrap();
        let expected = ["a.so", "b.py", "c.so"].map(|name| folder.path().join(name));
        assert_eq!(files, expected);
    }

    #[test]
    fn a_module_that_a_plugin_imports_is_none() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("__init__.py", ""),
            (
                "a.py",
                "from tools import x\nimport os, more_tools\ndef get_plugin(): pass",
            ),
            ("tool.py", "x = 1"),
            ("tools.py", "x = 1"),
            ("more_tools.py", "x = 1"),
            ("own.py", "import own"),
            ("rrd_plugin.py", "def get_plugin(): pass"),
            (
                "z.py",
                "  from rrd_plugin import RRDPlugin\ndef get_plugin(): pass",
            ),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let files = files_in(folder.path()).unwrap();
        let modules = files.iter().filter(|file| is_module(file, &files));
        let names = modules.map(|file| file.file_name().unwrap());
        let expected = ["__init__.py", "more_tools.py", "tools.py"];
        assert!(names.eq(expected.map(OsStr::new)));
    }

    #[test]
    fn only_what_root_and_its_own_user_may_write_is_run() {
        let path = Path::new("/p/x.so");
        let judged = |owner, mode, user| is_trusted_as(path, owner, mode, Uid::from_raw(user));
        let refusal = |owner, mode, user| judged(owner, mode, user).unwrap_err().to_string();
        for user in [0, 1000] {
            assert!(judged(0, 0o100_755, user).is_ok());
            assert!(judged(user, 0o100_755, user).is_ok());
            assert!(judged(0, 0o100_775, user).is_ok(), "root's group is root's");
        }
        assert_eq!(
            refusal(1000, 0o100_755, 0),
            "/p/x.so belongs to user 1000, and gmetad runs as root; chown it to root, or run gmetad as \
             another user"
        );
        assert_eq!(
            refusal(1001, 0o100_755, 1000),
            "/p/x.so belongs to user 1001, and gmetad runs as user 1000; chown it to root, or run \
             gmetad as another user"
        );
        assert_eq!(
            refusal(0, 0o100_757, 0),
            "anyone may write to /p/x.so, and gmetad runs as root; run chmod o-w /p/x.so"
        );
        assert_eq!(
            refusal(1000, 0o100_757, 1000),
            "anyone may write to /p/x.so, and gmetad runs as user 1000; run chmod o-w /p/x.so"
        );
    }

    #[test]
    fn the_folder_counts_as_the_file_does_and_that_of_a_link_too() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let [open, closed] = ["open", "closed"].map(|it| folder.path().join(it));
        for (folder, mode) in [(&open, 0o777), (&closed, 0o755)] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("x.so"), "").unwrap();
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink(closed.join("x.so"), open.join("link.so")).unwrap();
        symlink(open.join("x.so"), closed.join("link.so")).unwrap();
        assert!(trusted(&closed.join("x.so")).is_ok());
        for file in ["open/x.so", "open/link.so", "closed/link.so"] {
            let refused = trusted(&folder.path().join(file));
            assert!(matches!(refused, Err(LoadError::Writable { .. })), "{file}");
        }
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("x.py");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        assert!(!is_module(&pipe, std::slice::from_ref(&pipe)));
        let refusal = trusted(&pipe).unwrap_err().to_string();
        assert_eq!(refusal, "it cannot be read: it is not a regular file");
    }

    #[test]
    fn what_is_no_object_is_told_from_what_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.so");
        let judged = |file: &Path| trusted(file).and_then(is_object);
        for content in ["", "\x7fEL", "#!/bin/sh\n"] {
            fs::write(&file, content).unwrap();
            assert!(matches!(judged(&file), Err(LoadError::NotAnObject)));
        }
        fs::write(&file, "\x7fELF and more").unwrap();
        assert!(judged(&file).is_ok());
        let missing = folder.path().join("y.so");
        assert!(matches!(judged(&missing), Err(LoadError::Unreadable(_))));
    }

    #[test]
    fn a_python_file_is_loaded_by_the_host_and_an_object_by_itself() {
        let mut config = Config::new("h");
        let of = |file: &str, config: &Config| Candidate::of(Path::new(file), config).unwrap();
        assert_eq!(of("/p/a.so", &config).library, Path::new("/p/a.so"));
        config.python_host = Some("/lib/host.so".into());
        let candidate = of("/p/a.py", &config);
        assert_eq!(candidate.library, Path::new("/lib/host.so"));
        assert_eq!(candidate.file, Path::new("/p/a.py"));
    }
}
