//! The plugins in their order. A failure in one does not affect the others.
//!
//! No thread and no queue: the worker calls this, as do tests.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::names::{UnusedName, unused_names};
use super::parts::loader::LeftOut;
use super::status::Status;
use super::{counted, file_name};
use crate::logging;
use gmetad_config::Config;
use gmetad_core::plugin::{Directive, Plugin, PluginError, RootUpdate, Update};
use gmetad_core::status::PluginState;

/// Pause after a plugin's work between updates has failed.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Failures in a row after which a plugin is disabled.
const DISABLE_AFTER: u32 = 10;

/// The name under which the status shows the rrdcached; no plugin in a file gets it alone.
const RESERVED: &str = "rrdcached";

/// All plugins, in order.
pub(super) struct Chain {
    links: Vec<Link>,
    status: Arc<Status>,
}

struct Link {
    plugin: Box<dyn Plugin>,
    /// Its name in the log, which no other plugin has.
    name: String,
    directives: Vec<Directive>,
    /// Failures since the last success, by what it was called for: a plugin that fails with every
    /// source is disabled, even if the root's updates succeed.
    in_a_row: [u32; 3],
    part: Part,
}

/// Whether a plugin sees updates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Not started, left out, disabled or stopped.
    None,
    /// It sees every update.
    Runs,
    /// It is built in, and a plugin in a file does its work.
    Replaced,
}

/// What a plugin is called for; an index into `in_a_row`.
#[derive(Clone, Copy)]
enum About {
    Source = 0,
    Root = 1,
    /// Its own work, between updates.
    Tick = 2,
}

impl Chain {
    /// A chain of these plugins, in the order of the directive `plugins` or else as given. `status`
    /// then lists them, and behind them the files that were left out.
    pub(super) fn new(
        config: &Config,
        plugins: Vec<Box<dyn Plugin>>,
        left_out: &[LeftOut],
        status: Arc<Status>,
    ) -> Chain {
        for unused in unused_names(config, plugins.as_slice()) {
            match unused {
                UnusedName::Section(text) => log::warn!("{text}"),
                UnusedName::Word(text) => log::error!("{text}"),
            }
        }
        let plugins = match &config.plugins {
            Some(ids) => in_order(ids, plugins),
            None => plugins,
        };
        let names = names(&plugins);
        let links = plugins.into_iter().zip(names).map(|(mut plugin, name)| {
            plugin.name_is(&name);
            Link {
                directives: config
                    .section(plugin.id())
                    .map_or_else(Vec::new, |section| section.directives.clone()),
                plugin,
                name,
                in_a_row: [0; 3],
                part: Part::None,
            }
        });
        let links: Vec<Link> = links.collect();
        let links_by_name = links
            .iter()
            .map(|link| (link.name.as_str(), link.plugin.as_ref()));
        status.set_plugins(links_by_name, left_out);
        Chain { links, status }
    }

    pub(super) fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// Configures and starts every plugin; logs those that fail and leaves them out.
    pub(super) fn start(&mut self) {
        // Files first: a built-in plugin makes way only for one that has started.
        for built_in in [false, true] {
            for place in 0..self.links.len() {
                if self.links[place].plugin.file().is_none() == built_in {
                    self.start_or_leave(place);
                }
            }
        }
        self.note_use();
    }

    /// Lets the loop know whether any plugin has use for updates.
    fn note_use(&self) {
        let takes = |link: &Link| link.part == Part::Runs && link.plugin.takes_updates();
        let is_idle = !self.links.iter().any(takes);
        self.status.idle.store(is_idle, Ordering::Relaxed);
    }

    fn start_or_leave(&mut self, place: usize) {
        let Some(other) = self.replacement(place) else {
            return self.start_one(place);
        };
        let file = other.plugin.file().map(|it| it.display().to_string());
        let file = file.unwrap_or_default();
        let link = &mut self.links[place];
        // At every level: who copied the file may not expect it.
        logging::remark(
            log::Level::Warn,
            format_args!(
                "built-in plugin {} is off: {file} writes the same files in its place",
                link.name
            ),
        );
        link.part = Part::Replaced;
        self.status
            .counters(place)
            .set_state_for(PluginState::Replaced, Some(&file));
    }

