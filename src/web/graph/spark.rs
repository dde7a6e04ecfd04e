//! Small graphs, of which a page has hundreds: one path, no axes.

use super::path::{Plane, push_int, push_line};
use super::sample::{Extent, Grid};
use gmetad_core::history::Series;

/// Measures, in halves of a pixel.
#[derive(Clone, Copy, Debug)]
pub struct Spark {
    pub width: u32,
    pub height: u32,
    /// Its class, by which the style sheet knows its size.
    pub class: &'static str,
}

/// In the row of a table.
pub const ROW: Spark = Spark {
    width: 240,
    height: 44,
    class: "s",
};

/// In a card of its own.
pub const CARD: Spark = Spark {
    width: 360,
    height: 110,
    class: "s w",
};

impl Spark {
    /// Columns that it can show.
    pub fn columns(&self) -> usize {
        self.width as usize / 3
    }

    /// Appends the line of a series on a scale from 0, or the least if that is below, to `most` (or to
    /// its own greatest value without it).
    pub fn draw(&self, out: &mut String, grid: &Grid, series: Option<&Series>, most: Option<f64>) {
        out.push_str("<svg class=\"");
        out.push_str(self.class);
        out.push_str("\" viewBox=\"0 0 ");
        push_int(out, self.width as i32);
        out.push(' ');
        push_int(out, self.height as i32);
        out.push_str("\" aria-hidden=\"true\">");
        if let Some(series) = series {
            let values = grid.sample(series, 0);
            let extent = Extent::of(&values);
            let low = extent.least.min(0.0);
            let high = most.unwrap_or(extent.most).max(extent.most);
            let plane = Plane {
                left: 0.0,
                top: 3.0,
                width: f64::from(self.width),
                height: f64::from(self.height) - 6.0,
                low,
                high: if high > low { high } else { low + 1.0 },
                columns: grid.columns,
            };
            out.push_str("<path d=\"");
            push_line(out, &plane, &values);
            out.push_str("\"/>");
        }
        out.push_str("</svg>");
    }
}
