//! The tree of grid, clusters, hosts and metrics as JSON, element by element from `walk`.
//!
//! Buffers only the text that the metrics of many hosts share.

use std::sync::Arc;

use super::{is_number, push_string};
use crate::answer::query::Selection;
use crate::answer::walk::{Body, Format, Walk};
use crate::model::{
    Cluster, Host, Metric, MetricDef, Node, Now, Snapshot, Summary, SummaryMetric, parse_number,
    push_decimal,
};

/// Most definitions of a cluster whose text is kept. Others are formatted for each metric.
const KEPT_DEFS: usize = 4096;

/// Most bytes of that text, in case of long definitions.
const KEPT_BYTES: usize = 4 << 20;

/// An answer with the selection as JSON, with TNs as of `now`.
pub fn body(snapshot: Arc<Snapshot>, selection: Selection, now: Now) -> Box<dyn Body> {
    Box::new(Walk::with_format(
        snapshot,
        selection,
        now,
        JsonFormat::default(),
    ))
}

/// The format. docs/HTTP.md describes it.
#[derive(Debug, Default)]
pub struct JsonFormat {
    nodes: usize,
    hosts: usize,
    metrics: usize,
    sums: Sums,
    /// By definition of the open cluster, as the source of the last host brings it.
    kept: Vec<Option<Around>>,
    /// These definitions.
    kept_of: Arc<Vec<Arc<MetricDef>>>,
    kept_bytes: usize,
}

/// The text that all metrics of a definition share.
#[derive(Clone, Debug)]
struct Around {
    /// Before the value.
    before: Box<[u8]>,
    /// After the TN.
    after: Box<[u8]>,
}

/// The state of a `summary` object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sums {
    /// Not begun.
    #[default]
    None,
    /// Open, with so many metrics.
    Open(usize),
    /// Closed.
    Closed,
}

impl Format for JsonFormat {
    fn begin(&mut self, out: &mut Vec<u8>, snapshot: &Snapshot, now: Now) {
        let grid = &snapshot.identity;
        out.extend_from_slice(b"{\"grid\":");
        if grid.scalable {
            out.extend_from_slice(b"{\"name\":");
            push_string(out, &grid.name);
            member(out, "authority", &grid.authority);
            number(out, "localtime", now.epoch);
            out.push(b'}');
        } else {
            out.extend_from_slice(b"null");
        }
    }

    fn hosts(&mut self, out: &mut Vec<u8>, summary: &Summary) {
        out.extend_from_slice(b",\"summary\":{\"hosts_up\":");
        push_decimal(out, summary.hosts_up.into());
        number(out, "hosts_down", summary.hosts_down);
        out.extend_from_slice(b",\"metrics\":[");
        self.sums = Sums::Open(0);
    }

    fn sum(&mut self, out: &mut Vec<u8>, sum: &SummaryMetric) {
        if let Sums::Open(count) = &mut self.sums {
            comma(out, count);
        }
        let fields = sum.def.fields();
        out.extend_from_slice(b"{\"name\":");
        push_string(out, &fields.name);
        out.extend_from_slice(b",\"sum\":");
        push_value(out, true, &sum.text());
        number(out, "num", sum.num);
        member(out, "units", &fields.units);
        member(out, "slope", &fields.slope_text);
        member(out, "source", &fields.source);
        extra(out, &sum.extra().collect::<Vec<_>>());
        out.push(b'}');
    }

    fn open_node(&mut self, out: &mut Vec<u8>, node: &Node) {
        self.close_sums(out);
        self.sums = Sums::None;
        if self.nodes == 0 {
            out.extend_from_slice(b",\"nodes\":[\n");
        } else {
            out.extend_from_slice(b",\n");
        }
        self.nodes += 1;
        self.hosts = 0;
        match node {
            Node::Cluster(cluster) => {
                out.extend_from_slice(b"{\"kind\":\"cluster\"");
                member(out, "name", &cluster.name);
                number(out, "localtime", cluster.localtime);
                member(out, "owner", &cluster.owner);
                member(out, "latlong", &cluster.latlong);
                member(out, "url", &cluster.url);
            }
            Node::Grid(grid) => {
                out.extend_from_slice(b"{\"kind\":\"grid\"");
                member(out, "name", &grid.name);
                member(out, "authority", &grid.authority);
                number(out, "localtime", grid.localtime);
            }
        }
    }

    fn open_host(&mut self, out: &mut Vec<u8>, host: &Host, now: Now) {
        if self.hosts == 0 {
            out.extend_from_slice(b",\"hosts\":[\n");
        } else {
            out.extend_from_slice(b",\n");
        }
        self.hosts += 1;
        self.metrics = 0;
        let info = &host.info;
        out.extend_from_slice(b"{\"name\":");
        push_string(out, &info.name);
        member(out, "ip", &info.ip);
        out.extend_from_slice(if host.up {
            b",\"up\":true"
        } else {
            b",\"up\":false"
        });
        number(out, "reported", host.reported);
        number(out, "tn", host.live_tn(now.mono));
        number(out, "tmax", info.tmax);
        number(out, "dmax", info.dmax);
        member(out, "location", &info.location);
        number(out, "gmond_started", info.gmond_started);
        member(out, "tags", &info.tags);
        out.extend_from_slice(b",\"metrics\":[");
    }

