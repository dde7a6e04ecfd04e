//! Statistics of this host and of this process, from the kernel.
//!
//! `gmetad_core::status::host` says which, and in which units. A thread of its own reads them, so
//! that no request waits for a disk.

mod kernel;
mod sampler;

pub use sampler::Sampler;
