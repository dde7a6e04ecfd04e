//! Sums over the hosts of one cluster, added up as their values arrive.
//!
//! Does not choose the values: the builder says which host and which value came.

use std::sync::Arc;

use crate::model::{
    Cluster, Contributors, DefId, MetricDef, Number, Rubbish, Slope, Summary, SummaryBuilder,
    SummaryMetric, Vocabulary, id_of,
};
use crate::summary::SummaryFilter;

/// The sum of one name, and the last host that had a value of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    def: DefId,
    value: f64,
    contributors: Contributors,
    num: u32,
    decimals: u8,
    /// Whether the filter includes the name.
    takes_part: Option<bool>,
    /// Whether a value was carried over before any host sent one.
    carried: bool,
    /// Whether the name is among those with a sum. A host may take its value back and send it again,
    /// any number of times.
    is_listed: bool,
    /// The last host with a value, counted from 1.
    last_host: u32,
    /// Where that host's value is in the cluster's metrics.
    pub place: u32,
    /// Whether that host's value was added; `*_before` is the sum without it.
    counted: bool,
    value_before: f64,
    decimals_before: u8,
}

impl Sum {
    /// Notes that a counter in this sum was reset.
    pub fn note_reset(&mut self) {
        self.contributors.add_resets(1);
    }

    /// Removes the last host's value from the sum.
    #[cold]
    fn take_back(&mut self, host_id: u64) {
        if self.counted {
            self.contributors.remove(host_id);
            self.value = self.value_before;
            self.decimals = self.decimals_before;
            self.num -= 1;
        }
    }

    /// Adds a value of that definition, if it is one that is summed.
    #[inline]
    fn add(&mut self, id: DefId, def: &MetricDef, tn: u32, number: Option<Number>) -> Added {
        let dmax = def.fields().dmax;
        if self.takes_part != Some(true) || !def.ty().is_numeric() || (dmax > 0 && tn > dmax) {
            return Added::Nothing;
        }
        let Some(number) = number else {
            return Added::Nothing;
        };
        // A value that overflows the sum would spoil all others in it.
        if !(self.value + number.value).is_finite() {
            return Added::Nothing;
        }
        if self.num == 0 {
            self.def = id;
        }
        (self.value_before, self.decimals_before) = (self.value, self.decimals);
        self.value += number.value;
        self.num += 1;
        if !def.ty().is_integer() {
            self.decimals = self.decimals.max(number.decimals);
        }
        if def.slope() == Slope::Positive {
            Added::Counter
        } else {
            Added::Value
        }
    }
}

/// Sums by number of the name, in chunks that are made when the first of theirs is needed.
#[derive(Debug, Default)]
struct SumTable(Vec<Option<Box<[Sum; SumTable::CHUNK]>>>);

impl SumTable {
    const CHUNK: usize = 8;

    #[inline]
    fn get(&mut self, name: u32) -> &mut Sum {
        let (chunk, at) = (name as usize / Self::CHUNK, name as usize % Self::CHUNK);
        if !matches!(self.0.get(chunk), Some(Some(_))) {
            self.make(chunk);
        }
        match &mut self.0[chunk] {
            Some(sums) => &mut sums[at],
            None => unreachable!("it was made"),
        }
    }

    #[cold]
    fn make(&mut self, chunk: usize) {
        if self.0.len() <= chunk {
            self.0.resize_with(chunk + 1, || None);
        }
        self.0[chunk] = Some(Box::new(std::array::from_fn(|_| Sum::default())));
    }

    fn peek(&self, name: u32) -> Option<&Sum> {
        let sums = self.0.get(name as usize / Self::CHUNK)?.as_ref()?;
        Some(&sums[name as usize % Self::CHUNK])
    }
}

/// What was added to a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// Nothing: the value is not summed.
    Nothing,
    /// A value.
    Value,
    /// The value of a counter.
    Counter,
}

