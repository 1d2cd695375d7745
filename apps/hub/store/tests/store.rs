//! The store's promises: what was acknowledged survives power cuts, full disks and newer programs.

mod medium;

use house::event::Draft;
use house::{Change, Event, Filter, Memory};
use hub_store::events::Search;
use hub_store::schema::{self, META};
use hub_store::{Medium, OpenError, Options, Resolution, Store};
use medium::{Tape, in_order, torn};
use redb::ReadableTable as _;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const T0: i64 = 1_790_000_000_000;
const QUICK: Options = Options {
    group: Duration::from_millis(5),
    event_bytes: 1 << 20,
    checkpoint: Duration::from_millis(40),
    retry: Duration::from_millis(20),
};

fn open(tape: &Tape) -> Result<Store, OpenError> {
    let tape = tape.clone();
    let medium: Medium = Box::new(move || tape.open());
    Store::open_medium(medium, QUICK, &schema::MIGRATIONS, schema::VERSION, &|_| Ok(()))
}

fn state(seq: u64, entity: &str, number: f64) -> Arc<Event> {
    let mut draft = Draft::new("state", json!({ "state": number }));
    draft.entity = Some(entity.into());
    draft.number = Some(number);
    Arc::new(draft.at(seq, T0 + seq as i64 * 1000))
}

fn search() -> Search {
    Search { filter: Filter::all(), from_ms: 0, to_ms: i64::MAX, before: u64::MAX, limit: 100_000 }
}

/// A seeded generator (SplitMix64): the same cuts in every run.
struct Random(u64);
impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

