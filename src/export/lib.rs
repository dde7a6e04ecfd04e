//! What sends values on: the link to a server, and carbon, memcached and Riemann over it.
//!
//! Each is a plugin like any other. The plugin thread only writes into a backlog; see [`link`].
#![forbid(unsafe_code)]

pub mod carbon;
pub mod link;
pub mod memcached;
pub mod riemann;
mod select;
#[cfg(test)]
mod testing;
