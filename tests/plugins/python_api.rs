//! The API of gmetad-python, through the real binary and the Python host.
//!
//! What each use of it gave in gmetad-python itself is in `data/plugin-api`.
#![cfg(feature = "loader")]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::peers::{FakeSource, Script, document, moved};
use crate::support::python::{Rig, plugin, root};
use crate::support::{Gmetad, python_host as host, read, wait_until};
use nix::sys::signal::Signal;

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

/// Lines of gmetad-python.txt that are others here, and why: COMPATIBILITY.md has the same list.
const OTHERS: &[(&str, &str)] = &[
    // There is a value.
    (
        "cfg[RRAS] => RAISES KeyError: 'RRAs'",
        "cfg[RRAS] => ['RRA:AVERAGE:0.5:1:2']",
    ),
    // Of a grid below there are the sums and no clusters.
    (
        "children of GRID:ChildGrid => ['CLUSTER:Alpha Web', 'CLUSTER:beta']",
        "children of GRID:ChildGrid => []",
    ),
    (
        "grid children classes => ['CLUSTER']",
        "grid children classes => []",
    ),
    (
        "grid hosts => ['HOST:db-1', 'HOST:dead1', 'HOST:localhost', 'HOST:localhost']",
        "grid hosts => []",
    ),
];

