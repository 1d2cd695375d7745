//! Everything that holds many bytes: main memory, both screens, the block store; with dirty marks and decoded words.
//!
//! One array of pages holds it all, so that a snapshot has one list to share. A page's mark is [`DIRTY`] once it has
//! changed since the last snapshot; [`CODE`] says that words of it are decoded, and a store must then forget them.

use crate::map::{BLOCK_BYTES, BLOCKS, GRAPHICS, GRAPHICS_BYTES, RAM_BYTES, TEXT, TEXT_BYTES};
use crate::quirks::Quirks;
use crate::slots::{self, Slot};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

pub(crate) const PAGE_BYTES: usize = 4096;
const RAM: usize = RAM_BYTES as usize;
const RAM_PAGES: usize = RAM / PAGE_BYTES;
const GRAPHICS_AT: usize = RAM;
const GRAPHICS_PAGES: usize = (GRAPHICS_BYTES as usize).div_ceil(PAGE_BYTES);
const TEXT_AT: usize = GRAPHICS_AT + GRAPHICS_PAGES * PAGE_BYTES;
const DISK_AT: usize = TEXT_AT + PAGE_BYTES;
const DISK_BYTES: usize = (BLOCK_BYTES * BLOCKS) as usize;
pub(crate) const PAGES: usize = (DISK_AT + DISK_BYTES) / PAGE_BYTES;
const BYTES: usize = PAGES * PAGE_BYTES;
const SLOTS: usize = RAM / 8;

const DIRTY: u8 = 1;
const CODE: u8 = 2;

pub(crate) type Page = [u8; PAGE_BYTES];

/// An array on the heap, never on the stack: it may be larger than one.
fn filled<T: Clone, const N: usize>(value: T) -> Box<[T; N]> {
    match vec![value; N].into_boxed_slice().try_into() {
        Ok(array) => array,
        Err(_) => unreachable!("a vector of N elements is an array of N elements"),
    }
}

pub(crate) struct Memory {
    bytes: Box<[u8; BYTES]>,
    slots: Box<[Slot; SLOTS]>,
    marks: [u8; PAGES],
    /// Each page as it was at the last snapshot; true of every page that is not marked dirty.
    base: Vec<Arc<Page>>,
}

impl Memory {
    pub fn new() -> Self {
        let zero = Arc::new([0; PAGE_BYTES]);
        Self { bytes: filled(0), slots: filled(Slot::UNDECODED), marks: [0; PAGES], base: vec![zero; PAGES] }
    }

    /// Where an access to plain memory lies; `None` outside main memory and screens.
    fn place(address: u32, len: u32) -> Option<usize> {
        let inside = |base: u32, size: u32| {
            let offset = address.wrapping_sub(base);
            (offset <= size - len).then_some(offset as usize)
        };
        inside(0, RAM_BYTES)
            .or_else(|| inside(GRAPHICS, GRAPHICS_BYTES).map(|offset| offset + GRAPHICS_AT))
            .or_else(|| inside(TEXT, TEXT_BYTES).map(|offset| offset + TEXT_AT))
    }

    /// Reads N bytes of plain memory; `None` outside it.
    #[inline(always)]
    pub fn load<const N: usize>(&self, address: u32) -> Option<[u8; N]> {
        let place =
            if address <= RAM_BYTES - N as u32 { address as usize } else { Self::place(address, N as u32)? };
        self.bytes.get(place..place + N)?.try_into().ok()
    }

    /// Writes N bytes of plain memory; `false` outside it.
    #[inline(always)]
    pub fn store<const N: usize>(&mut self, address: u32, value: [u8; N]) -> bool {
        let place = if address <= RAM_BYTES - N as u32 {
            address as usize
        } else {
            match Self::place(address, N as u32) {
                Some(place) => place,
                None => return false,
            }
        };
        let Some(target) = self.bytes.get_mut(place..place + N) else { return false };
        target.copy_from_slice(&value);
        // The usual store: a page that has changed before and holds no decoded words.
        let page = place / PAGE_BYTES;
        if self.marks[page % PAGES] != DIRTY || place % PAGE_BYTES > PAGE_BYTES - N {
            self.touch(place, N);
        }
        true
    }

    /// Marks what a store of up to eight bytes has changed.
    #[inline]
    fn touch(&mut self, place: usize, len: usize) {
        let last = place + len - 1;
        for page in [place / PAGE_BYTES, last / PAGE_BYTES] {
            if let Some(mark) = self.marks.get_mut(page) {
                *mark |= DIRTY;
            }
        }
        for slot in [place / 8, last / 8] {
            if let Some(slot) = self.slots.get_mut(slot) {
                *slot = Slot::UNDECODED;
            }
        }
    }

    /// The eight bytes of a word anywhere in plain memory.
    pub fn word(&self, address: u32) -> Option<[u8; 8]> {
        self.load::<8>(address)
    }

    /// The decoded word at an index that is `address.rotate_right(3)`: misaligned and far addresses have none.
    #[inline(always)]
    pub fn slot(&self, index: usize) -> Option<Slot> {
        self.slots.get(index).copied()
    }

