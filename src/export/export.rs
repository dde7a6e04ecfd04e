//! What an export is, and the plugin that each one becomes.
//!
//! Knows no server: each export has a file of its own.

use std::sync::Arc;

use crate::link::{Endpoint, Link, Server, close};
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

    /// The export as it is configured; `None` if it is not.
    fn configured(config: &Config) -> Result<Option<Self>, PluginError>;

    /// Where it sends values to. A link is opened to each.
    fn servers(&self) -> Vec<Server>;

    /// Puts an update's values into the links, which are in the order of the servers.
    fn put(&self, update: &Update, links: &mut [Link]);

    /// All sources were summed up.
    fn root(&mut self, root: &RootUpdate) {
        let _ = root;
    }
}

/// An export in the list: what the daemon makes of it.
#[derive(Clone, Copy)]
pub struct ListedExport {
    id: &'static str,
    plugin: fn(&Config) -> Option<Box<dyn Plugin>>,
    check: fn(&Config) -> Result<Vec<ExportHost>, PluginError>,
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
            plugin: plugin::<E>,
            check: check::<E>,
        }
    }

    /// Its id.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// Its plugin, if it is configured. One that is not configured well fails at its start.
    pub fn plugin(&self, config: &Config) -> Option<Box<dyn Plugin>> {
        (self.plugin)(config)
    }

    /// The hosts it would send to: none if it is not configured; or what is wrong.
    pub fn check(&self, config: &Config) -> Result<Vec<ExportHost>, PluginError> {
        (self.check)(config)
    }
}

fn plugin<E: Export>(config: &Config) -> Option<Box<dyn Plugin>> {
    let export = E::configured(config).transpose()?;
    Some(Box::new(ExportPlugin {
        export,
        counters: Arc::default(),
        links: Vec::new(),
    }))
}

fn check<E: Export>(config: &Config) -> Result<Vec<ExportHost>, PluginError> {
    let servers = E::configured(config)?.map_or_else(Vec::new, |export| export.servers());
    let hosts = servers.into_iter().filter_map(|server| {
        let (Endpoint::Tcp(place) | Endpoint::Udp(place)) = server.endpoint else {
            return None;
        };
        let directive = server.directive;
        Some(ExportHost { directive, place })
    });
    Ok(hosts.collect())
}

/// What all exports have in common.
struct ExportPlugin<E> {
    /// Or what is wrong with its configuration, until that is told.
    export: Result<E, PluginError>,
    counters: Arc<ExportCounters>,
    links: Vec<Link>,
}

impl<E: Export> Plugin for ExportPlugin<E> {
    fn id(&self) -> &str {
        E::ID
    }

    fn export(&self) -> Option<(&'static str, Arc<ExportCounters>)> {
        Some((E::ID, Arc::clone(&self.counters)))
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
        for server in servers {
            let endpoint = server.endpoint.clone();
            let link = Link::open(E::ID, server, &self.counters);
            self.links.push(link.map_err(|cause| PluginError::System {
                what: format!("the thread for {endpoint}"),
                cause,
            })?);
        }
        Ok(())
    }

    fn notify(&mut self, update: &mut Update) -> Result<(), PluginError> {
        if let Ok(export) = &self.export {
            export.put(update, &mut self.links);
            self.links.iter_mut().for_each(Link::hand_over);
        }
        Ok(())
    }

    fn notify_root(&mut self, root: &mut RootUpdate) -> Result<(), PluginError> {
        if let Ok(export) = &mut self.export {
            export.root(root);
        }
        Ok(())
    }

    fn stop(&mut self) {
        close(std::mem::take(&mut self.links));
    }
}
