//! Address spaces and user memory on the hosted machine. Each test is a process of its own (`cargo
//! nextest`).

use std::sync::Arc;

use machine::address::{PAGE_SIZE, USER_END, UserAddress};
use machine::context::Access;
use machine::frame::{Frame, Owner, count};
use machine::paging::{Gather, Protection, Space, TABLE_SPAN};
use machine::task::{Schedulable, Task, adopt, set_space};
use machine::{hosted, user};

const READ_WRITE: Protection = Protection::READ.union(Protection::WRITE);
const BASE: usize = 0x40_0000;

struct Thread {
    task: Task,
}

impl Schedulable for Thread {
    fn task(&self) -> &Task {
        &self.task
    }
}

/// Runs `body` with a fresh address space loaded, and looks for frames that it leaves behind.
fn with_space(body: fn(&Arc<Space>)) {
    hosted::run(2, 1, move || {
        adopt(|task| Arc::new(Thread { task }));
        let used = || count(Owner::PageTable) + count(Owner::User);
        let before = used();
        let space = Space::new().unwrap();
        set_space(Some(space.clone()));
        body(&space);
        set_space(None);
        drop(space);
        assert_eq!(used(), before);
    });
}

fn map(space: &Space, address: usize, protection: Protection) -> Frame {
    let frame = Frame::new(Owner::User).unwrap();
    let mut cursor = space.cursor(UserAddress(address)).unwrap();
    assert!(cursor.map(UserAddress(address), frame.clone(), protection).is_ok());
    frame
}

#[test]
fn a_program_s_bytes_are_copied_across_pages_and_marked_used() {
    with_space(|space| {
        map(space, BASE, READ_WRITE);
        map(space, BASE + PAGE_SIZE, READ_WRITE);
        let at = UserAddress(BASE + PAGE_SIZE - 3);
        assert_eq!(user::write(at, b"across"), Ok(()));
        let mut bytes = [0; 6];
        assert_eq!(user::read(at, &mut bytes), Ok(()));
        assert_eq!(&bytes, b"across");
        let cursor = space.find(at).unwrap();
        let mapping = cursor.get(at).unwrap();
        assert!(mapping.is_dirty && mapping.is_accessed);
        assert_eq!(cursor.next_mapped(UserAddress(0)..UserAddress(USER_END)).unwrap().0, UserAddress(BASE));
    });
}

#[test]
fn a_copy_stops_where_it_may_not_go_on_and_says_where() {
    with_space(|space| {
        map(space, BASE, READ_WRITE);
        map(space, BASE + PAGE_SIZE, Protection::READ);
        map(space, BASE + 2 * PAGE_SIZE, Protection::empty());
        let fault = user::write(UserAddress(BASE + PAGE_SIZE - 2), b"four").unwrap_err();
        assert_eq!(
            (fault.address, fault.access, fault.done),
            (UserAddress(BASE + PAGE_SIZE), Access::Write, 2)
        );
        let mut bytes = vec![0; 2 * PAGE_SIZE];
        let fault = user::read(UserAddress(BASE + PAGE_SIZE), &mut bytes).unwrap_err();
        assert_eq!((fault.address, fault.done), (UserAddress(BASE + 2 * PAGE_SIZE), PAGE_SIZE));
        for wild in [usize::MAX - 2, USER_END - 1, 1 << 63] {
            assert_eq!(user::zero(UserAddress(wild), 4).unwrap_err().done, 0);
        }
        assert!(user::read(UserAddress(0), &mut bytes[..1]).is_err());
    });
}

#[test]
fn words_are_updated_in_one_piece_and_only_where_they_may_be() {
    with_space(|space| {
        map(space, BASE, READ_WRITE);
        map(space, BASE + PAGE_SIZE, Protection::READ);
        let word = UserAddress(BASE + 8);
        assert_eq!(user::update_u32(word, |old| Some(old + 5)), Ok(0));
        assert_eq!(user::update_u32(word, |_| None), Ok(5));
        assert_eq!(user::load_u32(word), Ok(5));
        assert!(user::load_u32(UserAddress(BASE + 9)).is_err());
        let fault = user::update_u32(UserAddress(BASE + PAGE_SIZE), |old| Some(old + 1)).unwrap_err();
        assert_eq!(fault.access, Access::Write);
    });
}

