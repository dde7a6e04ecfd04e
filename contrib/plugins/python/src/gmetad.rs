//! The module `_gmetad`: gmetad's table of functions as Python functions.
//!
//! `snapshot` reads nodes; this changes them. Text is copied across the boundary.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::CStr;
use std::mem::size_of;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

use gmetad_plugin::abi::{self, Api, Text, status};
use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use crate::snapshot;

/// A plugin's table, valid until the process ends.
#[derive(Clone, Copy)]
pub(crate) struct Handle(&'static Api);

thread_local! {
    /// The plugin that this thread is in a call of.
    static CURRENT: Cell<Option<&'static Api>> = const { Cell::new(None) };
}

/// The last plugin loaded: used when threads of Python's own log.
static ANY: AtomicPtr<Api> = AtomicPtr::new(ptr::null_mut());

/// The addresses of all tables: what `handle` may have returned.
static TABLES: Mutex<Vec<usize>> = Mutex::new(Vec::new());

impl Handle {
    /// # Safety
    /// The table is null or one that gmetad gave.
    pub(crate) unsafe fn new(api: *const Api) -> Option<Handle> {
        // SAFETY: by the header a table is valid until the process ends.
        let api = unsafe { api.as_ref() }.filter(|api| api.abi == abi::ABI)?;
        if (api.size as usize) < size_of::<Api>() {
            let reason = "the Python host is newer than gmetad; install both from the same sources";
            // SAFETY: the table is gmetad's, the text outlives the call.
            unsafe { (api.fail)(api, Text::of(reason)) };
            return None;
        }
        ANY.store(ptr::from_ref(api).cast_mut(), Ordering::Release);
        let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
        tables.push(ptr::from_ref(api).expose_provenance());
        Some(Handle(api))
    }

    /// Makes a call in which the module acts for this plugin.
    pub(crate) fn enter<R>(self, call: impl FnOnce() -> R) -> R {
        struct Leave(Option<&'static Api>);
        impl Drop for Leave {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }
        let _leave = Leave(CURRENT.replace(Some(self.0)));
        call()
    }

    pub(crate) fn log(self, level: i32, line: &str) -> i32 {
        // SAFETY: the text outlives the call, which may be made on any thread.
        unsafe { (self.0.log)(self.0, level, Text::of(line)) }
    }

    /// Sets the reason of a failure.
    pub(crate) fn fail(self, reason: &str) -> i32 {
        // SAFETY: as above; on other threads gmetad refuses it.
        unsafe { (self.0.fail)(self.0, Text::of(reason)) }
    }
}

/// The table of the current call's plugin, or else of any plugin.
pub(crate) fn api() -> PyResult<&'static Api> {
    if let Some(api) = CURRENT.get() {
        return Ok(api);
    }
    // SAFETY: it is null, or a table, which is valid until the process ends.
    let any = unsafe { ANY.load(Ordering::Acquire).as_ref() };
    any.ok_or_else(|| PyRuntimeError::new_err("gmetad has not loaded a plugin yet"))
}

/// The status that a function of the table returned, as an exception unless it is OK.
pub(crate) fn checked(code: i32) -> PyResult<()> {
    Err(match code {
        status::OK => return Ok(()),
        status::NO_NODE => PyRuntimeError::new_err("the node is no longer in the update"),
        status::NOT_NOW => PyRuntimeError::new_err(
            "an update can be changed only while notify is called, on the thread that calls it",
        ),
        status::NOT_POSSIBLE => PyTypeError::new_err("a node of this kind cannot have that"),
        status::BAD_VALUE => PyValueError::new_err("this attribute cannot have that value"),
        status::EXISTS => PyKeyError::new_err("a child with that key exists already"),
        status::FULL => PyRuntimeError::new_err("there is no room for more nodes"),
        other => PyRuntimeError::new_err(format!("gmetad refused this with status {other}")),
    })
}

/// Text that gmetad gives.
///
/// # Safety
/// Nothing is changed while the result is used.
pub(crate) unsafe fn text<'a>(text: Text) -> &'a str {
    if text.len == 0 {
        return "";
    }
    // SAFETY: by the header it is that many bytes of UTF-8, until something is changed.
    unsafe { str::from_utf8_unchecked(std::slice::from_raw_parts(text.ptr, text.len)) }
}

/// 0: there is none.
#[pyfunction]
fn find_child(node: u64, key: &str) -> PyResult<u64> {
    let api = api()?;
    // SAFETY: the text outlives the call.
    Ok(unsafe { (api.find)(api, node, Text::of(key)) })
}

/// A number that differs after each change of the update; 0: not in a call.
#[pyfunction]
fn revision() -> PyResult<u64> {
    let api = api()?;
    // SAFETY: the table is gmetad's.
    Ok(unsafe { (api.revision)(api) })
}

#[pyfunction]
fn set(node: u64, name: &str, value: &str) -> PyResult<()> {
    let api = api()?;
    // SAFETY: both texts outlive the call, and no text of gmetad's is in use.
    checked(unsafe { (api.set)(api, node, Text::of(name), Text::of(value)) })
}

/// By kind and attributes.
#[pyfunction]
#[expect(
    clippy::needless_pass_by_value,
    reason = "what comes from Python is made for this call"
)]
fn add(parent: u64, kind: i32, attributes: Vec<(String, String)>) -> PyResult<u64> {
    let api = api()?;
    let attributes: Vec<abi::Attribute> = attributes
        .iter()
        .map(|(name, value)| abi::Attribute {
            name: Text::of(name),
            value: Text::of(value),
        })
        .collect();
    let mut added = 0;
    // SAFETY: the attributes and their texts outlive the call, `added` may be written to,
    // and no text of gmetad's is in use.
    checked(unsafe {
        (api.add)(
            api,
            parent,
            kind,
            attributes.as_ptr(),
            attributes.len(),
            &raw mut added,
        )
    })?;
    Ok(added)
}

