//! Plugins of other people's, in shared objects: found, tried, loaded and called.
//!
//! One of the two places with `unsafe`; `include/gmetad_plugin.h` says what both sides promise.
//! No rule of the chain is here: a loaded plugin is a [`Plugin`] like any other.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::ptr;

use gmetad_plugin::abi;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use thiserror::Error;

use gmetad_config::Config;
use gmetad_core::model::DefTable;
use gmetad_core::plugin::Directive;
use gmetad_core::plugin::tree::{NodeId, Tree};
use gmetad_core::plugin::{Plugin, PluginError, RootUpdate, Update};

mod access;
mod candidate;
mod context;
mod facts;
mod snapshot;
mod trial;

pub use candidate::Candidate;
pub use candidate::files_in;
use candidate::is_module;
use context::Context;
use facts::Facts;
use snapshot::Newest;
pub use trial::{TRIAL_OPTION, attempt};

/// Why a file in plugins_dir is not loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// It cannot be looked at.
    #[error("it cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// Root would run what somebody else wrote.
    #[error(
        "{path} belongs to user {owner}, and gmetad runs as root: chown root it, or let gmetad run \
         as another user"
    )]
    Owner {
        /// The file, or the folder it stands in.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Root would run what anybody may write.
    #[error("anyone may write to {path}, and gmetad runs as root: chmod o-w it")]
    Writable {
        /// The file, or the folder it stands in.
        path: PathBuf,
    },
    /// Some other file with that ending.
    #[error("it is not a shared object")]
    NotAnObject,
    /// A Python file, and nothing that knows what to do with it.
    #[error(
        "it is in Python, and the Python host is not installed; run make python-host and make \
         install-python-host, or say with python_host where it is"
    )]
    NoPythonHost,
    /// The trial ended by a signal.
    #[error("it crashes when it is loaded ({0}); tried in a process of its own")]
    Crashes(String),
    /// The trial ended by itself.
    #[error("it ends the process when it is loaded, with {0}; tried in a process of its own")]
    Ends(String),
    /// The trial did not end.
    #[error("it is not loaded after {0} s; tried in a process of its own")]
    Hangs(u64),
    /// dlopen(3) says why.
    #[error("it cannot be loaded: {0}")]
    Open(String),
    /// Any other library.
    #[error("it is not a plugin of gmetad: it has no function {}", abi::FACTORY)]
    NoFactory,
    /// The factory gave nothing.
    #[error("{0}")]
    Refused(String),
    /// For another gmetad.
    #[error(
        "it is built for version {theirs} of the plugin interface, and this gmetad has version \
         {ours}: build it anew with this gmetad's gmetad_plugin.h"
    )]
    OtherVersion {
        /// The plugin's.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// A table that breaks a rule of the header.
    #[error("its table of functions cannot be used: {0}")]
    Table(&'static str),
}

/// A file of plugins_dir, or plugins_dir itself, of which there is no plugin.
#[derive(Debug)]
pub struct LeftOut {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub reason: String,
}

/// Loads what plugins_dir holds, in order of file name; names in the log what cannot be. `at_work`
/// is told which file is being loaded, and when that has ended.
pub fn load_all(
    config: &Config,
    at_work: &dyn Fn(Option<&Path>),
) -> (Vec<Box<dyn Plugin>>, Vec<LeftOut>) {
    let mut plugins: Vec<Box<dyn Plugin>> = Vec::new();
    let mut left_out = Vec::new();
    let Some(folder) = &config.plugins_dir else {
        return (plugins, left_out);
    };
    let files = files_in(folder).unwrap_or_else(|error| {
        let reason = format!("it cannot be read: {error}");
        log::error!("plugins_dir {}: {reason}", folder.display());
        let file = folder.clone();
        left_out.push(LeftOut { file, reason });
        Vec::new()
    });
    // Files are looked up in the configuration until the process ends.
    let facts = facts_of(config, !files.is_empty());
    let newest: &'static Newest = Box::leak(Box::default());
    for file in &files {
        if is_module(file, &files) {
            log::info!("{} is not loaded: plugins import it", file.display());
            continue;
        }
        at_work(Some(file));
        let loaded = tried(file, config).and_then(|candidate| load(&candidate, facts, newest));
        at_work(None);
        match loaded {
            Ok(plugin) => {
                log::info!("plugin {} is loaded from {}", plugin.id, file.display());
                plugins.push(Box::new(plugin));
            }
            Err(error) => {
                log::error!("plugin {} is left out: {error}", file.display());
                left_out.push(LeftOut {
                    file: file.clone(),
                    reason: error.to_string(),
                });
            }
        }
    }
    (plugins, left_out)
}

/// Loads one file, whatever plugins_dir says.
pub fn load_one(file: &Path, config: &Config) -> Result<Box<dyn Plugin>, LoadError> {
    let candidate = tried(file, config)?;
    let newest: &'static Newest = Box::leak(Box::default());
    let mut plugin = load(&candidate, facts_of(config, true), newest)?;
    let name = plugin.id.clone();
    plugin.name_is(&name);
    Ok(Box::new(plugin))
}

/// A file that may be loaded, and has been in another process.
fn tried(file: &Path, config: &Config) -> Result<Candidate, LoadError> {
    let candidate = Candidate::of(file, config)?;
    trial::is_passed(&candidate)?;
    Ok(candidate)
}

fn facts_of(config: &Config, wanted: bool) -> &'static Facts {
    let config = wanted.then_some(config);
    Box::leak(Box::new(config.map_or_else(Facts::default, Facts::of)))
}

