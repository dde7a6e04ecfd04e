//! What a document's tags mean: one tag at a time into clusters, grids, hosts and metrics.
//!
//! Does not cut tags out of bytes: `parse` does. Every tag goes through quick-xml.
// Numbers from outside meet here: whatever they are, nothing overflows.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod grids;

use std::sync::Arc;

use quick_xml::events::{BytesStart, Event};

use grids::{Below, SUMS_AT_ONCE, discard};

use super::build::{Carrying, ClusterBuilder};
use super::document::{Document, ParseError, Previous};
use super::drafts::{GridDraft, MetricDraft, cluster_head, host_head, numbers_of_hosts};
use super::fast::{self, FastHost};
use super::nodes::{Abandoned, Nodes, NodesEnding};
use super::scan::Husk;
use super::settings::ParseSettings;
use crate::model::latin1::from_latin1;
use crate::model::{
    Contributors, DefTable, Mono, Node, Number, SmallText, SummaryBuilder, id_of, parse_number,
};

/// The share of the limit on names that may be carried over into a document that lacks them.
///
/// The rest is for the document's own names, and for as many that are known but unused before they
/// are dropped.
const CARRIED_NAMES_SHARE: usize = 4;

/// Values carried over into a host before anything else is done.
const VALUES_AT_ONCE: usize = 1024;

/// An open element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    GangliaXml,
    /// A grid below; its draft is on the stack of grids.
    Grid,
    /// A GRID tag that is ignored: its clusters are our own.
    PlainGrid,
    Cluster,
    Host,
    Metric,
    Metrics,
    /// HOSTS, EXTRA_DATA or EXTRA_ELEMENT: nothing to do at the end.
    Leaf,
    /// An element that Ganglia does not have, or does not have here.
    Unknown,
}

/// The elements of one document, read so far.
#[derive(Debug)]
pub(super) struct Elements {
    settings: Arc<ParseSettings>,
    document: Document,
    scopes: Vec<Scope>,
    /// See [`Previous`].
    circle: Option<Box<str>>,
    marks: Option<(Arc<str>, Arc<str>)>,
    nodes: Nodes,
    grids: Vec<GridDraft>,
    cluster: Option<ClusterBuilder>,
    hosts: usize,
    draft: MetricDraft,
    /// Offset in the document of the current tag.
    offset: u64,
    now: Mono,
    has_begun: bool,
    has_ended: bool,
    /// Sums from inside a grid that are being added to it. No tag is read until they are.
    below: Option<Below>,
    /// Values that are being carried over into the host that was closed. No tag is read until they are.
    carrying: Option<Carrying>,
    /// The end of the document, being worked off.
    ending: Option<NodesEnding>,
    /// Rejected because a limit was exceeded.
    over_limit: bool,
}

impl Elements {
    pub fn new(settings: Arc<ParseSettings>, mut previous: Previous) -> Elements {
        Elements {
            settings,
            document: Document::default(),
            scopes: Vec::new(),
            circle: previous.circle.take(),
            marks: previous.marks.take(),
            nodes: Nodes::new(previous),
            grids: Vec::new(),
            cluster: None,
            hosts: 0,
            draft: MetricDraft::default(),
            offset: 0,
            now: Mono::default(),
            has_begun: false,
            has_ended: false,
            below: None,
            carrying: None,
            ending: None,
            over_limit: false,
        }
    }

    pub fn set_now(&mut self, now: Mono) {
        self.now = now;
    }

