//! The destinations of log lines. When one fails, the others are told.
//!
//! Runs only on the log thread, so that a full disk or a stuck syslog holds up nobody else.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, Mode, fstat};
use nix::unistd::{Gid, Uid, fchown};
use syslog::{LogFormat, LoggerBackend};

use super::line::{Severity, Stamp, priority};
use super::{Line, LogError, SYSLOG_SOCKETS, Settings, last_words};
use crate::daemon::stderr_is_the_journal;
use crate::opening;
use gmetad_config::other_kind;
use gmetad_core::complaint::{Complaint, Say, span};

/// Longest wait for a syslog that does not read.
const SYSLOG_PATIENCE: Duration = Duration::from_millis(250);
/// How long a syslog that failed is not tried again.
const SYSLOG_PAUSE: Duration = Duration::from_secs(5);

/// Syslog, the log file and the console, each where there is one.
pub(super) struct Sinks {
    syslog: Syslog,
    file: Option<LogFile>,
    /// The file that is to replace it, but could not be opened.
    wanted: Option<PathBuf>,
    console: bool,
}

impl Sinks {
    /// Opens all of them. The second part is the reason if there is no syslog.
    pub fn open(settings: &Settings) -> Result<(Self, io::Result<()>), LogError> {
        let file = match &settings.file {
            None => None,
            Some(path) => {
                let opened = LogFile::open(path, settings.owner);
                Some(opened.map_err(|source| LogError::File {
                    path: path.clone(),
                    source,
                })?)
            }
        };
        let (syslog, outcome) = Syslog::connect(&SYSLOG_SOCKETS.map(PathBuf::from));
        Ok((
            Sinks {
                syslog,
                file,
                wanted: None,
                // The journal would show each line twice.
                console: outcome.is_err() || !stderr_is_the_journal(),
            },
            outcome,
        ))
    }

    /// Writes a line to every destination.
    pub fn write(&mut self, line: &Line, now: Instant) {
        let mut troubles = Vec::new();
        troubles.extend(self.syslog.write(line, now));
        if let Some(file) = &mut self.file {
            troubles.extend(file.write(line, now));
        }
        self.print(line);
        for trouble in troubles {
            self.tell(&trouble);
        }
    }

    /// Reopens the log file, or logs why the old one is kept.
    pub fn reopen(&mut self, now: Instant) {
        if let Some(path) = self.wanted.take() {
            self.log_to(Some(path), now);
            return;
        }
        let Some(file) = &mut self.file else { return };
        let line = match file.reopen() {
            Ok(()) => Line::own(Severity::Info, "log file reopened".into()),
            Err(error) => {
                let path = file.path.display();
                let text = format!(
                    "log file {path} cannot be reopened: {error}; logging goes on to the old one"
                );
                Line::own(Severity::Error, text)
            }
        };
        if line
            .severity
            .logged_at(super::LEVEL.load(std::sync::atomic::Ordering::Relaxed))
        {
            self.write(&line, now);
        }
    }

    /// Logs to another file from now on, or logs why the old one is kept.
    pub fn log_to(&mut self, path: Option<PathBuf>, now: Instant) {
        self.wanted = None;
        let Some(path) = path else {
            self.file = None;
            last_words::go_to(None);
            return;
        };
        match LogFile::open(&path, None) {
            Ok(file) => self.file = Some(file),
            Err(error) => {
                let kept = match &self.file {
                    Some(file) => format!("logging goes on to {}", file.path.display()),
                    None => "logging goes on without".into(),
                };
                let path_shown = path.display();
                let text = format!("log file {path_shown} cannot be opened: {error}; {kept}");
                self.write(&Line::own(Severity::Error, text), now);
                self.wanted = Some(path);
            }
        }
    }

    /// Writes nothing to the console any more.
    pub fn leave_console(&mut self) {
        self.console = false;
    }

    /// Logs a failure of one destination to the others. Failures of this line itself are ignored.
    fn tell(&mut self, trouble: &Line) {
        let _ = self.syslog.send(trouble);
        if let Some(file) = &mut self.file {
            let _ = file.append(trouble);
        }
        self.print(trouble);
    }

