//! What an address space uses, counted as it happens.

use core::sync::atomic::{AtomicUsize, Ordering};

use machine::frame::Owner;

use crate::area::{Area, AreaFlags};

/// A snapshot of the counts, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Size of all areas (`VmSize`).
    pub virtual_pages: usize,
    /// The most that was (`VmPeak`).
    pub peak_virtual_pages: usize,
    /// Anonymous pages in memory (`RssAnon`).
    pub anonymous_pages: usize,
    /// Pages of files in memory (`RssFile`).
    pub file_pages: usize,
    /// Pages of shared memory in memory (`RssShmem`).
    pub shared_pages: usize,
    /// The most pages in memory that there were (`VmHWM`).
    pub peak_resident_pages: usize,
    /// Private and writable, without stacks (`VmData`).
    pub data_pages: usize,
    /// Stacks (`VmStk`).
    pub stack_pages: usize,
    /// Executable pages of files (`VmExe` and `VmLib` together).
    pub text_pages: usize,
    /// Locked areas (`VmLck`).
    pub locked_pages: usize,
    /// How many areas.
    pub areas: usize,
}

impl Statistics {
    /// Pages in memory (`VmRSS`).
    pub fn resident_pages(&self) -> usize {
        self.anonymous_pages + self.file_pages + self.shared_pages
    }
}

/// What an area's mapped page counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resident {
    Anonymous,
    File,
    Shared,
    /// The page of zeroes: it costs nothing.
    Nothing,
}

impl Resident {
    /// What a frame of `owner` counts as in `area`.
    pub(crate) fn of(area: &Area, owner: Owner) -> Self {
        match owner {
            Owner::User => Self::Anonymous,
            Owner::Cache if area.object().is_some_and(|object| object.is_memory()) => Self::Shared,
            Owner::Cache => Self::File,
            _ => Self::Nothing,
        }
    }
}

/// The counts.
#[derive(Default)]
pub(crate) struct Account {
    virtual_pages: AtomicUsize,
    peak_virtual: AtomicUsize,
    anonymous: AtomicUsize,
    file: AtomicUsize,
    shared: AtomicUsize,
    peak_resident: AtomicUsize,
    data: AtomicUsize,
    stack: AtomicUsize,
    text: AtomicUsize,
    locked: AtomicUsize,
}

impl Account {
    fn counter(&self, kind: Resident) -> Option<&AtomicUsize> {
        match kind {
            Resident::Anonymous => Some(&self.anonymous),
            Resident::File => Some(&self.file),
            Resident::Shared => Some(&self.shared),
            Resident::Nothing => None,
        }
    }

    /// Counts pages that were mapped.
    #[inline]
    pub(crate) fn mapped(&self, kind: Resident, pages: usize) {
        if let Some(counter) = self.counter(kind) {
            counter.fetch_add(pages, Ordering::Relaxed);
        }
    }

    /// Counts pages that are going to be unmapped. The peak is noted here and when it is asked for, not at every fault.
    pub(crate) fn unmapped(&self, kind: Resident, pages: usize) {
        if pages > 0
            && let Some(counter) = self.counter(kind)
        {
            self.note_peak();
            counter.fetch_sub(pages, Ordering::Relaxed);
        }
    }

    fn note_peak(&self) {
        let resident = self.resident();
        if resident > self.peak_resident.load(Ordering::Relaxed) {
            self.peak_resident.fetch_max(resident, Ordering::Relaxed);
        }
    }

    fn resident(&self) -> usize {
        [&self.anonymous, &self.file, &self.shared]
            .iter()
            .map(|counter| counter.load(Ordering::Relaxed))
            .sum()
    }

    fn counters_of(&self, area: &Area) -> [Option<&AtomicUsize>; 4] {
        let is_stack = area.flags.contains(AreaFlags::GROWS_DOWN);
        let is_text = area.file().is_some() && area.protection.contains(machine::paging::Protection::EXECUTE);
        [
            area.is_data().then_some(&self.data),
            is_stack.then_some(&self.stack),
            is_text.then_some(&self.text),
            area.flags.contains(AreaFlags::LOCKED).then_some(&self.locked),
        ]
    }

    /// Counts an area that was added, or `pages` by which one has grown.
    pub(crate) fn added(&self, area: &Area, pages: usize) {
        let total = self.virtual_pages.fetch_add(pages, Ordering::Relaxed) + pages;
        self.peak_virtual.fetch_max(total, Ordering::Relaxed);
        for counter in self.counters_of(area).into_iter().flatten() {
            counter.fetch_add(pages, Ordering::Relaxed);
        }
    }

    /// Counts an area that was taken out.
    pub(crate) fn removed(&self, area: &Area, pages: usize) {
        self.virtual_pages.fetch_sub(pages, Ordering::Relaxed);
        for counter in self.counters_of(area).into_iter().flatten() {
            counter.fetch_sub(pages, Ordering::Relaxed);
        }
    }

    pub(crate) fn virtual_pages(&self) -> usize {
        self.virtual_pages.load(Ordering::Relaxed)
    }

    pub(crate) fn data_pages(&self) -> usize {
        self.data.load(Ordering::Relaxed)
    }

    pub(crate) fn locked_pages(&self) -> usize {
        self.locked.load(Ordering::Relaxed)
    }

    /// Forgets the highest number of pages in memory (/proc/PID/clear_refs, 5).
    pub(crate) fn reset_peak(&self) {
        self.peak_resident.store(self.resident(), Ordering::Relaxed);
    }

    pub(crate) fn statistics(&self, areas: usize) -> Statistics {
        self.note_peak();
        let load = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        Statistics {
            virtual_pages: load(&self.virtual_pages),
            peak_virtual_pages: load(&self.peak_virtual),
            anonymous_pages: load(&self.anonymous),
            file_pages: load(&self.file),
            shared_pages: load(&self.shared),
            peak_resident_pages: load(&self.peak_resident),
            data_pages: load(&self.data),
            stack_pages: load(&self.stack),
            text_pages: load(&self.text),
            locked_pages: load(&self.locked),
            areas,
        }
    }
}
