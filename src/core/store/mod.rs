//! The newest state of every source: replaced in one step, expired, and shown.
//!
//! No I/O, no clock, no lock: the loop owns it. Readers get a [`Snapshot`].

mod bringers;
mod by_chance;
mod changes;
mod cycles;
mod echo;
mod expiry;
mod merge;
mod order;
mod partial;
mod rebuilt;
mod reserved;
mod rivals;
#[cfg(test)]
mod sharing;
mod show;
#[cfg(test)]
mod stepwise;
mod sums;
mod total;
mod union;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use self::bringers::Bringers;
use self::changes::Change;
pub use self::changes::Changed;
use self::echo::{Echo, Heard};
pub use self::reserved::{LeftOut, Reserved};
pub use self::rivals::Contest;
use self::rivals::Rivals;
use self::show::Show;
use self::total::Total;
use crate::ingest::{Document, ParseSettings, Parser, Previous};
use crate::model::{
    Cluster, DefTable, GridIdentity, Mono, Node, NodeList, Now, Rubbish, Snapshot, SourceClock,
    Stamp, Summary, Vocabulary, mark, mark_prefix,
};

pub use order::{SourceId, SourceOrder};

/// Most nodes of which a snapshot is made at once, when somebody asks for one. Tests reach it sooner.
const SHOWN_AT_ONCE: usize = if cfg!(test) { 256 } else { 2048 };

/// The state of one source.
#[derive(Debug, Default)]
struct Source {
    /// Those of its last good document.
    nodes: Arc<NodeList>,
    vocabularies: HashMap<Box<str>, Vocabulary>,
    /// Whether its last poll succeeded.
    up: bool,
    carry: Carry,
    clock: SourceClock,
    echo: Echo,
    /// What its last document brought that stays with others.
    contest: Option<Contest>,
    /// What was left out of its last document, as it is reserved for others.
    left_out: Option<LeftOut>,
}

impl Source {
    /// Its cluster or grid of that name.
    fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.find(name)
    }
}

/// Whether what the next document does not name is carried over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Carry {
    /// Yes.
    #[default]
    Over,
    /// No, from the next parser on: the names of hosts change with it.
    Nothing,
    /// No, and that parser is running.
    NothingBegun,
}

/// Owns every source.
#[derive(Debug)]
pub struct Store {
    identity: Arc<GridIdentity>,
    settings: Arc<ParseSettings>,
    table: DefTable,
    /// By id; entries of removed sources are empty.
    sources: Vec<Source>,
    /// Existing sources in the order they are shown.
    order: SourceOrder,
    /// Names that several sources bring. A tree: a table that grows is rebuilt in one go.
    rivals: BTreeMap<Box<str>, Rivals>,
    /// Of those, the merged clusters.
    shared: BTreeMap<Box<str>, Arc<Cluster>>,
    reserved: Reserved,
    run: u64,
    /// How this gmetad's marks begin, and the one of this run.
    marks: (Arc<str>, Arc<str>),
    summary: Arc<Summary>,
    /// Valid until something changes.
    snapshot: Option<Arc<Snapshot>>,
    /// Where there are many nodes: the last snapshot, shown until the next one is made.
    stale: Option<Arc<Snapshot>>,
    /// The next one, in the making.
    show: Option<Show>,
    /// The sums of everything, in the making.
    total: Option<Total>,
    /// Changes under way, in order.
    changes: VecDeque<Change>,
    /// Whether one of them has taken place and is not complete, where there are many nodes.
    is_settling: bool,
    bringers: Bringers,
    /// Nodes of all sources.
    node_count: usize,
    /// What is dropped step by step.
    rubbish: Rubbish,
}

impl Store {
    /// An empty store.
    pub fn new(identity: GridIdentity, settings: Arc<ParseSettings>) -> Store {
        Store {
            run: 0,
            marks: marks(&identity, 0),
            identity: Arc::new(identity),
            settings,
            table: DefTable::default(),
            sources: Vec::new(),
            order: SourceOrder::default(),
            rivals: BTreeMap::new(),
            shared: BTreeMap::new(),
            reserved: Reserved::default(),
            summary: Arc::default(),
            snapshot: None,
            stale: None,
            show: None,
            total: None,
            changes: VecDeque::new(),
            is_settling: false,
            bringers: Bringers::default(),
            node_count: 0,
            rubbish: Rubbish::default(),
        }
    }

