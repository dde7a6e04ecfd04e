//! Why a server did not take a frame.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use gmetad_core::model::Readable;
use thiserror::Error;

/// What went wrong with a server or the connection to it. The log puts the server in front.
#[derive(Debug, Error)]
pub enum LinkError {
    /// Its name has no address.
    #[error("cannot resolve its name: {0}")]
    Resolve(io::Error),
    /// None of its addresses answers.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The connection broke while sending.
    #[error("sending failed: {0}")]
    Send(io::Error),
    /// The connection broke while waiting for an answer.
    #[error("cannot read its answer: {0}")]
    Receive(io::Error),
    /// It closed the connection.
    #[error("it closed the connection")]
    Closed,
    /// It neither takes nor sends a byte.
    #[error("it hangs: no byte sent or received for {} s", .0.as_secs())]
    Stuck(Duration),
    /// It answers what no server of its kind would.
    #[error("it sent an answer that is not of its protocol: {}", Readable::line(.0))]
    Protocol(String),
    /// It answered that it takes nothing just now.
    #[error("it does not take values now: {}", Readable::line(.told))]
    Busy {
        /// Its words.
        told: String,
        /// How long it wants to be left alone.
        pause: Duration,
    },
    /// The connection is not secure, or cannot be made so.
    #[error("TLS: {}", Readable::line(.0))]
    Tls(String),
    /// A file with a password, a token, a certificate or a key cannot be used.
    #[error("{}: {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The daemon is stopping and waits no longer.
    #[error("the daemon is stopping")]
    Stopping,
}

impl LinkError {
    /// Whether the process that had the connection is gone, or has closed it.
    pub(super) fn is_an_end(&self) -> bool {
        match self {
            LinkError::Closed => true,
            LinkError::Connect(error) | LinkError::Send(error) | LinkError::Receive(error) => {
                matches!(
                    error.kind(),
                    ErrorKind::ConnectionRefused
                        | ErrorKind::ConnectionReset
                        | ErrorKind::BrokenPipe
                        | ErrorKind::NotFound
                )
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_are_one_line_without_control_characters() {
        let told = || String::from("0\rk\u{1b}[2J\nT");
        for error in [
            LinkError::Protocol(told()),
            LinkError::Tls(told()),
            LinkError::Busy {
                told: told(),
                pause: Duration::ZERO,
            },
        ] {
            let line = error.to_string();
            assert!(line.ends_with("0\\rk\\u{1b}[2J\\nT"), "{line}");
        }
    }
}
