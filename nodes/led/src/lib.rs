//! The LED strip: three channels of software PWM, fades and effects.
//!
//! A portable core without I/O. [`Strip::step`] says which colour shows at a time; [`duty`] says, for a board without
//! hardware PWM, how long each channel stays on in the timer period that follows.
//!
//! Invariants: the strip is dark at boot; the colour at a time depends only on the last command and the time since, so a
//! late tick makes no drift.
#![no_std]
#![forbid(unsafe_code)]

use wire::led::{Colour, Command, Effect, Report};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Tick,
    Connected,
    Command(Command),
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// What the three channels show.
    pub show: Colour,
    pub report: Option<Report>,
}

#[derive(Clone, Copy, Debug)]
struct Fade {
    from: Colour,
    since_ms: u64,
    over_ms: u64,
}

/// The state of one strip.
#[derive(Clone, Debug, Default)]
pub struct Strip {
    /// The colour that was asked for; a fade is on its way to it.
    target: Colour,
    fade: Option<Fade>,
    effect: Effect,
    effect_since_ms: u64,
    period_ms: u64,
}

impl Strip {
    /// Takes one input; call it with [`Input::Tick`] each 20 ms or so while a fade or an effect runs.
    pub fn step(&mut self, now_ms: u64, input: Input) -> Output {
        let fade_ended = self.fade.is_some_and(|f| now_ms.saturating_sub(f.since_ms) >= f.over_ms);
        if fade_ended {
            self.fade = None;
        }
        match input {
            Input::Command(Command::Set(colour)) => {
                (self.target, self.fade, self.effect) = (colour, None, Effect::None);
            }
            Input::Command(Command::Fade { to, over_ms }) => {
                let from = self.shown(now_ms);
                self.effect = Effect::None;
                self.fade =
                    Some(Fade { from, since_ms: now_ms, over_ms: over_ms.into() }).filter(|f| f.over_ms > 0);
                self.target = to;
            }
            Input::Command(Command::Effect { effect, period_ms }) => {
                self.fade = None;
                (self.effect, self.effect_since_ms, self.period_ms) =
                    (effect, now_ms, u64::from(period_ms.max(1)));
            }
            Input::Command(Command::Report) | Input::Tick | Input::Connected => {}
        }
        let show = self.shown(now_ms);
        let report = (fade_ended || input != Input::Tick).then_some(Report {
            colour: if self.effect == Effect::None { show } else { self.target },
            effect: self.effect,
        });
        Output { show, report }
    }

    fn shown(&self, now_ms: u64) -> Colour {
        if let Some(fade) = self.fade {
            let done = now_ms.saturating_sub(fade.since_ms).min(fade.over_ms);
            return mix(fade.from, self.target, done, fade.over_ms);
        }
        let into = now_ms.saturating_sub(self.effect_since_ms) % self.period_ms.max(1);
        let half = (self.period_ms / 2).max(1);
        match self.effect {
            Effect::None => self.target,
            Effect::Blink if into < half => self.target,
            Effect::Blink => Colour::default(),
            Effect::Breathe => {
                let up = if into < half { into } else { self.period_ms - into };
                mix(Colour::default(), self.target, up.min(half), half)
            }
            Effect::Rainbow => wheel(into * 768 / self.period_ms.max(1)),
        }
    }
}

/// `from` at 0, `to` at `whole` (which is not 0).
fn mix(from: Colour, to: Colour, part: u64, whole: u64) -> Colour {
    let channel =
        |a: u8, b: u8| ((u64::from(a) * (whole - part) + u64::from(b) * part + whole / 2) / whole) as u8;
    Colour {
        red: channel(from.red, to.red),
        green: channel(from.green, to.green),
        blue: channel(from.blue, to.blue),
    }
}

/// The colour wheel: red at 0, green at 256, blue at 512, red again at 768.
fn wheel(at: u64) -> Colour {
    let up = (at % 256) as u8;
    let down = 255 - up;
    match at / 256 {
        0 => Colour { red: down, green: up, blue: 0 },
        1 => Colour { red: 0, green: down, blue: up },
        _ => Colour { red: up, green: 0, blue: down },
    }
}

/// How many timer ticks of a period each channel is on, brightness squared, as the eye sees it.
pub fn duty(colour: Colour, period_ticks: u16) -> [u16; 3] {
    let ticks =
        |level: u8| (u32::from(level) * u32::from(level) * u32::from(period_ticks) / (255 * 255)) as u16;
    [ticks(colour.red), ticks(colour.green), ticks(colour.blue)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: Colour = Colour { red: 200, green: 0, blue: 0 };

    #[test]
    fn the_strip_is_dark_at_boot() {
        assert_eq!(Strip::default().step(5, Input::Tick), Output { show: Colour::default(), report: None });
    }

    #[test]
    fn a_fade_is_halfway_at_half_its_time_and_reports_its_end() {
        let mut strip = Strip::default();
        strip.step(100, Input::Command(Command::Fade { to: RED, over_ms: 1000 }));
        assert_eq!(strip.step(600, Input::Tick).show.red, 100);
        let end = strip.step(1_250, Input::Tick);
        assert_eq!((end.show, end.report.map(|r| r.colour)), (RED, Some(RED)));
        assert_eq!(strip.step(1_300, Input::Tick).report, None);
    }

    #[test]
    fn a_new_fade_starts_from_what_shows() {
        let mut strip = Strip::default();
        strip.step(0, Input::Command(Command::Fade { to: RED, over_ms: 1000 }));
        strip.step(500, Input::Command(Command::Fade { to: Colour::default(), over_ms: 1000 }));
        assert_eq!(strip.step(1_000, Input::Tick).show.red, 50);
    }

    #[test]
    fn effects_return_to_where_they_began_after_a_period() {
        for effect in [Effect::Blink, Effect::Breathe, Effect::Rainbow] {
            let mut strip = Strip::default();
            strip.step(0, Input::Command(Command::Set(RED)));
            let first = strip.step(10, Input::Command(Command::Effect { effect, period_ms: 600 })).show;
            assert_ne!(strip.step(10 + 300, Input::Tick).show, first, "{effect:?}");
            assert_eq!(strip.step(10 + 1200, Input::Tick).show, first, "{effect:?}");
            strip.step(2_000, Input::Command(Command::Set(RED)));
            assert_eq!(strip.step(2_300, Input::Tick).show, RED);
        }
    }

    #[test]
    fn a_zero_period_or_fade_does_no_harm() {
        let mut strip = Strip::default();
        strip.step(0, Input::Command(Command::Effect { effect: Effect::Rainbow, period_ms: 0 }));
        strip.step(1, Input::Tick);
        assert_eq!(strip.step(2, Input::Command(Command::Fade { to: RED, over_ms: 0 })).show, RED);
    }

    #[test]
    fn duty_spans_the_whole_period() {
        assert_eq!(duty(Colour { red: 255, green: 0, blue: 128 }, 1000), [1000, 0, 251]);
    }
}
