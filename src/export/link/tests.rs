//! The promises of a connection, held to real sockets on this machine.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use gmetad_core::status::ExportStatus;

use super::*;
use gmetad_core::source::HostPort;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(20);

/// Hardly any pause.
struct Eager;

impl Pacing for Eager {
    fn failed(&mut self) -> Duration {
        SHORT
    }

    fn succeeded(&mut self) {}
}

/// Never comes back after a failure.
struct Offended;

impl Pacing for Offended {
    fn failed(&mut self) -> Duration {
        Duration::from_secs(3600)
    }

    fn succeeded(&mut self) {}
}

struct Mute;

impl Dialect for Mute {}

/// Each batch ends in a full stop and is answered by a line, which is why some were refused.
struct Talking;

impl Dialect for Talking {
    fn opening(&self, batch: &Batch, wire: &mut Vec<u8>) {
        wire.extend_from_slice(format!("{}:", batch.items).as_bytes());
    }

    fn closing(&self) -> &'static [u8] {
        b"."
    }

    fn answers(&self) -> bool {
        true
    }

    fn answer(&self, stream: &mut Stream<'_>, _: &Batch) -> Result<Answer, StreamError> {
        let reason = stream.read_line(100)?;
        let refused = (0..reason.len() as u32).collect();
        Ok(Answer {
            refused,
            passed: 0,
            reason,
        })
    }
}

struct Rig {
    _folder: tempfile::TempDir,
    path: PathBuf,
    counters: Arc<ExportCounters>,
}

impl Rig {
    fn new() -> Rig {
        let folder = tempfile::tempdir().unwrap();
        Rig {
            path: folder.path().join("socket"),
            _folder: folder,
            counters: Arc::default(),
        }
    }

    fn connect(&self, dialect: impl Dialect + 'static, limit_bytes: usize) -> Connection {
        self.connect_to(Endpoint::Unix(self.path.clone()), dialect, limit_bytes, 10)
    }

    fn connect_to(
        &self,
        endpoint: Endpoint,
        dialect: impl Dialect + 'static,
        limit_bytes: usize,
        batch_bytes: usize,
    ) -> Connection {
        let peer = peer(endpoint, dialect, limit_bytes);
        Connection::open(peer, batch_bytes, &self.counters).unwrap()
    }

    fn status(&self) -> ExportStatus {
        self.counters.status("test")
    }

    #[track_caller]
    fn wait(&self, what: &str, holds: impl Fn(&ExportStatus) -> bool) {
        let deadline = Instant::now() + LONG;
        while !holds(&self.status()) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.status());
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn peer(endpoint: Endpoint, dialect: impl Dialect + 'static, limit_bytes: usize) -> Peer {
    Peer {
        id: "test",
        endpoint,
        patience: Patience {
            connect: LONG,
            stall: SHORT,
        },
        dialect: Box::new(dialect),
        pacing: Box::new(Eager),
        limit_bytes,
    }
}

fn put(connection: &mut Connection, items: &[&str]) {
    for item in items {
        connection.put(item.as_bytes());
    }
    connection.hand_over();
}

/// Takes one connection and reads it to its end.
fn reader(path: &Path) -> JoinHandle<String> {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        let mut text = String::new();
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_to_string(&mut text).unwrap();
        text
    })
}