/// A value that has arrived.
pub(super) struct Arrival<'a> {
    /// The sum of its name.
    pub sum: &'a mut Sum,
    /// Whether its host sent a value of that name before. The last one counts.
    pub again: bool,
    /// What it added to the sum.
    pub added: Added,
}

/// The sums of one cluster.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// By number of the name. Made where they are needed: to make all of them takes long.
    by_name: SumTable,
    /// Names that have or had a sum, each once.
    summed: Vec<u32>,
    /// How many of them were moved to a grid's sums.
    moved: usize,
    /// The open host, counted from 1.
    host_number: u32,
    /// Ids of the cluster and the open host among the contributors.
    cluster_id: u64,
    host_id: u64,
    host_up: bool,
    hosts_up: u32,
    hosts_down: u32,
}

impl Sums {
    /// The hosts that follow are those of the cluster of that name.
    pub fn start_cluster(&mut self, name: &str) {
        self.cluster_id = id_of(0, name.as_bytes());
    }

    /// The values that follow are those of that host.
    pub fn start_host(&mut self, name: &str, up: bool) {
        self.host_id = id_of(self.cluster_id, name.as_bytes());
        self.host_up = up;
        self.host_number += 1;
        if up {
            self.hosts_up += 1;
        } else {
            self.hosts_down += 1;
        }
    }

    /// Takes a value of the open host.
    #[inline]
    pub fn take(
        &mut self,
        name: u32,
        id: DefId,
        def: &MetricDef,
        tn: u32,
        number: Option<Number>,
        filter: &SummaryFilter,
    ) -> Arrival<'_> {
        let sum = self.by_name.get(name);
        if sum.takes_part.is_none() {
            sum.takes_part = Some(filter.takes_part(def.name()));
        }
        let again = sum.last_host == self.host_number;
        if again {
            sum.take_back(self.host_id);
        }
        sum.last_host = self.host_number;
        let added = if self.host_up {
            sum.add(id, def, tn, number)
        } else {
            Added::Nothing
        };
        sum.counted = added != Added::Nothing;
        if sum.counted {
            sum.contributors.add(self.host_id);
            if !sum.is_listed {
                sum.is_listed = true;
                self.summed.push(name);
            }
        }
        Arrival { sum, again, added }
    }

    /// Whether the open host has sent a value of that name.
    pub fn host_has(&self, name: u32) -> bool {
        let sum = self.by_name.peek(name);
        sum.is_some_and(|sum| sum.last_host == self.host_number)
    }

    /// Whether neither a host had a value of that name so far, nor one was carried over.
    pub fn is_unseen(&self, name: u32) -> bool {
        let sum = self.by_name.peek(name);
        sum.is_none_or(|sum| sum.last_host == 0 && !sum.carried)
    }

    /// Notes that a value of that name was carried over.
    pub fn note_carried(&mut self, name: u32) {
        self.by_name.get(name).carried = true;
    }

    /// Drops them step by step: there are as many as names.
    pub fn discard(self, rubbish: &mut Rubbish) {
        rubbish.add(self.by_name.0);
    }

    /// Whether there were hosts.
    pub fn has_hosts(&self) -> bool {
        self.hosts_up + self.hosts_down > 0
    }

    /// Moves the sums to those of a grid by about so many, and begins anew once all are moved. Returns
    /// whether it has to go on.
    pub fn move_some(
        &mut self,
        vocabulary: &Vocabulary,
        to: &mut SummaryBuilder,
        budget: &mut usize,
    ) -> bool {
        const SUM_COST: usize = 4;
        if self.moved == 0 {
            // In the order of the vocabulary, which hardly ever changes.
            self.summed.sort_unstable();
        }
        while let Some(&name) = self.summed.get(self.moved) {
            if *budget == 0 {
                return true;
            }
            *budget = budget.saturating_sub(SUM_COST);
            self.moved += 1;
            let sum = self.by_name.get(name);
            sum.is_listed = false;
            let number = Number {
                value: std::mem::take(&mut sum.value),
                decimals: std::mem::take(&mut sum.decimals),
            };
            let num = std::mem::take(&mut sum.num);
            let contributors = std::mem::take(&mut sum.contributors);
            if num > 0 {
                to.add(vocabulary.def(sum.def), number, num, contributors);
            }
        }
        to.add_hosts(self.hosts_up, self.hosts_down);
        self.summed.clear();
        (self.moved, self.hosts_up, self.hosts_down) = (0, 0, 0);
        false
    }
}

