//! `--heal-rrds`: what a wrong clock has written ahead is cut from round-robin files.
//!
//! Whether another gmetad runs on them is the caller's to find out.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::daemon::Exit;
use crate::plugins::parts::rrd::Healed;
use crate::terminal::{complain, show};
use gmetad_core::complaint::span;
use gmetad_core::model::CLOCK_SET_SINCE;

/// Heals these files, and those in these folders, and the journal, and prints how many they were.
pub fn heal(places: &[PathBuf], journal: Option<&Path>) -> Exit {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| u32::try_from(now.as_secs()).unwrap_or(u32::MAX));
    if i64::from(now) < CLOCK_SET_SINCE {
        let text = "this machine's clock is not set: every file would be cut; set it first";
        return complain(&text, Exit::System);
    }
    let mut all = Healed::default();
    let mut tell = |path: &Path, reason| {
        complain(&format_args!("{}: {reason}", path.display()), Exit::Io);
    };
    if let Some(journal) = journal {
        all.add_journal(journal, now, &mut tell);
    }
    for place in places {
        all.add(place, now, &mut tell);
    }
    let printed = show(&format_args!(
        "healed: {} files, up to {} ahead; not ahead: {}; failed: {}; values taken out of the journal: {}\n",
        all.healed,
        span(Duration::from_secs(all.most_ahead_secs)),
        all.sound,
        all.failed,
        all.journaled
    ));
    if all.failed > 0 { Exit::Io } else { printed }
}
