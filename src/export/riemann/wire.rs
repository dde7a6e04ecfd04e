//! Riemann's messages, those parts that are sent and read here, and how events go into one.
//!
//! No I/O. Field numbers are those of Riemann's own `proto.proto`.

use prost::{Message, encode_length_delimiter};

/// The tag in front of an event in a message: field 6, length-delimited.
const EVENT: u8 = 6 << 3 | 2;

/// A message, in either direction.
#[derive(Clone, PartialEq, Message)]
pub struct Msg {
    /// In an answer: whether the events were taken.
    #[prost(bool, optional, tag = "2")]
    pub ok: Option<bool>,
    /// In an answer: why they were not.
    #[prost(string, optional, tag = "3")]
    pub error: Option<String>,
    /// In a message to the server.
    #[prost(message, repeated, tag = "6")]
    pub events: Vec<Event>,
}

/// The state of a service on a host at a time.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since the epoch.
    #[prost(int64, optional, tag = "1")]
    pub time: Option<i64>,
    /// A value that is no number.
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
    /// The host's tags.
    #[prost(string, repeated, tag = "7")]
    pub tags: Vec<String>,
    /// Seconds for which it is valid.
    #[prost(float, optional, tag = "8")]
    pub ttl: Option<f32>,
    /// Grid, cluster, address, location, and what the configuration adds.
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<Attribute>,
    /// A whole number.
    #[prost(sint64, optional, tag = "13")]
    pub metric_sint64: Option<i64>,
    /// A number.
    #[prost(double, optional, tag = "14")]
    pub metric_d: Option<f64>,
    /// Never sent: the other two are more exact.
    #[prost(float, optional, tag = "15")]
    pub metric_f: Option<f32>,
}

/// A key and its value.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Attribute {
    /// Its name.
    #[prost(string, required, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// Appends an event to the bytes of a [`Msg`]. Its part `common` is encoded already.
pub fn append_event(msg: &mut Vec<u8>, common: &[u8], event: &Event) {
    msg.push(EVENT);
    // Writing to a vector does not fail.
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