/// Maps a library, whose constructors run.
fn open(library: &Path) -> Result<Library, LoadError> {
    let flags = RTLD_NOW | RTLD_LOCAL;
    // SAFETY: what the constructors of the object do cannot be known. That of the file is one of a
    // folder that whoever configures gmetad trusts with its process, that it is the right person's
    // was checked, and so was, in another process, that loading it goes well.
    let opened = unsafe { Library::open(Some(library), flags) };
    opened.map_err(|error| LoadError::Open(reason_of(&error)))
}

/// Finds the factory of a library.
fn factory_of(library: &Path) -> Result<abi::Factory, LoadError> {
    let opened = open(library)?;
    // SAFETY: the one thing the symbol can be, by the header, is a function of this type, in all
    // versions of it.
    let factory = unsafe { opened.get::<abi::Factory>(abi::FACTORY.as_bytes()) };
    let factory = *factory.map_err(|_| LoadError::NoFactory)?;
    // Never unmapped: threads, handlers and thread-locals of the plugin's may live on.
    std::mem::forget(opened);
    Ok(factory)
}

/// dlerror's text, which is behind the library's own.
fn reason_of(error: &libloading::Error) -> String {
    match error {
        libloading::Error::DlOpen { source, .. } => format!("{source}"),
        other => other.to_string(),
    }
}

/// Loads a plugin file: by itself, or through the library that knows how to.
fn load(
    candidate: &Candidate,
    facts: &'static Facts,
    newest: &'static Newest,
) -> Result<SharedObject, LoadError> {
    candidate.check()?;
    let Candidate { library, file } = candidate;
    let factory = factory_of(library)?;
    let context = Context::new(facts, newest, file);
    let path = file.to_string_lossy();
    // SAFETY: the table and the text are valid for the call, the table for ever.
    let table = context.enter(None, || unsafe {
        factory(context.api(), abi::Text::of(&path))
    });
    if table.is_null() {
        let reason = context.take_reason();
        return Err(LoadError::Refused(reason.unwrap_or_else(|| {
            format!("its {} gave no plugin, and no reason", abi::FACTORY)
        })));
    }
    let functions = checked(table)?;
    // SAFETY: by the header the id stays where it is until the process ends.
    let id = unsafe { access::text(functions.id) };
    let id = id.filter(|id| is_id(id)).ok_or(LoadError::Table(
        "its id must be of a to z, 0 to 9, _, - and .",
    ))?;
    // SAFETY: by the header it stays where it is, too.
    let replaces = unsafe { access::text(functions.replaces) };
    Ok(SharedObject {
        id: id.to_owned(),
        file: file.clone(),
        replaces: replaces.unwrap_or_default().to_owned(),
        table,
        functions,
        context,
        instance: None,
        definitions: DefTable::default(),
    })
}

fn is_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !id.is_empty() && id.bytes().all(fits)
}

