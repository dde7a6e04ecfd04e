//! Sends the values of hosts that are up to Graphite's carbon, in its plaintext protocol.
//!
//! No sockets: `link` has them. carbon answers nothing, so what it had received and not stored when
//! it died is lost unnoticed.

use std::fmt::Write as _;
use std::time::Duration;

use crate::export::{Export, Switch};
use crate::link::{Dialect, Endpoint, Link, Server, Timeouts};
use crate::select;
use gmetad_config::Config;
use gmetad_core::model::{parse_number, push_carbon_name};
use gmetad_core::plugin::{PluginError, Update};

/// The export.
pub struct Carbon {
    endpoint: Endpoint,
    connect: Duration,
    path: Path,
}

/// Lines as they are; no answers.
struct Plaintext;

impl Dialect for Plaintext {}

impl Export for Carbon {
    const ID: &'static str = "carbon";
    const SWITCH: Switch = Switch::Directive("carbon_server");

    fn configured(config: &Config) -> Result<Option<Carbon>, PluginError> {
        let config = &config.exports;
        let Some(place) = config.carbon.clone() else {
            return Ok(None);
        };
        Ok(Some(Carbon {
            endpoint: if config.carbon_udp {
                Endpoint::Udp(place)
            } else {
                Endpoint::Tcp(place)
            },
            connect: config.carbon_timeout,
            path: Path::new(
                config.graphite_prefix.as_deref(),
                config.graphite_path.as_deref(),
            ),
        }))
    }

    fn servers(&self) -> Vec<Server> {
        let server = Server::new("carbon_server", self.endpoint.clone(), Plaintext);
        let timeouts = Timeouts {
            connect: self.connect,
            ..server.timeouts
        };
        vec![Server { timeouts, ..server }]
    }

    fn put(&mut self, update: &Update, links: &mut [Link]) {
        for link in links {
            lines(&self.path, update, |line| link.put(line.as_bytes()));
        }
    }
}

/// The lines of an update: `path value time`.
///
/// The value is the text as it came, the time the cluster's. Values that are no numbers are left
/// out: C gmetad sends them, and carbon rejects each with a line in its log.
fn lines(path: &Path, update: &Update, mut each: impl FnMut(&str)) {
    let Some(cluster) = select::cluster(update) else {
        return;
    };
    let time = update.stamp.time.epoch();
    let mut line = String::new();
    for host in select::hosts(cluster) {
        let around = path.with(&cluster.name, &host.info.name);
        for (def, metric) in select::metrics(host) {
            let value = metric.val.as_str().trim();
            if !def.ty().is_numeric() || parse_number(value.as_bytes()).is_none() {
                continue;
            }
            line.clear();
            around.write(&mut line, def.name());
            // Writing to a string does not fail.
            let _ = writeln!(line, " {value} {time}");
            each(&line);
        }
    }
}

/// `graphite_prefix` and `graphite_path`, split into their parts once.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Path(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Stands as it is.
    Text(String),
    /// `%s`: the cluster's name.
    Source,
    /// `%h`.
    Host,
    /// `%m`.
    Metric,
}

/// The path of one host: the texts around the metric's name.
struct HostPath(Vec<String>);

impl Path {
    fn new(prefix: Option<&str>, path: Option<&str>) -> Path {
        let prefix = prefix.map_or(String::new(), |prefix| format!("{prefix}."));
        let text = format!("{prefix}{}", path.unwrap_or("%s.%h.%m"));
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, macro_name, after)) = next_macro(rest) {
            parts.push(Part::Text(before.into()));
            parts.push(macro_name);
            rest = after;
        }
        parts.push(Part::Text(rest.into()));
        Path(parts)
    }

    fn with(&self, source: &str, host: &str) -> HostPath {
        let mut pieces = vec![String::new()];
        for part in &self.0 {
            let last = pieces.len() - 1;
            match part {
                Part::Text(text) => pieces[last].push_str(text),
                Part::Source => push_carbon_name(&mut pieces[last], source, false),
                Part::Host => push_carbon_name(&mut pieces[last], host, true),
                Part::Metric => pieces.push(String::new()),
            }
        }
        HostPath(pieces)
    }
}

