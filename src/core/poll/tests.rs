//! The rules of a poll, each by what goes in and what comes out.

mod packed;

use std::sync::Arc;

use super::*;
use crate::ingest::inflate::InflateError;
use crate::ingest::{Limits, ParseError, ParseSettings, Previous};
use crate::source::HostPort;
use crate::timers::Random;
use packed::gzipped;

const GOOD: &[u8] = b"<GANGLIA_XML VERSION=\"3.7.2\" SOURCE=\"gmond\">\n\
    <CLUSTER NAME=\"c\" LOCALTIME=\"1\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n\
    <HOST NAME=\"h\" IP=\"10.0.0.1\" REPORTED=\"1\" TN=\"1\" TMAX=\"20\" DMAX=\"0\">\n\
    </HOST>\n</CLUSTER>\n</GANGLIA_XML>\n";

fn machine(hosts: &[&str], interval_s: u64) -> Poll {
    let config = SourceConfig {
        name: "s".into(),
        interval: Duration::from_secs(interval_s),
        hosts: hosts
            .iter()
            .map(|host| HostPort {
                host: (*host).into(),
                port: 8649,
            })
            .collect(),
    };
    let schedule = Schedule::new(config.interval, Random::new(1));
    Poll::new(&config, schedule, Mono(0))
}

fn parser() -> Parser {
    Parser::new(Arc::new(ParseSettings::default()), Previous::default())
}

fn address(text: &str) -> SocketAddr {
    SocketAddr::new(text.parse().expect("an address"), 8649)
}

/// The next action must be to connect there.
#[track_caller]
fn connects_to(poll: &mut Poll, host: &str) {
    match poll.action() {
        Some(Action::Connect(to)) => assert_eq!(to, address(host)),
        other => panic!("not a connection to {host} but {other:?}"),
    }
}

/// The next action must be to look up host number `host`.
#[track_caller]
fn asks_for(poll: &mut Poll, host: usize) {
    match poll.action() {
        Some(Action::Resolve { host: asked, .. }) => assert_eq!(asked, host),
        other => panic!("not a look-up of host {host} but {other:?}"),
    }
}

/// The next actions must close the connection and give its parser back.
#[track_caller]
fn lets_go(poll: &mut Poll) {
    assert!(matches!(poll.action(), Some(Action::Close)));
    assert!(matches!(poll.action(), Some(Action::Abandon(_))));
}

/// The next action must be the end of the poll.
#[track_caller]
fn ends(poll: &mut Poll) -> Outcome {
    match poll.action() {
        Some(Action::Ended(outcome)) => *outcome,
        other => panic!("not the end but {other:?}"),
    }
}

/// Gives the whole document and takes the good end.
#[track_caller]
fn answers(poll: &mut Poll, now: Mono) -> SourceAnswer {
    poll.connected(parser(), now);
    poll.bytes(GOOD, now, &mut DefTable::default());
    assert!(matches!(poll.action(), Some(Action::Close)));
    ends(poll).answer.expect("a document")
}

/// Goes to the next start.
#[track_caller]
fn next_start(poll: &mut Poll) -> Mono {
    assert!(!poll.is_running());
    let start = poll.deadline().expect("polls go on");
    poll.timeout(start);
    assert!(poll.is_running());
    start
}

fn reasons(outcome: &Outcome) -> Vec<&Failure> {
    outcome.failures.iter().map(|it| &it.reason).collect()
}

#[test]
fn a_poll_starts_at_its_time_and_not_before() {
    let mut poll = machine(&["127.0.0.1"], 15);
    let start = next_start(&mut poll);
    connects_to(&mut poll, "127.0.0.1");
    let answer = answers(&mut poll, Mono(start.0 + 100));
    assert_eq!(answer.document.nodes.len(), 1);
    assert_eq!(answer.wire_bytes, GOOD.len() as u64);
    let next = poll.deadline().expect("the next");
    assert!(next >= Mono(10_000) && next <= Mono(20_000));
    poll.timeout(Mono(next.0 - 1));
    assert!(!poll.is_running() && poll.action().is_none());
    poll.timeout(next);
    connects_to(&mut poll, "127.0.0.1");
}

#[test]
fn a_poll_that_is_under_way_is_the_only_one() {
    let mut poll = machine(&["127.0.0.1"], 1);
    next_start(&mut poll);
    connects_to(&mut poll, "127.0.0.1");
    poll.connected(parser(), Mono(0));
    for second in 1..9 {
        poll.timeout(Mono(second * 1000));
        assert!(poll.action().is_none());
    }
}

