//! Alerts, through the real binary: rules over what a scripted source says, programs that are run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::peers::{FakeSource, Script, document};
use crate::support::web::get;
use crate::support::{Gmetad, configure, gmetad, read, wait_for, wait_until};
use nix::sys::signal::Signal;

/// A cluster of one host with one metric.
fn cluster(host: &str, value: &str) -> Vec<u8> {
    let inside = format!(
        "<CLUSTER NAME=\"c\" LOCALTIME=\"1700000000\" OWNER=\"o\" LATLONG=\"\" URL=\"\">\n\
         <HOST NAME=\"{host}\" IP=\"192.0.2.7\" REPORTED=\"1700000000\" TN=\"1\" TMAX=\"20\" \
         DMAX=\"0\" LOCATION=\"\" GMOND_STARTED=\"1\">\n\
         <METRIC NAME=\"load_one\" VAL=\"{value}\" TYPE=\"float\" UNITS=\"per CPU\" TN=\"1\" \
         TMAX=\"70\" DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\"/>\n</HOST>\n</CLUSTER>\n"
    );
    document("gmond", &inside)
}

/// A program that keeps what it is given in `folder`, a file each time.
fn keeper(folder: &Path) -> String {
    let program = folder.join("keep");
    let text = format!(
        "#!/bin/sh\ncd '{}' || exit 1\n(printf 'arguments: %s\\n' \"$*\"; env; echo; cat) > \
         new.$$\n\
         mv new.$$ told.$(ls | grep -c '^told')\n",
        folder.display()
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program.display().to_string()
}

fn told(folder: &Path, number: usize) -> String {
    let file = folder.join(format!("told.{number}"));
    wait_for("a program to be run", || file.exists().then(|| read(&file)))
}

#[test]
#[cfg_attr(not(feature = "web"), ignore = "needs the feature web")]
fn the_first_page_shows_an_alert_for_as_long_as_it_is_active() {
    let folder = tempfile::tempdir().unwrap();
    let source = FakeSource::start(Script::Serve(cluster("web&lt;1&gt;", "7.5")));
    let directives = format!(
        "data_source s 1 127.0.0.1:{}\nalert {{\n\
         metricrule load_one \"$val > 5\" \"too busy\"\n}}",
        source.port()
    );
    let gmetad = Gmetad::start(folder.path(), &directives);
    let page = || get(gmetad.interactive(), "/ui/").text();
    let said = "too busy: load_one of web&lt;1&gt; in c is 7.5 per CPU";
    wait_until("the alert on the page", || page().contains(said));
    assert!(page().contains("1 active alert"));
    source.script(Script::Serve(cluster("web&lt;1&gt;", "4")));
    wait_until("the alert to be over", || !page().contains(said));
}

#[test]
fn a_command_is_run_when_an_alert_begins_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let source = FakeSource::start(Script::Serve(cluster("web$(id)1", "7.5")));
    let directives = format!(
        "data_source s 1 127.0.0.1:{}\ndebug_level 5\nalert {{\n\
         metricrule load_one \"$val > 5\" \"too busy\"\n\
         metricrule load_one \"$val > 5\" \"for ever\" for 100000\n\
         command \"{} --with 'an argument'\"\n}}",
        source.port(),
        keeper(folder.path())
    );
    let gmetad = Gmetad::start(folder.path(), &directives);
    let begin = told(folder.path(), 0);
    for line in [
        "arguments: --with an argument",
        "GMETAD_ALERT_EVENT=begin",
        "GMETAD_ALERT_CLUSTER=c",
        "GMETAD_ALERT_HOST=web$(id)1",
        "GMETAD_ALERT_IP=192.0.2.7",
        "GMETAD_ALERT_METRIC=load_one",
        "GMETAD_ALERT_VALUE=7.5",
        "GMETAD_ALERT_UNITS=per CPU",
        "GMETAD_ALERT_CONDITION=$val > 5",
        "GMETAD_ALERT_MESSAGE=too busy",
        "event: begin",
        "host: web$(id)1",
        "value: 7.5",
    ] {
        assert!(begin.lines().any(|it| it == line), "{line} in\n{begin}");
    }
    gmetad.wait_for_line("alert: too busy: load_one of web$(id)1 in c is 7.5 per CPU");
    source.wait_for_polls(2);
    source.script(Script::Serve(cluster("web$(id)1", "4")));
    let over = told(folder.path(), 1);
    assert!(over.contains("GMETAD_ALERT_EVENT=over\n"), "{over}");
    assert!(over.contains("GMETAD_ALERT_VALUE=4\n"), "{over}");
    source.wait_for_polls(2);
    assert!(gmetad.end().success());
    assert!(!folder.path().join("told.2").exists(), "each is told once");
}

