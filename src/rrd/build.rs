//! Finds librrd for the linker, and says what to install where it or the linker is missing.
//!
//! Builds and generates nothing: rrd-sys has the bindings.
//!
//! Of librrd, gmetad needs what creates, updates and reads files; drawing graphs, most of it,
//! takes some fifty more libraries. So its static library is preferred where there is one and what
//! it needs: the linker takes out of it what is used, which halves the memory of a small daemon and
//! runs on a machine that has no RRDtool. `LIBRRD`, the full path of a librrd.so, says otherwise.
//!
//! What is used of it needs GLib for one thing that gmetad never asks for, and GLib, with what it needs in
//! turn, is a tenth of a small daemon's memory. So where that is all, GLib is left out.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What every RRDtool since 1.5 calls its library.
const LIBRARY: &str = "librrd.so.8";

/// The static one, and what its parts that are used may need in turn.
const STATIC_LIBRARY: &str = "librrd.a";
const ITS_NEEDS: [&str; 2] = ["libglib-2.0.so.0", "libdbi.so.1"];

/// What librrd reads a template of an update with; gmetad gives none. `file/librrd.rs` stands in for them.
const FOR_TEMPLATES: [&str; 3] = ["g_tree_new_full", "g_tree_insert", "g_tree_lookup"];

/// Everything that the binding calls.
const USED: [&str; 5] = [
    "rrd_clear_error",
    "rrd_get_error",
    "rrd_info_free",
    "rrd_info_r",
    "rrd_update_r",
];

/// What the linker looks for: a script, which names the library that is meant.
const CHOICE: &str = "librrd.so";

/// The same for this crate's own tests, which also call what needs GLib.
const CHOICE_OF_TESTS: &str = "libgmetad_rrd_tests.so";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBRRD");
    println!("cargo::rustc-check-cfg=cfg(without_glib)");
    for variable in compiler_variables() {
        println!("cargo::rerun-if-env-changed={variable}");
    }

    if env::var_os("CARGO_FEATURE_LIBRRD").is_none() {
        return;
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it for every build script"));
    // rrd-sys names the folder of the LIBRRD it was built with, and is not built anew for another.
    // The linker looks into this one first.
    println!("cargo::rustc-link-search=native={}", out.display());
    let (of_tests, choice) = match given() {
        Some(library) => (format!("\"{}\"", library.display()), None),
        None => match found(&out) {
            Ok(choice) => choice,
            Err(missing) => {
                println!("cargo::error={missing}");
                return;
            }
        },
    };
    if choice.is_some() {
        println!("cargo::rustc-cfg=without_glib");
    }
    let choice = choice.unwrap_or_else(|| of_tests.clone());
    for (file, libraries) in [(CHOICE, choice), (CHOICE_OF_TESTS, of_tests)] {
        if let Err(error) = fs::write(out.join(file), format!("INPUT ( {libraries} )\n")) {
            println!("cargo::error={} cannot be written: {error}", out.display());
        }
    }
}

/// The library that somebody has named; whether it is one is rrd-sys's to check.
fn given() -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os("LIBRRD")?);
    // The stand-in that .cargo/config.toml names: this crate lies two folders below it.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    (path != workspace.join(".cargo/link/librrd.so")).then_some(path)
}

/// What the linker is to take where nobody has named a library, and what suffices without GLib if that is
/// less; or what is missing.
fn found(out: &Path) -> Result<(String, Option<String>), String> {
    let driver = driver();
    let target = variable("TARGET");
    match find(&driver, LIBRARY) {
        Err(error) => Err(format!(
            "Rust links through a C compiler, and {} cannot be run for {target}: {error}. Install one \
             (Debian: apt-get install gcc libc6-dev, or let `make deps` do it; for another processor \
             gcc-TARGET), or name it in {}.",
            driver.display(),
            compiler_variables()[0]
        )),
        Ok(_) if links_statically(&driver, out, &ITS_NEEDS, &[]) => {
            let alone = format!("-l:{STATIC_LIBRARY}");
            let all = format!("{alone} {}", ITS_NEEDS.join(" "));
            let suffices = links_statically(&driver, out, &[], &FOR_TEMPLATES);
            Ok((all, suffices.then_some(alone)))
        }
        Ok(true) => Ok((LIBRARY.into(), None)),
        Ok(false) => Err(format!(
            "librrd, the library of RRDtool, is missing for {target}: {} finds no {LIBRARY}. Install it \
             (Debian: apt-get install librrd-dev, for another processor librrd-dev:ARCHITECTURE; Fedora: \
             dnf install rrdtool-devel), or let `make deps` do it, or set LIBRRD to the full path of \
             librrd.so, or build without the feature librrd: gmetad needs it for files with forecasts or \
             computed data sources alone. No header of it is needed.",
            driver.display()
        )),
    }
}

/// Where the compiler for the target may be named, the first that is set counts.
fn compiler_variables() -> [String; 4] {
    let target = variable("TARGET");
    let of_target = format!("CC_{target}");
    let underscored = of_target.replace('-', "_");
    let of_any = if target == variable("HOST") {
        "HOST_CC"
    } else {
        "TARGET_CC"
    };
    [underscored, of_target, of_any.into(), "CC".into()]
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// The C compiler that links for the target, with the search path that rustc will have: the linker
/// that cargo is told to use for it, or one that is named, or what distributions call it.
fn driver() -> OsString {
    let named = compiler_variables().into_iter().find_map(env::var_os);
    let given = env::var_os("RUSTC_LINKER").or(named);
    given.unwrap_or_else(|| {
        let target = variable("TARGET");
        if target == variable("HOST") {
            return OsString::from("cc");
        }
        // armv7-unknown-linux-gnueabihf is arm-linux-gnueabihf to them.
        let triple = target.replace("-unknown-", "-").replace("armv7-", "arm-");
        OsString::from(format!("{triple}-gcc"))
    })
}

/// Whether the driver knows where a library is.
fn find(driver: &OsString, library: &str) -> std::io::Result<bool> {
    let output = Command::new(driver)
        .arg(format!("-print-file-name={library}"))
        .output()?;
    // It prints the bare name of what it does not find.
    Ok(output.stdout.trim_ascii() != library.as_bytes())
}

/// Whether the static library has all that is used, and the others what it needs but for those `left_out`.
fn links_statically(driver: &OsString, out: &Path, needs: &[&str], left_out: &[&str]) -> bool {
    let mut command = Command::new(driver);
    // A program without a start, as there is no main; a shared object asks more of a library.
    command.args(["-pie", "-nostartfiles", "-Wl,-e,rrd_update_r", "-o"]);
    command.arg(out.join("librrd-tried"));
    command.args(USED.map(|name| format!("-Wl,-u,{name}")));
    command.arg(format!("-l:{STATIC_LIBRARY}"));
    command.args(needs.iter().map(|library| format!("-l:{library}")));
    command.args((left_out.iter()).map(|name| format!("-Wl,--defsym={name}=0")));
    command.args(["-lm", "-lc"]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
