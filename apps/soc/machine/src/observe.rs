//! Who watches a machine at work: watchpoints, traces and profiles.

/// Is told what each step does; used by the debugger, never by plain execution.
pub trait Observer {
    /// An instruction is about to be executed at this address, whether or not its condition holds.
    fn fetched(&mut self, _address: u32) {}
    /// The program has read this many bytes here.
    fn loaded(&mut self, _address: u32, _bytes: u32) {}
    /// The program has written this many bytes here.
    fn stored(&mut self, _address: u32, _bytes: u32) {}
    /// Asked after each step: shall the machine stop here?
    fn wants_stop(&self) -> bool {
        false
    }
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}
