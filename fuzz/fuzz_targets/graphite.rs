//! Any request to Graphite's API gets an answer that ends: expressions, patterns, times and forms.
#![no_main]

use std::sync::{Arc, LazyLock};

use gmetad_core::history::{MAX_SERIES, MAX_VALUES, Question, Series};
use gmetad_core::http::{Method, Moment, PageContext, PageRequest, Room};
use gmetad_core::model::{GridIdentity, Mono, Now, Snapshot};
use gmetad_core::store::Store;
use libfuzzer_sys::fuzz_target;

/// No answer over the fixture is longer: as many values as may be read, each written once.
const MOST_BYTES: usize = 512 << 20;

const PATHS: [&str; 5] = [
    "/render",
    "/metrics/find",
    "/metrics/expand",
    "/functions/",
    "/",
];

static SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(|| {
    let xml = include_bytes!("../../tests/data/gmond/gmond-hostile.xml");
    let mut store = Store::new(GridIdentity::default(), Arc::default());
    let id = store.add_source();
    let mut parser = store.begin(id);
    parser
        .feed(xml, Mono(0), store.table())
        .expect("the capture can be read");
    let document = parser.finish(Mono(0)).expect("the capture is whole");
    store.commit(id, document, Now::default());
    store.summarize();
    store.snapshot()
});

/// Some rows of each, of steps that differ, with gaps; some have no file.
fn read(question: &Question) -> Vec<Option<Series>> {
    assert!(question.len() <= MAX_SERIES);
    let each = MAX_VALUES / question.len().max(1);
    let series = question.iter().enumerate().map(|(at, wanted)| {
        assert!(wanted.from < wanted.until);
        let step = [15, 15, 360, 7][at % 4].max(wanted.step);
        let rows = (wanted.until - wanted.from).div_ceil(u64::from(step));
        let rows = usize::try_from(rows)
            .unwrap_or(usize::MAX)
            .min(each)
            .min(500);
        (at % 7 != 6).then(|| Series {
            start: wanted.from / u64::from(step) * u64::from(step),
            step,
            values: (0..rows)
                .map(|row| {
                    if row % 5 == 4 {
                        f64::NAN
                    } else {
                        row as f64 - 3.0
                    }
                })
                .collect(),
        })
    });
    series.collect()
}

fuzz_target!(|input: &[u8]| {
    let Some((&which, rest)) = input.split_first() else {
        return;
    };
    let path = PATHS[usize::from(which & 7) % PATHS.len()];
    let is_post = which & 8 != 0;
    let (path, form) = match path {
        "/functions/" | "/" => ([path.as_bytes(), rest].concat(), &[][..]),
        path => (path.into(), rest),
    };
    let request = PageRequest {
        room: Room::Graphite,
        method: if is_post { Method::Post } else { Method::Get },
        path,
        query: if is_post { Vec::new() } else { form.to_vec() },
        body: if is_post { form.to_vec() } else { Vec::new() },
        pages: "/ui/",
    };
    let mut context = PageContext {
        moment: Moment {
            snapshot: Arc::clone(&SNAPSHOT),
            now: Now {
                mono: Mono(0),
                epoch: 1_800_000_000,
            },
            graphite_prefix: if which & 16 != 0 { "ganglia" } else { "" }.into(),
        },
        report: &mut || unreachable!("nothing of the daemon's own is asked for"),
    };
    let reply = gmetad_graphite::answer(&request, &mut context);
    let answer = reply.with(|question| Ok(read(question)));
    let mut body = answer.into_body(Method::Get);
    let (mut out, mut limit) = (Vec::new(), 0);
    loop {
        limit += 64 << 10;
        assert!(limit < MOST_BYTES, "it ends");
        if !body.fill(&mut out, limit) {
            break;
        }
    }
    assert!(out.starts_with(b"HTTP/1.0 "));
});
