//! This machine, for the rules.
//!
//! To find out what another user may do, a process becomes that user and asks the system: only the
//! system knows access lists, read-only file systems and servers that do not trust root.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, Uid, access};

use super::{Kind, May, NameTrouble, Need, Who, World};
use crate::cli::ACCESS_OPTION;
use crate::daemon::{PidFile, PortHolder, UserError, account_to_become, port_holder};
use crate::plugins::parts::loader::files_in;
use crate::reactor;
use gmetad_core::model::sorted;

/// Time for looking up all names together.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// Names that are looked up at the same time.
const RESOLVERS: usize = 16;

/// How much of a plugin file is searched.
const PLUGIN_LIMIT_BYTES: u64 = 16 << 20;

/// Exit code of the process that asks as another user, if it cannot become that user. No error
/// number of the system is as high.
const NOT_ASKED: u8 = 255;

/// The machine that this runs on.
#[derive(Debug)]
pub struct ThisMachine;

impl World for ThisMachine {
    fn is_root(&self) -> bool {
        Uid::effective().is_root()
    }

    fn user(&self, name: &str) -> Result<(), UserError> {
        account_to_become(Some(name)).map(drop)
    }

    fn kind(&self, path: &Path) -> io::Result<Kind> {
        let kind = fs::metadata(path)?.file_type();
        Ok(if kind.is_dir() {
            Kind::Folder
        } else if kind.is_file() {
            Kind::File
        } else if kind.is_socket() {
            Kind::Socket
        } else if kind.is_fifo() {
            Kind::Fifo
        } else {
            Kind::Other
        })
    }

    fn is_link(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_symlink())
    }

    fn may(&self, who: Who<'_>, need: Need, path: &Path) -> May {
        match who {
            Who::Us => match allowed(need, path) {
                Ok(()) => May::Yes,
                Err(errno) => May::No(errno.into()),
            },
            Who::User(name) => asked_as(name, need, path),
        }
    }

    fn port(&self, address: Option<IpAddr>, port: u16) -> Result<(), (SocketAddr, io::Error)> {
        reactor::try_port(address, port)
    }

    fn holder(&self, address: SocketAddr) -> Option<PortHolder> {
        port_holder(address)
    }

    fn owner_of_pid_file(&self, path: &Path) -> Option<u32> {
        PidFile::owner(path)
    }

    fn answers(&self, socket: &Path) -> bool {
        UnixStream::connect(socket).is_ok()
    }

    fn unresolved(&self, names: &[&str]) -> Vec<(String, NameTrouble)> {
        let queue: VecDeque<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let queue = Arc::new(Mutex::new(queue));
        let (sender, answers) = channel();
        for _ in 0..names.len().min(RESOLVERS) {
            let (queue, sender) = (Arc::clone(&queue), sender.clone());
            // A thread that cannot be started answers nothing, and at the end none is waited for.
            let _ = thread::Builder::new().spawn(move || {
                let next = || {
                    queue
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .pop_front()
                };
                while let Some(name) = next() {
                    let found = (name.as_str(), 0).to_socket_addrs().map(drop);
                    if sender.send((name, found)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let deadline = Instant::now() + RESOLVE_LIMIT;
        let mut left: Vec<&str> = names.to_vec();
        let mut unresolved = Vec::new();
        while let Ok((name, found)) =
            answers.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            left.retain(|it| *it != name);
            if let Err(error) = found {
                let text = error.to_string();
                let reason = text.rsplit(": ").next().unwrap_or(&text).to_owned();
                unresolved.push((name, NameTrouble::Unknown(reason)));
            }
        }
        let mut unresolved = sorted(unresolved, |one, other| one.0.cmp(&other.0));
        let unanswered = left
            .into_iter()
            .map(|it| (it.to_owned(), NameTrouble::NoAnswer));
        unresolved.extend(unanswered);
        unresolved
    }

    fn files_naming(&self, folder: &Path, id: &str) -> Vec<String> {
        // A folder that cannot be read has a finding of its own.
        let files = files_in(folder).unwrap_or_default();
        let naming = files.iter().filter(|file| has_text(file, id));
        let names = naming.filter_map(|file| file.file_name());
        names.map(|it| it.to_string_lossy().into_owned()).collect()
    }
}

fn has_text(file: &Path, text: &str) -> bool {
    let mut bytes = Vec::new();
    let read = fs::File::open(file).and_then(|file| {
        let mut file = file.take(PLUGIN_LIMIT_BYTES);
        file.read_to_end(&mut bytes)
    });
    let mut windows = bytes.windows(text.len().max(1));
    read.is_ok() && windows.any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}

fn allowed(need: Need, path: &Path) -> Result<(), Errno> {
    let flags = match need {
        Need::Read if path.is_dir() => AccessFlags::R_OK | AccessFlags::X_OK,
        Need::Read => AccessFlags::R_OK,
        Need::WriteFile => AccessFlags::W_OK,
        Need::WriteFolder => AccessFlags::W_OK | AccessFlags::X_OK,
        Need::Enter | Need::Run => AccessFlags::X_OK,
    };
    access(path, flags)
}

const NEEDS: [(Need, &str); 5] = [
    (Need::Read, "read"),
    (Need::Enter, "enter"),
    (Need::WriteFile, "write-file"),
    (Need::WriteFolder, "write-folder"),
    (Need::Run, "run"),
];

/// Lets another process become the user and ask.
fn asked_as(user: &str, need: Need, path: &Path) -> May {
    let word = NEEDS
        .iter()
        .find(|(it, _)| *it == need)
        .map_or("", |it| it.1);
    let status = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .args([ACCESS_OPTION, user, word])
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
    });
    match status.map(|status| status.code()) {
        Ok(Some(0)) => May::Yes,
        Ok(Some(errno)) if errno != i32::from(NOT_ASKED) => {
            May::No(io::Error::from_raw_os_error(errno))
        }
        Ok(_) => May::Unknown(format!("no process could become user {user}")),
        Err(error) => May::Unknown(format!("no process can be started: {error}")),
    }
}

/// The process that asks: becomes the user, and returns the system's answer as an exit code.
pub fn answer_as([user, need, path]: [PathBuf; 3]) -> u8 {
    let need = NEEDS.iter().find(|(_, word)| need == Path::new(word));
    let account = account_to_become(user.to_str());
    let (Some((need, _)), Ok(Some(account))) = (need, account) else {
        return NOT_ASKED;
    };
    if account.assume().is_err() {
        return NOT_ASKED;
    }
    match allowed(*need, &path) {
        Ok(()) => 0,
        Err(errno) => u8::try_from(errno as i32).unwrap_or(NOT_ASKED),
    }
}
