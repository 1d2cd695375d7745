//! The radix tree against a map of the standard library.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use machine::frame::{Frame, Owner, count};
use proptest::prelude::*;

use super::{PageIndex, Which};

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Remove(u64),
    Mark(u64, bool),
    Next(u64, u64),
}

fn page() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0u64..200,
        2 => 0u64..100_000,
        1 => any::<u64>(),
        1 => (u64::MAX - 100)..=u64::MAX,
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => page().prop_map(Step::Insert),
        2 => page().prop_map(Step::Remove),
        2 => (page(), any::<bool>()).prop_map(|(page, is_dirty)| Step::Mark(page, is_dirty)),
        2 => (page(), page()).prop_map(|(from, end)| Step::Next(from, end)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_says_what_a_map_says(steps in prop::collection::vec(step(), 1..150)) {
        machine::hosted::init_memory();
        let free = count(Owner::Free);
        {
            let mut index = PageIndex::new();
            let mut map: BTreeMap<u64, (Frame, bool)> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Insert(page) => {
                        let frame = Frame::new(Owner::Cache).unwrap();
                        let is_new = index.insert(page, frame.clone()).is_ok();
                        prop_assert_eq!(is_new, !map.contains_key(&page));
                        if is_new {
                            map.insert(page, (frame, false));
                        }
                    }
                    Step::Remove(page) => {
                        let removed = index.remove(page);
                        prop_assert_eq!(removed, map.remove(&page).map(|(frame, _)| frame));
                    }
                    Step::Mark(page, is_dirty) => {
                        let before = map.get(&page).map(|(_, dirty)| *dirty);
                        let has_changed = index.mark(page, is_dirty);
                        prop_assert_eq!(has_changed, before.is_some_and(|before| before != is_dirty));
                        if let Some((_, dirty)) = map.get_mut(&page) {
                            *dirty = is_dirty;
                        }
                    }
                    Step::Next(from, end) => {
                        let inside = |page: &u64| *page < end;
                        let next = map.range(from..).next().map(|(page, _)| *page).filter(inside);
                        prop_assert_eq!(index.next(from, end, Which::All).map(|(page, _)| page), next);
                        let dirty = map.range(from..).find(|(_, (_, dirty))| *dirty).map(|(page, _)| *page).filter(inside);
                        prop_assert_eq!(index.next(from, end, Which::Dirty).map(|(page, _)| page), dirty);
                    }
                }
                prop_assert_eq!(index.len(), map.len());
                prop_assert_eq!(index.dirty(), map.values().filter(|(_, dirty)| *dirty).count());
            }
            for (page, (frame, _)) in &map {
                prop_assert_eq!(index.get(*page), Some(frame));
            }
            let all: Vec<u64> = core::iter::successors(index.next(0, u64::MAX, Which::All).map(|(page, _)| page), |page| {
                index.next(page.checked_add(1)?, u64::MAX, Which::All).map(|(page, _)| page)
            }).collect();
            prop_assert_eq!(all, map.keys().copied().filter(|page| *page < u64::MAX).collect::<Vec<_>>());
        }
        prop_assert_eq!(count(Owner::Free), free);
    }
}
