//! The command line: arguments in, what was asked for out.
//!
//! Starts and prints nothing: `main` does that with the answer. The options are in `options`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use gmetad_config::Overrides;
use thiserror::Error;

use crate::plugins::parts;
use crate::plugins::parts::loader::TRIAL_OPTION;
use options::{HEAL, TEST_PLUGIN};

mod options;

/// Configuration file when `-c` names none.
pub const DEFAULT_CONF: &str = "/etc/ganglia/gmetad.conf";

/// Makes the process become a user, ask the system what that user may do, and exit.
pub const ACCESS_OPTION: &str = "--access-check";

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Run, or with [`Options::test_config`] check and print what would run.
    Run(Options),
    /// Print the configuration in force as a configuration file.
    PrintConfig(Options),
    /// Cut what is ahead of now from these files and folders of round-robin files; from the
    /// configured ones, if there are none.
    Heal(Options, Vec<PathBuf>),
    /// Show a plugin one document and print what it does.
    Rehearse(Options, Rehearsal),
    /// Print this to standard output and exit with 0: the help or the version.
    Print(String),
}

/// Options of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The configuration file, absolute, since a daemon leaves the folder it was started in.
    pub conf: PathBuf,
    /// Whether it was named, or is the default.
    pub conf_is_given: bool,
    /// Check the configuration, print what would run, exit.
    pub test_config: bool,
    /// Poll every source once, print the outcome, exit.
    pub once: bool,
    /// Options that win over the file.
    pub overrides: Overrides,
}

/// What `--test-plugin` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// The plugin.
    pub plugin: PathBuf,
    /// A document that was saved; `None`: the first source that answers is polled once.
    pub input: Option<PathBuf>,
}

/// What is wrong with the command line; for standard error.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UsageError {
    /// An option that does not exist, or lacks its value.
    #[error("{0}; gmetad --help lists the options")]
    Option(String),
    /// A value that its option cannot take.
    #[error("-{option} \"{value}\" is not {expected}")]
    Value {
        /// The option, without its first dash.
        option: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A word that belongs to no option.
    #[error("unexpected argument \"{0}\"; gmetad --help lists the options")]
    Stray(String),
}

/// Reads the arguments, without the program's own name.
///
/// An option given twice counts as given last, so that an init script can append one.
pub fn parse<I>(arguments: I) -> Result<Request, UsageError>
where
    I: IntoIterator<Item = OsString>,
{
    let matches = options::known()
        .parse(arguments)
        .map_err(|error| UsageError::Option(error.to_string()))?;
    if matches.opt_present("h") {
        return Ok(Request::Print(options::help()));
    }
    if matches.opt_present("V") {
        return Ok(Request::Print(version()));
    }
    let heals = matches.opt_present(HEAL);
    if let Some(stray) = matches.free.first().filter(|_| !heals) {
        return Err(UsageError::Stray(stray.clone()));
    }
    let last = |name: &str| matches.opt_strs(name).pop();
    let pid_file = last("p").or_else(|| last("pid-file"));
    let once = matches.opt_present("once");
    let options = Options {
        conf: file("c", &last("c").unwrap_or_else(|| DEFAULT_CONF.into()))?,
        conf_is_given: matches.opt_present("c"),
        test_config: matches.opt_present("t"),
        once,
        overrides: Overrides {
            debug_level: last("d").map(|value| level(&value)).transpose()?,
            foreground: once || matches.opt_present("f"),
            pid_file: pid_file.map(|value| file("p", &value)).transpose()?,
            logfile: last("l").map(|value| file("l", &value)).transpose()?,
            interactive_port: last("i").map(|value| port("i", value)).transpose()?,
            xml_port: last("x").map(|value| port("x", value)).transpose()?,
        },
    };
    if heals {
        let places = matches.free.iter().map(|place| file("-heal-rrds", place));
        return Ok(Request::Heal(options, places.collect::<Result<_, _>>()?));
    }
    let input = last("input")
        .map(|value| file("-input", &value))
        .transpose()?;
    match last(TEST_PLUGIN) {
        Some(plugin) => {
            let plugin = file("-test-plugin", &plugin)?;
            Ok(Request::Rehearse(options, Rehearsal { plugin, input }))
        }
        None if input.is_some() => Err(UsageError::Option(
            "--input is only used with --test-plugin".into(),
        )),
        None if matches.opt_present("print-config") => Ok(Request::PrintConfig(options)),
        None => Ok(Request::Run(options)),
    }
}

/// The library to load on trial, and the file it was asked for: an option that one gmetad gives to
/// another and no person needs.
pub fn plugin_to_try<I>(arguments: I) -> Option<[PathBuf; 2]>
where
    I: Iterator<Item = OsString>,
{
    behind(TRIAL_OPTION, arguments)
}

/// The user, the need and the path that root's `gmetad -t` has another gmetad ask about as that
/// user: an option that no person needs.
pub fn access_to_ask<I>(arguments: I) -> Option<[PathBuf; 3]>
where
    I: Iterator<Item = OsString>,
{
    behind(ACCESS_OPTION, arguments)
}

