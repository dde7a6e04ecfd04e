//! What librrd's update reckons: steps, the rates of those that ended, and the rows they fill. Each
//! sum is made in librrd's order, so that its last bits are the same.
//!
//! A part of a header goes in and comes out changed. No file, and no place of a part in it.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::num::NonZeroU64;

use crate::file::layout::{PDP_SCRATCH, VALUE, float, put, put_float, whole};

/// Offsets in what is kept of a data source between two samples.
pub(crate) const PDP_UNKNOWN_SECS: usize = PDP_SCRATCH;
pub(crate) const PDP_VALUE: usize = PDP_SCRATCH + VALUE;

/// Offsets in what is kept of an archive's row in the making.
pub(crate) const CDP_VALUE: usize = 0;
pub(crate) const CDP_UNKNOWN: usize = VALUE;
pub(super) const CDP_PRIMARY: usize = 8 * VALUE;
pub(super) const CDP_SECONDARY: usize = 9 * VALUE;

/// What librrd writes for a value that is not known: what the processor makes of zero divided by
/// zero. Those of Intel set the sign.
pub(crate) const UNKNOWN: f64 = if cfg!(any(target_arch = "x86", target_arch = "x86_64")) {
    f64::from_bits(0xfff8_0000_0000_0000)
} else {
    f64::from_bits(0x7ff8_0000_0000_0000)
};

/// A product and a third number, as the C compilers that build librrd have them: where every processor of the
/// kind can, it multiplies and adds at once, and rounds once.
fn product_and(factor: f64, other: f64, more: f64) -> f64 {
    if cfg!(target_arch = "aarch64") {
        factor.mul_add(other, more)
    } else {
        factor * other + more
    }
}

/// Begins a step anew: nothing is known of it, and none of it has passed.
pub(super) fn begin_pdp(pdp: &mut [u8]) {
    put(pdp, PDP_UNKNOWN_SECS, 0);
    put_float(pdp, PDP_VALUE, 0.0);
}

/// Begins a row anew, so many steps of which have passed and are unknown.
pub(super) fn begin_row(cdp: &mut [u8], steps: u64) {
    put_float(cdp, CDP_VALUE, UNKNOWN);
    put(cdp, CDP_UNKNOWN, steps);
}

/// What a data source makes of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SourceKind {
    /// The value itself.
    Gauge,
    /// How fast it grows, by whole numbers; a smaller one has wrapped around at 32 or 64 bits.
    Counter,
    /// How fast it changes, by whole numbers, in either direction.
    Derive,
    /// What has come since the value before.
    Absolute,
    /// How fast it grows or falls; what turns back began anew.
    DecimalCounter,
    /// How fast it changes, in either direction.
    DecimalDerive,
}

impl SourceKind {
    /// By its name in a header; none for one that is computed of others.
    pub(super) fn named(name: &[u8]) -> Option<SourceKind> {
        Some(match name {
            b"GAUGE" => SourceKind::Gauge,
            b"COUNTER" => SourceKind::Counter,
            b"DERIVE" => SourceKind::Derive,
            b"ABSOLUTE" => SourceKind::Absolute,
            b"DCOUNTER" => SourceKind::DecimalCounter,
            b"DDERIVE" => SourceKind::DecimalDerive,
            _ => return None,
        })
    }

    /// What a value adds in so many seconds, as rate times seconds; NaN where that is not known.
    /// `None` where the value is none that such a source takes.
    pub(super) fn grown(self, word: &[u8], last: &[u8], secs: f64) -> Option<f64> {
        let is_first = last.first() == Some(&b'U');
        match self {
            SourceKind::Gauge => Some(decimal(word)? * secs),
            SourceKind::Absolute => decimal(word),
            SourceKind::Counter | SourceKind::Derive => {
                let digits = word
                    .strip_prefix(b"-")
                    .filter(|_| self == SourceKind::Derive);
                if !digits.unwrap_or(word).iter().all(u8::is_ascii_digit) {
                    return None;
                }
                if is_first {
                    return Some(UNKNOWN);
                }
                let more = difference(word, last);
                Some(if self == SourceKind::Counter {
                    unwrapped(more)
                } else {
                    more
                })
            }
            _ if is_first => Some(UNKNOWN),
            SourceKind::DecimalCounter | SourceKind::DecimalDerive => {
                let (new, old) = (decimal(word)?, decimal(last)?);
                let turned = (new > 0.0 && old > new) || (new < 0.0 && new > old);
                Some(if turned && self == SourceKind::DecimalCounter {
                    UNKNOWN
                } else {
                    new - old
                })
            }
        }
    }
}

