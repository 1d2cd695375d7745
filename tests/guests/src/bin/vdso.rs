//! The vDSO: found by the auxiliary vector, its functions say what the calls of their names say, and time goes back for nobody.
#![expect(unsafe_code, reason = "the functions of the vDSO are found as addresses")]

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::arch::asm;
use std::fs;
use std::sync::Mutex;
use std::thread;

const SYS_GETTIMEOFDAY: usize = 96;
const SYS_TIME: usize = 201;
const SYS_CLOCK_GETTIME: usize = 228;
const SYS_CLOCK_GETRES: usize = 229;
const AT_SYSINFO_EHDR: u64 = 33;
const ROUNDS: usize = 200;

/// Seconds and nanoseconds, or microseconds.
type Time = [i64; 2];
type ClockFunction = extern "C" fn(i32, *mut Time) -> i32;
type DayFunction = extern "C" fn(*mut Time, *mut [i32; 2]) -> i32;
type TimeFunction = extern "C" fn(*mut i64) -> i64;
type ProcessorFunction = extern "C" fn(*mut u32, *mut u32, usize) -> i32;

/// Makes a call of two arguments.
fn call(number: usize, first: usize, second: usize) -> isize {
    let result: isize;
    // SAFETY: the calls below write to memory that their callers own, or to nothing.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") first, in("rsi") second,
             lateout("rcx") _, lateout("r11") _);
    }
    result
}

/// The shared object in memory.
#[derive(Clone, Copy)]
struct Object {
    start: usize,
    len: usize,
}

impl Object {
    /// The object that the auxiliary vector leads to, as far as the area around it goes.
    fn find() -> Option<Self> {
        let vector = fs::read("/proc/self/auxv").ok()?;
        let words: Vec<u64> = vector.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word)).collect();
        let start = words.chunks(2).find(|entry| entry[0] == AT_SYSINFO_EHDR)?[1] as usize;
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        let line = maps.lines().find(|line| line.starts_with(&format!("{start:08x}-")))?;
        let mut words = line.split_whitespace();
        let end = usize::from_str_radix(words.next()?.split_once('-')?.1, 16).ok()?;
        println!("rights {}, name {}", words.next()?, words.next_back()?);
        Some(Self { start, len: end - start })
    }

    fn bytes(&self, at: usize, len: usize) -> &[u8] {
        assert!(at + len <= self.len, "the object refers to what lies outside");
        // SAFETY: the area was in /proc/self/maps as readable, nothing unmaps it, and nothing in it changes.
        unsafe { std::slice::from_raw_parts((self.start + at) as *const u8, len) }
    }

    fn number(&self, at: usize, len: usize) -> usize {
        self.bytes(at, len).iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    fn name(&self, at: usize) -> String {
        (at..).map(|at| self.bytes(at, 1)[0]).take_while(|byte| *byte != 0).map(char::from).collect()
    }

    /// The value of an entry of the dynamic section.
    fn dynamic(&self, tag: usize) -> Option<usize> {
        let segments = (0..self.number(56, 2)).map(|index| 64 + index * 56);
        let start = segments.filter(|at| self.number(*at, 4) == 2).map(|at| self.number(at + 8, 8)).next()?;
        (start..)
            .step_by(16)
            .map(|at| (self.number(at, 8), self.number(at + 8, 8)))
            .take_while(|(tag, _)| *tag != 0)
            .find(|(found, _)| *found == tag)
            .map(|(_, value)| value)
    }

    /// The name of the version with this index.
    fn version(&self, index: usize) -> Option<String> {
        let mut at = self.dynamic(0x6fff_fffc)?;
        for _ in 0..self.dynamic(0x6fff_fffd)? {
            if self.number(at + 4, 2) == index {
                let name = self.number(at + self.number(at + 12, 4), 4);
                return Some(self.name(self.dynamic(5)? + name));
            }
            at += self.number(at + 16, 4);
        }
        None
    }

    /// The address of a function, with its version.
    fn function(&self, wanted: &str) -> Option<(usize, String)> {
        let (names, symbols) = (self.dynamic(5)?, self.dynamic(6)?);
        let hash = self.dynamic(4)?;
        let count = self.number(hash + 4, 4);
        let index = (1..count).find(|index| {
            let at = symbols + index * 24;
            self.number(at + 6, 2) != 0 && self.name(names + self.number(at, 4)) == wanted
        })?;
        let version = self.number(self.dynamic(0x6fff_fff0)? + index * 2, 2);
        Some((self.start + self.number(symbols + index * 24 + 8, 8), self.version(version)?))
    }
}

/// Whether three times stand in order.
fn is_between(before: Time, inside: Time, after: Time) -> bool {
    before <= inside && inside <= after
}

fn clocks(gettime: ClockFunction) {
    for clock in [0, 1, 2, 3, 4, 5, 6, 7, 11] {
        let ask = |clock: i32| {
            let mut time = [0; 2];
            let result = call(SYS_CLOCK_GETTIME, clock as usize, (&raw mut time) as usize);
            (result, time)
        };
        let (mut in_order, mut whole) = (0, 0);
        for _ in 0..ROUNDS {
            let (_, before) = ask(clock);
            let mut time = [-1; 2];
            let result = gettime(clock, &mut time);
            let (_, after) = ask(clock);
            in_order += usize::from(result == 0 && is_between(before, time, after));
            whole += usize::from((0..1_000_000_000).contains(&time[1]));
        }
        println!("clock {clock}: {in_order} of {ROUNDS} between two calls, {whole} whole");
    }
    for clock in [10, 12, 31, 32, 100, i32::MAX, i32::MIN, -1] {
        let mut time = [-1; 2];
        let result = gettime(clock, &mut time);
        println!(
            "clock {clock}: {result}, {}",
            call(SYS_CLOCK_GETTIME, clock as usize, (&raw mut time) as usize)
        );
    }
}

