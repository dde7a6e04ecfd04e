//! Asks two gmetads the same and says where their answers differ.
//!
//! Changes nothing in either. Exit code 0: the same, 1: they differ, 2: no answer to compare.

mod compare;
mod fetch;
mod options;
mod tree;
mod walk;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use compare::{Difference, compare};
use fetch::{Fetched, fetch_both};
use options::{Command, Options};

/// Pause between two tries with `--for`.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match options::parse(&arguments) {
        Ok(Command::Print(text)) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Ok(Command::Compare(options)) => match run(&options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(1),
            Err(trouble) => fail(&trouble),
        },
        Err(error) => fail(&error),
    }
}

fn fail(message: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("gmetad-consistency-test: {message}");
    ExitCode::from(2)
}

/// Prints a line; a reader that has gone away ends nothing but the printing.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Compares every request; true when no answer differs.
fn run(options: &Options) -> Result<bool, fetch::Trouble> {
    let until = Instant::now() + options.patience;
    let requests = loop {
        let requests = requests(options)?;
        // With an own list, or nothing to wait for, the first walk is the one.
        if !options.requests.is_empty() || requests.complete || Instant::now() >= until {
            break requests.lines;
        }
        std::thread::sleep(RETRY_PAUSE);
    };
    let mut total = 0;
    for request in &requests {
        let differences = settle(options, request.as_deref(), until)?;
        total += differences.len();
        report(options, request.as_deref(), &differences);
    }
    if !options.quiet {
        say(&format!(
            "{} compared, {}",
            counted(requests.len(), "answer"),
            counted(total, "difference")
        ));
    }
    Ok(total == 0)
}

/// What is asked: the given requests, or a walk over what the first gmetad holds.
fn requests(options: &Options) -> Result<walk::Requests, fetch::Trouble> {
    if options.xml_ports {
        return Ok(walk::Requests::only(None));
    }
    if !options.requests.is_empty() {
        return Ok(walk::Requests {
            lines: options.requests.iter().cloned().map(Some).collect(),
            complete: true,
        });
    }
    let Fetched { first, .. } = fetch_both(options, Some("/"))?;
    Ok(walk::requests(&first))
}

/// Asks until the answers agree or the patience is over.
///
/// The two poll their sources at different moments, so that each shows a change first; what is
/// wrong stays.
fn settle(
    options: &Options,
    request: Option<&str>,
    until: Instant,
) -> Result<Vec<Difference>, fetch::Trouble> {
    loop {
        let Fetched { first, second } = fetch_both(options, request)?;
        let differences = compare(&first, &second, &options.rules);
        if differences.is_empty() || Instant::now() >= until {
            return Ok(differences);
        }
        std::thread::sleep(RETRY_PAUSE);
    }
}

fn report(options: &Options, request: Option<&str>, differences: &[Difference]) {
    if options.quiet || differences.is_empty() {
        return;
    }
    let asked = request.map_or_else(|| "the XML port".into(), |line| format!("{line:?}"));
    say(&format!(
        "{asked}: {}",
        counted(differences.len(), "difference")
    ));
    for difference in differences.iter().take(options.most) {
        say(&format!("  {difference}"));
    }
    if differences.len() > options.most {
        say(&format!("  … {} more", differences.len() - options.most));
    }
}

fn counted(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}
