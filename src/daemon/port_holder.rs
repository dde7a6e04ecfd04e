//! Who listens on a port, where the system tells: Linux, in `/proc`.
//!
//! For the sake of a message only: what cannot be read is left out, and nothing fails for it.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Most processes that are looked through: a message must not keep anybody waiting.
const PROCESSES_LIMIT: usize = 100_000;

/// The state LISTEN in proc_net_tcp(5).
const LISTEN: &str = "0A";

/// Who has a port, or the pid file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortHolder {
    /// A process whose descriptors we may see.
    Process {
        /// Its name, as ps(1) shows it.
        name: String,
        /// Its pid.
        pid: u32,
    },
    /// A process whose descriptors we may not see, as it is another user's.
    OfUser {
        /// The user's number.
        uid: u32,
    },
}

impl PortHolder {
    /// Whether it is a gmetad; C gmetad's process has the same name.
    pub fn is_gmetad(&self) -> bool {
        matches!(self, PortHolder::Process { name, .. } if name == "gmetad")
    }
}

impl fmt::Display for PortHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortHolder::Process { name, pid } => write!(f, "{name} (pid {pid})"),
            PortHolder::OfUser { uid } => write!(f, "a process of uid {uid} (root can see which)"),
        }
    }
}

/// Why a port cannot be listened on, and what to do: the same words at a start and for `-t`.
pub fn cannot_listen(
    directive: &str,
    address: SocketAddr,
    error: &io::Error,
    holder: Option<&PortHolder>,
) -> String {
    let what = format!("{directive} {address} cannot be listened on: ");
    match (error.kind(), holder) {
        (io::ErrorKind::AddrInUse, Some(holder)) => {
            format!("{what}{holder} has the port; end that process, or choose another port")
        }
        (io::ErrorKind::AddrInUse, None) => {
            format!("{what}{error}; choose another port, or end the process that has it")
        }
        (io::ErrorKind::PermissionDenied, _) => {
            format!("{what}{error}; start as root, or choose a port above 1023")
        }
        (io::ErrorKind::AddrNotAvailable, _) => {
            format!("{what}{error}; set bind_address to an address of this machine")
        }
        _ => format!("{what}{error}"),
    }
}

/// Who listens on that TCP port, at the address or at one that conflicts with it.
pub fn port_holder(address: SocketAddr) -> Option<PortHolder> {
    holder_in(Path::new("/proc"), address)
}

fn holder_in(proc: &Path, address: SocketAddr) -> Option<PortHolder> {
    let sockets: Vec<Socket> = ["net/tcp", "net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(proc.join(table)).ok())
        .flat_map(|table| listening(&table, address))
        .collect();
    let uid = sockets.first()?.uid;
    let links: Vec<String> = sockets
        .iter()
        .map(|socket| format!("socket:[{}]", socket.inode))
        .collect();
    let processes = fs::read_dir(proc).ok()?.flatten();
    let mut pids = processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .take(PROCESSES_LIMIT);
    Some(match pids.find(|pid| has_one_of(proc, *pid, &links)) {
        Some(pid) => PortHolder::Process {
            name: name_of(proc, pid),
            pid,
        },
        None => PortHolder::OfUser { uid },
    })
}

struct Socket {
    inode: u64,
    uid: u32,
}

/// The sockets of a table, as in proc_net_tcp(5), that keep others from listening at the address.
fn listening(table: &str, address: SocketAddr) -> Vec<Socket> {
    let socket = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, port) = words.get(1)?.split_once(':')?;
        let is_port = u16::from_str_radix(port, 16) == Ok(address.port());
        if !is_port || *words.get(3)? != LISTEN || !clash(ip(local)?, address.ip()) {
            return None;
        }
        Some(Socket {
            uid: words.get(7)?.parse().ok()?,
            inode: words.get(9)?.parse().ok()?,
        })
    };
    table.lines().skip(1).filter_map(socket).collect()
}

/// An address from a table: words of four bytes, each in the byte order of the machine.
fn ip(hex: &str) -> Option<IpAddr> {
    let mut bytes = [0; 16];
    for (at, word) in bytes.chunks_exact_mut(4).enumerate() {
        let Some(digits) = hex.get(8 * at..8 * at + 8) else {
            break;
        };
        let number = u32::from_str_radix(digits, 16).ok()?;
        word.copy_from_slice(&number.to_ne_bytes());
    }
    match hex.len() {
        8 => Some([bytes[0], bytes[1], bytes[2], bytes[3]].into()),
        32 => Some(IpAddr::from(bytes).to_canonical()),
        _ => None,
    }
}

fn clash(one: IpAddr, other: IpAddr) -> bool {
    let other = other.to_canonical();
    one == other || one.is_unspecified() || other.is_unspecified()
}