/// How much a counter has counted that seems to have gone back.
fn unwrapped(mut more: f64) -> f64 {
    // librrd takes one less than two to the power of 32.
    const AT_32_BITS: f64 = 4_294_967_295.0;
    const AT_64_BITS: f64 = 18_446_744_069_414_584_320.0;
    for wrap in [AT_32_BITS, AT_64_BITS] {
        if more < 0.0 {
            more += wrap;
        }
    }
    more
}

/// How much one whole number is more than another, however long they are. Not known where either is
/// none, or where one is below zero and the other is not.
fn difference(new: &[u8], old: &[u8]) -> f64 {
    let known = Whole::of(new).zip(Whole::of(old));
    let Some((new, old)) = known.filter(|(new, old)| new.is_below_zero == old.is_below_zero) else {
        return UNKNOWN;
    };
    let size = rounded(new.size.abs_diff(old.size));
    let more = if new.size < old.size { -size } else { size };
    if new.is_below_zero { -more } else { more }
}

/// The number as librrd has it, digit after digit.
fn rounded(number: u128) -> f64 {
    // Every step of the way is exact.
    const EXACT: u128 = 1 << 53;
    if number < EXACT {
        return number as f64;
    }
    let digits = number.to_string();
    digits.bytes().fold(0.0, |sum, digit| {
        product_and(sum, 10.0, f64::from(value_of(digit)))
    })
}

/// Of a digit.
fn value_of(digit: u8) -> u8 {
    digit.wrapping_sub(b'0')
}

struct Whole {
    is_below_zero: bool,
    size: u128,
}

impl Whole {
    /// The first whole number in a text, of at most 30 digits.
    fn of(text: &[u8]) -> Option<Whole> {
        let start = text.iter().position(u8::is_ascii_digit)?;
        let (before, digits) = text.split_at(start);
        let end = digits.iter().position(|byte| !byte.is_ascii_digit());
        let digits = &digits[..end.unwrap_or(digits.len())];
        (digits.len() <= 30).then(|| Whole {
            is_below_zero: before.contains(&b'-'),
            size: digits.iter().fold(0, |sum: u128, digit| {
                sum.wrapping_mul(10).wrapping_add(value_of(*digit).into())
            }),
        })
    }
}

/// A decimal number, rounded as librrd rounds it.
pub(super) fn decimal(word: &[u8]) -> Option<f64> {
    let (is_below_zero, unsigned) = match word.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, word),
    };
    let mut rest = unsigned;
    let mut number = 0.0;
    let mut digits = take_digits(&mut rest, &mut number);
    let mut exponent = 0_i64;
    if let [b'.', decimals @ ..] = rest {
        rest = decimals;
        let decimals = take_digits(&mut rest, &mut number);
        digits = digits.wrapping_add(decimals);
        exponent = (decimals as i64).wrapping_neg();
    }
    if digits == 0 {
        return unusual(word);
    }
    if let [b'e' | b'E', power @ ..] = rest {
        let is_small = power.first() == Some(&b'-');
        let sign = usize::from(is_small || power.first() == Some(&b'+'));
        let power = &power[sign..];
        let size = power.iter().take_while(|byte| byte.is_ascii_digit());
        let size = size.fold(0_i64, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(i64::from(value_of(*digit)))
        });
        let is_number = power.iter().all(u8::is_ascii_digit);
        rest = if is_number { &[] } else { power };
        exponent = if is_small {
            exponent.saturating_sub(size)
        } else {
            exponent.saturating_add(size)
        };
    }
    let fits = (f64::MIN_EXP.into()..=f64::MAX_EXP.into()).contains(&exponent);
    if !rest.is_empty() || !fits {
        return None;
    }
    let number = if is_below_zero { -number } else { number };
    Some(scaled(number, exponent))
}

fn take_digits(rest: &mut &[u8], number: &mut f64) -> usize {
    let mut count = 0_usize;
    while let [digit @ b'0'..=b'9', more @ ..] = *rest {
        *number = product_and(*number, 10.0, f64::from(value_of(*digit)));
        *rest = more;
        count = count.wrapping_add(1);
    }
    count
}

/// A number times ten to that power, by squares of ten.
fn scaled(mut number: f64, exponent: i64) -> f64 {
    let mut left = exponent.unsigned_abs();
    let mut power = 10.0;
    while left > 0 {
        if left & 1 == 1 {
            if exponent < 0 {
                number /= power;
            } else {
                number *= power;
            }
        }
        left >>= 1;
        power *= power;
    }
    number
}

