//! The sender against servers that do one thing after another, over virtual time.

use super::*;

fn sender(dialect: Numbers) -> (Sender, Arc<ExportCounters>) {
    let counters = Arc::<ExportCounters>::default();
    let endpoint = Endpoint::Unix("/s".into());
    let server = Server {
        held_bytes: HELD_BYTES,
        ..Server::new("test_server", endpoint, dialect)
    };
    (Sender::new(server, Arc::clone(&counters), 0), counters)
}

fn put(sender: &mut Sender, value: u32) {
    let mut batch = Batch::default();
    batch.push(&value.to_be_bytes());
    sender.put(
        encoded(&batch, &Numbers { answers: false }),
        1,
        Instant::now(),
    );
}

#[track_caller]
fn next_frame(sender: &mut Sender, now: Instant) -> Frame {
    let mut step = sender.next(now);
    if step == Step::Connect {
        sender.connected(Ok(()), now);
        step = sender.next(now);
    }
    match step {
        Step::Send(frame) => frame,
        step => panic!("{step:?}"),
    }
}

/// The server takes one value, or the systems do.
fn take_one(sender: &mut Sender, now: Instant) {
    put(sender, 1);
    let frame = next_frame(sender, now);
    sender.sent(frame, Outcome::Taken(BatchAnswer::default()), now);
}

/// A new connection's buffers take what they hold, however slowly, and then nothing.
fn hang(sender: &mut Sender, now: &mut Instant) {
    for _ in 0..HELD_BYTES / 4 {
        take_one(sender, *now);
        *now += STALL;
    }
    put(sender, 1);
    let frame = next_frame(sender, *now);
    *now += STALL;
    sender.sent(frame, Outcome::Failed(LinkError::Stuck(STALL)), *now);
    *now += Duration::from_secs(30);
}

#[test]
fn a_server_that_hangs_is_not_back_because_the_systems_take_bytes_for_it() {
    let (mut sender, counters) = sender(Numbers { answers: false });
    let mut now = Instant::now();
    for _ in 0..3 {
        hang(&mut sender, &mut now);
        assert!(counters.status("test").failing);
    }
    let remarks = sender.take_remarks();
    let is_unreachable = |it: &Remark| matches!(it, Remark::Unreachable { .. });
    assert!(remarks.iter().all(is_unreachable), "{remarks:?}");
    // A connection that takes more than that.
    for _ in 0..HELD_BYTES / 4 {
        take_one(&mut sender, now);
    }
    assert!(counters.status("test").failing);
    take_one(&mut sender, now);
    let remarks = sender.take_remarks();
    assert!(
        matches!(&remarks[..], [Remark::Reachable { .. }]),
        "{remarks:?}"
    );
    assert!(!counters.status("test").failing);
}

#[test]
fn a_server_that_hung_and_was_started_anew_is_back_with_the_first_values() {
    for was_closed in [true, false] {
        let (mut sender, counters) = sender(Numbers { answers: false });
        let mut now = Instant::now();
        hang(&mut sender, &mut now);
        put(&mut sender, 1);
        if was_closed {
            let frame = next_frame(&mut sender, now);
            sender.sent(frame, Outcome::WasClosed, now);
        } else {
            assert_eq!(sender.next(now), Step::Connect);
            let refused = std::io::ErrorKind::ConnectionRefused.into();
            sender.connected(Err(LinkError::Connect(refused)), now);
            now += Duration::from_secs(60);
        }
        assert!(counters.status("test").failing);
        take_one(&mut sender, now);
        assert!(!counters.status("test").failing);
    }
}

#[test]
fn of_several_servers_one_that_fails_is_seen_whatever_the_others_do() {
    let counters = Arc::<ExportCounters>::default();
    let now = Instant::now();
    let mut senders = [0, 1].map(|_| {
        let endpoint = Endpoint::Unix("/s".into());
        let server = Server::new("test_server", endpoint, Numbers { answers: true });
        Sender::new(server, Arc::clone(&counters), 0)
    });
    for (sender, result) in senders.iter_mut().zip([Err(LinkError::Closed), Ok(())]) {
        put(sender, 1);
        assert_eq!(sender.next(now), Step::Connect);
        sender.connected(result, now);
    }
    let frame = next_frame(&mut senders[1], now);
    senders[1].sent(frame, Outcome::Taken(BatchAnswer::default()), now);
    assert!(counters.status("test").failing, "the first one still does");
    let later = now + Duration::from_secs(60);
    let frame = next_frame(&mut senders[0], later);
    senders[0].sent(frame, Outcome::Taken(BatchAnswer::default()), later);
    assert!(!counters.status("test").failing);
}

#[test]
fn at_the_deadline_what_is_left_is_given_up_however_well_the_server_takes() {
    let (mut sender, counters) = sender(Numbers { answers: false });
    let now = Instant::now();
    for value in 0..10 {
        put(&mut sender, value);
    }
    sender.close(now + Duration::from_secs(2));
    let frame = next_frame(&mut sender, now);
    sender.sent(
        frame,
        Outcome::Taken(BatchAnswer::default()),
        now + Duration::from_secs(2),
    );
    assert_eq!(sender.next(now + Duration::from_secs(2)), Step::End);
    assert_eq!(sender.take_remarks(), [Remark::Lost { values: 9 }]);
    let status = counters.status("test");
    assert_eq!(
        (status.sent, status.dropped, status.waiting_bytes),
        (1, 9, 0)
    );
}