    /// Does a small piece of what is done beside all else: makes the next snapshot where that takes
    /// long, and drops what is not needed any more. Returns whether there is more to do.
    pub fn tidy(&mut self) -> bool {
        const ENTRIES: usize = 128;
        if !self.is_settling
            && let Some(mut show) = self.show.take()
        {
            if self.show_some(&mut show, ENTRIES) {
                self.show = Some(show);
            } else {
                self.publish(show);
            }
            return true;
        }
        self.rubbish.step(ENTRIES) || self.table.sweep_some(ENTRIES)
    }

    /// Whether `tidy` has something to do.
    pub fn is_untidy(&self) -> bool {
        let is_making = self.show.is_some() && !self.is_settling;
        is_making || !self.rubbish.is_empty() || self.table.is_sweeping()
    }

    /// Drops a snapshot step by step, if nobody else holds it.
    pub fn discard(&mut self, snapshot: Arc<Snapshot>) {
        self.rubbish.add_snapshot(snapshot);
    }

    /// Drops a cluster or grid step by step, if nobody else holds it.
    pub fn discard_node(&mut self, node: Node) {
        self.rubbish.add_node(node);
    }

    /// Drops clusters and grids step by step, where nobody else holds them.
    pub fn discard_nodes(&mut self, nodes: Vec<Node>) {
        self.rubbish.add_nodes(nodes);
    }

    /// Something has changed: the snapshot is no longer valid. Where there are many nodes, it is shown
    /// until the next one is made.
    fn touch(&mut self) {
        let before = self.snapshot.take();
        if self.node_count <= SHOWN_AT_ONCE {
            for old in before.into_iter().chain(self.stale.take()) {
                self.rubbish.add_snapshot(old);
            }
            self.drop_show();
            return;
        }
        if let Some(before) = before
            && let Some(old) = self.stale.replace(before)
        {
            self.rubbish.add_snapshot(old);
        }
        match &mut self.show {
            // It may or may not have what has changed.
            Some(show) => show.again = true,
            None => self.show = Some(Show::of(self.node_count)),
        }
    }

    fn drop_show(&mut self) {
        if let Some(show) = self.show.take() {
            self.rubbish.add_nodes(show.nodes);
            self.rubbish.add_list(show.left);
        }
    }

    /// Shows a list of nodes that is complete.
    fn publish(&mut self, show: Show) -> Arc<Snapshot> {
        let snapshot = Arc::new(Snapshot {
            identity: Arc::clone(&self.identity),
            lower_case_hosts: self.settings.lower_case_hosts,
            nodes: show.nodes,
            index: show.index,
            summary: Arc::clone(&self.summary),
        });
        self.rubbish.add_list(show.left);
        if let Some(old) = self.stale.take() {
            self.rubbish.add_snapshot(old);
        }
        let old = self.snapshot.replace(Arc::clone(&snapshot));
        if let Some(old) = old {
            self.rubbish.add_snapshot(old);
        }
        if show.again {
            self.touch();
        }
        snapshot
    }

    /// Adds a source, last in order.
    pub fn add_source(&mut self) -> SourceId {
        let id = self.order.add();
        if id.0 == self.sources.len() {
            self.sources.push(Source::default());
        }
        id
    }

    /// Removes a source and its data. Its parser must have been given back. Changes under way are
    /// completed first.
    pub fn remove_source(&mut self, id: SourceId, now: Mono) {
        self.begin_removal(id, now);
        self.finish_changes();
    }

    /// The data of a source are gone, which is removed.
    fn drop_source(&mut self, id: SourceId) {
        let Source { vocabularies, .. } = std::mem::take(&mut self.sources[id.0]);
        self.rubbish.add_vocabularies(vocabularies);
        self.order.remove(id);
        self.begin_anew();
    }

    /// All sources in the order they are shown.
    pub fn sources(&self) -> &[SourceId] {
        self.order.ids()
    }

    /// Changes the order of the sources. `order` has each of them once. Changes under way are completed
    /// first.
    pub fn set_order(&mut self, order: Vec<SourceId>) {
        self.begin_order(order);
        self.finish_changes();
    }

    fn set_order_now(&mut self, order: Vec<SourceId>) {
        self.order.set(order);
        self.begin_anew();
    }

    /// Changes the root grid.
    pub fn set_identity(&mut self, identity: GridIdentity) {
        self.identity = Arc::new(identity);
        self.set_run(self.run);
        self.touch();
    }

