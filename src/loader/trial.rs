//! A trial: a file is loaded in another process first, where a crash costs nothing.
//!
//! It shows only whether loading ends well. What the plugin does later can still crash the daemon.
//! A Python file is only inspected: none of its code runs before it is loaded for good. The trial
//! process's own side is `boundary::attempt`.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::candidate::Candidate;
use super::error::LoadError;

/// The option that makes a process load one plugin and do nothing else.
pub const TRIAL_OPTION: &str = "--load-check";

/// A plugin that takes longer than this to load hangs.
const LIMIT: Duration = Duration::from_secs(10);

/// How often the trial is checked. Most take less than this.
const STEP: Duration = Duration::from_millis(2);

/// This process's own program, even if its file was replaced.
const SELF: &str = "/proc/self/exe";

/// Has another process load the file; an error unless that ends well.
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
                "plugin {} is loaded without a trial: cannot start a process: {error}",
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
            // Its status is lost, so it gets the benefit of the doubt.
            Err(_) => return Ok(()),
            Ok(None) if Instant::now() < deadline => thread::park_timeout(STEP),
            Ok(None) => {
                // It may just have ended; either way it is gone after this.
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
            "it crashed when it was loaded in a trial process (SIGSEGV)"
        );
        assert_eq!(
            judged("exit 3", long),
            "it ended the trial process that loaded it (exit status: 3)"
        );
        assert_eq!(
            judged("while :; do :; done", Duration::from_millis(20)),
            "it was not loaded within 0 s in a trial process"
        );
    }
}
