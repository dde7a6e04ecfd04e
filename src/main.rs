//! gmetad's process from its first step to its last: every step in order, every exit code.
//!
//! Does no work of its own: each step is a module of the library.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use gmetad::cli::{Options, Rehearsal, Request};
use gmetad::daemon::{Account, Exit, PidFile, PidFileError, Role, UserError};
use gmetad::logging::{LogError, Settings};
use gmetad::preflight::{Finding, ThisMachine, Weight};
use gmetad::reactor::{BindError, Origin, Reactor};
use gmetad::{cli, daemon, logging, plugins, preflight};
use gmetad_config::{Config, Effective, Loaded, Notice, Printed};
use gmetad_loader::Candidate;
use nix::sys::stat::{Mode, umask};
use {gmetad_config as config, gmetad_loader as shared_object};

fn main() -> ExitCode {
    if let Some([library, file]) = cli::plugin_to_try(std::env::args_os()) {
        shared_object::attempt(&Candidate { library, file });
    }
    if let Some(asked) = cli::access_to_ask(std::env::args_os()) {
        return ExitCode::from(preflight::answer_as(asked));
    }
    match daemon::role() {
        Role::Leader => daemon::lead_session().into(),
        Role::Starter => start().unwrap_or_else(ExitCode::from),
        Role::Daemon => {
            let exit = run_detached();
            // Once the daemon is ready nobody listens any more, and this says nothing.
            daemon::report(exit);
            exit.into()
        }
    }
}

/// Runs in the foreground, or has the daemon started.
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

/// What must be known before anything is started.
struct Prepared {
    loaded: Loaded,
    origin: Origin,
    account: Option<Account>,
}

/// Exit codes from 64 on say other things than how many sources failed.
const FAILED_SOURCES_MAX: usize = 63;

/// What happens to the terminal once the daemon is ready.
#[derive(Clone, Copy)]
enum Terminal {
    /// It stays the console.
    Kept,
    /// It is given back.
    Left,
}

fn run_detached() -> Exit {
    // Names of files are as seen from the folder that is left next.
    let options = match arguments() {
        Ok(options) => options,
        Err(exit) => return exit,
    };
    if let Err(error) = daemon::settle() {
        return complain(
            &format_args!("cannot leave this folder: {error}"),
            Exit::System,
        );
    }
    let outcome =
        prepare(&options).and_then(|prepared| run(&prepared, || serve(&prepared, Terminal::Left)));
    outcome.err().unwrap_or(Exit::Ok)
}

/// Reads the arguments; `Err` is the exit code of what ends here, well or not.
fn arguments() -> Result<Options, Exit> {
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Request::Run(options)) => Ok(options),
        Ok(Request::PrintConfig(options)) => Err(print_config(&options)),
        Ok(Request::Rehearse(options, rehearsal)) => Err(rehearse(&options, &rehearsal)),
        Ok(Request::Print(text)) => Err(print(&text)),
        Err(error) => Err(complain(&error, Exit::Usage)),
    }
}

