//! What is logged of files that do not take their samples: a line for each cause, however many
//! files it has.
//!
//! Nothing is written here, and nothing is tried again.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::time::Duration;

use crate::file::FileError;
use crate::writer::creation::CREATE_WITHIN;
use crate::writer::failure::Failure;
use gmetad_core::model::Mono;

/// Lines in one `PERIOD`; the causes over that are counted in one more line.
const LINES: usize = 10;

/// A cause that has been told is told again, with the files it has gained, after that.
const PERIOD: Duration = Duration::from_secs(60);

/// What files have in common that are not written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// The file's path and what is wrong with it.
    Own(String, String),
    /// What is wrong.
    Shared(String),
}

impl Cause {
    /// Of a file's failure, without its name, so that files with one cause have one text. What is
    /// wrong with a file itself is nobody else's: of each, the name is told.
    fn of(failure: &Failure, path: &str) -> Cause {
        match failure {
            Failure::File(FileError::Unsound(unsound)) => {
                Cause::Own(path.into(), unsound.to_string())
            }
            failure => Cause::Shared(failure.to_string().replace(path, "it")),
        }
    }

    fn text(&self) -> &str {
        match self {
            Cause::Own(_, text) | Cause::Shared(text) => text,
        }
    }
}

/// Files that a cause has hit since it was last told.
#[derive(Debug)]
struct Hit {
    /// Of the first.
    path: String,
    files: u64,
    /// Whether values of theirs are lost.
    loses: bool,
}

/// Lines about files, few at a time however many are broken.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    now: Mono,
    since: Mono,
    /// Not told yet.
    hits: BTreeMap<Cause, Hit>,
    /// Told in this period.
    told: Vec<Cause>,
    /// When the first of the files that are broken was.
    broken_since: Option<Mono>,
    /// Written again, and not told yet.
    back: u64,
    /// When that was last told.
    back_told: Option<Mono>,
    /// Values without a file in this period.
    postponed: u64,
}

impl Complaints {
    /// Tells the time.
    pub(crate) fn begin(&mut self, now: Mono) {
        self.now = now;
        if now.since(self.since) < PERIOD {
            return;
        }
        self.since = now;
        self.told.clear();
        let postponed = std::mem::take(&mut self.postponed);
        if postponed > 0 {
            log::error!(
                "{postponed} values were not stored: their RRD files do not exist yet, and an update \
                 creates new files for {} s at most; the next updates create the rest",
                CREATE_WITHIN.as_secs()
            );
        }
    }

    /// A file that took its samples before does not take them.
    pub(crate) fn failed(&mut self, path: &CStr, failure: &Failure, loses: bool) {
        let path = path.to_string_lossy();
        self.broken_since.get_or_insert(self.now);
        let hit = self.hits.entry(Cause::of(failure, &path)).or_insert(Hit {
            path: path.into_owned(),
            files: 0,
            loses,
        });
        hit.files += 1;
        hit.loses |= loses;
    }

    /// Values have no file, for want of time to create one.
    pub(crate) fn postpone(&mut self, values: usize) {
        self.postponed += values as u64;
    }

    /// A file takes its samples again.
    pub(crate) fn mended(&mut self) {
        self.back += 1;
    }

    /// Says what has not been said, where it is time for that: an update is over, and so many files
    /// are broken now.
    pub(crate) fn tell(&mut self, broken: u64) {
        self.tell_recovery(broken);
        if broken == 0 {
            // What is not over is sent no values any more.
            self.hits.clear();
            self.told.clear();
            self.broken_since = None;
        }
        let mut rest = BTreeMap::new();
        for (cause, hit) in std::mem::take(&mut self.hits) {
            if self.told.contains(&cause) || self.told.len() >= LINES {
                rest.insert(cause, hit);
                continue;
            }
            log::error!("{}", line(&cause, &hit));
            self.told.push(cause);
        }
        // Of causes that wait for their turn, there are no more than can be told.
        if rest.len() > LINES {
            let files: u64 = rest.values().map(|hit| hit.files).sum();
            log::error!(
                "{files} more RRD files cannot be written, for {} reasons that are not logged",
                rest.len()
            );
            rest.clear();
        }
        self.hits = rest;
    }

    /// All of it is told at once; a part of it, when there has been a while.
    fn tell_recovery(&mut self, broken: u64) {
        let recently = |told: Mono| self.now.since(told) < PERIOD;
        if self.back == 0 || (broken > 0 && self.back_told.is_some_and(recently)) {
            return;
        }
        let back = std::mem::take(&mut self.back);
        self.back_told = Some(self.now);
        // What begins anew is told anew.
        self.told.retain(|cause| matches!(cause, Cause::Own(..)));
        let them = match back {
            1 => "1 RRD file is written again".into(),
            back => format!("{back} RRD files are written again"),
        };
        if broken > 0 {
            gmetad_core::recovered!(error: "{them}; {broken} still cannot be written");
            return;
        }
        let since = self.broken_since.take().unwrap_or(self.now);
        let span = gmetad_core::complaint::span(self.now.since(since));
        gmetad_core::recovered!(error: "{them}, after {span}; no RRD file fails any more");
    }
}

