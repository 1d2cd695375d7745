//! The bus: every event to every subscriber, and no subscriber can hold up or fill up the house.
//!
//! Each subscriber has a queue of fixed capacity. When it is half full, a new state of an entity replaces the one that
//! waits (coalescing). When it is full all the same, the queue is emptied and the subscriber is told once that it missed
//! something ([`Delivery::Resync`]); it then reads the whole state anew.

use crate::event::{Draft, Event};
use crate::principal::Principal;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use tokio::sync::Notify;

/// Which events a subscriber wants, and may have.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Patterns over `kind` or `kind/entity`, `*` for any text; empty means all.
    pub patterns: Vec<String>,
    pub who: Principal,
}

impl Filter {
    /// Everything, for the house itself.
    pub fn all() -> Filter {
        Filter { patterns: Vec::new(), who: Principal::house() }
    }

    /// Whether the event passes.
    pub fn passes(&self, event: &Event) -> bool {
        if !self.who.sees(event.area.as_deref()) {
            return false;
        }
        if self.patterns.is_empty() {
            return true;
        }
        self.patterns.iter().any(|pattern| match pattern.split_once('/') {
            None => matches(pattern, &event.kind),
            Some((kind, subject)) => {
                let about = event.entity.as_deref().or(event.device.as_deref()).unwrap_or("");
                matches(kind, &event.kind) && matches(subject, about)
            }
        })
    }
}

/// Whether `text` is what `pattern` describes; `*` stands for any text. Takes time linear in the text for each `*`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or(""),
            None => return false,
        }
    }
    true
}

/// What a subscriber gets.
#[derive(Clone, Debug)]
pub enum Delivery {
    Event(Arc<Event>),
    /// The queue overflowed; `missed` events are gone for this subscriber.
    Resync {
        missed: u64,
    },
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Arc<Event>>,
    /// How many were taken from the front: makes places in `latest` absolute.
    taken: u64,
    /// Where the newest waiting state of an entity stands.
    latest: HashMap<String, u64>,
    missed: u64,
    coalesced: u64,
}

#[derive(Debug)]
struct Mailbox {
    filter: Filter,
    capacity: usize,
    queue: Mutex<Queue>,
    notify: Notify,
}

impl Mailbox {
    /// Puts what passes into the queue, under one lock however much it is.
    fn deliver(&self, events: &[Arc<Event>]) {
        let mut wanted = events.iter().filter(|event| self.filter.passes(event)).peekable();
        if wanted.peek().is_none() {
            return;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.for_each(|event| queue.push(event, self.capacity));
        drop(queue);
        self.notify.notify_one();
    }
}

impl Queue {
    fn push(&mut self, event: &Arc<Event>, capacity: usize) {
        if self.missed > 0 {
            self.missed += 1;
            return;
        }
        let is_half_full = self.waiting.len() >= capacity / 2;
        let entity = event.entity.as_ref().filter(|_| is_half_full && event.kind == "state");
        if let Some(entity) = entity {
            let place = self.latest.get(entity).and_then(|at| at.checked_sub(self.taken));
            if let Some(slot) = place.and_then(|at| self.waiting.get_mut(at as usize)) {
                *slot = event.clone();
                self.coalesced += 1;
                return;
            }
        }
        if self.waiting.len() >= capacity {
            *self = Queue {
                missed: self.waiting.len() as u64 + 1,
                coalesced: self.coalesced,
                ..Queue::default()
            };
            return;
        }
        if let Some(entity) = entity {
            self.latest.insert(entity.clone(), self.taken + self.waiting.len() as u64);
        }
        self.waiting.push_back(event.clone());
    }

    fn pop(&mut self) -> Option<Delivery> {
        if self.missed > 0 {
            return Some(Delivery::Resync { missed: std::mem::take(&mut self.missed) });
        }
        let event = self.waiting.pop_front()?;
        self.taken += 1;
        if self.waiting.is_empty() && !self.latest.is_empty() {
            self.latest = HashMap::new();
        }
        Some(Delivery::Event(event))
    }
}

/// One subscriber's end. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription(Arc<Mailbox>);

impl Subscription {
    /// The next event; waits for it.
    pub async fn next(&mut self) -> Delivery {
        loop {
            if let Some(delivery) = self.try_next() {
                return delivery;
            }
            self.0.notify.notified().await;
        }
    }

