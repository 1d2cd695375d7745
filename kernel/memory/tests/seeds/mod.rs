//! Running one test body under many seeds, a process each.

use std::process::Command;

/// Runs `body` on machines of `cpus` processors with the seeds 0 to `seeds`. `SEED=n` in the environment runs just that one, for a failure to be looked into.
pub fn over_seeds(cpus: usize, seeds: u64, body: fn()) {
    if let Ok(seed) = std::env::var("SEED") {
        let seed = seed.parse().expect("SEED is a number");
        threads::hosted::run(cpus, seed, body);
        return;
    }
    let name = std::thread::current().name().expect("a test has a name").to_owned();
    let program = std::env::current_exe().expect("a test knows its program");
    for seed in 0..seeds {
        let output = Command::new(&program)
            .args(["--exact", &name, "--nocapture"])
            .env("SEED", seed.to_string())
            .output()
            .expect("the test can be started");
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            panic!("SEED={seed} fails:\n{text}");
        }
    }
}
