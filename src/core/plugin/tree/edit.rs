//! Changes of a tree: shared attributes, children added and removed.
//!
//! The rules of single attributes are in `attributes`; what is added or removed is put in order in
//! `flatten`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::attributes::{set_info, type_for, whole};
use super::{Kind, NodeId, Owner, Top, Tree, TreeError};
use crate::model::{
    Contributors, DefId, Host, HostInfo, Metric, MetricFields, Number, SmallText, SummaryMetric,
    is_up, parse_number,
};

/// What a gmond says where nothing is configured.
const UNSPECIFIED: &str = "unspecified";

/// Ways in which one definition was changed that are remembered; more are worked out anew.
const MEMO: usize = 16;

/// What has been done to a tree and not yet to its arrays.
#[derive(Default)]
pub(super) struct Edits {
    /// Whether a host or a metric was.
    pub(super) has_removed: bool,
    pub(super) gone_hosts: HashSet<u32>,
    pub(super) gone_metrics: HashSet<u32>,
    pub(super) gone_sums: HashSet<u32>,
    pub(super) gone_extras: HashSet<(Owner, u16)>,
    /// Of each added metric, in the order of the array.
    pub(super) owners: Vec<Place>,
    /// By host: its added metrics, in order.
    pub(super) added_of: HashMap<u32, Vec<u32>>,
    /// By host: those that are still there, by name.
    pub(super) added_names: HashMap<u32, HashMap<Box<str>, u32>>,
    /// All hosts, once one was added or renamed.
    pub(super) hosts_by_name: Option<HashMap<Box<str>, u32>>,
    /// Of definitions that came with this tree, by where they are.
    ids: HashMap<usize, DefId>,
    /// By definition: which one it becomes by a change.
    memo: HashMap<DefId, Vec<(Shared, Box<str>, DefId)>>,
}

impl Edits {
    /// Whether the arrays will be put in order.
    pub(super) fn moves_children(&self) -> bool {
        self.has_removed
            || !self.gone_sums.is_empty()
            || !self.gone_extras.is_empty()
            || !self.owners.is_empty()
            || self.hosts_by_name.is_some()
    }
}

/// Where an added metric belongs.
pub(super) struct Place {
    pub(super) host: u32,
    /// Among the host's added ones.
    pub(super) place: u32,
}

/// An attribute that a metric shares with others, and which is therefore changed by giving it
/// another definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    Name,
    Type,
    Units,
    Tmax(u32),
    Dmax(u32),
    Slope,
    Source,
    ExtraName(u16),
    ExtraVal(u16),
    /// A new EXTRA_ELEMENT of that name, without a value.
    ExtraNew,
}

impl Shared {
    fn apply(self, fields: &mut MetricFields, value: &str) {
        match self {
            Shared::Name => fields.name = value.into(),
            Shared::Type => fields.type_text = value.into(),
            Shared::Units => fields.units = value.into(),
            Shared::Tmax(tmax) => fields.tmax = tmax,
            Shared::Dmax(dmax) => fields.dmax = dmax,
            Shared::Slope => fields.slope_text = value.into(),
            Shared::Source => fields.source = value.into(),
            Shared::ExtraName(at) => fields.extra[usize::from(at)].0 = value.into(),
            Shared::ExtraVal(at) => fields.extra[usize::from(at)].1 = value.into(),
            Shared::ExtraNew => fields.extra.push((value.into(), String::new())),
        }
    }
}