fn line(cause: &Cause, hit: &Hit) -> String {
    let Hit { path, files, loses } = hit;
    let text = cause.text();
    let values = if *loses {
        "values are lost until then"
    } else {
        "values wait for some minutes"
    };
    match files {
        1 => format!("RRD file {path} cannot be written, its {values}: {text}"),
        _ => format!("{files} RRD files cannot be written, such as {path}, their {values}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;
    use crate::file::error::Refusal;
    use crate::file::sound::Unsound;

    fn full() -> Failure {
        Failure::File(FileError::System {
            what: "it cannot be created",
            cause: io::Error::from_raw_os_error(nix::libc::ENOSPC),
        })
    }

    fn path(number: u32) -> std::ffi::CString {
        std::ffi::CString::new(format!("/r/c/h/m{number}.rrd")).unwrap()
    }

    #[test]
    fn files_with_one_cause_have_one_line_with_their_number_and_a_name() {
        let mut complaints = Complaints::default();
        complaints.begin(Mono(1000));
        for number in 0..1000 {
            complaints.failed(&path(number), &full(), number > 7);
        }
        let (cause, hit) = complaints.hits.first_key_value().unwrap();
        assert_eq!(
            line(cause, hit),
            "1000 RRD files cannot be written, such as /r/c/h/m0.rrd, their values are lost until \
             then: No space left on device; free space or inodes on its filesystem"
        );
        complaints.tell(1000);
        assert_eq!((complaints.hits.len(), complaints.told.len()), (0, 1));
    }

    #[test]
    fn a_full_disk_is_one_cause_in_whatever_folder() {
        let mut complaints = Complaints::default();
        for number in 0..1000 {
            let folder = PathBuf::from(format!("/r/c/h{number}"));
            let cause = io::Error::from_raw_os_error(nix::libc::ENOSPC);
            complaints.failed(&path(number), &Failure::Folder { folder, cause }, true);
            complaints.failed(&path(number), &full(), true);
        }
        assert_eq!(complaints.hits.len(), 1);
    }

    #[test]
    fn librrds_texts_are_one_cause_whatever_file_they_name() {
        let mut complaints = Complaints::default();
        for number in 0..3 {
            let name = path(number);
            let text = format!("mmaping file '{}': it failed", name.to_string_lossy());
            complaints.failed(&name, &Failure::from(Refusal::new(text)), true);
        }
        assert_eq!(complaints.hits.len(), 1);
    }

    #[test]
    fn damaged_files_are_named_one_by_one_but_not_without_end() {
        let mut complaints = Complaints::default();
        let damaged = || Failure::from(Unsound::NotRegular("a FIFO"));
        for number in 0..5 {
            complaints.failed(&path(number), &damaged(), true);
        }
        complaints.tell(5);
        assert_eq!(complaints.told.len(), 5);
        for number in 5..1000 {
            complaints.failed(&path(number), &damaged(), true);
        }
        complaints.tell(1000);
        assert_eq!((complaints.told.len(), complaints.hits.len()), (LINES, 0));
    }

    #[test]
    fn a_cause_that_gains_files_is_told_again_after_a_while() {
        let mut complaints = Complaints::default();
        complaints.begin(Mono(100_000));
        complaints.failed(&path(0), &full(), true);
        complaints.tell(1);
        complaints.failed(&path(1), &full(), true);
        complaints.tell(2);
        assert_eq!(complaints.hits.len(), 1, "it waits");
        complaints.begin(Mono(161_000));
        complaints.tell(2);
        assert_eq!(complaints.hits.len(), 0);
    }

    #[test]
    fn a_recovery_is_told_at_once_and_what_begins_anew_is_told_anew() {
        let mut complaints = Complaints::default();
        complaints.begin(Mono(1000));
        complaints.failed(&path(0), &full(), true);
        complaints.tell(1);
        complaints.mended();
        complaints.tell(0);
        assert_eq!((complaints.back, complaints.broken_since), (0, None));
        complaints.failed(&path(0), &full(), true);
        complaints.tell(1);
        assert_eq!(complaints.hits.len(), 0);
    }

    #[test]
    fn what_is_over_before_it_is_its_turn_is_not_told() {
        let mut complaints = Complaints::default();
        complaints.begin(Mono(1000));
        complaints.failed(&path(0), &full(), true);
        complaints.tell(1);
        complaints.failed(&path(1), &full(), true);
        complaints.tell(2);
        complaints.mended();
        complaints.mended();
        complaints.tell(0);
        assert_eq!((complaints.hits.len(), complaints.back), (0, 0));
        // Files whose metrics are gone are counted no more, and nothing is over.
        complaints.failed(&path(0), &full(), true);
        complaints.tell(0);
        assert_eq!((complaints.hits.len(), complaints.broken_since), (0, None));
    }
}
