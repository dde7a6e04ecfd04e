//! For `gmetad -t`: what would make a start with a configuration fail on this machine.
//!
//! No I/O here: the rules ask a [`World`]. `world` looks at this machine, and makes, changes and
//! keeps nothing there.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::daemon::{Exit, PortHolder, UserError, cannot_listen, exit_of_listening};
use crate::plugins::parts::export::{EXPORTS, ExportHost, ExportNeeds};
use gmetad_config::{Config, RrdcachedAddress};
use gmetad_core::model::sorted;
use gmetad_core::trust::TrustEntry;

mod places;
#[cfg(test)]
mod tests;
mod world;

pub use world::{ThisMachine, answer_as};

/// Polls further apart than this let hosts look down between them: gmond says 20 for a host's TMAX,
/// and four times that is down; its own announcements may be 20 s old already.
const INTERVAL_MAX: Duration = Duration::from_secs(60);

/// Names that are told one by one; the others are counted.
const NAMES_TOLD: usize = 8;

/// Something that a start would trip over.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it means for a start.
    pub weight: Weight,
    /// What, where and what to do, in a line.
    pub text: String,
}

/// What a finding means for a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It would fail with this code.
    Fatal(Exit),
    /// It would run without a part of the configuration.
    LeftOut,
    /// It would run, and something would not work.
    Warning,
    /// It could not be checked.
    Unchecked,
}

/// Whose rights are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who<'a> {
    /// The user of this process.
    Us,
    /// The user that the daemon becomes.
    User(&'a str),
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Us => f.write_str("this user"),
            Who::User(name) => write!(f, "user {name}"),
        }
    }
}

/// A right to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Read a file, or list a folder and get to its files.
    Read,
    /// Pass through a folder.
    Enter,
    /// Write to a file.
    WriteFile,
    /// Make and remove something in a folder.
    WriteFolder,
    /// Execute a program.
    Run,
}

