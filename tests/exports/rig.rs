//! The plugin thread, fed with documents of a gmond by the test.
//!
//! Knows no servers.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gmetad::plugins::{PluginHandle, start};
use gmetad_config::Config;
use gmetad_core::ingest::{ParseSettings, Parser, Previous};
use gmetad_core::model::{DefTable, Mono, Now};
use gmetad_core::plugin::{Invented, Stamp, Update};
use gmetad_core::source::HostPort;
use gmetad_core::status::{ExportStatus, PluginState};

use crate::support::{DEADLINE, wait_until};

pub const PLAIN: &str = include_str!("../data/gmond/gmond-plain.xml");
pub const PLAIN_LOCALTIME: &str = "1795367147";

/// What C gmetad sends of [`PLAIN`].
pub const C_CARBON: &str = include_str!("../data/c-exports/carbon.txt");
pub const C_MEMCACHED: &str = include_str!("../data/c-exports/memcached.txt");

/// Nothing on the plugin thread takes longer, even on a busy machine. Waiting for a server takes 5 s
/// at least.
pub const AT_ONCE: Duration = Duration::from_secs(4);

pub fn on(port: u16) -> HostPort {
    HostPort {
        host: "127.0.0.1".into(),
        port,
    }
}

/// A configuration without round-robin files.
pub fn config() -> Config {
    let mut config = Config::new("test");
    config.gridname = "G".into();
    config.rrd.write = false;
    config.exports.carbon_timeout = Duration::from_secs(5);
    config
}

/// The plugin thread, and what is sent to it.
pub struct Plugins(pub PluginHandle);

impl Plugins {
    pub fn start(config: &Config) -> Self {
        Self(start(config, Box::new(|| ())).expect("the system has a thread"))
    }

    /// Sends this document of a gmond and waits until all plugins have seen it.
    #[track_caller]
    pub fn poll(&mut self, xml: &str) -> Duration {
        let seen = self.notified();
        let update = update(xml);
        let start = Instant::now();
        self.0.send(update);
        wait_until("the plugins to see it", || self.notified() > seen);
        start.elapsed()
    }

    fn notified(&self) -> u64 {
        let plugins = self.0.plugins();
        let running = plugins
            .iter()
            .filter(|it| it.state == PluginState::Running)
            .map(|it| it.notified);
        // One that has not started yet has seen nothing.
        running.min().unwrap_or(0)
    }

    pub fn status(&self, id: &str) -> ExportStatus {
        let exports = self.0.exports();
        let status = exports.into_iter().find(|it| it.id == id);
        status.expect("it is configured")
    }

    pub fn end(mut self) {
        assert!(self.0.stop(DEADLINE));
    }
}

pub fn update(xml: &str) -> Update {
    let settings = Arc::new(ParseSettings::default());
    let mut parser = Parser::new(settings, Previous::default());
    parser
        .feed(xml.as_bytes(), Mono(0), &mut DefTable::default())
        .expect("a sound document");
    let document = parser.finish(Mono(0)).expect("a whole document");
    let now = Now {
        epoch: i64::from(now()),
        mono: Mono(0),
    };
    Update {
        source: "source".into(),
        interval: Duration::from_secs(15),
        up: true,
        invented: Invented::default(),
        node: document.nodes[0].clone(),
        now,
        stamp: Stamp::of(&document.nodes[0], now),
    }
}

pub fn now() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs() as u32
}

/// The plain document, as if taken at that time.
pub fn plain_at(time: u32) -> String {
    PLAIN.replace(PLAIN_LOCALTIME, &time.to_string())
}

/// A document of many hosts of one cluster.
pub fn many(hosts: usize, time: u32) -> String {
    let (start, rest) = PLAIN.split_once("<HOST").expect("a host");
    let (host, end) = rest.split_once("</HOST>").expect("its end");
    let mut xml = start.replace(PLAIN_LOCALTIME, &time.to_string());
    for at in 0..hosts {
        let host = host.replacen("\"localhost\"", &format!("\"node{at}\""), 1);
        xml.extend(["<HOST", &host, "</HOST>"]);
    }
    xml + end
}
