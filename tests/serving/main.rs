//! What is answered: XML, HTTP, JSON, Prometheus, through levels of gmetads and beside C gmetad.
//!
//! Each module is a subject; one program, so that it is linked once.

mod against_peers;
mod asked;
mod compatibility;
mod cycles;
mod endurance;
#[cfg(all(feature = "graphite", feature = "rrd"))]
mod graphite;
mod half_down;
mod hostile;
mod http;
mod limits;
mod other_sites;
mod peers_themselves;
mod prometheus;
mod rooms;
#[path = "../support/mod.rs"]
mod support;
mod three_levels;
mod unsigned_numbers;
