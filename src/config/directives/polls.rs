//! `data_source`: what is polled, how often, and from where.

use std::time::Duration;

use crate::config::{DEFAULT_INTERVAL, DEFAULT_POLL_PORT, SourceClusters};
use crate::draft::{Args, Draft, Known, known};
use crate::error::Problem;
use crate::lists;
use crate::values::{self, Fault, not_empty};
use crate::words::Word;
use crate::written::quoted;
use gmetad_core::plugin::Location;
use gmetad_core::source::{HostPort, SourceConfig};

pub(crate) const DATA_SOURCE: &str = "data_source";
const SOURCE_CLUSTERS: &str = "source_clusters";

pub(crate) const DIRECTIVES: &[Known] = &[
    known(
        DATA_SOURCE,
        "a name, optionally seconds (15 by default), and hosts",
        data_source,
        |it| it.sources.iter().map(line).collect(),
    )
    .adding_each()
    .at_reload(|it, new| it.sources.clone_from(&new.sources)),
    known(
        SOURCE_CLUSTERS,
        "the name of a data_source, and the clusters and grids that it alone may bring",
        source_clusters,
        |it| it.source_clusters.iter().map(line_of_clusters).collect(),
    )
    .adding_each()
    .at_reload(|it, new| it.source_clusters.clone_from(&new.source_clusters)),
];

fn line(source: &SourceConfig) -> String {
    let seconds = source.interval.as_secs();
    let hosts: Vec<String> = source.hosts.iter().map(ToString::to_string).collect();
    format!("{} {seconds} {}", quoted(&source.name), hosts.join(" "))
}

fn line_of_clusters(it: &SourceClusters) -> String {
    let names = [&it.source].into_iter().chain(&it.clusters);
    let names: Vec<String> = names.map(|name| quoted(name)).collect();
    names.join(" ")
}

/// `source_clusters "source" "name" …`
fn source_clusters(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let names = args.at_least_one()?.iter();
    let names = names.map(|word| args.check(&word.text, not_empty));
    let mut names = names.collect::<Result<Vec<String>, Problem>>()?;
    let source = names.remove(0);
    if names.is_empty() {
        return Err(Problem::NoClusters { name: source });
    }
    let at = args.at.clone();
    draft.pending.source_clusters.push((source.clone(), at));
    draft.origins.add(SOURCE_CLUSTERS, args.at);
    draft.config.source_clusters.push(SourceClusters {
        source,
        clusters: names,
    });
    Ok(())
}

/// `data_source "name" [seconds] host[:port] …`
fn data_source(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let words = args.at_least_one()?;
    let name = args.check(&words[0].text, not_empty)?;
    if let Some(name) = name_in_pieces(words) {
        return Err(Problem::NameInPieces { name });
    }
    // Commas are no part of a host, and C gmetad ignores one behind a port.
    let parts = match &words[1..] {
        [] => Vec::new(),
        words => lists::parts(draft, &Args { words, ..*args }),
    };
    let (interval, hosts) = interval_and_hosts(&name, &parts)?;
    if hosts.is_empty() {
        let sources = &mut draft.pending.sources;
        sources.entry(name.clone()).or_insert(args.at.clone());
        return Err(Problem::NoHost { name });
    }
    let (usable, has_errors) = draft.hosts(args.at, &name, hosts);
    let source = SourceConfig {
        name,
        interval,
        hosts: usable,
    };
    draft.source(source, args.at, has_errors)
}

/// The interval, where the first word is a number, and the words behind it.
fn interval_and_hosts<'a>(
    name: &str,
    parts: &'a [&'a str],
) -> Result<(Duration, &'a [&'a str]), Problem> {
    let Some((first, others)) = parts.split_first() else {
        return Ok((DEFAULT_INTERVAL, parts));
    };
    match values::interval(first) {
        None => Ok((DEFAULT_INTERVAL, parts)),
        Some(Ok(interval)) => Ok((interval, others)),
        Some(Err(fault)) => Err(Problem::Host {
            name: name.into(),
            host: (*first).into(),
            fault,
        }),
    }
}

