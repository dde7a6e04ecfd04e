//! Grids over three levels, each ours or C gmetad: the top serves what the gmonds below sent.
//!
//! Two levels over real gmonds are in `against_peers`. A combination is named from below: leaf,
//! middle, top.

#[path = "../../contrib/consistency-test/tree.rs"]
mod tree;

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::Gmetad;
use crate::support::peers::{
    CGmetad, DataSource, FakeSource, Script, ask, available, document, shared_conf,
};
use crate::support::side_by_side::assert_same;
use crate::support::web::get;
use tempfile::TempDir;
use tree::Element;

/// C gmetad adds up its own grid every half minute at worst, and three levels have to be polled.
const PATIENCE: Duration = Duration::from_secs(120);

/// Of every gmetad here. No clock is looked at, and no values are stored.
const INTERVAL_SECONDS: u32 = 1;

/// What the documents say that time is.
const LOCALTIME: u32 = 1_700_000_000;

// What the gmonds say.

/// Type, units and slope of a metric.
fn kind(name: &str) -> (&'static str, &'static str, &'static str) {
    match name {
        "load" => ("float", " ", "both"),
        "cpus" => ("uint16", "CPUs", "zero"),
        "bytes" => ("double", "bytes/sec", "both"),
        "packets" => ("uint32", "packets", "positive"),
        "os" => ("string", "", "zero"),
        _ => ("float", "C", "both"),
    }
}

#[derive(Clone)]
struct Host {
    name: &'static str,
    up: bool,
    /// Of each metric always with as many decimals: where values differ in that, so do the two
    /// gmetads in the decimals of their sums.
    values: Vec<(&'static str, &'static str)>,
}

impl Host {
    fn up(name: &'static str, values: &[(&'static str, &'static str)]) -> Self {
        Self {
            name,
            up: true,
            values: values.to_vec(),
        }
    }

    fn down(name: &'static str, values: &[(&'static str, &'static str)]) -> Self {
        Self {
            up: false,
            ..Self::up(name, values)
        }
    }
}

#[derive(Clone)]
struct Cluster {
    name: &'static str,
    hosts: Vec<Host>,
}

impl Cluster {
    fn document(&self) -> Vec<u8> {
        let mut xml = format!(
            "<CLUSTER NAME=\"{}\" LOCALTIME=\"{LOCALTIME}\" OWNER=\"o\" LATLONG=\"l\" URL=\"u\">\n",
            self.name
        );
        for host in &self.hosts {
            let tn = if host.up { 1 } else { 100_000 };
            let _ = writeln!(
                xml,
                "<HOST NAME=\"{}\" IP=\"10.0.0.1\" TAGS=\"\" REPORTED=\"{LOCALTIME}\" \
                 TN=\"{tn}\" TMAX=\"1000\" DMAX=\"0\" LOCATION=\"l\" GMOND_STARTED=\"5\">",
                host.name
            );
            for (name, value) in &host.values {
                let (ty, units, slope) = kind(name);
                let _ = writeln!(
                    xml,
                    "<METRIC NAME=\"{name}\" VAL=\"{value}\" TYPE=\"{ty}\" UNITS=\"{units}\" \
                     TN=\"1\" TMAX=\"60\" DMAX=\"0\" SLOPE=\"{slope}\">\n<EXTRA_DATA>\n\
                     <EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"of_{name}\"/>\n</EXTRA_DATA>\n</METRIC>"
                );
            }
            xml.push_str("</HOST>\n");
        }
        document("gmond", &(xml + "</CLUSTER>\n"))
    }

    /// Its sums, worked out from what its document says.
    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for host in &self.hosts {
            if !host.up {
                sums.down += 1;
                continue;
            }
            sums.up += 1;
            for (name, value) in &host.values {
                let (ty, units, slope) = kind(name);
                if ty != "string" {
                    sums.add(name, value, 1, units, slope);
                }
            }
        }
        sums
    }
}

/// Two clusters below the leaf, one beside it below the middle, one beside that below the top.
struct World {
    deep: Cluster,
    deeper: Cluster,
    middle: Cluster,
    near: Cluster,
}