/// A copy of the table, as far as this version knows it.
fn checked(table: *const abi::Plugin) -> Result<abi::Plugin, LoadError> {
    /// Where the first version of the table ended.
    const LEAST: usize = offset_of!(abi::Plugin, destroy) + size_of::<usize>();
    if !table.is_aligned() {
        return Err(LoadError::Table("it is not where a table can be"));
    }
    // SAFETY: the factory has returned it, it is aligned and not null, and by the header the first
    // two fields are there in all versions.
    let (theirs, size) = unsafe { ((*table).abi, (*table).size as usize) };
    if theirs != abi::ABI {
        let ours = abi::ABI;
        return Err(LoadError::OtherVersion { theirs, ours });
    }
    if size < LEAST {
        return Err(LoadError::Table("its size is too small for its version"));
    }
    let mut copy = abi::Plugin {
        abi: theirs,
        size: size as u32,
        id: abi::Text::NONE,
        create: None,
        start: None,
        notify: None,
        notify_root: None,
        stop: None,
        destroy: None,
        replaces: abi::Text::NONE,
    };
    // SAFETY: by its own word there are `size` bytes, of which at most those we know are copied
    // over a value of plain numbers, pointers and functions that may be null.
    unsafe {
        let known = size.min(size_of::<abi::Plugin>());
        ptr::copy_nonoverlapping(table.cast::<u8>(), (&raw mut copy).cast::<u8>(), known);
    }
    if copy.create.is_none() || copy.notify.is_none() {
        return Err(LoadError::Table("create and notify must be there"));
    }
    Ok(copy)
}

/// A plugin that was loaded.
struct SharedObject {
    id: String,
    file: PathBuf,
    /// The id of the built-in plugin whose work it does; empty: none's.
    replaces: String,
    table: *const abi::Plugin,
    functions: abi::Plugin,
    context: &'static Context,
    /// Once it was created: what it wants to be called with.
    instance: Option<*mut c_void>,
    /// Those that it makes, so that they are the same from poll to poll.
    definitions: DefTable,
}

// SAFETY: by the header a plugin's functions are called on the plugin thread, one at a time, its
// factory and the rest on different threads; the table and the instance are the plugin's, and only
// handed back to it. The context is made for several threads.
unsafe impl Send for SharedObject {}

/// A call of a plugin for an update.
type Notify = unsafe extern "C" fn(*mut c_void, abi::Node, *const abi::Update) -> i32;

impl SharedObject {
    fn result(&self, status: i32) -> Result<(), PluginError> {
        let reason = self.context.take_reason();
        if status == abi::status::OK {
            return Ok(());
        }
        let reason = reason.unwrap_or_else(|| format!("it returned {status} and no reason"));
        Err(PluginError::Failed(reason))
    }

    fn show(&self, tree: &mut Tree<'_>, function: Notify, about: &abi::Update) -> i32 {
        let Some(instance) = self.instance else {
            return abi::status::NOT_NOW;
        };
        self.context.enter(Some(tree), || {
            let top = self.context.number_of(NodeId::Top);
            // SAFETY: the instance is what its create gave, and was not destroyed; `about` and the
            // text in it live through the call.
            unsafe { function(instance, top, about) }
        })
    }
}

