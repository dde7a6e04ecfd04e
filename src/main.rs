//! gmetad's process from its first step to its last: the steps in order, and the exit codes.
//!
//! Does no work of its own: each step is a module of the library.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use gmetad::cli::{Options, Rehearsal, Request};
use gmetad::daemon::{Account, Exit, Manager, PidFile, PidFileError, Role, State, UserError};
use gmetad::logging::{LogError, Settings};
use gmetad::plugins::parts;
use gmetad::preflight::{ThisMachine, Verdict};
use gmetad::reactor::{BindError, Origin, Reactor};
use gmetad::terminal::{complain, print, show, show_findings, show_notices};
use gmetad::{cli, daemon, healing, logging, plugins, preflight};
use gmetad_config::{Config, Effective, Loaded, Notice, Printed};
use nix::sys::stat::{Mode, umask};

fn main() -> ExitCode {
    if let Some(files) = cli::plugin_to_try(std::env::args_os()) {
        parts::loader::attempt(files);
    }
    if let Some(asked) = cli::access_to_ask(std::env::args_os()) {
        return ExitCode::from(preflight::answer_as(asked));
    }
    let exit = work();
    parts::loader::end_is_asked();
    exit
}

/// What this process is for.
fn work() -> ExitCode {
    match daemon::role() {
        Role::Leader => daemon::lead_session().into(),
        Role::Starter => start().unwrap_or_else(ExitCode::from),
        Role::Daemon => {
            let exit = run_detached();
            // Has no effect once the daemon is ready: nobody reads it any more.
            daemon::report(exit);
            exit.into()
        }
    }
}

/// Runs in the foreground, or starts the daemon.
fn start() -> Result<ExitCode, Exit> {
    let options = arguments()?;
    let prepared = prepare(&options)?;
    if options.once {
        return poll_once(&prepared);
    }
    if prepared.loaded.config.is_foreground() {
        run(&prepared, || serve(&prepared, Terminal::Kept))?;
        return Ok(Exit::Ok.into());
    }
    Ok(daemon::start_detached())
}

/// What is known before anything is started.
struct Prepared {
    loaded: Loaded,
    origin: Origin,
    account: Option<Account>,
}

/// Exit codes from 64 on mean something else than the number of sources that failed.
const FAILED_SOURCES_MAX: usize = 63;

/// What happens to the terminal once the daemon is ready.
#[derive(Clone, Copy)]
enum Terminal {
    /// It stays the console for log lines.
    Kept,
    /// It is given back.
    Left,
}

fn run_detached() -> Exit {
    // Relative names of files are made absolute before this folder is left.
    let options = match arguments() {
        Ok(options) => options,
        Err(exit) => return exit,
    };
    if let Err(error) = daemon::settle() {
        return complain(
            &format_args!("cannot change to the folder /: {error}"),
            Exit::System,
        );
    }
    let outcome =
        prepare(&options).and_then(|prepared| run(&prepared, || serve(&prepared, Terminal::Left)));
    outcome.err().unwrap_or(Exit::Ok)
}

/// Reads the arguments. `Err` is the exit code of a run that is over by then, done or failed.
fn arguments() -> Result<Options, Exit> {
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Request::Run(options)) => Ok(options),
        Ok(Request::PrintConfig(options)) => Err(print_config(&options)),
        Ok(Request::Heal(options, places)) => {
            Err(heal(&options, places).unwrap_or_else(|exit| exit))
        }
        Ok(Request::Rehearse(options, rehearsal)) => Err(rehearse(&options, &rehearsal)),
        Ok(Request::Print(text)) => Err(print(&text)),
        Err(error) => Err(complain(&error, Exit::Usage)),
    }
}

/// Reads the configuration. `Err` is the exit code of a run that is over by then, done or failed.
fn prepare(options: &Options) -> Result<Prepared, Exit> {
    let mut loaded = load(options)?;
    // Now, as later reading a disk would hold up the loop.
    let archives = parts::rrd::other_archives(&loaded.config.rrd);
    loaded.notices.extend(archives.map(|text| Notice {
        level: log::Level::Warn,
        text,
    }));
    if options.test_config {
        return Err(check(options, &loaded));
    }
    let account = daemon::account_to_become(loaded.config.setuid_username.as_deref())
        .map_err(|error| complain(&error, error.exit()))?;
    let origin = Origin {
        conf: options.conf.clone(),
        overrides: options.overrides.clone(),
        host_name: host_name(),
    };
    Ok(Prepared {
        loaded,
        origin,
        account,
    })
}