impl HostPath {
    fn write(&self, line: &mut String, metric: &str) {
        for (at, piece) in self.0.iter().enumerate() {
            if at > 0 {
                push_carbon_name(line, metric, false);
            }
            line.push_str(piece);
        }
    }
}

fn next_macro(text: &str) -> Option<(&str, Part, &str)> {
    text.match_indices('%').find_map(|(at, _)| {
        let part = match text.as_bytes().get(at + 1)? {
            b's' => Part::Source,
            b'h' => Part::Host,
            b'm' => Part::Metric,
            _ => return None,
        };
        Some((&text[..at], part, &text[at + 2..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{EDGE_CASES, PLAIN, edge_cases, update_of};
    use gmetad_core::plugin::Stamp;

    fn all(path: &Path, update: &Update) -> Vec<String> {
        let mut all = Vec::new();
        lines(path, update, |line| all.push(line.to_string()));
        all
    }

    #[test]
    fn numbers_of_hosts_that_are_up_are_sent_as_they_came() {
        assert_eq!(
            all(&Path::new(Some("pre.fix"), None), &edge_cases()),
            [
                "pre.fix.Edge._A_b.Node_Ex_ample.a_b.c 1.50 1795367147\n",
                "pre.fix.Edge._A_b.Node_Ex_ample.sp 7 1795367147\n",
                "pre.fix.Edge._A_b.Node_Ex_ample.live 5 1795367147\n",
                "pre.fix.Edge._A_b.Node_Ex_ample.sl/ash 1e5 1795367147\n",
                "pre.fix.Edge._A_b.Node_Ex_ample.neg -3 1795367147\n",
                "pre.fix.Edge._A_b.Node_Ex_ample.zero 0 1795367147\n",
                "pre.fix.Edge._A_b.Node_Ex_ample.josé 1 1795367147\n",
            ]
        );
    }

    #[test]
    fn a_plain_cluster_is_sent_as_c_gmetad_sends_it() {
        let ours = all(&Path::new(Some("ganglia"), None), &update_of(PLAIN)).concat();
        assert_eq!(ours, include_str!("../../tests/data/c-exports/carbon.txt"));
    }

    #[test]
    fn the_path_takes_its_macros_any_number_of_times_in_any_order() {
        let path = Path::new(Some("pp"), Some("g.%s.%h.x.%m.%h%m.%d%"));
        let line = &all(&path, &edge_cases())[0];
        assert_eq!(
            line,
            "pp.g.Edge._A_b.Node_Ex_ample.x.a_b.c.Node_Ex_amplea_b.c.%d% 1.50 1795367147\n"
        );
        let plain = Path::new(None, None).with("s", "h");
        let mut line = String::new();
        plain.write(&mut line, "m");
        assert_eq!(line, "s.h.m");
    }

    #[test]
    fn no_name_ends_a_line_or_a_path() {
        let around = Path::new(None, None).with("a\nb\u{a0}", "c\td.e\r");
        let mut line = String::new();
        around.write(&mut line, "f g\u{85}\0");
        assert_eq!(line, "a_b_.c_d_e_.f_g__");
    }

    #[test]
    fn a_source_that_is_down_sends_nothing() {
        let mut update = edge_cases();
        update.up = false;
        assert_eq!(all(&Path::new(None, None), &update), [""; 0]);
    }

    #[test]
    fn a_cluster_without_a_clock_takes_ours() {
        let xml = EDGE_CASES.replace("LOCALTIME=\"1795367147\"", "");
        let mut update = update_of(xml.as_bytes());
        update.now.epoch = 77;
        update.stamp = Stamp::of(&update.node, update.now);
        assert!(all(&Path::new(None, None), &update)[0].ends_with(" 1.50 77\n"));
    }
}
