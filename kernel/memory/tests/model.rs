//! Address spaces against a model that knows every page by itself.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a test may end for want of memory")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use abi::Errno;
use abi::mman::{
    MADV_DOFORK, MADV_DONTFORK, MADV_DONTNEED, MADV_KEEPONFORK, MADV_WIPEONFORK, MapFlags, MremapFlags,
};
use memory::{AddressSpace, Backing, MapKind, Object, Protection, UserAddress};
use proptest::prelude::*;
use support::*;

/// Pages under test, across the bound of two leaf tables.
const PAGES: usize = 48;
const BASE: usize = 0x1000_0000_0000 - PAGES / 2 * PAGE;
/// Pages of the file.
const FILE_PAGES: usize = 24;

fn address(page: usize) -> UserAddress {
    UserAddress(BASE + page * PAGE)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Anonymous,
    Shared,
    FilePrivate,
    FileShared,
}

#[derive(Clone, Debug)]
enum Step {
    Map { at: usize, len: usize, what: What, offset: usize, protection: Protection, replaces: bool },
    Unmap { at: usize, len: usize },
    Protect { at: usize, len: usize, protection: Protection },
    Store { at: usize, byte: u8 },
    Load { at: usize },
    Remap { old: usize, old_len: usize, new_len: usize, target: Option<usize>, keeps_old: bool },
    DontNeed { at: usize, len: usize },
    Fork,
    Switch(usize),
    Exit,
    SyncFile,
    Advice { at: usize, len: usize, advice: i32 },
    Lock { at: usize, len: usize, is_lock: bool },
    Reclaim,
}

/// Where a page's bytes come from while the program has not stored to it privately.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Zero,
    Shared { object: usize, page: usize },
    File { page: usize },
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Page {
    protection: Protection,
    source: Source,
    is_shared: bool,
    /// The byte of a private copy.
    own: Option<u8>,
    is_inherited: bool,
    is_wiped: bool,
}

#[derive(Clone, Default)]
struct Program {
    pages: BTreeMap<usize, Page>,
}

/// What all programs share.
#[derive(Default)]
struct World {
    objects: BTreeMap<(usize, usize), u8>,
    next_object: usize,
    /// Pages of each object.
    sizes: BTreeMap<usize, usize>,
    file: BTreeMap<usize, u8>,
}

impl World {
    fn value(&self, page: &Page) -> Option<u8> {
        if let Some(own) = page.own {
            return Some(own);
        }
        match page.source {
            Source::Zero => Some(0),
            Source::Shared { object, page } if page < self.sizes[&object] => {
                Some(self.objects.get(&(object, page)).copied().unwrap_or(0))
            }
            Source::File { page } if page < FILE_PAGES => {
                Some(self.file.get(&page).copied().unwrap_or(page as u8 + 1))
            }
            Source::Shared { .. } | Source::File { .. } => None,
        }
    }
}

fn protection() -> impl Strategy<Value = Protection> {
    prop_oneof![3 => Just(READ_WRITE), 1 => Just(READ), 1 => Just(NONE), 1 => Just(Protection::all())]
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![4 => Just(What::Anonymous), 2 => Just(What::Shared), 2 => Just(What::FilePrivate), 2 => Just(What::FileShared)]
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0..PAGES;
    let len = 1usize..16;
    prop_oneof![
        6 => (at.clone(), len.clone(), what(), 0usize..20, protection(), any::<bool>()).prop_map(
            |(at, len, what, offset, protection, replaces)| Step::Map { at, len, what, offset, protection, replaces }),
        3 => (at.clone(), len.clone()).prop_map(|(at, len)| Step::Unmap { at, len }),
        3 => (at.clone(), len.clone(), protection()).prop_map(|(at, len, protection)| Step::Protect { at, len, protection }),
        12 => (at.clone(), any::<u8>()).prop_map(|(at, byte)| Step::Store { at, byte }),
        6 => at.clone().prop_map(|at| Step::Load { at }),
        3 => (at.clone(), 0usize..12, 1usize..16, prop::option::of(at.clone()), prop::bool::weighted(0.2)).prop_map(
            |(old, old_len, new_len, target, keeps_old)| Step::Remap { old, old_len, new_len, target, keeps_old }),
        2 => (at.clone(), len.clone()).prop_map(|(at, len)| Step::DontNeed { at, len }),
        2 => Just(Step::Fork),
        2 => (0usize..4).prop_map(Step::Switch),
        1 => Just(Step::Exit),
        1 => Just(Step::SyncFile),
        1 => (at.clone(), len.clone(), prop::sample::select(vec![MADV_DONTFORK, MADV_DOFORK, MADV_WIPEONFORK, MADV_KEEPONFORK]))
            .prop_map(|(at, len, advice)| Step::Advice { at, len, advice }),
        1 => (at, len, any::<bool>()).prop_map(|(at, len, is_lock)| Step::Lock { at, len, is_lock }),
        1 => Just(Step::Reclaim),
    ]
}