impl World {
    fn new() -> Self {
        let cluster = |name, hosts: &[Host]| Cluster {
            name,
            hosts: hosts.to_vec(),
        };
        World {
            deep: cluster(
                "Deep",
                &[
                    Host::up(
                        "d1",
                        &[
                            ("load", "0.25"),
                            ("cpus", "4"),
                            ("bytes", "1000000.5"),
                            ("packets", "4000000000"),
                            ("os", "Linux"),
                            ("only_deep", "1.5"),
                        ],
                    ),
                    Host::up(
                        "d2",
                        &[("load", "1.50"), ("cpus", "8"), ("only_deep", "-4.0")],
                    ),
                    // Ours keeps serving the last data; it must not be summed.
                    Host::down("d3", &[("load", "99.00"), ("only_deep", "7.5")]),
                ],
            ),
            deeper: cluster(
                "Deeper",
                &[Host::up(
                    "e1",
                    &[
                        ("load", "2.75"),
                        ("packets", "3999999999"),
                        ("only_deeper", "3"),
                    ],
                )],
            ),
            middle: cluster(
                "Middle",
                &[
                    Host::up(
                        "m1",
                        &[("load", "10.00"), ("cpus", "16"), ("only_middle", "0.125")],
                    ),
                    Host::down("m2", &[]),
                ],
            ),
            near: cluster(
                "Near",
                &[
                    Host::up("n1", &[("load", "100.25"), ("bytes", "0.5"), ("os", "BSD")]),
                    Host::up("n2", &[("load", "0.50"), ("only_near", "5")]),
                ],
            ),
        }
    }

    fn leaf(&self) -> Grid<'_> {
        Grid {
            wrapped_as: Some("Leaf"),
            clusters: vec![&self.deep, &self.deeper],
            below: None,
            elsewhere: &["/Leaf", "/nothing/at/all"],
        }
    }

    fn mid(&self) -> Grid<'_> {
        Grid {
            wrapped_as: Some("Mid"),
            clusters: vec![&self.middle],
            below: Some(("Leaf", self.leaf().sums())),
            elsewhere: &["/Mid", "/Deep", "/Deep/d1"],
        }
    }

    fn top(&self) -> Grid<'_> {
        Grid {
            wrapped_as: Some("Top"),
            clusters: vec![&self.near],
            below: Some(("Mid", self.mid().sums())),
            elsewhere: &["/Top", "/Leaf", "/Leaf/Deep", "/Deep/d1", "/Middle"],
        }
    }
}

// What a gmetad is to say of it.

#[derive(Clone, Debug, Default, PartialEq)]
struct Sums {
    up: u32,
    down: u32,
    metrics: BTreeMap<String, Sum>,
}

#[derive(Clone, Debug, PartialEq)]
struct Sum {
    /// SUM as it is written: its decimals count.
    total: String,
    num: u32,
    units: String,
    slope: String,
}

impl Sums {
    fn add(&mut self, name: &str, value: &str, num: u32, units: &str, slope: &str) {
        let sum = self.metrics.entry(name.to_owned()).or_insert_with(|| Sum {
            total: zero(value),
            num: 0,
            units: units.to_owned(),
            slope: slope.to_owned(),
        });
        let number = |text: &str| text.parse::<f64>().expect("a number");
        let decimals = |text: &str| text.split_once('.').map_or(0, |(_, after)| after.len());
        let most = decimals(&sum.total).max(decimals(value));
        sum.total = format!("{:.most$}", number(&sum.total) + number(value));
        sum.num += num;
    }

    /// What C gmetad makes of the METRICS of a grid in a grid: they are named, and empty.
    fn lost(mut self) -> Self {
        for sum in self.metrics.values_mut() {
            (sum.total, sum.num) = (zero(&sum.total), 0);
        }
        self
    }

    fn plus(mut self, other: &Sums) -> Self {
        self.up += other.up;
        self.down += other.down;
        for (name, sum) in &other.metrics {
            self.add(name, &sum.total, sum.num, &sum.units, &sum.slope);
        }
        self
    }
}

/// A zero of as many decimals.
fn zero(value: &str) -> String {
    value
        .trim_start_matches('-')
        .split('.')
        .map(|digits| "0".repeat(digits.len()))
        .collect::<Vec<_>>()
        .join(".")
}

