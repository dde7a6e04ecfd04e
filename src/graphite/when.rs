//! Times as Graphite's clients write them: `-1h`, `now`, `1700000000`, `14:30_20260131`.
//!
//! No clock: now comes in. Dates are of UTC.

use gmetad_core::model::civil::{Civil, DAY, HOUR, MINUTE};
use thiserror::Error;

use crate::pattern::shortened;

/// A time that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TimeFault {
    /// No form of a time.
    #[error(
        "\"{0}\" is no time: give seconds since 1970, now, -1h, or HH:MM_YYYYMMDD (units: s, min, \
         h, d, w, mon, y)"
    )]
    Time(String),
    /// No length of time.
    #[error("\"{0}\" is no length of time: give a number and s, min, h, d, w, mon or y")]
    Length(String),
}

/// Seconds since 1970 of a time as it is written.
pub fn parse_time(text: &str, now: u64) -> Result<u64, TimeFault> {
    let fault = || TimeFault::Time(shortened(text));
    let text: String = text
        .trim()
        .to_ascii_lowercase()
        .replace(['_', ',', ' '], "");
    if text.is_empty() {
        return Err(fault());
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) && date(&text).is_none() {
        return text.parse().map_err(|_| fault());
    }
    let (base, offset) = match text.find(['+', '-']) {
        Some(at) => text.split_at(at),
        None => (text.as_str(), ""),
    };
    let base = reference(base, now).ok_or_else(fault)?;
    if offset.is_empty() {
        return Ok(base);
    }
    // Signs other than the first belong to the length, which does not take them.
    let (sign, length) = offset.split_at(1);
    let length = parse_length(length).map_err(|_| fault())?;
    Ok(match sign {
        "+" => base.saturating_add(length),
        _ => base.saturating_sub(length),
    })
}

/// A point of reference: a word, a time of day, a date, or both.
fn reference(text: &str, now: u64) -> Option<u64> {
    let today = now - now % DAY;
    if matches!(text, "" | "now") {
        return Some(now);
    }
    let (time, day) = match text.split_once(':') {
        Some((hours, rest)) if rest.len() >= 2 => {
            let (minutes, rest) = rest.split_at_checked(2)?;
            let (hours, minutes): (u64, u64) = (hours.parse().ok()?, minutes.parse().ok()?);
            let (half, rest) = match rest {
                rest if rest.starts_with("am") => (0, &rest[2..]),
                rest if rest.starts_with("pm") => (12, &rest[2..]),
                rest => (0, rest),
            };
            if hours > 23 || minutes > 59 {
                return None;
            }
            ((hours % 24 + half).min(23) * HOUR + minutes * MINUTE, rest)
        }
        _ => match text {
            "noon" | "noontoday" => (12 * HOUR, ""),
            "midnight" | "today" | "midnighttoday" => (0, ""),
            text => (
                text.strip_prefix("noon").map_or(0, |_| 12 * HOUR),
                strip_word(text),
            ),
        },
    };
    let day = match day {
        "" | "today" => today,
        "yesterday" => today.saturating_sub(DAY),
        "tomorrow" => today + DAY,
        text => date(text)?,
    };
    Some(day + time)
}

fn strip_word(text: &str) -> &str {
    let rest = text.strip_prefix("noon");
    rest.or_else(|| text.strip_prefix("midnight"))
        .unwrap_or(text)
}

/// The start of a day that is written as YYYYMMDD or MM/DD/YY[YY].
fn date(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split('/').collect();
    let (year, month, day) = match parts[..] {
        [digits] if digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            (&digits[..4], &digits[4..6], &digits[6..])
        }
        [month, day, year] => (year, month, day),
        _ => return None,
    };
    let (mut year, month, day): (i64, i64, i64) =
        (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    if (0..70).contains(&year) {
        year += 2000;
    } else if (70..100).contains(&year) {
        year += 1900;
    }
    let lengths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let most = *lengths.get(usize::try_from(month - 1).ok()?)?;
    if !(1970..2107).contains(&year) || !(1..=most).contains(&day) {
        return None;
    }
    let midnight = Civil {
        year,
        month: month as u8,
        day: day as u8,
        second: 0,
    };
    u64::try_from(midnight.epoch(0)).ok()
}

/// Seconds of a length as it is written: `5min`, `1d12h`. Without a sign.
pub fn parse_length(text: &str) -> Result<u64, TimeFault> {
    let fault = || TimeFault::Length(shortened(text));
    let mut rest = text.trim();
    let mut all = 0_u64;
    if rest.is_empty() {
        return Err(fault());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let number: u64 = number.parse().map_err(|_| fault())?;
        let unit = unit_secs(&unit.to_ascii_lowercase()).ok_or_else(fault)?;
        let length = number.checked_mul(unit).ok_or_else(fault)?;
        all = all.checked_add(length).ok_or_else(fault)?;
        rest = after;
    }
    Ok(all)
}

fn unit_secs(unit: &str) -> Option<u64> {
    Some(match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => MINUTE,
        "h" | "hour" | "hours" => HOUR,
        "d" | "day" | "days" => DAY,
        "w" | "week" | "weeks" => 7 * DAY,
        "mon" | "month" | "months" => 30 * DAY,
        "y" | "year" | "years" => 365 * DAY,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-29 18:17:08 UTC.
    const NOW: u64 = 1_795_976_228;

    fn time(text: &str) -> u64 {
        parse_time(text, NOW).unwrap()
    }

    #[test]
    fn times_are_relative_or_seconds_or_dates() {
        assert_eq!(time("now"), NOW);
        assert_eq!(time("-1h"), NOW - 3600);
        assert_eq!(time("now-30min"), NOW - 1800);
        assert_eq!(time("now+1d"), NOW + 86_400);
        assert_eq!(time("-1d12h"), NOW - 129_600);
        assert_eq!(time("-2weeks"), NOW - 1_209_600);
        assert_eq!(time("-1mon"), NOW - 2_592_000);
        assert_eq!(time("1700000000"), 1_700_000_000);
        assert_eq!(time("20261129"), NOW - NOW % 86_400);
        assert_eq!(time("18:17_20261129"), NOW - 8);
        assert_eq!(time("11/29/26"), time("20261129"));
        assert_eq!(time("midnight"), time("20261129"));
        assert_eq!(time("noon yesterday"), time("20261128") + 43_200);
        assert_eq!(time("6:30pm"), time("20261129") + 66_600);
        assert_eq!(time("today-1h"), time("20261129") - 3600);
        assert_eq!(time("20240229"), 1_709_164_800);
        assert_eq!(time("19700101"), 0);
        assert_eq!(time("-100y"), 0, "not before 1970");
    }

    #[test]
    fn what_is_no_time_is_said() {
        for text in [
            "",
            "-",
            "1x",
            "-1fortnight",
            "25:00",
            "1:6",
            "20261329x",
            "é",
            "--1h",
            "1:é",
        ] {
            let fault = parse_time(text, NOW).unwrap_err();
            assert!(fault.to_string().contains("is no time"), "{text}: {fault}");
        }
        assert!(parse_time("99999999999999999999", NOW).is_err());
        assert!(parse_length("99999999999999999y").is_err());
        assert!(parse_length("").is_err());
        assert_eq!(parse_length("5min"), Ok(300));
        assert_eq!(parse_length("1d12h"), Ok(129_600));
    }
}
