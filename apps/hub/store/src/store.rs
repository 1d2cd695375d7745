//! The store's front: opening, documents, the recorder, queries. All of it can be shared between threads.

use crate::events::{self, Search};
use crate::history::{History, Point, Resolution};
use crate::opened::Opened;
use crate::private;
use crate::schema::{self, DOCUMENTS, Found, Migration};
use crate::writer::{self, Job};
use house::{BoxFuture, Change, Event, Memory, MemoryError};
use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageError};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// How the database is opened; asked again after a failure. Tests bring media that tear and fail.
pub type Medium = Box<dyn Fn() -> Result<Database, DatabaseError> + Send>;

/// What may differ between houses.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Events and history wait for a commit at most this long.
    pub group: Duration,
    /// Events kept, in bytes of JSON.
    pub event_bytes: u64,
    /// How often the heads of the history are written.
    pub checkpoint: Duration,
    /// How often a failed store is tried again.
    pub retry: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            group: Duration::from_secs(1),
            event_bytes: 256 << 20,
            checkpoint: Duration::from_secs(300),
            retry: Duration::from_secs(5),
        }
    }
}

/// Why the hub must not start on this store (anything else only makes it forgetful).
#[derive(Debug)]
pub enum OpenError {
    /// Another program holds the file.
    Busy(String),
    /// Written by a newer hub.
    Newer { found: u64, known: u64 },
    /// The older file could not be copied before its migration.
    NoBackup(std::io::Error),
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OpenError::Busy(file) => write!(f, "{file} is in use: does another hub run? (hub status)"),
            OpenError::Newer { found, known } => write!(
                f,
                "the store has version {found}, this hub knows {known}: start the newer hub, or restore a backup"
            ),
            OpenError::NoBackup(error) => write!(f, "no copy could be made before the migration: {error}"),
        }
    }
}

impl std::error::Error for OpenError {}

pub(crate) type Documents = BTreeMap<String, BTreeMap<String, Value>>;

/// Events that no commit has taken yet.
#[derive(Default)]
pub(crate) struct Pending {
    pub events: Vec<Arc<Event>>,
    pub bytes: usize,
}

/// What writer and front share.
pub(crate) struct Shared {
    pub documents: RwLock<Documents>,
    pub pending: Mutex<Pending>,
    pub history: Mutex<History>,
    pub trouble: RwLock<Option<String>>,
    pub db: RwLock<Option<Arc<Opened>>>,
    /// Events that were dropped because the store could not take them.
    pub dropped: AtomicU64,
    /// Commits so far.
    pub commits: AtomicU64,
}

/// Events that wait for the disk are never more than this.
pub(crate) const PENDING_BYTES: usize = 32 << 20;

