//! Has the linker make a release small in memory, where it can: what runs often stands side by side, and
//! relocations are packed, which takes a quarter of a megabyte off the program and off what a start reads.
//!
//! Builds and generates nothing.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The first glibc that unpacks relocations.
const GLIBC: (u32, u32) = (2, 36);

/// Names the functions that run often; made by benches/often.py.
const OFTEN: &str = ".cargo/link/often.ld";

/// What LLVM's linker leaves in a program.
const LLD: &[u8] = b"Linker: LLD";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={OFTEN}");
    // For another machine, nobody can be asked; and a static program has no relocations to pack.
    let is_own = variable("TARGET") == variable("HOST");
    let is_glibc =
        variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu";
    if !is_own || !is_glibc {
        return;
    }
    if glibc().is_some_and(|version| version >= GLIBC) {
        // A linker that does not know it warns at most.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    if variable("PROFILE") == "release" && is_lld().unwrap_or(false) {
        let script = Path::new(&variable("CARGO_MANIFEST_DIR")).join(OFTEN);
        println!("cargo::rustc-link-arg-bins=-T{}", script.display());
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// Whether the linker that will link this program is LLVM's, which signs an empty one. Others do not know
/// such a script, or take minutes for so many names.
fn is_lld() -> Option<bool> {
    let folder = variable("OUT_DIR");
    let source = Path::new(&folder).join("empty.rs");
    fs::write(&source, "fn main() {}\n").ok()?;
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.arg("--out-dir").arg(&folder).arg(source);
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    rustc.args(flags.split('\x1f').filter(|it| !it.is_empty()));
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    rustc.output().ok()?;
    let linked = fs::read(Path::new(&folder).join("empty")).ok()?;
    Some(linked.windows(LLD.len()).any(|it| it == LLD))
}

/// The version of this machine's glibc.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf")
        .arg("GNU_LIBC_VERSION")
        .output()
        .ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
