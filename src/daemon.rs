//! The process around the loop: exit codes, detaching from the terminal, pid file, user.
//!
//! Reads no configuration and opens no sockets: `main` says what to do when.

mod detach;
mod manager;
mod pid_file;
mod port_holder;
mod privileges;
mod user;

use std::io;
use std::process::ExitCode;

pub use detach::{Role, lead_session, leave_terminal, report, role, settle, start_detached};
pub use manager::{Manager, State, stderr_is_the_journal};
pub use pid_file::{PidFile, PidFileError};
pub use port_holder::{PortHolder, cannot_listen, port_holder};
pub use privileges::gain_no_privileges;
pub use user::{Account, UserError, account_to_become};

/// What the process exits with, the values of sysexits(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All done, or ended as asked; for a parent, the daemon is up.
    Ok = 0,
    /// The tested plugin has failed, or there was no document for it.
    Plugin = 1,
    /// The command line is wrong.
    Usage = 64,
    /// Another process holds a port or the pid file.
    Unavailable = 69,
    /// A bug in gmetad.
    Software = 70,
    /// The system gave no process, descriptor or thread.
    System = 71,
    /// The pid file or the log file cannot be created.
    CannotCreate = 73,
    /// Reading or writing failed.
    Io = 74,
    /// Not permitted: listening on a low port, becoming another user.
    NoPermission = 77,
    /// The configuration is wrong.
    Config = 78,
}

/// The code for a port or a socket that cannot be listened on.
pub fn exit_of_listening(kind: io::ErrorKind) -> Exit {
    match kind {
        io::ErrorKind::AddrInUse => Exit::Unavailable,
        io::ErrorKind::PermissionDenied => Exit::NoPermission,
        // The configured address is not one of this machine.
        io::ErrorKind::AddrNotAvailable => Exit::Config,
        _ => Exit::System,
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
