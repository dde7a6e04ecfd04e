//! The messages of remote write, version 0.1.0, as their parts stand on the wire; and which protocol
//! it is.
//!
//! Whole messages are put together from parts that are encoded once: `labels` keeps those.

use super::influx;
use super::labels::NAME;

/// What a store takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Prometheus' remote write.
    #[default]
    Prometheus,
    /// InfluxDB's line protocol.
    Influx,
}

impl Protocol {
    /// Appends sorted labels, all of one piece.
    pub fn push_labels(self, out: &mut Vec<u8>, labels: &[(&str, &str)]) {
        match self {
            Protocol::Prometheus => {
                for (name, value) in labels {
                    push_label(out, name, value);
                }
            }
            Protocol::Influx => {
                let is_family = |label: &&(&str, &str)| label.0 == NAME;
                if let Some((_, family)) = labels.iter().find(is_family) {
                    influx::push_measurement(out, family);
                }
                for (name, value) in labels.iter().filter(|label| !is_family(label)) {
                    influx::push_tag(out, name, value);
                }
            }
        }
    }

    /// Appends a sample. `labels` are pieces of its labels. Returns whether the protocol can say it.
    pub fn push_series(
        self,
        out: &mut Vec<u8>,
        labels: [&[u8]; 3],
        value: f64,
        time_ms: i64,
    ) -> bool {
        match self {
            Protocol::Prometheus => {
                push_series(out, labels, value, time_ms);
                true
            }
            Protocol::Influx => influx::push_line(out, labels, value, time_ms),
        }
    }

    /// Appends the body of a request with these samples. `scratch` is for any use.
    pub fn push_body(self, out: &mut Vec<u8>, samples: &[u8], scratch: &mut Vec<u8>) {
        match self {
            Protocol::Prometheus => push_compressed(out, samples, scratch),
            Protocol::Influx => influx::push_gzipped(out, samples),
        }
    }

    /// The headers that say what the body is.
    pub fn headers(self) -> &'static str {
        match self {
            Protocol::Prometheus => {
                "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n\
                 X-Prometheus-Remote-Write-Version: 0.1.0\r\n"
            }
            Protocol::Influx => {
                "Content-Encoding: gzip\r\nContent-Type: text/plain; charset=utf-8\r\n"
            }
        }
    }

    /// What stands for it in a file of values that wait.
    pub fn mark(self) -> u8 {
        match self {
            Protocol::Prometheus => b's',
            Protocol::Influx => b'i',
        }
    }
}

/// Bytes that snappy compresses by themselves.
const SNAPPY_PART_BYTES: usize = 1 << 16;

/// Longest varint.
const VARINT_BYTES: usize = 10;

/// A length-delimited field 1: `WriteRequest.timeseries`, `TimeSeries.labels`, `Label.name`.
const FIRST_MESSAGE: u8 = 0x0a;
/// A length-delimited field 2: `TimeSeries.samples`, `Label.value`.
const SECOND_MESSAGE: u8 = 0x12;
/// `Sample.value`, a fixed64.
const SAMPLE_VALUE: u8 = 0x09;
/// `Sample.timestamp`, a varint.
const SAMPLE_TIME: u8 = 0x10;

/// The value that ends a series, a NaN of its own.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Appends a label of a `TimeSeries`.
pub fn push_label(out: &mut Vec<u8>, name: &str, value: &str) {
    let text_length = |text: &str| 1 + varint_length(text.len() as u64) + text.len();
    out.push(FIRST_MESSAGE);
    push_varint(out, (text_length(name) + text_length(value)) as u64);
    for (tag, text) in [(FIRST_MESSAGE, name), (SECOND_MESSAGE, value)] {
        out.push(tag);
        push_varint(out, text.len() as u64);
        out.extend_from_slice(text.as_bytes());
    }
}

