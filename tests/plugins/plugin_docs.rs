//! docs/PLUGINS.md followed to the letter: its code and its output are the real ones.
//!
//! How plugins behave is in `plugins`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const TUTORIAL: &str = include_str!("../../docs/PLUGINS.md");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(file: &str) -> String {
    fs::read_to_string(root().join(file)).expect("it is in the repository")
}

/// The fenced blocks of a language, in order. Fences within an example's own comments are not ours.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("\n```{language}\n");
    let starts = TUTORIAL.split(fence.as_str()).skip(1);
    let block = |rest: &'static str| {
        let end = rest.find("\n```").expect("a fence is closed");
        &rest[..=end]
    };
    starts.map(block).collect()
}

/// A folder as its reader has it, with gmetad where a shell finds it.
struct Desk {
    folder: TempDir,
    bin: PathBuf,
}

impl Desk {
    fn new() -> Desk {
        let folder = tempfile::tempdir().expect("a folder of our own");
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).expect("our own folder");
        symlink(env!("CARGO_BIN_EXE_gmetad"), bin.join("gmetad")).expect("our own folder");
        let saved = root().join("tests/data/gmond/gmond-plain.xml");
        fs::copy(saved, folder.path().join("saved.xml")).expect("our own folder");
        Desk { folder, bin }
    }

    fn write(&self, name: &str, content: &str) {
        let file = self.folder.path().join(name);
        fs::create_dir_all(file.parent().expect("it is in a folder")).expect("our own folder");
        fs::write(file, content).expect("our own folder");
    }

    /// Runs a command as it is printed, and returns what it prints.
    #[track_caller]
    fn run(&self, command: &str) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("/bin/sh")
            .args(["-e", "-c", command])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.bin.display()))
            // Where `make install` puts the header, the compiler looks by itself.
            .env("CPATH", root().join("include"))
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .expect("a shell");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}:\n{errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Replaces what differs from machine to machine.
    fn same(&self, output: &str) -> String {
        let folder = self.folder.path().canonicalize().expect("it is there");
        let output = output.replace(&folder.display().to_string(), "/home/me");
        output.lines().map(|line| same_line(line) + "\n").collect()
    }
}

/// Without times, and without the name of the first data_source of this machine's own gmetad.conf.
fn same_line(line: &str) -> String {
    if let Some((call, _)) = line.split_once(": ").filter(|_| line.ends_with(" ms")) {
        return format!("{call}: some ms");
    }
    match (line.split_once(": source "), line.split_once(" has ")) {
        (Some((start, _)), Some((_, end))) => format!("{start}: source S has {end}"),
        _ => line.to_owned(),
    }
}

#[test]
fn the_documented_code_is_that_of_the_examples() {
    let examples = "contrib/plugins/examples";
    assert_eq!(blocks("c"), [text_of(&format!("{examples}/count_hosts.c"))]);
    assert_eq!(
        blocks("toml"),
        [text_of(&format!("{examples}/load_per_cpu/Cargo.toml"))]
    );
    assert_eq!(
        blocks("rust"),
        [text_of(&format!("{examples}/load_per_cpu/src/lib.rs"))]
    );
}

#[test]
#[cfg_attr(not(feature = "loader"), ignore = "needs the feature loader")]
fn the_c_tutorial_works_as_printed() {
    let desk = Desk::new();
    desk.write("count_hosts.c", blocks("c")[0]);
    let commands = blocks("sh");
    assert_eq!(desk.run(commands[0]), "", "the compiler has nothing to say");
    let told = desk.run(commands[1]);
    assert_eq!(desk.same(&told), desk.same(blocks("text")[0]));
}

#[test]
#[cfg_attr(not(feature = "loader"), ignore = "needs the feature loader")]
fn the_rust_tutorial_works_as_printed() {
    let desk = Desk::new();
    let sdk = root().join("contrib/plugins/sdk").display().to_string();
    let manifest = blocks("toml")[0];
    assert!(
        manifest.contains("path = \"../../sdk\""),
        "the one thing to adapt"
    );
    desk.write("Cargo.toml", &manifest.replace("../../sdk", &sdk));
    desk.write("src/lib.rs", blocks("rust")[0]);
    assert!(TUTORIAL.contains("`cargo build --release`"));
    desk.run(&format!("{} build --release --offline", env!("CARGO")));
    let told = desk.run(blocks("sh")[2]);
    assert_eq!(desk.same(&told), desk.same(blocks("text")[1]));
}