fn resolutions(getres: ClockFunction) {
    for clock in [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 100, -1] {
        let (mut here, mut there) = ([-1; 2], [-1; 2]);
        let results = (
            getres(clock, &mut here) as isize,
            call(SYS_CLOCK_GETRES, clock as usize, (&raw mut there) as usize),
        );
        let of_null =
            (getres(clock, std::ptr::null_mut()) as isize, call(SYS_CLOCK_GETRES, clock as usize, 0));
        println!("resolution {clock}: {results:?} {} {of_null:?}", here == there);
    }
}

fn time_of_day(gettimeofday: DayFunction, time: TimeFunction) {
    let (mut in_order, mut seconds_in_order) = (0, 0);
    for _ in 0..ROUNDS {
        let (mut before, mut inside, mut after) = ([0; 2], [0; 2], [0; 2]);
        let mut zone = [-1; 2];
        call(SYS_GETTIMEOFDAY, (&raw mut before) as usize, 0);
        let result = gettimeofday(&mut inside, &mut zone);
        call(SYS_GETTIMEOFDAY, (&raw mut after) as usize, 0);
        in_order += usize::from(result == 0 && is_between(before, inside, after) && zone == [0, 0]);
        let mut told = -1;
        let (before, now, after) = (call(SYS_TIME, 0, 0), time(&mut told), call(SYS_TIME, 0, 0));
        seconds_in_order += usize::from(before as i64 <= now && now <= after as i64 && told == now);
    }
    println!("gettimeofday: {in_order} of {ROUNDS}, time: {seconds_in_order}");
    println!("without places: {} {}", gettimeofday(std::ptr::null_mut(), std::ptr::null_mut()), {
        time(std::ptr::null_mut()) > 0
    });
}

/// The processor's number is that of the one processor that a thread is tied to.
fn processors(getcpu: ProcessorFunction) {
    let all = sched_getaffinity(None).expect("there is an affinity");
    let mut wrong = 0;
    for number in (0..CpuSet::MAX_CPU).filter(|number| all.is_set(*number)) {
        let mut only = CpuSet::new();
        only.set(number);
        sched_setaffinity(None, &only).expect("this processor is allowed");
        let (mut processor, mut node) = (u32::MAX, u32::MAX);
        let result = getcpu(&mut processor, &mut node, 0);
        wrong += usize::from(result != 0 || processor as usize != number || node != 0);
    }
    sched_setaffinity(None, &all).expect("it was allowed before");
    println!("getcpu: {wrong} wrong, {}", getcpu(std::ptr::null_mut(), std::ptr::null_mut(), 0));
}

/// Each processor's thread in turn looks whether its time is behind what another has seen.
fn nobody_goes_back(gettime: ClockFunction) {
    let all = sched_getaffinity(None).expect("there is an affinity");
    let latest = Mutex::new(([0; 2], 0));
    thread::scope(|scope| {
        for number in (0..CpuSet::MAX_CPU).filter(|number| all.is_set(*number)) {
            let latest = &latest;
            scope.spawn(move || {
                let mut only = CpuSet::new();
                only.set(number);
                sched_setaffinity(None, &only).expect("this processor is allowed");
                for _ in 0..5000 {
                    let mut latest = latest.lock().expect("nobody panics");
                    let mut now = [0; 2];
                    gettime(1, &mut now);
                    latest.1 += usize::from(now < latest.0);
                    latest.0 = now;
                }
            });
        }
    });
    println!("steps back: {}", latest.into_inner().expect("nobody panics").1);
}

fn main() {
    let Some(object) = Object::find() else {
        println!("there is no vDSO");
        return;
    };
    let find = |name: &str| {
        let (address, version) = object.function(name)?;
        println!("{name} {version}");
        Some(address)
    };
    let names = ["clock_gettime", "gettimeofday", "time", "clock_getres", "getcpu"];
    let found = names.map(|name| find(&format!("__vdso_{name}")));
    let weak = names.map(|name| object.function(name).map(|(address, _)| address));
    println!("also by their plain names: {}", found == weak);
    let [Some(gettime), Some(gettimeofday), Some(time), Some(getres), Some(getcpu)] = found else { return };
    // SAFETY: the vDSO's functions are what vdso(7) says that they are.
    unsafe {
        let gettime = std::mem::transmute::<usize, ClockFunction>(gettime);
        clocks(gettime);
        resolutions(std::mem::transmute::<usize, ClockFunction>(getres));
        time_of_day(
            std::mem::transmute::<usize, DayFunction>(gettimeofday),
            std::mem::transmute::<usize, TimeFunction>(time),
        );
        processors(std::mem::transmute::<usize, ProcessorFunction>(getcpu));
        nobody_goes_back(gettime);
    }
}
