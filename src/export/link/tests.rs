//! The promises of a link, held to real sockets on this machine.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::thread::{self, JoinHandle};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
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

/// Each batch has its number of values in front and ends in a full stop. It is answered by a line,
/// whose length says how many are refused and whose text says why.
struct Talking;

impl Dialect for Talking {
    fn encode(&self, batch: &Batch, out: &mut Vec<u8>, _: &mut Vec<u8>) {
        out.extend_from_slice(format!("{}:", batch.values()).as_bytes());
        out.extend_from_slice(batch.bytes());
        out.push(b'.');
    }

    fn answers(&self) -> bool {
        true
    }

    fn answer(&self, reader: &mut AnswerReader<'_>, _: &Frame) -> Result<BatchAnswer, LinkError> {
        let reason = reader.line(100)?;
        let refused = (0..reason.len() as u32).collect();
        Ok(BatchAnswer {
            refused,
            left_out: 0,
            reason,
            ..BatchAnswer::default()
        })
    }
}

/// Compressed lines, each batch a gzip member; counts the batches.
struct Gzipped(Arc<AtomicU32>);

impl Dialect for Gzipped {
    fn encode(&self, batch: &Batch, out: &mut Vec<u8>, _: &mut Vec<u8>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        let mut encoder = GzEncoder::new(out, Compression::fast());
        encoder.write_all(batch.bytes()).unwrap();
        encoder.finish().unwrap();
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

    fn connect(&self, dialect: impl Dialect + 'static, limit_bytes: usize) -> Link {
        self.connect_to(Endpoint::Unix(self.path.clone()), dialect, limit_bytes, 10)
    }

    fn connect_to(
        &self,
        endpoint: Endpoint,
        dialect: impl Dialect + 'static,
        limit_bytes: usize,
        batch_bytes: usize,
    ) -> Link {
        let server = Server {
            batch_bytes,
            ..server(endpoint, dialect, limit_bytes)
        };
        Link::open("test", server, &self.counters, 0).unwrap()
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

fn server(endpoint: Endpoint, dialect: impl Dialect + 'static, limit_bytes: usize) -> Server {
    Server {
        timeouts: Timeouts {
            connect: LONG,
            stall: SHORT,
        },
        pacing: Box::new(Eager),
        limit_bytes,
        ..Server::new("test_server", endpoint, dialect)
    }
}

fn put(link: &mut Link, values: &[&str]) {
    for value in values {
        link.put(value.as_bytes());
    }
    link.hand_over();
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
    let mut link = rig.connect(Mute, 10_000);
    put(&mut link, &["a 1\n", "b 2\n", "c 3\n"]);
    rig.wait("a first failure", |it| it.failing);
    put(&mut link, &["d 4\n"]);
    assert_eq!((rig.status().sent, rig.status().connects), (0, 0));
    assert!(rig.status().waiting_bytes > 0);
    let server = reader(&rig.path);
    rig.wait("the rest to be sent", |it| it.sent == 4);
    close(vec![link]);
    assert_eq!(server.join().unwrap(), "a 1\nb 2\nc 3\nd 4\n");
    let status = rig.status();
    assert_eq!((status.sent_bytes, status.waiting_bytes), (16, 0));
    assert_eq!((status.dropped, status.failed), (0, 0));
    assert!(status.last_ms > 0 && !status.failing);
}

#[test]
fn a_batch_is_encoded_once_before_it_waits_and_waits_compressed() {
    let rig = Rig::new();
    let encoded = Arc::new(AtomicU32::new(0));
    let dialect = Gzipped(Arc::clone(&encoded));
    let endpoint = Endpoint::Unix(rig.path.clone());
    let mut link = rig.connect_to(endpoint, dialect, 1_000_000, 10_000);
    let value = format!("{} 1\n", "path".repeat(20));
    let lines = vec![value.as_str(); 1000];
    put(&mut link, &lines);
    let batches = encoded.load(Ordering::Relaxed);
    assert!(batches > 1);
    rig.wait("a first failure", |it| it.failing);
    let waiting = rig.status().waiting_bytes;
    assert!(waiting < lines.concat().len() as u64 / 10, "{waiting}");
    let server = {
        let listener = UnixListener::bind(&rig.path).unwrap();
        thread::spawn(move || {
            let mut text = String::new();
            let (stream, _) = listener.accept().unwrap();
            MultiGzDecoder::new(stream)
                .read_to_string(&mut text)
                .unwrap();
            text
        })
    };
    rig.wait("all of it to be sent", |it| it.sent == 1000);
    close(vec![link]);
    assert_eq!(server.join().unwrap(), lines.concat());
    assert_eq!(encoded.load(Ordering::Relaxed), batches);
}

#[test]
fn a_server_that_never_reads_costs_no_time_and_no_more_than_its_backlog() {
    let rig = Rig::new();
    let listener = UnixListener::bind(&rig.path).unwrap();
    let limit = 100_000;
    let mut link = rig.connect_to(Endpoint::Unix(rig.path.clone()), Mute, limit, 1000);
    let item = "x".repeat(100);
    let start = Instant::now();
    for _ in 0..50_000 {
        link.put(item.as_bytes());
        assert!(rig.status().waiting_bytes <= limit as u64);
    }
    link.hand_over();
    assert!(start.elapsed() < Duration::from_secs(5), "nobody waits");
    rig.wait("it to be given up", |it| it.failing);
    let status = rig.status();
    assert!(status.dropped > 30_000, "{status:?}");
    close(vec![link]);
    let status = rig.status();
    assert_eq!(status.sent + status.dropped, 50_000);
    assert_eq!(status.waiting_bytes, 0);
    drop(listener);
}

#[test]
fn what_is_left_at_the_end_is_sent() {
    let rig = Rig::new();
    let server = reader(&rig.path);
    let mut link = rig.connect(Mute, 10_000);
    link.put(b"last\n");
    close(vec![link]);
    assert_eq!(server.join().unwrap(), "last\n");
}

#[test]
fn a_server_that_is_away_does_not_hold_the_end_up() {
    let rig = Rig::new();
    let mut link = rig.connect(Mute, 10_000);
    put(&mut link, &["a\n", "b\n"]);
    rig.wait("a first failure", |it| it.failing);
    let start = Instant::now();
    close(vec![link]);
    assert!(start.elapsed() < CLOSE_LIMIT);
    let status = rig.status();
    assert_eq!((status.dropped, status.waiting_bytes), (2, 0));
}

#[test]
fn a_server_that_was_restarted_in_between_misses_nothing() {
    let rig = Rig::new();
    let mut link = rig.connect(Mute, 10_000);
    let first = UnixListener::bind(&rig.path).unwrap();
    put(&mut link, &["a\n"]);
    let (mut stream, _) = first.accept().unwrap();
    assert_eq!(read(&mut stream, 2), "a\n");
    drop((stream, first));
    std::fs::remove_file(&rig.path).unwrap();
    let second = UnixListener::bind(&rig.path).unwrap();
    put(&mut link, &["b\n"]);
    let (mut stream, _) = second.accept().unwrap();
    assert_eq!(read(&mut stream, 2), "b\n");
    close(vec![link]);
}

#[test]
fn a_batch_whose_answer_did_not_come_is_sent_again() {
    let rig = Rig::new();
    let listener = UnixListener::bind(&rig.path).unwrap();
    let mut link = rig.connect(Talking, 10_000);
    put(&mut link, &["ab", "cd"]);
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(read(&mut stream, 7), "2:abcd.");
    drop(stream);
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(read(&mut stream, 7), "2:abcd.");
    stream.write_all(b"\n").unwrap();
    rig.wait("the answer", |it| it.sent == 2);
    close(vec![link]);
    assert_eq!(rig.status().sent_bytes, 7, "once");
}

#[test]
fn what_is_refused_is_counted_and_not_sent_again() {
    let rig = Rig::new();
    let listener = UnixListener::bind(&rig.path).unwrap();
    let mut link = rig.connect(Talking, 10_000);
    put(&mut link, &["ab", "cd"]);
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(read(&mut stream, 7), "2:abcd.");
    stream.write_all(b"x\n").unwrap();
    rig.wait("the answer", |it| it.sent == 1);
    put(&mut link, &["ef"]);
    assert_eq!(read(&mut stream, 5), "1:ef.");
    stream.write_all(b"xxxxxx\n").unwrap();
    rig.wait("the second answer", |it| it.failed == 2);
    close(vec![link]);
    assert_eq!(rig.status().sent, 1);
}

#[test]
fn a_refusal_is_an_answer_and_holds_nothing_up() {
    let rig = Rig::new();
    let listener = UnixListener::bind(&rig.path).unwrap();
    let server = Server {
        pacing: Box::new(Offended),
        timeouts: Timeouts {
            connect: LONG,
            stall: LONG,
        },
        batch_bytes: 10,
        ..server(Endpoint::Unix(rig.path.clone()), Talking, 10_000)
    };
    let mut link = Link::open("test", server, &rig.counters, 0).unwrap();
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
        put(&mut link, &["ab", "cd"]);
    }
    rig.wait("all answers", |it| it.sent == 2 && it.failed == 100);
    let stream = server.join().unwrap();
    assert_eq!((rig.status().refusing, rig.status().failing), (0, false));
    close(vec![link]);
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
    let mut link = rig.connect_to(Endpoint::Udp(place), Mute, 1_000_000, 100);
    let item = "x".repeat(30);
    for _ in 0..300 {
        link.put(item.as_bytes());
    }
    link.put("y".repeat(300).as_bytes());
    link.hand_over();
    let mut bytes = [0; 2000];
    for _ in 0..100 {
        assert_eq!(socket.recv(&mut bytes).unwrap(), 90);
    }
    assert_eq!(socket.recv(&mut bytes).unwrap(), 300, "one that is longer");
    close(vec![link]);
    assert_eq!(rig.status().sent, 301);
}
