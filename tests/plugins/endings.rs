//! Plugins that end the process, or try to: the trial finds what it can, and the others are named
//! before gmetad ends, with an exit status that is not 0.
#![cfg(feature = "loader")]

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::shared_objects;
use crate::support::python::{self, plugin};
use crate::support::{Gmetad, read};
use nix::sys::signal::Signal;

const SOURCE: &str = "tests/data/plugins/ends.c";

/// The exit status of an end that was not requested.
const SOFTWARE: i32 = 70;

/// A folder with the plugin that ends the process.
fn rig() -> shared_objects::Rig {
    let rig = shared_objects::Rig::new();
    rig.build(SOURCE, "ends.so");
    rig
}

/// Waits until gmetad ends by itself, and returns its log file and its standard error, which must
/// say the same.
fn ended(rig: &shared_objects::Rig, section: &str) -> (ExitStatus, String) {
    let file = rig.folder.path().join("gmetad.log");
    // Of the start before, if there was one.
    let _ = std::fs::remove_file(&file);
    let directives = format!("logfile {}\n{section}\n", file.display());
    // It may end before the line that says where it listens.
    let (status, console) = rig.ended(&directives);
    let log = read(&file);
    // Lines still queued may come before or after them, in either log.
    let last_words = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains(" FATAL "));
        lines.map(String::from).collect()
    };
    assert!(!last_words(&log).is_empty(), "{log}");
    assert_eq!(last_words(&log), last_words(&console));
    (status, log)
}

fn line<'a>(log: &'a str, part: &str) -> &'a str {
    let mut lines = log.lines().filter(|line| line.contains(part));
    let line = lines.next();
    let line = line.unwrap_or_else(|| panic!("\"{part}\" is not in the log:\n{log}"));
    assert_eq!(lines.next(), None, "it is said once:\n{log}");
    line
}

#[test]
fn an_exit_in_the_factory_or_in_create_fails_the_trial() {
    let rig = rig();
    let factory = format!(
        "#define IN_FACTORY\n{}",
        read(&shared_objects::root().join(SOURCE))
    );
    rig.build_text(&factory, "factory.so");
    let left_out = |section: &str, file: &str, reason: &str| {
        let gmetad = rig.start(section);
        let file = rig.plugins().join(file);
        gmetad.wait_for_line(&format!("plugin {} is left out: {reason}", file.display()));
        gmetad.wait_for_line("source \"fake\": 2 hosts");
        assert!(gmetad.end().success());
    };
    let ended = "it ended the trial process that loaded it (exit status: 0)";
    left_out("", "factory.so", ended);
    for (way, reason) in [
        (
            "exit",
            "it ended the trial process that created it (exit status: 0)",
        ),
        (
            "_exit",
            "it ended the trial process that created it (exit status: 0)",
        ),
        (
            "crash",
            "it crashed when it was created in a trial process (SIGSEGV)",
        ),
        (
            "abort",
            "it crashed when it was created in a trial process (SIGABRT)",
        ),
    ] {
        left_out(&format!("ends {{\ncreate {way}\n}}"), "ends.so", reason);
    }
}

#[test]
fn an_exit_during_a_call_names_the_plugin_and_is_not_0() {
    let rig = rig();
    for way in ["exit", "_exit"] {
        let (status, log) = ended(&rig, &format!("ends {{\nnotify {way}\n}}"));
        assert_eq!(status.code(), Some(SOFTWARE), "{log}");
        let line = line(&log, "has ended gmetad");
        assert!(
            line.contains(&format!(
                " FATAL plugin ends has ended gmetad: it called {way}, which no plugin may"
            )),
            "{line}"
        );
        let (status, log) = ended(&rig, &format!("ends {{\nthread {way}\n}}"));
        assert_eq!(status.code(), Some(SOFTWARE), "{log}");
        assert!(
            log.contains(&format!(
                "FATAL gmetad is ended by a call of {way} on a thread"
            )),
            "{log}"
        );
    }
}

