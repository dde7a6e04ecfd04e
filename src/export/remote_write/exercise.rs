//! What a fuzzer gives to this export, and what comes of it: all that a store's answer can be, and all
//! that documents become in either protocol.
//!
//! Not part of the daemon.

use std::path::Path;

use super::encode::Protocol;
use super::protocol::{Http, Login};
use super::settings::Settings;
use super::url::Url;
use super::{LONGEST_ANSWER_BYTES, Store};
use crate::link::{AnswerReader, Batch, BatchAnswer, Dialect, Frame, LinkError, encoded};
use gmetad_config::{Disk, Overrides, parse};
use gmetad_core::plugin::Update;

fn http(protocol: Protocol) -> Http {
    let url = Url::parse("http://h:1/").expect("a sound URL");
    Http::new(protocol, &url, &[], Login::None)
}

/// What bytes mean as the answer to a request with so many values. They come in pieces of that size, and
/// then the connection ends.
///
/// # Panics
/// Where more is read than an answer can have.
pub fn answer(bytes: &[u8], piece: usize, values: u32) -> Result<BatchAnswer, LinkError> {
    let mut left = bytes;
    let mut more = |received: &mut Vec<u8>| {
        let (now, later) = left.split_at(piece.clamp(1, 4096).min(left.len()));
        received.extend_from_slice(now);
        left = later;
        (!now.is_empty()).then_some(()).ok_or(LinkError::Closed)
    };
    let frame = Frame {
        bytes: Vec::new(),
        values,
    };
    let mut received = Vec::new();
    let mut reader = AnswerReader::new(&mut received, &mut more);
    let answer = http(Protocol::Prometheus).answer(&mut reader, &frame);
    let read = bytes.len() - left.len();
    assert!(
        read <= LONGEST_ANSWER_BYTES,
        "{read} bytes of an answer were read"
    );
    answer
}

/// A store, and what it is sent: the body of a request for each update.
pub struct Sends {
    store: Store,
    http: Http,
}

impl Sends {
    /// As a section with these lines is sent.
    ///
    /// # Panics
    /// If they are wrong.
    pub fn new(lines: &str) -> Sends {
        let text = format!("data_source a b\nremote_write {{\nurl http://h/w\n{lines}\n}}");
        let file = Path::new("gmetad.conf");
        let loaded = parse(text.as_bytes(), file, &Disk, &Overrides::default(), "h");
        let config = loaded.expect("a sound configuration").config;
        let section = config.export_sections("remote_write").remove(0);
        let settings = Settings::read(section).expect("a sound section");
        Sends {
            http: http(settings.protocol),
            store: Store::new(settings),
        }
    }

    /// The body for this update.
    pub fn update(&mut self, update: &Update) -> Vec<u8> {
        let mut batch = Batch::default();
        self.store.update(update, &mut |sample| batch.push(sample));
        encoded(&batch, &self.http).bytes
    }
}
