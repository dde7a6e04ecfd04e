//! Polls and writes one source so many times, for a count of instructions that does not depend on
//! the machine's mood: `benches/instructions.sh` runs it under callgrind.

mod fixture;

use fixture::{READ_BYTES, document, poll, store};
use gmetad_core::answer::query::Selection;
use gmetad_core::answer::xml::Render;
use gmetad_core::model::{Mono, Now};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let rounds: usize = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let (xml, metrics) = document(1);
    let (mut store, id) = store(what != "parse-in-full");
    let mut out = Vec::with_capacity(2 * READ_BYTES);
    for _ in 0..rounds {
        if what == "write" {
            let now = Now {
                mono: Mono(9000),
                epoch: 1,
            };
            let mut render = Render::body(store.snapshot(), Selection::all(), now);
            while render.fill(&mut out, READ_BYTES) {
                out.clear();
            }
            out.clear();
        } else {
            poll(&mut store, id, &xml);
        }
    }
    println!("{metrics}");
}
