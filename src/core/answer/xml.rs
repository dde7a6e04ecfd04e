//! The XML that Ganglia clients read: ISO-8859-1, with the attributes and their order of C gmetad.
//!
//! No I/O: appends to buffers. `walk` decides what is written, and in which order.

use std::sync::Arc;

use crate::answer::query::Selection;
use crate::answer::walk::{Body, Format, Walk};
use crate::model::escape::{attribute, extra_data, number_attribute, push_value};
use crate::model::{
    Cluster, Host, Metric, Node, Now, Snapshot, Summary, SummaryMetric, grid_id, push_decimal,
};

/// The version of the format, which clients compare: that of the last C gmetad.
pub const WIRE_VERSION: &str = "3.7.2";

/// Prolog and document type declaration, as of both peers.
const PROLOG: &[u8] = include_bytes!("prolog.xml");

/// A mark's attributes after its name: a sum of nothing.
const MARK_ATTRIBUTES: &[u8] = b" SUM=\"0\" NUM=\"0\" TYPE=\"double\" UNITS=\"\" SLOPE=\"zero\" \
SOURCE=\"gmetad\">\n</METRICS>\n";

/// An answer as XML.
pub type Render = Walk<XmlFormat>;

impl Render {
    /// An answer with the selection, with TNs as of `now`.
    pub fn new(snapshot: Arc<Snapshot>, selection: Selection, now: Now) -> Render {
        Walk::with_format(snapshot, selection, now, XmlFormat)
    }

    /// The same for a client. It is made here so that its code is this crate's, which is compiled for
    /// speed.
    pub fn body(snapshot: Arc<Snapshot>, selection: Selection, now: Now) -> Box<dyn Body> {
        Box::new(Render::new(snapshot, selection, now))
    }
}

/// The format. It keeps no state.
#[derive(Debug)]
pub struct XmlFormat;

impl Format for XmlFormat {
    fn begin(&mut self, out: &mut Vec<u8>, snapshot: &Snapshot, now: Now) {
        out.extend_from_slice(PROLOG);
        out.extend_from_slice(b"<GANGLIA_XML");
        attribute(out, "VERSION", WIRE_VERSION);
        attribute(out, "SOURCE", "gmetad");
        out.extend_from_slice(b">\n");
        let grid = &snapshot.identity;
        if grid.scalable {
            open_grid(out, &grid.name, &grid.authority, now.epoch);
        }
    }

    fn hosts(&mut self, out: &mut Vec<u8>, summary: &Summary) {
        out.extend_from_slice(b"<HOSTS");
        number_attribute(out, "UP", summary.hosts_up);
        number_attribute(out, "DOWN", summary.hosts_down);
        attribute(out, "SOURCE", "gmetad");
        out.extend_from_slice(b"/>\n");
    }

    fn sum(&mut self, out: &mut Vec<u8>, sum: &SummaryMetric) {
        let fields = sum.def.fields();
        out.extend_from_slice(b"<METRICS");
        attribute(out, "NAME", &fields.name);
        attribute(out, "SUM", &sum.text());
        number_attribute(out, "NUM", sum.num);
        attribute(out, "TYPE", "double");
        attribute(out, "UNITS", &fields.units);
        attribute(out, "SLOPE", &fields.slope_text);
        attribute(out, "SOURCE", &fields.source);
        out.extend_from_slice(b">\n");
        extra_data(out, sum.extra());
        out.extend_from_slice(b"</METRICS>\n");
    }

    fn open_node(&mut self, out: &mut Vec<u8>, node: &Node) {
        match node {
            Node::Grid(grid) => {
                open_grid(out, &grid.name, &grid.authority, grid.localtime);
                grid.via.write(grid_id(&grid.name, &grid.authority), out);
                if let Some(mark) = &grid.mark {
                    out.extend_from_slice(b"<METRICS");
                    attribute(out, "NAME", mark);
                    out.extend_from_slice(MARK_ATTRIBUTES);
                }
            }
            Node::Cluster(cluster) => {
                out.extend_from_slice(b"<CLUSTER");
                attribute(out, "NAME", &cluster.name);
                number_attribute(out, "LOCALTIME", cluster.localtime);
                attribute(out, "OWNER", &cluster.owner);
                attribute(out, "LATLONG", &cluster.latlong);
                attribute(out, "URL", &cluster.url);
                out.extend_from_slice(b">\n");
            }
        }
    }

    fn open_host(&mut self, out: &mut Vec<u8>, host: &Host, now: Now) {
        let info = &host.info;
        out.extend_from_slice(b"<HOST");
        attribute(out, "NAME", &info.name);
        attribute(out, "IP", &info.ip);
        number_attribute(out, "REPORTED", host.reported);
        number_attribute(out, "TN", host.live_tn(now.mono));
        number_attribute(out, "TMAX", info.tmax);
        number_attribute(out, "DMAX", info.dmax);
        attribute(out, "LOCATION", &info.location);
        number_attribute(out, "GMOND_STARTED", info.gmond_started);
        attribute(out, "TAGS", &info.tags);
        out.extend_from_slice(b">\n");
    }

    #[inline]
    fn metric(&mut self, out: &mut Vec<u8>, cluster: &Cluster, metric: &Metric, age: u32) {
        let wire = cluster.def(metric).wire();
        out.extend_from_slice(wire.head());
        push_value(out, &metric.val);
        out.extend_from_slice(wire.middle());
        push_decimal(out, u64::from(metric.tn) + u64::from(age));
        out.extend_from_slice(wire.tail());
    }

    fn close_host(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"</HOST>\n");
    }

    fn close_node(&mut self, out: &mut Vec<u8>, node: &Node) {
        out.extend_from_slice(match node {
            Node::Grid(_) => b"</GRID>\n",
            Node::Cluster(_) => b"</CLUSTER>\n",
        });
    }

    fn end(&mut self, out: &mut Vec<u8>, snapshot: &Snapshot) {
        if snapshot.identity.scalable {
            out.extend_from_slice(b"</GRID>\n");
        }
        out.extend_from_slice(b"</GANGLIA_XML>\n");
    }
}

fn open_grid(out: &mut Vec<u8>, name: &str, authority: &str, localtime: i64) {
    out.extend_from_slice(b"<GRID");
    attribute(out, "NAME", name);
    attribute(out, "AUTHORITY", authority);
    number_attribute(out, "LOCALTIME", localtime);
    out.extend_from_slice(b">\n");
}
