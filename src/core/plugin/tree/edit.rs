//! Changes of a tree: shared attributes, children added and removed.
//!
//! The rules of single attributes are in `attributes`. `flatten` puts the arrays in order.

use std::collections::HashMap;
use std::sync::Arc;

use super::edits::{MEMO, Place, SharedField};
use super::values::{set_info, type_for, whole};
use super::{Kind, NodeId, Owner, Top, Tree, TreeError, owner_of};
use crate::model::{
    Contributors, DefId, Host, HostInfo, Metric, MetricFields, Number, SmallText, SummaryMetric,
    is_up, parse_number,
};

/// What a gmond sends for an attribute that is not configured.
const UNSPECIFIED: &str = "unspecified";

impl Tree<'_> {
    /// Gives the metric or the sum a definition that differs in this attribute.
    pub(super) fn set_shared(
        &mut self,
        owner: Owner,
        field: SharedField,
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
        field: SharedField,
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

    /// All hosts by name. From now on it must be kept up to date.
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
        self.set_shared(Owner::Metric(at), SharedField::Name, name)?;
        if let Some(names) = self.edits.added_names.get_mut(&(host as u32))
            && names.remove(&*old).is_some()
        {
            names.insert(name.into(), at);
        }
        Ok(())
    }

    /// Adds a child. Attributes other than `name`, which only EXTRA_DATA can lack, have defaults. A
    /// METRICS is added to the sums of the top.
    pub fn add(
        &mut self,
        parent: NodeId,
        kind: Kind,
        attributes: &[(&str, &str)],
    ) -> Result<NodeId, TreeError> {
        self.check(parent)?;
        self.invented_mut().has_changed();
        if let (Some(owner), Kind::ExtraData) = (owner_of(parent), kind) {
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
                let owner = owner_of(parent).ok_or(TreeError::NotPossible)?;
                (self.add_extra(owner, name)?, NAME)
            }
            _ => return Err(TreeError::NotPossible),
        };
        self.set_rest(node, taken, attributes)?;
        Ok(node)
    }

    /// Sets the attributes that the new node has not taken. If one cannot be set, the node is removed
    /// again.
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
                // What was just added can always be removed.
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
        // Unless given otherwise, it has just reported.
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
        self.set_shared(owner, SharedField::ExtraNew, name)?;
        Ok(NodeId::Extra(owner, at))
    }

    /// Removes a node and everything below it. The top cannot be removed.
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

/// Appends an item. Returns its place.
fn push<T>(list: &mut Vec<T>, item: T) -> Result<u32, TreeError> {
    // The highest bit of such an index is a flag in the flat model.
    let place = u32::try_from(list.len()).ok().filter(|at| *at < 1 << 31);
    let place = place.ok_or(TreeError::Full)?;
    list.push(item);
    Ok(place)
}

/// The attributes that `add_host` sets.
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
/// Those that `add_metric` sets; not `tn`.
const METRIC_TAKEN: &[&str] = &[
    "name", "val", "type", "units", "tmax", "dmax", "slope", "source",
];
/// Those that `add_sum` sets; not `type`, which has one possible value.
const METRICS_TAKEN: &[&str] = &["name", "sum", "num", "units", "slope", "source"];
/// Those that `add_extra` sets.
const NAME: &[&str] = &["name"];