    /// The plugin in a file that does the work of this built-in one.
    fn replacement(&self, place: usize) -> Option<&Link> {
        let plugin = &self.links[place].plugin;
        let replaces = |link: &&Link| link.part == Part::Runs && link.plugin.replaces(plugin.id());
        let is_built_in = plugin.file().is_none();
        self.links.iter().find(replaces).filter(|_| is_built_in)
    }

    fn start_one(&mut self, place: usize) {
        let Link {
            plugin, directives, ..
        } = &mut self.links[place];
        let result = call(&self.status, place, || {
            plugin.configure(directives)?;
            plugin.start()
        });
        let link = &mut self.links[place];
        let counters = self.status.counters(place);
        match result {
            Ok(()) => {
                link.part = Part::Runs;
                counters.set_state(PluginState::Running);
            }
            Err(reason) => {
                log::error!("plugin {} is left out: {reason}", link.name);
                link.part = Part::None;
                counters.set_state_for(PluginState::Refused, Some(&reason));
            }
        }
    }

    /// Starts built-in plugins whose replacement has been disabled.
    fn take_back(&mut self) {
        for place in 0..self.links.len() {
            let is_alone = self.replacement(place).is_none();
            if self.links[place].part == Part::Replaced && is_alone {
                log::error!(
                    "built-in plugin {} is on again: it takes over from the one that is disabled",
                    self.links[place].name
                );
                self.start_one(place);
            }
        }
    }

    pub(super) fn notify(&mut self, update: &mut Update) {
        for link in &mut self.links {
            link.plugin.arrived(update);
        }
        self.each(About::Source, |plugin| plugin.notify(update));
    }

    pub(super) fn notify_root(&mut self, root: &mut RootUpdate) {
        for link in &mut self.links {
            link.plugin.root_arrived(root);
        }
        self.each(About::Root, |plugin| plugin.notify_root(root));
    }

    /// Lets every plugin do its work between updates. Returns how long until the next such call.
    pub(super) fn tick(&mut self) -> Option<Duration> {
        let mut soonest = None;
        for place in 0..self.links.len() {
            let link = &mut self.links[place];
            if link.part != Part::Runs {
                continue;
            }
            let mut next = None;
            let result = call(&self.status, place, || {
                next = link.plugin.tick();
                Ok(())
            });
            if let Err(reason) = result {
                self.failed(place, About::Tick, &reason);
                // A pause, or a plugin that always fails would keep the thread busy.
                next = Some(AFTER_PANIC);
            } else {
                self.links[place].succeeded(About::Tick);
            }
            soonest = soonest.into_iter().chain(next).min();
        }
        soonest
    }

    /// Stops every plugin that runs, in order.
    pub(super) fn stop(&mut self) {
        for (place, link) in self.links.iter_mut().enumerate() {
            if std::mem::replace(&mut link.part, Part::None) != Part::Runs {
                continue;
            }
            let result = call(&self.status, place, || {
                link.plugin.stop();
                Ok(())
            });
            if let Err(reason) = result {
                log::error!("plugin {} failed while it was stopped: {reason}", link.name);
            }
            self.status.counters(place).set_state(PluginState::Stopped);
        }
    }

    fn each(
        &mut self,
        about: About,
        mut work: impl FnMut(&mut dyn Plugin) -> Result<(), PluginError>,
    ) {
        for place in 0..self.links.len() {
            let link = &mut self.links[place];
            if link.part != Part::Runs {
                continue;
            }
            let start = Instant::now();
            let result = call(&self.status, place, || work(link.plugin.as_mut()));
            self.status.counters(place).count(start.elapsed());
            match result {
                Ok(()) => link.succeeded(about),
                Err(reason) => self.failed(place, about, &reason),
            }
        }
    }

