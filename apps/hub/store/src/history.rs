//! History: every number of every entity as raw points for ten days, as 5-minute and hourly roll-ups for years.
//!
//! The newest points of an entity are in memory (its [`Head`]) and in the journal on disk. A *checkpoint* writes the heads
//! and the blocks that were closed since the last one, and empties the journal, in one transaction; so a block is on disk
//! exactly once, and replaying the journal over the heads of the last checkpoint gives what was in memory.

use crate::schema::{BLOCKS, HEADS, JOURNAL};
use crate::series::{Encoder, Row, decode};
use redb::{ReadTransaction, ReadableDatabase as _, ReadableTable as _, WriteTransaction};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const DAY_MS: i64 = 86_400_000;
/// Raw points of one block at most.
const RAW_ROWS: u32 = 512;
/// How long raw points are kept.
pub const RAW_DAYS: i64 = 10;
/// How long 5-minute roll-ups are kept; hourly ones stay.
pub const FIVE_MINUTE_DAYS: i64 = 3 * 365;
/// Entities that history knows at most.
const MAX_SERIES: usize = 20_000;

/// How fine an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    Raw,
    FiveMinutes,
    Hour,
}

impl Resolution {
    /// Milliseconds of a bucket; raw points have none.
    pub fn bucket_ms(self) -> i64 {
        match self {
            Resolution::Raw => 0,
            Resolution::FiveMinutes => 300_000,
            Resolution::Hour => 3_600_000,
        }
    }
    fn key(self) -> u32 {
        (self.bucket_ms() / 1000) as u32
    }
    /// Milliseconds that one block covers at most.
    fn block_ms(self) -> i64 {
        match self {
            Resolution::Raw | Resolution::FiveMinutes => DAY_MS,
            Resolution::Hour => 30 * DAY_MS,
        }
    }
}

/// One point of an answer; a raw point has count 1 and all numbers equal. A gap (unavailable) has count 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Unix milliseconds: of the point, or where the bucket begins.
    pub time: i64,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    pub count: u32,
}

impl Point {
    fn gap(time: i64) -> Point {
        Point { time, min: 0.0, max: 0.0, mean: 0.0, count: 0 }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    start_ms: i64,
    count: u32,
    min: f64,
    max: f64,
    sum: f64,
}

impl Bucket {
    fn add(&mut self, number: f64) {
        if self.count == 0 {
            (self.min, self.max) = (number, number);
        }
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        self.sum += number;
        self.count += 1;
    }
    fn row(&self) -> Row<4> {
        (self.start_ms, [self.min, self.max, self.sum / f64::from(self.count), f64::from(self.count)])
    }
}

#[derive(Clone, Debug)]
struct Rollup {
    resolution: Resolution,
    block: Encoder<4>,
    bucket: Bucket,
}

impl Rollup {
    fn new(resolution: Resolution) -> Rollup {
        Rollup { resolution, block: Encoder::default(), bucket: Bucket::default() }
    }

    /// Adds a number; gives a block when it is full.
    fn push(&mut self, time_ms: i64, number: f64) -> Option<(i64, Vec<u8>)> {
        let width = self.resolution.bucket_ms();
        let start_ms = time_ms.div_euclid(width) * width;
        let mut closed = None;
        if self.bucket.count > 0 && self.bucket.start_ms != start_ms {
            let row = self.bucket.row();
            if !self.block.is_empty()
                && !(0..self.resolution.block_ms()).contains(&(row.0 - self.block.first_ms()))
            {
                closed = Some((self.block.first_ms(), self.block.block()));
                self.block = Encoder::default();
            }
            self.block.push(row);
            self.bucket = Bucket::default();
        }
        self.bucket.start_ms = start_ms;
        self.bucket.add(number);
        closed
    }
}

/// The newest part of one entity's history.
#[derive(Clone, Debug)]
struct Head {
    raw: Encoder<1>,
    rollups: [Rollup; 2],
    is_dirty: bool,
}

impl Default for Head {
    fn default() -> Self {
        let rollups = [Rollup::new(Resolution::FiveMinutes), Rollup::new(Resolution::Hour)];
        Head { raw: Encoder::default(), rollups, is_dirty: false }
    }
}

impl Head {
    /// Lengths and blocks of the three encoders, then the two open buckets.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for block in [self.raw.block(), self.rollups[0].block.block(), self.rollups[1].block.block()] {
            bytes.extend((block.len() as u32).to_le_bytes());
            bytes.extend(block);
        }
        for Rollup { bucket, .. } in &self.rollups {
            bytes.extend(bucket.start_ms.to_le_bytes());
            bytes.extend(bucket.count.to_le_bytes());
            for number in [bucket.min, bucket.max, bucket.sum] {
                bytes.extend(number.to_le_bytes());
            }
        }
        bytes
    }

    fn from_bytes(mut bytes: &[u8]) -> Option<Head> {
        fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
            let (head, rest) = bytes.split_first_chunk()?;
            *bytes = rest;
            Some(*head)
        }
        fn block<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
            let len = u32::from_le_bytes(take(bytes)?) as usize;
            let (block, rest) = bytes.split_at_checked(len)?;
            *bytes = rest;
            Some(block)
        }
        let mut head = Head { raw: Encoder::resume(block(&mut bytes)?), ..Head::default() };
        for rollup in &mut head.rollups {
            rollup.block = Encoder::resume(block(&mut bytes)?);
        }
        for rollup in &mut head.rollups {
            rollup.bucket = Bucket {
                start_ms: i64::from_le_bytes(take(&mut bytes)?),
                count: u32::from_le_bytes(take(&mut bytes)?),
                min: f64::from_le_bytes(take(&mut bytes)?),
                max: f64::from_le_bytes(take(&mut bytes)?),
                sum: f64::from_le_bytes(take(&mut bytes)?),
            };
        }
        Some(head)
    }
}