#[test]
fn hosts_are_tried_in_turn_from_the_last_good_one() {
    let mut poll = machine(&["10.0.0.1", "10.0.0.2", "10.0.0.3"], 15);
    let now = next_start(&mut poll);
    connects_to(&mut poll, "10.0.0.1");
    poll.broken("refused", now);
    assert!(matches!(poll.action(), Some(Action::Close)));
    connects_to(&mut poll, "10.0.0.2");
    assert!(answers(&mut poll, now).moved);

    let now = next_start(&mut poll);
    connects_to(&mut poll, "10.0.0.2");
    assert!(!answers(&mut poll, now).moved);

    let now = next_start(&mut poll);
    for host in ["10.0.0.2", "10.0.0.3", "10.0.0.1"] {
        connects_to(&mut poll, host);
        poll.broken("refused", now);
        assert!(matches!(poll.action(), Some(Action::Close)));
    }
    let outcome = ends(&mut poll);
    assert!(outcome.answer.is_none());
    let hosts: Vec<&str> = outcome.failures.iter().map(|it| &*it.host).collect();
    assert_eq!(hosts, ["10.0.0.2:8649", "10.0.0.3:8649", "10.0.0.1:8649"]);

    next_start(&mut poll);
    connects_to(&mut poll, "10.0.0.2");
}

#[test]
fn a_connection_that_does_not_come_about_has_ten_seconds() {
    let mut poll = machine(&["10.0.0.1", "10.0.0.2"], 15);
    next_start(&mut poll);
    connects_to(&mut poll, "10.0.0.1");
    assert_eq!(poll.deadline(), Some(Mono(10_000)));
    poll.timeout(Mono(9_999));
    assert!(poll.action().is_none());
    poll.timeout(Mono(10_000));
    assert!(matches!(poll.action(), Some(Action::Close)));
    connects_to(&mut poll, "10.0.0.2");
    poll.timeout(Mono(20_000));
    assert!(matches!(poll.action(), Some(Action::Close)));
    let outcome = ends(&mut poll);
    let timeout = &Failure::ConnectTimeout;
    assert_eq!(reasons(&outcome), [timeout, timeout]);
}

#[test]
fn a_silent_host_has_ten_seconds_from_its_last_byte() {
    let mut poll = machine(&["10.0.0.1"], 15);
    next_start(&mut poll);
    connects_to(&mut poll, "10.0.0.1");
    poll.connected(parser(), Mono(3_000));
    assert_eq!(poll.deadline(), Some(Mono(13_000)));
    poll.bytes(&GOOD[..9], Mono(12_999), &mut DefTable::default());
    assert_eq!(poll.deadline(), Some(Mono(22_999)));
    poll.timeout(Mono(22_999));
    lets_go(&mut poll);
    assert_eq!(reasons(&ends(&mut poll)), [&Failure::Silent]);
}

#[test]
fn a_host_that_drips_is_given_up_and_the_next_has_its_turn_first() {
    let mut poll = machine(&["10.0.0.1", "10.0.0.2"], 15);
    next_start(&mut poll);
    connects_to(&mut poll, "10.0.0.1");
    poll.connected(parser(), Mono(0));
    let mut now = Mono(0);
    for byte in &GOOD[..14] {
        now.0 += 4_000;
        poll.bytes(&[*byte], now, &mut DefTable::default());
        assert!(poll.action().is_none());
    }
    assert_eq!(poll.deadline(), Some(Mono(60_000)));
    poll.timeout(Mono(60_000));
    lets_go(&mut poll);
    let outcome = ends(&mut poll);
    assert_eq!(
        reasons(&outcome),
        [&Failure::Overlong(Duration::from_secs(60))]
    );
    assert!((2..=6).contains(&outcome.missed), "{}", outcome.missed);
    next_start(&mut poll);
    connects_to(&mut poll, "10.0.0.2");
}

#[test]
fn a_long_interval_gives_a_poll_more_time() {
    let mut poll = machine(&["10.0.0.1"], 120);
    assert_eq!(poll.whole_limit, Duration::from_secs(240));
    next_start(&mut poll);
}

