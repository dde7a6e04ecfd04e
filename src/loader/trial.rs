//! Loading a file in a process of its own first, where a crash costs nothing.
//!
//! Only whether that ends is found out: what the plugin says of itself is asked when it is loaded
//! for good. What it does later can crash the daemon all the same. A file in Python is only looked
//! at: no line of it is run before it is loaded for good.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gmetad_plugin::abi;
use nix::libc;
use nix::sys::signal::Signal;

use super::context::Context;
use super::snapshot::Newest;
use super::{Candidate, Facts, LoadError, factory_of, open};

/// Has the process load one plugin and do nothing else.
pub const TRIAL_OPTION: &str = "--load-check";

/// A plugin that takes longer than this to be loaded is one that hangs.
const LIMIT: Duration = Duration::from_secs(10);

/// How often the trial is looked at. Most take less than this.
const STEP: Duration = Duration::from_millis(2);

/// The process's own program, whatever became of its file.
const SELF: &str = "/proc/self/exe";

/// Has another process load the file; an error if that does not end well.
pub(super) fn is_passed(candidate: &Candidate) -> Result<(), LoadError> {
    candidate.check()?;
    let program = if Path::new(SELF).exists() {
        Ok(SELF.into())
    } else {
        std::env::current_exe()
    };
    let trial = program.and_then(|program| {
        Command::new(program)
            .arg(TRIAL_OPTION)
            .args([&candidate.library, &candidate.file])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    });
    match trial {
        Ok(trial) => judge(trial, LIMIT),
        Err(error) => {
            log::warn!(
                "plugin {} is loaded without a trial, as no process can be started: {error}",
                candidate.file.display()
            );
            Ok(())
        }
    }
}

fn judge(mut trial: Child, limit: Duration) -> Result<(), LoadError> {
    let deadline = Instant::now() + limit;
    loop {
        match trial.try_wait() {
            Ok(Some(status)) => return verdict(status),
            // Somebody else has waited for it: nothing is known, so nothing is held against it.
            Err(_) => return Ok(()),
            Ok(None) if Instant::now() < deadline => thread::park_timeout(STEP),
            Ok(None) => {
                // It may have ended in this moment; either way it is gone after this.
                let _ = trial.kill();
                let _ = trial.wait();
                return Err(LoadError::Hangs(limit.as_secs()));
            }
        }
    }
}

fn verdict(status: ExitStatus) -> Result<(), LoadError> {
    if status.success() {
        return Ok(());
    }
    let signal = status.signal().map(|number| {
        Signal::try_from(number).map_or_else(|_| number.to_string(), |it| it.to_string())
    });
    Err(match signal {
        Some(signal) => LoadError::Crashes(signal),
        None => LoadError::Ends(status.to_string()),
    })
}

/// The other process: loads the file, asks for its plugin, and ends with 0 if it comes that far.
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
        let context = Context::new(facts, newest, file);
        let path = file.to_string_lossy();
        // SAFETY: the table and the text are valid for the call, the table for ever.
        context.enter(None, || unsafe { ask(context.api(), abi::Text::of(&path)) });
    }
    // SAFETY: ends the process, without the handlers that the object may have left: whether those
    // go well is nobody's concern here.
    unsafe { libc::_exit(0) }
}

/// What a library that makes plugins of files looks at one with, and runs nothing of it: its type is
/// the factory's, and it gives nothing.
fn look_of(library: &Path) -> Result<abi::Factory, LoadError> {
    let opened = open(library)?;
    // SAFETY: that is the function's type, in the one library that has it.
    let look = unsafe { opened.get::<abi::Factory>(abi::LOOK.as_bytes()) };
    let look = *look.map_err(|_| LoadError::NoFactory)?;
    // Never unmapped: Python is not.
    std::mem::forget(opened);
    Ok(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(script: &str, limit: Duration) -> String {
        let trial = Command::new("/bin/sh")
            .arg("-c")
            .arg(script)
            .spawn()
            .unwrap();
        judge(trial, limit).map_or_else(|error| error.to_string(), |()| "passed".into())
    }

    #[test]
    fn a_trial_tells_a_crash_an_end_and_a_hang_apart() {
        let long = Duration::from_secs(60);
        assert_eq!(judged("exit 0", long), "passed");
        assert_eq!(
            judged("kill -SEGV $$", long),
            "it crashes when it is loaded (SIGSEGV); tried in a process of its own"
        );
        assert_eq!(
            judged("exit 3", long),
            "it ends the process when it is loaded, with exit status: 3; tried in a process of its \
             own"
        );
        assert_eq!(
            judged("while :; do :; done", Duration::from_millis(20)),
            "it is not loaded after 0 s; tried in a process of its own"
        );
    }
}
