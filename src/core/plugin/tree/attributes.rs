//! Attributes of a tree's nodes, by gmetad-python's lower-case names: read, set, listed.
//!
//! Attributes that no document has are in [`super::Invented`].

use std::sync::Arc;

use super::edits::SharedField;
use super::values::{NUMBER_BYTES, Value, set_info, whole, write_number};
use super::{Kind, NodeId, Owner, Top, Tree, TreeError};
use crate::model::{Mono, Node, Number, SmallText, StoreTime, is_up, parse_number};

const CLUSTER: &[&str] = &["name", "localtime", "owner", "latlong", "url", "status"];
const GRID: &[&str] = &["name", "authority", "localtime", "status"];
const HOST: &[&str] = &[
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
const METRIC: &[&str] = &[
    "name", "val", "type", "units", "tn", "tmax", "dmax", "slope", "source",
];
const METRICS: &[&str] = &["name", "sum", "num", "type", "units", "slope", "source"];
const EXTRA_ELEMENT: &[&str] = &["name", "val"];

/// The attributes that every node of the kind has, in the order of a document.
pub(super) fn names_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Cluster => CLUSTER,
        Kind::Grid => GRID,
        Kind::Host => HOST,
        Kind::Metric => METRIC,
        Kind::Metrics => METRICS,
        Kind::ExtraData => &[],
        Kind::ExtraElement => EXTRA_ELEMENT,
    }
}

