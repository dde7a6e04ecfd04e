//! Days and hours of a time: the Gregorian calendar, with an offset from UTC in minutes.
//!
//! No clock and no time zones.

use std::fmt::Write;

/// Names of the months, short.
pub const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Seconds of a minute.
pub const MINUTE: u64 = 60;
/// Seconds of an hour.
pub const HOUR: u64 = 60 * MINUTE;
/// Seconds of a day.
pub const DAY: u64 = 24 * HOUR;

/// A day and a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// As it is counted, 2026.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// Seconds since midnight.
    pub second: u32,
}

impl Civil {
    /// Of a time in seconds since 1970, as many minutes east of UTC.
    pub fn of(epoch: i64, east_minutes: i32) -> Civil {
        let local = epoch.saturating_add(i64::from(east_minutes) * 60);
        let days = local.div_euclid(DAY as i64);
        // Days since 1 March of the year 0, so that a leap day ends its year.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        Civil {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: month as u8,
            day: (of_year - (153 * shifted_month + 2) / 5 + 1) as u8,
            second: local.rem_euclid(DAY as i64) as u32,
        }
    }

    /// Seconds since 1970. Days and months must be in their bounds.
    pub fn epoch(self, east_minutes: i32) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let shifted_month = (i64::from(self.month) + 9) % 12;
        let of_year = (153 * shifted_month + 2) / 5 + i64::from(self.day) - 1;
        let day = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
        (era * 146_097 + day - 719_468) * DAY as i64 + i64::from(self.second)
            - i64::from(east_minutes) * 60
    }

    /// 0 to 23.
    pub fn hour(self) -> u32 {
        self.second / 3600
    }

    /// 0 to 59.
    pub fn minute(self) -> u32 {
        self.second / 60 % 60
    }

    /// As `2026-11-29T18:20`, which is what the input of a form takes.
    pub fn iso_minute(self) -> String {
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}",
            self.year,
            self.month,
            self.day,
            self.hour(),
            self.minute()
        )
    }

    /// As `29 Nov 2026 18:20`.
    pub fn text(self) -> String {
        let mut out = String::with_capacity(20);
        // Writing to memory does not fail.
        let _ = write!(
            out,
            "{} {} {} {:02}:{:02}",
            self.day,
            MONTHS[usize::from(self.month - 1)],
            self.year,
            self.hour(),
            self.minute()
        );
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_comes_back_as_it_went_in() {
        for day in 0..60_000_i64 {
            let epoch = day * DAY as i64 + 12_345;
            let civil = Civil::of(epoch, 0);
            assert_eq!(civil.epoch(0), epoch, "{civil:?}");
        }
        assert_eq!(Civil::of(1_709_164_800, 0).text(), "29 Feb 2024 00:00");
        assert_eq!(Civil::of(1_709_164_800, -60).text(), "28 Feb 2024 23:00");
    }
}
