//! The one thread that writes: it gathers what is ready, commits it as one transaction, and tells who waits.

use crate::events;
use crate::history::History;
use crate::opened::Opened;
use crate::schema::{DOCUMENTS, JOURNAL, META};
use crate::store::{Medium, Options, PENDING_BYTES, Shared, quietly};
use house::{Change, Event, clock::EARLIEST_PLAUSIBLE_MS};
use redb::Database;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc};
use std::time::Instant;
use tokio::sync::oneshot;

/// What the writer is asked.
pub(crate) enum Job {
    Write { changes: Vec<Change>, done: Option<oneshot::Sender<Result<(), String>>> },
    Checkpoint(mpsc::Sender<Result<(), String>>),
    Stop,
}

/// Closed blocks in memory that make a checkpoint worthwhile early.
const CLOSED_BYTES: usize = 1 << 20;
/// Jobs that one commit takes at most.
const JOBS: usize = 4_096;

type Dirty = BTreeMap<(String, String), Option<Value>>;

pub(crate) struct Writer {
    shared: Arc<Shared>,
    medium: Medium,
    options: Options,
    /// Documents that are newer here than on the disk.
    dirty: Dirty,
    next_journal: u64,
    event_bytes: u64,
    checkpointed: Instant,
    failed: Option<Instant>,
    /// A store whose content could not be read at the start stays closed until the hub is started anew: writing to it
    /// would mix what it holds with a memory that began empty.
    was_read: bool,
}

/// What one commit carries.
struct Load {
    events: Vec<Arc<Event>>,
    journal: Vec<u8>,
    is_checkpoint: bool,
}

impl Writer {
    pub fn new(
        shared: Arc<Shared>,
        medium: Medium,
        options: Options,
        next_journal: u64,
        event_bytes: u64,
    ) -> Writer {
        let now = Instant::now();
        let was_read = shared.db().is_some();
        Writer {
            shared,
            medium,
            options,
            dirty: Dirty::new(),
            next_journal,
            event_bytes,
            checkpointed: now,
            failed: None,
            was_read,
        }
    }

    pub fn run(mut self, queue: &mpsc::Receiver<Job>) {
        let mut group_ends = Instant::now() + self.options.group;
        loop {
            let mut waiters = Vec::new();
            let mut checkpoints = Vec::new();
            let mut is_stopping = false;
            let left = group_ends.saturating_duration_since(Instant::now());
            let mut next = match queue.recv_timeout(left) {
                Ok(job) => Some(job),
                Err(mpsc::RecvTimeoutError::Timeout) => None,
                Err(mpsc::RecvTimeoutError::Disconnected) => Some(Job::Stop),
            };
            let mut taken = 0;
            while let Some(job) = next {
                match job {
                    Job::Write { changes, done } => {
                        self.dirty.extend(changes.into_iter().map(|c| ((c.space, c.key), c.value)));
                        waiters.extend(done);
                    }
                    Job::Checkpoint(done) => checkpoints.push(done),
                    Job::Stop => is_stopping = true,
                }
                taken += 1;
                next = if taken < JOBS { queue.try_recv().ok() } else { None };
            }
            let is_due = Instant::now() >= group_ends;
            if waiters.is_empty() && checkpoints.is_empty() && !is_due && !is_stopping {
                continue;
            }
            group_ends = Instant::now() + self.options.group;
            let result = self.commit(!checkpoints.is_empty() || is_stopping);
            for waiter in waiters {
                let _ = waiter.send(result.clone());
            }
            for checkpoint in checkpoints {
                let _ = checkpoint.send(result.clone());
            }
            if is_stopping {
                return;
            }
        }
    }

