//! Samples as librrd takes them: a time and text that a data source of its kind can read.
//!
//! No file and no path here.

use std::ffi::CStr;
use std::io::Write;

use gmetad_core::model::{Slope, parse_number, push_decimal};

/// What a data source stores of the values it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The value itself.
    Gauge,
    /// How fast it grows; a smaller value is a counter that began anew.
    Counter,
    /// How fast it changes, in either direction.
    Derive,
}

impl Kind {
    pub(crate) fn of(slope: Slope) -> Kind {
        match slope {
            Slope::Positive => Kind::Counter,
            Slope::Derivative => Kind::Derive,
            _ => Kind::Gauge,
        }
    }

    /// The kind of a data source, by its name. Types that C gmetad does not create are treated as the
    /// one whose text they take.
    pub(crate) fn named(name: &str) -> Option<Kind> {
        match name {
            "GAUGE" | "ABSOLUTE" | "DCOUNTER" | "DDERIVE" => Some(Kind::Gauge),
            "COUNTER" => Some(Kind::Counter),
            "DERIVE" => Some(Kind::Derive),
            _ => None,
        }
    }

    /// As in a DS definition.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Gauge => "GAUGE",
            Kind::Counter => "COUNTER",
            Kind::Derive => "DERIVE",
        }
    }
}

/// A plain decimal longer than this is written anew: librrd keeps 30 bytes of a counter's text.
const PLAIN_BYTES: usize = 28;

/// Integers from here on would not fit into those bytes.
const INTEGER_LIMIT: f64 = 1e27;

/// An unknown value, as librrd reads it.
const UNKNOWN: &[u8] = b"U";

/// What a time, its colon and the NUL at the end take.
const TIME_BYTES: usize = 12;

/// Samples of one file, oldest first, in one buffer that is used again and again.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// `VALUE[:VALUE]`, one after the other.
    text: Vec<u8>,
    /// Time of each, and where its text ends.
    parts: Vec<(u32, usize)>,
    /// Those before are done with.
    first: usize,
}

impl Samples {
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.parts.clear();
        self.first = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.len() - self.first
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Time of the oldest; 0 for none.
    pub(crate) fn first_time(&self) -> u32 {
        self.parts.get(self.first).map_or(0, |part| part.0)
    }

    /// Time of the newest; 0 for none.
    pub(crate) fn last_time(&self) -> u32 {
        self.parts.last().map_or(0, |part| part.0)
    }

    /// Adds a host's value as it came; whether it is one that a source of this kind can have.
    #[inline]
    pub(crate) fn push_text(&mut self, time: u32, text: &[u8], kind: Kind) -> bool {
        let start = self.text.len();
        let good = push_value(&mut self.text, text, kind);
        self.end(time, start, good)
    }

    /// Adds a host's value as it came, or that it is not known where the text is no number.
    ///
    /// librrd refuses most texts, and the next value then covers that time as well. That does not hurt
    /// a counter, which keeps counting: for one, only text that C gmetad's librrd takes for unknown
    /// (empty, or beginning with `U`) is unknown, and `nan` is skipped.
    #[inline]
    pub(crate) fn push_text_or_unknown(&mut self, time: u32, text: &[u8], kind: Kind) {
        // As it is: `fit` later makes it what the file takes, whose kind may be of an older slope.
        let good = self.push_text(time, text, Kind::Gauge);
        if !good && (kind == Kind::Gauge || matches!(text, [] | [b'U', ..])) {
            self.push_packed(time, |all| all.extend_from_slice(UNKNOWN));
        }
    }

    /// Whether no value of them is known.
    pub(crate) fn are_unknown(&self) -> bool {
        self.iter().all(|(_, value)| value.starts_with(UNKNOWN))
    }

    /// Adds a sum and how many were summed; whether a source of this kind can have it.
    pub(crate) fn push_sum(&mut self, time: u32, sum: f64, num: u32, kind: Kind) -> bool {
        let start = self.text.len();
        let good = push_number(&mut self.text, sum, kind);
        self.text.push(b':');
        push_decimal(&mut self.text, num.into());
        self.end(time, start, good)
    }

    /// Adds that a sum is not known, and of how many it would be.
    pub(crate) fn push_unknown(&mut self, time: u32, num: u32) {
        self.text.extend_from_slice(b"U:");
        push_decimal(&mut self.text, num.into());
        self.parts.push((time, self.text.len()));
    }

    /// Adds a value that `append` writes as text that is known to be good.
    #[inline]
    pub(crate) fn push_packed<T>(&mut self, time: u32, append: impl FnOnce(&mut Vec<u8>) -> T) {
        append(&mut self.text);
        self.parts.push((time, self.text.len()));
    }