/// Whether somebody has a right.
#[derive(Debug)]
pub enum May {
    /// Yes.
    Yes,
    /// No, with the system's error.
    No(io::Error),
    /// The system could not be asked, and why.
    Unknown(String),
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// A device.
    Other,
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameTrouble {
    /// The resolver says so.
    Unknown(String),
    /// The resolver did not answer in time.
    NoAnswer,
}

/// What the rules ask of a machine.
pub trait World {
    /// Whether this process may become another user.
    fn is_root(&self) -> bool;
    /// Whether there is such a user.
    fn user(&self, name: &str) -> Result<(), UserError>;
    /// What a path leads to, through links.
    fn kind(&self, path: &Path) -> io::Result<Kind>;
    /// Whether the path itself is a link.
    fn is_link(&self, path: &Path) -> bool;
    /// Whether somebody has a right to a path.
    fn may(&self, who: Who<'_>, need: Need, path: &Path) -> May;
    /// Whether the port can be listened on; if not, the address that was tried.
    fn port(&self, address: Option<IpAddr>, port: u16) -> Result<(), (SocketAddr, io::Error)>;
    /// Who listens there, as far as that can be seen.
    fn holder(&self, address: SocketAddr) -> Option<PortHolder>;
    /// The gmetad that runs and has this pid file.
    fn owner_of_pid_file(&self, path: &Path) -> Option<u32>;
    /// Whether somebody listens at the socket.
    fn answers(&self, socket: &Path) -> bool;
    /// The names among these that have no address.
    fn unresolved(&self, names: &[&str]) -> Vec<(String, NameTrouble)>;
    /// Names of the plugin files in the folder that have this text in them.
    fn files_naming(&self, folder: &Path, id: &str) -> Vec<String>;
}

/// All findings, in the order in which a start would meet them.
pub fn findings(config: &Config, world: &dyn World) -> Vec<Finding> {
    let mut look = Look {
        config,
        world,
        findings: Vec::new(),
        is_running: false,
    };
    let user = look.user();
    look.log_file(user);
    look.pid_file();
    look.ports();
    look.socket();
    look.plugins(user);
    look.storage(user);
    look.programs(user);
    let needs = look.export_needs();
    look.backlogs(user, &needs.folders);
    look.read_while_sending(user, &needs.files);
    look.names(&needs.hosts);
    look.intervals();
    look.findings
}

/// The finding about the user alone, for a configuration that has errors.
pub fn finding_of_user(name: &str, world: &dyn World) -> Option<Finding> {
    if !world.is_root() {
        return None;
    }
    let error = world.user(name).err()?;
    Some(Finding {
        weight: Weight::Fatal(error.exit()),
        text: error.to_string(),
    })
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// A few words that follow the name of the file.
    pub text: &'static str,
    /// What the check exits with.
    pub exit: Exit,
}

/// Judges a configuration by what was found. A rule of `alert` or an export that is left out keeps
/// no daemon from starting, but it is a mistake in the file, and those come first.
pub fn verdict(config: &Config, findings: &[Finding]) -> Verdict {
    let fatal = findings.iter().find_map(|finding| match finding.weight {
        Weight::Fatal(exit) => Some(exit),
        Weight::LeftOut | Weight::Warning | Weight::Unchecked => None,
    });
    let alert = config.alert.as_ref();
    let rules = alert.is_some_and(|alert| !alert.left_out.is_empty());
    let exports = findings.iter().any(|it| it.weight == Weight::LeftOut);
    Verdict {
        text: match (fatal, rules, exports) {
            (Some(_), ..) => "a start with it fails here",
            (None, true, false) => "sound, but for rules of alert that are left out",
            (None, false, true) => "sound, but for an export that is left out",
            (None, true, true) => "sound, but for rules of alert and an export that are left out",
            (None, false, false) => "sound",
        },
        exit: match (rules || exports, fatal) {
            (true, _) => Exit::Config,
            (false, fatal) => fatal.unwrap_or(Exit::Ok),
        },
    }
}

struct Look<'a> {
    config: &'a Config,
    world: &'a dyn World,
    findings: Vec<Finding>,
    /// Whether a gmetad was seen that has what this one would have.
    is_running: bool,
}

impl<'a> Look<'a> {
    fn fatal(&mut self, exit: Exit, text: String) {
        let weight = Weight::Fatal(exit);
        self.findings.push(Finding { weight, text });
    }

    fn warn(&mut self, text: String) {
        let weight = Weight::Warning;
        self.findings.push(Finding { weight, text });
    }

    fn unchecked(&mut self, text: String) {
        let weight = Weight::Unchecked;
        self.findings.push(Finding { weight, text });
    }

    /// Who the daemon will be.
    fn user(&mut self) -> Who<'a> {
        let Some(name) = self.config.setuid_username.as_deref() else {
            return Who::Us;
        };
        if !self.world.is_root() {
            self.unchecked(format!(
                "started by root, gmetad becomes user {name}; run this check as root to check that \
                 user's rights: here it checks those of this user"
            ));
            return Who::Us;
        }
        match finding_of_user(name, self.world) {
            None => Who::User(name),
            Some(finding) => {
                self.findings.push(finding);
                self.unchecked(format!(
                    "what user {name} may read and write is not known, as there is no such user"
                ));
                Who::Us
            }
        }
    }

    fn ports(&mut self) {
        let Config {
            bind_address,
            xml_port,
            interactive_port,
            web_port,
            ..
        } = *self.config;
        for (name, port) in [
            ("xml_port", Some(xml_port)),
            ("interactive_port", Some(interactive_port)),
            ("web_port", web_port),
        ] {
            // The system finds one that is free.
            let Some(port) = port.filter(|port| *port != 0) else {
                continue;
            };
            if let Err((address, error)) = self.world.port(bind_address, port) {
                self.port(name, address, &error);
            }
        }
    }

