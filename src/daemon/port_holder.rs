//! Who listens on a port, where the system tells: Linux, in `/proc`.
//!
//! For an error's sake only: whatever cannot be read is not told.

use std::fmt;
use std::fs;
use std::path::Path;

/// Processes are not looked through beyond that: an error must not keep anybody waiting.
const PROCESSES_LIMIT: usize = 100_000;

/// State LISTEN in the tables.
const LISTENS: &str = "0A";

/// Who has a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortHolder {
    /// A process that we may look into.
    Process {
        /// Its command, as `ps` has it.
        name: String,
        /// Its id.
        pid: u32,
    },
    /// A process of a user whose processes we may not look into.
    OfUser {
        /// The user's number.
        uid: u32,
    },
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortHolder::Process { name, pid } => write!(f, "{name} (pid {pid})"),
            PortHolder::OfUser { uid } => {
                write!(
                    f,
                    "a process of the user with number {uid}; root sees which"
                )
            }
        }
    }
}

/// Who listens on that TCP port, whatever the address.
pub fn port_holder(port: u16) -> Option<PortHolder> {
    holder_in(Path::new("/proc"), port)
}

fn holder_in(proc: &Path, port: u16) -> Option<PortHolder> {
    let sockets: Vec<Socket> = ["net/tcp", "net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(proc.join(table)).ok())
        .flat_map(|table| listening(&table, port))
        .collect();
    let uid = sockets.first()?.uid;
    let links: Vec<String> = sockets
        .iter()
        .map(|socket| format!("socket:[{}]", socket.inode))
        .collect();
    let processes = fs::read_dir(proc).ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holder = pids.take(PROCESSES_LIMIT).find(|pid| {
        let descriptors = fs::read_dir(proc.join(format!("{pid}/fd")));
        descriptors.into_iter().flatten().flatten().any(|entry| {
            let link = fs::read_link(entry.path());
            link.is_ok_and(|link| {
                links
                    .iter()
                    .any(|socket| link.as_os_str() == socket.as_str())
            })
        })
    });
    Some(match holder {
        Some(pid) => {
            let name = fs::read_to_string(proc.join(format!("{pid}/comm")));
            let name = name.map_or_else(|_| "a process".into(), |name| name.trim_end().into());
            PortHolder::Process { name, pid }
        }
        None => PortHolder::OfUser { uid },
    })
}

struct Socket {
    inode: u64,
    uid: u32,
}

/// The sockets of a table that listen on a port.
fn listening(table: &str, port: u16) -> Vec<Socket> {
    let port = format!(":{port:04X}");
    let lines = table.lines().skip(1);
    lines
        .filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let is_it = words.get(1)?.ends_with(&port) && *words.get(3)? == LISTENS;
            is_it.then_some(())?;
            Some(Socket {
                uid: words.get(7)?.parse().ok()?,
                inode: words.get(9)?.parse().ok()?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when \
        retrnsmt   uid  timeout inode\n   0: 0100007F:21CB 00000000:0000 0A 00000000:00000000 \
        00:00000000 00000000   101        0 4711 1 0000000000000000 100 0 0 10 0\n   1: \
        0100007F:21CC 0100007F:9000 01 00000000:00000000 00:00000000 00000000     0        0 \
        4712 1 0000000000000000 100 0 0 10 0\n";

    fn proc() -> tempfile::TempDir {
        let proc = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(proc.path().join("net")).expect("made");
        fs::write(proc.path().join("net/tcp"), TABLE).expect("written");
        proc
    }

    #[test]
    fn a_port_is_its_listeners_and_not_its_connections() {
        let proc = proc();
        assert_eq!(holder_in(proc.path(), 8652), None);
        let unseen = Some(PortHolder::OfUser { uid: 101 });
        assert_eq!(holder_in(proc.path(), 8651), unseen);
        let fd = proc.path().join("77/fd");
        fs::create_dir_all(&fd).expect("made");
        symlink("socket:[4712]", fd.join("3")).expect("linked");
        assert_eq!(holder_in(proc.path(), 8651), unseen);
        symlink("socket:[4711]", fd.join("4")).expect("linked");
        fs::write(proc.path().join("77/comm"), "gmetad\n").expect("written");
        let holder = holder_in(proc.path(), 8651).expect("told");
        assert_eq!(holder.to_string(), "gmetad (pid 77)");
    }

    #[test]
    fn where_the_system_tells_nothing_nothing_is_told() {
        assert_eq!(holder_in(Path::new("/nowhere"), 8651), None);
    }
}
