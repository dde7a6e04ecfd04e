//! What remote write costs: CPU and bytes a sample, over 1,000 hosts of 33 metrics whose numbers all
//! change each time, sent to a store in this process that takes everything.
//!
//! Usage: `cargo bench -p gmetad-export --bench remote_write [-- LINE…]`; lines are of the section, such
//! as `'protocol influx'`.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gmetad_config::{Disk, Overrides, parse};
use gmetad_core::ingest::{ParseSettings, Parser, Previous};
use gmetad_core::model::{DefTable, Mono, Now};
use gmetad_core::plugin::{Invented, Stamp, Update};
use gmetad_export::EXPORTS;
use nix::sys::resource::{UsageWho, getrusage};

const HOSTS: usize = 1_000;
const ROUNDS: i64 = 40;
const INTERVAL_SECS: i64 = 15;
const PLAIN: &str = include_str!("../tests/data/gmond/gmond-plain.xml");
const PLAIN_LOCALTIME: &str = "1795367147";

/// CPU time of the store's thread, in microseconds.
static STORE_US: AtomicU64 = AtomicU64::new(0);

fn cpu_us(who: UsageWho) -> u64 {
    let usage = getrusage(who).expect("the system knows");
    let micros =
        |time: nix::sys::time::TimeVal| time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64;
    micros(usage.user_time()) + micros(usage.system_time())
}

/// Reads requests, and answers each.
fn serve(stream: TcpStream) {
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let mut body = Vec::new();
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match reader.read_line(&mut head) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let length = (head.lines())
            .find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok())
            .expect("a length");
        body.resize(length, 0);
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        STORE_US.store(cpu_us(UsageWho::RUSAGE_THREAD), Ordering::SeqCst);
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        if reader.get_mut().write_all(answer).is_err() {
            return;
        }
    }
}

/// A document of many hosts, each value another one than the last time.
fn document(time: i64, random: &mut fastrand::Rng) -> String {
    let (start, rest) = PLAIN.split_once("<HOST").expect("a host");
    let (host, end) = rest.split_once("</HOST>").expect("its end");
    let mut xml = start.replace(PLAIN_LOCALTIME, &time.to_string());
    for at in 0..HOSTS {
        let host = host.replacen("\"localhost\"", &format!("\"node{at}.example.org\""), 1);
        let mut pieces = host.split("VAL=\"");
        xml.push_str("<HOST");
        xml.push_str(pieces.next().expect("one at least"));
        for piece in pieces {
            let (value, rest) = piece.split_once('"').expect("an end");
            xml.push_str("VAL=\"");
            if value.contains('.') && value.parse::<f64>().is_ok() {
                // Writing to a string does not fail.
                let _ = write!(xml, "{:.2}", random.f64() * 100.0);
            } else if value.parse::<u64>().is_ok() {
                xml.push_str(&random.u32(..1_000_000).to_string());
            } else {
                xml.push_str(value);
            }
            xml.push('"');
            xml.push_str(rest);
        }
        xml.push_str("</HOST>");
    }
    xml + end
}

fn updates() -> Vec<Update> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut table = DefTable::default();
    let settings = Arc::new(ParseSettings::default());
    let mut previous = Previous::default();
    let start = 1_795_367_147;
    let update = |round: i64| {
        let epoch = start + INTERVAL_SECS * round;
        let xml = document(epoch, &mut random);
        let mono = Mono((round * INTERVAL_SECS) as u64 * 1000);
        let mut parser = Parser::new(Arc::clone(&settings), std::mem::take(&mut previous));
        parser
            .feed(xml.as_bytes(), mono, &mut table)
            .expect("a sound document");
        let document = parser.finish(mono).expect("a whole document");
        let node = document.nodes[0].clone();
        previous = Previous {
            nodes: Arc::new(document.nodes.into()),
            vocabularies: document.vocabularies,
            circle: None,
            marks: None,
        };
        let now = Now { epoch, mono };
        Update {
            source: "source".into(),
            interval: Duration::from_secs(INTERVAL_SECS as u64),
            up: true,
            invented: Invented::default(),
            stamp: Stamp::of(&node, now),
            node,
            now,
        }
    };
    (0..ROUNDS).map(update).collect()
}

fn main() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    // cargo says that it is a bench.
    let lines = std::env::args().skip(1).filter(|it| it != "--bench");
    let lines: Vec<String> = lines.collect();
    let text = format!(
        "data_source a b\nremote_write {{\nurl http://127.0.0.1:{port}/api/v1/write\n{}\n}}",
        lines.join("\n")
    );
    let file = Path::new("g.conf");
    let loaded = parse(text.as_bytes(), file, &Disk, &Overrides::default(), "h");
    let config = loaded.expect("sound").config;
    let export = EXPORTS.iter().find(|it| it.id() == "remote_write");
    let mut plugin = (export.expect("it is there").plugin(&config)).expect("configured");
    let (_, counters) = plugin.exports().remove(0);
    plugin.configure(&[]).expect("sound");
    plugin.start().expect("a thread");

    let mut updates = updates();
    let cpu = cpu_us(UsageWho::RUSAGE_SELF);
    let mine = cpu_us(UsageWho::RUSAGE_THREAD);
    for update in &mut updates {
        plugin.notify(update).expect("it takes all");
    }
    let mine = cpu_us(UsageWho::RUSAGE_THREAD) - mine;
    plugin.stop();
    let all = cpu_us(UsageWho::RUSAGE_SELF) - cpu - STORE_US.load(Ordering::SeqCst);
    let status = counters.status("remote_write");
    let samples = status.sent as f64;
    println!("{} samples sent, {} dropped", status.sent, status.dropped);
    println!(
        "CPU of the plugin thread: {:.3} us a sample",
        mine as f64 / samples
    );
    println!(
        "CPU with the sender's thread: {:.3} us a sample",
        all as f64 / samples
    );
    println!(
        "on the wire: {:.1} bytes a sample",
        status.sent_bytes as f64 / samples
    );
}
