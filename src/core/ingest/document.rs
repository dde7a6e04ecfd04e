//! What reading a document takes, what it gives, and why a document is rejected.
//!
//! No rules here: those are in `elements`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Node, NodeList, Rubbish, Vocabulary};

/// What a source's last document left: where reading the next one starts.
#[derive(Debug, Default)]
pub struct Previous {
    /// Its clusters and grids.
    pub nodes: Arc<NodeList>,
    /// By name of cluster or grid.
    pub vocabularies: HashMap<Box<str>, Vocabulary>,
    /// How the names of this gmetad's marks begin, and the one that is served now.
    pub marks: Option<(Arc<str>, Arc<str>)>,
    /// A grid inside one of its grids that holds this gmetad's sums, though nothing may say so now.
    pub circle: Option<Box<str>>,
}

/// A complete document.
#[derive(Debug, Default)]
pub struct Document {
    /// Clusters and grids in document order, each name once.
    pub nodes: Vec<Node>,
    /// For the next document.
    pub vocabularies: HashMap<Box<str>, Vocabulary>,
    /// Malformed places, recovered where possible.
    pub damage: u64,
    /// Whether it holds this gmetad's own grid, which is left out.
    pub has_own_grid: bool,
    /// A grid that holds this gmetad's sums, which is left out; of several, the first.
    pub circle: Option<Box<str>>,
    /// The grid with which this gmetad's mark came back.
    pub marked: Option<Box<str>>,
    /// Hosts in the sums of grids inside its grids.
    pub inner_hosts: u64,
    /// The same of those that are left out as the mark came back with them.
    pub returned_hosts: u64,
    /// Values of hosts, including those of clusters in grids below.
    pub metrics: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// What is not needed any more.
    pub rubbish: Rubbish,
}

/// Why a document was rejected. The source keeps its old data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The root element is not GANGLIA_XML.
    #[error(
        "not a Ganglia document: its first element is <{0}>; is the port that of a gmond or gmetad?"
    )]
    NotGanglia(String),
    /// The document starts with text.
    #[error(
        "not a Ganglia document: it does not start with a tag; is the port that of a gmond or gmetad?"
    )]
    NotXml,
    /// Markup that cannot be read.
    #[error("broken markup at byte {at}: {why}")]
    Markup {
        /// Offset in the document.
        at: u64,
        /// What the XML reader reports.
        why: String,
    },
    /// The document exceeds a limit of this daemon.
    #[error("{what} at byte {at} exceeds the limit of {limit}")]
    Limit {
        /// What exceeds it.
        what: &'static str,
        /// Offset in the document.
        at: u64,
        /// The limit.
        limit: u64,
    },
    /// The document ends too early.
    #[error("the document ends after {0} bytes without </GANGLIA_XML>")]
    Truncated(u64),
}
