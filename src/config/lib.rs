//! The configuration: text of gmetad.conf in, a validated [`Config`] out.
//!
//! No I/O here beyond reading the file and what it includes; nothing is started or resolved.
#![forbid(unsafe_code)]

use std::io;
use std::net::IpAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gmetad_core::ingest::ParseSettings;
use gmetad_core::plugin::{Directive, Location};
use gmetad_core::source::{HostPort, SourceConfig};
use gmetad_core::summary::SummaryFilter;
use gmetad_core::trust::TrustConfig;

mod alert;
mod defaults;
mod directives;
mod error;
mod example;
mod exports;
mod filter;
mod hint;
mod lines;
mod lists;
#[cfg(test)]
mod meaning;
mod origin;
mod print;
mod reader;
pub mod reload;
mod rrd;
mod section;
mod show;
mod table;
mod telling;
#[cfg(test)]
mod testing;
mod values;
mod words;

pub use alert::{AlertConfig, AlertRule};
pub use defaults::{
    DEFAULT_INTERVAL, DEFAULT_POLL_PORT, DEFAULT_RRAS, DEFAULT_RRD_ROOTDIR, GMETAD_PYTHON_RRAS,
};
pub use error::{ConfigError, ConfigErrors, Problem};
pub use hint::meant;
pub use origin::Origins;
pub use print::Printed;
pub use reader::{Disk, Files, Unmatched};
pub use section::ExportSection;
pub use show::Effective;
pub use table::directive_names;
pub use values::Fault;

/// A configuration and what there is to say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What the daemon runs by.
    pub config: Config,
    /// To be logged once the log is open; printed by `-t`.
    pub notices: Vec<Notice>,
    /// Where the directives come from.
    pub origins: Origins,
}

/// A remark about a configuration, which does not make it wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `Warn`: most likely a mistake; `Info`: worth knowing.
    pub level: log::Level,
    /// Begins with file and line number; where it shows a place, that is a second line and a caret
    /// in a third.
    pub text: String,
}

/// Reads and checks the configuration in a file and what it includes.
///
/// `host_name` is this machine's, for the default authority. All that is wrong is listed; of what
/// is only strange, [`Loaded::notices`] tells.
pub fn load(path: &Path, overrides: &Overrides, host_name: &str) -> Result<Loaded, ConfigErrors> {
    // Not only a regular file: what a shell puts together for `-t` comes through a pipe.
    let text = reader::read_all(path).map_err(|error| {
        let (path, reason) = (path.into(), error.to_string());
        let problem = match example::find() {
            Some(example) if error.kind() == io::ErrorKind::NotFound => Problem::Missing {
                path,
                reason,
                example,
            },
            _ => Problem::Unreadable { path, reason },
        };
        ConfigErrors {
            errors: vec![ConfigError { at: None, problem }],
            notices: Vec::new(),
            setuid_username: None,
        }
    })?;
    parse(&text, path, &Disk, overrides, host_name)
}

/// As [`load`], of a text that has been read already; `files` gives what it includes.
pub fn parse(
    text: &[u8],
    file: &Path,
    files: &dyn Files,
    overrides: &Overrides,
    host_name: &str,
) -> Result<Loaded, ConfigErrors> {
    let mut errors = Vec::new();
    let document = reader::read(text, file, files, &mut errors);
    let order = document.files.clone();
    let (mut loaded, problems) = directives::interpret(document, overrides, host_name);
    errors.extend(problems);
    if errors.is_empty() {
        loaded.config.path = Some(file.to_owned());
        return Ok(loaded);
    }
    // The reader and the directives each found theirs; a person reads them by file and line.
    errors.sort_by_key(|error| {
        error
            .at
            .as_ref()
            .map(|at| (order.iter().position(|file| *file == at.file), at.line))
    });
    Err(ConfigErrors {
        errors,
        notices: loaded.notices,
        setuid_username: loaded.config.setuid_username,
    })
}

/// Settings given on the command line; each wins over the configuration file.
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
    /// 0 lets the system choose.
    pub interactive_port: Option<u16>,
    /// 0 lets the system choose.
    pub xml_port: Option<u16>,
}

