//! In place of TLS where it is not built in: there is no connection that speaks it.

use std::convert::Infallible;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};

use super::error::LinkError;
use super::server::TlsFiles;

/// `https://` is not built in.
pub const IS_BUILT_IN: bool = false;

/// What is known of one server. A URL that needs it is refused.
pub(super) struct Client;

impl Client {
    /// Of any server.
    pub(super) fn new(_host: &str, _files: TlsFiles) -> Client {
        Client
    }

    /// Fails.
    #[allow(clippy::unused_self)] // As its twin.
    pub(super) fn wrap(&self, _socket: TcpStream) -> Result<Stream, LinkError> {
        Err(LinkError::Tls("it is not built in".into()))
    }
}

/// A connection over which TLS is spoken. There is none.
pub(super) struct Stream(Infallible);

/// There are no faults of TLS.
pub(super) fn fault_or(
    error: io::Error,
    otherwise: impl FnOnce(io::Error) -> LinkError,
) -> LinkError {
    otherwise(error)
}

impl Stream {
    /// Of none.
    pub(super) fn shake_hands(&mut self) -> io::Result<bool> {
        match self.0 {}
    }

    /// Of none.
    pub(super) fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        match self.0 {}
    }

    /// Of none.
    pub(super) fn waits(&self) -> bool {
        match self.0 {}
    }

    /// Of none.
    pub(super) fn read(&mut self, _bytes: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }

    /// Of none.
    pub(super) fn is_closed(&mut self) -> bool {
        match self.0 {}
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        match self.0 {}
    }
}
