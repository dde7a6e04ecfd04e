//! gmetad beside C gmetad, over farms of fake gmonds, in one run: the figures and their ratios.
//!
//! `make bench` runs it; `--help` tells what can be chosen. Nothing here judges: it prints.

mod chart;
mod daemon;
mod process;

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use chart::Bar;
use daemon::{Daemon, Which, Writing};

/// Of a gmond's 33 metrics, those with a number.
const NUMERIC: u64 = 29;

/// Time between two questions, and between two dumps, while latency is measured.
const ASK_EVERY: Duration = Duration::from_millis(20);
const DUMP_EVERY: Duration = Duration::from_millis(500);

/// Latency is measured for that many polling intervals, and never for less than this.
const ASK_INTERVALS: u64 = 3;
const ASK_AT_LEAST: Duration = Duration::from_secs(45);

struct Options {
    clusters: u64,
    hosts: u64,
    scenarios: Vec<Scenario>,
    svg: Option<PathBuf>,
    folder: PathBuf,
    without_c: bool,
}

/// What is done to both, and for how long.
#[derive(Clone, Debug)]
struct Scenario {
    name: &'static str,
    writing: Writing,
    /// Polling interval, in seconds.
    interval: u64,
    /// Before measuring.
    warm_up: Duration,
    /// Measured.
    window: Duration,
    /// Between two dumps, while latency is measured.
    dump_every: Duration,
}

/// All that there are, in the order of the table.
const SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "plain",
        writing: Writing::Off,
        interval: 15,
        warm_up: Duration::from_secs(60),
        window: Duration::from_secs(150),
        dump_every: DUMP_EVERY,
    },
    Scenario {
        name: "through",
        writing: Writing::Through,
        interval: 15,
        warm_up: Duration::from_secs(60),
        window: Duration::from_secs(150),
        dump_every: DUMP_EVERY,
    },
    Scenario {
        name: "busy",
        writing: Writing::Off,
        interval: 1,
        warm_up: Duration::from_secs(15),
        window: Duration::from_secs(30),
        dump_every: Duration::ZERO,
    },
    Scenario {
        name: "cached",
        writing: Writing::Cached(300),
        interval: 15,
        // Files are written for the first time in seconds 300 to 900, and for the second in about
        // 1,065 to 1,815: nearly each one once while it is measured.
        warm_up: Duration::from_secs(960),
        window: Duration::from_secs(840),
        dump_every: DUMP_EVERY,
    },
];

/// A line of the table: what, in which unit, and how many times better than C gmetad it must be.
type Row = (&'static str, &'static str, fn(&Figures) -> f64, Option<f64>);

/// What one daemon did in one scenario.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    polls: u64,
    metrics: u64,
    updates: u64,
    cpu_ns: u64,
    disk_bytes: u64,
    resident_kib: u64,
    dump_bytes_per_s: f64,
    ask_p50: Duration,
    ask_p99: Duration,
}

impl Figures {
    fn disk_bytes_per_update(&self) -> f64 {
        self.disk_bytes as f64 / self.updates as f64
    }
}

fn main() {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("versus: {message}");
            std::process::exit(64);
        }
    };
    if let Err(err) = run(&options) {
        eprintln!("versus: {err}");
        std::process::exit(1);
    }
}

fn options() -> Result<Options, String> {
    let mut known = getopts::Options::new();
    known
        .optopt("", "clusters", "clusters (10)", "N")
        .optopt("", "hosts", "hosts of each cluster (100)", "N")
        .optopt("", "interval", "polling interval", "SECONDS")
        .optopt("", "warm-up", "before measuring", "SECONDS")
        .optopt("", "window", "measured", "SECONDS")
        .optopt(
            "",
            "held",
            "write_timeout of the cached scenario",
            "SECONDS",
        )
        .optopt(
            "",
            "only",
            "of plain (no RRDs), through (RRDs written at once), busy (polled every second and \
             dumped without a pause), cached (RRDs held); all of them",
            "LIST",
        )
        .optopt("", "svg", "write a chart", "FILE")
        .optopt(
            "",
            "folder",
            "for files; it should be on a disk, not in memory",
            "DIR",
        )
        .optflag("", "without-c", "do not measure C gmetad")
        .optflag("h", "help", "print this help");
    let given = known
        .parse(std::env::args().skip(1))
        .map_err(|err| err.to_string())?;
    if given.opt_present("help") {
        print!("{}", known.usage("Usage: versus [OPTIONS]"));
        std::process::exit(0);
    }
    let number = |name: &str, default: u64| {
        given
            .opt_get_default(name, default)
            .map_err(|_| format!("--{name} takes a whole number"))
    };
    let mut scenarios = SCENARIOS.to_vec();
    if let Some(only) = given.opt_str("only") {
        let only: Vec<&str> = only.split(',').collect();
        for name in &only {
            if !SCENARIOS.iter().any(|scenario| scenario.name == *name) {
                return Err(format!("there is no scenario {name:?}"));
            }
        }
        scenarios.retain(|scenario| only.contains(&scenario.name));
    }
    for scenario in &mut scenarios {
        let secs = |name: &str, default: Duration| {
            number(name, default.as_secs()).map(Duration::from_secs)
        };
        scenario.interval = number("interval", scenario.interval)?;
        scenario.warm_up = secs("warm-up", scenario.warm_up)?;
        scenario.window = secs("window", scenario.window)?;
        if let Writing::Cached(held) = &mut scenario.writing {
            *held = number("held", *held)?;
        }
    }
    Ok(Options {
        clusters: number("clusters", 10)?,
        hosts: number("hosts", 100)?,
        scenarios,
        svg: given.opt_str("svg").map(Into::into),
        folder: given
            .opt_str("folder")
            .map_or_else(|| PathBuf::from("target/versus"), PathBuf::from),
        without_c: given.opt_present("without-c"),
    })
}

