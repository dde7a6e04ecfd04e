//! A hundred sources of which half are down in every possible way: the others are polled on time.

use std::fmt::Write as _;
use std::time::Duration;

use crate::support::load::Stalls;
use crate::support::peers::{FakeSource, Script, document};
use crate::support::ports::Port;
use crate::support::web::get;
use crate::support::{Gmetad, wait_until};
use serde_json::Value;
use tempfile::tempdir;

/// Sources that are well, and as many that are not.
const WELL: usize = 50;

/// Polls of each that is well.
const POLLS: usize = 8;

const INTERVAL: Duration = Duration::from_secs(2);

fn cluster(name: &str) -> Vec<u8> {
    let inside = format!(
        "<CLUSTER NAME=\"{name}\" LOCALTIME=\"0\"><HOST NAME=\"h\" TN=\"1\" TMAX=\"20\"><METRIC \
         NAME=\"m\" VAL=\"1\" TYPE=\"int32\" SLOPE=\"both\"/></HOST></CLUSTER>\n"
    );
    document("gmond", &inside)
}

/// The ways to be down, except a closed port.
fn ways(name: &str) -> [Script; 7] {
    let whole = cluster(name);
    let half = whole.len() / 2;
    [
        Script::Close,
        Script::Silent,
        Script::Slow(whole.clone(), half, Duration::from_secs(30)),
        Script::Slow(whole.clone(), 1, Duration::from_millis(100)),
        Script::Serve(b"\x00\xff<garbage".to_vec()),
        Script::Serve(whole[..half].to_vec()),
        Script::Break(whole[..half].to_vec()),
    ]
}

#[test]
fn with_half_of_a_hundred_sources_down_the_others_are_polled_on_time() {
    let (mut down, mut silent_ports) = (Vec::new(), Vec::new());
    let mut directives = String::from("write_rrds off\n");
    for number in 0..WELL {
        let name = format!("down{number}");
        let ways = ways(&name);
        let port = if let Some(way) = ways.get(number % (ways.len() + 1)) {
            let source = FakeSource::start(way.clone());
            let port = source.port();
            down.push(source);
            port
        } else {
            // Reserved, so that nobody listens there.
            let port = Port::reserve();
            let number = port.number();
            silent_ports.push(port);
            number
        };
        let _ = writeln!(directives, "data_source {name} 2 127.0.0.1:{port}");
    }
    let well: Vec<FakeSource> = (0..WELL)
        .map(|number| FakeSource::start(Script::Serve(cluster(&format!("well{number}")))))
        .collect();
    for (number, source) in well.iter().enumerate() {
        let _ = writeln!(
            directives,
            "data_source well{number} 2 127.0.0.1:{}",
            source.port()
        );
    }
    let folder = tempdir().expect("a temporary folder");
    let stalls = Stalls::watch();
    let gmetad = Gmetad::start(folder.path(), &directives);
    let status = || get(gmetad.interactive(), "/status").json();
    let polls = |source: &Value| source["polls"]["ok"]["num"].as_u64().expect("a number");
    let is_well = |source: &&Value| {
        source["name"]
            .as_str()
            .is_some_and(|it| it.starts_with("well"))
    };
    wait_until("all that are well to be polled", || {
        let status = status();
        let sources = status["sources"].as_array().expect("a list");
        sources.iter().filter(is_well).all(|it| polls(it) > 0)
    });
    for source in &well {
        wait_until("its polls", || source.polls() >= POLLS);
    }
    // Polls are spread by up to two thirds of the interval. No start is a second later than that, unless
    // the machine holds up everybody: the daemon, and who takes the connection here.
    let most = INTERVAL + INTERVAL * 2 / 3 + Duration::from_secs(1) + 2 * stalls.longest();
    for source in &well {
        let pause = source.longest_pause();
        assert!(pause <= most, "{pause:?} without a poll");
    }
    let status = status();
    let sources = status["sources"].as_array().expect("a list");
    for source in sources.iter().filter(is_well) {
        assert_eq!(source["polls"]["failed"]["num"], 0, "{source}");
        assert_eq!(source["state"], "up", "{source}");
    }
    for source in sources.iter().filter(|it| !is_well(it)) {
        assert_eq!(polls(source), 0, "{source}");
    }
    let answer = gmetad.document();
    assert_eq!(answer.matches("<CLUSTER NAME=\"well").count(), WELL);
    assert!(!answer.contains("<CLUSTER NAME=\"down"));
    assert!(gmetad.end().success());
}

#[test]
fn a_source_that_leaves_its_connection_open_does_not_wait_to_be_taken_for_silent() {
    // As `poll::SILENCE_LIMIT` has it.
    const SILENCE_MS: u64 = 10_000;
    // Shorter and longer than what the system holds back.
    let long = "x".repeat(700_000);
    let long = document(
        "gmond",
        &format!("<!-- {long} --><CLUSTER NAME=\"long\"/>\n"),
    );
    let sources = [cluster("short"), long].map(|bytes| FakeSource::start(Script::Stay(bytes)));
    let ports = sources.each_ref().map(FakeSource::port);
    let folder = tempdir().expect("a temporary folder");
    let directives = format!(
        "write_rrds off\ndata_source short 2 127.0.0.1:{}\ndata_source long 2 127.0.0.1:{}\n",
        ports[0], ports[1]
    );
    let gmetad = Gmetad::start(folder.path(), &directives);
    let mut longest = 0;
    wait_until("three polls of each", || {
        let status = get(gmetad.interactive(), "/status").json();
        let sources = status["sources"].as_array().expect("a list");
        let polls = sources.iter().map(|source| {
            let ok = &source["polls"]["ok"];
            (ok["num"].as_u64(), ok["totalMillis"].as_u64())
        });
        let polls: Vec<_> = polls.collect();
        longest = polls
            .iter()
            .filter_map(|it| Some(it.1? / it.0?.max(1)))
            .max()
            .unwrap_or(0);
        polls
            .iter()
            .all(|(count, _)| count.is_some_and(|count| count >= 3))
    });
    assert!(longest < SILENCE_MS / 2, "{longest} ms a poll");
    assert!(gmetad.end().success());
}
