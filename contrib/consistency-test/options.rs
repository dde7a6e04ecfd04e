//! The command line of the comparison.
//!
//! Prints and asks nothing: `main` does.

use std::collections::HashMap;
use std::time::Duration;

use thiserror::Error;

use crate::compare::Rules;

/// Attributes that change by themselves between two answers.
const MOVING: [&str; 3] = ["TN", "LOCALTIME", "REPORTED"];

/// What the command line asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Print this and end: the help or the version.
    Print(String),
    /// Compare.
    Compare(Box<Options>),
}

/// A comparison.
#[derive(Clone, Debug)]
pub struct Options {
    /// One gmetad, host:port.
    pub first: String,
    /// The other.
    pub second: String,
    /// Request lines; empty: a walk over what the first gmetad holds.
    pub requests: Vec<String>,
    /// The ports are XML ports, which answer unasked.
    pub xml_ports: bool,
    /// What may differ.
    pub rules: Rules,
    /// How long answers that differ are asked for again.
    pub patience: Duration,
    /// Time limit of one answer.
    pub timeout: Duration,
    /// Most differences printed for one request.
    pub most: usize,
    /// Print nothing but trouble.
    pub quiet: bool,
}

/// A command line that cannot be followed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UsageError {
    /// An option that does not exist, or lacks its value.
    #[error("{0}; --help lists the options")]
    Option(String),
    /// Not two gmetads.
    #[error("two gmetads are compared, {0} given; --help shows how")]
    Peers(usize),
    /// A value that its option cannot take.
    #[error("--{option} takes {expected}, not {value:?}")]
    Value {
        /// The option.
        option: &'static str,
        /// What would be right.
        expected: &'static str,
        /// What was given.
        value: String,
    },
    /// Two options that exclude each other.
    #[error("an XML port takes no request: --xml or --request, not both")]
    RequestOfXmlPort,
}

/// Reads the arguments, without the program's own name.
pub fn parse(arguments: &[String]) -> Result<Command, UsageError> {
    let known = known();
    let given = known
        .parse(arguments)
        .map_err(|error| UsageError::Option(error.to_string()))?;
    if given.opt_present("help") {
        return Ok(Command::Print(help(&known)));
    }
    if given.opt_present("version") {
        let version = env!("CARGO_PKG_VERSION");
        return Ok(Command::Print(format!("gmetad-consistency-test {version}")));
    }
    let [first, second] = given.free.as_slice() else {
        return Err(UsageError::Peers(given.free.len()));
    };
    let requests = given.opt_strs("request");
    let xml_ports = given.opt_present("xml");
    if xml_ports && !requests.is_empty() {
        return Err(UsageError::RequestOfXmlPort);
    }
    let within = within(&given.opt_strs("within"))?;
    let moving = MOVING.iter().map(|name| (*name).to_owned());
    let ignored = moving
        .filter(|name| !within.contains_key(name))
        .chain(given.opt_strs("ignore"))
        .collect();
    let default_tolerance = "1e-6".to_owned();
    Ok(Command::Compare(Box::new(Options {
        first: peer(first),
        second: peer(second),
        requests,
        xml_ports,
        rules: Rules {
            ignored,
            within,
            sum_tolerance: number(
                "tolerance",
                &given.opt_str("tolerance").unwrap_or(default_tolerance),
            )?,
            allowances: !given.opt_present("strict"),
        },
        patience: seconds("for", given.opt_str("for"), 0.0)?,
        timeout: seconds("timeout", given.opt_str("timeout"), 30.0)?,
        most: given
            .opt_str("most")
            .map_or(Ok(100), |value| count(&value))?,
        quiet: given.opt_present("quiet"),
    })))
}

fn known() -> getopts::Options {
    let mut options = getopts::Options::new();
    options
        .optmulti(
            "r",
            "request",
            "ask for PATH on both interactive ports; may be repeated (default: a walk over every level that the first one holds)",
            "PATH",
        )
        .optflag("x", "xml", "the ports are XML ports: compare the whole documents")
        .optmulti(
            "i",
            "ignore",
            "do not compare attribute ATTR; may be repeated (always: TN, LOCALTIME, REPORTED)",
            "ATTR",
        )
        .optmulti(
            "w",
            "within",
            "compare ATTR, but as numbers that may be N apart; may be repeated",
            "ATTR=N",
        )
        .optopt(
            "t",
            "tolerance",
            "how far two SUMs may be apart, relative to the larger (default: 1e-6)",
            "FRACTION",
        )
        .optflag("s", "strict", "tell the known differences of C gmetad, too")
        .optopt(
            "f",
            "for",
            "ask again until the answers agree, at most this long (default: 0)",
            "SECONDS",
        )
        .optopt("", "timeout", "time limit of one answer (default: 30)", "SECONDS")
        .optopt(
            "m",
            "most",
            "print at most N differences for each request (default: 100)",
            "N",
        )
        .optflag("q", "quiet", "print nothing: the exit code tells")
        .optflag("V", "version", "print the version")
        .optflag("h", "help", "print this help");
    options
}