    /// Tells it where in the document the next tag starts.
    pub fn set_offset(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Counts a malformed place that was recovered.
    pub fn note_damage(&mut self) {
        self.document.damage = self.document.damage.saturating_add(1);
    }

    /// Whether the root element was opened.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether the root element was closed.
    #[inline]
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The cluster of the host whose METRICs come next, if a host is open.
    #[inline]
    pub fn cluster_of_open_host(&mut self) -> Option<&mut ClusterBuilder> {
        match self.scopes.last() {
            Some(Scope::Host) => self.cluster.as_mut(),
            _ => None,
        }
    }

    /// Whether work has to be done before the next tag can be read.
    #[inline]
    pub fn is_busy(&self) -> bool {
        self.below.is_some() || self.carrying.is_some()
    }

    /// Goes on with it, by about so many values or sums.
    pub fn go_on(&mut self, mut budget: usize) {
        self.carry_on(&mut budget);
        self.go_on_below(budget);
    }

    fn carry_on(&mut self, budget: &mut usize) {
        if let Some(mut carrying) = self.carrying.take()
            && let Some(cluster) = &mut self.cluster
            && cluster.carry_some(&mut carrying, budget)
        {
            self.carrying = Some(carrying);
        }
    }

    /// Checks the memory of what was read against its limit.
    pub fn check_memory(&mut self) -> Result<(), ParseError> {
        let limit = self.settings.limits.bytes;
        self.check("the memory for what was read", self.bytes(), limit)
    }

    /// Approximate memory of what was read.
    fn bytes(&self) -> usize {
        let others = [
            self.ending.as_ref().map_or(0, NodesEnding::bytes),
            self.cluster.as_ref().map_or(0, ClusterBuilder::bytes),
        ];
        let grids = self.grids.iter().map(GridDraft::bytes);
        let all = others.into_iter().chain(grids);
        all.fold(self.nodes.bytes(), usize::saturating_add)
    }

    /// The document, which has ended, of that length.
    pub fn into_document(mut self, bytes: u64, now: Mono) -> Document {
        self.document.bytes = bytes;
        for node in &mut self.document.nodes {
            // Made by this parser and not shared yet, so `get_mut` succeeds.
            match node {
                Node::Cluster(cluster) => {
                    if let Some(cluster) = Arc::get_mut(cluster) {
                        cluster.received = now;
                    }
                }
                Node::Grid(grid) => {
                    if let Some(grid) = Arc::get_mut(grid) {
                        grid.received = now;
                    }
                }
            }
        }
        self.document
    }

    /// Gives the document up. What was known before it is kept, but not after an exceeded limit.
    pub fn abandon(mut self) -> Abandoned {
        let mut rubbish = self.document.rubbish;
        rubbish.add_nodes(self.document.nodes);
        for grid in &mut self.grids {
            for sums in [&mut grid.own, &mut grid.below] {
                discard(std::mem::take(sums), &mut rubbish);
            }
        }
        if let Some(ending) = self.ending {
            return ending.abandon(rubbish);
        }
        match self.below {
            Some(Below::Cluster { builder, .. }) => self.cluster = Some(*builder),
            Some(Below::Sums { summary, .. }) => rubbish.add_summary(summary),
            None => {}
        }
        let open = self.cluster.take().map(|cluster| {
            let outermost = self.grids.first();
            let name = outermost.map_or(cluster.name(), |grid| grid.name.as_str());
            (name.into(), cluster)
        });
        self.nodes.abandon(open, !self.over_limit, rubbish)
    }

    /// Reads one tag, from `<` to `>`.
    pub fn tag(&mut self, bytes: &[u8], table: &mut DefTable) -> Result<(), ParseError> {
        let text = from_latin1(bytes);
        let mut reader = quick_xml::Reader::from_str(&text);
        // The reader sees one tag at a time, so ends are matched with starts in `end`.
        reader.config_mut().check_end_names = false;
        reader.config_mut().allow_unmatched_ends = true;
        let event = reader.read_event().map_err(|err| ParseError::Markup {
            at: self.offset,
            why: err.to_string(),
        })?;
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::Empty(tag) => {
                self.start(&tag)?;
                self.end(tag.name().0, table)
            }
            Event::End(tag) => self.end(tag.name().0, table),
            Event::Comment(text) => {
                self.comment(&text);
                Ok(())
            }
            // Prolog, processing instructions and CDATA have no meaning here.
            _ => Ok(()),
        }
    }

