//! The table as a chart: one bar a line, how many times better, on a logarithmic scale.

use std::fmt::Write;

/// One bar.
pub struct Bar {
    /// What was measured.
    pub name: String,
    /// How many times better than C gmetad; 1 is the same.
    pub times: f64,
    /// What it has to be at least.
    pub must: Option<f64>,
}

const LEFT: f64 = 330.0;
const WIDTH: f64 = 480.0;
const ROW: f64 = 30.0;

/// An SVG document.
pub fn svg(title: &str, bars: &[Bar]) -> String {
    let most = bars
        .iter()
        .map(|bar| bar.times.max(bar.must.unwrap_or(1.0)))
        .fold(10.0, f64::max);
    let decades = most.log10().ceil().max(1.0);
    let x = |times: f64| LEFT + WIDTH * (times.max(1.0).log10() / decades);
    let height = 90.0 + ROW * bars.len() as f64;
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 {height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"900\" height=\"{height}\" \
         fill=\"#ffffff\"/>\n<text x=\"20\" y=\"28\" font-size=\"16\">{title}</text>\n"
    );
    for decade in 0..=decades as u32 {
        let times = 10_f64.powi(decade as i32);
        let _ = write!(
            out,
            "<line x1=\"{0}\" y1=\"45\" x2=\"{0}\" y2=\"{1}\" stroke=\"#dddddd\"/>\n\
             <text x=\"{0}\" y=\"{2}\" text-anchor=\"middle\" fill=\"#666666\">{3}×</text>\n",
            x(times),
            height - 35.0,
            height - 15.0,
            times
        );
    }
    for (row, bar) in bars.iter().enumerate() {
        let y = 50.0 + ROW * row as f64;
        let _ = write!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n<rect x=\"{LEFT}\" y=\"{y}\" \
             width=\"{}\" height=\"20\" fill=\"#3b7dd8\"/>\n<text x=\"{}\" y=\"{}\">{:.1}×</text>\n",
            LEFT - 8.0,
            y + 15.0,
            bar.name,
            (x(bar.times) - LEFT).max(1.0),
            x(bar.times) + 6.0,
            y + 15.0,
            bar.times
        );
        if let Some(must) = bar.must {
            let _ = writeln!(
                out,
                "<line x1=\"{0}\" y1=\"{1}\" x2=\"{0}\" y2=\"{2}\" stroke=\"#c0392b\" \
                 stroke-width=\"3\"/>",
                x(must),
                y - 3.0,
                y + 23.0
            );
        }
    }
    out + "</svg>\n"
}