struct Run {
    spaces: Vec<(Arc<AddressSpace>, Program)>,
    current: usize,
    world: World,
    file: Arc<Object>,
    disk: Arc<Disk>,
}

impl Run {
    fn new() -> Self {
        let (file, disk) = disk_object(FILE_PAGES);
        Self { spaces: vec![(space(), Program::default())], current: 0, world: World::default(), file, disk }
    }

    fn apply(&mut self, step: &Step) {
        let current = self.current;
        match *step {
            Step::Map { at, len, what, offset, protection, replaces } => {
                self.map(at, len, what, offset, protection, replaces);
            }
            Step::Unmap { at, len } => {
                let (space, program) = &mut self.spaces[current];
                space.unmap(address(at), len * PAGE).unwrap();
                program.pages.retain(|page, _| !(at..at + len).contains(page));
            }
            Step::Protect { at, len, protection } => {
                let (space, program) = &mut self.spaces[current];
                let hole = (at..at + len).find(|page| !program.pages.contains_key(page));
                let expected = if hole.is_some() { Err(Errno::ENOMEM) } else { Ok(()) };
                assert_eq!(space.protect(address(at), len * PAGE, protection), expected);
                for page in at..hole.unwrap_or(at + len) {
                    program.pages.get_mut(&page).unwrap().protection = protection;
                }
            }
            Step::Store { at, byte } => self.store(at, byte),
            Step::Load { at } => {
                let (space, program) = &self.spaces[current];
                self.check_page(space, program, at);
            }
            Step::Remap { old, old_len, new_len, target, keeps_old } => {
                self.remap(old, old_len, new_len, target, keeps_old);
            }
            Step::DontNeed { at, len } => {
                let (space, program) = &mut self.spaces[current];
                let has_hole = (at..at + len).any(|page| !program.pages.contains_key(&page));
                match space.advise(address(at), len * PAGE, MADV_DONTNEED) {
                    // Locked somewhere: the model does not know locks.
                    Err(Errno::EINVAL) => {
                        space.unlock_range(address(0), PAGES * 2 * PAGE).ok();
                        unlock_parts(space);
                        self.apply(step);
                        return;
                    }
                    result => assert_eq!(result.is_err(), has_hole),
                }
                for page in at..at + len {
                    if let Some(page) = program.pages.get_mut(&page) {
                        page.own = None;
                    }
                }
            }
            Step::Fork if self.spaces.len() < 4 => {
                let (space, program) = &self.spaces[current];
                let child = space.fork().unwrap();
                let mut pages = program.pages.clone();
                pages.retain(|_, page| page.is_inherited);
                for page in pages.values_mut().filter(|page| page.is_wiped) {
                    page.own = None;
                }
                self.spaces.push((child, Program { pages }));
            }
            Step::Switch(to) => self.current = to % self.spaces.len(),
            Step::Exit if self.spaces.len() > 1 => {
                self.spaces.remove(current);
                self.current = 0;
            }
            Step::Fork | Step::Exit => {}
            Step::SyncFile => {
                self.file.sync(0, u64::MAX).unwrap();
                let pages = self.disk.pages.lock().unwrap();
                for (page, bytes) in pages.iter().enumerate() {
                    let expected = self.world.file.get(&page).copied().unwrap_or(page as u8 + 1);
                    assert_eq!(bytes[0], expected, "page {page} of the file after a sync");
                }
            }
            Step::Advice { at, len, advice } => {
                let (space, program) = &mut self.spaces[current];
                let mut outcome = Ok(());
                for page in at..at + len {
                    match program.pages.get_mut(&page) {
                        None => outcome = Err(Errno::ENOMEM),
                        Some(page) if advice == MADV_WIPEONFORK && page.source != Source::Zero => {
                            outcome = Err(Errno::EINVAL);
                            break;
                        }
                        Some(page) => match advice {
                            MADV_DONTFORK => page.is_inherited = false,
                            MADV_DOFORK => page.is_inherited = true,
                            MADV_WIPEONFORK => page.is_wiped = true,
                            _ => page.is_wiped = false,
                        },
                    }
                }
                assert_eq!(space.advise(address(at), len * PAGE, advice), outcome);
            }
            Step::Lock { at, len, is_lock } => {
                let (space, program) = &self.spaces[current];
                let result = if is_lock {
                    // Without bringing pages in: a page of the file may or may not be copied then.
                    space.lock_range(address(at), len * PAGE, true)
                } else {
                    space.unlock_range(address(at), len * PAGE)
                };
                if (at..at + len).any(|page| !program.pages.contains_key(&page)) {
                    assert_eq!(result, Err(Errno::ENOMEM));
                }
            }
            Step::Reclaim => {
                memory::reclaim::shrink(usize::MAX);
            }
        }
    }

