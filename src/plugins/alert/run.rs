//! Runs programs beside the plugin thread: a few at once, none for long, every one reaped.
//!
//! No shell: program and arguments come from the configuration; the facts are passed in the
//! environment and on standard input.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::super::counted;
use gmetad_core::complaint::{Complaint, Say, span};

/// Most jobs that wait; further ones are dropped, and that is logged.
const WAITING_LIMIT: usize = 1000;

/// How often running programs are checked.
const STEP: Duration = Duration::from_millis(20);

/// Time for running and waiting programs when the daemon ends.
const END_WITHIN: Duration = Duration::from_secs(3);

/// Enough for spawning a process.
const STACK_BYTES: usize = 256 * 1024;

/// The only variable besides the alert's: a program does not get the daemon's environment.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program to run.
pub(super) struct Job {
    /// Its path, then its arguments; never empty.
    pub(super) program: Vec<String>,
    /// Variables besides `PATH`.
    pub(super) environment: Vec<(String, String)>,
    /// Its standard input.
    pub(super) input: Vec<u8>,
}

/// The plugin thread's side: hands jobs over and never waits.
pub(super) struct Runner {
    jobs: Sender<Job>,
    waiting: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
    full: Complaint,
}

impl Runner {
    pub(super) fn start(limit: usize, timeout: Duration) -> io::Result<Runner> {
        let (jobs, incoming) = channel();
        let mut runs = Runs::new(limit, timeout);
        let waiting = Arc::clone(&runs.count);
        let thread = thread::Builder::new()
            .name("alerts".into())
            .stack_size(STACK_BYTES)
            .spawn(move || runs.go_on(&incoming))?;
        Ok(Runner {
            jobs,
            waiting,
            thread,
            full: Complaint::new(),
        })
    }

    pub(super) fn add(&mut self, job: Job) {
        let now = Instant::now();
        if self.waiting.load(Ordering::Relaxed) >= WAITING_LIMIT {
            if self.full.failed(now).is_some() {
                log::error!(
                    "alert: {WAITING_LIMIT} alerts wait for {}; further ones are only logged until \
                     there is room",
                    job.program[0]
                );
            }
            return;
        }
        self.full.recovered(now);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // The receiver lives as long as this, unless it has panicked, and a panic is logged.
        let _ = self.jobs.send(job);
    }

    /// Returns when all programs have ended, or the time for them is over.
    pub(super) fn stop(self) {
        drop(self.jobs);
        // A panic there has been logged.
        let _ = self.thread.join();
    }
}

/// The side of the thread that runs programs.
struct Runs {
    limit: usize,
    timeout: Duration,
    waiting: VecDeque<Job>,
    /// Number of jobs that wait, in the channel or here.
    count: Arc<AtomicUsize>,
    running: Vec<Running>,
    trouble: Complaint,
}

struct Running {
    child: Child,
    name: String,
    until: Instant,
}

impl Runs {
    fn new(limit: usize, timeout: Duration) -> Runs {
        Runs {
            limit,
            timeout,
            waiting: VecDeque::new(),
            count: Arc::default(),
            running: Vec::new(),
            trouble: Complaint::new(),
        }
    }