impl Tree<'_> {
    /// Gives the metric or the sum the definition that differs in this.
    pub(super) fn set_shared(
        &mut self,
        owner: Owner,
        field: Shared,
        value: &str,
    ) -> Result<(), TreeError> {
        if let Owner::Metric(at) = owner
            && let Some(cluster) = self.cluster()
        {
            let old = cluster.metrics[at as usize].def();
            let known = self.edits.memo.get(&old).and_then(|known| {
                known
                    .iter()
                    .find(|(known, text, _)| *known == field && **text == *value)
            });
            let new = if let Some(&(_, _, new)) = known {
                new
            } else {
                let new = self.changed_def(owner, field, value)?;
                let known = self.edits.memo.entry(old).or_default();
                if known.len() < MEMO {
                    known.push((field, value.into(), new));
                }
                new
            };
            let cluster = self.cluster_mut().ok_or(TreeError::NoNode)?;
            cluster.metrics[at as usize].set_def(new);
            return Ok(());
        }
        let mut fields = self.fields(owner).clone();
        field.apply(&mut fields, value);
        self.redefine(owner, fields)
    }

    fn changed_def(
        &mut self,
        owner: Owner,
        field: Shared,
        value: &str,
    ) -> Result<DefId, TreeError> {
        let mut fields = self.fields(owner).clone();
        field.apply(&mut fields, value);
        self.def_id(fields)
    }

    pub(super) fn redefine(&mut self, owner: Owner, fields: MetricFields) -> Result<(), TreeError> {
        match owner {
            Owner::Metric(at) => {
                let def = self.def_id(fields)?;
                let cluster = self.cluster_mut().ok_or(TreeError::NoNode)?;
                cluster.metrics[at as usize].set_def(def);
            }
            Owner::Sum(at) => {
                let def = self.table.intern(fields);
                self.summary_mut().metrics[at as usize].def = def;
            }
        }
        Ok(())
    }

    /// The definition with these fields, in the cluster's list.
    fn def_id(&mut self, fields: MetricFields) -> Result<DefId, TreeError> {
        let def = self.table.intern(fields);
        let key = Arc::as_ptr(&def) as usize;
        if let Some(&id) = self.edits.ids.get(&key) {
            return Ok(id);
        }
        let cluster = self.cluster_mut().ok_or(TreeError::NoNode)?;
        let id = push(Arc::make_mut(&mut cluster.defs), def)?;
        self.edits.ids.insert(key, id);
        Ok(id)
    }

    pub(super) fn rename_host(&mut self, at: u32, name: &str) -> Result<(), TreeError> {
        match self.find_host(name) {
            Some(NodeId::Host(other)) if other == at => return Ok(()),
            Some(other) => return Err(TreeError::Exists(other)),
            None => {}
        }
        let cluster = self.cluster_mut().ok_or(TreeError::NoNode)?;
        let info = Arc::make_mut(&mut cluster.hosts[at as usize].info);
        let old = std::mem::replace(&mut info.name, name.into());
        let names = self.host_names();
        names.remove(&old);
        names.insert(name.into(), at);
        Ok(())
    }

    /// All hosts by name, to be kept up to date from now on.
    fn host_names(&mut self) -> &mut HashMap<Box<str>, u32> {
        let hosts = self.cluster().map_or(&[][..], |cluster| &cluster.hosts);
        let gone = &self.edits.gone_hosts;
        let mut fresh = None;
        if self.edits.hosts_by_name.is_none() {
            let names = hosts.iter().zip(0_u32..);
            let names = names.filter(|(_, at)| !gone.contains(at));
            fresh = Some(names.map(|(host, at)| (host.info.name.clone(), at)));
        }
        let fresh = fresh.map(Iterator::collect);
        self.edits
            .hosts_by_name
            .get_or_insert_with(|| fresh.unwrap_or_default())
    }

    pub(super) fn rename_metric(&mut self, at: u32, name: &str) -> Result<(), TreeError> {
        let host = self.host_of(at as usize).ok_or(TreeError::NoNode)?;
        match self.find_metric(host, name) {
            Some(NodeId::Metric(other)) if other == at => return Ok(()),
            Some(other) => return Err(TreeError::Exists(other)),
            None => {}
        }
        let old = self.fields(Owner::Metric(at)).name.clone();
        self.set_shared(Owner::Metric(at), Shared::Name, name)?;
        if let Some(names) = self.edits.added_names.get_mut(&(host as u32))
            && names.remove(&*old).is_some()
        {
            names.insert(name.into(), at);
        }
        Ok(())
    }

    /// Adds a child, of which `name` must be given unless it is EXTRA_DATA; what else is not given
    /// has a default. A METRICS is added to the top's sums.
    pub fn add(
        &mut self,
        parent: NodeId,
        kind: Kind,
        attributes: &[(&str, &str)],
    ) -> Result<NodeId, TreeError> {
        self.check(parent)?;
        self.invented_mut().has_changed();
        if let (Some(owner), Kind::ExtraData) = (super::owner_of(parent), kind) {
            let node = NodeId::ExtraData(owner);
            self.set_rest(node, &[], attributes)?;
            return Ok(node);
        }
        let given = |wanted: &str| attributes.iter().find(|(name, _)| *name == wanted);
        let name = given("name").ok_or(TreeError::BadValue)?.1;
        let (node, taken): (NodeId, &[&str]) = match (parent, kind) {
            (NodeId::Top, Kind::Host) => (self.add_host(name, attributes)?, HOST_TAKEN),
            (NodeId::Host(host), Kind::Metric) => {
                (self.add_metric(host, name, attributes)?, METRIC_TAKEN)
            }
            (NodeId::Top, Kind::Metrics) => (self.add_sum(name, attributes)?, METRICS_TAKEN),
            (NodeId::ExtraData(owner), Kind::ExtraElement) => (self.add_extra(owner, name)?, NAME),
            (_, Kind::ExtraElement) => {
                let owner = super::owner_of(parent).ok_or(TreeError::NotPossible)?;
                (self.add_extra(owner, name)?, NAME)
            }
            _ => return Err(TreeError::NotPossible),
        };
        self.set_rest(node, taken, attributes)?;
        Ok(node)
    }

    /// Sets what the new node has not taken yet; if one cannot be, the node is taken back.
    fn set_rest(
        &mut self,
        node: NodeId,
        taken: &[&str],
        attributes: &[(&str, &str)],
    ) -> Result<(), TreeError> {
        for (name, value) in attributes {
            if !taken.contains(name)
                && let Err(error) = self.set(node, name, value)
            {
                // Nothing hinders the removal of what was just added.
                let _ = self.remove(node);
                return Err(error);
            }
        }
        Ok(())
    }

    fn add_host(&mut self, name: &str, given: &[(&str, &str)]) -> Result<NodeId, TreeError> {
        if let Some(there) = self.find_host(name) {
            return Err(TreeError::Exists(there));
        }
        let now = self.now();
        let cluster = self.cluster().ok_or(TreeError::NotPossible)?;
        let mut info = HostInfo {
            name: name.into(),
            location: UNSPECIFIED.into(),
            tags: UNSPECIFIED.into(),
            ..HostInfo::default()
        };
        // Heard of just now, unless something else is said.
        let (mut reported, mut tn) = (cluster.localtime, 0);
        for (name, value) in given {
            match *name {
                "reported" => reported = whole(value)?,
                "tn" => tn = whole(value)?,
                name if name != "name" && HOST_TAKEN.contains(&name) => {
                    set_info(&mut info, name, value)?;
                }
                _ => {}
            }
        }
        let host = Host {
            up: is_up(&info, tn, reported, cluster.localtime),
            info: Arc::new(info),
            reported,
            tn,
            fresh: true,
            received: now,
            first_metric: 0,
            metric_count: 0,
        };
        self.host_names();
        let cluster = self.cluster_mut().ok_or(TreeError::NotPossible)?;
        let at = push(&mut cluster.hosts, host)?;
        self.host_names().insert(name.into(), at);
        Ok(NodeId::Host(at))
    }

    fn add_metric(
        &mut self,
        host: u32,
        name: &str,
        given: &[(&str, &str)],
    ) -> Result<NodeId, TreeError> {
        if let Some(there) = self.find_metric(host as usize, name) {
            return Err(TreeError::Exists(there));
        }
        let text = |wanted: &str| {
            let found = given.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| *value)
        };
        let number = |wanted: &str| text(wanted).map_or(Ok(0), whole);
        let val = text("val").unwrap_or_default();
        let def = self.def_id(MetricFields {
            name: name.into(),
            type_text: text("type").unwrap_or_else(|| type_for(val)).into(),
            units: text("units").unwrap_or_default().into(),
            tmax: number("tmax")?,
            dmax: number("dmax")?,
            slope_text: text("slope").unwrap_or("both").into(),
            source: text("source").unwrap_or("gmetad").into(),
            extra: Vec::new(),
        })?;
        let cluster = self.cluster_mut().ok_or(TreeError::NotPossible)?;
        let at = push(
            &mut cluster.metrics,
            Metric::new(def, 0, SmallText::from(val)),
        )?;
        let siblings = self.edits.added_of.entry(host).or_default();
        let place = siblings.len() as u32;
        siblings.push(at);
        self.edits.owners.push(Place { host, place });
        let names = self.edits.added_names.entry(host).or_default();
        names.insert(name.into(), at);
        Ok(NodeId::Metric(at))
    }

    fn add_sum(&mut self, name: &str, given: &[(&str, &str)]) -> Result<NodeId, TreeError> {
        if let Some(there) = self.find_sum(name) {
            return Err(TreeError::Exists(there));
        }
        let text = |wanted: &str| {
            let found = given.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| *value)
        };
        let sum = text("sum").unwrap_or("0");
        let Number { value, decimals } = parse_number(sum.as_bytes()).ok_or(TreeError::BadValue)?;
        let num = text("num").map_or(Ok(0), whole)?;
        let def = self.table.intern(MetricFields {
            name: name.into(),
            type_text: "double".into(),
            units: text("units").unwrap_or_default().into(),
            slope_text: text("slope").unwrap_or("both").into(),
            source: text("source").unwrap_or("gmetad").into(),
            ..MetricFields::default()
        });
        let sum = SummaryMetric {
            def,
            sum: value,
            num,
            contributors: Contributors::default(),
            decimals,
        };
        push(&mut self.summary_mut().metrics, sum).map(NodeId::Sum)
    }

    fn add_extra(&mut self, owner: Owner, name: &str) -> Result<NodeId, TreeError> {
        if let Some(there) = self.find_extra(owner, name) {
            return Err(TreeError::Exists(there));
        }
        let at = u16::try_from(self.fields(owner).extra.len()).map_err(|_| TreeError::Full)?;
        self.set_shared(owner, Shared::ExtraNew, name)?;
        Ok(NodeId::Extra(owner, at))
    }

    /// Removes a node with all that is below it. The top stays.
    pub fn remove(&mut self, node: NodeId) -> Result<(), TreeError> {
        self.check(node)?;
        self.invented_mut().has_changed();
        match node {
            NodeId::Top => return Err(TreeError::NotPossible),
            NodeId::Host(at) => {
                if let Some(names) = &mut self.edits.hosts_by_name
                    && let Top::Source(update) = &self.top
                    && let crate::model::Node::Cluster(cluster) = &update.node
                {
                    names.remove(&*cluster.hosts[at as usize].info.name);
                }
                self.edits.gone_hosts.insert(at);
                self.edits.has_removed = true;
            }
            NodeId::Metric(at) => {
                let host = self.host_of(at as usize).ok_or(TreeError::NoNode)? as u32;
                if at as usize >= self.base.metrics {
                    let name = self.fields(Owner::Metric(at)).name.clone();
                    if let Some(names) = self.edits.added_names.get_mut(&host) {
                        names.remove(&*name);
                    }
                }
                self.edits.gone_metrics.insert(at);
                self.edits.has_removed = true;
            }
            NodeId::Sum(at) => {
                self.edits.gone_sums.insert(at);
            }
            NodeId::ExtraData(owner) => {
                let all = 0..self.fields(owner).extra.len() as u16;
                self.edits.gone_extras.extend(all.map(|at| (owner, at)));
            }
            NodeId::Extra(owner, at) => {
                self.edits.gone_extras.insert((owner, at));
            }
        }
        Ok(())
    }
}

/// Appends, and tells the place.
fn push<T>(list: &mut Vec<T>, item: T) -> Result<u32, TreeError> {
    // Above this the flat model keeps a flag in the same word.
    let place = u32::try_from(list.len()).ok().filter(|at| *at < 1 << 31);
    let place = place.ok_or(TreeError::Full)?;
    list.push(item);
    Ok(place)
}

/// What `add_host` has taken from the attributes given.
const HOST_TAKEN: &[&str] = &[
    "name",
    "ip",
    "reported",
    "tn",
    "tmax",
    "dmax",
    "location",
    "gmond_started",
    "tags",
];
/// What `add_metric` has taken; not `tn`.
const METRIC_TAKEN: &[&str] = &[
    "name", "val", "type", "units", "tmax", "dmax", "slope", "source",
];
/// What `add_sum` has taken; not `type`, which must be the right one.
const METRICS_TAKEN: &[&str] = &["name", "sum", "num", "units", "slope", "source"];
/// What `add_extra` has taken.
const NAME: &[&str] = &["name"];
