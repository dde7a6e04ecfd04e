//! What a list of hosts shows of each: load per CPU, memory in use, …, and one metric of choice.
//!
//! One pass over a cluster: which definition is which figure is looked up once, not for each host.

use gmetad_core::model::{Cluster, Host, Now, Piece, ShownHost, Summary, parse_number};

/// The metrics that lists are made of.
const NAMES: [&str; 9] = [
    "load_one",
    "cpu_num",
    "cpu_idle",
    "mem_total",
    "mem_free",
    "mem_buffers",
    "mem_cached",
    "bytes_in",
    "bytes_out",
];

/// Figures of a host; NaN where it has none.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    all: [f64; NAMES.len()],
    /// The metric of choice.
    pub chosen: f64,
}

impl Default for Facts {
    fn default() -> Facts {
        Facts {
            all: [f64::NAN; NAMES.len()],
            chosen: f64::NAN,
        }
    }
}

impl Facts {
    pub fn load(&self) -> f64 {
        self.all[0]
    }

    pub fn cpus(&self) -> f64 {
        self.all[1]
    }

    pub fn load_per_cpu(&self) -> f64 {
        // A host that does not say has one.
        let cpus = if self.cpus() > 0.0 { self.cpus() } else { 1.0 };
        self.load() / cpus
    }

    /// In percent.
    pub fn cpu_in_use(&self) -> f64 {
        100.0 - self.all[2]
    }

    /// In bytes, without buffers and cache.
    pub fn memory_in_use(&self) -> f64 {
        let or_none = |value: f64| if value.is_nan() { 0.0 } else { value };
        let spare = self.all[4] + or_none(self.all[5]) + or_none(self.all[6]);
        let used = (self.all[3] - spare) * 1024.0;
        if used < 0.0 { 0.0 } else { used }
    }

    /// In bytes.
    pub fn memory(&self) -> f64 {
        self.all[3] * 1024.0
    }

    /// In percent.
    pub fn memory_percent(&self) -> f64 {
        self.memory_in_use() / self.memory() * 100.0
    }

    pub fn bytes_in(&self) -> f64 {
        self.all[7]
    }

    pub fn bytes_out(&self) -> f64 {
        self.all[8]
    }

    /// The sums of a cluster or grid; of percentages, their means.
    pub fn of_summary(summary: &Summary) -> Facts {
        let mut facts = Facts::default();
        for metric in &summary.metrics {
            let Some(at) = NAMES.iter().position(|name| *name == metric.def.name()) else {
                continue;
            };
            facts.all[at] = match NAMES[at] {
                "cpu_idle" if metric.num > 0 => metric.sum / f64::from(metric.num),
                _ => metric.sum,
            };
        }
        facts
    }
}

/// Which definition of a cluster is which figure.
#[derive(Debug)]
pub struct Lookup {
    /// By the source and the index of the definition.
    roles: Vec<Vec<Role>>,
}

#[derive(Clone, Copy, Debug)]
struct Role {
    /// The place in [`NAMES`], or [`NONE`].
    name: u8,
    is_chosen: bool,
}

const NONE: u8 = u8::MAX;

impl Lookup {
    pub fn new(cluster: &Cluster, chosen: &str) -> Lookup {
        let role = |name: &str| Role {
            name: NAMES
                .iter()
                .position(|known| *known == name)
                .map_or(NONE, |at| at as u8),
            is_chosen: name == chosen,
        };
        let of = |piece: Piece<'_>| {
            let defs = piece.cluster.defs.iter();
            defs.map(|def| role(def.name())).collect()
        };
        Lookup {
            roles: cluster.pieces().map(of).collect(),
        }
    }

    pub fn facts(&self, host: ShownHost<'_>, now: Now) -> Facts {
        let mut facts = Facts::default();
        let age = now.mono.secs_since(host.received);
        let roles = &self.roles[host.part];
        for metric in host.values() {
            let role = roles[metric.def() as usize];
            if role.name == NONE && !role.is_chosen {
                continue;
            }
            let def = host.def(metric);
            if metric.is_expired(def.fields().dmax, age) || !def.ty().is_numeric() {
                continue;
            }
            let value = parse_number(metric.val.as_bytes()).map_or(f64::NAN, |number| number.value);
            if role.is_chosen {
                facts.chosen = value;
            }
            if role.name != NONE {
                facts.all[usize::from(role.name)] = value;
            }
        }
        facts
    }
}

/// The rack of a host by its LOCATION, which is `rack,rank,plane`.
pub fn rack(host: &Host) -> Option<&str> {
    let rack = host.info.location.split(',').next()?.trim();
    let known = !rack.is_empty() && rack != "unspecified" && rack != "unknown";
    known.then_some(rack)
}
