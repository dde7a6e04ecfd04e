//! A source's document, as its bytes arrive, into clusters and grids.
//!
//! No I/O and no clock. A METRIC that looks like one seen before is read by comparing bytes; all
//! else goes through quick-xml. Both ways give the same, whatever the input.

use std::collections::HashMap;
use std::sync::Arc;

use memchr::{memchr, memchr3, memmem};
use quick_xml::events::{BytesStart, Event};

use super::build::{ClusterBuilder, ClusterHead, HostHead};
use super::text::{from_latin1, unescape};
use crate::config::SummaryFilter;
use crate::model::{
    DEFAULT_SOURCE, DefId, DefTable, Grid, HostInfo, MetricFields, Mono, Node, Number, SmallText,
    SummaryBuilder, Vocabulary, Wire, parse_number,
};

/// Most bytes of one document.
pub const MAX_DOCUMENT_BYTES: u64 = 1 << 30;

/// Most bytes of one tag; a gmond's own are below 2 KB.
pub const MAX_TAG_BYTES: usize = 64 << 10;

/// Most bytes of the document type declaration.
const MAX_DOCTYPE_BYTES: usize = 64 << 10;

/// Deepest nesting of elements.
const MAX_DEPTH: usize = 64;

/// Most EXTRA_ELEMENTs of one metric.
const MAX_EXTRA: usize = 256;

/// Longest value that the comparing way reads.
const MAX_FAST_VALUE: usize = 256;

/// Why a document was given up; the source keeps its old data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The root element is another.
    #[error(
        "not a Ganglia document: its first element is <{0}>; is the port that of a gmond or gmetad?"
    )]
    NotGanglia(String),
    /// Text where the document should start.
    #[error(
        "not a Ganglia document: it does not start with a tag; is the port that of a gmond or gmetad?"
    )]
    NotXml,
    /// Markup that no reader could take.
    #[error("broken markup at byte {at}: {why}")]
    Markup {
        /// Offset in the document.
        at: u64,
        /// What the reader said.
        why: String,
    },
    /// A limit of this daemon.
    #[error("{what} at byte {at} is over the limit of {limit}")]
    Limit {
        /// What is too much.
        what: &'static str,
        /// Offset in the document.
        at: u64,
        /// The limit.
        limit: u64,
    },
    /// The end came too soon.
    #[error("the document ends after {0} bytes without </GANGLIA_XML>")]
    Truncated(u64),
}

/// What does not change from poll to poll.
#[derive(Clone, Debug)]
pub struct ParseSettings {
    /// Off: GRID tags are looked through.
    pub scalable: bool,
    /// On: host names are stored in lower case.
    pub lower_case_hosts: bool,
    /// Which metrics are summed up.
    pub filter: Arc<SummaryFilter>,
    /// Off: every element is parsed in full. For tests and fuzzers.
    pub fast: bool,
}

impl Default for ParseSettings {
    fn default() -> ParseSettings {
        ParseSettings {
            scalable: true,
            lower_case_hosts: false,
            filter: Arc::default(),
            fast: true,
        }
    }
}

/// What a source's last document left: the start of the next.
#[derive(Debug, Default)]
pub struct Previous {
    /// Its clusters and grids.
    pub nodes: Vec<Node>,
    /// By name of cluster or grid.
    pub vocabularies: HashMap<Box<str>, Vocabulary>,
}

/// A document that ended well.
#[derive(Debug, Default)]
pub struct Document {
    /// In the order they came, each name once.
    pub nodes: Vec<Node>,
    /// For the next document.
    pub vocabularies: HashMap<Box<str>, Vocabulary>,
    /// Places that could not be read as sent.
    pub damage: u64,
    /// Length.
    pub bytes: u64,
}

/// An element that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    GangliaXml,
    /// A grid below; its draft is on the stack of grids.
    Grid,
    /// A GRID tag that is looked through.
    PlainGrid,
    Cluster,
    Host,
    Metric,
    Metrics,
    /// HOSTS, EXTRA_DATA, EXTRA_ELEMENT: nothing to do at their end.
    Leaf,
    /// Anything that is not Ganglia's, or not where it belongs.
    Unknown,
}

/// A grid below, as far as it is known.
#[derive(Debug, Default)]
struct GridDraft {
    name: String,
    authority: String,
    localtime: i64,
    /// HOSTS and METRICS that the grid gives of itself.
    own: SummaryBuilder,
    /// The sum of what is inside.
    below: SummaryBuilder,
}

