//! The walls between crates: which may depend on which, and what the core must not have.
//!
//! Cargo reports the manifests; forbidden methods are read from the lints' configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A name, and those that it may use.
type Arrows = &'static [(&'static str, &'static [&'static str])];

/// Each crate, and those it may depend on.
const ARROWS: Arrows = &[
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
const CORE_ARROWS: Arrows = &[
    ("model", &[]),
    ("complaint", &[]),
    ("history", &[]),
    ("share", &[]),
    ("pending", &["share"]),
    ("source", &[]),
    ("trust", &[]),
    ("condition", &["model"]),
    ("summary", &["model"]),
    ("timers", &["model"]),
    ("room", &["model"]),
    ("answer", &["model", "share"]),
    ("ingest", &["model", "summary"]),
    ("store", &["model", "summary", "ingest"]),
    ("poll", &["model", "source", "timers", "ingest"]),
    ("status", &["answer"]),
    (
        "http",
        &["model", "share", "history", "pending", "answer", "status"],
    ),
    ("client", &["model", "room", "pending", "answer", "http"]),
    ("plugin", &["model", "status"]),
];

/// The same within the crate that sends values on. All other modules of it are exports.
const EXPORT_ARROWS: Arrows = &[
    ("select", &[]),
    ("link", &[]),
    ("export", &["link", "select"]),
];

/// What an export may use: not another export.
const OF_AN_EXPORT: &[&str] = &["export", "link", "select"];

/// The same within the crate that loads plugins.
const LOADER_ARROWS: Arrows = &[
    ("error", &[]),
    ("candidate", &["error"]),
    ("trial", &["candidate", "error"]),
    ("boundary", &["candidate", "error"]),
];

/// The same within the crate of round-robin files.
const RRD_ARROWS: Arrows = &[
    ("paths", &[]),
    ("file", &[]),
    ("writer", &["file"]),
    ("journal", &["paths", "file"]),
    ("heal", &["file", "journal"]),
    ("cache", &["paths", "file", "writer", "journal"]),
    ("tree", &["paths", "file", "writer", "cache"]),
    ("history", &["paths", "file", "cache", "tree"]),
    ("rrdcached", &["paths", "file", "writer", "cache", "tree"]),
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
        let (_, built_with) = &crates[*name];
        for dependency in built_with {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} must not know {dependency}: move what both need down"
            );
        }
    }
}

#[test]
fn the_core_depends_on_no_system_crate() {
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

/// The modules of its crate that a file names, its tests aside: as `crate::NAME`, or with as many
/// `super::` as lead there from a module of that depth.
fn used_modules(text: &str, depth: usize) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next();
    let mut rest = code.expect("split gives at least one part");
    let mut used = BTreeSet::new();
    while let Some(at) = rest
        .find("crate::")
        .into_iter()
        .chain(rest.find("super::"))
        .min()
    {
        let mut supers = 0;
        let is_crate = rest[at..].starts_with("crate::");
        rest = &rest[at..];
        while let Some(after) = rest.strip_prefix("super::") {
            supers += 1;
            rest = after;
        }
        rest = rest.strip_prefix("crate::").unwrap_or(rest);
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        if is_crate || supers == depth {
            used.insert(rest[..end.unwrap_or(rest.len())].to_owned());
        }
    }
    used
}

/// Adds what the files of a module use. Its depth is 1 if its crate declares it.
fn used_below(path: &Path, depth: usize, used: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder of the sources") {
            let path = entry.expect("an entry").path();
            let is_below = !path.ends_with("mod.rs");
            used_below(&path, depth + usize::from(is_below), used);
        }
    } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
        let text = fs::read_to_string(path).expect("text");
        assert!(
            !text.contains("use crate::{"),
            "{}: name each module on a line of its own, so that this test sees it",
            path.display()
        );
        // Files of tests alone may use anything.
        if !text.contains("#![cfg(test)]") {
            used.extend(used_modules(&text, depth));
        }
    }
}

/// The modules that a crate declares, those for tests aside.
fn declared_modules(lib: &str) -> BTreeSet<&str> {
    let mut before = "";
    let mut declared = BTreeSet::new();
    for line in lib.lines() {
        let name = line.strip_prefix("pub ").unwrap_or(line);
        let name = name.strip_prefix("mod ");
        if let Some(name) = name.and_then(|it| it.strip_suffix(';'))
            && before != "#[cfg(test)]"
        {
            declared.insert(name);
        }
        before = line;
    }
    declared
}

