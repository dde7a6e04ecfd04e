//! The rules about files, folders, programs and sockets.
//!
//! A start makes what is missing, where it has the rights. These rules find where it has not.

use std::io;
use std::path::{Path, PathBuf};

use super::{Kind, Look, May, Need, Who, World};
use crate::daemon::{Exit, PortHolder, exit_of_listening};
use crate::plugins::{PluginFiles, UnusedName, unused_names, write_rrd_files};

/// The plugins in the files of plugins_dir, as far as is known without running them.
struct Files<'a> {
    world: &'a dyn World,
    folder: Option<&'a Path>,
}

impl PluginFiles for Files<'_> {
    /// A plugin's id is known only when it runs, but most files contain it as text.
    fn with_id(&self, id: &str) -> Vec<String> {
        let named = self
            .folder
            .map(|folder| self.world.files_naming(folder, id));
        named.unwrap_or_default()
    }

    fn has_file(&self, name: &str) -> bool {
        let mut folder = self.folder.into_iter();
        folder.any(|folder| {
            self.world
                .kind(&folder.join(name))
                .is_ok_and(|it| it == Kind::File)
        })
    }
}

/// Why a path cannot be used.
enum Trouble {
    /// It cannot be used, and why.
    Certain(String),
    /// It is not known, and why.
    Unknown(String),
}

impl Trouble {
    /// Adds what to do.
    fn with(self, remedy: &str) -> Trouble {
        match self {
            Trouble::Certain(reason) => Trouble::Certain(reason + remedy),
            unknown @ Trouble::Unknown(_) => unknown,
        }
    }
}

