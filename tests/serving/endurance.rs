//! A daemon that is stopped for a while, and one that has served very many clients.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::support::peers::{FakeSource, Script, document};
use crate::support::web::get;
use crate::support::{DEADLINE, Gmetad, wait_until};
use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt::Linger};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

const SOURCES: usize = 3;

/// Clients that ask while the daemon is stopped: as many as the system accepts for it.
const ASKED_MEANWHILE: usize = 50;

/// Threads whose clients come and go.
const THREADS: usize = 4;

struct Rig {
    gmetad: Gmetad,
    sources: Vec<FakeSource>,
    _folder: TempDir,
}

impl Rig {
    fn start() -> Rig {
        let sources: Vec<FakeSource> = (0..SOURCES)
            .map(|number| FakeSource::start(Script::Serve(cluster(number))))
            .collect();
        let mut directives = String::new();
        for (at, source) in sources.iter().enumerate() {
            let _ = writeln!(
                directives,
                "data_source s{at} 1 127.0.0.1:{}",
                source.port()
            );
        }
        let folder = tempdir().expect("a temporary folder");
        let gmetad = Gmetad::start(folder.path(), &directives);
        let rig = Rig {
            gmetad,
            sources,
            _folder: folder,
        };
        for source in &rig.sources {
            source.wait_for_polls(2);
        }
        rig
    }

    fn status(&self) -> Value {
        get(self.gmetad.interactive(), "/status").json()
    }

    fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.gmetad.pid());
        fs::read_dir(folder).expect("it runs").count()
    }

    fn resident_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.gmetad.pid()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let number = line.and_then(|it| it.split_whitespace().next());
        number.and_then(|it| it.parse().ok()).expect("a number")
    }
}

fn cluster(number: usize) -> Vec<u8> {
    let mut hosts = String::new();
    for host in 0..20 {
        let _ = writeln!(
            hosts,
            "<HOST NAME=\"h{host}\" TN=\"1\" TMAX=\"20\"><METRIC NAME=\"m\" VAL=\"1\" \
             TYPE=\"int32\" SLOPE=\"both\"/></HOST>"
        );
    }
    let inside = format!("<CLUSTER NAME=\"c{number}\" LOCALTIME=\"0\">{hosts}</CLUSTER>\n");
    document("gmond", &inside)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |it| it.parse().expect("a number"))
}

/// With `GMETAD_STOP_SECONDS=60` in the environment, for so long.
#[test]
fn a_daemon_that_is_stopped_for_a_while_then_answers_waiting_clients_and_continues() {
    let rig = Rig::start();
    rig.gmetad.signal(Signal::SIGSTOP);
    let asked: Vec<TcpStream> = (0..ASKED_MEANWHILE)
        .map(|at| {
            let address = rig.gmetad.interactive();
            let mut stream = TcpStream::connect(address).expect("the system accepts it");
            let limit = Some(DEADLINE);
            stream.set_read_timeout(limit).expect("a timeout");
            let request = format!("/c{}\n", at % SOURCES);
            stream.write_all(request.as_bytes()).expect("it is taken");
            stream
        })
        .collect();
    // No condition to wait for: the passing of time is the subject.
    thread::sleep(Duration::from_secs(number("GMETAD_STOP_SECONDS", 3)));
    rig.gmetad.signal(Signal::SIGCONT);
    for mut stream in asked {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.ends_with("</GANGLIA_XML>\n"), "{answer}");
        assert_eq!(answer.matches("<HOST ").count(), 20);
    }
    for source in &rig.sources {
        source.wait_for_polls(2);
    }
    let status = rig.status();
    for source in status["sources"].as_array().expect("a list") {
        assert_eq!(source["state"], "up", "{source}");
        assert_eq!(source["polls"]["failed"]["num"], 0, "{source}");
    }
    assert!(rig.gmetad.end().success());
}

/// One client of those that come and go.
fn come_and_go(xml: SocketAddr, interactive: SocketAddr, at: u64) {
    let address = if at.is_multiple_of(8) {
        xml
    } else {
        interactive
    };
    let Ok(mut stream) = TcpStream::connect(address) else {
        panic!("it does not listen any more");
    };
    let limit = Some(DEADLINE);
    stream.set_read_timeout(limit).expect("a timeout");
    let request: &[u8] = match at % 8 {
        1 => b"/c1\n",
        2 => b"/c0/h3\n",
        3 => b"GET /status HTTP/1.0\r\n\r\n",
        4 => b"\x00\xff<nonsense",
        5 => b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        // Says nothing, or only begins.
        6 => b"/c",
        _ => b"",
    };
    // It may be closed already.
    let _ = stream.write_all(request);
    match at % 8 {
        0 | 1 | 2 | 3 | 5 => {
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            assert!(!answer.is_empty(), "number {at} is answered");
        }
        6 => drop(stream.shutdown(Shutdown::Both)),
        // Gone with a reset, in the middle of an answer or before one.
        _ => {
            let linger = nix::libc::linger {
                l_onoff: 1,
                l_linger: 0,
            };
            setsockopt(&stream, Linger, &linger).expect("an option of sockets");
        }
    }
}

fn many_come_and_go(rig: &Rig, count: u64) {
    let (xml, interactive) = (rig.gmetad.xml(), rig.gmetad.interactive());
    thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            scope.spawn(move || {
                for at in (thread..count).step_by(THREADS) {
                    come_and_go(xml, interactive, at);
                }
            });
        }
    });
    wait_until("all clients to be gone", || {
        // This request is one of them.
        rig.status()["clients"]["connected"] == 1
    });
}

/// With `GMETAD_CONNECTIONS=100000` in the environment, so many.
#[test]
fn very_many_clients_leak_neither_descriptors_nor_memory() {
    let rig = Rig::start();
    // Buffers and tables have their size then.
    many_come_and_go(&rig, 2000);
    let (descriptors, resident_kb) = (rig.descriptors(), rig.resident_kb());
    let count = number("GMETAD_CONNECTIONS", 4000);
    many_come_and_go(&rig, count);
    let accepted = rig.status()["clients"]["accepted"].as_u64();
    assert!(accepted >= Some(count), "{accepted:?}");
    // A poll that is under way has one.
    wait_until("no more descriptors than before", || {
        rig.descriptors() <= descriptors
    });
    let now_kb = rig.resident_kb();
    println!("{count} connections: {resident_kb} KiB before, {now_kb} KiB after");
    assert!(
        now_kb <= resident_kb + 1024,
        "{resident_kb} KiB, {now_kb} KiB after {count} clients"
    );
    assert!(rig.gmetad.end().success());
}