/// A block that waits for the checkpoint: resolution, first time, bytes.
type Closed = (Resolution, i64, Vec<u8>);

/// All heads.
#[derive(Debug, Default)]
pub struct History {
    heads: BTreeMap<String, Head>,
    closed: BTreeMap<String, Vec<Closed>>,
    closed_bytes: usize,
    /// Points that are not on disk at all.
    journal: Vec<u8>,
}

impl History {
    /// A number (NaN: there is none now).
    pub fn push(&mut self, entity: &str, time_ms: i64, number: f64) {
        self.journal.extend((entity.len() as u16).to_le_bytes());
        self.journal.extend(entity.as_bytes());
        self.journal.extend(time_ms.to_le_bytes());
        self.journal.extend(number.to_le_bytes());
        self.apply(entity, time_ms, number);
    }

    fn apply(&mut self, entity: &str, time_ms: i64, number: f64) {
        if !self.heads.contains_key(entity) {
            if self.heads.len() >= MAX_SERIES {
                return;
            }
            self.heads.insert(entity.to_string(), Head::default());
        }
        let Some(head) = self.heads.get_mut(entity) else { return };
        head.is_dirty = true;
        let mut closed = Vec::new();
        let is_full = head.raw.len() >= RAW_ROWS || !(0..DAY_MS).contains(&(time_ms - head.raw.first_ms()));
        if !head.raw.is_empty() && (is_full || time_ms < head.raw.last_ms()) {
            closed.push((Resolution::Raw, head.raw.first_ms(), head.raw.block()));
            head.raw = Encoder::default();
        }
        head.raw.push((time_ms, [number]));
        if !number.is_nan() {
            for rollup in &mut head.rollups {
                if let Some((first_ms, block)) = rollup.push(time_ms, number) {
                    closed.push((rollup.resolution, first_ms, block));
                }
            }
        }
        if !closed.is_empty() {
            self.closed_bytes += closed.iter().map(|(_, _, block)| block.len()).sum::<usize>();
            self.closed.entry(entity.to_string()).or_default().extend(closed);
        }
    }

