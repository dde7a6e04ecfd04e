//! The state behind the table that one plugin is given: which thread is in a call of the plugin, and
//! which tree that call may use.
//!
//! Decides who may do what, and when. What is done is in `access`.

use std::cell::UnsafeCell;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use gmetad_plugin::abi;

use super::facts::Facts;
use super::guard::Called;
use super::label::Label;
use super::snapshot::Newest;
use super::text::Scratch;
use gmetad_core::plugin::tree::{Generation, NodeId, Tree};

/// One for each plugin. Never freed, since a plugin may keep the table too long.
#[repr(C)]
pub(super) struct Context {
    /// First, so that a pointer to it is a pointer to the whole.
    api: abi::Api,
    facts: &'static Facts,
    newest: &'static Newest,
    label: Label,
    /// Token of the thread that is in a call of the plugin; 0: none is.
    caller: AtomicUsize,
    /// For that thread only.
    call: UnsafeCell<Call>,
}

/// State of the call in progress.
struct Call {
    /// The tree that the call may use; null: none.
    tree: *mut Tree<'static>,
    generation: Generation,
    reason: Option<String>,
    scratch: Scratch,
}

// SAFETY: all but `call` is immutable or atomic, and what the table and the facts point to lives for
// ever. `call` is only touched by the thread whose token is in `caller`. That thread put it there,
// and no other can while it is there.
unsafe impl Sync for Context {}

thread_local! {
    /// Its address identifies a thread, and is faster to get than the thread's id.
    static TOKEN: u8 = const { 0 };
}

#[inline]
fn token() -> usize {
    TOKEN.with(|token| ptr::from_ref(token) as usize)
}

impl Context {
    pub(super) fn new(
        api: abi::Api,
        facts: &'static Facts,
        newest: &'static Newest,
        file: &Path,
    ) -> &'static Context {
        Box::leak(Box::new(Context {
            api,
            facts,
            newest,
            label: Label::of_file(file),
            caller: AtomicUsize::new(0),
            call: UnsafeCell::new(Call {
                tree: ptr::null_mut(),
                generation: Generation::default(),
                reason: None,
                scratch: Scratch::default(),
            }),
        }))
    }

    /// The table, which the plugin may keep for ever.
    pub(super) fn api(&'static self) -> *const abi::Api {
        ptr::from_ref(self).cast()
    }

    /// The context of the table that a plugin hands back.
    ///
    /// # Safety
    /// The pointer is null, or one that [`Context::api`] gave.
    #[inline]
    pub(super) unsafe fn of(api: *const abi::Api) -> Option<&'static Context> {
        // SAFETY: the caller promises it; contexts are never freed.
        unsafe { api.cast::<Context>().as_ref() }
    }

    pub(super) fn facts(&self) -> &'static Facts {
        self.facts
    }

    pub(super) fn newest(&self) -> &'static Newest {
        self.newest
    }

    /// What the log calls the plugin.
    pub(super) fn label(&self) -> &Label {
        &self.label
    }

    /// Calls the plugin, which may use the table's functions on this thread meanwhile.
    pub(super) fn enter<R>(
        &'static self,
        tree: Option<&mut Tree<'_>>,
        call: impl FnOnce() -> R,
    ) -> R {
        /// Ends the call, even if a test's plugin panics.
        struct Leave<'a>(&'a Context);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                // SAFETY: this thread put its token there and has not removed it.
                let state = unsafe { &mut *self.0.call.get() };
                state.tree = ptr::null_mut();
                state.scratch.clear();
                self.0.caller.store(0, Ordering::Release);
            }
        }
        let free = self
            .caller
            .compare_exchange(0, token(), Ordering::Acquire, Ordering::Relaxed);
        assert!(free.is_ok(), "a plugin is called by one thread at a time");
        let leave = Leave(self);
        let _called = Called::of(&self.label);
        // SAFETY: the token is this thread's, and no reference from `with_tree` is alive.
        let state = unsafe { &mut *self.call.get() };
        state.generation = state.generation.next();
        // Only the type drops the lifetime: `leave` clears the pointer before the tree's borrow ends.
        state.tree = tree.map_or(ptr::null_mut(), |tree| ptr::from_mut(tree).cast());
        let result = call();
        drop(leave);
        result
    }

    /// Works with the tree of this thread's call; `None` if there is none.
    #[inline]
    pub(super) fn with_tree<R>(
        &self,
        work: impl FnOnce(&mut Tree<'_>, Generation, &mut Scratch) -> R,
    ) -> Option<R> {
        if self.caller.load(Ordering::Relaxed) != token() {
            return None;
        }
        // SAFETY: the token is this thread's, so no other thread touches it. Only a call of the plugin
        // could reach this again, and `work` makes none.
        let state = unsafe { &mut *self.call.get() };
        // SAFETY: `enter` borrows the tree for as long as the pointer is set.
        let tree = unsafe { state.tree.as_mut() }?;
        Some(work(tree, state.generation, &mut state.scratch))
    }

    /// The number of a node of the call's tree.
    pub(super) fn number_of(&self, node: NodeId) -> abi::Node {
        self.with_tree(|_, generation, _| node.pack(generation))
            .unwrap_or(0)
    }

    /// Keeps the reason of a failure; `false` if this thread is not in a call of the plugin.
    pub(super) fn set_reason(&self, reason: &str) -> bool {
        if self.caller.load(Ordering::Relaxed) != token() {
            return false;
        }
        // SAFETY: the token is this thread's, and nothing else is borrowed here.
        let state = unsafe { &mut *self.call.get() };
        state.reason = Some(reason.to_owned());
        true
    }

    /// The reason that was given in the last call.
    pub(super) fn take_reason(&'static self) -> Option<String> {
        self.enter(None, || {
            // SAFETY: the token is this thread's, and nothing else is borrowed here.
            let state = unsafe { &mut *self.call.get() };
            state.reason.take()
        })
    }
}
