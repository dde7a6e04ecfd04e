//! Says what to install where librrd or the linker is missing, before the linker says it worse.
//!
//! Builds and generates nothing: rrd-sys has the bindings.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// What every RRDtool since 1.5 calls its library.
const LIBRARY: &str = "librrd.so.8";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=.cargo/link/librrd.so");
    println!("cargo::rerun-if-env-changed=LIBRRD");
    println!("cargo::rerun-if-env-changed=CC");

    // A path that somebody gave is rrd-sys's to check.
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cargo/link/librrd.so");
    if env::var_os("LIBRRD").is_none_or(|path| Path::new(&path) != ours) {
        return;
    }
    // rustc links through the same driver, with the same search path.
    let driver = env::var_os("CC").unwrap_or_else(|| OsString::from("cc"));
    match Command::new(&driver)
        .arg(format!("-print-file-name={LIBRARY}"))
        .output()
    {
        Err(error) => println!(
            "cargo::error=Rust links through a C compiler, and {} cannot be run: {error}. Install \
             one (Debian: apt-get install gcc libc6-dev), or let `make deps` do it.",
            driver.display()
        ),
        // The driver prints the bare name of what it does not find.
        Ok(found) if found.stdout.trim_ascii() == LIBRARY.as_bytes() => println!(
            "cargo::error=librrd, the library of RRDtool, is missing ({LIBRARY}). Install it \
             (Debian: apt-get install librrd-dev; Fedora: dnf install rrdtool-devel), or let \
             `make deps` do it, or set LIBRRD to the full path of librrd.so."
        ),
        Ok(_) => {}
    }
}
