//! `--once`: polls every source once, feeds the plugins and reports.
//!
//! No ports, no clients and no periodic chores; all else is as in the daemon.

use std::fmt;
use std::time::Duration;

use mio::Events;

use super::sources::count;
use super::{EVENTS, Reactor, RunError};
use crate::plugins::PluginHandle;
use gmetad_core::model::Readable;
use gmetad_core::status::{PluginState, SourceState};
use gmetad_core::store::SourceId;

/// The result of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// In the order of the configuration.
    pub sources: Vec<SourceRound>,
    /// Samples written to round-robin files.
    pub samples: u64,
    /// Round-robin files created.
    pub files_created: u64,
    /// What was not stored or not sent, one line each.
    pub troubles: Vec<String>,
}

/// The result of polling one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRound {
    /// Its name.
    pub name: String,
    /// How long its poll took.
    pub took: Duration,
    /// What it delivered, or why it failed.
    pub outcome: Result<Brought, String>,
}

/// What a successful poll delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// The host that answered, with its port.
    pub from: String,
    /// Hosts, up and down.
    pub hosts: usize,
    /// Metrics, or sums where it is a grid.
    pub metrics: usize,
}

impl Round {
    /// Number of sources whose poll failed.
    pub fn failed(&self) -> usize {
        self.sources.iter().filter(|it| it.outcome.is_err()).count()
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.sources.iter().map(|it| it.name.chars().count()).max();
        let width = width.unwrap_or_default();
        let (mut hosts, mut metrics) = (0, 0);
        for SourceRound {
            name,
            took,
            outcome,
        } in &self.sources
        {
            let secs = took.as_secs_f64();
            match outcome {
                Ok(brought) => {
                    hosts += brought.hosts;
                    metrics += brought.metrics;
                    writeln!(
                        f,
                        "{name:width$}  ok      {:>6} hosts {:>8} metrics {secs:>7.2} s  from {}",
                        brought.hosts, brought.metrics, brought.from
                    )?;
                }
                Err(reason) => {
                    let reason = Readable::line(reason);
                    writeln!(f, "{name:width$}  FAILED  after {secs:.2} s: {reason}")?;
                }
            }
        }
        for trouble in &self.troubles {
            writeln!(f, "{}", Readable::line(trouble))?;
        }
        writeln!(
            f,
            "{}, {} failed; {}, {}; {} written, {} created",
            Counted(self.sources.len(), "source"),
            self.failed(),
            Counted(hosts, "host"),
            Counted(metrics, "metric"),
            Counted(self.samples, "sample"),
            Counted(self.files_created, "file"),
        )
    }
}

/// A number with its noun, in the plural where needed.
struct Counted<N>(N, &'static str);

impl<N: fmt::Display + PartialEq + From<u8>> fmt::Display for Counted<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counted(number, what) = self;
        let plural = if *number == N::from(1) { "" } else { "s" };
        write!(f, "{number} {what}{plural}")
    }
}

impl Reactor {
    /// Polls every source once, feeds the plugins and waits until they are done. SIGTERM or SIGINT
    /// cuts it short.
    pub fn run_once(mut self) -> Result<Round, RunError> {
        self.shared.once = true;
        self.start_plugins()?;
        self.add_sources();
        let mut events = Events::with_capacity(EVENTS);
        while self.shared.ending.is_none() && self.is_any_unpolled() {
            self.step(&mut events).map_err(RunError::Wait)?;
        }
        self.finish_changes();
        if self.shared.ending.is_none() {
            self.summarize();
            while self.shared.store.is_summing() {
                self.sum_on();
            }
            self.stop_plugins();
        }
        // Creating the files of a whole site may take long.
        while !self.has_ended() && !self.plugins_have_stopped() {
            self.step(&mut events).map_err(RunError::Wait)?;
        }
        let mut round = Round {
            sources: self.source_rounds(),
            ..Round::default()
        };
        if let Some(mut plugins) = self.shared.plugins.take() {
            plugins.stop(Duration::ZERO);
            round.take_plugins(&plugins);
        }
        Ok(round)
    }

