//! Graphite's read API: paths and expressions over a snapshot and history in, series out.
//!
//! No I/O: whoever calls has parsed the request and checked who may ask, and reads the files.
#![forbid(unsafe_code)]