    fn metric(&mut self, out: &mut Vec<u8>, cluster: &Cluster, metric: &Metric, age: u32) {
        comma(out, &mut self.metrics);
        if !Arc::ptr_eq(&self.kept_of, &cluster.defs) {
            self.kept_of = Arc::clone(&cluster.defs);
            self.kept = vec![None; cluster.defs.len().min(KEPT_DEFS)];
            self.kept_bytes = 0;
        }
        let def = cluster.def(metric);
        let made;
        let around = match self.kept.get_mut(metric.def() as usize) {
            Some(Some(kept)) => kept,
            Some(kept) if self.kept_bytes < KEPT_BYTES => {
                let around = kept.insert(Around::new(def));
                self.kept_bytes += around.before.len() + around.after.len();
                around
            }
            _ => {
                made = Around::new(def);
                &made
            }
        };
        out.extend_from_slice(&around.before);
        push_value(out, def.ty().is_numeric(), metric.val.as_str());
        out.extend_from_slice(b",\"tn\":");
        push_decimal(out, u64::from(metric.tn) + u64::from(age));
        out.extend_from_slice(&around.after);
    }

    fn close_host(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"]}");
    }

    fn close_node(&mut self, out: &mut Vec<u8>, node: &Node) {
        self.close_sums(out);
        if self.hosts > 0 {
            out.push(b']');
        } else if self.sums == Sums::None && matches!(node, Node::Cluster(_)) {
            out.extend_from_slice(b",\"hosts\":[]");
        }
        out.push(b'}');
        (self.kept, self.kept_of, self.kept_bytes) = (Vec::new(), Arc::default(), 0);
    }

    fn end(&mut self, out: &mut Vec<u8>, _: &Snapshot) {
        self.close_sums(out);
        if self.nodes == 0 {
            out.extend_from_slice(b",\"nodes\":[");
        }
        out.extend_from_slice(b"]}\n");
    }
}

impl JsonFormat {
    fn close_sums(&mut self, out: &mut Vec<u8>) {
        if matches!(self.sums, Sums::Open(_)) {
            out.extend_from_slice(b"]}");
            self.sums = Sums::Closed;
        }
    }
}

/// Separates the items of a list, one per line.
fn comma(out: &mut Vec<u8>, count: &mut usize) {
    out.extend_from_slice(if *count == 0 { b"\n" } else { b",\n" });
    *count += 1;
}

fn member(out: &mut Vec<u8>, key: &str, text: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    push_string(out, text);
}

fn number(out: &mut Vec<u8>, key: &str, number: impl Into<i64>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    let number = number.into();
    if number < 0 {
        out.push(b'-');
    }
    push_decimal(out, number.unsigned_abs());
}

/// A value as a number if it is a valid and finite JSON number, otherwise as a string.
fn push_value(out: &mut Vec<u8>, numeric: bool, text: &str) {
    let bytes = text.as_bytes();
    if numeric && is_number(bytes) && parse_number(bytes).is_some() {
        out.extend_from_slice(bytes);
    } else {
        push_string(out, text);
    }
}

impl Around {
    fn new(def: &MetricDef) -> Around {
        let fields = def.fields();
        let mut before = b"{\"name\":".to_vec();
        push_string(&mut before, &fields.name);
        before.extend_from_slice(b",\"value\":");
        let mut after = Vec::new();
        member(&mut after, "type", &fields.type_text);
        member(&mut after, "units", &fields.units);
        number(&mut after, "tmax", fields.tmax);
        number(&mut after, "dmax", fields.dmax);
        member(&mut after, "slope", &fields.slope_text);
        member(&mut after, "source", &fields.source);
        extra(&mut after, &fields.extra.iter().collect::<Vec<_>>());
        after.push(b'}');
        Around {
            before: before.into(),
            after: after.into(),
        }
    }
}

