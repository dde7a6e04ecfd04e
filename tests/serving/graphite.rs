//! Graphite's API through the real binary: the requests of Grafana, and the numbers of graphite-web
//! over the same files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::tempdir;

use crate::support::peers::{FakeSource, Script, available, document};
use crate::support::web::request;
use crate::support::{Gmetad, read, skipped, wait_for, wait_until};

/// Seconds of a row.
const STEP: u64 = 15;

/// Rows in each file, of which the last is some minutes old.
const ROWS: u64 = 480;

const HOSTS: [&str; 3] = ["a_x", "b", "c"];
const METRICS: [&str; 2] = ["load_one", "bytes_in"];

fn epoch() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("it is after 1970").as_secs()
}

/// The value of a row; `None` is a gap.
fn value(host: usize, metric: usize, row: u64) -> Option<i64> {
    let factor = [1, 10, 3][host];
    if (row / 60) % 5 == host as u64 {
        return None;
    }
    let noise = (row * 7919 + host as u64 * 31) % 13;
    Some(match metric {
        0 => factor * (noise as i64 - 3),
        // A counter that starts anew now and then.
        _ => (row as i64 * factor * 100) % 50_000,
    })
}

fn write_files(root: &Path, end: u64) {
    let start = end - ROWS * STEP;
    for (h, host) in HOSTS.iter().enumerate() {
        let folder = root.join("web").join(host);
        fs::create_dir_all(&folder).expect("our own folder");
        for (m, metric) in METRICS.iter().enumerate() {
            let file = folder.join(format!("{metric}.rrd"));
            let rrdtool = |arguments: &[String]| {
                let status = Command::new("rrdtool").args(arguments).status();
                assert!(status.expect("rrdtool starts").success(), "{arguments:?}");
            };
            let name = file.to_str().expect("text").to_owned();
            let made = [
                "create",
                &name,
                "--start",
                &start.to_string(),
                "--step",
                "15",
                "DS:sum:GAUGE:120:U:U",
                "RRA:AVERAGE:0.5:1:2000",
                "RRA:AVERAGE:0.5:24:500",
            ];
            rrdtool(&made.map(str::to_owned));
            let updates = (1..=ROWS).map(|row| {
                let value = value(h, m, row).map_or("U".to_owned(), |value| value.to_string());
                format!("{}:{value}", start + row * STEP)
            });
            let head = ["update".to_owned(), name];
            let arguments: Vec<String> = head.into_iter().chain(updates).collect();
            rrdtool(&arguments);
        }
    }
}

fn cluster() -> Vec<u8> {
    let metrics = METRICS.map(|name| {
        format!(
            "<METRIC NAME=\"{name}\" VAL=\"1\" TYPE=\"double\" UNITS=\"\" TN=\"0\" TMAX=\"60\" \
             DMAX=\"0\" SLOPE=\"both\"/>\n"
        )
    });
    let metrics = metrics.concat();
    let hosts = HOSTS.map(|name| {
        format!(
            "<HOST NAME=\"{name}\" IP=\"10.0.0.1\" REPORTED=\"1\" TN=\"0\" TMAX=\"20\" DMAX=\"0\" \
             GMOND_STARTED=\"1\">\n{metrics}</HOST>\n"
        )
    });
    let now = epoch();
    let hosts = hosts.concat();
    let inside = format!(
        "<CLUSTER NAME=\"web\" LOCALTIME=\"{now}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n{hosts}\
         </CLUSTER>\n"
    );
    document("gmond", &inside)
}

/// graphite-web over a root of files, on a port that the system chose.
struct GraphiteWeb {
    child: Child,
    address: std::net::SocketAddr,
}

