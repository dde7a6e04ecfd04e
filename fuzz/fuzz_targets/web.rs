//! Any request for a page gets an answer that ends, whatever the files hold.
#![no_main]

use std::sync::{Arc, LazyLock};

use gmetad_core::history::{MAX_SERIES, Question, Refused, Series};
use gmetad_core::http::{Content, HttpAnswer, Method, Moment, PageContext, PageRequest, Room};
use gmetad_core::model::{GridIdentity, Mono, Now, Snapshot};
use gmetad_core::status::Report;
use gmetad_core::store::Store;
use libfuzzer_sys::fuzz_target;

const PATHS: [&str; 10] = [
    "/",
    "/cluster",
    "/host",
    "/metric",
    "/search",
    "/status",
    "/graph.svg",
    "/graph.csv",
    "/graph.json",
    "/graph.php",
];

/// No page over the fixture is longer.
const MOST_BYTES: usize = 64 << 20;

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

/// Values that files may hold.
const VALUES: [f64; 8] = [
    0.0,
    -1.5,
    f64::NAN,
    1e300,
    f64::INFINITY,
    f64::NEG_INFINITY,
    1e-300,
    80.0,
];

/// Some rows of each, of steps that differ; some have no file.
fn read(question: &Question, seed: u8) -> Vec<Option<Series>> {
    assert!(question.len() <= MAX_SERIES);
    let series = question.iter().enumerate().map(|(at, wanted)| {
        assert!(wanted.from < wanted.until);
        let step = [15, 15, 360, 7][at % 4].max(wanted.step);
        let rows = (wanted.until - wanted.from)
            .div_ceil(u64::from(step))
            .min(300);
        (at % 7 != 6).then(|| Series {
            start: wanted.from / u64::from(step) * u64::from(step),
            step,
            values: (0..rows as usize)
                .map(|row| VALUES[(row * (at + 1) + usize::from(seed)) % VALUES.len()])
                .collect(),
        })
    });
    series.collect()
}

fuzz_target!(|input: &[u8]| {
    let [which, seed, query @ ..] = input else {
        return;
    };
    let path = PATHS[usize::from(which & 15) % PATHS.len()];
    let room = if which & 16 == 0 {
        Room::Pages
    } else {
        Room::OldLinks
    };
    let request = PageRequest {
        room,
        method: Method::Get,
        path: path.into(),
        query: query.to_vec(),
        body: Vec::new(),
        pages: "/ui/",
    };
    let mut report = Report::default;
    let mut context = PageContext {
        moment: Moment {
            snapshot: Arc::clone(&SNAPSHOT),
            now: Now {
                mono: Mono(1000),
                epoch: 1_700_000_000,
            },
            graphite_prefix: String::new(),
        },
        report: &mut report,
    };
    let reply = gmetad_web::answer(&request, &mut context);
    check(reply.with(|question| match seed {
        255 => Err(Refused::Values),
        seed => Ok(read(question, *seed)),
    }));
});

/// Header fields stay fields, and a page is text that ends.
fn check(answer: HttpAnswer) {
    assert!(
        answer
            .fields
            .split("\r\n")
            .all(|field| !field.contains(['\r', '\n']))
    );
    let text = match answer.content {
        Content::Bytes(bytes) => bytes,
        Content::Body(mut body) => {
            let mut all = Vec::new();
            loop {
                let mut out = Vec::new();
                let more = body.fill(&mut out, 64 << 10);
                all.extend(out);
                assert!(all.len() < MOST_BYTES);
                if !more {
                    break all;
                }
            }
        }
    };
    let text = String::from_utf8(text).expect("pages are UTF-8");
    if answer.content_type.starts_with("text/html") {
        assert!(
            !text.contains("<script>") && !text.contains(" style="),
            "{text}"
        );
    }
}