    fn map(
        &mut self,
        at: usize,
        len: usize,
        what: What,
        offset: usize,
        protection: Protection,
        replaces: bool,
    ) {
        let object = self.world.next_object;
        let (space, program) = &mut self.spaces[self.current];
        let file = of(&self.file, (offset * PAGE) as u64);
        let (kind, backing) = match what {
            What::Anonymous => (MapKind::Private, Backing::Anonymous),
            What::Shared => (MapKind::Shared, Backing::Anonymous),
            What::FilePrivate => (MapKind::Private, file),
            What::FileShared => (MapKind::Shared, file),
        };
        let flags = if replaces { MapFlags::FIXED } else { MapFlags::FIXED_NOREPLACE };
        let result = space.map(address(at), len * PAGE, protection, kind, backing, flags);
        if !replaces && (at..at + len).any(|page| program.pages.contains_key(&page)) {
            assert_eq!(result, Err(Errno::EEXIST));
            return;
        }
        assert_eq!(result, Ok(address(at)));
        self.world.sizes.insert(object, len);
        self.world.next_object += 1;
        for page in at..at + len {
            let source = match what {
                What::Anonymous => Source::Zero,
                What::Shared => Source::Shared { object, page: page - at },
                What::FilePrivate | What::FileShared => Source::File { page: offset + page - at },
            };
            let is_shared = kind == MapKind::Shared;
            program.pages.insert(
                page,
                Page { protection, source, is_shared, own: None, is_inherited: true, is_wiped: false },
            );
        }
    }

    fn store(&mut self, at: usize, byte: u8) {
        let (space, program) = &mut self.spaces[self.current];
        let result = store(space, address(at), byte);
        let Some(page) = program.pages.get_mut(&at) else {
            assert_eq!(result, Err(memory::FaultError::Unmapped));
            return;
        };
        if !page.protection.contains(Protection::WRITE) {
            assert_eq!(result, Err(memory::FaultError::Protection));
            return;
        }
        if page.own.is_none() && self.world.value(page).is_none() {
            assert_eq!(result, Err(memory::FaultError::Bus));
            return;
        }
        assert_eq!(result, Ok(()));
        match page.source {
            Source::Shared { object, page } => {
                self.world.objects.insert((object, page), byte);
            }
            Source::File { page: of_file } if page.is_shared => {
                self.world.file.insert(of_file, byte);
            }
            _ => page.own = Some(byte),
        }
    }

    fn check_page(&self, space: &AddressSpace, program: &Program, at: usize) {
        let expected = match program.pages.get(&at) {
            None => Err(memory::FaultError::Unmapped),
            Some(page) if page.protection.is_empty() => Err(memory::FaultError::Protection),
            Some(page) => self.world.value(page).ok_or(memory::FaultError::Bus),
        };
        assert_eq!(load(space, address(at)), expected, "page {at}: {:?}", program.pages.get(&at));
    }

