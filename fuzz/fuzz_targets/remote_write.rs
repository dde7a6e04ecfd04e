//! Any documents, sent to a Prometheus and to an InfluxDB, can be read back: the same samples, with
//! sorted and valid labels, and times that rise in each series.
#![no_main]

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use gmetad_core::ingest::{ParseSettings, Parser, Previous};
use gmetad_core::model::{DefTable, Mono, Now};
use gmetad_core::plugin::{Invented, Stamp, Update};
use gmetad_export::exercise::Sends;
use libfuzzer_sys::fuzz_target;

/// The labels of a series, its value's bits and its time in milliseconds.
type Sample = (BTreeMap<String, String>, u64, i64);

const STALE: u64 = 0x7ff0_0000_0000_0002;

/// A message, field by field: its number, and a number or bytes.
struct Fields<'a>(&'a [u8]);

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for at in 0..10 {
        let (&byte, rest) = bytes.split_first().expect("a whole varint");
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return number;
        }
    }
    panic!("a varint that does not end");
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let tag = varint(&mut self.0);
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut self.0)),
            kind => {
                let length = if kind == 1 { 8 } else { varint(&mut self.0) };
                assert!(kind == 1 || kind == 2, "no such kind: {kind}");
                let (bytes, rest) = self.0.split_at(length as usize);
                self.0 = rest;
                Field::Bytes(bytes)
            }
        };
        Some((tag >> 3, field))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn read_prometheus(body: &[u8]) -> Vec<Sample> {
    let request = snap::raw::Decoder::new()
        .decompress_vec(body)
        .expect("snappy");
    let series = Fields(&request).map(|(number, field)| match (number, field) {
        (1, Field::Bytes(series)) => read_series(series),
        _ => panic!("no field of a request: {number}"),
    });
    series.collect()
}

fn read_series(series: &[u8]) -> Sample {
    let (mut labels, mut value, mut time, mut last) = (BTreeMap::new(), 0, 0, String::new());
    for (number, field) in Fields(series) {
        let Field::Bytes(bytes) = field else {
            panic!("no field of a series: {number}");
        };
        if number == 1 {
            let mut pair = Fields(bytes).map(|(_, field)| match field {
                Field::Bytes(bytes) => text(bytes),
                Field::Number(_) => panic!("no text"),
            });
            let (name, value) = (pair.next().expect("a name"), pair.next().expect("a value"));
            assert!(name > last, "sorted: {last} {name}");
            assert!(!value.is_empty(), "no label is empty");
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let is_name =
                !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(is_part);
            assert!(is_name, "{name}");
            last.clone_from(&name);
            labels.insert(name, value);
        } else {
            for (number, field) in Fields(bytes) {
                match (number, field) {
                    (1, Field::Bytes(bytes)) => {
                        value = u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
                    }
                    (2, Field::Number(number)) => time = number as i64,
                    _ => panic!("no field of a sample: {number}"),
                }
            }
        }
    }
    let family = labels.get("__name__").expect("a family");
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    assert!(!family.starts_with(|c: char| c.is_ascii_digit()) && family.chars().all(is_part));
    (labels, value, time)
}

fn read_influx(body: &[u8]) -> Vec<Sample> {
    let mut lines = String::new();
    GzDecoder::new(body)
        .read_to_string(&mut lines)
        .expect("gzip, UTF-8");
    assert!(lines.is_empty() || lines.ends_with('\n'));
    lines.split_terminator('\n').map(read_line).collect()
}

/// The text up to a character that is not escaped, without escapes, and the rest from it on.
fn unescaped<'a>(text: &'a str, ends: &[char]) -> (String, &'a str) {
    let (mut out, mut last) = (String::new(), '\0');
    for (at, c) in text.char_indices() {
        if ends.contains(&c) && last != '\\' {
            return (out, &text[at..]);
        }
        if matches!(c, ',' | '=' | ' ') && last == '\\' {
            out.pop();
        }
        out.push(c);
        last = c;
    }
    panic!("no end: {text}");
}

fn read_line(line: &str) -> Sample {
    let (family, mut rest) = unescaped(line, &[',', ' ']);
    let mut labels = BTreeMap::from([("__name__".to_owned(), family)]);
    while let Some(tag) = rest.strip_prefix(',') {
        let (name, after) = unescaped(tag, &['=']);
        let (value, after) = unescaped(&after[1..], &[',', ' ']);
        assert!(!value.is_empty(), "{line}");
        assert!(labels.insert(name, value).is_none(), "{line}");
        rest = after;
    }
    let rest = rest.strip_prefix(" value=").expect("the field");
    let (value, time) = rest.split_once(' ').expect("a time");
    let value: f64 = value.parse().expect("a number");
    (labels, value.to_bits(), time.parse().expect("milliseconds"))
}

/// A label as the line protocol can say it.
fn sayable(mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    for value in labels.values_mut() {
        *value = value.replace('\n', "\u{240a}").replace('\r', "\u{240d}");
        if let Some(start) = value.strip_suffix('\\') {
            *value = format!("{start}\u{ff3c}");
        }
    }
    labels
}

fn update(document: &[u8], epoch: i64) -> Option<Update> {
    let mut parser = Parser::new(Arc::new(ParseSettings::default()), Previous::default());
    parser
        .feed(document, Mono(0), &mut DefTable::default())
        .ok()?;
    let node = parser.finish(Mono(0)).ok()?.nodes.first()?.clone();
    let now = Now {
        epoch,
        mono: Mono(0),
    };
    Some(Update {
        source: "source".into(),
        interval: Duration::from_secs(15),
        up: true,
        invented: Invented::default(),
        stamp: Stamp::of(&node, now),
        node,
        now,
    })
}

fuzz_target!(|input: &[u8]| {
    let external = "external_label A x\nexternal_label dc \"a, b=\"\nexternal_label replica r1\n";
    let mut prometheus = Sends::new(external);
    let mut influx = Sends::new(&format!("{external}protocol influx"));
    let mut newest: BTreeMap<BTreeMap<String, String>, i64> = BTreeMap::new();
    for (at, document) in input.split(|byte| *byte == 0).take(4).enumerate() {
        let document = [
            b"<GANGLIA_XML VERSION=\"3\" SOURCE=\"gmond\">",
            document,
            b"</GANGLIA_XML>",
        ]
        .concat();
        let Some(update) = update(&document, 1_795_367_150 + 15 * at as i64) else {
            continue;
        };
        let samples = read_prometheus(&prometheus.update(&update));
        for (labels, value, time) in &samples {
            assert!(f64::from_bits(*value).is_finite() || *value == STALE);
            let before = newest.insert(labels.clone(), *time);
            assert!(before < Some(*time), "{labels:?} {before:?} {time}");
            assert!(*time <= (update.now.epoch + 1) * 1000, "ahead of our clock");
        }
        let lasting = samples.into_iter().filter(|(_, value, _)| *value != STALE);
        let expected: Vec<Sample> = lasting
            .map(|(labels, value, time)| (sayable(labels), value, time))
            .collect();
        assert_eq!(read_influx(&influx.update(&update)), expected);
    }
});
