//! Where log lines go: to syslog, the log file and the console, through a thread of their own.
//!
//! Does not decide what is worth a line; [`Complaint`] helps with that. Logging never waits: a line
//! is queued, and if the queue is full, it is counted as lost instead. The thread is there while there
//! are lines.

mod last_words;
mod line;
mod sinks;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use gmetad_core::complaint::{LIFE, OVER_CRITICAL, OVER_ERROR, OVER_WARNING};
use gmetad_core::model::Readable;
use log::{LevelFilter, Metadata, Record};
use nix::unistd::{Gid, Uid};
use thiserror::Error;

pub use last_words::last_words;
pub use line::Severity;
use sinks::Sinks;

/// Target of lines that are logged at every level.
const INSISTED: &str = "gmetad::insisted";

/// Lines that may wait for a slow disk or console; further ones are lost, and their number is logged.
const QUEUE_LIMIT: usize = 1024;
/// Where syslog listens on the supported systems.
const SYSLOG_SOCKETS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];
/// Time without a line after which the thread ends; the next line starts another.
const IDLE_LIMIT: Duration = Duration::from_secs(5);
/// How long [`flush`] waits for lines to be written.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// What to log, and where to, beside syslog.
#[derive(Clone, Debug)]
pub struct Settings {
    /// 0 fatal, 1 critical, 2 error, 3 warning, 4 info, 5 and over debug.
    pub level: u8,
    /// Appended to; its lines are those of syslog.
    pub file: Option<PathBuf>,
    /// Owner of a log file that does not exist yet: the user the daemon becomes.
    pub owner: Option<(Uid, Gid)>,
}

/// Why logging cannot start.
#[derive(Debug, Error)]
pub enum LogError {
    /// The log file cannot be opened.
    #[error(
        "log file {path} cannot be opened for appending: {source}; make its folder writable, or \
         name another one with logfile or -l"
    )]
    File {
        /// As configured.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The thread cannot be started.
    #[error("the thread that writes the log cannot be started: {0}")]
    Thread(io::Error),
}

/// A job for the thread that writes.
enum Job {
    /// A line, already escaped.
    Line(Line),
    /// Reopen the log file, as it may have been rotated.
    Reopen,
    /// From now on, log to this file, or to none.
    LogTo(Option<PathBuf>),
    /// Stop writing to the console.
    LeaveConsole,
    /// Report when everything before this is written.
    Flush(SyncSender<()>),
}

/// One line of the log.
#[derive(Clone, Debug)]
struct Line {
    at: SystemTime,
    severity: Severity,
    text: String,
}

static LEVEL: AtomicU8 = AtomicU8::new(2);
static LOST: AtomicU64 = AtomicU64::new(0);
static LOG: OnceLock<Log> = OnceLock::new();

/// The queue, and what becomes of it.
struct Log {
    queue: SyncSender<Job>,
    /// Whether a thread is there that will see the next job.
    is_awake: AtomicBool,
    /// Held by the thread for as long as it lives.
    desk: Mutex<Desk>,
}

/// What the thread works with.
struct Desk {
    jobs: Receiver<Job>,
    sinks: Sinks,
}

/// Starts logging, to the console too until [`leave_console`]. Call it once in a process, after its
/// last fork.
///
/// Without syslog, one warning is logged at every level, and logging goes on.
pub fn start(settings: &Settings) -> Result<(), LogError> {
    let (sinks, syslog) = Sinks::open(settings)?;
    let (queue, jobs) = sync_channel(QUEUE_LIMIT);
    let log = Log {
        queue,
        is_awake: AtomicBool::new(false),
        desk: Mutex::new(Desk { jobs, sinks }),
    };
    if LOG.set(log).is_ok() {
        // Fails only if a logger is set already, which the line above rules out.
        let _ = fern::Dispatch::new()
            .filter(wanted)
            .format(|out, message, _| out.finish(format_args!("{}", Readable::line(message))))
            .chain(fern::Output::call(enqueue))
            .apply();
        std::panic::set_hook(Box::new(|panic| {
            gmetad_core::fatal!("this is a bug in gmetad, please report it: {panic}");
            flush();
        }));
    }
    if let Some(log) = LOG.get() {
        log.awake().map_err(LogError::Thread)?;
    }
    set_level(settings.level);
    if let Err(reason) = syslog {
        insist(
            log::Level::Warn,
            format_args!(
                "no syslog on this machine: {reason}; lines go to the log file and the console"
            ),
        );
    }
    Ok(())
}

/// Sets the level up to which lines are logged: 0 (fatal only) to 5 and over (everything).
pub fn set_level(level: u8) {
    LEVEL.store(level, Ordering::Relaxed);
    log::set_max_level(match level {
        0..=2 => LevelFilter::Error,
        3 => LevelFilter::Warn,
        4 => LevelFilter::Info,
        5 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    });
}

/// Reopens the log file, as after a rotation. A failure is logged, and the old file kept.
pub fn reopen() {
    submit(Job::Reopen);
}

/// Logs to another file from now on, or to none. A failure is logged, and the old file kept.
pub fn log_to(file: Option<PathBuf>) {
    submit(Job::LogTo(file));
}