/// Checks the modules of one crate of `src`.
fn modules_point_down(name_of_crate: &str, arrows: &[(&str, &[&str])]) {
    let folder = root().join("src").join(name_of_crate);
    let lib = fs::read_to_string(folder.join("lib.rs")).expect("text");
    let named: BTreeSet<&str> = arrows.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        declared_modules(&lib),
        named,
        "src/{name_of_crate}/lib.rs and tests/house.rs name the same modules"
    );
    let mut below = BTreeSet::new();
    for (name, allowed) in arrows {
        for arrow in *allowed {
            assert!(
                below.contains(arrow),
                "{name_of_crate}: {arrow} is not below {name}: a circle?"
            );
        }
        let mut used = BTreeSet::new();
        let mut path = folder.join(name);
        if !path.is_dir() {
            path.set_extension("rs");
        }
        used_below(&path, 1, &mut used);
        for other in &used {
            assert!(
                !other.starts_with(char::is_uppercase),
                "{name_of_crate}: {name} takes {other} from lib.rs: take it from its module, below"
            );
            assert!(
                other == name
                    || allowed.contains(&other.as_str())
                    || !named.contains(other.as_str()),
                "{name_of_crate}: {name} must not use {other}: move what both need down"
            );
        }
        below.insert(*name);
    }
}

#[test]
fn arrows_between_the_modules_of_the_core_point_down() {
    modules_point_down("core", CORE_ARROWS);
}

#[test]
fn arrows_between_the_modules_that_send_values_on_point_down() {
    let lib = fs::read_to_string(root().join("src/export/lib.rs")).expect("text");
    let mut arrows = EXPORT_ARROWS.to_vec();
    for module in declared_modules(&lib) {
        if EXPORT_ARROWS.iter().all(|(name, _)| *name != module) {
            arrows.push((module, OF_AN_EXPORT));
        }
    }
    modules_point_down("export", &arrows);
}

#[test]
fn arrows_between_the_modules_that_load_plugins_point_down() {
    modules_point_down("loader", LOADER_ARROWS);
}

#[test]
fn arrows_between_the_modules_of_round_robin_files_point_down() {
    modules_point_down("rrd", RRD_ARROWS);
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
fn unsafe_code_is_confined_to_two_modules() {
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

/// The licence and the name of each foreign crate in the binary, or that generates its code.
fn linked() -> BTreeSet<(String, String)> {
    let text = cargo(&[
        "metadata",
        "--offline",
        "--locked",
        "--format-version",
        "1",
        "--filter-platform",
        "x86_64-unknown-linux-gnu",
    ]);
    let metadata: Value = serde_json::from_str(&text).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages: BTreeMap<String, &Value> = (metadata["packages"].as_array().expect("packages"))
        .iter()
        .map(|package| (text(&package["id"]), package))
        .collect();
    let nodes: BTreeMap<String, &Value> = (metadata["resolve"]["nodes"].as_array().expect("nodes"))
        .iter()
        .map(|node| (text(&node["id"]), node))
        .collect();
    let is_root = |package: &&Value| package["name"] == "gmetad";
    let root = packages
        .values()
        .copied()
        .find(is_root)
        .expect("the daemon");
    let mut open = vec![text(&root["id"])];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        for dependency in nodes[&id]["deps"].as_array().expect("dependencies") {
            let kinds = dependency["dep_kinds"].as_array().expect("kinds");
            // Neither for tests nor for build scripts.
            if kinds.iter().any(|kind| kind["kind"].is_null()) {
                open.push(text(&dependency["pkg"]));
            }
        }
        seen.insert(id.clone());
        open.retain(|id| !seen.contains(id));
    }
    seen.iter()
        .map(|id| packages[id])
        .filter(|package| !package["source"].is_null())
        .map(|package| (text(&package["license"]), text(&package["name"])))
        .collect()
}

/// Whether a licence of each part joined by AND is among those.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    expression.split(" AND ").all(|part| {
        let part = part.trim_matches(['(', ')']);
        part.split(" OR ")
            .flat_map(|one| one.split('/'))
            .any(|one| allowed.contains(one))
    })
}

#[test]
fn licences_of_what_is_linked_are_listed_and_allowed() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect(path);
    let (deny, page) = (read("deny.toml"), read("docs/LICENSES.md"));
    let (_, list) = deny.split_once("\nallow = [").expect("a list");
    let list = list.split(']').next().expect("its end");
    let allowed: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    assert!(is_allowed("(MIT OR GPL-3.0) AND ISC", &allowed));
    assert!(!is_allowed("MIT AND GPL-3.0", &allowed));
    let rows: BTreeMap<&str, &str> = page
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| ")?
                .strip_suffix(" |")?
                .split_once(" | `")
        })
        .collect();
    for (licence, name) in linked() {
        assert!(is_allowed(&licence, &allowed), "{name} is under {licence}");
        let listed = rows.get(licence.as_str()).copied().unwrap_or_default();
        let is_listed = listed.split(", ").any(|it| it.trim_matches('`') == name);
        assert!(is_listed, "docs/LICENSES.md: {name} under {licence}");
    }
}
