//! Sums of counters: whether their growth since the last sample is that of their values.
//!
//! A counter that joins a sum raises it by everything it ever counted, and one that leaves lowers it.
//! Neither is growth, so an unknown value is written before such a sample, and librrd computes no
//! rate across it.

use std::collections::HashMap;
use std::time::Duration;

use crate::file::samples::Kind;
use crate::tree::folder_writer::{FolderWriter, Gap, LastWrite};
use gmetad_core::model::{Contributors, Mono, Summary, SummaryMetric};

/// A folder that was not written to for this long is forgotten; its files are then treated as after
/// a start.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

/// The last sample of a file.
#[derive(Clone, Copy, Debug)]
struct Last {
    time: u32,
    /// `None`: of before the start.
    sum: Option<(f64, Contributors)>,
    /// When there was one, as a round of its folder.
    round: u32,
}

/// One folder's sums of counters.
#[derive(Debug, Default)]
struct Folder {
    by_name: HashMap<Box<str>, Last>,
    round: u32,
    seen: Mono,
}

/// All folders' sums of counters, by node; the root's under no name.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    folders: HashMap<Option<Box<str>>, Folder>,
}

impl Growth {
    /// Writes all sums of a node, or of the root.
    pub(crate) fn put_all(
        &mut self,
        node: Option<&str>,
        mut folder: FolderWriter<'_>,
        summary: &Summary,
        now: Mono,
    ) {
        let counts = |metric: &&SummaryMetric| Kind::of(metric.def.slope()) != Kind::Gauge;
        let known = if summary.metrics.iter().any(|metric| counts(&metric)) {
            self.folders.entry(node.map(Into::into)).or_default()
        } else {
            &mut Folder::default()
        };
        known.seen = now;
        known.round = known.round.wrapping_add(1);
        for metric in &summary.metrics {
            if counts(&metric) {
                known.put(&mut folder, metric);
            } else {
                folder.put_sum(metric, Gap::None);
            }
        }
        // A metric that goes and comes back is treated as after a start.
        let round = known.round;
        known.by_name.retain(|_, last| last.round == round);
        folder.finish();
    }

    /// Forgets folders that are no longer written to.
    pub(crate) fn sweep(&mut self, now: Mono) {
        self.folders
            .retain(|_, folder| now.since(folder.seen) < FORGET_AFTER);
    }
}

impl Folder {
    fn put(&mut self, folder: &mut FolderWriter<'_>, metric: &SummaryMetric) {
        let time = folder.time();
        let round = self.round;
        let Some(last) = self.by_name.get_mut(metric.def.name()) else {
            let before = folder.last_write(metric);
            let time = match before {
                LastWrite::Never => 0,
                LastWrite::At(last) => last,
                LastWrite::NotKnown => time.saturating_sub(1),
            };
            let mut last = Last {
                time,
                sum: None,
                round,
            };
            last.put(folder, metric, before == LastWrite::Never);
            self.by_name.insert(metric.def.name().into(), last);
            return;
        };
        last.round = round;
        last.put(folder, metric, false);
    }
}

impl Last {
    fn put(&mut self, folder: &mut FolderWriter<'_>, metric: &SummaryMetric, is_new: bool) {
        let time = folder.time();
        if !is_new && time <= self.time {
            // The file refuses a sample that is not later than its last one.
            folder.put_sum(metric, Gap::None);
            return;
        }
        let gap = if is_new {
            Gap::None
        } else {
            self.gap(time, metric)
        };
        // The next sample cannot continue from one that the file did not get.
        if folder.put_sum(metric, gap) {
            self.time = time;
            self.sum = Some((metric.sum, metric.contributors));
        }
    }

    /// The unknown value for a sample that is later than the last.
    fn gap(&self, time: u32, metric: &SummaryMetric) -> Gap {
        let goes_on = self.sum.is_some_and(|(sum, contributors)| {
            let fell = Kind::of(metric.def.slope()) == Kind::Counter && metric.sum < sum;
            contributors == metric.contributors && !fell
        });
        if goes_on {
            Gap::None
        } else if time - 1 > self.time {
            Gap::Before
        } else {
            Gap::Instead
        }
    }
}
