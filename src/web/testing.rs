//! Helpers of unit tests: a request answered from made-up data.
//!
//! Not part of the library.

use std::fmt::Write;
use std::sync::Arc;

use gmetad_core::history::{Answer, Question, Refused, Series, Wanted};
use gmetad_core::http::{
    Content, HttpAnswer, Method, Moment, PageContext, PageRequest, Room, Status,
};
use gmetad_core::model::{GridIdentity, Mono, Now, Snapshot};
use gmetad_core::status::{Report, SourceState, SourceStatus};
use gmetad_core::store::Store;

/// When all of it is.
pub const NOW: Now = Now {
    mono: Mono(1_000_000),
    epoch: 1_700_000_000,
};

/// A snapshot of a grid named Top with one source for each document's content.
pub fn snapshot(contents: &[&str]) -> Arc<Snapshot> {
    let identity = GridIdentity {
        name: "Top".into(),
        authority: "http://top/".into(),
        scalable: true,
    };
    let mut store = Store::new(identity, Arc::default());
    for content in contents {
        let id = store.add_source();
        let xml = format!("<GANGLIA_XML>{content}</GANGLIA_XML>");
        let latin1: Vec<u8> = xml.chars().map(|c| c as u8).collect();
        let mut parser = store.begin(id);
        parser.feed(&latin1, NOW.mono, store.table()).unwrap();
        let document = parser.finish(NOW.mono).unwrap();
        store.commit(id, document, NOW);
    }
    store.summarize();
    store.snapshot()
}

/// A cluster of that many hosts with gmond's usual metrics; every seventh host is down.
pub fn cluster(name: &str, hosts: usize) -> String {
    let mut xml = format!("<CLUSTER NAME=\"{name}\" LOCALTIME=\"{}\">", NOW.epoch);
    let metrics = [
        ("load_one", "0.5", "float", " ", "load"),
        ("cpu_num", "8", "uint16", "CPUs", "cpu"),
        ("cpu_idle", "60.5", "float", "%", "cpu"),
        ("cpu_user", "30.5", "float", "%", "cpu"),
        ("mem_total", "16384000", "float", "KB", "memory"),
        ("mem_free", "4096000", "float", "KB", "memory"),
        ("bytes_in", "123456.7", "float", "bytes/sec", "network"),
        ("bytes_out", "7654.3", "float", "bytes/sec", "network"),
        ("os_name", "Linux", "string", "", "system"),
    ];
    for at in 0..hosts {
        let tn = if at % 7 == 6 { 900 } else { 3 };
        let _ = write!(
            xml,
            "<HOST NAME=\"node-{at:04}\" IP=\"10.0.0.{at}\" LOCATION=\"{},0,0\" TN=\"{tn}\" TMAX=\"20\">",
            at / 20
        );
        for (name, val, ty, units, group) in metrics {
            let val = if name == "load_one" {
                format!("{}.5", at % 11)
            } else {
                val.to_owned()
            };
            let _ = write!(
                xml,
                "<METRIC NAME=\"{name}\" VAL=\"{val}\" TYPE=\"{ty}\" UNITS=\"{units}\" TN=\"3\" \
                 TMAX=\"70\" SLOPE=\"both\"><EXTRA_DATA><EXTRA_ELEMENT NAME=\"GROUP\" \
                 VAL=\"{group}\"/></EXTRA_DATA></METRIC>"
            );
        }
        xml.push_str("</HOST>");
    }
    xml.push_str("</CLUSTER>");
    xml
}

/// Rows of 15 s, or of the step asked for: a wave with a gap in it, another for each series.
pub fn history(question: &Question) -> Answer {
    let series = |(at, wanted): (usize, &Wanted)| {
        let step = wanted.step.max(15) / 15 * 15;
        let start = wanted.from / u64::from(step) * u64::from(step);
        let rows = (wanted.until - start).div_ceil(step.into());
        let value = |row: u64| {
            if (rows / 3..rows / 3 + rows / 20).contains(&row) {
                return f64::NAN;
            }
            let turn = row as f64 / rows as f64 * 9.0 + at as f64;
            (turn.sin() + 1.5) * 20.0
        };
        Some(Series {
            start,
            step,
            values: (0..rows).map(value).collect(),
        })
    };
    question.iter().enumerate().map(series).collect()
}

/// What is answered, with the files answering `read`.
pub fn reply(
    target: &str,
    snapshot: &Arc<Snapshot>,
    read: impl FnOnce(&Question) -> Result<Answer, Refused>,
) -> HttpAnswer {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (room, path) = match path.strip_prefix("/ganglia") {
        Some(path) => (Room::OldLinks, path),
        None => (Room::Pages, path),
    };
    let request = PageRequest {
        room,
        method: Method::Get,
        path: path.into(),
        query: query.into(),
        body: Vec::new(),
        pages: "/ui/",
    };
    let mut report = || Report {
        sources: vec![
            SourceStatus {
                name: "one".into(),
                state: SourceState::Up,
                ..SourceStatus::default()
            },
            SourceStatus {
                name: "two <b>".into(),
                state: SourceState::Down,
                failure: Some("10.0.0.2:8649: cannot connect".into()),
                ..SourceStatus::default()
            },
        ],
        ..Report::default()
    };
    let mut context = PageContext {
        moment: Moment {
            snapshot: Arc::clone(snapshot),
            now: NOW,
            graphite_prefix: String::new(),
        },
        report: &mut report,
    };
    crate::answer(&request, &mut context).with(read)
}

/// The status and the whole text of what is answered.
pub fn text(target: &str, snapshot: &Arc<Snapshot>) -> (Status, String) {
    let answer = reply(target, snapshot, |question| Ok(history(question)));
    (answer.status, content(answer))
}

pub fn content(answer: HttpAnswer) -> String {
    let bytes = match answer.content {
        Content::Bytes(bytes) => bytes,
        Content::Body(mut body) => {
            let mut all = Vec::new();
            loop {
                let mut out = Vec::new();
                let more = body.fill(&mut out, 64 << 10);
                all.extend(out);
                if !more {
                    break all;
                }
            }
        }
    };
    String::from_utf8(bytes).unwrap()
}