    fn print(&self, line: &Line) {
        if self.console {
            // There is nowhere to report that the console is gone.
            let _ = io::stderr().write_all(full(line).as_bytes());
        }
    }
}

/// A line for the file and the console: written in one call, so that two writers do not mix.
fn full(line: &Line) -> String {
    format!(
        "{} {} {}\n",
        Stamp(line.at),
        line.severity.word(),
        line.text
    )
}

/// The log file, opened for appending.
struct LogFile {
    path: PathBuf,
    owner: Option<(Uid, Gid)>,
    file: Arc<File>,
    complaint: Complaint,
}

impl LogFile {
    fn open(path: &Path, owner: Option<(Uid, Gid)>) -> io::Result<Self> {
        let file = Arc::new(open_to_append(path, owner)?);
        last_words::go_to(Some(&file));
        Ok(LogFile {
            path: path.into(),
            owner,
            file,
            complaint: Complaint::new(),
        })
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = Arc::new(open_to_append(&self.path, self.owner)?);
        last_words::go_to(Some(&self.file));
        Ok(())
    }

    fn append(&mut self, line: &Line) -> io::Result<()> {
        (&*self.file).write_all(full(line).as_bytes())
    }

    fn write(&mut self, line: &Line, now: Instant) -> Option<Line> {
        let outcome = self.append(line);
        told(
            &mut self.complaint,
            &format!("log file {}", self.path.display()),
            outcome,
            now,
        )
    }
}

