//! Two gmetads compared with the tool that users have.
//!
//! Starts neither of them.

// Each test program uses its own part of this.
#![allow(dead_code)]

use std::process::Command;

use super::peers::text;

/// The answers may differ that long: some polls of every second, on a busy machine.
const PATIENCE_SECONDS: &str = "120";

/// Runs the comparison as users do: whether they agree, and its output.
pub fn compare(first: u16, second: u16, options: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_gmetad-consistency-test"))
        .args(options)
        .args([first.to_string(), second.to_string()])
        .output()
        .expect("the comparison starts");
    let told = format!("{}{}", text(&output.stdout), text(&output.stderr));
    (output.status.success(), told)
}

/// Fails with what differs, if it does for long.
#[track_caller]
pub fn assert_same(first: u16, second: u16, options: &[&str]) {
    let options = [&["--for", PATIENCE_SECONDS], options].concat();
    let (same, told) = compare(first, second, &options);
    assert!(same, "the first and the second differ:\n{told}");
}
