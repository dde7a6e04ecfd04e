//! The definitions that a cluster's documents use, and which one follows which.
//!
//! Kept from poll to poll. Many gmonds list the metrics of all hosts in the same order, so the
//! definition that came next last time is likely to come next now. If each host has its own order,
//! `ingest::build` tries that first.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::metric::MetricDef;
use super::rubbish::Rubbish;

/// Definitions tried by name before an element is parsed in full.
const CANDIDATES: usize = 4;

/// Memory of a vocabulary and its sums for each definition, beside the definition and its name.
const ENTRY_BYTES: usize = 200;

/// So many definitions are worth no copy.
const MANY: usize = 4096;

/// Index of a definition in its cluster.
pub type DefId = u32;

/// A cluster's definitions by index, and their usual order.
///
/// Trees, not tables: a table that grows is rebuilt in one go.
#[derive(Debug, Default)]
pub struct Vocabulary {
    defs: Vec<Arc<MetricDef>>,
    /// As snapshots have them: all of them, after `show`. A copy, since they would have to be copied
    /// in one go to add the first new one.
    shown: Arc<Vec<Arc<MetricDef>>>,
    /// By definition: the one that followed it last time.
    next: Vec<DefId>,
    /// By definition: the number of its name, which several definitions may share.
    name_of: Vec<u32>,
    names: BTreeMap<Box<str>, u32>,
    /// By name: its definitions, newest last.
    by_name: Vec<Vec<DefId>>,
    /// By address of the definition, which `defs` keeps alive. Not by name: a peer may send any number
    /// of definitions of one name.
    by_address: BTreeMap<usize, DefId>,
    bytes: usize,
}

impl Vocabulary {
    /// The definitions as snapshots have them.
    pub fn shown(&self) -> &Arc<Vec<Arc<MetricDef>>> {
        &self.shown
    }

    /// The definitions alone. The rest is dropped step by step.
    pub fn into_defs(self, rubbish: &mut Rubbish) -> Vec<Arc<MetricDef>> {
        rubbish.add_defs(self.shown);
        rubbish.add(self.names);
        rubbish.add(self.by_name);
        rubbish.add(self.by_address);
        self.defs
    }

    /// Makes what snapshots have complete, by about so many definitions. `copy` is what is there so far.
    /// Returns whether it has to go on.
    pub fn show(&mut self, copy: &mut Vec<Arc<MetricDef>>, budget: &mut usize) -> bool {
        if self.shown.len() == self.defs.len() {
            return false;
        }
        copy.reserve_exact(self.defs.len() - copy.len());
        while let Some(def) = self.defs.get(copy.len()) {
            if *budget == 0 {
                return true;
            }
            *budget -= 1;
            copy.push(Arc::clone(def));
        }
        self.shown = Arc::new(std::mem::take(copy));
        false
    }

    /// The definition at that index.
    #[inline]
    pub fn def(&self, id: DefId) -> &Arc<MetricDef> {
        &self.defs[id as usize]
    }

    /// Number of definitions.
    pub fn len(&self) -> usize {
        self.defs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.defs.is_empty()
    }

    /// Approximate memory; shared definitions are counted in full.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of names.
    pub fn name_count(&self) -> usize {
        self.by_name.len()
    }

    /// The number of a definition's name, below `name_count`.
    #[inline]
    pub fn name_of(&self, id: DefId) -> u32 {
        self.name_of[id as usize]
    }

    /// The definition that followed `id` last time; an arbitrary one if none did yet.
    #[inline]
    pub fn predict(&self, id: Option<DefId>) -> Option<DefId> {
        match id {
            Some(id) => Some(self.next[id as usize]),
            None if self.is_empty() => None,
            None => Some(0),
        }
    }

    /// Remembers that `id` followed `last`.
    #[inline]
    pub fn learn(&mut self, last: Option<DefId>, id: DefId) {
        if let Some(last) = last {
            self.next[last as usize] = id;
        }
    }

    /// The newest definitions of a name, a few at most.
    pub fn candidates(&self, name: &str) -> impl Iterator<Item = DefId> {
        let known = self
            .names
            .get(name)
            .map_or(&[][..], |&name| &self.by_name[name as usize]);
        known.iter().rev().take(CANDIDATES).copied()
    }

    /// The index of a definition. A new one is added.
    pub fn add(&mut self, def: &Arc<MetricDef>) -> DefId {
        let address = Arc::as_ptr(def) as usize;
        if let Some(&id) = self.by_address.get(&address) {
            return id;
        }
        let name = if let Some(&name) = self.names.get(def.name()) {
            name
        } else {
            let name = self.by_name.len() as u32;
            self.names.insert(def.name().into(), name);
            self.by_name.push(Vec::new());
            name
        };
        let id = self.defs.len() as DefId;
        self.by_name[name as usize].push(id);
        self.by_address.insert(address, id);
        self.bytes += def.bytes() + def.name().len() + ENTRY_BYTES;
        self.defs.push(Arc::clone(def));
        self.next.push(id);
        self.name_of.push(name);
        id
    }

