//! Two gmetads held against each other with the comparison that their users have.
//!
//! Starts neither of them.

// Each test program takes what it needs of this.
#![allow(dead_code)]

use std::process::Command;

use super::peers::text;

/// The answers may differ that long: some polls of every second, on a busy machine.
const PATIENCE_SECONDS: &str = "120";

/// Runs the comparison as its users do: whether they agree, and what it tells.
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
