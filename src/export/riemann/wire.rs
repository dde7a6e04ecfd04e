//! Riemann's messages, as far as they are sent and read here, and how events go into one.
//!
//! Field numbers are those of Riemann's own `proto.proto`; no I/O.

use prost::{Message, encode_length_delimiter};

/// What stands before an event's length in a message: field 6, bytes of a length that is given.
const EVENT: u8 = 6 << 3 | 2;

/// What goes to and fro.
#[derive(Clone, PartialEq, Message)]
pub struct Msg {
    /// Of an answer: whether all is well.
    #[prost(bool, optional, tag = "2")]
    pub ok: Option<bool>,
    /// Of an answer: what is not.
    #[prost(string, optional, tag = "3")]
    pub error: Option<String>,
    /// Of a message to the server.
    #[prost(message, repeated, tag = "6")]
    pub events: Vec<Event>,
}

/// Something about a service on a host at a time.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since the epoch.
    #[prost(int64, optional, tag = "1")]
    pub time: Option<i64>,
    /// A value in words.
    #[prost(string, optional, tag = "2")]
    pub state: Option<String>,
    /// The metric's name.
    #[prost(string, optional, tag = "3")]
    pub service: Option<String>,
    /// The host's name.
    #[prost(string, optional, tag = "4")]
    pub host: Option<String>,
    /// Units.
    #[prost(string, optional, tag = "5")]
    pub description: Option<String>,
    /// The host's.
    #[prost(string, repeated, tag = "7")]
    pub tags: Vec<String>,
    /// Seconds for which it is good.
    #[prost(float, optional, tag = "8")]
    pub ttl: Option<f32>,
    /// Where it comes from, and what the configuration adds.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<Attribute>,
    /// A whole number.
    #[prost(sint64, optional, tag = "13")]
    pub metric_sint64: Option<i64>,
    /// A number.
    #[prost(double, optional, tag = "14")]
    pub metric_d: Option<f64>,
    /// Not sent: the other two say more.
    #[prost(float, optional, tag = "15")]
    pub metric_f: Option<f32>,
}

/// A key and its value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Attribute {
    /// What it is about.
    #[prost(string, required, tag = "1")]
    pub key: String,
    /// What it says.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// Appends an event, one part of which is encoded already, to the bytes of a [`Msg`].
pub fn append_event(msg: &mut Vec<u8>, common: &[u8], event: &Event) {
    msg.push(EVENT);
    // A vector takes all that is written to it.
    let _ = encode_length_delimiter(common.len() + event.encoded_len(), msg);
    msg.extend_from_slice(common);
    let _ = event.encode(msg);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_in_parts_are_the_same_as_in_one() {
        let whole = Event {
            time: Some(5),
            service: Some("s".into()),
            host: Some("h".into()),
            metric_sint64: Some(-1),
            ..Event::default()
        };
        let common = Event {
            time: Some(5),
            host: Some("h".into()),
            ..Event::default()
        };
        let own = Event {
            service: Some("s".into()),
            metric_sint64: Some(-1),
            ..Event::default()
        };
        let mut bytes = Vec::new();
        append_event(&mut bytes, &common.encode_to_vec(), &own);
        append_event(&mut bytes, &[], &whole);
        let msg = Msg::decode(bytes.as_slice()).unwrap();
        assert_eq!(msg.events, [whole.clone(), whole]);
    }
}
