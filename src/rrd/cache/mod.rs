//! Samples that are held before they are written, many at once, to their RRD files.
//!
//! A sample comes in through [`WriteCache`], which decides when what is done. [`journaled`] keeps
//! memory and journal in step; [`files`] is the memory: a queue for each file, in one [`arena`], and
//! a [`wheel`] that says which file is due.

mod arena;
mod files;
mod journaled;
pub(crate) mod packed;
mod rrd_files;
#[cfg(test)]
mod simulation;
mod texts;
mod wheel;
mod write_cache;

pub(crate) use files::Held;
pub(crate) use write_cache::WriteCache;