#[test]
fn a_document_that_is_cut_short_or_broken_leaves_it_to_the_next_host() {
    let mut poll = machine(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"], 15);
    let now = next_start(&mut poll);
    let table = &mut DefTable::default();

    connects_to(&mut poll, "10.0.0.1");
    poll.connected(parser(), now);
    poll.bytes(&GOOD[..GOOD.len() - 10], now, table);
    poll.end(now);
    lets_go(&mut poll);

    connects_to(&mut poll, "10.0.0.2");
    poll.connected(parser(), now);
    poll.bytes(b"HTTP/1.1 400 Bad Request\r\n", now, table);
    lets_go(&mut poll);

    connects_to(&mut poll, "10.0.0.3");
    poll.connected(parser(), now);
    poll.end(now);
    lets_go(&mut poll);

    connects_to(&mut poll, "10.0.0.4");
    poll.connected(parser(), now);
    poll.bytes(&GOOD[..50], now, table);
    poll.broken("reset", now);
    lets_go(&mut poll);

    let cut_at = GOOD.len() as u64 - 10;
    assert_eq!(
        reasons(&ends(&mut poll)),
        [
            &Failure::Document(ParseError::Truncated(cut_at)),
            &Failure::Document(ParseError::NotXml),
            &Failure::Nothing,
            &Failure::Broken("reset".into()),
        ]
    );
}

#[test]
fn a_document_is_done_with_its_last_tag_whether_or_not_the_peer_closes() {
    let mut poll = machine(&["10.0.0.1"], 15);
    let now = next_start(&mut poll);
    connects_to(&mut poll, "10.0.0.1");
    poll.connected(parser(), now);
    for byte in GOOD {
        assert!(poll.wants_bytes());
        poll.bytes(&[*byte], now, &mut DefTable::default());
        if matches!(poll.action(), Some(Action::Close)) {
            break;
        }
    }
    assert!(ends(&mut poll).answer.is_some());
    // What is still on its way means nothing.
    poll.bytes(b"\n", now, &mut DefTable::default());
    poll.end(now);
    poll.broken("reset", now);
    assert!(poll.action().is_none() && !poll.is_running());
}

#[test]
fn what_is_too_much_work_for_a_turn_is_left_for_the_next() {
    let mut text = GOOD.to_vec();
    // Not so much that it looks like a bomb, more than a turn's.
    text.splice(45..45, std::iter::repeat_n(b' ', 3 << 20));
    let stream = gzipped(&text);
    let mut poll = machine(&["10.0.0.1"], 15);
    let now = next_start(&mut poll);
    connects_to(&mut poll, "10.0.0.1");
    poll.connected(parser(), now);
    poll.bytes(&stream, now, &mut DefTable::default());
    let mut turns = 1;
    while poll.has_backlog() {
        assert!(!poll.wants_bytes(), "nothing more before this is done");
        poll.work(now, &mut DefTable::default());
        turns += 1;
    }
    assert!(turns >= 12, "{turns} turns");
    assert!(matches!(poll.action(), Some(Action::Close)));
    assert!(ends(&mut poll).answer.is_some());
}

#[test]
fn a_name_is_looked_up_and_all_its_addresses_are_tried() {
    let mut poll = machine(&["gmond.example"], 15);
    let now = next_start(&mut poll);
    asks_for(&mut poll, 0);
    assert_eq!(poll.deadline(), Some(Mono(now.0 + 10_000)));
    let found = vec![address("10.0.0.1"), address("::1")];
    poll.resolved(0, Ok(found), now);
    connects_to(&mut poll, "10.0.0.1");
    poll.broken("refused", now);
    assert!(matches!(poll.action(), Some(Action::Close)));
    connects_to(&mut poll, "::1");
    let answer = answers(&mut poll, now);
    assert_eq!(answer.host, "gmond.example:8649 (::1)");
}

#[test]
fn the_address_that_answered_is_the_first_next_time() {
    let mut poll = machine(&["gmond.example"], 15);
    let now = next_start(&mut poll);
    asks_for(&mut poll, 0);
    let found = || Ok(vec![address("10.0.0.1"), address("10.0.0.2")]);
    poll.resolved(0, found(), now);
    connects_to(&mut poll, "10.0.0.1");
    poll.broken("refused", now);
    assert!(matches!(poll.action(), Some(Action::Close)));
    connects_to(&mut poll, "10.0.0.2");
    answers(&mut poll, now);
    next_start(&mut poll);
    // The answer from the other address says that the name is still right.
    connects_to(&mut poll, "10.0.0.2");
}

#[test]
fn a_name_is_looked_up_again_when_no_connection_came_about() {
    let mut poll = machine(&["gmond.example"], 15);
    let now = next_start(&mut poll);
    asks_for(&mut poll, 0);
    poll.resolved(0, Ok(vec![address("10.0.0.1")]), now);
    connects_to(&mut poll, "10.0.0.1");
    poll.broken("refused", now);
    assert!(matches!(poll.action(), Some(Action::Close)));
    ends(&mut poll);
    let now = next_start(&mut poll);
    asks_for(&mut poll, 0);
    poll.resolved(0, Ok(vec![address("10.0.0.9")]), now);
    connects_to(&mut poll, "10.0.0.9");
}

#[test]
fn addresses_that_have_grown_old_are_used_and_looked_up_meanwhile() {
    let mut poll = machine(&["gmond.example"], 15);
    let now = next_start(&mut poll);
    asks_for(&mut poll, 0);
    poll.resolved(0, Ok(vec![address("10.0.0.1")]), now);
    connects_to(&mut poll, "10.0.0.1");
    let mut now = now;
    let first = now;
    answers(&mut poll, now);
    loop {
        now = next_start(&mut poll);
        if now.since(first) >= ADDRESSES_FRESH {
            break;
        }
        connects_to(&mut poll, "10.0.0.1");
        answers(&mut poll, now);
    }
    asks_for(&mut poll, 0);
    connects_to(&mut poll, "10.0.0.1");
    answers(&mut poll, now);
    let now = next_start(&mut poll);
    // Still unanswered, so not asked twice.
    connects_to(&mut poll, "10.0.0.1");
    poll.resolved(0, Ok(vec![address("10.0.0.2")]), now);
    answers(&mut poll, now);
    next_start(&mut poll);
    connects_to(&mut poll, "10.0.0.2");
}

#[test]
fn a_resolver_that_fails_or_hangs_leaves_the_addresses_from_before() {
    let mut poll = machine(&["gmond.example"], 15);
    let now = next_start(&mut poll);
    asks_for(&mut poll, 0);
    poll.resolved(0, Ok(vec![address("10.0.0.1")]), now);
    connects_to(&mut poll, "10.0.0.1");
    poll.broken("refused", now);
    assert!(matches!(poll.action(), Some(Action::Close)));
    ends(&mut poll);

    let now = next_start(&mut poll);
    asks_for(&mut poll, 0);
    poll.resolved(0, Err("no such name".into()), now);
    connects_to(&mut poll, "10.0.0.1");
    poll.broken("refused", now);
    assert!(matches!(poll.action(), Some(Action::Close)));
    ends(&mut poll);

    let now = next_start(&mut poll);
    asks_for(&mut poll, 0);
    poll.timeout(now + RESOLVE_LIMIT);
    connects_to(&mut poll, "10.0.0.1");
    answers(&mut poll, now + RESOLVE_LIMIT);
}

#[test]
fn a_name_without_an_address_leaves_it_to_the_next_host() {
    let mut poll = machine(
        &["gone.example", "empty.example", "slow.example", "10.0.0.4"],
        15,
    );
    let now = next_start(&mut poll);
    asks_for(&mut poll, 0);
    poll.resolved(0, Err("no such name".into()), now);
    asks_for(&mut poll, 1);
    poll.resolved(1, Ok(Vec::new()), now);
    asks_for(&mut poll, 2);
    poll.timeout(now + RESOLVE_LIMIT);
    connects_to(&mut poll, "10.0.0.4");
    // Late, and not for the current host: kept for the next poll.
    poll.resolved(2, Ok(vec![address("10.0.0.3")]), now + RESOLVE_LIMIT);
    assert!(poll.action().is_none());
    poll.broken("refused", now + RESOLVE_LIMIT);
    assert!(matches!(poll.action(), Some(Action::Close)));
    let outcome = ends(&mut poll);
    assert_eq!(
        reasons(&outcome),
        [
            &Failure::Unresolved("no such name".into()),
            &Failure::Unresolved("it has no address".into()),
            &Failure::ResolveTimeout,
            &Failure::Connect("refused".into()),
        ]
    );
}

#[test]
fn a_machine_that_is_stopped_lets_go_of_everything() {
    let mut poll = machine(&["10.0.0.1"], 15);
    next_start(&mut poll);
    connects_to(&mut poll, "10.0.0.1");
    poll.connected(parser(), Mono(0));
    poll.stop();
    lets_go(&mut poll);
    assert!(poll.action().is_none());
    assert_eq!(poll.deadline(), None);
    poll.timeout(Mono(1_000_000));
    poll.connected(parser(), Mono(1_000_000));
    assert!(matches!(poll.action(), Some(Action::Abandon(_))));
    assert!(poll.action().is_none());
}

#[test]
fn every_failure_names_its_host_and_says_what_it_was() {
    let failure = HostFailure {
        host: "gmond.example:8649 (10.0.0.1)".into(),
        reason: Failure::Silent,
    };
    assert_eq!(
        failure.to_string(),
        "gmond.example:8649 (10.0.0.1): connected, but silent for 10 s"
    );
}

fn changed(poll: &mut Poll, hosts: &[&str], interval_s: u64, now: Mono) {
    let config = SourceConfig {
        name: "s".into(),
        interval: Duration::from_secs(interval_s),
        hosts: hosts
            .iter()
            .map(|host| HostPort {
                host: (*host).into(),
                port: 8649,
            })
            .collect(),
    };
    let schedule = Schedule::new(config.interval, Random::new(2));
    poll.change(&config, schedule, now, now);
}

#[test]
fn a_shorter_interval_counts_from_now_on_and_a_longer_one_from_the_next_start() {
    let mut poll = machine(&["127.0.0.1"], 3600);
    next_start(&mut poll);
    connects_to(&mut poll, "127.0.0.1");
    answers(&mut poll, Mono(10));
    changed(&mut poll, &["127.0.0.1"], 10, Mono(20_000));
    let next = poll.deadline().expect("the next");
    assert!((25_000..=35_000).contains(&next.0), "{next:?}");
    changed(&mut poll, &["127.0.0.1"], 3600, Mono(21_000));
    assert_eq!(poll.deadline(), Some(next));
}

#[test]
fn a_poll_under_way_goes_on_while_the_interval_changes() {
    let mut poll = machine(&["127.0.0.1"], 3600);
    next_start(&mut poll);
    connects_to(&mut poll, "127.0.0.1");
    changed(&mut poll, &["127.0.0.1"], 1, Mono(500));
    assert!(poll.action().is_none());
    let answer = answers(&mut poll, Mono(600));
    assert_eq!(answer.document.nodes.len(), 1);
    let next = poll.deadline().expect("the next");
    assert!(next > Mono(600) && next <= Mono(2300), "{next:?}");
}

#[test]
fn other_hosts_are_asked_at_once_and_no_failure_is_told() {
    let mut poll = machine(&["127.0.0.1"], 3600);
    next_start(&mut poll);
    connects_to(&mut poll, "127.0.0.1");
    poll.connected(parser(), Mono(100));
    changed(&mut poll, &["127.0.0.2"], 3600, Mono(200));
    lets_go(&mut poll);
    assert!(poll.action().is_none(), "no end, so no failure");
    poll.timeout(Mono(200));
    connects_to(&mut poll, "127.0.0.2");
    answers(&mut poll, Mono(300));
    // Between two polls too.
    changed(&mut poll, &["127.0.0.3"], 3600, Mono(400));
    poll.timeout(Mono(400));
    connects_to(&mut poll, "127.0.0.3");
}

#[test]
fn what_is_known_of_a_host_that_stays_is_kept() {
    let mut poll = machine(&["dead.example", "live.example"], 15);
    let start = next_start(&mut poll);
    asks_for(&mut poll, 0);
    poll.resolved(0, Err("no".into()), start);
    asks_for(&mut poll, 1);
    poll.resolved(1, Ok(vec![address("192.0.2.1")]), start);
    connects_to(&mut poll, "192.0.2.1");
    answers(&mut poll, start);
    changed(&mut poll, &["new.example", "live.example"], 15, start);
    poll.timeout(start);
    // It was the last good one, so it is the first again, at its address.
    connects_to(&mut poll, "192.0.2.1");
    poll.broken("refused", start);
    assert!(matches!(poll.action(), Some(Action::Close)));
    asks_for(&mut poll, 2);
    // An answer about a removed host is ignored.
    poll.resolved(0, Ok(vec![address("192.0.2.9")]), start);
    assert!(poll.action().is_none());
    poll.resolved(2, Ok(vec![address("192.0.2.2")]), start);
    connects_to(&mut poll, "192.0.2.2");
}

#[test]
fn a_machine_that_was_stopped_stays_so() {
    let mut poll = machine(&["127.0.0.1"], 15);
    poll.stop();
    changed(&mut poll, &["127.0.0.2"], 15, Mono(0));
    assert_eq!(poll.deadline(), None);
}
