//! Sorts what is small, for code that is called rarely.
//!
//! A sort that is compiled for one type alone has some 5 KB. This one is compiled once for all of them.

use std::cmp::Ordering;

/// The same in order; equal ones keep theirs.
pub fn sorted<T>(all: Vec<T>, compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let order = order(all.len(), &|one, other| compare(&all[one], &all[other]));
    let mut left: Vec<Option<T>> = all.into_iter().map(Some).collect();
    let places = order.into_iter();
    places.filter_map(|at| left[at].take()).collect()
}

/// Places below `len` in the order of what is there.
fn order(len: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_by(|one, other| compare(*one, *other));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ones_keep_their_order_and_none_is_lost() {
        let all: Vec<(u32, String)> = (0..100).map(|at| (at * 7 % 10, at.to_string())).collect();
        let mut expected = all.clone();
        expected.sort_by_key(|(key, _)| *key);
        assert_eq!(sorted(all, |one, other| one.0.cmp(&other.0)), expected);
        assert!(sorted(Vec::<u8>::new(), u8::cmp).is_empty());
    }
}
