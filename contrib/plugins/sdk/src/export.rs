//! The table of functions of a plugin, for [`crate::export_plugin!`].
//!
//! No panic crosses the boundary: it becomes the reason of a failure.
#![allow(unsafe_code)]
#![allow(missing_docs, reason = "for the macro alone")]

use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use crate::abi::{self, status};
use crate::daemon::{Daemon, text_of};
use crate::{Directive, Error, Plugin, Tree, Update};

/// What the factory's result points to.
#[repr(transparent)]
pub struct Table(abi::Plugin);

// SAFETY: it never changes, and the text that it points to is a literal.
unsafe impl Sync for Table {}

impl Table {
    pub const fn get(&'static self) -> *const abi::Plugin {
        &raw const self.0
    }
}

/// What `instance` points to.
struct Instance<P> {
    daemon: Daemon,
    plugin: P,
}

pub const fn table<P: Plugin>(id: &'static str) -> Table {
    Table(abi::Plugin {
        abi: abi::ABI,
        size: size_of::<abi::Plugin>() as u32,
        id: abi::Text::of(id),
        create: Some(create::<P>),
        start: Some(start::<P>),
        notify: Some(notify::<P>),
        notify_root: Some(notify_root::<P>),
        stop: Some(stop::<P>),
        destroy: Some(destroy::<P>),
        replaces: abi::Text::NONE,
    })
}

unsafe extern "C" fn create<P: Plugin>(
    _plugin: *const abi::Plugin,
    api: *const abi::Api,
    directives: *const abi::Directive,
    count: usize,
    place: *mut *mut c_void,
) -> i32 {
    // SAFETY: gmetad keeps the header's promises about this call.
    let Some(daemon) = (unsafe { Daemon::new(api) }) else {
        return status::FAILED;
    };
    tell_panics(daemon);
    guarded(daemon, || {
        // SAFETY: as above.
        let section = unsafe { Directive::list(directives, count) };
        let plugin = P::create(daemon, &section)?;
        let instance = Box::new(Instance { daemon, plugin });
        // SAFETY: as above; the pointer comes back to the functions below.
        unsafe { place.write(Box::into_raw(instance).cast()) };
        Ok(())
    })
}

/// # Safety
/// The pointer is what `create` returned, and was not passed to `destroy`; calls come one at a time.
unsafe fn instance<'a, P: Plugin>(instance: *mut c_void) -> &'a mut Instance<P> {
    // SAFETY: the caller promises that it is a box of this type, which nobody else uses now.
    unsafe { &mut *instance.cast::<Instance<P>>() }
}

unsafe extern "C" fn start<P: Plugin>(it: *mut c_void) -> i32 {
    // SAFETY: gmetad keeps the header's promises about this call.
    let it = unsafe { instance::<P>(it) };
    guarded(it.daemon, || it.plugin.start())
}

unsafe extern "C" fn notify<P: Plugin>(
    it: *mut c_void,
    top: abi::Node,
    about: *const abi::Update,
) -> i32 {
    // SAFETY: gmetad keeps the header's promises about this call.
    let (it, update) = unsafe { (instance::<P>(it), update_of(about)) };
    guarded(it.daemon, || {
        // SAFETY: as above; it ends with this call.
        let mut tree = unsafe { Tree::new(it.daemon, top) };
        it.plugin.notify(&update, &mut tree)
    })
}

unsafe extern "C" fn notify_root<P: Plugin>(
    it: *mut c_void,
    top: abi::Node,
    about: *const abi::Update,
) -> i32 {
    // SAFETY: gmetad keeps the header's promises about this call.
    let (it, update) = unsafe { (instance::<P>(it), update_of(about)) };
    guarded(it.daemon, || {
        // SAFETY: as above; it ends with this call.
        let mut tree = unsafe { Tree::new(it.daemon, top) };
        it.plugin.notify_root(&update, &mut tree)
    })
}

unsafe extern "C" fn stop<P: Plugin>(it: *mut c_void) {
    // SAFETY: gmetad keeps the header's promises about this call.
    let it = unsafe { instance::<P>(it) };
    let daemon = it.daemon;
    let stopped = catch_unwind(AssertUnwindSafe(|| it.plugin.stop()));
    if let Err(panic) = stopped {
        daemon.error(format_args!("stop: {}", panic_text(panic.as_ref())));
    }
}

unsafe extern "C" fn destroy<P: Plugin>(it: *mut c_void) {
    // SAFETY: gmetad keeps the header's promises about this call: it is the last.
    let it = unsafe { Box::from_raw(it.cast::<Instance<P>>()) };
    let daemon = it.daemon;
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(it))) {
        daemon.error(format_args!("drop: {}", panic_text(panic.as_ref())));
    }
}

/// # Safety
/// The structure is gmetad's.
unsafe fn update_of(about: *const abi::Update) -> Update {
    // SAFETY: the caller promises it; the fields are those of the first version.
    unsafe {
        Update {
            source: text_of((*about).source).to_owned(),
            interval: Duration::try_from_secs_f64((*about).interval).unwrap_or_default(),
            up: (*about).up != 0,
            now: (*about).now,
        }
    }
}

fn guarded(daemon: Daemon, work: impl FnOnce() -> Result<(), Error>) -> i32 {
    // A panic may leave the plugin's own state inconsistent, but not ours.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => status::OK,
        Ok(Err(error)) => daemon.fail(&error.to_string()),
        Err(panic) => daemon.fail(&panic_text(panic.as_ref())),
    }
}

thread_local! {
    /// Where the last panic of this thread was.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Logs panics: the failing call does it, or, on a thread of the plugin's own, the hook at once. The
/// hook belongs to this shared object alone.
fn tell_panics(daemon: Daemon) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let own = std::thread::current().id();
        std::panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
            let place = panic.location().map(ToString::to_string);
            if std::thread::current().id() == own {
                PLACE.with(|it| *it.borrow_mut() = place);
            } else {
                let place = place.unwrap_or_default();
                let text = text_in(panic.payload());
                daemon.error(format_args!("a thread panicked at {place}: {text}"));
            }
        }));
    });
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = text_in(panic);
    match PLACE.with(RefCell::take) {
        Some(place) => format!("panic at {place}: {text}"),
        None => format!("panic: {text}"),
    }
}

fn text_in(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "with no words"
    }
}
