//! The tree of an update: nodes, their attributes and their children.
//!
//! A [`Node`] is a number; the tree knows whether it is still valid.
#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;

use crate::abi::{self, Text, status};
use crate::daemon::{Daemon, text_of};

/// The kind of a node, named as in gmetad-python.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A nested grid, or the root.
    Grid,
    /// A cluster.
    Cluster,
    /// A host of a cluster.
    Host,
    /// A metric of a host.
    Metric,
    /// A sum over hosts.
    Metrics,
    /// The parent of a metric's or a sum's EXTRA_ELEMENTs.
    ExtraData,
    /// A name and a value about a metric.
    ExtraElement,
}

const KINDS: [(Kind, i32); 7] = [
    (Kind::Grid, abi::kind::GRID),
    (Kind::Cluster, abi::kind::CLUSTER),
    (Kind::Host, abi::kind::HOST),
    (Kind::Metric, abi::kind::METRIC),
    (Kind::Metrics, abi::kind::METRICS),
    (Kind::ExtraData, abi::kind::EXTRA_DATA),
    (Kind::ExtraElement, abi::kind::EXTRA_ELEMENT),
];

/// A node of the call's tree. It is invalid after the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node(abi::Node);

/// Numbers of hosts, and the sums over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Hosts that are up.
    pub hosts_up: u32,
    /// Hosts that are down.
    pub hosts_down: u32,
    /// One METRICS for each metric, in order.
    pub metrics: Vec<Node>,
}

/// Why a change was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The node was removed, or belongs to an earlier update.
    NoNode,
    /// A node of this kind cannot have that.
    NotPossible,
    /// Not a number where one is expected, or a name is missing.
    BadValue,
    /// A child of that kind and name exists: this one, if one was to be added.
    Exists(Option<Node>),
    /// Not in a call of `notify` or `notify_root`, or on another thread.
    NotNow,
    /// An array is at its limit.
    Full,
    /// A reason that this version does not know.
    Other(i32),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoNode => f.write_str("there is no such node"),
            Refusal::NotPossible => f.write_str("this node cannot have that"),
            Refusal::BadValue => f.write_str("this attribute cannot have that value"),
            Refusal::Exists(_) => f.write_str("there is such a child already"),
            Refusal::NotNow => f.write_str("no tree is being shown here"),
            Refusal::Full => f.write_str("there is no room for more"),
            Refusal::Other(status) => write!(f, "gmetad refuses it with {status}"),
        }
    }
}

impl std::error::Error for Refusal {}

fn result(code: i32) -> Result<(), Refusal> {
    Err(match code {
        status::OK => return Ok(()),
        status::NO_NODE => Refusal::NoNode,
        status::NOT_POSSIBLE => Refusal::NotPossible,
        status::BAD_VALUE => Refusal::BadValue,
        status::EXISTS => Refusal::Exists(None),
        status::NOT_NOW => Refusal::NotNow,
        status::FULL => Refusal::Full,
        other => Refusal::Other(other),
    })
}

/// The tree of a call. The plugins after this one see the changes.
pub struct Tree<'a> {
    daemon: Daemon,
    top: Node,
    /// It belongs to the thread and to the call.
    _call: PhantomData<&'a mut *mut ()>,
}