impl Draft {
    /// The hosts of a source that can be polled, and whether an error was found among them. A word
    /// that is not a host is skipped where others are, as C gmetad does with what it cannot look
    /// up.
    fn hosts(&mut self, at: &Location, name: &str, hosts: &[&str]) -> (Vec<HostPort>, bool) {
        let (mut usable, mut faults) = (Vec::with_capacity(hosts.len()), Vec::new());
        for host in hosts {
            match values::host_port(host, DEFAULT_POLL_PORT) {
                Ok(place) => usable.push(place),
                // Every bad host is reported, not the first alone.
                Err(fault) => faults.push((*host, fault)),
            }
        }
        let mut has_errors = false;
        for (host, fault) in faults {
            let problem = Problem::Host {
                name: name.into(),
                host: host.into(),
                fault,
            };
            if fault == Fault::Port || usable.is_empty() {
                has_errors = true;
                self.error(at, problem);
            } else {
                self.warn(at, format!("{problem}; only the other hosts are polled"));
            }
        }
        (usable, has_errors)
    }

    /// Checks that the sources exist to which clusters are given.
    pub(crate) fn check_source_clusters(&mut self) {
        for (source, at) in std::mem::take(&mut self.pending.source_clusters) {
            if !self.pending.sources.contains_key(&source) {
                self.error(&at, Problem::NoSource { name: source });
            }
        }
    }

    /// Takes a source in; the same one a second time does no harm.
    fn source(
        &mut self,
        source: SourceConfig,
        at: &Location,
        is_partial: bool,
    ) -> Result<(), Problem> {
        let Some(first) = self.pending.sources.get(&source.name).cloned() else {
            let sources = &mut self.pending.sources;
            sources.insert(source.name.clone(), at.clone());
            self.config.sources.push(source);
            self.origins.add(DATA_SOURCE, at);
            return Ok(());
        };
        let name = source.name.clone();
        if is_partial || !self.config.sources.contains(&source) {
            return Err(Problem::SourceTwice { name, first });
        }
        let text =
            format!("data_source \"{name}\" is given twice (first at {first}); it is polled once");
        self.warn(at, text);
        Ok(())
    }
}