/// Appends a `TimeSeries` of one sample to a `WriteRequest`. `labels` are pieces of its labels.
pub fn push_series(out: &mut Vec<u8>, labels: [&[u8]; 3], value: f64, time_ms: i64) {
    // Negative times, of clocks before the epoch, take ten bytes; as unsigned they are the same.
    let time = time_ms as u64;
    let sample = 1 + size_of::<f64>() + 1 + varint_length(time);
    let length = labels.iter().map(|piece| piece.len()).sum::<usize>() + 2 + sample;
    out.reserve(1 + VARINT_BYTES + length);
    out.push(FIRST_MESSAGE);
    push_varint(out, length as u64);
    for piece in labels {
        out.extend_from_slice(piece);
    }
    out.push(SECOND_MESSAGE);
    // At most 20.
    out.push(sample as u8);
    out.push(SAMPLE_VALUE);
    out.extend_from_slice(&value.to_le_bytes());
    out.push(SAMPLE_TIME);
    push_varint(out, time);
}

/// Appends the snappy block of a `WriteRequest`. `scratch` holds a part of it meanwhile.
///
/// Parts are compressed one by one, as the format has it: the length of all stands in front of them. So
/// `scratch` stays small enough for the processor's cache.
pub fn push_compressed(out: &mut Vec<u8>, request: &[u8], scratch: &mut Vec<u8>) {
    let room = snap::raw::max_compress_len(SNAPPY_PART_BYTES);
    if scratch.len() < room {
        scratch.resize(room, 0);
    }
    let mut encoder = snap::raw::Encoder::new();
    push_varint(out, request.len() as u64);
    for part in request.chunks(SNAPPY_PART_BYTES) {
        // It has the room that it asks for, and a part is far below its 4 GB.
        let length = encoder.compress(part, scratch).unwrap_or_default();
        out.extend_from_slice(&scratch[varint_length(part.len() as u64)..length]);
    }
}

fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn varint_length(number: u64) -> usize {
    let bits = (u64::BITS - number.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

#[cfg(test)]
pub mod message {
    //! The messages as their definition has them, to read back what was written by hand.

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub timeseries: Vec<TimeSeries>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Label {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(string, tag = "2")]
        pub value: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Sample {
        #[prost(double, tag = "1")]
        pub value: f64,
        #[prost(int64, tag = "2")]
        pub timestamp: i64,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::message::WriteRequest;
    use super::*;

    #[test]
    fn what_is_written_by_hand_is_read_as_the_message() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut request = Vec::new();
        let mut expected = Vec::new();
        for round in 0..2_000 {
            let text = |random: &mut fastrand::Rng| -> String {
                // Lengths on both sides of a varint's second byte.
                let length = random.usize(..300);
                (0..length).map(|_| random.char(..)).collect()
            };
            let labels: Vec<(String, String)> = (0..random.usize(..4))
                .map(|_| (text(&mut random), text(&mut random)))
                .collect();
            let mut pieces = [Vec::new(), Vec::new(), Vec::new()];
            for (at, (name, value)) in labels.iter().enumerate() {
                push_label(&mut pieces[at.min(2)], name, value);
            }
            let value = [0.0, -1.5, f64::MAX, random.f64(), STALE][round % 5];
            let time = [0, 1, 1_795_367_147_000, -5, i64::MAX][random.usize(..5)];
            push_series(
                &mut request,
                pieces.each_ref().map(|it| &it[..]),
                value,
                time,
            );
            expected.push((labels, value.to_bits(), time));
        }
        let read = WriteRequest::decode(&request[..]).unwrap();
        let read = read.timeseries.into_iter().map(|series| {
            let labels = series.labels.into_iter().map(|it| (it.name, it.value));
            let [sample] = &series.samples[..] else {
                panic!("one sample");
            };
            (
                labels.collect::<Vec<_>>(),
                sample.value.to_bits(),
                sample.timestamp,
            )
        });
        assert_eq!(read.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_request_is_compressed_behind_what_is_there() {
        let mut scratch = Vec::new();
        let mut random = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
            .take(200_000)
            .collect();
        let long = b"abcdefgh".repeat(20_000);
        for request in [
            &b""[..],
            b"a",
            &long,
            &long[..2 * SNAPPY_PART_BYTES],
            &noise,
        ] {
            let mut out = b"head".to_vec();
            push_compressed(&mut out, request, &mut scratch);
            let body = out.strip_prefix(b"head").unwrap();
            let whole = snap::raw::Encoder::new().compress_vec(request).unwrap();
            assert_eq!(body, whole, "as compressed in one go");
            let read = snap::raw::Decoder::new().decompress_vec(body).unwrap();
            assert_eq!(read, request);
        }
    }
}