#[test]
fn mail_is_sent_through_sendmail() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = "web1&#10;Bcc: all@example.com";
    let source = FakeSource::start(Script::Serve(cluster(hostile, "7.5")));
    let directives = format!(
        "data_source s 1 127.0.0.1:{}\nalert {{\nsendmailpath \"{}\"\n\
         toaddress admin@example.com\nfromaddress gmetad@example.com\n\
         metricrule load_one \"$val > 5\" \"too busy\"\n}}",
        source.port(),
        keeper(folder.path())
    );
    let gmetad = Gmetad::start(folder.path(), &directives);
    let mail = told(folder.path(), 0);
    let arguments = "arguments: -i -f gmetad@example.com admin@example.com\n";
    assert!(mail.starts_with(arguments), "{mail}");
    assert!(mail.contains("\nTo: admin@example.com\n"), "{mail}");
    assert!(
        mail.contains("\nSubject: [gmetad] too busy: load_one of web1"),
        "{mail}"
    );
    assert!(!mail.contains("\nBcc:"), "{mail}");
    assert!(gmetad.end().success());
}

/// Those of all of its threads, zombies included.
fn children(gmetad: &Gmetad) -> String {
    let threads = fs::read_dir(format!("/proc/{}/task", gmetad.pid())).unwrap();
    threads
        .map(|thread| read(&thread.unwrap().path().join("children")))
        .collect()
}

#[test]
fn a_program_that_hangs_is_killed_and_leaves_no_zombie() {
    let folder = tempfile::tempdir().unwrap();
    let source = FakeSource::start(Script::Serve(cluster("a", "7.5")));
    let directives = format!(
        "data_source s 1 127.0.0.1:{}\nalert {{\nrun_timeout 1\n\
         command \"/bin/sh -c 'exec sleep 1000'\"\nmetricrule load_one \"$val > 5\" \"busy\"\n}}",
        source.port()
    );
    let gmetad = Gmetad::start(folder.path(), &directives);
    wait_until("the program to be killed", || {
        gmetad.log().contains("alert: /bin/sh was killed after 1 s")
    });
    wait_until("no child to be left", || children(&gmetad).is_empty());
    source.wait_for_polls(1);
    assert!(gmetad.end().success());
}

/// A cluster of one host, `web1`, with these metrics: name, value, type.
fn host_with(metrics: &[(&str, &str, &str)]) -> Vec<u8> {
    let metric = |(name, value, kind): &(&str, &str, &str)| {
        format!(
            "<METRIC NAME=\"{name}\" VAL=\"{value}\" TYPE=\"{kind}\" UNITS=\"\" TN=\"1\" \
             TMAX=\"70\" DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\"/>\n"
        )
    };
    let inside = format!(
        "<CLUSTER NAME=\"c\" LOCALTIME=\"1700000000\" OWNER=\"o\" LATLONG=\"\" URL=\"\">\n\
         <HOST NAME=\"web1\" IP=\"192.0.2.7\" REPORTED=\"1700000000\" TN=\"1\" TMAX=\"20\" \
         DMAX=\"0\" LOCATION=\"\" GMOND_STARTED=\"1\">\n{}</HOST>\n</CLUSTER>\n",
        metrics.iter().map(metric).collect::<String>()
    );
    document("gmond", &inside)
}

#[test]
fn rules_written_for_gmetad_python_work_and_unsupported_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let source = FakeSource::start(Script::Serve(host_with(&[
        ("load_one", "-6", "float"),
        ("mem_free", "8192", "float"),
        ("os_name", "HP-UX", "string"),
        ("cpu_num", "2", "uint16"),
        ("load_five", "9", "float"),
        ("bytes_in", "9", "float"),
    ])));
    let text = include_str!("../data/conf/alert_python_conditions.conf");
    // No mail is sent.
    let text = text
        .replace(
            "\"x\" localhost",
            &format!("\"x\" 1 127.0.0.1:{}", source.port()),
        )
        .replace("toaddress \"a@example.org\"", "");
    let gmetad = Gmetad::start(folder.path(), &text);
    for said in [
        "high: load_one",
        "low: mem_free",
        "os: os_name",
        "few: cpu_num",
    ] {
        gmetad.wait_for_line(&format!("alert: {said} of web1 in c is"));
    }
    let log = gmetad.log();
    for (said, caret) in [
        (
            "metricrule is incomplete: a \"message\" is missing",
            "    load_five \"$val > 5\"|                        ^",
        ),
        (
            "metricrule bytes_in: the condition must be in quotes, as in \"$val > 5\"",
            "    $val>5|    ^",
        ),
    ] {
        assert!(log.contains(said), "{said} in\n{log}");
        for line in caret.split('|') {
            assert!(log.lines().any(|it| it.ends_with(line)), "{line} in\n{log}");
        }
    }
    let health = gmetad.query("GET /healthz HTTP/1.0\r\n\r\n");
    assert!(health.starts_with("HTTP/1.0 503 "), "{health}");
    let named = health.matches("a rule of the section alert is left out: ");
    assert_eq!(named.count(), 2, "{health}");
    gmetad.signal(Signal::SIGHUP);
    gmetad.wait_for_line("configuration reloaded");
    let again = gmetad
        .log()
        .matches("the condition must be in quotes")
        .count();
    assert_eq!(again, 2, "once at the start, once at the reload");
    assert!(
        !gmetad.log().contains("load_five of web1"),
        "it is left out"
    );
    assert!(gmetad.end().success());
}

