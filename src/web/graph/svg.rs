//! A figure as SVG: in a page, where the style sheet colours it, or a picture that stands alone.

use std::fmt::Write;

use super::curve::Draw;
use super::figure::{Figure, Values, plus};
use super::path::{Plane, push_area, push_line};
use super::plan::History;
use crate::axis::{Scale, time_ticks};
use crate::palette::{ALONE, COLOURS};
use crate::range::Range;

/// Measures of a graph, in halves of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub width: u32,
    pub height: u32,
    pub most_columns: usize,
    time_ticks: u64,
    value_ticks: u32,
}

/// One of several on a page.
pub const SMALL: Size = Size {
    width: 840,
    height: 300,
    most_columns: 360,
    time_ticks: 6,
    value_ticks: 3,
};

/// The only one of its page.
pub const LARGE: Size = Size {
    width: 1840,
    height: 640,
    most_columns: 800,
    time_ticks: 10,
    value_ticks: 5,
};

impl Size {
    /// Of ganglia-web's `z`.
    pub fn named(word: Option<&str>) -> Size {
        match word {
            Some("large" | "xlarge") => LARGE,
            _ => SMALL,
        }
    }
}

const LEFT: u32 = 92;
const RIGHT: u32 = 12;
const TOP: u32 = 14;
const BOTTOM: u32 = 44;

/// Where a figure is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// In a page: classes alone.
    Page,
    /// By itself: colours in attributes, with title and legend.
    Alone,
}

/// Appends the figure.
pub fn draw(
    out: &mut String,
    figure: &Figure,
    values: &Values<'_>,
    history: &History,
    size: Size,
    ground: Ground,
    east_minutes: i32,
) {
    let canvas = Canvas {
        figure,
        values,
        range: history.range(),
        size,
        ground,
        scale: scale(figure, values, size),
        top: match ground {
            Ground::Page => TOP,
            Ground::Alone => TOP + 36,
        },
        east_minutes,
    };
    canvas.draw(out);
}

fn scale(figure: &Figure, values: &Values<'_>, size: Size) -> Scale {
    let mut least = 0.0_f64;
    let mut most = 0.0_f64;
    let mut height = vec![f64::NAN; values.grid.columns];
    for drawn in &values.curves {
        if figure.stacked && drawn.curve.draw == Draw::Area {
            for (sum, value) in height.iter_mut().zip(&drawn.values) {
                *sum = plus(*sum, *value);
            }
        } else {
            least = least.min(drawn.extent.least);
            most = most.max(drawn.extent.most);
        }
    }
    let past = values.past.iter().flat_map(|(_, values)| values);
    for value in height.iter().chain(past) {
        least = least.min(*value);
        most = most.max(*value);
    }
    if figure.unit.percent {
        most = most.max(if most > 100.5 { most } else { 100.0 });
        // A little more than 100 comes of rounding.
        most = if most < 101.0 { 100.0 } else { most };
    }
    Scale::around(least, most, figure.unit.base, size.value_ticks)
}

struct Canvas<'a> {
    figure: &'a Figure,
    values: &'a Values<'a>,
    range: &'a Range,
    size: Size,
    ground: Ground,
    scale: Scale,
    top: u32,
    east_minutes: i32,
}

