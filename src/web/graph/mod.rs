//! Graphs: which series they need, and what is drawn, listed or calculated of them.
//!
//! No files: a [`Plan`] collects what is asked, a [`Figure`] draws what was read.

pub mod curve;
pub mod data;
pub mod figure;
pub mod path;
pub mod plan;
pub mod sample;
pub mod spark;
pub mod svg;

pub use curve::{Curve, Draw, Formula};
pub use figure::Figure;
pub use plan::{History, Plan};
pub use sample::Grid;