impl GraphiteWeb {
    /// Starts it; `None`, with a message, if it is not installed.
    fn start(name: &str, folder: &Path, root: &Path) -> Option<GraphiteWeb> {
        if !available(name, &["gunicorn", "rrdtool"]) {
            return None;
        }
        let python = "/usr/bin/python3";
        let modules = Command::new(python)
            .args(["-c", "import graphite, rrdtool"])
            .output();
        if !modules.is_ok_and(|it| it.status.success()) {
            skipped(name, "graphite-web or python3-rrdtool is not installed");
            return None;
        }
        let storage = folder.join("graphite");
        for name in ["log", "whisper", "conf"] {
            fs::create_dir_all(storage.join(name)).expect("our own folder");
        }
        let (at, root) = (storage.display(), root.display());
        let settings = format!(
            "SECRET_KEY = 'x'\nCONF_DIR = '{at}/conf'\nSTORAGE_DIR = '{at}'\n\
             WHISPER_DIR = '{at}/whisper'\nRRD_DIR = '{root}'\nSTANDARD_DIRS = [RRD_DIR]\n\
             LOG_DIR = '{at}/log'\nINDEX_FILE = '{at}/index'\nLOG_ROTATION = False\n\
             DATABASES = {{'default': {{'NAME': '{at}/db', \
             'ENGINE': 'django.db.backends.sqlite3', 'USER': '', 'PASSWORD': '', 'HOST': '', \
             'PORT': ''}}}}\nTIME_ZONE = 'UTC'\nCARBONLINK_HOSTS = []\n"
        );
        fs::write(storage.join("our_settings.py"), settings).expect("our own folder");
        let with_settings = |command: &mut Command| {
            command
                .env("PYTHONPATH", format!("{at}:/usr/share/graphite-web"))
                .env("GRAPHITE_SETTINGS_MODULE", "our_settings")
                .env("DJANGO_SETTINGS_MODULE", "graphite.settings");
        };
        let mut migrate = Command::new(python);
        migrate.args(["-m", "django", "migrate", "--run-syncdb"]);
        with_settings(&mut migrate);
        let migrated = migrate.output().expect("python starts");
        assert!(migrated.status.success(), "{migrated:?}");
        let log = folder.join("gunicorn.log");
        let mut gunicorn = Command::new("gunicorn");
        // A worker that is slow on a busy machine must not be replaced.
        gunicorn.args(["-b", "127.0.0.1:0", "--timeout", "600", "graphite.wsgi"]);
        with_settings(&mut gunicorn);
        let child = gunicorn
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("our own folder"))
            .spawn()
            .expect("gunicorn starts");
        let address = wait_for("gunicorn to listen", || {
            let text = read(&log);
            let (_, rest) = text.split_once("Listening at: http://")?;
            rest.split(' ').next()?.parse().ok()
        });
        Some(GraphiteWeb { child, address })
    }
}

