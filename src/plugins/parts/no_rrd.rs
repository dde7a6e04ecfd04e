//! In place of round-robin files in a gmetad that is built without them.
//!
//! There are no requests of the rrdcached socket, which their type says: it has no values.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use gmetad_config::{Config, RrdConfig};
use gmetad_core::history::{Refused, Series, Wanted};
use gmetad_core::plugin::Plugin;
use gmetad_core::status::RrdStatus;

use super::Removal;

pub(super) const LEFT_OUT: Option<Removal> = Some(remove);

fn remove(config: &mut Config) {
    // Where files are turned off, none are missed.
    if config.rrd.write {
        config.rrd = RrdConfig {
            write: false,
            ..Config::new("").rrd
        };
        config.exports.rrdcached = None;
        let is_about_files = |id: &str| ["rrd", "rrdsummary"].contains(&id);
        config.sections.retain(|it| !is_about_files(&it.id));
    }
}

/// A request of the rrdcached socket. There is none.
#[derive(Debug)]
pub struct SessionRequest {
    /// Number of the client.
    pub client: u64,
    /// Nothing that there could be.
    pub none: Infallible,
}

/// An answer to a client of the rrdcached socket. There is none.
#[derive(Debug)]
pub struct SessionAnswer {
    /// Number of the client.
    pub client: u64,
    /// Nothing that there could be.
    pub none: Infallible,
}

/// Answers at the rrdcached socket. Nobody asks.
#[derive(Debug)]
pub struct RrdcachedServer;

/// Counts what is written to round-robin files. Nothing is.
#[derive(Debug, Default)]
pub struct RrdCounters;

impl SessionAnswer {
    /// Is not called, as there is no request to answer.
    pub fn close(_client: u64) -> SessionAnswer {
        unreachable!("nobody asks")
    }
}

impl RrdcachedServer {
    /// Is not called, as there is no request to take.
    pub fn take(&mut self, request: &SessionRequest) -> Option<SessionAnswer> {
        match request.none {}
    }
}

impl RrdCounters {
    /// All zero.
    pub fn status(&self) -> RrdStatus {
        RrdStatus::default()
    }
}

/// What works on round-robin files. There are none.
pub struct Parts {
    /// No plugins.
    pub plugins: [Box<dyn Plugin>; 0],
    /// Nobody asks it.
    pub server: RrdcachedServer,
    /// Reads nothing.
    pub history: HistoryReader,
}

/// All of it.
pub fn parts(_config: &Config, _counters: &Arc<RrdCounters>) -> Parts {
    Parts {
        plugins: [],
        server: RrdcachedServer,
        history: HistoryReader,
    }
}

/// Reads what the files have. There are none.
#[derive(Debug)]
pub struct HistoryReader;

impl HistoryReader {
    /// Says so.
    pub fn read(&mut self, _wanted: &Wanted, _room: usize) -> Result<Option<Series>, Refused> {
        Err(Refused::NoFiles("it was built without them"))
    }

    /// Has nothing to let go of.
    pub fn rest(&mut self) {}
}

/// How many files were healed. None are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Healed {
    /// None.
    pub healed: u64,
    /// None was.
    pub most_ahead_secs: u64,
    /// None.
    pub sound: u64,
    /// Each place that was asked about.
    pub failed: u64,
    /// None.
    pub journaled: u64,
}

impl Healed {
    /// Says that there are no files.
    pub fn add(&mut self, place: &Path, _now: u32, tell: &mut dyn FnMut(&Path, String)) {
        self.failed += 1;
        tell(
            place,
            "this gmetad was built without round-robin files".into(),
        );
    }
}

impl Healed {
    /// Does nothing: a journal is of no use here.
    pub fn add_journal(&mut self, _: &Path, _now: u32, _tell: &mut dyn FnMut(&Path, String)) {}
}

/// Nothing to say.
pub fn other_archives(_rrd: &RrdConfig) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use gmetad_config::{RrdcachedAddress, Section};

    use super::*;

    #[test]
    fn no_file_is_written_and_no_socket_listened_at() {
        let mut config = Config::new("test");
        config.rrd.listen = Some("/run/s".into());
        config.exports.rrdcached = Some(RrdcachedAddress::Unix("/s".into()));
        config.sections = ["rrd", "mine"]
            .map(|id| Section {
                id: id.into(),
                directives: Vec::new(),
                ends: vec![0],
            })
            .into();
        remove(&mut config);
        assert!(!config.rrd.write && config.rrd.listen.is_none());
        assert_eq!(config.exports.rrdcached, None);
        assert_eq!(config.sections.len(), 1);
    }
}
