//! Plugins in shared objects, built from their sources and run through the real binary.
//!
//! The rules of the tree and of loading are tested next to them; here it is what a person sees.
#![cfg(feature = "loader")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::mem::{offset_of, size_of};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use crate::support::peers::{FakeSource, Script, document};
use crate::support::{Gmetad, built_plugins, wait_until};
use gmetad_plugin::abi;
use tempfile::TempDir;

/// A folder for a gmetad, with one of plugins in it.
pub struct Rig {
    pub folder: TempDir,
    source: FakeSource,
}

impl Rig {
    /// With a source of two hosts.
    pub fn new() -> Rig {
        Rig::over(&cluster(2, 3))
    }

    fn over(document: &[u8]) -> Rig {
        let folder = tempfile::tempdir().expect("a folder of our own");
        fs::create_dir(folder.path().join("plugins")).expect("our own folder");
        Rig {
            folder,
            source: FakeSource::start(Script::Serve(document.to_vec())),
        }
    }

    pub fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// Compiles a source file of the project's into plugins_dir.
    pub fn build(&self, source: &str, name: &str) {
        compile(&root().join(source), &self.plugins().join(name), SHARED);
    }

    /// Compiles a text into plugins_dir.
    pub fn build_text(&self, text: &str, name: &str) {
        let source = self.folder.path().join("source.c");
        fs::write(&source, text).expect("our own folder");
        compile(&source, &self.plugins().join(name), SHARED);
    }

    /// Builds a crate of the workspace into plugins_dir.
    fn cargo(&self, arguments: &[&str], object: &str, name: &str) {
        let object = built_plugins(arguments).join(object);
        fs::copy(object, self.plugins().join(name)).expect("it was built");
    }

    /// Starts gmetad with these plugins, everything in its log.
    pub fn start(&self, directives: &str) -> Gmetad {
        let directives = self.directives(directives);
        Gmetad::start_with(self.folder.path(), &directives, &["-d", "5"])
    }

    /// The same for one that ends by itself: its exit status and its standard error.
    pub fn ended(&self, directives: &str) -> (ExitStatus, String) {
        let directives = self.directives(directives);
        Gmetad::ended(self.folder.path(), &directives, &["-d", "5"])
    }

    fn directives(&self, more: &str) -> String {
        format!(
            "data_source fake 1 127.0.0.1:{}\nplugins_dir \"{}\"\n{more}",
            self.source.port(),
            self.plugins().display()
        )
    }
}

const SHARED: &[&str] = &["-shared", "-fPIC"];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compiles C with all warnings as errors, as the documentation says.
#[track_caller]
fn compile(source: &Path, object: &Path, more: &[&str]) {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let output = Command::new(compiler)
        .args([
            "-std=gnu11",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
        ])
        .args(more)
        .arg("-I")
        .arg(root().join("include"))
        .arg("-o")
        .arg(object)
        .arg(source)
        .arg("-lpthread")
        .output()
        .expect("a C compiler: cc, or what CC names");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{said}", source.display());
}

/// A document of one cluster.
fn cluster(hosts: usize, metrics: usize) -> Vec<u8> {
    let mut inside = String::from(
        "<CLUSTER NAME=\"web\" LOCALTIME=\"1700000000\" OWNER=\"o\" LATLONG=\"l\" URL=\"u\">\n",
    );
    for host in 0..hosts {
        let _ = writeln!(
            inside,
            "<HOST NAME=\"host{host}\" IP=\"10.0.0.1\" TAGS=\"\" REPORTED=\"1699999999\" TN=\"1\" \
             TMAX=\"20\" DMAX=\"0\" LOCATION=\"\" GMOND_STARTED=\"0\">"
        );
        for metric in 0..metrics {
            let (name, value) = match metric {
                0 => ("load_one".to_owned(), "1.50"),
                1 => ("cpu_num".to_owned(), "4"),
                more => (format!("metric{more}"), "10"),
            };
            let _ = writeln!(
                inside,
                "<METRIC NAME=\"{name}\" VAL=\"{value}\" TYPE=\"float\" UNITS=\"u\" TN=\"1\" \
                 TMAX=\"70\" DMAX=\"0\" SLOPE=\"both\">\n</METRIC>"
            );
        }
        inside.push_str("</HOST>\n");
    }
    inside.push_str("</CLUSTER>\n");
    document("gmond", &inside)
}

