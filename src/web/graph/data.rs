//! A figure's values as CSV and as JSON.

use std::fmt::Write;

use gmetad_core::answer::json::push_string;

use super::figure::{Figure, Values};
use gmetad_core::model::civil::Civil;

/// Columns of an answer.
pub const MOST_COLUMNS: usize = 4000;

/// A line for each time: seconds since 1970, the same as text in UTC, and a value for each curve, empty
/// where nothing is known. A time is the beginning of its row.
pub fn csv(figure: &Figure, values: &Values<'_>) -> String {
    let mut out = String::with_capacity(64 * values.grid.columns);
    out.push_str("time,utc");
    for drawn in &values.curves {
        out.push(',');
        push_field(&mut out, &drawn.curve.label);
    }
    out.push_str("\r\n");
    for column in 0..values.grid.columns {
        let at = values.grid.start + column as u64 * values.grid.step;
        let civil = Civil::of(at as i64, 0);
        // Writing to memory does not fail.
        let _ = write!(out, "{at},{}:{:02}Z", civil.iso_minute(), civil.second % 60);
        for drawn in &values.curves {
            out.push(',');
            let value = drawn.values[column] / figure.unit.factor;
            if !value.is_nan() {
                let _ = write!(out, "{value}");
            }
        }
        out.push_str("\r\n");
    }
    out
}

fn push_field(out: &mut String, text: &str) {
    out.push('"');
    // A table calculator takes what begins so for a formula.
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        out.push('\'');
    }
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

/// An object: `title`, `unit`, `base`, `factor`, `start` and `step` in seconds, and `curves` with `label` and
/// `values`, null where nothing is known.
pub fn json(figure: &Figure, values: &Values<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 * values.grid.columns * values.curves.len().max(1));
    out.extend_from_slice(b"{\"title\":");
    push_string(&mut out, &figure.title);
    out.extend_from_slice(b",\"unit\":");
    push_string(&mut out, &figure.unit.text);
    let mut text = String::new();
    let _ = write!(
        text,
        ",\"base\":{},\"start\":{},\"step\":{},\"curves\":[",
        figure.unit.base, values.grid.start, values.grid.step
    );
    out.extend_from_slice(text.as_bytes());
    for (at, drawn) in values.curves.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"label\":");
        push_string(&mut out, &drawn.curve.label);
        text.clear();
        let _ = write!(text, ",\"colour\":{},\"values\":[", drawn.curve.colour);
        for (at, value) in drawn.values.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            if value.is_finite() {
                let _ = write!(text, "{value}");
            } else {
                text.push_str("null");
            }
        }
        text.push_str("]}");
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(b"]}");
    out
}
