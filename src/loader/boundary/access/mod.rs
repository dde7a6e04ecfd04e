//! The functions that a plugin may call: check the arguments, ask the tree, write the result.
//!
//! Each does what its comment in `include/gmetad_plugin.h` says. The rules are the tree's.
//!
//! The header makes the plugin promise what all of them rely on:
//! - `api` is null or the table that the plugin was given;
//! - text stays in place for the call;
//! - a place for a result is null or may be written to, and a structure has its size set.

use std::mem::size_of;
use std::ptr;

use gmetad_plugin::abi::{self, Api, Node, Text, status};

use super::context::Context;
use super::text::Scratch;
use gmetad_core::plugin::tree::{Generation, Kind, NodeId, Tree, TreeError};

mod ask;
mod snapshots;
mod tree;

/// The table, the same for every plugin.
pub(super) fn table() -> Api {
    Api {
        abi: abi::ABI,
        size: size_of::<Api>() as u32,
        version: Text::of(env!("CARGO_PKG_VERSION")),
        log: ask::log,
        fail: ask::fail,
        setting: ask::setting,
        setting_at: ask::setting_at,
        source_at: ask::source_at,
        source_host_at: ask::source_host_at,
        section: ask::section,
        kind: tree::kind,
        parent: tree::parent,
        first: tree::first,
        next: tree::next,
        find: tree::find,
        children: tree::children,
        summary: tree::summary,
        set_hosts: tree::set_hosts,
        get: tree::get,
        number: tree::number,
        value: tree::value,
        attribute_at: tree::attribute_at,
        set: tree::set,
        set_number: tree::set_number,
        set_value: tree::set_value,
        add: tree::add,
        remove: tree::remove,
        section_at: ask::section_at,
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

/// Writes a result, unless the plugin does not want it.
///
/// # Safety
/// The place is null or may be written to.
#[inline]
unsafe fn put<T>(place: *mut T, result: T) {
    if !place.is_null() {
        // SAFETY: the caller promises it; C aligns what it declares.
        unsafe { place.write(result) };
    }
}

/// Writes as much of a structure as the plugin knows, by the size that it has set in it.
///
/// # Safety
/// The place is null, or has the structure, of which the first field is its size in bytes.
unsafe fn put_sized<T>(place: *mut T, result: &T) -> i32 {
    if place.is_null() {
        return status::BAD_VALUE;
    }
    // SAFETY: the caller promises at least the four bytes of the size.
    let size = unsafe { place.cast::<u32>().read() } as usize;
    if size < size_of::<u32>() {
        return status::BAD_VALUE;
    }
    let known = size.min(size_of::<T>()) - size_of::<u32>();
    // SAFETY: the caller promises `size` bytes; the size itself is not written.
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

/// Works with the context; `otherwise` if there is none.
///
/// # Safety
/// `api` is null or the table that the plugin was given.
#[inline]
unsafe fn with<R>(api: *const Api, otherwise: R, work: impl FnOnce(&'static Context) -> R) -> R {
    // SAFETY: the caller promises it.
    match unsafe { Context::of(api) } {
        Some(context) => work(context),
        None => otherwise,
    }
}

/// Works with a node of the tree; returns a status.
///
/// # Safety
/// `api` is null or the table that the plugin was given.
#[inline]
unsafe fn at_node(
    api: *const Api,
    node: Node,
    work: impl FnOnce(&mut Tree<'_>, NodeId, Generation, &mut Scratch) -> i32,
) -> i32 {
    // SAFETY: the caller promises it.
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

/// Finds another node of the tree; 0 if there is none.
///
/// # Safety
/// `api` is null or the table that the plugin was given.
#[inline]
unsafe fn node_from(
    api: *const Api,
    node: Node,
    work: impl FnOnce(&mut Tree<'_>, NodeId) -> Result<Option<NodeId>, TreeError>,
) -> Node {
    // SAFETY: the caller promises it.
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
