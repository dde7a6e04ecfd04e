//! The Prometheus name and type of a Ganglia metric, and the labels of its series.
//!
//! Knows no values.

use crate::model::{MetricDef, Slope};

/// Which hosts are up. Without the prefix `ganglia_`, so that no metric of a host has this name.
pub const HOST_UP: &str = "gmetad_host_up";

/// The label with the cluster's name.
pub const CLUSTER: &str = "cluster";

/// The label with the host's name.
pub const HOST: &str = "host";

/// The label with the metric's own name, where the family's name does not give it.
pub const METRIC: &str = "metric";

/// The prefix of every metric of a host.
const PREFIX: &str = "ganglia_";

/// Suffixes with a meaning in Prometheus. A metric with one that is no counter is untyped.
const RESERVED: [&str; 5] = ["_total", "_sum", "_count", "_bucket", "_info"];

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Not known.
    Untyped,
}

impl Kind {
    /// As written in TYPE.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Untyped => "untyped",
        }
    }
}

/// The name and kind of a family, by one definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyName {
    /// Letters, digits and underscores.
    pub name: String,
    /// From the slope.
    pub kind: Kind,
    /// Whether characters of the metric's name were replaced.
    pub changed: bool,
}

impl FamilyName {
    /// Those of a metric's definition.
    pub fn of(def: &MetricDef) -> FamilyName {
        let mut name = String::with_capacity(PREFIX.len() + def.name().len() + 6);
        name.push_str(PREFIX);
        let mut changed = false;
        for c in def.name().chars() {
            let fits = c.is_ascii_alphanumeric() || c == '_';
            changed |= !fits;
            name.push(if fits { c } else { '_' });
        }
        let reserved = RESERVED.iter().any(|end| name.ends_with(end));
        let kind = match def.slope() {
            Slope::Positive => {
                if !name.ends_with("_total") {
                    name.push_str("_total");
                }
                Kind::Counter
            }
            // A counter that may also go down: RRD calls it DERIVE.
            Slope::Derivative => Kind::Untyped,
            _ if reserved => Kind::Untyped,
            _ => Kind::Gauge,
        };
        FamilyName {
            name,
            kind,
            changed,
        }
    }

    /// Whether a label gives the metric's own name, so that no two metrics become one series. `mixed`:
    /// metrics of several names share the family.
    pub fn has_metric_label(family: &str, metric: &str, mixed: bool) -> bool {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let is_plain = family.strip_prefix(PREFIX) == Some(metric);
        !is_plain && (mixed || !metric.bytes().all(fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MetricFields;

    fn named(name: &str, slope: &str) -> (String, Kind, bool) {
        let family = FamilyName::of(&MetricDef::new(MetricFields {
            name: name.into(),
            slope_text: slope.into(),
            ..MetricFields::default()
        }));
        (family.name, family.kind, family.changed)
    }

    #[test]
    fn names_are_made_of_what_is_allowed() {
        let gauge = |name: &str| (name.to_owned(), Kind::Gauge, true);
        assert_eq!(named("a.b-c/d e:é", "both"), gauge("ganglia_a_b_c_d_e__"));
        assert_eq!(named("1min", "both").0, "ganglia_1min");
        assert!(!named("load_one", "both").2);
    }

    #[test]
    fn counters_end_as_counters_do_and_nothing_else_does() {
        let counter = |name: &str| (name.to_owned(), Kind::Counter, false);
        assert_eq!(named("reads", "positive"), counter("ganglia_reads_total"));
        assert_eq!(named("x_total", "positive"), counter("ganglia_x_total"));
        assert_eq!(
            named("a_count", "positive"),
            counter("ganglia_a_count_total")
        );
        for name in ["mem_total", "a_sum", "a_count", "a_bucket", "os_info"] {
            let untyped = (format!("ganglia_{name}"), Kind::Untyped, false);
            assert_eq!(named(name, "both"), untyped);
        }
        assert_eq!(named("x", "derivative").1, Kind::Untyped);
        assert_eq!(
            named("total", "zero").1,
            Kind::Untyped,
            "behind the prefix it is one"
        );
    }
}
