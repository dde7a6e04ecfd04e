//! Any text is a condition or is refused at a place in it, and any value can be held against it.
#![no_main]

use gmetad_core::condition::{Condition, Subject};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &str)| {
    let (text, val, host) = input;
    match Condition::parse(text) {
        Ok(condition) => {
            let subject = Subject {
                val,
                host,
                ..Subject::default()
            };
            if let Err(doubt) = condition.holds(&subject) {
                assert!(!doubt.to_string().is_empty());
            }
        }
        Err(error) => assert!(error.column <= text.chars().count()),
    }
});
