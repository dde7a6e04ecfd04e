//! What the trial process does.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use gmetad_plugin::abi;
use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::dup2_stdout;

use super::access;
use super::context::Context;
use super::facts::Facts;
use super::guard::leave;
use super::library::try_of;
use super::object::load;
use super::snapshot::Newest;
use crate::candidate::Candidate;
use gmetad_core::plugin::Plugin;

/// What is written after each step.
const STEP_DONE: u8 = b'+';

/// Loads the file and creates its plugin, with the configuration that comes on standard input. Says
/// on standard output after each of the two that it has come back, and ends the process.
pub fn attempt(candidate: &Candidate) -> ! {
    let mut steps = Steps::take_over();
    let mut bytes = Vec::new();
    // Without a configuration, or with half of one, the plugin gets none.
    let _ = io::stdin().read_to_end(&mut bytes);
    let facts = Facts::from_bytes(&bytes).unwrap_or_default();
    let plugin = ask(candidate, Box::leak(Box::new(facts)));
    steps.done();
    if let Some(mut plugin) = plugin {
        // Its reason is told when it fails in the daemon.
        let _ = plugin.configure(&[]);
        // What its end would do is not for a trial.
        std::mem::forget(plugin);
    }
    steps.done();
    // Past the exit handlers that the object may have left.
    leave(0)
}

/// Loads the file; a Python file is only imported. `None` if there is no plugin, whose reason is told
/// when the daemon loads it.
fn ask(candidate: &Candidate, facts: &'static Facts) -> Option<Box<dyn Plugin>> {
    let Candidate { library, file } = candidate;
    let newest: &'static Newest = Box::leak(Box::default());
    if library == file {
        return load(candidate, facts, newest).ok();
    }
    candidate.check().ok()?;
    let try_out = try_of(library).ok()?;
    let context = Context::new(access::table(), facts, newest, file);
    let path = file.to_string_lossy();
    // SAFETY: the table and the text are valid for the call, the table for ever.
    context.enter(None, || unsafe {
        try_out(context.api(), abi::Text::of(&path))
    });
    None
}

/// Where the steps are told. `None`: nobody hears them.
struct Steps(Option<File>);

impl Steps {
    /// Takes standard output away from the plugin, so that nothing it prints can be taken for a step.
    fn take_over() -> Steps {
        let nothing = OpenOptions::new().write(true).open("/dev/null");
        let own = io::stdout();
        // Above the usual three, and closed in what the plugin starts.
        let moved = fcntl(&own, FcntlArg::F_DUPFD_CLOEXEC(3)).ok();
        let Some((moved, nothing)) = moved.zip(nothing.ok()) else {
            return Steps(None);
        };
        // SAFETY: fcntl has just made this descriptor, and nothing else owns it.
        let file = unsafe { <File as std::os::fd::FromRawFd>::from_raw_fd(moved) };
        let is_away = dup2_stdout(nothing).is_ok();
        Steps(is_away.then_some(file))
    }

    fn done(&mut self) {
        if let Some(file) = &mut self.0 {
            // Without it the trial has failed, which is said.
            let _ = file.write_all(&[STEP_DONE]);
        }
    }
}