impl Shared {
    pub fn db(&self) -> Option<Arc<Opened>> {
        self.db.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The open store. Dropping it commits what waits.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
    last_seq: u64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// redb's cache: the hub reads little, so that a small one does.
const CACHE_BYTES: usize = 4 << 20;

/// Opens a file with the settings that the hub needs; nobody else may read it.
///
/// # Errors
/// redb's.
pub fn open_file(path: &Path) -> Result<Database, DatabaseError> {
    let file = private::open(path).map_err(|error| DatabaseError::Storage(StorageError::Io(error)))?;
    Database::builder().set_cache_size(CACHE_BYTES).create_file(file)
}

/// Makes an empty store where there is none: under another name first, because redb cannot open what it has begun to make when
/// the power went, and then nothing would ever be remembered.
fn make(path: &Path) -> Result<(), DatabaseError> {
    if path.exists() {
        return Ok(());
    }
    let io = |error| DatabaseError::Storage(StorageError::Io(error));
    let made = private::beside(path, &format!("made-{}", std::process::id()));
    private::remove(&made).map_err(io)?;
    drop(open_file(&made)?);
    std::fs::File::open(&made).and_then(|file| file.sync_all()).map_err(io)?;
    // Unlike a renaming, a link takes the place of nothing: another hub may have been faster.
    match std::fs::hard_link(&made, path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(io(error)),
        _ => {}
    }
    private::remove(&made).map_err(io)?;
    private::sync_folder_of(path).map_err(io)
}

impl Store {
    /// Opens (or makes) the store in a file.
    ///
    /// # Errors
    /// Only when the hub must not start; a corrupt or unwritable store opens with [`Memory::trouble`].
    pub fn open(path: &Path, options: Options) -> Result<Store, OpenError> {
        if let Err(error) = make(path) {
            // Then it is tried in its place, and what goes wrong there is the store's trouble.
            tracing::warn!(%error, "the store could not be made beside its place");
        }
        let file = path.to_path_buf();
        let copy = path.to_path_buf();
        let medium: Medium = Box::new(move || open_file(&file));
        let back_up = move |version: u64| {
            let to: PathBuf = copy.with_extension(format!("v{version}.backup"));
            private::copy(&copy, &to)
        };
        Store::open_medium(medium, options, &schema::MIGRATIONS, schema::VERSION, &back_up)
    }

    /// Opens the store on any medium, with any migrations: `back_up` is called with the old version before the first.
    ///
    /// # Errors
    /// See [`Store::open`].
    pub fn open_medium(
        medium: Medium,
        options: Options,
        migrations: &[Migration],
        version: u64,
        back_up: &dyn Fn(u64) -> std::io::Result<()>,
    ) -> Result<Store, OpenError> {
        let (db, trouble) = match open_current(&medium, migrations, version, back_up)? {
            Ok(db) => (Some(Arc::new(db)), None),
            Err(reason) => (None, Some(reason)),
        };
        let loaded = db.as_ref().map(|db| quietly(|| load(db))).unwrap_or(Ok(Loaded::default()));
        let (loaded, trouble) = match loaded {
            Ok(loaded) => (loaded, trouble),
            Err(reason) => (Loaded::default(), Some(format!("corrupt: {reason}"))),
        };
        let is_broken = trouble.is_some();
        let shared = Arc::new(Shared {
            documents: RwLock::new(loaded.documents),
            pending: Mutex::default(),
            history: Mutex::new(loaded.history),
            trouble: RwLock::new(trouble),
            db: RwLock::new(if is_broken { None } else { db }),
            dropped: AtomicU64::new(0),
            commits: AtomicU64::new(0),
        });
        let (jobs, queue) = mpsc::channel();
        let writer =
            writer::Writer::new(shared.clone(), medium, options, loaded.next_journal, loaded.event_bytes);
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || writer.run(&queue));
        let thread = Mutex::new(thread.ok());
        Ok(Store { shared, jobs, last_seq: loaded.last_seq, thread })
    }

    /// The number of the last event of an earlier run.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Takes an event: for the log, and if it has a number or lost it, for the history. Never blocks on the disk.
    pub fn record(&self, event: &Arc<Event>) {
        self.record_all(std::slice::from_ref(event));
    }

    /// Takes several events in their order.
    pub fn record_all(&self, events: &[Arc<Event>]) {
        if events.iter().any(|event| event.kind == "state") {
            let mut history = self.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
            for event in events.iter().filter(|event| event.kind == "state") {
                if let Some(entity) = &event.entity {
                    history.push(entity, event.time_ms, event.number.unwrap_or(f64::NAN));
                }
            }
        }
        let mut pending = self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            if pending.bytes >= PENDING_BYTES {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            pending.bytes += event.json.len();
            pending.events.push(event.clone());
        }
    }

    /// Events that match, newest first. Reads the disk.
    ///
    /// # Errors
    /// The store failed.
    pub fn events(&self, search: &Search) -> Result<Vec<Value>, MemoryError> {
        let mut found: Vec<Value> = {
            let pending = self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner);
            let recent = pending.events.iter().rev().filter(|event| search.takes(event));
            recent.take(search.limit).map(|event| event.value()).collect()
        };
        if let Some(db) = self.shared.db() {
            quietly(|| events::search(&db, search, &mut found)).map_err(MemoryError::Failed)?;
        }
        // An event that was committed between the two looks stands twice, next to itself.
        found.dedup_by_key(|event| event["seq"].as_u64());
        Ok(found)
    }

