//! Any file is read or refused, and what is read can be shown.
#![no_main]

use std::io;
use std::path::{Path, PathBuf};

use gmetad_config::{Effective, Files, Overrides, Unmatched, parse};
use libfuzzer_sys::fuzz_target;

/// No file but the one that is read.
struct Nothing;

impl Files for Nothing {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn matching(&self, _: &str) -> Result<Vec<PathBuf>, Unmatched> {
        Ok(Vec::new())
    }
}

fuzz_target!(|text: &[u8]| {
    match parse(
        text,
        Path::new("fuzz.conf"),
        &Nothing,
        &Overrides::default(),
        "host",
    ) {
        Ok(loaded) => assert!(!Effective(&loaded.config).to_string().is_empty()),
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
});
