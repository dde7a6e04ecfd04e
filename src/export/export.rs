//! What an export is, and the plugin that each one becomes.
//!
//! Knows no server: each export has a file of its own.

use std::path::PathBuf;
use std::sync::Arc;

use crate::link::{Endpoint, Link, Server, TlsFiles, close};
use gmetad_config::Config;
use gmetad_core::plugin::{Directive, Plugin, PluginError, RootUpdate, Update};
use gmetad_core::source::HostPort;
use gmetad_core::status::ExportCounters;

/// Sends values on: which of an update, and in what words.
///
/// All calls but the first come from the plugin thread.
pub trait Export: Send + Sized + 'static {
    /// What it is called in the log, in the `plugins` directive, on `/status` and in `/metrics`;
    /// and its section, if it has one.
    const ID: &'static str;

    /// What in the configuration turns it on.
    const SWITCH: Switch;

    /// The export as it is configured; `None` if it is not.
    fn configured(config: &Config) -> Result<Option<Self>, PluginError>;

    /// Where it sends values to. A link is opened to each.
    fn servers(&self) -> Vec<Server>;

    /// Puts an update's values into the links, which are in the order of the servers.
    fn put(&mut self, update: &Update, links: &mut [Link]);

    /// All sources were summed up.
    fn root(&mut self, root: &RootUpdate, links: &mut [Link]) {
        let _ = (root, links);
    }
}

/// What turns an export on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// A directive at top level, for those that C gmetad has too.
    Directive(&'static str),
    /// The section that is called as the export is.
    Section,
}

/// An export in the list: what the daemon makes of it.
#[derive(Clone, Copy)]
pub struct ListedExport {
    id: &'static str,
    switch: Switch,
    is_configured: fn(&Config) -> bool,
    plugin: fn(&Config) -> Option<Box<dyn Plugin>>,
    check: fn(&Config) -> Result<ExportNeeds, PluginError>,
}

/// What an export needs of the machine and the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportNeeds {
    /// The hosts it sends to.
    pub hosts: Vec<ExportHost>,
    /// The folders in which values wait.
    pub folders: Vec<PathBuf>,
    /// The files that it reads while it sends: passwords, certificates, keys.
    pub files: Vec<PathBuf>,
}

/// A host that an export sends to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportHost {
    /// The directive that names it.
    pub directive: &'static str,
    /// Where it listens.
    pub place: HostPort,
}

impl ListedExport {
    pub(crate) const fn of<E: Export>() -> ListedExport {
        ListedExport {
            id: E::ID,
            switch: E::SWITCH,
            is_configured: is_configured::<E>,
            plugin: plugin::<E>,
            check: check::<E>,
        }
    }

    /// Its id.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// What turns it on.
    pub fn switch(&self) -> Switch {
        self.switch
    }

    /// Whether it is turned on, well configured or not.
    pub fn is_configured(&self, config: &Config) -> bool {
        (self.is_configured)(config)
    }

    /// Its plugin, if it is configured. One that is not configured well fails at its start.
    pub fn plugin(&self, config: &Config) -> Option<Box<dyn Plugin>> {
        (self.plugin)(config)
    }

    /// What it would need: nothing if it is not configured; or what is wrong.
    pub fn check(&self, config: &Config) -> Result<ExportNeeds, PluginError> {
        (self.check)(config)
    }
}

fn is_configured<E: Export>(config: &Config) -> bool {
    !matches!(E::configured(config), Ok(None))
}

fn plugin<E: Export>(config: &Config) -> Option<Box<dyn Plugin>> {
    let export = E::configured(config).transpose()?;
    let servers = export.as_ref().map_or_else(|_| Vec::new(), E::servers);
    Some(Box::new(ExportPlugin {
        export,
        rows: rows(E::ID, &servers),
        links: Vec::new(),
    }))
}