#[test]
fn a_crash_during_a_call_names_the_plugin_and_keeps_its_signal() {
    let rig = rig();
    for (way, signal) in [
        ("crash", Signal::SIGSEGV),
        ("abort", Signal::SIGABRT),
        ("raise", Signal::SIGBUS),
    ] {
        let (status, log) = ended(&rig, &format!("ends {{\nnotify {way}\n}}"));
        assert_eq!(status.signal(), Some(signal as i32), "{log}");
        let line = line(&log, " has crashed (");
        assert!(
            line.contains(&format!(
                "Z FATAL plugin ends has crashed ({signal}), and gmetad ends"
            )),
            "{line}"
        );
    }
    let (status, log) = ended(&rig, "ends {\nnotify recurse\n}");
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{log}");
    line(&log, "plugin ends has crashed (SIGSEGV)");
    // A signal to the whole process is attributed to no plugin.
    let gmetad = rig.start("");
    gmetad.wait_for_line("plugin ends: it goes on");
    gmetad.signal(Signal::SIGBUS);
    gmetad.wait_for_line("gmetad has crashed (SIGBUS), in no call of a plugin");
    let (status, log) = ended(&rig, "ends {\nthread crash\n}");
    assert_eq!(status.signal(), Some(Signal::SIGSEGV as i32), "{log}");
    line(&log, "gmetad has crashed (SIGSEGV), in no call of a plugin");
}

#[test]
fn after_rotation_or_reload_the_new_log_file_gets_the_last_message() {
    let rig = rig();
    let folder = rig.folder.path();
    let (first, second) = (folder.join("first.log"), folder.join("second.log"));
    let gate = folder.join("gate");
    rig.build("tests/data/plugins/probe.c", "a_probe.so");
    let hang = format!(
        "ends {{\nnotify crash\n}}\nprobe {{\n hang {}\n}}\n",
        gate.display()
    );
    let mut gmetad = rig.start(&format!("logfile {}\n{hang}", first.display()));
    gmetad.wait_for_line("source \"fake\": 2 hosts");
    let conf = folder.join("gmetad.conf");
    let text = read(&conf).replace("first.log", "second.log");
    std::fs::write(&conf, text).expect("our own folder");
    gmetad.signal(Signal::SIGHUP);
    gmetad.wait_for_line("configuration");
    std::fs::rename(&second, folder.join("rotated.log")).ok();
    crate::support::wait_until("the log that is reopened", || {
        gmetad.signal(Signal::SIGHUP);
        second.exists()
    });
    std::fs::write(&gate, "").expect("our own folder");
    assert!(!gmetad.wait().success());
    let log = read(&second);
    line(&log, "plugin ends has crashed (SIGSEGV)");
}

#[test]
fn a_child_forked_by_a_plugin_may_exit_in_any_way() {
    let rig = rig();
    let gmetad = rig.start("ends {\nnotify fork\n}");
    gmetad.wait_for_line("plugin ends: it goes on");
    let log = gmetad.log();
    assert!(!log.contains("FATAL"), "{log}");
    assert!(gmetad.end().success());
}

#[test]
fn a_plugin_that_exits_when_it_is_stopped_is_named_too() {
    let rig = rig();
    let mut gmetad = rig.start("ends {\nstop exit\n}");
    gmetad.wait_for_line("plugin ends: it goes on");
    gmetad.signal(Signal::SIGTERM);
    assert_eq!(gmetad.wait().code(), Some(SOFTWARE));
    line(
        &gmetad.log(),
        "plugin ends has ended gmetad: it called exit",
    );
}

#[test]
fn a_plugin_in_rust_that_exits_or_aborts_is_named() {
    let rig = shared_objects::Rig::new();
    shared_objects::exercise(&rig);
    let (status, log) = ended(&rig, "exercise {\n exit notify\n}");
    assert_eq!(status.code(), Some(SOFTWARE), "{log}");
    line(&log, "plugin exercise has ended gmetad: it called exit");
    let (status, log) = ended(&rig, "exercise {\n abort notify\n}");
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{log}");
    line(&log, "plugin exercise has crashed (SIGABRT)");
}

