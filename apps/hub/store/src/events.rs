//! The log of events on disk: chunks of JSON lines, oldest dropped first.

use crate::schema::EVENTS;
use house::{Event, Filter};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, WriteTransaction};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::sync::Arc;

/// A chunk's bytes at most, give or take one event.
const CHUNK_BYTES: usize = 128 * 1024;

/// Appends events in chunks; gives the bytes written.
pub(crate) fn append(txn: &WriteTransaction, events: &[Arc<Event>]) -> Result<u64, redb::Error> {
    let mut table = txn.open_table(EVENTS)?;
    let mut rest = events.iter().peekable();
    let mut written = 0;
    while let Some(first) = rest.peek() {
        let key = first.seq;
        let mut chunk = Vec::new();
        while let Some(event) = rest.next_if(|_| chunk.len() < CHUNK_BYTES) {
            chunk.extend(event.json.as_bytes());
            chunk.push(b'\n');
        }
        table.insert(key, chunk.as_slice())?;
        written += chunk.len() as u64;
    }
    Ok(written)
}

/// Removes the oldest chunks until at least `bytes` are gone; gives how many are.
pub(crate) fn drop_oldest(txn: &WriteTransaction, bytes: u64) -> Result<u64, redb::Error> {
    let mut table = txn.open_table(EVENTS)?;
    let mut gone = 0;
    while gone < bytes {
        match table.pop_first()? {
            Some((_, chunk)) => gone += chunk.value().len() as u64,
            None => break,
        }
    }
    Ok(gone)
}

/// Bytes of all chunks.
pub(crate) fn size(db: &Database) -> Result<u64, redb::Error> {
    let mut size = 0;
    for row in db.begin_read()?.open_table(EVENTS)?.iter()? {
        size += row?.1.value().len() as u64;
    }
    Ok(size)
}

/// What to look for.
#[derive(Clone, Debug)]
pub struct Search {
    pub filter: Filter,
    /// Unix milliseconds, from inclusive, to exclusive.
    pub from_ms: i64,
    pub to_ms: i64,
    /// Only events with smaller numbers: for paging backwards.
    pub before: u64,
    pub limit: usize,
}

impl Search {
    pub(crate) fn takes(&self, event: &Event) -> bool {
        event.seq < self.before
            && (self.from_ms..self.to_ms).contains(&event.time_ms)
            && self.filter.passes(event)
    }
}

/// What decides whether an event is looked for. A field that a person's event has in another form is none.
#[derive(Deserialize)]
struct Head {
    seq: u64,
    time: i64,
    #[serde(default)]
    event: String,
    #[serde(default)]
    entity: Option<Text>,
    #[serde(default)]
    device: Option<Text>,
    #[serde(default)]
    area: Option<Text>,
}

/// A text, or something else.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Is(String),
    Other(IgnoredAny),
}

impl Head {
    fn event(self) -> Event {
        let text = |text: Option<Text>| match text {
            Some(Text::Is(text)) => Some(text),
            _ => None,
        };
        Event {
            seq: self.seq,
            time_ms: self.time,
            kind: self.event,
            entity: text(self.entity),
            device: text(self.device),
            area: text(self.area),
            number: None,
            json: house::event::Text::default(),
        }
    }
}

/// Looks through the chunks, newest first, and adds what is found to `found`, until the limit.
pub(crate) fn search(db: &Database, search: &Search, found: &mut Vec<Value>) -> Result<(), redb::Error> {
    let table = db.begin_read()?.open_table(EVENTS)?;
    for row in table.range(..search.before)?.rev() {
        let chunk = row?.1;
        for line in chunk.value().split(|b| *b == b'\n').rev().filter(|line| !line.is_empty()) {
            if found.len() >= search.limit {
                return Ok(());
            }
            // Most lines are passed over: only what decides is read of them.
            let Ok(head) = serde_json::from_slice::<Head>(line) else { continue };
            if search.takes(&head.event())
                && let Ok(value) = serde_json::from_slice(line)
            {
                found.push(value);
            }
        }
    }
    Ok(())
}