/// The words before an interval where they are several and not in quotes: no host is a number.
fn name_in_pieces(words: &[Word]) -> Option<String> {
    let pieces = words
        .iter()
        .skip(1)
        .position(|word| values::interval(&word.text).is_some())?;
    let name = &words[..=pieces];
    let parted = name.len() > 1 && name.iter().all(|word| !word.quoted);
    parted.then(|| {
        let texts: Vec<&str> = name.iter().map(|word| word.text.as_str()).collect();
        texts.join(" ")
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::SourceClusters;
    use crate::testing::{config, notices, refusal};
    use gmetad_core::source::{HostPort, SourceConfig};

    fn place(host: &str, port: u16) -> HostPort {
        HostPort {
            host: host.into(),
            port,
        }
    }

    #[test]
    fn a_source_has_a_name_an_interval_and_hosts() {
        let config = config(
            "data_source \"my cluster\" 10 localhost my.machine.example:8655 [::1]:8650\n\
             DATA_SOURCE other 192.0.2.1\n\
             data_source 'third' 192.0.2.1 localhost",
        );
        let source = |name: &str, seconds, hosts: &[HostPort]| SourceConfig {
            name: name.into(),
            interval: Duration::from_secs(seconds),
            hosts: hosts.to_vec(),
        };
        assert_eq!(
            config.sources,
            [
                source(
                    "my cluster",
                    10,
                    &[
                        place("localhost", 8649),
                        place("my.machine.example", 8655),
                        place("::1", 8650)
                    ]
                ),
                source("other", 15, &[place("192.0.2.1", 8649)]),
                source(
                    "third",
                    15,
                    &[place("192.0.2.1", 8649), place("localhost", 8649)]
                ),
            ]
        );
    }

    #[test]
    fn clusters_are_given_to_sources_that_are_there() {
        let given = |source: &str, clusters: &[&str]| SourceClusters {
            source: source.into(),
            clusters: clusters.iter().map(ToString::to_string).collect(),
        };
        let text = "source_clusters s \"a b\" c\ndata_source s h\nsource_clusters s d";
        let all = [given("s", &["a b", "c"]), given("s", &["d"])];
        assert_eq!(config(text).source_clusters, all);
        assert_eq!(
            refusal("data_source s h\nsource_clusters t a\nsource_clusters s"),
            [
                "g.conf:2: source_clusters: there is no data_source \"t\"; correct the name, or \
                 remove the line",
                "g.conf:3: source_clusters \"s\" names no cluster; write at least one, as in \
                 source_clusters \"s\" \"my cluster\"",
            ]
        );
    }

    #[test]
    fn a_source_may_have_any_number_of_hosts() {
        let hosts: Vec<String> = (0..2000).map(|number| format!("node{number}")).collect();
        let config = config(&format!("data_source big {}", hosts.join(" ")));
        assert_eq!(config.sources[0].hosts.len(), 2000);
    }

    #[test]
    fn a_source_without_a_host_is_refused() {
        let hint = |name| {
            format!(
                "g.conf:1: data_source \"{name}\" has no host; write at least one, as in \
                 data_source \"{name}\" localhost"
            )
        };
        assert_eq!(refusal("data_source \"my cluster\""), [hint("my cluster")]);
        assert_eq!(refusal("data_source a 15"), [hint("a")]);
        assert_eq!(
            refusal("data_source"),
            [
                "g.conf:1: data_source has no value; it takes a name, optionally seconds (15 by \
              default), and hosts"
            ]
        );
        assert_eq!(
            refusal("data_source \"\" localhost"),
            ["g.conf:1: data_source: \"\" is empty; give a value, or remove the line"]
        );
    }

    #[test]
    fn a_sources_name_used_twice_is_refused() {
        assert_eq!(
            refusal("data_source a localhost\n\ndata_source a other\n"),
            [
                "g.conf:3: data_source \"a\" is already defined at g.conf:1; give each source its \
              own name"
            ]
        );
        assert_eq!(config("data_source a h\ndata_source A h").sources.len(), 2);
    }

    #[test]
    fn every_bad_host_of_a_source_is_told() {
        assert_eq!(
            refusal(
                "data_source a 0 localhost\ndata_source b x:99999 ok y:\ndata_source c 10.0.0.300 \
                 a;b"
            ),
            [
                "g.conf:1: data_source \"a\": \"0\" is not an interval; give seconds from 1 to \
                 31536000",
                "g.conf:2: data_source \"b\": \"x:99999\" is not a port; give a number from 1 to \
                 65535",
                "g.conf:2: data_source \"b\": \"y:\" is not a port; give a number from 1 to 65535",
                "g.conf:3: data_source \"c\": \"10.0.0.300\" is not an IPv4 address; give four \
                 numbers from 0 to 255, as in 192.0.2.1",
                "g.conf:3: data_source \"c\": \"a;b\" is not a host; give an address or a name of \
                 letters, digits, \"-\", \"_\" and \".\", with spaces between hosts",
            ]
        );
    }

    #[test]
    fn what_is_no_host_is_passed_over_where_others_are() {
        let text = "data_source a <ip> ok [1]:2";
        assert_eq!(config(text).sources[0].hosts, [place("ok", 8649)]);
        assert_eq!(
            notices(text),
            [
                "WARN g.conf:1: data_source \"a\": \"<ip>\" is not a host; give an address or a \
                 name of letters, digits, \"-\", \"_\" and \".\", with spaces between hosts; only the other hosts are polled",
                "WARN g.conf:1: data_source \"a\": \"[1]:2\" is not an IPv6 address; write it as \
                 in 2001:db8::1, and with a port as in [2001:db8::1]:8649; only the other hosts are polled",
            ]
        );
    }

    #[test]
    fn commas_part_hosts_and_are_told() {
        let commas = "data_source \"x\" 10, h1:8649,h2 ,h3,";
        assert_eq!(
            config(commas).sources,
            config("data_source \"x\" 10 h1:8649 h2 h3").sources
        );
        let said = "WARN g.conf:1: data_source: commas are read as spaces; separate values with \
                    spaces";
        assert_eq!(notices(commas), [said]);
    }

    #[test]
    fn the_same_source_twice_is_polled_once() {
        let text = "data_source x localhost\ndata_source \"x\" 15 localhost:8649";
        assert_eq!(config(text).sources.len(), 1);
        assert_eq!(
            notices(text),
            [
                "WARN g.conf:2: data_source \"x\" is given twice (first at g.conf:1); it is polled \
              once"
            ]
        );
    }

    #[test]
    fn a_name_in_several_words_without_quotes_is_told_as_that() {
        let said = "g.conf:1: data_source: put a name of several words in quotes, as in \
                    data_source \"my cluster\"";
        for text in [
            "data_source my cluster 10 node1",
            "data_source my cluster 10",
        ] {
            assert_eq!(refusal(text), [said], "{text}");
        }
        for text in [
            "data_source \"my cluster\" 10 node1",
            "data_source my 10 node1 node2",
            "data_source 1 2 node1",
        ] {
            assert!(!config(text).sources.is_empty(), "{text}");
        }
    }
}