/// A part of an answer, without what moves by itself.
#[derive(Clone, Debug, Default, PartialEq)]
struct View {
    /// Of a grid.
    authority: Option<String>,
    sums: Option<Sums>,
    /// By name, with the values that they have.
    hosts: BTreeMap<String, BTreeMap<String, String>>,
    /// Clusters and grids by tag and name.
    below: BTreeMap<String, View>,
}

impl View {
    fn of(element: &Element) -> Self {
        let value = |element: &Element, name: &str| {
            let found = element.attribute(name);
            found
                .unwrap_or_else(|| panic!("no {name} in {element:?}"))
                .to_owned()
        };
        let number = |element: &Element, name: &str| -> u32 {
            value(element, name).parse().expect("a whole number")
        };
        let mut view = View {
            authority: element.attribute("AUTHORITY").map(String::from),
            ..View::default()
        };
        for child in &element.children {
            match child.tag.as_str() {
                "GRID" | "CLUSTER" => {
                    let key = format!("{} {}", child.tag, value(child, "NAME"));
                    let twice = view.below.insert(key, View::of(child));
                    assert_eq!(twice, None, "{child:?} is there twice");
                }
                "HOSTS" => {
                    let sums = view.sums.get_or_insert_default();
                    (sums.up, sums.down) = (number(child, "UP"), number(child, "DOWN"));
                }
                "METRICS" => {
                    let sum = Sum {
                        total: value(child, "SUM"),
                        num: number(child, "NUM"),
                        units: value(child, "UNITS"),
                        slope: value(child, "SLOPE"),
                    };
                    assert_eq!(value(child, "TYPE"), "double");
                    let sums = view.sums.get_or_insert_default();
                    sums.metrics.insert(value(child, "NAME"), sum);
                }
                "HOST" => {
                    // C gmetad has no values of a host that was down when it first saw it.
                    let is_up = number(child, "TN") < 4 * number(child, "TMAX");
                    let metrics = child.children.iter().filter(|_| is_up);
                    let values =
                        metrics.map(|metric| (value(metric, "NAME"), value(metric, "VAL")));
                    view.hosts.insert(value(child, "NAME"), values.collect());
                }
                other => panic!("<{other}> where none is to be"),
            }
        }
        view
    }

    fn holding(key: &str, view: View) -> View {
        View {
            below: BTreeMap::from([(key.to_owned(), view)]),
            ..View::default()
        }
    }
}

fn authority(grid: &str) -> String {
    format!("http://{grid}.example.org/ganglia/")
}

/// What a gmetad has, and so what it answers, whoever made it.
struct Grid<'a> {
    /// The GRID around everything.
    wrapped_as: Option<&'a str>,
    clusters: Vec<&'a Cluster>,
    /// The grid below it.
    below: Option<(&'a str, Sums)>,
    /// Requests for what it does not have: they are answered with everything.
    elsewhere: &'a [&'a str],
}

