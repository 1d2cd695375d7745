//! Frames, the heap and kernel stacks: exhaustion, return, counts.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use machine::address::PAGE_SIZE;
use machine::failure::{self, Plan};
use machine::frame::{self, Frame, OutOfMemory, Owner};
use machine::heap::RESERVE_FRAMES;
use machine::task::Task;
use machine_tests::expect;

#[cfg(target_os = "none")]
machine::entry!(main);

fn main() {
    machine_tests::run(&[
        ("a_new_frame_is_zero_and_a_dirty_one_keeps_its_bytes", zeroing),
        ("every_frame_can_be_had_once_and_comes_back", exhaustion),
        ("the_heap_finds_frames_that_lie_ready_on_a_processor", ready),
        ("a_small_machine_has_heap_enough_for_growing_vectors", vectors),
        ("objects_of_all_sizes_do_not_overlap", objects),
        ("stacks_come_back", stacks),
        ("an_injected_failure_happens_once", injection),
    ]);
}

fn free() -> usize {
    machine::heap::trim();
    frame::count(Owner::Free)
}

fn zeroing() -> Result<(), String> {
    let mut bytes = [1; 16];
    let frame = Frame::new(Owner::User).map_err(|error| alloc::format!("{error}"))?;
    frame.read(PAGE_SIZE - 16, &mut bytes);
    expect("new bytes", bytes, [0; 16])?;
    frame.write(100, &[7; 16]);
    let copy = Frame::new_dirty(Owner::User).map_err(|error| alloc::format!("{error}"))?;
    copy.copy_from(&frame);
    copy.read(100, &mut bytes);
    expect("copied bytes", bytes, [7; 16])?;
    expect("bytes past the end", copy.write(PAGE_SIZE - 3, &[1; 16]), 3)
}

fn exhaustion() -> Result<(), String> {
    let before = free();
    // The list itself takes memory: it is made first, in one piece too large to move.
    let mut frames = VecDeque::new();
    frames.try_reserve_exact(before).map_err(|error| alloc::format!("{error}"))?;
    let room = free();
    while let Ok(frame) = Frame::new_dirty(Owner::User) {
        frame.set_place(frames.len() as u64, 1);
        frames.push_back(frame);
    }
    // The rest is the heap's.
    expect("free when none can be had", frame::count(Owner::Free), RESERVE_FRAMES)?;
    expect("frames had", frames.len(), room - RESERVE_FRAMES)?;
    for (index, frame) in frames.iter().enumerate() {
        expect("a frame is had once", frame.place(), (index as u64, 1))?;
    }
    drop(frames);
    expect("free afterwards", free(), before)
}

/// Frames that a processor has just been given back are in its cache, out of the common lists.
fn ready() -> Result<(), String> {
    const READY: usize = 32;
    let before = free();
    let mut blocks = Vec::new();
    blocks.try_reserve_exact(before).map_err(|error| alloc::format!("{error}"))?;
    let mut frames = Vec::with_capacity(READY);
    for _ in 0..READY {
        frames.push(Frame::new_dirty(Owner::User).map_err(|error| alloc::format!("{error}"))?);
    }
    let mut take_all = || {
        let taken = blocks.len();
        loop {
            let mut block = Vec::<u8>::new();
            if block.try_reserve_exact(PAGE_SIZE).is_err() {
                return blocks.len() - taken;
            }
            blocks.push(block);
        }
    };
    take_all();
    frames.clear();
    expect("frames for the heap", take_all(), READY)?;
    drop(blocks);
    drop(frames);
    expect("free afterwards", free(), before)
}

fn vectors() -> Result<(), String> {
    let before = free();
    let mut bytes = Vec::new();
    let most = loop {
        let len = bytes.len();
        if bytes.try_reserve(len + 1).is_err() {
            break len;
        }
        bytes.resize(len * 2 + 1, len as u8);
    };
    // Byte n was written when the length grew from 2^k - 1 to 2^(k+1) - 1, with n + 1 in between.
    let length_before = |at: usize| (at + 2).next_power_of_two() / 2 - 1;
    let is_right = bytes.iter().enumerate().all(|(at, &byte)| byte == length_before(at) as u8);
    drop(bytes);
    expect("grown to a MiB at least", most > 1 << 20, true)?;
    expect("bytes kept", is_right, true)?;
    expect("free afterwards", free(), before)
}

fn objects() -> Result<(), String> {
    let before = free();
    let mut kept: Vec<Box<[u8]>> = Vec::new();
    for round in 0..2000_usize {
        let len = 1 + round * 7919 % 5000;
        kept.push(alloc::vec![round as u8; len].into_boxed_slice());
        if round % 3 == 2 {
            let gone = kept.swap_remove(round * 31 % kept.len());
            expect("bytes of an object", gone.iter().all(|&byte| byte == gone[0]), true)?;
        }
    }
    for object in &kept {
        expect("bytes of an object", object.iter().all(|&byte| byte == object[0]), true)?;
    }
    drop(kept);
    expect("free afterwards", free(), before)
}

fn stacks() -> Result<(), String> {
    let make = || -> Result<Vec<Task>, OutOfMemory> { (0..200).map(|_| Task::new(|| {}, None)).collect() };
    // The tables of the area are made once.
    drop(make());
    let before = free();
    for _ in 0..5 {
        let stacks = make().map_err(|error| alloc::format!("{error}"))?;
        expect("frames of stacks", frame::count(Owner::Stack) >= 200 * 4, true)?;
        drop(stacks);
    }
    expect("free afterwards", free(), before)
}

fn injection() -> Result<(), String> {
    failure::plan(Plan::After(2));
    let results = [(); 4].map(|()| Frame::new(Owner::User).is_ok());
    expect("which failed", results, [true, true, false, true])
}