fn load(options: &Options) -> Result<Loaded, Exit> {
    parts::load(&options.conf, &options.overrides, &host_name()).map_err(|errors| {
        show_notices(&errors.notices);
        for error in &errors.errors {
            complain(error, Exit::Config);
        }
        // A start ends before it looks for the user; a check reports all mistakes at once.
        let user = errors.setuid_username.filter(|_| options.test_config);
        let finding = user.and_then(|it| preflight::finding_of_user(&it, &ThisMachine));
        show_findings(finding.as_slice());
        Exit::Config
    })
}

fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(
        |_| "localhost".into(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Cuts what is ahead of now from round-robin files, as the user and in the place of the daemon: its
/// pid file and its ports are held meanwhile.
fn heal(options: &Options, places: Vec<PathBuf>) -> Result<Exit, Exit> {
    let Prepared {
        loaded: Loaded { config, .. },
        account,
        ..
    } = prepare(options)?;
    let refuse = |failure: Failure| complain(&failure, failure.exit());
    let user = account.as_ref().map(|account| account.user);
    let claim = |path| PidFile::claim(path, user);
    let pid_file = config.pid_file.as_deref().map(claim).transpose();
    let _pid_file = pid_file.map_err(|error| refuse(error.into()))?;
    let _ports = Reactor::bind(&config).map_err(|error| refuse(error.into()))?;
    let assumed = account.as_ref().map(Account::assume).transpose();
    assumed.map_err(|error| refuse(error.into()))?;
    let places = match places.as_slice() {
        [] => vec![config.rrd.rootdir],
        _ => places,
    };
    Ok(healing::heal(&places, config.rrd.journal_dir.as_deref()))
}

/// Tries a plugin out with the configuration, or with the defaults where there is no gmetad.conf.
fn rehearse(options: &Options, rehearsal: &Rehearsal) -> Exit {
    let config = if options.conf_is_given || options.conf.exists() {
        match load(options) {
            Ok(loaded) => loaded.config,
            Err(exit) => return exit,
        }
    } else {
        Config::new(&host_name())
    };
    match plugins::rehearse(rehearsal, &config) {
        Ok(()) => Exit::Ok,
        Err(error) => complain(&error, Exit::Plugin),
    }
}

/// Checks what a start would trip over here, and prints what would run.
fn check(options: &Options, loaded: &Loaded) -> Exit {
    show_notices(&loaded.notices);
    let findings = preflight::findings(&loaded.config, &ThisMachine);
    show_findings(&findings);
    let Verdict { text, exit } = preflight::verdict(&loaded.config, &findings);
    let conf = options.conf.display();
    match show(&format_args!(
        "{conf}: {text}\n{}",
        Effective(&loaded.config)
    )) {
        Exit::Ok => exit,
        failed => failed,
    }
}

/// Prints the configuration in force as a configuration file.
fn print_config(options: &Options) -> Exit {
    match load(options) {
        Ok(loaded) => {
            show_notices(&loaded.notices);
            print(&Printed(&loaded).to_string())
        }
        Err(exit) => exit,
    }
}

/// Starts the log, does the work, and logs why it failed.
fn run<T>(prepared: &Prepared, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Exit> {
    let Prepared {
        loaded: Loaded {
            config, notices, ..
        },
        account,
        ..
    } = prepared;
    umask(Mode::from_bits_truncate(config.umask));
    // Before the first thread, so that it is true of all.
    let starts_none = !plugins::may_start_programs(config);
    let given_up = starts_none.then(daemon::gain_no_privileges).transpose();
    let settings = Settings {
        level: config.debug_level,
        file: config.logfile.clone(),
        owner: account
            .as_ref()
            .map(|account| (account.user, account.group)),
    };
    if let Err(error) = logging::start(&settings) {
        let exit = match error {
            LogError::File { .. } => Exit::CannotCreate,
            LogError::Thread(_) => Exit::System,
        };
        return Err(complain(&error, exit));
    }
    for Notice { level, text } in notices {
        logging::remark_lines(*level, text);
    }
    if let Err(error) = given_up {
        log::warn!("programs that gmetad starts may gain privileges: {error}");
    }
    let outcome = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(failure)) => {
            gmetad_core::fatal!("{failure}");
            Err(failure.exit())
        }
        // The panic has been logged. Unwinding has released everything, the pid file included.
        Err(_) => Err(Exit::Software),
    };
    logging::flush();
    outcome
}

/// Polls every source once. The exit code is the number that failed, up to FAILED_SOURCES_MAX.
fn poll_once(prepared: &Prepared) -> Result<ExitCode, Exit> {
    let Prepared {
        loaded, account, ..
    } = prepared;
    let config = loaded.config.clone().for_one_round();
    let round = run(prepared, || {
        let reactor = Reactor::without_ports(&config)?;
        if let Some(account) = account {
            become_user(account, &config)?;
        }
        Ok(reactor.run_once()?)
    })?;
    let printed = show(&round);
    if printed != Exit::Ok {
        return Err(printed);
    }
    match round.failed() {
        0 if !round.troubles.is_empty() => Err(Exit::Io),
        failed => Ok(ExitCode::from(failed.min(FAILED_SOURCES_MAX) as u8)),
    }
}

/// Becomes the user, who may not make a missing RRD root: root makes it first.
fn become_user(account: &Account, config: &Config) -> Result<(), UserError> {
    if plugins::write_rrd_files(config) {
        // The writer logs what is wrong with the folder.
        let _ = account.make_folder(&config.rrd.rootdir);
    }
    account.assume()
}

/// Runs the loop, and holds the pid file meanwhile.
fn serve(prepared: &Prepared, terminal: Terminal) -> Result<(), Failure> {
    let Prepared {
        loaded: Loaded { config, .. },
        origin,
        account,
    } = prepared;
    // Before the ports: a second daemon is refused because of the first one, not of its ports.
    let user = account.as_ref().map(|account| account.user);
    let claim = |path| PidFile::claim(path, user);
    let mut pid_file = config.pid_file.as_deref().map(claim).transpose()?;
    let reactor = Reactor::bind(config)?.reloading_from(origin.clone());
    if let Some(pid_file) = &mut pid_file {
        pid_file.write()?;
    }
    if let Some(account) = account {
        become_user(account, config)?;
    }
    if let Terminal::Left = terminal {
        logging::leave_console();
    }
    // If the system has chosen the ports, only this line tells them. It is in the log before the
    // command that starts a daemon returns.
    gmetad_core::life!(
        "gmetad {} has started: pid {}, {}, {}; listening: xml {}, interactive {}",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        origin.conf.display(),
        sources(config.sources.len()),
        listed(reactor.xml_addrs()),
        listed(reactor.interactive_addrs())
    );
    if !reactor.web_addrs().is_empty() {
        gmetad_core::life!("the pages are at {}", listed(reactor.web_addrs()));
    }
    if let Terminal::Left = terminal {
        logging::flush();
        daemon::leave_terminal().map_err(Failure::Terminal)?;
    }
    let manager = Manager::of_environment();
    manager.tell(State::Ready);
    manager.wait_no_more();
    let started = Instant::now();
    let signal = reactor.managed_by(manager).run()?;
    gmetad_core::life!(
        "gmetad has stopped, on {signal}, after {}",
        gmetad_core::complaint::span(started.elapsed())
    );
    Ok(())
}

fn sources(count: usize) -> String {
    match count {
        1 => "1 source".into(),
        count => format!("{count} sources"),
    }
}

/// Why the daemon did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    User(#[from] UserError),
    #[error("cannot give up the terminal: {0}")]
    Terminal(io::Error),
    #[error(transparent)]
    Run(#[from] gmetad::reactor::RunError),
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Failure::PidFile(PidFileError::Held { .. }) => Exit::Unavailable,
            Failure::PidFile(PidFileError::Create { .. } | PidFileError::Foreign { .. }) => {
                Exit::CannotCreate
            }
            Failure::PidFile(PidFileError::Write { .. }) => Exit::Io,
            Failure::Bind(error) => daemon::exit_of_listening(error.kind()),
            Failure::User(error) => error.exit(),
            Failure::Terminal(_) | Failure::Run(_) => Exit::System,
        }
    }
}

fn listed(addresses: &[SocketAddr]) -> String {
    let listed: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    listed.join(" ")
}
