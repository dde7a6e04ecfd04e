//! What the service manager is told: the protocol of sd_notify(3), which systemd and others speak.
//!
//! Decides nothing: `main` and the loop say when a state begins. Where no manager listens, all of it
//! does nothing.

use std::ffi::OsStr;
use std::io::Write;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::sys::stat::fstat;
use nix::time::{ClockId, clock_gettime};

/// The variable that names the manager's socket.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Time for the manager to take the first message. It is waited for only before the loop runs.
const START_WITHIN: Duration = Duration::from_secs(5);

/// What this process has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The ports are bound, or a reload is over.
    Ready,
    /// The configuration is being read again.
    Reloading,
    /// It is about to end.
    Stopping,
    /// The loop turns.
    Alive,
}

/// The service manager that started this process, if one did and wants to be told.
#[derive(Debug, Default)]
pub struct Manager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// As the environment says.
    pub fn of_environment() -> Manager {
        let name = std::env::var_os(SOCKET).unwrap_or_default();
        let text = |name| std::env::var(name).unwrap_or_default();
        let socket = address(&name).and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_write_timeout(Some(START_WITHIN)).ok()?;
            Some((socket, address))
        });
        let limit = watchdog(
            &text("WATCHDOG_USEC"),
            &text("WATCHDOG_PID"),
            std::process::id(),
        );
        Manager {
            watchdog: limit.filter(|_| socket.is_some()),
            socket,
        }
    }

    /// Tells it. A manager that does not listen any more is not missed.
    pub fn tell(&self, state: State) {
        if let Some((socket, address)) = &self.socket {
            let _ = socket.send_to_addr(message(state).as_bytes(), address);
        }
    }

    /// From now on a message that the manager has no room for is dropped: the loop waits for nobody.
    pub fn wait_no_more(&self) {
        if let Some((socket, _)) = &self.socket {
            let _ = socket.set_nonblocking(true);
        }
    }

    /// How often to say [`State::Alive`], if at all: twice in the time that the manager allows.
    pub fn beat(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }
}

fn message(state: State) -> String {
    match state {
        State::Ready => "READY=1".into(),
        State::Reloading => {
            let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Into::into);
            format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros())
        }
        State::Stopping => "STOPPING=1".into(),
        State::Alive => "WATCHDOG=1".into(),
    }
}

/// An absolute path, or a name in the abstract namespace behind an `@`.
fn address(name: &OsStr) -> Option<SocketAddr> {
    match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name).ok(),
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
        _ => None,
    }
}

/// The time after which the manager takes this process for stuck.
fn watchdog(microseconds: &str, whose: &str, pid: u32) -> Option<Duration> {
    if !whose.is_empty() && whose.parse() != Ok(pid) {
        return None;
    }
    let limit = Duration::from_micros(microseconds.parse().ok()?);
    // Less cannot be kept, as the loop counts milliseconds.
    (limit >= Duration::from_millis(2)).then_some(limit)
}

/// Whether standard error is the journal, which gets what syslog gets: `JOURNAL_STREAM` of
/// systemd.exec(5).
pub fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let mut own = Vec::new();
    fstat(std::io::stderr()).is_ok_and(|it| {
        write!(own, "{}:{}", it.st_dev, it.st_ino).is_ok() && own == stream.as_bytes()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_a_path_or_an_abstract_name() {
        let of = |name: &str| address(OsStr::new(name));
        let path = of("/run/systemd/notify").expect("an address");
        let named = path.as_pathname().expect("a path");
        assert_eq!(named.to_str(), Some("/run/systemd/notify"));
        let abstracted = of("@it").expect("an address");
        assert_eq!(abstracted.as_abstract_name(), Some(&b"it"[..]));
        for none in ["", "notify", "vsock:2:9999"] {
            assert!(of(none).is_none(), "{none}");
        }
    }

    #[test]
    fn the_watchdog_is_that_of_this_process() {
        let two_minutes = Some(Duration::from_secs(120));
        assert_eq!(watchdog("120000000", "7", 7), two_minutes);
        assert_eq!(watchdog("120000000", "", 7), two_minutes);
        assert_eq!(watchdog("120000000", "8", 7), None);
        assert_eq!(watchdog("0", "7", 7), None);
        assert_eq!(watchdog("", "", 7), None);
        assert_eq!(watchdog("soon", "7", 7), None);
    }

    #[test]
    fn nothing_is_told_where_nobody_listens() {
        let manager = Manager::default();
        manager.tell(State::Ready);
        assert_eq!(manager.beat(), None);
    }
}
