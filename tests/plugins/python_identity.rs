//! Plugins in Python that share a section or do a built-in plugin's work, and what becomes of files
//! that are none, through the real binary.
//!
//! Needs a library of Python 3.9 or newer, and rrdtool.
#![cfg(feature = "loader")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::peers::{FakeSource, Script, document};
use crate::support::{Gmetad, python_host, read, rrd_info, wait_until};
use tempfile::TempDir;

/// A folder for a gmetad, with one of plugins in it, and a source of two hosts.
struct Rig {
    folder: TempDir,
    source: FakeSource,
}

impl Rig {
    fn new() -> Rig {
        let folder = tempfile::tempdir().expect("a folder of our own");
        fs::create_dir(folder.path().join("plugins")).expect("our own folder");
        fs::create_dir(folder.path().join("rrds")).expect("our own folder");
        Rig {
            folder,
            source: FakeSource::start(Script::Serve(cluster())),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a plugin into plugins_dir.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path("plugins").join(name), text).expect("our own folder");
    }

    /// Copies one of the tests' there.
    fn copy(&self, name: &str) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/plugins");
        self.write(name, &read(&file.join(name)));
    }

    /// Starts gmetad with these plugins, everything in its log.
    fn start(&self, directives: &str) -> Gmetad {
        self.start_at("5", directives)
    }

    /// With what this level lets through.
    fn start_at(&self, level: &str, directives: &str) -> Gmetad {
        let directives = format!(
            "data_source web 1 127.0.0.1:{}\nplugins_dir \"{}\"\npython_host \"{}\"\n{directives}",
            self.source.port(),
            self.path("plugins").display(),
            python_host().display()
        );
        Gmetad::start_with(self.folder.path(), &directives, &["-d", level])
    }

    /// A section `rrd` over the folder of that name.
    fn section(&self, folder: &str) -> String {
        let folder = self.path(folder);
        format!("rrd {{\nrrd_rootdir \"{}\"\n}}", folder.display())
    }
}

/// Two hosts with two metrics.
fn cluster() -> Vec<u8> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let metric = |name: &str| {
        format!(
            "<METRIC NAME=\"{name}\" VAL=\"3\" TYPE=\"float\" UNITS=\"\" TN=\"1\" TMAX=\"60\" \
             DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\">\n</METRIC>\n"
        )
    };
    let metrics = ["m0", "m1"].map(metric).concat();
    let host = |name: &str| {
        format!(
            "<HOST NAME=\"{name}\" IP=\"192.0.2.1\" REPORTED=\"{now}\" TN=\"1\" TMAX=\"20\" \
             DMAX=\"0\" LOCATION=\"\" GMOND_STARTED=\"1\">\n{metrics}</HOST>\n"
        )
    };
    let hosts = ["h0", "h1"].map(host).concat();
    let inside = format!(
        "<CLUSTER NAME=\"web\" LOCALTIME=\"{now}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n{hosts}\
         </CLUSTER>\n"
    );
    document("gmond", &inside)
}

/// A plugin of that id with this as the body of its class.
fn plugin(id: &str, body: &str) -> String {
    format!(
        "from Gmetad.gmetad_plugin import GmetadPlugin\n\
         def get_plugin(): return P('{id}')\n\
         class P(GmetadPlugin):\n    {}\n    \
         def start(self): pass\n    def stop(self): pass\n",
        body.replace('\n', "\n    ")
    )
}

const SEES: &str = "def notify(self, clusterNode): print('sees', clusterNode)";

/// The step of a file, of which the built-in plugin makes another than that of the tests.
fn step(file: &Path) -> Option<String> {
    rrd_info(file, "step")
}

/// What `/status` says of its plugins.
fn plugins(gmetad: &Gmetad) -> Vec<serde_json::Value> {
    let answer = gmetad.query("GET /status HTTP/1.0\r\n\r");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status: serde_json::Value = serde_json::from_str(body).expect("JSON");
    status["plugins"].as_array().expect("a list").clone()
}

/// Those of their fields, by name of the plugin.
fn fields(gmetad: &Gmetad, name: &str) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("null").to_owned();
    let all = plugins(gmetad);
    all.iter().map(|plugin| text(&plugin[name])).collect()
}

