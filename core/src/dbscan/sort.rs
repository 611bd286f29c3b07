//! Sorting and selecting in place, in parts so small that a stop is heard within milliseconds.
//!
//! Quicksort (Hoare 1961) until a part is small, then the standard library's sort.

use std::cmp::Ordering;

use super::watch::Watch;

/// Items that are sorted without a look at the flag.
const PART: usize = 1 << 18;
/// Items of which the middle one divides the others.
const SAMPLE: usize = 65;

/// Sorts; equal items end up in any order. `None` once it has been asked to stop.
pub fn sort<T: Copy + Ord>(items: &mut [T], watch: Watch<'_>) -> Option<()> {
    sort_by(items, watch, T::cmp)
}

/// Sorts by a key, as [`sort`].
pub fn sort_by_key<T: Copy, K: Ord>(
    items: &mut [T],
    watch: Watch<'_>,
    key: impl Fn(&T) -> K,
) -> Option<()> {
    sort_by(items, watch, |a, b| key(a).cmp(&key(b)))
}

/// Sorts by an order, as [`sort`].
fn sort_by<T: Copy>(
    items: &mut [T],
    watch: Watch<'_>,
    order: impl Fn(&T, &T) -> Ordering,
) -> Option<()> {
    sort_parts(items, PART, watch, &order)
}

/// Puts item `nth` where sorting would, what is less before it and what is greater behind it.
/// `None` once it has been asked to stop.
pub fn select<T: Copy>(
    items: &mut [T],
    nth: usize,
    watch: Watch<'_>,
    order: impl Fn(&T, &T) -> Ordering,
) -> Option<()> {
    select_in_parts(items, nth, PART, watch, &order)
}

fn sort_parts<T: Copy>(
    items: &mut [T],
    part: usize,
    watch: Watch<'_>,
    order: &impl Fn(&T, &T) -> Ordering,
) -> Option<()> {
    let mut open = vec![(0, items.len())];
    while let Some((from, to)) = open.pop() {
        watch.tick()?;
        let items = &mut items[from..to];
        if items.len() <= part {
            items.sort_unstable_by(order);
        } else {
            let (less, greater) = divide(items, part, watch, order)?;
            open.extend([(from, from + less), (from + greater, to)]);
        }
    }
    Some(())
}

fn select_in_parts<T: Copy>(
    mut items: &mut [T],
    mut nth: usize,
    part: usize,
    watch: Watch<'_>,
    order: &impl Fn(&T, &T) -> Ordering,
) -> Option<()> {
    while items.len() > part {
        let (less, greater) = divide(items, part, watch, order)?;
        if nth < less {
            items = &mut items[..less];
        } else if nth >= greater {
            items = &mut items[greater..];
            nth -= greater;
        } else {
            return Some(());
        }
    }
    items.select_nth_unstable_by(nth, order);
    Some(())
}

/// Divides at a middle item: where those less than it end, and where those that are in order neither
/// with these nor among themselves begin. What lies between is equal.
fn divide<T: Copy>(
    items: &mut [T],
    part: usize,
    watch: Watch<'_>,
    order: &impl Fn(&T, &T) -> Ordering,
) -> Option<(usize, usize)> {
    let stride = items.len().div_ceil(SAMPLE);
    let mut sample: Vec<T> = items.iter().copied().step_by(stride).collect();
    sample.sort_unstable_by(order);
    let middle = sample[sample.len() / 2];
    let less = bring_forward(items, part, watch, |item| order(item, &middle).is_lt())?;
    if less > 0 {
        return Some((less, less));
    }
    let equal = bring_forward(items, part, watch, |item| order(item, &middle).is_eq())?;
    Some((0, equal))
}

/// Brings the chosen items to the front; how many there are.
fn bring_forward<T>(
    items: &mut [T],
    part: usize,
    watch: Watch<'_>,
    is_chosen: impl Fn(&T) -> bool,
) -> Option<usize> {
    let mut front = 0;
    for from in (0..items.len()).step_by(part) {
        watch.tick()?;
        for i in from..items.len().min(from + part) {
            // Without a branch: an item that is not chosen changes places with another such.
            let chosen = is_chosen(&items[i]);
            items.swap(front, i);
            front += usize::from(chosen);
        }
    }
    Some(front)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_of_any_size_sort_and_select_as_the_standard_library_does(
            items in prop::collection::vec(0u8..40, 1..300),
            part in 1usize..100,
            nth in 0usize..300,
        ) {
            let stop = AtomicBool::new(false);
            let (watch, nth) = (Watch::new(&stop), nth % items.len());
            let mut expected = items.clone();
            expected.sort_unstable();
            let mut selected = items.clone();
            select_in_parts(&mut selected, nth, part, watch, &u8::cmp).unwrap();
            prop_assert_eq!(selected[nth], expected[nth]);
            prop_assert!(selected[..nth].iter().all(|item| *item <= selected[nth]));
            prop_assert!(selected[nth..].iter().all(|item| *item >= selected[nth]));
            let mut sorted = items;
            sort_parts(&mut sorted, part, watch, &u8::cmp).unwrap();
            prop_assert_eq!(sorted, expected);
        }
    }

    #[test]
    fn a_stop_is_heard() {
        let stop = AtomicBool::new(true);
        assert_eq!(sort(&mut [3, 1, 2], Watch::new(&stop)), None);
    }
}
