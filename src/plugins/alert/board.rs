//! The alerts that are active now, written by the plugin and read by the loop for its pages.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gmetad_core::status::{ActiveAlert, ActiveAlerts};

use super::facts::{Event, Facts};

/// Most alerts in a report. All are counted.
const MOST: usize = 200;

/// Cluster, host, metric and condition.
type Key = [Box<str>; 4];

/// All active alerts, by what they are about.
#[derive(Debug, Default)]
pub struct Board(Mutex<BTreeMap<Key, ActiveAlert>>);

impl Board {
    /// Puts an alert on the board or takes it off.
    pub(super) fn note(&self, facts: &Facts) {
        let key = [&facts.cluster, &facts.host, &facts.metric, &facts.condition]
            .map(|text| text.as_str().into());
        let mut all = self.all();
        match facts.event {
            Event::Begin => {
                let alert = ActiveAlert {
                    cluster: facts.cluster.clone(),
                    host: facts.host.clone(),
                    metric: facts.metric.clone(),
                    said: facts.sentence(),
                    since: facts.since,
                };
                all.insert(key, alert);
            }
            Event::Over | Event::Gone => {
                all.remove(&key);
            }
        }
    }

    /// Those that are active.
    pub fn active(&self) -> ActiveAlerts {
        let all = self.all();
        ActiveAlerts {
            count: all.len(),
            first: all.values().take(MOST).cloned().collect(),
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Key, ActiveAlert>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
