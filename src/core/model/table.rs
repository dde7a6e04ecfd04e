//! The table of definitions, one for all sources, so that equal definitions share memory.
//!
//! Holds no values. A definition is dropped after the last cluster that used it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::metric::{MetricDef, MetricFields};

/// Unused definitions are looked for after so many new ones, or so many bytes of them; or after as much
/// as is in use, if that is more.
const SWEEP_EVERY: usize = 1024;
const SWEEP_EVERY_BYTES: usize = if cfg!(test) { 2 << 20 } else { 64 << 20 };

/// Entries looked at for each new definition, so that a sweep ends before the next is due.
const SWEPT_PER_NEW: usize = 8;

/// Shares definitions between hosts, clusters and sources.
///
/// A tree, not a table: a table that grows is rebuilt in one go.
#[derive(Debug, Default)]
pub struct DefTable {
    // Keys of whole fields would store them twice. The hash finds the few definitions to compare.
    by_hash: BTreeMap<u64, Vec<Arc<MetricDef>>>,
    hasher: std::hash::RandomState,
    len: usize,
    bytes: usize,
    sweep_at: usize,
    sweep_at_bytes: usize,
    /// Where the sweep under way goes on.
    swept_to: Option<u64>,
}

impl DefTable {
    /// The definition with these fields.
    pub fn intern(&mut self, fields: MetricFields) -> Arc<MetricDef> {
        use std::hash::BuildHasher;
        let hash = self.hasher.hash_one(&fields);
        let known = self.by_hash.get(&hash);
        if let Some(def) = known.and_then(|defs| defs.iter().find(|def| *def.fields() == fields)) {
            return Arc::clone(def);
        }
        if self.swept_to.is_some() {
            self.sweep_some(SWEPT_PER_NEW);
        } else if self.len >= self.sweep_at || self.bytes >= self.sweep_at_bytes {
            self.begin_sweep();
        }
        let def = Arc::new(MetricDef::new(fields));
        self.by_hash.entry(hash).or_default().push(Arc::clone(&def));
        self.len += 1;
        self.bytes += def.bytes();
        def
    }

    /// Begins to drop unused definitions, if there may be many: after a document was rejected.
    pub fn tidy(&mut self) {
        if self.len > self.sweep_at / 2 + SWEEP_EVERY / 2 || self.bytes > self.sweep_at_bytes / 2 {
            self.begin_sweep();
        }
    }

    /// Begins to drop all unused definitions.
    pub fn begin_sweep(&mut self) {
        if self.swept_to.is_none() && !self.by_hash.is_empty() {
            self.swept_to = Some(0);
        }
    }

    /// Whether a sweep is under way.
    pub fn is_sweeping(&self) -> bool {
        self.swept_to.is_some()
    }

    /// Drops all unused definitions.
    pub fn sweep(&mut self) {
        self.begin_sweep();
        while self.sweep_some(SWEEP_EVERY) {}
    }

    /// Goes on with a sweep by so many entries. Returns whether it has to go on.
    pub fn sweep_some(&mut self, mut budget: usize) -> bool {
        let Some(from) = self.swept_to else {
            return false;
        };
        let mut unused = Vec::new();
        self.swept_to = None;
        for (hash, defs) in self.by_hash.range_mut(from..) {
            if budget == 0 {
                self.swept_to = Some(*hash);
                break;
            }
            budget -= 1;
            defs.retain(|def| {
                let is_used = Arc::strong_count(def) > 1;
                if !is_used {
                    self.len -= 1;
                    self.bytes -= def.bytes();
                }
                is_used
            });
            if defs.is_empty() {
                unused.push(*hash);
            }
        }
        for hash in unused {
            self.by_hash.remove(&hash);
        }
        if self.swept_to.is_some() {
            return true;
        }
        self.sweep_at = self.len + self.len.max(SWEEP_EVERY);
        self.sweep_at_bytes = self.bytes + self.bytes.max(SWEEP_EVERY_BYTES);
        false
    }

    /// Number of definitions, used or not yet dropped.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> MetricFields {
        MetricFields {
            name: name.into(),
            ..MetricFields::default()
        }
    }

    #[test]
    fn equal_fields_are_one_definition() {
        let mut table = DefTable::default();
        let one = table.intern(named("load_one"));
        assert!(Arc::ptr_eq(&one, &table.intern(named("load_one"))));
        assert!(!Arc::ptr_eq(&one, &table.intern(named("load_two"))));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_definition_goes_with_its_last_user() {
        let mut table = DefTable::default();
        let kept = table.intern(named("kept"));
        for churn in 0..10 * SWEEP_EVERY {
            table.intern(named(&format!("m{churn}")));
        }
        assert!(table.len() <= 2 * SWEEP_EVERY + 1, "{}", table.len());
        table.sweep();
        assert_eq!(table.len(), 1);
        assert!(Arc::ptr_eq(&kept, &table.intern(named("kept"))));
    }

    #[test]
    fn a_few_large_definitions_go_as_many_small_ones_do() {
        let mut table = DefTable::default();
        let large = |at: usize| MetricFields {
            units: "x".repeat(SWEEP_EVERY_BYTES / 6),
            ..named(&at.to_string())
        };
        // Without a sweep in between they would take twice as much.
        for at in 0..6 {
            table.intern(large(at));
            assert!(table.bytes < SWEEP_EVERY_BYTES * 3 / 2, "{}", table.bytes);
        }
        table.tidy();
        while table.sweep_some(1) {}
        assert_eq!((table.len(), table.bytes), (0, 0));
    }

    #[test]
    fn what_is_used_is_not_looked_through_for_nothing() {
        let mut table = DefTable::default();
        let used: Vec<_> = (0..5000)
            .map(|at| table.intern(named(&at.to_string())))
            .collect();
        table.sweep();
        let before = table.sweep_at;
        table.intern(named("one more"));
        table.tidy();
        assert_eq!((table.sweep_at, table.len()), (before, used.len() + 1));
    }
}