#[test]
fn every_api_call_behaves_as_in_gmetad_python() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).expect("our own folder");
    let out = folder.path().join("out");
    let probe = read(&root().join("tests/data/plugin-api/probe.py"));
    let probe = probe.replace("os.environ['PROBE_OUT']", &format!("'{}'", out.display()));
    fs::write(plugins.join("probe.py"), probe).expect("our own folder");
    // The probe asks for another cluster in the first update of this one.
    let alpha = FakeSource::start(Script::Close);
    let beta = FakeSource::start(Script::Serve(moved("plugin-api/beta.xml")));
    let child = FakeSource::start(Script::Serve(moved("plugin-api/child.xml")));
    let directives = format!(
        "data_source \"Alpha Web\" 5 127.0.0.1:{}\ndata_source \"beta\" 5 127.0.0.1:{}\n\
         data_source \"CChild\" 5 127.0.0.1:{}\ngridname \"TestGrid\"\n\
         authority \"http://example.org/ganglia/\"\nplugins_dir \"{}\"\npython_host \"{}\"\n\
         RRAs \"RRA:AVERAGE:0.5:1:2\"\nrrd {{\n rrd_rootdir \"{}\"\n}}\n\
         probe {{\n  plain   value\n  quoted \"a b\"  \"c\"\n  hash color #ff0000\n  \
         # indented comment\n  nothing\n  Two   spaces   inside  \n  long one \\\n  two\n}}",
        alpha.port(),
        beta.port(),
        child.port(),
        plugins.display(),
        host().display(),
        folder.path().join("rrds").display(),
    );
    let gmetad = Gmetad::start_with(folder.path(), &directives, &["-d", "4"]);
    let said = || fs::read_to_string(&out).unwrap_or_default();
    wait_until("the others", || {
        let said = said();
        said.contains("'CLUSTER:beta'") && said.contains("'GRID:ChildGrid'")
    });
    alpha.script(Script::Serve(moved("plugin-api/alpha.xml")));
    wait_until("the last word", || said().contains("kept node later"));
    assert!(gmetad.end().success());
    let said = said();
    let given = [
        (plugins.display().to_string(), "PLUGINS_DIR"),
        (
            "cfg.path => 'gmetad.conf'".into(),
            "cfg.path => 'probepy.conf'",
        ),
        ("cfg[XML_PORT] => 0".into(), "cfg[XML_PORT] => 37701"),
        (
            "cfg[INTERACTIVE_PORT] => 0".into(),
            "cfg[INTERACTIVE_PORT] => 37702",
        ),
        (format!(":{}'", alpha.port()), ":28649'"),
        (format!(":{}'", beta.port()), ":28650'"),
        (format!(":{}'", child.port()), ":39651'"),
    ];
    let said = given
        .iter()
        .fold(said, |said, (ours, theirs)| said.replace(ours, theirs));
    let ours: BTreeSet<&str> = said.lines().collect();
    let theirs = read(&root().join("tests/data/plugin-api/gmetad-python.txt"));
    let theirs = theirs.lines().map(|line| {
        let other = OTHERS.iter().find(|(theirs, _)| *theirs == line);
        other.map_or(line, |(_, ours)| *ours)
    });
    let expected: BTreeSet<&str> = theirs.collect();
    let missing: Vec<_> = expected.difference(&ours).collect();
    let added: Vec<_> = ours.difference(&expected).collect();
    assert!(
        missing.is_empty() && added.is_empty(),
        "expected and not there: {missing:#?}\nthere and not expected: {added:#?}"
    );
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn plugins_modelled_on_public_ones_behave_as_in_gmetad_python() {
    let rig = Rig::new();
    for name in [
        "r01_datastore",
        "r02_last_reported",
        "r03_root_grid",
        "r04_rrd_section",
        "r05_attrs",
        "r06_section",
        "r07_names",
        "r08_summary",
    ] {
        rig.copy(&format!("tests/data/plugins-python/{name}.py"));
    }
    let rrds = rig.folder.path().join("rrds");
    let sections = format!(
        "r06 {{\n color #ff0000 on white\n path /a/b#c\n empty\n}}\nrrd {{\n rrd_rootdir {}\n}}",
        rrds.display()
    );
    let gmetad = rig.start(&sections);
    rig.source.wait_for_polls(3);
    for line in [
        "plugin r01: GANGLIA_XML ['CLUSTER:web']",
        "plugin r03: CLUSTER:web: h0",
        &format!(
            "/r04_rrd_section.py: [['rrd_rootdir', '{}']]",
            rrds.display()
        ),
        "plugin rrd (r04_rrd_section.py): CLUSTER:web",
        "plugin r05: {\"name\": \"h0\", \"ip\"",
        "plugin r05: True",
        "plugin r05: 1",
        "plugin r05: 2",
        "/r06_section.py: [['color', '#ff0000 on white'], ['path', '/a/b#c']]",
        "plugin r07: _plugins [",
        "plugin r07: VERSION '3.7.2'",
        "plugin r07: DAEMONIZE False",
        "plugin r07: PIDFILE None",
        "plugin r07: sections ['r06', 'rrd']",
        "plugin r08: ['METRIC:m0']",
        "plugin r08: set",
    ] {
        gmetad.wait_for_line(line);
    }
    let log = gmetad.log();
    let times = log
        .lines()
        .filter_map(|line| line.split_once("plugin r02: ")?.1.parse::<u64>().ok());
    assert!(
        times.filter(|time| time.abs_diff(now()) < 600).count() >= 2,
        "{log}"
    );
    assert!(!log.contains("failed") && !log.contains("Error"), "{log}");
    assert!(gmetad.end().success());
}