    /// Reads a tag that is too large. Its element is left out, with all that is inside.
    pub fn too_large(&mut self, husk: &Husk, table: &mut DefTable) -> Result<(), ParseError> {
        let (Husk::Start(name) | Husk::Empty(name) | Husk::End(name)) = husk else {
            return Ok(());
        };
        let name = from_latin1(name);
        self.note_damage();
        if !matches!(husk, Husk::End(_)) && self.enter(&name)? {
            self.scopes.push(Scope::Unknown);
        }
        if matches!(husk, Husk::Start(_)) {
            return Ok(());
        }
        self.end(&name, table)
    }

    /// Checks that an element of that name may come here. Returns false if it is the root, which is
    /// open then.
    fn enter(&mut self, name: &str) -> Result<bool, ParseError> {
        if !self.has_begun {
            if name != "GANGLIA_XML" {
                let short = name.chars().take(64).collect();
                return Err(ParseError::NotGanglia(short));
            }
            self.has_begun = true;
            self.scopes.push(Scope::GangliaXml);
            return Ok(false);
        }
        let limit = self.settings.limits.depth;
        if self.scopes.len() >= limit {
            return Err(self.limit("the nesting of elements", limit as u64));
        }
        Ok(true)
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), ParseError> {
        let name = tag.name().0;
        if !self.enter(name)? {
            return Ok(());
        }
        let inside = *self.scopes.last().unwrap_or(&Scope::Unknown);
        let scope = match (inside, name) {
            (Scope::GangliaXml | Scope::Grid | Scope::PlainGrid, "GRID") => self.start_grid(tag),
            (Scope::GangliaXml | Scope::Grid | Scope::PlainGrid, "CLUSTER") => {
                self.start_cluster(tag)?
            }
            (Scope::Cluster, "HOST") => self.start_host(tag)?,
            (Scope::Host, "METRIC") => self.start_metric(tag),
            (Scope::Metric | Scope::Metrics, "EXTRA_DATA") => Scope::Leaf,
            (Scope::Leaf, "EXTRA_ELEMENT") => self.extra_element(tag),
            (Scope::Grid | Scope::Cluster, "HOSTS") => self.hosts(tag),
            (Scope::Grid | Scope::Cluster, "METRICS") => self.start_metric_sum(tag),
            // An ignored grid's sums repeat those of its clusters.
            (Scope::PlainGrid, "HOSTS" | "METRICS") | (Scope::Unknown, _) => Scope::Unknown,
            _ => {
                self.note_damage();
                Scope::Unknown
            }
        };
        self.scopes.push(scope);
        Ok(())
    }

    fn end(&mut self, name: &str, table: &mut DefTable) -> Result<(), ParseError> {
        let scope = self.scopes.pop();
        let expected = match scope {
            Some(Scope::GangliaXml) => "GANGLIA_XML",
            Some(Scope::Grid | Scope::PlainGrid) => "GRID",
            Some(Scope::Cluster) => "CLUSTER",
            Some(Scope::Host) => "HOST",
            Some(Scope::Metric) => "METRIC",
            Some(Scope::Metrics) => "METRICS",
            Some(Scope::Leaf | Scope::Unknown) => name,
            None => "",
        };
        if name != expected {
            let name: String = name.chars().take(64).collect();
            let why = format!("found </{name}> where </{expected}> was expected");
            return Err(ParseError::Markup {
                at: self.offset,
                why,
            });
        }
        match scope {
            Some(Scope::GangliaXml) => self.end_root(),
            Some(Scope::Grid) => self.end_grid()?,
            Some(Scope::Cluster) => self.end_cluster(),
            Some(Scope::Host) => self.end_host(),
            Some(Scope::Metric) => self.end_metric(table)?,
            Some(Scope::Metrics) => self.end_metric_sum(table)?,
            _ => {}
        }
        Ok(())
    }

    fn end_root(&mut self) {
        self.ending = Some(self.nodes.end(self.now));
        self.has_ended = true;
    }

    /// Whether the end of the document, which is there, is not worked off.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Works on the end of the document, by about so many values.
    pub fn work(&mut self, budget: usize) {
        let Some(ending) = &mut self.ending else {
            return;
        };
        if ending.step(budget) {
            return;
        }
        let Some(ending) = self.ending.take() else {
            return;
        };
        let finished = ending.finish();
        self.document.nodes = finished.nodes;
        self.document.vocabularies = finished.vocabularies;
        self.document.damage = self.document.damage.saturating_add(finished.damage);
        self.document.metrics = finished.received;
        self.document.rubbish.append(finished.rubbish);
    }

