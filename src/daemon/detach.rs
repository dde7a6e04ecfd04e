//! Detaching from the terminal: the program executes itself again instead of only forking.
//!
//! Three processes play a part. The *starter*, which the terminal waits for, starts a *leader*.
//! That opens a new session and starts the *daemon*, which does not lead the session and so never
//! gets a terminal again. Both starts are fork and exec in one call of the standard library: the
//! usual double fork without `unsafe`, and each process begins with one thread and fresh memory.
//!
//! Standard output of leader and daemon is a pipe to the starter. The starter reads it until both
//! have closed it, and ends by what it has read: `ready`, or `exit` and a code. Standard error is
//! the terminal until then.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};

use nix::sys::resource::{Resource, getrlimit, rlim_t};
use nix::unistd;

use super::Exit;

/// Environment variable that tells a process the part it plays.
const PART: &str = "GMETAD_DETACH";
/// What the daemon reports once its ports are bound.
const READY: &str = "ready";
/// Begins what the daemon reports when it cannot start.
const EXIT: &str = "exit ";
/// Settings of the C library's allocator: it joins freed memory at once, instead of all of it in one go
/// later, and leaves large arrays to the system, which moves pages where it would copy bytes.
const TUNABLES: &str = "GLIBC_TUNABLES";
const MALLOC: &str = "glibc.malloc.mxfast=0:glibc.malloc.mmap_threshold=1048576:glibc.malloc.trim_threshold=1073741824";
/// Highest descriptor that is closed where the system has no list of open ones.
const DESCRIPTOR_LIMIT: rlim_t = 65_536;

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
/// By then the daemon has printed the reason on the terminal.
pub fn start_detached() -> ExitCode {
    let leader = start_as(&leader_part(unistd::getpid()), Stdio::piped());
    let mut leader = match leader {
        Ok(child) => child,
        Err(error) => return cannot_start(&error).into(),
    };
    let mut answer = String::new();
    if let Some(mut pipe) = leader.stdout.take() {
        // Bytes that are not text count as no answer.
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

/// The daemon's first step: closes inherited descriptors, and goes to `/`, so that it keeps no file
/// system busy.
pub fn settle() -> io::Result<()> {
    close_inherited();
    unistd::chdir("/").map_err(io::Error::from)
}

/// Reports that the daemon cannot start: the starter exits with this code.
pub fn report(exit: Exit) {
    say(&format!("{EXIT}{}", exit as u8));
}

/// Reports that the daemon is ready: the starter exits with 0. Gives up the terminal and the pipe.
pub fn leave_terminal() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    unistd::dup2_stdin(&null)?;
    unistd::dup2_stderr(&null)?;
    say(READY);
    unistd::dup2_stdout(&null)?;
    Ok(())
}

fn say(word: &str) {
    // A starter that was interrupted does not read it; the daemon runs all the same.
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
    let mut command = Command::new(std::env::current_exe()?);
    if std::env::var_os(TUNABLES).is_none() {
        command.env(TUNABLES, MALLOC);
    }
    command
        .arg0(name)
        .args(arguments)
        .env(PART, part)
        .stdin(Stdio::null())
        .stdout(output)
        .spawn()
}

fn cannot_start(error: &io::Error) -> Exit {
    eprintln!(
        "gmetad: cannot start the daemon's process: {error}; with -f it runs in the foreground"
    );
    Exit::System
}

/// Closes all descriptors but the standard streams.
///
/// Call it before anything is opened: it would close that as well.
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
        // Fails for the descriptor of the listing, which is closed already.
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