fn check<E: Export>(config: &Config) -> Result<ExportNeeds, PluginError> {
    let servers = E::configured(config)?.map_or_else(Vec::new, |export| export.servers());
    let mut needs = ExportNeeds::default();
    for server in servers {
        if let Endpoint::Tcp(place) | Endpoint::Udp(place) = server.endpoint {
            let directive = server.directive;
            needs.hosts.push(ExportHost { directive, place });
        }
        needs.folders.extend(server.spool.map(|spool| spool.folder));
        needs.files.extend(server.secrets);
        let tls = server.tls.iter().flat_map(TlsFiles::all);
        needs.files.extend(tls.cloned());
    }
    Ok(needs)
}

/// A row of what is shown: its name, its counters, and the servers in it.
struct Row {
    name: Arc<str>,
    counters: Arc<ExportCounters>,
    servers: Vec<usize>,
}

/// Servers with a name of their own have a row of their own; all others share the export's.
fn rows(id: &str, servers: &[Server]) -> Vec<Row> {
    let mut rows: Vec<(String, Vec<usize>)> = Vec::new();
    for (at, server) in servers.iter().enumerate() {
        let shared = rows.iter_mut().find(|(name, _)| name == id);
        match (&server.name, shared) {
            (Some(name), _) => {
                let same = |name: &str| rows.iter().any(|(other, _)| other == name);
                let mut names = std::iter::once(name.clone())
                    .chain((2..).map(|number| format!("{name} ({number})")));
                let name = names.find(|name| !same(name)).unwrap_or_default();
                rows.push((name, vec![at]));
            }
            (None, Some((_, servers))) => servers.push(at),
            (None, None) => rows.push((id.into(), vec![at])),
        }
    }
    if rows.is_empty() {
        rows.push((id.into(), Vec::new()));
    }
    let row = |(name, servers): (String, Vec<usize>)| Row {
        name: name.into(),
        counters: Arc::new(ExportCounters::of_servers(servers.len())),
        servers,
    };
    rows.into_iter().map(row).collect()
}

/// What all exports have in common.
struct ExportPlugin<E> {
    /// Or what is wrong with its configuration, until that is told.
    export: Result<E, PluginError>,
    rows: Vec<Row>,
    links: Vec<Link>,
}

impl<E: Export> Plugin for ExportPlugin<E> {
    fn id(&self) -> &str {
        E::ID
    }

    fn exports(&self) -> Vec<(Arc<str>, Arc<ExportCounters>)> {
        let row = |row: &Row| (Arc::clone(&row.name), Arc::clone(&row.counters));
        self.rows.iter().map(row).collect()
    }

    fn configure(&mut self, _: &[Directive]) -> Result<(), PluginError> {
        // The whole configuration was read already, its section with it.
        match &mut self.export {
            Ok(_) => Ok(()),
            Err(error) => {
                let told = PluginError::Failed("its configuration is wrong".into());
                Err(std::mem::replace(error, told))
            }
        }
    }

    fn start(&mut self) -> Result<(), PluginError> {
        let servers = self.export.as_ref().map_or_else(|_| Vec::new(), E::servers);
        for (at, server) in servers.into_iter().enumerate() {
            let endpoint = server.endpoint.clone();
            let place = |row: &Row| row.servers.iter().position(|it| *it == at);
            let of_server = |row| Some((row, place(row)?));
            let Some((row, slot)) = self.rows.iter().find_map(of_server) else {
                continue;
            };
            let link = Link::open(E::ID, server, &row.counters, slot);
            self.links.push(link.map_err(|cause| PluginError::System {
                what: format!("the thread for {endpoint}"),
                cause,
            })?);
        }
        Ok(())
    }

    fn notify(&mut self, update: &mut Update) -> Result<(), PluginError> {
        if let Ok(export) = &mut self.export {
            export.put(update, &mut self.links);
            self.links.iter_mut().for_each(Link::hand_over);
        }
        Ok(())
    }

