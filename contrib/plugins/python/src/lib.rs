//! Plugins in Python: one `.py` file each, over the same interface as those in shared objects.
//!
//! The `Gmetad` package that plugins import is Python, in `../Gmetad`; here is what it stands on. No
//! library of Python is linked: `gmetad-python-host` loads one, and this file after it.

mod gmetad;
mod plugin;
mod snapshot;
