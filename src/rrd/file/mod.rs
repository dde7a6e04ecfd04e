//! One round-robin file: its layout, how it is made, updated and read, and whether it is sound.
//!
//! No names, no folders and no time of day: a path and samples come in. librrd is called in one
//! module, for what is not plain.

pub(crate) mod exercise;
pub(crate) mod layout;
pub(crate) mod librrd;
pub(crate) mod plain;
pub(crate) mod room;
pub(crate) mod samples;
pub(crate) mod sound;
