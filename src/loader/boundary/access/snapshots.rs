//! The functions over snapshots, which any thread may call while it holds one.
//!
//! What they rely on is at the top of `access`. The plugin also promises that a snapshot is null, or
//! one that `hold`, `newest` or `newest_root` returned and that is not released.

use std::ffi::c_void;
use std::fmt::Write as _;
use std::ptr;
use std::sync::Arc;

use gmetad_plugin::abi::{self, Api, EachAttribute, EachChild, Node, Text, status};

use super::super::context::Context;
use super::super::snapshot::{Snapshot, handed_out, taken_back};
use super::super::text::text;
use super::{code, kind_number, put_sized, with};
use gmetad_core::plugin::tree::{NodeId, Tree, TreeError, Value};

pub(super) unsafe extern "C" fn revision(api: *const Api) -> u64 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe {
        with(api, 0, |context| {
            let revision = context.with_tree(|tree, _, _| tree.revision());
            revision.unwrap_or(0)
        })
    }
}

pub(super) unsafe extern "C" fn hold(api: *const Api) -> *const abi::Snapshot {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe {
        with(api, ptr::null(), |context| {
            let held = context.with_tree(|tree, _, _| Snapshot::of(tree)).flatten();
            handed_out(held.map(Arc::new))
        })
    }
}

pub(super) unsafe extern "C" fn release(_api: *const Api, snapshot: *const abi::Snapshot) {
    // SAFETY: the plugin promises that it is held, and releases it once.
    unsafe { taken_back(snapshot) }
}

pub(super) unsafe extern "C" fn news(api: *const Api) -> u64 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe { with(api, 0, |context| context.newest().news()) }
}

pub(super) unsafe extern "C" fn newest_root(api: *const Api) -> *const abi::Snapshot {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe {
        with(api, ptr::null(), |context: &Context| {
            handed_out(context.newest().root())
        })
    }
}

pub(super) unsafe extern "C" fn newest(
    api: *const Api,
    out: *mut *const abi::Snapshot,
    room: usize,
) -> usize {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    let nodes = unsafe { with(api, Vec::new(), |context| context.newest().nodes()) };
    let count = nodes.len();
    let room = if out.is_null() { 0 } else { room };
    for (at, node) in nodes.into_iter().take(room).enumerate() {
        // SAFETY: the plugin promises room for this many.
        unsafe { out.add(at).write(handed_out(Some(node))) };
    }
    count
}

/// The tree behind a snapshot; `None` for null.
///
/// # Safety
/// The snapshot is null or held, for as long as the result is used.
unsafe fn tree_of<'a>(snapshot: *const abi::Snapshot) -> Option<&'a Tree<'static>> {
    // SAFETY: the caller promises it.
    let snapshot = unsafe { snapshot.cast::<Snapshot>().as_ref() };
    snapshot.map(Snapshot::tree)
}

/// A node of a snapshot.
///
/// # Safety
/// As of [`tree_of`].
unsafe fn at<'a>(
    snapshot: *const abi::Snapshot,
    node: Node,
) -> Result<(&'a Tree<'static>, NodeId), TreeError> {
    // SAFETY: the caller promises it.
    let tree = unsafe { tree_of(snapshot) }.ok_or(TreeError::NoNode)?;
    let id = NodeId::unpack(node, Snapshot::generation()).ok_or(TreeError::NoNode)?;
    tree.kind(id).map(|_| (tree, id))
}

pub(super) unsafe extern "C" fn snapshot_top(
    _api: *const Api,
    snapshot: *const abi::Snapshot,
) -> Node {
    if snapshot.is_null() {
        return 0;
    }
    NodeId::Top.pack(Snapshot::generation())
}

pub(super) unsafe extern "C" fn snapshot_kind(
    _api: *const Api,
    snapshot: *const abi::Snapshot,
    node: Node,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    let kind = unsafe { at(snapshot, node) }.and_then(|(tree, id)| tree.kind(id));
    kind.map_or(0, kind_number)
}

pub(super) unsafe extern "C" fn snapshot_find(
    _api: *const Api,
    snapshot: *const abi::Snapshot,
    node: Node,
    key: Text,
) -> Node {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    let (Some(key), Ok((tree, id))) = (unsafe { (text(key), at(snapshot, node)) }) else {
        return 0;
    };
    let found = tree.find(id, key).ok().flatten();
    found.map_or(0, |found| found.pack(Snapshot::generation()))
}