    /// Checks the limit for one more cluster or grid. A repeated name takes no room and is damage.
    fn check_room_for_node(&mut self, name: &str) -> Result<(), ParseError> {
        if self.nodes.has(name) {
            self.note_damage();
            return Ok(());
        }
        let limit = self.settings.limits.nodes;
        self.check(
            "the number of clusters and grids",
            self.nodes.len().saturating_add(1),
            limit,
        )
    }

    fn start_cluster(&mut self, tag: &BytesStart<'_>) -> Result<Scope, ParseError> {
        let head = cluster_head(tag, &mut self.document.damage);
        let filter = Arc::clone(&self.settings.filter);
        let names = self.settings.limits.names;
        let rubbish = &mut self.document.rubbish;
        if let Some(grid) = self.grids.first() {
            self.nodes.forget_above(names, &grid.name, rubbish);
            // Clusters inside a grid below are only summed, one after the other.
            self.cluster = Some(self.nodes.open_below(&grid.name, head, filter));
            return Ok(Scope::Cluster);
        }
        self.nodes.forget_above(names, &head.name, rubbish);
        self.check_room_for_node(&head.name)?;
        self.cluster = self.nodes.open(head, filter);
        let names = names / CARRIED_NAMES_SHARE;
        Ok(match &mut self.cluster {
            Some(cluster) => {
                cluster.carry_at_most(names);
                Scope::Cluster
            }
            None => Scope::Unknown,
        })
    }

    fn end_cluster(&mut self) {
        let Some(cluster) = self.cluster.take() else {
            return;
        };
        let outermost = self.grids.first().map(|grid| grid.name.as_str().into());
        match outermost {
            Some(outermost) => {
                let builder = Box::new(cluster);
                self.below = Some(Below::Cluster { outermost, builder });
                self.go_on_below(SUMS_AT_ONCE);
            }
            None => self.nodes.close(cluster),
        }
    }

    /// Reads the HOST tag or its end at the start of `bytes`, at that offset, if it is of the host that is
    /// expected. Returns its length.
    pub fn fast_host(&mut self, bytes: &[u8], offset: u64) -> Result<Option<usize>, ParseError> {
        const END: &[u8] = b"</HOST>";
        match (self.scopes.last(), &mut self.cluster) {
            (Some(Scope::Host), Some(_)) if bytes.starts_with(END) => {
                self.end_host();
                self.scopes.pop();
                Ok(Some(END.len()))
            }
            (Some(Scope::Cluster), Some(cluster)) => {
                let Some(info) = cluster.next_host() else {
                    return Ok(None);
                };
                let limits = &self.settings.limits;
                let found = fast::host(bytes, info)
                    .filter(|it| it.len <= limits.tag_bytes && self.scopes.len() < limits.depth);
                let Some(FastHost { len, reported, tn }) = found else {
                    return Ok(None);
                };
                self.set_offset(offset);
                self.count_host()?;
                if let Some(cluster) = &mut self.cluster {
                    cluster.start_next_host(reported.into(), tn, self.now);
                    self.scopes.push(Scope::Host);
                }
                Ok(Some(len))
            }
            _ => Ok(None),
        }
    }

    fn end_host(&mut self) {
        self.carrying = self.cluster.as_mut().and_then(ClusterBuilder::end_host);
        let mut budget = VALUES_AT_ONCE;
        self.carry_on(&mut budget);
    }

    /// Counts one more host against the limits.
    fn count_host(&mut self) -> Result<(), ParseError> {
        self.hosts = self.hosts.saturating_add(1);
        let limit = self.settings.limits.hosts;
        self.check("the number of hosts", self.hosts, limit)?;
        if let Some(cluster) = &mut self.cluster {
            cluster.beside(self.nodes.bytes());
        }
        Ok(())
    }

