//! One log line: its severity and its time.
//!
//! No I/O: see `sinks`.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use log::{Level, Metadata};

use gmetad_core::complaint::{CRITICAL, FATAL, LIFE, OVER_CRITICAL, OVER_ERROR, OVER_WARNING};
use gmetad_core::model::civil::Civil;

/// What a line to syslog begins with.
pub(super) fn priority(severity: syslog::Severity) -> u8 {
    syslog::Facility::LOG_DAEMON as u8 | severity as u8
}

/// The six levels of the log, in the order of gmetad-python's `-d`, and notices, which have no level
/// of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// 0: the daemon ends.
    Fatal,
    /// 1: a part of its work is no longer done.
    Critical,
    /// 2: something asked for was not done.
    Error,
    /// The daemon starts or stops, or a fault is over: logged at every level, or at every level at
    /// which the fault was logged.
    Notice,
    /// 3: something is odd, and may be a mistake.
    Warning,
    /// 4: something has changed.
    Info,
    /// 5: details for a developer.
    Debug,
}

impl Severity {
    /// The `log` crate has no fatal and critical errors and no notices: they are told by target.
    pub fn of(metadata: &Metadata<'_>) -> Self {
        match (metadata.level(), metadata.target()) {
            (_, LIFE | OVER_CRITICAL | OVER_ERROR | OVER_WARNING) => Severity::Notice,
            (Level::Error, FATAL) => Severity::Fatal,
            (Level::Error, CRITICAL) => Severity::Critical,
            (Level::Error, _) => Severity::Error,
            (Level::Warn, _) => Severity::Warning,
            (Level::Info, _) => Severity::Info,
            (Level::Debug | Level::Trace, _) => Severity::Debug,
        }
    }

    /// Whether it is logged at a `debug_level`.
    pub fn logged_at(self, level: u8) -> bool {
        let least = match self {
            Severity::Fatal | Severity::Notice => 0,
            Severity::Critical => 1,
            Severity::Error => 2,
            Severity::Warning => 3,
            Severity::Info => 4,
            Severity::Debug => 5,
        };
        least <= level
    }

    /// The word in a log line.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Fatal => "FATAL",
            Severity::Critical => "CRITICAL",
            Severity::Error => "ERROR",
            Severity::Notice => "NOTICE",
            Severity::Warning => "WARNING",
            Severity::Info => "INFO",
            Severity::Debug => "DEBUG",
        }
    }
}

/// Displays a time of day as RFC 3339 has it, in UTC, to the millisecond.
pub(super) struct Stamp(pub SystemTime);

impl fmt::Display for Stamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A clock before 1970 counts as 1970: the line matters more.
        let since_epoch = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since_epoch.as_secs();
        let civil = Civil::of(i64::try_from(seconds).unwrap_or(i64::MAX), 0);
        let millisecond = since_epoch.subsec_millis();
        write!(
            out,
            "{}:{:02}.{millisecond:03}Z",
            civil.iso_minute(),
            seconds % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn severity(level: Level, target: &str) -> Severity {
        Severity::of(&Metadata::builder().level(level).target(target).build())
    }

    #[test]
    fn errors_are_fatal_or_critical_by_their_target() {
        assert_eq!(severity(Level::Error, FATAL), Severity::Fatal);
        assert_eq!(severity(Level::Error, CRITICAL), Severity::Critical);
        assert_eq!(severity(Level::Error, "gmetad::poll"), Severity::Error);
        assert_eq!(severity(Level::Warn, FATAL), Severity::Warning);
    }

    #[test]
    fn each_level_shows_its_own_severity_and_the_graver_ones() {
        let all = [
            Severity::Fatal,
            Severity::Critical,
            Severity::Error,
            Severity::Warning,
            Severity::Info,
            Severity::Debug,
        ];
        for level in 0..=5 {
            let shown = all
                .iter()
                .filter(|severity| severity.logged_at(level))
                .count();
            assert_eq!(shown, usize::from(level) + 1);
        }
        assert!(Severity::Debug.logged_at(255));
    }

    #[test]
    fn times_are_told_in_the_gregorian_calendar() {
        let stamp = |millis| Stamp(UNIX_EPOCH + Duration::from_millis(millis)).to_string();
        assert_eq!(stamp(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(stamp(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(stamp(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(stamp(1_735_689_599_000), "2024-12-31T23:59:59.000Z");
        assert_eq!(stamp(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(stamp(13_574_563_200_000), "2400-02-29T00:00:00.000Z");
    }
}