    /// Commits everything that is ready. After a failure the database is closed, and opened anew once `retry` has passed.
    fn commit(&mut self, wants_checkpoint: bool) -> Result<(), String> {
        if !self.was_read || self.failed.is_some_and(|at| at.elapsed() < self.options.retry) {
            return Err(self.trouble());
        }
        let db = match self.shared.db() {
            Some(db) => db,
            None => self.reopen()?,
        };
        let load = {
            let mut pending = self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner);
            let mut history = self.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
            let is_checkpoint = wants_checkpoint
                || self.checkpointed.elapsed() >= self.options.checkpoint
                || history.closed_bytes() >= CLOSED_BYTES;
            pending.bytes = 0;
            Load {
                events: std::mem::take(&mut pending.events),
                journal: history.take_journal(),
                is_checkpoint,
            }
        };
        if load.events.is_empty() && load.journal.is_empty() && self.dirty.is_empty() && !load.is_checkpoint {
            return Ok(());
        }
        match quietly(|| self.write(&db, &load)) {
            Ok(event_bytes) => {
                self.event_bytes = event_bytes;
                self.dirty.clear();
                self.failed = None;
                self.shared.commits.fetch_add(1, Ordering::Relaxed);
                *self.shared.trouble.write().unwrap_or_else(PoisonError::into_inner) = None;
                self.next_journal += 1;
                if load.is_checkpoint {
                    self.checkpointed = Instant::now();
                }
                Ok(())
            }
            Err(reason) => {
                self.fail(&reason, load);
                Err(reason)
            }
        }
    }

    fn write(&self, db: &Database, load: &Load) -> Result<u64, redb::Error> {
        let mut txn = db.begin_write()?;
        // Recovery after a kill must not scan the whole file.
        txn.set_quick_repair(true);
        let mut documents = txn.open_table(DOCUMENTS)?;
        for ((space, key), value) in &self.dirty {
            let key = (space.as_str(), key.as_str());
            match value {
                Some(value) => documents.insert(key, value.to_string().as_bytes())?,
                None => documents.remove(key)?,
            };
        }
        drop(documents);
        let mut event_bytes = self.event_bytes;
        if let Some(last) = load.events.last() {
            event_bytes += events::append(&txn, &load.events)?;
            txn.open_table(META)?.insert("seq", last.seq)?;
            if event_bytes > self.options.event_bytes {
                event_bytes -=
                    events::drop_oldest(&txn, event_bytes - self.options.event_bytes)?.min(event_bytes);
            }
        }
        if load.is_checkpoint {
            // Points may come between here and the end; they are in the heads that are written and in the next journal
            // as well, unless the lock is held: so it is, for the time of the commit.
            let mut history = self.shared.history.lock().unwrap_or_else(PoisonError::into_inner);
            let late = history.take_journal();
            let written = history.write_checkpoint(&txn).and_then(|()| self.prune(&txn, load));
            match written.and_then(|()| Ok(txn.commit()?)) {
                Ok(()) => history.checkpointed(),
                Err(error) => {
                    history.put_back(late, PENDING_BYTES);
                    return Err(error);
                }
            }
        } else {
            if !load.journal.is_empty() {
                txn.open_table(JOURNAL)?.insert(self.next_journal, load.journal.as_slice())?;
            }
            txn.commit()?;
        }
        Ok(event_bytes)
    }

    /// Removes old blocks, measured by the newest event: a wrong clock then removes nothing.
    fn prune(&self, txn: &redb::WriteTransaction, load: &Load) -> Result<(), redb::Error> {
        match load.events.last().map(|event| event.time_ms) {
            Some(now_ms) if now_ms >= EARLIEST_PLAUSIBLE_MS => History::prune(txn, now_ms),
            _ => Ok(()),
        }
    }

    fn reopen(&mut self) -> Result<Arc<Opened>, String> {
        let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&self.medium));
        let opened = opened.unwrap_or(Err(redb::DatabaseError::Storage(redb::StorageError::Corrupted(
            "the store's file makes no sense".into(),
        ))));
        let db = opened.map(Opened::from).map_err(|error| error.to_string()).and_then(|db| {
            // A store that was never ready must not be written to blindly: its version is checked as at the start.
            match quietly(|| crate::schema::inspect(&db, crate::schema::VERSION))? {
                crate::schema::Found::Current => Ok(Arc::new(db)),
                other => Err(format!("the store has changed: {other:?}")),
            }
        });
        match db {
            Ok(db) => {
                *self.shared.db.write().unwrap_or_else(PoisonError::into_inner) = Some(db.clone());
                Ok(db)
            }
            Err(reason) => {
                self.failed = Some(Instant::now());
                *self.shared.trouble.write().unwrap_or_else(PoisonError::into_inner) = Some(reason.clone());
                Err(reason)
            }
        }
    }

    fn fail(&mut self, reason: &str, load: Load) {
        tracing::error!(reason, "the store failed; the hub goes on without it");
        self.failed = Some(Instant::now());
        *self.shared.trouble.write().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_string());
        *self.shared.db.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.shared
            .history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .put_back(load.journal, PENDING_BYTES);
        let mut pending = self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: usize = load.events.iter().map(|event| event.json.len()).sum();
        if pending.bytes + bytes <= PENDING_BYTES {
            let newer = std::mem::replace(&mut pending.events, load.events);
            pending.events.extend(newer);
            pending.bytes += bytes;
        } else {
            self.shared.dropped.fetch_add(load.events.len() as u64, Ordering::Relaxed);
        }
    }

    fn trouble(&self) -> String {
        let trouble = self.shared.trouble.read().unwrap_or_else(PoisonError::into_inner);
        trouble.clone().unwrap_or_else(|| "the store is not open".into())
    }
}
