//! The documents: a host's metrics are one text with places in it where digits go.
//!
//! No sockets and no clock. Nothing is kept for a host: all of it follows from the seed, the
//! number of the poll and the time.

use std::io::Write as _;

use crate::options::Options;

/// Start of every document, as a gmond sends it.
const PROLOG: &str = include_str!("../../src/core/answer/prolog.xml");

/// Width of a TN in digits: two, never starting with 0, so that it can be put in place.
const TN_LEAST: u64 = 10;
const TN_SPAN: u64 = 80;

/// Odd constants that spread small numbers over all bits.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
const HOST_SPREAD: u64 = 0xD1B5_4A32_D192_ED03;

/// A metric as gmond has it.
struct Metric {
    name: &'static str,
    /// Each `#` is a digit to fill in, the first one not 0.
    value: &'static str,
    kind: &'static str,
    units: &'static str,
    tmax: u32,
    slope: &'static str,
    group: &'static str,
    title: &'static str,
    /// Whether its value ever changes.
    moves: bool,
}

macro_rules! metrics {
    ($($name:literal $value:literal $kind:literal $units:literal $tmax:literal $slope:literal
       $group:literal $title:literal $moves:literal;)*) => {
        [$(Metric {
            name: $name, value: $value, kind: $kind, units: $units, tmax: $tmax, slope: $slope,
            group: $group, title: $title, moves: $moves,
        }),*]
    };
}

/// The metrics that a gmond collects by default: 29 numbers and 4 texts.
static STANDARD: [Metric; 33] = metrics! {
    "mem_cached" "######" "float" "KB" 180 "both" "memory" "Cached Memory" true;
    "cpu_wio" "#.#" "float" "%" 90 "both" "cpu" "CPU wio" true;
    "cpu_num" "2" "uint16" "CPUs" 1200 "zero" "cpu" "CPU Count" false;
    "cpu_speed" "2445" "uint32" "MHz" 1200 "zero" "cpu" "CPU Speed" false;
    "swap_free" "#######" "float" "KB" 180 "both" "memory" "Free Swap Space" true;
    "bytes_in" "####.##" "float" "bytes/sec" 300 "both" "network" "Bytes Received" true;
    "swap_total" "8388604" "float" "KB" 1200 "zero" "memory" "Swap Space Total" false;
    "mem_free" "########" "float" "KB" 180 "both" "memory" "Free Memory" true;
    "load_fifteen" "#.##" "float" " " 950 "both" "load" "Fifteen Minute Load Average" true;
    "mem_total" "24684096" "float" "KB" 1200 "zero" "memory" "Memory Total" false;
    "boottime" "17########" "uint32" "s" 1200 "zero" "system" "Last Boot Time" false;
    "cpu_idle" "##.#" "float" "%" 90 "both" "cpu" "CPU Idle" true;
    "cpu_user" "##.#" "float" "%" 90 "both" "cpu" "CPU User" true;
    "cpu_nice" "#.#" "float" "%" 90 "both" "cpu" "CPU Nice" true;
    "load_five" "#.##" "float" " " 325 "both" "load" "Five Minute Load Average" true;
    "gexec" "OFF" "string" "" 300 "zero" "core" "Gexec Status" false;
    "cpu_system" "#.#" "float" "%" 90 "both" "cpu" "CPU System" true;
    "disk_free" "##.###" "double" "GB" 180 "both" "disk" "Disk Space Available" true;
    "disk_total" "270.553" "double" "GB" 1200 "both" "disk" "Total Disk Space" false;
    "mem_shared" "####" "float" "KB" 180 "both" "memory" "Shared Memory" true;
    "machine_type" "x86_64" "string" "" 1200 "zero" "system" "Machine Type" false;
    "proc_total" "###" "uint32" " " 950 "both" "process" "Total Processes" true;
    "pkts_in" "##.##" "float" "packets/sec" 300 "both" "network" "Packets Received" true;
    "pkts_out" "##.##" "float" "packets/sec" 300 "both" "network" "Packets Sent" true;
    "bytes_out" "####.##" "float" "bytes/sec" 300 "both" "network" "Bytes Sent" true;
    "load_one" "#.##" "float" " " 70 "both" "load" "One Minute Load Average" true;
    "os_name" "Linux" "string" "" 1200 "zero" "system" "Operating System" false;
    "os_release" "6.1.0-18-amd64" "string" "" 1200 "zero" "system" "Operating System Release" false;
    "cpu_aidle" "##.#" "float" "%" 3800 "both" "cpu" "CPU aidle" true;
    "proc_run" "#" "uint32" " " 950 "both" "process" "Total Running Processes" true;
    "mem_buffers" "#####" "float" "KB" 180 "both" "memory" "Memory Buffers" true;
    "part_max_used" "##.#" "float" "%" 180 "both" "disk" "Maximum Disk Space Used" true;
    "cpu_steal" "#.#" "float" "%" 90 "both" "cpu" "CPU steal" true;
};

