//! Values of attributes: as a plugin reads them, and from the text or number that it sets.
//!
//! Knows no tree.

use std::fmt;
use std::io::Write as _;
use std::str::FromStr;

use super::TreeError;
use crate::model::{HostInfo, parse_number};

/// An attribute's value, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text; it may be a number.
    Text(&'a str),
    /// A time in seconds or a count.
    Whole(i64),
    /// A sum, and its number of decimals.
    Sum(f64, u8),
}

impl Value<'_> {
    /// As a number, if it is one.
    #[inline]
    pub fn number(self) -> Option<f64> {
        match self {
            Value::Text(text) => parse_number(text.as_bytes()).map(|number| number.value),
            Value::Whole(whole) => Some(whole as f64),
            Value::Sum(sum, _) => Some(sum),
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => f.write_str(text),
            Value::Whole(whole) => whole.fmt(f),
            Value::Sum(sum, decimals) => write!(f, "{:.*}", usize::from(*decimals), sum),
        }
    }
}

/// The longest number that is written for a plugin: sign, point, exponent, 17 digits.
pub(super) const NUMBER_BYTES: usize = 40;

/// Sets an attribute of a host other than its name.
pub(super) fn set_info(info: &mut HostInfo, name: &str, value: &str) -> Result<(), TreeError> {
    match name {
        "ip" => info.ip = value.into(),
        "location" => info.location = value.into(),
        "tags" => info.tags = value.into(),
        "gmond_started" => info.gmond_started = whole(value)?,
        "tmax" => info.tmax = whole(value)?,
        "dmax" => info.dmax = whole(value)?,
        _ => return Err(TreeError::NotPossible),
    }
    Ok(())
}

/// A time or a count: a whole number that fits.
pub(super) fn whole<T: FromStr>(value: &str) -> Result<T, TreeError> {
    value.trim().parse().map_err(|_| TreeError::BadValue)
}

/// The type of a metric that was added without one.
pub(super) fn type_for(value: &str) -> &'static str {
    if parse_number(value.as_bytes()).is_some() {
        "float"
    } else {
        "string"
    }
}

/// The shortest text that reads back as the same number. Whole numbers have no decimals, very large
/// and very small ones an exponent.
#[inline]
pub(super) fn write_number(room: &mut [u8; NUMBER_BYTES], value: f64) -> Result<&str, TreeError> {
    let len = match write_decimal(room, value) {
        Some(len) => len,
        None => write_any(room, value)?,
    };
    std::str::from_utf8(&room[..len]).map_err(|_| TreeError::BadValue)
}

/// Writes what has few decimals, as most values do: several times as fast as [`write_any`].
fn write_decimal(room: &mut [u8; NUMBER_BYTES], value: f64) -> Option<usize> {
    /// Exact as `f64`, so a quotient is rounded once, as it is when read.
    const SCALES: [f64; 4] = [1.0, 10.0, 100.0, 1000.0];
    /// Below this every whole number is exact, and has at most 15 digits.
    const LIMIT: f64 = 1e15;
    let size = value.abs();
    let (decimals, digits) = SCALES.iter().enumerate().find_map(|(decimals, scale)| {
        let digits = (size * scale).round_ties_even();
        (digits < LIMIT && digits / scale == size).then_some((decimals, digits as u64))
    })?;
    let mut at = room.len();
    let mut rest = digits;
    let mut written = 0;
    // At least one digit before the point.
    while rest > 0 || written <= decimals {
        if written == decimals && decimals > 0 {
            at -= 1;
            room[at] = b'.';
        }
        at -= 1;
        room[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        written += 1;
    }
    if value < 0.0 {
        at -= 1;
        room[at] = b'-';
    }
    room.copy_within(at.., 0);
    Some(NUMBER_BYTES - at)
}

fn write_any(room: &mut [u8; NUMBER_BYTES], value: f64) -> Result<usize, TreeError> {
    if !value.is_finite() {
        return Err(TreeError::BadValue);
    }
    let mut rest = &mut room[..];
    let plain = (1e-5..1e16).contains(&value.abs());
    let written = if plain {
        write!(rest, "{value}")
    } else {
        write!(rest, "{value:e}")
    };
    written.map_err(|_| TreeError::BadValue)?;
    let left = rest.len();
    Ok(NUMBER_BYTES - left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_way_writes_what_the_other_does() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let mut fast = 0;
        for _ in 0..50_000 {
            let bits = random();
            let digits = (random() % 10_u64.pow((bits % 17) as u32)) as f64;
            let value = match bits >> 62 {
                0 => f64::from_bits(bits),
                1 => digits,
                2 => -digits / 10_f64.powi((bits >> 8 & 7) as i32),
                _ => digits / 1000.0,
            };
            if value == 0.0 {
                continue;
            }
            let (mut one, mut other) = ([0; NUMBER_BYTES], [0; NUMBER_BYTES]);
            if let Some(len) = write_decimal(&mut one, value) {
                let expected = write_any(&mut other, value).unwrap();
                assert_eq!(
                    std::str::from_utf8(&one[..len]),
                    std::str::from_utf8(&other[..expected])
                );
                fast += 1;
            }
        }
        assert!(fast > 12_500, "{fast}");
        let mut room = [0; NUMBER_BYTES];
        assert_eq!(write_number(&mut room, -0.0), Ok("0"));
        assert_eq!(write_number(&mut room, 0.005), Ok("0.005"));
        assert_eq!(write_number(&mut room, -12.5), Ok("-12.5"));
    }
}
