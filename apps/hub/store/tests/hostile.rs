//! Files that were damaged: blocks of history, stores, backups plain and sealed. Said, never believed, never a panic.

use hostile::attack;
use house::{Change, Memory as _};
use hub_store::series::{Encoder, decode};
use hub_store::{Options, Store, backup, sealed};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A folder in memory where that is possible; it goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let shared = Path::new("/dev/shm");
        let base = if shared.is_dir() { shared.to_path_buf() } else { std::env::temp_dir() };
        let folder = base.join(format!("hub-hostile-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Scratch(folder)
    }
    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The bytes of a small store.
fn store(scratch: &Scratch) -> Vec<u8> {
    let file = scratch.file("good.redb");
    let store = Store::open(&file, Options::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let all = (0..200).map(|n| Change::put("areas", &format!("a{n}"), json!({"name": "x".repeat(n)})));
    runtime.block_on(store.write(all.collect())).unwrap();
    store.close();
    std::fs::read(file).unwrap()
}

#[test]
fn blocks_of_history() {
    let (mut raw, mut rolled) = (Encoder::<1>::default(), Encoder::<4>::default());
    for n in 0..200_i64 {
        raw.push((1_790_000_000_000 + n * 1_000 + n % 3, [20.0 + (n % 7) as f64 / 10.0]));
        rolled.push((1_790_000_000_000 + n * 300_000, [1.0, n as f64, f64::NAN, 2.5]));
    }
    let (raw, rolled) = (raw.block(), rolled.block());
    attack(1, 5_000, &[&raw, &rolled], |input| {
        // No row is shorter than two bits: what the count claims is not believed.
        let rows = decode::<1>(input).len().max(decode::<4>(input).len());
        assert!(rows <= input.len() * 4 + 1);
        let _ = Encoder::<1>::resume(input).block();
    });
}

#[test]
fn stores_and_backups() {
    let scratch = Scratch::new("store");
    let good = store(&scratch);
    let damaged = scratch.file("damaged.redb");
    attack(2, 60, &[&good], |input| {
        // The end counts as much as the beginning: what an attack cuts off is put back.
        let mut bytes = good.clone();
        let len = input.len().min(bytes.len());
        bytes[..len].copy_from_slice(&input[..len]);
        for bytes in [&bytes[..], input] {
            std::fs::write(&damaged, bytes).unwrap();
            let _ = backup::verify(&damaged);
            std::fs::write(&damaged, bytes).unwrap();
            // A store that is damaged is said to be; the hub goes on without.
            if let Ok(store) = Store::open(&damaged, Options::default()) {
                let _ = (store.trouble(), store.list("areas").len());
                store.close();
            }
        }
    });
}

#[test]
fn sealed_backups() {
    let scratch = Scratch::new("sealed");
    let (plain, file, opened) = (scratch.file("plain"), scratch.file("sealed"), scratch.file("opened"));
    std::fs::write(&plain, vec![7; 70_000]).unwrap();
    sealed::seal(&plain, &file, "phrase").unwrap();
    let good = std::fs::read(&file).unwrap();
    attack(3, 5, &[&good], |input| {
        std::fs::write(&file, input).unwrap();
        let is_good = input == good;
        assert_eq!(sealed::open(&file, &opened, "phrase").is_ok(), is_good, "what was changed is refused");
    });
}