impl Drop for GraphiteWeb {
    fn drop(&mut self) {
        // Its worker ends with it.
        let pid = crate::support::pid_of(&self.child);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// What a target gives from one server: by name, its values by time.
type Rendered = Vec<(String, BTreeMap<u64, Option<f64>>)>;

fn render(
    address: std::net::SocketAddr,
    below: &str,
    target: &str,
    (from, until): (u64, u64),
    more: &str,
) -> Result<Rendered, String> {
    let encoded: String = target
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let path =
        format!("{below}/render?target={encoded}&from={from}&until={until}&format=json{more}");
    let answer = request(
        address,
        &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"),
    );
    if answer.code != 200 {
        return Err(format!("{}: {}", answer.code, answer.text()));
    }
    let all = answer.json();
    let series = all.as_array().expect("a list").iter().map(|series| {
        let points = series["datapoints"].as_array().expect("a list");
        let points = points
            .iter()
            .map(|point| (point[1].as_u64().expect("a time"), point[0].as_f64()));
        (
            series["target"].as_str().expect("a name").to_owned(),
            points.collect(),
        )
    });
    Ok(series.collect())
}

/// Targets; `@` is a pattern of three series, `A`, `B` and `C` are one each.
const TARGETS: [&str; 68] = [
    "@",
    "A",
    "scale(A,0.5)",
    "scale(A,1234567.5)",
    "offset(A,-3)",
    "absolute(A)",
    "invert(A)",
    "integral(A)",
    "derivative(A)",
    "nonNegativeDerivative(B)",
    "perSecond(B)",
    "keepLastValue(A)",
    "keepLastValue(@,100)",
    "keepLastValue(A,2)",
    "transformNull(A)",
    "transformNull(@,-1)",
    "removeAboveValue(A,3)",
    "removeBelowValue(A,3)",
    "sum(@)",
    "sumSeries(@)",
    "sumSeries(A,B)",
    "sumSeries(A,scale(C,2))",
    "averageSeries(@)",
    "avg(@)",
    "minSeries(@)",
    "maxSeries(@)",
    "countSeries(@)",
    "diffSeries(@)",
    "multiplySeries(@)",
    "aggregate(@,'max')",
    "aggregate(@,'median')",
    "aggregate(@,'stddev')",
    "divideSeries(@,A)",
    "divideSeries(A,B)",
    "asPercent(@,100)",
    "asPercent(@,A)",
    "asPercent(@)",
    "asPercent(@,None,1)",
    "groupByNode(@,1,'sum')",
    "groupByNodes(@,'sum',0,2)",
    "group(A,B,@)",
    "summarize(A,'5min')",
    "summarize(A,'1min','max',true)",
    "summarize(A,'7min','avg')",
    "summarize(A,'10min','last')",
    "movingAverage(A,4)",
    "movingAverage(A,'2min')",
    "timeShift(A,'10min')",
    "timeShift(@,'-20min')",
    "consolidateBy(A,'max')",
    "constantLine(100)",
    "threshold(5,'x','red')",
    "highestCurrent(@,2)",
    "highestAverage(@,1)",
    "highestMax(@,1)",
    "lowestCurrent(@,1)",
    "lowestAverage(@,2)",
    "limit(@,1)",
    "sortByName(@,reverse=true)",
    "sortByMaxima(@)",
    "grep(@,'[.]b')",
    "exclude(@,'[.]b')",
    "alias(A,'x y')",
    "aliasByNode(@,1)",
    "aliasByNode(scale(@,2),0,1)",
    r"aliasSub(@,'^[a-z]*[.]([a-z_]*)[.].*$','\1 A')",
    "A|scale(2)|alias('q')",
    "sumSeries(timeShift(@,'5min'))",
];

/// The target with paths: as graphite-web has them, a file is a branch with its data sources below.
fn with_paths(target: &str, leaf: &str) -> String {
    target
        .replace('@', &format!("web.*.load_one{leaf}"))
        .replace("(A", &format!("(web.a_x.load_one{leaf}"))
        .replace(",A", &format!(",web.a_x.load_one{leaf}"))
        .replace(",B", &format!(",web.b.bytes_in{leaf}"))
        .replace("(B", &format!("(web.b.bytes_in{leaf}"))
        .replace("(C", &format!("(web.c.load_one{leaf}"))
}

/// The same names in the same order, and the same values, but for what `close` lets differ.
fn same(ours: &Rendered, theirs: &Rendered, close: f64) -> Result<(), String> {
    let names = |it: &Rendered| it.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    if names(ours) != names(theirs) {
        return Err(format!("{:?}\n not {:?}", names(ours), names(theirs)));
    }
    for ((name, ours), (_, theirs)) in ours.iter().zip(theirs) {
        for (time, theirs) in theirs {
            let is_same = match (ours.get(time).copied().flatten(), *theirs) {
                (None, None) => true,
                (Some(a), Some(b)) => (a - b).abs() <= close + 1e-9 * a.abs().max(b.abs()),
                _ => false,
            };
            if !is_same {
                return Err(format!(
                    "{name} at {time}: {:?}, not {theirs:?}",
                    ours.get(time)
                ));
            }
        }
        // One row more is the one that graphite-web leaves out.
        if ours.len() > theirs.len() + 1 {
            return Err(format!("{name}: {} rows, not {}", ours.len(), theirs.len()));
        }
    }
    Ok(())
}

#[test]
fn requests_of_grafana_are_answered() {
    let folder = tempdir().expect("a temporary folder");
    let end = (epoch() - 600) / 3600 * 3600;
    if !available("requests_of_grafana_are_answered", &["rrdtool"]) {
        return;
    }
    write_files(&folder.path().join("rrds"), end);
    let source = FakeSource::start(Script::Serve(cluster()));
    let directives = format!("data_source \"s\" 15 127.0.0.1:{}\n", source.port());
    let gmetad = Gmetad::start(folder.path(), &directives);
    wait_until("the cluster", || gmetad.document().contains("bytes_in"));
    let post = |path: &str, body: &str| {
        let length = body.len();
        let head = format!(
            "POST /graphite{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        );
        request(gmetad.interactive(), &format!("{head}{body}"))
    };
    let health = "target=constantLine(100)&from=-5min&until=now&format=json&maxDataPoints=300";
    assert_eq!(post("/render", health).json()[0]["datapoints"][0][0], 100.0);
    let names = post("/metrics/find?from=1&until=2", "query=web.*").json();
    assert_eq!(names[1]["text"], "a_x");
    // A dashboard whose variable has expanded to thousands of names.
    let others: Vec<String> = (0..8000)
        .map(|at| format!("node{at}_example_org"))
        .collect();
    let (from, until) = (end - 600, end - 300);
    let panel = format!(
        "target=aliasSub(sumSeries(web.%7Bb,c,{}%7D.load_one),%22(%5E.*%24)%22,%22load%20%5C1%20A%22)\
         &from={from}&until={until}&format=json&maxDataPoints=900",
        others.join(",")
    );
    assert!(panel.len() > 100_000);
    let answer = post("/render", &panel);
    assert_eq!(answer.code, 200, "{}", answer.text());
    let series = answer.json();
    assert_eq!(series[0]["datapoints"].as_array().map(Vec::len), Some(20));
    let name = series[0]["target"].as_str().expect("a name").to_owned();
    assert!(name.starts_with("load sumSeries(web.{b,c,node0") && name.ends_with(" A"));
    let wrong = post(
        "/render",
        "target=movingMedian(web.b.load_one,5)&format=json",
    );
    assert_eq!(wrong.code, 400);
    assert_eq!(
        wrong.text(),
        "there is no function movingMedian; /functions lists those that there are\n"
    );
    let get = |path: &str| {
        let head = format!("GET /graphite{path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        request(gmetad.interactive(), &head).json()
    };
    assert_eq!(get("/version"), "1.1.8");
    assert_eq!(get("/tags/autoComplete/tags"), serde_json::json!([]));
    assert_eq!(get("/functions")["aliasSub"]["name"], "aliasSub");
}

#[test]
fn every_function_gives_the_numbers_that_graphite_web_gives() {
    let test = "every_function_gives_the_numbers_that_graphite_web_gives";
    let folder = tempdir().expect("a temporary folder");
    // Of its own: ours gets sums as well.
    let root = folder.path().join("files");
    let end = (epoch() - 600) / 3600 * 3600;
    let Some(theirs) = GraphiteWeb::start(test, folder.path(), &root) else {
        return;
    };
    write_files(&root, end);
    write_files(&folder.path().join("rrds"), end);
    let source = FakeSource::start(Script::Serve(cluster()));
    let directives = format!("data_source \"s\" 15 127.0.0.1:{}\n", source.port());
    let gmetad = Gmetad::start(folder.path(), &directives);
    wait_until("the cluster", || gmetad.document().contains("bytes_in"));
    let mut faults = Vec::new();
    for target in TARGETS {
        let target = if target.len() == 1 || target.starts_with("A|") {
            target.replacen('A', "web.a_x.load_one", 1)
        } else {
            target.to_owned()
        };
        for (span, more) in [
            ((end - 1200, end - 300), ""),
            // Not a multiple of 50 rows: graphite-web counts the row that it leaves out.
            ((end - 5400, end - 960), "&maxDataPoints=50"),
        ] {
            let of = |leaf: &str| {
                let target = target.replace("web.a_x.load_one", &format!("web.a_x.load_one{leaf}"));
                with_paths(&target, leaf)
            };
            let ours = render(gmetad.interactive(), "/graphite", &of(""), span, more);
            let expected = render(theirs.address, "", &of(".sum"), span, more)
                .unwrap_or_else(|err| panic!("graphite-web: {target}: {err}"));
            // graphite-web rounds these to six decimals.
            let close = if target.starts_with("perSecond") {
                1e-6
            } else {
                1e-12
            };
            let expected: Rendered = expected
                .into_iter()
                .map(|(name, points)| (name.replace(".sum", ""), points))
                .collect();
            if let Err(fault) = ours.and_then(|ours| same(&ours, &expected, close)) {
                faults.push(format!("{target}{more}: {fault}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
