//! Intrusive lists and trees.

use std::sync::Arc;

mod list {
    use super::Arc;
    use machine::list::{Link, Linked, List};

    struct Item {
        value: u32,
        link: Link<Item, ()>,
    }

    impl Linked<()> for Item {
        fn link(&self) -> &Link<Self, ()> {
            &self.link
        }
    }

    fn item(value: u32) -> Arc<Item> {
        Arc::new(Item { value, link: Link::new() })
    }

    fn values(list: &List<Item, ()>) -> Vec<u32> {
        list.iter().map(|item| item.value).collect()
    }

    #[test]
    fn items_come_out_in_order_and_from_the_middle() {
        let items: Vec<_> = (0..5).map(item).collect();
        let mut list = List::new();
        for item in &items {
            assert!(list.push_back(item.clone()).is_ok());
        }
        assert!(list.remove(&items[2]).is_some());
        assert!(list.remove(&items[2]).is_none());
        assert!(list.remove(&items[4]).is_some());
        assert!(list.push_front(items[4].clone()).is_ok());
        assert_eq!(values(&list), [4, 0, 1, 3]);
        assert_eq!(list.pop_front().map(|item| item.value), Some(4));
        assert_eq!(list.len(), 3);
    }

    #[test]
    fn an_item_is_in_one_list_at_a_time() {
        let (mut one, mut other) = (List::new(), List::new());
        let item = item(1);
        assert!(one.push_back(item.clone()).is_ok());
        assert!(other.push_back(item.clone()).is_err());
        assert!(one.push_back(item.clone()).is_err());
        assert!(other.remove(&item).is_none());
        assert!(one.contains(&item) && !other.contains(&item));
        drop(one);
        assert!(!item.link.is_linked());
        assert!(other.push_back(item).is_ok());
    }

    #[test]
    fn a_list_that_is_dropped_drops_its_references() {
        let item = item(1);
        let mut list = List::new();
        assert!(list.push_back(item.clone()).is_ok());
        assert_eq!(Arc::strong_count(&item), 2);
        drop(list);
        assert_eq!(Arc::strong_count(&item), 1);
    }
}

mod tree {
    use super::Arc;
    use machine::tree::{Node, Rooted, Tree};

    struct Item {
        id: u32,
        node: Node<Item, ()>,
    }

    impl Rooted<()> for Item {
        type Key = u32;
        type Value = u32;
        fn node(&self) -> &Node<Self, ()> {
            &self.node
        }
    }

    /// Numbers of a fixed sequence.
    fn numbers(seed: u64) -> impl FnMut(u64) -> u32 {
        let mut state = seed;
        move |below| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % below) as u32
        }
    }

    #[test]
    fn it_agrees_with_a_sorted_vector() {
        let (seeds, steps) = if cfg!(miri) { (1, 150) } else { (20, 2000) };
        for seed in 0..seeds {
            let mut number = numbers(seed);
            let items: Vec<_> = (0..200).map(|id| Arc::new(Item { id, node: Node::new() })).collect();
            let mut tree = Tree::new();
            let mut model: Vec<(u32, u32, u32)> = Vec::new(); // key, value, id in order
            for _ in 0..steps {
                let item = &items[number(200) as usize];
                match number(4) {
                    0 | 1 => {
                        let (key, value) = (number(50), number(1000));
                        let is_new = model.iter().all(|&(_, _, id)| id != item.id);
                        assert_eq!(tree.insert(item.clone(), key, value).is_ok(), is_new);
                        if is_new {
                            let at = model.partition_point(|&(other, ..)| other <= key);
                            model.insert(at, (key, value, item.id));
                        }
                    }
                    2 => {
                        let at = model.iter().position(|&(_, _, id)| id == item.id);
                        assert_eq!(tree.remove(item).is_some(), at.is_some());
                        at.map(|at| model.remove(at));
                    }
                    _ => {
                        let limit = number(1000);
                        let at = model.iter().position(|&(_, value, _)| value <= limit);
                        let popped = tree.pop_first_within(limit).map(|item| item.id);
                        assert_eq!(popped, at.map(|at| model.remove(at).2));
                    }
                }
                assert_eq!(tree.len(), model.len());
                assert_eq!(tree.least_value(), model.iter().map(|&(_, value, _)| value).min());
                assert_eq!(tree.first().map(|(item, _)| item.id), model.first().map(|&(.., id)| id));
                let from = number(60);
                let rest: Vec<u32> = tree.iter_from(Some(from)).map(|(item, _)| item.id).collect();
                let expected: Vec<u32> =
                    model.iter().filter(|&&(key, ..)| key >= from).map(|&(.., id)| id).collect();
                assert_eq!(rest, expected);
            }
        }
    }

    #[test]
    fn a_tree_that_is_dropped_drops_its_references() {
        let item = Arc::new(Item { id: 1, node: Node::new() });
        let mut tree = Tree::new();
        assert!(tree.insert(item.clone(), 1, 1).is_ok());
        drop(tree);
        assert_eq!(Arc::strong_count(&item), 1);
        assert!(!item.node.is_rooted());
    }
}
