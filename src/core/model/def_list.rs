//! The definitions of a cluster, each once, also where several sources bring it.
//!
//! No copies of what several sources bring, and not found at once: they may bring hundreds of thousands.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cluster::Cluster;
use super::metric::MetricDef;
use super::rubbish::Rubbish;
use super::vocabulary::DefId;

/// The definitions of one cluster, which whoever asks names each time.
#[derive(Debug)]
pub struct DefList(State);

#[derive(Debug)]
enum State {
    /// One source brings the cluster, and its definitions are the list.
    Own,
    /// Several do, and there are more definitions to look at.
    Gathering {
        list: Gathered,
        /// By address of the definition, which the cluster keeps alive. A tree, not a table: a table that
        /// grows is rebuilt in one go.
        known: BTreeMap<usize, DefId>,
    },
    /// Several do, and all are looked at.
    Gathered(Gathered),
}

#[derive(Debug, Default)]
struct Gathered {
    /// The piece that has it first, and its index there. No counted reference, to drop these at once.
    first: Vec<(u32, DefId)>,
    /// By piece, where each of its definitions is in the list.
    moved: Vec<Vec<DefId>>,
}

impl DefList {
    /// Of that cluster, to be gathered.
    pub fn new(cluster: &Cluster) -> DefList {
        DefList(if cluster.parts.is_none() {
            State::Own
        } else {
            State::Gathering {
                list: Gathered::default(),
                known: BTreeMap::new(),
            }
        })
    }

    /// Looks at so many definitions of the cluster. Returns whether it has to go on: the list is not to be
    /// used before.
    pub fn gather(&mut self, of: &Cluster, budget: &mut usize, rubbish: &mut Rubbish) -> bool {
        let State::Gathering { list, known } = &mut self.0 else {
            return false;
        };
        if list.add_some(of, known, budget) {
            return true;
        }
        rubbish.add(std::mem::take(known));
        self.0 = State::Gathered(std::mem::take(list));
        false
    }

    /// Their number.
    pub fn len(&self, of: &Cluster) -> usize {
        self.gathered().map_or(of.defs.len(), |it| it.first.len())
    }

    /// The definition at that place.
    #[inline]
    pub fn def<'a>(&self, of: &'a Cluster, at: DefId) -> &'a Arc<MetricDef> {
        match (self.gathered(), &of.parts) {
            (Some(gathered), Some(parts)) => {
                let (piece, def) = gathered.first[at as usize];
                &parts.list()[piece as usize].cluster.defs[def as usize]
            }
            _ => &of.defs[at as usize],
        }
    }

    /// Where each of a piece's definitions is in the list. `None`: where the piece has it.
    pub fn moved(&self, piece: usize) -> Option<&[DefId]> {
        self.gathered().map(|it| &*it.moved[piece])
    }

    fn gathered(&self) -> Option<&Gathered> {
        match &self.0 {
            State::Own => None,
            State::Gathering { list, .. } | State::Gathered(list) => Some(list),
        }
    }
}

impl Gathered {
    fn add_some(
        &mut self,
        of: &Cluster,
        known: &mut BTreeMap<usize, DefId>,
        budget: &mut usize,
    ) -> bool {
        let last = self.moved.len().saturating_sub(1);
        for (at, piece) in of.pieces().enumerate().skip(last) {
            let defs = &piece.cluster.defs;
            if at == self.moved.len() {
                // Pieces without a definition cost something, too.
                if *budget == 0 {
                    return true;
                }
                *budget -= 1;
                self.moved.push(Vec::with_capacity(defs.len()));
            }
            let moved = &mut self.moved[at];
            for (number, def) in defs.iter().enumerate().skip(moved.len()) {
                if *budget == 0 {
                    return true;
                }
                *budget -= 1;
                let place = known.entry(Arc::as_ptr(def) as usize).or_insert_with(|| {
                    self.first.push((at as u32, number as DefId));
                    self.first.len() as DefId - 1
                });
                moved.push(*place);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClusterPart, MetricFields};

    fn defs(names: &[&str]) -> Vec<Arc<MetricDef>> {
        let fields = names.iter().map(|name| MetricFields {
            name: (*name).into(),
            ..MetricFields::default()
        });
        fields.map(|it| Arc::new(MetricDef::new(it))).collect()
    }

    fn cluster(defs: &[Arc<MetricDef>]) -> Cluster {
        Cluster {
            defs: Arc::new(defs.to_vec()),
            ..Cluster::default()
        }
    }

    fn names(list: &DefList, of: &Cluster) -> String {
        let names = (0..list.len(of)).map(|at| list.def(of, at as DefId).name().to_owned());
        names.collect()
    }

    #[test]
    fn definitions_of_several_sources_are_gathered_once_each_within_any_budget() {
        let all = defs(&["a", "b", "c", "d"]);
        let [a, b, c, d] = [0, 1, 2, 3].map(|at| Arc::clone(&all[at]));
        let parts = [
            vec![],
            vec![Arc::clone(&b), Arc::clone(&a)],
            vec![],
            vec![Arc::clone(&a), c, b],
            vec![d],
            vec![],
        ];
        let parts = parts.map(|defs| ClusterPart::from(cluster(&defs)));
        let shared = Cluster::of_parts("c", parts.into(), None);
        for budget in [1, 2, 3, 100] {
            let mut list = DefList::new(&shared);
            let rubbish = &mut Rubbish::default();
            let mut steps = 1;
            while list.gather(&shared, &mut budget.clone(), rubbish) {
                steps += 1;
            }
            // Six definitions and six pieces.
            assert_eq!(steps, 12_usize.div_ceil(budget), "{budget}");
            assert_eq!(names(&list, &shared), "bacd");
            let moved: Vec<_> = (0..6).map(|piece| list.moved(piece).unwrap()).collect();
            assert_eq!(moved, [&[][..], &[0, 1], &[], &[1, 2, 0], &[3], &[]]);
        }
    }

    #[test]
    fn what_one_source_brings_is_there_without_a_step() {
        let own = cluster(&defs(&["b", "a"]));
        let mut list = DefList::new(&own);
        assert!(!list.gather(&own, &mut 0, &mut Rubbish::default()));
        assert_eq!((names(&list, &own).as_str(), list.moved(0)), ("ba", None));
    }
}
