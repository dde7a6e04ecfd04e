//! Plugins in Python, through the real binary and the Python host.
//!
//! Needs a library of Python 3.9 or newer; what gmetad says without one is tested as well.
#![cfg(feature = "loader")]

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::peers::Script;
use crate::support::python::{Rig, cluster, plugin, root};
use crate::support::{Gmetad, read, wait_until};

/// The same with the memory that an example wants.
fn cluster_with_memory() -> Vec<u8> {
    let text = String::from_utf8(cluster()).expect("ours");
    text.replace("\"m0\" VAL=\"0\"", "\"mem_free\" VAL=\"250\"")
        .replace("\"m1\" VAL=\"1\"", "\"mem_total\" VAL=\"1000\"")
        .into_bytes()
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn a_gmetad_python_plugin_finds_every_name_it_uses() {
    let rig = Rig::new();
    rig.copy("tests/data/plugins/vocabulary.py");
    let gmetad = rig.start("gridname \"the grid\"\nwords {\nlimit \"7\"\nOther a \"b c\"\n}");
    for line in [
        "plugin Words: said by a thread",
        "plugin Words: start is sound",
        "plugin Words: the cluster is sound",
        "plugin Words: the grid is sound",
    ] {
        gmetad.wait_for_line(line);
    }
    // With nodes kept from the update before.
    rig.source.wait_for_polls(3);
    let rrds = rig.folder.path().join("rrds/web");
    for file in [
        "h0/made.rrd",
        "copied/m2.rrd",
        "copied/made.rrd",
        "h1/m2.rrd",
    ] {
        wait_until(file, || rrds.join(file).exists());
    }
    assert!(!rrds.join("h0/m2.rrd").exists(), "it was removed");
    assert!(
        !gmetad.document().contains("made"),
        "what is served is not changed"
    );
    let log = rig.folder.path().join("stderr");
    assert!(gmetad.end().success());
    let log = read(&log);
    assert!(log.contains("plugin Words: stop is sound"), "{log}");
    assert!(!log.contains("failed"), "{log}");
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn the_examples_do_what_they_say() {
    let rig = Rig::new();
    rig.source.script(Script::Serve(cluster_with_memory()));
    rig.copy("contrib/plugins/examples/log_hosts.py");
    rig.copy("contrib/plugins/examples/memory_used.py");
    let gmetad = rig.start("memory_used {\nmetric \"used\"\n}");
    gmetad.wait_for_line("plugin log_hosts: web: 2 hosts up, 0 down");
    let rrd = rig.folder.path().join("rrds/web/h0/used.rrd");
    wait_until("the derived metric to be stored", || rrd.exists());
    let last = || {
        let output = Command::new("rrdtool")
            .arg("lastupdate")
            .arg(&rrd)
            .output()
            .expect("rrdtool");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    wait_until("its value", || last().trim_end().ends_with(": 75.0"));
    let said = gmetad.log().matches("2 hosts up").count();
    assert_eq!(said, 1, "it is said when it has changed");
    assert!(gmetad.end().success());
}

#[test]
fn the_tutorial_prints_the_examples_and_what_they_do() {
    let tutorial = read(&root().join("docs/PLUGINS.md"));
    for name in ["log_hosts", "memory_used"] {
        let example = read(&root().join(format!("contrib/plugins/examples/{name}.py")));
        let block = format!("```python\n{example}```\n");
        assert!(tutorial.contains(&block), "{name}");
    }
    let command = "gmetad --test-plugin memory_used.py --input saved.xml";
    let (_, after) = tutorial.split_once(command).expect("it is printed");
    let (_, printed) = after.split_once("```text\n").expect("its output follows");
    let (printed, _) = printed.split_once("```").expect("a fence is closed");
    let rig = Rig::new();
    rig.copy("contrib/plugins/examples/memory_used.py");
    let saved = root().join("tests/data/gmond/gmond-plain.xml");
    fs::copy(saved, rig.plugins().join("saved.xml")).expect("our own folder");
    let conf = rig.configure();
    let output = crate::support::gmetad()
        .current_dir(rig.plugins())
        .args(command.split(' ').skip(1))
        .arg("-c")
        .arg(conf)
        .output()
        .expect("the binary was built");
    let said = String::from_utf8_lossy(&output.stdout);
    let folder = rig.plugins().canonicalize().expect("it is there");
    let said = said.replace(&folder.display().to_string(), "/home/me");
    let untimed = |text: &str| -> Vec<String> {
        let untimed = |line: &str| match line.split_once(": ") {
            Some((call, _)) if line.ends_with(" ms") => call.to_owned(),
            _ => line.to_owned(),
        };
        text.lines().map(untimed).collect()
    };
    assert_eq!(untimed(&said), untimed(printed));
}

#[test]
fn a_file_that_is_not_a_plugin_is_reported_with_the_reason_and_the_others_run() {
    let rig = Rig::new();
    let base = "from Gmetad.gmetad_plugin import GmetadPlugin\n";
    for (name, text) in [
        (
            "a_missing.py",
            "import a_module_that_is_not_there as get_plugin\n".into(),
        ),
        ("b_syntax.py", "def get_plugin(:\n".into()),
        ("c_nothing.py", "x = 1\n".into()),
        (
            "d_other.py",
            "def get_plugin():\n    return dict()\n".into(),
        ),
        ("e_none.py", "def get_plugin():\n    pass\n".into()),
        (
            "f_raises.py",
            "def get_plugin():\n    raise ValueError('on purpose')\n".into(),
        ),
        (
            "g_exits.py",
            "import sys\nsys.exit(3)\ndef get_plugin():\n    pass\n".into(),
        ),
        (
            "j_start.py",
            format!(
                "{base}def get_plugin():\n    return P('j')\nclass P(GmetadPlugin):\n    \
                 def start(self):\n        raise OSError('no disk')\n"
            ),
        ),
        (
            "l_works.py",
            plugin("works", "print('l sees', clusterNode)"),
        ),
    ] {
        rig.write(name, &text);
    }
    let gmetad = rig.start("");
    gmetad.wait_for_line("plugin works: l sees CLUSTER:web");
    let log = gmetad.log();
    for (name, reason) in [
        (
            "a_missing",
            "it cannot be imported: ModuleNotFoundError: No module named \
             'a_module_that_is_not_there' (a_missing.py, line 1)",
        ),
        ("b_syntax", "it cannot be imported: SyntaxError: "),
        ("c_nothing", "it has no function get_plugin()"),
        (
            "d_other",
            "its get_plugin() returned a dict, which is not derived from GmetadPlugin",
        ),
        (
            "e_none",
            "its get_plugin() returned None, which is not derived from GmetadPlugin",
        ),
        (
            "f_raises",
            "its get_plugin() failed: ValueError: on purpose (f_raises.py, line 2)",
        ),
        (
            "g_exits",
            "it cannot be imported: SystemExit: 3 (g_exits.py, line 2)",
        ),
    ] {
        let file = rig.plugins().join(format!("{name}.py"));
        let line = format!("plugin {} is left out: {reason}", file.display());
        assert!(log.contains(&line), "{line}\n{log}");
    }
    assert!(
        log.contains("plugin j is left out: OSError: no disk (j_start.py, line 6)"),
        "{log}"
    );
    assert!(gmetad.end().success());
}

#[test]
fn an_exception_is_logged_with_its_traceback_and_affects_only_its_plugin() {
    let rig = Rig::new();
    rig.write(
        "a.py",
        &plugin(
            "raises",
            "def inner():\n    raise KeyError('lost')\ninner()",
        ),
    );
    rig.write("b.py", &plugin("after", "print('seen by the next')"));
    let gmetad = rig.start("");
    gmetad.wait_for_line("plugin raises is disabled until gmetad is started again");
    let log = gmetad.log();
    let count = |text: &str| log.matches(text).count();
    assert_eq!(
        count("plugin raises: Traceback (most recent call last):"),
        1,
        "{log}"
    );
    assert_eq!(
        count("plugin raises:     raise KeyError('lost')"),
        1,
        "{log}"
    );
    assert_eq!(
        count("plugin raises failed: KeyError: 'lost' (a.py, line 9)"),
        1,
        "{log}"
    );
    assert!(count("plugin after: seen by the next") >= 10, "{log}");
    assert!(gmetad.end().success());
}

#[test]
fn endless_recursion_is_an_exception_and_does_not_end_gmetad() {
    let rig = Rig::new();
    let body = "import functools, json\n\
                def plain(n):\n    return plain(n + 1)\n\
                def sorting(n):\n    return sorted([1], key=lambda _: sorting(n + 1))\n\
                nested = functools.reduce(lambda it, _: [it], range(100000), [])\n\
                for deep in (lambda: plain(0), lambda: sorting(0), lambda: repr(nested),\n        \
                lambda: json.loads('[' * 100000)):\n    \
                try:\n        deep()\n    \
                except RecursionError:\n        print('too deep')\n\
                print('done')";
    rig.write("a.py", &plugin("a", body));
    let gmetad = rig.start("");
    gmetad.wait_for_line("plugin a: done");
    assert!(gmetad.log().matches("plugin a: too deep").count() >= 4);
    assert!(gmetad.end().success());
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn a_plugins_changes_are_seen_by_the_next_one_and_stored() {
    let rig = Rig::new();
    let body = "for hostNode in clusterNode:\n    hostNode['METRIC:m0'].setAttr('val', 99)";
    rig.write("a_first.py", &plugin("first", body));
    let body =
        "for hostNode in clusterNode:\n    print(hostNode, hostNode['METRIC:m0'].getAttr('val'))";
    rig.write("b_second.py", &plugin("second", body));
    let gmetad = rig.start("");
    gmetad.wait_for_line("plugin second: HOST:h0 99");
    let rrd = rig.folder.path().join("rrds/web/h0/m0.rrd");
    wait_until("the changed value to be stored", || {
        let output = Command::new("rrdtool").arg("lastupdate").arg(&rrd).output();
        let output = output.expect("rrdtool").stdout;
        String::from_utf8_lossy(&output)
            .trim_end()
            .ends_with(": 99")
    });
    assert!(gmetad.document().contains("NAME=\"m0\" VAL=\"0\""));
    assert!(gmetad.end().success());
}

#[test]
fn python_is_loaded_only_if_a_plugin_needs_it() {
    let maps = |gmetad: &Gmetad| read(Path::new(&format!("/proc/{}/maps", gmetad.pid())));
    let rig = Rig::new();
    rig.write("README", "no plugin");
    let gmetad = rig.start("");
    rig.source.wait_for_polls(2);
    assert!(!maps(&gmetad).contains("libpython"));
    assert!(gmetad.end().success());
    rig.write("a.py", &plugin("a", "print('here')"));
    let gmetad = rig.start("");
    gmetad.wait_for_line("plugin a: here");
    assert!(maps(&gmetad).contains("libpython"));
    assert!(gmetad.end().success());
    assert!(
        !rig.plugins().join("__pycache__").exists(),
        "the folder is not ours"
    );
}

#[test]
fn without_the_python_host_a_python_file_is_reported_and_gmetad_runs() {
    let rig = Rig::new();
    rig.write("a.py", &plugin("a", "pass"));
    let gmetad = rig.start_with("", Path::new("/nowhere/host.so"));
    gmetad.wait_for_line("a.py is left out: it cannot be read: No such file");
    rig.source.wait_for_polls(2);
    assert!(gmetad.end().success());
}

#[test]
fn a_plugin_in_python_can_be_rehearsed() {
    let rig = Rig::new();
    rig.write(
        "a.py",
        &plugin(
            "a",
            "import logging\nlogging.debug('seen')\nclusterNode.setAttr('owner', 'me')",
        ),
    );
    let input = rig.folder.path().join("input.xml");
    fs::write(&input, cluster()).unwrap();
    let conf = rig.configure();
    let output = crate::support::gmetad()
        .arg("-c")
        .arg(conf)
        .arg("--test-plugin")
        .arg(rig.plugins().join("a.py"))
        .arg("--input")
        .arg(input)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("DEBUG plugin a: seen"), "{said}");
    assert!(said.contains("owner: \"o\" -> \"me\""), "{said}");
}
