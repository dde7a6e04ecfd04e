//! The fast path: a METRIC or HOST that looks like one seen before is read by comparing bytes.
//!
//! Parses nothing. A value or TN that the full parser might read otherwise is a miss here, so both
//! ways give the same result.

use memchr::memchr;

use super::build::ClusterBuilder;
use super::scan::looked_at;
use crate::model::{DefId, HostInfo, MetricDef, Number, ShortText, SmallText, Wire, Word};

/// Longest value that the fast path reads.
const MAX_FAST_VALUE: usize = 256;

/// The result of a comparison.
pub(super) enum Fast {
    /// A metric.
    Hit(Found<SmallText>),
    /// Equal so far; more bytes are needed.
    More,
    /// Not equal.
    Miss,
}

/// A metric that was read by comparing bytes.
pub(super) struct Found<T> {
    /// Its length in bytes.
    pub len: usize,
    /// Its definition.
    pub id: DefId,
    /// TN.
    pub tn: u32,
    /// VAL.
    pub val: T,
    /// The number that VAL is, where the definition's values are numbers.
    pub number: Option<Number>,
}

/// Reads the METRIC at the start of `bytes`, if it is the one that the open host had next, and nothing about
/// it is unusual. Others may be read by `metric`.
#[inline]
pub(super) fn expected(cluster: &ClusterBuilder, bytes: &[u8]) -> Option<Found<ShortText>> {
    let id = cluster.predicted()?;
    looked_at(bytes.len());
    at_once(bytes, cluster.vocabulary().def(id), id)
}

/// Compares the start of `bytes` with the METRIC element of that definition, except for VAL and TN.
///
/// A hit has a plain text value and a TN of digits, which the full parser would read the same.
pub(super) fn compare(bytes: &[u8], def: &MetricDef, id: DefId) -> Fast {
    looked_at(bytes.len());
    if let Some(block) = bytes.first_chunk()
        && !is_block(block, def.wire().at_head())
    {
        return Fast::Miss;
    }
    match at_once(bytes, def, id) {
        Some(found) => Fast::Hit(Found {
            val: found.val.into(),
            len: found.len,
            id,
            tn: found.tn,
            number: found.number,
        }),
        None => with_care(bytes, def, id),
    }
}

/// The same for what most elements are: all of it is there, with a short value and a short TN.
///
/// Lengths differ from one metric to the next, and each host has an order of its own: a processor that
/// guesses them is wrong most times. So they are looked up, not branched on.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "a value that goes through memory on its way costs a tenth of a poll"
)]
fn at_once(bytes: &[u8], def: &MetricDef, id: DefId) -> Option<Found<ShortText>> {
    let wire = def.wire();
    let rest = after(bytes, wire.at_head())?;
    let word = Word::first_of(rest)?;
    let len = word.find(b'"');
    let val = ShortText::new(word, len)?;
    let text = rest.get(..len)?;
    let mut number = word.number(len);
    if number.is_none() {
        if !text.iter().all(|byte| is_plain(*byte)) {
            return None;
        }
        number = def.number_of(text);
    }
    let rest = after(rest.get(len..)?, wire.at_middle())?;
    let (digits, tn) = Word::first_of(rest)?.digits();
    // Of eight there may be more.
    if !(1..8).contains(&digits) {
        return None;
    }
    let rest = after(rest.get(digits..)?, wire.at_tail())?;
    let (source, may_be_absent) = wire.source();
    let rest = match rest.first() {
        Some(b'>' | b'/') if may_be_absent => rest,
        _ => rest.strip_prefix(source)?,
    };
    let rest = rest.strip_prefix(wire.close()).or_else(|| {
        let mut others = wire.other_closes().iter();
        others.find_map(|close| rest.strip_prefix(*close))
    })?;
    Some(Found {
        len: bytes.len() - rest.len(),
        id,
        tn,
        val,
        number,
    })
}

/// Bytes that are compared at once.
const BLOCK: usize = 48;

