//! The four reports that ganglia-web has: load, CPU, memory, network; of a host, a cluster, a grid.

use gmetad_core::history::{Field, Owner};

use crate::graph::{Curve, Draw, Figure, Formula, Plan};
use crate::link::Link;
use crate::palette::{BLUE, GREEN, GREY, OCHRE, PINK, RED, SKY};
use crate::unit::Unit;

/// Which report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    Load,
    Cpu,
    Memory,
    Network,
}

impl Report {
    pub const ALL: [Report; 4] = [Report::Load, Report::Cpu, Report::Memory, Report::Network];

    /// As ganglia-web calls it.
    pub fn word(self) -> &'static str {
        match self {
            Report::Load => "load_report",
            Report::Cpu => "cpu_report",
            Report::Memory => "mem_report",
            Report::Network => "network_report",
        }
    }

    pub fn named(word: &str) -> Option<Report> {
        Report::ALL.into_iter().find(|report| report.word() == word)
    }

    fn title(self) -> &'static str {
        match self {
            Report::Load => "Load",
            Report::Cpu => "CPU",
            Report::Memory => "Memory",
            Report::Network => "Network",
        }
    }

    /// The report of `owner`, whose series are asked for in `plan`.
    pub fn figure(self, owner: &Owner, plan: &mut Plan) -> Figure {
        let mut ask = |metric: &str| plan.ask(owner, metric, Field::Sum);
        let (unit, stacked, curves) = match self {
            Report::Load => (Unit::plain(), false, load(&mut ask)),
            Report::Cpu => {
                let hosts = match owner {
                    Owner::Host { .. } => None,
                    _ => Some(plan.ask(owner, "cpu_idle", Field::Num)),
                };
                let mut ask = |metric: &str| plan.ask(owner, metric, Field::Sum);
                (Unit::of("%"), true, cpu(&mut ask, hosts))
            }
            Report::Memory => (Unit::of("KB"), true, memory(&mut ask)),
            Report::Network => (Unit::of("bytes/sec"), false, network(&mut ask)),
        };
        let link = match owner {
            Owner::Whole => Link::to(""),
            Owner::Node(node) => Link::to("").with("c", node),
            Owner::Host { cluster, host } => Link::to("").with("c", cluster).with("h", host),
        };
        Figure {
            title: self.title().to_owned(),
            about: String::new(),
            query: link.with("g", self.word()).as_str()[1..].to_owned(),
            unit,
            curves,
            stacked,
        }
    }
}

fn curve(label: &str, colour: usize, draw: Draw, formula: Formula) -> Curve {
    Curve {
        label: label.to_owned(),
        colour,
        draw,
        formula,
    }
}

fn load(ask: &mut impl FnMut(&str) -> usize) -> Vec<Curve> {
    vec![
        curve(
            "load, 1 min",
            GREY,
            Draw::Area,
            Formula::Plain(ask("load_one")),
        ),
        curve("CPUs", RED, Draw::Line, Formula::Plain(ask("cpu_num"))),
        curve("running", BLUE, Draw::Line, Formula::Plain(ask("proc_run"))),
    ]
}

fn cpu(ask: &mut impl FnMut(&str) -> usize, hosts: Option<usize>) -> Vec<Curve> {
    let all = [
        ("user", "cpu_user", BLUE),
        ("nice", "cpu_nice", OCHRE),
        ("system", "cpu_system", RED),
        ("wait", "cpu_wio", PINK),
        ("steal", "cpu_steal", GREEN),
    ];
    all.into_iter()
        .map(|(label, metric, colour)| {
            let sum = ask(metric);
            let formula = match hosts {
                Some(hosts) => Formula::Ratio(sum, hosts),
                None => Formula::Plain(sum),
            };
            curve(label, colour, Draw::Area, formula)
        })
        .collect()
}

fn memory(ask: &mut impl FnMut(&str) -> usize) -> Vec<Curve> {
    let total = ask("mem_total");
    let (free, buffers, cached) = (ask("mem_free"), ask("mem_buffers"), ask("mem_cached"));
    let swap = Formula::Rest(ask("swap_total"), vec![ask("swap_free")]);
    vec![
        curve(
            "used",
            BLUE,
            Draw::Area,
            Formula::Rest(total, vec![free, buffers, cached]),
        ),
        curve("buffers", PINK, Draw::Area, Formula::Plain(buffers)),
        curve("cached", SKY, Draw::Area, Formula::Plain(cached)),
        curve("swap used", OCHRE, Draw::Line, swap),
        curve("total", RED, Draw::Line, Formula::Plain(total)),
    ]
}

fn network(ask: &mut impl FnMut(&str) -> usize) -> Vec<Curve> {
    vec![
        curve("in", BLUE, Draw::Line, Formula::Plain(ask("bytes_in"))),
        curve("out", RED, Draw::Line, Formula::Plain(ask("bytes_out"))),
    ]
}
