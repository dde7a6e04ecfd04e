//! Uses everything there is, and panics where its section says so: for the tests of gmetad.

use std::time::Duration;

use gmetad_plugin::{
    Daemon, Directive, Error, Kind, Level, Plugin, Refusal, Tree, Update, export_plugin,
};

struct Exercise {
    daemon: Daemon,
    panics_in: String,
    /// In notify.
    ends_by: Option<fn() -> !>,
    calls: u32,
}

impl Exercise {
    fn panic_if_in(&self, place: &str) {
        assert!(self.panics_in != place, "as told, in {place}");
    }
}

impl Plugin for Exercise {
    fn create(daemon: Daemon, section: &[Directive]) -> Result<Self, Error> {
        let mut panics_in = String::new();
        let mut ends_by: Option<fn() -> !> = None;
        for directive in section {
            match directive.name.as_str() {
                "panic" => panics_in = directive.words().concat(),
                "exit" => ends_by = Some(|| std::process::exit(0)),
                "abort" => ends_by = Some(|| std::process::abort()),
                _ => return Err(directive.error("there is only: panic PLACE")),
            }
        }
        let plugin = Exercise {
            daemon,
            panics_in,
            ends_by,
            calls: 0,
        };
        plugin.panic_if_in("create");
        Ok(plugin)
    }

    fn start(&mut self) -> Result<(), Error> {
        self.panic_if_in("start");
        self.configuration();
        Ok(())
    }

    fn notify(&mut self, update: &Update, tree: &mut Tree<'_>) -> Result<(), Error> {
        self.calls += 1;
        if self.panics_in == "a thread" {
            let thread = std::thread::spawn(|| panic!("as told, in a thread"));
            // That it panics is what it is for.
            let _ = thread.join();
        }
        self.panic_if_in("notify");
        if let Some(end) = self.ends_by {
            end();
        }
        read(update, tree);
        change(tree)?;
        self.daemon
            .info(format_args!("call {} went well", self.calls));
        Ok(())
    }

    fn notify_root(&mut self, update: &Update, tree: &mut Tree<'_>) -> Result<(), Error> {
        self.panic_if_in("notify_root");
        assert_eq!(tree.kind(tree.top()), Some(Kind::Grid));
        assert_eq!(
            (update.source.as_str(), update.interval),
            ("", Duration::ZERO)
        );
        assert_eq!(tree.first(tree.top()), None);
        Ok(())
    }

    fn stop(&mut self) {
        self.panic_if_in("stop");
    }
}

impl Drop for Exercise {
    fn drop(&mut self) {
        self.daemon.info("dropped");
        self.panic_if_in("drop");
    }
}

impl Exercise {
    fn configuration(&self) {
        let daemon = self.daemon;
        assert!(!daemon.version().is_empty());
        assert_eq!(daemon.setting("gridname"), Some("unspecified"));
        assert_eq!(daemon.setting("nosuch"), None);
        assert!(
            daemon
                .settings()
                .any(|it| it == ("gridname", "unspecified"))
        );
        let sources: Vec<_> = daemon.sources().collect();
        assert_eq!(sources.len(), 1);
        assert_eq!(
            (sources[0].name.as_str(), sources[0].hosts.len()),
            ("fake", 1)
        );
        assert_eq!(sources[0].interval, Duration::from_secs(1));
        assert!(daemon.section("EXERCISE").is_some());
        assert_eq!(daemon.section("nosuch"), None);
        for level in [Level::Error, Level::Warning, Level::Info, Level::Debug] {
            daemon.log(level, format_args!("said as {level:?}"));
        }
    }
}

fn read(update: &Update, tree: &Tree<'_>) {
    assert!(update.up && update.source == "fake" && update.now > 1_000_000_000);
    let top = tree.top();
    assert_eq!(tree.kind(top), Some(Kind::Cluster));
    assert_eq!(tree.parent(top), None);
    let hosts = tree.children(top);
    assert_eq!(hosts.len(), 2);
    assert_eq!(tree.find(top, "HOST:host1"), Some(hosts[1]));
    assert_eq!(tree.next(hosts[0]), Some(hosts[1]));
    assert_eq!(tree.next(hosts[1]), None);
    let load = tree.find(hosts[0], "METRIC:load_one").expect("it has one");
    assert_eq!(tree.parent(load), Some(hosts[0]));
    // Both texts are there at once, as nothing is changed between.
    let (name, tmax) = (tree.get(load, "name"), tree.get(load, "tmax"));
    assert_eq!((name, tmax), (Some("load_one"), Some("70")));
    assert_eq!(tree.get(load, "nosuch"), None);
    assert_eq!(
        (tree.value(load), tree.number(load, "tmax")),
        (Some(1.5), Some(70.0))
    );
    assert_eq!(tree.number(load, "type"), None);
    assert_eq!(tree.attributes(load).next(), Some(("name", "load_one")));
    assert_eq!(tree.attributes(load).count(), 9);
    let summary = tree.summary(top).expect("of the top");
    assert_eq!(
        (summary.hosts_up, summary.hosts_down, summary.metrics.len()),
        (2, 0, 3)
    );
    assert_eq!(tree.get(summary.metrics[0], "sum"), Some("3.00"));
    assert_eq!(tree.summary(load), None);
}

fn change(tree: &mut Tree<'_>) -> Result<(), Error> {
    let top = tree.top();
    let host = tree.first(top).ok_or("there is no host")?;
    let load = tree.first(host).ok_or("there is no metric")?;
    tree.set(load, "units", "jobs")?;
    tree.set_value(load, 2.25)?;
    tree.set_number(load, "tmax", 60.0)?;
    assert_eq!(tree.set(load, "tmax", "long"), Err(Refusal::BadValue));
    assert_eq!(tree.get(load, "val"), Some("2.25"));
    tree.set_hosts(top, 7, 1)?;
    let added = tree.add(host, Kind::Metric, &[("name", "sdk"), ("val", "5")])?;
    let again = tree.add(host, Kind::Metric, &[("name", "sdk")]);
    assert_eq!(again, Err(Refusal::Exists(Some(added))));
    assert_eq!(
        tree.add(added, Kind::Host, &[("name", "h")]),
        Err(Refusal::NotPossible)
    );
    let element = tree.add(
        added,
        Kind::ExtraElement,
        &[("name", "GROUP"), ("val", "g")],
    )?;
    assert_eq!(
        tree.parent(element).and_then(|it| tree.parent(it)),
        Some(added)
    );
    let second = tree.next(host).ok_or("there is no second host")?;
    tree.remove(second)?;
    assert_eq!(tree.kind(second), None);
    assert_eq!(tree.remove(second), Err(Refusal::NoNode));
    Ok(())
}

export_plugin!("exercise", Exercise);
