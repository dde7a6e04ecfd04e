//! The pages, each in a file.

pub mod cells;
pub mod cluster;
pub mod graph;
pub mod grid;
pub mod host;
pub mod metric;
pub mod search;
pub mod status;