    fn is_any_unpolled(&self) -> bool {
        self.shared
            .statuses()
            .any(|status| status.state == SourceState::New)
    }

    fn plugins_have_stopped(&self) -> bool {
        let plugins = self.shared.plugins.as_ref();
        plugins.is_none_or(PluginHandle::has_stopped)
    }

    fn source_rounds(&self) -> Vec<SourceRound> {
        let shared = &self.shared;
        let ids = shared.store.sources().iter();
        ids.map(|&id| shared.source_round(id)).collect()
    }
}

impl super::Shared {
    fn source_round(&self, id: SourceId) -> SourceRound {
        let status = &self.sources[id.0];
        let (hosts, metrics) = count(self.store.nodes_of(id).iter());
        let reason = || status.failure.clone();
        SourceRound {
            name: status.name.clone(),
            took: status.polls_ok.total + status.polls_failed.total,
            outcome: match status.state {
                SourceState::Up => Ok(Brought {
                    from: status.host.clone(),
                    hosts,
                    metrics,
                }),
                SourceState::Down => Err(reason().unwrap_or_default()),
                SourceState::New => Err("gmetad was stopped before it answered".into()),
            },
        }
    }
}

impl Round {
    fn take_plugins(&mut self, plugins: &PluginHandle) {
        let rrd = plugins.rrd();
        self.samples = rrd.written;
        self.files_created = rrd.created;
        for plugin in plugins.plugins() {
            let trouble = match plugin.state {
                PluginState::Refused => "was left out: it could not be configured or started",
                PluginState::Disabled => "was disabled: it failed too often in a row",
                PluginState::Starting | PluginState::Running => "did not stop in time",
                PluginState::NotLoaded => "was left out: it could not be loaded",
                PluginState::Stopped if plugin.failed > 0 => "failed on some updates",
                PluginState::Stopped | PluginState::Replaced => continue,
            };
            self.troubles
                .push(format!("plugin {} {trouble}", plugin.name));
        }
        if rrd.failed > 0 {
            let failed = rrd.failed;
            self.troubles
                .push(format!("{failed} samples could not be written"));
        }
        for export in plugins.exports() {
            if export.dropped + export.failed > 0 {
                let lost = export.dropped + export.failed;
                self.troubles
                    .push(format!("{lost} values could not be sent by {}", export.id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_told_in_a_line_for_each_source_and_one_for_all() {
        let round = Round {
            sources: vec![
                SourceRound {
                    name: "my cluster".into(),
                    took: Duration::from_millis(412),
                    outcome: Ok(Brought {
                        from: "localhost:8649".into(),
                        hosts: 12,
                        metrics: 396,
                    }),
                },
                SourceRound {
                    name: "down".into(),
                    took: Duration::from_secs(10),
                    outcome: Err("h:1: cannot connect: \x1b[2J\nall is well".into()),
                },
            ],
            samples: 396,
            files_created: 4,
            troubles: vec!["plugin alert failed on some updates".into()],
        };
        assert_eq!(
            round.to_string(),
            "my cluster  ok          12 hosts      396 metrics    0.41 s  from localhost:8649\n\
             down        FAILED  after 10.00 s: h:1: cannot connect: \\u{1b}[2J\\nall is well\n\
             plugin alert failed on some updates\n\
             2 sources, 1 failed; 12 hosts, 396 metrics; 396 samples written, 4 files created\n"
        );
        assert_eq!(round.failed(), 1);
    }

    #[test]
    fn one_is_told_from_many() {
        assert_eq!(Counted(0_u64, "host").to_string(), "0 hosts");
        assert_eq!(Counted(1_u64, "host").to_string(), "1 host");
        assert_eq!(Counted(2_u64, "host").to_string(), "2 hosts");
    }
}
