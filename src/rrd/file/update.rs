//! Samples into a file that is there: the quick way where the file is plain, librrd for the rest.

use std::ffi::CStr;
use std::thread;
use std::time::Duration;

use crate::file::error::FileError;
use crate::file::samples::Samples;
use crate::file::{librrd, plain, sound};

/// Tries at a file that someone else has locked, and the pause before each but the first.
pub(crate) const LOCK_TRIES: u32 = 20;
pub(crate) const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// What is done about a file that someone else has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It is an error at once.
    None,
    /// The file is tried again for a tenth of a second.
    Short,
}

/// Writes samples in one call, oldest first.
///
/// Whoever draws a graph locks each file for the moment of reading it, and librrd does not wait.
pub(crate) fn update(path: &CStr, samples: &Samples, patience: Patience) -> Result<(), FileError> {
    let mut left = match patience {
        Patience::None => 1,
        Patience::Short => LOCK_TRIES,
    };
    loop {
        match update_once(path, samples) {
            Err(error) if error.is_lock() && left > 1 => {
                left -= 1;
                thread::sleep(LOCK_PAUSE);
            }
            result => return result,
        }
    }
}

fn update_once(path: &CStr, samples: &Samples) -> Result<(), FileError> {
    let is_written = plain::update(path, samples).map_err(|cause| FileError::System {
        what: "it cannot be written to",
        cause,
    })?;
    if is_written {
        return Ok(());
    }
    let file = sound::examine(path)?.without_holes()?;
    Ok(samples.with(|all| librrd::update(file, all))?)
}
