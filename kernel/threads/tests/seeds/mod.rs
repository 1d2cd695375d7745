//! Running one test body under many seeds, a process each.

use std::process::Command;
use std::time::Duration;

/// How long one run may take, many times what it needs.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `body` on machines of `cpus` processors with the seeds 0 to `seeds`. `SEED=n` (and `CPUS=n`, for a
/// test of several numbers) in the environment runs just that one, for a failure to be looked into;
/// `SEEDS=n` tries n times as many.
pub fn over_seeds(cpus: usize, seeds: u64, body: fn()) {
    if let Ok(seed) = std::env::var("SEED") {
        if std::env::var("CPUS").is_ok_and(|wanted| wanted != cpus.to_string()) {
            return;
        }
        let seed = seed.parse().expect("SEED is a number");
        // A run in which everybody yields for ever is stopped from outside.
        std::thread::spawn(|| {
            std::thread::sleep(LIMIT);
            eprintln!("the run did not end");
            std::process::abort();
        });
        threads::hosted::run(cpus, seed, body);
        return;
    }
    let name = std::thread::current().name().expect("a test has a name").to_owned();
    let program = std::env::current_exe().expect("a test knows its program");
    let times = std::env::var("SEEDS").map_or(1, |times| times.parse().expect("SEEDS is a number"));
    for seed in 0..seeds * times {
        let output = Command::new(&program)
            .args(["--exact", &name, "--nocapture"])
            .env("SEED", seed.to_string())
            .env("CPUS", cpus.to_string())
            .output()
            .expect("the test can be started");
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            panic!("CPUS={cpus} SEED={seed} fails:\n{text}");
        }
    }
}
