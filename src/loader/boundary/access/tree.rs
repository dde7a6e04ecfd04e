//! The functions over the tree that a call of a plugin is shown: read it and change it.
//!
//! What they rely on is at the top of `access`.

use std::mem::size_of;
use std::slice;

use gmetad_plugin::abi::{self, Api, Node, Text, status};

use super::super::text::{Scratch, text};
use super::{at_node, code, kind_number, node_from, put, put_sized};
use gmetad_core::plugin::tree::{Kind, NodeId, Tree, TreeError, Value};

pub(super) unsafe extern "C" fn kind(api: *const Api, node: Node) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    let kind = unsafe {
        at_node(api, node, |tree, id, _, _| {
            tree.kind(id).map_or(0, kind_number)
        })
    };
    kind.max(0)
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

pub(super) unsafe extern "C" fn parent(api: *const Api, node: Node) -> Node {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe { node_from(api, node, |tree, id| tree.parent(id)) }
}

pub(super) unsafe extern "C" fn first(api: *const Api, node: Node) -> Node {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe { node_from(api, node, |tree, id| tree.first(id)) }
}

pub(super) unsafe extern "C" fn next(api: *const Api, node: Node) -> Node {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe { node_from(api, node, |tree, id| tree.next(id)) }
}

pub(super) unsafe extern "C" fn find(api: *const Api, node: Node, key: Text) -> Node {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe {
        let Some(key) = text(key) else {
            return 0;
        };
        node_from(api, node, |tree, id| tree.find(id, key))
    }
}

pub(super) unsafe extern "C" fn children(
    api: *const Api,
    node: Node,
    out: *mut Node,
    room: usize,
) -> usize {
    let room = if out.is_null() { 0 } else { room };
    let mut count = 0;
    let write = |tree: &mut Tree<'_>, id, generation, _: &mut Scratch| {
        let mut next = tree.first(id);
        while let Ok(Some(child)) = next {
            if count < room {
                // SAFETY: the plugin promises room for this many.
                unsafe { out.add(count).write(child.pack(generation)) };
            }
            count += 1;
            next = tree.next(child);
        }
        status::OK
    };
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe { at_node(api, node, write) };
    count
}

pub(super) unsafe extern "C" fn summary(
    api: *const Api,
    node: Node,
    out: *mut abi::Summary,
) -> i32 {
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
        // SAFETY: the plugin keeps the promises at the top of `access`.
        unsafe { put_sized(out, &found) }
    };
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe { at_node(api, node, write) }
}

pub(super) unsafe extern "C" fn set_hosts(api: *const Api, node: Node, up: u32, down: u32) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
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

pub(super) unsafe extern "C" fn get(
    api: *const Api,
    node: Node,
    name: Text,
    value: *mut Text,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
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

pub(super) unsafe extern "C" fn number(
    api: *const Api,
    node: Node,
    name: Text,
    value: *mut f64,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
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

pub(super) unsafe extern "C" fn value(api: *const Api, node: Node, value: *mut f64) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
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

pub(super) unsafe extern "C" fn attribute_at(
    api: *const Api,
    node: Node,
    at: usize,
    name: *mut Text,
    value: *mut Text,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
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

pub(super) unsafe extern "C" fn set(api: *const Api, node: Node, name: Text, value: Text) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe {
        let (Some(name), Some(value)) = (text(name), text(value)) else {
            return status::BAD_VALUE;
        };
        at_node(api, node, |tree, id, _, _| done(tree.set(id, name, value)))
    }
}

pub(super) unsafe extern "C" fn set_number(
    api: *const Api,
    node: Node,
    name: Text,
    value: f64,
) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe {
        let Some(name) = text(name) else {
            return status::BAD_VALUE;
        };
        at_node(api, node, |tree, id, _, _| {
            done(tree.set_number(id, name, value))
        })
    }
}

pub(super) unsafe extern "C" fn set_value(api: *const Api, node: Node, value: f64) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe { at_node(api, node, |tree, id, _, _| done(tree.set_value(id, value))) }
}

pub(super) unsafe extern "C" fn add(
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
        // SAFETY: the plugin promises this many.
        unsafe { slice::from_raw_parts(attributes, count) }
    };
    // SAFETY: the plugin keeps the promises at the top of `access`.
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
        // SAFETY: the plugin keeps the promises at the top of `access`.
        unsafe { put(out, node.pack(generation)) };
        status
    };
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe { at_node(api, parent, work) }
}

pub(super) unsafe extern "C" fn remove(api: *const Api, node: Node) -> i32 {
    // SAFETY: the plugin keeps the promises at the top of `access`.
    unsafe { at_node(api, node, |tree, id, _, _| done(tree.remove(id))) }
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
