//! Snapshots of clusters and grids, which Python reads on any thread.
//!
//! Nodes are numbers here; the package `Gmetad` turns them into objects. Changes nothing.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::mem::size_of;
use std::ptr;

use gmetad_plugin::abi::{self, Api, Text, kind, status};
use pyo3::IntoPyObjectExt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::gmetad::{api, checked, text};

/// A cluster or grid at one moment.
#[pyclass(frozen)]
struct Snapshot {
    api: &'static Api,
    held: *const abi::Snapshot,
}

// SAFETY: by the header a snapshot may be used and released by any thread.
unsafe impl Send for Snapshot {}
// SAFETY: as above.
unsafe impl Sync for Snapshot {}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // SAFETY: it is held, and only by this.
        unsafe { (self.api.release)(self.api, self.held) };
    }
}

impl Snapshot {
    /// `None` for null.
    fn new(api: &'static Api, held: *const abi::Snapshot) -> Option<Snapshot> {
        (!held.is_null()).then_some(Snapshot { api, held })
    }
}

/// An attribute for Python: a string, but SUM and NUM of a sum are numbers.
fn value_of<'py>(
    py: Python<'py>,
    is_sum: bool,
    name: &str,
    value: &str,
) -> PyResult<Bound<'py, PyAny>> {
    match name {
        "sum" if is_sum => value.parse::<f64>()?.into_bound_py_any(py),
        "num" if is_sum => value.parse::<u64>()?.into_bound_py_any(py),
        _ => Ok(PyString::new(py, value).into_any()),
    }
}

/// Names that a document has are interned.
fn name_of<'py>(py: Python<'py>, name: &str) -> Bound<'py, PyString> {
    let known = match name {
        "name" => intern!(py, "name"),
        "val" => intern!(py, "val"),
        "type" => intern!(py, "type"),
        "units" => intern!(py, "units"),
        "tn" => intern!(py, "tn"),
        "tmax" => intern!(py, "tmax"),
        "dmax" => intern!(py, "dmax"),
        "slope" => intern!(py, "slope"),
        "source" => intern!(py, "source"),
        "sum" => intern!(py, "sum"),
        "num" => intern!(py, "num"),
        "ip" => intern!(py, "ip"),
        "reported" => intern!(py, "reported"),
        "location" => intern!(py, "location"),
        "gmond_started" => intern!(py, "gmond_started"),
        "tags" => intern!(py, "tags"),
        other => return PyString::new(py, other),
    };
    known.clone()
}

/// What one call of gmetad collects, and its error.
struct Gathered<T> {
    into: T,
    is_sum: bool,
    failure: Option<PyErr>,
}

impl<T> Gathered<T> {
    fn new(into: T, is_sum: bool) -> Gathered<T> {
        Gathered {
            into,
            is_sum,
            failure: None,
        }
    }

    fn as_context(&mut self) -> *mut c_void {
        ptr::from_mut(self).cast()
    }

    fn finished(self, code: i32) -> PyResult<T> {
        checked(code)?;
        self.failure.map_or(Ok(self.into), Err)
    }

    /// The result for gmetad: nonzero to stop.
    fn took(&mut self, result: PyResult<()>) -> i32 {
        let enough = i32::from(result.is_err());
        self.failure = result.err();
        enough
    }
}

unsafe extern "C" fn into_dict(context: *mut c_void, name: Text, value: Text) -> i32 {
    // SAFETY: it is what `attrs` passed, and both texts outlive the call.
    let (gathered, name, value) = unsafe {
        let gathered = &mut *context.cast::<Gathered<Bound<'_, PyDict>>>();
        (gathered, text(name), text(value))
    };
    let py = gathered.into.py();
    let value = value_of(py, gathered.is_sum, name, value);
    let result = value.and_then(|value| gathered.into.set_item(name_of(py, name), value));
    gathered.took(result)
}

unsafe extern "C" fn into_value(context: *mut c_void, name: Text, value: Text) -> i32 {
    // SAFETY: it is what `get` passed, and both texts outlive the call.
    let (gathered, name, value) = unsafe {
        let gathered = &mut *context.cast::<Gathered<(Python<'_>, Option<Bound<'_, PyAny>>)>>();
        (gathered, text(name), text(value))
    };
    let value = value_of(gathered.into.0, gathered.is_sum, name, value);
    let result = value.map(|value| gathered.into.1 = Some(value));
    gathered.took(result)
}

/// A child: its key, its number.
type Child<'py> = (Bound<'py, PyString>, u64);

/// Children, and room for their keys.
struct Children<'py> {
    py: Python<'py>,
    all: Vec<Child<'py>>,
    key: String,
}

unsafe extern "C" fn into_list(
    context: *mut c_void,
    node: abi::Node,
    kind: i32,
    name: Text,
) -> i32 {
    // SAFETY: it is what `children` or `sums` passed, and the text outlives the call.
    let (gathered, name) = unsafe {
        let gathered = &mut *context.cast::<Gathered<Children<'_>>>();
        (gathered, text(name))
    };
    let Children { py, all, key } = &mut gathered.into;
    key.clear();
    // gmetad-python calls sums METRIC.
    key.push_str(match kind {
        kind::HOST => "HOST:",
        kind::METRIC | kind::METRICS => "METRIC:",
        kind::EXTRA_DATA => "EXTRA_DATA",
        _ => "EXTRA_ELEMENT:",
    });
    key.push_str(name);
    all.push((PyString::new(*py, key), node));
    0
}

