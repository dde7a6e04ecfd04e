//! The file that a command is about: only one below the root, and only `.rrd`.
//!
//! A path of a client is text of a stranger. It is compared with the root as it is configured and
//! as it is with links followed, since rrdtool sends paths with links followed. No link below the
//! root may lead out of it.

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::file::about::Header;
use crate::file::sound::Unsound;
use crate::paths::{PathBuffer, is_inside};

/// The root's two names.
#[derive(Debug)]
pub(super) struct Roots {
    configured: PathBuf,
    /// With links followed, as of the last look.
    real: PathBuf,
}

impl Roots {
    pub(super) fn new(root: &Path) -> Roots {
        Roots {
            configured: root.into(),
            real: root.into(),
        }
    }

    /// Looks again where the root really is. It stays what it was while there is none.
    pub(super) fn follow_links(&mut self) {
        if let Ok(real) = fs::canonicalize(&self.configured) {
            self.real = real;
        }
    }

    /// A path below the root, taken from there. One that does not begin with `/` is already.
    fn inside<'a>(&self, path: &'a str) -> Option<&'a str> {
        if !path.starts_with('/') {
            return Some(path);
        }
        let roots = [&self.configured, &self.real];
        let inside = roots
            .iter()
            .find_map(|root| Path::new(path).strip_prefix(root).ok());
        inside.and_then(Path::to_str)
    }

    /// Whether a path, of a file that may not exist, leads out of the root through a link.
    fn is_left_by(&self, path: &Path) -> bool {
        let mut below_root = path
            .ancestors()
            .take_while(|ancestor| *ancestor != self.configured);
        let found = below_root.find_map(|ancestor| match fs::canonicalize(ancestor) {
            Ok(real) => Some(real.starts_with(&self.real)),
            // A link to nowhere: a file that is created there would be elsewhere.
            Err(_) if ancestor.is_symlink() => Some(false),
            Err(_) => None,
        });
        found == Some(false)
    }
}

/// A file that a command may be about.
#[derive(Debug)]
pub(super) struct Target {
    /// From the root on.
    pub(super) folder: String,
    /// Without its ending.
    pub(super) name: String,
    path: CString,
}

impl Target {
    /// The file at a path that a client has sent; `paths` is a buffer for its full path.
    pub(super) fn find(
        path: &str,
        roots: &Roots,
        paths: &mut PathBuffer,
    ) -> Result<Target, String> {
        let denied = || format!("{path}: Permission denied");
        let inside = roots.inside(path).ok_or_else(denied)?;
        let (folder, file) = inside.rsplit_once('/').ok_or_else(denied)?;
        let name = file.strip_suffix(".rrd").ok_or_else(denied)?;
        if name.is_empty() || !is_inside(inside) {
            return Err(denied());
        }
        paths.enter_inside(folder);
        let target = Target {
            folder: folder.into(),
            name: name.into(),
            path: paths.file(name).to_owned(),
        };
        if roots.is_left_by(Path::new(OsStr::from_bytes(target.path.to_bytes()))) {
            return Err(format!(
                "{}: a link leads out of {}",
                denied(),
                roots.configured.display()
            ));
        }
        Ok(target)
    }

    /// The full path.
    pub(super) fn path(&self) -> &CStr {
        &self.path
    }

    /// The full path as text.
    pub(super) fn text(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    /// What rrdcached says of a file that does not exist.
    pub(super) fn missing(&self) -> String {
        format!("No such file: {}", self.text())
    }

    /// What the file says of itself, if it is sound. Otherwise the reason, in librrd's words where the
    /// file cannot be opened.
    pub(super) fn header(&self) -> Result<Header, String> {
        Header::read(&self.path).map_err(|unsound| match unsound {
            Unsound::System { cause, .. } => {
                let reason = cause.raw_os_error().map(nix::errno::Errno::from_raw);
                let reason = reason.map_or("it cannot be read", nix::errno::Errno::desc);
                format!("opening '{}': {reason}", self.text())
            }
            unsound => format!("{}: {unsound}", self.text()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// `real/c/h/a.rrd`, which is also `root/c/h/a.rrd`, and `outside/o.rrd`.
    fn folders() -> TempDir {
        let folder = TempDir::new().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("real/c/h")).unwrap();
        fs::create_dir(at("outside")).unwrap();
        fs::write(at("real/c/h/a.rrd"), "").unwrap();
        fs::write(at("outside/o.rrd"), "").unwrap();
        symlink("real", at("root")).unwrap();
        folder
    }

    fn find(folder: &TempDir, path: &str) -> Result<(String, String), String> {
        let root = folder.path().join("root");
        let mut roots = Roots::new(&root);
        roots.follow_links();
        let target = Target::find(path, &roots, &mut PathBuffer::new(&root))?;
        Ok((target.folder, target.name))
    }

    #[test]
    fn a_root_that_is_a_link_is_found_by_both_of_its_names() {
        let folder = folders();
        let a = Ok(("c/h".to_owned(), "a".to_owned()));
        let at = |path: &str| folder.path().join(path).to_str().unwrap().to_owned();
        for path in [
            "c/h/a.rrd".to_owned(),
            at("root/c/h/a.rrd"),
            at("real/c/h/a.rrd"),
        ] {
            assert_eq!(find(&folder, &path), a, "{path}");
        }
        let other = at("outside/o.rrd");
        assert_eq!(
            find(&folder, &other),
            Err(format!("{other}: Permission denied"))
        );
    }

    #[test]
    fn what_is_not_there_is_still_below_the_root() {
        let folder = folders();
        assert!(find(&folder, "c/h/later.rrd").is_ok());
        assert!(find(&folder, "d/e/later.rrd").is_ok());
        fs::remove_file(folder.path().join("root")).unwrap();
        assert!(find(&folder, "c/h/later.rrd").is_ok(), "nor is the root");
    }

    #[test]
    fn paths_that_are_no_names_of_files_below_the_root_are_refused() {
        let folder = folders();
        for path in [
            "../outside/o.rrd",
            "c/../../outside/o.rrd",
            "o.rrd",
            "c/h/a",
            "c//a.rrd",
            "c/.rrd",
            "",
            "/",
            "/etc/passwd",
        ] {
            let denied = format!("{path}: Permission denied");
            assert_eq!(find(&folder, path), Err(denied));
        }
    }

    #[test]
    fn no_link_leads_out_of_the_root() {
        let folder = folders();
        let real = folder.path().join("real");
        symlink("../../outside", real.join("c/out")).unwrap();
        symlink(
            folder.path().join("outside/o.rrd"),
            real.join("c/h/file.rrd"),
        )
        .unwrap();
        symlink("/nowhere/at/all", real.join("c/lost")).unwrap();
        for path in [
            "c/out/o.rrd",
            "c/out/later.rrd",
            "c/out/d/later.rrd",
            "c/h/file.rrd",
            "c/lost/later.rrd",
        ] {
            let root = folder.path().join("root");
            let reason = format!(
                "{path}: Permission denied: a link leads out of {}",
                root.display()
            );
            assert_eq!(find(&folder, path), Err(reason));
        }
        // One that stays inside is as good as a folder.
        symlink("c", real.join("alias")).unwrap();
        symlink(real.join("c/h/a.rrd"), real.join("c/h/b.rrd")).unwrap();
        for path in ["alias/h/a.rrd", "c/h/b.rrd", "alias/h/later.rrd"] {
            assert!(find(&folder, path).is_ok(), "{path}");
        }
    }
}