/// What a site measures itself: the metrics over those of gmond.
static OWN: Metric = Metric {
    name: "app_",
    value: "###.##",
    kind: "float",
    units: "requests/sec",
    tmax: 60,
    slope: "both",
    group: "app",
    title: "Rate of an Application",
    moves: true,
};

/// Name of a cluster.
pub fn cluster_name(cluster: usize) -> String {
    format!("farm-{cluster:04}")
}

/// Which document: one poll of one cluster.
#[derive(Clone, Copy, Debug)]
pub struct Edition {
    /// The cluster's number.
    pub cluster: usize,
    /// Number of the poll of this cluster.
    pub poll: u64,
    /// Time of day in seconds since the epoch.
    pub now: u64,
    /// Seconds since the farm was started.
    pub age: u64,
}

/// Digits to fill in somewhere in the metrics of a host.
struct Place {
    at: usize,
    pattern: &'static [u8],
    moves: bool,
}

/// The text of a host's metrics and the places in it.
pub struct Template {
    text: Vec<u8>,
    /// Where each metric begins.
    starts: Vec<usize>,
    values: Vec<Place>,
    tns: Vec<usize>,
    hosts: usize,
    changing: f64,
    churn: f64,
    host_dmax: u32,
    seed: u64,
}

impl Template {
    /// Lays out the metrics of a host.
    pub fn new(options: &Options) -> Self {
        let mut template = Self {
            text: Vec::new(),
            starts: Vec::new(),
            values: Vec::new(),
            tns: Vec::new(),
            hosts: options.hosts,
            changing: options.changing,
            churn: options.churn,
            host_dmax: options.host_dmax,
            seed: options.seed,
        };
        for number in 0..options.metrics {
            match STANDARD.get(number) {
                Some(metric) => template.push(metric, metric.name),
                None => template.push(&OWN, &format!("{}{number:04}", OWN.name)),
            }
        }
        template
    }

    fn push(&mut self, metric: &Metric, name: &str) {
        self.starts.push(self.text.len());
        self.add(&format!("<METRIC NAME=\"{name}\" VAL=\""));
        if metric.value.contains('#') {
            self.values.push(Place {
                at: self.text.len(),
                pattern: metric.value.as_bytes(),
                moves: metric.moves,
            });
        }
        self.add(&format!(
            "{}\" TYPE=\"{}\" UNITS=\"{}\" TN=\"",
            metric.value, metric.kind, metric.units
        ));
        self.tns.push(self.text.len());
        self.add(&format!(
            "00\" TMAX=\"{}\" DMAX=\"0\" SLOPE=\"{}\">\n<EXTRA_DATA>\n\
             <EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"{}\"/>\n\
             <EXTRA_ELEMENT NAME=\"DESC\" VAL=\"What the farm tells about {name}, as long as usual\"/>\n\
             <EXTRA_ELEMENT NAME=\"TITLE\" VAL=\"{}\"/>\n</EXTRA_DATA>\n</METRIC>\n",
            metric.tmax, metric.slope, metric.group, metric.title
        ));
    }

    fn add(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    /// Number of hosts of each cluster.
    pub fn hosts(&self) -> usize {
        self.hosts
    }

    /// Writes what stands before the hosts.
    pub fn write_head(out: &mut Vec<u8>, edition: Edition) {
        out.extend_from_slice(PROLOG.as_bytes());
        let name = cluster_name(edition.cluster);
        let now = edition.now;
        write(
            out,
            format_args!(
                "<GANGLIA_XML VERSION=\"3.7.2\" SOURCE=\"gmond\">\n<CLUSTER NAME=\"{name}\" \
                 LOCALTIME=\"{now}\" OWNER=\"farm\" LATLONG=\"unspecified\" URL=\"unspecified\">\n"
            ),
        );
    }

    /// Writes a host with its metrics, in an order of its own that stays the same, as a gmond has
    /// them.
    pub fn write_host(&self, out: &mut Vec<u8>, edition: Edition, host: usize) {
        let Edition { cluster, now, .. } = edition;
        let slot = mix(self.seed ^ (cluster as u64).wrapping_mul(SPREAD))
            .wrapping_add((host as u64).wrapping_mul(HOST_SPREAD));
        let slot = mix(slot);
        // Spread over the minute, so that hosts go one by one.
        let generation = (edition.age as f64 / 60.0 * self.churn + unit(slot)) as u64;
        let identity = mix(slot ^ generation);
        let tn = (now + identity % 10) % 10;
        let (high, middle, low) = (host >> 16, (host >> 8) & 0xff, host & 0xff);
        write(
            out,
            format_args!(
                "<HOST NAME=\"node{cluster:04}-{host:05}-{generation}.farm\" \
                 IP=\"10.{high}.{middle}.{low}\" TAGS=\"\" REPORTED=\"{reported}\" TN=\"{tn}\" \
                 TMAX=\"20\" DMAX=\"{dmax}\" LOCATION=\"unspecified\" GMOND_STARTED=\"{started}\">\n",
                reported = now - tn,
                dmax = self.host_dmax,
                started = 1_700_000_000 + generation,
            ),
        );
        let mut metrics = self.text.clone();
        let mut own = identity;
        for place in &self.values {
            own = own.wrapping_add(SPREAD);
            let fixed = mix(own);
            let version = if place.moves {
                (edition.poll as f64 * self.changing + unit(fixed)) as u64
            } else {
                0
            };
            fill(
                &mut metrics[place.at..place.at + place.pattern.len()],
                place.pattern,
                mix(fixed.wrapping_add(version)),
            );
        }
        let mut offset = identity;
        for at in &self.tns {
            offset = offset.rotate_left(7).wrapping_add(1);
            let tn = TN_LEAST + now.wrapping_add(offset >> 8) % TN_SPAN;
            metrics[*at] = b'0' + (tn / 10) as u8;
            metrics[at + 1] = b'0' + (tn % 10) as u8;
        }
        for at in order(self.starts.len(), identity as usize) {
            let end = self.starts.get(at + 1).copied().unwrap_or(metrics.len());
            out.extend_from_slice(&metrics[self.starts[at]..end]);
        }
        out.extend_from_slice(b"</HOST>\n");
    }

    /// Writes what stands after the hosts.
    pub fn write_tail(out: &mut Vec<u8>) {
        out.extend_from_slice(b"</CLUSTER>\n</GANGLIA_XML>\n");
    }
}

/// The numbers below `count`, each once, in one of many orders.
fn order(count: usize, seed: usize) -> impl Iterator<Item = usize> {
    let gcd = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let first = seed % count.max(1);
    let mut stride = 1 + (seed >> 32) % count.max(1);
    while gcd(stride, count) != 1 {
        stride += 1;
    }
    (0..count).map(move |nth| (first + nth * stride) % count)
}

/// Writes formatted text into a vector, which takes all of it.
fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes every write");
}

