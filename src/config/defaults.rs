//! What holds where the file says nothing.
//!
//! Values only: C gmetad's where it has the directive, else gmetad-python's.

use std::time::Duration;

use super::{Config, ExportConfig, HostPort, RrdConfig, SummaryFilter, TrustConfig};

/// Average time between two polls of a source.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(15);

/// Port of a gmond.
pub const DEFAULT_POLL_PORT: u16 = 8649;

/// Root of the round-robin files.
pub const DEFAULT_RRD_ROOTDIR: &str = "/var/lib/ganglia/rrds";

/// C gmetad's archives: a day in full, 631 KB a file.
pub const DEFAULT_RRAS: [&str; 3] = [
    "RRA:AVERAGE:0.5:1:5856",
    "RRA:AVERAGE:0.5:4:20160",
    "RRA:AVERAGE:0.5:40:52704",
];

/// gmetad-python's archives, for a file that was written for it: an hour in full, 12 KB a file.
pub const GMETAD_PYTHON_RRAS: [&str; 5] = [
    "RRA:AVERAGE:0.5:1:244",
    "RRA:AVERAGE:0.5:24:244",
    "RRA:AVERAGE:0.5:168:244",
    "RRA:AVERAGE:0.5:672:244",
    "RRA:AVERAGE:0.5:5760:374",
];

impl Config {
    /// The defaults, of a machine of this name.
    pub fn new(host_name: &str) -> Self {
        Config {
            path: None,
            sources: Vec::new(),
            gridname: "unspecified".into(),
            authority: format!("http://{host_name}/ganglia/"),
            scalable: true,
            trust: TrustConfig::default(),
            bind_address: None,
            xml_port: 8651,
            interactive_port: 8652,
            setuid_username: Some("nobody".into()),
            umask: 0o022,
            debug_level: 2,
            daemonize: true,
            logfile: None,
            pid_file: None,
            plugins_dir: None,
            python_host: None,
            plugins: None,
            rrd: RrdConfig::default(),
            case_sensitive_hostnames: true,
            summary_filter: SummaryFilter::default(),
            sections: Vec::new(),
            alert: None,
            exports: ExportConfig::default(),
        }
    }

    /// Whether the process stays in the foreground: told so, or at a level that shows its work.
    pub fn is_foreground(&self) -> bool {
        !self.daemonize || self.debug_level >= 5
    }

    /// The same for a round that ends: nothing is held in memory, and what belongs to a daemon that
    /// may be running beside it is left alone.
    #[must_use]
    pub fn for_one_round(mut self) -> Self {
        self.pid_file = None;
        self.rrd.write_timeout = Duration::ZERO;
        self.rrd.journal_dir = None;
        self.rrd.listen = None;
        self.rrd.expire_days = None;
        self
    }

    /// A plugin's section, by its id in any case.
    pub fn section(&self, id: &str) -> Option<&super::Section> {
        self.sections
            .iter()
            .find(|section| section.id == id.to_lowercase())
    }
}

/// Samples that wait: 1,000,000 files of 20 take 230 MB, at 6 bytes a sample and 100 a file.
const DEFAULT_CACHE_LIMIT_BYTES: usize = 512 << 20;

impl Default for RrdConfig {
    fn default() -> Self {
        RrdConfig {
            write: true,
            rootdir: DEFAULT_RRD_ROOTDIR.into(),
            rras: DEFAULT_RRAS.map(String::from).to_vec(),
            write_timeout: Duration::ZERO,
            write_jitter: None,
            flush_interval: Duration::ZERO,
            cache_limit_bytes: DEFAULT_CACHE_LIMIT_BYTES,
            journal_dir: None,
            listen: None,
            expire_days: None,
        }
    }
}

impl Default for ExportConfig {
    fn default() -> Self {
        ExportConfig {
            carbon: None,
            carbon_udp: false,
            carbon_timeout: Duration::from_millis(500),
            graphite_prefix: None,
            graphite_path: None,
            memcached: Vec::<HostPort>::new(),
            memcached_include_cluster: false,
            riemann: None,
            riemann_tcp: false,
            riemann_attributes: Vec::new(),
            rrdcached: None,
        }
    }
}
