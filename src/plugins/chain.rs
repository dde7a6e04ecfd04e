//! The plugins in their order, each kept from hurting the others.
//!
//! No thread and no queue: the worker calls this, a test may too.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::status::{PluginState, Status};
use gmetad_config::Config;
use gmetad_core::plugin::Directive;
use gmetad_core::plugin::{Plugin, PluginError, RootUpdate, Update};

/// How soon a plugin whose work between updates has failed is asked for it again.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// Failures in a row that cost a plugin the rest.
const DISABLE_AFTER: u32 = 10;

/// All plugins, in order.
pub(super) struct Chain {
    links: Vec<Link>,
    status: Arc<Status>,
}

struct Link {
    plugin: Box<dyn Plugin>,
    directives: Vec<Directive>,
    /// Failures since the last success, of updates of sources and of the root: one that fails with
    /// all of the former is not forgiven for the latter.
    in_a_row: [u32; 3],
    runs: bool,
}

/// What a plugin is called for; the place in `in_a_row`.
#[derive(Clone, Copy)]
enum About {
    Source = 0,
    Root = 1,
    /// Its own work, between updates.
    Tick = 2,
}

impl Chain {
    /// These plugins: by the `plugins` directive if there is one, else as they come.
    pub(super) fn new(config: &Config, plugins: Vec<Box<dyn Plugin>>) -> Chain {
        let plugins = match &config.plugins {
            Some(ids) => in_order(ids, plugins),
            None => plugins,
        };
        for section in &config.sections {
            if !plugins
                .iter()
                .any(|plugin| plugin.id().eq_ignore_ascii_case(&section.id))
            {
                log::warn!("section {} belongs to no plugin in the chain", section.id);
            }
        }
        let links = plugins.into_iter().map(|plugin| Link {
            directives: config
                .section(plugin.id())
                .map_or_else(Vec::new, |section| section.directives.clone()),
            plugin,
            in_a_row: [0; 3],
            runs: false,
        });
        let links: Vec<Link> = links.collect();
        let status = Arc::new(Status::new(links.iter().map(|link| link.plugin.as_ref())));
        Chain { links, status }
    }

    pub(super) fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// Configures and starts every plugin; leaves out, with a line, those that cannot.
    pub(super) fn start(&mut self) {
        for (place, link) in self.links.iter_mut().enumerate() {
            let plugin = &mut link.plugin;
            let directives = &link.directives;
            let result = call(&self.status, place, || {
                plugin.configure(directives)?;
                plugin.start()
            });
            link.runs = result.is_ok();
            self.status.plugins[place].set_state(match result {
                Ok(()) => PluginState::Running,
                Err(reason) => {
                    log::error!("plugin {} is left out: {reason}", link.plugin.id());
                    PluginState::Refused
                }
            });
        }
    }

    pub(super) fn notify(&mut self, update: &mut Update) {
        self.each(About::Source, |plugin| plugin.notify(update));
    }

    pub(super) fn notify_root(&mut self, root: &mut RootUpdate) {
        self.each(About::Root, |plugin| plugin.notify_root(root));
    }

    /// Lets every plugin do what it does between updates; when it next wants to.
    pub(super) fn tick(&mut self) -> Option<Duration> {
        let mut soonest = None;
        for (place, link) in self.links.iter_mut().enumerate() {
            if !link.runs {
                continue;
            }
            let plugin = &mut link.plugin;
            let mut next = None;
            let result = call(&self.status, place, || {
                next = plugin.tick();
                Ok(())
            });
            if let Err(reason) = result {
                self.status.plugins[place]
                    .failed
                    .fetch_add(1, Ordering::Relaxed);
                link.failed(About::Tick, &reason);
                if !link.runs {
                    self.status.plugins[place].set_state(PluginState::Disabled);
                }
                // Not at once, or one that always fails would keep the thread busy.
                next = Some(AFTER_PANIC);
            } else if link.in_a_row[About::Tick as usize] > 0 {
                link.succeeded(About::Tick);
            }
            soonest = soonest.into_iter().chain(next).min();
        }
        soonest
    }

    /// Stops every plugin that runs, in order.
    pub(super) fn stop(&mut self) {
        for (place, link) in self.links.iter_mut().enumerate() {
            if !std::mem::take(&mut link.runs) {
                continue;
            }
            let result = call(&self.status, place, || {
                link.plugin.stop();
                Ok(())
            });
            if let Err(reason) = result {
                log::error!("plugin {} did not stop well: {reason}", link.plugin.id());
            }
            self.status.plugins[place].set_state(PluginState::Stopped);
        }
    }

    fn each(
        &mut self,
        about: About,
        mut work: impl FnMut(&mut dyn Plugin) -> Result<(), PluginError>,
    ) {
        for (place, link) in self.links.iter_mut().enumerate() {
            if !link.runs {
                continue;
            }
            let plugin = &mut link.plugin;
            let start = Instant::now();
            let result = call(&self.status, place, || work(plugin.as_mut()));
            let counters = &self.status.plugins[place];
            counters.count(start.elapsed());
            match result {
                Ok(()) => link.succeeded(about),
                Err(reason) => {
                    counters.failed.fetch_add(1, Ordering::Relaxed);
                    link.failed(about, &reason);
                    if !link.runs {
                        counters.set_state(PluginState::Disabled);
                    }
                }
            }
        }
    }
}

