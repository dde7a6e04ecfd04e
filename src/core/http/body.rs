//! The body of a request while it arrives. Only a POST to Graphite's API has one.
//!
//! No I/O, and no clock: how long it may take is the client's matter.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use super::{Head, Method, Refusal};
use crate::share::{Most, Share, Shares};

/// Largest body of a request.
pub const MAX_BODY_BYTES: usize = 256 << 10;

/// Most bodies at a time, half of them of one address: each takes memory until its request is answered.
pub const MAX_BODIES: usize = 64;

/// A request whose body is not complete.
#[derive(Debug)]
pub struct Incoming {
    head: Head,
    wanted: usize,
    /// Counts it among the bodies; `None` until it is admitted.
    share: Option<Share>,
}

/// How many bodies there may be at a time. Each body under way holds a share.
pub fn bodies() -> Shares {
    Shares::new(Most::half_for_each(MAX_BODIES))
}

impl Incoming {
    /// Of a request. Gives it back if it has no body, or is refused.
    pub fn of(head: Head) -> Result<Incoming, Box<Head>> {
        if head.method != Method::Post || head.target.is_err() {
            return Err(Box::new(head));
        }
        match wanted(&head) {
            Ok(0) => Err(Box::new(head)),
            Ok(wanted) => Ok(Incoming {
                head,
                wanted,
                share: None,
            }),
            Err(refusal) => Err(Box::new(head.but_refused(refusal))),
        }
    }

    /// Counts it among the bodies.
    pub fn admit(&mut self, share: Share) {
        self.share = Some(share);
    }

    /// Takes bytes; returns how many do not belong to it.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let part = bytes
            .len()
            .min(self.wanted.saturating_sub(self.head.body.len()));
        self.head.body.extend_from_slice(&bytes[..part]);
        bytes.len().saturating_sub(part)
    }

    /// Whether all of it is there, and it is admitted.
    pub fn is_whole(&self) -> bool {
        self.share.is_some() && self.head.body.len() == self.wanted
    }

    /// The request, which is refused if the body is not complete.
    pub fn into_head(self) -> Head {
        if self.is_whole() {
            self.head
        } else {
            self.head.but_refused(Refusal::ShortBody)
        }
    }

    /// The request, refused as there are too many others.
    pub fn refused(self) -> Head {
        self.head.but_refused(Refusal::Bodies)
    }
}

/// How long the body is.
fn wanted(head: &Head) -> Result<usize, Refusal> {
    let length = head.field("Content-Length").ok_or(Refusal::Length)?;
    let is_number = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
    if !is_number || head.field("Transfer-Encoding").is_some() {
        return Err(Refusal::Length);
    }
    let length = str::from_utf8(length).ok().and_then(|it| it.parse().ok());
    length
        .filter(|length| *length <= MAX_BODY_BYTES)
        .ok_or(Refusal::LongBody)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::share;

    fn incoming(fields: &str) -> Result<Incoming, Box<Head>> {
        let head = format!("POST /graphite/render HTTP/1.1\r\n{fields}\r\n\r\n");
        Incoming::of(Head::parse(head.as_bytes()))
    }

    #[test]
    fn a_body_is_as_long_as_its_head_says() {
        let mut body = incoming("Content-Length: 5").unwrap();
        assert_eq!(body.take(b"abc"), 0);
        assert!(!body.is_whole());
        assert_eq!(body.take(b"defg"), 2);
        assert!(!body.is_whole(), "it is not admitted");
        body.admit(share());
        assert!(body.is_whole());
        assert_eq!(body.into_head().body, b"abcde");
        let mut short = incoming("Content-Length: 5").unwrap();
        short.admit(share());
        short.take(b"abcd");
        assert_eq!(short.into_head().target, Err(Refusal::ShortBody));
        let none = incoming("Content-Length: 0").unwrap_err();
        assert!(none.target.is_ok());
    }

    #[test]
    fn a_body_of_unknown_length_or_too_long_is_refused() {
        let refusal = |fields: &str| incoming(fields).unwrap_err().target.unwrap_err();
        for fields in [
            "X: y",
            "Content-Length:",
            "Content-Length: -1",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
        ] {
            assert_eq!(refusal(fields), Refusal::Length, "{fields}");
        }
        let length = |length: usize| format!("Content-Length: {length}");
        assert!(incoming(&length(MAX_BODY_BYTES)).is_ok());
        assert_eq!(refusal(&length(MAX_BODY_BYTES + 1)), Refusal::LongBody);
        let endless = format!("Content-Length: {}", "9".repeat(30));
        assert_eq!(refusal(&endless), Refusal::LongBody);
    }

    #[test]
    fn what_is_no_post_to_graphite_has_no_body() {
        let head = Head::parse(b"GET /graphite/ HTTP/1.1\r\nContent-Length: 5\r\n\r\n");
        assert!(Incoming::of(head).is_err());
        let head = Head::parse(b"POST /ui/ HTTP/1.1\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(head.target, Err(Refusal::Method));
    }

    #[test]
    fn bodies_are_limited_in_number() {
        let mut bodies = bodies();
        let mut of = |address: [u8; 4]| {
            let all = std::iter::from_fn(|| bodies.take(address.into()).ok());
            all.take(1000).collect::<Vec<_>>()
        };
        let (one, other) = (of([192, 0, 2, 1]), of([192, 0, 2, 2]));
        assert_eq!((one.len(), other.len()), (MAX_BODIES / 2, MAX_BODIES / 2));
        assert_eq!(of([192, 0, 2, 3]).len(), 0);
    }
}
