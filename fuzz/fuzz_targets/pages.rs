//! Any request for a page gets one that ends, whatever its path and parameters, over a tree with
//! hostile names: nothing of them becomes markup.
#![no_main]

use std::sync::{Arc, LazyLock};

use gmetad_core::history::{MAX_SERIES, Question, Series};
use gmetad_core::http::{Method, PageContext, PageRequest, Reply, Room};
use gmetad_core::model::{GridIdentity, Mono, Now, Snapshot};
use gmetad_core::status::Report;
use gmetad_core::store::Store;
use libfuzzer_sys::fuzz_target;

/// No page over the fixture is longer.
const MOST_BYTES: usize = 64 << 20;

static SNAPSHOT: LazyLock<Arc<Snapshot>> = LazyLock::new(|| {
    let xml = include_bytes!("../../tests/data/gmond/gmond-hostile.xml");
    let mut store = Store::new(GridIdentity::default(), Arc::default());
    let id = store.add_source();
    let mut parser = store.begin(id);
    parser.feed(xml, Mono(0), store.table()).expect("the capture can be read");
    let document = parser.finish(Mono(0)).expect("the capture is whole");
    store.commit(id, document, Now::default());
    store.summarize();
    store.snapshot()
});

fn read(question: &Question) -> Vec<Option<Series>> {
    assert!(question.len() <= MAX_SERIES);
    let series = question.iter().enumerate().map(|(at, wanted)| {
        assert!(wanted.from < wanted.until);
        let step = [15, 360, 7, 86_400][at % 4];
        let rows = (wanted.until - wanted.from).div_ceil(u64::from(step)).min(400);
        let value = |row: u64| match row % 7 {
            6 => f64::NAN,
            5 => -1e300,
            row => row as f64 * 1e9,
        };
        (at % 7 != 6).then(|| Series {
            start: wanted.from / u64::from(step) * u64::from(step),
            step,
            values: (0..rows).map(value).collect(),
        })
    });
    series.collect()
}

fuzz_target!(|input: &[u8]| {
    let Some((&which, target)) = input.split_first() else {
        return;
    };
    let end = target.iter().position(|byte| *byte == b'?');
    let (path, query) = match end {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, &[][..]),
    };
    let request = PageRequest {
        room: if which & 1 == 0 { Room::Pages } else { Room::OldLinks },
        method: Method::Get,
        path: [b"/", path].concat(),
        query: query.to_vec(),
        body: Vec::new(),
        pages: if which & 2 == 0 { "/ui/" } else { "/" },
    };
    let mut context = PageContext {
        snapshot: Arc::clone(&SNAPSHOT),
        now: Now {
            mono: Mono(0),
            epoch: 1_800_000_000,
        },
        report: &mut Report::default,
        graphite_prefix: "",
    };
    let answer = match gmetad_web::answer(&request, &mut context) {
        Reply::Ready(answer) => answer,
        Reply::Ask(question, then) => then(Ok(read(&question))),
    };
    let is_html = answer.content_type.starts_with("text/html");
    let mut body = answer.into_body(Method::Get);
    let (mut out, mut limit) = (Vec::new(), 0);
    loop {
        limit += 64 << 10;
        assert!(limit < MOST_BYTES, "it ends");
        if !body.fill(&mut out, limit) {
            break;
        }
    }
    let text = String::from_utf8(out).expect("it is UTF-8");
    assert!(text.starts_with("HTTP/1.0 "));
    if is_html {
        // Scripts are files of our own; a name that became an element could only be one of these.
        for part in text.split("<script").skip(1) {
            assert!(part.starts_with(" src="), "{}", &part[..part.len().min(80)]);
        }
        assert!(!text.contains("<img") && !text.contains(" onerror"));
    }
});
