//! Round-robin files: each host's metrics, and the sums of each node and of everything.
//!
//! Two plugins over one [`tree`]: `rrd` and `rrdsummary`. The layout is the one that existing
//! graphs depend on:
//!
//! ```text
//! ROOT/NODE/HOST/METRIC.rrd              DS sum
//! ROOT/NODE/__SummaryInfo__/METRIC.rrd   DS sum, num
//! ROOT/__SummaryInfo__/METRIC.rrd        DS sum, num
//! ```
//!
//! Updates go into the files, or to an rrdcached that is configured.

use std::sync::Arc;

use gmetad_config::Config;
use gmetad_core::plugin::Plugin;
use rrdcached::RrdcachedServer;

mod cache;
mod file;
mod heal;
mod history;
mod journal;
mod paths;
pub mod rrdcached;
#[path = "../../tests/support/seeds.rs"]
#[cfg(test)]
mod seeds;
mod tree;
mod writer;

pub use heal::Healed;
pub use history::HistoryReader;
pub use tree::existing_rras::other_archives;
pub use writer::counters::RrdCounters;

/// A sample as a journal has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JournalSample {
    /// Of its file, from the root on.
    pub path: String,
    /// Seconds since the epoch.
    pub time: u32,
    /// The value, or the sum and how many were summed with a colon between them.
    pub value: String,
}

/// The samples in a segment of a journal, as far as it can be read: for whoever wants to know what
/// a replay would find. Any bytes may be given.
pub fn journal_samples(segment: &[u8]) -> Vec<JournalSample> {
    let mut samples = Vec::new();
    journal::replay::read(segment, |record| {
        if let journal::replay::Record::Sample { file, time, packed } = record {
            let mut rest = packed;
            let mut value = Vec::new();
            // It was found to be whole when it was read.
            let _ = journal::packed::unpack(&mut rest, &mut value);
            samples.push(JournalSample {
                path: format!("{}/{}.rrd", file.folder, file.name),
                time,
                value: String::from_utf8_lossy(&value).into_owned(),
            });
        }
    });
    samples
}

/// Does with a round-robin file all that is ever done with one, if it is sound; whether it is. Any
/// bytes may be in it, and none may end the process.
pub fn exercise_file(path: &std::path::Path) -> bool {
    file::exercise(path)
}

/// What works on round-robin files. All of it shares what is known of them, and is for one thread.
pub struct Parts {
    /// The plugins `rrd` and `rrdsummary`.
    pub plugins: [Box<dyn Plugin>; 2],
    /// Answers at the rrdcached socket.
    pub server: RrdcachedServer,
    /// Reads what the files have.
    pub history: HistoryReader,
}

/// All that works on the files of that configuration.
pub fn parts(config: &Config, counters: &Arc<RrdCounters>) -> Parts {
    let tree = tree::SharedTree::new(config, Arc::clone(counters));
    let expiry = tree::expire::Expiry::new(config);
    Parts {
        server: RrdcachedServer::new(tree.clone(), &config.rrd.rootdir),
        history: HistoryReader::new(config, tree.clone()),
        plugins: [
            Box::new(tree::hosts::HostFiles::new(tree.clone(), expiry)),
            Box::new(tree::sums::SumFiles::new(tree)),
        ],
    }
}