impl Grid<'_> {
    fn sums(&self) -> Sums {
        let clusters = self.clusters.iter().map(|cluster| cluster.sums());
        let below = self.below.iter().map(|(_, sums)| sums.clone());
        clusters
            .chain(below)
            .fold(Sums::default(), |all, sums| all.plus(&sums))
    }

    fn wrapped(&self, mut inside: View) -> View {
        let Some(name) = self.wrapped_as else {
            return inside;
        };
        inside.authority = Some(authority(name));
        View::holding(&format!("GRID {name}"), inside)
    }

    fn grid_below(&self) -> Option<(String, View)> {
        let (name, sums) = self.below.as_ref()?;
        let view = View {
            authority: Some(authority(name)),
            sums: Some(sums.clone()),
            ..View::default()
        };
        Some((format!("GRID {name}"), view))
    }

    fn in_full(&self) -> View {
        let clusters = self.clusters.iter();
        let below = clusters.map(|cluster| (key(cluster), cluster_in_full(cluster)));
        self.wrapped(View {
            below: below.chain(self.grid_below()).collect(),
            ..View::default()
        })
    }

    fn summed_up(&self) -> View {
        let clusters = self.clusters.iter();
        let below = clusters.map(|cluster| (key(cluster), cluster_summed_up(cluster)));
        self.wrapped(View {
            sums: Some(self.sums()),
            below: below.chain(self.grid_below()).collect(),
            ..View::default()
        })
    }

    /// Waits until all it can be asked for is answered as it is to be.
    #[track_caller]
    fn expect_of(&self, gmetad: &Level) {
        gmetad.settles("/?filter=summary", &self.summed_up());
        let all = self.in_full();
        gmetad.settles(WHOLE_DOCUMENT, &all);
        for request in ["/", "/?filter=none"].iter().chain(self.elsewhere) {
            gmetad.settles(request, &all);
        }
        for cluster in &self.clusters {
            let name = cluster.name;
            let (key, full) = (key(cluster), cluster_in_full(cluster));
            gmetad.settles(
                &format!("/{name}?filter=summary"),
                &self.wrapped(View::holding(&key, cluster_summed_up(cluster))),
            );
            gmetad.settles(
                &format!("/{name}"),
                &self.wrapped(View::holding(&key, full.clone())),
            );
            for (host, values) in full.hosts {
                let request = format!("/{name}/{host}");
                let alone = View {
                    hosts: BTreeMap::from([(host, values)]),
                    ..View::default()
                };
                gmetad.settles(&request, &self.wrapped(View::holding(&key, alone)));
            }
        }
        if let Some((name, _)) = &self.below {
            let (key, grid) = self.grid_below().expect("it is there");
            let alone = self.wrapped(View::holding(&key, grid));
            for rest in [
                "",
                "/",
                "?filter=summary",
                "/Leaf",
                "/Middle/m1",
                "/Deep?filter=summary",
            ] {
                gmetad.settles(&format!("/{name}{rest}"), &alone);
            }
        }
    }
}

fn key(cluster: &Cluster) -> String {
    format!("CLUSTER {}", cluster.name)
}

fn cluster_in_full(cluster: &Cluster) -> View {
    let values = |host: &Host| -> BTreeMap<String, String> {
        let shown = host.values.iter().filter(|_| host.up);
        shown
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    };
    let hosts = cluster.hosts.iter();
    View {
        hosts: hosts
            .map(|host| (host.name.to_owned(), values(host)))
            .collect(),
        ..View::default()
    }
}

fn cluster_summed_up(cluster: &Cluster) -> View {
    View {
        sums: Some(cluster.sums()),
        ..View::default()
    }
}

// The gmetads.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Maker {
    Ours,
    C,
}

use Maker::{C, Ours};

/// Stands for the document of the XML port.
const WHOLE_DOCUMENT: &str = "";

/// A gmetad of either kind.
enum Level {
    Ours {
        gmetad: Gmetad,
        // Removed last, after the process has ended.
        _folder: TempDir,
    },
    Theirs(CGmetad),
}

