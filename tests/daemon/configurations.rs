//! Odd configurations that run on C gmetad or gmetad-python: each
//! starts, with its warning.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::SystemTime;

use crate::support::peers::{CGmetad, FakeSource, Script, available, document, program, text};
use crate::support::{Gmetad, configure, wait_until};
use tempfile::TempDir;

/// Files of tests/data/conf, and the warning about each: line of the file, text.
const ODD: [(&str, usize, &str); 8] = [
    (
        "data_source_commas.conf",
        1,
        "data_source: commas are read as spaces",
    ),
    (
        "data_source_twice.conf",
        2,
        "data_source \"x\" is given twice",
    ),
    ("quote_doubled.conf", 2, "a quote is doubled"),
    ("quote_not_closed.conf", 2, "a quote is not closed"),
    (
        "rras_in_one_string.conf",
        3,
        "RRAs: several values in one pair of quotes",
    ),
    (
        "trusted_hosts_commas.conf",
        2,
        "trusted_hosts: commas are read as spaces",
    ),
    ("trusted_hosts_empty.conf", 2, "trusted_hosts has no value"),
    (
        "unsummarized_empty.conf",
        2,
        "unsummarized_metrics has no value",
    ),
];

fn data(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/conf");
    fs::read_to_string(file.join(name)).expect("part of the tests")
}

/// The output of `-t` for a configuration.
fn checked(directives: &str) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let conf = configure(folder.path(), directives);
    let test = crate::support::gmetad()
        .args(["-t", "-c"])
        .arg(conf)
        .output();
    test.expect("the binary was built")
}

#[test]
fn odd_but_harmless_configurations_start_with_a_warning() {
    for (name, line, said) in ODD {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let gmetad = Gmetad::start(folder.path(), &data(name));
        // Behind the lines that every test begins with.
        let shown = gmetad.wait_for_line(said);
        assert!(
            shown.contains(&format!("gmetad.conf:{}: ", line + 5)),
            "{name}: {shown}"
        );
        assert!(gmetad.end().success(), "{name}");
        let output = checked(&data(name));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{name}: {errors}");
        assert!(
            errors.contains("gmetad: warn: ") && errors.contains(said),
            "{name}: {errors}"
        );
    }
}

#[test]
fn the_configuration_for_containers_is_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/compose");
    let conf = folder.join("gmetad.conf");
    let output = crate::support::gmetad()
        .arg("-t")
        .arg("-c")
        .arg(&conf)
        .output();
    let output = output.expect("the binary was built");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(!errors.contains("is left out"), "{errors}");
    // The other services ask where it listens.
    let config = String::from_utf8_lossy(&output.stdout);
    assert!(config.contains("interactive_port     8652 "), "{config}");
    let file = |name: &str| fs::read_to_string(folder.join(name)).expect("it is there");
    let sources = file("grafana/datasources/gmetad.yaml");
    assert!(
        sources.contains("url: http://gmetad:8652/graphite\n"),
        "{sources}"
    );
    let services = file("compose.yaml");
    for of in ["gmond:", "gmetad:", "victoriametrics:", "grafana:"] {
        assert!(services.contains(&format!("\n  {of}\n")), "{of}");
    }
}

#[test]
fn configurations_that_must_not_run_are_refused() {
    for (line, said) in [
        (
            "data_source \"x\" h:port, localhost",
            "\"h:port\" is not a port",
        ),
        (
            "data_source \"x\" h:65536 localhost",
            "\"h:65536\" is not a port",
        ),
        (
            "data_source \"x\" a\ndata_source \"x\" b",
            "\"x\" is already defined",
        ),
        (
            "data_source \"x\" 10 a\ndata_source \"x\" a",
            "\"x\" is already defined",
        ),
        ("xml_port", "xml_port has no value"),
        ("xml_port 8651 8652", "remove the extra \"8652\""),
        ("interactive_port many", "\"many\" is not a port"),
        (
            "trusted_hosts 10.0.0.0/99, 10.0.0.1",
            "\"10.0.0.0/99\" is not a block",
        ),
        (
            "RRAs \"RRA:AVERAGE:0.5:1:x RRA:AVERAGE:0.5:1:1\"",
            "has no usable STEPS or ROWS",
        ),
    ] {
        let output = checked(line);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{line}: {errors}");
        assert!(errors.contains(said), "{line}: {errors}");
    }
}

#[test]
fn line_endings_tabs_a_byte_order_mark_and_latin_1_are_accepted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let conf = folder.path().join("gmetad.conf");
    let bytes =
        b"\xef\xbb\xbfgridname\t\"Z\xfcrich\"\r\n\r\ndata_source\t\"s\"\t1\tlocalhost\t\r\n";
    fs::write(&conf, bytes).expect("our own folder");
    let test = crate::support::gmetad()
        .args(["-t", "-c"])
        .arg(conf)
        .output();
    let output = test.expect("the binary was built");
    let (shown, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{errors}");
    // There may be warnings about the machine.
    assert!(!errors.contains("gmetad.conf:"), "{errors}");
    assert!(shown.contains("\"Z\u{fc}rich\""), "{shown}");
    assert!(
        shown.contains("\"s\" every 1 s from localhost:8649"),
        "{shown}"
    );
}