/// Everything the daemon runs by, checked: no field holds a value that cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file that it was read from.
    pub path: Option<PathBuf>,
    /// What is polled, in the order of the file; names are unique.
    pub sources: Vec<SourceConfig>,
    /// Name of the grid that wraps all of it.
    pub gridname: String,
    /// URL that locates this grid's graphs.
    pub authority: String,
    /// Off: no GRID wrapping in the output, GRID tags in the input are looked through.
    pub scalable: bool,
    /// Who may ask, beside this machine itself.
    pub trust: TrustConfig,
    /// Address both ports listen on; `None`: all of them, IPv4 and IPv6.
    pub bind_address: Option<IpAddr>,
    /// Port of the whole document; 0 lets the system choose.
    pub xml_port: u16,
    /// Port of requests by path; 0 lets the system choose.
    pub interactive_port: u16,
    /// User to become after the ports are bound, when started as root.
    pub setuid_username: Option<String>,
    /// For the files and folders written.
    pub umask: u32,
    /// 0 fatal, 1 critical, 2 error, 3 warning, 4 info, 5 and over debug, in the foreground.
    pub debug_level: u8,
    /// Off: stay in the foreground whatever the level.
    pub daemonize: bool,
    /// Log file, in addition to syslog.
    pub logfile: Option<PathBuf>,
    /// Where the process id is written.
    pub pid_file: Option<PathBuf>,
    /// What loads plugins in Python; `None`: the one that is installed with this gmetad.
    pub python_host: Option<PathBuf>,
    /// Folder of loadable plugins.
    pub plugins_dir: Option<PathBuf>,
    /// Order of the plugin chain, by id; `None`: file-name order, then the built-in ones.
    pub plugins: Option<Vec<String>>,
    /// What the RRD writers need.
    pub rrd: RrdConfig,
    /// Off: host names compare and are stored in lower case.
    pub case_sensitive_hostnames: bool,
    /// Which metrics take part in summaries.
    pub summary_filter: SummaryFilter,
    /// Plugin sections by id in lower case, in the order of the file, uninterpreted.
    pub sections: Vec<Section>,
    /// Rules about metrics; `None`: there is no such section.
    pub alert: Option<AlertConfig>,
    /// Directives read and understood whose part of the daemon is set up elsewhere.
    pub exports: ExportConfig,
}

impl Config {
    /// What reading a document goes by.
    pub fn parse_settings(&self) -> ParseSettings {
        ParseSettings {
            scalable: self.scalable,
            lower_case_hosts: !self.case_sensitive_hostnames,
            filter: Arc::new(self.summary_filter.clone()),
            ..ParseSettings::default()
        }
    }
}

/// RRD settings, from top level or the `rrd` section; the section wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrdConfig {
    /// Off: no RRD file is written.
    pub write: bool,
    /// Root of the tree of files.
    pub rootdir: PathBuf,
    /// RRA definitions as `rrdtool create` takes them.
    pub rras: Vec<String>,
    /// How long samples wait in memory, so that many are written at once; zero: not at all.
    pub write_timeout: Duration,
    /// Spread over which they are then written; `None`: half of `write_timeout`.
    pub write_jitter: Option<Duration>,
    /// What they never wait longer than; zero: no such bound.
    pub flush_interval: Duration,
    /// Memory for samples that wait.
    pub cache_limit_bytes: usize,
    /// Folder of the journal of samples that wait.
    pub journal_dir: Option<PathBuf>,
    /// Socket at which rrdcached's protocol is spoken.
    pub listen: Option<PathBuf>,
    /// Files of hosts that were not heard of for longer are removed; `None`: none ever.
    pub expire_days: Option<NonZero<u16>>,
}

/// A plugin's section: `id { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// In lower case.
    pub id: String,
    /// Directive and raw value, in order, repeats kept.
    pub directives: Vec<Directive>,
}

/// Settings of the export plugins and of a running rrdcached.
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

/// Where an rrdcached listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RrdcachedAddress {
    /// A socket on this machine.
    Unix(PathBuf),
    /// A port, of this machine or of another that sees the same files.
    Tcp(HostPort),
}

#[cfg(test)]
mod tests {
    use super::testing::{Memory, Random, is_read_again_as_the_same};
    use super::*;

    /// What a configuration is made of, so that the generator gets behind the first check.
    const PIECES: &[&str] = &[
        " ",
        " ",
        " ",
        "\n",
        "\n",
        "\n",
        "\t",
        "\r\n",
        "\\",
        "\\\n",
        "\"",
        "\"",
        "'",
        "#",
        "{",
        "}",
        " {\n",
        "\n}\n",
        ":",
        "/",
        "[",
        "]",
        "[::1]:1",
        "::",
        "%",
        "=",
        ",",
        ".",
        "-",
        "0",
        "1",
        "15",
        "65536",
        "99999999999999999999",
        "on",
        "off",
        "a",
        "b.example",
        "192.0.2.1",
        "192.0.2.0/24",
        "RRA:AVERAGE:0.5:1:244",
        "/var",
        "unix:/x",
        "--SERVER=",
        "--server=a",
        "k=v",
        "udp",
        "x.conf",
        "*.conf",
        "rrd",
        "alert",
        "\u{fc}",
        "\u{2028}",
    ];