impl Tree<'_> {
    /// An attribute, if the node has one of that name.
    #[inline]
    pub fn attribute(&self, node: NodeId, name: &str) -> Result<Option<Value<'_>>, TreeError> {
        self.check(node)?;
        let known = match node {
            NodeId::Top => self.top_attribute(name),
            NodeId::Host(at) => self.host_attribute(at as usize, name),
            NodeId::Metric(at) => self.metric_attribute(at, name),
            NodeId::Sum(at) => self.sum_attribute(at, name),
            NodeId::ExtraData(_) => None,
            NodeId::Extra(owner, at) => {
                let (key, value) = &self.fields(owner).extra[usize::from(at)];
                match name {
                    "name" => Some(Value::Text(key)),
                    "val" => Some(Value::Text(value)),
                    _ => None,
                }
            }
        };
        Ok(known.or_else(|| self.invented().get(node, name).map(Value::Text)))
    }

    /// The attribute at that place, if there is one. Those that plugins added come last.
    pub fn attribute_at(
        &self,
        node: NodeId,
        at: usize,
    ) -> Result<Option<(&str, Value<'_>)>, TreeError> {
        let names = names_of(self.kind(node)?);
        if let Some(name) = names.get(at) {
            let value = self.attribute(node, name)?;
            return Ok(value.map(|value| (*name, value)));
        }
        let invented = self.invented().of(node).get(at - names.len());
        Ok(invented.map(|(name, value)| (&**name, Value::Text(value))))
    }

    /// VAL of a metric or SUM of a sum, if it is a number.
    #[inline]
    pub fn value(&self, node: NodeId) -> Result<Option<f64>, TreeError> {
        self.check(node)?;
        match (node, self.cluster()) {
            (NodeId::Metric(at), Some(cluster)) => {
                let val = cluster.metrics[at as usize].val.as_bytes();
                Ok(parse_number(val).map(|number| number.value))
            }
            (NodeId::Sum(at), _) => Ok(Some(self.summary().metrics[at as usize].sum)),
            _ => Err(TreeError::NotPossible),
        }
    }

    fn top_attribute(&self, name: &str) -> Option<Value<'_>> {
        if let Some(cluster) = self.cluster() {
            return Some(match name {
                "name" => Value::Text(&cluster.name),
                "localtime" => Value::Whole(cluster.localtime),
                "owner" => Value::Text(&cluster.owner),
                "latlong" => Value::Text(&cluster.latlong),
                "url" => Value::Text(&cluster.url),
                "status" => Value::Text(self.status()),
                _ => return None,
            });
        }
        let (own_name, authority, localtime) = match (&self.top, self.grid()) {
            (Top::Root(root), _) => (&*root.gridname, &*root.authority, root.now.epoch),
            (_, Some(grid)) => (&*grid.name, &*grid.authority, grid.localtime),
            (Top::Source(_), None) => return None,
        };
        Some(match name {
            "name" => Value::Text(own_name),
            "authority" => Value::Text(authority),
            "localtime" => Value::Whole(localtime),
            "status" => Value::Text(self.status()),
            _ => return None,
        })
    }

    fn status(&self) -> &'static str {
        match &self.top {
            Top::Source(update) if !update.up => "down",
            _ => "up",
        }
    }

    fn host_attribute(&self, at: usize, name: &str) -> Option<Value<'_>> {
        let host = &self.cluster()?.hosts[at];
        let info = &host.info;
        Some(match name {
            "name" => Value::Text(&info.name),
            "ip" => Value::Text(&info.ip),
            "reported" => Value::Whole(host.reported),
            "tn" => Value::Whole(i64::from(host.live_tn(self.now()))),
            "tmax" => Value::Whole(info.tmax.into()),
            "dmax" => Value::Whole(info.dmax.into()),
            "location" => Value::Text(&info.location),
            "gmond_started" => Value::Whole(info.gmond_started),
            "tags" => Value::Text(&info.tags),
            _ => return None,
        })
    }

    #[inline]
    fn metric_attribute(&self, at: u32, name: &str) -> Option<Value<'_>> {
        let metric = &self.cluster()?.metrics[at as usize];
        let fields = self.fields(Owner::Metric(at));
        Some(match name {
            "name" => Value::Text(&fields.name),
            "val" => Value::Text(metric.val.as_str()),
            "type" => Value::Text(&fields.type_text),
            "units" => Value::Text(&fields.units),
            "tn" => Value::Whole(i64::from(metric.tn.saturating_add(self.age(at)))),
            "tmax" => Value::Whole(fields.tmax.into()),
            "dmax" => Value::Whole(fields.dmax.into()),
            "slope" => Value::Text(&fields.slope_text),
            "source" => Value::Text(&fields.source),
            _ => return None,
        })
    }

    fn sum_attribute(&self, at: u32, name: &str) -> Option<Value<'_>> {
        let sum = &self.summary().metrics[at as usize];
        let fields = sum.def.fields();
        Some(match name {
            "name" => Value::Text(&fields.name),
            "sum" => Value::Sum(sum.sum, sum.decimals),
            "num" => Value::Whole(sum.num.into()),
            "type" => Value::Text(SUM_TYPE),
            "units" => Value::Text(&fields.units),
            "slope" => Value::Text(&fields.slope_text),
            "source" => Value::Text(&fields.source),
            _ => return None,
        })
    }

    pub(super) fn now(&self) -> Mono {
        match &self.top {
            Top::Source(update) => update.now.mono,
            Top::Root(root) => root.now.mono,
        }
    }

    /// Seconds since the host of the metric arrived.
    fn age(&self, metric: u32) -> u32 {
        let host = self.host_of(metric as usize);
        match (host, self.cluster()) {
            (Some(host), Some(cluster)) => self.now().secs_since(cluster.hosts[host].received),
            _ => 0,
        }
    }

    /// Sets an attribute, or adds one that no document has.
    pub fn set(&mut self, node: NodeId, name: &str, value: &str) -> Result<(), TreeError> {
        let kind = self.kind(node)?;
        self.invented_mut().has_changed();
        if !names_of(kind).contains(&name) {
            self.invented_mut().set(node, name, value);
            return Ok(());
        }
        match node {
            NodeId::Top => self.set_top(name, value),
            NodeId::Host(at) => self.set_host(at, name, value),
            NodeId::Metric(at) => self.set_metric(at, name, value),
            NodeId::Sum(at) => self.set_sum(at, name, value),
            NodeId::ExtraData(_) => Err(TreeError::NotPossible),
            NodeId::Extra(owner, at) => {
                let field = match name {
                    "name" => SharedField::ExtraName(at),
                    _ => SharedField::ExtraVal(at),
                };
                self.set_shared(owner, field, value)
            }
        }
    }

    /// Sets an attribute to a number, in the shortest text that reads back as the same.
    pub fn set_number(&mut self, node: NodeId, name: &str, value: f64) -> Result<(), TreeError> {
        if matches!(
            (node, name),
            (NodeId::Metric(_), "val") | (NodeId::Sum(_), "sum")
        ) {
            return self.set_value(node, value);
        }
        let mut room = [0; NUMBER_BYTES];
        let text = write_number(&mut room, value)?;
        self.set(node, name, text)
    }

    /// Sets VAL of a metric, rounded if its type has no decimals, or SUM of a sum.
    #[inline]
    pub fn set_value(&mut self, node: NodeId, value: f64) -> Result<(), TreeError> {
        self.check(node)?;
        if !value.is_finite() {
            return Err(TreeError::BadValue);
        }
        self.invented_mut().has_changed();
        match node {
            NodeId::Metric(at) => {
                let at = at as usize;
                let cluster = self.cluster_mut().ok_or(TreeError::NoNode)?;
                let ty = cluster.def(&cluster.metrics[at]).ty();
                let value = if ty.is_integer() {
                    value.round()
                } else {
                    value
                };
                let mut room = [0; NUMBER_BYTES];
                let text = write_number(&mut room, value)?;
                cluster.metrics[at].val = SmallText::from_ascii(text.as_bytes());
                Ok(())
            }
            NodeId::Sum(_) => {
                let mut room = [0; NUMBER_BYTES];
                let text = write_number(&mut room, value)?;
                self.set(node, "sum", text)
            }
            _ => Err(TreeError::NotPossible),
        }
    }

    /// Sets the summary's counts of hosts.
    pub fn set_hosts(&mut self, up: u32, down: u32) {
        self.invented_mut().has_changed();
        let summary = self.summary_mut();
        (summary.hosts_up, summary.hosts_down) = (up, down);
    }

    fn set_top(&mut self, name: &str, value: &str) -> Result<(), TreeError> {
        match (&mut self.top, name) {
            (Top::Source(update), "status") => {
                update.up = match value {
                    "up" => true,
                    "down" => false,
                    _ => return Err(TreeError::BadValue),
                };
            }
            (Top::Source(update), "localtime") => {
                let localtime = whole(value)?;
                update.node.set_localtime(localtime);
                update.stamp.time = StoreTime::of(localtime, update.now);
            }
            (Top::Source(update), _) => match &mut update.node {
                Node::Cluster(cluster) => {
                    let cluster = Arc::make_mut(cluster);
                    match name {
                        "name" => cluster.name = value.into(),
                        "owner" => cluster.owner = value.into(),
                        "latlong" => cluster.latlong = value.into(),
                        _ => cluster.url = value.into(),
                    }
                }
                Node::Grid(grid) => {
                    let grid = Arc::make_mut(grid);
                    match name {
                        "name" => grid.name = value.into(),
                        _ => grid.authority = value.into(),
                    }
                }
            },
            (Top::Root(root), "name") => root.gridname = value.into(),
            (Top::Root(root), "authority") => root.authority = value.into(),
            (Top::Root(root), "localtime") => root.now.epoch = whole(value)?,
            // This gmetad is always up.
            (Top::Root(_), _) => return Err(TreeError::BadValue),
        }
        Ok(())
    }

    fn set_host(&mut self, at: u32, name: &str, value: &str) -> Result<(), TreeError> {
        if name == "name" {
            return self.rename_host(at, value);
        }
        let now = self.now();
        let cluster = self.cluster_mut().ok_or(TreeError::NoNode)?;
        let localtime = cluster.localtime;
        let host = &mut cluster.hosts[at as usize];
        match name {
            "reported" => host.reported = whole(value)?,
            "tn" => {
                let tn: u32 = whole(value)?;
                host.tn = tn.saturating_sub(now.secs_since(host.received));
            }
            _ => set_info(Arc::make_mut(&mut host.info), name, value)?,
        }
        if matches!(name, "reported" | "tn" | "tmax") {
            host.up = is_up(&host.info, host.live_tn(now), host.reported, localtime);
        }
        Ok(())
    }

    fn set_metric(&mut self, at: u32, name: &str, value: &str) -> Result<(), TreeError> {
        let field = match name {
            "val" => {
                let cluster = self.cluster_mut().ok_or(TreeError::NoNode)?;
                cluster.metrics[at as usize].val = SmallText::from(value);
                return Ok(());
            }
            "tn" => {
                let tn: u32 = whole(value)?;
                let age = self.age(at);
                let cluster = self.cluster_mut().ok_or(TreeError::NoNode)?;
                cluster.metrics[at as usize].tn = tn.saturating_sub(age);
                return Ok(());
            }
            "name" => return self.rename_metric(at, value),
            "type" => SharedField::Type,
            "units" => SharedField::Units,
            "tmax" => SharedField::Tmax(whole(value)?),
            "dmax" => SharedField::Dmax(whole(value)?),
            "slope" => SharedField::Slope,
            _ => SharedField::Source,
        };
        self.set_shared(Owner::Metric(at), field, value)
    }

    fn set_sum(&mut self, at: u32, name: &str, value: &str) -> Result<(), TreeError> {
        let field = match name {
            "sum" => {
                let Number { value, decimals } =
                    parse_number(value.as_bytes()).ok_or(TreeError::BadValue)?;
                let sum = &mut self.summary_mut().metrics[at as usize];
                (sum.sum, sum.decimals) = (value, decimals);
                return Ok(());
            }
            "num" => {
                self.summary_mut().metrics[at as usize].num = whole(value)?;
                return Ok(());
            }
            "type" if value == SUM_TYPE => return Ok(()),
            "type" => return Err(TreeError::BadValue),
            "name" => match self.find_sum(value) {
                Some(other) if other != NodeId::Sum(at) => return Err(TreeError::Exists(other)),
                _ => SharedField::Name,
            },
            "units" => SharedField::Units,
            "slope" => SharedField::Slope,
            _ => SharedField::Source,
        };
        self.set_shared(Owner::Sum(at), field, value)
    }
}

