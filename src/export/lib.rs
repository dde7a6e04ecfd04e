//! What sends values on: the link to a server, and carbon, memcached, Riemann and remote write over it.
//!
//! Each is a plugin like any other. The plugin thread only puts values into a backlog; see [`link`].
#![forbid(unsafe_code)]

mod carbon;
mod export;
pub mod link;
mod memcached;
mod remote_write;
mod riemann;
mod select;
#[cfg(test)]
mod testing;

pub use export::{Export, ExportHost, ExportNeeds, ListedExport, Switch};
pub use remote_write::exercise;

/// All exports, in the order in which they see updates. The plugin chain, `-t`, `/status` and
/// `/metrics` are made from this list.
pub const EXPORTS: &[ListedExport] = &[
    ListedExport::of::<carbon::Carbon>(),
    ListedExport::of::<memcached::Memcached>(),
    ListedExport::of::<riemann::Riemann>(),
    ListedExport::of::<remote_write::RemoteWrite>(),
];
