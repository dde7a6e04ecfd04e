//! What is logged of a server: when something goes wrong, ever less often while it lasts, and when
//! it is over.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use gmetad_core::complaint::{Say, span};

/// A line of the log, without the server's name in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remark {
    /// Nothing can be sent.
    Unreachable {
        error: String,
        say: Say,
        limit_bytes: usize,
    },
    /// It takes values again.
    Reachable { after: Duration },
    /// It takes some values and not others.
    Refuses {
        refused: usize,
        sent: u32,
        say: Say,
        reason: String,
    },
    /// It takes all values again.
    Accepts { after: Duration },
    /// Its backlog is full.
    Drops {
        values: u64,
        say: Say,
        limit_bytes: usize,
    },
    /// Its backlog has room again.
    HasRoom { after: Duration },
    /// The daemon stops before all is sent.
    Lost { values: u64 },
    /// The same, and the next start sends it.
    Kept { bytes: usize, folder: PathBuf },
    /// An earlier run left values on disk.
    Found { bytes: usize, folder: PathBuf },
    /// The backlog cannot be written to the disk.
    Unsaved {
        error: String,
        say: Say,
        folder: PathBuf,
        limit_bytes: usize,
    },
    /// It is written again.
    Saved { after: Duration, folder: PathBuf },
    /// A part of what was on disk cannot be read.
    Damaged { values: u64, file: String },
}

impl Remark {
    /// Logs it as being about `server`.
    pub(super) fn log(&self, server: &str) {
        match self {
            Remark::Reachable { .. }
            | Remark::Accepts { .. }
            | Remark::HasRoom { .. }
            | Remark::Saved { .. } => gmetad_core::recovered!(error: "{server}: {self}"),
            Remark::Found { .. } | Remark::Kept { .. } => gmetad_core::life!("{server}: {self}"),
            Remark::Unreachable { .. }
            | Remark::Refuses { .. }
            | Remark::Drops { .. }
            | Remark::Unsaved { .. }
            | Remark::Damaged { .. }
            | Remark::Lost { .. } => log::error!("{server}: {self}"),
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remark::Unreachable {
                error,
                say,
                limit_bytes,
            } => write!(
                f,
                "{error}{}; values wait until it is back, up to {}",
                so_far(*say),
                size(*limit_bytes)
            ),
            Remark::Reachable { after } => {
                write!(f, "takes values again, after {}", span(*after))
            }
            Remark::Refuses {
                refused,
                sent,
                say,
                reason,
            } => write!(
                f,
                "refuses values{}: {refused} of the last {sent}, which are not sent again; the \
                 first: {reason}",
                so_far(*say)
            ),
            Remark::Accepts { after } => {
                write!(f, "accepts what it refused, after {}", span(*after))
            }
            Remark::Drops {
                values,
                say,
                limit_bytes,
            } => write!(
                f,
                "more than {} of values wait{}; the {values} oldest are dropped",
                size(*limit_bytes),
                so_far(*say)
            ),
            Remark::HasRoom { after } => {
                write!(f, "no values are dropped any more, after {}", span(*after))
            }
            Remark::Lost { values } => write!(
                f,
                "gmetad is stopping; {values} values could not be sent and are lost"
            ),
            Remark::Kept { bytes, folder } => write!(
                f,
                "gmetad is stopping; {} of values wait in {} for the next start",
                size(*bytes),
                folder.display()
            ),
            Remark::Found { bytes, folder } => write!(
                f,
                "{} of values of an earlier run wait in {} and are sent first",
                size(*bytes),
                folder.display()
            ),
            Remark::Unsaved {
                error,
                say,
                folder,
                limit_bytes,
            } => write!(
                f,
                "backlog_dir {} cannot be written{}: {error}; values wait in memory, up to {}, \
                 where a crash loses them",
                folder.display(),
                so_far(*say),
                size(*limit_bytes)
            ),
            Remark::Saved { after, folder } => write!(
                f,
                "backlog_dir {} is written again, after {}",
                folder.display(),
                span(*after)
            ),
            Remark::Damaged { values, file } => write!(
                f,
                "{values} values in {file} cannot be read and are dropped: it is damaged, of another \
                 protocol, or was removed"
            ),
        }
    }
}

/// How long a problem has lasted that was logged before.
fn so_far(say: Say) -> String {
    match say {
        Say::First => String::new(),
        Say::Still { lasted, .. } => format!(" (for {})", span(lasted)),
    }
}

fn size(bytes: usize) -> String {
    match (bytes >> 20, bytes >> 10) {
        (0, kib) => format!("{kib} KiB"),
        (mib, _) => format!("{mib} MiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_happened_what_follows_and_for_how_long() {
        let lasted = Duration::from_secs(300);
        let still = Say::Still { lasted, times: 9 };
        let of = |say| {
            [
                Remark::Unreachable {
                    error: "cannot connect: refused".into(),
                    say,
                    limit_bytes: 128 << 20,
                },
                Remark::Refuses {
                    refused: 2,
                    sent: 56,
                    say,
                    reason: "k: SERVER_ERROR".into(),
                },
                Remark::Drops {
                    values: 7,
                    say,
                    limit_bytes: 100_000,
                },
            ]
            .map(|remark| remark.to_string())
        };
        assert_eq!(
            of(Say::First),
            [
                "cannot connect: refused; values wait until it is back, up to 128 MiB",
                "refuses values: 2 of the last 56, which are not sent again; the first: k: \
                 SERVER_ERROR",
                "more than 97 KiB of values wait; the 7 oldest are dropped",
            ]
        );
        let lasting = of(still);
        assert_eq!(
            lasting[0],
            "cannot connect: refused (for 5 min); values wait until it is back, up to 128 MiB"
        );
        assert!(lasting[1].starts_with("refuses values (for 5 min): 2 of the last 56, "));
        assert!(lasting[2].starts_with("more than 97 KiB of values wait (for 5 min); "));
        assert_eq!(
            Remark::Reachable { after: lasted }.to_string(),
            "takes values again, after 5 min"
        );
        assert_eq!(
            Remark::Accepts { after: lasted }.to_string(),
            "accepts what it refused, after 5 min"
        );
    }
}