#[test]
fn the_effective_configuration_is_printed_with_its_origins_and_can_be_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("more.conf"), "gridname \"My Grid\"\n").expect("our own folder");
    let directives = "data_source \"s\" 20 localhost\nInclude more.conf\n\
                      rrd {\n write_timeout 30 # s\n}\nmine {\n key  \"a # b\" # c\n}";
    let conf = configure(folder.path(), directives);
    let print = |conf: &Path, options: &[&str]| {
        let mut command = crate::support::gmetad();
        command
            .args(["--print-config", "-c"])
            .arg(conf)
            .args(options);
        let output = command.output().expect("the binary was built");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let printed = print(&conf, &["-d", "4"]);
    let (conf, more) = (conf.display(), folder.path().join("more.conf"));
    for line in [
        format!("data_source \"s\" 20 localhost:8649  # {conf}:6"),
        format!("gridname \"My Grid\"  # {}:1", more.display()),
        "debug_level 4  # command line".into(),
        "scalable on  # default".into(),
        format!("# {conf}:9\n  write_timeout 30 # s"),
        format!("# {conf}:12\n  key \"a # b\" # c"),
    ] {
        assert!(
            printed.contains(&(line.clone() + "\n")),
            "{line} in:\n{printed}"
        );
    }
    // Read back it is the same, except for its origin.
    let again = folder.path().join("again.conf");
    fs::write(&again, &printed).expect("our own folder");
    let without_places = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with("# "));
        let values = lines.map(|line| match line.split_once("  # ") {
            Some((value, _)) if !line.starts_with(' ') => value,
            _ => line,
        });
        values.map(String::from).collect::<Vec<_>>()
    };
    let printed_again = print(&again, &[]);
    assert_eq!(without_places(&printed_again), without_places(&printed));
    assert!(!printed_again.contains("command line"), "{printed_again}");
    assert_eq!(checked(&printed).status.code(), Some(0));

    let wrong = configure(folder.path(), "data_source");
    let output = crate::support::gmetad()
        .args(["--print-config", "-c"])
        .arg(wrong)
        .output();
    let output = output.expect("the binary was built");
    assert_eq!(
        (output.status.code(), text(&output.stdout).as_str()),
        (Some(78), "")
    );
}

#[test]
#[cfg_attr(not(feature = "rrd"), ignore = "needs the feature rrd")]
fn new_files_have_the_archives_of_the_daemon_that_the_configuration_is_from() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs();
    let inside = format!(
        "<CLUSTER NAME=\"C\" LOCALTIME=\"{now}\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n\
         <HOST NAME=\"h\" IP=\"10.0.0.1\" REPORTED=\"{now}\" TN=\"1\" TMAX=\"20\" DMAX=\"0\">\n\
         <METRIC NAME=\"m\" VAL=\"1\" TYPE=\"float\" UNITS=\"\" TN=\"1\" TMAX=\"60\" DMAX=\"0\" \
         SLOPE=\"both\"/>\n</HOST>\n</CLUSTER>\n"
    );
    let source = FakeSource::start(Script::Serve(document("gmond", &inside)));
    let plugins = tempfile::tempdir().expect("a temporary folder");
    let plugins_dir = format!("plugins_dir {}", plugins.path().display());
    for (directives, rows) in [
        (String::new(), 5856 + 20160 + 52704),
        ("rrd {\n write_timeout 0\n}".into(), 5856 + 20160 + 52704),
        (format!("{plugins_dir}\nrrd {{\n}}"), 4 * 244 + 374),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let polled = format!("data_source \"s\" 1 127.0.0.1:{}\n", source.port());
        let gmetad = Gmetad::start(folder.path(), &(polled + &directives));
        let file = folder.path().join("rrds/C/h/m.rrd");
        wait_until("a file", || {
            fs::metadata(&file).is_ok_and(|it| {
                // All rows of its only data source, and a header.
                it.len() / 8 >= rows && it.len() / 8 < rows + 500
            })
        });
        assert!(gmetad.end().success());
        assert!(!gmetad_says_others(&folder, &directives), "{directives}");
        let others = directives + "\nRRAs RRA:LAST:0.5:1:7";
        assert!(gmetad_says_others(&folder, &others), "{others}");
    }
}

/// Whether `-t` and a start report that new files get other archives.
fn gmetad_says_others(folder: &TempDir, directives: &str) -> bool {
    let said = "RRAs differ from those of existing files: ";
    let conf = configure(folder.path(), directives);
    let test = crate::support::gmetad()
        .args(["-t", "-c"])
        .arg(conf)
        .output();
    let checked = text(&test.expect("the binary was built").stderr).contains(said);
    let gmetad = Gmetad::start(folder.path(), directives);
    let started = gmetad.log().contains(said);
    assert_eq!(checked, started, "-t and a start say the same");
    started
}

#[test]
fn c_gmetad_needs_data_source_in_lower_case_and_takes_the_rest_in_any_case() {
    let name = "c_gmetad_needs_data_source_in_lower_case_and_takes_the_rest_in_any_case";
    if !available(name, &["gmetad"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let conf = folder.path().join("gmetad.conf");
    fs::write(&conf, "DATA_SOURCE \"x\" localhost\nsetuid off\n").expect("our own folder");
    let output = Command::new(program("gmetad"))
        .arg("-c")
        .arg(&conf)
        .args(["-d", "1"])
        .output()
        .expect("it is there");
    let said = text(&output.stderr) + &text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("doesn't have any data sources specified"),
        "{said}"
    );

    let inside = "<CLUSTER NAME=\"C\" LOCALTIME=\"1700000000\" OWNER=\"\" LATLONG=\"\" \
                  URL=\"\">\n</CLUSTER>\n";
    let source = FakeSource::start(Script::Serve(document("gmond", inside)));
    let other = FakeSource::start(Script::Serve(document(
        "gmond",
        &inside.replace("\"C\"", "\"D\""),
    )));
    let more = format!(
        "DATA_SOURCE \"D\" 1 127.0.0.1:{}\nGRIDNAME Other",
        other.port()
    );
    let gmetad = CGmetad::start("Grid", &[("C", 1, source.port())], &more);
    gmetad.wait_for("/", "<GRID NAME=\"Other\"");
    other.wait_for_polls(1);
}