    /// The points that the next commit must carry. They are given once; a commit that fails gives them [back](History::put_back).
    pub fn take_journal(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.journal)
    }

    /// A commit failed: the points stand before the newer ones again, up to `limit` bytes in all.
    pub fn put_back(&mut self, journal: Vec<u8>, limit: usize) {
        if journal.len() + self.journal.len() <= limit {
            let newer = std::mem::replace(&mut self.journal, journal);
            self.journal.extend(newer);
        }
    }

    /// Bytes that a checkpoint would relieve memory of.
    pub fn closed_bytes(&self) -> usize {
        self.closed_bytes
    }

    /// What a checkpoint writes: changed heads and closed blocks. It is done when [`History::checkpointed`] is told so.
    pub(crate) fn write_checkpoint(&self, txn: &WriteTransaction) -> Result<(), redb::Error> {
        let mut heads = txn.open_table(HEADS)?;
        for (entity, head) in self.heads.iter().filter(|(_, head)| head.is_dirty) {
            heads.insert(entity.as_str(), head.to_bytes().as_slice())?;
        }
        let mut blocks = txn.open_table(BLOCKS)?;
        for (entity, closed) in &self.closed {
            for (resolution, first_ms, block) in closed {
                let mut key = (entity.as_str(), resolution.key(), *first_ms);
                // The clock was set back and a block of that time exists.
                while blocks.get(key)?.is_some() {
                    key.2 += 1;
                }
                blocks.insert(key, block.as_slice())?;
            }
        }
        txn.open_table(JOURNAL)?.retain(|_, _| false)?;
        Ok(())
    }

    /// The checkpoint is on disk.
    pub fn checkpointed(&mut self) {
        self.heads.values_mut().for_each(|head| head.is_dirty = false);
        self.closed.clear();
        self.closed_bytes = 0;
    }

    /// Removes what is too old; `now_ms` is trusted by the caller.
    pub(crate) fn prune(txn: &WriteTransaction, now_ms: i64) -> Result<(), redb::Error> {
        let mut blocks = txn.open_table(BLOCKS)?;
        blocks.retain(|(_, resolution, first_ms), _| {
            let days = match resolution {
                0 => RAW_DAYS + 1,
                300 => FIVE_MINUTE_DAYS,
                _ => return true,
            };
            first_ms >= now_ms - days * DAY_MS
        })?;
        Ok(())
    }

    /// Reads heads and journal of an earlier run.
    pub(crate) fn load(txn: &ReadTransaction) -> Result<History, redb::Error> {
        let mut history = History::default();
        for row in txn.open_table(HEADS)?.iter()? {
            let (entity, bytes) = row?;
            if let Some(head) = Head::from_bytes(bytes.value()) {
                history.heads.insert(entity.value().to_string(), head);
            }
        }
        for row in txn.open_table(JOURNAL)?.iter()? {
            let (_, bytes) = row?;
            let mut rest = bytes.value();
            while let Some((entity, time_ms, number, after)) = read_journal(rest) {
                history.apply(entity, time_ms, number);
                rest = after;
            }
        }
        Ok(history)
    }

    /// The newest part of an entity's points from memory: blocks that wait for the checkpoint, and the head.
    fn newest(&self, entity: &str, resolution: Resolution) -> Vec<Point> {
        let closed = self.closed.get(entity).into_iter().flatten();
        let closed = closed.filter(|(r, _, _)| *r == resolution).map(|(_, _, block)| block.clone());
        let mut points: Vec<Point> = closed.flat_map(|block| points(resolution, &block)).collect();
        let Some(head) = self.heads.get(entity) else { return points };
        match head.rollups.iter().find(|r| r.resolution == resolution) {
            None => points.extend(self::points(resolution, &head.raw.block())),
            Some(rollup) => {
                points.extend(self::points(resolution, &rollup.block.block()));
                if rollup.bucket.count > 0 {
                    points.push(from_row(rollup.bucket.row()));
                }
            }
        }
        points
    }

    /// The points of an entity in `[from_ms, to_ms)`, in order of time.
    pub(crate) fn query(
        &self,
        db: Option<&redb::Database>,
        entity: &str,
        resolution: Resolution,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<Point>, redb::Error> {
        let mut found = Vec::new();
        if let Some(db) = db {
            let table = db.begin_read()?.open_table(BLOCKS)?;
            let first = from_ms.saturating_sub(resolution.block_ms());
            let keys = (entity, resolution.key(), first)..(entity, resolution.key(), to_ms);
            for row in table.range(keys)? {
                found.extend(points(resolution, row?.1.value()));
            }
        }
        found.extend(self.newest(entity, resolution));
        found.retain(|point| (from_ms..to_ms).contains(&point.time));
        found.sort_by_key(|point| point.time);
        // Two parts of a bucket (the clock was set back) are one bucket again.
        if resolution != Resolution::Raw {
            found.dedup_by(|next, kept| {
                let is_same = next.time == kept.time;
                if is_same {
                    *kept = join(&[*kept, *next], kept.time);
                }
                is_same
            });
        }
        Ok(found)
    }

    /// Entities that have a history.
    pub fn entities(&self) -> Vec<String> {
        self.heads.keys().cloned().collect()
    }
}

