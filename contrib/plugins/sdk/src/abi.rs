//! `include/gmetad_plugin.h` in Rust: the types that cross the boundary, and no code.
//!
//! The header documents each field and function. A test of the daemon checks that sizes, offsets and
//! numbers in both files agree.

#![allow(missing_docs, reason = "the header is the documentation")]

use std::ffi::c_void;

/// `GMETAD_PLUGIN_ABI`: a plugin and a daemon with different numbers refuse each other.
pub const ABI: u32 = 1;

/// Name of the one symbol that a plugin exports.
pub const FACTORY: &str = "gmetad_get_plugin";

/// Name of the function by which the host of plugins in another language tries a file out in the trial
/// process, without making its plugin. It has the factory's type, and returns null.
pub const TRY: &str = "gmetad_try_plugin";

/// `gmetad_node`; 0: none.
pub type Node = u64;

/// `gmetad_kind`.
pub mod kind {
    pub const GRID: i32 = 1;
    pub const CLUSTER: i32 = 2;
    pub const HOST: i32 = 3;
    pub const METRIC: i32 = 4;
    pub const METRICS: i32 = 5;
    pub const EXTRA_DATA: i32 = 6;
    pub const EXTRA_ELEMENT: i32 = 7;
}

/// `gmetad_status`.
pub mod status {
    pub const OK: i32 = 0;
    pub const ABSENT: i32 = 1;
    pub const FAILED: i32 = -1;
    pub const NO_NODE: i32 = -2;
    pub const NOT_POSSIBLE: i32 = -3;
    pub const BAD_VALUE: i32 = -4;
    pub const EXISTS: i32 = -5;
    pub const NOT_NOW: i32 = -6;
    pub const FULL: i32 = -7;
}

/// `gmetad_level`.
pub mod level {
    pub const FATAL: i32 = 0;
    pub const CRITICAL: i32 = 1;
    pub const ERROR: i32 = 2;
    pub const WARNING: i32 = 3;
    pub const INFO: i32 = 4;
    pub const DEBUG: i32 = 5;
}

/// `gmetad_text`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Text {
    pub ptr: *const u8,
    pub len: usize,
}

impl Text {
    /// No text; the same as an empty one.
    pub const NONE: Text = Text {
        ptr: std::ptr::null(),
        len: 0,
    };

    /// These bytes, for as long as they stay in place.
    pub const fn of(text: &str) -> Text {
        Text {
            ptr: text.as_ptr(),
            len: text.len(),
        }
    }
}

/// `gmetad_directive`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Directive {
    pub name: Text,
    pub value: Text,
    pub file: Text,
    pub line: u64,
}

/// `gmetad_attribute`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Attribute {
    pub name: Text,
    pub value: Text,
}

/// `gmetad_update`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Update {
    pub size: u32,
    pub up: u32,
    pub source: Text,
    pub interval: f64,
    pub now: i64,
}

/// `gmetad_summary`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Summary {
    pub size: u32,
    pub hosts_up: u32,
    pub hosts_down: u32,
    pub metrics: u32,
    pub first: Node,
}

/// `gmetad_source`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Source {
    pub size: u32,
    pub hosts: u32,
    pub name: Text,
    pub interval: f64,
}

/// `gmetad_snapshot`, used by pointer only.
#[derive(Debug)]
#[repr(C)]
pub struct Snapshot {
    _unknown: [u8; 0],
}

/// `gmetad_each_attribute`.
pub type EachAttribute = unsafe extern "C" fn(context: *mut c_void, name: Text, value: Text) -> i32;

/// `gmetad_each_child`.
pub type EachChild =
    unsafe extern "C" fn(context: *mut c_void, node: Node, kind: i32, name: Text) -> i32;

