//! The functions that a plugin is given: arguments checked, the tree asked, results written.
//!
//! Each does what its comment in `include/gmetad_plugin.h` says; the rules are the tree's.
//!
//! What all of them rely on, as the header demands it: `api` is null or the table that the plugin
//! was given; text that is given is where it says it is, through the call; a place for a result is
//! null or may be written to.

use std::mem::size_of;
use std::ptr;
use std::slice;

use gmetad_plugin::abi::{self, Api, Node, Text, status};

use super::context::{Context, Scratch};
use gmetad_core::plugin::tree::{Generation, Kind, NodeId, Tree, TreeError, Value};

mod ask;
mod snapshots;

use ask::{fail, log, section, section_at, setting, setting_at, source_at, source_host_at};

/// The table, the same for every plugin.
pub(super) fn table() -> Api {
    Api {
        abi: abi::ABI,
        size: size_of::<Api>() as u32,
        version: Text::of(env!("CARGO_PKG_VERSION")),
        log,
        fail,
        setting,
        setting_at,
        source_at,
        source_host_at,
        section,
        kind,
        parent,
        first,
        next,
        find,
        children,
        summary,
        set_hosts,
        get,
        number,
        value,
        attribute_at,
        set,
        set_number,
        set_value,
        add,
        remove,
        section_at,
        revision: snapshots::revision,
        hold: snapshots::hold,
        release: snapshots::release,
        news: snapshots::news,
        newest: snapshots::newest,
        newest_root: snapshots::newest_root,
        snapshot_top: snapshots::snapshot_top,
        snapshot_kind: snapshots::snapshot_kind,
        snapshot_find: snapshots::snapshot_find,
        snapshot_children: snapshots::snapshot_children,
        snapshot_sums: snapshots::snapshot_sums,
        snapshot_summary: snapshots::snapshot_summary,
        snapshot_attribute: snapshots::snapshot_attribute,
        snapshot_attributes: snapshots::snapshot_attributes,
    }
}

/// Text of a plugin's; `None` if it is not UTF-8.
///
/// # Safety
/// It stays where it is for as long as the result is used.
#[inline]
pub(super) unsafe fn text<'a>(text: Text) -> Option<&'a str> {
    if text.len == 0 {
        return Some("");
    }
    if text.ptr.is_null() || text.len > isize::MAX as usize {
        return None;
    }
    // SAFETY: by the promise above these bytes are there.
    let bytes = unsafe { slice::from_raw_parts(text.ptr, text.len) };
    std::str::from_utf8(bytes).ok()
}

/// Writes a result, if there is a place for it.
///
/// # Safety
/// The place is null or may be written to.
#[inline]
unsafe fn put<T>(place: *mut T, result: T) {
    if !place.is_null() {
        // SAFETY: by the promise above; C aligns what it declares.
        unsafe { place.write(result) };
    }
}

/// Writes as much of a structure as the plugin knows, by the size it has put into it.
///
/// # Safety
/// The place is null, or has the structure, of which the first field is its size in bytes.
unsafe fn put_sized<T>(place: *mut T, result: &T) -> i32 {
    if place.is_null() {
        return status::BAD_VALUE;
    }
    // SAFETY: by the promise above there are at least the four bytes of the size.
    let size = unsafe { place.cast::<u32>().read() } as usize;
    if size < size_of::<u32>() {
        return status::BAD_VALUE;
    }
    let known = size.min(size_of::<T>()) - size_of::<u32>();
    // SAFETY: by the promise above there are `size` bytes; the size itself is left as it is.
    unsafe {
        ptr::copy_nonoverlapping(
            ptr::from_ref(result).cast::<u8>().add(size_of::<u32>()),
            place.cast::<u8>().add(size_of::<u32>()),
            known,
        );
    }
    status::OK
}

