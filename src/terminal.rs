//! What a start says on the terminal: on standard output what was asked for, on standard error what
//! is wrong. From when there is a log, that has it instead.

use std::fmt::Display;
use std::io::{self, Write};

use gmetad_config::Notice;

use crate::daemon::Exit;
use crate::preflight::{Finding, Weight};
use gmetad_core::model::Readable;

/// Says what went wrong; the exit code that was given.
pub fn complain(reason: &dyn Display, exit: Exit) -> Exit {
    eprintln!("gmetad: {}", Readable::lines(reason));
    exit
}

/// Says what is odd in the configuration and keeps nobody from starting.
pub fn show_notices(notices: &[Notice]) {
    for Notice { level, text } in notices {
        let text = Readable::lines(text);
        eprintln!("gmetad: {}: {text}", level.as_str().to_lowercase());
    }
}

/// Says what a start would trip over on this machine.
pub fn show_findings(findings: &[Finding]) {
    for Finding { weight, text } in findings {
        let level = match weight {
            Weight::Fatal(_) | Weight::LeftOut => "",
            Weight::Warning => "warn: ",
            Weight::Unchecked => "info: not checked: ",
        };
        eprintln!("gmetad: {level}{}", Readable::lines(text));
    }
}

/// Prints what people read, without the control characters of those who wrote it.
pub fn show(text: &dyn Display) -> Exit {
    print(&Readable::lines(text).to_string())
}

/// Prints what was asked for, as it is. A reader who has seen enough, as in `gmetad --help | head -1`, is no
/// failure.
pub fn print(text: &str) -> Exit {
    let mut output = io::stdout();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Ok(()) => Exit::Ok,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => complain(
            &format_args!("cannot write to standard output: {error}"),
            Exit::Io,
        ),
    }
}
