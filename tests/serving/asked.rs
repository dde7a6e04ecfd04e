//! Polling and serving through the real binary: no peer affects another.
//!
//! Sources and clients are scripted here; real gmonds and a real C gmetad are in `against_peers`.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::support::peers::{FakeSource, Script, document};
use crate::support::{DEADLINE, Gmetad, ask, wait_for, wait_until};
use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};
use quick_xml::Reader;
use quick_xml::events::Event;
use tempfile::{TempDir, tempdir};

/// Client timeouts exceed every wait here: a busy machine must not make clients late.
const PATIENT: &str =
    "client_request_timeout 3600\nclient_idle_timeout 3600\nclient_timeout 3600\n";

/// Far more than socket buffers hold.
const MANY_HOSTS: usize = 4000;

/// A cluster in which every host and metric says which version it is.
fn cluster(name: &str, version: u64, hosts: usize) -> Vec<u8> {
    use std::fmt::Write as _;
    let mut inside = format!(
        "<CLUSTER NAME=\"{name}\" LOCALTIME=\"{version}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n"
    );
    for host in 0..hosts {
        let _ = writeln!(
            inside,
            "<HOST NAME=\"h{host}\" IP=\"10.0.0.1\" REPORTED=\"{version}\" TN=\"1\" TMAX=\"20\" \
             DMAX=\"0\" LOCATION=\"\" GMOND_STARTED=\"1\">"
        );
        for metric in 0..10 {
            let _ = writeln!(
                inside,
                "<METRIC NAME=\"m{metric}\" VAL=\"{version}\" TYPE=\"uint32\" UNITS=\"\" TN=\"1\" \
                 TMAX=\"60\" DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\">\n</METRIC>"
            );
        }
        inside += "</HOST>\n";
    }
    inside += "</CLUSTER>\n";
    document("gmond", &inside)
}

fn folder() -> TempDir {
    tempdir().expect("a temporary folder")
}

/// A directive for a source that is polled every second.
fn source(name: &str, port: u16) -> String {
    format!("data_source \"{name}\" 1 127.0.0.1:{port}\n")
}

/// A gmetad that logs warnings and what is new, over these directives.
fn start(folder: &TempDir, directives: &str) -> Gmetad {
    Gmetad::start_with(folder.path(), directives, &["-d", "4"])
}

fn wait_for_version(gmetad: &Gmetad, name: &str, version: u64) {
    let wanted = format!("<CLUSTER NAME=\"{name}\" LOCALTIME=\"{version}\"");
    wait_until(&wanted, || {
        gmetad.query(&format!("/{name}/h0/m0")).contains(&wanted)
    });
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&to, DEADLINE).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// Waits until the other side closes; what came before that.
fn rest_of(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => rest,
        Err(err) if err.kind() == ErrorKind::ConnectionReset => rest,
        Err(err) => panic!("it neither answers nor closes: {err}"),
    }
}

/// How many elements of each name a strict parser finds.
fn elements(xml: &[u8], name: &str) -> usize {
    // What is declared, and what quick-xml does not decode by itself.
    let text: String = xml.iter().map(|byte| char::from(*byte)).collect();
    let mut reader = Reader::from_str(&text);
    let mut count = 0;
    loop {
        match reader.read_event().expect("well formed") {
            Event::Start(tag) | Event::Empty(tag) => {
                for attribute in tag.attributes() {
                    attribute.expect("a sound attribute");
                }
                count += usize::from(tag.name().0 == name);
            }
            Event::Eof => return count,
            _ => {}
        }
    }
}