    fn failed(&mut self, place: usize, about: About, reason: &str) {
        let counters = self.status.counters(place);
        counters.failed.fetch_add(1, Ordering::Relaxed);
        let link = &mut self.links[place];
        link.failed(about, reason);
        if link.part != Part::Runs {
            counters.set_state_for(PluginState::Disabled, Some(reason));
            self.take_back();
            self.note_use();
        }
    }
}

impl Link {
    fn succeeded(&mut self, about: About) {
        let failures = std::mem::take(&mut self.in_a_row[about as usize]);
        if failures > 0 {
            gmetad_core::recovered!(
                error: "plugin {} works again, after {} in a row",
                self.name,
                counted(failures as usize, "failure")
            );
        }
    }

    /// Logs the first failure in a row, and the one that disables the plugin.
    fn failed(&mut self, about: About, reason: &str) {
        let in_a_row = &mut self.in_a_row[about as usize];
        *in_a_row += 1;
        if *in_a_row >= DISABLE_AFTER {
            self.part = Part::None;
            gmetad_core::critical!(
                "plugin {} is disabled until gmetad is started again: it failed {DISABLE_AFTER} \
                 times in a row, the last time with: {reason}",
                self.name
            );
        } else if *in_a_row == 1 {
            log::error!("plugin {} failed: {reason}", self.name);
        }
    }
}

/// Calls into the plugin at that place; a panic is returned as an error.
fn call(
    status: &Status,
    place: usize,
    work: impl FnOnce() -> Result<(), PluginError>,
) -> Result<(), String> {
    status.begin(place);
    // A panic may leave the plugin's own state inconsistent, but not ours: it has no access to it.
    let result = catch_unwind(AssertUnwindSafe(work));
    status.end();
    match result {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("panic: {}", panic_text(panic.as_ref()))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "with no words"
    }
}

/// The plugins that the directive names, in its order. An id names all plugins that have it; a file
/// name names one.
fn in_order(names: &[String], plugins: Vec<Box<dyn Plugin>>) -> Vec<Box<dyn Plugin>> {
    let mut plugins = plugins;
    let mut chosen: Vec<Box<dyn Plugin>> = Vec::with_capacity(plugins.len());
    for name in names {
        let is_named = |plugin: &dyn Plugin| {
            plugin.id().eq_ignore_ascii_case(name)
                || plugin.file().is_some_and(|file| file_name(file) == *name)
        };
        let before = chosen.len();
        chosen.extend(plugins.extract_if(.., |plugin| is_named(plugin.as_ref())));
        let is_there = chosen.iter().any(|plugin| is_named(plugin.as_ref()));
        if chosen.len() == before && is_there {
            log::error!("plugins lists {name} twice; its first place is used");
        }
    }
    chosen
}

