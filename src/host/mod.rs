//! Figures of this machine and of this process, as the kernel has them.
//!
//! What they are and in which units is `gmetad_core::status::host`'s; a thread looks for them, so
//! that nobody who asks waits for a disk.

mod kernel;
mod sampler;

pub use sampler::Sampler;
