//! What JavaScript calls.

use crate::workbench::Workbench;
use wasm_bindgen::prelude::wasm_bindgen;

/// One workbench.
#[wasm_bindgen]
#[derive(Default)]
pub struct Bench {
    workbench: Workbench,
}

#[wasm_bindgen]
impl Bench {
    /// A workbench with an empty program.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a request in JSON.
    pub fn request(&mut self, json: &str) -> String {
        self.workbench.request(json)
    }

    /// Pursues the goal for about this many cycles; gives how many have passed, negative once it has stopped.
    pub fn advance(&mut self, cycles: u32) -> f64 {
        self.workbench.advance(u64::from(cycles))
    }

    /// The pixels of the graphics screen: 320x200, four bytes each.
    pub fn pixels(&self) -> Vec<u8> {
        self.workbench.pixels().to_vec()
    }

    /// The image of the program that was assembled last.
    pub fn image(&self) -> Vec<u8> {
        self.workbench.image().to_vec()
    }

    /// Takes an image; gives a source that assembles to it.
    pub fn disassemble(&self, image: &[u8]) -> String {
        soc_assembler::disassemble(image, &soc_assembler::Symbols::default())
    }

    /// Replays a recording; gives the checksum of the state at its end, or why there is none.
    pub fn replay(&self, recording: &[u8]) -> String {
        crate::workbench::replay(recording).unwrap_or_else(|reason| reason)
    }
}