fn read_journal(bytes: &[u8]) -> Option<(&str, i64, f64, &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    let (entity, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    let (time, rest) = rest.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let entity = std::str::from_utf8(entity).ok()?;
    Some((entity, i64::from_le_bytes(*time), f64::from_le_bytes(*number), rest))
}

fn from_row((time, [min, max, mean, count]): Row<4>) -> Point {
    Point { time, min, max, mean, count: count as u32 }
}

fn points(resolution: Resolution, block: &[u8]) -> Vec<Point> {
    if resolution != Resolution::Raw {
        return decode::<4>(block).into_iter().map(from_row).collect();
    }
    let raw = decode::<1>(block).into_iter().map(|(time, [n])| match n.is_nan() {
        true => Point::gap(time),
        false => Point { time, min: n, max: n, mean: n, count: 1 },
    });
    raw.collect()
}

fn join(points: &[Point], time: i64) -> Point {
    let known = points.iter().filter(|p| p.count > 0);
    let Some(first) = known.clone().next() else { return Point::gap(time) };
    let count: u32 = known.clone().map(|p| p.count).sum();
    let sum: f64 = known.clone().map(|p| p.mean * f64::from(p.count)).sum();
    Point {
        time,
        min: known.clone().fold(first.min, |low, p| low.min(p.min)),
        max: known.fold(first.max, |high, p| high.max(p.max)),
        mean: sum / f64::from(count),
        count,
    }
}

/// At most `limit` points over the range, each the summary of an equal part of it.
pub fn thin(points: &[Point], from_ms: i64, to_ms: i64, limit: usize) -> Vec<Point> {
    if points.len() <= limit.max(1) {
        return points.to_vec();
    }
    let width = ((to_ms - from_ms) / limit.max(1) as i64 + 1).max(1);
    let parts =
        points.chunk_by(|a, b| (a.time - from_ms).div_euclid(width) == (b.time - from_ms).div_euclid(width));
    parts.map(|part| join(part, part.first().map_or(from_ms, |p| p.time))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: i64 = 1_790_000_000_000;

    #[test]
    fn rollups_say_the_least_the_most_the_mean_and_how_many() {
        let mut history = History::default();
        let start = T0.div_euclid(300_000) * 300_000;
        for (at, number) in [(0, 1.0), (1_000, 3.0), (299_999, 2.0), (300_000, 10.0)] {
            history.push("e", start + at, number);
        }
        let five = history.query(None, "e", Resolution::FiveMinutes, start, start + DAY_MS).unwrap();
        assert_eq!(five[0], Point { time: start, min: 1.0, max: 3.0, mean: 2.0, count: 3 });
        assert_eq!(five[1].count, 1);
    }

    #[test]
    fn a_gap_is_shown_raw_and_left_out_of_rollups() {
        let mut history = History::default();
        history.push("e", T0, 1.0);
        history.push("e", T0 + 1, f64::NAN);
        let raw = history.query(None, "e", Resolution::Raw, T0, T0 + 10).unwrap();
        assert_eq!(raw.iter().map(|p| p.count).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(history.query(None, "e", Resolution::Hour, 0, T0 * 2).unwrap()[0].count, 1);
    }

    #[test]
    fn a_clock_that_was_set_back_loses_nothing() {
        let mut history = History::default();
        history.push("e", T0, 1.0);
        history.push("e", T0 - 3_600_000, 2.0);
        history.push("e", T0, 3.0);
        let raw = history.query(None, "e", Resolution::Raw, 0, T0 * 2).unwrap();
        assert_eq!(raw.len(), 3);
        let hours = history.query(None, "e", Resolution::Hour, 0, T0 * 2).unwrap();
        assert_eq!(hours.iter().map(|p| p.count).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn thinning_keeps_extremes_and_the_limit() {
        let points: Vec<Point> = (0..10_000)
            .map(|n| Point { time: n, min: n as f64, max: n as f64, mean: n as f64, count: 1 })
            .collect();
        let thin = thin(&points, 0, 10_000, 100);
        assert!(thin.len() <= 100);
        assert_eq!((thin[0].min, thin.last().unwrap().max), (0.0, 9999.0));
        assert_eq!(thin.iter().map(|p| p.count).sum::<u32>(), 10_000);
    }

    #[test]
    fn a_head_survives_as_bytes() {
        let mut history = History::default();
        (0..700).for_each(|n| history.push("e", T0 + n * 10_000, n as f64));
        let head = &history.heads["e"];
        let back = Head::from_bytes(&head.to_bytes()).unwrap();
        assert_eq!(back.to_bytes(), head.to_bytes());
        assert!(Head::from_bytes(&head.to_bytes()[..50]).is_none());
    }
}