    fn notify_root(&mut self, root: &mut RootUpdate) -> Result<(), PluginError> {
        if let Ok(export) = &mut self.export {
            export.root(root, &mut self.links);
            self.links.iter_mut().for_each(Link::hand_over);
        }
        Ok(())
    }

    fn stop(&mut self) {
        close(std::mem::take(&mut self.links));
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::path::Path;

    use super::*;
    use crate::EXPORTS;
    use crate::link::Dialect;
    use crate::select;
    use crate::testing::{PLAIN, update_of};
    use gmetad_config::{Disk, Overrides, parse};

    /// Sends the names of hosts. All that an export must have, and no more.
    struct Toy {
        server: HostPort,
    }

    struct Lines;

    impl Dialect for Lines {}

    impl Export for Toy {
        const ID: &'static str = "toy";
        const SWITCH: Switch = Switch::Section;

        fn configured(config: &Config) -> Result<Option<Toy>, PluginError> {
            let Some(mut section) = config.export_section(Self::ID) else {
                return Ok(None);
            };
            let server = section.server("server", 7)?;
            section.finish()?;
            Ok(Some(Toy { server }))
        }

        fn servers(&self) -> Vec<Server> {
            let endpoint = Endpoint::Udp(self.server.clone());
            vec![Server::new("toy: server", endpoint, Lines)]
        }

        fn put(&mut self, update: &Update, links: &mut [Link]) {
            let Some(cluster) = select::cluster(update) else {
                return;
            };
            for host in select::hosts(cluster) {
                links[0].put(format!("{}\n", host.info.name).as_bytes());
            }
        }
    }

    const TOY: ListedExport = ListedExport::of::<Toy>();

    fn config(text: &str) -> Config {
        let file = Path::new("g.conf");
        let loaded = parse(text.as_bytes(), file, &Disk, &Overrides::default(), "h");
        loaded.unwrap().config
    }

    #[test]
    fn an_export_that_is_not_configured_is_not_there() {
        let none = config("data_source a b");
        for export in EXPORTS.iter().chain([&TOY]) {
            assert!(!export.is_configured(&none), "{}", export.id());
            assert!(export.plugin(&none).is_none(), "{}", export.id());
            assert_eq!(export.check(&none).unwrap(), ExportNeeds::default());
        }
    }

    #[test]
    fn a_listed_export_is_a_plugin_that_counts_what_it_sends() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let place = socket.local_addr().unwrap();
        let config = config(&format!("toy {{\n server {place}\n}}"));
        let hosts = TOY.check(&config).unwrap().hosts;
        assert_eq!((hosts.len(), hosts[0].directive), (1, "toy: server"));
        assert_eq!(hosts[0].place.to_string(), place.to_string());
        let mut plugin = TOY.plugin(&config).unwrap();
        assert_eq!(plugin.id(), "toy");
        let (id, counters) = plugin.exports().remove(0);
        plugin.configure(&[]).unwrap();
        plugin.start().unwrap();
        plugin.notify(&mut update_of(PLAIN)).unwrap();
        plugin.stop();
        let mut bytes = [0; 100];
        let count = socket.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..count], b"localhost\n");
        let status = counters.status(&id);
        assert_eq!((status.id.as_str(), status.sent), ("toy", 1));
    }

    #[test]
    fn a_wrong_section_is_told_by_the_check_and_by_the_start() {
        let config = config("toy {\n server h:0\n}");
        let told = "g.conf:2: server: \"h:0\" is not a port; give a number from 1 to 65535";
        assert_eq!(TOY.check(&config).unwrap_err().to_string(), told);
        assert!(TOY.is_configured(&config));
        let mut plugin = TOY.plugin(&config).unwrap();
        assert_eq!(plugin.configure(&[]).unwrap_err().to_string(), told);
    }

    #[test]
    fn ids_are_unique_and_no_other_plugins() {
        let mut ids: Vec<&str> = EXPORTS.iter().map(ListedExport::id).collect();
        ids.extend(["rrd", "rrdsummary", "rrdcached", "alert"]);
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
