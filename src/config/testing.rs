//! What the configuration's own tests share: files in memory, and short ways to ask.
//!
//! Tests only.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{Config, Files, Loaded, Overrides, Printed, Unmatched, parse};
use gmetad_core::plugin::Location;

/// Files in memory; a pattern names all whose folder and ending are its own.
#[derive(Default)]
pub(super) struct Memory(pub(super) BTreeMap<PathBuf, Vec<u8>>);

impl Memory {
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        Memory(
            files
                .iter()
                .map(|(name, text)| (name.into(), text.as_bytes().to_vec()))
                .collect(),
        )
    }
}

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| io::Error::other("no such file"))
    }

    fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, Unmatched> {
        let (before, after) = pattern
            .split_once('*')
            .ok_or_else(|| Unmatched::Pattern("only * is known here".into()))?;
        let fits = |path: &&PathBuf| {
            let path = path.to_string_lossy();
            path.starts_with(before) && path.ends_with(after)
        };
        Ok(self.0.keys().filter(fits).cloned().collect())
    }
}

fn read(text: &str, files: &Memory) -> Result<Loaded, String> {
    let file = Path::new("g.conf");
    parse(
        text.as_bytes(),
        file,
        files,
        &Overrides::default(),
        "h.example",
    )
    .map_err(|errors| errors.to_string())
}

/// What an empty file gives.
pub(super) fn defaults() -> Config {
    Config {
        path: Some("g.conf".into()),
        ..Config::new("h.example")
    }
}

/// A sound configuration.
pub(super) fn config(text: &str) -> Config {
    read(text, &Memory::default()).expect("sound").config
}

/// A sound configuration's notices, `LEVEL TEXT`.
pub(super) fn notices(text: &str) -> Vec<String> {
    let loaded = read(text, &Memory::default()).expect("sound");
    loaded
        .notices
        .iter()
        .map(|notice| format!("{} {}", notice.level, notice.text))
        .collect()
}

/// All that is wrong with a configuration, a line each.
pub(super) fn refusal(text: &str) -> Vec<String> {
    refusal_with(text, &Memory::default())
}

/// As [`refusal`], with files to include.
pub(super) fn refusal_with(text: &str, files: &Memory) -> Vec<String> {
    read(text, files)
        .expect_err("refused")
        .lines()
        .map(String::from)
        .collect()
}

/// As [`config`], with files to include.
pub(super) fn config_with(text: &str, files: &Memory) -> Config {
    read(text, files).expect("sound").config
}

/// The configuration, whatever lines it comes from.
fn placeless(loaded: Loaded) -> Config {
    let mut config = loaded.config;
    let nowhere = || Location {
        file: "".into(),
        line: 0,
    };
    for section in &mut config.sections {
        let directives = section.directives.iter_mut();
        directives.for_each(|directive| directive.line = nowhere());
    }
    if let Some(alert) = &mut config.alert {
        alert.left_out.iter_mut().for_each(|error| error.at = None);
    }
    config
}

/// That what `--print-config` prints of a configuration is that configuration.
pub(super) fn is_read_again_as_the_same(loaded: Loaded) {
    let text = Printed(&loaded).to_string();
    let again = read(&text, &Memory::default());
    let again = again.unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    assert_eq!(placeless(again), placeless(loaded), "{text}");
}

/// For each directive a value that is not its default, as it is printed, and what must stand beside
/// it to be in force. A new directive needs a line here.
pub(super) const SAMPLES: &[(&str, &str, &str)] = &[
    ("data_source", "\"a b\" 10 h:1 [::1]:2", ""),
    ("source_clusters", "\"s\" \"a b\" \"c\"", "data_source s h"),
    ("max_document_mb", "64", ""),
    ("max_source_mb", "128", ""),
    ("max_source_clusters", "100", ""),
    ("max_source_hosts", "5000", ""),
    ("max_metric_names", "2000", ""),
    ("max_tag_bytes", "8192", ""),
    ("max_extra_elements", "32", ""),
    ("max_nesting", "16", ""),
    ("max_queue_mb", "256", ""),
    ("gridname", "\"My Grid\"", ""),
    ("authority", "http://g/x", ""),
    ("scalable", "off", ""),
    ("trusted_hosts", "192.0.2.0/24 web.example", ""),
    ("all_trusted", "on", ""),
    ("bind_address", "::1", ""),
    ("xml_port", "1", ""),
    ("interactive_port", "2", ""),
    ("web_port", "3", ""),
    ("web_trusted_hosts", "198.51.100.0/24 people.example", ""),
    ("http_host_names", "web.example \"*\"", ""),
    ("http_allow_origin", "http://g:3000 \"*\"", ""),
    ("max_clients", "300", ""),
    ("max_clients_per_address", "20", ""),
    ("client_request_timeout", "5", ""),
    ("client_idle_timeout", "15", ""),
    ("client_timeout", "90", ""),
    ("max_request_bytes", "4096", ""),
    ("max_unread_kb", "64", ""),
    ("setuid", "off", ""),
    ("setuid_username", "ganglia", ""),
    ("umask", "077", ""),
    ("debug_level", "4", ""),
    ("daemonize", "off", ""),
    ("logfile", "\"/l og\"", ""),
    ("plugins_dir", "/p", ""),
    ("python_host", "/h", ""),
    ("plugins", "a rrd", ""),
    ("rrd_rootdir", "/r", ""),
    ("RRAs", "RRA:MAX:0:2:3 RRA:MIN:0:2:3", ""),
    ("write_rrds", "off", ""),
    ("case_sensitive_hostnames", "off", ""),
    ("unsummarized_metrics", "disk_ \"/^a b$/\"", ""),
    ("summarized_metrics", "x \"/^y/\"", ""),
    ("summary_rule", "exclude \"/^z/\"", ""),
    ("summary_default", "exclude", ""),
    ("unsummarized_sflow_vm_metrics", "on", ""),
    ("rrdcached_address", "unix:/s", ""),
    ("carbon_server", "c", ""),
    ("carbon_port", "1", "carbon_server c"),
    ("carbon_protocol", "udp", ""),
    ("carbon_timeout", "250", ""),
    ("graphite_prefix", "p", ""),
    ("graphite_path", "%s.%h.%m", ""),
    (
        "memcached_parameters",
        "\"--SERVER=m:1 --SERVER=[::1]:2\"",
        "",
    ),
    ("memcached_include_cluster_in_key", "on", ""),
    ("riemann_server", "r", ""),
    ("riemann_port", "1", "riemann_server r"),
    ("riemann_protocol", "tcp", ""),
    ("riemann_attributes", "\"a=b c,d=\"", ""),
    ("write_timeout", "300", "rrd"),
    ("write_jitter", "100", "rrd"),
    ("flush_interval", "600", "rrd"),
    ("cache_limit_mb", "64", "rrd"),
    ("journal_dir", "/j", "rrd"),
    ("listen", "/s", "rrd"),
    ("new_rrds_per_hour", "500", "rrd"),
    ("min_free_mb", "1024", "rrd"),
    ("expire_rrds", "400", "rrd"),
];

/// The sample of a directive.
pub(super) fn sample(name: &str) -> (&'static str, &'static str, &'static str) {
    let found = SAMPLES.iter().find(|(sample, ..)| *sample == name);
    *found.unwrap_or_else(|| panic!("{name}: add a line to testing::SAMPLES"))
}

/// A small generator (xorshift64*), so that a failure names its seed.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}
