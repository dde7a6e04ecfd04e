//! Adds a metric `load_per_cpu` to each host, which gmetad stores like any other.
//!
//! Its section may name another load than `load_one`:
//!
//! ```text
//! load_per_cpu {
//!     load load_fifteen
//! }
//! ```

use gmetad_plugin::{Daemon, Directive, Error, Kind, Node, Plugin, Tree, Update, export_plugin};

struct LoadPerCpu {
    daemon: Daemon,
    /// Key of the metric to divide.
    load: String,
}

impl Plugin for LoadPerCpu {
    fn create(daemon: Daemon, section: &[Directive]) -> Result<Self, Error> {
        let mut load = "load_one".to_owned();
        for directive in section {
            match (directive.name.as_str(), directive.words().as_slice()) {
                ("load", [name]) => load.clone_from(name),
                ("load", _) => return Err(directive.error("takes the name of one metric")),
                _ => return Err(directive.error("there is only: load NAME")),
            }
        }
        let load = format!("METRIC:{load}");
        Ok(LoadPerCpu { daemon, load })
    }

    fn notify(&mut self, update: &Update, tree: &mut Tree<'_>) -> Result<(), Error> {
        let mut without = 0;
        for host in tree.children(tree.top()) {
            let Some(value) = self.per_cpu(tree, host) else {
                without += 1;
                continue;
            };
            let metric = [
                ("name", "load_per_cpu"),
                ("val", &format!("{value:.3}")),
                ("type", "float"),
                ("units", " "),
                ("tmax", "70"),
            ];
            let metric = tree.add(host, Kind::Metric, &metric)?;
            let group = [("name", "GROUP"), ("val", "load")];
            tree.add(metric, Kind::ExtraElement, &group)?;
        }
        if without > 0 {
            let source = &update.source;
            self.daemon.debug(format_args!(
                "{source}: {without} hosts lack load or cpu_num"
            ));
        }
        Ok(())
    }
}

impl LoadPerCpu {
    /// `None` if a host lacks a metric.
    fn per_cpu(&self, tree: &Tree<'_>, host: Node) -> Option<f64> {
        let load = tree.value(tree.find(host, &self.load)?)?;
        let cpus = tree.value(tree.find(host, "METRIC:cpu_num")?)?;
        (cpus > 0.0).then_some(load / cpus)
    }
}

export_plugin!("load_per_cpu", LoadPerCpu);
