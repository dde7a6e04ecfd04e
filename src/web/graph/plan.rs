//! What a page asks of the files, and what it got.

use gmetad_core::history::{
    Answer, Consolidation, Field, MAX_SERIES, Owner, Question, Series, SeriesName, Wanted,
};

use crate::range::Range;
use crate::view::View;

/// Collects the series of a page.
#[derive(Debug)]
pub struct Plan {
    range: Range,
    columns: u32,
    /// How long ago the time laid under it is; 0: none.
    back: u64,
    /// How many of the first have a past; `None`: all.
    with_past: Option<usize>,
    wanted: Question,
}

impl Plan {
    /// For graphs of so many columns.
    pub fn new(view: &View, columns: usize) -> Plan {
        Plan {
            range: view.range,
            columns: columns as u32,
            back: view.past.secs(),
            with_past: None,
            wanted: Vec::new(),
        }
    }

    /// What is asked from now on is for small graphs of so many columns, without the past, which they
    /// have no room for.
    pub fn coarser(&mut self, columns: usize) {
        self.columns = columns as u32;
        self.with_past = Some(self.wanted.len());
    }

    /// Seconds of a column.
    fn step(&self) -> u32 {
        let step = self.range.secs() / u64::from(self.columns.max(1));
        u32::try_from(step).unwrap_or(u32::MAX)
    }

    /// Asks for a series. Returns where it will stand in the answer.
    pub fn ask(&mut self, owner: &Owner, metric: &str, field: Field) -> usize {
        self.wanted.push(Wanted {
            series: SeriesName {
                owner: owner.clone(),
                metric: metric.into(),
                field,
            },
            from: self.range.from,
            until: self.range.until,
            step: self.step(),
            consolidation: Consolidation::Average,
            most_rows: self.columns,
        });
        self.wanted.len() - 1
    }

    /// How many series more fit into a question.
    pub fn room(&self) -> usize {
        let has_past = self.back > 0;
        let past = if has_past {
            self.with_past.unwrap_or(self.wanted.len())
        } else {
            0
        };
        let each = if has_past && self.with_past.is_none() {
            2
        } else {
            1
        };
        MAX_SERIES.saturating_sub(self.wanted.len() + past) / each
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.wanted.len()
    }

    /// The question, and what makes [`History`] of its answer.
    pub fn question(self) -> (Question, Shape) {
        let shape = Shape {
            range: self.range,
            step: self.step(),
            back: self.back,
            count: self.wanted.len(),
        };
        let mut question = self.wanted;
        if self.back > 0 {
            let earlier = |wanted: &Wanted| {
                let from = wanted.from.saturating_sub(self.back);
                Wanted {
                    from,
                    // Before 1970 there is nothing, but a time has a length.
                    until: wanted.until.saturating_sub(self.back).max(from + 1),
                    ..wanted.clone()
                }
            };
            let count = self.with_past.unwrap_or(question.len());
            let past: Question = question[..count].iter().map(earlier).collect();
            question.extend(past);
        }
        (question, shape)
    }
}

/// How the answer to a plan's question is read.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    range: Range,
    step: u32,
    back: u64,
    count: usize,
}

impl Shape {
    pub fn history(self, mut answer: Answer) -> History {
        let past = answer.split_off(self.count.min(answer.len()));
        History {
            shape: self,
            now: answer,
            past,
        }
    }
}

/// The series of a page as read.
#[derive(Debug)]
pub struct History {
    shape: Shape,
    now: Vec<Option<Series>>,
    past: Vec<Option<Series>>,
}

/// Fewer rows than this in a range: the archives are coarser than it deserves.
const FEW_ROWS: u64 = 60;

impl History {
    pub fn range(&self) -> &Range {
        &self.shape.range
    }

    /// The series at that place.
    pub fn series(&self, at: usize) -> Option<&Series> {
        self.now.get(at)?.as_ref()
    }

    /// The same of the time that is laid under it, and how long ago that is.
    pub fn past(&self, at: usize) -> Option<(&Series, u64)> {
        Some((self.past.get(at)?.as_ref()?, self.shape.back))
    }

    pub fn has_past(&self) -> bool {
        self.shape.back > 0
    }

    /// Seconds of the rows of all series, if that is more than the range deserves.
    pub fn coarse_secs(&self) -> Option<u32> {
        let coarsest = self.now.iter().flatten().map(|series| series.step).max()?;
        let too_coarse = u64::from(coarsest) * FEW_ROWS > self.shape.range.secs()
            && coarsest > self.shape.step.max(1).saturating_mul(2);
        // Nothing can be finer than the values come.
        (too_coarse && coarsest > 60).then_some(coarsest)
    }
}