/// EXTRA_DATA by name. Each value is a list, since names may be repeated.
fn extra(out: &mut Vec<u8>, all: &[&(String, String)]) {
    out.extend_from_slice(b",\"extra\":{");
    let mut first = true;
    for (at, (name, _)) in all.iter().enumerate() {
        if all[..at].iter().any(|(earlier, _)| earlier == name) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        push_string(out, name);
        out.extend_from_slice(b":[");
        let vals = all[at..].iter().filter(|(other, _)| other == name);
        for (count, (_, val)) in vals.enumerate() {
            if count > 0 {
                out.push(b',');
            }
            push_string(out, val);
        }
        out.push(b']');
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::answer::query::Query;
    use crate::testing::{all_of, snapshot};

    fn fixture() -> Arc<Snapshot> {
        let metrics = "<METRIC NAME=\"load\" VAL=\"0.50\" TYPE=\"float\" UNITS=\"u\" TN=\"3\" \
             TMAX=\"70\" SLOPE=\"both\"><EXTRA_DATA><EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"a\"/>\
             <EXTRA_ELEMENT NAME=\"DESC\" VAL=\"d\"/><EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"b\"/>\
             </EXTRA_DATA></METRIC><METRIC NAME=\"os\" VAL=\"1.5\" TYPE=\"string\"/>";
        snapshot(&[
            &format!(
                "<CLUSTER NAME=\"A &quot;\u{e9}\" LOCALTIME=\"-5\" OWNER=\"me\">\
                 <HOST NAME=\"h1\" IP=\"10.0.0.1\" REPORTED=\"7\" TN=\"1\" TMAX=\"20\">{metrics}</HOST>\
                 <HOST NAME=\"h2\" TN=\"100\" TMAX=\"20\">\
                 <METRIC NAME=\"load\" VAL=\"nan\" TYPE=\"float\"/></HOST></CLUSTER>"
            ),
            "<CLUSTER NAME=\"empty\"></CLUSTER>",
            "<GRID NAME=\"Sub\" AUTHORITY=\"http://sub/\" LOCALTIME=\"9\">\
             <CLUSTER NAME=\"in\"><HOST NAME=\"x\" TMAX=\"20\">\
             <METRIC NAME=\"n\" VAL=\"2\" TYPE=\"int8\"/></HOST></CLUSTER></GRID>",
        ])
    }

    fn asked(line: &str) -> (Value, bool) {
        let snapshot = fixture();
        let (selection, found) =
            Selection::resolve_strict(&snapshot, &Query::parse(line.as_bytes()));
        let now = Now {
            epoch: 1234,
            ..Now::default()
        };
        let read = |slice| {
            let body = body(Arc::clone(&snapshot), selection.clone(), now);
            all_of(body, slice)
        };
        let whole = read(usize::MAX);
        assert_eq!(whole, read(1), "however it is sliced");
        (serde_json::from_slice(&whole).unwrap(), found)
    }

    #[test]
    fn the_whole_tree_is_there() {
        let (tree, found) = asked("/");
        assert!(found);
        assert_eq!(
            tree["grid"],
            json!({"name": "Top", "authority": "http://top/", "localtime": 1234})
        );
        assert_eq!(tree.get("summary"), None);
        let nodes = tree["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 3);
        assert_eq!(nodes[0]["kind"], "cluster");
        assert_eq!(nodes[0]["name"], "A \"\u{e9}");
        assert_eq!(
            nodes[0]["localtime"], 4_294_967_291_i64,
            "-5 as C gmetad reads it"
        );
        assert_eq!(nodes[1]["hosts"], json!([]));
        let host = &nodes[0]["hosts"][0];
        assert_eq!((&host["up"], &host["tn"]), (&json!(true), &json!(1)));
        assert_eq!(
            host["metrics"][0],
            json!({
                "name": "load", "value": 0.5, "tn": 3, "type": "float", "units": "u", "tmax": 70,
                "dmax": 0, "slope": "both", "source": "gmond",
                "extra": {"GROUP": ["a", "b"], "DESC": ["d"]}
            })
        );
        assert_eq!(host["metrics"][1]["value"], "1.5", "a string stays one");
        let down = &nodes[0]["hosts"][1];
        assert_eq!(down["up"], false);
        assert_eq!(down["metrics"][0]["value"], "nan", "no number, so a string");
        assert_eq!(nodes[2]["kind"], "grid");
        assert_eq!(nodes[2]["summary"]["metrics"][0]["sum"], 2);
        assert_eq!(nodes[2].get("hosts"), None);
    }

    #[test]
    fn paths_and_summaries_are_those_of_the_xml() {
        let (tree, _) = asked("/?filter=summary");
        assert_eq!(tree["summary"]["hosts_up"], 2);
        assert_eq!(tree["nodes"][0]["summary"]["hosts_down"], 1);
        assert_eq!(tree["nodes"][0]["summary"]["metrics"][0]["num"], 1);
        assert_eq!(tree["nodes"][0].get("hosts"), None);
        let (tree, found) = asked("/A%20%22%C3%A9/h1/os");
        assert!(found);
        assert_eq!(
            tree["nodes"][0]["hosts"][0]["metrics"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        let (tree, found) = asked("/nope");
        assert_eq!((found, &tree["nodes"]), (false, &json!([])));
        let (tree, found) = asked("/empty/nope");
        assert_eq!((found, &tree["nodes"][0]["hosts"]), (false, &json!([])));
    }
}
