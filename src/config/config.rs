//! What the daemon runs by: the checked configuration, with its defaults.
//!
//! Types and values only. A default is C gmetad's where it has the directive, else gmetad-python's.

use std::net::IpAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gmetad_core::client::Limits;
use gmetad_core::condition::Condition;
use gmetad_core::ingest::{self, ParseSettings};
use gmetad_core::plugin::Directive;
use gmetad_core::source::{HostPort, SourceConfig};
use gmetad_core::summary::SummaryFilter;
use gmetad_core::trust::TrustConfig;

use super::ConfigError;

/// Average time between two polls of a source.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(15);

/// Port of a gmond.
pub const DEFAULT_POLL_PORT: u16 = 8649;

/// Root of the RRD files.
pub const DEFAULT_RRD_ROOTDIR: &str = "/var/lib/ganglia/rrds";

/// C gmetad's RRAs: full resolution for a day, 631 KB a file.
pub const DEFAULT_RRAS: [&str; 3] = [
    "RRA:AVERAGE:0.5:1:5856",
    "RRA:AVERAGE:0.5:4:20160",
    "RRA:AVERAGE:0.5:40:52704",
];

/// gmetad-python's RRAs, for a file that was written for it: full resolution for an hour, 12 KB a
/// file.
pub const GMETAD_PYTHON_RRAS: [&str; 5] = [
    "RRA:AVERAGE:0.5:1:244",
    "RRA:AVERAGE:0.5:24:244",
    "RRA:AVERAGE:0.5:168:244",
    "RRA:AVERAGE:0.5:672:244",
    "RRA:AVERAGE:0.5:5760:374",
];

/// Settings given on the command line; each overrides the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// 0 fatal … 5 debug; 5 and over stays in the foreground.
    pub debug_level: Option<u8>,
    /// Stay in the foreground whatever the level.
    pub foreground: bool,
    /// Where the process id is written; absolute.
    pub pid_file: Option<PathBuf>,
    /// Log file in addition to syslog; absolute.
    pub logfile: Option<PathBuf>,
    /// 0: the system chooses.
    pub interactive_port: Option<u16>,
    /// 0: the system chooses.
    pub xml_port: Option<u16>,
}

/// Everything the daemon runs by, checked: no field holds a value that cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file that it was read from.
    pub path: Option<PathBuf>,
    /// The sources to poll, in the order of the file; names are unique.
    pub sources: Vec<SourceConfig>,
    /// Clusters and grids that only these sources may bring.
    pub source_clusters: Vec<SourceClusters>,
    /// Limits of a source's documents.
    pub documents: ingest::Limits,
    /// `max_queue_mb`: bytes of updates that may be held back for the plugins.
    pub queue_bytes: usize,
    /// Name of the grid that all clusters are in.
    pub gridname: String,
    /// URL of this grid's web interface.
    pub authority: String,
    /// Off: no GRID wrapping in the output, GRID tags in the input are ignored.
    pub scalable: bool,
    /// Who may connect, apart from this machine itself.
    pub trust: TrustConfig,
    /// Address both ports listen on; `None`: all of them, IPv4 and IPv6.
    pub bind_address: Option<IpAddr>,
    /// Port of the whole document; 0: the system chooses.
    pub xml_port: u16,
    /// Port of requests by path; 0: the system chooses.
    pub interactive_port: u16,
    /// Port of the pages; 0: the system chooses; `None`: they have none of their own.
    pub web_port: Option<u16>,
    /// Names of this machine in HTTP requests, beside those it knows itself; `*`: any name.
    pub http_host_names: Vec<String>,
    /// Whose web pages may read what is served over HTTP, as `scheme://host[:port]`; `*`: all.
    pub http_allow_origin: Vec<String>,
    /// Limits of clients.
    pub clients: ClientConfig,
    /// User to become after the ports are bound, when started as root.
    pub setuid_username: Option<String>,
    /// umask for new files and directories.
    pub umask: u32,
    /// 0 fatal, 1 critical, 2 error, 3 warning, 4 info, 5 and over debug, in the foreground.
    pub debug_level: u8,
    /// Off: stay in the foreground whatever the level.
    pub daemonize: bool,
    /// Log file, in addition to syslog.
    pub logfile: Option<PathBuf>,
    /// Where the process id is written.
    pub pid_file: Option<PathBuf>,
    /// The library that runs plugins in Python; `None`: the one installed with this gmetad.
    pub python_host: Option<PathBuf>,
    /// Directory of loadable plugins.
    pub plugins_dir: Option<PathBuf>,
    /// Order of the plugin chain, by id; `None`: file-name order, then the built-in ones.
    pub plugins: Option<Vec<String>>,
    /// Settings of the RRD writers.
    pub rrd: RrdConfig,
    /// Off: host names compare and are stored in lower case.
    pub case_sensitive_hostnames: bool,
    /// Which metrics are summarised.
    pub summary_filter: SummaryFilter,
    /// Plugin sections by id in lower case, in the order of the file, uninterpreted.
    pub sections: Vec<Section>,
    /// The `alert` section; `None`: there is none.
    pub alert: Option<AlertConfig>,
    /// Settings of the exports and of a running rrdcached.
    pub exports: ExportConfig,
}