/// What is compared of a block, by how much is left out: all its bytes, or fewer of the first ones.
static MASKS: [u8; 2 * BLOCK] = {
    let mut masks = [0; 2 * BLOCK];
    let mut at = 0;
    while at < BLOCK {
        masks[at] = 0xff;
        at += 1;
    }
    masks
};

/// Whether a block begins with the first `len` bytes of `wire`, or with as many as it has.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the release is linked for size, which would make calls of these"
)]
fn is_block(found: &[u8; BLOCK], (wire, len): (&[u8], usize)) -> bool {
    let left_out = BLOCK - len.min(BLOCK);
    let (Some(wire), Some(mask)) = (
        wire.first_chunk::<BLOCK>(),
        MASKS[left_out..].first_chunk::<BLOCK>(),
    ) else {
        // A wire form ends less than a block behind what is looked for only if that is short.
        return found.starts_with(&wire[..len.min(BLOCK)]);
    };
    let (found, wire, mask) = (words(found), words(wire), words(mask));
    let differs = [0, 1, 2].map(|at| (found[at] ^ wire[at]) & mask[at]);
    differs[0] | differs[1] | differs[2] == 0
}

/// The bytes of a block as three numbers: no loop that a build for size would go through byte by byte.
#[inline]
fn words(block: &[u8; BLOCK]) -> [u128; 3] {
    let (words, _) = block.as_chunks();
    [words[0], words[1], words[2]].map(u128::from_ne_bytes)
}

/// What follows the first `len` bytes of `wire` at the start of `bytes`, if it is there with a block's bytes.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "the release is linked for size, which would make calls of these"
)]
fn after<'a>(bytes: &'a [u8], (wire, len): (&[u8], usize)) -> Option<&'a [u8]> {
    if !is_block(bytes.first_chunk()?, (wire, len)) {
        return None;
    }
    if len > BLOCK {
        return bytes.strip_prefix(&wire[..len]);
    }
    bytes.get(len..)
}

/// Compares step by step: some of the element may not have arrived, and anything may be long.
#[cold]
#[inline(never)]
fn with_care(bytes: &[u8], def: &MetricDef, id: DefId) -> Fast {
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
    let wire = def.wire();
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
    let (source, may_be_absent) = wire.source();
    let rest = match rest.first() {
        None => return Fast::More,
        Some(b'>' | b'/') if may_be_absent => rest,
        _ => expect!(rest, source),
    };
    let len = match close(rest, wire) {
        Ok(len) => bytes.len() - rest.len() + len,
        Err(missed) => return missed,
    };
    let tn = tn
        .iter()
        .fold(0, |tn, digit| tn * 10 + u32::from(digit - b'0'));
    Fast::Hit(Found {
        len,
        id,
        tn,
        val: SmallText::from_ascii(val),
        number: def.number_of(val),
    })
}

/// The length of what closes the element. The line end after it is mere white space.
fn close(bytes: &[u8], wire: &Wire) -> Result<usize, Fast> {
    let mut missed = Fast::Miss;
    for close in [wire.close()].iter().chain(wire.other_closes()) {
        if bytes.starts_with(close) {
            return Ok(close.len());
        }
        if close.starts_with(bytes) {
            missed = Fast::More;
        }
    }
    Err(missed)
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
pub(super) fn metric(cluster: &ClusterBuilder, bytes: &[u8]) -> Fast {
    let first = cluster.predicted();
    if let Some(id) = first {
        match compare(bytes, cluster.vocabulary().def(id), id) {
            Fast::Miss => {}
            found => return found,
        }
    }
    let second = cluster
        .predicted_by_others()
        .filter(|id| Some(*id) != first);
    if let Some(id) = second {
        match compare(bytes, cluster.vocabulary().def(id), id) {
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
        match compare(bytes, vocabulary.def(id), id) {
            Fast::Miss => {}
            Fast::More => found = Fast::More,
            hit @ Fast::Hit(..) => return hit,
        }
    }
    found
}
