//! `/render`: parameters → targets → JSON.

use std::io::Write as _;

use gmetad_core::answer::json::push_string;
use gmetad_core::answer::walk::Body;
use gmetad_core::history::{Answer, Refused};
use gmetad_core::http::{Content, HttpAnswer, Moment, Reply, Status};
use gmetad_core::model::{push_decimal, push_number};

use crate::bad_request;
use crate::evaluate::Plan;
use crate::line::Line;
use crate::pattern::shortened;
use crate::span::Span;
use crate::when::parse_time;

/// Most targets in a request.
const MAX_TARGETS: usize = 512;

/// The parameters of a request.
struct Parameters {
    targets: Vec<String>,
    span: Span,
    format: Format,
    max_data_points: Option<u64>,
}

/// In which form series are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
}

impl Parameters {
    fn parse(
        arguments: impl Iterator<Item = (String, String)>,
        now: u64,
    ) -> Result<Parameters, String> {
        let (mut targets, mut format, mut max_data_points) = (Vec::new(), Format::Json, None);
        let (mut from, mut until) = (None, None);
        for (name, value) in arguments {
            match name.as_str() {
                "target" | "target[]" => targets.push(value),
                "from" => from = Some(value),
                "until" => until = Some(value),
                "format" => {
                    format = match value.as_str() {
                        "json" | "" => Format::Json,
                        "csv" => Format::Csv,
                        other => {
                            let other = shortened(other);
                            return Err(format!(
                                "there is no format \"{other}\"; there are json and csv"
                            ));
                        }
                    }
                }
                "maxDataPoints" => {
                    // Grafana sends a fraction where its screen has one.
                    let number = value.parse().ok().filter(|it: &f64| *it >= 1.0);
                    let number = number.ok_or("maxDataPoints is to be a number from 1 on")?;
                    max_data_points = Some(number as u64);
                }
                _ => {}
            }
        }
        if targets.len() > MAX_TARGETS {
            return Err(format!("more than {MAX_TARGETS} targets"));
        }
        let time = |text: Option<String>, default: &str| {
            let text = text.filter(|text| !text.is_empty());
            parse_time(text.as_deref().unwrap_or(default), now).map_err(|err| err.to_string())
        };
        let (from, until) = (time(from, "-24h")?, time(until, "now")?.min(now.max(1)));
        if from >= until {
            return Err("from is not before until".into());
        }
        Ok(Parameters {
            targets,
            span: Span {
                from,
                until,
                lead: 0,
            },
            format,
            max_data_points,
        })
    }
}

/// Answers `/render`.
pub fn answer(arguments: impl Iterator<Item = (String, String)>, moment: &Moment) -> Reply {
    let now = u64::try_from(moment.now.epoch).unwrap_or(0);
    let parameters = match Parameters::parse(arguments, now) {
        Ok(parameters) => parameters,
        Err(reason) => return Reply::Ready(bad_request(&reason)),
    };
    let Parameters { targets, span, .. } = &parameters;
    let span = *span;
    let mut plan = match Plan::new(targets, span, &moment.snapshot, &moment.graphite_prefix) {
        Ok(plan) => plan,
        Err(fault) => return Reply::Ready(bad_request(&fault.to_string())),
    };
    let question = plan.question();
    let finish = move |read: Result<Answer, Refused>| match read {
        Ok(read) => match plan.evaluate(&read, span) {
            Ok(lines) => written(lines, &parameters),
            Err(fault) => bad_request(&fault.to_string()),
        },
        Err(refused @ (Refused::Series(_) | Refused::Values)) => bad_request(&refused.to_string()),
        Err(refused) => HttpAnswer::text(Status::Unavailable, "", &refused.to_string()),
    };
    if question.is_empty() {
        return Reply::Ready(finish(Ok(Vec::new())));
    }
    Reply::Ask(question, Box::new(finish))
}