    fn remap(&mut self, old: usize, old_len: usize, new_len: usize, target: Option<usize>, keeps_old: bool) {
        let new_len = if keeps_old { old_len } else { new_len };
        let (space, program) = &mut self.spaces[self.current];
        let mut flags = MremapFlags::empty();
        if target.is_some() || keeps_old {
            flags |= MremapFlags::MAYMOVE;
        }
        flags.set(MremapFlags::FIXED, target.is_some());
        flags.set(MremapFlags::DONTUNMAP, keeps_old);
        // Without a target, what moves would leave the pages that the model watches.
        if keeps_old && target.is_none() {
            return;
        }
        let to = address(target.unwrap_or(0));
        let result = space.remap(address(old), old_len * PAGE, new_len * PAGE, flags, to);
        let Ok(place) = result else { return };
        let place = (place.0 - BASE) / PAGE;
        assert_eq!(place, target.unwrap_or(old));
        let is_dup = old_len == 0;
        if target.is_none() && !keeps_old && !is_dup && new_len <= old_len {
            // Only what goes is looked at: there may be gaps.
            program.pages.retain(|page, _| !(old + new_len..old + old_len).contains(page));
            return;
        }
        let moved: Vec<Option<Page>> =
            (old..old + old_len.min(new_len)).map(|page| program.pages.get(&page).copied()).collect();
        let last = moved.last().copied().flatten().unwrap_or(program.pages[&old]);
        let first_source = if is_dup { Some(last.source) } else { None };
        if !keeps_old {
            program.pages.retain(|page, _| !(old..old + old_len).contains(page));
        } else {
            for page in old..old + old_len {
                program.pages.get_mut(&page).unwrap().own = None;
            }
        }
        for index in 0..new_len {
            // A gap moves with what is around it, and leaves what is there.
            if moved.get(index) == Some(&None) {
                continue;
            }
            let page = moved.get(index).copied().flatten().unwrap_or_else(|| {
                let ahead = if is_dup { index } else { index + 1 - moved.len() };
                let source = match first_source.unwrap_or(last.source) {
                    Source::Zero => Source::Zero,
                    Source::Shared { object, page } => Source::Shared { object, page: page + ahead },
                    Source::File { page } => Source::File { page: page + ahead },
                };
                Page { source, own: None, ..last }
            });
            program.pages.insert(place + index, page);
        }
    }

    fn check(&self) {
        for (space, program) in &self.spaces {
            for at in 0..PAGES + 16 {
                self.check_page(space, program, at);
            }
            let mut reported = BTreeMap::new();
            space.for_each_area(UserAddress(0), |area| {
                for page in area.range.clone().step_by(PAGE) {
                    reported.insert((page - BASE) / PAGE, (area.protection, area.kind == MapKind::Shared));
                }
                true
            });
            let expected: BTreeMap<_, _> =
                program.pages.iter().map(|(at, page)| (*at, (page.protection, page.is_shared))).collect();
            assert_eq!(reported, expected);
            let counts = space.statistics();
            assert_eq!(counts.virtual_pages, program.pages.len());
            let found = space.page_use(BASE..BASE + PAGES * 4 * PAGE);
            assert_eq!(counts.anonymous_pages, found.anonymous, "anonymous pages counted and found");
            assert_eq!(counts.resident_pages(), found.resident, "resident pages counted and found");
        }
    }
}

fn unlock_parts(space: &AddressSpace) {
    space.unlock_all().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn programs_see_what_page_by_page_models_of_them_see(steps in prop::collection::vec(step(), 1..80)) {
        let _first = space();
        drop(_first);
        let free = free_frames();
        let promised = memory::overcommit::committed();
        {
            let mut run = Run::new();
            for step in &steps {
                run.apply(step);
                run.check_now_and_then();
            }
            run.check();
        }
        prop_assert_eq!(free_frames(), free, "frames are lost");
        prop_assert_eq!(memory::overcommit::committed(), promised, "promises are not taken back");
        prop_assert_eq!(memory::object::memory_pages(), 0);
        prop_assert_eq!(memory::reclaim::dirty_pages(), 0);
    }
}

impl Run {
    /// Looking at every page brings it in, which would hide what happens to absent ones: so only some looks are whole.
    fn check_now_and_then(&self) {
        if self.world.next_object % 5 == 4 {
            self.check();
        }
    }
}