#[test]
fn forked_pages_are_shared_until_one_side_replaces_its_own() {
    with_space(|space| {
        let address = UserAddress(BASE);
        map(space, BASE, READ_WRITE);
        assert_eq!(user::write(address, b"old"), Ok(()));
        let child = Space::new().unwrap();
        let mut gather = Gather::new(space);
        {
            let mut from = space.cursor(address).unwrap();
            let mut to = child.cursor_nested(address).unwrap();
            let all = UserAddress(BASE)..UserAddress(BASE + TABLE_SPAN);
            assert_eq!(from.share_with(&mut to, all, true, &mut gather).user, 1);
        }
        gather.flush();
        assert_eq!(user::write(address, b"new").unwrap_err().address, address);
        let shared = space.find(address).unwrap().frame(address).unwrap();
        assert_eq!((shared.references(), shared.mappings()), (3, 2));
        let copy = Frame::new(Owner::User).unwrap();
        copy.copy_from(&shared);
        space.cursor(address).unwrap().replace(address, copy, READ_WRITE, &mut gather);
        gather.flush();
        assert_eq!(user::write(address, b"new"), Ok(()));
        let mut bytes = [0; 3];
        shared.read(0, &mut bytes);
        assert_eq!(&bytes, b"old");
        assert_eq!(shared.mappings(), 1);
    });
}

#[test]
fn unmapped_frames_are_freed_by_the_flush_and_not_before() {
    with_space(|space| {
        let kept = map(space, BASE, READ_WRITE);
        let mut gather = Gather::new(space);
        let mut cursor = space.cursor(UserAddress(BASE)).unwrap();
        assert!(cursor.unmap(UserAddress(BASE), &mut gather).is_some());
        assert!(cursor.unmap(UserAddress(BASE), &mut gather).is_none());
        drop(cursor);
        assert_eq!(kept.references(), 2);
        gather.flush();
        assert!(kept.is_unique());
    });
}

#[test]
fn walking_by_tables_visits_just_those_that_exist() {
    with_space(|space| {
        let places = [BASE, 5 * TABLE_SPAN, 1 << 40, USER_END - PAGE_SIZE];
        for address in places {
            map(space, address, READ_WRITE);
        }
        let mut found = Vec::new();
        let mut at = UserAddress(0);
        while let Some(table) = space.next_table(at, UserAddress(USER_END)) {
            found.push(table.0 & !(TABLE_SPAN - 1));
            at = UserAddress((table.0 & !(TABLE_SPAN - 1)) + TABLE_SPAN);
        }
        assert_eq!(found, places.map(|address| address & !(TABLE_SPAN - 1)));
        assert_eq!(space.next_table(UserAddress(6 * TABLE_SPAN), UserAddress(1 << 40)), None);
        assert!(space.find(UserAddress(2 << 40)).is_none());
    });
}

#[test]
fn a_page_is_mapped_once_and_rights_can_change() {
    with_space(|space| {
        let address = UserAddress(BASE);
        map(space, BASE, READ_WRITE);
        let frame = Frame::new(Owner::User).unwrap();
        let mut cursor = space.cursor(address).unwrap();
        assert!(cursor.map(address, frame, READ_WRITE).is_err());
        let mut gather = Gather::new(space);
        cursor.protect(address, Protection::READ, &mut gather);
        assert_eq!(cursor.get(address).unwrap().protection, Protection::READ);
        assert_eq!(cursor.clear(address, true, true, &mut gather).unwrap().protection, Protection::READ);
        drop(cursor);
        gather.flush();
        assert!(user::write(address, b"x").is_err());
    });
}
