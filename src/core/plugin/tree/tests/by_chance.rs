//! Changes of any kind, made by chance.

use super::*;

/// A small generator (xorshift64*), so that a failure names its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn name(&mut self) -> &'static str {
        const NAMES: [&str; 8] = ["h0", "h1", "load_one", "cpu_num", "GROUP", "a", "b", "c"];
        NAMES[self.below(NAMES.len())]
    }

    fn node(&mut self) -> NodeId {
        let at = self.below(12) as u32;
        let owner = match self.below(3) {
            0 => Owner::Sum(at),
            _ => Owner::Metric(at),
        };
        match self.below(7) {
            0 => NodeId::Top,
            1 | 2 => NodeId::Host(at / 2),
            3 => NodeId::Extra(owner, self.below(4) as u16),
            4 => NodeId::ExtraData(owner),
            _ => owner.node(),
        }
    }
}

/// One change of any kind; whether the tree could have it.
fn change(tree: &mut Tree<'_>, dice: &mut Dice) -> bool {
    const ATTRIBUTES: [&str; 10] = [
        "name", "val", "sum", "units", "tmax", "type", "tn", "ip", "mood", "status",
    ];
    let node = dice.node();
    let value = [dice.name(), "7", "down", "1.5", ""][dice.below(5)];
    let attribute = ATTRIBUTES[dice.below(ATTRIBUTES.len())];
    let kinds = [
        Kind::Host,
        Kind::Metric,
        Kind::Metrics,
        Kind::ExtraElement,
        Kind::ExtraData,
    ];
    match dice.below(5) {
        0 | 1 => tree.set(node, attribute, value).is_ok(),
        2 => {
            let value = dice.below(1000) as f64 / 8.0;
            tree.set_number(node, attribute, value).is_ok()
        }
        3 => {
            let given = [("name", dice.name()), (attribute, value)];
            let count = if attribute == "name" { 1 } else { 2 };
            let kind = kinds[dice.below(kinds.len())];
            tree.add(node, kind, &given[..count]).is_ok()
        }
        _ => tree.remove(node).is_ok(),
    }
}

/// That the arrays are as everybody else expects them.
fn assert_in_order(cluster: &Cluster) {
    let mut next = 0;
    for host in &cluster.hosts {
        assert_eq!(host.first_metric, next);
        next += host.metric_count;
        for metric in cluster.metrics_of(host) {
            assert!((metric.def() as usize) < cluster.defs.len());
        }
    }
    assert_eq!(next as usize, cluster.metrics.len());
    assert_eq!(cluster.by_name.len(), cluster.hosts.len());
    for (at, host) in cluster.hosts.iter().enumerate() {
        assert_eq!(cluster.find_host(&host.info.name), Some(at));
    }
}

#[test]
fn whatever_is_done_to_it_a_tree_stays_one() {
    let mut made = [0; 2];
    for seed in 1..=150 {
        let mut dice = Dice(seed);
        let mut rig = rig(3, 3);
        let stored = format!("{:?}", rig.stored());
        for _ in 0..4 {
            let mut tree = rig.tree();
            for _ in 0..dice.below(40) {
                made[usize::from(change(&mut tree, &mut dice))] += 1;
            }
            let before = shown(&tree);
            tree.finish();
            assert_in_order(rig.cluster());
            assert_eq!(shown(&rig.tree()), before, "seed {seed}");
        }
        assert_eq!(format!("{:?}", rig.stored()), stored, "seed {seed}");
    }
    assert!(made[0] > 2000 && made[1] > 2000, "{made:?}: some of both");
}