impl Config {
    /// The defaults, of a machine of this name.
    pub fn new(host_name: &str) -> Self {
        Config {
            path: None,
            sources: Vec::new(),
            source_clusters: Vec::new(),
            documents: ingest::Limits::default(),
            queue_bytes: 1 << 30,
            gridname: "unspecified".into(),
            authority: format!("http://{host_name}/ganglia/"),
            scalable: true,
            trust: TrustConfig::default(),
            bind_address: None,
            xml_port: 8651,
            interactive_port: 8652,
            web_port: None,
            http_host_names: Vec::new(),
            http_allow_origin: Vec::new(),
            clients: ClientConfig::default(),
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

    /// How documents are parsed.
    pub fn parse_settings(&self) -> ParseSettings {
        ParseSettings {
            scalable: self.scalable,
            lower_case_hosts: !self.case_sensitive_hostnames,
            filter: Arc::new(self.summary_filter.clone()),
            limits: self.documents,
            ..ParseSettings::default()
        }
    }

    /// Whether the process stays in the foreground: by `daemonize off`, `-f` or a debug level.
    pub fn is_foreground(&self) -> bool {
        !self.daemonize || self.debug_level >= 5
    }

    /// A plugin's section, by its id in any case.
    pub fn section(&self, id: &str) -> Option<&Section> {
        self.sections
            .iter()
            .find(|section| section.id == id.to_lowercase())
    }

    /// The same for `--once`: nothing is held in memory, and nothing is touched that belongs to a
    /// daemon running beside it.
    #[must_use]
    pub fn for_one_round(mut self) -> Self {
        self.pid_file = None;
        self.rrd.write_timeout = Duration::ZERO;
        self.rrd.journal_dir = None;
        self.rrd.listen = None;
        self.rrd.expire_days = None;
        self
    }

    /// Takes over what the command line sets.
    pub(super) fn apply(&mut self, overrides: &Overrides) {
        let Overrides {
            debug_level,
            foreground,
            pid_file,
            logfile,
            interactive_port,
            xml_port,
        } = overrides;
        self.debug_level = debug_level.unwrap_or(self.debug_level);
        self.daemonize &= !foreground;
        self.pid_file = pid_file.clone().or(self.pid_file.take());
        self.logfile = logfile.clone().or(self.logfile.take());
        self.interactive_port = interactive_port.unwrap_or(self.interactive_port);
        self.xml_port = xml_port.unwrap_or(self.xml_port);
    }
}

/// A line of `source_clusters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceClusters {
    /// Name of the data_source.
    pub source: String,
    /// Names of clusters and grids.
    pub clusters: Vec<String>,
}

/// Limits of clients: how many, and what one may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// `max_clients`; `None`: as many as descriptors allow, within reason.
    pub most: Option<NonZero<u32>>,
    /// `max_clients_per_address`; `None`: half of all.
    pub most_of_address: Option<NonZero<u32>>,
    /// Bytes of a request, and times.
    pub limits: Limits,
    /// `max_unread_kb`: unsent bytes of an answer that the kernel may hold.
    pub unread_bytes: u32,
}

impl Default for ClientConfig {
    fn default() -> Self {
        ClientConfig {
            most: None,
            most_of_address: None,
            limits: Limits::default(),
            unread_bytes: 256 << 10,
        }
    }
}

/// A plugin's section: `id { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// In lower case.
    pub id: String,
    /// Directive and raw value, in order, repeats kept.
    pub directives: Vec<Directive>,
    /// Where each block `id { … }` ends in `directives`.
    pub ends: Vec<usize>,
}

impl Section {
    /// The directives of each block, in order.
    pub fn blocks(&self) -> impl Iterator<Item = &[Directive]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let blocks = starts.zip(self.ends.iter().copied());
        blocks.map(|(start, end)| &self.directives[start..end])
    }
}

