//! Has the linker pack the relocations of the program, which takes a quarter of a megabyte off it and off
//! what a start reads, where the C library that it is built for can unpack them.
//!
//! Builds and generates nothing.

use std::env;
use std::process::Command;

/// The first glibc that unpacks them.
const GLIBC: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    // For another machine, nobody can be asked; and a static program has none.
    let is_own = variable("TARGET") == variable("HOST");
    let is_glibc =
        variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu";
    if is_own && is_glibc && glibc().is_some_and(|version| version >= GLIBC) {
        // A linker that does not know it warns at most.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
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