// Text borrows the tree, and every change borrows it mutably: so no text outlives what it points to,
// as the header demands.
impl Tree<'_> {
    /// # Safety
    /// The plugin is in a call for as long as the result lives, and the call has no other `Tree`.
    pub(crate) unsafe fn new(daemon: Daemon, top: abi::Node) -> Self {
        Tree {
            daemon,
            top: Node(top),
            _call: PhantomData,
        }
    }

    /// The cluster or grid itself.
    pub fn top(&self) -> Node {
        self.top
    }

    /// The kind of a node; `None`: there is no such node.
    pub fn kind(&self, node: Node) -> Option<Kind> {
        let api = self.daemon.api();
        // SAFETY: the table is gmetad's; any number may be asked for.
        let number = unsafe { (api.kind)(api, node.0) };
        let found = KINDS.iter().find(|(_, known)| *known == number);
        found.map(|(kind, _)| *kind)
    }

    /// The parent of a node; of a METRICS, the top.
    pub fn parent(&self, node: Node) -> Option<Node> {
        let api = self.daemon.api();
        // SAFETY: the table is gmetad's; any number may be asked for.
        node_of(unsafe { (api.parent)(api, node.0) })
    }

    /// The first child of a node.
    #[inline]
    pub fn first(&self, node: Node) -> Option<Node> {
        let api = self.daemon.api();
        // SAFETY: the table is gmetad's; any number may be asked for.
        node_of(unsafe { (api.first)(api, node.0) })
    }

    /// The next sibling of a node; of a METRICS, the next METRICS.
    #[inline]
    pub fn next(&self, node: Node) -> Option<Node> {
        let api = self.daemon.api();
        // SAFETY: the table is gmetad's; any number may be asked for.
        node_of(unsafe { (api.next)(api, node.0) })
    }

    /// The child with that key, such as `HOST:web1`, `METRIC:load_one`, `EXTRA_DATA`.
    pub fn find(&self, node: Node, key: &str) -> Option<Node> {
        let api = self.daemon.api();
        // SAFETY: the table is gmetad's, the key outlives the call.
        node_of(unsafe { (api.find)(api, node.0, Text::of(key)) })
    }

    /// All children of a node, in order: a list, so that the tree may be changed meanwhile.
    pub fn children(&self, node: Node) -> Vec<Node> {
        let api = self.daemon.api();
        let mut found: Vec<abi::Node> = Vec::new();
        loop {
            let room = found.capacity();
            // SAFETY: the table is gmetad's, and there is room for this many.
            let count = unsafe { (api.children)(api, node.0, found.as_mut_ptr(), room) };
            if count <= room {
                // SAFETY: this many were written.
                unsafe { found.set_len(count) };
                return found.into_iter().map(Node).collect();
            }
            found.reserve_exact(count);
        }
    }

    /// The summary of the top; `None`: it is another node.
    pub fn summary(&self, node: Node) -> Option<Summary> {
        let api = self.daemon.api();
        let mut raw = abi::Summary {
            size: size_of::<abi::Summary>() as u32,
            hosts_up: 0,
            hosts_down: 0,
            metrics: 0,
            first: 0,
        };
        // SAFETY: the table is gmetad's, the result outlives the call and has its size set.
        let code = unsafe { (api.summary)(api, node.0, &raw mut raw) };
        (code == status::OK).then(|| Summary {
            hosts_up: raw.hosts_up,
            hosts_down: raw.hosts_down,
            metrics: std::iter::successors(node_of(raw.first), |sum| self.next(*sum)).collect(),
        })
    }

    /// Sets the number of hosts up and down in the summary of the top.
    pub fn set_hosts(&mut self, node: Node, up: u32, down: u32) -> Result<(), Refusal> {
        let api = self.daemon.api();
        // SAFETY: the table is gmetad's; any number may be asked for.
        result(unsafe { (api.set_hosts)(api, node.0, up, down) })
    }

    /// An attribute as text, by its name in lower case.
    pub fn get(&self, node: Node, name: &str) -> Option<&str> {
        let api = self.daemon.api();
        let mut value = Text::NONE;
        // SAFETY: the table is gmetad's, the name and the result outlive the call.
        let code = unsafe { (api.get)(api, node.0, Text::of(name), &raw mut value) };
        // SAFETY: it is valid until the tree is changed, which the borrow forbids.
        (code == status::OK).then(|| unsafe { text_of(value) })
    }

    /// An attribute as a number, always finite; `None` also if it is not a number.
    pub fn number(&self, node: Node, name: &str) -> Option<f64> {
        let api = self.daemon.api();
        let mut value = 0.0;
        // SAFETY: the table is gmetad's, the name and the result outlive the call.
        let code = unsafe { (api.number)(api, node.0, Text::of(name), &raw mut value) };
        (code == status::OK).then_some(value)
    }

    /// `val` of a METRIC or `sum` of a METRICS as a number, faster; `None` also if it is not a number.
    #[inline]
    pub fn value(&self, node: Node) -> Option<f64> {
        let api = self.daemon.api();
        let mut value = 0.0;
        // SAFETY: the table is gmetad's, the result outlives the call.
        let code = unsafe { (api.value)(api, node.0, &raw mut value) };
        (code == status::OK).then_some(value)
    }

    /// All attributes, in the order of a document, then those that plugins added.
    pub fn attributes(&self, node: Node) -> impl Iterator<Item = (&str, &str)> {
        let api = self.daemon.api();
        (0..).map_while(move |at| {
            let (mut name, mut value) = (Text::NONE, Text::NONE);
            // SAFETY: the table is gmetad's, the results outlive the call.
            let code =
                unsafe { (api.attribute_at)(api, node.0, at, &raw mut name, &raw mut value) };
            // SAFETY: they are valid until the tree is changed, which the borrow forbids.
            (code == status::OK).then(|| unsafe { (text_of(name), text_of(value)) })
        })
    }

    /// Sets an attribute, or adds one that only plugins see.
    pub fn set(&mut self, node: Node, name: &str, value: &str) -> Result<(), Refusal> {
        let api = self.daemon.api();
        // SAFETY: the table is gmetad's, the texts outlive the call.
        result(unsafe { (api.set)(api, node.0, Text::of(name), Text::of(value)) })
    }

    /// Sets an attribute to a number.
    pub fn set_number(&mut self, node: Node, name: &str, value: f64) -> Result<(), Refusal> {
        let api = self.daemon.api();
        // SAFETY: the table is gmetad's, the name outlives the call.
        result(unsafe { (api.set_number)(api, node.0, Text::of(name), value) })
    }

    /// Sets `val` of a METRIC, rounded if its type is an integer, or `sum` of a METRICS.
    #[inline]
    pub fn set_value(&mut self, node: Node, value: f64) -> Result<(), Refusal> {
        let api = self.daemon.api();
        // SAFETY: the table is gmetad's; any number may be asked for.
        result(unsafe { (api.set_value)(api, node.0, value) })
    }

    /// Adds a child after the others: a HOST or METRICS to the top, a METRIC to a HOST, an
    /// EXTRA_ELEMENT to a METRIC or METRICS. The attributes must include `name`.
    pub fn add(
        &mut self,
        parent: Node,
        kind: Kind,
        attributes: &[(&str, &str)],
    ) -> Result<Node, Refusal> {
        let api = self.daemon.api();
        let number = KINDS.iter().find(|(known, _)| *known == kind);
        let number = number.map_or(0, |(_, number)| *number);
        let attributes: Vec<abi::Attribute> = attributes
            .iter()
            .map(|(name, value)| abi::Attribute {
                name: Text::of(name),
                value: Text::of(value),
            })
            .collect();
        let mut added = 0;
        // SAFETY: the table is gmetad's, the list and the result outlives the call.
        let code = unsafe {
            (api.add)(
                api,
                parent.0,
                number,
                attributes.as_ptr(),
                attributes.len(),
                &raw mut added,
            )
        };
        match result(code) {
            Ok(()) => Ok(Node(added)),
            Err(Refusal::Exists(_)) => Err(Refusal::Exists(node_of(added))),
            Err(refusal) => Err(refusal),
        }
    }

    /// Removes a node and everything below it.
    pub fn remove(&mut self, node: Node) -> Result<(), Refusal> {
        let api = self.daemon.api();
        // SAFETY: the table is gmetad's; any number may be asked for.
        result(unsafe { (api.remove)(api, node.0) })
    }
}

impl fmt::Debug for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tree").field(&self.top).finish()
    }
}

fn node_of(number: abi::Node) -> Option<Node> {
    (number != 0).then_some(Node(number))
}
