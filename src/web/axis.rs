//! Where ticks stand, and what they say: values by 1, 2, 5; times by minutes, hours, days, months.

use gmetad_core::model::civil::{Civil, DAY, HOUR, MINUTE, MONTHS};

/// From here on values are not drawn to scale.
const LARGEST: f64 = 1e60;

/// The scale of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    pub low: f64,
    pub high: f64,
    /// From one tick to the next.
    pub step: f64,
}

impl Scale {
    /// A scale with zero in it for values from `least` to `most`, and with about `ticks` ticks.
    pub fn around(least: f64, most: f64, base: f64, ticks: u32) -> Scale {
        let (mut low, mut high) = (least.min(0.0), most.max(0.0));
        // Nothing is that large; a file may hold it nevertheless.
        let extent = high - low;
        if extent.is_nan() || extent >= LARGEST {
            (low, high) = (0.0, 1.0);
        }
        if high - low <= 0.0 {
            high = low + 1.0;
        }
        let step = nice((high - low) / f64::from(ticks), base);
        Scale {
            low: (low / step).floor() * step,
            high: (high / step).ceil() * step,
            step,
        }
    }

    /// The values of the ticks, from the lowest on.
    pub fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        let count = ((self.high - self.low) / self.step).round() as u32;
        (0..=count.min(20)).map(|at| {
            let value = self.low + f64::from(at) * self.step;
            // Sums of steps miss zero by a little.
            if value.abs() < self.step * 1e-9 {
                0.0
            } else {
                value
            }
        })
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not less. With base 1024, of such a power below
/// 1000 times K, M, ….
fn nice(rough: f64, base: f64) -> f64 {
    let mut unit = 1.0;
    if base > 1000.0 {
        while rough / unit > 500.0 {
            unit *= base;
        }
    }
    // Above 500 of one unit comes 1 of the next.
    let rough = if unit > 1.0 {
        (rough / unit).max(1.0)
    } else {
        rough
    };
    let power = power_of_ten(rough);
    let mut factors = [1.0, 2.0, 5.0, 10.0].into_iter();
    let factor = factors.find(|factor| factor * power >= rough * 0.999_999);
    factor.unwrap_or(10.0) * power * unit
}

/// The greatest power of ten that is not above a number. Counted, as the C library's logarithm and power
/// have tables of which 200 KB would be read into memory for this alone.
fn power_of_ten(number: f64) -> f64 {
    let mut power = 1.0;
    if number >= 1.0 {
        while power * 10.0 <= number {
            power *= 10.0;
        }
        return power;
    }
    // The inverse is exact where the power itself is not. Of less there is no such.
    if number < 1e-300 {
        return number;
    }
    while 1.0 / power > number {
        power *= 10.0;
    }
    1.0 / power
}

/// A tick of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeTick {
    /// Seconds since 1970.
    pub at: u64,
    pub label: String,
}

const STEPS: [u64; 18] = [
    10,
    30,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    3 * DAY,
    7 * DAY,
    14 * DAY,
];

/// At most `most` ticks from `from` to `until`, at full hours, midnights and the like of the viewer.
pub fn time_ticks(from: u64, until: u64, most: u64, east_minutes: i32) -> Vec<TimeTick> {
    let rough = (until - from) / most.max(1);
    match STEPS.iter().find(|step| **step >= rough) {
        Some(step) => regular(from, until, *step, east_minutes),
        None => months(from, until, rough, east_minutes),
    }
}

fn regular(from: u64, until: u64, step: u64, east_minutes: i32) -> Vec<TimeTick> {
    let east = i64::from(east_minutes) * 60;
    let local = from as i64 + east;
    let mut at = (local + step as i64 - 1).div_euclid(step as i64) * step as i64 - east;
    let mut ticks = Vec::new();
    while at <= until as i64 {
        let civil = Civil::of(at, east_minutes);
        let label = if step >= DAY || (civil.second == 0 && until - from > DAY / 2) {
            format!("{} {}", civil.day, MONTHS[usize::from(civil.month - 1)])
        } else if step < MINUTE {
            let second = civil.second % 60;
            format!("{:02}:{:02}:{second:02}", civil.hour(), civil.minute())
        } else {
            format!("{:02}:{:02}", civil.hour(), civil.minute())
        };
        ticks.push(TimeTick {
            at: at as u64,
            label,
        });
        at += step as i64;
    }
    ticks
}

