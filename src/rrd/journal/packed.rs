//! Samples in few bytes: a time is the difference to the one before, and a value is its text, half a
//! byte a character.
//!
//! Nothing is rounded or converted: the text that goes in is the text that comes out.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

/// What the half bytes 0 to 14 stand for; 15 ends a value.
const SYMBOLS: &[u8; 15] = b"0123456789.-:Ue";
const END: u8 = 15;

/// Half bytes by character; 255 for a character that no value has.
const HALVES: [u8; 256] = {
    let mut halves = [255; 256];
    let mut at = 0;
    while at < SYMBOLS.len() {
        halves[SYMBOLS[at] as usize] = at as u8;
        at += 1;
    }
    halves
};

/// Appends a value's text. If it has characters that no number has, appends nothing and returns
/// `false`.
pub(crate) fn pack(text: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut pairs = text.chunks_exact(2);
    for pair in &mut pairs {
        let (high, low) = (HALVES[usize::from(pair[0])], HALVES[usize::from(pair[1])]);
        if high > END || low > END {
            out.truncate(start);
            return false;
        }
        out.push(high << 4 | low);
    }
    match pairs.remainder() {
        [last] => {
            let high = HALVES[usize::from(*last)];
            if high > END {
                out.truncate(start);
                return false;
            }
            out.push(high << 4 | END);
        }
        _ => out.push(END << 4 | END),
    }
    true
}

/// Takes a value's text off the front of `bytes`; `None` if they end before the value does.
pub(crate) fn unpack(bytes: &mut &[u8], text: &mut Vec<u8>) -> Option<()> {
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        for half in [byte >> 4, byte & 15] {
            if half == END {
                return Some(());
            }
            text.push(SYMBOLS[usize::from(half)]);
        }
    }
}

/// Takes a value off the front of `bytes`, still packed; `None` if they end before the value does.
pub(crate) fn take_value<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let ends = |byte: &u8| byte >> 4 == END || byte & 15 == END;
    let last = bytes.iter().position(ends)?;
    let (value, rest) = bytes.split_at_checked(last.checked_add(1)?)?;
    *bytes = rest;
    Some(value)
}

/// Appends a number, seven bits a byte, the lowest first.
pub(crate) fn push_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front; `None` if there is none, or one of more than 63 bits.
pub(crate) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The step from one number to another, up or down. It is small if they are near each other.
pub(crate) fn step(from: u32, to: u32) -> u64 {
    let difference = i64::from(to).wrapping_sub(i64::from(from));
    ((difference << 1) ^ (difference >> 63)) as u64
}

/// The number that a step leads to; `None` if it does not fit 32 bits.
pub(crate) fn stepped(from: u32, step: u64) -> Option<u32> {
    let difference = (step >> 1) as i64 ^ ((step & 1) as i64).wrapping_neg();
    u32::try_from(i64::from(from).checked_add(difference)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_comes_back() {
        let values = [
            "0",
            "-1.50",
            "18446744073709551615",
            "0.1234567890123456789:33",
            "U",
            "1e5",
            "",
        ];
        let mut packed = Vec::new();
        for value in values {
            assert!(pack(value.as_bytes(), &mut packed));
        }
        let mut rest = packed.as_slice();
        for value in values {
            let mut text = Vec::new();
            unpack(&mut rest, &mut text).unwrap();
            assert_eq!(text, value.as_bytes());
        }
        assert_eq!(unpack(&mut rest, &mut Vec::new()), None, "there is no more");
    }

    #[test]
    fn what_is_no_number_is_not_packed() {
        for value in ["1 2", "nan", "+5", "12x", "x"] {
            let mut packed = vec![7];
            assert!(!pack(value.as_bytes(), &mut packed));
            assert_eq!(packed, [7]);
        }
    }

    #[test]
    fn numbers_and_steps_come_back() {
        let mut bytes = Vec::new();
        let numbers = [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), 1 << 62];
        for number in numbers {
            push_number(number, &mut bytes);
        }
        let mut rest = bytes.as_slice();
        for number in numbers {
            assert_eq!(take_number(&mut rest), Some(number));
        }
        assert_eq!(take_number(&mut rest), None);
        assert_eq!(take_number(&mut [0xff; 12].as_slice()), None);
        for (from, to) in [(0, 0), (0, u32::MAX), (u32::MAX, 0), (100, 115), (115, 100)] {
            assert_eq!(stepped(from, step(from, to)), Some(to));
        }
        assert_eq!(stepped(5, step(6, 0)), None, "less than nothing");
        assert!(step(1000, 1001) < 128, "a neighbour takes one byte");
    }
}
