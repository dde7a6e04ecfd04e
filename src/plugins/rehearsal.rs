//! `gmetad --test-plugin`: runs one plugin over one document and prints all it does, for its author.
//!
//! Serves and stores nothing, and runs no other plugin.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write as _};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flate2::bufread::GzDecoder;
use thiserror::Error;

use super::counted;
use crate::cli::Rehearsal;
use crate::logging::Severity;
use crate::plugins::parts::loader::{LoadError, load_one, watch};
use gmetad_config::{Config, DEFAULT_INTERVAL};
use gmetad_core::ingest::ParseError;
use gmetad_core::ingest::inflate::GZIP_MAGIC;
use gmetad_core::model::{DefTable, GridIdentity, Mono, Node, Now, Readable};
use gmetad_core::plugin::tree::{NodeId, Tree};
use gmetad_core::plugin::{Invented, Plugin, PluginError, RootUpdate, Stamp, Update};
use gmetad_core::source::{HostPort, SourceConfig};
use gmetad_core::store::Store;

/// Timeout for connecting, and for each read.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a rehearsal failed.
#[derive(Debug, Error)]
pub enum RehearsalError {
    /// The plugin cannot be loaded.
    #[error("{file} is not loaded: {reason}")]
    Load {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        reason: LoadError,
    },
    /// The saved document cannot be read.
    #[error("{file} cannot be read: {reason}")]
    Input {
        /// Its file.
        file: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// There is nowhere to get a document from.
    #[error("there is no data_source to poll; give a saved document with --input")]
    NoSource,
    /// No source has sent a document.
    #[error("no data_source can be polled: {0}")]
    Poll(String),
    /// What was read or received is not a document.
    #[error("the document cannot be read: {0}")]
    Parse(#[from] ParseError),
    /// A call into the plugin has failed.
    #[error("{call} failed: {reason}")]
    Call {
        /// Which.
        call: &'static str,
        /// Why.
        reason: PluginError,
    },
}

/// Runs a plugin over one document, and prints what it does on standard output.
pub fn rehearse(rehearsal: &Rehearsal, config: &Config) -> Result<(), RehearsalError> {
    listen();
    watch();
    let file = &rehearsal.plugin;
    let loaded = load_one(file, config);
    let mut plugin = loaded.map_err(|reason| RehearsalError::Load {
        file: file.clone(),
        reason,
    })?;
    let id = plugin.id().to_owned();
    let section = config.section(&id);
    let directives = section.map_or(&[][..], |section| &section.directives);
    tell(format_args!(
        "plugin {id} from {}, {} in its section",
        file.display(),
        counted(directives.len(), "line")
    ));
    let document = match &rehearsal.input {
        Some(file) => saved(file, config)?,
        None => polled(&config.sources)?,
    };
    call("create", || plugin.configure(directives))?;
    call("start", || plugin.start())?;
    let shown = show(plugin.as_mut(), config, &document);
    let stopped = call("stop", || {
        plugin.stop();
        Ok(())
    });
    shown.and(stopped)
}

fn saved(file: &Path, config: &Config) -> Result<Document, RehearsalError> {
    let bytes = fs::read(file).and_then(unpacked);
    let bytes = bytes.map_err(|reason| RehearsalError::Input {
        file: file.to_owned(),
        reason,
    })?;
    let first = config.sources.first();
    Ok(Document {
        from: file.display().to_string(),
        source: first.map_or_else(|| "saved".into(), |source| source.name.as_str().into()),
        interval: first.map_or(DEFAULT_INTERVAL, |source| source.interval),
        bytes,
    })
}

/// The document that the plugin is shown.
struct Document {
    from: String,
    source: Arc<str>,
    interval: Duration,
    bytes: Vec<u8>,
}

fn polled(sources: &[SourceConfig]) -> Result<Document, RehearsalError> {
    let mut failures = String::new();
    for source in sources {
        for host in &source.hosts {
            match poll(host).and_then(unpacked) {
                Ok(bytes) => {
                    return Ok(Document {
                        from: host.to_string(),
                        source: source.name.as_str().into(),
                        interval: source.interval,
                        bytes,
                    });
                }
                Err(error) => {
                    let comma = if failures.is_empty() { "" } else { ", " };
                    // Writing to a string does not fail.
                    let _ = write!(failures, "{comma}{host}: {error}");
                }
            }
        }
    }
    if failures.is_empty() {
        return Err(RehearsalError::NoSource);
    }
    Err(RehearsalError::Poll(failures))
}

fn poll(host: &HostPort) -> io::Result<Vec<u8>> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (host.host.as_str(), host.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes)?;
                return Ok(bytes);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn unpacked(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if bytes.first() != Some(&GZIP_MAGIC) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Shows the plugin every node of the document, then the root.
fn show(
    plugin: &mut dyn Plugin,
    config: &Config,
    document: &Document,
) -> Result<(), RehearsalError> {
    let identity = GridIdentity {
        name: config.gridname.clone(),
        authority: config.authority.clone(),
        scalable: config.scalable,
    };
    let mut store = Store::new(identity, Arc::new(config.parse_settings()));
    let source = store.add_source();
    let mut parser = store.begin(source);
    let now = now();
    parser.feed(&document.bytes, now.mono, store.table())?;
    let parsed = parser.finish(now.mono)?;
    let nodes = store.commit(source, parsed, now);
    tell(format_args!(
        "{} from {}: {}",
        counted(document.bytes.len(), "byte"),
        document.from,
        counted(nodes.len(), "node")
    ));
    let present = nodes
        .iter()
        .map(|node| (Arc::clone(&document.source), node.name().into()));
    let present = present.collect();
    for node in nodes {
        let update = Update {
            source: Arc::clone(&document.source),
            interval: document.interval,
            up: true,
            stamp: Stamp::of(&node, now),
            node,
            now,
            invented: Invented::default(),
        };
        show_node(plugin, update)?;
    }
    let root = RootUpdate {
        gridname: config.gridname.as_str().into(),
        authority: config.authority.as_str().into(),
        summary: store.summarize(),
        now,
        present,
        invented: Invented::default(),
    };
    show_root(plugin, root)
}

fn show_node(plugin: &mut dyn Plugin, mut update: Update) -> Result<(), RehearsalError> {
    tell(format_args!("{}", titled(&update.node)));
    let before = listing(&mut Tree::of_update(&mut update, &mut DefTable::default()));
    plugin.arrived(&update);
    call("notify", || plugin.notify(&mut update))?;
    let after = listing(&mut Tree::of_update(&mut update, &mut DefTable::default()));
    tell_difference(&before, &after);
    Ok(())
}

fn show_root(plugin: &mut dyn Plugin, mut root: RootUpdate) -> Result<(), RehearsalError> {
    tell(format_args!("GRID:{} (the root)", root.gridname));
    let before = listing(&mut Tree::of_root(&mut root, &mut DefTable::default()));
    plugin.root_arrived(&root);
    call("notify_root", || plugin.notify_root(&mut root))?;
    let after = listing(&mut Tree::of_root(&mut root, &mut DefTable::default()));
    tell_difference(&before, &after);
    Ok(())
}

fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Now {
        mono: Mono(0),
        epoch: since.map_or(0, |since| since.as_secs() as i64),
    }
}

fn titled(node: &Node) -> String {
    match node {
        Node::Cluster(cluster) => format!(
            "CLUSTER:{}, {}, {}",
            cluster.name,
            counted(cluster.host_count(), "host"),
            counted(cluster.metric_count(), "metric")
        ),
        Node::Grid(grid) => format!("GRID:{}", grid.name),
    }
}

/// Makes a call, and prints how long it took.
fn call(
    name: &'static str,
    work: impl FnOnce() -> Result<(), PluginError>,
) -> Result<(), RehearsalError> {
    let start = Instant::now();
    let result = work();
    let taken = start.elapsed().as_secs_f64() * 1000.0;
    match result {
        Ok(()) => {
            tell(format_args!("  {name}: {taken:.3} ms"));
            Ok(())
        }
        Err(reason) => Err(RehearsalError::Call { call: name, reason }),
    }
}

/// A node's path, and its attributes.
type Entry = (String, Vec<(String, String)>);

/// All of a tree, in order: each node after its parent.
fn listing(tree: &mut Tree<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    list(tree, NodeId::Top, "", &mut entries);
    let mut next = tree.first_sum();
    while let Some(sum) = next {
        list(tree, sum, "", &mut entries);
        next = tree.next(sum).unwrap_or_default();
    }
    entries
}

fn list(tree: &Tree<'_>, node: NodeId, above: &str, entries: &mut Vec<Entry>) {
    let mut attributes = Vec::new();
    while let Ok(Some((name, value))) = tree.attribute_at(node, attributes.len()) {
        attributes.push((name.to_owned(), value.to_string()));
    }
    let Ok(kind) = tree.kind(node) else {
        return;
    };
    let mut path = format!("{above}{}", kind.name());
    if let Some((_, name)) = attributes.iter().find(|(name, _)| name == "name") {
        // Writing to a string does not fail.
        let _ = write!(path, ":{name}");
    }
    if node == NodeId::Top {
        // Without its name: a new name is a change to the tree, not another tree.
        path = kind.name().into();
    }
    let below = if node == NodeId::Top {
        String::new()
    } else {
        format!("{path}/")
    };
    entries.push((path, attributes));
    let mut next = tree.first(node).unwrap_or_default();
    while let Some(child) = next {
        list(tree, child, &below, entries);
        next = tree.next(child).unwrap_or_default();
    }
}

/// Prints the differences between two listings: `+` added, `-` removed, `~` changed.
fn tell_difference(before: &[Entry], after: &[Entry]) {
    let lines = difference(before, after);
    for line in &lines {
        tell(format_args!("  {line}"));
    }
    if lines.is_empty() {
        tell(format_args!("  nothing was changed"));
    }
}

fn difference(before: &[Entry], after: &[Entry]) -> Vec<String> {
    let index = |entries: &[Entry]| -> HashMap<String, usize> {
        let paths = entries.iter().enumerate();
        paths.map(|(at, (path, _))| (path.clone(), at)).collect()
    };
    let (known, kept) = (index(before), index(after));
    let mut lines = Vec::new();
    for (path, attributes) in after {
        let Some(&at) = known.get(path) else {
            let shown: Vec<String> = attributes
                .iter()
                .map(|(name, value)| format!("{name}={value:?}"))
                .collect();
            lines.push(format!("+ {path} {}", shown.join(" ")).trim_end().into());
            continue;
        };
        let old = &before[at].1;
        for (name, value) in attributes {
            match old.iter().find(|(known, _)| known == name) {
                Some((_, old)) if old == value => {}
                Some((_, old)) => lines.push(format!("~ {path} {name}: {old:?} -> {value:?}")),
                None => lines.push(format!("~ {path} {name}: made up, {value:?}")),
            }
        }
    }
    let mut last: Option<&str> = None;
    for (path, _) in before.iter().filter(|(path, _)| !kept.contains_key(path)) {
        // Nodes below a removed node need no line of their own.
        let is_below = last.is_some_and(|last| {
            path.strip_prefix(last)
                .is_some_and(|rest| rest.starts_with('/'))
        });
        if !is_below {
            lines.push(format!("- {path}"));
            last = Some(path);
        }
    }
    lines
}

fn tell(line: std::fmt::Arguments<'_>) {
    // A reader that has closed the pipe has seen enough.
    let _ = writeln!(io::stdout(), "{}", Readable::long_line(line));
}

/// Prints log lines as they come.
struct Told;

impl log::Log for Told {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let severity = Severity::of(record.metadata()).word();
        tell(format_args!("  log: {severity} {}", record.args()));
    }

    fn flush(&self) {}
}

fn listen() {
    // Only one logger can be set; among tests the first one stays.
    if log::set_logger(&Told).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(lines: &[&str]) -> Vec<Entry> {
        let entry = |line: &&str| {
            let mut words = line.split(' ');
            let path = words.next().unwrap().to_owned();
            let pairs = words.map(|word| word.split_once('=').unwrap());
            let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            (path, pairs.collect())
        };
        lines.iter().map(entry).collect()
    }

    #[test]
    fn the_difference_names_what_was_added_changed_and_removed() {
        let before = entries(&[
            "CLUSTER name=a",
            "HOST:a tn=1",
            "HOST:a/M:x",
            "HOST:b",
            "HOST:bc",
        ]);
        let after = entries(&[
            "CLUSTER name=b",
            "HOST:bc rack=1",
            "HOST:c tn=2",
            "HOST:c/M:y val=3",
        ]);
        assert_eq!(
            difference(&before, &after),
            [
                "~ CLUSTER name: \"a\" -> \"b\"",
                "~ HOST:bc rack: made up, \"1\"",
                "+ HOST:c tn=\"2\"",
                "+ HOST:c/M:y val=\"3\"",
                "- HOST:a",
                "- HOST:b",
            ]
        );
        assert!(difference(&before, &before).is_empty());
    }
}