    fn port(&mut self, name: &str, address: SocketAddr, error: &io::Error) {
        let exit = exit_of_listening(error.kind());
        let holder = match exit {
            Exit::Unavailable => self.world.holder(address),
            _ => None,
        };
        match holder {
            Some(holder) if holder.is_gmetad() => {
                self.running(&format!("{name} {address}"), &holder);
            }
            holder => self.fatal(exit, cannot_listen(name, address, error, holder.as_ref())),
        }
    }

    /// No mistake of the configuration's: it is checked most often before it takes the place of the
    /// one that runs.
    fn running(&mut self, what: &str, holder: &PortHolder) {
        self.is_running = true;
        self.warn(format!(
            "{what} is held by {holder}, which runs now; a start fails until that has ended, a \
             reload does not"
        ));
    }

    /// What sending values on needs. An export that is not configured well is told of.
    fn export_needs(&mut self) -> ExportNeeds {
        let mut all = ExportNeeds::default();
        for export in EXPORTS {
            match export.check(self.config) {
                Ok(needs) => {
                    all.hosts.extend(needs.hosts);
                    all.folders.extend(needs.folders);
                    all.files.extend(needs.files);
                }
                Err(error) => self.findings.push(Finding {
                    weight: Weight::LeftOut,
                    text: format!("export {} is left out: {error}", export.id()),
                }),
            }
        }
        all
    }

    fn names(&mut self, hosts: &[ExportHost]) {
        let mut names: Vec<(String, &str)> = Vec::new();
        for source in &self.config.sources {
            let of = format!("data_source \"{}\"", source.name);
            let hosts = source.hosts.iter().map(|host| (of.clone(), &*host.host));
            names.extend(hosts);
        }
        let trust = &self.config.trust;
        for (directive, entries) in [
            ("trusted_hosts", &trust.entries),
            ("web_trusted_hosts", &trust.pages),
        ] {
            for entry in entries {
                if let TrustEntry::Name(name) = entry {
                    names.push((directive.into(), name));
                }
            }
        }
        let of_exports = hosts
            .iter()
            .map(|it| (it.directive.into(), &*it.place.host));
        names.extend(of_exports);
        if let Some(RrdcachedAddress::Tcp(place)) = &self.config.exports.rrdcached {
            names.push(("rrdcached_address".into(), &place.host));
        }
        names.retain(|(_, name)| name.parse::<IpAddr>().is_err());
        let asked = names.iter().map(|(_, name)| *name).collect();
        let mut asked: Vec<&str> = sorted(asked, Ord::cmp);
        asked.dedup();
        if asked.is_empty() {
            return;
        }
        let unresolved = self.world.unresolved(&asked);
        for (name, trouble) in unresolved.iter().take(NAMES_TOLD) {
            let of = names.iter().find(|(_, asked)| asked == name);
            let of = of.map_or("", |(of, _)| of);
            match trouble {
                NameTrouble::Unknown(reason) => self.warn(format!(
                    "{of}: the name {name} has no address now ({reason}); until it has one, that \
                     host counts as down"
                )),
                NameTrouble::NoAnswer => self.unchecked(format!(
                    "{of}: whether the name {name} has an address: the resolver does not answer"
                )),
            }
        }
        let left = unresolved.len().saturating_sub(NAMES_TOLD);
        if left > 0 {
            self.warn(format!("{left} more names have no address"));
        }
    }

    fn intervals(&mut self) {
        for source in &self.config.sources {
            if source.interval > INTERVAL_MAX {
                self.warn(format!(
                    "data_source \"{}\" is polled every {} s: hosts of a gmond, whose TMAX is 20, \
                     count as down when they were not heard of for 80 s; poll every {} s or more \
                     often, or raise host_tmax in gmond.conf",
                    source.name,
                    source.interval.as_secs(),
                    INTERVAL_MAX.as_secs()
                ));
            }
        }
    }
}