/// `gmetad_api`.
#[repr(C)]
pub struct Api {
    pub abi: u32,
    pub size: u32,
    pub version: Text,
    pub log: unsafe extern "C" fn(api: *const Api, level: i32, line: Text) -> i32,
    pub fail: unsafe extern "C" fn(api: *const Api, reason: Text) -> i32,
    pub setting: unsafe extern "C" fn(api: *const Api, name: Text, value: *mut Text) -> i32,
    pub setting_at:
        unsafe extern "C" fn(api: *const Api, at: usize, name: *mut Text, value: *mut Text) -> i32,
    pub source_at: unsafe extern "C" fn(api: *const Api, at: usize, out: *mut Source) -> i32,
    pub source_host_at:
        unsafe extern "C" fn(api: *const Api, source: usize, at: usize, out: *mut Text) -> i32,
    pub section: unsafe extern "C" fn(
        api: *const Api,
        id: Text,
        out: *mut *const Directive,
        count: *mut usize,
    ) -> i32,
    pub kind: unsafe extern "C" fn(api: *const Api, node: Node) -> i32,
    pub parent: unsafe extern "C" fn(api: *const Api, node: Node) -> Node,
    pub first: unsafe extern "C" fn(api: *const Api, node: Node) -> Node,
    pub next: unsafe extern "C" fn(api: *const Api, node: Node) -> Node,
    pub find: unsafe extern "C" fn(api: *const Api, node: Node, key: Text) -> Node,
    pub children:
        unsafe extern "C" fn(api: *const Api, node: Node, out: *mut Node, room: usize) -> usize,
    pub summary: unsafe extern "C" fn(api: *const Api, node: Node, out: *mut Summary) -> i32,
    pub set_hosts: unsafe extern "C" fn(api: *const Api, node: Node, up: u32, down: u32) -> i32,
    pub get: unsafe extern "C" fn(api: *const Api, node: Node, name: Text, value: *mut Text) -> i32,
    pub number:
        unsafe extern "C" fn(api: *const Api, node: Node, name: Text, value: *mut f64) -> i32,
    pub value: unsafe extern "C" fn(api: *const Api, node: Node, value: *mut f64) -> i32,
    pub attribute_at: unsafe extern "C" fn(
        api: *const Api,
        node: Node,
        at: usize,
        name: *mut Text,
        value: *mut Text,
    ) -> i32,
    pub set: unsafe extern "C" fn(api: *const Api, node: Node, name: Text, value: Text) -> i32,
    pub set_number:
        unsafe extern "C" fn(api: *const Api, node: Node, name: Text, value: f64) -> i32,
    pub set_value: unsafe extern "C" fn(api: *const Api, node: Node, value: f64) -> i32,
    pub add: unsafe extern "C" fn(
        api: *const Api,
        parent: Node,
        kind: i32,
        attributes: *const Attribute,
        count: usize,
        out: *mut Node,
    ) -> i32,
    pub remove: unsafe extern "C" fn(api: *const Api, node: Node) -> i32,
    pub section_at: unsafe extern "C" fn(
        api: *const Api,
        at: usize,
        id: *mut Text,
        out: *mut *const Directive,
        count: *mut usize,
    ) -> i32,
    pub revision: unsafe extern "C" fn(api: *const Api) -> u64,
    pub hold: unsafe extern "C" fn(api: *const Api) -> *const Snapshot,
    pub release: unsafe extern "C" fn(api: *const Api, snapshot: *const Snapshot),
    pub news: unsafe extern "C" fn(api: *const Api) -> u64,
    pub newest:
        unsafe extern "C" fn(api: *const Api, out: *mut *const Snapshot, room: usize) -> usize,
    pub newest_root: unsafe extern "C" fn(api: *const Api) -> *const Snapshot,
    pub snapshot_top: unsafe extern "C" fn(api: *const Api, snapshot: *const Snapshot) -> Node,
    pub snapshot_kind:
        unsafe extern "C" fn(api: *const Api, snapshot: *const Snapshot, node: Node) -> i32,
    pub snapshot_find: unsafe extern "C" fn(
        api: *const Api,
        snapshot: *const Snapshot,
        node: Node,
        key: Text,
    ) -> Node,
    pub snapshot_children: unsafe extern "C" fn(
        api: *const Api,
        snapshot: *const Snapshot,
        node: Node,
        each: EachChild,
        context: *mut c_void,
    ) -> i32,
    pub snapshot_sums: unsafe extern "C" fn(
        api: *const Api,
        snapshot: *const Snapshot,
        each: EachChild,
        context: *mut c_void,
    ) -> i32,
    pub snapshot_summary:
        unsafe extern "C" fn(api: *const Api, snapshot: *const Snapshot, out: *mut Summary) -> i32,
    pub snapshot_attribute: unsafe extern "C" fn(
        api: *const Api,
        snapshot: *const Snapshot,
        node: Node,
        name: Text,
        each: EachAttribute,
        context: *mut c_void,
    ) -> i32,
    pub snapshot_attributes: unsafe extern "C" fn(
        api: *const Api,
        snapshot: *const Snapshot,
        node: Node,
        each: EachAttribute,
        context: *mut c_void,
    ) -> i32,
}

/// `gmetad_plugin`.
#[repr(C)]
pub struct Plugin {
    pub abi: u32,
    pub size: u32,
    pub id: Text,
    pub create: Option<
        unsafe extern "C" fn(
            plugin: *const Plugin,
            api: *const Api,
            directives: *const Directive,
            count: usize,
            instance: *mut *mut c_void,
        ) -> i32,
    >,
    pub start: Option<unsafe extern "C" fn(instance: *mut c_void) -> i32>,
    pub notify: Option<
        unsafe extern "C" fn(instance: *mut c_void, top: Node, update: *const Update) -> i32,
    >,
    pub notify_root: Option<
        unsafe extern "C" fn(instance: *mut c_void, top: Node, update: *const Update) -> i32,
    >,
    pub stop: Option<unsafe extern "C" fn(instance: *mut c_void)>,
    pub destroy: Option<unsafe extern "C" fn(instance: *mut c_void)>,
    pub replaces: Text,
}

/// `gmetad_get_plugin`.
pub type Factory = unsafe extern "C" fn(api: *const Api, file: Text) -> *const Plugin;