#[pymethods]
impl Snapshot {
    /// Identifies the snapshot.
    #[getter]
    fn address(&self) -> usize {
        self.held.addr()
    }

    fn top(&self) -> u64 {
        // SAFETY: the snapshot is held.
        unsafe { (self.api.snapshot_top)(self.api, self.held) }
    }

    fn kind(&self, node: u64) -> i32 {
        // SAFETY: the snapshot is held.
        unsafe { (self.api.snapshot_kind)(self.api, self.held, node) }
    }

    /// 0: there is none.
    fn find(&self, node: u64, key: &str) -> u64 {
        // SAFETY: the snapshot is held, the text outlives the call.
        unsafe { (self.api.snapshot_find)(self.api, self.held, node, Text::of(key)) }
    }

    /// Keys and numbers, in order.
    fn children<'py>(&self, py: Python<'py>, node: u64) -> PyResult<Vec<Child<'py>>> {
        let mut gathered = Gathered::new(none(py), false);
        let context = gathered.as_context();
        // SAFETY: the snapshot is held, and the context has the type that the function expects.
        let code =
            unsafe { (self.api.snapshot_children)(self.api, self.held, node, into_list, context) };
        Ok(gathered.finished(code)?.all)
    }

    /// The same for the sums.
    fn sums<'py>(&self, py: Python<'py>) -> PyResult<Vec<Child<'py>>> {
        let mut gathered = Gathered::new(none(py), false);
        let context = gathered.as_context();
        // SAFETY: the snapshot is held, and the context has the type that the function expects.
        let code = unsafe { (self.api.snapshot_sums)(self.api, self.held, into_list, context) };
        Ok(gathered.finished(code)?.all)
    }

    /// Numbers of hosts up and down.
    fn hosts(&self) -> PyResult<(u32, u32)> {
        let mut found = abi::Summary {
            size: size_of::<abi::Summary>() as u32,
            hosts_up: 0,
            hosts_down: 0,
            metrics: 0,
            first: 0,
        };
        // SAFETY: the snapshot is held, and the result may be written to.
        checked(unsafe { (self.api.snapshot_summary)(self.api, self.held, &raw mut found) })?;
        Ok((found.hosts_up, found.hosts_down))
    }

    /// All attributes of a node.
    fn attrs<'py>(&self, py: Python<'py>, node: u64) -> PyResult<Bound<'py, PyDict>> {
        let is_sum = self.kind(node) == kind::METRICS;
        let mut gathered = Gathered::new(PyDict::new(py), is_sum);
        let context = gathered.as_context();
        // SAFETY: the snapshot is held, and the context has the type that the function expects.
        let code = unsafe {
            (self.api.snapshot_attributes)(self.api, self.held, node, into_dict, context)
        };
        gathered.finished(code)
    }

    /// One attribute; `None` if there is none of that name.
    fn get<'py>(
        &self,
        py: Python<'py>,
        node: u64,
        name: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let is_sum = matches!(name, "sum" | "num") && self.kind(node) == kind::METRICS;
        let mut gathered = Gathered::new((py, None), is_sum);
        let context = gathered.as_context();
        let name = Text::of(name);
        // SAFETY: the snapshot is held, the text outlives the call, and the context is what
        // the function takes.
        let code = unsafe {
            (self.api.snapshot_attribute)(self.api, self.held, node, name, into_value, context)
        };
        if code == status::ABSENT {
            return Ok(None);
        }
        Ok(gathered.finished(code)?.1)
    }
}

fn none(py: Python<'_>) -> Children<'_> {
    Children {
        py,
        all: Vec::new(),
        key: String::new(),
    }
}

/// The update of the current call.
#[pyfunction]
fn hold() -> PyResult<Option<Snapshot>> {
    let api = api()?;
    // SAFETY: the table is gmetad's.
    Ok(Snapshot::new(api, unsafe { (api.hold)(api) }))
}

/// A number that changes whenever there is newer data.
#[pyfunction]
fn news() -> PyResult<u64> {
    let api = api()?;
    // SAFETY: the table is gmetad's.
    Ok(unsafe { (api.news)(api) })
}

/// The newest snapshot of each cluster and grid, in order.
#[pyfunction]
fn newest() -> PyResult<Vec<Snapshot>> {
    let api = api()?;
    let mut room = 64;
    loop {
        let mut all = vec![ptr::null(); room];
        // SAFETY: there is room for that many snapshots.
        let count = unsafe { (api.newest)(api, all.as_mut_ptr(), all.len()) };
        all.truncate(count);
        let all = all.into_iter().filter_map(|it| Snapshot::new(api, it));
        let all: Vec<Snapshot> = all.collect();
        if count <= room {
            return Ok(all);
        }
        // More than fit: these are released, and the loop asks again.
        room = count;
    }
}

/// The newest snapshot of the root; `None`: there is none yet.
#[pyfunction]
fn newest_root() -> PyResult<Option<Snapshot>> {
    let api = api()?;
    // SAFETY: the table is gmetad's.
    Ok(Snapshot::new(api, unsafe { (api.newest_root)(api) }))
}

pub(crate) fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Snapshot>()?;
    module.add_function(wrap_pyfunction!(hold, module)?)?;
    module.add_function(wrap_pyfunction!(news, module)?)?;
    module.add_function(wrap_pyfunction!(newest, module)?)?;
    module.add_function(wrap_pyfunction!(newest_root, module)?)
}
