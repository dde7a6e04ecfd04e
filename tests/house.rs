//! The walls of the house: which crate may know which, and what the core may not have.
//!
//! What stands in the manifests is asked of cargo; what the lints forbid is looked up where they do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Each crate, and those it may know. All others it must not.
const ARROWS: [(&str, &[&str]); 8] = [
    ("gmetad-core", &[]),
    ("gmetad-config", &["gmetad-core"]),
    ("gmetad-web", &["gmetad-core"]),
    ("gmetad-graphite", &["gmetad-core"]),
    ("gmetad-export", &["gmetad-core", "gmetad-config"]),
    (
        "gmetad-loader",
        &["gmetad-core", "gmetad-config", "gmetad-plugin"],
    ),
    (
        "gmetad-rrd",
        &["gmetad-core", "gmetad-config", "gmetad-export"],
    ),
    (
        "gmetad",
        &[
            "gmetad-core",
            "gmetad-config",
            "gmetad-export",
            "gmetad-graphite",
            "gmetad-loader",
            "gmetad-rrd",
            "gmetad-web",
        ],
    ),
];

/// Each module of the core, from the ground up, and those that it may use. All of these are above it
/// in this list, so there is no circle.
const CORE_ARROWS: [(&str, &[&str]); 17] = [
    ("model", &[]),
    ("complaint", &[]),
    ("history", &[]),
    ("pending", &[]),
    ("source", &[]),
    ("trust", &[]),
    ("condition", &["model"]),
    ("summary", &["model"]),
    ("timers", &["model"]),
    ("answer", &["model"]),
    ("ingest", &["model", "summary"]),
    ("store", &["model", "summary", "ingest"]),
    ("poll", &["model", "source", "timers", "ingest"]),
    ("status", &["answer"]),
    ("http", &["model", "history", "pending", "answer", "status"]),
    ("client", &["model", "pending", "answer", "http"]),
    ("plugin", &["model", "status"]),
];

/// What reaches the system, or ties the core to one.
const SYSTEM: [&str; 8] = [
    "fern",
    "libc",
    "libloading",
    "log",
    "mio",
    "nix",
    "rrd-sys",
    "syslog",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo has started this test, so it is there");
    assert!(
        output.status.success(),
        "cargo {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// Of each crate in `src`: its manifest, and the crates of this workspace that it is built with.
fn crates() -> BTreeMap<String, (PathBuf, BTreeSet<String>)> {
    let text = cargo(&[
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let metadata: Value = serde_json::from_str(&text).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let all: BTreeSet<String> = packages.iter().map(name).collect();
    let in_src = |package: &&Value| {
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        manifest.starts_with(root().join("src")) || manifest == root().join("Cargo.toml")
    };
    let with_dependencies = |package: &Value| {
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        let built_with = dependencies
            .iter()
            .filter(|dependency| dependency["kind"] != "dev")
            .map(name)
            .filter(|dependency| all.contains(dependency));
        let manifest = PathBuf::from(package["manifest_path"].as_str().expect("a path"));
        (name(package), (manifest, built_with.collect()))
    };
    packages
        .iter()
        .filter(in_src)
        .map(with_dependencies)
        .collect()
}

#[test]
fn arrows_between_the_crates_point_one_way() {
    let crates = crates();
    let named: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let there: BTreeSet<&str> = crates.keys().map(String::as_str).collect();
    assert_eq!(there, named, "each crate has its line in ARROWS");
    for (name, allowed) in ARROWS {
        let (_, built_with) = &crates[name];
        for dependency in built_with {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} must not know {dependency}: move what both need down"
            );
        }
    }
}

#[test]
fn the_core_is_built_without_anything_of_the_system() {
    let tree = cargo(&[
        "tree",
        "--offline",
        "-p",
        "gmetad-core",
        "-e",
        "normal,build",
        "--prefix",
        "none",
    ]);
    let names: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(names.contains("quick-xml"), "the tree is one: {tree}");
    for system in SYSTEM {
        assert!(!names.contains(system), "the core is built with {system}");
    }
}

/// The modules that a file of the core names as `crate::NAME`, its tests aside.
fn used_modules(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next();
    let code = code.expect("split gives at least one part");
    let names = code.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        rest[..end.unwrap_or(rest.len())].to_owned()
    });
    names.collect()
}

/// Adds what the files of a module use.
fn used_below(path: &Path, used: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder of the sources") {
            used_below(&entry.expect("an entry").path(), used);
        }
    } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
        let text = fs::read_to_string(path).expect("text");
        assert!(
            !text.contains("use crate::{"),
            "{}: name each module on a line of its own, so that this test sees it",
            path.display()
        );
        // A file of tests alone may use what it likes.
        if !text.contains("#![cfg(test)]") {
            used.extend(used_modules(&text));
        }
    }
}

#[test]
fn arrows_between_the_modules_of_the_core_point_down() {
    let core = root().join("src/core");
    let lib = fs::read_to_string(core.join("lib.rs")).expect("text");
    let there: BTreeSet<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let named: BTreeSet<&str> = CORE_ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(there, named, "each module has its line in CORE_ARROWS");
    let mut below = BTreeSet::new();
    for (name, allowed) in CORE_ARROWS {
        for arrow in allowed {
            assert!(below.contains(arrow), "{arrow} is above {name}: a circle?");
        }
        let mut used = BTreeSet::new();
        let folder = core.join(name);
        if folder.is_dir() {
            used_below(&folder, &mut used);
        } else {
            used_below(&folder.with_extension("rs"), &mut used);
        }
        for other in used.iter().filter(|it| named.contains(it.as_str())) {
            assert!(
                other == name || allowed.contains(&other.as_str()),
                "core: {name} must not use {other}: move what both need down"
            );
        }
        below.insert(name);
    }
}

/// Modules that may have `unsafe`, by the attribute that lets them.
fn unsafe_modules(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            unsafe_modules(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            if text
                .lines()
                .any(|line| line.trim() == "#![allow(unsafe_code)]")
            {
                found.push(path.strip_prefix(root()).expect("inside").into());
            }
        }
    }
}

#[test]
fn unsafe_code_is_in_two_rooms_only() {
    let mut found = Vec::new();
    unsafe_modules(&root().join("src"), &mut found);
    found.sort();
    assert_eq!(
        found,
        [
            Path::new("src/loader/boundary/mod.rs"),
            Path::new("src/rrd/file/librrd.rs")
        ]
    );
    for without in ["core", "config", "export", "web", "graphite"] {
        let lib = root().join("src").join(without).join("lib.rs");
        let text = fs::read_to_string(lib).expect("text");
        assert!(text.contains("#![forbid(unsafe_code)]"), "{without}");
    }
}

#[test]
fn lints_keep_clocks_files_sockets_and_threads_out_of_the_core_and_the_pages() {
    let crates = crates();
    for name in ["gmetad-core", "gmetad-web", "gmetad-graphite"] {
        let (manifest, _) = &crates[name];
        let lints = manifest.with_file_name("clippy.toml");
        let lints = fs::read_to_string(lints).expect("clippy.toml beside the manifest");
        for forbidden in [
            "std::time::Instant::now",
            "std::time::SystemTime::now",
            "std::fs::File",
            "std::net::TcpStream",
            "std::thread::spawn",
        ] {
            let is_there = lints.contains(&format!("\"{forbidden}\""));
            assert!(is_there, "{name}: {forbidden}");
        }
    }
    let workspace = fs::read_to_string(root().join("Cargo.toml")).expect("text");
    assert!(
        !workspace.contains("disallowed_methods = \"allow\""),
        "the lint is on"
    );
}
