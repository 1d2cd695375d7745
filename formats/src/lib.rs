//! Byte formats as pure, safe code: what firmware, boot loaders, linkers and archivers leave behind.
//!
//! Whoever reads a format brings the bytes; nothing here does I/O, keeps state or knows the kernel.
//!
//! Invariants:
//! - Every reader is total: on any bytes it returns a value or an error, never panics, never
//!   overflows, and its work is bounded by the length of what it was given.
//! - What the kernel reads before it has a heap (boot descriptions, ACPI, the MP table, symbols, ELF
//!   program headers, cpio) is read without allocation.
//! - What one part writes (cpio, symbols) another part reads back: the tests go the round.
//!
//! Neighbours: the kernel on one side, the host's build tools on the other. Start with [`bytes`],
//! which all readers stand on, then the format at hand.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod acpi;
pub mod boot;
pub mod bytes;
pub mod cpio;
pub mod elf;
pub mod gzip;
pub mod mptable;
pub mod symbols;