#[test]
fn from_captured_gmond_documents_only_broken_elements_are_lost() {
    for name in [
        "gmond-plain.xml",
        "gmond-hostile.xml",
        "gmond-unescaped-owner.xml",
    ] {
        let capture = std::fs::read(format!("tests/data/gmond/{name}")).expect("a capture");
        // The captures are not XML, so their elements are counted as bytes.
        let tags = |tag: &[u8]| capture.windows(tag.len()).filter(|it| *it == tag).count();
        let (hosts, metrics) = (tags(b"<HOST "), tags(b"<METRIC "));
        assert!(hosts > 0 && metrics > 0, "{name}");
        let fake = FakeSource::start(Script::Serve(capture.clone()));
        let folder = folder();
        let gmetad = start(&folder, &source("s", fake.port()));
        wait_until(&format!("the hosts of {name}"), || {
            elements(&ask(gmetad.xml(), None), "HOST") == hosts
        });
        let served = ask(gmetad.xml(), None);
        assert_eq!(elements(&served, "METRIC"), metrics, "{name}");
        let outside = std::fs::read_dir(folder.path()).expect("our own folder");
        let outside = outside.map(|entry| entry.expect("an entry").file_name());
        let mut outside: Vec<_> = outside.collect();
        outside.sort();
        assert_eq!(outside, ["gmetad.conf", "rrds", "stderr"], "{name}");
    }
}

#[test]
fn a_truncated_document_keeps_the_old_data_and_logs_one_line() {
    let fake = FakeSource::start(Script::Serve(cluster("c", 1, 3)));
    let folder = folder();
    let gmetad = start(&folder, &source("s", fake.port()));
    wait_for_version(&gmetad, "c", 1);
    let mut cut = cluster("c", 2, 3);
    cut.truncate(cut.len() - 20);
    fake.script(Script::Serve(cut));
    fake.wait_for_polls(4);
    let line = gmetad.wait_for_line("source \"s\" is down");
    assert!(line.contains("without </GANGLIA_XML>"), "{line}");
    let answer = gmetad.document();
    assert!(answer.contains("VAL=\"1\"") && !answer.contains("VAL=\"2\""));
    fake.script(Script::Serve(cluster("c", 3, 3)));
    wait_for_version(&gmetad, "c", 3);
    gmetad.wait_for_line("source \"s\" is back after");
    let told = gmetad.log().matches("source \"s\" is down").count();
    assert_eq!(told, 1, "once, not with every poll");
}

#[test]
fn a_source_that_never_answers_costs_only_itself() {
    let silent = FakeSource::start(Script::Silent);
    let fake = FakeSource::start(Script::Serve(cluster("c", 1, 3)));
    let folder = folder();
    let both = source("silent", silent.port()) + &source("good", fake.port());
    let gmetad = start(&folder, &both);
    wait_for_version(&gmetad, "c", 1);
    fake.script(Script::Serve(cluster("c", 2, 3)));
    wait_for_version(&gmetad, "c", 2);
    gmetad.wait_for_line("source \"silent\" is down: 127.0.0.1");
    // The other source kept its full 10 s.
    let back = gmetad.log().matches("source \"good\"").count();
    assert_eq!(back, 1, "it answers, and no more: {}", gmetad.log());
    gmetad.wait_for_line("connected, but silent for 10 s");
    // It is polled again.
    silent.script(Script::Serve(cluster("late", 1, 3)));
    wait_for_version(&gmetad, "late", 1);
    gmetad.wait_for_line("source \"silent\" answers for the first time after");
}

#[test]
fn failures_are_logged_for_the_host_that_caused_them() {
    let silent = FakeSource::start(Script::Silent);
    let folder = folder();
    // Nobody listens on the second port.
    let hosts = format!(
        "data_source \"s\" 1 127.0.0.1:{} 127.0.0.1:1\n",
        silent.port()
    );
    let gmetad = start(&folder, &hosts);
    let line = gmetad.wait_for_line("source \"s\" is down");
    assert!(
        line.contains("connected, but silent for 10 s; 127.0.0.1:1: cannot connect: "),
        "{line}"
    );
}