    /// Decodes the word at this index, or makes it slow where the debugger wants to be asked.
    pub fn decode_slot(&mut self, index: usize, quirks: Quirks, is_stop: bool) {
        let Some(bytes) = self.bytes.get(index * 8..index * 8 + 8).and_then(|bytes| bytes.try_into().ok())
        else {
            return;
        };
        let Some(slot) = self.slots.get_mut(index) else { return };
        *slot = if is_stop { Slot::SLOW } else { slots::decode(bytes, quirks) };
        if let Some(mark) = self.marks.get_mut(index * 8 / PAGE_BYTES) {
            *mark |= CODE;
        }
    }

    /// Forgets what is decoded at an address, after breakpoints have changed.
    pub fn forget(&mut self, address: u32) {
        if let Some(slot) = self.slots.get_mut(address.rotate_right(3) as usize) {
            *slot = Slot::UNDECODED;
        }
    }

    fn forget_page(&mut self, page: usize) {
        if page < RAM_PAGES && self.marks[page] & CODE != 0 {
            self.slots[page * PAGE_BYTES / 8..(page + 1) * PAGE_BYTES / 8].fill(Slot::UNDECODED);
            self.marks[page] &= !CODE;
        }
    }

    fn set_page(&mut self, page: usize, content: &Page) {
        self.forget_page(page);
        self.bytes[page * PAGE_BYTES..(page + 1) * PAGE_BYTES].copy_from_slice(content);
    }

    /// Empties main memory and both screens, and lays the image at address 0. The block store stays.
    pub fn reset(&mut self, image: &[u8]) {
        for page in 0..DISK_AT / PAGE_BYTES {
            self.forget_page(page);
            self.marks[page] |= DIRTY;
        }
        self.bytes[..DISK_AT].fill(0);
        self.bytes[..image.len()].copy_from_slice(image);
    }

    pub fn graphics(&self) -> &[u8] {
        &self.bytes[GRAPHICS_AT..GRAPHICS_AT + GRAPHICS_BYTES as usize]
    }

    pub fn text(&self) -> &[u8] {
        &self.bytes[TEXT_AT..TEXT_AT + TEXT_BYTES as usize]
    }

    pub fn disk(&self) -> &[u8] {
        &self.bytes[DISK_AT..DISK_AT + DISK_BYTES]
    }

    /// Replaces the start of the block store; what does not fit is left out.
    pub fn set_disk(&mut self, content: &[u8]) {
        let len = content.len().min(DISK_BYTES);
        self.bytes[DISK_AT..DISK_AT + len].copy_from_slice(&content[..len]);
        self.marks[DISK_AT / PAGE_BYTES..].fill(DIRTY);
    }

    /// Copies a block into main memory (`into_ram`) or back. `false` where either end does not exist.
    pub fn move_block(&mut self, number: u32, address: u32, into_ram: bool) -> bool {
        const LEN: usize = BLOCK_BYTES as usize;
        if number >= BLOCKS || address > RAM_BYTES - BLOCK_BYTES {
            return false;
        }
        let (disk, ram) = (DISK_AT + number as usize * LEN, address as usize);
        let (from, to) = if into_ram { (disk, ram) } else { (ram, disk) };
        self.bytes.copy_within(from..from + LEN, to);
        for place in (to..to + LEN).step_by(8) {
            self.touch(place, 8.min(to + LEN - place));
        }
        if to % 8 != 0 {
            self.touch(to + LEN - 8, 8);
        }
        true
    }

    /// Every page as it is now, sharing those that have not changed since the last time; and how many were copied.
    pub fn pages(&mut self) -> (Vec<Arc<Page>>, usize) {
        let mut copied = 0;
        for page in 0..PAGES {
            if self.marks[page] & DIRTY != 0 {
                let bytes = &self.bytes[page * PAGE_BYTES..(page + 1) * PAGE_BYTES];
                if let Ok(content) = bytes.try_into() {
                    self.base[page] = Arc::new(content);
                }
                self.marks[page] &= !DIRTY;
                copied += 1;
            }
        }
        (self.base.clone(), copied)
    }

    /// Goes back to pages that [`Memory::pages`] gave.
    pub fn restore(&mut self, pages: &[Arc<Page>]) {
        for (index, page) in pages.iter().enumerate().take(PAGES) {
            if self.marks[index] & DIRTY != 0 || !Arc::ptr_eq(&self.base[index], page) {
                self.set_page(index, page);
                self.base[index] = page.clone();
                self.marks[index] &= !DIRTY;
            }
        }
    }

    /// The pages that are not all zero, for a saved state.
    pub fn filled_pages(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.bytes.chunks(PAGE_BYTES).enumerate().filter(|(_, page)| page.iter().any(|&byte| byte != 0))
    }

    /// Lays one page from a saved state; `false` where there is no such page.
    pub fn load_page(&mut self, index: usize, content: &Page) -> bool {
        if index >= PAGES {
            return false;
        }
        self.set_page(index, content);
        self.marks[index] |= DIRTY;
        true
    }
}
