//! Documents that come packed.

use std::io::Write;

use super::*;

pub(super) fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

#[test]
fn gzip_is_recognised_however_it_arrives() {
    let stream = gzipped(GOOD);
    for chunk in [1, 5, stream.len()] {
        let mut poll = machine(&["10.0.0.1"], 15);
        let now = next_start(&mut poll);
        connects_to(&mut poll, "10.0.0.1");
        poll.connected(parser(), now);
        for part in stream.chunks(chunk) {
            poll.bytes(part, now, &mut DefTable::default());
        }
        assert!(matches!(poll.action(), Some(Action::Close)), "by {chunk}");
        let answer = ends(&mut poll).answer.expect("a document");
        assert_eq!(answer.document.bytes, GOOD.len() as u64);
        assert_eq!(answer.wire_bytes, stream.len() as u64);
    }
}

#[test]
fn gzip_that_is_cut_short_is_no_document() {
    let stream = gzipped(GOOD);
    let mut poll = machine(&["10.0.0.1"], 15);
    let now = next_start(&mut poll);
    connects_to(&mut poll, "10.0.0.1");
    poll.connected(parser(), now);
    let cut = &stream[..stream.len() - 1];
    poll.bytes(cut, now, &mut DefTable::default());
    poll.end(now);
    while poll.has_backlog() {
        poll.work(now, &mut DefTable::default());
    }
    lets_go(&mut poll);
    let expected = Failure::Gzip(InflateError::Truncated(cut.len() as u64));
    assert_eq!(reasons(&ends(&mut poll)), [&expected]);
}

#[test]
fn a_packed_document_is_limited_as_it_arrives() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(GOOD).expect("memory takes it");
    let stream = encoder.finish().expect("memory takes it");
    assert!(stream.len() > GOOD.len());
    for (most, is_taken) in [(stream.len(), true), (stream.len() - 1, false)] {
        let limits = Limits {
            document_bytes: most as u64,
            ..Limits::DEFAULT
        };
        let settings = ParseSettings {
            limits,
            ..ParseSettings::default()
        };
        let mut poll = machine(&["10.0.0.1"], 15);
        let now = next_start(&mut poll);
        connects_to(&mut poll, "10.0.0.1");
        poll.connected(Parser::new(Arc::new(settings), Previous::default()), now);
        for byte in &stream {
            poll.bytes(&[*byte], now, &mut DefTable::default());
        }
        if is_taken {
            assert!(matches!(poll.action(), Some(Action::Close)));
            assert!(ends(&mut poll).answer.is_some());
            continue;
        }
        lets_go(&mut poll);
        let outcome = ends(&mut poll);
        let said = reasons(&outcome)[0].to_string();
        let limit = format!("exceeds the limit of {most}");
        assert!(said.starts_with("the packed document at byte "), "{said}");
        assert!(said.ends_with(&limit), "{said}");
    }
}