fn code(error: TreeError) -> i32 {
    match error {
        TreeError::NoNode => status::NO_NODE,
        TreeError::NotPossible => status::NOT_POSSIBLE,
        TreeError::BadValue => status::BAD_VALUE,
        TreeError::Exists(_) => status::EXISTS,
        TreeError::Full => status::FULL,
    }
}

fn done(result: Result<(), TreeError>) -> i32 {
    result.map_or_else(code, |()| status::OK)
}

/// Where a value's text stands.
#[inline]
fn shown(value: Value<'_>, scratch: &mut Scratch) -> Text {
    match value {
        Value::Text(text) => Text::of(text),
        number => scratch.keep(number),
    }
}

/// Does something with the context; `otherwise` if there is none.
///
/// # Safety
/// `api` is null or the table that the plugin was given.
#[inline]
unsafe fn with<R>(api: *const Api, otherwise: R, work: impl FnOnce(&'static Context) -> R) -> R {
    // SAFETY: by the promise above.
    match unsafe { Context::of(api) } {
        Some(context) => work(context),
        None => otherwise,
    }
}

/// Asks the tree something about a node; the answer is a status.
///
/// # Safety
/// `api` is null or the table that the plugin was given.
#[inline]
unsafe fn at_node(
    api: *const Api,
    node: Node,
    work: impl FnOnce(&mut Tree<'_>, NodeId, Generation, &mut Scratch) -> i32,
) -> i32 {
    // SAFETY: by the promise above.
    unsafe {
        with(api, status::NOT_NOW, |context| {
            let result = context.with_tree(|tree, generation, scratch| {
                match NodeId::unpack(node, generation) {
                    Some(id) => work(tree, id, generation, scratch),
                    None => status::NO_NODE,
                }
            });
            result.unwrap_or(status::NOT_NOW)
        })
    }
}

/// Asks the tree for another node.
///
/// # Safety
/// `api` is null or the table that the plugin was given.
#[inline]
unsafe fn node_from(
    api: *const Api,
    node: Node,
    work: impl FnOnce(&mut Tree<'_>, NodeId) -> Result<Option<NodeId>, TreeError>,
) -> Node {
    // SAFETY: by the promise above.
    unsafe {
        with(api, 0, |context| {
            let found = context.with_tree(|tree, generation, _| {
                let id = NodeId::unpack(node, generation)?;
                let found = work(tree, id).ok()??;
                Some(found.pack(generation))
            });
            found.flatten().unwrap_or(0)
        })
    }
}

unsafe extern "C" fn kind(api: *const Api, node: Node) -> i32 {
    // SAFETY: the plugin keeps what the module's head says.
    let kind = unsafe {
        at_node(api, node, |tree, id, _, _| {
            tree.kind(id).map_or(0, kind_number)
        })
    };
    kind.max(0)
}

fn kind_number(kind: Kind) -> i32 {
    match kind {
        Kind::Grid => abi::kind::GRID,
        Kind::Cluster => abi::kind::CLUSTER,
        Kind::Host => abi::kind::HOST,
        Kind::Metric => abi::kind::METRIC,
        Kind::Metrics => abi::kind::METRICS,
        Kind::ExtraData => abi::kind::EXTRA_DATA,
        Kind::ExtraElement => abi::kind::EXTRA_ELEMENT,
    }
}

fn kind_of(number: i32) -> Option<Kind> {
    Some(match number {
        abi::kind::GRID => Kind::Grid,
        abi::kind::CLUSTER => Kind::Cluster,
        abi::kind::HOST => Kind::Host,
        abi::kind::METRIC => Kind::Metric,
        abi::kind::METRICS => Kind::Metrics,
        abi::kind::EXTRA_DATA => Kind::ExtraData,
        abi::kind::EXTRA_ELEMENT => Kind::ExtraElement,
        _ => return None,
    })
}

unsafe extern "C" fn parent(api: *const Api, node: Node) -> Node {
    // SAFETY: the plugin keeps what the module's head says.
    unsafe { node_from(api, node, |tree, id| tree.parent(id)) }
}

unsafe extern "C" fn first(api: *const Api, node: Node) -> Node {
    // SAFETY: the plugin keeps what the module's head says.
    unsafe { node_from(api, node, |tree, id| tree.first(id)) }
}

unsafe extern "C" fn next(api: *const Api, node: Node) -> Node {
    // SAFETY: the plugin keeps what the module's head says.
    unsafe { node_from(api, node, |tree, id| tree.next(id)) }
}

unsafe extern "C" fn find(api: *const Api, node: Node, key: Text) -> Node {
    // SAFETY: the plugin keeps what the module's head says.
    unsafe {
        let Some(key) = text(key) else {
            return 0;
        };
        node_from(api, node, |tree, id| tree.find(id, key))
    }
}

unsafe extern "C" fn children(api: *const Api, node: Node, out: *mut Node, room: usize) -> usize {
    let room = if out.is_null() { 0 } else { room };
    let mut count = 0;
    let write = |tree: &mut Tree<'_>, id, generation, _: &mut Scratch| {
        let mut next = tree.first(id);
        while let Ok(Some(child)) = next {
            if count < room {
                // SAFETY: the plugin says that there is room for this many.
                unsafe { out.add(count).write(child.pack(generation)) };
            }
            count += 1;
            next = tree.next(child);
        }
        status::OK
    };
    // SAFETY: the plugin keeps what the module's head says.
    unsafe { at_node(api, node, write) };
    count
}

unsafe extern "C" fn summary(api: *const Api, node: Node, out: *mut abi::Summary) -> i32 {
    let write = |tree: &mut Tree<'_>, id, generation, _: &mut Scratch| {
        if id != NodeId::Top {
            return tree.kind(id).map_or_else(code, |_| status::NOT_POSSIBLE);
        }
        let summary = tree.summary();
        let found = abi::Summary {
            size: 0,
            hosts_up: summary.hosts_up,
            hosts_down: summary.hosts_down,
            metrics: tree.sum_count() as u32,
            first: tree.first_sum().map_or(0, |sum| sum.pack(generation)),
        };
        // SAFETY: the plugin keeps what the module's head says.
        unsafe { put_sized(out, &found) }
    };
    // SAFETY: the plugin keeps what the module's head says.
    unsafe { at_node(api, node, write) }
}

unsafe extern "C" fn set_hosts(api: *const Api, node: Node, up: u32, down: u32) -> i32 {
    // SAFETY: the plugin keeps what the module's head says.
    unsafe {
        at_node(api, node, |tree, id, _, _| {
            if id != NodeId::Top {
                return tree.kind(id).map_or_else(code, |_| status::NOT_POSSIBLE);
            }
            tree.set_hosts(up, down);
            status::OK
        })
    }
}

unsafe extern "C" fn get(api: *const Api, node: Node, name: Text, value: *mut Text) -> i32 {
    // SAFETY: the plugin keeps what the module's head says.
    unsafe {
        let Some(name) = text(name) else {
            return status::BAD_VALUE;
        };
        at_node(api, node, |tree, id, _, scratch| {
            match tree.attribute(id, name) {
                Ok(Some(found)) => {
                    put(value, shown(found, scratch));
                    status::OK
                }
                Ok(None) => status::ABSENT,
                Err(error) => code(error),
            }
        })
    }
}

unsafe extern "C" fn number(api: *const Api, node: Node, name: Text, value: *mut f64) -> i32 {
    // SAFETY: the plugin keeps what the module's head says.
    unsafe {
        let Some(name) = text(name) else {
            return status::BAD_VALUE;
        };
        at_node(api, node, |tree, id, _, _| match tree.attribute(id, name) {
            Ok(Some(found)) => match found.number() {
                Some(found) => {
                    put(value, found);
                    status::OK
                }
                None => status::BAD_VALUE,
            },
            Ok(None) => status::ABSENT,
            Err(error) => code(error),
        })
    }
}

unsafe extern "C" fn value(api: *const Api, node: Node, value: *mut f64) -> i32 {
    // SAFETY: the plugin keeps what the module's head says.
    unsafe {
        at_node(api, node, |tree, id, _, _| match tree.value(id) {
            Ok(Some(found)) => {
                put(value, found);
                status::OK
            }
            Ok(None) => status::BAD_VALUE,
            Err(error) => code(error),
        })
    }
}

unsafe extern "C" fn attribute_at(
    api: *const Api,
    node: Node,
    at: usize,
    name: *mut Text,
    value: *mut Text,
) -> i32 {
    // SAFETY: the plugin keeps what the module's head says.
    unsafe {
        at_node(api, node, |tree, id, _, scratch| {
            match tree.attribute_at(id, at) {
                Ok(Some((found, its_value))) => {
                    put(name, Text::of(found));
                    put(value, shown(its_value, scratch));
                    status::OK
                }
                Ok(None) => status::ABSENT,
                Err(error) => code(error),
            }
        })
    }
}

unsafe extern "C" fn set(api: *const Api, node: Node, name: Text, value: Text) -> i32 {
    // SAFETY: the plugin keeps what the module's head says.
    unsafe {
        let (Some(name), Some(value)) = (text(name), text(value)) else {
            return status::BAD_VALUE;
        };
        at_node(api, node, |tree, id, _, _| done(tree.set(id, name, value)))
    }
}

unsafe extern "C" fn set_number(api: *const Api, node: Node, name: Text, value: f64) -> i32 {
    // SAFETY: the plugin keeps what the module's head says.
    unsafe {
        let Some(name) = text(name) else {
            return status::BAD_VALUE;
        };
        at_node(api, node, |tree, id, _, _| {
            done(tree.set_number(id, name, value))
        })
    }
}

unsafe extern "C" fn set_value(api: *const Api, node: Node, value: f64) -> i32 {
    // SAFETY: the plugin keeps what the module's head says.
    unsafe { at_node(api, node, |tree, id, _, _| done(tree.set_value(id, value))) }
}

unsafe extern "C" fn add(
    api: *const Api,
    parent: Node,
    kind: i32,
    attributes: *const abi::Attribute,
    count: usize,
    out: *mut Node,
) -> i32 {
    let Some(kind) = kind_of(kind) else {
        return status::NOT_POSSIBLE;
    };
    let given: &[abi::Attribute] = if count == 0 {
        &[]
    } else if attributes.is_null() || count > isize::MAX as usize / size_of::<abi::Attribute>() {
        return status::BAD_VALUE;
    } else {
        // SAFETY: the plugin says that there are this many.
        unsafe { slice::from_raw_parts(attributes, count) }
    };
    // SAFETY: the plugin keeps what the module's head says.
    let pairs = given
        .iter()
        .map(|it| unsafe { Some((text(it.name)?, text(it.value)?)) });
    let Some(pairs) = pairs.collect::<Option<Vec<_>>>() else {
        return status::BAD_VALUE;
    };
    let work = |tree: &mut Tree<'_>, id, generation, _: &mut Scratch| {
        let (node, status) = match tree.add(id, kind, &pairs) {
            Ok(node) => (node, status::OK),
            Err(TreeError::Exists(node)) => (node, status::EXISTS),
            Err(error) => return code(error),
        };
        // SAFETY: the plugin keeps what the module's head says.
        unsafe { put(out, node.pack(generation)) };
        status
    };
    // SAFETY: the plugin keeps what the module's head says.
    unsafe { at_node(api, parent, work) }
}

unsafe extern "C" fn remove(api: *const Api, node: Node) -> i32 {
    // SAFETY: the plugin keeps what the module's head says.
    unsafe { at_node(api, node, |tree, id, _, _| done(tree.remove(id))) }
}