/// What is no number in digits.
fn unusual(word: &[u8]) -> Option<f64> {
    let begins = |text: &[u8]| {
        let start = word.get(..text.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(text))
    };
    if begins(b"-nan") {
        Some(UNKNOWN)
    } else if begins(b"nan") {
        Some(-UNKNOWN)
    } else if begins(b"inf") {
        Some(f64::INFINITY)
    } else if begins(b"-inf") {
        Some(f64::NEG_INFINITY)
    } else {
        None
    }
}

/// The time between two samples, cut at the ends of steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    pub(super) secs: f64,
    /// Before the last end of a step in it.
    before: f64,
    /// After that.
    after: f64,
    /// Ends of steps in it.
    pub(super) ended: u64,
    /// The number of the step it started in.
    first: u64,
}

impl Interval {
    /// From one sample, of which the file knows microseconds too, to the next, which is later.
    pub(super) fn between((last, micros): (u64, u64), time: u64, step: NonZeroU64) -> Interval {
        let (first, now) = (last / step, time / step);
        let part = if micros == 0 {
            0.0
        } else {
            micros as f64 / 1e6
        };
        let secs = time.wrapping_sub(last) as f64 - part;
        let (before, after) = if now > first {
            let since_step = time % step;
            let before = time.wrapping_sub(since_step).wrapping_sub(last);
            (before as f64 - part, since_step as f64)
        } else {
            (secs, 0.0)
        };
        Interval {
            secs,
            before,
            after,
            ended: now.wrapping_sub(first),
            first,
        }
    }

    /// The step that had begun before, where others ended after it, and the rest: librrd takes them
    /// apart.
    pub(super) fn split(self, step: NonZeroU64) -> Option<(Interval, Interval)> {
        let open = self.before as u64 % step;
        if self.ended < 2 || open == 0 {
            return None;
        }
        let secs = open as f64;
        let begun = Interval {
            secs,
            before: secs,
            after: 0.0,
            ended: 1,
            first: self.first,
        };
        let rest = Interval {
            secs: self.secs - secs,
            before: self.before - secs,
            after: self.after,
            ended: self.ended.wrapping_sub(1),
            first: self.first.wrapping_add(1),
        };
        Some((begun, rest))
    }

    /// Adds what a source has grown by to its step that goes on.
    pub(super) fn gather(&self, pdp: &mut [u8], grown: f64) {
        if grown.is_nan() {
            let unknown = whole(pdp, PDP_UNKNOWN_SECS);
            let unknown = unknown.wrapping_add(self.secs as u64);
            put(pdp, PDP_UNKNOWN_SECS, unknown);
            return;
        }
        let so_far = float(pdp, PDP_VALUE);
        let sum = if so_far.is_nan() {
            grown
        } else {
            so_far + grown
        };
        put_float(pdp, PDP_VALUE, sum);
    }

    /// Ends a source's step that went on and starts the one that goes on; the rate of those that
    /// ended.
    pub(super) fn end_steps(&self, pdp: &mut [u8], grown: f64, step: u64, heartbeat: f64) -> f64 {
        let mut rate = UNKNOWN;
        let unknown = whole(pdp, PDP_UNKNOWN_SECS);
        let mut value = float(pdp, PDP_VALUE);
        let mut unknown_before = 0.0;
        if grown.is_nan() {
            unknown_before = self.before;
        } else {
            let so_far = if value.is_nan() { 0.0 } else { value };
            value = product_and(grown / self.secs, self.before, so_far);
        }
        // As many seconds as fit into an int.
        let is_known = step as f64 / 2.0 >= f64::from(unknown as i32);
        if is_known && self.secs <= heartbeat {
            let known = self.ended.wrapping_mul(step).wrapping_sub(unknown);
            rate = value / (known as f64 - unknown_before);
        }
        let (value, unknown) = if grown.is_nan() {
            (UNKNOWN, self.after as u64)
        } else {
            (grown / self.secs * self.after, 0)
        };
        put_float(pdp, PDP_VALUE, value);
        put(pdp, PDP_UNKNOWN_SECS, unknown);
        rate
    }

    /// How the steps that ended go into an archive's rows of so many steps each.
    pub(super) fn rows(&self, steps: NonZeroU64) -> Rows {
        let to_row_end = steps.get().wrapping_sub(self.first % steps);
        let filled = match self.ended.checked_sub(to_row_end) {
            Some(more) => (more / steps).wrapping_add(1),
            None => 0,
        };
        Rows {
            ended: self.ended,
            to_row_end,
            filled,
        }
    }
}

/// How the steps that ended go into an archive's rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    ended: u64,
    /// Steps that the row in the making lacked.
    to_row_end: u64,
    /// Rows that are full now: more than the archive has, after a long silence.
    pub(super) filled: u64,
}

