//! What the trial process does.

use gmetad_plugin::abi;
use nix::libc;

use super::access;
use super::context::Context;
use super::facts::Facts;
use super::library::{factory_of, look_of};
use super::snapshot::Newest;
use crate::candidate::Candidate;

/// Loads the file, asks for its plugin, and ends the process with 0 if it gets that far.
pub fn attempt(candidate: &Candidate) -> ! {
    let Candidate { library, file } = candidate;
    let asked = candidate.check().and_then(|()| {
        if library == file {
            factory_of(library)
        } else {
            look_of(library)
        }
    });
    if let Ok(ask) = asked {
        let facts: &'static Facts = Box::leak(Box::default());
        let newest: &'static Newest = Box::leak(Box::default());
        let context = Context::new(access::table(), facts, newest, file);
        let path = file.to_string_lossy();
        // SAFETY: the table and the text are valid for the call, the table for ever.
        context.enter(None, || unsafe { ask(context.api(), abi::Text::of(&path)) });
    }
    // SAFETY: it only ends the process, and skips the exit handlers that the object may have left.
    unsafe { libc::_exit(0) }
}
