//! Samples into a file that is there: the quick way where the file is plain, librrd for the rest.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;
use std::thread;
use std::time::Duration;

use crate::file::error::FileError;
use crate::file::samples::Samples;
use crate::file::{plain, sound};
use plain::Outcome;

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
    update_in(None, path, samples, patience)
}

/// The same where the file's folder may be held open.
pub(crate) fn update_in(
    folder: Option<BorrowedFd<'_>>,
    path: &CStr,
    samples: &Samples,
    patience: Patience,
) -> Result<(), FileError> {
    let mut left = match patience {
        Patience::None => 1,
        Patience::Short => LOCK_TRIES,
    };
    loop {
        match update_once(folder, path, samples) {
            Err(FileError::Locked) if left > 1 => {
                left -= 1;
                thread::sleep(LOCK_PAUSE);
            }
            result => return result,
        }
    }
}

fn update_once(
    folder: Option<BorrowedFd<'_>>,
    path: &CStr,
    samples: &Samples,
) -> Result<(), FileError> {
    match plain::update(folder, path, samples)? {
        Outcome::Written => Ok(()),
        Outcome::NotPlain => ask_librrd(path, samples),
    }
}

#[cfg(feature = "librrd")]
fn ask_librrd(path: &CStr, samples: &Samples) -> Result<(), FileError> {
    let file = sound::examine(path)?.without_holes()?;
    samples.with(|all| crate::file::librrd::update(file, all))
}

/// There is none in this build, and the file may be unsound all the same.
#[cfg(not(feature = "librrd"))]
fn ask_librrd(path: &CStr, _: &Samples) -> Result<(), FileError> {
    sound::header_of(path)?;
    Err(crate::file::error::Refusal::new(NEEDS_LIBRRD).into())
}

/// What is said of a file that is not plain by a gmetad without librrd.
#[cfg(not(feature = "librrd"))]
pub(crate) const NEEDS_LIBRRD: &str = "it has forecasts (Holt-Winters) or data sources that are \
    computed (COMPUTE), and this gmetad is built without librrd, which is needed for them";

#[cfg(all(test, not(feature = "librrd")))]
mod tests {
    use super::*;
    use crate::file::layout::{DS_TYPE, NAME, Shape};
    use crate::file::testing;
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn what_librrd_is_needed_for_is_said_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.rrd");
        let path = CString::new(file.as_os_str().as_bytes()).unwrap();
        let definitions = ["DS:a:GAUGE:80:U:U", "DS:b:GAUGE:80:U:U", "RRA:MAX:0.5:1:9"];
        testing::create(&path, 15, 1_700_000_000, &definitions).unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        // As `DS:b:COMPUTE:a` has it: the first source, and the end.
        let kind = Shape::ds_def(1) + DS_TYPE;
        bytes[kind..kind + NAME].copy_from_slice(b"COMPUTE\0\0\0\0\0\0\0\0\0\0\0\0\0");
        bytes[kind + NAME..kind + NAME + 8].copy_from_slice(&[1, 0, 0, 0, 32, 0, 0, 0]);
        std::fs::write(&file, &bytes).unwrap();
        let mut samples = Samples::default();
        samples.push_packed(1_700_000_010, |all| all.push(b'1'));
        let error = update(&path, &samples, Patience::None).unwrap_err();
        assert_eq!(error.to_string(), NEEDS_LIBRRD);
        assert!(!error.may_pass());
        assert_eq!(std::fs::read(&file).unwrap(), bytes);
        std::fs::write(&file, &bytes[..300]).unwrap();
        let error = update(&path, &samples, Patience::None).unwrap_err();
        assert!(error.to_string().starts_with("it is damaged"), "{error}");
    }
}
