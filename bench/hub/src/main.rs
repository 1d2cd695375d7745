//! Measures a hub as a program of its own, and Home Assistant beside it: `hub-bench PATH-TO-HUB [HOME-ASSISTANT]`, the latter a
//! virtual environment in which it is installed.
//!
//! Start to the first HTTP answer (median), resident memory idle, with 1,000 entities and after a million events, events per
//! second to four WebSocket subscribers with storage on, and the latency at 1,000 events per second. The answer is a page of
//! documentation.

mod home_assistant;
mod hub;
mod listen;

use home_assistant::Installed;
use hub::Hub;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What may go wrong is only told.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long a program is left alone before its idle memory is read.
const IDLE: Duration = Duration::from_secs(2);
/// Events of the hub's throughput.
const EVENTS: u64 = 1_000_000;
/// Home Assistant is given fewer: it would take minutes, and its rate does not depend on the number.
const FEWER_EVENTS: u64 = 50_000;
/// Events of the latency, ten seconds of them.
const PACED: (u64, u64) = (10_000, 1_000);

/// What is measured of each.
#[derive(Debug, Default)]
struct Figures {
    start_ms: f64,
    idle_mib: f64,
    entities_mib: f64,
    per_second: f64,
    after_mib: f64,
    p99_ms: f64,
    missed: u64,
    version: String,
}

/// Resident memory of a process.
///
/// # Errors
/// It has ended.
pub fn memory_mib(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse::<f64>()? / 1024.0)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let program = arguments.next().ok_or("which hub? hub-bench PATH-TO-HUB [HOME-ASSISTANT]")?;
    let scratch = std::env::temp_dir().join(format!("hub-bench-{}", std::process::id()));
    let maximum = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit { current: maximum, maximum },
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let hub = runtime.block_on(measure_hub(&program, &scratch))?;
    let other = match arguments.next() {
        Some(environment) => measure_home_assistant(&environment, &scratch),
        None => Err("it is not installed".into()),
    };
    let _ = std::fs::remove_dir_all(&scratch);
    print(&program, &load, &hub, &other)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1e3
}

async fn measure_hub(program: &Path, scratch: &Path) -> Result<Figures> {
    let mut starts = Vec::new();
    for round in 0..10 {
        let started = Instant::now();
        let hub = Hub::start(program, &scratch.join(round.to_string()))?;
        hub.ask("GET", "/api/health", "")?;
        starts.push(started.elapsed());
    }
    let mut figures = Figures { start_ms: median(starts), ..Figures::default() };
    let hub = Hub::start(program, &scratch.join("hub"))?;
    tokio::time::sleep(IDLE).await;
    figures.idle_mib = hub.memory_mib()?;
    let nodes = hub.furnish().await?;
    figures.entities_mib = hub.memory_mib()?;
    drop(nodes);
    let rate = hub.carry(EVENTS, None)?;
    (figures.per_second, figures.missed) = (rate.per_second, rate.missed);
    figures.after_mib = hub.memory_mib()?;
    figures.p99_ms = hub.carry(PACED.0, Some(PACED.1))?.p99_ms;
    Ok(figures)
}

fn measure_home_assistant(environment: &Path, scratch: &Path) -> Result<Figures> {
    let plain = Installed::new(environment, &scratch.join("plain"), false)?;
    // The first start installs, and makes its database.
    drop(plain.start()?);
    let mut starts = Vec::new();
    for _ in 0..3 {
        let started = Instant::now();
        let running = plain.start()?;
        starts.push(started.elapsed());
        drop(running);
    }
    let mut figures = Figures { start_ms: median(starts), version: plain.version()?, ..Figures::default() };
    let running = plain.start()?;
    std::thread::sleep(IDLE);
    figures.idle_mib = running.memory_mib()?;
    drop(running);
    let running = Installed::new(environment, &scratch.join("full"), true)?.start()?;
    std::thread::sleep(IDLE);
    figures.entities_mib = running.memory_mib()?;
    figures.per_second = running.carry(FEWER_EVENTS, None)?.per_second;
    figures.after_mib = running.memory_mib()?;
    figures.p99_ms = running.carry(PACED.0, Some(PACED.1))?.p99_ms;
    Ok(figures)
}

fn print(program: &Path, load: &str, hub: &Figures, other: &Result<Figures>) -> Result<()> {
    let size_mb = std::fs::metadata(program)?.len() as f64 / 1e6;
    let none = Figures::default();
    let theirs = other.as_ref().unwrap_or(&none);
    println!("# The hub\n");
    let version = &theirs.version;
    println!(
        "`./hob bench hub`: the hub as it is shipped, one static file of {size_mb:.1} MB without any C, and Home\n\
         Assistant {version} (package `homeassistant` of PyPI; HTTP, WebSocket and recorder) after it on the same machine.\n"
    );
    println!("| measure | aim | hub | Home Assistant |\n|---|---|---|---|");
    let told = |value: f64, unit: &str, digits: usize| match unit {
        "" => grouped(value.round() as u64),
        unit => format!("{value:.digits$} {unit}"),
    };
    let row = |measure: &str, aim: &str, unit: &str, digits: usize, of: fn(&Figures) -> f64| {
        let their = match other {
            Ok(_) => told(of(theirs), unit, digits),
            Err(_) => "not measured".into(),
        };
        let aim = if aim.is_empty() { "|".to_string() } else { format!("| {aim} |") };
        println!("| {measure} {aim} {} | {their} |", told(of(hub), unit, digits));
    };
    row("start to first HTTP answer, median", "under 100 ms", "ms", 1, |f| f.start_ms);
    row("memory idle", "", "MiB", 1, |f| f.idle_mib);
    row("memory with 1,000 entities", "under 32 MB", "MiB", 1, |f| f.entities_mib);
    row("events per second, to 4 WebSocket subscribers, stored", "over 50,000", "", 0, |f| f.per_second);
    row("memory after these events (hub: a million)", "", "MiB", 1, |f| f.after_mib);
    row("p99 latency at 1,000 events per second", "", "ms", 2, |f| f.p99_ms);
    if let Err(reason) = other {
        println!("\nHome Assistant was not measured: {reason}.");
    } else {
        println!(
            "\nThe hub carries {:.1} times as many events as Home Assistant; the aim is 20 times.",
            hub.per_second / theirs.per_second
        );
    }
    println!(
        "\nThe hub's events come over two HTTP connections, 500 a request, each request acknowledged when its events are on the\n\
         disk; Home Assistant's over one WebSocket, 200 on their way at a time. Subscribers were told of {} events that they\n\
         missed. Other programs ran at the same time; the load average before was {}.",
        hub.missed,
        load.split_whitespace().next().unwrap_or("not known")
    );
    Ok(())
}

/// `number` with a comma between groups of three digits.
fn grouped(number: u64) -> String {
    let (rest, last) = (number / 1000, number % 1000);
    if rest == 0 { last.to_string() } else { format!("{},{last:03}", grouped(rest)) }
}
