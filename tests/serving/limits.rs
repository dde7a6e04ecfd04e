//! Limits of clients through the real binary: how many, and what one may take.
//!
//! The core decides which client makes room, and each rule is tested there.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;

use crate::support::peers::{FakeSource, Script, document};
use crate::support::web::{Answer, get};
use crate::support::{DEADLINE, Gmetad, wait_for, wait_until};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::sockopt::RcvBuf;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect as net_connect, setsockopt, socket,
};
use tempfile::{TempDir, tempdir};

/// Answers are larger than the socket buffers.
const HOSTS: usize = 4000;

/// A busy machine must not make clients late.
const PATIENT: &str = "client_request_timeout 3600\nclient_idle_timeout 3600\nclient_timeout 3600";

/// A gmetad with a large cluster, and what keeps it alive.
struct Rig {
    gmetad: Gmetad,
    _source: FakeSource,
    folder: TempDir,
}

impl Rig {
    fn start(directives: &str) -> Rig {
        let mut hosts = String::new();
        for host in 0..HOSTS {
            let _ = writeln!(
                hosts,
                "<HOST NAME=\"host-{host}\" IP=\"10.0.0.1\" TN=\"1\" TMAX=\"1000\" DMAX=\"0\">"
            );
            for metric in 0..12 {
                let _ = writeln!(
                    hosts,
                    "<METRIC NAME=\"metric_{metric}\" VAL=\"{host}\" TYPE=\"uint32\" UNITS=\"\" \
                     TN=\"1\" TMAX=\"1000\" DMAX=\"0\" SLOPE=\"both\"/>"
                );
            }
            hosts += "</HOST>\n";
        }
        let cluster = format!("<CLUSTER NAME=\"c\" LOCALTIME=\"1700000000\">\n{hosts}</CLUSTER>\n");
        let source = FakeSource::start(Script::Serve(document("gmond", &cluster)));
        let folder = tempdir().expect("a temporary folder");
        let directives = format!(
            "debug_level 3\nwrite_rrds off\ndata_source s 60 127.0.0.1:{}\n{directives}\n",
            source.port()
        );
        let gmetad = Gmetad::start(folder.path(), &directives);
        wait_until("the source", || {
            gmetad.query("/c/host-0").contains("host-0")
        });
        Rig {
            gmetad,
            _source: source,
            folder,
        }
    }

    fn address(&self) -> SocketAddr {
        self.gmetad.interactive()
    }

    /// A client that says this and does not read.
    fn unread(&self, request: &str) -> TcpStream {
        let mut stream = connect(self.address());
        stream.write_all(request.as_bytes()).expect("it reads");
        stream
    }