    /// What waits, in order, `most` at most; waits for the first.
    pub async fn next_batch(&mut self, most: usize) -> Vec<Delivery> {
        loop {
            let batch: Vec<Delivery> = {
                let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
                std::iter::from_fn(|| queue.pop()).take(most).collect()
            };
            if !batch.is_empty() {
                return batch;
            }
            self.0.notify.notified().await;
        }
    }

    /// The next event, if one waits.
    pub fn try_next(&mut self) -> Option<Delivery> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// Who gets every event in order, at once, without a queue: the recorder. Must not block.
pub type Sink = Arc<dyn Fn(&[Arc<Event>]) + Send + Sync>;

/// Numbers events and hands them out.
#[derive(Default)]
pub struct Bus {
    seq: AtomicU64,
    order: Mutex<()>,
    sinks: RwLock<Vec<Sink>>,
    mailboxes: RwLock<Vec<Weak<Mailbox>>>,
}

impl Bus {
    /// Continues the numbering of an earlier run.
    pub fn resume(&self, seq: u64) {
        self.seq.store(seq, Ordering::Relaxed);
    }

    /// The number of the latest event.
    pub fn seq(&self) -> u64 {
        self.seq.load(Ordering::Relaxed)
    }

    /// Adds a sink, before the first event.
    pub fn add_sink(&self, sink: Sink) {
        self.sinks.write().unwrap_or_else(PoisonError::into_inner).push(sink);
    }

    /// The event happens now: everyone who wants it has it in their queue when this returns.
    pub fn publish(&self, draft: Draft, now_ms: i64) {
        self.publish_all(vec![draft], now_ms);
    }

    /// These happen now, one after another; locks are taken and subscribers woken once for all of them.
    pub fn publish_all(&self, drafts: Vec<Draft>, now_ms: i64) {
        // One at a time, so that every subscriber sees the numbers in order.
        let order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let first = self.seq.load(Ordering::Relaxed) + 1;
        let events: Vec<Arc<Event>> =
            (first..).zip(drafts).map(|(seq, draft)| Arc::new(draft.at(seq, now_ms))).collect();
        self.seq.store(first - 1 + events.len() as u64, Ordering::Relaxed);
        for sink in self.sinks.read().unwrap_or_else(PoisonError::into_inner).iter() {
            sink(&events);
        }
        let mut anyone_gone = false;
        for mailbox in self.mailboxes.read().unwrap_or_else(PoisonError::into_inner).iter() {
            match mailbox.upgrade() {
                Some(mailbox) => mailbox.deliver(&events),
                None => anyone_gone = true,
            }
        }
        drop(order);
        if anyone_gone {
            let mut all = self.mailboxes.write().unwrap_or_else(PoisonError::into_inner);
            all.retain(|mailbox| mailbox.strong_count() > 0);
        }
    }

    /// A new subscriber, with room for `capacity` events.
    pub fn subscribe(&self, filter: Filter, capacity: usize) -> Subscription {
        let mailbox = Arc::new(Mailbox {
            filter,
            capacity: capacity.max(2),
            queue: Mutex::default(),
            notify: Notify::new(),
        });
        self.mailboxes.write().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&mailbox));
        Subscription(mailbox)
    }

    /// How many listen.
    pub fn subscribers(&self) -> usize {
        let all = self.mailboxes.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|m| m.strong_count() > 0).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::Role;
    use serde_json::json;

    fn state(entity: &str, value: u32) -> Draft {
        let mut draft = Draft::new("state", json!({ "state": value }));
        draft.entity = Some(entity.into());
        draft
    }
    fn drain(sub: &mut Subscription) -> Vec<Delivery> {
        std::iter::from_fn(|| sub.try_next()).collect()
    }

