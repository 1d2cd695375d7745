//! The GPIO port: 32 outputs, 32 inputs, an interrupt when chosen inputs change (specification, section 8.7).

use crate::map::{GPIO_CHANGED, GPIO_INPUT, GPIO_MASK, GPIO_OUTPUT};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gpio {
    pub output: u32,
    pub input: u32,
    pub mask: u32,
    pub changed: u32,
}

impl Gpio {
    pub fn set_input(&mut self, levels: u32) {
        self.changed |= self.input ^ levels;
        self.input = levels;
    }

    /// A reset lets go of the outputs; the levels at the inputs are the world's.
    pub fn after_reset(&self) -> Self {
        Self { input: self.input, ..Self::default() }
    }

    pub fn is_pending(&self) -> bool {
        self.changed & self.mask != 0
    }

    pub fn read(&self, offset: u32) -> Option<u32> {
        Some(match offset {
            GPIO_OUTPUT => self.output,
            GPIO_INPUT => self.input,
            GPIO_MASK => self.mask,
            GPIO_CHANGED => self.changed,
            _ => return None,
        })
    }

    pub fn write(&mut self, offset: u32, value: u32) -> Option<()> {
        match offset {
            GPIO_OUTPUT => self.output = value,
            GPIO_INPUT => {}
            GPIO_MASK => self.mask = value,
            GPIO_CHANGED => self.changed &= !value,
            _ => return None,
        }
        Some(())
    }
}
