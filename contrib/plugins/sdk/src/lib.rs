//! The interface between gmetad and a plugin in a shared object, in Rust.
//!
//! Depends on nothing but that interface: it is built apart from the daemon.

pub mod abi;
