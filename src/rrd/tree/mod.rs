//! The folders below the root: whose file is where, who writes it, and when it is removed.
//!
//! How a file is written is not known here.

pub(crate) mod archive;
pub(crate) mod behind;
pub(crate) mod expire;
mod folder;
pub(crate) mod former;
mod growth;
pub(crate) mod hosts;
pub(crate) mod paths;
pub(crate) mod sums;
