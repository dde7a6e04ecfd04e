//! The table of definitions: one for all sources, so that equal definitions are one in memory.
//!
//! Holds no values. A definition leaves when the last cluster that used it has.

use std::collections::HashMap;
use std::sync::Arc;

use super::metric::{MetricDef, MetricFields};

/// How many new definitions come in before those without users are looked for.
const SWEEP_EVERY: usize = 1024;

/// Shares definitions between hosts, clusters and sources.
#[derive(Debug, Default)]
pub struct DefTable {
    // Keyed by the fields themselves would hold them twice; the hash is enough to find the few
    // definitions to compare.
    by_hash: HashMap<u64, Vec<Arc<MetricDef>>>,
    hasher: std::hash::RandomState,
    len: usize,
    sweep_at: usize,
}

impl DefTable {
    /// The one definition with these fields.
    pub fn intern(&mut self, fields: MetricFields) -> Arc<MetricDef> {
        use std::hash::BuildHasher;
        let hash = self.hasher.hash_one(&fields);
        let known = self.by_hash.get(&hash);
        if let Some(def) = known.and_then(|defs| defs.iter().find(|def| *def.fields() == fields)) {
            return Arc::clone(def);
        }
        if self.len >= self.sweep_at {
            self.sweep();
        }
        let def = Arc::new(MetricDef::new(fields));
        self.by_hash.entry(hash).or_default().push(Arc::clone(&def));
        self.len += 1;
        def
    }

    /// Lets go of every definition that nothing else holds.
    pub fn sweep(&mut self) {
        self.by_hash.retain(|_, defs| {
            defs.retain(|def| Arc::strong_count(def) > 1);
            !defs.is_empty()
        });
        self.by_hash.shrink_to_fit();
        self.len = self.by_hash.values().map(Vec::len).sum();
        self.sweep_at = self.len + self.len.max(SWEEP_EVERY);
    }

    /// Definitions held, used or not yet swept.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is held.
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
}