/// Reads the configuration; `Err` is the exit code of what ends here, well or not.
fn prepare(options: &Options) -> Result<Prepared, Exit> {
    let mut loaded = load(options)?;
    // Before there is a loop that reading a disk would hold up.
    let archives = gmetad_rrd::other_archives(&loaded.config.rrd);
    loaded.notices.extend(archives.map(|text| Notice {
        level: log::Level::Warn,
        text,
    }));
    if options.test_config {
        return Err(show(options, &loaded));
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
    config::load(&options.conf, &options.overrides, &host_name()).map_err(|errors| {
        show_notices(&errors.notices);
        for error in &errors.errors {
            complain(error, Exit::Config);
        }
        // A start ends before it looks for the user; who checks is to hear of all at once.
        let user = errors.setuid_username.filter(|_| options.test_config);
        if let Some(finding) = user.and_then(|it| preflight::finding_of_user(&it, &ThisMachine)) {
            show_finding(&finding);
        }
        Exit::Config
    })
}

fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(
        |_| "localhost".into(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Tries a plugin out, with what is configured; on a machine without gmetad.conf, the defaults.
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

/// Prints what would run.
fn show(options: &Options, loaded: &Loaded) -> Exit {
    show_notices(&loaded.notices);
    let findings = preflight::findings(&loaded.config, &ThisMachine);
    findings.iter().for_each(show_finding);
    let failure = preflight::exit_of(&findings);
    let left_out = (loaded.config.alert.as_ref()).is_some_and(|alert| !alert.left_out.is_empty());
    let verdict = match (left_out, failure) {
        (_, Some(_)) => "a start with it fails here",
        (true, None) => "sound, but for rules of alert that are left out",
        (false, None) => "sound",
    };
    let printed = print(&format!(
        "{}: {verdict}\n{}",
        options.conf.display(),
        Effective(&loaded.config)
    ));
    if printed != Exit::Ok {
        return printed;
    }
    // A daemon would start without the rule; one that was written and says nothing is a mistake all
    // the same, and like all mistakes of the files it comes first.
    match failure {
        _ if left_out => Exit::Config,
        Some(exit) => exit,
        None => Exit::Ok,
    }
}

fn show_finding(Finding { weight, text }: &Finding) {
    let level = match weight {
        Weight::Fatal(_) => "",
        Weight::Warning => "warn: ",
        Weight::Unchecked => "info: not checked: ",
    };
    eprintln!("gmetad: {level}{text}");
}

/// Prints what is in force, for a file.
fn print_config(options: &Options) -> Exit {
    match load(options) {
        Ok(loaded) => {
            show_notices(&loaded.notices);
            print(&Printed(&loaded).to_string())
        }
        Err(exit) => exit,
    }
}

fn show_notices(notices: &[Notice]) {
    for Notice { level, text } in notices {
        eprintln!("gmetad: {}: {text}", level.as_str().to_lowercase());
    }
}

/// Starts the log, does the work, and sees to it that its end is logged.
fn run<T>(prepared: &Prepared, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Exit> {
    let Prepared {
        loaded: Loaded {
            config, notices, ..
        },
        account,
        ..
    } = prepared;
    umask(Mode::from_bits_truncate(config.umask));
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
    let outcome = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(failure)) => {
            gmetad_core::fatal!("{failure}");
            Err(failure.exit())
        }
        // The panic has been logged, and all that it held let go, the pid file with it.
        Err(_) => Err(Exit::Software),
    };
    logging::flush();
    outcome
}

/// Polls every source once. The exit code is how many failed, up to what other codes begin above.
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
    let printed = print(&round.to_string());
    if printed != Exit::Ok {
        return Err(printed);
    }
    match round.failed() {
        0 if !round.troubles.is_empty() => Err(Exit::Io),
        failed => Ok(ExitCode::from(failed.min(FAILED_SOURCES_MAX) as u8)),
    }
}

/// Becomes the user, who may not make a missing RRD root: it is made before.
fn become_user(account: &Account, config: &Config) -> Result<(), UserError> {
    let chain = config.plugins.as_ref();
    let stores = chain.is_none_or(|ids| ids.iter().any(|id| id.starts_with("rrd")));
    if stores && config.rrd.write {
        // Whoever writes there says what is wrong with it, now and at each update.
        let _ = account.make_folder(&config.rrd.rootdir);
    }
    account.assume()
}

/// Holds the pid file for as long as the loop runs.
fn serve(prepared: &Prepared, terminal: Terminal) -> Result<(), Failure> {
    let Prepared {
        loaded: Loaded { config, .. },
        origin,
        account,
    } = prepared;
    // Claimed before the ports: who starts a second daemon is told of the first, not of its ports.
    let mut pid_file = config.pid_file.as_deref().map(PidFile::claim).transpose()?;
    let reactor = Reactor::bind(config)?.reloading_from(origin.clone());
    if let Some(pid_file) = &mut pid_file {
        pid_file.write()?;
    }
    if let Some(account) = account {
        become_user(account, config)?;
    }
    if let Terminal::Left = terminal {
        logging::leave_console();
        daemon::leave_terminal().map_err(Failure::Terminal)?;
    }
    // With ports of the system's choice there is no other way to know them.
    gmetad_core::life!(
        "gmetad {} has started: pid {}, {}, {}; listening: xml {}, interactive {}",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        origin.conf.display(),
        sources(config.sources.len()),
        listed(reactor.xml_addrs()),
        listed(reactor.interactive_addrs())
    );
    let started = Instant::now();
    let signal = reactor.run()?;
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

/// Why the daemon did not start, or ended without being asked.
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
            Failure::PidFile(PidFileError::Create { .. }) => Exit::CannotCreate,
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

/// Says on standard error what went wrong, where there is no log yet.
fn complain(reason: &dyn Display, exit: Exit) -> Exit {
    eprintln!("gmetad: {reason}");
    exit
}

fn print(text: &str) -> Exit {
    let mut output = io::stdout();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Ok(()) => Exit::Ok,
        // `gmetad --help | head -1` has what it wants.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => complain(&format_args!("cannot print: {error}"), Exit::Io),
    }
}
