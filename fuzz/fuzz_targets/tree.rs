//! Any changes that a plugin makes to its tree leave an ordinary cluster, and the store's own as it was.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use gmetad_core::model::{DefTable, GridIdentity, Mono, Node, Now};
use gmetad_core::plugin::tree::{Invented, Kind, NodeId, Owner, Tree};
use gmetad_core::plugin::{Stamp, Update};
use gmetad_core::store::Store;
use libfuzzer_sys::fuzz_target;

static NODE: LazyLock<Node> = LazyLock::new(|| {
    let xml = include_bytes!("../../tests/data/gmond/gmond-hostile.xml");
    let mut store = Store::new(GridIdentity::default(), Default::default());
    let id = store.add_source();
    let mut parser = store.begin(id);
    parser
        .feed(xml, Mono(0), store.table())
        .expect("the capture can be read");
    let document = parser.finish(Mono(0)).expect("the capture is whole");
    let mut nodes = store.commit(id, document, Now::default());
    nodes.truncate(1);
    nodes.pop().expect("it has a cluster")
});

const KINDS: [Kind; 5] = [
    Kind::Host,
    Kind::Metric,
    Kind::Metrics,
    Kind::ExtraData,
    Kind::ExtraElement,
];

const NAMES: [&str; 16] = [
    "name",
    "val",
    "type",
    "units",
    "slope",
    "tn",
    "tmax",
    "dmax",
    "source",
    "ip",
    "reported",
    "sum",
    "num",
    "location",
    "localtime",
    "mine",
];

/// Bytes as decisions.
struct Deeds<'a>(&'a [u8]);

impl Deeds<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn node(&mut self) -> Option<NodeId> {
        let (kind, at) = (self.byte()?, u32::from(self.byte()?));
        let owner = if at.is_multiple_of(2) {
            Owner::Metric(at / 2)
        } else {
            Owner::Sum(at / 2)
        };
        Some(match kind % 6 {
            0 => NodeId::Top,
            1 => NodeId::Host(at),
            2 => NodeId::Metric(at),
            3 => NodeId::Sum(at),
            4 => NodeId::ExtraData(owner),
            _ => NodeId::Extra(owner, u16::from(kind / 6)),
        })
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(self.byte()?) % 12;
        let length = length.min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

/// Walks all of it, as the next plugin does.
fn walk(tree: &Tree<'_>, node: NodeId, depth: usize) -> usize {
    assert!(depth < 6, "no tree is deeper");
    let mut count = 1;
    for name in NAMES {
        let _ = tree.attribute(node, name).expect("it is there");
    }
    let mut child = tree.first(node).expect("it is there");
    while let Some(at) = child {
        assert_eq!(tree.parent(at), Ok(Some(node)));
        count += walk(tree, at, depth + 1);
        child = tree.next(at).expect("it is there");
    }
    count
}

fn change(tree: &mut Tree<'_>, deeds: &mut Deeds<'_>) -> Option<()> {
    let node = deeds.node()?;
    let which = deeds.byte()?;
    let name = NAMES[usize::from(which >> 3) % NAMES.len()];
    match which & 7 {
        0 | 1 => {
            let value = deeds.text()?;
            let _ = tree.set(node, name, &value);
        }
        2 => {
            let value = f64::from_bits(u64::from(deeds.byte()?) << 55);
            let _ = tree.set_number(node, name, value);
        }
        3 => {
            let _ = tree.set_value(node, f64::from(deeds.byte()?));
        }
        4 | 5 => {
            let kind = KINDS[usize::from(deeds.byte()?) % KINDS.len()];
            let (name_of_it, value) = (deeds.text()?, deeds.text()?);
            let _ = tree.add(node, kind, &[("name", &name_of_it), (name, &value)]);
        }
        6 => {
            let _ = tree.remove(node);
        }
        _ => {
            let key = deeds.text()?;
            let _ = tree.find(node, &key);
        }
    }
    Some(())
}

fuzz_target!(|input: &[u8]| {
    let now = Now::default();
    // All of it as text is slow, so not each time.
    let before = (input.first() == Some(&0)).then(|| format!("{:?}", *NODE));
    let mut update = Update {
        source: "s".into(),
        interval: Duration::from_secs(15),
        up: true,
        stamp: Stamp::of(&NODE, now),
        node: NODE.clone(),
        now,
        invented: Invented::default(),
    };
    let mut table = DefTable::default();
    let mut deeds = Deeds(input);
    // Two plugins, one after the other.
    for _ in 0..2 {
        let mut tree = Tree::of_update(&mut update, &mut table);
        for _ in 0..64 {
            if change(&mut tree, &mut deeds).is_none() {
                break;
            }
        }
        walk(&tree, NodeId::Top, 0);
        tree.finish();
    }
    let Node::Cluster(cluster) = &update.node else {
        panic!("it stays a cluster");
    };
    for host in &cluster.hosts {
        for metric in cluster.metrics_of(host) {
            assert!((metric.def() as usize) < cluster.defs.len());
        }
        assert!(cluster.find_host(&host.info.name).is_some());
    }
    assert_eq!(cluster.by_name.len(), cluster.hosts.len());
    if let Some(before) = before {
        assert_eq!(
            format!("{:?}", *NODE),
            before,
            "the store's own is as it was"
        );
    }
});
