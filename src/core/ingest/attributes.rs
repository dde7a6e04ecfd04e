//! Attributes of a tag: their text, and the numbers in it as C gmetad reads them.
//!
//! Keeps no state. Malformed attributes are counted, never an error.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use quick_xml::events::BytesStart;

use crate::model::latin1::unescape;

/// Calls `take` with the name and the unescaped value of every attribute that can be read.
pub(super) fn each_attribute(
    tag: &BytesStart<'_>,
    damage: &mut u64,
    mut take: impl FnMut(&str, &str, &mut u64),
) {
    for attribute in tag.attributes().with_checks(false) {
        match attribute {
            Ok(attribute) => {
                let value = unescape(&attribute.value, damage);
                take(attribute.key.0, &value, damage);
            }
            Err(_) => *damage = damage.saturating_add(1),
        }
    }
}

/// A number that C gmetad reads with `strtoul` and keeps in 32 bits. A gmond sends negative ones: it
/// prints the GMOND_STARTED of a spoofed host, an unsigned 32-bit number, as signed.
pub(super) fn unsigned(text: &str, damage: &mut u64) -> u32 {
    let (negative, digits) = digits(text, damage);
    let all = match digits.parse::<u64>() {
        Ok(number) if negative => number.wrapping_neg(),
        Ok(number) => number,
        Err(_) if digits.is_empty() => 0,
        Err(_) => u64::MAX,
    };
    all as u32
}

/// A number that C gmetad reads with `strtol` and keeps in 32 bits. It differs beyond 64 bits.
pub(super) fn signed(text: &str, damage: &mut u64) -> u32 {
    long(text, damage) as u32
}

/// An age, or a number of hosts: never negative. In C gmetad, a clock that was set back gives an age
/// of 136 years.
pub(super) fn age(text: &str, damage: &mut u64) -> u32 {
    long(text, damage).max(0) as u32
}

fn long(text: &str, damage: &mut u64) -> i64 {
    let (negative, digits) = digits(text, damage);
    match digits.parse::<i64>() {
        Ok(number) if negative => number.saturating_neg(),
        Ok(number) => number,
        Err(_) if digits.is_empty() => 0,
        Err(_) if negative => i64::MIN,
        Err(_) => i64::MAX,
    }
}

/// The sign and the digits at the start of a number. Anything after them is damage.
fn digits<'a>(text: &'a str, damage: &mut u64) -> (bool, &'a str) {
    let blank = |c: char| c.is_ascii_whitespace() || c == '\x0b';
    let text = text.trim_matches(blank);
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    // An empty attribute counts as missing.
    let is_damaged = len < rest.len() || (len == 0 && !text.is_empty());
    *damage = damage.saturating_add(is_damaged.into());
    (negative, &rest[..len])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a C gmetad 3.7.2 answered, on a machine whose `long` has 64 bits.
    #[test]
    fn numbers_are_what_c_gmetad_takes_them_for() {
        let answers = [
            ("-1", 4_294_967_295, 4_294_967_295),
            ("-664339888", 3_630_627_408, 3_630_627_408),
            ("4294967296", 0, 0),
            ("5000000000", 705_032_704, 705_032_704),
            ("-5000000000", 3_589_934_592, 3_589_934_592),
            ("9223372036854775807", 4_294_967_295, 4_294_967_295),
            ("9223372036854775808", 0, 4_294_967_295),
            ("-9223372036854775808", 0, 0),
            ("18446744073709551615", 4_294_967_295, 4_294_967_295),
            ("99999999999999999999999", 4_294_967_295, 4_294_967_295),
            ("-99999999999999999999", 4_294_967_295, 0),
            ("0x10", 0, 0),
            ("010", 10, 10),
            ("", 0, 0),
            ("abc", 0, 0),
            (" 12", 12, 12),
            ("\t13", 13, 13),
            ("12abc", 12, 12),
            ("+7", 7, 7),
            ("1e3", 1, 1),
            ("3.7", 3, 3),
            ("- 5", 0, 0),
        ];
        for (text, as_unsigned, as_signed) in answers {
            let damage = &mut 0;
            assert_eq!(unsigned(text, damage), as_unsigned, "{text:?}");
            assert_eq!(signed(text, damage), as_signed, "{text:?}");
        }
    }

    #[test]
    fn an_age_is_not_negative_and_what_is_no_number_is_damage() {
        assert_eq!(age("-1", &mut 0), 0);
        assert_eq!(age("17", &mut 0), 17);
        for (text, damaged) in [
            ("", 0),
            (" 5 ", 0),
            ("-5", 0),
            ("5x", 1),
            ("x", 1),
            ("-", 1),
            ("0x10", 1),
        ] {
            let damage = &mut 0;
            unsigned(text, damage);
            assert_eq!(*damage, damaged, "{text:?}");
        }
    }
}