/// The arguments behind an option that comes first, if there are exactly so many.
fn behind<const COUNT: usize>(
    option: &str,
    mut arguments: impl Iterator<Item = OsString>,
) -> Option<[PathBuf; COUNT]> {
    if arguments.nth(1)? != option {
        return None;
    }
    let rest: Vec<PathBuf> = arguments.take(COUNT + 1).map(PathBuf::from).collect();
    rest.try_into().ok()
}

fn version() -> String {
    format!("gmetad {}\n{}", env!("CARGO_PKG_VERSION"), parts::listed())
}

/// Levels over 255 are the same as 255.
fn level(value: &str) -> Result<u8, UsageError> {
    match value.parse::<u32>() {
        Ok(level) => Ok(u8::try_from(level).unwrap_or(u8::MAX)),
        Err(_) => Err(UsageError::Value {
            option: "d",
            value: value.into(),
            expected: "a level; levels are 0 fatal, 1 critical, 2 error, 3 warning, 4 info, 5 debug",
        }),
    }
}

fn port(option: &'static str, value: String) -> Result<u16, UsageError> {
    value.parse().map_err(|_| UsageError::Value {
        option,
        value,
        expected: "a port; ports are 1 to 65535, or 0 for one that the system chooses",
    })
}

fn file(option: &'static str, value: &str) -> Result<PathBuf, UsageError> {
    std::path::absolute(Path::new(value)).map_err(|_| UsageError::Value {
        option,
        value: value.into(),
        expected: "the name of a file",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Result<Request, UsageError> {
        parse(arguments.iter().map(OsString::from))
    }

    fn run(arguments: &[&str]) -> Options {
        match asked(arguments) {
            Ok(Request::Run(options)) => options,
            other => panic!("{arguments:?} gave {other:?}"),
        }
    }

    fn refusal(arguments: &[&str]) -> String {
        asked(arguments).expect_err("refused").to_string()
    }

    #[test]
    fn without_arguments_the_stock_file_is_run_as_it_says() {
        let options = run(&[]);
        assert_eq!(options.conf, Path::new("/etc/ganglia/gmetad.conf"));
        assert!(!options.test_config);
        assert_eq!(options.overrides, Overrides::default());
    }

    #[test]
    fn every_short_option_is_read() {
        let options = run(&[
            "-c", "/a.conf", "-d", "4", "-f", "-p", "/p", "-l", "/l", "-i", "1", "-x", "0", "-t",
        ]);
        assert_eq!(options.conf, Path::new("/a.conf"));
        assert!(options.test_config);
        assert_eq!(
            options.overrides,
            Overrides {
                debug_level: Some(4),
                foreground: true,
                pid_file: Some("/p".into()),
                logfile: Some("/l".into()),
                interactive_port: Some(1),
                xml_port: Some(0),
            }
        );
    }

    #[test]
    fn what_is_to_be_healed_may_be_named() {
        let places = |arguments: &[&str]| match asked(arguments) {
            Ok(Request::Heal(_, places)) => places,
            other => panic!("{arguments:?} gave {other:?}"),
        };
        assert_eq!(places(&["--heal-rrds"]), [""; 0].map(PathBuf::from));
        let named = ["/a", "/b.rrd"].map(PathBuf::from);
        assert_eq!(places(&["--heal-rrds", "/a", "/b.rrd"]), named);
        assert_eq!(
            refusal(&["/a"]).split(';').next(),
            Some("unexpected argument \"/a\"")
        );
    }

    #[test]
    fn a_single_round_stays_in_the_foreground() {
        let options = run(&["--once"]);
        assert!(options.once && options.overrides.foreground);
        assert!(!run(&[]).once);
    }

    #[test]
    fn the_configuration_in_force_is_that_with_the_other_options() {
        let Ok(Request::PrintConfig(options)) = asked(&["--print-config", "-x", "1"]) else {
            panic!("something else is asked for")
        };
        assert_eq!(options.overrides.xml_port, Some(1));
    }

    #[test]
    fn every_long_option_is_read_with_and_without_an_equals_sign() {
        let equals = run(&[
            "--conf=/a",
            "--debug=9",
            "--foreground",
            "--pid_file=/p",
            "--logfile=/l",
            "--interactive_port=2",
            "--xml_port=3",
            "--test-config",
        ]);
        let apart = run(&[
            "--conf",
            "/a",
            "--debug",
            "9",
            "--foreground",
            "--pid_file",
            "/p",
            "--logfile",
            "/l",
            "--interactive_port",
            "2",
            "--xml_port",
            "3",
            "--test-config",
        ]);
        assert_eq!(equals, apart);
        assert_eq!(equals.overrides.debug_level, Some(9));
        assert_eq!(equals.overrides.interactive_port, Some(2));
    }

    #[test]
    fn the_pid_file_has_both_spellings() {
        assert_eq!(
            run(&["--pid-file", "/p"]).overrides.pid_file,
            Some("/p".into())
        );
        assert_eq!(run(&["--pid-file=/p"]), run(&["--pid_file=/p"]));
    }

    #[test]
    fn an_option_given_twice_counts_as_given_last() {
        assert_eq!(
            run(&["-d", "1", "-d", "3", "-f", "-f"])
                .overrides
                .debug_level,
            Some(3)
        );
    }

    #[test]
    fn relative_files_become_absolute() {
        let here = std::env::current_dir().expect("tests run somewhere");
        let options = run(&["-c", "g.conf", "-l", "g.log", "-p", "g.pid"]);
        assert_eq!(options.conf, here.join("g.conf"));
        assert_eq!(options.overrides.logfile, Some(here.join("g.log")));
        assert_eq!(options.overrides.pid_file, Some(here.join("g.pid")));
    }

    #[test]
    fn a_plugin_is_tested_over_what_is_given_or_polled() {
        let rehearsal = |arguments: &[&str]| match asked(arguments) {
            Ok(Request::Rehearse(options, rehearsal)) => (options.conf_is_given, rehearsal),
            other => panic!("{arguments:?} gave {other:?}"),
        };
        let polled = Rehearsal {
            plugin: "/p.so".into(),
            input: None,
        };
        assert_eq!(rehearsal(&["--test-plugin", "/p.so"]), (false, polled));
        let saved = Rehearsal {
            plugin: "/p.so".into(),
            input: Some("/x.xml".into()),
        };
        let arguments = ["--test-plugin=/p.so", "--input", "/x.xml", "-c", "/g"];
        assert_eq!(rehearsal(&arguments), (true, saved));
    }

    #[test]
    fn what_is_tried_is_one_library_for_one_file() {
        let asked = |arguments: &[&str]| plugin_to_try(arguments.iter().map(OsString::from));
        let both = Some(["l".into(), "f".into()]);
        assert_eq!(asked(&["gmetad", TRIAL_OPTION, "l", "f"]), both);
        assert_eq!(asked(&["gmetad", TRIAL_OPTION]), None);
        assert_eq!(asked(&["gmetad", TRIAL_OPTION, "f"]), None);
        assert_eq!(asked(&["gmetad", TRIAL_OPTION, "l", "f", "g"]), None);
        assert_eq!(asked(&["gmetad", "-t"]), None);
        assert_eq!(asked(&["gmetad"]), None);
        let access = |arguments: &[&str]| access_to_ask(arguments.iter().map(OsString::from));
        let all = Some(["u".into(), "read".into(), "/p".into()]);
        assert_eq!(access(&["gmetad", ACCESS_OPTION, "u", "read", "/p"]), all);
        assert_eq!(access(&["gmetad", ACCESS_OPTION, "u", "read"]), None);
    }

    #[test]
    fn help_wins_over_the_rest() {
        let help = Ok(Request::Print(options::help()));
        assert_eq!(asked(&["-h", "-t", "stray"]), help);
        assert_eq!(asked(&["-t", "--help"]), help);
    }

    #[test]
    fn the_version_is_the_crates() {
        let version = format!("gmetad {}\n{}", env!("CARGO_PKG_VERSION"), parts::listed());
        assert_eq!(asked(&["--version"]), Ok(Request::Print(version.clone())));
        assert_eq!(asked(&["-V"]), Ok(Request::Print(version)));
    }

    #[test]
    fn what_cannot_be_followed_is_refused_with_what_would_be_right() {
        assert_eq!(
            refusal(&["--frobnicate"]),
            "Unrecognized option: 'frobnicate'; gmetad --help lists the options"
        );
        assert_eq!(
            refusal(&["-c"]),
            "Argument to option 'c' missing; gmetad --help lists the options"
        );
        assert_eq!(
            refusal(&["--input", "x.xml"]),
            "--input is only used with --test-plugin; gmetad --help lists the options"
        );
        assert_eq!(
            refusal(&["--test-plugin", ""]),
            "--test-plugin \"\" is not the name of a file"
        );
        assert_eq!(
            refusal(&["gmetad.conf"]),
            "unexpected argument \"gmetad.conf\"; gmetad --help lists the options"
        );
        assert_eq!(
            refusal(&["-x", "70000"]),
            "-x \"70000\" is not a port; ports are 1 to 65535, or 0 for one that the system chooses"
        );
        assert_eq!(
            refusal(&["-i", "http"]),
            "-i \"http\" is not a port; ports are 1 to 65535, or 0 for one that the system chooses"
        );
        assert_eq!(
            refusal(&["-d", "loud"]),
            "-d \"loud\" is not a level; levels are 0 fatal, 1 critical, 2 error, 3 warning, 4 info, \
             5 debug"
        );
        assert_eq!(refusal(&["-l", ""]), "-l \"\" is not the name of a file");
    }
}