#[test]
fn repeatedly_late_polls_are_logged_once() {
    let bytes = cluster("c", 1, 1);
    // Every poll takes twice its interval or so.
    let piece = bytes.len() / 20 + 1;
    let fake = FakeSource::start(Script::Slow(bytes, piece, Duration::from_millis(100)));
    let folder = folder();
    let gmetad = start(&folder, &source("s", fake.port()));
    wait_for_version(&gmetad, "c", 1);
    fake.wait_for_polls(3);
    gmetad.wait_for_line("longer than its interval of ");
    assert_eq!(gmetad.log().matches("longer than its interval").count(), 1);
    gmetad.signal(Signal::SIGUSR1);
    let line = gmetad.wait_for_line("status: source \"s\" is up");
    assert!(!line.contains(" 0 missed"), "{line}");
}

#[test]
fn the_next_host_is_tried_in_the_same_poll() {
    let closing = FakeSource::start(Script::Close);
    let good = FakeSource::start(Script::Serve(cluster("c", 1, 3)));
    let folder = folder();
    // A name, too: it stands for 127.0.0.1 and often ::1.
    let directive = format!(
        "data_source \"s\" 3600 127.0.0.1:{} localhost:{}",
        closing.port(),
        good.port()
    );
    let gmetad = start(&folder, &directive);
    wait_for_version(&gmetad, "c", 1);
    assert_eq!(closing.polls(), 1);
    assert!(!gmetad.log().contains("is down"));
}

#[test]
fn a_gzipped_document_is_read() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&cluster("c", 7, 500)).expect("memory");
    let stream = encoder.finish().expect("memory");
    let fake = FakeSource::start(Script::Slow(stream, 1000, Duration::from_millis(1)));
    let folder = folder();
    let gmetad = start(&folder, &source("s", fake.port()));
    wait_for_version(&gmetad, "c", 7);
    assert_eq!(elements(&ask(gmetad.xml(), None), "HOST"), 500);
}

#[test]
fn idle_clients_block_nobody() {
    let fake = FakeSource::start(Script::Serve(cluster("c", 1, 3)));
    let folder = folder();
    let gmetad = start(&folder, &(source("s", fake.port()) + PATIENT));
    wait_for_version(&gmetad, "c", 1);
    let mut idle: Vec<TcpStream> = (0..20).map(|_| connect(gmetad.interactive())).collect();
    for _ in 0..20 {
        assert!(gmetad.query("/c/h0").contains("<HOST NAME=\"h0\""));
    }
    // Clients that ask within the limit are answered.
    let mut last = idle.pop().expect("twenty");
    last.write_all(b"/c/h1\n").expect("still open");
    let answer = rest_of(last);
    assert!(answer.ends_with(b"</GANGLIA_XML>\n"));
    gmetad.reload(folder.path(), "request_timeout 3600", "request_timeout 1");
    let impatient = (0..20).map(|_| connect(gmetad.interactive()));
    for stream in impatient.collect::<Vec<_>>() {
        assert!(rest_of(stream).is_empty(), "closed without a byte");
    }
    gmetad.wait_for_line("it sent no request for 1 s");
    let told = gmetad.log().matches("it sent no request").count();
    assert_eq!(told, 1, "once for all of them");
}

#[test]
fn a_slow_client_sees_one_snapshot_and_blocks_nobody() {
    let fake = FakeSource::start(Script::Serve(cluster("c", 1, MANY_HOSTS)));
    let folder = folder();
    let gmetad = start(&folder, &(source("s", fake.port()) + PATIENT));
    wait_for_version(&gmetad, "c", 1);
    let whole = ask(gmetad.xml(), None).len();

    let mut slow = connect(gmetad.xml());
    // Otherwise loopback may take all of it in.
    setsockopt(&slow, sockopt::RcvBuf, &(64 << 10)).expect("a smaller buffer");
    let mut head = [0; 100];
    slow.read_exact(&mut head).expect("it begins at once");
    fake.script(Script::Serve(cluster("c", 2, MANY_HOSTS)));
    wait_for_version(&gmetad, "c", 2);
    let newer = String::from_utf8(ask(gmetad.xml(), None)).expect("ASCII went in");
    assert_eq!(newer.matches(" VAL=\"2\"").count(), MANY_HOSTS * 10);

    let answer = [&head[..], &rest_of(slow)].concat();
    assert_eq!(elements(&answer, "HOST"), MANY_HOSTS);
    // TN may have had a digit more or less, and no more than that.
    let metrics = MANY_HOSTS * 11;
    assert!(answer.len().abs_diff(whole) <= 2 * metrics);
    let text = String::from_utf8(answer).expect("ASCII went in");
    assert_eq!(text.matches(" VAL=\"1\"").count(), MANY_HOSTS * 10);
    assert!(!text.contains(" VAL=\"2\"") && !text.contains("REPORTED=\"2\""));
}

