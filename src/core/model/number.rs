//! The number in a value's text and its decimals; whole numbers as text.
//!
//! Parses short plain decimals only. Others go to the standard parser.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::io::Write as _;

/// A number as it was written in a document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// Always finite.
    pub value: f64,
    /// Digits after the point.
    pub decimals: u8,
}

/// Powers of ten that are exact as `f64`, so a division rounds once.
pub(super) const POWERS_OF_TEN: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// Digits that always fit into the 53 bits of an `f64` mantissa.
const EXACT_DIGITS: usize = 15;

/// The same with a point.
const LONGEST_EXACT: usize = EXACT_DIGITS + 1;

/// Most decimals kept. Further ones are noise from printing a `double`.
const MAX_DECIMALS: usize = 17;

/// Reads a decimal number. `None` for anything else: text, `nan`, `inf`, hexadecimal, an empty value.
pub fn parse_number(text: &[u8]) -> Option<Number> {
    // A hot path: called for every value, which hardly ever has blanks around it.
    let text = match text {
        [first, .., last] if !first.is_ascii_whitespace() && !last.is_ascii_whitespace() => text,
        _ => text.trim_ascii(),
    };
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    // With a point. So the mantissa has 16 digits at most, which 64 bits hold.
    if digits.len() > LONGEST_EXACT {
        return parse_general(text);
    }
    let mut mantissa = 0_u64;
    let mut point = None;
    for (at, &byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                let digit = u64::from(byte.wrapping_sub(b'0'));
                mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
            }
            b'.' if point.is_none() => point = Some(at),
            _ => return parse_general(text),
        }
    }
    let decimals = point.map_or(0, |at| digits.len().saturating_sub(at).saturating_sub(1));
    let count = digits.len().saturating_sub(usize::from(point.is_some()));
    if count == 0 {
        return None;
    }
    if count > EXACT_DIGITS {
        return parse_general(text);
    }
    let value = mantissa as f64 / POWERS_OF_TEN[decimals];
    Some(Number {
        value: if negative { -value } else { value },
        decimals: decimals as u8,
    })
}

#[cold]
fn parse_general(text: &[u8]) -> Option<Number> {
    let plain = text
        .iter()
        .all(|b| matches!(b, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E'));
    if !plain {
        return None;
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    if !value.is_finite() {
        return None;
    }
    let mantissa = text.split(|b| matches!(b, b'e' | b'E')).next()?;
    let decimals = mantissa
        .iter()
        .position(|&b| b == b'.')
        .map_or(0, |at| mantissa.len().saturating_sub(at).saturating_sub(1));
    Some(Number {
        value,
        decimals: decimals.min(MAX_DECIMALS) as u8,
    })
}

/// Appends a whole number. A hot path: called for every TN and every sample's time.
#[inline]
pub fn push_decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        // 64 bits have 20 digits at most, each below ten.
        at = at.wrapping_sub(1);
        digits[at] = b'0'.wrapping_add((rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a finite number, as `{}` shows it. Numbers of few decimals, which most values have, do not
/// take the general way.
pub fn push_number(out: &mut Vec<u8>, number: f64) {
    const DECIMALS: usize = 3;
    let thousand = POWERS_OF_TEN[DECIMALS];
    let scaled = (number * thousand).round();
    let is_short = scaled.abs() < POWERS_OF_TEN[EXACT_DIGITS] && scaled / thousand == number;
    if !is_short || number == 0.0 && number.is_sign_negative() {
        // Writing to memory does not fail.
        let _ = write!(out, "{number}");
        return;
    }
    // So few digits are those of no other number.
    if number < 0.0 {
        out.push(b'-');
    }
    let digits = scaled.abs() as u64;
    push_decimal(out, digits / 1000);
    let decimals = [digits / 100 % 10, digits / 10 % 10, digits % 10];
    let shown = decimals.iter().rposition(|&digit| digit > 0);
    if let Some(last) = shown {
        out.push(b'.');
        let text = decimals.map(|digit| b'0'.wrapping_add(digit as u8));
        out.extend_from_slice(&text[..=last]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<(f64, u8)> {
        parse_number(text.as_bytes()).map(|n| (n.value, n.decimals))
    }

    #[test]
    fn plain_decimals_keep_their_decimals() {
        assert_eq!(number("0"), Some((0.0, 0)));
        assert_eq!(number("215216"), Some((215_216.0, 0)));
        assert_eq!(number("-0.10"), Some((-0.1, 2)));
        assert_eq!(number("270.553"), Some((270.553, 3)));
        assert_eq!(number(".5"), Some((0.5, 1)));
        assert_eq!(number("5."), Some((5.0, 0)));
        assert_eq!(number(" 7 "), Some((7.0, 0)));
    }

    #[test]
    fn long_ones_and_exponents_are_read_too() {
        assert_eq!(
            number("12345678901234567890"),
            Some((12_345_678_901_234_567_890.0, 0))
        );
        assert_eq!(number("1.5e3"), Some((1500.0, 1)));
        assert_eq!(
            number("0.1234567890123456"),
            Some((0.123_456_789_012_345_6, 16))
        );
    }

    #[test]
    fn a_number_is_written_as_the_standard_library_does() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut numbers = vec![
            0.0,
            -0.0,
            1e14,
            1e15,
            1e300,
            5e-324,
            0.1 + 0.2,
            f64::MAX,
            0.001,
        ];
        numbers.extend([
            999_999_999_999.999,
            999_999_999_999.999_5,
            1e12,
            1e12 + 0.001,
        ]);
        for _ in 0..100_000 {
            let whole = random.u64(..) >> random.u32(..64);
            let decimals = POWERS_OF_TEN[random.usize(..6)];
            numbers.extend([whole as f64 / decimals, f64::from_bits(random.u64(..))]);
        }
        for number in numbers.into_iter().filter(|it| it.is_finite()) {
            for number in [number, -number] {
                let mut out = Vec::new();
                push_number(&mut out, number);
                assert_eq!(String::from_utf8_lossy(&out), number.to_string());
            }
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "", "-", ".", "nan", "inf", "-inf", "0x10", "1e999", "1,5", "4 5", "e", "--1",
        ] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn short_decimals_agree_with_the_standard_parser() {
        for mantissa in (0..2_000_000_u64).step_by(7919) {
            for decimals in 1..=6 {
                let text = format!("{:.*}", decimals, mantissa as f64 / 1e3);
                assert_eq!(number(&text).map(|n| n.0), text.parse().ok(), "{text}");
            }
        }
    }
}
