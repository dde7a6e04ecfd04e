//! Where the example of a configuration is.

use std::path::{Path, PathBuf};

/// From the folder of the program on: as `make install` has it, and where it was built.
const FROM_THE_PROGRAM: [&str; 2] = [
    "../share/doc/gmetad/gmetad.conf",
    "../../contrib/gmetad.conf",
];

/// Where `make install` and packages put it.
const USUAL: [&str; 2] = [
    "/usr/local/share/doc/gmetad/gmetad.conf",
    "/usr/share/doc/gmetad/gmetad.conf",
];

/// The first that is there.
pub(super) fn find() -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    find_from(program.as_deref().and_then(Path::parent))
}

fn find_from(folder: Option<&Path>) -> Option<PathBuf> {
    let near = folder.into_iter().flat_map(|folder| {
        let near = FROM_THE_PROGRAM.iter().map(|path| folder.join(path));
        // Without the dots, where that can be.
        near.map(|path| path.canonicalize().unwrap_or(path))
    });
    near.chain(USUAL.map(PathBuf::from))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_is_where_make_install_puts_it_beside_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let docs = root.join("share/doc/gmetad");
        fs::create_dir_all(&docs).unwrap();
        fs::create_dir_all(root.join("sbin")).unwrap();
        fs::write(docs.join("gmetad.conf"), "").unwrap();
        let found = find_from(Some(&root.join("sbin")));
        assert_eq!(found, Some(docs.join("gmetad.conf")));
    }
}
