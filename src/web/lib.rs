//! The web pages of gmetad: a request, a snapshot and history in, HTML and SVG out.
//!
//! No I/O: whoever calls has parsed the request and checked who may ask, and reads the files.
#![forbid(unsafe_code)]