#[test]
fn a_client_that_leaves_early_costs_nothing() {
    let fake = FakeSource::start(Script::Serve(cluster("c", 1, MANY_HOSTS)));
    let folder = folder();
    let gmetad = start(&folder, &source("s", fake.port()));
    wait_for_version(&gmetad, "c", 1);
    for _ in 0..50 {
        let mut stream = connect(gmetad.xml());
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("it begins");
    }
    assert!(gmetad.document().ends_with("</GANGLIA_XML>\n"));
    wait_until("all of them to be let go", || open_sockets(&gmetad) <= 2);
}

/// TCP sockets of the process, the two listening ones included.
fn open_sockets(gmetad: &Gmetad) -> usize {
    let folder = format!("/proc/{}/fd", gmetad.pid());
    let descriptors = std::fs::read_dir(folder).expect("it runs");
    let tcp: Vec<String> = ["tcp", "tcp6"]
        .iter()
        .filter_map(|it| std::fs::read_to_string(format!("/proc/net/{it}")).ok())
        .collect();
    descriptors
        .filter_map(|it| std::fs::read_link(it.ok()?.path()).ok())
        .filter_map(|link| {
            let link = link.to_string_lossy().into_owned();
            let inode = link.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(format!(" {inode} "))
        })
        .filter(|inode| tcp.iter().any(|table| table.contains(inode.as_str())))
        .count()
}

#[test]
fn a_request_ends_with_a_newline_a_return_or_a_half_close() {
    let fake = FakeSource::start(Script::Serve(cluster("c", 1, 3)));
    let folder = folder();
    let gmetad = start(&folder, &source("s", fake.port()));
    wait_for_version(&gmetad, "c", 1);
    for (request, closes) in [
        (&b"/c/h1\n"[..], false),
        (b"/c/h1\r", false),
        (b"/c/h1\r\n", false),
        (b"/c/h1\nand more that nobody reads\n", false),
        (b"/c/h1", true),
    ] {
        let mut stream = connect(gmetad.interactive());
        stream.write_all(request).expect("it reads");
        if closes {
            stream.shutdown(Shutdown::Write).expect("still open");
        }
        let mut answer = Vec::new();
        // Complete, without a reset: unread input must not destroy the answer.
        stream.read_to_end(&mut answer).expect("to the end");
        assert_eq!(elements(&answer, "HOST"), 1, "{request:?}");
    }
    let mut stream = connect(gmetad.xml());
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("open");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("to the end");
    assert_eq!(elements(&answer, "HOST"), 3);
}

#[test]
fn an_overlong_request_line_is_closed_and_logged_once() {
    let folder = folder();
    let gmetad = start(&folder, "");
    for _ in 0..3 {
        let mut stream = connect(gmetad.interactive());
        let _ = stream.write_all(&[b'x'; 3000]);
        assert!(rest_of(stream).is_empty());
    }
    gmetad.wait_for_line("its request line is longer than 2048 bytes");
    let told = gmetad.log().matches("its request line is longer").count();
    assert_eq!(told, 1);
    // A line exactly at the limit is accepted.
    assert!(
        gmetad
            .query(&"x".repeat(2048))
            .ends_with("</GANGLIA_XML>\n")
    );
}