/// A METRIC or METRICS element that is open.
#[derive(Debug, Default)]
struct Draft {
    fields: MetricFields,
    val: String,
    tn: u32,
    num: u32,
}

/// What comparing found.
enum Fast {
    /// A metric of that length in bytes.
    Hit(usize, DefId, u32, SmallText),
    /// All that there is agrees; more bytes will tell.
    More,
    /// Not what was expected.
    Miss,
}

/// Reads one document.
#[derive(Debug)]
pub struct Parser {
    settings: Arc<ParseSettings>,
    previous: Previous,
    document: Document,
    scopes: Vec<Scope>,
    grids: Vec<GridDraft>,
    cluster: Option<ClusterBuilder>,
    draft: Draft,
    /// A tag that has begun and not ended.
    pending: Vec<u8>,
    /// Bytes before what is being read.
    offset: u64,
    now: Mono,
    root_seen: bool,
    root_closed: bool,
}

impl Parser {
    /// A reader of the document that follows `previous`.
    pub fn new(settings: Arc<ParseSettings>, previous: Previous) -> Parser {
        Parser {
            settings,
            previous,
            document: Document::default(),
            scopes: Vec::new(),
            grids: Vec::new(),
            cluster: None,
            draft: Draft::default(),
            pending: Vec::new(),
            offset: 0,
            now: Mono::default(),
            root_seen: false,
            root_closed: false,
        }
    }

