//! What is said when a plugin ends the process: which plugin it was.
//!
//! A crash is not survived: the handler writes one line, and the signal does what it would have done
//! without it. An exit that nobody asked for is told, and its status is never 0.

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;
use nix::sys::signal::Signal;

use super::label::Label;

/// What the process ends with when a plugin has called exit(3): EX_SOFTWARE of sysexits(3).
const UNASKED: i32 = 70;

/// What crashes raise. abort(3), and so an uncaught C++ exception, raises SIGABRT.
const CRASHES: [Signal; 5] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGILL,
    Signal::SIGFPE,
    Signal::SIGABRT,
];

/// Room for the handler of crashes, also where nothing is optimised.
const SIGNAL_STACK_BYTES: usize = 64 * 1024;

/// How the daemon tells of an end.
#[derive(Clone, Copy)]
pub struct LastWords {
    /// Writes a line to every log at once. Called in a signal handler, so it may neither allocate nor
    /// wait for a lock.
    pub say: fn(fmt::Arguments<'_>),
    /// Waits until the lines before are written.
    pub flush: fn(),
}

/// What the handlers know.
struct Watch {
    words: LastWords,
    /// A child that a plugin forks has the handlers too, and is nobody's concern.
    process: u32,
    /// What each of `CRASHES` did before.
    before: [libc::sigaction; CRASHES.len()],
}

static WATCH: OnceLock<Watch> = OnceLock::new();

/// Set once the daemon ends by itself.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Set by the first crash: what its handling raises is no news.
static CRASHED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The plugin that this thread is in a call of. Without a destructor, so that a signal handler may
    /// read it at any time.
    static CALLED: Cell<Option<&'static Label>> = const { Cell::new(None) };

    /// Whether this thread has its stack for signals.
    static HAS_STACK: Cell<bool> = const { Cell::new(false) };
}

/// A call of a plugin, until it is dropped.
pub(super) struct Called(Option<&'static Label>);

impl Called {
    pub(super) fn of(plugin: &'static Label) -> Called {
        if !HAS_STACK.replace(true) {
            give_stack();
        }
        Called(CALLED.replace(Some(plugin)))
    }
}

/// Gives this thread a stack for signals, so that a plugin that overflows the usual one is named. The
/// one that the standard library gives is too small to write a line.
fn give_stack() {
    let memory: &'static mut [u8] = Box::leak(vec![0; SIGNAL_STACK_BYTES].into_boxed_slice());
    let stack = libc::stack_t {
        ss_sp: memory.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: memory.len(),
    };
    // SAFETY: the memory is never freed or used for anything else. If it fails, the old one stays.
    unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
}

impl Drop for Called {
    fn drop(&mut self) {
        CALLED.set(self.0);
    }
}

/// From now on a plugin that ends the process is named. Call it once, in the process that is to be
/// watched.
pub fn watch(words: LastWords) {
    give_stack();
    HAS_STACK.set(true);
    let mut action = default_action();
    action.sa_sigaction = crashes as extern "C" fn(_, _, _) as libc::sighandler_t;
    // On the stack for signals, since the usual one may be what has run out.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    let mut before = [default_action(); CRASHES.len()];
    for (signal, before) in CRASHES.into_iter().zip(&mut before) {
        // SAFETY: both point to actions. If it fails, `before` stays the default, which is restored.
        unsafe { libc::sigaction(signal as i32, &raw const action, before) };
    }
    let process = std::process::id();
    let watch = Watch {
        words,
        process,
        before,
    };
    if WATCH.set(watch).is_ok() {
        // SAFETY: the function may be called at any time until the process has ended.
        unsafe { libc::atexit(exits) };
    }
}

/// The daemon ends: an exit is its own from now on.
pub fn end_is_asked() {
    ASKED.store(true, Ordering::Release);
}

fn default_action() -> libc::sigaction {
    // SAFETY: all zeroes are no flags, an empty mask, and SIG_DFL.
    unsafe { std::mem::zeroed() }
}

/// The watch, if this process is the one that is watched.
fn watched() -> Option<&'static Watch> {
    WATCH
        .get()
        .filter(|watch| watch.process == std::process::id())
}

/// The handler of `CRASHES`: only what a signal handler may do.
extern "C" fn crashes(number: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    if let Some(watch) = watched().filter(|_| !CRASHED.swap(true, Ordering::AcqRel)) {
        let signal = Signal::try_from(number).map_or("a signal", Signal::as_str);
        match CALLED.get() {
            Some(called) => (watch.words.say)(format_args!(
                "plugin {} has crashed ({signal}), and gmetad ends: mend the plugin, or remove it from \
                 plugins_dir",
                called.text()
            )),
            None => (watch.words.say)(format_args!(
                "gmetad has crashed ({signal}), in no call of a plugin: a plugin's own thread may have \
                 caused it; please report it if it happens without plugins"
            )),
        }
    }
    let place = CRASHES.iter().position(|it| *it as i32 == number);
    let before = WATCH
        .get()
        .zip(place)
        .map_or_else(default_action, |(watch, at)| watch.before[at]);
    // SAFETY: it is an action. The handler before, or the default, sees the fault again when this one
    // has returned to the instruction that caused it.
    unsafe { libc::sigaction(number, &raw const before, std::ptr::null_mut()) };
    // SAFETY: the system gives the handler the reason.
    if unsafe { (*info).si_code } <= 0 {
        // A process sent it, so no instruction will cause it again.
        // SAFETY: it has no conditions; the signal waits until this handler has returned.
        unsafe { libc::raise(number) };
    }
}

/// Called by exit(3), before or after what plugins have registered.
extern "C" fn exits() {
    if let Some(watch) = watched().filter(|_| !ASKED.load(Ordering::Acquire)) {
        (watch.words.flush)();
        unasked(watch, "exit");
    }
}

/// Stands before the system's own `_exit`, for plugins and all that they are linked with: it calls no
/// exit handlers, and nothing else would see it.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
extern "C" fn _exit(status: i32) -> ! {
    if let Some(watch) = watched().filter(|_| !ASKED.load(Ordering::Acquire)) {
        unasked(watch, "_exit");
    }
    leave(status)
}

fn unasked(watch: &Watch, function: &str) -> ! {
    match CALLED.get() {
        Some(called) => (watch.words.say)(format_args!(
            "plugin {} has ended gmetad: it called {function}, which no plugin may; mend the plugin, or \
             remove it from plugins_dir",
            called.text()
        )),
        None => (watch.words.say)(format_args!(
            "gmetad is ended by a call of {function} on a thread that is in no call of a plugin: a \
             plugin's own thread may have done it"
        )),
    }
    leave(UNASKED)
}

/// Ends the process, whatever has been registered for that.
#[cfg(target_os = "linux")]
pub(super) fn leave(status: i32) -> ! {
    loop {
        // SAFETY: it only ends the process. Not by `_exit`, which is ours.
        unsafe { libc::syscall(libc::SYS_exit_group, status) };
    }
}

/// Ends the process, whatever has been registered for that.
#[cfg(not(target_os = "linux"))]
pub(super) fn leave(status: i32) -> ! {
    // SAFETY: it only ends the process.
    unsafe { libc::_exit(status) }
}
