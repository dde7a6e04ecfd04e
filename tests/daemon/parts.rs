//! A gmetad built without some features: it runs, and reports directives without effect.

use std::process::Command;

use crate::support::{Gmetad, configure, gmetad, skipped};

/// Whether each part is built in, and a directive that needs it.
const PARTS: [(&str, bool, &str); 4] = [
    ("rrd", cfg!(feature = "rrd"), "write_rrds on"),
    (
        "export",
        cfg!(feature = "export"),
        "carbon_server 127.0.0.1",
    ),
    (
        "loader",
        cfg!(feature = "loader"),
        "plugins_dir /nonexistent",
    ),
    ("web", cfg!(feature = "web"), "web_port 0"),
];

/// The lines that say that a part is missing.
fn missing(text: &str) -> Vec<&str> {
    let is_about_parts = |line: &&str| line.contains("this gmetad was built without");
    text.lines().filter(is_about_parts).collect()
}

/// What a check says of those, and whether it finds them sound.
fn checked(directives: &str) -> (String, bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let conf = configure(folder.path(), directives);
    let output = gmetad().arg("-t").arg("-c").arg(conf).output();
    let output = output.expect("built");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (errors, output.status.success())
}

#[test]
fn the_check_warns_of_a_directive_whose_feature_is_not_built_in() {
    for (feature, is_built_in, directive) in PARTS {
        let (errors, is_sound) = checked(directive);
        assert!(is_sound, "{errors}");
        let name = directive.split(' ').next().expect("a word");
        let said = missing(&errors);
        if is_built_in {
            assert_eq!(said, [""; 0]);
            continue;
        }
        let [line] = said.as_slice() else {
            panic!("one line about {feature} in\n{errors}")
        };
        assert!(line.starts_with("gmetad: warn: "), "{line}");
        assert!(line.contains(&format!("; {name} ")), "{line}");
        let remedy = format!("use one that was built with the feature {feature}, ");
        assert!(line.contains(&remedy), "{line}");
    }
}

#[test]
fn a_url_that_needs_tls_is_refused_without_that_feature_and_the_rest_runs() {
    let section = "remote_write {\nurl https://store.example:443/write\n}";
    let told = "export remote_write is left out: ";
    let reason = "needs TLS, which this gmetad was built without; use one that was built with the \
                  feature tls, or http://";
    let is_refused = cfg!(all(feature = "export", not(feature = "tls")));
    let (errors, is_sound) = checked(section);
    assert_eq!(is_sound, !is_refused, "{errors}");
    assert_eq!(errors.contains(told), is_refused, "{errors}");
    assert_eq!(errors.contains(reason), is_refused, "{errors}");
    assert!(!is_refused || errors.contains("gmetad.conf:"), "{errors}");
}

#[test]
fn without_such_a_directive_there_is_no_warning() {
    let (errors, is_sound) = checked("gridname g");
    assert!(is_sound, "{errors}");
    assert_eq!(missing(&errors), [""; 0]);
}

#[test]
fn it_starts_and_serves_whichever_features_are_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let directives = PARTS.map(|(_, _, directive)| directive).join("\n");
    let gmetad = Gmetad::start(folder.path(), &directives);
    assert!(gmetad.document().contains("<GANGLIA_XML "));
    let left_out = PARTS.iter().filter(|(_, is_built_in, _)| !is_built_in);
    assert_eq!(missing(&gmetad.log()).len(), left_out.count());
    assert!(gmetad.end().success());
}

#[test]
fn with_a_static_librrd_no_graphics_library_is_loaded() {
    let name = "with_a_static_librrd_no_graphics_library_is_loaded";
    let compiler = Command::new("cc").arg("-print-file-name=librrd.a").output();
    let found = compiler.is_ok_and(|it| it.stdout.starts_with(b"/"));
    if !found {
        skipped(name, "there is no librrd.a here");
        return;
    }
    let listed = Command::new("ldd").arg(gmetad().get_program()).output();
    let listed = String::from_utf8(listed.expect("ldd belongs to libc").stdout).expect("text");
    assert!(listed.contains("libc.so"), "{listed}");
    for library in ["librrd.so", "libcairo", "libpango"] {
        assert!(!listed.contains(library), "{library} is loaded:\n{listed}");
    }
}

/// A plugin that loads GLib must get GLib's own: what librrd.a asks of it is stood in for (`src/rrd`).
#[test]
fn nothing_of_glib_is_offered_to_plugins() {
    let name = "nothing_of_glib_is_offered_to_plugins";
    let Ok(listed) = Command::new("nm")
        .arg("-D")
        .arg(gmetad().get_program())
        .output()
    else {
        return skipped(name, "there is no nm here (package binutils)");
    };
    let listed = String::from_utf8(listed.stdout).expect("text");
    assert!(listed.contains(" U "), "{listed}");
    let offered: Vec<&str> = listed
        .lines()
        .filter(|it| it.contains(" g_") && !it.contains(" U "))
        .collect();
    assert!(offered.is_empty(), "{offered:?}");
}