#[pyfunction]
fn remove(node: u64) -> PyResult<()> {
    let api = api()?;
    // SAFETY: no text of gmetad's is in use.
    checked(unsafe { (api.remove)(api, node) })
}

#[pyfunction]
fn set_hosts(node: u64, up: u32, down: u32) -> PyResult<()> {
    let api = api()?;
    // SAFETY: no text of gmetad's is in use.
    checked(unsafe { (api.set_hosts)(api, node, up, down) })
}

/// Logs a line with the plugin's name in front. `owner` is the plugin that a thread of its own logs
/// for, as `handle` returned it.
#[pyfunction]
#[pyo3(signature = (level, line, owner=0))]
fn log(level: i32, line: &str, owner: usize) -> PyResult<()> {
    let is_inside = CURRENT.get().is_some();
    let api = if is_inside || owner == 0 {
        api()?
    } else if is_table(owner) {
        // SAFETY: gmetad gave a table with this address, and a table is valid until the process ends.
        unsafe { &*ptr::with_exposed_provenance::<Api>(owner) }
    } else {
        return Err(PyValueError::new_err("no plugin has this handle"));
    };
    checked(Handle(api).log(level, line))
}

fn is_table(address: usize) -> bool {
    let tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    tables.contains(&address)
}

/// A number for the plugin that is called.
#[pyfunction]
fn handle() -> PyResult<usize> {
    Ok(ptr::from_ref(api()?).expose_provenance())
}

/// All settings outside of sections, in order, with repeated ones.
#[pyfunction]
fn settings() -> PyResult<Vec<(String, String)>> {
    let api = api()?;
    let mut all = Vec::new();
    loop {
        let (mut name, mut value) = (Text::NONE, Text::NONE);
        // SAFETY: both may be written to.
        let code = unsafe { (api.setting_at)(api, all.len(), &raw mut name, &raw mut value) };
        if code == status::ABSENT {
            return Ok(all);
        }
        checked(code)?;
        // SAFETY: the configuration never changes.
        all.push(unsafe { (text(name).to_owned(), text(value).to_owned()) });
    }
}

/// Name, hosts as `host:port`, seconds.
#[pyfunction]
fn sources() -> PyResult<Vec<(String, Vec<String>, f64)>> {
    let api = api()?;
    let mut all = Vec::new();
    loop {
        let mut source = abi::Source {
            size: size_of::<abi::Source>() as u32,
            hosts: 0,
            name: Text::NONE,
            interval: 0.0,
        };
        // SAFETY: it may be written to, and has its size set.
        let code = unsafe { (api.source_at)(api, all.len(), &raw mut source) };
        if code == status::ABSENT {
            return Ok(all);
        }
        checked(code)?;
        let mut hosts = Vec::new();
        for at in 0..source.hosts as usize {
            let mut host = Text::NONE;
            // SAFETY: as above.
            checked(unsafe { (api.source_host_at)(api, all.len(), at, &raw mut host) })?;
            // SAFETY: the configuration never changes.
            hosts.push(unsafe { text(host) }.to_owned());
        }
        // SAFETY: as above.
        all.push((
            unsafe { text(source.name) }.to_owned(),
            hosts,
            source.interval,
        ));
    }
}

