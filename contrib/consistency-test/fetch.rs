//! Asks both gmetads at the same moment.
//!
//! Compares nothing. Blocking sockets with a deadline: there are two, and nothing else to do.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::options::Options;
use crate::tree::{self, Element, TreeError};

/// Longest answer taken.
const ANSWER_LIMIT_BYTES: usize = 1 << 30;

/// No answer to compare; which gmetad, and why.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The name or the port leads nowhere, or it broke off.
    #[error("{peer}: {error}")]
    Io {
        /// As named on the command line.
        peer: String,
        /// What the system says.
        error: io::Error,
    },
    /// Longer than any answer.
    #[error("{peer}: the answer is over {ANSWER_LIMIT_BYTES} bytes")]
    TooLong {
        /// As named on the command line.
        peer: String,
    },
    /// No answer in time.
    #[error("{peer}: no complete answer to {request} within {seconds} s")]
    TooSlow {
        /// As named on the command line.
        peer: String,
        /// What was asked.
        request: String,
        /// The time limit.
        seconds: u64,
    },
    /// An answer that is no document.
    #[error("{peer}: asked for {request}: {error}")]
    Answer {
        /// As named on the command line.
        peer: String,
        /// What was asked.
        request: String,
        /// What is wrong with it.
        error: TreeError,
    },
}

/// The answers of both.
pub struct Fetched {
    /// Of the gmetad named first.
    pub first: Element,
    /// Of the gmetad named second.
    pub second: Element,
}

/// Sends one request to both before reading either, so that both answer for the same second.
pub fn fetch_both(options: &Options, request: Option<&str>) -> Result<Fetched, Trouble> {
    let mut first = Asked::open(options, &options.first, request)?;
    let mut second = Asked::open(options, &options.second, request)?;
    first.ask()?;
    second.ask()?;
    Ok(Fetched {
        first: first.answer()?,
        second: second.answer()?,
    })
}

/// A connection to one gmetad.
struct Asked<'a> {
    options: &'a Options,
    peer: &'a str,
    request: Option<&'a str>,
    stream: TcpStream,
    deadline: Instant,
}

impl<'a> Asked<'a> {
    fn open(
        options: &'a Options,
        peer: &'a str,
        request: Option<&'a str>,
    ) -> Result<Self, Trouble> {
        let trouble = |error| Trouble::Io {
            peer: peer.to_owned(),
            error,
        };
        let deadline = Instant::now() + options.timeout;
        let stream = connect(peer, options.timeout).map_err(trouble)?;
        stream
            .set_write_timeout(Some(options.timeout))
            .map_err(trouble)?;
        Ok(Self {
            options,
            peer,
            request,
            stream,
            deadline,
        })
    }

    fn ask(&mut self) -> Result<(), Trouble> {
        let Some(request) = self.request else {
            return Ok(());
        };
        self.stream
            .write_all(format!("{request}\n").as_bytes())
            .map_err(|error| self.io(error))
    }

    fn answer(mut self) -> Result<Element, Trouble> {
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 256 << 10];
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.too_slow());
            }
            let timed = self.stream.set_read_timeout(Some(left));
            match timed.and_then(|()| self.stream.read(&mut chunk)) {
                Ok(0) => break,
                Ok(length) => bytes.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(self.too_slow()),
                Err(error) => return Err(self.io(error)),
            }
            if bytes.len() > ANSWER_LIMIT_BYTES {
                return Err(Trouble::TooLong {
                    peer: self.peer.to_owned(),
                });
            }
        }
        let text = tree::decode(&bytes, !self.options.rules.allowances);
        tree::parse(&text).map_err(|error| Trouble::Answer {
            peer: self.peer.to_owned(),
            request: self.asked(),
            error,
        })
    }

    fn io(&self, error: io::Error) -> Trouble {
        Trouble::Io {
            peer: self.peer.to_owned(),
            error,
        }
    }

    fn too_slow(&self) -> Trouble {
        Trouble::TooSlow {
            peer: self.peer.to_owned(),
            request: self.asked(),
            seconds: self.options.timeout.as_secs(),
        }
    }

    fn asked(&self) -> String {
        self.request
            .map_or_else(|| "all".into(), |line| format!("{line:?}"))
    }
}

/// Tries the addresses of a name in turn; the last one's error is the answer.
fn connect(peer: &str, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in peer.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}
