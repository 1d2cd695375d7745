//! Every call that takes a descriptor, made on every kind of descriptor: what it gives, grouped by result. Each call has a
//! process and descriptors of its own, so that none sees what another did.
#![expect(unsafe_code, reason = "no safe wrapper makes calls on descriptors of the wrong kind")]

mod calls;
mod kinds;
mod words;

use std::collections::BTreeMap;
use words::{COUNT, FD, Meanings};

fn main() {
    let wanted = std::env::args().nth(1);
    kinds::prepare();
    for (name, number, arguments) in calls::CALLS {
        if wanted.as_ref().is_some_and(|wanted| !name.contains(wanted.as_str())) {
            continue;
        }
        let status = guests::in_a_child(|| println!("{name}: {}", results(name, *number, arguments)));
        if status != 0 {
            println!("{name}: ended by {status:#x}");
        }
    }
    for fact in kinds::FACTS {
        guests::in_a_child(|| kinds::show(fact));
    }
}

/// Makes one call on all kinds: `RESULT KIND... | RESULT KIND...`.
fn results(name: &str, number: usize, arguments: &[usize; 6]) -> String {
    let mut scratch = kinds::Scratch::new();
    let mut by_result: BTreeMap<isize, Vec<&str>> = BTreeMap::new();
    let mut meanings = Meanings([0; COUNT]);
    let open = kinds::open();
    for (kind, descriptor) in &open {
        if calls::LEFT_OUT.contains(&(name, kind)) {
            continue;
        }
        scratch.fill(*descriptor, &mut meanings);
        meanings.set(FD, *descriptor as usize);
        // SAFETY: the process ends after this and has nothing to lose; addresses are of `scratch`.
        let result = unsafe { guests::call(number, arguments.map(|argument| meanings.of(argument))) };
        // Addresses and folders differ from run to run, and calls that poll say more in the argument.
        let result = match number {
            9 | 78 | 217 if result > 0 => 1,
            7 if result > 0 => scratch.polled(),
            _ => result,
        };
        by_result.entry(result).or_default().push(kind);
    }
    let groups = by_result.iter().map(|(result, kinds)| format!("{result} {}", kinds.join(" ")));
    groups.collect::<Vec<_>>().join(" | ")
}
