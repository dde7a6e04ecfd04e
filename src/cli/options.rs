//! The options: one table for the parser and for the text of `--help`.

use super::DEFAULT_CONF;

/// The option that runs a plugin over one document.
pub(super) const TEST_PLUGIN: &str = "test-plugin";

/// The option that cuts from RRD files what is ahead of now.
pub(super) const HEAL: &str = "heal-rrds";

/// Column at which descriptions begin.
const TEXT_COLUMN: usize = 31;

/// An option.
struct Entry {
    /// Its letter; empty where it has none.
    short: &'static str,
    long: &'static str,
    /// What its value is called; empty where it takes none.
    value: &'static str,
    /// What it does, broken into lines; empty for another spelling of an option that has a text.
    text: &'static str,
}

const fn entry(
    short: &'static str,
    long: &'static str,
    value: &'static str,
    text: &'static str,
) -> Entry {
    Entry {
        short,
        long,
        value,
        text,
    }
}

const INTRODUCTION: &str = "\
Usage: gmetad [OPTION]...

Polls gmonds and other gmetads, serves their newest metrics as XML, as JSON and
to Prometheus, and stores them in RRD files. It detaches and runs as a daemon,
unless an option says otherwise. Options win over the configuration file.
";

const CLOSING: &str = "
Signals: SIGHUP reads the configuration again and reopens the log file, SIGTERM
stops the daemon, SIGUSR1 logs its status.
Exit codes are listed in gmetad(8), directives in gmetad.conf(5).
";

const GROUPS: [(&str, &[Entry]); 3] = [
    (
        "Running",
        &[
            entry(
                "c",
                "conf",
                "FILE",
                "read this configuration file\n(default: {conf})",
            ),
            entry(
                "f",
                "foreground",
                "",
                "do not detach, and log to the terminal as well",
            ),
            entry(
                "d",
                "debug",
                "LEVEL",
                "log everything up to this level: 0 fatal,\n\
                 1 critical, 2 error (default), 3 warning,\n\
                 4 info, 5 debug; 5 and over imply -f",
            ),
            entry("l", "logfile", "FILE", "log to FILE as well as to syslog"),
            entry(
                "p",
                "pid_file",
                "FILE",
                "write the process ID to FILE\n(--pid-file is the same)",
            ),
            entry("", "pid-file", "FILE", ""),
            entry(
                "x",
                "xml_port",
                "PORT",
                "serve the whole XML document on PORT\n(default: 8651)",
            ),
            entry(
                "i",
                "interactive_port",
                "PORT",
                "answer queries by path, and HTTP, on PORT\n(default: 8652)",
            ),
        ],
    ),
    (
        "Checking and trying out, without a daemon",
        &[
            entry(
                "t",
                "test-config",
                "",
                "check the configuration, and whether a start\n\
                 with it would succeed on this machine; print\n\
                 the values in force",
            ),
            entry(
                "",
                "print-config",
                "",
                "print the values in force as a configuration\n\
                 file, each with where it comes from",
            ),
            entry(
                "",
                "once",
                "",
                "poll every source once, store what comes, and\n\
                 print a line for each; the exit code is the\n\
                 number of sources that failed",
            ),
            entry(
                "",
                HEAL,
                "",
                "cut what is ahead of now from the RRD files of\n\
                 rrd_rootdir, or from the files and folders named\n\
                 behind it, so that they take values again; not\n\
                 while a gmetad runs",
            ),
            entry(
                "",
                TEST_PLUGIN,
                "FILE",
                "load this plugin, show it one document, and\n\
                 print what it logs and changes, and its times",
            ),
            entry(
                "",
                "input",
                "FILE",
                "the saved document for --test-plugin\n(default: poll a data_source once)",
            ),
        ],
    ),
    (
        "Information",
        &[
            entry(
                "V",
                "version",
                "",
                "print the version and the parts built in",
            ),
            entry("h", "help", "", "print this text"),
        ],
    ),
];

/// The options for the parser. Each may be given several times.
pub(super) fn known() -> getopts::Options {
    let mut options = getopts::Options::new();
    for it in GROUPS.iter().flat_map(|(_, entries)| *entries) {
        if it.value.is_empty() {
            options.optflagmulti(it.short, it.long, "");
        } else {
            options.optmulti(it.short, it.long, "", it.value);
        }
    }
    options
}

/// The text of `--help`, no line longer than a terminal of 80 columns.
pub(super) fn help() -> String {
    let mut help = String::from(INTRODUCTION);
    for (title, entries) in GROUPS {
        help.extend(["\n", title, ":\n"]);
        for entry in entries.iter().filter(|entry| !entry.text.is_empty()) {
            add(&mut help, entry);
        }
    }
    help + CLOSING
}

fn add(help: &mut String, entry: &Entry) {
    let name = match entry.short {
        "" => format!("      --{} {}", entry.long, entry.value),
        short => format!("  -{short}, --{} {}", entry.long, entry.value),
    };
    let name = name.trim_end();
    let text = entry.text.replace("{conf}", DEFAULT_CONF);
    let mut column = name.len();
    help.push_str(name);
    if column + 2 > TEXT_COLUMN {
        help.push('\n');
        column = 0;
    }
    for line in text.lines() {
        help.extend(std::iter::repeat_n(' ', TEXT_COLUMN - column));
        help.extend([line, "\n"]);
        column = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{ACCESS_OPTION, TRIAL_OPTION};
    use super::*;

    #[test]
    fn help_fits_a_terminal_and_names_every_option_but_those_not_for_persons() {
        let help = help();
        for line in help.lines() {
            assert!(line.len() < 80 && line.trim_end() == line, "{line}");
        }
        for entry in GROUPS.iter().flat_map(|(_, entries)| *entries) {
            let long = format!("--{}", entry.long);
            assert!(help.contains(&long), "{long} is missing in\n{help}");
            let short = format!("  -{}, {long} {}", entry.short, entry.value);
            assert!(entry.short.is_empty() || help.contains(short.trim_end()));
        }
        for hidden in [TRIAL_OPTION, ACCESS_OPTION] {
            assert!(!help.contains(hidden), "{hidden}");
        }
    }
    /// The long options that a shell completes.
    fn completed(text: &str, before: &str) -> BTreeSet<String> {
        let names = text.split(before).skip(1).map(|rest| {
            let end = rest.find(|it: char| !it.is_ascii_alphanumeric() && !"-_".contains(it));
            rest[..end.unwrap_or(rest.len())].to_owned()
        });
        names.filter(|name| !name.is_empty()).collect()
    }

    #[test]
    fn each_shell_completes_the_options_of_help_and_no_others() {
        let entries = || GROUPS.iter().flat_map(|(_, entries)| *entries);
        let all: BTreeSet<String> = entries().map(|entry| entry.long.into()).collect();
        let bash = include_str!("../../contrib/completions/gmetad.bash");
        let zsh = include_str!("../../contrib/completions/_gmetad");
        let fish = include_str!("../../contrib/completions/gmetad.fish");
        assert_eq!(completed(bash, "--"), all);
        assert_eq!(completed(zsh, "--"), all);
        assert_eq!(completed(fish, " -l "), all);
        for short in entries()
            .map(|entry| entry.short)
            .filter(|it| !it.is_empty())
        {
            assert!(bash.contains(&format!(" -{short}")), "bash: -{short}");
            assert!(zsh.contains(&format!("{{-{short},")), "zsh: -{short}");
            assert!(fish.contains(&format!(" -s {short} ")), "fish: -{short}");
        }
    }
}