    /// The points of an entity in `[from_ms, to_ms)`. Reads the disk.
    ///
    /// # Errors
    /// The store failed.
    pub fn history(
        &self,
        entity: &str,
        resolution: Resolution,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<Point>, MemoryError> {
        let db = self.shared.db();
        let history = self.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
        quietly(|| history.query(db.as_deref().map(Deref::deref), entity, resolution, from_ms, to_ms))
            .map_err(MemoryError::Failed)
    }

    /// Writes a consistent copy to `to`, and verifies it by opening it. Blocks for as long as that takes;
    /// `progress` is told of rows done and rows in all.
    ///
    /// # Errors
    /// The store failed, the copy could not be written, or the copy is not equal.
    pub fn back_up(
        &self,
        to: &Path,
        progress: &dyn Fn(u64, u64),
    ) -> Result<crate::backup::Summary, MemoryError> {
        let (done, wait) = mpsc::channel();
        let failed = |reason: &str| MemoryError::Failed(reason.to_string());
        self.jobs.send(Job::Checkpoint(done)).map_err(|_| failed("the writer has ended"))?;
        wait.recv().map_err(|_| failed("the writer has ended"))?.map_err(MemoryError::Failed)?;
        let db = self.shared.db().ok_or_else(|| failed("there is no store to copy"))?;
        crate::backup::copy(&db, to, progress).map_err(MemoryError::Failed)
    }

    /// Commits so far, and events that the store could not take.
    pub fn counters(&self) -> (u64, u64) {
        (self.shared.commits.load(Ordering::Relaxed), self.shared.dropped.load(Ordering::Relaxed))
    }
}

impl Store {
    /// Commits what waits and lets go of the file. What is written afterwards is refused.
    pub fn close(&self) {
        // When the writer has ended already there is nobody to tell.
        let _ = self.jobs.send(Job::Stop);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
        *self.shared.db.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl Memory for Store {
    fn get(&self, space: &str, key: &str) -> Option<Value> {
        self.shared.documents.read().unwrap_or_else(PoisonError::into_inner).get(space)?.get(key).cloned()
    }

    fn list(&self, space: &str) -> Vec<(String, Value)> {
        let all = self.shared.documents.read().unwrap_or_else(PoisonError::into_inner);
        all.get(space).into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn write(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), MemoryError>> {
        let (done, wait) = oneshot::channel();
        self.enqueue(changes, Some(done));
        Box::pin(async {
            wait.await.unwrap_or_else(|_| Err("the writer has ended".into())).map_err(MemoryError::Failed)
        })
    }

    fn write_soon(&self, changes: Vec<Change>) {
        self.enqueue(changes, None);
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), MemoryError>> {
        self.write(Vec::new())
    }

    fn trouble(&self) -> Option<String> {
        self.shared.trouble.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Store {
    /// Changes the mirror and queues the same for the disk, in one order.
    fn enqueue(&self, changes: Vec<Change>, done: Option<oneshot::Sender<Result<(), String>>>) {
        let mut all = self.shared.documents.write().unwrap_or_else(PoisonError::into_inner);
        for change in &changes {
            match &change.value {
                Some(value) => {
                    all.entry(change.space.clone()).or_default().insert(change.key.clone(), value.clone());
                }
                None => {
                    if let Some(space) = all.get_mut(&change.space) {
                        space.remove(&change.key);
                    }
                }
            }
        }
        // When the writer has ended, `done` is dropped and the waiter learns it.
        let _ = self.jobs.send(Job::Write { changes, done });
    }
}

/// Runs something that touches the database; an error or a panic (redb on a corrupt file) becomes a reason.
pub(crate) fn quietly<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the store's file makes no sense".into()),
    }
}

/// The inner error is a reason to go on without a store.
fn open_current(
    medium: &Medium,
    migrations: &[Migration],
    version: u64,
    back_up: &dyn Fn(u64) -> std::io::Result<()>,
) -> Result<Result<Opened, String>, OpenError> {
    let opened = catch_unwind(AssertUnwindSafe(medium));
    let db = match opened {
        Ok(Ok(db)) => Opened::from(db),
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => return Err(OpenError::Busy("the store".into())),
        Ok(Err(error)) => return Ok(Err(error.to_string())),
        Err(_) => return Ok(Err("corrupt: the store's file makes no sense".into())),
    };
    let found = match quietly(|| schema::inspect(&db, version)) {
        Ok(found) => found,
        Err(reason) => return Ok(Err(format!("corrupt: {reason}"))),
    };
    let from = match found {
        Found::Current => return Ok(Ok(db)),
        Found::Newer(found) => return Err(OpenError::Newer { found, known: version }),
        Found::New => version,
        Found::Older(from) => {
            back_up(from).map_err(OpenError::NoBackup)?;
            from
        }
    };
    Ok(quietly(|| schema::prepare(&db, from, migrations, version)).map(|()| db))
}

#[derive(Default)]
struct Loaded {
    documents: Documents,
    history: History,
    last_seq: u64,
    next_journal: u64,
    event_bytes: u64,
}

fn load(db: &Database) -> Result<Loaded, redb::Error> {
    let txn = db.begin_read()?;
    let mut loaded =
        Loaded { documents: read_documents(&txn)?, history: History::load(&txn)?, ..Loaded::default() };
    loaded.last_seq = txn.open_table(schema::META)?.get("seq")?.map_or(0, |seq| seq.value());
    loaded.next_journal = txn.open_table(schema::JOURNAL)?.last()?.map_or(0, |(key, _)| key.value() + 1);
    loaded.event_bytes = events::size(db)?;
    Ok(loaded)
}

/// All documents; one that is no JSON is left out with a word in the log.
pub(crate) fn read_documents(txn: &redb::ReadTransaction) -> Result<Documents, redb::Error> {
    let mut documents = Documents::new();
    for row in txn.open_table(DOCUMENTS)?.iter()? {
        let (key, value) = row?;
        let (space, key) = key.value();
        match serde_json::from_slice(value.value()) {
            Ok(value) => {
                documents.entry(space.to_string()).or_default().insert(key.to_string(), value);
            }
            Err(error) => tracing::error!(space, key, %error, "a document makes no sense and is left out"),
        }
    }
    Ok(documents)
}