#[test]
fn an_exit_in_python_is_an_ordinary_failure() {
    let rig = python::Rig::new();
    rig.write("a.py", &plugin("a", "import sys\nsys.exit(0)"));
    rig.write("b.py", &plugin("b", "import os\nos._exit(0)"));
    rig.write(
        "c.py",
        &plugin(
            "c",
            "import os\nif os.fork() == 0:\n    os._exit(0)\nos.wait()\nprint('goes on')",
        ),
    );
    let thread = "import os, threading\nit = threading.Thread(target=os._exit, args=(0,))\n\
                  it.start()\nit.join()\nprint('lives')";
    rig.write("d.py", &plugin("d", thread));
    let gmetad = rig.start("");
    for line in [
        "plugin a failed: SystemExit: 0 (a.py, line 9)",
        "plugin b failed: SystemExit: os._exit was called, which would end gmetad",
        "plugin c: goes on",
        "plugin d: lives",
    ] {
        gmetad.wait_for_line(line);
    }
    let log = gmetad.log();
    assert!(
        log.contains("os._exit was called, which would end gmetad; it is refused"),
        "{log}"
    );
    assert!(gmetad.end().success());
}

#[test]
fn a_crash_in_python_names_the_plugin_even_during_creation() {
    let crash = "import ctypes\nctypes.string_at(0)";
    let check = |name: &str, text: &str, told: &str| {
        let rig = python::Rig::new();
        rig.write(name, text);
        let mut gmetad: Gmetad = rig.start("");
        let status = gmetad.wait();
        assert_eq!(status.signal(), Some(Signal::SIGSEGV as i32));
        line(&gmetad.log(), told);
    };
    check(
        "a.py",
        &plugin("a", crash),
        "plugin a has crashed (SIGSEGV)",
    );
    let factory = format!("def get_plugin():\n    {}\n", crash.replace('\n', "\n    "));
    check("b.py", &factory, "b.py has crashed (SIGSEGV)");
}

#[test]
fn a_python_import_that_exits_or_hangs_is_named_and_left_out() {
    let rig = python::Rig::new();
    let cases = [
        (
            "a_crash",
            "import ctypes\nctypes.string_at(0)",
            "it crashed when it was loaded in a trial process (SIGSEGV)",
        ),
        (
            "b_exit",
            "import ctypes\nctypes.CDLL(None)._exit(0)",
            "it ended the trial process that loaded it (exit status: 0)",
        ),
        (
            "c_hang",
            "import time\ntime.sleep(600)",
            "it was not loaded within 30 s in a trial process",
        ),
    ];
    for (name, import, _) in cases {
        let text = format!("{import}\n{}", plugin(name, "pass"));
        rig.write(&format!("{name}.py"), &text);
    }
    let once = "import os\nprint('once' if 'GMETAD_TRIAL' not in os.environ else 'twice')";
    let works = plugin("works", "print('goes on')");
    rig.write("d.py", &format!("{once}\n{works}"));
    let gmetad = rig.start("");
    gmetad.wait_for_line("plugin works: goes on");
    let log = gmetad.log();
    for (name, _, reason) in cases {
        let file = rig.plugins().join(format!("{name}.py"));
        line(
            &log,
            &format!("plugin {} is left out: {reason}", file.display()),
        );
    }
    assert!(log.contains("once") && !log.contains("twice"), "{log}");
    assert!(gmetad.end().success());
}

#[test]
fn the_python_module_does_not_mistake_a_number_for_a_plugin() {
    let rig = python::Rig::new();
    let body = "import _gmetad, threading\n\
                def log(owner):\n    try:\n        _gmetad.log(4, 'said', owner)\n    \
                except ValueError as error:\n        print('refused', owner, error)\n\
                own = _gmetad.handle()\n\
                for owner in (1, own + 8, 2 ** 63, own):\n    \
                it = threading.Thread(target=log, args=(owner,))\n    it.start()\n    it.join()\n\
                print('done')";
    rig.write("a.py", &plugin("a", body));
    let gmetad = rig.start("");
    gmetad.wait_for_line("plugin a: done");
    let log = gmetad.log();
    for owner in ["1", "9223372036854775808"] {
        let line = format!("plugin a: refused {owner} no plugin has this handle");
        assert!(log.contains(&line), "{log}");
    }
    assert!(log.contains("plugin a: said"), "{log}");
    assert!(gmetad.end().success());
}