#[test]
fn a_plugin_finds_all_clusters_in_the_datastore_from_a_thread_of_its_own() {
    let rig = Rig::new();
    let other = FakeSource::start(Script::Serve(document(
        "gmond",
        "<CLUSTER NAME=\"other\" LOCALTIME=\"1\"><HOST NAME=\"o1\" IP=\"192.0.2.9\" REPORTED=\"1\" \
         TN=\"0\" TMAX=\"20\" DMAX=\"0\"><METRIC NAME=\"m\" VAL=\"7\" TYPE=\"uint16\" UNITS=\"\" \
         TN=\"0\" TMAX=\"60\" DMAX=\"0\" SLOPE=\"both\"/></HOST></CLUSTER>\n",
    )));
    rig.write(
        "walks.py",
        "import threading\nfrom Gmetad.gmetad_data import DataStore\n\
         from Gmetad.gmetad_config import getConfig, GmetadConfig\n\
         from Gmetad.gmetad_plugin import GmetadPlugin\n\n\
         def get_plugin():\n    return Walks('walks')\n\n\
         class Walks(GmetadPlugin):\n    \
         def start(self):\n        \
             self.ds = DataStore()\n        \
             self.ends = threading.Event()\n        \
             self.thread = threading.Thread(target=self.run)\n        \
             self.thread.start()\n    \
         def stop(self):\n        \
             self.ends.set()\n        \
             self.thread.join()\n    \
         def run(self):\n        \
             root = self.ds.rootElement\n        \
             while not self.ends.wait(0.1):\n            \
                 self.ds.acquireLock(self)\n            \
                 try:\n                \
                     grid = root['GRID:the grid']\n                \
                     assert DataStore().rootElement is root and DataStore() is not self.ds\n                \
                     for cluster in grid:\n                    \
                         for host in cluster:\n                        \
                             print(cluster, host, len(host.children), cluster.getAttr('status'))\n                \
                     if hasattr(grid, 'summaryData'):\n                    \
                         data = grid.summaryData\n                    \
                         print('sums', data['hosts_up'], sorted(data['summary']))\n                \
                     print('all', sorted(grid.children), self.ds.getNode(['GANGLIA_XML', \
                         str(grid), 'CLUSTER:nosuch']))\n            \
                 finally:\n                \
                     self.ds.releaseLock(self)\n    \
         def notify(self, clusterNode):\n        pass\n",
    );
    let sources = |with_other: bool| {
        let one = format!("data_source fake 1 127.0.0.1:{}\n", rig.source.port());
        let two = format!("data_source two 1 127.0.0.1:{}\n", other.port());
        format!(
            "{one}{}plugins_dir \"{}\"\npython_host \"{}\"\ngridname \"the grid\"",
            if with_other { &*two } else { "" },
            rig.plugins().display(),
            host().display()
        )
    };
    let gmetad = Gmetad::start_with(rig.folder.path(), &sources(true), &["-d", "4"]);
    for line in [
        "plugin walks: CLUSTER:web HOST:h1 3 up",
        "plugin walks: CLUSTER:other HOST:o1 1 up",
        "plugin walks: sums 3 ['METRIC:m', 'METRIC:m0', 'METRIC:m1', 'METRIC:m2']",
        "plugin walks: all ['CLUSTER:other', 'CLUSTER:web'] GRID:the grid",
    ] {
        gmetad.wait_for_line(line);
    }
    rig.source.script(Script::Close);
    gmetad.wait_for_line("plugin walks: CLUSTER:web HOST:h1 3 down");
    crate::support::configure(rig.folder.path(), &sources(false));
    gmetad.signal(Signal::SIGHUP);
    gmetad.wait_for_line("plugin walks: all ['CLUSTER:web'] GRID:the grid");
    let log = gmetad.log();
    assert!(!log.contains("Traceback"), "{log}");
    assert!(gmetad.end().success());
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn values_keep_their_types_between_python_plugins_and_are_text_for_others() {
    let rig = Rig::new();
    rig.write(
        "a.py",
        &plugin(
            "a",
            "from Gmetad.gmetad_element import Element\n\
             host = clusterNode['HOST:h0']\nmetric = host['METRIC:m0']\n\
             metric.setAttr('val', 7)\nmetric.setAttr('list', [1, 2])\nmetric.mine = 'own'\n\
             metric.attrs.pop('units')\nmetric.attrs.update(tn=3, slope='zero')\n\
             host.children.pop('METRIC:m2')\n\
             host['METRIC:new'] = Element('METRIC', {'NAME': 'new', 'VAL': 5, 'TYPE': 'uint8'})\n\
             clusterNode['HOST:h1'].attrs = {'name': 'h1', 'ip': '192.0.2.77'}\n\
             clusterNode.summaryData['hosts_down'] = 3\n\
             clusterNode.summaryData['summary'].pop('METRIC:m2')",
        ),
    );
    rig.write(
        "b.py",
        &plugin(
            "b",
            "host = clusterNode['HOST:h0']\nmetric = host['METRIC:m0']\n\
             print(metric.getAttr('val') + 1, metric.getAttr('list'), metric.mine, sorted(metric.attrs))\n\
             print(list(host.children), clusterNode['HOST:h1'].attrs)\n\
             host['METRIC:new'].incAttr('val', 1)\nhost.children['METRIC:m1'].setAttr('val', '12')",
        ),
    );
    let text = "#include <gmetad_plugin.h>\n#include <stdio.h>\n\
        static const gmetad_api *api;\n\
        static int create(const gmetad_plugin *p, const gmetad_api *a, const gmetad_directive *d, \
        size_t n, void **i) { (void)p, (void)d, (void)n; api = a; *i = NULL; return GMETAD_OK; }\n\
        static int notify(void *i, gmetad_node top, const gmetad_update *u) {\n\
        char line[256]; gmetad_text val, fresh, list, ip; gmetad_summary s = {.size = sizeof s};\n\
        gmetad_node h = api->find(api, top, GMETAD_TEXT(\"HOST:h0\")); (void)i, (void)u;\n\
        gmetad_node m = api->find(api, h, GMETAD_TEXT(\"METRIC:m0\"));\n\
        api->get(api, m, GMETAD_TEXT(\"val\"), &val); api->get(api, m, GMETAD_TEXT(\"list\"), &list);\n\
        api->get(api, api->find(api, h, GMETAD_TEXT(\"METRIC:new\")), GMETAD_TEXT(\"val\"), &fresh);\n\
        api->get(api, api->find(api, top, GMETAD_TEXT(\"HOST:h1\")), GMETAD_TEXT(\"ip\"), &ip);\n\
        api->summary(api, top, &s);\n\
        snprintf(line, sizeof line, \"%.*s %.*s %.*s %.*s %d %u %u\", GMETAD_PRINT(val), \
        GMETAD_PRINT(list), GMETAD_PRINT(fresh), GMETAD_PRINT(ip), \
        api->find(api, h, GMETAD_TEXT(\"METRIC:m2\")) != 0, s.hosts_down, s.metrics);\n\
        api->set(api, m, GMETAD_TEXT(\"val\"), GMETAD_TEXT(\"70\"));\n\
        return api->log(api, GMETAD_INFO, gmetad_text_of(line)); }\n\
        const gmetad_plugin *gmetad_get_plugin(const gmetad_api *a, gmetad_text f) {\n\
        static const gmetad_plugin plugin = {.abi = GMETAD_PLUGIN_ABI, .size = sizeof plugin, \
        .id = GMETAD_TEXT_INIT(\"c\"), .create = create, .notify = notify};\n\
        (void)a, (void)f; return &plugin; }\n";
    let source = rig.folder.path().join("c.c");
    fs::write(&source, text).expect("our own folder");
    let built = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".into()))
        .args(["-std=c99", "-shared", "-fPIC", "-I"])
        .arg(root().join("include"))
        .arg("-o")
        .arg(rig.plugins().join("c.so"))
        .arg(&source)
        .status();
    assert!(built.expect("a C compiler").success());
    rig.write(
        "d.py",
        &plugin(
            "d",
            "print(repr(clusterNode['HOST:h0']['METRIC:m0'].getAttr('val')))",
        ),
    );
    let gmetad = rig.start("");
    for line in [
        "plugin b: 8 [1, 2] own ['dmax', 'list', 'name', 'slope', 'source', 'tmax', 'tn', 'type', \
         'val']",
        "plugin b: ['METRIC:m0', 'METRIC:m1', 'METRIC:new'] {'name': 'h1', 'ip': '192.0.2.77'}",
        "plugin c: 7 [1, 2] 6 192.0.2.77 0 3 2",
        "plugin d: '70'",
    ] {
        gmetad.wait_for_line(line);
    }
    let rrds = rig.folder.path().join("rrds/web/h0");
    wait_until("the metric that was added", || {
        rrds.join("new.rrd").exists()
    });
    assert!(!rrds.join("m2.rrd").exists(), "it was removed");
    let log = gmetad.log();
    assert!(!log.contains("ERROR"), "{log}");
    assert!(gmetad.end().success());
}

#[test]
fn a_node_that_is_kept_stays_unchanged_on_any_thread() {
    let rig = Rig::new();
    let body = "import threading, time\n\
         if hasattr(P, 'kept'):\n    return\n\
         P.kept = clusterNode['HOST:h0']\nP.kept.seen = 1\n\
         untouched = clusterNode['HOST:h1']\n\
         def later():\n    time.sleep(2.5)\n    \
         print('later', P.kept, P.kept.seen, P.kept['METRIC:m1'].getAttr('val'), \
         [str(it) for it in untouched], untouched.attrs['ip'])\n\
         threading.Thread(target=later).start()";
    rig.write("a.py", &plugin("a", body));
    let gmetad = rig.start("");
    rig.source.wait_for_polls(1);
    rig.source.script(Script::Serve(document(
        "gmond",
        "<CLUSTER NAME=\"web\" LOCALTIME=\"1\"/>",
    )));
    gmetad.wait_for_line(
        "plugin a: later HOST:h0 1 1 ['METRIC:m0', 'METRIC:m1', 'METRIC:m2'] 192.0.2.1",
    );
    assert!(gmetad.end().success());
}

#[test]
fn a_plugin_sends_plain_json_of_its_nodes_to_a_database() {
    let rig = Rig::new();
    let body = "import copy, json, pickle, sqlite3\n\
         from Gmetad.gmetad_config import getConfig, GmetadConfig\n\
         names = [ds.name for ds in getConfig()[GmetadConfig.DATA_SOURCE] if not ds.time_to_next_read]\n\
         db = sqlite3.connect(':memory:')\ndb.execute('create table seen (cluster, host, metrics)')\n\
         for host in clusterNode:\n    \
         rows = {k: m.attrs for k, m in host.children.items()}\n    \
         row = (str(clusterNode), json.dumps(host.getAttrs()), json.dumps(rows))\n    \
         db.execute('insert into seen values (?, ?, ?)', row)\n\
         for cluster, host, metrics in db.execute('select * from seen'):\n    \
         print(names, cluster, json.loads(host)['ip'], json.loads(metrics)['METRIC:m1']['val'])\n\
         again = pickle.loads(pickle.dumps(clusterNode, 2))\n\
         other = copy.deepcopy(clusterNode)\n\
         print(type(again).__name__, [str(it) for it in again], again['HOST:h1']['METRIC:m2'].attrs == \
         other['HOST:h1']['METRIC:m2'].attrs, again.summaryData['hosts_up'], other is not clusterNode)";
    rig.write("db.py", &plugin("db", body));
    let gmetad = rig.start("");
    for line in [
        "plugin db: ['fake'] CLUSTER:web 192.0.2.0 1",
        "plugin db: ['fake'] CLUSTER:web 192.0.2.1 2",
        "plugin db: Element ['HOST:h0', 'HOST:h1'] True 2 True",
    ] {
        gmetad.wait_for_line(line);
    }
    assert!(gmetad.end().success());
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn a_value_that_an_update_cannot_hold_is_reported_once_and_the_rest_is_written() {
    let rig = Rig::new();
    rig.write(
        "a.py",
        &plugin(
            "a",
            "from Gmetad.gmetad_element import Element\n\
             host = clusterNode['HOST:h0']\nhost.setAttr('tn', 'soon')\n\
             host.children['THING:x'] = Element('THING', {'name': 'x'})\n\
             host['METRIC:m0'].setAttr('val', 41)",
        ),
    );
    rig.write(
        "b.py",
        &plugin("b", "print(clusterNode['HOST:h0'].getAttr('tn'))"),
    );
    let gmetad = rig.start("");
    gmetad.wait_for_line(
        "plugin a: what it has set tn of HOST:h0 to, 'soon', is seen by plugins in Python alone",
    );
    gmetad.wait_for_line("plugin b: soon");
    let rrd = rig.folder.path().join("rrds/web/h0/m0.rrd");
    wait_until("the value", || {
        let output = Command::new("rrdtool").arg("lastupdate").arg(&rrd).output();
        let output = output.expect("rrdtool").stdout;
        String::from_utf8_lossy(&output)
            .trim_end()
            .ends_with(": 41")
    });
    rig.source.wait_for_polls(2);
    let log = gmetad.log();
    assert_eq!(log.matches("in Python alone").count(), 1, "{log}");
    assert!(!log.contains("ERROR"), "{log}");
    assert!(gmetad.end().success());
}

#[test]
fn a_lock_left_held_by_notify_is_released_and_reported() {
    let rig = Rig::new();
    rig.write(
        "a.py",
        &plugin(
            "a",
            "from Gmetad.gmetad_data import DataStore\nDataStore().acquireLock(self)\n\
             if not hasattr(self, 'once'):\n    self.once = 1\n    raise ValueError('on purpose')\n\
             try:\n    DataStore().acquireLock(self)\nexcept RuntimeError as error:\n    print(error)\n\
             DataStore().releaseLock(self)\nprint('goes on')",
        ),
    );
    let gmetad = rig.start("");
    gmetad.wait_for_line("plugin a failed: ValueError: on purpose");
    gmetad.wait_for_line("ended with the lock of the DataStore: it is released");
    gmetad.wait_for_line("plugin a: this thread holds the lock of the DataStore already");
    gmetad.wait_for_line("plugin a: goes on");
    assert!(gmetad.end().success());
}

#[test]
fn the_other_modules_offer_what_plugins_use() {
    let rig = Rig::new();
    rig.write(
        "a.py",
        &plugin(
            "a",
            "import xml.sax, threading\n\
             from Gmetad.gmetad_xmlWriter import XmlWriter\n\
             from Gmetad.gmetad_gmondReader import GmondContentHandler, GmondReader\n\
             from Gmetad.gmetad_notifier import GmetadNotifier\n\
             from Gmetad.gmetad_random import getRandomInterval\n\
             from Gmetad import gmetad_daemon, gmetad_plugin\n\
             if clusterNode.getAttr('name') == 'made up':\n    print('shown', clusterNode)\n    return\n\
             text = XmlWriter().getXml('the grid/web/h1')\n\
             handler = GmondContentHandler()\nxml.sax.parseString(text.encode(), handler)\n\
             print(handler.getClusterAncestry(), [str(h) for g in handler.root for c in g for h in c])\n\
             whole = XmlWriter().getXml(None, {'filter': 'summary'})\n\
             xml.sax.parseString(whole.encode(), xml.sax.ContentHandler())\n\
             print(whole.count('<HOSTS '), '<HOST ' in whole)\n\
             notifier = GmetadNotifier()\nnotifier.start()\n\
             node = handler.root['GRID:the grid']['CLUSTER:web']\nnode.setAttr('name', 'made up')\n\
             notifier.insertTransaction(node)\nnotifier.shutdown()\n\
             GmondReader(None).start()\ngmetad_daemon.daemonize()\ngmetad_daemon.setuid()\n\
             print(15 <= getRandomInterval(20) < 25, 0 <= getRandomInterval(1) < 6, \
             self in gmetad_plugin._plugins)",
        ),
    );
    let gmetad = rig.start("gridname \"the grid\"");
    for line in [
        "plugin a: ['GANGLIA_XML', 'GRID:the grid', 'CLUSTER:web'] ['HOST:h1']",
        "plugin a: 2 False",
        "plugin a: shown CLUSTER:made up",
        "plugin a: True True True",
    ] {
        gmetad.wait_for_line(line);
    }
    assert!(gmetad.end().success());
}
