//! The health of the daemon: faults that an operator or a supervisor should act on.
//!
//! A single source that is down is no fault of the daemon.

use std::time::Duration;

use thiserror::Error;

use super::{Report, SourceState};

/// The export that writes RRD files in place of this daemon.
const RRDCACHED: &str = "rrdcached";

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The first polls are not complete.
    #[error("no source has answered yet")]
    Starting,
    /// Every source is down.
    #[error("no source is up; the first of {count} failed: {reason}")]
    NoSource {
        /// How many there are.
        count: usize,
        /// The failure of the first one.
        reason: String,
    },
    /// A plugin holds up the updates.
    #[error("plugin {id} has been busy with one update for {} s", .taken.as_secs())]
    Stalled {
        /// Which.
        id: String,
        /// For how long.
        taken: Duration,
    },
    /// A plugin is not working.
    #[error("plugin {name} is {state}{}", .reason.as_ref().map_or(String::new(), |it| format!(": {it}")))]
    Plugin {
        /// Which.
        name: String,
        /// Its state in a word.
        state: &'static str,
        /// Why.
        reason: Option<String>,
    },
    /// An alert rule is not in force.
    #[error("a rule of the section alert is left out: {0}")]
    Rule(String),
    /// A clock was ahead, or was set back.
    #[error(
        "RRD files of {count} clusters or grids have newer values than those that arrive, which they \
         refuse; the log names them"
    )]
    Behind {
        /// How many.
        count: u64,
    },
    /// rrdcached cannot be reached, so files are not written.
    #[error("{id} accepts no values, so they wait; the log says why")]
    Away {
        /// Who.
        id: String,
    },
    /// A server refuses values, which are lost.
    #[error("{id} refuses {count} of the values it is sent; the log says why")]
    Refused {
        /// Which.
        id: String,
        /// Files, keys or the like that refused their last value.
        count: u64,
    },
    /// RRD files cannot be written.
    #[error("{count} RRD files cannot be written; the log says why")]
    NotStored {
        /// How many.
        count: u64,
    },
    /// Sources bring too many new RRD files.
    #[error(
        "{count} sources bring more new RRD files than new_rrds_per_hour allows, which are created \
         later; the log names them"
    )]
    Limited {
        /// How many.
        count: u64,
    },
    /// The filesystem of the RRD files is nearly full.
    #[error("no new RRD files are created, as their filesystem is nearly full: free space")]
    NoRoom,
    /// The plugins are too slow.
    #[error("the queue to the plugins is full: {held_back} updates are held back")]
    QueueFull {
        /// How many.
        held_back: usize,
    },
    /// No further client can connect.
    #[error("the limit of {limit} clients is reached")]
    Crowded {
        /// How many there are.
        limit: usize,
    },
}

