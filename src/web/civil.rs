//! Times as the forms of browsers and ganglia-web write them, and lengths of time.
//!
//! No time zones: a viewer's browser knows its own, and says the offset.

use std::time::Duration;

use gmetad_core::complaint::span;
use gmetad_core::model::civil::Civil;

/// Reads `2026-11-29T18:20`, with or without seconds, with a space in place of the T, or as ganglia-web
/// has it, `11/29/2026 18:20`. A day alone is its midnight.
pub fn parse(text: &str, east_minutes: i32) -> Option<i64> {
    let text = text.trim();
    let (day, time) = text.split_once(['T', ' ']).unwrap_or((text, "0:00"));
    let numbers = |text: &str, by: char| -> Option<Vec<u32>> {
        text.split(by)
            .map(|part| part.trim().parse().ok())
            .collect()
    };
    let (year, month, day) = if day.contains('/') {
        let [month, day, year] = numbers(day, '/')?[..] else {
            return None;
        };
        (year, month, day)
    } else {
        let [year, month, day] = numbers(day, '-')?[..] else {
            return None;
        };
        (year, month, day)
    };
    let (hour, minute, second) = match numbers(time, ':')?[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let sound = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    sound.then(|| {
        Civil {
            year: i64::from(year),
            month: month as u8,
            day: day as u8,
            second: hour * 3600 + minute * 60 + second,
        }
        .epoch(east_minutes)
    })
}

/// A duration in two units at most, as `3 d 4 h`.
pub fn lasting(seconds: u64) -> String {
    match seconds {
        0 => "0 s".to_owned(),
        _ => span(Duration::from_secs(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_forms_of_browsers_and_of_ganglia_web() {
        let expected = Some(1_709_164_800 + 4800);
        for text in [
            "2024-02-29T01:20",
            "2024-02-29 01:20:00",
            "02/29/2024 01:20",
        ] {
            assert_eq!(parse(text, 0), expected, "{text}");
        }
        assert_eq!(parse("2024-02-29T02:20", 60), expected);
        assert_eq!(parse("2024-02-29", 0), Some(1_709_164_800));
        for text in ["", "yesterday", "2024-13-01", "2024-01-01T25:00", "1/2"] {
            assert_eq!(parse(text, 0), None, "{text}");
        }
    }

    #[test]
    fn a_duration_has_two_units_at_most() {
        let texts = [0, 5, 60, 3599, 3600, 86_400 * 3 + 4 * 3600 + 50].map(lasting);
        assert_eq!(
            texts,
            ["0 s", "5 s", "1 min", "59 min 59 s", "1 h", "3 d 4 h"]
        );
    }
}
