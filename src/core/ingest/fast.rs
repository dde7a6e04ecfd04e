//! The fast path: a METRIC or HOST that looks like one seen before is read by comparing bytes.
//!
//! Parses nothing. A value or TN that the full parser might read otherwise is a miss here, so both
//! ways give the same result.

use memchr::memchr;

use super::build::ClusterBuilder;
use super::scan::looked_at;
use crate::model::{DefId, HostInfo, SmallText, Wire};

/// Longest value that the fast path reads.
const MAX_FAST_VALUE: usize = 256;

/// The result of a comparison.
pub(super) enum Fast {
    /// A metric: its length in bytes, definition, TN and value.
    Hit(usize, DefId, u32, SmallText),
    /// Equal so far; more bytes are needed.
    More,
    /// Not equal.
    Miss,
}

/// Compares the start of `bytes` with the METRIC element of that wire form, except for VAL and TN.
///
/// A hit has a plain text value and a TN of digits, which the full parser would read the same.
#[inline]
pub(super) fn compare(bytes: &[u8], wire: &Wire, id: DefId) -> Fast {
    macro_rules! expect {
        ($rest:expr, $part:expr) => {{
            let (rest, part): (&[u8], &[u8]) = ($rest, $part);
            match rest.strip_prefix(part) {
                Some(rest) => rest,
                None if part.starts_with(rest) => return Fast::More,
                None => return Fast::Miss,
            }
        }};
    }
    looked_at(bytes.len());
    let rest = expect!(bytes, wire.head());
    let Some(end) = rest.iter().take(MAX_FAST_VALUE).position(|&b| !is_plain(b)) else {
        return if rest.len() < MAX_FAST_VALUE {
            Fast::More
        } else {
            Fast::Miss
        };
    };
    let (val, rest) = rest.split_at(end);
    let rest = expect!(rest, wire.middle());
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    // Nine digits always fit; the full parser reads more.
    if digits == 0 || digits > 9 {
        return if digits == rest.len() && digits < 9 {
            Fast::More
        } else {
            Fast::Miss
        };
    }
    let (tn, rest) = rest.split_at(digits);
    let rest = expect!(rest, wire.before_source());
    let tail = match (rest.first(), wire.after_default_source()) {
        (Some(b'>'), Some(tail)) => tail,
        (None, _) => return Fast::More,
        _ => wire.from_source(),
    };
    // The line end after the element is mere white space.
    let rest = expect!(rest, &tail[..tail.len() - 1]);
    let tn = tn
        .iter()
        .fold(0, |tn, digit| tn * 10 + u32::from(digit - b'0'));
    Fast::Hit(bytes.len() - rest.len(), id, tn, SmallText::from_ascii(val))
}

/// Whether the byte needs no escape inside an attribute.
#[inline]
fn is_plain(byte: u8) -> bool {
    PLAIN[byte as usize]
}

/// The answer for each byte.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b' ';
    while byte <= 0x7e {
        plain[byte as usize] = !matches!(byte, b'"' | b'&' | b'<' | b'>' | b'\'');
        byte += 1;
    }
    plain
};

/// A HOST tag that was read by comparing bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FastHost {
    /// Its length in bytes.
    pub len: usize,
    /// REPORTED.
    pub reported: u32,
    /// TN.
    pub tn: u32,
}

/// Reads the HOST tag at the start of `bytes`, if it is that of `info`, with the attributes in the order
/// in which a gmond writes them. `None` too where the tag is not complete.
pub(super) fn host(bytes: &[u8], info: &HostInfo) -> Option<FastHost> {
    let rest = text(bytes, b"<HOST NAME=\"", &info.name)?;
    let rest = text(rest, b"\" IP=\"", &info.ip)?;
    let rest = text(rest, b"\" TAGS=\"", &info.tags)?;
    let (reported, rest) = number(rest, b"\" REPORTED=\"")?;
    let (tn, rest) = number(rest, b"\" TN=\"")?;
    let (tmax, rest) = number(rest, b"\" TMAX=\"")?;
    let (dmax, rest) = number(rest, b"\" DMAX=\"")?;
    let rest = text(rest, b"\" LOCATION=\"", &info.location)?;
    let (started, rest) = number(rest, b"\" GMOND_STARTED=\"")?;
    let rest = rest.strip_prefix(b"\">")?;
    looked_at(bytes.len() - rest.len());
    let is_it = (tmax, dmax, i64::from(started)) == (info.tmax, info.dmax, info.gmond_started);
    is_it.then_some(FastHost {
        len: bytes.len() - rest.len(),
        reported,
        tn,
    })
}

/// What follows `before` and this text, which needs no escape.
fn text<'a>(bytes: &'a [u8], before: &[u8], expected: &str) -> Option<&'a [u8]> {
    let expected = expected.as_bytes();
    let rest = bytes.strip_prefix(before)?.strip_prefix(expected)?;
    expected.iter().all(|byte| is_plain(*byte)).then_some(rest)
}

/// The number that follows `before`, and what follows it. Nine digits always fit, ten mostly do.
fn number<'a>(bytes: &'a [u8], before: &[u8]) -> Option<(u32, &'a [u8])> {
    let bytes = bytes.strip_prefix(before)?;
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=10).contains(&digits) {
        return None;
    }
    let (digits, rest) = bytes.split_at(digits);
    let number = digits.iter().fold(0, |number: u64, digit| {
        number * 10 + u64::from(digit - b'0')
    });
    Some((u32::try_from(number).ok()?, rest))
}

/// Reads the METRIC at the start of `bytes`, if it equals a known one except for VAL and TN.
///
/// Tries the definitions that are expected next, then those of the same name.
#[inline]
pub(super) fn metric(cluster: &ClusterBuilder, bytes: &[u8]) -> Fast {
    let first = cluster.predicted();
    if let Some(id) = first {
        match compare(bytes, cluster.vocabulary().def(id).wire(), id) {
            Fast::Miss => {}
            found => return found,
        }
    }
    let second = cluster
        .predicted_by_others()
        .filter(|id| Some(*id) != first);
    if let Some(id) = second {
        match compare(bytes, cluster.vocabulary().def(id).wire(), id) {
            Fast::Miss => {}
            found => return found,
        }
    }
    by_name(cluster, bytes, |id| Some(id) != first && Some(id) != second)
}

/// Tries the definitions of the METRIC's name that are still `untried`.
fn by_name(cluster: &ClusterBuilder, bytes: &[u8], untried: impl Fn(DefId) -> bool) -> Fast {
    const HEAD: &[u8] = b"<METRIC NAME=\"";
    let Some(rest) = bytes.strip_prefix(HEAD) else {
        return if HEAD.starts_with(bytes) {
            Fast::More
        } else {
            Fast::Miss
        };
    };
    let Some(end) = memchr(b'"', rest) else {
        return Fast::Miss;
    };
    let Ok(name) = std::str::from_utf8(&rest[..end]) else {
        return Fast::Miss;
    };
    let vocabulary = cluster.vocabulary();
    let mut found = Fast::Miss;
    for id in vocabulary.candidates(name).filter(|id| untried(*id)) {
        match compare(bytes, vocabulary.def(id).wire(), id) {
            Fast::Miss => {}
            Fast::More => found = Fast::More,
            hit @ Fast::Hit(..) => return hit,
        }
    }
    found
}