/// Stops writing to the console: the terminal belongs to whoever started the daemon.
pub fn leave_console() {
    submit(Job::LeaveConsole);
    flush();
}

/// Logs at every level: what somebody has asked for, or must know.
pub fn insist(level: log::Level, text: fmt::Arguments<'_>) {
    log::logger().log(
        &Record::builder()
            .level(level)
            .target(INSISTED)
            .args(text)
            .build(),
    );
}

/// Logs a remark about something in the configuration. Warnings are logged at every level: whoever
/// has just changed it wants to know of mistakes.
pub fn remark(level: log::Level, text: fmt::Arguments<'_>) {
    if level <= log::Level::Warn {
        insist(level, text);
    } else {
        log::log!(level, "{text}");
    }
}

/// As [`remark`], for a text of several lines: each becomes a line of the log.
pub fn remark_lines(level: log::Level, text: &str) {
    for line in text.lines() {
        remark(level, format_args!("{line}"));
    }
}

/// Waits until all lines so far are written, for up to `FLUSH_LIMIT`.
pub fn flush() {
    let Some(log) = LOG.get() else { return };
    let deadline = Instant::now() + FLUSH_LIMIT;
    let (done, written) = sync_channel(1);
    let mut job = Job::Flush(done);
    while let Err(TrySendError::Full(back)) = log.queue.try_send(job) {
        if Instant::now() >= deadline {
            return;
        }
        job = back;
        thread::sleep(Duration::from_millis(10));
    }
    if log.awake().is_err() {
        // No thread can be started, so the lines are written here.
        return log.write_all(Duration::ZERO);
    }
    let _ = written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
}

fn wanted(metadata: &Metadata<'_>) -> bool {
    is_wanted_at(LEVEL.load(Ordering::Relaxed), metadata)
}

fn is_wanted_at(level: u8, metadata: &Metadata<'_>) -> bool {
    let of = match metadata.target() {
        INSISTED | LIFE => return true,
        OVER_CRITICAL => Severity::Critical,
        OVER_ERROR => Severity::Error,
        OVER_WARNING => Severity::Warning,
        _ => Severity::of(metadata),
    };
    of.logged_at(level)
}

fn enqueue(record: &Record<'_>) {
    submit(Job::Line(Line {
        at: SystemTime::now(),
        severity: Severity::of(record.metadata()),
        text: record.args().to_string(),
    }));
}

fn submit(job: Job) {
    let Some(log) = LOG.get() else { return };
    if log.queue.try_send(job).is_err() {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
    // Where no thread can be started now, the next line tries again.
    let _ = log.awake();
}

impl Log {
    /// Starts the thread, unless one is there.
    fn awake(&'static self) -> io::Result<()> {
        // The swap orders this after what was queued, and before what the thread looks at last.
        if self.is_awake.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let started = thread::Builder::new()
            .name("log".into())
            .stack_size(256 * 1024)
            .spawn(|| self.write_all(IDLE_LIMIT));
        if started.is_err() {
            self.is_awake.store(false, Ordering::Release);
        }
        started.map(|_| ())
    }

    /// Does all jobs in order, until there are none for so long.
    fn write_all(&self, idle: Duration) {
        // The one before ends as soon as it finds the queue empty.
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match desk.jobs.recv_timeout(idle) {
                Ok(job) => desk.work(job),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    self.is_awake.swap(false, Ordering::AcqRel);
                    // Whoever queued a job before that took this thread for awake.
                    let Ok(job) = desk.jobs.try_recv() else {
                        return;
                    };
                    desk.work(job);
                    if self.is_awake.swap(true, Ordering::AcqRel) {
                        // Another thread was started, and waits for the desk.
                        return;
                    }
                }
            }
        }
    }
}

impl Desk {
    fn work(&mut self, job: Job) {
        match job {
            Job::Line(line) => self.sinks.write(&line, Instant::now()),
            Job::Reopen => self.sinks.reopen(Instant::now()),
            Job::LogTo(file) => self.sinks.log_to(file, Instant::now()),
            Job::LeaveConsole => self.sinks.leave_console(),
            Job::Flush(done) => {
                // Nobody may be waiting any more.
                let _ = done.try_send(());
            }
        }
        let lost = LOST.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text =
                format!("{lost} log lines were lost: they came faster than they could be written");
            self.sinks
                .write(&Line::own(Severity::Error, text), Instant::now());
        }
    }
}

impl Line {
    /// A line about logging itself.
    fn own(severity: Severity, text: String) -> Self {
        Line {
            at: SystemTime::now(),
            severity,
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_said_wherever_it_was_said_and_life_everywhere() {
        let of = |level, target| Metadata::builder().level(level).target(target).build();
        let over = [
            (OVER_CRITICAL, log::Level::Error, Severity::Critical),
            (OVER_ERROR, log::Level::Error, Severity::Error),
            (OVER_WARNING, log::Level::Warn, Severity::Warning),
        ];
        for level in 0..7 {
            assert!(is_wanted_at(level, &of(log::Level::Error, LIFE)));
            for (target, as_level, fault) in over {
                let metadata = of(as_level, target);
                assert_eq!(is_wanted_at(level, &metadata), fault.logged_at(level));
                assert_eq!(Severity::of(&metadata), Severity::Notice);
            }
        }
    }
}