    /// Changes how documents are read, from each source's next one on. If that changes the names of
    /// hosts, hosts are not carried over into it.
    pub fn set_settings(&mut self, settings: Arc<ParseSettings>) {
        if settings.lower_case_hosts != self.settings.lower_case_hosts {
            for source in &mut self.sources {
                source.carry = Carry::Nothing;
            }
        }
        self.settings = settings;
        self.touch();
    }

    /// Changes which sources alone may bring which names, from each source's next document on.
    pub fn set_reserved(&mut self, reserved: Reserved) {
        self.reserved = reserved;
    }

    /// The definitions that all sources share. A parser needs them for every `feed`.
    pub fn table(&mut self) -> &mut DefTable {
        &mut self.table
    }

    /// The nodes of the source's last good document.
    pub fn nodes_of(&self, id: SourceId) -> &[Node] {
        self.sources[id.0].nodes.nodes()
    }

    /// When the values of its last good document are of, node by node. `now` is when it arrived.
    pub fn stamps_of(&self, id: SourceId, now: Now) -> Vec<Stamp> {
        let nodes = self.nodes_of(id).iter();
        nodes.map(|node| self.stamp(id, node, now)).collect()
    }

    /// What the source's last good document brought that stays with others.
    pub fn contest_of(&self, id: SourceId) -> Option<&Contest> {
        self.sources[id.0].contest.as_ref()
    }

    /// What was left out of the source's last good document, as it is reserved for others.
    pub fn left_out_of(&self, id: SourceId) -> Option<&LeftOut> {
        self.sources[id.0].left_out.as_ref()
    }

    /// A parser for the source's next document, once the change by its last one is complete. It ends
    /// with `commit` or `abort`.
    pub fn begin(&mut self, id: SourceId) -> Parser {
        let source = &mut self.sources[id.0];
        let nodes = match source.carry {
            Carry::Over => Arc::clone(&source.nodes),
            Carry::Nothing | Carry::NothingBegun => {
                source.carry = Carry::NothingBegun;
                Arc::default()
            }
        };
        let previous = Previous {
            nodes,
            vocabularies: std::mem::take(&mut source.vocabularies),
            circle: source.echo.circle(),
            marks: Some((Arc::clone(&self.marks.0), Arc::clone(&self.marks.1))),
        };
        Parser::new(Arc::clone(&self.settings), previous)
    }

    /// Rejects a document. What was known before it is kept for the next one.
    pub fn abort(&mut self, id: SourceId, parser: Parser) {
        self.begin_abort(id, parser);
        self.finish_changes();
    }

    /// Replaces the source's data in one step. Returns the new nodes as they are shown: a cluster that
    /// other sources bring too also has their hosts, which are not fresh.
    pub fn commit(&mut self, id: SourceId, document: Document, now: Now) -> Vec<Node> {
        self.begin_commit(id, document, now);
        let changed = self.finish_changes();
        let nodes = changed.map(|it| it.nodes).unwrap_or_default();
        nodes.into_iter().map(|(node, _)| node).collect()
    }

    /// Marks the grids of a document that may hold this gmetad's own sums, without anybody saying so.
    fn mark(&mut self, id: SourceId, document: &mut Document) {
        let hosts = |it: &Summary| u64::from(it.hosts_up) + u64::from(it.hosts_down);
        let grids = document.nodes.iter_mut().filter_map(|node| match node {
            Node::Grid(grid) => Some(grid),
            Node::Cluster(_) => None,
        });
        let own = self.identity.id();
        let source = &mut self.sources[id.0];
        let before = source.nodes.nodes().iter().map(|node| match node {
            Node::Grid(grid) => hosts(&grid.summary),
            Node::Cluster(_) => 0,
        });
        let others = hosts(&self.summary).saturating_sub(before.sum());
        let about = Heard {
            inner_hosts: document.inner_hosts,
            returned_hosts: document.returned_hosts,
            marked: document.marked.take(),
            total: hosts(&self.summary),
            others,
        };
        let was = source.echo.circle().is_some();
        let is_marked = source.echo.note(about, own);
        let is_over = was && source.echo.circle().is_none();
        if is_marked {
            grids.for_each(|grid| Arc::make_mut(grid).mark = Some(Arc::clone(&self.marks.1)));
        }
        if is_over {
            // The old mark proves nothing any more: C gmetads hand it on for ever.
            self.set_run(self.run.wrapping_add(1));
        }
    }

