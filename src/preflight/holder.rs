//! Who listens on a port, from what /proc shows.
//!
//! Other users' processes are seen in full by root alone; where /proc does not tell, nobody is named.

use std::fmt;
use std::fs;
use std::net::SocketAddr;

/// A process that has something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its pid.
    pub pid: i32,
    /// Its name, as ps(1) shows it.
    pub name: String,
}

impl Holder {
    pub(super) fn gmetad(pid: i32) -> Holder {
        Holder {
            pid,
            name: "gmetad".into(),
        }
    }

    /// C gmetad has the same name.
    pub(super) fn is_gmetad(&self) -> bool {
        self.name == "gmetad"
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, pid {}", self.name, self.pid)
    }
}

/// The process that listens on the port, at this address or at all.
pub(super) fn of_port(address: SocketAddr) -> Option<Holder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inodes: Vec<u64> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, address.port()))
        .collect();
    let processes = fs::read_dir("/proc").ok()?;
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .find(|pid| has_socket(*pid, &inodes))
        .map(|pid| Holder {
            pid,
            name: name_of(pid),
        })
}

/// Inodes of the sockets that listen on the port, by a table as in proc_net_tcp(5).
fn listening(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let inode = |line: &str| {
        let mut fields = line.split_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        let (_, number) = local.rsplit_once(':')?;
        let is_it = u16::from_str_radix(number, 16) == Ok(port) && state == LISTEN;
        is_it.then(|| inode.parse().ok())?
    };
    table.lines().skip(1).filter_map(inode).collect()
}

fn has_socket(pid: i32, inodes: &[u64]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors.filter_map(Result::ok).any(|descriptor| {
        let link = fs::read_link(descriptor.path()).unwrap_or_default();
        let inode = link.to_str().and_then(|link| {
            let inode = link.strip_prefix("socket:[")?.strip_suffix(']')?;
            inode.parse().ok()
        });
        inode.is_some_and(|inode: u64| inodes.contains(&inode))
    })
}

fn name_of(pid: i32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name: String = name
        .trim_end()
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    if name.is_empty() {
        "a process".into()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_tells_who_listens_on_a_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                     \x20  0: 0100007F:21CB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
                     \x20  1: 0100007F:21CB 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n\
                     \x20  2: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\n\
                     nonsense\n";
        assert_eq!(listening(table, 8651), [4711]);
        assert_eq!(listening(table, 22), [4713]);
        assert_eq!(listening(table, 23), [0_u64; 0]);
    }

    #[test]
    fn our_own_socket_is_found() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let holder = of_port(address).expect("it is ours");
        assert_eq!(holder.pid.unsigned_abs(), std::process::id());
        assert!(!holder.is_gmetad());
    }
}
