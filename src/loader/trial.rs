//! A trial: a file is loaded in another process first, where a crash costs nothing.
//!
//! It shows only whether loading and creating end well. What the plugin does later can still crash the
//! daemon, which `boundary::guard` then tells. A Python file is imported and no more: what its factory does
//! happens once. The trial process's own side is `boundary::attempt`.

use std::io::{self, PipeReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;

use super::candidate::{Candidate, is_python};
use super::error::LoadError;

/// The option that makes a process load one plugin and do nothing else.
pub const TRIAL_OPTION: &str = "--load-check";

/// A plugin that takes longer than this to load hangs.
const LIMIT: Duration = Duration::from_secs(10);

/// The same for one in Python, which may read half a disk to import what it needs.
const PYTHON_LIMIT: Duration = Duration::from_secs(30);

/// Set in the environment of the trial process, for plugins that ask.
const VARIABLE: &str = "GMETAD_TRIAL";

/// How often the trial is checked. Most take less than this.
const PAUSE: Duration = Duration::from_millis(2);

/// This process's own program, even if its file was replaced.
const SELF: &str = "/proc/self/exe";

/// What is done with a plugin. After each of these steps the trial process writes a byte to its standard
/// output. One that ends without has been ended by the plugin, with whatever status.
const STEPS: [&str; 2] = ["loaded", "created"];

/// Has another process load the file and create its plugin, with this as standard input; an error if that crashes
/// or ends the process, or if loading does not end.
pub(super) fn is_passed(candidate: &Candidate, facts: &[u8]) -> Result<(), LoadError> {
    candidate.check()?;
    let limit = if is_python(&candidate.file) {
        PYTHON_LIMIT
    } else {
        LIMIT
    };
    match begun(candidate, facts) {
        Ok((trial, steps)) => judge(trial, steps, limit),
        Err(error) => {
            log::warn!(
                "plugin {} is loaded without a trial: cannot start a process: {error}",
                candidate.file.display()
            );
            Ok(())
        }
    }
}

/// Starts the trial process. The pipe has a byte for each step that is done.
fn begun(candidate: &Candidate, facts: &[u8]) -> io::Result<(Child, PipeReader)> {
    let program = if Path::new(SELF).exists() {
        SELF.into()
    } else {
        std::env::current_exe()?
    };
    let (steps, written) = io::pipe()?;
    // What the plugin starts may keep the other end open.
    fcntl(&steps, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let mut trial = Command::new(program)
        .arg(TRIAL_OPTION)
        .args([&candidate.library, &candidate.file])
        .env(VARIABLE, "1")
        .stdin(Stdio::piped())
        .stdout(written)
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = trial.stdin.take() {
        // It reads all of it before it does anything else. If it is gone already, that is seen.
        let _ = input.write_all(facts);
    }
    Ok((trial, steps))
}

fn judge(mut trial: Child, mut steps: PipeReader, limit: Duration) -> Result<(), LoadError> {
    let deadline = Instant::now() + limit;
    loop {
        match trial.try_wait() {
            Ok(Some(status)) => return verdict(done(&mut steps), status),
            // Its status is lost, so it gets the benefit of the doubt.
            Err(_) => return Ok(()),
            Ok(None) if Instant::now() < deadline => thread::park_timeout(PAUSE),
            Ok(None) => {
                // It may just have ended; either way it is gone after this.
                let _ = trial.kill();
                let _ = trial.wait();
                // In the daemon, create may take its time, which is reported there.
                return match done(&mut steps) {
                    0 => Err(LoadError::Hangs(limit.as_secs())),
                    _ => Ok(()),
                };
            }
        }
    }
}

/// How many steps are done.
fn done(steps: &mut PipeReader) -> usize {
    let mut told = [0; STEPS.len()];
    // Nothing yet, or never anything: no step.
    steps.read(&mut told).unwrap_or(0)
}

fn verdict(done: usize, status: ExitStatus) -> Result<(), LoadError> {
    let Some(step) = STEPS.get(done) else {
        return Ok(());
    };
    let signal = status.signal().map(|number| {
        Signal::try_from(number).map_or_else(|_| number.to_string(), |it| it.to_string())
    });
    Err(match signal {
        Some(signal) => LoadError::Crashes { step, signal },
        None => LoadError::Ends {
            step,
            status: status.to_string(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(script: &str, limit: Duration) -> String {
        let (steps, written) = io::pipe().unwrap();
        fcntl(&steps, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let trial = Command::new("/bin/sh")
            .arg("-c")
            .arg(script)
            .stdout(written)
            .spawn()
            .unwrap();
        judge(trial, steps, limit).map_or_else(|error| error.to_string(), |()| "passed".into())
    }

    #[test]
    fn a_trial_tells_a_crash_an_end_and_a_hang_apart() {
        let long = Duration::from_secs(60);
        for (script, told) in [
            ("printf ++; exit 0", "passed"),
            (
                "kill -SEGV $$",
                "it crashed when it was loaded in a trial process (SIGSEGV)",
            ),
            (
                "printf +; kill -ABRT $$",
                "it crashed when it was created in a trial process (SIGABRT)",
            ),
            (
                "exit 3",
                "it ended the trial process that loaded it (exit status: 3)",
            ),
            (
                "exit 0",
                "it ended the trial process that loaded it (exit status: 0)",
            ),
            (
                "printf +; exit 0",
                "it ended the trial process that created it (exit status: 0)",
            ),
        ] {
            assert_eq!(judged(script, long), told, "{script}");
        }
        assert_eq!(
            judged("while :; do :; done", Duration::from_millis(20)),
            "it was not loaded within 0 s in a trial process"
        );
        let slow = "printf +; exec sleep 600";
        assert_eq!(judged(slow, Duration::from_secs(2)), "passed");
    }
}
