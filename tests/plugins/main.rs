//! Plugins: shared objects, Python, alerts; documents about them.
//!
//! Each module is a subject; one program, so that it is linked once.

mod alert;
mod conditions;
mod endings;
mod plugin_docs;
mod python;
mod python_api;
mod python_identity;
mod shared_objects;
#[path = "../support/mod.rs"]
mod support;