fn run(options: &Options) -> io::Result<()> {
    let here = std::env::current_exe()?;
    let examples = here.parent().ok_or_else(|| io::Error::other("no folder"))?;
    let release = examples
        .parent()
        .ok_or_else(|| io::Error::other("no folder"))?;
    let ours = release.join("gmetad");
    let farm = examples.join("farm");
    let c = Which::C.program(&ours).filter(|_| !options.without_c);
    if c.is_none() {
        println!("C gmetad is not measured: it is not installed, or was left out");
    }
    let mut bars = Vec::new();
    let (mut through, mut held) = (None, None);
    for scenario in &options.scenarios {
        let start = |which: Which, program: &Path| {
            let name = if which == Which::C { "c" } else { "ours" };
            let folder = options.folder.join(scenario.name).join(name);
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder)?;
            let folder = folder.canonicalize()?;
            let shape = shape(options, scenario);
            Daemon::start(which, program, &farm, &shape, scenario.writing, &folder)
        };
        let mut daemons = vec![start(Which::Ours, &ours)?];
        if let Some(c) = &c {
            daemons.push(start(Which::C, c)?);
        }
        let figures = measure(&mut daemons, options, scenario)?;
        report(scenario, options, &figures, &mut bars);
        match scenario.writing {
            Writing::Off => {}
            Writing::Through => through = Some(figures[0]),
            Writing::Cached(_) => held = Some(figures[0]),
        }
    }
    if let (Some(through), Some(held)) = (through, held) {
        let times = through.disk_bytes_per_update() / held.disk_bytes_per_update();
        println!("\nheld updates write {times:.1} times fewer bytes than those written at once");
        bars.push(Bar {
            name: "bytes written: held, against at once".into(),
            times,
            must: Some(10.0),
        });
    }
    if let Some(svg) = &options.svg {
        let title = "How many times less than C gmetad (red: what it must reach)";
        std::fs::write(svg, chart::svg(title, &bars))?;
    }
    Ok(())
}

fn shape(options: &Options, scenario: &Scenario) -> Vec<String> {
    [
        ("--clusters", options.clusters),
        ("--hosts", options.hosts),
        ("--interval", scenario.interval),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value.to_string()])
    .collect()
}

/// Both at once: first undisturbed, for their CPU and disk, then asked and dumped.
fn measure(
    daemons: &mut [Daemon],
    options: &Options,
    scenario: &Scenario,
) -> io::Result<Vec<Figures>> {
    thread::sleep(scenario.warm_up);
    let mut before = Vec::new();
    for daemon in daemons.iter_mut() {
        before.push((daemon.polls()?, daemon.usage()));
    }
    thread::sleep(scenario.window);
    let mut all = Vec::new();
    for (daemon, (polls, usage)) in daemons.iter_mut().zip(before) {
        let after = daemon.usage();
        let polls = daemon.polls()? - polls;
        all.push(Figures {
            polls,
            metrics: polls * options.hosts * 33,
            // A source's sums are updates as well.
            updates: polls * (options.hosts + 1) * NUMERIC,
            cpu_ns: after.cpu_ns - usage.cpu_ns,
            disk_bytes: after.disk_bytes - usage.disk_bytes,
            resident_kib: daemon.resident_kib(),
            ..Figures::default()
        });
    }
    // The others stand still meanwhile.
    for daemon in daemons.iter() {
        daemon.freeze(true);
    }
    for (daemon, figures) in daemons.iter().zip(&mut all) {
        daemon.freeze(false);
        ask(daemon, scenario, figures)?;
        daemon.freeze(true);
    }
    Ok(all)
}