    /// The vocabulary without the definitions from `len` on. If these are many, all go, since nothing
    /// but the speed of the next document depends on what is known.
    #[must_use]
    pub fn shortened(self, len: usize, rubbish: &mut Rubbish) -> Vocabulary {
        if self.len() <= len {
            return self;
        }
        if self.is_large() {
            self.discard(rubbish);
            return Vocabulary::default();
        }
        let used: Vec<bool> = (0..self.len()).map(|id| id < len).collect();
        self.compacted(&used).0
    }

    /// Whether to drop it takes long.
    pub fn is_large(&self) -> bool {
        self.len() > MANY / 8
    }

    /// Drops it step by step.
    pub fn discard(self, rubbish: &mut Rubbish) {
        rubbish.add(self.defs);
        rubbish.add_defs(self.shown);
        rubbish.add(self.names);
        rubbish.add(self.by_name);
        rubbish.add(self.by_address);
    }

    /// The number of a name, if it has one.
    pub fn number_of(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// Takes over which definition follows that one in `of`. `moved` says where each one there is here,
    /// if anywhere.
    pub fn take_order(&mut self, of: &Vocabulary, id: DefId, moved: &[DefId]) {
        let follower = moved[of.next[id as usize] as usize];
        let id = moved[id as usize];
        if id != DefId::MAX && follower != DefId::MAX {
            self.next[id as usize] = follower;
        }
    }

    /// The vocabulary with only the definitions that `used` marks, and their new indices.
    pub fn compacted(&self, used: &[bool]) -> (Vocabulary, Vec<DefId>) {
        let mut kept = Vocabulary::default();
        let moved = self
            .defs
            .iter()
            .zip(used)
            .map(|(def, used)| if *used { kept.add(def) } else { DefId::MAX })
            .collect::<Vec<_>>();
        for old in 0..self.len() as DefId {
            kept.take_order(self, old, &moved);
        }
        (kept, moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::metric::MetricFields;

    fn def(name: &str, units: &str) -> Arc<MetricDef> {
        Arc::new(MetricDef::new(MetricFields {
            name: name.into(),
            units: units.into(),
            ..MetricFields::default()
        }))
    }

    #[test]
    fn the_follower_of_last_time_is_predicted() {
        let mut vocabulary = Vocabulary::default();
        assert_eq!(vocabulary.predict(None), None);
        let a = vocabulary.add(&def("a", ""));
        let b = vocabulary.add(&def("b", ""));
        vocabulary.learn(None, a);
        vocabulary.learn(Some(a), b);
        vocabulary.learn(Some(b), a);
        assert_eq!(vocabulary.predict(Some(a)), Some(b));
        assert_eq!(vocabulary.predict(Some(b)), Some(a));
    }

    #[test]
    fn definitions_of_one_name_share_its_number() {
        let mut vocabulary = Vocabulary::default();
        let kb = vocabulary.add(&def("mem", "KB"));
        let other = vocabulary.add(&def("load", ""));
        let mb = vocabulary.add(&def("mem", "MB"));
        assert_eq!(vocabulary.name_of(kb), vocabulary.name_of(mb));
        assert_ne!(vocabulary.name_of(kb), vocabulary.name_of(other));
        assert_eq!(vocabulary.candidates("mem").collect::<Vec<_>>(), [mb, kb]);
    }

    #[test]
    fn compaction_keeps_what_is_used_and_its_order() {
        let mut vocabulary = Vocabulary::default();
        let ids = ["a", "b", "c"].map(|name| vocabulary.add(&def(name, "")));
        vocabulary.learn(Some(ids[0]), ids[2]);
        vocabulary.learn(Some(ids[2]), ids[1]);
        let (kept, moved) = vocabulary.compacted(&[true, false, true]);
        assert_eq!(moved, [0, DefId::MAX, 1]);
        assert_eq!(kept.len(), 2);
        assert_eq!(kept.predict(Some(0)), Some(1));
        assert!(kept.bytes() < vocabulary.bytes());
    }

    #[test]
    fn a_definition_is_known_again_however_many_have_its_name() {
        let mut vocabulary = Vocabulary::default();
        let defs: Vec<_> = (0..20_000).map(|at| def("m", &at.to_string())).collect();
        for (at, def) in defs.iter().enumerate() {
            assert_eq!(vocabulary.add(def), at as DefId);
        }
        assert!(
            defs.iter()
                .all(|def| (vocabulary.add(def) as usize) < defs.len())
        );
        assert_eq!((vocabulary.len(), vocabulary.name_count()), (20_000, 1));
        let mut rubbish = Rubbish::default();
        assert!(
            vocabulary.shortened(3, &mut rubbish).is_empty(),
            "too many to keep a few"
        );
        while rubbish.step(100) {}
        assert!(defs.iter().all(|def| Arc::strong_count(def) == 1));
    }

    #[test]
    fn what_a_document_taught_can_be_forgotten() {
        let defs: Vec<_> = (0..100).map(|at| def("m", &at.to_string())).collect();
        let mut vocabulary = Vocabulary::default();
        for def in &defs {
            vocabulary.add(def);
        }
        let shorter = vocabulary.shortened(3, &mut Rubbish::default());
        assert_eq!(shorter.len(), 3);
        assert_eq!(shorter.candidates("m").collect::<Vec<_>>(), [2, 1, 0]);
        assert!(shorter.predict(Some(2)).is_some_and(|next| next < 3));
    }
}