    /// Runs jobs until the plugin thread's side is dropped, then ends what is left.
    fn go_on(&mut self, jobs: &Receiver<Job>) {
        loop {
            let next = if self.running.is_empty() {
                jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                jobs.recv_timeout(STEP)
            };
            match next {
                Ok(job) => self.waiting.push_back(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.waiting.extend(jobs.try_iter());
            self.look_after();
        }
        self.end();
    }

    /// Reaps, kills and starts.
    fn look_after(&mut self) {
        let now = Instant::now();
        let mut at = 0;
        while at < self.running.len() {
            match self.running[at].outcome(now, self.timeout) {
                None => at += 1,
                Some(outcome) => {
                    let name = self.running.swap_remove(at).name;
                    self.say(&name, outcome, now);
                }
            }
        }
        while self.running.len() < self.limit {
            let Some(job) = self.waiting.pop_front() else {
                break;
            };
            self.count.fetch_sub(1, Ordering::Relaxed);
            let name = job.program[0].clone();
            match start(&job) {
                Ok(child) => self.running.push(Running {
                    child,
                    name,
                    until: now + self.timeout,
                }),
                Err(error) => self.say(&name, Err(format!("cannot be run: {error}")), now),
            }
        }
    }

    fn say(&mut self, name: &str, outcome: Result<(), String>, now: Instant) {
        match outcome {
            Ok(()) => {
                if let Some(lasted) = self.trouble.recovered(now) {
                    gmetad_core::recovered!(error: "alert: {name} works again, after {}", span(lasted));
                }
            }
            Err(reason) => match self.trouble.failed(now) {
                Some(Say::First) => {
                    log::error!("alert: {name} {reason}; its alert may not have been delivered");
                }
                Some(Say::Still { lasted, times }) => log::error!(
                    "alert: {name} {reason}; {times} failures in {}",
                    span(lasted)
                ),
                None => {}
            },
        }
    }

    fn end(&mut self) {
        let deadline = Instant::now() + END_WITHIN;
        self.look_after();
        while !self.running.is_empty() && Instant::now() < deadline {
            thread::park_timeout(STEP);
            self.look_after();
        }
        let left = self.running.len() + self.waiting.len();
        if left > 0 {
            log::error!(
                "alert: {} may not have been delivered: their programs did not end in time",
                counted(left, "alert")
            );
        }
        for running in &mut self.running {
            running.kill();
        }
    }
}

impl Running {
    /// How it ended, if it has. Kills it if it has run for too long.
    fn outcome(&mut self, now: Instant, timeout: Duration) -> Option<Result<(), String>> {
        match self.child.try_wait() {
            Ok(Some(status)) if status.success() => Some(Ok(())),
            Ok(Some(status)) => Some(Err(format!("ended with {status}"))),
            Err(error) => Some(Err(format!("cannot be waited for: {error}"))),
            Ok(None) if now < self.until => None,
            Ok(None) => {
                self.kill();
                Some(Err(format!("was killed after {}", span(timeout))))
            }
        }
    }

    /// Kills it and what it has started, and reaps it.
    fn kill(&mut self) {
        // It leads a process group of its own and is not reaped yet, so the number is still its
        // own. A failure means that it has just ended.
        let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

fn start(job: &Job) -> io::Result<Child> {
    Command::new(&job.program[0])
        .args(&job.program[1..])
        .env_clear()
        .env("PATH", PATH)
        .envs(job.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .process_group(0)
        .stdin(input(&job.input)?)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// A pipe that already holds the text, so that nobody waits for the program to read it.
fn input(text: &[u8]) -> io::Result<OwnedFd> {
    let (reader, writer) = io::pipe()?;
    // One without the room is an error, not a wait.
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    File::from(OwnedFd::from(writer)).write_all(text)?;
    Ok(reader.into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn shell(script: &str) -> Job {
        Job {
            program: ["/bin/sh", "-c", script].map(String::from).to_vec(),
            environment: vec![("GMETAD_ALERT_HOST".into(), "web1".into())],
            input: b"host: web1\n".to_vec(),
        }
    }

    fn add(runs: &mut Runs, job: Job) {
        runs.count.fetch_add(1, Ordering::Relaxed);
        runs.waiting.push_back(job);
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_program_gets_its_facts_and_nothing_of_the_daemons_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out");
        let mut runner = Runner::start(1, Duration::from_secs(10)).unwrap();
        runner.add(shell(&format!("(env; cat; pwd) > {}", file.display())));
        runner.stop();
        let text = read(&file);
        assert!(text.contains("GMETAD_ALERT_HOST=web1\n"), "{text}");
        assert!(text.ends_with("host: web1\n/\n"), "{text}");
        assert!(!text.contains("CARGO"), "{text}");
    }

    #[test]
    fn no_more_run_at_once_than_may_and_all_have_their_turn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        // Each takes a place, sees how many are taken, and gives it back.
        let script =
            format!("cd {path}; : > run.$$; ls run.* | wc -l >> seen; sleep 0.05; rm run.$$");
        let mut runner = Runner::start(2, Duration::from_secs(10)).unwrap();
        for _ in 0..12 {
            runner.add(shell(&script));
        }
        runner.stop();
        let seen = read(&folder.path().join("seen"));
        let seen: Vec<u32> = seen.lines().map(|it| it.trim().parse().unwrap()).collect();
        assert_eq!(seen.len(), 12);
        assert!(seen.iter().all(|&count| count <= 2), "{seen:?}");
    }

    #[test]
    fn one_that_runs_too_long_is_killed_with_all_that_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let mut runs = Runs::new(1, Duration::from_millis(300));
        let script = format!("cd {path}; sleep 1000 & echo $! > child; mv child pid; wait");
        add(&mut runs, shell(&script));
        let file = folder.path().join("pid");
        runs.look_after();
        let until = Instant::now() + Duration::from_secs(20);
        while !runs.running.is_empty() && Instant::now() < until {
            thread::park_timeout(STEP);
            runs.look_after();
        }
        assert!(runs.trouble.failing());
        let pid: i32 = read(&file).trim().parse().unwrap();
        // Gone, or a zombie that nobody reaps here.
        let is_gone = || {
            let stat = read(Path::new(&format!("/proc/{pid}/stat")));
            stat.is_empty() || stat.contains(") Z ")
        };
        while !is_gone() {
            assert!(Instant::now() < until, "{pid} still runs");
            thread::park_timeout(STEP);
        }
    }

    #[test]
    fn a_program_that_is_not_there_or_fails_is_trouble_until_one_works() {
        let mut runs = Runs::new(1, Duration::from_secs(10));
        let finish = |runs: &mut Runs, job| {
            add(runs, job);
            runs.look_after();
            while !runs.running.is_empty() {
                thread::park_timeout(STEP);
                runs.look_after();
            }
            runs.trouble.failing()
        };
        let missing = Job {
            program: vec!["/nowhere/tell".into()],
            ..shell("")
        };
        assert!(finish(&mut runs, missing));
        assert!(!finish(&mut runs, shell("exit 0")));
        assert!(finish(&mut runs, shell("exit 3")));
    }
}