/// RRD settings, from top level or the `rrd` section, which overrides top level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrdConfig {
    /// Off: no RRD file is written.
    pub write: bool,
    /// Root of the RRD files.
    pub rootdir: PathBuf,
    /// RRA definitions as `rrdtool create` takes them.
    pub rras: Vec<String>,
    /// How long values are held in memory, so that many are written at once; zero: not at all.
    pub write_timeout: Duration,
    /// Writes are spread over this; `None`: half of `write_timeout`.
    pub write_jitter: Option<Duration>,
    /// Longest time a value is held; zero: no such bound.
    pub flush_interval: Duration,
    /// Memory for held values.
    pub cache_limit_bytes: usize,
    /// Directory of the journal of held values.
    pub journal_dir: Option<PathBuf>,
    /// Unix socket that speaks rrdcached's protocol.
    pub listen: Option<PathBuf>,
    /// New files that a source may bring in an hour, beside one for each value of its document; 0: any
    /// number.
    pub new_per_hour: u64,
    /// No files are created while less is free, or a hundredth of a smaller filesystem; 0: no such bound.
    pub min_free_bytes: u64,
    /// Files of hosts not heard of for longer are removed; `None`: none ever.
    pub expire_days: Option<NonZero<u16>>,
}

/// Held values of 1,000,000 files, 20 each, take 230 MB: 6 bytes a value and 100 a file.
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
            new_per_hour: 10_000,
            min_free_bytes: 64 << 20,
            expire_days: None,
        }
    }
}

/// Settings of the exports and of a running rrdcached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportConfig {
    /// `carbon_server`, with `carbon_port`.
    pub carbon: Option<HostPort>,
    /// `carbon_protocol udp`.
    pub carbon_udp: bool,
    /// `carbon_timeout`; 500 ms by default.
    pub carbon_timeout: Duration,
    /// `graphite_prefix`.
    pub graphite_prefix: Option<String>,
    /// `graphite_path`; `None`: `%s.%h.%m`.
    pub graphite_path: Option<String>,
    /// Servers of `memcached_parameters`.
    pub memcached: Vec<HostPort>,
    /// `memcached_include_cluster_in_key`.
    pub memcached_include_cluster: bool,
    /// `riemann_server`, with `riemann_port`.
    pub riemann: Option<HostPort>,
    /// `riemann_protocol tcp`.
    pub riemann_tcp: bool,
    /// `riemann_attributes`, as key and value.
    pub riemann_attributes: Vec<(String, String)>,
    /// `rrdcached_address`.
    pub rrdcached: Option<RrdcachedAddress>,
}

impl Default for ExportConfig {
    fn default() -> Self {
        ExportConfig {
            carbon: None,
            carbon_udp: false,
            carbon_timeout: Duration::from_millis(500),
            graphite_prefix: None,
            graphite_path: None,
            memcached: Vec::new(),
            memcached_include_cluster: false,
            riemann: None,
            riemann_tcp: false,
            riemann_attributes: Vec::new(),
            rrdcached: None,
        }
    }
}

/// Where an rrdcached listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RrdcachedAddress {
    /// A socket on this machine.
    Unix(PathBuf),
    /// A port, of this machine or of another that sees the same files.
    Tcp(HostPort),
}

impl std::fmt::Display for RrdcachedAddress {
    /// As it is written in the file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RrdcachedAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            RrdcachedAddress::Tcp(place) => place.fmt(f),
        }
    }
}

/// The `alert` section: rules about metrics, and who is notified.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertConfig {
    /// `metricrule`, in the order of the file.
    pub rules: Vec<AlertRule>,
    /// Rules that were left out, and what is wrong with each; the others are in force.
    pub left_out: Vec<ConfigError>,
    /// `sendmailpath`: takes a message on its standard input.
    pub sendmail: PathBuf,
    /// `toaddress`; empty: no mail is sent.
    pub to: Vec<String>,
    /// `fromaddress`; `None`: sendmail chooses.
    pub from: Option<String>,
    /// `command`: a program and its arguments; empty: none.
    pub command: Vec<String>,
    /// `run_limit`: how many programs run at once, at least one.
    pub run_limit: usize,
    /// `run_timeout`: how long one may run before it is killed.
    pub run_timeout: Duration,
}

impl Default for AlertConfig {
    fn default() -> Self {
        AlertConfig {
            rules: Vec::new(),
            left_out: Vec::new(),
            sendmail: "/usr/sbin/sendmail".into(),
            to: Vec::new(),
            from: None,
            command: Vec::new(),
            run_limit: 4,
            run_timeout: Duration::from_secs(30),
        }
    }
}

/// `metricrule METRIC "CONDITION" "MESSAGE" [for SECONDS]`
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRule {
    /// The metric's name.
    pub metric: String,
    /// When the rule raises an alert.
    pub condition: Condition,
    /// Text of the alert.
    pub message: String,
    /// How long the condition must hold before the alert is raised; zero: not at all.
    pub hold: Duration,
}