    /// Sets by what this run's marks differ from those of others.
    pub fn set_run(&mut self, run: u64) {
        self.run = run;
        self.marks = marks(&self.identity, run);
    }

    /// Whether several sources bring that name, or did.
    fn is_shared(&self, name: &str) -> bool {
        self.bringers.may_be_several(name) || self.rivals.contains_key(name)
    }

    /// Marks the source down. Its data stays and ages. In clusters that others bring too, its hosts are
    /// no longer summed.
    pub fn fail(&mut self, id: SourceId, now: Now) {
        self.begin_fail(id, now);
        self.finish_changes();
    }

    /// Whether the source's last poll succeeded.
    pub fn is_up(&self, id: SourceId) -> bool {
        self.sources[id.0].up
    }

    /// Computes the sums over all sources that are up.
    pub fn summarize(&mut self) -> Arc<Summary> {
        self.settle();
        self.begin_summary();
        loop {
            if let Some(summary) = self.summarize_some(usize::MAX) {
                return summary;
            }
        }
    }

    /// Begins to compute the sums over all sources that are up.
    pub fn begin_summary(&mut self) {
        if let Some(old) = self.total.replace(Total::default()) {
            old.discard(&mut self.rubbish);
        }
    }

    /// Goes on with it by about so many sums. Returns the sums of everything once they are there, and
    /// `None` where none were begun.
    pub fn summarize_some(&mut self, budget: usize) -> Option<Arc<Summary>> {
        if self.is_settling {
            return None;
        }
        let mut total = self.total.take()?;
        if self.sum_some(&mut total, budget) {
            self.total = Some(total);
            return None;
        }
        let total = Arc::new(total.finish(&mut self.rubbish));
        let old = std::mem::replace(&mut self.summary, total);
        if let Some(old) = Arc::into_inner(old) {
            self.rubbish.add_summary(old);
        }
        self.touch();
        Some(Arc::clone(&self.summary))
    }

    /// Whether sums are being computed.
    pub fn is_summing(&self) -> bool {
        self.total.is_some()
    }

    /// Whether `summarize_some` has something to do: not while a change is half in its place.
    pub fn may_sum(&self) -> bool {
        self.total.is_some() && !self.is_settling
    }

    /// The order of the sources has changed: what goes through them begins anew.
    fn begin_anew(&mut self) {
        if self.total.is_some() {
            self.begin_summary();
        }
        self.drop_show();
        self.touch();
    }

    /// Drops hosts and metrics of the source whose DMAX has passed. Returns whether there were any.
    pub fn expire(&mut self, id: SourceId, now: Mono) -> bool {
        let now = Now {
            mono: now,
            ..Now::default()
        };
        self.begin_expiry(id, now);
        self.finish_changes().is_some_and(|it| it.has_changed)
    }

    /// A snapshot of all data. Where there are many nodes, it may be one from shortly before.
    pub fn snapshot(&mut self) -> Arc<Snapshot> {
        if let Some(snapshot) = &self.snapshot {
            return Arc::clone(snapshot);
        }
        if let Some(stale) = &self.stale {
            return Arc::clone(stale);
        }
        self.settle();
        let mut show = self.show.take().unwrap_or_default();
        while self.show_some(&mut show, usize::MAX) {}
        self.publish(show)
    }

    /// All nodes in the order of the sources, each name once.
    #[cfg(test)]
    fn shown(&mut self) -> Vec<Node> {
        self.snapshot().nodes.clone()
    }
}