impl Plugin for SharedObject {
    fn id(&self) -> &str {
        &self.id
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.file)
    }

    fn name_is(&mut self, name: &str) {
        self.context.name_is(name);
    }

    fn replaces(&self, built_in: &str) -> bool {
        self.replaces == built_in
    }

    fn configure(&mut self, _directives: &[Directive]) -> Result<(), PluginError> {
        let Some(create) = self.functions.create else {
            return Ok(());
        };
        let directives = self.context.facts().section(&self.id).unwrap_or_default();
        let api = self.context.api();
        let mut instance = ptr::null_mut();
        // SAFETY: the table is the plugin's own, the api and the directives live for ever, and the
        // place for the instance through the call.
        let status = self.context.enter(None, || unsafe {
            create(
                self.table,
                api,
                directives.as_ptr(),
                directives.len(),
                &raw mut instance,
            )
        });
        self.result(status)?;
        self.instance = Some(instance);
        Ok(())
    }

    fn start(&mut self) -> Result<(), PluginError> {
        let (Some(start), Some(instance)) = (self.functions.start, self.instance) else {
            return Ok(());
        };
        // SAFETY: the instance is what its create gave, and was not destroyed.
        let status = self.context.enter(None, || unsafe { start(instance) });
        self.result(status)
    }

    fn arrived(&mut self, update: &Update) {
        self.context.newest().put(update);
    }

    fn root_arrived(&mut self, root: &RootUpdate) {
        self.context.newest().put_root(root);
    }

    fn notify(&mut self, update: &mut Update) -> Result<(), PluginError> {
        let Some(notify) = self.functions.notify else {
            return Ok(());
        };
        let source = std::sync::Arc::clone(&update.source);
        let about = abi::Update {
            size: size_of::<abi::Update>() as u32,
            up: update.up.into(),
            source: abi::Text::of(&source),
            interval: update.interval.as_secs_f64(),
            now: update.now.epoch,
        };
        let mut definitions = std::mem::take(&mut self.definitions);
        let mut tree = Tree::of_update(update, &mut definitions);
        let status = self.show(&mut tree, notify, &about);
        tree.finish();
        self.definitions = definitions;
        self.result(status)
    }

    fn notify_root(&mut self, root: &mut RootUpdate) -> Result<(), PluginError> {
        let Some(notify_root) = self.functions.notify_root else {
            return Ok(());
        };
        let about = abi::Update {
            size: size_of::<abi::Update>() as u32,
            up: 1,
            source: abi::Text::NONE,
            interval: 0.0,
            now: root.now.epoch,
        };
        let mut definitions = std::mem::take(&mut self.definitions);
        let mut tree = Tree::of_root(root, &mut definitions);
        let status = self.show(&mut tree, notify_root, &about);
        tree.finish();
        self.definitions = definitions;
        self.result(status)
    }

    fn stop(&mut self) {
        if let (Some(stop), Some(instance)) = (self.functions.stop, self.instance) {
            // SAFETY: the instance is what its create gave, and was not destroyed.
            self.context.enter(None, || unsafe { stop(instance) });
        }
    }
}

impl Drop for SharedObject {
    fn drop(&mut self) {
        if let (Some(destroy), Some(instance)) = (self.functions.destroy, self.instance.take()) {
            // SAFETY: the instance is what its create gave, and this is the last call with it.
            self.context.enter(None, || unsafe { destroy(instance) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_plain_word() {
        for id in ["a", "rrd-2", "Load_Per.cpu"] {
            assert!(is_id(id), "{id}");
        }
        for id in ["", "a b", "a{", "é", "a\n"] {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn a_table_is_taken_as_far_as_both_sides_know_it() {
        unsafe extern "C" fn create(
            _: *const abi::Plugin,
            _: *const abi::Api,
            _: *const abi::Directive,
            _: usize,
            _: *mut *mut c_void,
        ) -> i32 {
            0
        }
        unsafe extern "C" fn notify(_: *mut c_void, _: abi::Node, _: *const abi::Update) -> i32 {
            0
        }
        let table = |abi, size| abi::Plugin {
            abi,
            size,
            id: abi::Text::of("x"),
            create: Some(create),
            start: None,
            notify: Some(notify),
            notify_root: None,
            stop: None,
            destroy: None,
            replaces: abi::Text::NONE,
        };
        let whole = size_of::<abi::Plugin>() as u32;
        let first = offset_of!(abi::Plugin, replaces) as u32;
        assert!(checked(&table(abi::ABI, first)).unwrap().replaces.len == 0);
        let good = checked(&table(abi::ABI, whole)).unwrap();
        assert!(good.create.is_some() && good.notify.is_some() && good.stop.is_none());
        let refusal = |table: &abi::Plugin| match checked(table) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert_eq!(
            refusal(&table(7, 0)),
            "it is built for version 7 of the plugin interface, and this gmetad has version 1: \
             build it anew with this gmetad's gmetad_plugin.h"
        );
        assert!(refusal(&table(abi::ABI, first - 1)).contains("too small"));
        let without = abi::Plugin {
            notify: None,
            ..table(abi::ABI, whole)
        };
        assert!(refusal(&without).contains("create and notify"));
    }
}
