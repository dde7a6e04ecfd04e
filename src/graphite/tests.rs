//! Whole requests, as Grafana sends them.

use std::fmt::Write as _;
use std::sync::Arc;

use gmetad_core::history::{Answer, Question, Refused, Series};
use gmetad_core::http::{Method, Moment, PageContext, PageRequest, Room};
use gmetad_core::model::{Mono, Now};
use serde_json::{Value, json};

use crate::testing::snapshot;

/// 1,800,000,000: a multiple of 15.
const NOW: i64 = 1_800_000_000;

/// Values 0, 1, 2 … in rows of 15 s, every fourth a gap.
fn values(question: &Question) -> Answer {
    let series = question.iter().map(|wanted| {
        let rows = (wanted.until - wanted.from).div_ceil(15);
        let value = |row: u64| if row % 4 == 3 { f64::NAN } else { row as f64 };
        Some(Series {
            start: wanted.from / 15 * 15,
            step: 15,
            values: (0..rows).map(value).collect(),
        })
    });
    series.collect()
}

/// What reads the files.
type Read = fn(&Question) -> Result<Answer, Refused>;

const READ: Read = |question| Ok(values(question));

fn ask(method: Method, target: &str, body: &str, read: Read) -> (u16, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = PageRequest {
        room: Room::Graphite,
        method,
        path: path.into(),
        query: query.into(),
        body: body.into(),
        pages: "/ui/",
    };
    let mut context = PageContext {
        moment: Moment {
            snapshot: Arc::new(snapshot()),
            now: Now {
                mono: Mono(0),
                epoch: NOW,
            },
            graphite_prefix: String::new(),
        },
        report: &mut || unreachable!("nothing of the daemon's own is asked for"),
    };
    let answer = crate::answer(&request, &mut context).with(read);
    let mut body = answer.into_body(Method::Get);
    let mut bytes = Vec::new();
    let mut limit = 0;
    // In small parts, as a slow client takes it.
    loop {
        limit += 50;
        if !body.fill(&mut bytes, limit) {
            break;
        }
    }
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

fn get(target: &str) -> (u16, Value) {
    let (status, body) = ask(Method::Get, target, "", READ);
    (
        status,
        serde_json::from_str(&body).unwrap_or(Value::String(body)),
    )
}

fn post(path: &str, body: &str) -> (u16, Value) {
    let (status, body) = ask(Method::Post, path, body, READ);
    (
        status,
        serde_json::from_str(&body).unwrap_or(Value::String(body)),
    )
}

#[test]
fn grafana_s_check_of_its_data_source_is_answered() {
    let body = "target=constantLine(100)&from=-5min&until=now&format=json&maxDataPoints=300";
    let (status, answer) = post("/render", body);
    assert_eq!(status, 200);
    assert_eq!(answer[0]["target"], "100.0");
    assert_eq!(answer[0]["datapoints"][0], json!([100, NOW - 300]));
}

#[test]
fn a_panel_s_request_gives_its_series_with_gaps() {
    let body = "target=aliasSub(web.b.load_one%2C%20%22(%5E.*%24)%22%2C%20%22%5C1%20A%22)\
                &from=1799999940&until=1800000000&format=json&maxDataPoints=1000";
    let (status, answer) = post("/render", body);
    assert_eq!(status, 200);
    assert_eq!(
        answer,
        json!([{
            "target": "web.b.load_one A",
            "tags": {"name": "web.b.load_one"},
            "datapoints": [
                [0, 1_799_999_940], [1, 1_799_999_955], [2, 1_799_999_970], [null, 1_799_999_985]
            ],
        }])
    );
}

#[test]
fn more_rows_than_a_client_shows_are_merged_in_groups_that_stay() {
    let render = |from: i64| {
        let (_, answer) = get(&format!(
            "/render?target=web.b.load_one&from={from}&until={NOW}&format=json&maxDataPoints=10"
        ));
        answer[0]["datapoints"].as_array().unwrap().clone()
    };
    let points = render(NOW - 3600);
    assert!(points.len() <= 10, "{points:?}");
    let times = |points: &[Value]| {
        let times = points.iter().map(|point| point[1].as_i64().unwrap());
        times.collect::<Vec<_>>()
    };
    assert!(
        times(&points).iter().all(|time| time % 360 == 0),
        "{points:?}"
    );
    assert_eq!(times(&points)[1], times(&render(NOW - 3585))[1]);
}

#[test]
fn names_are_found_level_by_level() {
    let (status, answer) = post("/metrics/find?from=1&until=2", "query=web.*");
    assert_eq!(status, 200);
    assert_eq!(
        answer[1],
        json!({
            "text": "a_example_org", "id": "web.a_example_org",
            "allowChildren": 1, "expandable": 1, "leaf": 0,
        })
    );
    let (_, answer) = get("/metrics/find?query=web.b.*");
    let leaves: Vec<&Value> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["leaf"])
        .collect();
    assert_eq!(leaves, [0, 1, 1], "a branch comes first");
    let (_, answer) = get("/metrics/find?query=web.b.load*&format=completer");
    assert_eq!(
        answer,
        json!({"metrics": [{"path": "web.b.load_one", "name": "load_one", "is_leaf": "1"}]})
    );
    let (_, answer) = get("/metrics/expand?query=web.*.load_one&leavesOnly=1");
    assert_eq!(
        answer,
        json!({"results": ["web.a_example_org.load_one", "web.b.load_one"]})
    );
    assert_eq!(get("/metrics/find").0, 400);
}