/// The sums of a cluster whose document has ended, put together in steps.
#[derive(Debug)]
pub(super) struct SumsEnd {
    /// What the document gave, if it named no host.
    given: SummaryBuilder,
    /// The cluster before, whose resets are counted on.
    earlier: Option<Arc<Cluster>>,
    /// The next of its sums.
    at_earlier: usize,
    /// The next name.
    at: usize,
    summary: Option<Summary>,
}

impl SumsEnd {
    pub fn new(given: SummaryBuilder, earlier: Option<Arc<Cluster>>) -> SumsEnd {
        SumsEnd {
            given,
            earlier,
            at_earlier: 0,
            at: 0,
            summary: None,
        }
    }

    /// Goes on. Returns whether it has to go on once more.
    pub fn step(&mut self, sums: &mut Sums, vocabulary: &Vocabulary, budget: &mut usize) -> bool {
        const SUM_COST: usize = 2;
        if sums.hosts_up + sums.hosts_down == 0 {
            return false;
        }
        if let Some(earlier) = &self.earlier {
            while let Some(metric) = earlier.summary.metrics.get(self.at_earlier) {
                if *budget == 0 {
                    return true;
                }
                *budget = budget.saturating_sub(1);
                self.at_earlier += 1;
                let resets = metric.contributors.resets();
                if resets > 0
                    && let Some(name) = vocabulary.number_of(metric.def.name())
                {
                    sums.by_name.get(name).contributors.add_resets(resets);
                }
            }
        }
        let summary = self.summary.get_or_insert_with(|| Summary {
            hosts_up: sums.hosts_up,
            hosts_down: sums.hosts_down,
            metrics: Vec::with_capacity(sums.summed.len()),
        });
        // In the order of the vocabulary, which hardly ever changes.
        while self.at < vocabulary.name_count() {
            if *budget == 0 {
                return true;
            }
            let Some(sum) = sums.by_name.peek(self.at as u32) else {
                *budget -= 1;
                self.at = (self.at / SumTable::CHUNK + 1) * SumTable::CHUNK;
                continue;
            };
            *budget = budget.saturating_sub(SUM_COST);
            self.at += 1;
            if sum.num > 0 {
                summary.metrics.push(SummaryMetric {
                    def: Arc::clone(vocabulary.def(sum.def)),
                    // A sum of -0 is 0.
                    sum: 0.0 + sum.value,
                    num: sum.num,
                    contributors: sum.contributors,
                    decimals: sum.decimals,
                });
            }
        }
        false
    }

    /// The sums, once it is done.
    pub fn finish(self, rubbish: &mut Rubbish) -> Summary {
        let given = self.given.finish_into(rubbish);
        match self.summary {
            Some(mut summary) => {
                rubbish.add_summary(given);
                summary.metrics.shrink_to_fit();
                summary
            }
            None => given,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MetricFields, parse_number};

    #[test]
    fn a_name_is_listed_once_however_often_its_host_sends_it() {
        let def = MetricDef::new(MetricFields {
            name: "m".into(),
            type_text: "int32".into(),
            ..MetricFields::default()
        });
        let mut sums = Sums::default();
        let filter = SummaryFilter::default();
        for _ in 0..2 {
            sums.start_host("h", true);
            for _ in 0..1000 {
                sums.take(0, 0, &def, 0, parse_number(b"1"), &filter);
            }
        }
        assert_eq!(sums.summed, [0]);
        assert_eq!(sums.by_name.get(0).num, 2);
    }
}
