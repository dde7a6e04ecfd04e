//! A metric's definition, which hosts share, and its form on the wire.
//!
//! No values: those are in `cluster`, with their ages and hosts.

use crate::model::{Number, escape, parse_number};

/// The TYPE of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the wire's own")]
pub enum MetricType {
    String,
    Int8,
    Uint8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Float,
    Double,
    Timestamp,
    /// Unknown to this version; its text is kept.
    Other,
}

impl MetricType {
    /// Never fails: an unknown type is `Other`.
    pub fn parse(text: &str) -> MetricType {
        match text {
            "string" => MetricType::String,
            "int8" => MetricType::Int8,
            "uint8" => MetricType::Uint8,
            "int16" => MetricType::Int16,
            "uint16" => MetricType::Uint16,
            "int32" => MetricType::Int32,
            "uint32" => MetricType::Uint32,
            "float" => MetricType::Float,
            "double" => MetricType::Double,
            "timestamp" => MetricType::Timestamp,
            _ => MetricType::Other,
        }
    }

    /// Whether its values and their sums have no decimals.
    pub fn is_integer(self) -> bool {
        self.is_numeric() && !matches!(self, MetricType::Float | MetricType::Double)
    }

    /// Whether its values are summed and stored.
    pub fn is_numeric(self) -> bool {
        !matches!(
            self,
            MetricType::String | MetricType::Timestamp | MetricType::Other
        )
    }
}

/// The SLOPE of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the wire's own")]
pub enum Slope {
    Zero,
    Positive,
    Negative,
    Both,
    Unspecified,
    Derivative,
    /// Unknown to this version; its text is kept.
    Other,
}

impl Slope {
    /// Never fails: an unknown slope is `Other`.
    pub fn parse(text: &str) -> Slope {
        match text {
            "zero" => Slope::Zero,
            "positive" => Slope::Positive,
            "negative" => Slope::Negative,
            "both" => Slope::Both,
            "unspecified" => Slope::Unspecified,
            "derivative" => Slope::Derivative,
            _ => Slope::Other,
        }
    }
}

/// The attributes that hosts share; text where the wire has text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the wire's own")]
pub struct MetricFields {
    pub name: String,
    pub type_text: String,
    pub units: String,
    /// Longest time expected between two values, in seconds.
    pub tmax: u32,
    /// Seconds after which a value is deleted; 0 = never.
    pub dmax: u32,
    pub slope_text: String,
    pub source: String,
    /// NAME and VAL of the EXTRA_ELEMENTs, in order and with repeats.
    pub extra: Vec<(String, String)>,
}

/// The overhead of an allocation.
pub(super) const ALLOCATION_BYTES: usize = 16;

/// A definition, shared by all metrics with these attributes.
#[derive(Debug)]
pub struct MetricDef {
    fields: MetricFields,
    ty: MetricType,
    slope: Slope,
    wire: Wire,
}

impl MetricDef {
    /// Parses the type and slope and builds the wire form, once for all that share it.
    pub fn new(mut fields: MetricFields) -> MetricDef {
        fields.extra.shrink_to_fit();
        let ty = MetricType::parse(&fields.type_text);
        let slope = Slope::parse(&fields.slope_text);
        let wire = Wire::new(&fields);
        MetricDef {
            fields,
            ty,
            slope,
            wire,
        }
    }

    /// NAME.
    pub fn name(&self) -> &str {
        &self.fields.name
    }

    /// All attributes.
    pub fn fields(&self) -> &MetricFields {
        &self.fields
    }

    /// TYPE.
    pub fn ty(&self) -> MetricType {
        self.ty
    }

    /// The number of a value, where its values are numbers.
    pub fn number_of(&self, val: &[u8]) -> Option<Number> {
        self.ty.is_numeric().then(|| parse_number(val)).flatten()
    }

    /// SLOPE.
    pub fn slope(&self) -> Slope {
        self.slope
    }

    /// The first EXTRA_ELEMENT of that name.
    pub fn extra(&self, name: &str) -> Option<&str> {
        self.fields
            .extra
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, val)| val.as_str())
    }

    /// Approximate memory.
    pub fn bytes(&self) -> usize {
        let MetricFields {
            name,
            type_text,
            units,
            slope_text,
            source,
            extra,
            ..
        } = &self.fields;
        let texts = [name, type_text, units, slope_text, source]
            .map(|text| text.capacity() + ALLOCATION_BYTES);
        let pairs = extra.iter().map(|(key, val)| {
            size_of::<(String, String)>() + key.capacity() + val.capacity() + 2 * ALLOCATION_BYTES
        });
        size_of::<MetricDef>()
            + texts.iter().sum::<usize>()
            + pairs.sum::<usize>()
            + self.wire.bytes.len()
            + ALLOCATION_BYTES
    }

    /// The METRIC element without VAL and TN.
    pub fn wire(&self) -> &Wire {
        &self.wire
    }
}

/// A METRIC element as it is written, and as a gmond nearly always sends it:
/// `head VAL middle TN tail`.
///
/// A gmond omits ` SOURCE="gmond"` and a gmetad writes it, so the tail has three parts. The bytes are
/// escaped Latin-1.
#[derive(Debug)]
pub struct Wire {
    bytes: Box<[u8]>,
    middle: u32,
    tail: u32,
    source: u32,
    close: u32,
    /// Whether SOURCE may be absent for this definition.
    source_is_default: bool,
    has_extra: bool,
}