impl Canvas<'_> {
    fn width(&self) -> u32 {
        self.size.width - LEFT - RIGHT
    }

    fn height(&self) -> u32 {
        self.size.height - TOP - BOTTOM
    }

    fn bottom(&self) -> u32 {
        self.top + self.height()
    }

    /// Where a time stands.
    fn x(&self, at: u64) -> i64 {
        let part = (at as f64 - self.range.from as f64) / self.range.secs() as f64;
        i64::from(LEFT) + (part * f64::from(self.width())).round() as i64
    }

    fn plane(&self) -> Plane {
        let grid = &self.values.grid;
        let left = self.x(grid.start) as f64;
        let end = self.x(grid.start + grid.step * grid.columns as u64) as f64;
        Plane {
            left,
            top: f64::from(self.top),
            width: end - left,
            height: f64::from(self.height()),
            low: self.scale.low,
            high: self.scale.high,
            columns: grid.columns,
        }
    }

    fn draw(&self, out: &mut String) {
        let legend_rows = match self.ground {
            Ground::Page => 0,
            Ground::Alone => self.values.curves.len() as u32,
        };
        let whole = self.size.height + self.top - TOP + legend_rows * 28;
        // Writing to memory does not fail.
        let _ = match self.ground {
            Ground::Page => write!(
                out,
                "<svg class=\"g\" viewBox=\"0 0 {} {whole}\" role=\"img\" data-x=\"{LEFT} {}\" \
                 data-t=\"{} {}\" aria-label=\"",
                self.size.width,
                self.width(),
                self.range.from,
                self.range.until
            ),
            Ground::Alone => write!(
                out,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
                 viewBox=\"0 0 {} {whole}\" font-family=\"sans-serif\" font-size=\"22\" \
                 fill=\"#222\" role=\"img\" aria-label=\"",
                self.size.width / 2,
                whole / 2,
                self.size.width
            ),
        };
        self.spoken(out);
        out.push_str("\">");
        if self.ground == Ground::Alone {
            out.push_str("<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>");
            let _ = write!(out, "<text x=\"{LEFT}\" y=\"34\" font-size=\"26\">");
            escape(out, &self.figure.title);
            out.push_str("</text>");
        }
        self.grid(out);
        self.curves(out);
        if self.ground == Ground::Alone {
            self.legend(out);
        }
        out.push_str("</svg>");
    }

    /// What a reader that sees nothing is told.
    fn spoken(&self, out: &mut String) {
        escape(out, &self.figure.title);
        for drawn in self.values.curves.iter().take(3) {
            let show = |value| self.figure.unit.show(value);
            out.push_str(": ");
            escape(out, &drawn.curve.label);
            let _ = write!(
                out,
                " now {}, least {}, mean {}, most {}",
                Escaped(&show(drawn.extent.last)),
                Escaped(&show(drawn.extent.least)),
                Escaped(&show(drawn.extent.mean)),
                Escaped(&show(drawn.extent.most))
            );
        }
    }

    fn grid(&self, out: &mut String) {
        let plane = self.plane();
        let right = self.size.width - RIGHT;
        let ticks: Vec<(f64, i32)> = self.scale.ticks().map(|at| (at, plane.y(at))).collect();
        let times = time_ticks(
            self.range.from,
            self.range.until,
            self.size.time_ticks,
            self.east_minutes,
        );
        out.push_str("<path class=\"gl\"");
        self.attribute(out, "stroke", "#ddd");
        out.push_str(" d=\"");
        for (_, y) in &ticks {
            let _ = write!(out, "M{LEFT} {y}H{right}");
        }
        for tick in &times {
            let _ = write!(out, "M{} {}V{}", self.x(tick.at), self.top, self.bottom());
        }
        out.push_str("\"/>");
        out.push_str("<g text-anchor=\"end\" dominant-baseline=\"central\">");
        for (value, y) in &ticks {
            let label = self.figure.unit.tick(*value, self.scale.step);
            let _ = write!(out, "<text x=\"{}\" y=\"{}\">", LEFT - 8, y);
            escape(out, &label);
            out.push_str("</text>");
        }
        out.push_str("</g><g text-anchor=\"middle\" dominant-baseline=\"hanging\">");
        for (at, tick) in times.iter().enumerate() {
            let x = self.x(tick.at);
            // A label that the edge would cut is left out.
            if x + 44 > i64::from(self.size.width) {
                continue;
            }
            let odd = if at % 2 == 1 { " class=\"odd\"" } else { "" };
            let y = self.bottom() + 12;
            let _ = write!(out, "<text x=\"{x}\" y=\"{y}\"{odd}>{}</text>", tick.label);
        }
        out.push_str("</g>");
    }

    fn curves(&self, out: &mut String) {
        let plane = self.plane();
        let columns = self.values.grid.columns;
        let mut floor = vec![0.0; columns];
        let mut known = false;
        for drawn in &self.values.curves {
            known |= !drawn.extent.last.is_nan();
            if drawn.curve.draw == Draw::Line {
                continue;
            }
            let top: Vec<f64> = if self.figure.stacked {
                let pairs = drawn.values.iter().zip(&floor);
                pairs.map(|(value, floor)| value + floor).collect()
            } else {
                drawn.values.clone()
            };
            self.begin(out, 'a', drawn.curve.colour);
            push_area(out, &plane, &top, &floor);
            out.push_str("\"/>");
            if self.figure.stacked {
                for (floor, top) in floor.iter_mut().zip(top) {
                    if !top.is_nan() {
                        *floor = top;
                    }
                }
            }
        }
        for (colour, values) in &self.values.past {
            self.begin(out, 'p', *colour);
            push_line(out, &plane, values);
            out.push_str("\"/>");
        }
        for drawn in &self.values.curves {
            if drawn.curve.draw == Draw::Line {
                self.begin(out, 'l', drawn.curve.colour);
                push_line(out, &plane, &drawn.values);
                out.push_str("\"/>");
            }
        }
        if !known {
            let x = LEFT + self.width() / 2;
            let y = self.top + self.height() / 2;
            let _ = write!(
                out,
                "<text class=\"none\" text-anchor=\"middle\" x=\"{x}\" y=\"{y}\">no values in this \
                 time</text>"
            );
        }
    }

    /// The start of a path, up to its data: an area, a line, or a line of the past.
    fn begin(&self, out: &mut String, kind: char, colour: usize) {
        // Where colours begin anew, dashes tell lines apart.
        let dash = match (kind, colour / COLOURS) {
            ('l', round @ 1..) => [" d1", " d2", " d3"][(round - 1) % 3],
            _ => "",
        };
        let colour = colour % COLOURS;
        let _ = write!(out, "<path class=\"{kind} c{colour}{dash}\"");
        if kind == 'a' {
            self.attribute(out, "fill", ALONE[colour]);
        } else {
            self.attribute(out, "fill", "none");
            self.attribute(out, "stroke", ALONE[colour]);
            self.attribute(out, "stroke-width", "3");
        }
        if kind == 'p' {
            self.attribute(out, "stroke-dasharray", "3 6");
        }
        out.push_str(" d=\"");
    }

    fn legend(&self, out: &mut String) {
        let mut y = self.bottom() + BOTTOM + 20;
        for drawn in &self.values.curves {
            let colour = ALONE[drawn.curve.colour % COLOURS];
            let box_top = y - 16;
            let _ = write!(
                out,
                "<rect x=\"{LEFT}\" y=\"{box_top}\" width=\"16\" height=\"16\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"{y}\">",
                LEFT + 26
            );
            escape(out, &drawn.curve.label);
            let show = |value| self.figure.unit.show(value);
            let _ = write!(
                out,
                "</text><text x=\"{}\" y=\"{y}\" text-anchor=\"end\">now {} · min {} · avg {} · max {}</text>",
                self.size.width - RIGHT,
                Escaped(&show(drawn.extent.last)),
                Escaped(&show(drawn.extent.least)),
                Escaped(&show(drawn.extent.mean)),
                Escaped(&show(drawn.extent.most))
            );
            y += 28;
        }
    }

    /// An attribute that only a picture that stands alone has.
    fn attribute(&self, out: &mut String, name: &str, value: &str) {
        if self.ground == Ground::Alone {
            let _ = write!(out, " {name}=\"{value}\"");
        }
    }
}

/// Appends text, escaped for an attribute or an element.
pub fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no other control characters, not even by reference.
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

/// Text that is escaped when it is written.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::with_capacity(self.0.len());
        escape(&mut out, self.0);
        f.write_str(&out)
    }
}
