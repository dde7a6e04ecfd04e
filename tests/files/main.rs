//! Round-robin files: written, held, journalled, damaged, refused, removed; rrdtool reads the result.
//!
//! Each module is a subject; one program, so that it is linked once.

mod against_peers_rrd;
mod expire;
mod from_gmetad_python;
mod heal;
mod history;
mod rivals;
mod rrd;
mod rrd_cache;
mod rrd_damage;
mod rrd_faults;
mod rrd_names;
mod rrd_new;
mod rrd_refused;
mod rrd_room;
mod sums_of_counters;
#[path = "../support/mod.rs"]
mod support;