#[test]
fn an_unknown_filter_is_ignored_and_logged_once() {
    let folder = folder();
    let gmetad = start(&folder, "");
    for _ in 0..3 {
        assert!(gmetad.query("/?foo=bar").ends_with("</GANGLIA_XML>\n"));
    }
    assert!(gmetad.document().ends_with("</GANGLIA_XML>\n"));
    gmetad.wait_for_line("\"foo=bar\" in its request is not understood");
    assert_eq!(gmetad.log().matches("not understood").count(), 1);
}

#[test]
fn shutdown_waits_briefly_for_an_answer_in_progress() {
    let fake = FakeSource::start(Script::Serve(cluster("c", 1, MANY_HOSTS)));
    let folder = folder();
    // A daemon that waited for them would exceed every deadline here.
    let mut gmetad = start(&folder, &(source("s", fake.port()) + PATIENT));
    wait_for_version(&gmetad, "c", 1);
    let whole = ask(gmetad.xml(), None).len();
    let mut takes = connect(gmetad.xml());
    let mut never_takes = connect(gmetad.xml());
    let idle = connect(gmetad.interactive());
    // Nearly all, so that what is left takes no time even on a busy machine.
    takes
        .read_exact(&mut vec![0; whole - (64 << 10)])
        .expect("it goes on");
    never_takes.read_exact(&mut [0]).expect("it begins");
    gmetad.signal(Signal::SIGTERM);
    assert!(rest_of(takes).ends_with(b"</GANGLIA_XML>\n"));
    assert!(rest_of(idle).is_empty());
    assert_eq!(gmetad.wait().code(), Some(0));
    assert!(!rest_of(never_takes).ends_with(b"</GANGLIA_XML>\n"));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let fake = FakeSource::start(Script::Serve(cluster("c", 1, MANY_HOSTS)));
    let folder = folder();
    let mut gmetad = start(&folder, &(source("s", fake.port()) + PATIENT));
    wait_for_version(&gmetad, "c", 1);
    let mut never_takes = connect(gmetad.xml());
    never_takes.read_exact(&mut [0]).expect("it begins");
    gmetad.signal(Signal::SIGTERM);
    gmetad.wait_for_line("SIGTERM received, stopping");
    gmetad.signal(Signal::SIGINT);
    assert_eq!(gmetad.wait().code(), Some(0));
    // That would be logged when their time is up.
    assert!(!gmetad.log().contains("did not take their answers"));
}

#[test]
fn sigusr1_logs_the_status_at_every_level() {
    let fake = FakeSource::start(Script::Serve(cluster("c", 1, 3)));
    let folder = folder();
    let gmetad = Gmetad::start(folder.path(), &source("s", fake.port()));
    wait_for_version(&gmetad, "c", 1);
    gmetad.signal(Signal::SIGUSR1);
    let line = gmetad.wait_for_line("status: source \"s\" is up");
    assert!(line.contains("0 failed"), "{line}");
}

#[test]
fn it_listens_on_ipv4_and_ipv6_by_default() {
    let folder = folder();
    let text = "setuid off\nxml_port 0\ninteractive_port 0\nwrite_rrds off\n";
    let conf = folder.path().join("both.conf");
    std::fs::write(&conf, text).expect("our own folder");
    let log = folder.path().join("log");
    let child = crate::support::gmetad()
        .args(["-f", "-c"])
        .arg(&conf)
        .stderr(std::fs::File::create(&log).expect("our own folder"))
        .spawn()
        .expect("the binary was built");
    let mut child = Killed(child);
    let (xml, _) = wait_for("the ports", || {
        assert!(child.0.try_wait().expect("our child").is_none());
        crate::support::listening(&crate::support::read(&log))
    });
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, xml.port()));
    assert!(ask(v4, None).ends_with(b"</GANGLIA_XML>\n"));
    // A machine without IPv6 has no ::1 to be tried.
    if TcpListener::bind("[::1]:0").is_ok() {
        assert!(xml.is_ipv6());
        let v6 = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, xml.port()));
        assert!(ask(v6, None).ends_with(b"</GANGLIA_XML>\n"));
    }
}

/// A child that ends with the test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
