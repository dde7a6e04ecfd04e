//! The command line of the farm.
//!
//! Binds and prints nothing: `main` does.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// What the command line asks for.
pub enum Command {
    /// Print this and end.
    Print(String),
    /// Serve.
    Run(Box<Options>),
}

/// The shape of the farm.
#[derive(Clone, Debug)]
pub struct Options {
    /// Clusters, each on a port of its own.
    pub clusters: usize,
    /// Hosts of each cluster.
    pub hosts: usize,
    /// Metrics of each host; the first 33 are those of a gmond.
    pub metrics: usize,
    /// Polling interval in the data_source lines, in seconds.
    pub interval: u32,
    /// Share of the values that differ from one poll to the next, of those that ever do.
    pub changing: f64,
    /// Share of the hosts replaced by new ones each minute.
    pub churn: f64,
    /// DMAX of every host, in seconds.
    pub host_dmax: u32,
    /// What all values and names are worked out from.
    pub seed: u64,
    /// File for the data_source lines instead of standard output.
    pub conf: Option<PathBuf>,
    /// How long to serve; none: until a signal.
    pub run_time: Option<Duration>,
}

/// A command line that cannot be followed.
#[derive(Debug, Error)]
pub enum UsageError {
    /// An option that does not exist, or lacks its value.
    #[error("{0}; --help lists the options")]
    Option(String),
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
    /// A word that belongs to no option.
    #[error("{0:?} belongs to no option; --help lists them")]
    Stray(String),
}

/// Reads the arguments, without the program's own name.
pub fn parse(arguments: &[String]) -> Result<Command, UsageError> {
    let known = known();
    let given = known
        .parse(arguments)
        .map_err(|error| UsageError::Option(error.to_string()))?;
    if given.opt_present("help") {
        return Ok(Command::Print(known.usage(
            "Serves the documents of many gmonds on loopback and prints data_source lines.\n\
             SIGUSR1 prints what it has sent and its CPU time, so does its end.\n\
             Usage: farm [OPTIONS]",
        )));
    }
    if let Some(stray) = given.free.first() {
        return Err(UsageError::Stray(stray.clone()));
    }
    let whole = |option: &'static str, default: u64, least: u64, most: u64| {
        let Some(value) = given.opt_str(option) else {
            return Ok(default);
        };
        value
            .parse()
            .ok()
            .filter(|number| (least..=most).contains(number))
            .ok_or(UsageError::Value {
                option,
                expected: "a whole number in its range",
                value,
            })
    };
    let share = |option: &'static str, default: f64| {
        let Some(value) = given.opt_str(option) else {
            return Ok(default);
        };
        value
            .parse()
            .ok()
            .filter(|share| (0.0..=1.0).contains(share))
            .ok_or(UsageError::Value {
                option,
                expected: "a share from 0 to 1",
                value,
            })
    };
    Ok(Command::Run(Box::new(Options {
        clusters: whole("clusters", 10, 1, 10_000)? as usize,
        hosts: whole("hosts", 100, 0, 1_000_000)? as usize,
        metrics: whole("metrics", 33, 0, 10_000)? as usize,
        interval: whole("interval", 15, 1, 86_400)? as u32,
        changing: share("changing", 1.0)?,
        churn: share("churn", 0.0)?,
        host_dmax: whole("host-dmax", 0, 0, u64::from(u32::MAX))? as u32,
        seed: whole("seed", 1, 0, u64::MAX)?,
        conf: given.opt_str("conf").map(PathBuf::from),
        run_time: given
            .opt_present("seconds")
            .then(|| whole("seconds", 0, 0, 31_536_000).map(Duration::from_secs))
            .transpose()?,
    })))
}

fn known() -> getopts::Options {
    let mut options = getopts::Options::new();
    options
        .optopt("", "clusters", "clusters, a port each (10)", "N")
        .optopt("", "hosts", "hosts of each cluster (100)", "N")
        .optopt("", "metrics", "metrics of each host (33)", "N")
        .optopt(
            "",
            "interval",
            "polling interval in the lines printed (15)",
            "SECONDS",
        )
        .optopt(
            "",
            "changing",
            "share of the values that change from poll to poll, of those that ever do (1)",
            "SHARE",
        )
        .optopt(
            "",
            "churn",
            "share of the hosts replaced each minute (0)",
            "SHARE",
        )
        .optopt("", "host-dmax", "DMAX of every host (0)", "SECONDS")
        .optopt("", "seed", "what all values are worked out from (1)", "N")
        .optopt("", "conf", "write the data_source lines to FILE", "FILE")
        .optopt(
            "",
            "seconds",
            "end after that time (a signal ends it)",
            "SECONDS",
        )
        .optflag("h", "help", "print this help");
    options
}