    /// Reads on. After an error the document is lost.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        now: Mono,
        table: &mut DefTable,
    ) -> Result<(), ParseError> {
        self.now = now;
        self.document.bytes += bytes.len() as u64;
        if self.document.bytes > MAX_DOCUMENT_BYTES {
            return Err(self.limit("the document", MAX_DOCUMENT_BYTES));
        }
        if self.pending.is_empty() {
            let read = self.read(bytes, table)?;
            self.pending.extend_from_slice(&bytes[read..]);
        } else {
            let mut pending = std::mem::take(&mut self.pending);
            pending.extend_from_slice(bytes);
            let read = self.read(&pending, table)?;
            pending.drain(..read);
            self.pending = pending;
        }
        Ok(())
    }

    /// The document, if it ended well.
    pub fn finish(mut self, now: Mono) -> Result<Document, ParseError> {
        if !self.root_closed {
            return Err(ParseError::Truncated(self.document.bytes));
        }
        for node in &mut self.document.nodes {
            // Made while the document was read, and not shared yet.
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
        Ok(self.document)
    }

    /// Reads as many whole elements as there are; how many bytes that took.
    fn read(&mut self, bytes: &[u8], table: &mut DefTable) -> Result<usize, ParseError> {
        let mut at = 0;
        loop {
            at += bytes[at..]
                .iter()
                .take_while(|b| b.is_ascii_whitespace())
                .count();
            let rest = &bytes[at..];
            if rest.is_empty() || self.root_closed {
                at = bytes.len();
                break;
            }
            if self.settings.fast && self.scopes.last() == Some(&Scope::Host) {
                match self.fast_metric(rest) {
                    Fast::Hit(len, id, tn, val) => {
                        if let Some(cluster) = &mut self.cluster {
                            cluster.metric(id, tn, val);
                        }
                        at += len;
                        continue;
                    }
                    Fast::More if rest.len() <= MAX_TAG_BYTES => break,
                    Fast::More | Fast::Miss => {}
                }
            }
            if rest[0] != b'<' {
                if !self.root_seen {
                    return Err(ParseError::NotXml);
                }
                // Text has no meaning between Ganglia's elements.
                self.document.damage += 1;
                at += memchr(b'<', rest).unwrap_or(rest.len());
                continue;
            }
            self.offset = self.document.bytes - (bytes.len() - at) as u64;
            let Some(len) = tag_len(rest) else {
                if rest.len() > MAX_TAG_BYTES.max(MAX_DOCTYPE_BYTES) {
                    return Err(self.limit("a tag", MAX_TAG_BYTES as u64));
                }
                break;
            };
            self.tag(&rest[..len], table)?;
            at += len;
        }
        Ok(at)
    }

    /// Tries the definition that came next last time, then those of the same name.
    fn fast_metric(&self, bytes: &[u8]) -> Fast {
        const HEAD: &[u8] = b"<METRIC NAME=\"";
        let Some(cluster) = &self.cluster else {
            return Fast::Miss;
        };
        let vocabulary = cluster.vocabulary();
        let predicted = cluster.predicted();
        if let Some(id) = predicted {
            match compare(bytes, vocabulary.def(id).wire(), id) {
                Fast::Miss => {}
                found => return found,
            }
        }
        let Some(rest) = bytes.strip_prefix(HEAD) else {
            return if HEAD.starts_with(bytes) {
                Fast::More
            } else {
                Fast::Miss
            };
        };
        let Some(end) = memchr(b'"', rest) else {
            return Fast::Miss;
        };
        let Ok(name) = std::str::from_utf8(&rest[..end]) else {
            return Fast::Miss;
        };
        let mut found = Fast::Miss;
        for id in vocabulary
            .candidates(name)
            .filter(|id| Some(*id) != predicted)
        {
            match compare(bytes, vocabulary.def(id).wire(), id) {
                Fast::Miss => {}
                Fast::More => found = Fast::More,
                hit @ Fast::Hit(..) => return hit,
            }
        }
        found
    }

    /// One tag, from `<` to `>`.
    fn tag(&mut self, bytes: &[u8], table: &mut DefTable) -> Result<(), ParseError> {
        let text = from_latin1(bytes);
        let mut reader = quick_xml::Reader::from_str(&text);
        reader.config_mut().check_end_names = false;
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
            // Prolog, comments, processing instructions and CDATA say nothing to us.
            _ => Ok(()),
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), ParseError> {
        let name = tag.name().0;
        if !self.root_seen {
            if name != "GANGLIA_XML" {
                let short = name.chars().take(64).collect();
                return Err(ParseError::NotGanglia(short));
            }
            self.root_seen = true;
            self.scopes.push(Scope::GangliaXml);
            return Ok(());
        }
        if self.scopes.len() >= MAX_DEPTH {
            return Err(self.limit("the nesting of elements", MAX_DEPTH as u64));
        }
        let inside = *self.scopes.last().unwrap_or(&Scope::Unknown);
        let scope = match (inside, name) {
            (Scope::GangliaXml | Scope::Grid | Scope::PlainGrid, "GRID") => self.start_grid(tag),
            (Scope::GangliaXml | Scope::Grid | Scope::PlainGrid, "CLUSTER") => {
                self.start_cluster(tag)
            }
            (Scope::Cluster, "HOST") => self.start_host(tag),
            (Scope::Host, "METRIC") => self.start_metric(tag),
            (Scope::Metric | Scope::Metrics, "EXTRA_DATA") => Scope::Leaf,
            (Scope::Leaf, "EXTRA_ELEMENT") => self.extra_element(tag),
            (Scope::Grid | Scope::Cluster, "HOSTS") => self.hosts(tag),
            (Scope::Grid | Scope::Cluster, "METRICS") => self.start_metric_sum(tag),
            // The looked-through grid's own sums are those of the clusters inside.
            (Scope::PlainGrid, "HOSTS" | "METRICS") | (Scope::Unknown, _) => Scope::Unknown,
            _ => {
                self.document.damage += 1;
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
            let why = format!("</{name}> where </{expected}> was to come");
            return Err(ParseError::Markup {
                at: self.offset,
                why,
            });
        }
        match scope {
            Some(Scope::GangliaXml) => self.root_closed = true,
            Some(Scope::Grid) => self.end_grid(),
            Some(Scope::Cluster) => self.end_cluster(),
            Some(Scope::Host) => {
                if let Some(cluster) = &mut self.cluster {
                    cluster.end_host();
                }
            }
            Some(Scope::Metric) => self.end_metric(table),
            Some(Scope::Metrics) => self.end_metric_sum(table),
            _ => {}
        }
        Ok(())
    }

    fn start_grid(&mut self, tag: &BytesStart<'_>) -> Scope {
        if !self.settings.scalable {
            return Scope::PlainGrid;
        }
        let mut grid = GridDraft::default();
        let damage = &mut self.document.damage;
        each_attribute(tag, damage, |name, val, damage| match name {
            "NAME" => val.clone_into(&mut grid.name),
            "AUTHORITY" => val.clone_into(&mut grid.authority),
            "LOCALTIME" => grid.localtime = integer(val, damage),
            _ => {}
        });
        self.grids.push(grid);
        Scope::Grid
    }

    fn end_grid(&mut self) {
        let Some(grid) = self.grids.pop() else { return };
        // What a grid says of itself already has what is below it.
        let summary = if grid.own.is_empty() {
            grid.below
        } else {
            grid.own
        }
        .finish();
        if let Some(outer) = self.grids.last_mut() {
            outer.below.merge(&summary);
            return;
        }
        let grid = Grid {
            name: grid.name.into(),
            authority: grid.authority.into(),
            localtime: grid.localtime,
            received: self.now,
            summary,
        };
        self.add_node(Node::Grid(Arc::new(grid)));
    }

    fn start_cluster(&mut self, tag: &BytesStart<'_>) -> Scope {
        let mut head = ClusterHead {
            name: "unspecified".into(),
            ..ClusterHead::default()
        };
        let damage = &mut self.document.damage;
        each_attribute(tag, damage, |name, val, damage| match name {
            "NAME" => val.clone_into(&mut head.name),
            "LOCALTIME" => head.localtime = integer(val, damage),
            "OWNER" => val.clone_into(&mut head.owner),
            "LATLONG" => val.clone_into(&mut head.latlong),
            "URL" => val.clone_into(&mut head.url),
            _ => {}
        });
        let keep = self.grids.is_empty();
        // Clusters inside a grid below are summed up one after the other, by one vocabulary.
        let key = self
            .grids
            .first()
            .map_or(head.name.as_str(), |grid| grid.name.as_str());
        let vocabulary = match self.document.vocabularies.remove(key) {
            Some(vocabulary) => vocabulary,
            None => self.previous.vocabularies.remove(key).unwrap_or_default(),
        };
        let previous = self.previous.nodes.iter().find_map(|node| match node {
            Node::Cluster(cluster) if keep && *cluster.name == *head.name => Some(cluster.clone()),
            _ => None,
        });
        let filter = Arc::clone(&self.settings.filter);
        self.cluster = Some(ClusterBuilder::new(
            head, keep, filter, vocabulary, previous,
        ));
        Scope::Cluster
    }

    fn end_cluster(&mut self) {
        let Some(cluster) = self.cluster.take() else {
            return;
        };
        if let Some(grid) = self.grids.last_mut() {
            self.document.damage += cluster.damage;
            let (summary, vocabulary) = cluster.into_summary();
            grid.below.merge(&summary);
            let key = self
                .grids
                .first()
                .map(|grid| grid.name.as_str())
                .unwrap_or_default();
            self.document.vocabularies.insert(key.into(), vocabulary);
        } else {
            let name: Box<str> = cluster.name().into();
            let (cluster, vocabulary, damage) = cluster.finish(self.now);
            self.document.damage += damage;
            self.document.vocabularies.insert(name, vocabulary);
            self.add_node(Node::Cluster(Arc::new(cluster)));
        }
    }

    /// Adds a node; the later one counts where a name comes twice.
    fn add_node(&mut self, node: Node) {
        let known = self
            .document
            .nodes
            .iter()
            .position(|known| known.name() == node.name());
        match known {
            Some(at) => {
                self.document.damage += 1;
                self.document.nodes[at] = node;
            }
            None => self.document.nodes.push(node),
        }
    }

    fn start_host(&mut self, tag: &BytesStart<'_>) -> Scope {
        let Some(cluster) = &mut self.cluster else {
            return Scope::Unknown;
        };
        let mut head = HostHead::default();
        let mut name = String::new();
        each_attribute(
            tag,
            &mut self.document.damage,
            |key, val, damage| match key {
                "NAME" => val.clone_into(&mut name),
                "IP" => head.info.ip = val.into(),
                "TAGS" => head.info.tags = val.into(),
                "LOCATION" => head.info.location = val.into(),
                "REPORTED" => head.reported = integer(val, damage),
                "TN" => head.tn = seconds(val, damage),
                "TMAX" => head.info.tmax = seconds(val, damage),
                "DMAX" => head.info.dmax = seconds(val, damage),
                "GMOND_STARTED" => head.info.gmond_started = integer(val, damage),
                _ => {}
            },
        );
        if self.settings.lower_case_hosts {
            name = name.to_lowercase();
        }
        head.info = HostInfo {
            name: name.into(),
            ..head.info
        };
        cluster.start_host(head, self.now);
        Scope::Host
    }

    fn start_metric(&mut self, tag: &BytesStart<'_>) -> Scope {
        let draft = &mut self.draft;
        *draft = Draft::default();
        draft.fields.source = DEFAULT_SOURCE.into();
        each_attribute(
            tag,
            &mut self.document.damage,
            |key, val, damage| match key {
                "NAME" => val.clone_into(&mut draft.fields.name),
                "VAL" => val.clone_into(&mut draft.val),
                "TYPE" => val.clone_into(&mut draft.fields.type_text),
                "UNITS" => val.clone_into(&mut draft.fields.units),
                "TN" => draft.tn = seconds(val, damage),
                "TMAX" => draft.fields.tmax = seconds(val, damage),
                "DMAX" => draft.fields.dmax = seconds(val, damage),
                "SLOPE" => val.clone_into(&mut draft.fields.slope_text),
                "SOURCE" => val.clone_into(&mut draft.fields.source),
                _ => {}
            },
        );
        Scope::Metric
    }

    fn end_metric(&mut self, table: &mut DefTable) {
        let Some(cluster) = &mut self.cluster else {
            return;
        };
        let draft = std::mem::take(&mut self.draft);
        let def = table.intern(draft.fields);
        let id = cluster.add_def(&def);
        cluster.metric(id, draft.tn, SmallText::from(draft.val.as_str()));
    }

    fn extra_element(&mut self, tag: &BytesStart<'_>) -> Scope {
        let mut pair = (String::new(), String::new());
        each_attribute(tag, &mut self.document.damage, |key, val, _| match key {
            "NAME" => val.clone_into(&mut pair.0),
            "VAL" => val.clone_into(&mut pair.1),
            _ => {}
        });
        if self.draft.fields.extra.len() < MAX_EXTRA {
            self.draft.fields.extra.push(pair);
        } else {
            self.document.damage += 1;
        }
        Scope::Leaf
    }

    fn hosts(&mut self, tag: &BytesStart<'_>) -> Scope {
        let (mut up, mut down) = (0, 0);
        each_attribute(
            tag,
            &mut self.document.damage,
            |key, val, damage| match key {
                "UP" => up = seconds(val, damage),
                "DOWN" => down = seconds(val, damage),
                _ => {}
            },
        );
        if let Some(given) = self.given() {
            given.add_hosts(up, down);
        }
        Scope::Leaf
    }

    fn start_metric_sum(&mut self, tag: &BytesStart<'_>) -> Scope {
        let draft = &mut self.draft;
        *draft = Draft::default();
        draft.fields.source = DEFAULT_SOURCE.into();
        each_attribute(
            tag,
            &mut self.document.damage,
            |key, val, damage| match key {
                "NAME" => val.clone_into(&mut draft.fields.name),
                "SUM" => val.clone_into(&mut draft.val),
                "NUM" => draft.num = seconds(val, damage),
                "TYPE" => val.clone_into(&mut draft.fields.type_text),
                "UNITS" => val.clone_into(&mut draft.fields.units),
                "SLOPE" => val.clone_into(&mut draft.fields.slope_text),
                "SOURCE" => val.clone_into(&mut draft.fields.source),
                _ => {}
            },
        );
        Scope::Metrics
    }

    fn end_metric_sum(&mut self, table: &mut DefTable) {
        let draft = std::mem::take(&mut self.draft);
        if !self.settings.filter.takes_part(&draft.fields.name) {
            return;
        }
        let Some(Number { value, decimals }) = parse_number(draft.val.as_bytes()) else {
            self.document.damage += 1;
            return;
        };
        let def = table.intern(draft.fields);
        if let Some(given) = self.given() {
            given.add(&def, Number { value, decimals }, draft.num);
        }
    }

    /// Where HOSTS and METRICS add up: the cluster that is open, or else the grid.
    fn given(&mut self) -> Option<&mut SummaryBuilder> {
        match &mut self.cluster {
            Some(cluster) => Some(&mut cluster.given),
            None => self.grids.last_mut().map(|grid| &mut grid.own),
        }
    }

    fn limit(&self, what: &'static str, limit: u64) -> ParseError {
        ParseError::Limit {
            what,
            at: self.offset,
            limit,
        }
    }
}

/// Whether `bytes` start with the METRIC element of that wire form, whatever its VAL and TN.
///
/// What is taken here has plain text for its value and digits for its TN, so that the full way
/// would read the same.
#[inline]
fn compare(bytes: &[u8], wire: &Wire, id: DefId) -> Fast {
    macro_rules! expect {
        ($rest:expr, $part:expr) => {{
            let (rest, part): (&[u8], &[u8]) = ($rest, $part);
            match rest.strip_prefix(part) {
                Some(rest) => rest,
                None if part.starts_with(rest) => return Fast::More,
                None => return Fast::Miss,
            }
        }};
    }
    let rest = expect!(bytes, wire.head());
    let Some(end) = rest.iter().take(MAX_FAST_VALUE).position(|&b| !is_plain(b)) else {
        return if rest.len() < MAX_FAST_VALUE {
            Fast::More
        } else {
            Fast::Miss
        };
    };
    let (val, rest) = rest.split_at(end);
    let rest = expect!(rest, wire.middle());
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    // Nine digits always fit; more is for the full way.
    if digits == 0 || digits > 9 {
        return if digits == rest.len() && digits < 9 {
            Fast::More
        } else {
            Fast::Miss
        };
    }
    let (tn, rest) = rest.split_at(digits);
    let rest = expect!(rest, wire.before_source());
    let tail = match (rest.first(), wire.after_default_source()) {
        (Some(b'>'), Some(tail)) => tail,
        (None, _) => return Fast::More,
        _ => wire.from_source(),
    };
    // The line end after the element is white space like any other.
    let rest = expect!(rest, &tail[..tail.len() - 1]);
    let tn = tn
        .iter()
        .fold(0, |tn, digit| tn * 10 + u32::from(digit - b'0'));
    Fast::Hit(bytes.len() - rest.len(), id, tn, SmallText::from_ascii(val))
}

/// Bytes that mean themselves inside an attribute.
#[inline]
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=0x7e) && !matches!(byte, b'"' | b'&' | b'<' | b'>' | b'\'')
}

