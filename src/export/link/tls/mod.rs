//! TLS over a connection: who is trusted, the handshake, and bytes that are encrypted.
//!
//! Waits for nothing longer than its socket's timeouts: how long in all, `connection` decides.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use nix::sys::socket::{MsgFlags, recv};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::error::LinkError;
use super::server::TlsFiles;
use files::Stamp;

mod files;
mod words;

/// `https://` is built in.
pub const IS_BUILT_IN: bool = true;

/// Bytes of a scrap that is thrown away.
const SCRAP_BYTES: usize = 1024;

/// What is known of one server beyond a connection.
pub(in crate::link) struct Client {
    host: String,
    files: TlsFiles,
    /// Made from the files as they were; with what shortens the next handshake.
    made: RefCell<Option<(Vec<Stamp>, Arc<ClientConfig>)>>,
}

impl Client {
    /// Of a server of this name or address. Files are read when a connection is opened.
    pub(in crate::link) fn new(host: &str, files: TlsFiles) -> Client {
        Client {
            host: host.into(),
            files,
            made: RefCell::new(None),
        }
    }

    /// Begins to speak TLS over a socket. Nothing is sent yet.
    pub(in crate::link) fn wrap(&self, socket: TcpStream) -> Result<Stream, LinkError> {
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| LinkError::Tls(format!("{} is not a name of a host", self.host)))?;
        let session = ClientConnection::new(self.config()?, name)
            .map_err(|error| LinkError::Tls(words::of_error(&error, self.has_certificate())))?;
        Ok(Stream {
            socket,
            session: Box::new(session),
            has_certificate: self.has_certificate(),
        })
    }

    fn has_certificate(&self) -> bool {
        self.files.client.is_some()
    }

    /// The settings, made anew after a file has changed: certificates are renewed without a restart.
    fn config(&self) -> Result<Arc<ClientConfig>, LinkError> {
        let authorities = files::authorities(&self.files)?;
        let stamps = files::stamps(&self.files, &authorities)?;
        let mut made = self.made.borrow_mut();
        if let Some((of, config)) = &*made
            && *of == stamps
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(files::config(&self.files, &authorities)?);
        *made = Some((stamps, Arc::clone(&config)));
        Ok(config)
    }
}

/// A connection over which TLS is spoken.
pub(in crate::link) struct Stream {
    socket: TcpStream,
    session: Box<ClientConnection>,
    has_certificate: bool,
}

/// What TLS found wrong, in words. Carried by an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Fault(String);

/// The fault that an error of a [`Stream`] carries, or else what the caller makes of it.
pub(in crate::link) fn fault_or(
    error: io::Error,
    otherwise: impl FnOnce(io::Error) -> LinkError,
) -> LinkError {
    match error.downcast::<Fault>() {
        Ok(Fault(told)) => LinkError::Tls(told),
        Err(error) => otherwise(error),
    }
}

impl Stream {
    /// Goes on with the handshake. Returns whether it has ended; `WouldBlock`: the server lets wait.
    pub(in crate::link) fn shake_hands(&mut self) -> io::Result<bool> {
        if self.session.wants_write() {
            self.write_out()?;
        } else if self.session.is_handshaking() {
            self.read_in(|session, socket| session.read_tls(socket))?;
        }
        Ok(!self.session.is_handshaking() && !self.session.wants_write())
    }

    /// Takes bytes and moves some on. Returns how many were taken; all are on their way once nothing
    /// [`waits`](Stream::waits).
    pub(in crate::link) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.session.writer().write(bytes)?;
        if self.session.wants_write() {
            match self.write_out() {
                Err(error) if taken > 0 && is_wait(&error) => {}
                result => result?,
            }
        }
        Ok(taken)
    }

    /// Whether encrypted bytes wait for the socket.
    pub(in crate::link) fn waits(&self) -> bool {
        self.session.wants_write()
    }

    /// Reads decrypted bytes; none at the end.
    pub(in crate::link) fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The end of the connection without the end of TLS. HTTP knows how long an answer is.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                result => return result,
            }
            self.read_in(|session, socket| session.read_tls(socket))?;
        }
    }

    /// Whether the server has closed its end, without waiting. Decrypted bytes are thrown away; what
    /// the server says for later connections is kept.
    pub(in crate::link) fn is_closed(&mut self) -> bool {
        let mut scrap = [0; SCRAP_BYTES];
        loop {
            if let Err(error) = self.read_at_once() {
                return error.kind() != ErrorKind::WouldBlock;
            }
            match self.session.reader().read(&mut scrap) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return true,
            }
        }
    }

    fn write_out(&mut self) -> io::Result<()> {
        match self.session.write_tls(&mut self.socket) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Ok(_) => Ok(()),
            Err(error) if is_wait(&error) => Err(error),
            Err(error) => Err(self.last_words().unwrap_or(error)),
        }
    }

    /// What the server said before it closed, if that is why.
    fn last_words(&mut self) -> Option<io::Error> {
        loop {
            match self.read_at_once() {
                // More may follow.
                Ok(count) if count > 0 => {}
                Ok(_) => return None,
                Err(error) => return error.get_ref()?.is::<Fault>().then_some(error),
            }
        }
    }

    fn read_at_once(&mut self) -> io::Result<usize> {
        self.read_in(|session, socket| session.read_tls(&mut AtOnce(socket.as_raw_fd())))
    }

    fn read_in(
        &mut self,
        read: impl FnOnce(&mut ClientConnection, &mut TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let count = read(&mut self.session, &mut self.socket)?;
        if let Err(error) = self.session.process_new_packets() {
            // The alert that says why; whether it arrives does not matter.
            let _ = self.session.write_tls(&mut self.socket);
            return Err(self.fault(&error));
        }
        if count == 0 && self.session.is_handshaking() {
            let told = "it closed the connection in the handshake; does it speak TLS?";
            return Err(io::Error::other(Fault(told.into())));
        }
        Ok(count)
    }

    fn fault(&self, error: &rustls::Error) -> io::Error {
        io::Error::other(Fault(words::of_error(error, self.has_certificate)))
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Reads from a socket without waiting.
struct AtOnce(RawFd);

impl Read for AtOnce {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.0, bytes, MsgFlags::MSG_DONTWAIT)?)
    }
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