fn help(options: &getopts::Options) -> String {
    let usage = options.usage(
        "Asks two gmetads the same and prints where their answers differ.\n\
         Usage: gmetad-consistency-test [OPTIONS] [HOST:]PORT [HOST:]PORT",
    );
    format!("{usage}\nExit code: 0 the same, 1 they differ, 2 no answer to compare.")
}

/// A bare port is one of this machine.
fn peer(word: &str) -> String {
    if word.parse::<u16>().is_ok() {
        format!("127.0.0.1:{word}")
    } else {
        word.to_owned()
    }
}

fn within(words: &[String]) -> Result<HashMap<String, f64>, UsageError> {
    let mut within = HashMap::new();
    for word in words {
        let (name, by) = word.split_once('=').ok_or_else(|| UsageError::Value {
            option: "within",
            expected: "an attribute and a number as in TN=5",
            value: word.clone(),
        })?;
        within.insert(name.to_owned(), number("within", by)?);
    }
    Ok(within)
}

fn number(option: &'static str, value: &str) -> Result<f64, UsageError> {
    value
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
        .ok_or_else(|| UsageError::Value {
            option,
            expected: "a number from 0",
            value: value.to_owned(),
        })
}

fn seconds(
    option: &'static str,
    value: Option<String>,
    default: f64,
) -> Result<Duration, UsageError> {
    let seconds = value.map_or(Ok(default), |value| number(option, &value))?;
    // A day is more patience than any comparison needs, and keeps the arithmetic in range.
    Ok(Duration::from_secs_f64(seconds.min(86_400.0)))
}

fn count(value: &str) -> Result<usize, UsageError> {
    value.parse().map_err(|_| UsageError::Value {
        option: "most",
        expected: "a whole number",
        value: value.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, UsageError> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&words).map(|command| match command {
            Command::Compare(options) => *options,
            Command::Print(text) => panic!("asks to print {text}"),
        })
    }

    #[test]
    fn two_ports_are_enough() {
        let options = options("8652 head:18652").unwrap();
        assert_eq!(options.first, "127.0.0.1:8652");
        assert_eq!(options.second, "head:18652");
        assert_eq!(options.rules.ignored, MOVING);
        assert!(options.rules.allowances);
        assert!(options.requests.is_empty());
    }

    #[test]
    fn what_is_within_is_no_longer_ignored() {
        let options = options("-w TN=5 -i AUTHORITY -r / -r /a?filter=summary -s 1 2").unwrap();
        assert_eq!(
            options.rules.ignored,
            ["LOCALTIME", "REPORTED", "AUTHORITY"]
        );
        assert_eq!(options.rules.within.get("TN"), Some(&5.0));
        assert_eq!(options.requests, ["/", "/a?filter=summary"]);
        assert!(!options.rules.allowances);
    }

    #[test]
    fn a_line_that_cannot_be_followed_says_what_would_be_right() {
        assert_eq!(options("8652").unwrap_err(), UsageError::Peers(1));
        assert_eq!(
            options("--xml -r / 1 2").unwrap_err(),
            UsageError::RequestOfXmlPort
        );
        assert_eq!(
            options("-w TN 1 2").unwrap_err().to_string(),
            "--within takes an attribute and a number as in TN=5, not \"TN\""
        );
        assert_eq!(
            options("-t much 1 2").unwrap_err().to_string(),
            "--tolerance takes a number from 0, not \"much\""
        );
    }

    #[test]
    fn help_and_version_are_printed() {
        for (option, word) in [("--help", "Exit code"), ("-V", "gmetad-consistency-test ")] {
            match parse(&[option.to_owned()]).unwrap() {
                Command::Print(text) => assert!(text.contains(word), "{text}"),
                Command::Compare(_) => panic!("{option} compares"),
            }
        }
    }
}
