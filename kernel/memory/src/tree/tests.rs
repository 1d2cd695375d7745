//! The tree against a sorted list.

use alloc::sync::Arc;
use alloc::vec::Vec;

use machine::paging::Protection;
use proptest::prelude::*;

use super::{AreaTree, Link, height};
use crate::area::{Area, AreaFlags, Backing, MapKind, STACK_GUARD_BYTES};

const PAGE: usize = 4096;

/// Start, end, and whether it is a stack.
type List = Vec<(usize, usize, bool)>;

fn area(start: usize, end: usize, is_stack: bool) -> Arc<Area> {
    Arc::new(Area {
        start,
        end,
        protection: Protection::READ,
        kind: MapKind::Private,
        backing: Backing::Anonymous,
        flags: if is_stack { AreaFlags::GROWS_DOWN } else { AreaFlags::empty() },
        low: None,
        has_copies: None,
    })
}

fn check(link: &Link) -> Option<(usize, usize, u32)> {
    let node = link.as_ref()?;
    let (left, right) = (check(&node.left), check(&node.right));
    assert!(height(&node.left).abs_diff(height(&node.right)) <= 1, "out of balance");
    assert_eq!(node.height, height(&node.left).max(height(&node.right)) + 1);
    let starts =
        [left.map(|(first, ..)| first), right.map(|(first, ..)| first), Some(node.area.guarded_start())];
    let first = starts.into_iter().flatten().min().unwrap_or(0);
    let last = right.map_or(node.area.end, |(_, last, _)| last);
    let count = 1 + left.map_or(0, |(.., count)| count) + right.map_or(0, |(.., count)| count);
    assert_eq!((node.first, node.last, node.count), (first, last, count));
    Some((first, last, count))
}

/// Free ranges of `low..high`, page by page.
fn gaps(list: &[(usize, usize, bool)], low: usize, high: usize) -> Vec<(usize, usize)> {
    let is_free = |page: usize| {
        list.iter().all(|&(start, end, is_stack)| {
            let start = if is_stack { start.saturating_sub(STACK_GUARD_BYTES) } else { start };
            page < start || page >= end
        })
    };
    let mut gaps: Vec<(usize, usize)> = Vec::new();
    for page in (low..high).step_by(PAGE).filter(|page| is_free(*page)) {
        match gaps.last_mut() {
            Some((_, end)) if *end == page => *end = page + PAGE,
            _ => gaps.push((page, page + PAGE)),
        }
    }
    gaps
}

#[derive(Clone, Debug)]
enum Step {
    Insert(usize, usize, bool),
    Remove(usize),
    Gap(usize, usize, usize),
    Snapshot,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..2000, 1usize..40, prop::bool::weighted(0.05)).prop_map(|(at, len, stack)| Step::Insert(at, len, stack)),
        3 => (0usize..2000).prop_map(Step::Remove),
        3 => (0usize..2000, 0usize..2000, 1usize..60).prop_map(|(low, high, len)| Step::Gap(low, high, len)),
        1 => Just(Step::Snapshot),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_says_what_a_sorted_list_says(steps in prop::collection::vec(step(), 1..200)) {
        let mut tree = AreaTree::new();
        let mut list: List = Vec::new();
        let mut snapshots: Vec<(AreaTree, List)> = Vec::new();
        for step in steps {
            match step {
                Step::Insert(at, len, stack) => {
                    let (start, end) = (at * PAGE, (at + len) * PAGE);
                    if list.iter().all(|&(s, e, _)| end <= s || e <= start) {
                        tree.insert(area(start, end, stack));
                        list.push((start, end, stack));
                        list.sort();
                    }
                }
                Step::Remove(at) => {
                    let address = at * PAGE;
                    let found = tree.find(address).map(|area| area.start);
                    let expected = list.iter().find(|&&(s, e, _)| (s..e).contains(&address)).map(|&(s, ..)| s);
                    prop_assert_eq!(found, expected);
                    if let Some(start) = found {
                        prop_assert_eq!(tree.remove(start).map(|area| area.start), Some(start));
                        list.retain(|&(s, ..)| s != start);
                    }
                    prop_assert!(tree.remove(address + 1).is_none());
                }
                Step::Gap(low, high, len) => {
                    let (low, high, len) = (low * PAGE, high * PAGE, len * PAGE);
                    let fitting: Vec<_> = gaps(&list, low, high).into_iter().filter(|(s, e)| e - s >= len).collect();
                    prop_assert_eq!(tree.highest_gap(len, low, high), fitting.last().map(|(_, end)| end - len));
                    prop_assert_eq!(tree.lowest_gap(len, low, high), fitting.first().map(|(start, _)| *start));
                    let next = list.iter().find(|&&(_, end, _)| end > low).map(|&(start, ..)| start);
                    prop_assert_eq!(tree.at_or_after(low).map(|area| area.start), next);
                    let before = list.iter().rev().find(|&&(start, ..)| start < low).map(|&(start, ..)| start);
                    prop_assert_eq!(tree.before(low).map(|area| area.start), before);
                }
                Step::Snapshot => snapshots.push((tree.clone(), list.clone())),
            }
            check(&tree.root);
        }
        snapshots.push((tree, list));
        for (tree, list) in snapshots {
            let areas: Vec<_> = tree.range(0, usize::MAX).map(|area| (area.start, area.end)).collect();
            let expected: Vec<_> = list.iter().map(|&(start, end, _)| (start, end)).collect();
            prop_assert_eq!(areas, expected);
            prop_assert_eq!(tree.len(), list.len());
        }
    }
}
