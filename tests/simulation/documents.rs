//! The documents of sources: drawn before they are sent, in the form of gmond or gmetad.

use std::fmt::Write as _;

use gmetad_core::timers::Random;

/// Metrics of each host.
pub const METRICS: usize = 2;

/// TN of hosts that are up, and of their metrics.
pub const TN: u32 = 1;

/// TN of hosts that are down: far more than four times their TMAX.
pub const DOWN_TN: u32 = 1000;

const TMAX: u32 = 20;

/// DMAX of the hosts that come and go. No source that answers is silent for so long.
const DMAX: u32 = 250;

/// Hosts of a document that has too many; see `world::LIMITS`.
const HORDE: u64 = 300;

/// Name and authority of this gmetad's own grid.
pub const OWN_GRID: (&str, &str) = ("g", "a");

/// What one document says. Each value in it is its number, by which its source is known too.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub number: u64,
    pub localtime: i64,
    pub clusters: Vec<SaidCluster>,
    pub grid: Option<SaidGrid>,
    /// More than a document may have.
    pub is_too_much: bool,
}

#[derive(Clone, Debug)]
pub struct SaidCluster {
    pub name: String,
    pub hosts: Vec<SaidHost>,
}

#[derive(Clone, Debug)]
pub struct SaidHost {
    pub name: String,
    pub is_up: bool,
    pub dmax: u32,
}

impl SaidHost {
    pub fn tn(&self) -> u32 {
        if self.is_up { TN } else { DOWN_TN }
    }
}

/// The sums of a grid below.
#[derive(Clone, Debug)]
pub struct SaidGrid {
    pub name: String,
    pub hosts_up: u32,
    pub hosts_down: u32,
}

/// The kinds of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// One cluster, the same hosts each time.
    Steady,
    /// Its own cluster, and some hosts of one that others bring too.
    Shares,
    /// Its own cluster, and now and then the name of its neighbour's, with that one's hosts.
    Intrudes,
    /// Other hosts in each document.
    Renames,
    /// A gmetad with a grid below this one.
    Grid,
    /// A gmetad that hands this one's own grid back.
    HandsBack,
}

impl Habit {
    pub fn draw(random: &mut Random) -> Habit {
        match random.below(9) {
            0 | 1 => Habit::Steady,
            2..5 => Habit::Shares,
            5 => Habit::Intrudes,
            6 => Habit::Renames,
            7 => Habit::Grid,
            _ => Habit::HandsBack,
        }
    }
}

impl Said {
    /// What source number `at` of `count` says in its document of that number.
    pub fn draw(
        habit: Habit,
        at: usize,
        count: usize,
        hosts: u64,
        number: u64,
        random: &mut Random,
    ) -> Said {
        let mut said = Said {
            number,
            ..Said::default()
        };
        let own = format!("c{at}");
        match habit {
            Habit::Steady => said.clusters.push(SaidCluster::of(own, 0..hosts, random)),
            Habit::Shares => {
                said.clusters.push(SaidCluster::of(own, 0..hosts, random));
                if random.below(8) > 0 {
                    let some = random.below(3)..3 + random.below(4);
                    said.clusters
                        .push(SaidCluster::of("shared".into(), some, random));
                }
            }
            Habit::Intrudes => {
                said.clusters.push(SaidCluster::of(own, 0..hosts, random));
                if random.below(3) == 0 {
                    let neighbours = format!("c{}", (at + 1) % count);
                    said.clusters
                        .push(SaidCluster::of(neighbours, 0..4, random));
                }
            }
            Habit::Renames => {
                let first = number * 100;
                said.clusters
                    .push(SaidCluster::of(own, first..first + hosts, random));
            }
            Habit::Grid => {
                said.grid = Some(SaidGrid {
                    name: format!("below{at}"),
                    hosts_up: random.below(50) as u32,
                    hosts_down: random.below(50) as u32,
                });
            }
            Habit::HandsBack => {}
        }
        if habit == Habit::Steady && random.below(40) == 0 {
            said.clusters[0] = SaidCluster::of(format!("c{at}"), 0..HORDE, random);
            said.is_too_much = true;
        }
        said
    }

    pub fn nodes(&self) -> usize {
        self.clusters.len() + usize::from(self.grid.is_some())
    }

    /// The document.
    pub fn write(&self) -> Vec<u8> {
        let mut text = String::from(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" standalone=\"yes\"?>\n\
             <GANGLIA_XML VERSION=\"3.7.2\" SOURCE=\"gmond\">\n",
        );
        for cluster in &self.clusters {
            let _ = writeln!(
                text,
                "<CLUSTER NAME=\"{}\" LOCALTIME=\"{}\" OWNER=\"o\" LATLONG=\"\" URL=\"\">",
                cluster.name, self.localtime
            );
            for host in &cluster.hosts {
                self.write_host(host, &mut text);
            }
            text += "</CLUSTER>\n";
        }
        if let Some(grid) = &self.grid {
            self.write_grid(grid, &mut text);
        }
        text += "</GANGLIA_XML>\n";
        text.into_bytes()
    }

    fn write_host(&self, host: &SaidHost, text: &mut String) {
        let _ = writeln!(
            text,
            "<HOST NAME=\"{}\" IP=\"10.0.0.1\" REPORTED=\"{}\" TN=\"{}\" TMAX=\"{TMAX}\" \
             DMAX=\"{}\" LOCATION=\"\" GMOND_STARTED=\"1\">",
            host.name,
            self.number,
            host.tn(),
            host.dmax
        );
        for metric in 0..METRICS {
            let _ = writeln!(
                text,
                "<METRIC NAME=\"m{metric}\" VAL=\"{}\" TYPE=\"uint32\" UNITS=\"\" TN=\"{TN}\" \
                 TMAX=\"60\" DMAX=\"0\" SLOPE=\"both\">\n</METRIC>",
                self.number
            );
        }
        *text += "</HOST>\n";
    }

    fn write_grid(&self, grid: &SaidGrid, text: &mut String) {
        let SaidGrid {
            name,
            hosts_up,
            hosts_down,
        } = grid;
        let _ = writeln!(
            text,
            "<GRID NAME=\"{name}\" AUTHORITY=\"b\" LOCALTIME=\"{}\">\n\
             <HOSTS UP=\"{hosts_up}\" DOWN=\"{hosts_down}\" SOURCE=\"gmetad\"/>",
            self.localtime
        );
        for metric in 0..METRICS {
            let _ = writeln!(
                text,
                "<METRICS NAME=\"m{metric}\" SUM=\"{}\" NUM=\"{hosts_up}\" TYPE=\"uint32\" \
                 UNITS=\"\" SLOPE=\"both\" SOURCE=\"gmond\"></METRICS>",
                self.number
            );
        }
        *text += "</GRID>\n";
    }
}

impl SaidCluster {
    fn of(name: String, hosts: std::ops::Range<u64>, random: &mut Random) -> SaidCluster {
        let comes_and_goes = name == "shared" || hosts.start > 0;
        let hosts = hosts.map(|host| {
            let is_up = random.below(6) > 0;
            SaidHost {
                name: format!("h{host}"),
                is_up,
                dmax: if comes_and_goes && is_up { DMAX } else { 0 },
            }
        });
        SaidCluster {
            name,
            hosts: hosts.collect(),
        }
    }
}