    /// Time and value of each.
    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let before = self.first.checked_sub(1).map_or(0, |at| self.parts[at].1);
        let rest = self.parts[self.first..].iter();
        rest.scan(before, |start, &(time, end)| {
            let value = &self.text[*start..end];
            *start = end;
            Some((time, value))
        })
    }

    fn end(&mut self, time: u32, start: usize, good: bool) -> bool {
        if good {
            self.parts.push((time, self.text.len()));
        } else {
            self.text.truncate(start);
        }
        good
    }

    /// Drops samples that are not later than `last`; returns how many.
    pub(crate) fn drop_through(&mut self, last: i64) -> usize {
        let stale = self.parts[self.first..]
            .iter()
            .take_while(|(time, _)| i64::from(*time) <= last)
            .count();
        self.first += stale;
        stale
    }

    /// Drops the oldest.
    pub(crate) fn drop_first(&mut self) {
        self.first = (self.first + 1).min(self.parts.len());
    }

    /// Calls with the samples as librrd takes them, `TIME:VALUE[:VALUE]` each.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&[&CStr]) -> T) -> T {
        let mut text = Vec::with_capacity(self.text.len() + self.len() * TIME_BYTES);
        for (time, value) in self.iter() {
            push_decimal(&mut text, time.into());
            text.push(b':');
            text.extend_from_slice(value);
            text.push(0);
        }
        // Each was ended with a NUL, and no value has one.
        let ended = text.split_inclusive(|byte| *byte == 0);
        let all: Vec<&CStr> = ended
            .map(|bytes| CStr::from_bytes_with_nul(bytes).unwrap_or_default())
            .collect();
        work(&all)
    }

    /// Rewrites every value as a source of this kind takes it; returns how many were dropped as it can
    /// take nothing of the sort.
    pub(crate) fn fit(&mut self, kind: Kind) -> usize {
        // Nearly all counters are.
        if kind == Kind::Gauge || self.iter().all(|(_, value)| is_plain_integer(value)) {
            return 0;
        }
        let before = self.len();
        let old = std::mem::take(self);
        for (time, value) in old.iter() {
            let mut values = value.split(|byte| *byte == b':');
            let start = self.text.len();
            let first = values.next().unwrap_or_default();
            let good = first == UNKNOWN || push_value(&mut self.text, first, kind);
            if first == UNKNOWN {
                self.text.extend_from_slice(first);
            }
            for value in values {
                self.text.push(b':');
                self.text.extend_from_slice(value);
            }
            self.end(time, start, good);
        }
        before - self.len()
    }
}

/// Whether the first value, all that a counter's source is given, is digits that it keeps whole.
fn is_plain_integer(value: &[u8]) -> bool {
    let first = value.split(|byte| *byte == b':').next().unwrap_or_default();
    first.len() <= PLAIN_BYTES && first.iter().all(u8::is_ascii_digit)
}

/// Appends a value that came as text: as it is where it is plain, so that no digit is lost.
fn push_value(out: &mut Vec<u8>, text: &[u8], kind: Kind) -> bool {
    let Some(number) = parse_number(text) else {
        return false;
    };
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = text.len() <= PLAIN_BYTES
        && match kind {
            Kind::Gauge => digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'.')),
            Kind::Counter => text.iter().all(u8::is_ascii_digit),
            Kind::Derive => digits.iter().all(u8::is_ascii_digit),
        };
    if plain {
        out.extend_from_slice(text);
        return true;
    }
    push_number(out, number.value, kind)
}

