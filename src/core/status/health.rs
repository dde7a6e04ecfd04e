//! The health of the daemon: faults that an operator or a supervisor should act on.
//!
//! A single source that is down is no fault of the daemon.

use std::time::Duration;

use thiserror::Error;

use super::{Report, SourceState};

/// The plugins that write RRD files, whose failures are told by file.
const RRD: [&str; 2] = ["rrd", "rrdsummary"];

/// Values that wait longer for a server which takes some: it is too slow.
const SLOW_AFTER: Duration = Duration::from_secs(120);

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
    /// The server of an export, or rrdcached, cannot be reached.
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
    /// Values that should wait on disk wait in memory.
    #[error(
        "{id} cannot write its backlog_dir, so a crash would lose the values that wait; the log says \
         why"
    )]
    Unsaved {
        /// Which.
        id: String,
    },
    /// A server takes values more slowly than they come.
    #[error("{id} takes values too slowly: the oldest wait for {} s", .lag.as_secs())]
    Slow {
        /// Which.
        id: String,
        /// How long the oldest values wait.
        lag: Duration,
    },
    /// RRD files cannot be written.
    #[error("{count} RRD files cannot be written; the log says why")]
    NotStored {
        /// How many.
        count: u64,
    },
    /// A journal was asked for, and is not written.
    #[error(
        "the journal in journal_dir is not written, so a crash would lose the values that wait for \
         their RRD files; the log says why"
    )]
    Unjournaled,
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
        if output.failing && !RRD.contains(&id) {
            faults.push(Fault::Away { id: id.into() });
        } else if output.lag >= SLOW_AFTER {
            faults.push(Fault::Slow {
                id: id.into(),
                lag: output.lag,
            });
        }
        if output.unsaved {
            faults.push(Fault::Unsaved { id: id.into() });
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
    if report.files.journal_fails {
        faults.push(Fault::Unjournaled);
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
    // The client that asks for this counts as well. The idle would make room.
    let clients = &report.clients;
    if clients.limit > 0 && clients.connected >= clients.limit && clients.idle == 0 {
        faults.push(Fault::Crowded {
            limit: clients.limit,
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
        let full_of_idle = |report: &mut Report| {
            report.clients.connected = 512;
            report.clients.idle = 511;
        };
        assert_eq!(said(full_of_idle), Vec::<String>::new());
    }

    /// Asserts that a change of a report in which all is well brings these faults.
    #[track_caller]
    fn brings(change: impl FnOnce(&mut Report), faults: &[&str]) {
        assert_eq!(said(change), faults);
    }

    #[test]
    fn before_a_source_has_answered_and_when_none_does() {
        brings(
            |report| report.sources[0].state = SourceState::New,
            &["no source has answered yet"],
        );
        brings(
            |report| drop(report.sources.remove(0)),
            &["no source is up; the first of 1 failed: 10.0.0.2:8649: cannot connect"],
        );
    }

    #[test]
    fn a_plugin_that_hangs_and_a_full_queue() {
        brings(
            |report| report.queue.stalled = Some(("rrd".into(), Duration::from_secs(12))),
            &["plugin rrd has been busy with one update for 12 s"],
        );
        brings(
            |report| report.queue.held_back = 3,
            &["the queue to the plugins is full: 3 updates are held back"],
        );
    }

    #[test]
    fn a_plugin_that_does_not_work() {
        for (state, words) in [
            (PluginState::NotLoaded, "left out: it could not be loaded"),
            (
                PluginState::Refused,
                "left out: it could not be configured or started",
            ),
            (
                PluginState::Disabled,
                "disabled: it failed too often in a row",
            ),
        ] {
            brings(
                |report| {
                    report.plugins[1].state = state;
                    report.plugins[1].reason = Some("no disk".into());
                },
                &[&format!("plugin carbon is {words}: no disk")],
            );
        }
    }

    #[test]
    fn an_alert_rule_that_is_not_in_force() {
        brings(
            |report| report.rules_left_out = vec!["g.conf:7: metricrule: 5 is not a time".into()],
            &["a rule of the section alert is left out: g.conf:7: metricrule: 5 is not a time"],
        );
    }

    #[test]
    fn files_that_have_newer_values() {
        brings(
            |report| report.files.refusing = 2,
            &[
                "RRD files of 2 clusters or grids have newer values than those that arrive, which \
                 they refuse; the log names them",
            ],
        );
    }

    #[test]
    fn files_that_are_not_written_as_on_a_full_disk_or_in_a_read_only_root() {
        brings(
            |report| {
                report.files.broken = 3;
                if let Some(output) = &mut report.plugins[0].output {
                    output.failing = true;
                }
            },
            &["3 RRD files cannot be written; the log says why"],
        );
    }

    #[test]
    fn a_journal_that_is_not_written() {
        brings(
            |report| report.files.journal_fails = true,
            &[
                "the journal in journal_dir is not written, so a crash would lose the values that \
                 wait for their RRD files; the log says why",
            ],
        );
    }

    #[test]
    fn files_that_are_not_created() {
        brings(
            |report| report.files.limited = 2,
            &[
                "2 sources bring more new RRD files than new_rrds_per_hour allows, which are created \
                 later; the log names them",
            ],
        );
        brings(
            |report| report.files.no_room = true,
            &["no new RRD files are created, as their filesystem is nearly full: free space"],
        );
    }

    #[test]
    fn a_server_that_takes_no_values_or_refuses_some() {
        for id in ["carbon", "memcached", "riemann", "rrdcached"] {
            let output = |report: &mut Report, output: OutputReport| {
                report.plugins[1].id = id.into();
                report.plugins[1].output = Some(output);
            };
            let (mut away, mut refuses) = (OutputReport::default(), OutputReport::default());
            away.failing = true;
            refuses.refusing = 2;
            brings(
                |report| output(report, away),
                &[&format!(
                    "{id} accepts no values, so they wait; the log says why"
                )],
            );
            brings(
                |report| output(report, refuses),
                &[&format!(
                    "{id} refuses 2 of the values it is sent; the log says why"
                )],
            );
            let slow = OutputReport {
                lag: SLOW_AFTER,
                ..OutputReport::default()
            };
            let told = format!("{id} takes values too slowly: the oldest wait for 120 s");
            brings(|report| output(report, slow), &[&told]);
            let unsaved = OutputReport {
                unsaved: true,
                ..OutputReport::default()
            };
            let told = format!(
                "{id} cannot write its backlog_dir, so a crash would lose the values that wait; the \
                 log says why"
            );
            brings(|report| output(report, unsaved), &[&told]);
        }
    }

    #[test]
    fn no_room_for_clients() {
        brings(
            |report| {
                report.clients.connected = 512;
                report.clients.idle = 0;
            },
            &["the limit of 512 clients is reached"],
        );
    }

    #[test]
    fn all_that_is_wrong_at_once_is_told() {
        let said = said(|report| {
            report.files.broken = 1;
            report.files.journal_fails = true;
            report.queue.held_back = 1;
            report.clients.connected = 512;
        });
        assert_eq!(said.len(), 4, "{said:?}");
    }
}
