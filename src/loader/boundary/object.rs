//! A plugin in a shared object: its table of functions checked, and each function called.

use std::ffi::c_void;
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::ptr;

use gmetad_plugin::abi;

use super::access;
use super::context::Context;
use super::facts::Facts;
use super::library::factory_of;
use super::snapshot::Newest;
use super::text::text;
use crate::candidate::Candidate;
use crate::error::LoadError;
use gmetad_core::model::DefTable;
use gmetad_core::plugin::tree::{NodeId, Tree};
use gmetad_core::plugin::{Directive, Plugin, PluginError, RootUpdate, Update};

/// Loads a plugin file: by itself, or through the library that runs such files.
pub(crate) fn load(
    candidate: &Candidate,
    facts: &'static Facts,
    newest: &'static Newest,
) -> Result<Box<dyn Plugin>, LoadError> {
    candidate.check()?;
    let Candidate { library, file } = candidate;
    let factory = factory_of(library)?;
    let context = Context::new(access::table(), facts, newest, file);
    let path = file.to_string_lossy();
    // SAFETY: the text is valid for the call, the table of functions for ever.
    let table = context.enter(None, || unsafe {
        factory(context.api(), abi::Text::of(&path))
    });
    if table.is_null() {
        let reason = context.take_reason();
        return Err(LoadError::Refused(reason.unwrap_or_else(|| {
            format!("its {} returned no plugin and gave no reason", abi::FACTORY)
        })));
    }
    let functions = checked(table)?;
    // SAFETY: by the header the id stays in place until the process ends.
    let id = unsafe { text(functions.id) };
    let id = id.filter(|id| is_id(id)).ok_or(LoadError::Table(
        "its id may have letters, digits, _, - and . only",
    ))?;
    // SAFETY: by the header it stays in place too.
    let replaces = unsafe { text(functions.replaces) };
    Ok(Box::new(SharedObject {
        id: id.to_owned(),
        file: file.clone(),
        replaces: replaces.unwrap_or_default().to_owned(),
        table,
        functions,
        context,
        instance: None,
        definitions: DefTable::default(),
    }))
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
        return Err(LoadError::Table("it is not aligned"));
    }
    // SAFETY: the factory returned it, it is aligned and not null, and by the header all versions
    // have the first two fields.
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
    // SAFETY: the table has `size` bytes by its own word. At most those that we know are copied,
    // over plain numbers, pointers and nullable functions.
    unsafe {
        let known = size.min(size_of::<abi::Plugin>());
        ptr::copy_nonoverlapping(table.cast::<u8>(), (&raw mut copy).cast::<u8>(), known);
    }
    if copy.create.is_none() || copy.notify.is_none() {
        return Err(LoadError::Table("create and notify must be set"));
    }
    Ok(copy)
}

/// A loaded plugin.
struct SharedObject {
    id: String,
    file: PathBuf,
    /// The id of the built-in plugin that it replaces; empty: none.
    replaces: String,
    table: *const abi::Plugin,
    functions: abi::Plugin,
    context: &'static Context,
    /// What it is called with; `None` until it is created.
    instance: Option<*mut c_void>,
    /// Definitions of the metrics that it makes, kept from poll to poll.
    definitions: DefTable,
}

// SAFETY: by the header a plugin's functions are called one at a time, and its factory may be called
// on another thread than the rest. The table and the instance belong to the plugin and are only
// handed back to it. The context may be shared by threads.
unsafe impl Send for SharedObject {}

/// A call of a plugin for an update.
type Notify = unsafe extern "C" fn(*mut c_void, abi::Node, *const abi::Update) -> i32;

impl SharedObject {
    fn result(&self, status: i32) -> Result<(), PluginError> {
        let reason = self.context.take_reason();
        if status == abi::status::OK {
            return Ok(());
        }
        let reason = reason.unwrap_or_else(|| format!("it returned {status} and gave no reason"));
        Err(PluginError::Failed(reason))
    }

    fn show(&self, tree: &mut Tree<'_>, function: Notify, about: &abi::Update) -> i32 {
        let Some(instance) = self.instance else {
            return abi::status::NOT_NOW;
        };
        self.context.enter(Some(tree), || {
            let top = self.context.number_of(NodeId::Top);
            // SAFETY: the instance is what create returned, and is not destroyed; `about` and its text
            // outlive the call.
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
        self.context.label().set_name(name);
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
        // SAFETY: the table is the plugin's own, the api and the directives live for ever, and
        // `instance` outlives the call.
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
        // SAFETY: the instance is what create returned, and is not destroyed.
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
            // SAFETY: the instance is what create returned, and is not destroyed.
            self.context.enter(None, || unsafe { stop(instance) });
        }
    }
}

impl Drop for SharedObject {
    fn drop(&mut self) {
        if let (Some(destroy), Some(instance)) = (self.functions.destroy, self.instance.take()) {
            // SAFETY: the instance is what create returned, and this is the last call with it.
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
            "it is built for version 7 of the plugin interface, and this gmetad has version 1; \
             build it again with this gmetad's gmetad_plugin.h"
        );
        assert!(refusal(&table(abi::ABI, first - 1)).contains("too small"));
        let without = abi::Plugin {
            notify: None,
            ..table(abi::ABI, whole)
        };
        assert!(refusal(&without).contains("create and notify"));
    }
}
