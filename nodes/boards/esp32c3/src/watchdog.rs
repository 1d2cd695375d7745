//! The watchdog: a node that hangs is reset, and its outputs are safe again.

use esp_hal::peripherals::TIMG1;
use esp_hal::timer::timg::{MwdtStage, TimerGroup, Wdt};

/// A node that hangs for so long is reset.
const RESET_AFTER_S: u64 = 8;

/// Runs from its making.
pub struct Watchdog(Wdt<TIMG1<'static>>);

impl Watchdog {
    /// Starts the watchdog.
    pub fn start(group: TIMG1<'static>) -> Watchdog {
        let mut timer = TimerGroup::new(group).wdt;
        timer.set_timeout(MwdtStage::Stage0, esp_hal::time::Duration::from_secs(RESET_AFTER_S));
        timer.enable();
        Watchdog(timer)
    }

    /// The node lives.
    pub fn feed(&mut self) {
        self.0.feed();
    }
}