/// The name of each: its id, with its file's name where another plugin has the same id.
fn names(plugins: &[Box<dyn Plugin>]) -> Vec<String> {
    let with_id = |id: &str| {
        let ids = plugins.iter().map(|plugin| plugin.id()).chain([RESERVED]);
        ids.filter(|other| other.eq_ignore_ascii_case(id)).count()
    };
    let name = |plugin: &dyn Plugin| match plugin.file() {
        Some(file) if with_id(plugin.id()) > 1 => {
            format!("{} ({})", plugin.id(), file_name(file))
        }
        _ => plugin.id().to_owned(),
    };
    plugins.iter().map(|plugin| name(plugin.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use PluginState::{Disabled, Refused, Replaced, Running, Stopped};
    use gmetad_config::Section;
    use gmetad_core::model::{Cluster, Node, Now};
    use gmetad_core::plugin::Location;
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;

    type Seen = Arc<Mutex<Vec<String>>>;
    type Script = Box<dyn FnMut(&mut Update) -> Result<(), PluginError> + Send>;

    struct Scripted {
        id: &'static str,
        file: Option<&'static Path>,
        seen: Seen,
        refuses: bool,
        script: Script,
    }

    impl Plugin for Scripted {
        fn id(&self) -> &str {
            self.id
        }

        fn file(&self) -> Option<&Path> {
            self.file
        }

        fn replaces(&self, built_in: &str) -> bool {
            self.file.is_some() && self.id == built_in
        }

        fn configure(&mut self, directives: &[Directive]) -> Result<(), PluginError> {
            for it in directives {
                let line = format!("{} {}={}", self.id, it.name, it.value);
                self.seen.lock().unwrap().push(line);
            }
            if self.refuses {
                return Err(PluginError::Failed("no".into()));
            }
            Ok(())
        }

        fn notify(&mut self, update: &mut Update) -> Result<(), PluginError> {
            let line = format!("{} {}", self.id, update.node.name());
            self.seen.lock().unwrap().push(line);
            (self.script)(update)
        }

        fn stop(&mut self) {
            self.seen.lock().unwrap().push(format!("{} stop", self.id));
        }
    }

    fn chain_of(config: &Config, plugins: Vec<Box<dyn Plugin>>) -> Chain {
        Chain::new(config, plugins, &[], Arc::default())
    }

    fn plugin(seen: &Seen, id: &'static str, script: Script) -> Box<dyn Plugin> {
        scripted(seen, id, false, script)
    }

    fn scripted(seen: &Seen, id: &'static str, refuses: bool, script: Script) -> Box<dyn Plugin> {
        Box::new(Scripted {
            id,
            file: None,
            seen: Arc::clone(seen),
            refuses,
            script,
        })
    }

    fn from_file(seen: &Seen, id: &'static str, file: &'static str) -> Scripted {
        Scripted {
            id,
            file: Some(Path::new(file)),
            seen: Arc::clone(seen),
            refuses: false,
            script: Box::new(|_| Ok(())),
        }
    }

    fn update() -> Update {
        Update {
            source: "s".into(),
            interval: Duration::from_secs(15),
            up: true,
            node: named("a"),
            now: Now::default(),
            stamp: gmetad_core::plugin::Stamp::of(&named("a"), Now::default()),
            invented: gmetad_core::plugin::Invented::default(),
        }
    }

    fn named(name: &str) -> Node {
        Node::Cluster(Arc::new(Cluster {
            name: name.into(),
            ..Cluster::default()
        }))
    }

    fn states(chain: &Chain) -> Vec<PluginState> {
        chain.status.plugins().iter().map(|it| it.state).collect()
    }

    fn taken(seen: &Seen) -> Vec<String> {
        std::mem::take(&mut seen.lock().unwrap())
    }

    #[test]
    fn a_failing_plugin_does_not_keep_the_others_from_theirs() {
        let seen = Seen::default();
        let mut chain = chain_of(
            &Config::new("test"),
            vec![
                plugin(&seen, "panics", Box::new(|_| panic!("on purpose"))),
                plugin(
                    &seen,
                    "fails",
                    Box::new(|_| Err(PluginError::Failed("on purpose".into()))),
                ),
                plugin(&seen, "works", Box::new(|_| Ok(()))),
            ],
        );
        chain.start();
        for _ in 0..DISABLE_AFTER + 5 {
            chain.notify(&mut update());
        }
        let seen = taken(&seen);
        let count = |line: &str| seen.iter().filter(|it| *it == line).count() as u32;
        assert_eq!(count("panics a"), DISABLE_AFTER, "then it is disabled");
        assert_eq!(count("fails a"), DISABLE_AFTER);
        assert_eq!(count("works a"), DISABLE_AFTER + 5);
        assert_eq!(states(&chain), [Disabled, Disabled, Running]);
        let status = chain.status.plugins();
        assert_eq!((status[0].notified, status[0].failed), (10, 10));
        assert_eq!((status[2].notified, status[2].failed), (15, 0));
    }

    #[test]
    fn a_success_forgives_the_failures_before_it() {
        let seen = Seen::default();
        let mut calls = 0;
        let script = Box::new(move |_: &mut Update| {
            calls += 1;
            if calls % 10 == 0 {
                return Ok(());
            }
            Err(PluginError::Failed("nine times out of ten".into()))
        });
        let plugins = vec![plugin(&seen, "flaky", script)];
        let mut chain = chain_of(&Config::new("test"), plugins);
        chain.start();
        for _ in 0..100 {
            chain.notify(&mut update());
        }
        assert_eq!(states(&chain), [Running]);
        assert_eq!(chain.status.plugins()[0].failed, 90);
    }

    #[test]
    fn summaries_that_go_well_do_not_forgive_updates_that_fail() {
        let seen = Seen::default();
        let script = Box::new(|_: &mut Update| Err(PluginError::Failed("on purpose".into())));
        let mut chain = chain_of(&Config::new("test"), vec![plugin(&seen, "half", script)]);
        chain.start();
        for _ in 0..DISABLE_AFTER {
            chain.notify(&mut update());
            chain.notify_root(&mut RootUpdate {
                gridname: "g".into(),
                authority: "".into(),
                summary: Arc::default(),
                now: Now::default(),
                present: Arc::default(),
                invented: gmetad_core::plugin::Invented::default(),
            });
        }
        assert_eq!(states(&chain), [Disabled]);
        let is_idle = chain.status().idle.load(Ordering::Relaxed);
        assert!(is_idle, "nobody is left to take updates");
    }

    #[test]
    fn a_plugin_that_cannot_start_is_left_out() {
        let seen = Seen::default();
        let refuses = scripted(&seen, "refuses", true, Box::new(|_| Ok(())));
        let works = plugin(&seen, "works", Box::new(|_| Ok(())));
        let mut chain = chain_of(&Config::new("test"), vec![refuses, works]);
        chain.start();
        chain.notify(&mut update());
        chain.stop();
        assert_eq!(taken(&seen), ["works a", "works stop"]);
        assert_eq!(states(&chain), [Refused, Stopped]);
    }

    #[test]
    fn the_directive_orders_the_chain_and_leaves_the_rest_out() {
        let seen = Seen::default();
        let plugins = ["one", "two", "three"].map(|id| plugin(&seen, id, Box::new(|_| Ok(()))));
        let config = Config {
            plugins: Some(vec!["Three".into(), "nosuch".into(), "one".into()]),
            ..Config::new("test")
        };
        let mut chain = chain_of(&config, plugins.into());
        chain.start();
        chain.notify(&mut update());
        chain.stop();
        let order = ["three a", "one a", "three stop", "one stop"];
        assert_eq!(taken(&seen), order);
    }

    #[test]
    fn plugins_of_one_id_are_told_apart_by_their_files() {
        let seen = Seen::default();
        let mine = |file| Box::new(from_file(&seen, "mine", file)) as Box<dyn Plugin>;
        let plugins = |ids: &[&str]| {
            let config = Config {
                plugins: Some(ids.iter().map(|id| (*id).into()).collect()),
                ..Config::new("test")
            };
            let rrd = plugin(&seen, "rrd", Box::new(|_| Ok(())));
            let other = Box::new(from_file(&seen, "RRD", "/p/c.so")) as Box<dyn Plugin>;
            let cached = Box::new(from_file(&seen, RESERVED, "/p/d.so")) as Box<dyn Plugin>;
            let all = vec![mine("/p/a.so"), mine("/p/b.so"), other, cached, rrd];
            let chain = chain_of(&config, all);
            let status = chain.status.plugins();
            status.iter().map(|it| it.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            plugins(&["rrd", "MINE"]),
            ["RRD (c.so)", "rrd", "mine (a.so)", "mine (b.so)"]
        );
        assert_eq!(plugins(&["b.so", "nosuch", "c.so"]), ["mine", "RRD"]);
        assert_eq!(
            plugins(&["b.so", "mine", "a.so"]),
            ["mine (b.so)", "mine (a.so)"]
        );
        assert_eq!(plugins(&["rrdcached"]), ["rrdcached (d.so)"]);
    }

    #[test]
    fn a_file_does_a_built_in_plugins_work_as_long_as_it_runs() {
        let seen = Seen::default();
        let run = |refuses, script| {
            let file = Scripted {
                refuses,
                script,
                ..from_file(&seen, "rrd", "/p/rrd_plugin.py")
            };
            // Also where it comes behind.
            let rrd = plugin(&seen, "rrd", Box::new(|_| Ok(())));
            let mut chain = chain_of(&Config::new("test"), vec![rrd, Box::new(file)]);
            chain.start();
            for _ in 0..=DISABLE_AFTER {
                chain.notify(&mut update());
            }
            (states(&chain), taken(&seen).len() as u32, chain)
        };
        let (states, calls, mut chain) = run(false, Box::new(|_| Ok(())));
        assert_eq!(
            (states, calls),
            (vec![Replaced, Running], DISABLE_AFTER + 1)
        );
        let reason = chain.status.plugins()[0].reason.clone();
        assert_eq!(reason.as_deref(), Some("/p/rrd_plugin.py"));
        chain.stop();
        assert_eq!(taken(&seen), ["rrd stop"]);
        let (states, calls, _) = run(true, Box::new(|_| Ok(())));
        assert_eq!((states, calls), (vec![Running, Refused], DISABLE_AFTER + 1));
        let fails = || Err(PluginError::Failed("no disk".into()));
        let (states, calls, chain) = run(false, Box::new(move |_| fails()));
        assert_eq!(
            (states, calls),
            (vec![Running, Disabled], DISABLE_AFTER + 1)
        );
        let reason = chain.status.plugins()[1].reason.clone();
        assert_eq!(reason.as_deref(), Some("no disk"));
    }

    #[test]
    fn files_that_were_left_out_stand_behind_the_chain() {
        let seen = Seen::default();
        let left_out = [("/p/mine", "no reason"), ("/p/x.so", "not on a Monday")];
        let left_out = left_out.map(|(file, reason)| LeftOut {
            file: file.into(),
            reason: reason.into(),
        });
        let mine = plugin(&seen, "mine", Box::new(|_| Ok(())));
        let chain = Chain::new(&Config::new("test"), vec![mine], &left_out, Arc::default());
        let status = chain.status.plugins();
        let names: Vec<&str> = status.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["mine", "mine (left out)", "x.so"]);
        assert_eq!(status[2].state, PluginState::NotLoaded);
        assert_eq!(status[2].reason.as_deref(), Some("not on a Monday"));
    }

    #[test]
    fn a_plugin_gets_its_section_in_order_with_repeats() {
        let seen = Seen::default();
        let line = |name: &str, value: &str, line| Directive {
            name: name.into(),
            value: value.into(),
            line: Location {
                file: PathBuf::from("test.conf"),
                line,
            },
        };
        let config = Config {
            sections: vec![Section {
                id: "mine".into(),
                directives: vec![
                    line("b", "1", 2),
                    line("a", "\"x\" y", 3),
                    line("b", "2", 4),
                ],
                ends: vec![3],
            }],
            ..Config::new("test")
        };
        let mine = plugin(&seen, "Mine", Box::new(|_| Ok(())));
        let other = plugin(&seen, "other", Box::new(|_| Ok(())));
        chain_of(&config, vec![mine, other]).start();
        assert_eq!(taken(&seen), ["Mine b=1", "Mine a=\"x\" y", "Mine b=2"]);
    }

    #[test]
    fn what_a_plugin_puts_in_is_what_the_next_ones_see() {
        let seen = Seen::default();
        let changes = Box::new(|update: &mut Update| {
            update.node = named("changed");
            Ok(())
        });
        let mut chain = chain_of(
            &Config::new("test"),
            vec![
                plugin(&seen, "changes", changes),
                plugin(&seen, "next", Box::new(|_| Ok(()))),
            ],
        );
        chain.start();
        chain.notify(&mut update());
        assert_eq!(taken(&seen), ["changes a", "next changed"]);
    }
}