/// What an archive keeps of the steps of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Average,
    Min,
    Max,
    Last,
}

impl Function {
    /// By its name in a header; none for forecasts.
    pub(super) fn named(name: &[u8]) -> Option<Function> {
        Some(match name {
            b"AVERAGE" => Function::Average,
            b"MIN" => Function::Min,
            b"MAX" => Function::Max,
            b"LAST" => Function::Last,
            _ => return None,
        })
    }

    /// What a row begins with.
    fn nothing(self) -> f64 {
        match self {
            Function::Average => 0.0,
            Function::Min => f64::INFINITY,
            Function::Max => f64::NEG_INFINITY,
            Function::Last => UNKNOWN,
        }
    }

    /// So many steps of a rate, as a row begins.
    fn beginning(self, rate: f64, steps: u64) -> f64 {
        match self {
            Function::Average => rate * steps as f64,
            _ => rate,
        }
    }

    /// What there was, and so many steps of a rate after it.
    fn with(self, so_far: f64, rate: f64, steps: u64) -> f64 {
        match self {
            Function::Average => product_and(rate, steps as f64, so_far),
            Function::Min if rate < so_far => rate,
            Function::Max if rate > so_far => rate,
            Function::Min | Function::Max => so_far,
            Function::Last => rate,
        }
    }
}

/// How an archive sums up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Consolidation {
    pub(super) function: Function,
    /// Steps that one row sums up.
    pub(super) steps: NonZeroU64,
    /// Share of them that may be unknown.
    pub(super) xff: f64,
}

impl Consolidation {
    /// Carries the rate of the steps that ended into the row in the making.
    pub(super) fn carry(self, cdp: &mut [u8], rate: f64, rows: Rows) {
        if self.steps.get() > 1 {
            self.sum_up(cdp, rate, rows);
            return;
        }
        put_float(cdp, CDP_PRIMARY, rate);
        if rows.ended > 1 {
            put_float(cdp, CDP_SECONDARY, rate);
        }
    }

    /// The same for a row of several steps.
    fn sum_up(self, cdp: &mut [u8], rate: f64, rows: Rows) {
        if rows.filled == 0 {
            self.add(cdp, rate, rows.ended);
            return;
        }
        let Consolidation {
            function,
            steps,
            xff,
        } = self;
        let to_row_end = rows.to_row_end;
        let value = float(cdp, CDP_VALUE);
        let mut unknown = whole(cdp, CDP_UNKNOWN);
        let left = rows.ended.wrapping_sub(to_row_end) % steps;
        if rate.is_nan() {
            unknown = unknown.wrapping_add(to_row_end);
        }
        put_float(
            cdp,
            CDP_SECONDARY,
            if rate.is_nan() { UNKNOWN } else { rate },
        );
        let steps = steps.get();
        let primary = if unknown as f64 > steps as f64 * xff {
            UNKNOWN
        } else {
            self.finished(value, rate, to_row_end, steps.wrapping_sub(unknown))
        };
        put_float(cdp, CDP_PRIMARY, primary);
        let carried = if rate.is_nan() || left == 0 {
            function.nothing()
        } else {
            function.beginning(rate, left)
        };
        put_float(cdp, CDP_VALUE, carried);
        put(cdp, CDP_UNKNOWN, if rate.is_nan() { left } else { 0 });
    }

    /// A full row: what there was, and the rate of the steps it lacked; so many of all are known.
    fn finished(self, value: f64, rate: f64, to_row_end: u64, known: u64) -> f64 {
        let or_nothing = |value: f64| {
            if value.is_nan() {
                self.function.nothing()
            } else {
                value
            }
        };
        match self.function {
            Function::Average => {
                let sum = product_and(or_nothing(rate), to_row_end as f64, or_nothing(value));
                sum / known as f64
            }
            Function::Min | Function::Max => {
                self.function.with(or_nothing(value), or_nothing(rate), 0)
            }
            Function::Last => rate,
        }
    }

    /// Adds the steps that ended to a row that they do not fill.
    fn add(self, cdp: &mut [u8], rate: f64, ended: u64) {
        if rate.is_nan() {
            let unknown = whole(cdp, CDP_UNKNOWN);
            put(cdp, CDP_UNKNOWN, unknown.wrapping_add(ended));
            return;
        }
        let value = float(cdp, CDP_VALUE);
        let value = if value.is_nan() {
            self.function.beginning(rate, ended)
        } else {
            self.function.with(value, rate, ended)
        };
        put_float(cdp, CDP_VALUE, value);
    }
}
