//! Values as people read them: three digits, K, M, G, and the unit.
//!
//! Knows the units that gmond's modules use; any other is shown as it is.

use std::fmt::Write;

/// How values of a metric are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// What stands behind the number.
    pub text: String,
    /// Values are multiplied by this first: kilobytes become bytes.
    pub factor: f64,
    /// 1000, or 1024 for memory.
    pub base: f64,
    /// Whether the axis ends at 100 at least.
    pub percent: bool,
}

impl Unit {
    /// Of the UNITS of a metric.
    pub fn of(units: &str) -> Unit {
        let unit = |text: &str, factor: f64, base: f64| Unit {
            text: text.to_owned(),
            factor,
            base,
            percent: false,
        };
        match units.trim() {
            "%" | "percent" | "Percent" => Unit {
                percent: true,
                ..unit("%", 1.0, 1000.0)
            },
            "KB" | "KiB" | "kB" | "Kb" => unit("B", 1024.0, 1024.0),
            "MB" | "MiB" => unit("B", 1_048_576.0, 1024.0),
            "GB" => unit("B", 1e9, 1000.0),
            "bytes" | "Bytes" | "B" => unit("B", 1.0, 1024.0),
            "bytes/sec" | "bytes/s" | "Bytes/s" | "B/s" => unit("B/s", 1.0, 1000.0),
            "packets/sec" => unit("packets/s", 1.0, 1000.0),
            other => unit(other, 1.0, 1000.0),
        }
    }

    pub fn plain() -> Unit {
        Unit::of("")
    }

    /// `1.23 GB`: the number and the unit.
    pub fn show(&self, value: f64) -> String {
        let mut out = String::with_capacity(12);
        self.write(&mut out, value);
        out
    }

    /// Appends what [`Unit::show`] gives. `value` has the factor in it already.
    pub fn write(&self, out: &mut String, value: f64) {
        if value.is_nan() {
            out.push('–');
            return;
        }
        let (scaled, prefix) = scaled(value, self.base);
        digits(out, scaled);
        if !prefix.is_empty() || !self.text.is_empty() {
            out.push('\u{a0}');
        }
        out.push_str(prefix);
        out.push_str(&self.text);
    }

    /// The number alone, where the unit stands elsewhere.
    pub fn bare(&self, value: f64) -> String {
        if value.is_nan() {
            return "–".to_owned();
        }
        let (scaled, prefix) = scaled(value, self.base);
        let mut out = String::with_capacity(8);
        digits(&mut out, scaled);
        out.push_str(prefix);
        out
    }

    /// The label of a tick: as short as its distance to the next one lets it be.
    pub fn tick(&self, value: f64, step: f64) -> String {
        // Steps of 500 G are no round numbers of T where a T is 1024 G.
        let of = if self.base > 1000.0 && value != 0.0 {
            step
        } else {
            value
        };
        let (_, prefix) = scaled(of, self.base);
        let divisor = divisor(prefix, self.base);
        let decimals = decimals_of(step / divisor);
        let mut out = String::with_capacity(8);
        // Writing to memory does not fail.
        let _ = write!(out, "{:.*}", decimals, value / divisor);
        out.push_str(prefix);
        if self.percent {
            out.push('%');
        }
        out
    }
}

/// A whole number, its thousands apart.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + 8);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{a0}');
        }
        out.push(digit);
    }
    out
}

const PREFIXES: [&str; 6] = ["K", "M", "G", "T", "P", "E"];

fn scaled(value: f64, base: f64) -> (f64, &'static str) {
    let mut scaled = value;
    let mut prefix = "";
    for next in PREFIXES {
        // What is rounded to 1000 is shown as 1.00 of the next.
        if scaled.abs() < base * 0.9995 {
            break;
        }
        scaled /= base;
        prefix = next;
    }
    (scaled, prefix)
}

fn divisor(prefix: &str, base: f64) -> f64 {
    let power = PREFIXES.iter().position(|known| *known == prefix);
    power.map_or(1.0, |power| base.powi(power as i32 + 1))
}

/// Decimals that tell multiples of `step` apart.
fn decimals_of(step: f64) -> usize {
    let mut decimals = 0;
    let mut rest = step.abs();
    while decimals < 6 && (rest - rest.round()).abs() > 1e-6 * rest.max(1.0) {
        rest *= 10.0;
        decimals += 1;
    }
    decimals
}

/// Three digits that count.
fn digits(out: &mut String, value: f64) {
    let size = value.abs();
    let is_whole = value == value.trunc() && size < 1e6;
    let decimals = if is_whole || size >= 99.95 {
        0
    } else if size >= 9.995 {
        1
    } else if size >= 0.0995 {
        2
    } else if size >= 0.00995 {
        3
    } else if size >= 0.000_995 {
        4
    } else {
        let _ = write!(out, "{value:.1e}");
        return;
    };
    let _ = write!(out, "{value:.decimals$}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_three_digits_and_a_unit() {
        let show = |units: &str, value: f64| {
            let unit = Unit::of(units);
            unit.show(value * unit.factor).replace('\u{a0}', " ")
        };
        assert_eq!(show("", 0.0), "0");
        assert_eq!(show("", 1234.0), "1.23 K");
        assert_eq!(show(" ", 999.7), "1.00 K");
        assert_eq!(show("%", 12.345), "12.3 %");
        assert_eq!(show("KB", 16_384_000.0), "15.6 GB");
        assert_eq!(show("GB", 512.5), "512 GB");
        assert_eq!(show("bytes/sec", 2_500_000.0), "2.50 MB/s");
        assert_eq!(show("CPUs", 8.0), "8 CPUs");
        assert_eq!(show("", -0.004_321), "-0.0043");
        assert_eq!(show("", 0.000_000_12), "1.2e-7");
        assert_eq!(show("s", f64::NAN), "–");
    }

    #[test]
    fn thousands_of_a_count_stand_apart() {
        assert_eq!(
            [7, 1000, 1_234_567].map(count),
            ["7", "1\u{a0}000", "1\u{a0}234\u{a0}567"]
        );
    }

    #[test]
    fn ticks_have_the_decimals_that_tell_them_apart() {
        let unit = Unit::of("");
        assert_eq!(unit.tick(0.5, 0.25), "0.50");
        assert_eq!(unit.tick(1500.0, 500.0), "1.5K");
        assert_eq!(unit.tick(0.0, 500.0), "0");
        assert_eq!(Unit::of("%").tick(50.0, 25.0), "50%");
        let giga = 1024_f64.powi(3);
        assert_eq!(Unit::of("KB").tick(1500.0 * giga, 500.0 * giga), "1500G");
    }
}