fn written(mut lines: Vec<Line>, parameters: &Parameters) -> HttpAnswer {
    if let (Some(most), Format::Json) = (parameters.max_data_points, parameters.format) {
        consolidate(&mut lines, most);
    }
    HttpAnswer {
        status: Status::Ok,
        fields: "".into(),
        content_type: match parameters.format {
            Format::Json => "application/json",
            Format::Csv => "text/csv; charset=utf-8",
        },
        content: Content::Body(Box::new(Written {
            format: parameters.format,
            lines: lines.into_iter(),
            current: None,
            is_first: true,
            is_done: false,
        })),
    }
}

/// Merges rows until no line has more than that many, as graphite-web does: groups of rows begin at
/// multiples of their length, so that they stay the same from one request to the next.
fn consolidate(lines: &mut [Line], most: u64) {
    let Some(start) = lines.iter().map(|line| line.start).min() else {
        return;
    };
    let end = lines.iter().map(Line::end).max().unwrap_or(start);
    for line in lines {
        let step = u64::from(line.step);
        if most == 1 {
            line.consolidate(line.values.len());
            continue;
        }
        let points = (end - start) / step;
        if most >= points {
            continue;
        }
        let rows = points.div_ceil(most);
        let secs = rows * step;
        let nudge = secs + line.start % step - line.start % secs;
        let lost = (nudge / step).saturating_sub(1) as usize;
        line.values.drain(..lost.min(line.values.len()));
        line.start += nudge;
        line.consolidate(rows as usize);
    }
}

/// Series as they are written, a part at a time.
struct Written {
    format: Format,
    lines: std::vec::IntoIter<Line>,
    /// The line that is being written, and its next row.
    current: Option<(Line, usize)>,
    is_first: bool,
    is_done: bool,
}

impl Body for Written {
    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> bool {
        if self.is_first && self.current.is_none() && self.format == Format::Json {
            out.push(b'[');
        }
        while out.len() < limit && !self.is_done {
            match &mut self.current {
                Some((line, row)) => {
                    let is_end = rows(self.format, line, row, out, limit);
                    if is_end {
                        if self.format == Format::Json {
                            out.extend_from_slice(b"]}");
                        }
                        self.current = None;
                    }
                }
                None => self.next(out),
            }
        }
        !self.is_done
    }
}

impl Written {
    /// Goes to the next line, or ends.
    fn next(&mut self, out: &mut Vec<u8>) {
        let Some(line) = self.lines.next() else {
            if self.format == Format::Json {
                out.push(b']');
            }
            self.is_done = true;
            return;
        };
        if self.format == Format::Json {
            if !self.is_first {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"target\":");
            push_string(out, &line.name);
            out.extend_from_slice(b",\"tags\":{\"name\":");
            push_string(out, &line.origin);
            out.extend_from_slice(b"},\"datapoints\":[");
        }
        self.is_first = false;
        self.current = Some((line, 0));
    }
}

/// Writes rows of a line up to a limit of bytes. Returns whether it has no more.
fn rows(format: Format, line: &Line, row: &mut usize, out: &mut Vec<u8>, limit: usize) -> bool {
    while let Some(value) = line.values.get(*row) {
        if out.len() >= limit {
            return false;
        }
        let time = line.start + *row as u64 * u64::from(line.step);
        match format {
            Format::Json => {
                out.extend_from_slice(if *row > 0 { b",[" } else { b"[" });
                push_value(out, *value, "null");
                out.push(b',');
                push_decimal(out, time);
                out.push(b']');
            }
            Format::Csv => {
                push_csv_text(out, &line.name);
                out.push(b',');
                push_decimal(out, time);
                out.push(b',');
                push_value(out, *value, "");
                out.extend_from_slice(b"\r\n");
            }
        }
        *row += 1;
    }
    true
}

fn push_value(out: &mut Vec<u8>, value: f64, gap: &str) {
    if value.is_nan() {
        out.extend_from_slice(gap.as_bytes());
    } else if value != 0.0 && !(1e-7..1e16).contains(&value.abs()) {
        // Writing to memory does not fail.
        let _ = write!(out, "{value:e}");
    } else {
        push_number(out, value);
    }
}

/// A text in quotes. What a spreadsheet would take for a formula is kept from being one.
fn push_csv_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        out.push(b'\'');
    }
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}