fn health(gmetad: &Gmetad) -> String {
    gmetad.query("GET /healthz HTTP/1.0\r\n\r")
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn plugins_may_share_a_section_even_that_of_a_built_in_one() {
    let rig = Rig::new();
    let body = format!("def _parseConfig(self, cfgdata): print('reads', cfgdata)\n{SEES}");
    rig.write("a.py", &plugin("rrd", &body));
    rig.write("b.py", &plugin("RRD", &body));
    rig.write("c.py", &plugin("mine", &body));
    rig.write("d.py", &plugin("mine", &body));
    rig.write("e.py", &plugin("other", &body));
    let root = rig.path("rrds");
    let gmetad = rig.start(&format!(
        "{}\nmine {{\ncolor #fff on\n # kept\nnothing\n}}",
        rig.section("rrds")
    ));
    for name in [
        "rrd (a.py)",
        "RRD (b.py)",
        "mine (c.py)",
        "mine (d.py)",
        "other",
    ] {
        gmetad.wait_for_line(&format!("plugin {name}: sees CLUSTER:web"));
    }
    wait_until("the built-in one goes on", || {
        root.join("web/h0/m0.rrd").exists()
    });
    let log = gmetad.log();
    let section = format!("reads [['rrd_rootdir', '\"{}\"']]", root.display());
    assert_eq!(log.matches(&section).count(), 2, "{log}");
    assert_eq!(
        log.matches("reads [['color', '#fff on'], ['#', 'kept']]")
            .count(),
        2,
        "{log}"
    );
    assert_eq!(
        fields(&gmetad, "name"),
        [
            "rrd (a.py)",
            "RRD (b.py)",
            "mine (c.py)",
            "mine (d.py)",
            "other",
            "rrd",
            "rrdsummary"
        ]
    );
    assert_eq!(
        fields(&gmetad, "id"),
        ["rrd", "RRD", "mine", "mine", "other", "rrd", "rrdsummary"]
    );
    let file = rig.path("plugins/b.py").display().to_string();
    assert_eq!(fields(&gmetad, "file")[1], file);
    assert_eq!(fields(&gmetad, "file")[5], "null");
    let metrics = gmetad.query("GET /metrics HTTP/1.0\r\n\r");
    let works = |line: &&str| line.starts_with("gmetad_plugin_works{");
    let mut labels: Vec<&str> = metrics.lines().filter(works).collect();
    assert_eq!(labels.len(), 7, "{metrics}");
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), 7, "no two are the same: {metrics}");
    assert!(
        metrics.contains("gmetad_plugin_works{plugin=\"mine (c.py)\"} 1\n"),
        "{metrics}"
    );
    assert!(health(&gmetad).contains("200"), "{}", health(&gmetad));
    assert!(gmetad.end().success());
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn the_directive_names_all_of_an_id_or_one_file() {
    let rig = Rig::new();
    for name in ["a.py", "b.py", "c.py"] {
        rig.write(name, &plugin("mine", SEES));
    }
    let gmetad = rig.start("plugins c.py rrdsummary mine nosuch.py b.py");
    gmetad.wait_for_line("plugin mine (b.py): sees CLUSTER:web");
    assert_eq!(
        fields(&gmetad, "name"),
        ["mine (c.py)", "rrdsummary", "mine (a.py)", "mine (b.py)"]
    );
    let log = gmetad.log();
    assert!(
        log.contains("plugins: nosuch.py is ignored: no plugin has that name"),
        "{log}"
    );
    assert!(
        log.contains("plugins lists b.py twice; its first place is used"),
        "{log}"
    );
    assert!(gmetad.end().success());
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn the_built_in_writer_yields_to_a_plugin_that_writes_the_same_files() {
    let rig = Rig::new();
    rig.copy("rrd_plugin.py");
    rig.copy("rrd_summary_plugin.py");
    rig.copy("rrd_derived.py");
    let gmetad = rig.start_at("2", &rig.section("rrds"));
    let rrds = rig.path("rrds/web");
    let files = [
        "h0/m0.rrd",
        "h1/m1.rrd",
        "__SummaryInfo__/m0.rrd",
        "h0/m0_twice.rrd",
    ];
    for file in files {
        wait_until(file, || rrds.join(file).exists());
    }
    // The built-in plugins have had their turn by then.
    rig.source.wait_for_polls(3);
    for file in files {
        // The step of the one that made it.
        assert_eq!(step(&rrds.join(file)).as_deref(), Some("7"), "{file}");
    }
    let updated = Command::new("rrdtool")
        .arg("lastupdate")
        .arg(rrds.join("h0/m0_twice.rrd"))
        .output()
        .expect("rrdtool");
    let updated = String::from_utf8_lossy(&updated.stdout).into_owned();
    assert!(updated.trim_end().ends_with(": 6"), "{updated}");
    assert!(
        !rig.path("rrds/__SummaryInfo__").exists(),
        "rrdsummary is not at work"
    );
    let log = gmetad.log();
    for (id, file) in [
        ("rrd", "rrd_plugin.py"),
        ("rrdsummary", "rrd_summary_plugin.py"),
    ] {
        let file = rig.path("plugins").join(file);
        let line = format!(
            "built-in plugin {id} is off: {} writes the same files in its place",
            file.display()
        );
        assert_eq!(log.matches(&line).count(), 1, "{log}");
    }
    assert_eq!(
        fields(&gmetad, "name"),
        [
            "rrd (rrd_derived.py)",
            "rrd (rrd_plugin.py)",
            "RRD (rrd_summary_plugin.py)",
            "rrd",
            "rrdsummary"
        ]
    );
    assert!(fields(&gmetad, "state")[3].starts_with("replaced: "));
    assert!(fields(&gmetad, "reason")[3].ends_with("/rrd_plugin.py"));
    let all = plugins(&gmetad);
    let counts = all
        .iter()
        .map(|it| it["updates"].as_u64().expect("a number"));
    let seen: Vec<u64> = counts.collect();
    assert!(seen[..3].iter().all(|it| *it > 0), "{seen:?}");
    assert_eq!(seen[3..], [0, 0]);
    assert!(health(&gmetad).contains("200"), "{}", health(&gmetad));
    assert!(gmetad.end().success());
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn the_built_in_writer_stays_on_beside_a_plugin_that_writes_elsewhere() {
    let rig = Rig::new();
    fs::create_dir(rig.path("theirs")).expect("our own folder");
    rig.copy("rrd_plugin.py");
    let text = read(&rig.path("plugins/rrd_plugin.py"));
    rig.write(
        "rrd_plugin.py",
        &text.replace("RRDPlugin('rrd')", "RRDPlugin('theirs')"),
    );
    let section = rig.section("theirs").replace("rrd {", "theirs {");
    let gmetad = rig.start(&section);
    for file in ["rrds/web/h0/m0.rrd", "theirs/web/h0/m0.rrd"] {
        wait_until(file, || rig.path(file).exists());
    }
    assert_eq!(
        step(&rig.path("theirs/web/h0/m0.rrd")).as_deref(),
        Some("7")
    );
    assert_eq!(step(&rig.path("rrds/web/h0/m0.rrd")).as_deref(), Some("1"));
    assert!(!gmetad.log().contains("writes nothing"));
    assert!(gmetad.end().success());
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn the_built_in_writer_writes_if_the_plugin_fails_to_start_or_is_disabled() {
    for (method, line) in [
        (
            "def start(self): raise OSError('no disk')",
            "is left out: OSError: no disk",
        ),
        (
            "def _checkDir(self, folder): raise OSError('no disk')",
            "built-in plugin rrd is on again: it takes over",
        ),
    ] {
        let rig = Rig::new();
        rig.copy("rrd_plugin.py");
        let text = read(&rig.path("plugins/rrd_plugin.py"));
        rig.write("rrd_plugin.py", &format!("{text}\n    {method}\n"));
        let gmetad = rig.start(&rig.section("rrds"));
        gmetad.wait_for_line(line);
        let file = rig.path("rrds/web/h0/m0.rrd");
        wait_until("the built-in one to write", || file.exists());
        assert_eq!(step(&file).as_deref(), Some("1"));
        assert!(health(&gmetad).contains("no disk"), "{}", health(&gmetad));
        assert!(gmetad.end().success());
    }
}

#[test]
fn a_factory_runs_once_and_binds_its_port_once() {
    let rig = Rig::new();
    let count = rig.path("count");
    rig.write(
        "a.py",
        &format!(
            "import os, socket\n\
             def say(what):\n    \
             with open('{0}', 'a') as file: file.write('%s %d\\n' % (what, os.getpid()))\n\
             say('module')\n\
             {1}\
             server = None\n\
             old = get_plugin\n\
             def get_plugin():\n    \
             global server\n    \
             say('factory')\n    \
             server = socket.create_server(('127.0.0.1', 0))\n    \
             return old()\n",
            count.display(),
            plugin("a", SEES)
        ),
    );
    let gmetad = rig.start("");
    gmetad.wait_for_line("plugin a: sees CLUSTER:web");
    let pid = gmetad.pid();
    // Imported in the trial process as well.
    let told = read(&count);
    let (trial, own) = told.split_once('\n').expect("two imports");
    assert!(trial.starts_with("module ") && trial != format!("module {pid}"));
    assert_eq!(own, format!("module {pid}\nfactory {pid}\n"));
    assert!(gmetad.end().success());
}

#[test]
fn a_factory_that_hangs_blocks_neither_polling_nor_serving() {
    let rig = Rig::new();
    rig.write("a.py", "import time\ndef get_plugin(): time.sleep(600)\n");
    let gmetad = rig.start("");
    rig.source.wait_for_polls(3);
    wait_until("the document", || gmetad.document().contains("\"h0\""));
    gmetad.wait_for_line("plugin a.py (being loaded) has been busy with one update for");
    let said = health(&gmetad);
    assert!(
        said.contains("503") && said.contains("a.py (being loaded)"),
        "{said}"
    );
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn a_plugin_left_out_is_shown_in_status_and_health() {
    let rig = Rig::new();
    rig.write("broken.py", "def get_plugin(:\n");
    rig.write("helper.py", "x = 1\n");
    rig.write("nobody.py", "x = 1\n");
    let body = "def _parseConfig(self, cfgdata): raise ValueError('no server')\n";
    rig.write("refused.py", &plugin("refused", &format!("{body}{SEES}")));
    rig.write(
        "works.py",
        &format!("from helper import x\n{}", plugin("works", SEES)),
    );
    let gmetad = rig.start("");
    gmetad.wait_for_line("plugin works: sees CLUSTER:web");
    assert_eq!(
        fields(&gmetad, "name"),
        [
            "works",
            "rrd",
            "rrdsummary",
            "broken.py",
            "nobody.py",
            "refused.py"
        ]
    );
    let reasons = fields(&gmetad, "reason");
    for (at, reason) in [
        (3, "it cannot be imported: SyntaxError: "),
        (4, "it has no function get_plugin()"),
        (
            5,
            "its get_plugin() failed: ValueError: no server (refused.py, line 4)",
        ),
    ] {
        assert!(reasons[at].starts_with(reason), "{reasons:?}");
        assert_eq!(
            fields(&gmetad, "state")[at],
            "left out: it could not be loaded"
        );
    }
    assert!(reasons[3].ends_with("(broken.py, line 1)"), "{reasons:?}");
    let said = health(&gmetad);
    assert!(said.contains("503"), "{said}");
    for name in ["broken.py", "nobody.py", "refused.py"] {
        assert!(
            said.contains(&format!("plugin {name} is left out: ")),
            "{said}"
        );
    }
    assert!(!said.contains("helper.py"), "{said}");
    let metrics = gmetad.query("GET /metrics HTTP/1.0\r\n\r");
    assert!(
        metrics.contains("gmetad_plugin_works{plugin=\"broken.py\"} 0\n"),
        "{metrics}"
    );
    assert!(gmetad.end().success());
}

#[test]
fn a_missing_plugins_dir_is_a_fault() {
    let rig = Rig::new();
    fs::remove_dir(rig.path("plugins")).expect("it is empty");
    let gmetad = rig.start("");
    gmetad.wait_for_line("plugins_dir ");
    rig.source.wait_for_polls(2);
    let said = health(&gmetad);
    assert!(said.contains("503"), "{said}");
    assert!(
        said.contains("plugin plugins is left out: it could not be loaded: it cannot be read"),
        "{said}"
    );
    assert!(gmetad.end().success());
}