#[test]
fn what_there_is_not_is_answered_as_graphite_does() {
    assert_eq!(get("/version"), (200, json!("1.1.8")));
    for path in [
        "/tags/autoComplete/tags",
        "/tags/autoComplete/values?tag=x",
        "/events/get_data?from=-1h&until=now&tags=x",
    ] {
        assert_eq!(get(path), (200, json!([])), "{path}");
    }
    assert_eq!(get("/nope").0, 404);
    let (status, text) = get("/render?target=nope(web.b.load_one)&format=json");
    assert_eq!(status, 400);
    assert!(text.as_str().unwrap().contains("there is no function nope"));
    assert_eq!(get("/render?target=web.b.load_one&format=png").0, 400);
    assert_eq!(
        get("/render?target=web.b.load_one&from=now&until=-1h").0,
        400
    );
    assert_eq!(get("/render?target=web.b.load_one&maxDataPoints=x").0, 400);
    let many = "target=constantLine(1)&".repeat(600);
    assert_eq!(post("/render", &many).0, 400);
}

#[test]
fn every_function_is_listed_with_its_parameters() {
    let (status, answer) = get("/functions");
    assert_eq!(status, 200);
    let sum = &answer["sum"];
    assert_eq!(sum["params"][0]["type"], "seriesLists");
    assert_eq!(sum["params"][0]["multiple"], true);
    let summarize = &answer["summarize"]["params"];
    assert_eq!(summarize[2]["default"], "sum");
    assert!(
        summarize[2]["options"]
            .as_array()
            .unwrap()
            .contains(&json!("max"))
    );
    assert_eq!(summarize[3]["default"], false);
    for function in crate::functions::all() {
        for name in function.names {
            assert_eq!(answer[name]["name"], *name);
        }
    }
    assert_eq!(get("/functions/scale").1["params"][1]["required"], true);
    assert_eq!(get("/functions/nope").0, 404);
}

#[test]
fn csv_has_a_row_a_value() {
    let (_, body) = ask(
        Method::Get,
        "/render?target=alias(web.b.load_one,'=a%22')&from=1799999970&until=1800000000&format=csv",
        "",
        READ,
    );
    assert_eq!(
        body,
        "\"'=a\"\"\",1799999970,0\r\n\"'=a\"\"\",1799999985,1\r\n"
    );
}

#[test]
fn what_the_files_thread_refuses_is_told() {
    let refused: [(Read, u16); 3] = [
        (|_| Err(Refused::Values), 400),
        (|_| Err(Refused::NoFiles("write_rrds off")), 503),
        (|_| Err(Refused::Ended), 503),
    ];
    for (read, status) in refused {
        let target = "/render?target=web.b.load_one";
        assert_eq!(ask(Method::Get, target, "", read).0, status);
    }
}

#[test]
fn numbers_that_are_very_large_or_small_are_json_still() {
    let (_, answer) = get("/render?target=scale(constantLine(1e300),2)");
    assert_eq!(answer[0]["datapoints"][0][0].as_f64(), Some(2e300));
    let (_, answer) = get("/render?target=scale(constantLine(1e-300),1)");
    assert_eq!(answer[0]["datapoints"][0][0].as_f64(), Some(1e-300));
}

/// The line of a function in the table of docs/GRAFANA.md.
fn documented(function: &crate::functions::Function) -> String {
    use crate::functions::Times;
    let parameters = function
        .parameters
        .iter()
        .map(|parameter| match parameter.times {
            Times::Once => parameter.name.to_owned(),
            Times::Optional => format!("[{}]", parameter.name),
            Times::Many => format!("{}…", parameter.name),
            Times::Any => format!("[{}…]", parameter.name),
        });
    let parameters: Vec<String> = parameters.collect();
    let names: Vec<String> = function
        .names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    format!(
        "| {} | {} | {} | {} |",
        names.join(", "),
        parameters.join(", "),
        function.does,
        function.gaps
    )
}

#[test]
fn the_documentation_has_every_function() {
    let page = include_str!("../../docs/GRAFANA.md");
    let lines: Vec<String> = crate::functions::all().map(documented).collect();
    let missing: Vec<&String> = lines.iter().filter(|line| !page.contains(*line)).collect();
    assert!(missing.is_empty(), "docs/GRAFANA.md lacks\n{missing:#?}");
}

/// All targets of a dashboard, with their variables as Grafana fills them in.
fn targets(dashboard: &str) -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if let ("target", Value::String(text)) = (name.as_str(), value) {
                        found.push(text.clone());
                    }
                    collect(value, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&serde_json::from_str(dashboard).unwrap(), &mut found);
    let filled = found.iter().map(|text| {
        text.replace("${prefix}", "")
            .replace("$cluster", "web")
            .replace("$host", "b")
            .replace("$metric", "{load_one,bytes_in}")
    });
    filled.collect()
}

#[test]
fn the_dashboards_ask_for_what_can_be_answered() {
    for (dashboard, least) in [
        (include_str!("../../contrib/grafana/grid.json"), 18),
        (include_str!("../../contrib/grafana/cluster.json"), 20),
        (include_str!("../../contrib/grafana/host.json"), 18),
    ] {
        let targets = targets(dashboard);
        assert!(targets.len() >= least, "{}", targets.len());
        for target in targets {
            let encoded: String = form_encoded(&target);
            let (status, answer) = post("/render", &format!("target={encoded}&format=json"));
            assert_eq!(status, 200, "{target}: {answer}");
            let is_there = target.contains("load_one") && !answer.as_array().unwrap().is_empty();
            assert!(is_there || !target.contains("load_one"), "{target}");
        }
    }
}

/// All of it percent-encoded.
fn form_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        write!(out, "%{byte:02X}").expect("memory takes it");
        out
    })
}