fn push_number(out: &mut Vec<u8>, value: f64, kind: Kind) -> bool {
    match kind {
        _ if !value.is_finite() => return false,
        Kind::Gauge => push(out, format_args!("{value}")),
        Kind::Counter if value <= -0.5 => return false,
        _ if value.abs() >= INTEGER_LIMIT => return false,
        // Rounded first, so that what is less than nothing by a hair is not "-0".
        _ => push(out, format_args!("{:.0}", value.round() + 0.0)),
    }
    true
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str, kind: Kind) -> Option<String> {
        let mut samples = Samples::default();
        samples
            .push_text(7, value.as_bytes(), kind)
            .then(|| samples.with(|all| all[0].to_str().unwrap()[2..].to_owned()))
    }

    fn sum(value: f64, kind: Kind) -> Option<String> {
        let mut samples = Samples::default();
        samples
            .push_sum(7, value, 3, kind)
            .then(|| samples.with(|all| all[0].to_str().unwrap().to_owned()))
    }

    #[test]
    fn a_plain_decimal_is_passed_on_digit_by_digit() {
        for value in [
            "0",
            "-1.50",
            "0.1234567890123456789",
            "123456789012345678901",
        ] {
            assert_eq!(text(value, Kind::Gauge).as_deref(), Some(value));
        }
        assert_eq!(text(" +5 ", Kind::Gauge).as_deref(), Some("5"));
        assert_eq!(text("1.5e3", Kind::Gauge).as_deref(), Some("1500"));
        assert_eq!(
            text("18446744073709551615", Kind::Counter).as_deref(),
            Some("18446744073709551615")
        );
    }

    #[test]
    fn counters_and_derivatives_are_integers() {
        assert_eq!(text("123.000", Kind::Counter).as_deref(), Some("123"));
        assert_eq!(text("1.2e6", Kind::Counter).as_deref(), Some("1200000"));
        assert_eq!(text("+7", Kind::Counter).as_deref(), Some("7"));
        assert_eq!(text("-0", Kind::Counter).as_deref(), Some("0"));
        assert_eq!(text("-0.2", Kind::Counter).as_deref(), Some("0"));
        assert_eq!(text("-5", Kind::Counter), None, "a counter has no sign");
        assert_eq!(text("-5.6", Kind::Derive).as_deref(), Some("-6"));
        assert_eq!(text("-5", Kind::Derive).as_deref(), Some("-5"));
        assert_eq!(text("1e30", Kind::Counter), None);
        let many = "9".repeat(40);
        assert_eq!(text(&many, Kind::Derive), None, "librrd would cut it");
    }

    #[test]
    fn what_is_no_number_is_no_sample() {
        for value in [
            "", "nan", "inf", "0x10", "1:2", "5\\0", "U", "N", "-", "1 2",
        ] {
            assert_eq!(text(value, Kind::Gauge), None, "{value:?}");
        }
    }

    #[test]
    fn a_gauge_that_is_no_number_is_unknown_and_a_counter_counts_on() {
        let text = |value: &str, kind| {
            let mut samples = Samples::default();
            samples.push_text_or_unknown(7, value.as_bytes(), kind);
            let text = samples.with(|all| all.first().map(|it| it.to_str().unwrap().to_owned()));
            (text, samples.are_unknown())
        };
        let unknown = (Some("7:U".into()), true);
        for value in [
            "nan", "-NaN", "inf", "1e400", "text", "", "0x10", "5 6", "U",
        ] {
            assert_eq!(text(value, Kind::Gauge), unknown, "{value:?}");
        }
        for kind in [Kind::Counter, Kind::Derive] {
            assert_eq!(text("", kind), unknown);
            assert_eq!(text("Unknown", kind), unknown);
            for value in ["nan", "inf", "text", "0x10"] {
                assert_eq!(text(value, kind).0, None, "{value:?}");
            }
        }
        assert_eq!(text("5", Kind::Gauge), (Some("7:5".into()), false));
    }

    #[test]
    fn sums_are_formatted_by_kind() {
        assert_eq!(sum(1.25, Kind::Gauge).as_deref(), Some("7:1.25:3"));
        assert_eq!(
            sum(1e15, Kind::Gauge).as_deref(),
            Some("7:1000000000000000:3")
        );
        assert_eq!(sum(123.0, Kind::Counter).as_deref(), Some("7:123:3"));
        assert_eq!(sum(-1.5, Kind::Derive).as_deref(), Some("7:-2:3"));
        assert_eq!(sum(f64::NAN, Kind::Gauge), None);
    }

    #[test]
    fn stale_samples_are_dropped_from_the_front() {
        let mut samples = Samples::default();
        for time in [10, 20, 30] {
            assert!(samples.push_text(time, b"1.6", Kind::Gauge));
        }
        assert_eq!(samples.drop_through(9), 0);
        assert_eq!(samples.drop_through(10), 1);
        samples.drop_first();
        assert_eq!(
            (samples.len(), samples.first_time(), samples.last_time()),
            (1, 30, 30)
        );
        samples.fit(Kind::Derive);
        assert!(samples.with(|all| all == [c"30:2"]));
        assert_eq!(samples.drop_through(i64::MAX), 1);
        assert!(samples.is_empty());
    }

    #[test]
    fn a_sum_made_an_integer_keeps_its_count() {
        let mut samples = Samples::default();
        assert!(samples.push_sum(9, 2.75, 4, Kind::Gauge));
        samples.fit(Kind::Counter);
        assert!(samples.with(|all| all == [c"9:3:4"]));
    }

    #[test]
    fn values_are_made_what_a_files_kind_takes() {
        let fitted = |kind| {
            let mut samples = Samples::default();
            for value in ["1.50", "-2", "3", "1.2e6"] {
                assert!(samples.push_text(9, value.as_bytes(), Kind::Gauge));
            }
            samples.push_packed(9, |text| text.extend_from_slice(b"U:4"));
            samples.fit(kind);
            let all: Vec<String> = samples
                .iter()
                .map(|(_, value)| String::from_utf8(value.into()).unwrap())
                .collect();
            all.join(" ")
        };
        assert_eq!(fitted(Kind::Gauge), "1.50 -2 3 1200000 U:4");
        assert_eq!(fitted(Kind::Derive), "2 -2 3 1200000 U:4");
        assert_eq!(fitted(Kind::Counter), "2 3 1200000 U:4");
    }
}