fn has_one_of(proc: &Path, pid: u32, links: &[String]) -> bool {
    let descriptors = fs::read_dir(proc.join(format!("{pid}/fd")));
    let mut descriptors = descriptors.into_iter().flatten().flatten();
    descriptors.any(|entry| {
        let link = fs::read_link(entry.path()).unwrap_or_default();
        links.iter().any(|socket| link.as_os_str() == &**socket)
    })
}

fn name_of(proc: &Path, pid: u32) -> String {
    let name = fs::read_to_string(proc.join(format!("{pid}/comm"))).unwrap_or_default();
    let name = name.trim_end();
    if name.is_empty() {
        return "a process".into();
    }
    // A process may give itself any name.
    name.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when \
        retrnsmt   uid  timeout inode\n";

    fn entry(local: &str, state: &str, uid: u32, inode: u64) -> String {
        format!(
            "   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {uid:5} \
             0 {inode} 1 0000000000000000 100 0 0 10 0\n"
        )
    }

    /// Listens on 127.0.0.1:8651, and is connected at 127.0.0.1:8652.
    fn proc() -> tempfile::TempDir {
        let proc = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(proc.path().join("net")).expect("made");
        let table =
            entry("0100007F:21CB", "0A", 101, 4711) + &entry("0100007F:21CC", "01", 0, 4712);
        fs::write(proc.path().join("net/tcp"), HEAD.to_owned() + &table).expect("written");
        proc
    }

    fn at(address: &str) -> SocketAddr {
        address.parse().expect("an address")
    }

    #[test]
    fn a_port_is_its_listeners_and_not_its_connections() {
        let proc = proc();
        let holder = |address| holder_in(proc.path(), at(address));
        assert_eq!(holder("127.0.0.1:8652"), None);
        let unseen = Some(PortHolder::OfUser { uid: 101 });
        assert_eq!(holder("127.0.0.1:8651"), unseen);
        let fd = proc.path().join("77/fd");
        fs::create_dir_all(&fd).expect("made");
        symlink("socket:[4712]", fd.join("3")).expect("linked");
        assert_eq!(holder("127.0.0.1:8651"), unseen);
        symlink("socket:[4711]", fd.join("4")).expect("linked");
        fs::write(proc.path().join("77/comm"), "gmetad\n").expect("written");
        let process = holder("127.0.0.1:8651").expect("told");
        assert_eq!(process.to_string(), "gmetad (pid 77)");
        assert!(process.is_gmetad());
        fs::write(proc.path().join("77/comm"), "a\x1b[31m\n").expect("written");
        let process = holder("127.0.0.1:8651").expect("told");
        assert_eq!(process.to_string(), "a\\u{1b}[31m (pid 77)");
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn only_a_listener_that_shuts_the_address_out_is_named() {
        let listens = |local: &str, address: &str| {
            let table = HEAD.to_owned() + &entry(local, "0A", 0, 1);
            !listening(&table, at(address)).is_empty()
        };
        let any6 = "00000000000000000000000000000000:21CB";
        let mapped = "0000000000000000FFFF00000100007F:21CB";
        let loopback6 = "00000000000000000000000001000000:21CB";
        assert!(listens("0100007F:21CB", "[::]:8651"));
        assert!(listens("00000000:21CB", "10.1.2.3:8651"));
        assert!(listens(any6, "127.0.0.1:8651"));
        assert!(listens(mapped, "127.0.0.1:8651"));
        assert!(listens(loopback6, "[::1]:8651"));
        assert!(!listens("0200007F:21CB", "127.0.0.1:8651"));
        assert!(!listens(loopback6, "127.0.0.1:8651"));
        for odd in [
            "0100007F",
            "é00007F:21CB",
            "XX00007F:21CB",
            ":21CB",
            "1:21CB",
        ] {
            assert!(!listens(odd, "127.0.0.1:8651"), "{odd}");
        }
    }

    #[test]
    fn where_the_system_tells_nothing_nothing_is_told() {
        assert_eq!(holder_in(Path::new("/nowhere"), at("127.0.0.1:8651")), None);
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let said = |kind: io::ErrorKind, holder: Option<PortHolder>| {
            cannot_listen(
                "xml_port",
                at("127.0.0.1:80"),
                &kind.into(),
                holder.as_ref(),
            )
        };
        let nc = PortHolder::Process {
            name: "nc".into(),
            pid: 7,
        };
        let begins = "xml_port 127.0.0.1:80 cannot be listened on: ";
        for (kind, holder, ends) in [
            (
                io::ErrorKind::AddrInUse,
                Some(nc),
                "nc (pid 7) has the port; end that process, or choose another port",
            ),
            (
                io::ErrorKind::AddrInUse,
                None,
                "address in use; choose another port, or end the process that has it",
            ),
            (
                io::ErrorKind::PermissionDenied,
                None,
                "permission denied; start as root, or choose a port above 1023",
            ),
            (
                io::ErrorKind::AddrNotAvailable,
                None,
                "address not available; set bind_address to an address of this machine",
            ),
        ] {
            assert_eq!(said(kind, holder), format!("{begins}{ends}"));
        }
    }
}