impl Level {
    fn start(maker: Maker, grid: &str, sources: &[u16], more: &str) -> Self {
        let names: Vec<String> = sources.iter().map(|port| format!("at {port}")).collect();
        let sources: Vec<DataSource<'_>> = names
            .iter()
            .zip(sources)
            .map(|(name, port)| (name.as_str(), INTERVAL_SECONDS, *port))
            .collect();
        let more = format!("write_rrds off\n{more}\n");
        match maker {
            Ours => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let conf = shared_conf(grid, &sources, &folder.path().join("rrds"));
                Level::Ours {
                    gmetad: Gmetad::start(folder.path(), &(conf + &more)),
                    _folder: folder,
                }
            }
            C => Level::Theirs(CGmetad::start(grid, &sources, &more)),
        }
    }

    fn xml_port(&self) -> u16 {
        match self {
            Level::Ours { gmetad, .. } => gmetad.xml().port(),
            Level::Theirs(gmetad) => gmetad.xml_port(),
        }
    }

    fn interactive_port(&self) -> u16 {
        match self {
            Level::Ours { gmetad, .. } => gmetad.interactive().port(),
            Level::Theirs(gmetad) => gmetad.interactive_port(),
        }
    }

    fn answer(&self, request: &str) -> Element {
        let bytes = match request {
            WHOLE_DOCUMENT => ask(self.xml_port(), None),
            _ => ask(self.interactive_port(), Some(request)),
        };
        let text = tree::decode(&bytes.expect("it answers"), true);
        tree::parse(&text).unwrap_or_else(|error| panic!("{request}: {error}: {text}"))
    }

    /// Waits until it answers a request like that.
    #[track_caller]
    fn settles(&self, request: &str, expected: &View) {
        let start = Instant::now();
        loop {
            let answer = View::of(&self.answer(request));
            if answer == *expected {
                return;
            }
            if start.elapsed() > PATIENCE {
                let maker = match self {
                    Level::Ours { .. } => "ours",
                    Level::Theirs(_) => "C gmetad",
                };
                assert_eq!(answer, *expected, "{maker}'s answer to \"{request}\"");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The gmonds of a world.
struct Gmonds {
    deep: FakeSource,
    deeper: FakeSource,
    middle: FakeSource,
    near: FakeSource,
}

impl Gmonds {
    fn start(world: &World) -> Self {
        let source = |cluster: &Cluster| FakeSource::start(Script::Serve(cluster.document()));
        Gmonds {
            deep: source(&world.deep),
            deeper: source(&world.deeper),
            middle: source(&world.middle),
            near: source(&world.near),
        }
    }

    fn leaf(&self, maker: Maker) -> Level {
        let sources = [self.deep.port(), self.deeper.port()];
        Level::start(maker, "Leaf", &sources, "")
    }

    fn mid(&self, maker: Maker, leaf: &Level, more: &str) -> Level {
        let sources = [leaf.xml_port(), self.middle.port()];
        Level::start(maker, "Mid", &sources, more)
    }

    fn top(&self, maker: Maker, mid: &Level, more: &str) -> Level {
        let sources = [mid.xml_port(), self.near.port()];
        Level::start(maker, "Top", &sources, more)
    }
}

// What they do.

#[test]
fn three_levels_of_ours_serve_at_every_level_what_the_gmonds_sent() {
    let mut world = World::new();
    let gmonds = Gmonds::start(&world);
    let leaf = gmonds.leaf(Ours);
    let mid = gmonds.mid(Ours, &leaf, "");
    let top = gmonds.top(Ours, &mid, "");
    world.leaf().expect_of(&leaf);
    world.mid().expect_of(&mid);
    world.top().expect_of(&top);

    // Extra data comes through with the sums, which C gmetad leaves empty.
    let answer = ask(top.interactive_port(), Some("/Mid")).expect("it answers");
    let answer = tree::decode(&answer, true);
    assert!(answer.contains("<EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"of_only_deep\"/>"));

    // Over HTTP as well; there is nothing to be found inside of a grid below.
    let Level::Ours { gmetad, .. } = &top else {
        unreachable!("it was started as ours");
    };
    for (target, code) in [
        ("/Mid", 200),
        ("/Mid?filter=summary", 200),
        ("/Mid/Leaf", 404),
    ] {
        let answer = get(gmetad.interactive(), target);
        assert_eq!(answer.code, code, "{target}");
    }
    let answer = get(gmetad.interactive(), "/Mid").text();
    let grid = world.top();
    let (key, view) = grid.grid_below().expect("it has one");
    assert_eq!(
        View::of(&tree::parse(&answer).expect("XML")),
        grid.wrapped(View::holding(&key, view))
    );

    // What changes at the bottom changes at the top.
    world.deep.hosts[0].values[0] = ("load", "0.75");
    world.deep.hosts[1].up = false;
    world.deep.hosts[2].up = true;
    world
        .deep
        .hosts
        .push(Host::up("d4", &[("only_deep", "1000.5")]));
    world.middle.hosts[0].values[0] = ("load", "11.25");
    gmonds.deep.script(Script::Serve(world.deep.document()));
    gmonds.middle.script(Script::Serve(world.middle.document()));
    world.leaf().expect_of(&leaf);
    world.mid().expect_of(&mid);
    world.top().expect_of(&top);
}

#[test]
fn ours_adds_up_grids_to_any_depth() {
    let cluster = |name, host, value| Cluster {
        name,
        hosts: vec![Host::up(host, &[("load", value)])],
    };
    let levels = [
        ("G1", cluster("C1", "h1", "1.00")),
        ("G2", cluster("C2", "h2", "20.25")),
        ("G3", cluster("C3", "h3", "300.50")),
        ("G4", cluster("C4", "h4", "4000.00")),
        ("G5", cluster("C5", "h5", "50000.00")),
        ("G6", cluster("C6", "h6", "600000.00")),
    ];
    let mut running: Vec<(FakeSource, Level)> = Vec::new();
    let mut below: Option<(&str, Sums)> = None;
    for (name, cluster) in &levels {
        let source = FakeSource::start(Script::Serve(cluster.document()));
        let mut ports = vec![source.port()];
        ports.extend(running.last().map(|(_, level)| level.xml_port()));
        let level = Level::start(Ours, name, &ports, "");
        let grid = Grid {
            wrapped_as: Some(name),
            clusters: vec![cluster],
            below,
            elsewhere: &[],
        };
        grid.expect_of(&level);
        below = Some((name, grid.sums()));
        running.push((source, level));
    }
    let (_, sums) = below.expect("there are levels");
    assert_eq!(sums.metrics["load"].total, "654321.75");
    assert_eq!((sums.up, sums.metrics["load"].num), (6, 6));
}

#[test]
fn ours_on_top_has_the_true_sums_where_c_gmetad_is_below_it_or_below_that_or_both() {
    let name = "ours_on_top_has_the_true_sums_where_c_gmetad_is_below_it_or_below_that_or_both";
    if !available(name, &["gmetad"]) {
        return;
    }
    let world = World::new();
    let gmonds = Gmonds::start(&world);
    let (c_leaf, our_leaf) = (gmonds.leaf(C), gmonds.leaf(Ours));
    let mids = [
        gmonds.mid(Ours, &c_leaf, ""),
        gmonds.mid(C, &our_leaf, ""),
        gmonds.mid(C, &c_leaf, ""),
    ];
    let tops = mids.each_ref().map(|mid| gmonds.top(Ours, mid, ""));
    for top in &tops {
        world.top().expect_of(top);
    }
    // Clients see no difference, down to order and spelling.
    for other in &tops[1..] {
        assert_same(tops[0].interactive_port(), other.interactive_port(), &[]);
        assert_same(tops[0].xml_port(), other.xml_port(), &["--xml"]);
    }
}

#[test]
fn in_the_middle_ours_and_c_gmetad_have_the_same_true_sums_over_either_leaf() {
    let name = "in_the_middle_ours_and_c_gmetad_have_the_same_true_sums_over_either_leaf";
    if !available(name, &["gmetad"]) {
        return;
    }
    let world = World::new();
    let gmonds = Gmonds::start(&world);
    let leaves = [gmonds.leaf(C), gmonds.leaf(Ours)];
    for leaf in &leaves {
        world.leaf().expect_of(leaf);
    }
    let yardstick = gmonds.mid(C, &leaves[0], "");
    world.mid().expect_of(&yardstick);
    for (maker, leaf) in [(C, &leaves[1]), (Ours, &leaves[0]), (Ours, &leaves[1])] {
        let mid = gmonds.mid(maker, leaf, "");
        world.mid().expect_of(&mid);
        let strict: &[&str] = if maker == C { &["--strict"] } else { &[] };
        assert_same(yardstick.interactive_port(), mid.interactive_port(), strict);
        let document = [&["--xml"], strict].concat();
        assert_same(yardstick.xml_port(), mid.xml_port(), &document);
    }
}

#[test]
fn c_gmetad_on_top_behaves_alike_over_ours_and_its_own() {
    let name = "c_gmetad_on_top_behaves_alike_over_ours_and_its_own";
    if !available(name, &["gmetad"]) {
        return;
    }
    let world = World::new();
    let gmonds = Gmonds::start(&world);
    let leaves = [gmonds.leaf(C), gmonds.leaf(Ours)];
    let mids = [
        gmonds.mid(C, &leaves[0], ""),
        gmonds.mid(C, &leaves[1], ""),
        gmonds.mid(Ours, &leaves[0], ""),
        gmonds.mid(Ours, &leaves[1], ""),
    ];
    let tops = mids.each_ref().map(|mid| gmonds.top(C, mid, ""));
    for mid in &mids {
        // All of the levels below serve the true sums.
        world.mid().expect_of(mid);
    }
    let counted = world.middle.sums().plus(&world.leaf().sums().lost());
    assert_eq!(counted.up, world.mid().sums().up);
    for top in &tops {
        let grid = Grid {
            below: Some(("Mid", counted.clone())),
            ..world.top()
        };
        grid.expect_of(top);
    }
    for other in &tops[1..] {
        assert_same(
            tops[0].interactive_port(),
            other.interactive_port(),
            &["--strict"],
        );
        assert_same(tops[0].xml_port(), other.xml_port(), &["--xml", "--strict"]);
    }
}

#[test]
fn scalable_off_in_the_middle_of_ours_hands_all_clusters_to_the_top_as_its_own() {
    let name = "scalable_off_in_the_middle_of_ours_hands_all_clusters_to_the_top_as_its_own";
    let with_c = available(&format!("{name}, with C gmetad in it"), &["gmetad"]);
    let makers = if with_c { &[Ours, C][..] } else { &[Ours] };
    let world = World::new();
    let gmonds = Gmonds::start(&world);
    for leaf in makers {
        let leaf = gmonds.leaf(*leaf);
        let mid = gmonds.mid(Ours, &leaf, "scalable off");
        let flat = Grid {
            wrapped_as: None,
            clusters: vec![&world.deep, &world.deeper, &world.middle],
            below: None,
            elsewhere: &["/Mid", "/Leaf"],
        };
        flat.expect_of(&mid);
        for top in makers {
            let top = gmonds.top(*top, &mid, "");
            let all = Grid {
                wrapped_as: Some("Top"),
                clusters: [&flat.clusters[..], &[&world.near]].concat(),
                below: None,
                elsewhere: &["/Mid", "/Leaf"],
            };
            all.expect_of(&top);
        }
    }
}

#[test]
fn scalable_off_in_the_middle_of_c_gmetads_leaves_one_grid_that_both_tops_sum_up_alike() {
    let name =
        "scalable_off_in_the_middle_of_c_gmetads_leaves_one_grid_that_both_tops_sum_up_alike";
    if !available(name, &["gmetad"]) {
        return;
    }
    let world = World::new();
    let gmonds = Gmonds::start(&world);
    for leaf in [Ours, C] {
        let leaf = gmonds.leaf(leaf);
        // It wraps what it has in its GRID still, but no longer what it has from the leaf.
        let mid = gmonds.mid(C, &leaf, "scalable off");
        let grid = Grid {
            wrapped_as: Some("Mid"),
            clusters: vec![&world.deep, &world.deeper, &world.middle],
            below: None,
            elsewhere: &["/Leaf"],
        };
        grid.expect_of(&mid);
        let tops = [C, Ours].map(|maker| gmonds.top(maker, &mid, ""));
        for top in &tops {
            world.top().expect_of(top);
        }
        let [theirs, ours] = &tops;
        assert_same(theirs.interactive_port(), ours.interactive_port(), &[]);
        assert_same(theirs.xml_port(), ours.xml_port(), &["--xml"]);
    }
}

#[test]
fn scalable_off_on_top_has_what_the_middle_has_in_full_and_nothing_of_its_grid_below() {
    let name = "scalable_off_on_top_has_what_the_middle_has_in_full_and_nothing_of_its_grid_below";
    let with_c = available(&format!("{name}, with C gmetad in it"), &["gmetad"]);
    let makers = if with_c { &[Ours, C][..] } else { &[Ours] };
    let world = World::new();
    let gmonds = Gmonds::start(&world);
    let leaf = gmonds.leaf(Ours);
    for mid in makers {
        let mid = gmonds.mid(*mid, &leaf, "");
        for top in makers {
            let grid = Grid {
                // C gmetad leaves its own GRID around it.
                wrapped_as: (*top == C).then_some("Top"),
                clusters: vec![&world.middle, &world.near],
                below: None,
                elsewhere: &["/Mid", "/Leaf"],
            };
            grid.expect_of(&gmonds.top(*top, &mid, "scalable off"));
        }
    }
}