/// A section: its id, and its lines as name and raw value.
type Section = (String, Vec<(String, String)>);

/// All sections, in order.
#[pyfunction]
fn sections() -> PyResult<Vec<Section>> {
    let api = api()?;
    let mut all = Vec::new();
    loop {
        let mut id = Text::NONE;
        let mut lines = ptr::null();
        let mut count = 0;
        // SAFETY: all three may be written to.
        let code = unsafe {
            (api.section_at)(api, all.len(), &raw mut id, &raw mut lines, &raw mut count)
        };
        if code == status::ABSENT {
            return Ok(all);
        }
        checked(code)?;
        let lines: &[abi::Directive] = if count == 0 {
            &[]
        } else {
            // SAFETY: it returned OK, so there are that many lines, which never change.
            unsafe { std::slice::from_raw_parts(lines, count) }
        };
        // SAFETY: the configuration never changes.
        let pair = |it: &abi::Directive| unsafe { (text(it.name).into(), text(it.value).into()) };
        // SAFETY: as above.
        let id = unsafe { text(id) }.to_owned();
        all.push((id, lines.iter().map(pair).collect()));
    }
}

/// A module's name and its source.
struct Source {
    name: &'static CStr,
    file: &'static CStr,
    code: &'static CStr,
}

/// In the order of their dependencies.
macro_rules! source {
    ($name:literal, $file:literal) => {
        Source {
            name: match CStr::from_bytes_with_nul(concat!($name, "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!("no NUL inside"),
            },
            file: match CStr::from_bytes_with_nul(concat!("<", $file, ">\0").as_bytes()) {
                Ok(file) => file,
                Err(_) => panic!("no NUL inside"),
            },
            code: match CStr::from_bytes_with_nul(
                concat!(include_str!(concat!("../Gmetad/", $file)), "\0").as_bytes(),
            ) {
                Ok(code) => code,
                Err(_) => panic!("no NUL inside"),
            },
        }
    };
}

const PACKAGE: [Source; 13] = [
    source!("Gmetad", "__init__.py"),
    source!("Gmetad.gmetad_element", "gmetad_element.py"),
    source!("Gmetad._nodes", "_nodes.py"),
    source!("Gmetad._changes", "_changes.py"),
    source!("Gmetad.gmetad_random", "gmetad_random.py"),
    source!("Gmetad.gmetad_config", "gmetad_config.py"),
    source!("Gmetad.gmetad_plugin", "gmetad_plugin.py"),
    source!("Gmetad.gmetad_notifier", "gmetad_notifier.py"),
    source!("Gmetad.gmetad_data", "gmetad_data.py"),
    source!("Gmetad.gmetad_xmlWriter", "gmetad_xmlWriter.py"),
    source!("Gmetad.gmetad_gmondReader", "gmetad_gmondReader.py"),
    source!("Gmetad.gmetad_daemon", "gmetad_daemon.py"),
    source!("Gmetad._host", "_host.py"),
];

/// Puts the package where `import` finds it, and returns `Gmetad._host`.
pub(crate) fn install(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    let native = PyModule::new(py, "_gmetad")?;
    native.add_function(wrap_pyfunction!(find_child, &native)?)?;
    native.add_function(wrap_pyfunction!(revision, &native)?)?;
    native.add_function(wrap_pyfunction!(set, &native)?)?;
    native.add_function(wrap_pyfunction!(add, &native)?)?;
    native.add_function(wrap_pyfunction!(remove, &native)?)?;
    native.add_function(wrap_pyfunction!(set_hosts, &native)?)?;
    native.add_function(wrap_pyfunction!(log, &native)?)?;
    native.add_function(wrap_pyfunction!(handle, &native)?)?;
    native.add_function(wrap_pyfunction!(settings, &native)?)?;
    native.add_function(wrap_pyfunction!(sources, &native)?)?;
    native.add_function(wrap_pyfunction!(sections, &native)?)?;
    snapshot::install(&native)?;
    let modules = py.import("sys")?.getattr("modules")?;
    modules.set_item("_gmetad", native)?;
    let mut last = None;
    for source in &PACKAGE {
        last = Some(PyModule::from_code(
            py,
            source.code,
            source.file,
            source.name,
        )?);
    }
    last.ok_or_else(|| PyRuntimeError::new_err("the package is empty"))
}
