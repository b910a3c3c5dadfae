//! Stable sorts whose code is in the binary once: a list's positions are sorted, then its elements moved.
//!
//! The standard library's sort is compiled for every type of element and every comparison, 5 kB each. Where
//! long lists are sorted again and again it is the faster one.

use std::cmp::Ordering;

/// Sorts for slices, in place of `sort_by` and `sort_by_key`.
pub trait CompactSort<T> {
    fn compact_sort_by(&mut self, compare: impl Fn(&T, &T) -> Ordering);

    fn compact_sort_by_key<K: Ord>(&mut self, key: impl Fn(&T) -> K) {
        self.compact_sort_by(|one, other| key(one).cmp(&key(other)));
    }
}

impl<T> CompactSort<T> for [T] {
    fn compact_sort_by(&mut self, compare: impl Fn(&T, &T) -> Ordering) {
        let mut order = positions(self.len(), &|one, other| compare(&self[one], &self[other]));
        for start in 0..order.len() {
            // One cycle of the permutation; what is in its place names itself.
            let mut to = start;
            loop {
                let from = std::mem::replace(&mut order[to], to);
                if from == start {
                    break;
                }
                self.swap(to, from);
                to = from;
            }
        }
    }
}

/// The positions of the elements in their new order.
#[inline(never)]
fn positions(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|one, other| compare(*one, *other));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sorts_as_the_standard_library_does() {
        let mut random = fastrand::Rng::with_seed(30);
        for count in (0..50).chain([1000]) {
            let mut expected: Vec<(u8, usize)> =
                (0..count).map(|at| (random.u8(..9), at)).collect();
            let mut found = expected.clone();
            expected.sort_by_key(|it| it.0);
            found.compact_sort_by_key(|it| it.0);
            assert_eq!(found, expected);
            expected.sort_by(|one, other| other.cmp(one));
            found.compact_sort_by(|one, other| other.cmp(one));
            assert_eq!(found, expected);
        }
    }
}
