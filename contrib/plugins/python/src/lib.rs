//! Plugins in Python: one `.py` file each, with the same interface as those in shared objects.
//!
//! The package `Gmetad`, which plugins import, is Python code in `../Gmetad`; this is the native part
//! below it. It does not link a library of Python: `gmetad-python-host` loads one, and then this.

mod gmetad;
mod plugin;
mod snapshot;