/// All faults; none if all is well.
pub fn faults(report: &Report) -> Vec<Fault> {
    let mut faults = Vec::new();
    let sources = &report.sources;
    let is = |state: SourceState| move |source: &super::SourceStatus| source.state == state;
    if !sources.is_empty() && !sources.iter().any(is(SourceState::Up)) {
        faults.push(if sources.iter().any(is(SourceState::New)) {
            Fault::Starting
        } else {
            Fault::NoSource {
                count: sources.len(),
                reason: sources[0].failure.clone().unwrap_or_default(),
            }
        });
    }
    if let Some((id, taken)) = &report.queue.stalled {
        faults.push(Fault::Stalled {
            id: id.clone(),
            taken: *taken,
        });
    }
    for plugin in report
        .plugins
        .iter()
        .filter(|plugin| !plugin.state.is_well())
    {
        faults.push(Fault::Plugin {
            name: plugin.name.clone(),
            state: plugin.state.word(),
            reason: plugin.reason.clone(),
        });
    }
    faults.extend(report.rules_left_out.iter().cloned().map(Fault::Rule));
    if report.files.refusing > 0 {
        faults.push(Fault::Behind {
            count: report.files.refusing,
        });
    }
    for (id, output) in report.outputs() {
        // Other exports only display or judge values, so they can wait for a server that is down.
        if id == RRDCACHED && output.failing {
            faults.push(Fault::Away { id: id.into() });
        }
        if output.refusing > 0 {
            faults.push(Fault::Refused {
                id: id.into(),
                count: output.refusing,
            });
        }
    }
    if report.files.broken > 0 {
        faults.push(Fault::NotStored {
            count: report.files.broken,
        });
    }
    if report.files.limited > 0 {
        faults.push(Fault::Limited {
            count: report.files.limited,
        });
    }
    if report.files.no_room {
        faults.push(Fault::NoRoom);
    }
    if report.queue.held_back > 0 {
        faults.push(Fault::QueueFull {
            held_back: report.queue.held_back,
        });
    }
    // The client that asks for this counts as well.
    if report.clients.limit > 0 && report.clients.connected >= report.clients.limit {
        faults.push(Fault::Crowded {
            limit: report.clients.limit,
        });
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::{OutputReport, PluginState, example};
    use super::*;

    fn said(change: impl FnOnce(&mut Report)) -> Vec<String> {
        let mut report = example();
        change(&mut report);
        faults(&report).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_is_well_while_one_source_answers() {
        assert_eq!(said(|_| ()), Vec::<String>::new());
        assert_eq!(said(|report| report.sources.clear()), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_named() {
        assert_eq!(
            said(|report| report.sources[0].state = SourceState::New),
            ["no source has answered yet"]
        );
        assert_eq!(
            said(|report| drop(report.sources.remove(0))),
            ["no source is up; the first of 1 failed: 10.0.0.2:8649: cannot connect"]
        );
        assert_eq!(
            said(|report| {
                report.queue.stalled = Some(("rrd".into(), Duration::from_secs(12)));
                report.queue.held_back = 3;
            }),
            [
                "plugin rrd has been busy with one update for 12 s",
                "the queue to the plugins is full: 3 updates are held back"
            ]
        );
        assert_eq!(
            said(|report| {
                report.plugins[1].state = PluginState::Disabled;
                report.plugins[1].reason = Some("no disk".into());
                report.clients.connected = 512;
                report.rules_left_out = vec!["g.conf:7: metricrule: 5 is not a time".into()];
            }),
            [
                "plugin carbon is disabled: it failed too often in a row: no disk",
                "a rule of the section alert is left out: g.conf:7: metricrule: 5 is not a time",
                "the limit of 512 clients is reached"
            ]
        );
        assert_eq!(
            said(|report| report.files.refusing = 2),
            [
                "RRD files of 2 clusters or grids have newer values than those that arrive, which \
                 they refuse; the log names them"
            ]
        );
        assert_eq!(
            said(|report| report.files.broken = 3),
            ["3 RRD files cannot be written; the log says why"]
        );
        assert_eq!(
            said(|report| report.files.limited = 2),
            [
                "2 sources bring more new RRD files than new_rrds_per_hour allows, which are created \
                 later; the log names them"
            ]
        );
        assert_eq!(
            said(|report| report.files.no_room = true),
            ["no new RRD files are created, as their filesystem is nearly full: free space"]
        );
        let output = |report: &mut Report, id: &str, refusing, failing| {
            report.plugins[1].id = id.into();
            report.plugins[1].output = Some(OutputReport {
                refusing,
                failing,
                ..OutputReport::default()
            });
        };
        assert_eq!(
            said(|report| output(report, "carbon", 0, true)),
            Vec::<String>::new()
        );
        assert_eq!(
            said(|report| output(report, "rrdcached", 2, true)),
            [
                "rrdcached accepts no values, so they wait; the log says why",
                "rrdcached refuses 2 of the values it is sent; the log says why"
            ]
        );
    }
}
