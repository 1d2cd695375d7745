//! Software PWM: a one-shot timer that wakes only where a channel changes, at most four times a period.

use core::cell::RefCell;
use critical_section::Mutex;
use esp_hal::Blocking;
use esp_hal::gpio::Output;
use esp_hal::handler;
use esp_hal::peripherals::SYSTIMER;
use esp_hal::time::Duration;
use esp_hal::timer::OneShotTimer;
use esp_hal::timer::systimer::SystemTimer;

/// Microseconds of a period: 200 Hz do not flicker.
pub const PERIOD_US: u16 = 5_000;
/// Edges that are nearer than this are one: the interrupt itself takes its time.
const NEAR_US: u16 = 20;

static PWM: Mutex<RefCell<Option<Pwm>>> = Mutex::new(RefCell::new(None));

struct Pwm {
    timer: OneShotTimer<'static, Blocking>,
    channels: [Output<'static>; 3],
    /// What the next period shows, and what this one does: microseconds that each channel is on.
    wanted: [u16; 3],
    on_us: [u16; 3],
    at_us: u16,
}

impl Pwm {
    /// Sets the channels as they are at this place of the period and schedules the next change.
    fn edge(&mut self) {
        self.timer.clear_interrupt();
        if self.at_us >= PERIOD_US {
            (self.at_us, self.on_us) = (0, self.wanted);
        }
        let mut next_us = PERIOD_US;
        for (channel, on_us) in self.channels.iter_mut().zip(self.on_us) {
            let is_on = on_us > self.at_us;
            // The MOSFETs conduct while their gates are high.
            channel.set_level(is_on.into());
            if is_on {
                next_us = next_us.min(on_us.max(self.at_us + NEAR_US));
            }
        }
        let pause = Duration::from_micros(u64::from(next_us - self.at_us));
        self.at_us = next_us;
        // The timer takes any pause of a few milliseconds.
        let _ = self.timer.schedule(pause);
    }
}

/// Starts with all channels dark.
pub fn start(timer: SYSTIMER<'static>, channels: [Output<'static>; 3]) {
    let mut timer = OneShotTimer::new(SystemTimer::new(timer).alarm0);
    timer.set_interrupt_handler(edge);
    timer.listen();
    let mut pwm = Pwm { timer, channels, wanted: [0; 3], on_us: [0; 3], at_us: PERIOD_US };
    critical_section::with(|section| {
        pwm.edge();
        PWM.borrow_ref_mut(section).replace(pwm);
    });
}

/// How long each channel is on, from the next period on.
pub fn show(on_us: [u16; 3]) {
    critical_section::with(|section| {
        if let Some(pwm) = PWM.borrow_ref_mut(section).as_mut() {
            pwm.wanted = on_us;
        }
    });
}

#[handler]
fn edge() {
    critical_section::with(|section| {
        if let Some(pwm) = PWM.borrow_ref_mut(section).as_mut() {
            pwm.edge();
        }
    });
}
