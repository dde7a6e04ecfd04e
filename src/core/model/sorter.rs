//! Sorts places by what is there, in steps: a large sort takes long.
//!
//! Equal ones keep their order.

use std::cmp::Ordering;

/// Places sorted in one go first.
const RUN: usize = 32;

/// A merge sort under way.
#[derive(Debug)]
pub struct Sorter {
    order: Vec<u32>,
    /// The merged runs of this round.
    merged: Vec<u32>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Runs are sorted one by one, from that place on.
    Runs(usize),
    /// Pairs of runs of that length are merged.
    Merge {
        width: usize,
        left: usize,
        right: usize,
        /// Where the pair began.
        start: usize,
    },
    Done,
}

impl Sorter {
    /// For the places below `len`.
    pub fn new(len: usize) -> Sorter {
        Sorter {
            order: (0..len as u32).collect(),
            merged: Vec::new(),
            stage: Stage::Runs(0),
        }
    }

    /// Goes on by about so many comparisons. Returns whether it has to go on.
    pub fn step(&mut self, budget: &mut usize, compare: impl Fn(u32, u32) -> Ordering) -> bool {
        loop {
            match self.stage {
                Stage::Done => return false,
                _ if *budget == 0 => return true,
                Stage::Runs(at) => self.sort_run(at, budget, &compare),
                Stage::Merge {
                    width,
                    left,
                    right,
                    start,
                } => self.merge(width, left, right, start, budget, &compare),
            }
        }
    }

    /// The places in order.
    pub fn into_order(self) -> Vec<u32> {
        self.order
    }

    fn sort_run(&mut self, at: usize, budget: &mut usize, compare: &impl Fn(u32, u32) -> Ordering) {
        let end = self.order.len().min(at + RUN);
        self.order[at..end].sort_by(|a, b| compare(*a, *b));
        *budget = budget.saturating_sub(4 * RUN);
        self.stage = if end < self.order.len() {
            Stage::Runs(end)
        } else {
            self.next_round(RUN)
        };
    }

    fn next_round(&mut self, width: usize) -> Stage {
        if width >= self.order.len() {
            return Stage::Done;
        }
        self.merged.clear();
        self.merged.reserve(self.order.len());
        Stage::Merge {
            width,
            left: 0,
            right: width,
            start: 0,
        }
    }

    fn merge(
        &mut self,
        width: usize,
        mut left: usize,
        mut right: usize,
        start: usize,
        budget: &mut usize,
        compare: &impl Fn(u32, u32) -> Ordering,
    ) {
        let len = self.order.len();
        let middle = len.min(start + width);
        let end = len.min(start + 2 * width);
        right = right.min(end);
        while *budget > 0 && (left < middle || right < end) {
            let takes_left = right >= end
                || (left < middle && compare(self.order[left], self.order[right]).is_le());
            let from = if takes_left { &mut left } else { &mut right };
            self.merged.push(self.order[*from]);
            *from += 1;
            *budget -= 1;
        }
        self.stage = if left < middle || right < end {
            Stage::Merge {
                width,
                left,
                right,
                start,
            }
        } else if end < len {
            Stage::Merge {
                width,
                left: end,
                right: end + width,
                start: end,
            }
        } else {
            std::mem::swap(&mut self.order, &mut self.merged);
            self.next_round(2 * width)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sorted_in_steps_is_sorted_as_in_one_go() {
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        for len in [0, 1, 2, 31, 32, 33, 64, 65, 100, 1000, 4097] {
            for kinds in [1, 3, 1_000_000] {
                let keys: Vec<u64> = (0..len).map(|_| random(kinds)).collect();
                let mut expected: Vec<u32> = (0..len as u32).collect();
                expected.sort_by_key(|at| keys[*at as usize]);
                for step in [1, 100, usize::MAX] {
                    let mut sorter = Sorter::new(len);
                    let compare = |a: u32, b: u32| keys[a as usize].cmp(&keys[b as usize]);
                    while {
                        let mut budget = step;
                        sorter.step(&mut budget, compare)
                    } {}
                    assert_eq!(sorter.into_order(), expected, "{len} {kinds} {step}");
                }
            }
        }
    }
}
