//! Leaving the terminal without a shared address space: the program starts itself anew.
//!
//! Three processes play a part. The *starter*, which the terminal waits for, starts a *leader*;
//! that opens a new session and starts the *daemon*, which is no session leader and thus never
//! gets a terminal again. Both starts are fork and exec at once, as the standard library does
//! them: the double fork without `unsafe`, and each part begins with one thread and a clean slate.
//!
//! Leader and daemon have the starter's pipe as standard output. What is said on it until all have
//! closed it ends the starter: `ready`, or `exit` and the code. Standard error stays the terminal
//! until then.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd;

use super::Exit;

/// Environment variable that tells a process the part it plays.
const PART: &str = "GMETAD_DETACH";
/// What the daemon says once its ports are bound.
const READY: &str = "ready";
/// Begins what the daemon says when it could not start.
const EXIT: &str = "exit ";
/// Where there is no list of open descriptors, those above are not looked for.
const DESCRIPTOR_LIMIT: u64 = 65_536;

/// The part this process plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Started by a person or a script.
    Starter,
    /// Started by a starter, to open the new session.
    Leader,
    /// Started by a leader, to be the daemon.
    Daemon,
}

/// Finds out the part this process plays.
///
/// The variable names the process or session it was meant for, so that a gmetad started from
/// within a daemon, with its environment, is a starter again.
pub fn role() -> Role {
    let part = std::env::var(PART).unwrap_or_default();
    let session = unistd::getsid(None).unwrap_or(unistd::getpid());
    if part == leader_part(unistd::getppid()) {
        Role::Leader
    } else if part == daemon_part(session) && session != unistd::getpid() {
        Role::Daemon
    } else {
        Role::Starter
    }
}

fn leader_part(starter: unistd::Pid) -> String {
    format!("leader of {starter}")
}

fn daemon_part(session: unistd::Pid) -> String {
    format!("daemon in {session}")
}

/// The starter's part: returns when the daemon is ready or has failed, with the code to exit with.
///
/// The daemon has said its reason on the terminal by then.
pub fn start_detached() -> ExitCode {
    let leader = start_as(&leader_part(unistd::getpid()), Stdio::piped());
    let mut leader = match leader {
        Ok(child) => child,
        Err(error) => return cannot_start(&error).into(),
    };
    let mut answer = String::new();
    if let Some(mut pipe) = leader.stdout.take() {
        // Bytes that are no text are no answer, as none is.
        let _ = pipe.read_to_string(&mut answer);
    }
    // It has ended, or is about to: it does not outlive the start of the daemon.
    let _ = leader.wait();
    decode(&answer).unwrap_or_else(|| {
        eprintln!("gmetad: the daemon ended before it was ready, and did not say why");
        Exit::Software.into()
    })
}

/// The leader's part: opens a session, starts the daemon in it, and is done.
pub fn lead_session() -> Exit {
    let started = unistd::setsid()
        .map_err(io::Error::from)
        .and_then(|session| start_as(&daemon_part(session), Stdio::inherit()));
    match started {
        Ok(_) => Exit::Ok,
        Err(error) => {
            let exit = cannot_start(&error);
            report(exit);
            exit
        }
    }
}

/// The daemon's first step: closes what it was left open by whoever started it, and goes to `/`,
/// so that no file system is kept in use.
pub fn settle() -> io::Result<()> {
    close_inherited();
    unistd::chdir("/").map_err(io::Error::from)
}

/// The daemon failed before it was ready: lets the starter exit with this code.
pub fn report(exit: Exit) {
    say(&format!("{EXIT}{}", exit as u8));
}

/// The daemon is ready: lets the starter exit well, and gives up terminal and pipe.
pub fn leave_terminal() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    unistd::dup2_stdin(&null)?;
    unistd::dup2_stderr(&null)?;
    say(READY);
    unistd::dup2_stdout(&null)?;
    Ok(())
}

fn say(word: &str) {
    // A starter that was interrupted does not listen; the daemon was asked for all the same.
    let _ = io::stdout().write_all(format!("{word}\n").as_bytes());
    let _ = io::stdout().flush();
}

fn decode(line: &str) -> Option<ExitCode> {
    let line = line.strip_suffix('\n')?;
    if line == READY {
        return Some(ExitCode::SUCCESS);
    }
    line.strip_prefix(EXIT)?
        .parse::<u8>()
        .ok()
        .map(ExitCode::from)
}

fn start_as(part: &str, output: Stdio) -> io::Result<Child> {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| OsString::from("gmetad"));
    Command::new(std::env::current_exe()?)
        .arg0(name)
        .args(arguments)
        .env(PART, part)
        .stdin(Stdio::null())
        .stdout(output)
        .spawn()
}

fn cannot_start(error: &io::Error) -> Exit {
    eprintln!("gmetad: cannot start the daemon's process: {error}; with -f it runs without");
    Exit::System
}

/// Closes all descriptors but the standard streams.
///
/// To be called before anything is opened: none of these is known to this process.
fn close_inherited() {
    let open: Vec<i32> = if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    } else {
        let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
        (0..limit.min(DESCRIPTOR_LIMIT) as i32).collect()
    };
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        // The listing's own one is closed already.
        let _ = unistd::close(descriptor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_known_line_is_an_answer() {
        assert_eq!(decode("ready\n"), Some(ExitCode::SUCCESS));
        assert_eq!(decode("exit 78\n"), Some(ExitCode::from(78)));
        assert_eq!(decode(""), None);
        assert_eq!(decode("ready"), None);
        assert_eq!(decode("exit 7"), None);
        assert_eq!(decode("exit 999\n"), None);
        assert_eq!(decode("hello\n"), None);
    }
}