#[tokio::test]
async fn documents_events_and_history_are_there_after_a_restart() {
    let tape = Tape::default();
    let store = open(&tape).unwrap();
    store.write(vec![Change::put("users", "anna", json!({"role": "admin"}))]).await.unwrap();
    (1..=2_000).for_each(|seq| store.record(&state(seq, "dwn.n1.t", seq as f64)));
    store.sync().await.unwrap();
    drop(store);
    let store = open(&tape).unwrap();
    assert_eq!(store.get("users", "anna"), Some(json!({"role": "admin"})));
    assert_eq!(store.last_seq(), 2_000);
    let events = store.events(&search()).unwrap();
    assert_eq!((events.len(), &events[0]["seq"], &events[1999]["seq"]), (2_000, &json!(2_000), &json!(1)));
    let raw = store.history("dwn.n1.t", Resolution::Raw, 0, i64::MAX).unwrap();
    assert_eq!(raw.iter().map(|p| p.mean).sum::<f64>(), 2_001_000.0);
    let hours = store.history("dwn.n1.t", Resolution::Hour, 0, i64::MAX).unwrap();
    assert_eq!(hours.iter().map(|p| p.count).sum::<u32>(), 2_000);
    let paged = store.events(&Search { before: 1_001, limit: 10, ..search() }).unwrap();
    assert_eq!(
        paged.iter().map(|e| e["seq"].as_u64().unwrap()).collect::<Vec<_>>(),
        (991..=1000).rev().collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn the_log_of_events_stays_within_its_size() {
    let tape = Tape::default();
    let store = open(&tape).unwrap();
    for round in 0..60 {
        (0..1_000).for_each(|n| store.record(&state(round * 1_000 + n + 1, "x", 1.0)));
        store.sync().await.unwrap();
    }
    let kept: usize = store.events(&search()).unwrap().iter().map(|e| e.to_string().len()).sum();
    assert!(kept <= (1 << 20) + 300_000, "{kept}");
    assert!(kept > 500_000, "{kept}");
}

/// Everything that one run wrote, and which document had been acknowledged after how many operations.
async fn record_a_run() -> (Tape, Vec<(usize, u64)>) {
    let tape = Tape::default();
    let store = open(&tape).unwrap();
    let mut acknowledged = Vec::new();
    for n in 1..=40u64 {
        store.record(&state(n, "dwn.n1.t", n as f64));
        let changes = vec![
            Change::put("deadlines", &format!("v{}", n % 4), json!(n)),
            Change::put("log", &n.to_string(), json!({ "n": n, "text": "x".repeat(n as usize * 20) })),
        ];
        store.write(changes).await.unwrap();
        acknowledged.push((tape.operations(), n));
    }
    drop(store);
    (tape, acknowledged)
}

/// The store after a cut must hold everything acknowledged before it, whole, and nothing torn.
fn check_image(image: Vec<u8>, acknowledged: u64, what: &str) {
    let store = open(&Tape::from_image(image)).unwrap();
    assert_eq!(store.trouble(), None, "{what}");
    let log = store.list("log");
    let last = log.iter().map(|(_, v)| v["n"].as_u64().unwrap()).max().unwrap_or(0);
    assert!(last >= acknowledged, "{what}: {last} < {acknowledged}");
    assert_eq!(log.len() as u64, last, "{what}: a hole");
    for (_, value) in &log {
        assert_eq!(value["text"].as_str().unwrap().len() as u64, value["n"].as_u64().unwrap() * 20, "{what}");
    }
    for (_, deadline) in store.list("deadlines") {
        assert!(deadline.as_u64().unwrap() + 4 > last, "{what}: a transaction was torn");
    }
    let raw = store.history("dwn.n1.t", Resolution::Raw, 0, i64::MAX).unwrap();
    let hour = store.history("dwn.n1.t", Resolution::Hour, 0, i64::MAX).unwrap();
    assert!(raw.len() as u64 >= acknowledged, "{what}: history lost");
    assert_eq!(hour.iter().map(|p| p.count as usize).sum::<usize>(), raw.len(), "{what}: roll-ups differ");
    assert!(raw.iter().enumerate().all(|(at, p)| p.mean == (at + 1) as f64), "{what}: history corrupt");
}

#[tokio::test]
async fn a_power_cut_at_any_moment_loses_nothing_acknowledged() {
    let (tape, acknowledged) = record_a_run().await;
    let log = tape.log();
    let mut random = Random(7);
    let rounds = if std::env::var_os("HUB_FULL_TESTS").is_some() { 8 } else { 1 };
    let first = acknowledged.first().map_or(0, |(at, _)| *at);
    for cut in first..=log.len() {
        let known = acknowledged.iter().take_while(|(at, _)| *at <= cut).last().map_or(0, |(_, n)| *n);
        check_image(in_order(&log, cut), known, &format!("prefix {cut}"));
        for round in 0..rounds {
            let image = torn(&log, cut, |limit| random.below(limit));
            check_image(image, known, &format!("cut {cut}, round {round}"));
        }
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_overcome() {
    let tape = Tape::default();
    let store = open(&tape).unwrap();
    store.write(vec![Change::put("areas", "a", json!(1))]).await.unwrap();
    tape.fill(true);
    let refused = store.write(vec![Change::put("areas", "b", json!(2))]).await;
    assert!(refused.is_err() && store.trouble().is_some());
    assert_eq!(store.get("areas", "b"), Some(json!(2)), "what was set is in force until the hub ends");
    store.record(&state(1, "x", 1.0));
    tape.fill(false);
    for _ in 0..200 {
        if store.sync().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(store.trouble(), None);
    drop(store);
    let store = open(&tape).unwrap();
    assert_eq!(store.get("areas", "b"), Some(json!(2)));
    assert_eq!(store.history("x", Resolution::Raw, 0, i64::MAX).unwrap().len(), 1);
}

#[tokio::test]
async fn a_corrupt_store_is_left_alone_and_the_hub_goes_on() {
    let tape = Tape::default();
    let store = open(&tape).unwrap();
    store.write(vec![Change::put("areas", "a", json!(1))]).await.unwrap();
    drop(store);
    let mut image = tape.image();
    let mut random = Random(3);
    for _ in 0..4_000 {
        let at = random.below(image.len());
        image[at] ^= 0x55;
    }
    let damaged = Tape::from_image(image.clone());
    let store = open(&damaged).unwrap();
    assert!(store.trouble().is_some());
    assert!(store.write(vec![Change::put("areas", "b", json!(2))]).await.is_err());
    assert_eq!(store.get("areas", "b"), Some(json!(2)));
    assert!(store.events(&search()).unwrap().is_empty());
    drop(store);
    let junk = Tape::from_image(b"this is no database at all".repeat(1000));
    assert!(open(&junk).unwrap().trouble().is_some());
}

#[tokio::test]
async fn an_older_store_is_migrated_after_a_backup_and_a_newer_one_refused() {
    let tape = Tape::default();
    drop(open(&tape).unwrap());
    let add: schema::Migration = |txn| {
        txn.open_table(schema::DOCUMENTS)?.insert(("migrated", "yes"), &b"true"[..])?;
        Ok(())
    };
    let backups = std::sync::Mutex::new(Vec::new());
    let medium = |tape: &Tape| -> Medium {
        let tape = tape.clone();
        Box::new(move || tape.open())
    };
    let back_up = |version| {
        backups.lock().unwrap().push(version);
        Ok(())
    };
    let failing = |_| Err(std::io::ErrorKind::StorageFull.into());
    let refused = Store::open_medium(medium(&tape), QUICK, &[add], 2, &failing);
    assert!(matches!(refused, Err(OpenError::NoBackup(_))));
    let store = Store::open_medium(medium(&tape), QUICK, &[add], 2, &back_up).unwrap();
    assert_eq!(store.get("migrated", "yes"), Some(json!(true)));
    assert_eq!(*backups.lock().unwrap(), [1]);
    drop(store);
    assert!(matches!(open(&tape), Err(OpenError::Newer { found: 2, known: 1 })));
    let txn = tape.open().unwrap().begin_write().unwrap();
    assert_eq!(txn.open_table(META).unwrap().get("version").unwrap().unwrap().value(), 2);
}

#[test]
fn a_store_that_was_only_begun_when_the_power_went_is_made_anew() {
    let folder = std::env::temp_dir().join(format!("hub-store-begun-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("store.redb");
    let files = || {
        let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
    };
    // What is left when the power goes in the middle of the making, by a process of the same number.
    let begun = folder.join(format!("store.redb.made-{}", std::process::id()));
    std::fs::write(begun, [0; 4096]).unwrap();
    drop(Store::open(&path, QUICK).unwrap());
    assert_eq!(files(), ["store.redb"]);
    let store = Store::open(&path, QUICK).unwrap();
    assert_eq!(store.trouble(), None);
    drop(store);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_backup_made_under_load_is_verified_and_equal() {
    let folder = std::env::temp_dir().join(format!("hub-store-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("backup.redb");
    let _ = std::fs::remove_file(&file);
    let store = Arc::new(open(&Tape::default()).unwrap());
    store.write(vec![Change::put("rules", "r", json!({"on": true}))]).await.unwrap();
    let busy = store.clone();
    let load = std::thread::spawn(move || (1..5_000).for_each(|seq| busy.record(&state(seq, "x", 1.0))));
    let summary = store.back_up(&file, &|done, all| assert!(done <= all)).unwrap();
    load.join().unwrap();
    assert_eq!(hub_store::backup::verify(&file), Ok(summary));
    let restored = Store::open(&file, QUICK).unwrap();
    assert_eq!(restored.get("rules", "r"), Some(json!({"on": true})));
    drop(restored);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes.truncate(middle);
    std::fs::write(&file, bytes).unwrap();
    assert!(hub_store::backup::verify(&file).is_err());
    std::fs::remove_dir_all(&folder).unwrap();
}