/// A file that is created here is given to `owner`, who writes it once root's rights are dropped. An
/// existing one keeps its owner. A terminal or `/dev/null` will do, and whatever stdout and stderr are.
fn open_to_append(path: &Path, owner: Option<(Uid, Gid)>) -> io::Result<File> {
    let place = opening::place(path)?;
    let (append, mode) = (
        OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT,
        Mode::from_bits_truncate(0o644),
    );
    match place.open(append | OFlag::O_EXCL, mode) {
        Ok(file) => {
            if let Some((user, group)) = owner.filter(|_| Uid::effective().is_root()) {
                fchown(&file, Some(user), Some(group))?;
            }
            return Ok(file);
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    // It is there, or it is a link to a file that is not.
    let opened = place.open(append, mode);
    let file = opened.map_err(|error| {
        // So it is refused where nobody reads it.
        let is_fifo = fs::metadata(path).is_ok_and(|about| about.file_type().is_fifo());
        if is_fifo { not_a_log("a FIFO") } else { error }
    })?;
    let about = file.metadata()?;
    if let Some(reason) = opening::foreign(&file, owner.map(|(user, _)| user))? {
        return Err(io::Error::other(reason));
    }
    if let Some(kind) = other_kind(&about) {
        if !about.file_type().is_char_device() && !is_a_stream_of_ours(&about) {
            return Err(not_a_log(kind));
        }
        opening::let_wait(&file)?;
    }
    Ok(file)
}

fn not_a_log(kind: &str) -> io::Error {
    io::Error::other(format!("it is {kind}, not a regular file"))
}

/// Whether it is what stdout or stderr is, such as a pipe to whoever collects them.
#[allow(clippy::useless_conversion, reason = "32-bit inodes")]
fn is_a_stream_of_ours(about: &Metadata) -> bool {
    let is = |stream: io::Result<FileStat>| {
        stream.is_ok_and(|it| (it.st_dev, u64::from(it.st_ino)) == (about.dev(), about.ino()))
    };
    is(fstat(io::stderr()).map_err(Into::into)) || is(fstat(io::stdout()).map_err(Into::into))
}

/// The local syslog.
struct Syslog {
    sockets: Vec<PathBuf>,
    link: Link,
    /// Whether it has ever taken a line. One that was never there is not reported.
    known: bool,
    complaint: Complaint,
}

enum Link {
    /// It took the last line.
    Up(Box<syslog::Logger<LoggerBackend, Plain>>),
    /// It did not, and is not tried again before then.
    Down { until: Instant },
}

impl Syslog {
    /// The second part is the reason if there is none. It may come later.
    fn connect(sockets: &[PathBuf]) -> (Self, io::Result<()>) {
        let (link, outcome) = match connect(sockets) {
            Ok(logger) => (Link::Up(Box::new(logger)), Ok(())),
            Err(reason) => (
                Link::Down {
                    until: Instant::now() + SYSLOG_PAUSE,
                },
                Err(reason),
            ),
        };
        let known = outcome.is_ok();
        (
            Syslog {
                sockets: sockets.to_vec(),
                link,
                known,
                complaint: Complaint::new(),
            },
            outcome,
        )
    }

    fn write(&mut self, line: &Line, now: Instant) -> Option<Line> {
        let outcome = match &self.link {
            Link::Down { until } if now < *until => return None,
            Link::Down { .. } => self.send_anew(line),
            // After a restart, syslog has a new socket under the old name.
            Link::Up(_) => self.send(line).or_else(|_| self.send_anew(line)),
        };
        if outcome.is_ok() {
            self.known = true;
        } else {
            self.link = Link::Down {
                until: now + SYSLOG_PAUSE,
            };
        }
        if self.known {
            told(&mut self.complaint, "syslog", outcome, now)
        } else {
            None
        }
    }

    fn send_anew(&mut self, line: &Line) -> io::Result<()> {
        self.link = Link::Up(Box::new(connect(&self.sockets)?));
        self.send(line)
    }

    fn send(&mut self, line: &Line) -> io::Result<()> {
        let Link::Up(logger) = &mut self.link else {
            return Ok(());
        };
        let text = format!("{} {}", line.severity.word(), line.text);
        let sent = match line.severity {
            // Not LOG_EMERG, which is written to every terminal.
            Severity::Fatal => logger.alert(text),
            Severity::Critical => logger.crit(text),
            Severity::Error => logger.err(text),
            Severity::Notice => logger.notice(text),
            Severity::Warning => logger.warning(text),
            Severity::Info => logger.info(text),
            Severity::Debug => logger.debug(text),
        };
        sent.map_err(|error| match error {
            syslog::Error::Write(error) | syslog::Error::Io(error) => error,
            error @ syslog::Error::Initialization(_) => io::Error::other(error.to_string()),
        })
    }
}

/// Connects to the first socket that exists, with datagrams or, if it refuses those, as a stream.
fn connect(sockets: &[PathBuf]) -> io::Result<syslog::Logger<LoggerBackend, Plain>> {
    let mut outcome = Err(io::ErrorKind::NotFound.into());
    for path in sockets {
        outcome = connect_to(path);
        match &outcome {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => break,
        }
    }
    let format = Plain {
        pid: std::process::id(),
    };
    outcome.map(|backend| syslog::Logger::new(backend, format))
}

fn connect_to(path: &Path) -> io::Result<LoggerBackend> {
    let socket = UnixDatagram::unbound()?;
    match socket.connect(path) {
        Ok(()) => {
            socket.set_write_timeout(Some(SYSLOG_PATIENCE))?;
            Ok(LoggerBackend::Unix(socket))
        }
        Err(error) if error.raw_os_error() == Some(Errno::EPROTOTYPE as i32) => {
            let socket = UnixStream::connect(path)?;
            socket.set_write_timeout(Some(SYSLOG_PATIENCE))?;
            Ok(LoggerBackend::UnixStream(io::BufWriter::new(socket)))
        }
        Err(error) => Err(error),
    }
}

/// RFC 3164 without the time: a local syslog then takes the time of arrival, in its own zone. The
/// crate's own formatter writes UTC where local time is expected.
#[derive(Clone, Debug)]
struct Plain {
    pid: u32,
}

impl<T: std::fmt::Display> LogFormat<T> for Plain {
    fn format<W: Write>(
        &self,
        out: &mut W,
        severity: syslog::Severity,
        message: T,
    ) -> syslog::Result<()> {
        let priority = priority(severity);
        write!(out, "<{priority}>gmetad[{}]: {message}", self.pid).map_err(syslog::Error::Write)
    }
}

/// The line for the other destinations about the outcome of a write to this one, if any.
fn told(
    complaint: &mut Complaint,
    sink: &str,
    outcome: io::Result<()>,
    now: Instant,
) -> Option<Line> {
    match outcome {
        Ok(()) => complaint.recovered(now).map(|lasted| {
            let text = format!("{sink} can be written again, after {}", span(lasted));
            Line::own(Severity::Notice, text)
        }),
        Err(error) => complaint.failed(now).map(|say| {
            let text = match say {
                Say::First => {
                    format!("{sink} cannot be written: {error}; its lines are lost until it can")
                }
                Say::Still { lasted, .. } => {
                    format!("{sink} cannot be written since {}: {error}", span(lasted))
                }
            };
            Line::own(Severity::Error, text)
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn line(text: &str) -> Line {
        Line::own(Severity::Warning, text.into())
    }

    fn only_file(path: &Path) -> Sinks {
        let file = LogFile::open(path, None).expect("a file in a new folder");
        Sinks {
            syslog: Syslog::connect(&[]).0,
            file: Some(file),
            wanted: None,
            console: false,
        }
    }

    fn connected(sockets: &[PathBuf]) -> Syslog {
        let (syslog, outcome) = Syslog::connect(sockets);
        outcome.expect("connected");
        syslog
    }

    fn received(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 1000];
        let length = socket.recv(&mut bytes).expect("a datagram");
        String::from_utf8(bytes[..length].to_vec()).expect("text")
    }

    #[test]
    fn the_log_file_is_appended_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        fs::write(&path, "before\n").expect("written");
        only_file(&path).write(&line("after"), Instant::now());
        let text = fs::read_to_string(&path).expect("read");
        assert!(text.starts_with("before\n"), "{text}");
        assert!(text.ends_with("Z WARNING after\n"), "{text}");
    }

    #[test]
    fn a_file_moved_away_is_followed_until_it_is_reopened() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, rotated) = (folder.path().join("log"), folder.path().join("log.1"));
        let mut sinks = only_file(&path);
        fs::rename(&path, &rotated).expect("moved");
        sinks.write(&line("one"), Instant::now());
        sinks.reopen(Instant::now());
        sinks.write(&line("two"), Instant::now());
        assert!(
            fs::read_to_string(&rotated)
                .expect("read")
                .ends_with("one\n")
        );
        assert!(fs::read_to_string(&path).expect("read").ends_with("two\n"));
    }

    #[test]
    fn a_file_that_cannot_be_reopened_is_kept_and_that_is_said_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, moved) = (folder.path().join("sub/log"), folder.path().join("moved"));
        fs::create_dir(folder.path().join("sub")).expect("made");
        let mut sinks = only_file(&path);
        fs::rename(folder.path().join("sub"), &moved).expect("moved");
        sinks.reopen(Instant::now());
        let text = fs::read_to_string(moved.join("log")).expect("read");
        assert!(text.contains("cannot be reopened"), "{text}");
        assert!(text.contains("logging goes on to the old one"), "{text}");
    }

    #[test]
    fn another_file_takes_over_and_one_that_cannot_is_tried_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, two) = (folder.path().join("one"), folder.path().join("sub/two"));
        let mut sinks = only_file(&one);
        sinks.log_to(Some(two.clone()), Instant::now());
        let text = fs::read_to_string(&one).expect("read");
        assert!(text.contains("sub/two cannot be opened"), "{text}");
        assert!(text.contains("; logging goes on to "), "{text}");
        fs::create_dir(folder.path().join("sub")).expect("made");
        sinks.reopen(Instant::now());
        sinks.write(&line("here"), Instant::now());
        assert!(fs::read_to_string(&two).expect("read").ends_with("here\n"));
        assert_eq!(fs::read_to_string(&one).expect("read"), text);
        sinks.log_to(None, Instant::now());
        sinks.write(&line("nowhere"), Instant::now());
        assert!(fs::read_to_string(&two).expect("read").ends_with("here\n"));
    }

    #[test]
    fn a_link_to_a_file_that_is_not_there_yet_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, real) = (folder.path().join("log"), folder.path().join("real"));
        symlink(&real, &path).expect("linked");
        only_file(&path).write(&line("here"), Instant::now());
        assert!(fs::read_to_string(&real).expect("read").ends_with("here\n"));
    }

    #[test]
    fn a_fifo_is_refused_at_once_whether_or_not_somebody_reads() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fifo");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).expect("made");
        let refused = || {
            open_to_append(&path, None)
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(refused(), "it is a FIFO, not a regular file");
        let both = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
        let reader = nix::fcntl::open(&path, both, Mode::empty()).expect("opened");
        assert_eq!(refused(), "it is a FIFO, not a regular file");
        drop(reader);
        assert!(open_to_append(Path::new("/dev/null"), None).is_ok());
        assert!(open_to_append(folder.path(), None).is_err());
    }

    #[test]
    fn syslog_gets_priority_name_pid_and_text_in_one_datagram() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).expect("bound");
        let mut syslog = connected(&[path]);
        assert!(syslog.write(&line("careful"), Instant::now()).is_none());
        let expected = format!("<28>gmetad[{}]: WARNING careful", std::process::id());
        assert_eq!(received(&socket), expected);
        let fatal = Line::own(Severity::Fatal, "over".into());
        assert!(syslog.write(&fatal, Instant::now()).is_none());
        assert!(received(&socket).starts_with("<25>"));
    }

    #[test]
    fn a_restarted_syslog_gets_the_next_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let first = UnixDatagram::bind(&path).expect("bound");
        let mut syslog = connected(std::slice::from_ref(&path));
        drop(first);
        fs::remove_file(&path).expect("removed");
        let second = UnixDatagram::bind(&path).expect("bound");
        assert!(syslog.write(&line("hello"), Instant::now()).is_none());
        assert!(received(&second).ends_with("hello"));
    }

    #[test]
    fn a_syslog_that_is_gone_is_told_once_left_alone_and_its_return_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let first = UnixDatagram::bind(&path).expect("bound");
        let mut syslog = connected(std::slice::from_ref(&path));
        drop(first);
        fs::remove_file(&path).expect("removed");
        let start = Instant::now();
        let trouble = syslog.write(&line("one"), start).expect("told");
        assert!(
            trouble.text.starts_with("syslog cannot be written: "),
            "{}",
            trouble.text
        );
        assert!(syslog.write(&line("two"), start + SYSLOG_PAUSE).is_none());
        let second = UnixDatagram::bind(&path).expect("bound");
        // Not yet asked again.
        assert!(syslog.write(&line("three"), start + SYSLOG_PAUSE).is_none());
        let back = syslog
            .write(&line("four"), start + 3 * SYSLOG_PAUSE)
            .expect("told");
        assert_eq!(back.text, "syslog can be written again, after 15 s");
        assert!(received(&second).ends_with("four"));
    }

    #[test]
    fn a_syslog_that_was_never_there_is_not_missed_and_used_when_it_comes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let (mut syslog, outcome) = Syslog::connect(std::slice::from_ref(&path));
        assert!(outcome.is_err());
        let later = Instant::now() + 2 * SYSLOG_PAUSE;
        assert!(syslog.write(&line("one"), later).is_none());
        let socket = UnixDatagram::bind(&path).expect("bound");
        assert!(syslog.write(&line("two"), later + SYSLOG_PAUSE).is_none());
        assert!(received(&socket).ends_with("two"));
    }

    #[test]
    fn a_full_disk_is_told_once_and_not_for_each_line() {
        let mut file = LogFile::open(Path::new("/dev/full"), None).expect("a device");
        let now = Instant::now();
        let trouble = file.write(&line("one"), now).expect("told");
        assert!(
            trouble
                .text
                .starts_with("log file /dev/full cannot be written: "),
            "{trouble:?}"
        );
        assert!(file.write(&line("two"), now).is_none());
    }
}
