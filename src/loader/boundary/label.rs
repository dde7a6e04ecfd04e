//! What the log calls a plugin.

use std::path::Path;
use std::sync::OnceLock;

/// The file of a plugin, until it has a name.
pub(super) struct Label {
    file: String,
    name: OnceLock<Box<str>>,
}

impl Label {
    pub(super) fn of_file(file: &Path) -> Label {
        Label {
            file: file.display().to_string(),
            name: OnceLock::new(),
        }
    }

    /// Set once, when all plugins are loaded.
    pub(super) fn set_name(&self, name: &str) {
        let _ = self.name.set(name.into());
    }

    /// Neither allocates nor waits for a lock, so that a signal handler may call it.
    pub(super) fn text(&self) -> &str {
        self.name.get().map_or(&self.file, |name| name)
    }
}