    fn start_host(&mut self, tag: &BytesStart<'_>) -> Result<Scope, ParseError> {
        self.count_host()?;
        let Some(cluster) = &mut self.cluster else {
            return Ok(Scope::Unknown);
        };
        let lower_case = self.settings.lower_case_hosts;
        let head = host_head(tag, lower_case, &mut self.document.damage);
        cluster.start_host(head, self.now);
        Ok(Scope::Host)
    }

    fn start_metric(&mut self, tag: &BytesStart<'_>) -> Scope {
        self.draft = MetricDraft::of_host(tag, &mut self.document.damage);
        Scope::Metric
    }

    fn end_metric(&mut self, table: &mut DefTable) -> Result<(), ParseError> {
        let Some(cluster) = &mut self.cluster else {
            return Ok(());
        };
        let draft = std::mem::take(&mut self.draft);
        let def = table.intern(draft.fields);
        let id = cluster.add_def(&def);
        let number = def.number_of(draft.val.as_bytes());
        cluster.metric(id, draft.tn, SmallText::from(draft.val.as_str()), number);
        let names = cluster.vocabulary().name_count();
        self.check_names(names)
    }

    fn check_names(&mut self, count: usize) -> Result<(), ParseError> {
        let limit = self.settings.limits.names;
        self.check("the number of names of metrics", count, limit)
    }

    fn extra_element(&mut self, tag: &BytesStart<'_>) -> Scope {
        let limits = &self.settings.limits;
        self.draft.add_extra(tag, limits, &mut self.document.damage);
        Scope::Leaf
    }

    fn hosts(&mut self, tag: &BytesStart<'_>) -> Scope {
        let (up, down) = numbers_of_hosts(tag, &mut self.document.damage);
        if let Some(given) = self.given() {
            given.add_hosts(up, down);
        }
        Scope::Leaf
    }

    fn start_metric_sum(&mut self, tag: &BytesStart<'_>) -> Scope {
        self.draft = MetricDraft::of_summary(tag, &mut self.document.damage);
        Scope::Metrics
    }

    fn end_metric_sum(&mut self, table: &mut DefTable) -> Result<(), ParseError> {
        let draft = std::mem::take(&mut self.draft);
        if let Some((all, current)) = &self.marks
            && draft.fields.name.starts_with(&**all)
        {
            if let Some(grid) = self.grids.last_mut() {
                grid.has_own_mark |= *draft.fields.name == **current;
            }
            return Ok(());
        }
        if !self.settings.filter.takes_part(&draft.fields.name) {
            return Ok(());
        }
        let Some(Number { value, decimals }) = parse_number(draft.val.as_bytes()) else {
            self.note_damage();
            return Ok(());
        };
        let def = table.intern(draft.fields);
        // The document does not name the hosts, only how many they are.
        let contributors = Contributors::one(id_of(self.giver(), &draft.num.to_le_bytes()));
        let Some(given) = self.given() else {
            return Ok(());
        };
        given.add(&def, Number { value, decimals }, draft.num, contributors);
        let names = given.len();
        self.check_names(names)
    }

    /// Where HOSTS and METRICS are added: the open cluster, or else the innermost grid.
    fn given(&mut self) -> Option<&mut SummaryBuilder> {
        match &mut self.cluster {
            Some(cluster) => Some(&mut cluster.given),
            None => self.grids.last_mut().map(|grid| &mut grid.own),
        }
    }

    /// The id of the cluster or grid that gives them.
    fn giver(&self) -> u64 {
        let grid = self.grids.last().map_or("", |grid| grid.name.as_str());
        let cluster = self.cluster.as_ref().map_or("", ClusterBuilder::name);
        id_of(id_of(0, grid.as_bytes()), cluster.as_bytes())
    }

    fn check(&mut self, what: &'static str, count: usize, limit: usize) -> Result<(), ParseError> {
        if count > limit {
            self.over_limit = true;
            return Err(self.limit(what, limit as u64));
        }
        Ok(())
    }

    /// The error for an exceeded limit.
    pub fn limit(&self, what: &'static str, limit: u64) -> ParseError {
        ParseError::Limit {
            what,
            at: self.offset,
            limit,
        }
    }
}