/// Puts digits in the places of `#`, the first one not 0.
fn fill(into: &mut [u8], pattern: &[u8], mut random: u64) {
    let mut least = 1;
    for (to, from) in into.iter_mut().zip(pattern) {
        if *from == b'#' {
            *to = b'0' + (least + random % (10 - least)) as u8;
            random /= 10;
            least = 0;
        }
    }
}

/// A number with the bits of another spread over it.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// A number in 0 to 1, 1 excluded.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Command, parse};

    fn template(line: &str) -> Template {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        match parse(&words).unwrap() {
            Command::Run(options) => Template::new(&options),
            Command::Print(text) => panic!("asks to print {text}"),
        }
    }

    fn document(template: &Template, poll: u64, age: u64) -> String {
        let edition = Edition {
            cluster: 0,
            poll,
            now: 1_800_000_000 + age,
            age,
        };
        let mut out = Vec::new();
        Template::write_head(&mut out, edition);
        for host in 0..template.hosts() {
            template.write_host(&mut out, edition, host);
        }
        Template::write_tail(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn all<'a>(document: &'a str, before: &str) -> Vec<&'a str> {
        document
            .split(before)
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect()
    }

    #[test]
    fn a_host_has_the_metrics_of_a_gmond_and_own_ones() {
        let document = document(&template("--hosts 2 --metrics 34"), 0, 0);
        let names = all(&document, "<METRIC NAME=\"");
        assert_eq!(names.len(), 68);
        let (mut one, mut other) = (names[..34].to_vec(), names[34..].to_vec());
        assert_ne!(one, other, "each in its own order");
        one.sort_unstable();
        other.sort_unstable();
        assert_eq!(one, other);
        one.dedup();
        assert_eq!(one.len(), 34);
        assert!(one.contains(&"mem_cached") && one.contains(&"app_0033"));
        let texts = all(&document, "TYPE=\"")
            .iter()
            .filter(|t| **t == "string")
            .count();
        assert_eq!(texts, 2 * 4);
        let (_, hosts) = document.split_once("<HOST ").unwrap();
        assert!(!hosts.contains('#'), "{hosts}");
        let mut reader = quick_xml::Reader::from_str(&document);
        while !matches!(reader.read_event().unwrap(), quick_xml::events::Event::Eof) {}
    }

    #[test]
    fn values_change_from_poll_to_poll_as_far_as_asked() {
        for (share, least, most) in [("0", 0, 0), ("0.5", 900, 1400), ("1", 2000, 2300)] {
            let template = template(&format!("--hosts 100 --changing {share}"));
            let (one, other) = (document(&template, 7, 0), document(&template, 8, 0));
            let changed = all(&one, "VAL=\"")
                .iter()
                .zip(all(&other, "VAL=\""))
                .filter(|(one, other)| **one != *other)
                .count();
            assert!((least..=most).contains(&changed), "{share}: {changed}");
        }
    }

    #[test]
    fn hosts_are_replaced_as_the_churn_has_it() {
        let template = template("--hosts 200 --churn 0.25");
        let (one, other) = (document(&template, 0, 0), document(&template, 1, 60));
        let before = all(&one, "<HOST NAME=\"");
        let after = all(&other, "<HOST NAME=\"");
        let gone = before.iter().filter(|name| !after.contains(name)).count();
        assert!((30..=70).contains(&gone), "{gone}");
    }
}