impl Link {
    fn succeeded(&mut self, about: About) {
        let failures = std::mem::take(&mut self.in_a_row[about as usize]);
        if failures > 0 {
            // As loud as the failure was, so that whoever read that reads this.
            log::error!(
                "plugin {} works again after {failures} failures",
                self.plugin.id()
            );
        }
    }

    /// Says the first of several failures, and the last that is let pass.
    fn failed(&mut self, about: About, reason: &str) {
        let in_a_row = &mut self.in_a_row[about as usize];
        *in_a_row += 1;
        if *in_a_row >= DISABLE_AFTER {
            self.runs = false;
            log::error!(
                "plugin {} is disabled until the next start: it failed {DISABLE_AFTER} times in a \
                 row, at last with: {reason}",
                self.plugin.id()
            );
        } else if *in_a_row == 1 {
            log::error!("plugin {} failed: {reason}", self.plugin.id());
        }
    }
}

/// Calls into the plugin at that place; a panic is an error like any other.
fn call(
    status: &Status,
    place: usize,
    work: impl FnOnce() -> Result<(), PluginError>,
) -> Result<(), String> {
    status.calls.fetch_add(1, Ordering::Release);
    status.busy.store(place + 1, Ordering::Release);
    // A plugin that panicked may be left in any state of its own; it has no part in ours.
    let result = catch_unwind(AssertUnwindSafe(work));
    status.busy.store(0, Ordering::Release);
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

/// The plugins the directive names, as it orders them.
fn in_order(ids: &[String], plugins: Vec<Box<dyn Plugin>>) -> Vec<Box<dyn Plugin>> {
    let mut plugins: Vec<Option<Box<dyn Plugin>>> = plugins.into_iter().map(Some).collect();
    let mut chosen = Vec::with_capacity(ids.len());
    for id in ids {
        let found = plugins.iter_mut().find(|plugin| {
            plugin
                .as_ref()
                .is_some_and(|plugin| plugin.id().eq_ignore_ascii_case(id))
        });
        match found.and_then(Option::take) {
            Some(plugin) => chosen.push(plugin),
            None => log::error!("plugins: there is no plugin {id}, or it is named twice"),
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::PluginState::{Disabled, Refused, Running, Stopped};
    use super::*;
    use gmetad_config::Section;
    use gmetad_core::model::{Cluster, Node, Now};
    use gmetad_core::plugin::Location;
    use std::path::PathBuf;
    use std::sync::Mutex;

    type Seen = Arc<Mutex<Vec<String>>>;
    type Script = Box<dyn FnMut(&mut Update) -> Result<(), PluginError> + Send>;

    struct Scripted {
        id: &'static str,
        seen: Seen,
        refuses: bool,
        script: Script,
    }

    impl Plugin for Scripted {
        fn id(&self) -> &str {
            self.id
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

    fn plugin(seen: &Seen, id: &'static str, script: Script) -> Box<dyn Plugin> {
        scripted(seen, id, false, script)
    }

    fn scripted(seen: &Seen, id: &'static str, refuses: bool, script: Script) -> Box<dyn Plugin> {
        Box::new(Scripted {
            id,
            seen: Arc::clone(seen),
            refuses,
            script,
        })
    }

    fn update() -> Update {
        Update {
            source: "s".into(),
            interval: Duration::from_secs(15),
            up: true,
            node: named("a"),
            now: Now::default(),
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
        let mut chain = Chain::new(
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
        let mut chain = Chain::new(&Config::new("test"), plugins);
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
        let mut chain = Chain::new(&Config::new("test"), vec![plugin(&seen, "half", script)]);
        chain.start();
        for _ in 0..DISABLE_AFTER {
            chain.notify(&mut update());
            chain.notify_root(&mut RootUpdate {
                gridname: "g".into(),
                authority: "".into(),
                summary: Arc::default(),
                now: Now::default(),
                invented: gmetad_core::plugin::Invented::default(),
            });
        }
        assert_eq!(states(&chain), [Disabled]);
    }

    #[test]
    fn a_plugin_that_cannot_start_is_left_out() {
        let seen = Seen::default();
        let refuses = scripted(&seen, "refuses", true, Box::new(|_| Ok(())));
        let works = plugin(&seen, "works", Box::new(|_| Ok(())));
        let mut chain = Chain::new(&Config::new("test"), vec![refuses, works]);
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
        let mut chain = Chain::new(&config, plugins.into());
        chain.start();
        chain.notify(&mut update());
        chain.stop();
        let order = ["three a", "one a", "three stop", "one stop"];
        assert_eq!(taken(&seen), order);
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
            }],
            ..Config::new("test")
        };
        let mine = plugin(&seen, "Mine", Box::new(|_| Ok(())));
        let other = plugin(&seen, "other", Box::new(|_| Ok(())));
        Chain::new(&config, vec![mine, other]).start();
        assert_eq!(taken(&seen), ["Mine b=1", "Mine a=\"x\" y", "Mine b=2"]);
    }

    #[test]
    fn what_a_plugin_puts_in_is_what_the_next_ones_see() {
        let seen = Seen::default();
        let changes = Box::new(|update: &mut Update| {
            update.node = named("changed");
            Ok(())
        });
        let mut chain = Chain::new(
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