/// How the marks of a gmetad begin, and the one of that run.
fn marks(identity: &GridIdentity, run: u64) -> (Arc<str>, Arc<str>) {
    let id = identity.id();
    (mark_prefix(id).into(), mark(id, run).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ShownHost;

    pub(super) struct Bench {
        pub(super) store: Store,
        pub(super) now: Now,
    }

    impl Bench {
        pub(super) fn new(sources: usize) -> Bench {
            let identity = GridIdentity {
                name: "Top".into(),
                scalable: true,
                ..Default::default()
            };
            let mut store = Store::new(identity, Arc::default());
            for _ in 0..sources {
                store.add_source();
            }
            Bench {
                store,
                now: Now {
                    mono: Mono(1_000_000),
                    epoch: 1_700_000_000,
                },
            }
        }

        pub(super) fn later(&mut self, secs: u64) {
            self.now.mono.0 += secs * 1000;
        }

        /// Source `id` sends a cluster with hosts that have one metric of that value each.
        pub(super) fn poll(
            &mut self,
            id: usize,
            cluster: &str,
            hosts: &[(&str, &str)],
        ) -> Vec<Node> {
            let host = |(name, val): &(&str, &str)| {
                format!(
                    "<HOST NAME=\"{name}\" TN=\"1\" TMAX=\"20\" DMAX=\"100\">\
                     <METRIC NAME=\"m\" VAL=\"{val}\" TYPE=\"float\"/></HOST>"
                )
            };
            let hosts = hosts.iter().map(host).collect::<Vec<_>>().concat();
            let xml = format!(
                "<CLUSTER NAME=\"{cluster}\" LOCALTIME=\"1\" OWNER=\"of {id}\">{hosts}</CLUSTER>"
            );
            self.read(id, &xml)
        }

        /// Source `id` sends these clusters and grids.
        pub(super) fn read(&mut self, id: usize, nodes: &str) -> Vec<Node> {
            let xml = format!("<GANGLIA_XML>{nodes}</GANGLIA_XML>");
            let id = SourceId(id);
            let mut parser = self.store.begin(id);
            parser
                .feed(xml.as_bytes(), self.now.mono, self.store.table())
                .unwrap();
            let document = parser.finish(self.now.mono).unwrap();
            self.store.commit(id, document, self.now)
        }

        /// Names and values of a cluster as it is shown.
        pub(super) fn shown(&mut self, name: &str) -> Vec<String> {
            let snapshot = self.store.snapshot();
            let Some(Node::Cluster(cluster)) = snapshot.node(name) else {
                return Vec::new();
            };
            let host = |host: ShownHost<'_>| {
                let metric = &host.values()[0];
                format!("{}={}", host.info.name, metric.val.as_str())
            };
            cluster.all_hosts().map(host).collect()
        }
    }

    #[test]
    fn data_changes_only_when_a_document_has_ended_well() {
        let mut bench = Bench::new(1);
        bench.poll(0, "c", &[("a", "1")]);
        let before = bench.store.snapshot();
        let mut parser = bench.store.begin(SourceId(0));
        parser
            .feed(
                b"<GANGLIA_XML><CLUSTER NAME=\"c\"><HOST NAME=\"b\">",
                bench.now.mono,
                bench.store.table(),
            )
            .unwrap();
        assert!(
            Arc::ptr_eq(&before, &bench.store.snapshot()),
            "nothing is seen of half a document"
        );
        bench.store.abort(SourceId(0), parser);
        bench.store.fail(SourceId(0), bench.now);
        assert_eq!(bench.shown("c"), ["a=1"]);
        bench.poll(0, "c", &[("a", "2")]);
        assert_eq!(bench.shown("c"), ["a=2"]);
        let Some(Node::Cluster(old)) = before.node("c") else {
            panic!()
        };
        assert_eq!(
            old.metrics[0].val.as_str(),
            "1",
            "a reader keeps its moment"
        );
    }

    #[test]
    fn a_source_that_is_down_is_shown_and_not_summed() {
        let mut bench = Bench::new(2);
        bench.poll(0, "one", &[("a", "1")]);
        bench.poll(1, "two", &[("b", "2")]);
        assert_eq!(bench.store.summarize().metric("m").unwrap().text(), "3");
        bench.store.fail(SourceId(0), bench.now);
        let total = bench.store.summarize();
        assert_eq!(
            (total.metric("m").unwrap().text().as_str(), total.hosts_up),
            ("2", 1)
        );
        assert_eq!(bench.shown("one"), ["a=1"]);
        bench.poll(0, "one", &[("a", "1")]);
        assert_eq!(bench.store.summarize().hosts_up, 2);
    }

    #[test]
    fn what_is_past_its_dmax_is_swept() {
        let mut bench = Bench::new(1);
        bench.poll(0, "c", &[("a", "1"), ("b", "2")]);
        bench.later(50);
        bench.poll(0, "c", &[("b", "2")]);
        bench.later(50);
        assert!(bench.store.expire(SourceId(0), bench.now.mono));
        assert_eq!(bench.shown("c"), ["b=2"]);
        assert!(!bench.store.expire(SourceId(0), bench.now.mono));
        bench.poll(0, "c", &[("b", "3")]);
        assert_eq!(bench.shown("c"), ["b=3"]);
        bench.later(100);
        assert!(bench.store.expire(SourceId(0), bench.now.mono));
        assert!(bench.shown("c").is_empty());
    }

    #[test]
    fn a_new_source_has_nothing_of_the_one_whose_number_it_takes() {
        let mut bench = Bench::new(2);
        bench.poll(0, "c", &[("a", "1")]);
        bench.poll(1, "d", &[("b", "2")]);
        bench.store.remove_source(SourceId(0), bench.now.mono);
        let id = bench.store.add_source();
        assert!(bench.store.nodes_of(id).is_empty() && !bench.store.is_up(id));
        bench.poll(id.0, "c", &[("new", "3")]);
        assert_eq!(bench.shown("c"), ["new=3"]);
        assert_eq!(bench.shown("d"), ["b=2"]);
        assert_eq!(bench.store.sources(), [SourceId(1), id], "it is the last");
    }

    #[test]
    fn sources_are_removed_and_ordered_in_steps_behind_what_is_under_way() {
        let mut bench = Bench::new(3);
        for (id, host) in ["a", "b", "c"].into_iter().enumerate() {
            bench.poll(id, "shared", &[(host, "1")]);
        }
        let failing = SourceId(1);
        bench.store.begin_fail(failing, bench.now);
        bench.store.begin_removal(SourceId(0), bench.now.mono);
        bench.store.begin_order(vec![SourceId(2), SourceId(1)]);
        let added = bench.store.add_source();
        assert_eq!(
            added,
            SourceId(3),
            "the number of the removed one is in use"
        );
        let mut shown = vec![bench.shown("shared")];
        let mut steps = 0;
        while bench.store.is_changing() {
            bench.store.change_some(1);
            steps += 1;
            let now = bench.shown("shared");
            if shown.last() != Some(&now) {
                shown.push(now);
            }
        }
        assert!(steps > 10, "{steps}");
        let hosts = |of: &str| -> Vec<String> { of.chars().map(|it| format!("{it}=1")).collect() };
        assert_eq!(shown, [hosts("abc"), hosts("bc")]);
        let left = [SourceId(2), SourceId(1), added];
        assert_eq!(bench.store.sources(), left, "the new one is last");
        assert_eq!(bench.store.add_source(), SourceId(0));
    }

    #[test]
    fn sources_are_shown_in_the_order_that_was_set() {
        let mut bench = Bench::new(2);
        bench.poll(0, "one", &[("a", "1")]);
        bench.poll(1, "two", &[("b", "2")]);
        bench.store.set_order(vec![SourceId(1), SourceId(0)]);
        let snapshot = bench.store.snapshot();
        let names: Vec<&str> = snapshot.nodes.iter().map(Node::name).collect();
        assert_eq!(names, ["two", "one"]);
    }

    #[test]
    fn hosts_that_are_named_otherwise_from_now_on_leave_no_ghosts() {
        let mut bench = Bench::new(1);
        bench.poll(0, "c", &[("Web", "1"), ("gone", "1")]);
        bench.poll(0, "c", &[("Web", "2")]);
        assert_eq!(bench.shown("c"), ["Web=2", "gone=1"], "carried over");
        // A document that has begun keeps its settings.
        let mut under_way = bench.store.begin(SourceId(0));
        let lower = ParseSettings {
            lower_case_hosts: true,
            ..ParseSettings::default()
        };
        bench.store.set_settings(Arc::new(lower));
        let xml = b"<GANGLIA_XML><CLUSTER NAME=\"c\"><HOST NAME=\"Web\" TN=\"1\" TMAX=\"20\">\
                    <METRIC NAME=\"m\" VAL=\"3\" TYPE=\"float\"/></HOST></CLUSTER></GANGLIA_XML>";
        under_way
            .feed(xml, bench.now.mono, bench.store.table())
            .unwrap();
        let document = under_way.finish(bench.now.mono).unwrap();
        bench.store.commit(SourceId(0), document, bench.now);
        assert_eq!(bench.shown("c"), ["Web=3", "gone=1"]);
        // A rejected document does not count as the first with the new settings.
        let parser = bench.store.begin(SourceId(0));
        bench.store.abort(SourceId(0), parser);
        bench.poll(0, "c", &[("Web", "4")]);
        assert_eq!(bench.shown("c"), ["web=4"]);
        bench.poll(0, "c", &[("Other", "5")]);
        assert_eq!(bench.shown("c"), ["other=5", "web=4"], "carried over again");
    }
}
