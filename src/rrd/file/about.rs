//! What a file says of itself: its header, read and checked.

use std::ffi::CStr;

use crate::file::arithmetic::{
    CDP_UNKNOWN, CDP_VALUE, Function, PDP_UNKNOWN_SECS, PDP_VALUE, SourceKind,
};
use crate::file::error::Refusal;
use crate::file::layout::{
    DS_HEARTBEAT, DS_MAX, DS_MIN, DS_TYPE, LAST_DS, NAME, RRA_PAR, RRA_ROWS, RRA_STEPS, Shape,
    VERSION, float, text, whole,
};
use crate::file::sound::{Unsound, header_of};

/// A file's header, which is sound.
#[derive(Debug)]
pub(crate) struct Header {
    bytes: Vec<u8>,
    shape: Shape,
}

impl Header {
    pub(crate) fn read(path: &CStr) -> Result<Header, Unsound> {
        let (shape, bytes) = header_of(path)?;
        Ok(Header { bytes, shape })
    }

    /// Time of the last update, in seconds since the epoch.
    pub(crate) fn last_update(&self) -> i64 {
        whole(&self.bytes, self.shape.live()) as i64
    }

    /// Seconds between two values.
    pub(crate) fn step(&self) -> i64 {
        self.shape.step.get() as i64
    }

    /// Names of the types of the data sources.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        let defs = (0..self.shape.sources).map(Shape::ds_def);
        defs.map(|def| self.text(def + DS_TYPE, NAME).unwrap_or_default())
    }

    /// Time of an archive's first value, in seconds since the epoch.
    pub(crate) fn first(&self, archive: u32) -> Result<i64, Refusal> {
        let archive = archive as usize;
        if archive >= self.shape.archives {
            return Err(Refusal::new("invalid rraindex number"));
        }
        let def = self.shape.rra_def(archive);
        let row_secs = (self.step()).saturating_mul(whole(&self.bytes, def + RRA_STEPS) as i64);
        let rows = whole(&self.bytes, def + RRA_ROWS) as i64;
        let last = self.last_update();
        Ok((last - last % row_secs).saturating_sub((rows - 1).saturating_mul(row_secs)))
    }

    /// What rrdcached says of the file: key, number of the type, value. `None` where it has forecasts
    /// or data sources that are computed.
    pub(crate) fn info_lines(&self, path: &CStr) -> Option<Vec<String>> {
        let Header { bytes, shape } = self;
        let version = self.text(VERSION, 5)?;
        let mut lines = vec![
            format!("filename 2 {}", path.to_string_lossy()),
            format!("rrd_version 2 {version}"),
            format!("step 1 {}", shape.step),
            format!("last_update 1 {}", self.last_update()),
            format!("header_size 1 {}", shape.header_len()),
        ];
        let number = |at| exponent(float(bytes, at), 10);
        for source in 0..shape.sources {
            let (def, pdp) = (Shape::ds_def(source), shape.pdp(source));
            let kind = self.text(def + DS_TYPE, NAME)?;
            SourceKind::named(kind.as_bytes())?;
            let name = String::from_utf8_lossy(text(&bytes[def..def + NAME]));
            let last = String::from_utf8_lossy(text(&bytes[pdp..pdp + LAST_DS]));
            let heartbeat = whole(bytes, def + DS_HEARTBEAT);
            lines.extend([
                format!("ds[{name}].index 1 {source}"),
                format!("ds[{name}].type 2 {kind}"),
                format!("ds[{name}].minimal_heartbeat 1 {heartbeat}"),
                format!("ds[{name}].min 0 {}", number(def + DS_MIN)),
                format!("ds[{name}].max 0 {}", number(def + DS_MAX)),
                format!("ds[{name}].last_ds 2 {last}"),
                format!("ds[{name}].value 0 {}", number(pdp + PDP_VALUE)),
                format!(
                    "ds[{name}].unknown_sec 1 {}",
                    whole(bytes, pdp + PDP_UNKNOWN_SECS)
                ),
            ]);
        }
        for at in 0..shape.archives {
            let def = shape.rra_def(at);
            let function = self.text(def, NAME)?;
            Function::named(function.as_bytes())?;
            lines.extend([
                format!("rra[{at}].cf 2 {function}"),
                format!("rra[{at}].rows 1 {}", whole(bytes, def + RRA_ROWS)),
                format!("rra[{at}].cur_row 1 {}", whole(bytes, shape.pointer(at))),
                format!("rra[{at}].pdp_per_row 1 {}", whole(bytes, def + RRA_STEPS)),
                format!("rra[{at}].xff 0 {}", number(def + RRA_PAR)),
            ]);
            for source in 0..shape.sources {
                let cdp = shape.cdp(at, source);
                let unknown = whole(bytes, cdp + CDP_UNKNOWN);
                let key = format!("rra[{at}].cdp_prep[{source}]");
                lines.push(format!("{key}.value 0 {}", number(cdp + CDP_VALUE)));
                lines.push(format!("{key}.unknown_datapoints 1 {unknown}"));
            }
        }
        Some(lines)
    }

    fn text(&self, at: usize, len: usize) -> Option<&str> {
        std::str::from_utf8(text(&self.bytes[at..at + len])).ok()
    }
}

/// A number as C's `%e` has it, with so many digits after the point.
pub(crate) fn exponent(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        // As strtod reads it.
        return value.to_string();
    }
    let text = format!("{value:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{exponent:0>2}")
}