#[test]
#[cfg_attr(not(feature = "loader"), ignore = "needs the feature loader")]
fn a_section_of_another_plugin_does_not_prevent_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let source = FakeSource::start(Script::Serve(host_with(&[("load_one", "6", "float")])));
    let text = include_str!("../data/conf/alert_section_of_a_third_party.conf")
        .replace(
            "\"x\" localhost",
            &format!("\"x\" 1 127.0.0.1:{}", source.port()),
        )
        .replace("rrd_rootdir \"/tmp\"", "");
    let gmetad = Gmetad::start(folder.path(), &text);
    gmetad.wait_for_line("alert: high: load_one of web1 in c is 6");
    for said in [
        "unknown directive storeimp in section alert is ignored",
        "unknown directive storecfg in section alert is ignored",
        "unknown directive rrdstore_imp in section rrd is ignored",
        "/nowhere/plugins",
    ] {
        assert!(gmetad.log().contains(said), "{said} in\n{}", gmetad.log());
    }
    assert!(gmetad.end().success());
}

#[test]
fn a_rule_that_cannot_be_evaluated_is_reported_once_with_the_reason_and_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let source = FakeSource::start(Script::Serve(cluster("web1", "7")));
    let directives = format!(
        "data_source s 1 127.0.0.1:{}\nalert {{\nmetricrule load_one \"'$val' > 5\" \"text\"\n\
         metricrule load_one \"$val / 0 > 5\" \"zero\"\n\
         metricrule load_one \"$val > 5\" \"busy\"\n}}",
        source.port()
    );
    let gmetad = Gmetad::start(folder.path(), &directives);
    gmetad.wait_for_line("alert: busy: load_one of web1 in c is 7");
    source.wait_for_polls(3);
    let log = gmetad.log();
    for said in [
        "alert: '$val' > 5 cannot be evaluated (a string and a number cannot be ordered; in quotes, \
         $val is a string): load_one of web1 in c is \"7\"; ",
        "alert: $val / 0 > 5 cannot be evaluated (division by zero): load_one of web1 in c is \"7\"; ",
    ] {
        assert_eq!(log.matches(said).count(), 1, "{said} in\n{log}");
    }
    assert!(
        !log.contains("alert: text:") && !log.contains("alert: zero:"),
        "{log}"
    );
    assert!(gmetad.end().success());
}

#[test]
fn a_condition_that_cannot_be_read_is_a_configuration_error_with_a_caret() {
    let folder = tempfile::tempdir().unwrap();
    let conf = configure(
        folder.path(),
        "data_source s 127.0.0.1\nalert {\nmetricrule load_one \"$val >> 5\" \"busy\"\n}",
    );
    let text = read(&conf);
    let before = text.lines().take_while(|it| !it.starts_with("metricrule"));
    let line = 1 + before.count();
    let output = gmetad().arg("-t").arg("-c").arg(&conf).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = format!(
        "gmetad: warn: {}:{line}: metricrule load_one: a value is missing here, such as $val or 5; \
         this rule is left out\n    $val >> 5\n          ^\n",
        conf.display()
    );
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn mass_alerts_are_logged_as_a_count_and_each_program_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = |value: &str| {
        let host = |at: usize| {
            format!(
                "<HOST NAME=\"web{at}\" IP=\"192.0.2.7\" REPORTED=\"1700000000\" TN=\"1\" \
                 TMAX=\"20\" DMAX=\"0\" LOCATION=\"\" GMOND_STARTED=\"1\">\n<METRIC \
                 NAME=\"load_one\" VAL=\"{value}\" TYPE=\"float\" UNITS=\"\" TN=\"1\" TMAX=\"70\" \
                 DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\"/>\n</HOST>\n"
            )
        };
        let hosts: String = (0..500).map(host).collect();
        let inside = format!(
            "<CLUSTER NAME=\"c\" LOCALTIME=\"1700000000\" OWNER=\"o\" LATLONG=\"\" URL=\"\">\n\
             {hosts}</CLUSTER>\n"
        );
        document("gmond", &inside)
    };
    let source = FakeSource::start(Script::Serve(hosts("7")));
    let program = folder.path().join("count");
    let text = format!(
        "#!/bin/sh\necho >> '{}/count.txt'\n",
        folder.path().display()
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let directives = format!(
        "data_source s 1 127.0.0.1:{}\nalert {{\n\
         metricrule load_one \"$val > 5\" \"too busy\"\ncommand \"{}\"\n}}",
        source.port(),
        program.display()
    );
    let gmetad = Gmetad::start(folder.path(), &directives);
    gmetad.wait_for_line("alert: 470 more began, ended or were gone");
    for value in ["4", "7", "4", "7"] {
        source.script(Script::Serve(hosts(value)));
        source.wait_for_polls(2);
    }
    let lines = gmetad
        .log()
        .lines()
        .filter(|it| it.contains("load_one"))
        .count();
    assert!(lines <= 32, "{lines}");
    wait_until("a program for each of the first 500", || {
        let counted = folder.path().join("count.txt");
        counted.exists() && read(&counted).lines().count() >= 500
    });
}
