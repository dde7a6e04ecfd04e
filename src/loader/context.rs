//! What stands behind the table that one plugin is given: whose call it is, and what is shown.
//!
//! Says who may do what when; what is done is in `access`.

use std::cell::UnsafeCell;
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use gmetad_plugin::abi;

use super::access;
use super::facts::Facts;
use super::snapshot::Newest;
use gmetad_core::plugin::tree::{Generation, NodeId, Tree};

/// One for each plugin, for ever: a table kept too long must not be one that is gone.
#[repr(C)]
pub(super) struct Context {
    /// First, so that a pointer to it is one to the whole.
    api: abi::Api,
    facts: &'static Facts,
    newest: &'static Newest,
    /// What is loaded, until the plugin has a name.
    file: String,
    name: OnceLock<Box<str>>,
    /// The thread that is in a call of the plugin, by its token; 0: none is.
    caller: AtomicUsize,
    /// Only for that thread.
    call: UnsafeCell<Call>,
}

/// What belongs to the call that is being made.
struct Call {
    /// Null, unless one is shown.
    tree: *mut Tree<'static>,
    generation: Generation,
    reason: Option<String>,
    scratch: Scratch,
}

// SAFETY: all but `call` is immutable or atomic, and the texts that the table and the facts point
// to live for ever; `call` is only touched by the thread whose token is in `caller`, as it put it
// there itself and no other can while it is there.
unsafe impl Sync for Context {}

thread_local! {
    /// Its address tells threads apart, faster than their ids do.
    static TOKEN: u8 = const { 0 };
}

#[inline]
fn token() -> usize {
    TOKEN.with(|token| ptr::from_ref(token) as usize)
}

impl Context {
    pub(super) fn new(
        facts: &'static Facts,
        newest: &'static Newest,
        file: &Path,
    ) -> &'static Context {
        Box::leak(Box::new(Context {
            api: access::table(),
            facts,
            newest,
            file: file.display().to_string(),
            name: OnceLock::new(),
            caller: AtomicUsize::new(0),
            call: UnsafeCell::new(Call {
                tree: ptr::null_mut(),
                generation: Generation::default(),
                reason: None,
                scratch: Scratch::default(),
            }),
        }))
    }

    /// The table, which the plugin may keep.
    pub(super) fn api(&'static self) -> *const abi::Api {
        ptr::from_ref(self).cast()
    }

    /// Behind the table that a plugin hands back.
    ///
    /// # Safety
    /// The pointer is null, or one that [`Context::api`] gave.
    #[inline]
    pub(super) unsafe fn of(api: *const abi::Api) -> Option<&'static Context> {
        // SAFETY: by the promise above; contexts are never freed.
        unsafe { api.cast::<Context>().as_ref() }
    }

    pub(super) fn facts(&self) -> &'static Facts {
        self.facts
    }

    pub(super) fn newest(&self) -> &'static Newest {
        self.newest
    }

    /// From now on the log names the plugin.
    pub(super) fn name_is(&self, name: &str) {
        // Said once, when all are loaded.
        let _ = self.name.set(name.into());
    }

    /// What stands before its lines in the log.
    pub(super) fn name(&self) -> &str {
        self.name.get().map_or(&self.file, |name| name)
    }

    /// Makes a call of the plugin, in which it may use what the table offers on this thread.
    pub(super) fn enter<R>(&self, tree: Option<&mut Tree<'_>>, call: impl FnOnce() -> R) -> R {
        /// Ends the call, also where a test's plugin panics.
        struct Leave<'a>(&'a Context);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                // SAFETY: this thread put its token there and has not taken it away.
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
        // SAFETY: the token is this thread's, and no reference from `with_tree` lives any more.
        let state = unsafe { &mut *self.call.get() };
        state.generation = state.generation.next();
        // The lifetime is left out of the type only: the pointer is taken away below, before the
        // tree's borrow ends.
        state.tree = tree.map_or(ptr::null_mut(), |tree| ptr::from_mut(tree).cast());
        let result = call();
        drop(leave);
        result
    }

    /// The tree that is shown to this thread, and what goes with it; `None` if none is.
    #[inline]
    pub(super) fn with_tree<R>(
        &self,
        work: impl FnOnce(&mut Tree<'_>, Generation, &mut Scratch) -> R,
    ) -> Option<R> {
        if self.caller.load(Ordering::Relaxed) != token() {
            return None;
        }
        // SAFETY: the token is this thread's, so no other thread touches it, and `work` cannot call
        // the plugin, from where alone this is reached again.
        let state = unsafe { &mut *self.call.get() };
        // SAFETY: `enter` borrows the tree for as long as the pointer is there.
        let tree = unsafe { state.tree.as_mut() }?;
        Some(work(tree, state.generation, &mut state.scratch))
    }

    /// The number of a node of the tree that is shown.
    pub(super) fn number_of(&self, node: NodeId) -> abi::Node {
        self.with_tree(|_, generation, _| node.pack(generation))
            .unwrap_or(0)
    }

    /// Keeps the reason of a failure; whether it is this thread's to fail.
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
    pub(super) fn take_reason(&self) -> Option<String> {
        self.enter(None, || {
            // SAFETY: the token is this thread's, and nothing else is borrowed here.
            let state = unsafe { &mut *self.call.get() };
            state.reason.take()
        })
    }
}

/// Text that is made for a plugin, in place until the call ends.
#[derive(Default)]
pub(super) struct Scratch {
    /// None ever grows beyond what it was made for.
    chunks: Vec<String>,
}

/// Room for some hundred numbers.
const CHUNK_BYTES: usize = 4096;

impl Scratch {
    /// Writes something short, and says where it stands.
    pub(super) fn keep(&mut self, text: impl std::fmt::Display) -> abi::Text {
        use std::fmt::Write as _;
        /// A sum can have 309 digits before its point, and some after it.
        const LONGEST: usize = 400;
        let full = self
            .chunks
            .last()
            .is_none_or(|chunk| chunk.capacity() - chunk.len() < LONGEST);
        if full {
            self.chunks.push(String::with_capacity(CHUNK_BYTES));
        }
        let Some(chunk) = self.chunks.last_mut() else {
            return abi::Text::NONE;
        };
        let start = chunk.len();
        // Writing to a string fails only if the text itself does.
        let _ = write!(chunk, "{text}");
        abi::Text::of(&chunk[start..])
    }

    fn clear(&mut self) {
        self.chunks.truncate(1);
        if let Some(chunk) = self.chunks.first_mut() {
            chunk.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_was_made_stays_in_place_until_the_call_ends() {
        let mut scratch = Scratch::default();
        let kept: Vec<abi::Text> = (0..5000).map(|number| scratch.keep(number)).collect();
        for (number, text) in kept.into_iter().enumerate() {
            // SAFETY: nothing was cleared.
            assert_eq!(unsafe { access::text(text) }, Some(&*number.to_string()));
        }
        scratch.clear();
        assert_eq!(scratch.chunks.len(), 1);
    }

    #[test]
    fn the_longest_number_there_is_fits() {
        let mut scratch = Scratch::default();
        for _ in 0..100 {
            let chunks = scratch.chunks.len();
            let text = scratch.keep(gmetad_core::plugin::tree::Value::Sum(f64::MIN, 17));
            assert_eq!(text.len, 1 + 309 + 1 + 17);
            assert!(scratch.chunks.len() - chunks <= 1);
            assert_eq!(scratch.chunks.last().unwrap().capacity(), CHUNK_BYTES);
        }
    }
}