    fn anything(random: &mut Random) -> Vec<u8> {
        let names: Vec<&str> = directive_names().collect();
        let mut text = Vec::new();
        for _ in 0..random.below(60) {
            match random.below(8) {
                0 => text.push(random.below(256) as u8),
                1 | 2 => {
                    text.push(b'\n');
                    text.extend_from_slice(names[random.below(names.len())].as_bytes());
                    text.push(b' ');
                }
                _ => text.extend_from_slice(PIECES[random.below(PIECES.len())].as_bytes()),
            }
        }
        text
    }

    /// What `Config` promises, whatever the file.
    fn check(config: &Config) {
        let mut names: Vec<&str> = config.sources.iter().map(|source| &*source.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), config.sources.len(), "names are unique");
        for source in &config.sources {
            assert!(!source.name.trim().is_empty() && !source.hosts.is_empty());
            assert!(source.interval >= Duration::from_secs(1));
            assert!(
                source
                    .hosts
                    .iter()
                    .all(|place| !place.host.is_empty() && place.port != 0)
            );
        }
        assert!(!config.rrd.rras.is_empty() && config.rrd.rootdir.is_absolute());
        assert!(config.umask & 0o700 == 0);
        assert!(config.xml_port == 0 || config.xml_port != config.interactive_port);
        assert!(
            config
                .sections
                .iter()
                .all(|section| section.id == section.id.to_lowercase())
        );
    }

    #[test]
    fn no_bytes_make_it_panic_or_break_its_promise() {
        let file = Path::new("g.conf");
        let mut sound = 0;
        for seed in 1..=20_000_u64 {
            let mut random = Random::new(seed);
            let text = anything(&mut random);
            let files = Memory([("x.conf".into(), anything(&mut random))].into());
            let result = std::panic::catch_unwind(|| {
                let result = parse(&text, file, &files, &Overrides::default(), "h");
                match result {
                    Ok(loaded) => {
                        check(&loaded.config);
                        assert!(Effective(&loaded.config).to_string().starts_with("polls "));
                        is_read_again_as_the_same(loaded);
                        true
                    }
                    Err(errors) => {
                        assert!(!errors.errors.is_empty() && !errors.to_string().is_empty());
                        false
                    }
                }
            });
            let Ok(is_sound) = result else {
                panic!("seed {seed}: {:?}", String::from_utf8_lossy(&text));
            };
            sound += usize::from(is_sound);
        }
        // Both ways out are taken, or the generator is none.
        assert!(
            (1_000..19_000).contains(&sound),
            "{sound} of 20000 are sound"
        );
    }

    #[test]
    fn a_file_is_loaded_from_the_disk_with_what_it_includes() {
        let folder = tempfile::tempdir().expect("a folder");
        let main = folder.path().join("gmetad.conf");
        std::fs::create_dir(folder.path().join("conf.d")).expect("made");
        std::fs::write(&main, "gridname a\nInclude conf.d/*.conf\n").expect("written");
        std::fs::write(folder.path().join("conf.d/b.conf"), "gridname b\n").expect("written");
        std::fs::write(folder.path().join("conf.d/c.txt"), "gridname c\n").expect("written");
        let loaded = load(&main, &Overrides::default(), "h").expect("sound");
        assert_eq!(loaded.config.gridname, "b");
        let expected = format!(
            "{}:1: gridname is there already, at {}:1; this one counts",
            folder.path().join("conf.d/b.conf").display(),
            main.display()
        );
        assert_eq!(
            loaded.notices[0],
            Notice {
                level: log::Level::Warn,
                text: expected
            }
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_told() {
        let error = load(
            Path::new("/nonexistent/gmetad.conf"),
            &Overrides::default(),
            "h",
        )
        .expect_err("refused")
        .to_string();
        // An example is named where there is one.
        let told = "cannot read /nonexistent/gmetad.conf: No such file or directory (os error 2)";
        assert!(error.starts_with(told), "{error}");
    }

    #[test]
    fn a_section_is_found_by_its_id_in_any_case() {
        let config = testing::config("Alert {\n x 1\n}");
        assert_eq!(
            config
                .section("ALERT")
                .map(|section| section.directives.len()),
            Some(1)
        );
        assert_eq!(config.section("other"), None);
    }
}