/// Asks for one host again and again, and dumps all beside it, for three polling intervals.
fn ask(daemon: &Daemon, scenario: &Scenario, figures: &mut Figures) -> io::Result<()> {
    let long = Duration::from_secs(ASK_INTERVALS * scenario.interval).max(ASK_AT_LEAST);
    let end = Instant::now() + long;
    thread::scope(|scope| {
        let dumps = scope.spawn(|| -> io::Result<(usize, Duration)> {
            let mut sum = (0, Duration::ZERO);
            while Instant::now() < end {
                let (bytes, took) = daemon.dump()?;
                sum = (sum.0 + bytes, sum.1 + took);
                thread::sleep(scenario.dump_every);
            }
            Ok(sum)
        });
        process::go_first();
        let host = first_host(daemon)?;
        let mut times = Vec::new();
        while Instant::now() < end {
            let (bytes, took) = daemon.ask(&host)?;
            assert!(bytes > 0, "no answer to {host}");
            times.push(took);
            thread::sleep(ASK_EVERY);
        }
        times.sort();
        figures.ask_p50 = times[times.len() / 2];
        figures.ask_p99 = times[times.len() * 99 / 100];
        let (bytes, took) = dumps
            .join()
            .map_err(|_| io::Error::other("the dumps broke"))??;
        figures.dump_bytes_per_s = bytes as f64 / took.as_secs_f64();
        Ok(())
    })
}

/// The path of a host, as the daemon itself names it.
fn first_host(daemon: &Daemon) -> io::Result<String> {
    let xml = daemon.head()?;
    let name = |tag: &str| {
        let rest = &xml[xml.find(&format!("<{tag} NAME=\""))? + tag.len() + 8..];
        rest.split('"').next()
    };
    match (name("CLUSTER"), name("HOST")) {
        (Some(cluster), Some(host)) => Ok(format!("/{cluster}/{host}")),
        _ => Err(io::Error::other("no host in the whole document")),
    }
}

fn report(scenario: &Scenario, options: &Options, figures: &[Figures], bars: &mut Vec<Bar>) {
    let metrics = options.clusters * options.hosts * 33;
    println!(
        "\n{}: {} sources, {metrics} metrics, every {} s; measured for {} s",
        scenario.name,
        options.clusters,
        scenario.interval,
        scenario.window.as_secs()
    );
    println!(
        "{:<38} {:>12} {:>12} {:>9}",
        "", "gmetad", "C gmetad", "ratio"
    );
    let mut rows: Vec<Row> = vec![("polls", "", |f| f.polls as f64, None)];
    match scenario.writing {
        Writing::Off => rows.extend([
            (
                "CPU per metric polled",
                "us",
                (|f| f.cpu_ns as f64 / 1e3 / f.metrics as f64) as fn(&Figures) -> f64,
                Some(8.0),
            ),
            (
                "resident memory",
                "MiB",
                |f| f.resident_kib as f64 / 1024.0,
                None,
            ),
        ]),
        _ => rows.extend([
            (
                "CPU per RRD update, all in",
                "us",
                (|f| f.cpu_ns as f64 / 1e3 / f.updates as f64) as fn(&Figures) -> f64,
                Some(if scenario.writing == Writing::Through {
                    2.0
                } else {
                    20.0
                }),
            ),
            (
                "written to disk per update",
                "B",
                Figures::disk_bytes_per_update,
                None,
            ),
            (
                "resident memory, RRDs on",
                "MiB",
                |f| f.resident_kib as f64 / 1024.0,
                Some(4.0),
            ),
        ]),
    }
    rows.extend([
        (
            "whole document",
            "MB/s",
            (|f| f.dump_bytes_per_s / 1e6) as fn(&Figures) -> f64,
            Some(15.0),
        ),
        (
            "one host, p50, polled and dumped",
            "ms",
            |f| f.ask_p50.as_secs_f64() * 1e3,
            None,
        ),
        (
            "one host, p99, polled and dumped",
            "ms",
            |f| f.ask_p99.as_secs_f64() * 1e3,
            // Elsewhere it is polled and dumped now and then only.
            scenario.dump_every.is_zero().then_some(10.0),
        ),
    ]);
    for (name, unit, figure, must) in rows {
        let label = if unit.is_empty() {
            name.to_owned()
        } else {
            format!("{name}, {unit}")
        };
        let ours = figure(&figures[0]);
        let Some(c) = figures.get(1).map(figure) else {
            println!("{label:<38} {ours:>12.3}");
            continue;
        };
        // More is better for speeds alone.
        let times = if unit == "MB/s" { ours / c } else { c / ours };
        println!("{label:<38} {ours:>12.3} {c:>12.3} {times:>8.1}x");
        if name != "polls" {
            bars.push(Bar {
                name: format!("{name} ({})", scenario.name),
                times,
                must,
            });
        }
    }
}