/// The length of the tag, comment or declaration at the start of `bytes`; `None`: not all is there.
fn tag_len(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"<!--") {
        return memmem::find(&bytes[4..], b"-->").map(|at| at + 7);
    }
    if bytes.starts_with(b"<![CDATA[") {
        return memmem::find(bytes, b"]]>").map(|at| at + 3);
    }
    if bytes.starts_with(b"<?") {
        return memmem::find(bytes, b"?>").map(|at| at + 2);
    }
    if bytes.starts_with(b"<!DOCTYPE") {
        return doctype_len(bytes);
    }
    if bytes.len() < 9 && bytes.starts_with(b"<!") {
        return None;
    }
    let mut at = 1;
    loop {
        at += memchr3(b'>', b'"', b'\'', &bytes[at..])?;
        match bytes[at] {
            b'>' => return Some(at + 1),
            quote => at += memchr(quote, &bytes[at + 1..])? + 2,
        }
    }
}

/// As `tag_len`, with the internal subset in brackets.
fn doctype_len(bytes: &[u8]) -> Option<usize> {
    let first = bytes.iter().position(|b| matches!(b, b'[' | b'>'))?;
    if bytes[first] == b'>' {
        return Some(first + 1);
    }
    let mut at = first;
    loop {
        at += memchr(b']', &bytes[at..])? + 1;
        let blank = bytes[at..]
            .iter()
            .take_while(|b| b.is_ascii_whitespace())
            .count();
        match bytes.get(at + blank) {
            Some(b'>') => return Some(at + blank + 1),
            Some(_) => {}
            None => return None,
        }
    }
}

/// Calls `take` with every attribute that can be read, its value resolved.
fn each_attribute(
    tag: &BytesStart<'_>,
    damage: &mut u64,
    mut take: impl FnMut(&str, &str, &mut u64),
) {
    for attribute in tag.attributes().with_checks(false) {
        match attribute {
            Ok(attribute) => {
                let value = unescape(&attribute.value, damage);
                take(attribute.key.0, &value, damage);
            }
            Err(_) => *damage += 1,
        }
    }
}

/// Seconds or a count: never negative, 0 where there is no number.
fn seconds(text: &str, damage: &mut u64) -> u32 {
    u32::try_from(integer(text, damage).max(0)).unwrap_or(u32::MAX)
}

fn integer(text: &str, damage: &mut u64) -> i64 {
    let text = text.trim();
    text.parse().unwrap_or_else(|_| {
        // An empty one is simply missing.
        *damage += u64::from(!text.is_empty());
        0
    })
}
