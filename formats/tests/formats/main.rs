//! Every format: what good bytes mean, what wrong ones are refused for, and that no bytes at all can
//! break a reader.

mod acpi;
mod boot;
mod cpio;
mod elf;
mod gzip;
mod mptable;
mod shared_object;
mod support;
mod symbols;