impl Look<'_> {
    /// Opened before the change of user; reopened after a rotation, as that user.
    pub(super) fn log_file(&mut self, user: Who<'_>) {
        let Some(path) = self.config.logfile.as_deref() else {
            return;
        };
        // What the console is, may be anything.
        let is_console = path.starts_with("/dev");
        let kind = self.world.kind(path).ok().filter(|_| !is_console);
        let trouble = match kind {
            Some(Kind::Fifo | Kind::Socket) => Some(no_regular_file()),
            _ => self.file_to_make(path),
        };
        if let Some(trouble) = trouble {
            let text = format!("log file {} cannot be opened: ", path.display());
            self.tell(Some(Exit::CannotCreate), &text, trouble);
            return;
        }
        let is_there = self.world.kind(path).is_ok();
        if is_there
            && user != Who::Us
            && let Some(trouble) = self.not_allowed(user, Need::WriteFile, path)
        {
            let text = format!(
                "log file {} can be opened at the start, and not again after a rotation: ",
                path.display()
            );
            self.tell(None, &text, trouble);
        }
    }

    pub(super) fn pid_file(&mut self) {
        let Some(path) = self.config.pid_file.as_deref() else {
            return;
        };
        if let Some(pid) = self.world.owner_of_pid_file(path) {
            let holder = PortHolder::Process {
                name: "gmetad".into(),
                pid,
            };
            self.running(&format!("pid file {}", path.display()), &holder);
            return;
        }
        let trouble = if self.world.is_link(path) {
            Some(Trouble::Certain(
                "it is a link, which is not followed".into(),
            ))
        } else {
            match self.world.kind(path) {
                Ok(Kind::Fifo | Kind::Socket | Kind::Other) => Some(no_regular_file()),
                _ => self.file_to_make(path),
            }
        };
        if let Some(trouble) = trouble {
            let text = format!("pid file {} cannot be made: ", path.display());
            self.tell(Some(Exit::CannotCreate), &text, trouble);
        }
    }

    /// The socket of rrdcached's protocol.
    pub(super) fn socket(&mut self) {
        let rrd = &self.config.rrd;
        let Some(path) = rrd.listen.as_deref().filter(|_| rrd.write) else {
            return;
        };
        let text = format!("listen {} cannot be listened on: ", path.display());
        match self.world.kind(path) {
            Ok(Kind::Socket) if self.world.answers(path) => {
                let text = format!(
                    "{text}a process listens there already; choose another name, unless it is the \
                     gmetad that this one is to replace"
                );
                // Unlike for a port, the system does not tell who listens on a socket.
                if self.is_running {
                    self.warn(text);
                } else {
                    self.fatal(Exit::Unavailable, text);
                }
            }
            Ok(Kind::Socket) | Err(_) => {
                let folder = parent(path);
                let exit = match self.world.kind(&folder) {
                    Ok(Kind::Folder) => exit_of_listening(io::ErrorKind::PermissionDenied),
                    _ => exit_of_listening(io::ErrorKind::NotFound),
                };
                if let Some(trouble) = self.folder_to_write(Who::Us, &folder) {
                    self.tell(Some(exit), &text, trouble);
                }
            }
            Ok(_) => self.fatal(
                exit_of_listening(io::ErrorKind::AlreadyExists),
                format!(
                    "{text}there is a file that is no socket; remove it or choose another name"
                ),
            ),
        }
    }

    /// Loaded after the change of user.
    pub(super) fn plugins(&mut self, user: Who<'_>) {
        let folder = self.config.plugins_dir.as_deref();
        if let Some(folder) = folder {
            let trouble = match self.world.kind(folder) {
                Ok(Kind::Folder) => self.not_allowed(user, Need::Read, folder),
                Ok(_) => Some(Trouble::Certain("it is not a folder".into())),
                Err(error) => Some(Trouble::Certain(reason(&error))),
            };
            if let Some(trouble) = trouble {
                let text = format!(
                    "plugins_dir {} cannot be read, so no plugin is loaded from it: ",
                    folder.display()
                );
                self.tell(None, &text, trouble);
            }
        }
        let files = Files {
            world: self.world,
            folder,
        };
        for unused in unused_names(self.config, &files) {
            let (UnusedName::Section(text) | UnusedName::Word(text)) = unused;
            self.warn(text);
        }
    }

    /// RRD files and the journal.
    pub(super) fn storage(&mut self, user: Who<'_>) {
        if !write_rrd_files(self.config) {
            return;
        }
        let rrd = &self.config.rrd;
        let remedy = remedy(user);
        if let Some(trouble) = self.rrd_root(user, &rrd.rootdir) {
            let text = format!(
                "no values would be stored in the RRD root {}: ",
                rrd.rootdir.display()
            );
            self.tell(None, &text, trouble.with(&remedy));
        }
        let waits = !rrd.write_timeout.is_zero();
        if let Some(folder) = rrd.journal_dir.as_deref().filter(|_| waits)
            && let Some(trouble) = self.folder_to_make(user, folder)
        {
            let text = format!(
                "no journal would be kept in journal_dir {}, and a crash would lose the values in \
                 the cache: ",
                folder.display()
            );
            self.tell(None, &text, trouble.with(&remedy));
        }
    }

    /// Values that wait for their store.
    pub(super) fn backlogs(&mut self, user: Who<'_>, folders: &[PathBuf]) {
        for folder in folders {
            if let Some(trouble) = self.folder_to_make(user, folder) {
                let text = format!(
                    "values would wait in memory and not in backlog_dir {}, and a crash would lose \
                     them: ",
                    folder.display()
                );
                self.tell(None, &text, trouble.with(&remedy(user)));
            }
        }
    }

    /// Passwords, certificates and keys: who sends reads them each time, so that they may be replaced.
    pub(super) fn read_while_sending(&mut self, user: Who<'_>, files: &[PathBuf]) {
        for file in files {
            let trouble = match self.world.kind(file) {
                Ok(Kind::File) => self.not_allowed(user, Need::Read, file),
                Ok(_) => Some(no_regular_file()),
                Err(error) => Some(Trouble::Certain(reason(&error))),
            };
            if let Some(trouble) = trouble {
                let text = format!(
                    "values would wait and not be sent while {} cannot be read: ",
                    file.display()
                );
                self.tell(None, &text, trouble);
            }
        }
    }

    /// Root makes one that is missing and gives it to the user, who must be able to get there.
    fn rrd_root(&self, user: Who<'_>, root: &Path) -> Option<Trouble> {
        let is_missing = is_missing(self.world.kind(root).err()) && !self.world.is_link(root);
        if user == Who::Us || !is_missing {
            return self.folder_to_make(user, root);
        }
        self.folder_to_make(Who::Us, root)
            .or_else(|| self.not_allowed(user, Need::Enter, self.nearest_above(root)))
    }

    /// What alerts run.
    pub(super) fn programs(&mut self, user: Who<'_>) {
        let Some(alert) = &self.config.alert else {
            return;
        };
        let mail =
            Some(("sendmailpath", alert.sendmail.as_path())).filter(|_| !alert.to.is_empty());
        let command = alert.command.first().map(|it| ("command", Path::new(it)));
        for (directive, program) in mail.into_iter().chain(command) {
            let trouble = match self.world.kind(program) {
                Ok(Kind::Folder) => Some(Trouble::Certain("it is a folder".into())),
                Ok(_) => self.not_allowed(user, Need::Run, program),
                Err(error) => Some(Trouble::Certain(reason(&error))),
            };
            if let Some(trouble) = trouble {
                let program = program.display();
                let text = format!("alerts are only logged, {directive} {program} cannot be run: ");
                self.tell(None, &text, trouble);
            }
        }
    }

    /// Adds an error with that exit code, or a warning.
    fn tell(&mut self, exit: Option<Exit>, text: &str, trouble: Trouble) {
        match (trouble, exit) {
            (Trouble::Certain(reason), Some(exit)) => self.fatal(exit, format!("{text}{reason}")),
            (Trouble::Certain(reason), None) => self.warn(format!("{text}{reason}")),
            (Trouble::Unknown(reason), _) => {
                self.unchecked(format!("perhaps {text}{reason}"));
            }
        }
    }

    fn not_allowed(&self, who: Who<'_>, need: Need, path: &Path) -> Option<Trouble> {
        let what = match need {
            Need::Read => "read",
            Need::Enter => "enter",
            Need::Run => "run",
            Need::WriteFile | Need::WriteFolder => "write to",
        };
        match self.world.may(who, need, path) {
            May::Yes => None,
            May::No(error) => Some(Trouble::Certain(format!(
                "{who} may not {what} {}: {}",
                path.display(),
                reason(&error)
            ))),
            May::Unknown(reason) => Some(Trouble::Unknown(reason)),
        }
    }

    /// A file that a start makes if it is missing.
    fn file_to_make(&self, path: &Path) -> Option<Trouble> {
        match self.world.kind(path) {
            Ok(Kind::Folder) => Some(Trouble::Certain("it is a folder".into())),
            Ok(_) => self.not_allowed(Who::Us, Need::WriteFile, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.folder_to_write(Who::Us, &parent(path))
            }
            Err(error) => Some(Trouble::Certain(reason(&error))),
        }
    }

    /// A folder that must exist.
    fn folder_to_write(&self, who: Who<'_>, folder: &Path) -> Option<Trouble> {
        match self.world.kind(folder) {
            Ok(Kind::Folder) => self.not_allowed(who, Need::WriteFolder, folder),
            Ok(_) => Some(Trouble::Certain(format!(
                "{} is not a folder",
                folder.display()
            ))),
            Err(error) => Some(Trouble::Certain(format!(
                "{}: {}; make the folder or choose another",
                folder.display(),
                reason(&error)
            ))),
        }
    }

    /// A folder that a start makes, with all above it, if it is missing.
    fn folder_to_make(&self, who: Who<'_>, folder: &Path) -> Option<Trouble> {
        if !is_missing(self.world.kind(folder).err()) {
            return self.folder_to_write(who, folder);
        }
        let trouble = self.folder_to_write(who, self.nearest_above(folder))?;
        Some(match trouble {
            Trouble::Certain(reason) => {
                Trouble::Certain(format!("it is not there and cannot be made, {reason}"))
            }
            unknown @ Trouble::Unknown(_) => unknown,
        })
    }

    /// The nearest folder above that exists.
    fn nearest_above<'p>(&self, path: &'p Path) -> &'p Path {
        let mut above = path.ancestors().skip(1);
        above
            .find(|it| self.world.kind(it).is_ok())
            .unwrap_or(Path::new("/"))
    }
}

/// What to do about a folder that cannot be written to.
fn remedy(user: Who<'_>) -> String {
    match user {
        Who::User(name) => format!("; make it, and chown it to {name}"),
        Who::Us => String::new(),
    }
}

fn no_regular_file() -> Trouble {
    Trouble::Certain("it is not a regular file".into())
}

fn is_missing(error: Option<io::Error>) -> bool {
    error.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The system's message without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).to_owned()
}