    /// The same, with the smallest possible receive buffer.
    fn unread_by_a_small_system(&self, request: &str) -> TcpStream {
        let stream = socket(
            AddressFamily::Inet,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
        .expect("a socket");
        setsockopt(&stream, RcvBuf, &1).expect("an option");
        let SocketAddr::V4(address) = self.address() else {
            panic!("it listens at an IPv4 address");
        };
        net_connect(stream.as_raw_fd(), &SockaddrIn::from(address)).expect("it listens");
        let mut stream = TcpStream::from(stream);
        stream.write_all(request.as_bytes()).expect("it reads");
        stream
    }

    /// A figure of the clients.
    fn figure(&self, name: &str) -> u64 {
        let status = get(self.address(), "/status").json();
        status["clients"][name].as_u64().expect("a figure")
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// Bytes that this machine holds for a client of this process: not sent yet, or not taken.
fn unsent_to(client: &TcpStream) -> u64 {
    // As the table has it, of the server's end. A port alone would not do: clients of other servers have it too.
    let ports = [client.peer_addr(), client.local_addr()].map(|it| it.expect("connected").port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("this is Linux");
    // Local and remote address, state, and both queues, all in hexadecimal digits.
    let ours = table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_ours = [words.get(1)?, words.get(2)?]
            .iter()
            .zip(ports)
            .all(|(address, port)| address.ends_with(&format!(":{port:04X}")));
        let (unsent, _) = words.get(4)?.split_once(':')?;
        is_ours.then_some(unsent)
    });
    ours.map_or(0, |it| u64::from_str_radix(it, 16).expect("digits"))
}

fn rest_of(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset ends it as well.
    let _ = stream.read_to_end(&mut rest);
    rest
}

/// Lets this process have as many connections as the tests here need.
fn raise_descriptors() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("it has a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("up to the hard limit");
}

#[test]
fn at_the_limit_idle_clients_make_room_and_every_new_one_is_answered() {
    let rig = Rig::start("max_clients 40\nclient_request_timeout 3600");
    let idle: Vec<TcpStream> = (0..100).map(|_| connect(rig.address())).collect();
    // Half of all is one address's share, and each of these questions takes a place as well.
    wait_until("80 to have made room", || rig.figure("madeRoom") >= 80);
    for _ in 0..10 {
        assert!(rig.gmetad.query("/c/host-7").contains("\"host-7\""));
    }
    assert_eq!(rig.figure("crowdedOut"), 0);
    assert_eq!(rig.figure("connected"), 20);
    let line = rig.gmetad.wait_for_line("closed to make room");
    assert!(
        line.ends_with(
            "client 127.0.0.1: closed to make room for another, it was idle; the limit is 40 \
             clients, 20 from one address"
        ),
        "{line}"
    );
    // The oldest are closed; the newest are served when they ask.
    let mut served: Vec<bool> = Vec::new();
    for mut stream in idle {
        let _ = stream.write_all(b"/c/host-7\n");
        served.push(rest_of(stream).ends_with(b"</GANGLIA_XML>\n"));
    }
    assert!(served.is_sorted(), "{served:?}");
    assert!(!served[79] && served[99], "{served:?}");
    let healthy = get(rig.address(), "/healthz");
    assert_eq!(healthy.code, 200, "{}", healthy.text());
}

#[test]
fn idle_and_stalled_clients_lock_out_nobody_from_their_address() {
    raise_descriptors();
    let rig = Rig::start(&format!("max_clients_per_address 300\n{PATIENT}"));
    let idle: Vec<TcpStream> = (0..1000).map(|_| connect(rig.address())).collect();
    let unread: Vec<TcpStream> = (0..200).map(|_| rig.unread("/c\n")).collect();
    wait_until("900 to have made room", || rig.figure("madeRoom") >= 900);
    for _ in 0..20 {
        assert!(rig.gmetad.query("/c/host-7").contains("\"host-7\""));
    }
    assert_eq!(rig.figure("crowdedOut"), 0);
    assert_eq!(rig.figure("connected"), 300);
    // Clients that asked before keep their connections; idle ones were closed.
    for stream in unread {
        assert!(rest_of(stream).ends_with(b"</GANGLIA_XML>\n"));
    }
    drop(idle);
}

#[test]
fn if_no_client_is_idle_the_slowest_reader_makes_room() {
    let rig = Rig::start(&format!("max_clients_per_address 4\n{PATIENT}"));
    let unread: Vec<TcpStream> = (0..4).map(|_| rig.unread("/c\n")).collect();
    wait_until("an answer to one more client", || {
        let mut stream = connect(rig.address());
        let _ = stream.write_all(b"/c/host-7\n");
        rest_of(stream).ends_with(b"</GANGLIA_XML>\n")
    });
    rig.gmetad
        .wait_for_line("closed to make room for another, it took too little of its answer");
    let served = unread
        .into_iter()
        .filter(|stream| {
            let stream = stream.try_clone().expect("a socket");
            rest_of(stream).ends_with(b"</GANGLIA_XML>\n")
        })
        .count();
    assert_eq!(served, 3, "one made room");
}

#[test]
fn stalled_scrapes_make_room_for_one_that_is_read() {
    let rig = Rig::start("");
    let scrape = "GET /metrics?scope=all HTTP/1.0\r\n\r\n";
    let unread: Vec<TcpStream> = (0..8).map(|_| rig.unread(scrape)).collect();
    let answer: Answer = wait_for("a scrape of the same address", || {
        let answer = get(rig.address(), "/metrics?scope=all");
        (answer.code == 200).then_some(answer)
    });
    let last = "ganglia_metric_9{cluster=\"c\",host=\"host-3999\"} 3999\n";
    assert!(answer.text().contains(last));
    rig.gmetad
        .wait_for_line("closed to make room for another, it took too little of its answer");
    assert!(rig.figure("madeRoom") >= 1);
    drop(unread);
}

#[test]
fn client_timeouts_are_as_configured() {
    // A client's fault is logged once for a while, so each has its own daemon.
    let with = |what: &str| {
        let rig = Rig::start(PATIENT);
        let (old, new) = (format!("\n{what} 3600"), format!("\n{what} 1"));
        rig.gmetad.reload(rig.folder.path(), &old, &new);
        rig
    };
    let rig = with("client_idle_timeout");
    let _unread = rig.unread("/c\n");
    rig.gmetad
        .wait_for_line("it took nothing of its answer for 1 s");

    let rig = with("client_request_timeout");
    let _silent = connect(rig.address());
    rig.gmetad.wait_for_line("it sent no request for 1 s");
    let begun = rig.unread("GET /c");
    let answer = String::from_utf8_lossy(&rest_of(begun)).into_owned();
    assert!(answer.starts_with("HTTP/1.0 408 "), "{answer}");
    assert!(answer.contains("within 1 s"), "{answer}");

    let rig = with("client_timeout");
    let _unread = rig.unread("/c\n");
    rig.gmetad.wait_for_line("it took its answer too slowly");
}

#[test]
fn a_request_may_be_as_long_as_configured_and_no_longer() {
    let rig = Rig::start("max_request_bytes 256");
    let line = |len: usize| format!("/c/{}", "x".repeat(len - 3));
    assert!(rig.gmetad.query(&line(256)).ends_with("</GANGLIA_XML>\n"));
    assert_eq!(rest_of(rig.unread(&(line(257) + "\n"))), b"");
    rig.gmetad
        .wait_for_line("its request line is longer than 256 bytes");
    let target = |len: usize| line(len - "GET  HTTP/1.1".len());
    assert_eq!(get(rig.address(), &target(256)).code, 404);
    let answer = get(rig.address(), &target(257));
    assert_eq!(answer.code, 414);
    assert!(answer.text().contains("longer than 256 bytes"));
}

#[test]
fn no_more_of_an_answer_is_buffered_by_the_kernel_than_configured() {
    // One turn's writes may come on top, and the client's receive buffer.
    const TURN: u64 = 64 << 10;
    const TAKEN: u64 = 32 << 10;
    for kilobytes in [16, 64, 256, 1024] {
        let rig = Rig::start(&format!("max_unread_kb {kilobytes}"));
        let client = rig.unread_by_a_small_system("/c\n");
        let waits = || unsent_to(&client);
        let limit = kilobytes << 10;
        wait_until(&format!("{kilobytes} KiB to wait"), || waits() >= limit);
        // It stays so: nothing more is read.
        wait_until("no more to come", || {
            let sent = rig.figure("sentBytes");
            rig.gmetad.query("/c/host-0");
            rig.gmetad.query("/c/host-0");
            rig.figure("sentBytes") - sent < TURN / 4
        });
        let waiting = waits();
        assert!(
            waiting < limit + TURN + TAKEN,
            "{waiting} of {kilobytes} KiB"
        );
    }
}