#[test]
fn the_c_example_says_in_the_log_what_it_counts() {
    let rig = Rig::new();
    rig.build("contrib/plugins/examples/count_hosts.c", "count_hosts.so");
    let gmetad = rig.start("");
    gmetad.wait_for_line("plugin count_hosts is loaded from");
    gmetad.wait_for_line("plugin count_hosts: source fake has 2 hosts up, 0 down");
    // The line comes from within the update, which is counted once it is over.
    wait_until("an update of a plugin that works", || {
        let status = gmetad.query("GET /metrics HTTP/1.0\r\n\r");
        let figure = |name: &str| {
            let start = format!("gmetad_plugin_{name}{{plugin=\"count_hosts\"}} ");
            let line = status.lines().find_map(|line| line.strip_prefix(&*start));
            line.and_then(|value| value.parse::<u32>().ok())
        };
        figure("works") == Some(1) && figure("updates_total") >= Some(1)
    });
    assert!(gmetad.end().success());
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn the_rust_example_gives_each_host_a_metric_that_is_stored() {
    let rig = Rig::new();
    rig.cargo(
        &["-p", "load_per_cpu"],
        "libload_per_cpu.so",
        "load_per_cpu.so",
    );
    let gmetad = rig.start("");
    for host in ["host0", "host1"] {
        let file = rig.folder.path().join("rrds/web").join(host);
        let file = file.join("load_per_cpu.rrd");
        wait_until("the file of the new metric", || file.exists());
        assert_eq!(last_value(&file), 0.375);
    }
    assert!(!gmetad.document().contains("load_per_cpu"));
    assert!(gmetad.end().success());
    let gmetad = rig.start("load_per_cpu {\n load a b\n}\n");
    let line = gmetad.wait_for_line("plugin load_per_cpu is left out: ");
    assert!(
        line.ends_with("gmetad.conf:9: load: takes the name of one metric"),
        "{line}"
    );
}

#[test]
fn the_rust_sdk_works_as_documented() {
    let rig = Rig::new();
    exercise(&rig);
    let gmetad = rig.start("exercise {\n}\n");
    gmetad.wait_for_line("plugin exercise: call 2 went well");
    for level in ["Error", "Warning", "Info", "Debug"] {
        gmetad.wait_for_line(&format!("plugin exercise: said as {level}"));
    }
    let log = gmetad.log_file();
    assert!(gmetad.end().success());
    let log = crate::support::read(&log);
    assert!(log.contains("plugin exercise: dropped"), "{log}");
    assert!(!log.contains("failed") && !log.contains("panic"), "{log}");
}

pub fn exercise(rig: &Rig) {
    rig.cargo(
        &["-p", "gmetad-plugin", "--example", "exercise"],
        "examples/libexercise.so",
        "exercise.so",
    );
}

#[test]
fn a_panic_is_a_failure_with_its_place_wherever_it_is() {
    let rig = Rig::new();
    exercise(&rig);
    for (place, told) in [
        ("create", "plugin exercise is left out: panic at "),
        ("start", "plugin exercise is left out: panic at "),
        ("notify", "plugin exercise failed: panic at "),
        ("notify_root", "plugin exercise failed: panic at "),
        ("stop", "plugin exercise: stop: panic at "),
        ("drop", "plugin exercise: drop: panic at "),
        ("a thread", "plugin exercise: a thread panicked at "),
    ] {
        let gmetad = rig.start(&format!("exercise {{\n panic \"{place}\"\n}}\n"));
        gmetad.wait_for_line("source \"fake\": 2 hosts");
        if !matches!(place, "stop" | "drop") {
            let line = gmetad.wait_for_line(told);
            assert!(
                line.contains("exercise.rs:") && line.contains(": as told, in "),
                "{line}"
            );
        }
        let log = gmetad.log_file();
        assert!(gmetad.end().success(), "it ends as ever");
        let log = crate::support::read(&log);
        assert!(log.contains(told), "{log}");
    }
}

#[test]
fn a_plugin_is_called_as_the_header_says_from_its_section_to_its_end() {
    let rig = Rig::new();
    rig.build("tests/data/plugins/probe.c", "probe.so");
    let gmetad = rig.start("Probe {\n  first \"a b\"  c\n  read\n}\n");
    gmetad.wait_for_line("plugin probe: line 9: first = \"a b\"  c");
    gmetad.wait_for_line("plugin probe: started, the same");
    gmetad.wait_for_line("call 1 of fake: 6 metrics, sum 31, up 1, every 1 s");
    gmetad.wait_for_line("plugin probe: root unspecified: kind 1, 2 up, 3 sums, source of 0 bytes");
    let folder = gmetad.log_file();
    assert!(gmetad.end().success());
    let log = crate::support::read(&folder);
    let place = |part: &str| {
        log.find(part)
            .unwrap_or_else(|| panic!("no {part} in:\n{log}"))
    };
    assert!(
        place("plugin probe: stopped") < place("plugin probe: destroyed"),
        "{log}"
    );
}

#[test]
fn every_wrong_call_is_refused_and_does_no_harm() {
    let rig = Rig::new();
    rig.build("tests/data/plugins/probe.c", "probe.so");
    let gmetad = rig.start("probe {\n check\n}\n");
    gmetad.wait_for_line("call 3 of fake");
    let log = gmetad.log();
    assert!(!log.contains("does not hold"), "{log}");
    assert!(
        log.matches("plugin probe: all was tried").count() >= 3,
        "{log}"
    );
    assert!(
        log.contains("plugin probe: said on another thread"),
        "{log}"
    );
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn what_a_plugin_changes_is_stored_and_not_served() {
    let rig = Rig::new();
    rig.build("tests/data/plugins/probe.c", "probe.so");
    let gmetad = rig.start("probe {\n touch\n}\n");
    gmetad.wait_for_line("call 2 of fake");
    let file = rig.folder.path().join("rrds/web/host0/load_one.rrd");
    wait_until("the file that rrd writes", || file.exists());
    assert_eq!(last_value(&file), 2.5);
    assert!(gmetad.document().contains("NAME=\"load_one\" VAL=\"1.50\""));
}

/// The value that was last written to a file.
fn last_value(file: &Path) -> f64 {
    let mut value = None;
    wait_until("a value in the file", || {
        let output = Command::new("rrdtool")
            .arg("lastupdate")
            .arg(file)
            .output()
            .expect("rrdtool");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = text.lines().last().and_then(|line| line.split_once(": "));
        value = last.and_then(|(_, value)| value.trim().parse().ok());
        value.is_some()
    });
    value.expect("it was waited for")
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn each_file_that_is_not_a_plugin_is_named_with_the_reason_and_the_rest_run() {
    let rig = Rig::new();
    let plugins = rig.plugins();
    let factory = "#include <gmetad_plugin.h>\n#include <stdlib.h>\n\
        const gmetad_plugin *gmetad_get_plugin(const gmetad_api *api, gmetad_text file)\n\
        { (void)api, (void)file;";
    let table = "static const gmetad_plugin plugin = { .abi = GMETAD_PLUGIN_ABI + 1 };";
    rig.build_text(&format!("{factory} {table} return &plugin; }}"), "abi.so");
    rig.build_text(
        "__attribute__((constructor)) static void at_load(void) \n{ volatile int *volatile \
         nowhere = 0; *nowhere = 1; }\n",
        "crash.so",
    );
    rig.build_text(&format!("{factory} abort(); }}"), "crash_in_factory.so");
    rig.build_text(&format!("{factory} exit(3); }}"), "exit.so");
    rig.build_text("int unrelated;\n", "library.so");
    rig.build_text(&format!("{factory} return 0; }}"), "none.so");
    rig.build_text(
        &format!("{factory} api->fail(api, GMETAD_TEXT(\"not on a Monday\")); return 0; }}"),
        "monday.so",
    );
    rig.build_text(
        "extern int nowhere(void); int it(void) { return nowhere(); }\n",
        "part.so",
    );
    fs::write(plugins.join("text.so"), "not an object\n").expect("our own folder");
    fs::create_dir(plugins.join("folder.so")).expect("our own folder");
    rig.build("contrib/plugins/examples/count_hosts.c", "x1.so");
    rig.build("contrib/plugins/examples/count_hosts.c", "x2.so");
    rig.build_text(
        &format!(
            "{factory} static gmetad_plugin it = {{ .abi = GMETAD_PLUGIN_ABI, .size = sizeof it, \
                  .id = GMETAD_TEXT_INIT(\"a b\") }}; return &it; }}"
        ),
        "y.so",
    );
    let gmetad = rig.start("nobody {\n}\n");
    for file in ["x1.so", "x2.so"] {
        let line = format!("plugin count_hosts ({file}): source fake has 2 hosts up, 0 down");
        gmetad.wait_for_line(&line);
    }
    let log = gmetad.log();
    for (file, reason) in [
        (
            "abi.so",
            "it is built for version 2 of the plugin interface, and this gmetad has version 1; \
             build it again with this gmetad's gmetad_plugin.h",
        ),
        (
            "crash.so",
            "it crashed when it was loaded in a trial process (SIGSEGV)",
        ),
        (
            "crash_in_factory.so",
            "it crashed when it was loaded in a trial process (SIGABRT)",
        ),
        (
            "exit.so",
            "it ended the trial process that loaded it (exit status: 3)",
        ),
        (
            "library.so",
            "it is not a gmetad plugin: it has no function gmetad_get_plugin",
        ),
        (
            "none.so",
            "its gmetad_get_plugin returned no plugin and gave no reason",
        ),
        ("monday.so", "not on a Monday"),
        ("part.so", "undefined symbol: nowhere"),
        ("text.so", "it is not a shared object"),
        ("folder.so", "it cannot be read"),
        ("y.so", "create and notify must be set"),
    ] {
        let named = format!("plugin {} is left out: ", plugins.join(file).display());
        let line = log.lines().find(|line| line.contains(&named));
        let line = line.unwrap_or_else(|| panic!("nothing is said of {file}:\n{log}"));
        assert!(line.contains(reason), "{line}");
    }
    let health = gmetad.query("GET /healthz HTTP/1.0\r\n\r");
    assert!(
        health.starts_with("HTTP/1.0 503")
            && health.contains("part.so is left out: it could not be loaded: "),
        "{health}"
    );
    assert!(
        log.contains("section nobody is ignored: no plugin has that name, built in or in "),
        "{log}"
    );
    let written = rig.folder.path().join("rrds/web/host0/load_one.rrd");
    wait_until("the built-in plugins go on", || written.exists());
}

#[test]
fn a_plugin_that_cannot_be_created_is_left_out_with_its_reason() {
    let rig = Rig::new();
    rig.build("tests/data/plugins/probe.c", "probe.so");
    rig.build("contrib/plugins/examples/count_hosts.c", "count_hosts.so");
    let gmetad = rig.start("probe {\n refuse I will not\n}\n");
    gmetad.wait_for_line("plugin probe is left out: I will not");
    gmetad.wait_for_line("plugin count_hosts: source fake has 2 hosts up, 0 down");
    assert!(!gmetad.log().contains("plugin probe: call"));
    assert!(gmetad.end().success());
}

#[test]
fn a_failing_plugin_is_reported_once_and_disabled_after_ten_failures_in_a_row() {
    let rig = Rig::new();
    rig.build("tests/data/plugins/probe.c", "probe.so");
    rig.build("contrib/plugins/examples/count_hosts.c", "a_count_hosts.so");
    let gmetad = rig.start("probe {\n fail 1000\n}\nplugins probe count_hosts\n");
    let line = gmetad.wait_for_line("plugin probe is disabled until gmetad is started again");
    assert!(
        line.contains("it failed 10 times in a row, the last time with: it returned 42"),
        "{line}"
    );
    let log = gmetad.log();
    assert_eq!(
        log.matches("plugin probe failed: as it was told").count(),
        1,
        "{log}"
    );
    let counted = log.matches("plugin count_hosts: source fake").count();
    assert!(counted >= 9, "the others still run: {log}");
    assert!(gmetad.end().success());
}

#[test]
fn a_hanging_plugin_is_reported_while_polling_and_serving_continue() {
    let rig = Rig::new();
    rig.build("tests/data/plugins/probe.c", "probe.so");
    let gate = rig.folder.path().join("gate");
    let gmetad = rig.start(&format!("probe {{\n hang {}\n}}\n", gate.display()));
    gmetad.wait_for_line("plugin probe has been busy with one update for");
    rig.source.wait_for_polls(2);
    assert!(gmetad.document().contains("NAME=\"load_one\" VAL=\"1.50\""));
    for (page, named) in [
        ("/status", "\"stalled\":\"probe\""),
        (
            "/healthz",
            "plugin probe has been busy with one update for ",
        ),
        ("/metrics", "gmetad_plugin_stalled_seconds 1"),
    ] {
        let answer = gmetad.query(&format!("GET {page} HTTP/1.0\r\n\r"));
        assert!(answer.contains(named), "{page}: {answer}");
    }
    fs::write(&gate, "").expect("our own folder");
    gmetad.wait_for_line("the plugins are at work again, after");
    gmetad.wait_for_line("plugin probe: call 2 of fake");
    assert!(gmetad.end().success());
}

#[test]
fn a_plugin_writable_by_others_is_not_run() {
    if !nix::unistd::geteuid().is_root() {
        // Only root can give a file away; the rule itself is tested beside its code.
        return;
    }
    let rig = Rig::new();
    rig.build("contrib/plugins/examples/count_hosts.c", "count_hosts.so");
    let file = rig.plugins().join("count_hosts.so");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o777)).expect("our own file");
    let gmetad = rig.start("");
    gmetad.wait_for_line("count_hosts.so, and gmetad runs as root; run chmod o-w ");
    drop(gmetad);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("our own file");
    std::os::unix::fs::chown(&file, Some(65534), None).expect("we are root");
    let gmetad = rig.start("");
    gmetad.wait_for_line("belongs to user 65534, and gmetad runs as root; chown it to root");
    drop(gmetad);
    std::os::unix::fs::chown(&file, Some(0), None).expect("we are root");
    fs::set_permissions(rig.plugins(), fs::Permissions::from_mode(0o777)).expect("our own folder");
    let gmetad = rig.start("");
    let folder = rig.plugins();
    let folder = folder.display();
    gmetad.wait_for_line(&format!(
        "count_hosts.so is left out: anyone may write to {folder}, and gmetad runs as root"
    ));
}

/// Runs `--test-plugin`: exit code, standard output and standard error.
fn rehearsed(rig: &Rig, plugin: &str, section: &str, input: Option<&str>) -> (i32, String, String) {
    let conf = crate::support::configure(
        rig.folder.path(),
        &format!(
            "data_source fake 1 127.0.0.1:{}\n{section}",
            rig.source.port()
        ),
    );
    let mut command = crate::support::gmetad();
    command
        .arg("-c")
        .arg(conf)
        .arg("--test-plugin")
        .arg(rig.plugins().join(plugin));
    if let Some(input) = input {
        command.arg("--input").arg(root().join(input));
    }
    let output = command.output().expect("the binary was built");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("it ends by itself");
    (code, text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_plugin_is_tested_over_a_saved_document_or_one_poll() {
    let rig = Rig::new();
    rig.build("tests/data/plugins/probe.c", "probe.so");
    let saved = Some("tests/data/gmond/gmond-plain.xml");
    let (code, told, errors) = rehearsed(&rig, "probe.so", "probe {\n touch\n}\n", saved);
    assert_eq!((code, errors.as_str()), (0, ""), "{told}");
    for part in [
        "plugin probe from ",
        "probe.so, 1 line in its section\n",
        "  log: INFO plugin probe: line 8: touch",
        "gmond-plain.xml: 1 node\nCLUSTER:Bench A, 1 host, 32 metrics\n",
        "  ~ HOST:localhost/METRIC:load_one val: \"0.08\" -> \"1.08\"\n",
        "GRID:unspecified (the root)\n",
        "  nothing was changed\n",
        "  log: INFO plugin probe: destroyed\n",
    ] {
        assert!(told.contains(part), "no {part} in:\n{told}");
    }
    for call in ["create", "start", "notify", "notify_root", "stop"] {
        let line = told
            .lines()
            .find_map(|line| line.strip_prefix(&format!("  {call}: ")));
        let taken = line.and_then(|line| line.strip_suffix(" ms"));
        let taken: f64 = taken.expect("how long it took").parse().expect("a number");
        assert!(taken < 1000.0, "{told}");
    }
    let (code, told, _) = rehearsed(&rig, "probe.so", "", None);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("CLUSTER:web, 2 hosts, 6 metrics"), "{told}");
}

#[test]
fn the_test_of_a_plugin_fails_if_the_plugin_does() {
    let rig = Rig::new();
    rig.build("tests/data/plugins/probe.c", "probe.so");
    fs::write(rig.plugins().join("text.so"), "text").expect("our own folder");
    for (plugin, section, input, reason) in [
        (
            "probe.so",
            "probe {\n refuse never\n}\n",
            None,
            "create failed: never",
        ),
        (
            "probe.so",
            "probe {\n fail 1\n}\n",
            None,
            "notify failed: as it was told",
        ),
        (
            "text.so",
            "",
            None,
            "text.so is not loaded: it is not a shared object",
        ),
        (
            "probe.so",
            "",
            Some("no/such.xml"),
            "no/such.xml cannot be read: No such file",
        ),
        (
            "probe.so",
            "",
            Some("Cargo.toml"),
            "the document cannot be read: not a Ganglia document",
        ),
    ] {
        let (code, told, errors) = rehearsed(&rig, plugin, section, input);
        assert_eq!(code, 1, "{told}{errors}");
        assert!(errors.contains(reason), "{errors}");
    }
    rig.source.script(Script::Close);
    let (code, _, errors) = rehearsed(&rig, "probe.so", "", None);
    assert_eq!(code, 1);
    assert!(
        errors.starts_with("gmetad: the document cannot be read: "),
        "{errors}"
    );
}

#[test]
fn the_header_and_the_rust_sdk_agree_on_every_size_offset_and_number() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let program = folder.path().join("layout");
    compile(&root().join("tests/data/plugins/layout.c"), &program, &[]);
    let output = Command::new(program).output().expect("it was built");
    let text = String::from_utf8(output.stdout).expect("plain text");
    let header: BTreeMap<&str, i64> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, number)| (name, number.parse().expect("a number")))
        .collect();
    let mut rust: BTreeMap<&str, i64> = BTreeMap::new();
    macro_rules! numbers {
        ($($name:literal = $value:expr),* $(,)?) => { $(rust.insert($name, i64::from($value));)* };
    }
    macro_rules! layout {
        ($name:literal $type:ty: $($field:tt),*) => {
            rust.insert($name, size_of::<$type>() as i64);
            $(rust.insert(concat!($name, ".", stringify!($field)), offset_of!($type, $field) as i64);)*
        };
    }
    numbers! {
        "GMETAD_PLUGIN_ABI" = abi::ABI,
        "GMETAD_GRID" = abi::kind::GRID,
        "GMETAD_CLUSTER" = abi::kind::CLUSTER,
        "GMETAD_HOST" = abi::kind::HOST,
        "GMETAD_METRIC" = abi::kind::METRIC,
        "GMETAD_METRICS" = abi::kind::METRICS,
        "GMETAD_EXTRA_DATA" = abi::kind::EXTRA_DATA,
        "GMETAD_EXTRA_ELEMENT" = abi::kind::EXTRA_ELEMENT,
        "GMETAD_OK" = abi::status::OK,
        "GMETAD_ABSENT" = abi::status::ABSENT,
        "GMETAD_FAILED" = abi::status::FAILED,
        "GMETAD_NO_NODE" = abi::status::NO_NODE,
        "GMETAD_NOT_POSSIBLE" = abi::status::NOT_POSSIBLE,
        "GMETAD_BAD_VALUE" = abi::status::BAD_VALUE,
        "GMETAD_EXISTS" = abi::status::EXISTS,
        "GMETAD_NOT_NOW" = abi::status::NOT_NOW,
        "GMETAD_FULL" = abi::status::FULL,
        "GMETAD_FATAL" = abi::level::FATAL,
        "GMETAD_CRITICAL" = abi::level::CRITICAL,
        "GMETAD_ERROR" = abi::level::ERROR,
        "GMETAD_WARNING" = abi::level::WARNING,
        "GMETAD_INFO" = abi::level::INFO,
        "GMETAD_DEBUG" = abi::level::DEBUG,
        "gmetad_node" = size_of::<abi::Node>() as i32,
    }
    layout!("gmetad_text" abi::Text: ptr, len);
    layout!("gmetad_directive" abi::Directive: name, value, file, line);
    layout!("gmetad_attribute" abi::Attribute: name, value);
    layout!("gmetad_update" abi::Update: size, up, source, interval, now);
    layout!("gmetad_summary" abi::Summary: size, hosts_up, hosts_down, metrics, first);
    layout!("gmetad_source" abi::Source: size, hosts, name, interval);
    layout!("gmetad_api" abi::Api: abi, size, version, log, fail, setting, setting_at, source_at,
        source_host_at, section, kind, parent, first, next, find, children, summary, set_hosts, get,
        number, value, attribute_at, set, set_number, set_value, add, remove, section_at, revision, hold, release, news, newest, newest_root,
        snapshot_top, snapshot_kind, snapshot_find, snapshot_children, snapshot_sums, snapshot_summary,
        snapshot_attribute, snapshot_attributes);
    layout!("gmetad_plugin" abi::Plugin: abi, size, id, create, start, notify, notify_root, stop,
        destroy, replaces);
    assert_eq!(header, rust);
}
