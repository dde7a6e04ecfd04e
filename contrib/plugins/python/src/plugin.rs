//! The table of functions of a Python file, which gmetad calls.
//!
//! Each file is a plugin of its own. All share one interpreter, which starts with the first plugin and
//! never ends.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use gmetad_plugin::abi::{self, Api, Directive, Plugin, Text, Update, level, status};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::gmetad::{Handle, install};

/// One file: the table that gmetad has, and the state behind it.
#[repr(C)]
struct File {
    /// First, so that a pointer to it is a pointer to the whole.
    table: Plugin,
    handle: Handle,
    /// `Gmetad._host.Plugin`.
    object: Py<PyAny>,
}

/// `Gmetad._host`.
static HOST: PyOnceLock<Py<PyModule>> = PyOnceLock::new();

/// `gmetad_get_plugin`, passed on by the host.
///
/// # Safety
/// As `gmetad_plugin.h` says of `gmetad_get_plugin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gmetad_python_get_plugin(api: *const Api, file: Text) -> *const Plugin {
    // SAFETY: the caller promises it.
    let Some(handle) = (unsafe { Handle::new(api) }) else {
        return ptr::null();
    };
    // SAFETY: by the header it is that many bytes of UTF-8, through this call.
    let path = unsafe { str::from_utf8_unchecked(std::slice::from_raw_parts(file.ptr, file.len)) };
    let mut table = ptr::null();
    guarded(handle, || {
        // Without signal handlers: signals belong to gmetad.
        Python::initialize();
        Python::attach(|py| {
            let loaded = load(py, handle, path);
            loaded.map(|loaded| table = loaded)
        })
    });
    table
}

/// Called in the trial process: imports a file, and does not call its `get_plugin`. What is wrong with it
/// is reported when it is loaded, unless it ends the process.
///
/// # Safety
/// As `gmetad_plugin.h` says of `gmetad_get_plugin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gmetad_python_try_plugin(api: *const Api, file: Text) -> *const Plugin {
    // SAFETY: the caller promises it.
    let Some(handle) = (unsafe { Handle::new(api) }) else {
        return ptr::null();
    };
    // SAFETY: by the header it is that many bytes of UTF-8, through this call.
    let path = unsafe { str::from_utf8_unchecked(std::slice::from_raw_parts(file.ptr, file.len)) };
    guarded(handle, || {
        Python::initialize();
        Python::attach(|py| {
            let tried = host(py).and_then(|host| {
                let tried = handle.enter(|| host.call_method1("try_out", (path,)));
                tried.map_err(|error| reason_of(py, handle, &error))
            });
            tried.map(drop)
        })
    });
    ptr::null()
}

/// `Gmetad._host`, and with it the package.
fn host(py: Python<'_>) -> Result<&Bound<'_, PyModule>, String> {
    let host = HOST.get_or_try_init(py, || install(py).map(Bound::unbind));
    let host = host.map_err(|error| format!("the package Gmetad cannot be loaded: {error}"))?;
    Ok(host.bind(py))
}

fn load(py: Python<'_>, handle: Handle, path: &str) -> Result<*const Plugin, String> {
    let host = host(py)?;
    let object = handle.enter(|| host.call_method1("load", (path,)));
    let object = object.map_err(|error| reason_of(py, handle, &error))?;
    let word = |name: &str| -> Result<&'static str, String> {
        let word = object.getattr(name).and_then(|it| it.extract::<String>());
        // A table and its text are valid until the process ends.
        let word = word.map(|word| &*word.leak());
        word.map_err(|error| reason_of(py, handle, &error))
    };
    let (id, replaces) = (word("id")?, word("replaces")?);
    let file: &'static File = Box::leak(Box::new(File {
        table: Plugin {
            abi: abi::ABI,
            size: size_of::<Plugin>() as u32,
            id: Text::of(id),
            create: Some(create),
            start: Some(start),
            notify: Some(notify),
            // Plugins of gmetad-python do not have it: they use the DataStore.
            notify_root: None,
            stop: Some(stop),
            destroy: None,
            replaces: Text::of(replaces),
        },
        handle,
        object: object.unbind(),
    }));
    Ok(ptr::from_ref(file).cast())
}

/// Calls a method, and sets the reason if it fails; catches panics.
fn guarded(handle: Handle, call: impl FnOnce() -> Result<(), String>) -> i32 {
    let reason = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => return status::OK,
        Ok(Err(reason)) => reason,
        Err(_) => "a panic in the Python host".to_owned(),
    };
    handle.fail(&reason)
}

/// An exception as one line; its traceback is logged if it is useful.
fn reason_of(py: Python<'_>, handle: Handle, error: &PyErr) -> String {
    let told = HOST.get(py).and_then(|host| {
        let host = host.bind(py);
        // Older Pythons keep the traceback beside the exception until it is caught.
        if let Some(traceback) = error.traceback(py) {
            let _ = error.value(py).setattr("__traceback__", traceback);
        }
        let told = handle.enter(|| host.call_method1("describe", (error.value(py),)));
        told.and_then(|told| told.extract::<String>()).ok()
    });
    told.unwrap_or_else(|| {
        // Describing it failed too, so there is nothing better.
        handle.log(level::ERROR, "its exception cannot be described");
        error.to_string()
    })
}

/// # Safety
/// The pointer is the instance that `create` returned.
unsafe fn file_of(instance: *mut c_void) -> &'static File {
    // SAFETY: the caller promises that it is a file, and files are never freed.
    unsafe { &*instance.cast::<File>() }
}

fn method(file: &File, name: &str, node: Option<abi::Node>) -> i32 {
    guarded(file.handle, || {
        Python::attach(|py| {
            let object = file.object.bind(py);
            let result = file.handle.enter(|| match node {
                Some(node) => object.call_method1(name, (node,)),
                None => object.call_method0(name),
            });
            match result {
                Ok(_) => Ok(()),
                Err(error) => Err(reason_of(py, file.handle, &error)),
            }
        })
    })
}

unsafe extern "C" fn create(
    plugin: *const Plugin,
    _api: *const Api,
    _directives: *const Directive,
    _count: usize,
    instance: *mut *mut c_void,
) -> i32 {
    // The object was made, and so configured, to get its id.
    // SAFETY: by the header `plugin` is the table that was returned, which is the start of a file,
    // and `instance` may be written to.
    unsafe { instance.write(plugin.cast_mut().cast()) };
    status::OK
}

unsafe extern "C" fn start(instance: *mut c_void) -> i32 {
    // SAFETY: gmetad keeps the header's promises about this call.
    method(unsafe { file_of(instance) }, "start", None)
}

unsafe extern "C" fn notify(instance: *mut c_void, top: abi::Node, _about: *const Update) -> i32 {
    // SAFETY: gmetad keeps the header's promises about this call.
    method(unsafe { file_of(instance) }, "notify", Some(top))
}

unsafe extern "C" fn stop(instance: *mut c_void) {
    // SAFETY: gmetad keeps the header's promises about this call.
    let file = unsafe { file_of(instance) };
    method(file, "stop", None);
}