/// The meaning of an absent SOURCE.
pub const DEFAULT_SOURCE: &str = "gmond";

impl Wire {
    fn new(fields: &MetricFields) -> Wire {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(b"<METRIC");
        escape::attribute(&mut bytes, "NAME", &fields.name);
        bytes.extend_from_slice(b" VAL=\"");
        let middle = bytes.len();
        bytes.push(b'"');
        escape::attribute(&mut bytes, "TYPE", &fields.type_text);
        escape::attribute(&mut bytes, "UNITS", &fields.units);
        bytes.extend_from_slice(b" TN=\"");
        let tail = bytes.len();
        bytes.push(b'"');
        escape::number_attribute(&mut bytes, "TMAX", fields.tmax);
        escape::number_attribute(&mut bytes, "DMAX", fields.dmax);
        escape::attribute(&mut bytes, "SLOPE", &fields.slope_text);
        let source = bytes.len();
        escape::attribute(&mut bytes, "SOURCE", &fields.source);
        let close = bytes.len();
        bytes.extend_from_slice(b">\n");
        escape::extra_data(&mut bytes, &fields.extra);
        bytes.extend_from_slice(b"</METRIC>\n");
        Wire {
            bytes: bytes.into(),
            middle: middle as u32,
            tail: tail as u32,
            source: source as u32,
            close: close as u32,
            source_is_default: fields.source == DEFAULT_SOURCE,
            has_extra: !fields.extra.is_empty(),
        }
    }

    /// From `<METRIC` on, and the length of `head`.
    #[inline]
    pub fn at_head(&self) -> (&[u8], usize) {
        (&self.bytes, self.middle as usize)
    }

    /// From behind VAL on, and the length of `middle`.
    #[inline]
    pub fn at_middle(&self) -> (&[u8], usize) {
        let len = self.tail - self.middle;
        (&self.bytes[self.middle as usize..], len as usize)
    }

    /// From behind TN on, and the length of `before_source`.
    #[inline]
    pub fn at_tail(&self) -> (&[u8], usize) {
        let len = self.source - self.tail;
        (&self.bytes[self.tail as usize..], len as usize)
    }

    /// `<METRIC NAME="…" VAL="`.
    #[inline]
    pub fn head(&self) -> &[u8] {
        &self.bytes[..self.middle as usize]
    }

    /// `" TYPE="…" UNITS="…" TN="`.
    #[inline]
    pub fn middle(&self) -> &[u8] {
        &self.bytes[self.middle as usize..self.tail as usize]
    }

    /// `" TMAX="…" … </METRIC>` and the end of the line.
    #[inline]
    pub fn tail(&self) -> &[u8] {
        &self.bytes[self.tail as usize..]
    }

    /// The tail before SOURCE.
    #[inline]
    pub fn before_source(&self) -> &[u8] {
        &self.bytes[self.tail as usize..self.source as usize]
    }

    /// ` SOURCE="…"`, and whether it may be absent.
    #[inline]
    pub fn source(&self) -> (&[u8], bool) {
        let source = &self.bytes[self.source as usize..self.close as usize];
        (source, self.source_is_default)
    }

    /// `> … </METRIC>` without the end of the line.
    #[inline]
    pub fn close(&self) -> &[u8] {
        &self.bytes[self.close as usize..self.bytes.len() - 1]
    }

    /// How a gmond may write `close` otherwise, if there is no extra data.
    #[inline]
    pub fn other_closes(&self) -> &'static [&'static [u8]] {
        if self.has_extra {
            &[]
        } else {
            &[b"/>", b">\n</METRIC>"]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_the_element_as_both_peers_write_it() {
        let def = MetricDef::new(MetricFields {
            name: "a<b".into(),
            type_text: "float".into(),
            units: " ".into(),
            tmax: 70,
            dmax: 0,
            slope_text: "both".into(),
            source: "gmond".into(),
            extra: vec![("GROUP".into(), "load".into())],
        });
        let wire = def.wire();
        let whole = [wire.head(), b"0.09", wire.middle(), b"31", wire.tail()].concat();
        assert_eq!(
            String::from_utf8(whole).unwrap(),
            "<METRIC NAME=\"a&lt;b\" VAL=\"0.09\" TYPE=\"float\" UNITS=\" \" TN=\"31\" TMAX=\"70\" \
             DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\">\n<EXTRA_DATA>\n\
             <EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"load\"/>\n</EXTRA_DATA>\n</METRIC>\n"
        );
        let (source, may_be_absent) = wire.source();
        assert_eq!(
            [wire.before_source(), source, wire.close(), b"\n"].concat(),
            wire.tail()
        );
        assert!(may_be_absent);
        assert!(wire.close().starts_with(b">\n<EXTRA"));
        assert!(wire.other_closes().is_empty());
    }

    #[test]
    fn only_numbers_are_numeric() {
        let numeric = [
            "int8", "uint8", "int16", "uint16", "int32", "uint32", "float", "double",
        ];
        assert!(numeric.iter().all(|t| MetricType::parse(t).is_numeric()));
        assert!(
            !["string", "timestamp", "blob", ""]
                .iter()
                .any(|t| MetricType::parse(t).is_numeric())
        );
    }
}
