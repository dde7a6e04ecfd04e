//! This host: its names, and statistics of it and of this process, from the kernel.
//!
//! `gmetad_core::status::host` says which statistics, and in which units. A thread of its own reads
//! them, so that no request waits for a disk.

mod kernel;
mod names;
mod sampler;

pub use names::own_names;
pub use sampler::Sampler;