    #[test]
    fn patterns_match_kinds_and_subjects() {
        for (pattern, text, is_match) in [
            ("*", "", true),
            ("dwn", "dwn", true),
            ("dwn", "dwn2", false),
            ("s*e", "state", true),
            ("s*x*e", "state", false),
            ("*a*a*", "banana", true),
            ("", "a", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
        }
        let filter = Filter { patterns: vec!["state/dwn.n1.*".into()], who: Principal::house() };
        assert!(filter.passes(&state("dwn.n1.valve_a", 1).at(1, 0)));
        assert!(!filter.passes(&state("dwn.n2.valve_a", 1).at(1, 0)));
    }

    #[test]
    fn a_guest_hears_only_of_granted_areas() {
        let who = Principal { role: Role::Guest, areas: vec!["garden".into()], ..Principal::house() };
        let filter = Filter { patterns: Vec::new(), who };
        let mut draft = state("x", 1);
        assert!(!filter.passes(&draft.clone().at(1, 0)));
        draft.area = Some("garden".into());
        assert!(filter.passes(&draft.at(1, 0)));
    }

    #[test]
    fn a_slow_subscriber_gets_the_latest_state_of_each_entity() {
        let bus = Bus::default();
        let mut slow = bus.subscribe(Filter::all(), 8);
        for round in 0..100 {
            for entity in ["a", "b"] {
                bus.publish(state(entity, round), 0);
            }
        }
        let got = drain(&mut slow);
        assert!(got.len() <= 8);
        let last: Vec<String> = got
            .iter()
            .rev()
            .take(2)
            .map(|d| match d {
                Delivery::Event(e) => e.value()["state"].to_string(),
                Delivery::Resync { .. } => "resync".into(),
            })
            .collect();
        assert_eq!(last, ["99", "99"]);
    }

    #[test]
    fn a_full_queue_is_emptied_and_the_subscriber_told_once() {
        let bus = Bus::default();
        let mut slow = bus.subscribe(Filter::all(), 4);
        for _ in 0..10 {
            bus.publish(Draft::new("timer", json!({})), 0);
        }
        let got = drain(&mut slow);
        assert!(matches!(got[..], [Delivery::Resync { missed: 10 }]));
        bus.publish(Draft::new("timer", json!({})), 0);
        assert!(matches!(drain(&mut slow)[..], [Delivery::Event(_)]));
    }

    #[tokio::test]
    async fn a_batch_is_heard_whole_and_in_order() {
        let bus = Bus::default();
        let mut some = bus.subscribe(Filter { patterns: vec!["timer".into()], who: Principal::house() }, 100);
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let seen = recorded.clone();
        bus.add_sink(Arc::new(move |events| seen.lock().unwrap().extend(events.iter().map(|e| e.seq))));
        let draft =
            |n: u32| Draft::new(if n.is_multiple_of(2) { "timer" } else { "other" }, json!({ "n": n }));
        bus.publish_all((0..10).map(draft).collect(), 0);
        bus.publish_all(Vec::new(), 0);
        bus.publish(draft(10), 0);
        let seqs = |batch: Vec<Delivery>| -> Vec<u64> {
            let seq = |d| if let Delivery::Event(e) = d { e.seq } else { 0 };
            batch.into_iter().map(seq).collect()
        };
        assert_eq!(seqs(some.next_batch(4).await), [1, 3, 5, 7]);
        assert_eq!(seqs(some.next_batch(4).await), [9, 11]);
        assert_eq!(*recorded.lock().unwrap(), (1..=11).collect::<Vec<u64>>());
        assert_eq!(bus.seq(), 11);
    }

    #[test]
    fn a_dropped_subscription_is_forgotten() {
        let bus = Bus::default();
        drop(bus.subscribe(Filter::all(), 4));
        bus.publish(Draft::new("timer", json!({})), 0);
        assert_eq!(bus.mailboxes.read().unwrap().len(), 0);
    }

    #[test]
    fn every_event_has_its_fields_and_numbers_grow() {
        let bus = Bus::default();
        bus.resume(41);
        let mut listener = bus.subscribe(Filter::all(), 4);
        bus.publish(Draft::new("dwn", json!({"type": "new"})).device("dwn.n1", None), 1_500);
        let Some(Delivery::Event(event)) = listener.try_next() else { panic!("no event") };
        let value = event.value();
        assert_eq!(value["event"], "dwn");
        assert_eq!(
            (&value["timestamp"], &value["time"], &value["seq"]),
            (&json!(1), &json!(1500), &json!(42))
        );
        assert_eq!((&value["type"], &value["device"]), (&json!("new"), &json!("dwn.n1")));
    }
}
