//! Sixteen bytes of a document as one number: all are looked at at once, with no branch for each, since
//! a processor guesses wrongly how long values are.
//!
//! Knows no XML, and allocates nothing.

use super::number::{Number, POWERS_OF_TEN};

/// Sixteen bytes; the first one is the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u128);

/// Every byte 1.
const ONES: u128 = u128::MAX / 0xff;

/// The highest bit of every byte.
const HIGHS: u128 = ONES << 7;

/// What takes a byte above 9 to a set highest bit.
const ABOVE_NINE: u128 = ONES * (0x80 - 10);

impl Word {
    /// Bytes in a word.
    pub const BYTES: usize = 16;

    /// The first sixteen bytes, if there are as many.
    #[inline]
    pub fn first_of(bytes: &[u8]) -> Option<Word> {
        bytes
            .first_chunk()
            .map(|word| Word(u128::from_le_bytes(*word)))
    }

    /// Where the first byte of that value is; 16 if there is none.
    #[inline]
    pub fn find(self, byte: u8) -> usize {
        let x = self.0 ^ (ONES * u128::from(byte));
        // What is borrowed goes upwards from a zero only, so the lowest mark is right.
        let zeros = x.wrapping_sub(ONES) & !x & HIGHS;
        zeros.trailing_zeros() as usize / 8
    }

    /// The first `len` bytes, below 16, and zeros after them.
    #[inline]
    #[must_use]
    pub fn head(self, len: usize) -> Word {
        Word(self.0 & below(len))
    }

    /// The bytes.
    #[inline]
    pub fn bytes(self) -> [u8; Word::BYTES] {
        self.0.to_le_bytes()
    }

    /// How many digits it begins with, and their number. Right up to eight digits.
    #[inline]
    pub fn digits(self) -> (usize, u32) {
        let x = self.0 as u64 ^ (ONES as u64 * 0x30);
        let others = (x & !(HIGHS as u64)).wrapping_add(ABOVE_NINE as u64) | x;
        let count = (others & HIGHS as u64).trailing_zeros() as usize / 8;
        // Zeros before them: a shift by all bits would be none.
        let shifted = (x << (8 * (8 - count.max(1)))) * u64::from(count > 0);
        (count, eight_digits(shifted) as u32)
    }

    /// The number that the first `len` bytes are, from 1 to 15, if these are digits and at most one point:
    /// as `parse_number` reads them.
    #[inline]
    pub fn number(self, len: usize) -> Option<Number> {
        let text = self.0 & below(len);
        let point = Word(text).find(b'.').min(len);
        let has_point = usize::from(point < len);
        let before = below(point);
        let digits = (text & before) | ((text >> 8) & !before);
        let count = len - has_point;
        if count == 0 {
            return None;
        }
        let digits = (digits ^ (ONES * 0x30)) << (8 * (Word::BYTES - count));
        if (digits.wrapping_add(ABOVE_NINE) | digits) & HIGHS != 0 {
            return None;
        }
        let mantissa =
            eight_digits(digits as u64) * 100_000_000 + eight_digits((digits >> 64) as u64);
        let decimals = len - point - has_point;
        Some(Number {
            value: mantissa as f64 / POWERS_OF_TEN[decimals & 15],
            decimals: decimals as u8,
        })
    }
}

/// The bits of the first `len` bytes, of which there are below 16.
#[inline]
fn below(len: usize) -> u128 {
    (1_u128 << ((8 * len) & 127)) - 1
}

/// The number of eight digits from 0 to 9, of which the first is in the lowest byte.
#[inline]
fn eight_digits(digits: u64) -> u64 {
    let pairs = (digits.wrapping_mul(10 * 0x100 + 1) >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100 * 0x1_0000 + 1) >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 * 0x1_0000_0000 + 1) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parse_number;

    fn word(text: &[u8]) -> Word {
        let mut bytes = [b'#'; Word::BYTES];
        bytes[..text.len()].copy_from_slice(text);
        Word(u128::from_le_bytes(bytes))
    }

    /// Texts of bytes that numbers are made of, and of some that they are not.
    fn texts() -> impl Iterator<Item = Vec<u8>> {
        let mut dice = fastrand::Rng::with_seed(7);
        (0..200_000).map(move |at| {
            let alphabet: &[u8] = match at % 4 {
                0 => b"0123456789",
                1 => b"0123456789.",
                2 => b"0129./:\x00\x7f\xff-+e ",
                _ => b"\x2f\x30\x39\x3a\xb0\xaf\xb9\x80",
            };
            let len = dice.usize(1..16);
            (0..len)
                .map(|_| alphabet[dice.usize(..alphabet.len())])
                .collect()
        })
    }

    #[test]
    fn a_plain_number_is_what_the_general_way_makes_of_it() {
        let mut plain = 0;
        for text in texts() {
            let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
            let points = memchr::memchr_iter(b'.', &text).count();
            let is_plain = digits + points == text.len() && digits > 0 && points < 2;
            let found = word(&text).number(text.len());
            assert_eq!(found.is_some(), is_plain, "{text:?}");
            if let Some(number) = found {
                let other = parse_number(&text).expect("it is a number");
                assert_eq!(number.value.to_bits(), other.value.to_bits(), "{text:?}");
                assert_eq!(number.decimals, other.decimals, "{text:?}");
                plain += 1;
            }
        }
        assert!(plain > 50_000);
    }

    #[test]
    fn digits_end_where_something_else_begins() {
        for text in texts() {
            let text = &text[..text.len().min(8)];
            let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = std::str::from_utf8(&text[..count]).unwrap().parse();
            assert_eq!(
                word(text).digits(),
                (count, number.unwrap_or(0)),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_byte_is_found_wherever_it_is_first() {
        for text in texts() {
            for byte in [b'"', b'0', b'.', 0, 0x80, 0xff] {
                let all = word(&text).bytes();
                let at = all.iter().position(|other| *other == byte);
                assert_eq!(word(&text).find(byte), at.unwrap_or(16), "{text:?}");
            }
        }
    }

    #[test]
    fn a_head_has_zeros_behind_it() {
        for len in 0..16 {
            let head = word(b"0123456789abcdef").head(len).bytes();
            assert_eq!(head[..len], b"0123456789abcdef"[..len]);
            assert!(head[len..].iter().all(|byte| *byte == 0));
        }
    }
}
