//! The Python host: gmetad loads it for plugins in Python, and it loads Python and then the library
//! `gmetad-python`, which does the rest.
//!
//! It needs no Python to be built or loaded, so that a machine without Python gets a clear message
//! instead of a linker error.
#![allow(unsafe_code)]

use std::env;
use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use gmetad_plugin::abi::{self, Api, Plugin, Text};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
use nix::libc;

/// Names the library of Python to use, by path or by file name.
const VARIABLE: &str = "GMETAD_LIBPYTHON";

/// The Pythons to look for: `3.OLDEST` to `3.NEWEST`, the latter far in the future.
const OLDEST: u32 = 9;
const NEWEST: u32 = 40;

/// In the same directory as this file.
const CORE: &str = "libgmetad_python.so";

/// Symbols that it exports.
const FACTORY: &str = "gmetad_python_get_plugin";
const TRY: &str = "gmetad_python_try_plugin";

/// Returns the plugin of a Python file.
///
/// # Safety
/// As `gmetad_plugin.h` says of the function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gmetad_get_plugin(api: *const Api, file: Text) -> *const Plugin {
    // SAFETY: the caller promises it.
    unsafe { pass_on(api, file, |core| core.factory) }
}

/// Called in the trial process: imports a file, and does not call its `get_plugin`.
///
/// # Safety
/// As of [`gmetad_get_plugin`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gmetad_try_plugin(api: *const Api, file: Text) -> *const Plugin {
    // SAFETY: the caller promises it.
    unsafe { pass_on(api, file, |core| core.try_out) }
}

/// The functions of `gmetad-python`.
struct Core {
    factory: abi::Factory,
    try_out: abi::Factory,
}

/// # Safety
/// As of [`gmetad_get_plugin`].
unsafe fn pass_on(
    api: *const Api,
    file: Text,
    question: fn(&Core) -> abi::Factory,
) -> *const Plugin {
    static LOADED: OnceLock<Result<Core, String>> = OnceLock::new();
    // SAFETY: by the header every version has the first two fields, and ours has the others.
    let Some(known) = (unsafe { api.as_ref() }).filter(|api| api.abi == abi::ABI) else {
        return std::ptr::null();
    };
    match LOADED.get_or_init(load) {
        // SAFETY: it has the same contract as this function's callers.
        Ok(core) => unsafe { question(core)(api, file) },
        Err(reason) => {
            // SAFETY: the table is gmetad's, the text outlives the call.
            unsafe { (known.fail)(api, Text::of(reason)) };
            std::ptr::null()
        }
    }
}

fn load() -> Result<Core, String> {
    open_python()?;
    let core = own_folder()?.join(CORE);
    // SAFETY: the file is part of the same installation as this one.
    let opened = unsafe { Library::open(Some(&core), RTLD_NOW | RTLD_LOCAL) };
    let opened = opened.map_err(|error| reason_of(&error))?;
    let function = |name: &str| {
        // SAFETY: `gmetad-python` declares both functions with this type.
        let found = unsafe { opened.get::<abi::Factory>(name.as_bytes()) };
        found.map(|it| *it).map_err(|error| reason_of(&error))
    };
    let core = Core {
        factory: function(FACTORY)?,
        try_out: function(TRY)?,
    };
    // Never unmapped, since Python cannot be.
    std::mem::forget(opened);
    Ok(core)
}

/// Loads Python with global symbols, since its modules do not declare that they need them.
fn open_python() -> Result<(), String> {
    let asked = env::var_os(VARIABLE);
    let names: Vec<OsString> = match &asked {
        Some(name) => vec![name.clone()],
        None => (OLDEST..=NEWEST)
            .rev()
            .map(|minor| format!("libpython3.{minor}.so.1.0").into())
            .collect(),
    };
    let mut last = String::new();
    for name in names {
        // SAFETY: a library of Python has no constructors that do anything.
        match unsafe { Library::open(Some(&name), RTLD_NOW | RTLD_GLOBAL) } {
            Ok(python) => {
                std::mem::forget(python);
                return Ok(());
            }
            Err(error) => last = reason_of(&error),
        }
    }
    Err(match asked {
        Some(name) => format!(
            "the library of Python in {VARIABLE}, {}, cannot be loaded: {last}",
            name.display()
        ),
        None => format!(
            "there is no library of Python 3.{OLDEST} or newer; install one (Debian: apt-get \
             install libpython3-dev, or libpython3.x with the number that python3 --version says; \
             Fedora: dnf install python3-libs), or name it in {VARIABLE}"
        ),
    })
}

/// The directory of this shared object.
fn own_folder() -> Result<PathBuf, String> {
    let unknown = || "the Python host cannot tell which file it is".to_owned();
    // SAFETY: all zeroes are null pointers.
    let mut found: libc::Dl_info = unsafe { std::mem::zeroed() };
    let here = (gmetad_get_plugin as *const ()).cast::<libc::c_void>();
    // SAFETY: `found` may be written to.
    let known = unsafe { libc::dladdr(here, &raw mut found) };
    if known == 0 || found.dli_fname.is_null() {
        return Err(unknown());
    }
    // SAFETY: the name is valid while the object is loaded, which it is.
    let name = unsafe { CStr::from_ptr(found.dli_fname) };
    let path = PathBuf::from(OsStr::from_bytes(name.to_bytes()));
    path.parent().map(PathBuf::from).ok_or_else(unknown)
}

/// dlerror's text, without the library's own words.
fn reason_of(error: &libloading::Error) -> String {
    match error {
        libloading::Error::DlOpen { source, .. } | libloading::Error::DlSym { source } => {
            source.to_string()
        }
        other => other.to_string(),
    }
}