fn months(from: u64, until: u64, rough: u64, east_minutes: i32) -> Vec<TimeTick> {
    let each = [1, 2, 3, 6, 12]
        .into_iter()
        .find(|months| months * 31 * DAY >= rough)
        .unwrap_or_else(|| 12 * (rough / (366 * DAY) + 1));
    let first = Civil::of(from as i64, east_minutes);
    let mut month = first.year * 12 + i64::from(first.month - 1);
    month = (month + each as i64 - 1) / each as i64 * each as i64;
    let mut ticks = Vec::new();
    loop {
        let civil = Civil {
            year: month.div_euclid(12),
            month: month.rem_euclid(12) as u8 + 1,
            day: 1,
            second: 0,
        };
        let at = civil.epoch(east_minutes);
        if at > until as i64 {
            return ticks;
        }
        if at >= from as i64 {
            let label = if civil.month == 1 {
                civil.year.to_string()
            } else {
                MONTHS[usize::from(civil.month - 1)].to_owned()
            };
            ticks.push(TimeTick {
                at: at as u64,
                label,
            });
        }
        month += each as i64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round_and_hold_all_values() {
        let scale = |least, most| Scale::around(least, most, 1000.0, 4);
        assert_eq!(
            scale(0.0, 0.83),
            Scale {
                low: 0.0,
                high: 1.0,
                step: 0.5
            }
        );
        assert_eq!(scale(3.0, 17.0).high, 20.0);
        assert_eq!(scale(-3.0, 17.0).low, -5.0);
        assert_eq!(scale(0.0, 0.0), scale(f64::NAN, f64::NAN));
        for most in [f64::INFINITY, 1e300] {
            let scale = Scale::around(f64::NEG_INFINITY, most, 1024.0, 4);
            assert_eq!((scale.low, scale.high), (0.0, 1.0));
        }
        let memory = Scale::around(0.0, 15.5 * 1024_f64.powi(3), 1024.0, 4);
        assert_eq!(memory.step, 5.0 * 1024_f64.powi(3));
        let memory = Scale::around(0.0, 2.5 * 1024_f64.powi(4), 1024.0, 3);
        assert_eq!(memory.step, 1024_f64.powi(4), "and not 1000 G");
        assert_eq!(scale(0.0, 0.3).ticks().count(), 4);
    }

    #[test]
    fn a_power_of_ten_is_the_greatest_that_is_not_above() {
        for exponent in -60..60 {
            let power: f64 = format!("1e{exponent}").parse().unwrap();
            for (factor, expected) in [(1.000_001, power), (5.0, power), (9.99, power)] {
                let found = power_of_ten(factor * power);
                assert!(
                    (found / expected - 1.0).abs() < 1e-12,
                    "{factor}e{exponent}: {found}"
                );
            }
            if (-22..=22).contains(&exponent) {
                assert_eq!(power_of_ten(power), power);
            }
        }
        assert!(power_of_ten(5e-324) > 0.0);
    }

    #[test]
    fn ticks_stand_at_full_hours_and_midnights_of_the_viewer() {
        let labels = |from, until, east| -> Vec<String> {
            let ticks = time_ticks(from, until, 6, east);
            assert!(ticks.len() <= 8, "{ticks:?}");
            ticks.into_iter().map(|tick| tick.label).collect()
        };
        // 2023-11-14T22:13:20Z
        let now = 1_700_000_000;
        assert_eq!(
            labels(now - HOUR, now, 0),
            ["21:20", "21:30", "21:40", "21:50", "22:00", "22:10"].map(String::from)
        );
        assert_eq!(
            labels(now - DAY, now, 60),
            ["14 Nov", "06:00", "12:00", "18:00"].map(String::from)
        );
        assert_eq!(
            labels(now - 7 * DAY, now, 0),
            ["9 Nov", "11 Nov", "13 Nov"].map(String::from)
        );
        assert_eq!(
            labels(now - 365 * DAY, now, 0),
            ["2023", "Mar", "May", "Jul", "Sep", "Nov"].map(String::from)
        );
    }
}