fn read(stream: &mut UnixStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn what_came_while_the_server_was_away_is_sent_in_order_when_it_is_back() {
    let rig = Rig::new();
    let mut connection = rig.connect(Mute, 10_000);
    put(&mut connection, &["a 1\n", "b 2\n", "c 3\n"]);
    rig.wait("a first failure", |it| it.failing);
    put(&mut connection, &["d 4\n"]);
    assert_eq!((rig.status().sent, rig.status().connects), (0, 0));
    assert!(rig.status().waiting_bytes > 0);
    let server = reader(&rig.path);
    rig.wait("the rest to be sent", |it| it.sent == 4);
    close(vec![connection]);
    assert_eq!(server.join().unwrap(), "a 1\nb 2\nc 3\nd 4\n");
    let status = rig.status();
    assert_eq!((status.sent_bytes, status.waiting_bytes), (16, 0));
    assert_eq!((status.dropped, status.failed), (0, 0));
    assert!(status.last_ms > 0 && !status.failing);
}

#[test]
fn a_server_that_never_reads_costs_no_time_and_no_more_than_its_backlog() {
    let rig = Rig::new();
    let listener = UnixListener::bind(&rig.path).unwrap();
    let limit = 100_000;
    let mut connection = rig.connect_to(Endpoint::Unix(rig.path.clone()), Mute, limit, 1000);
    let item = "x".repeat(100);
    let start = Instant::now();
    for _ in 0..50_000 {
        connection.put(item.as_bytes());
        assert!(rig.status().waiting_bytes <= limit as u64);
    }
    connection.hand_over();
    assert!(start.elapsed() < Duration::from_secs(5), "nobody waits");
    rig.wait("it to be given up", |it| it.failing);
    let status = rig.status();
    assert!(status.dropped > 30_000, "{status:?}");
    close(vec![connection]);
    let status = rig.status();
    assert_eq!(status.sent + status.dropped, 50_000);
    assert_eq!(status.waiting_bytes, 0);
    drop(listener);
}

#[test]
fn what_is_left_at_the_end_is_sent() {
    let rig = Rig::new();
    let server = reader(&rig.path);
    let mut connection = rig.connect(Mute, 10_000);
    connection.put(b"last\n");
    close(vec![connection]);
    assert_eq!(server.join().unwrap(), "last\n");
}

#[test]
fn a_server_that_is_away_does_not_hold_the_end_up() {
    let rig = Rig::new();
    let mut connection = rig.connect(Mute, 10_000);
    put(&mut connection, &["a\n", "b\n"]);
    rig.wait("a first failure", |it| it.failing);
    let start = Instant::now();
    close(vec![connection]);
    assert!(start.elapsed() < CLOSE_LIMIT);
    let status = rig.status();
    assert_eq!((status.dropped, status.waiting_bytes), (2, 0));
}

#[test]
fn a_server_that_was_restarted_in_between_misses_nothing() {
    let rig = Rig::new();
    let mut connection = rig.connect(Mute, 10_000);
    let first = UnixListener::bind(&rig.path).unwrap();
    put(&mut connection, &["a\n"]);
    let (mut stream, _) = first.accept().unwrap();
    assert_eq!(read(&mut stream, 2), "a\n");
    drop((stream, first));
    std::fs::remove_file(&rig.path).unwrap();
    let second = UnixListener::bind(&rig.path).unwrap();
    put(&mut connection, &["b\n"]);
    let (mut stream, _) = second.accept().unwrap();
    assert_eq!(read(&mut stream, 2), "b\n");
    close(vec![connection]);
}

#[test]
fn a_batch_whose_answer_did_not_come_is_sent_again() {
    let rig = Rig::new();
    let listener = UnixListener::bind(&rig.path).unwrap();
    let mut connection = rig.connect(Talking, 10_000);
    put(&mut connection, &["ab", "cd"]);
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(read(&mut stream, 7), "2:abcd.");
    drop(stream);
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(read(&mut stream, 7), "2:abcd.");
    stream.write_all(b"\n").unwrap();
    rig.wait("the answer", |it| it.sent == 2);
    close(vec![connection]);
    assert_eq!(rig.status().sent_bytes, 4, "once");
}

#[test]
fn what_is_refused_is_counted_and_not_sent_again() {
    let rig = Rig::new();
    let listener = UnixListener::bind(&rig.path).unwrap();
    let mut connection = rig.connect(Talking, 10_000);
    put(&mut connection, &["ab", "cd"]);
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(read(&mut stream, 7), "2:abcd.");
    stream.write_all(b"x\n").unwrap();
    rig.wait("the answer", |it| it.sent == 1);
    put(&mut connection, &["ef"]);
    assert_eq!(read(&mut stream, 5), "1:ef.");
    stream.write_all(b"xxxxxx\n").unwrap();
    rig.wait("the second answer", |it| it.failed == 2);
    close(vec![connection]);
    assert_eq!(rig.status().sent, 1);
}

#[test]
fn a_refusal_is_an_answer_and_holds_nothing_up() {
    let rig = Rig::new();
    let listener = UnixListener::bind(&rig.path).unwrap();
    let peer = Peer {
        pacing: Box::new(Offended),
        patience: Patience {
            connect: LONG,
            stall: LONG,
        },
        ..peer(Endpoint::Unix(rig.path.clone()), Talking, 10_000)
    };
    let mut connection = Connection::open(peer, 10, &rig.counters).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for _ in 0..50 {
            // All of it.
            assert_eq!(read(&mut stream, 7), "2:abcd.");
            stream.write_all(b"xx\n").unwrap();
        }
        assert_eq!(read(&mut stream, 7), "2:abcd.");
        stream.write_all(b"\n").unwrap();
        stream
    });
    for _ in 0..51 {
        put(&mut connection, &["ab", "cd"]);
    }
    rig.wait("all answers", |it| it.sent == 2 && it.failed == 100);
    let stream = server.join().unwrap();
    assert_eq!((rig.status().refusing, rig.status().failing), (0, false));
    close(vec![connection]);
    drop(stream);
}

#[test]
fn datagrams_hold_whole_items_up_to_their_limit() {
    let rig = Rig::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let place = HostPort {
        host: "localhost".into(),
        port: socket.local_addr().unwrap().port(),
    };
    let mut connection = rig.connect_to(Endpoint::Udp(place), Mute, 1_000_000, 100);
    let item = "x".repeat(30);
    for _ in 0..300 {
        connection.put(item.as_bytes());
    }
    connection.put("y".repeat(300).as_bytes());
    connection.hand_over();
    let mut bytes = [0; 2000];
    for _ in 0..100 {
        assert_eq!(socket.recv(&mut bytes).unwrap(), 90);
    }
    assert_eq!(socket.recv(&mut bytes).unwrap(), 300, "one that is longer");
    close(vec![connection]);
    assert_eq!(rig.status().sent, 301);
}