/// TYPE of every sum, whatever the type of its metrics.
const SUM_TYPE: &str = "double";

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 7] = [
        Kind::Grid,
        Kind::Cluster,
        Kind::Host,
        Kind::Metric,
        Kind::ExtraData,
        Kind::ExtraElement,
        Kind::Metrics,
    ];

    #[test]
    fn the_tutorial_and_the_manual_name_every_attribute_of_every_node() {
        let tutorial = include_str!("../../../../docs/PLUGINS.md");
        let manual = include_str!("../../../../man/gmetad-plugin.7");
        for kind in KINDS {
            let row = format!("\n| {} |", kind.name());
            let (_, row) = tutorial.split_once(&row).expect("a row for each");
            let row = row.lines().next().expect("the rest of the row");
            let names = row.trim_end_matches('|').rsplit('|').next();
            assert_eq!(names.map(str::trim), Some(&*names_of(kind).join(", ")));

            let item = format!("\n.It Ic {}\n", kind.name());
            let (_, item) = manual.split_once(&item).expect("an item for each");
            let item = item.split("\n.It ").next().expect("split gives one");
            let names = item.lines().find_map(|line| line.strip_prefix(".Cm "));
            assert_eq!(names.unwrap_or_default(), names_of(kind).join(" , "));
            for name in names_of(kind) {
                let explained = |line: &str, start: &str| {
                    let names = line.strip_prefix(start);
                    names.is_some_and(|names| names.split([' ', ',', '|']).any(|it| it == *name))
                };
                assert!(tutorial.lines().any(|line| explained(line, "| ")), "{name}");
                assert!(
                    manual.lines().any(|line| explained(line, ".It Cm ")),
                    "{name}"
                );
            }
        }
    }
}