pub(super) unsafe extern "C" fn snapshot_summary(
    _api: *const Api,
    snapshot: *const abi::Snapshot,
    out: *mut abi::Summary,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    let Some(tree) = (unsafe { tree_of(snapshot) }) else {
        return status::NO_NODE;
    };
    let summary = tree.summary();
    let first = tree.first_sum();
    let found = abi::Summary {
        size: 0,
        hosts_up: summary.hosts_up,
        hosts_down: summary.hosts_down,
        metrics: tree.sum_count() as u32,
        first: first.map_or(0, |sum| sum.pack(Snapshot::generation())),
    };
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe { put_sized(out, &found) }
}

/// Hands nodes over one by one, from the first on, until the plugin has enough.
///
/// # Safety
/// The function takes the context.
unsafe fn each_from(
    tree: &Tree<'_>,
    mut next: Option<NodeId>,
    each: EachChild,
    context: *mut c_void,
) -> i32 {
    while let Some(node) = next {
        let kind = match tree.kind(node) {
            Ok(kind) => kind,
            Err(error) => return code(error),
        };
        let name = match tree.attribute(node, "name") {
            Ok(Some(Value::Text(name))) => Text::of(name),
            _ => Text::NONE,
        };
        let number = node.pack(Snapshot::generation());
        // SAFETY: the caller promises the context; the text belongs to the snapshot, which is held.
        let enough = unsafe { each(context, number, kind_number(kind), name) };
        if enough != 0 {
            return status::OK;
        }
        next = tree.next(node).unwrap_or_default();
    }
    status::OK
}

pub(super) unsafe extern "C" fn snapshot_children(
    _api: *const Api,
    snapshot: *const abi::Snapshot,
    node: Node,
    each: EachChild,
    context: *mut c_void,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    let first = unsafe { at(snapshot, node) }.and_then(|(tree, id)| Ok((tree, tree.first(id)?)));
    match first {
        // SAFETY: the function and its context are the plugin's.
        Ok((tree, first)) => unsafe { each_from(tree, first, each, context) },
        Err(error) => code(error),
    }
}

pub(super) unsafe extern "C" fn snapshot_sums(
    _api: *const Api,
    snapshot: *const abi::Snapshot,
    each: EachChild,
    context: *mut c_void,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    match unsafe { tree_of(snapshot) } {
        // SAFETY: the function and its context are the plugin's.
        Some(tree) => unsafe { each_from(tree, tree.first_sum(), each, context) },
        None => status::NO_NODE,
    }
}

/// Hands one attribute over; returns what the plugin's function returns.
///
/// # Safety
/// The function takes the context.
unsafe fn tell(
    each: EachAttribute,
    context: *mut c_void,
    name: &str,
    value: Value<'_>,
    room: &mut String,
) -> i32 {
    let value = match value {
        Value::Text(text) => Text::of(text),
        number => {
            room.clear();
            // Writing to a string fails only if the text itself does.
            let _ = write!(room, "{number}");
            Text::of(room)
        }
    };
    // SAFETY: the caller promises the context; both texts outlive the call.
    unsafe { each(context, Text::of(name), value) }
}

pub(super) unsafe extern "C" fn snapshot_attribute(
    _api: *const Api,
    snapshot: *const abi::Snapshot,
    node: Node,
    name: Text,
    each: EachAttribute,
    context: *mut c_void,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    let (name, found) = unsafe { (text(name), at(snapshot, node)) };
    let Some(name) = name else {
        return status::BAD_VALUE;
    };
    match found.and_then(|(tree, id)| tree.attribute(id, name)) {
        Ok(Some(value)) => {
            // SAFETY: the function and its context are the plugin's.
            unsafe { tell(each, context, name, value, &mut String::new()) };
            status::OK
        }
        Ok(None) => status::ABSENT,
        Err(error) => code(error),
    }
}

pub(super) unsafe extern "C" fn snapshot_attributes(
    _api: *const Api,
    snapshot: *const abi::Snapshot,
    node: Node,
    each: EachAttribute,
    context: *mut c_void,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    let (tree, id) = match unsafe { at(snapshot, node) } {
        Ok(found) => found,
        Err(error) => return code(error),
    };
    let mut room = String::new();
    for place in 0.. {
        match tree.attribute_at(id, place) {
            // SAFETY: the function and its context are the plugin's.
            Ok(Some((name, value))) => unsafe {
                if tell(each, context, name, value, &mut room) != 0 {
                    break;
                }
            },
            Ok(None) => break,
            Err(error) => return code(error),
        }
    }
    status::OK
}
