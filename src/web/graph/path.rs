//! Paths of SVG, in whole numbers and relative steps, so that thousands of them stay small.

/// Maps columns and values to the plane.
#[derive(Clone, Copy, Debug)]
pub struct Plane {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    /// The value at the bottom, and at the top.
    pub low: f64,
    pub high: f64,
    pub columns: usize,
}

impl Plane {
    fn x(&self, column: usize) -> i32 {
        let part = (column as f64 + 0.5) / self.columns as f64;
        (self.left + part * self.width).round() as i32
    }

    pub fn y(&self, value: f64) -> i32 {
        let part = (self.high - value) / (self.high - self.low);
        (self.top + part.clamp(-0.01, 1.01) * self.height).round() as i32
    }
}

/// Appends a whole number.
pub fn push_int(out: &mut String, number: i32) {
    let mut digits = [0_u8; 11];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}

/// Appends two numbers; a minus needs no space in front.
pub fn push_pair(out: &mut String, x: i32, y: i32) {
    push_int(out, x);
    if y >= 0 {
        out.push(' ');
    }
    push_int(out, y);
}

/// Appends the steps of a line from one point over others.
struct Pen<'a> {
    out: &'a mut String,
    at: (i32, i32),
    /// A step to the right that has not been written yet.
    level: i32,
}

impl Pen<'_> {
    fn to(&mut self, x: i32, y: i32) {
        let (dx, dy) = (x - self.at.0, y - self.at.1);
        self.at = (x, y);
        if dy == 0 {
            self.level += dx;
            return;
        }
        self.rest();
        if dx == 0 {
            self.out.push('v');
            push_int(self.out, dy);
        } else {
            self.out.push('l');
            push_pair(self.out, dx, dy);
        }
    }

    fn rest(&mut self) {
        if self.level != 0 {
            self.out.push('h');
            push_int(self.out, self.level);
            self.level = 0;
        }
    }
}

/// Runs of columns that have values.
fn runs(values: &[f64]) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < values.len() && values[at].is_nan() {
            at += 1;
        }
        let from = at;
        while at < values.len() && !values[at].is_nan() {
            at += 1;
        }
        (from < at).then_some(from..at)
    })
}

/// Appends the line through the values. A gap ends it; a value alone is a dash of its column's width.
pub fn push_line(out: &mut String, plane: &Plane, values: &[f64]) {
    for run in runs(values) {
        let start = (plane.x(run.start), plane.y(values[run.start]));
        out.push('M');
        push_pair(out, start.0, start.1);
        let mut pen = Pen {
            out,
            at: start,
            level: 0,
        };
        if run.len() == 1 {
            let wide = (plane.width / plane.columns as f64).round() as i32;
            pen.to(start.0 + wide.max(2), start.1);
        }
        for column in run.skip(1) {
            pen.to(plane.x(column), plane.y(values[column]));
        }
        pen.rest();
    }
}

/// Appends the area between the values and the floor below each of them.
pub fn push_area(out: &mut String, plane: &Plane, values: &[f64], floor: &[f64]) {
    let half = (plane.width / plane.columns as f64 / 2.0).round() as i32;
    for run in runs(values) {
        let (first, last) = (run.start, run.end - 1);
        let start = (plane.x(first) - half, plane.y(floor[first]));
        out.push('M');
        push_pair(out, start.0, start.1);
        let mut pen = Pen {
            out,
            at: start,
            level: 0,
        };
        pen.to(start.0, plane.y(values[first]));
        for column in run.clone() {
            pen.to(plane.x(column), plane.y(values[column]));
        }
        let end = plane.x(last) + half;
        pen.to(end, plane.y(values[last]));
        pen.rest();
        pen.to(end, plane.y(floor[last]));
        for column in run.rev() {
            pen.to(plane.x(column), plane.y(floor[column]));
        }
        pen.rest();
        out.push('z');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(columns: usize) -> Plane {
        Plane {
            left: 0.0,
            top: 0.0,
            width: 10.0 * columns as f64,
            height: 100.0,
            low: 0.0,
            high: 10.0,
            columns,
        }
    }

    fn line(values: &[f64]) -> String {
        let mut out = String::new();
        push_line(&mut out, &plane(values.len()), values);
        out
    }

    #[test]
    fn a_gap_is_a_gap_and_a_value_alone_is_seen() {
        assert_eq!(line(&[1.0, 2.0, f64::NAN, 5.0]), "M5 90l10-10M35 50h10");
        assert_eq!(line(&[f64::NAN]), "");
    }

    #[test]
    fn level_steps_become_one() {
        assert_eq!(line(&[1.0, 1.0, 1.0, 3.0, 3.0]), "M5 90h20l10-20h10");
    }

    #[test]
    fn an_area_ends_on_its_floor() {
        let mut out = String::new();
        push_area(&mut out, &plane(2), &[4.0, 6.0], &[0.0, 1.0]);
        assert_eq!(out, "M0 100v-40h5l10-20h5v50h-5l-10 10z");
    }

    #[test]
    fn numbers_are_written_as_they_are() {
        let mut out = String::new();
        for number in [0, -7, 120, i32::MIN] {
            push_int(&mut out, number);
            out.push(' ');
        }
        assert_eq!(out, "0 -7 120 -2147483648 ");
    }
}
