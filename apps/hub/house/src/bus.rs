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
    fn deliver(&self, event: &Arc<Event>) {
        if !self.filter.passes(event) {
            return;
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.missed > 0 {
            queue.missed += 1;
            return;
        }
        let is_state = event.kind == "state";
        if is_state && queue.waiting.len() >= self.capacity / 2 {
            let place = event.entity.as_ref().and_then(|id| queue.latest.get(id).copied());
            let place = place.and_then(|at| at.checked_sub(queue.taken)).map(|at| at as usize);
            if let Some(slot) = place.and_then(|at| queue.waiting.get_mut(at)) {
                *slot = event.clone();
                queue.coalesced += 1;
                return;
            }
        }
        if queue.waiting.len() >= self.capacity {
            queue.missed = queue.waiting.len() as u64 + 1;
            queue.waiting = VecDeque::new();
            queue.latest = HashMap::new();
            queue.taken = 0;
        } else {
            if is_state
                && let Some(entity) = &event.entity
                && queue.waiting.len() >= self.capacity / 2
            {
                let at = queue.taken + queue.waiting.len() as u64;
                queue.latest.insert(entity.clone(), at);
            }
            queue.waiting.push_back(event.clone());
        }
        drop(queue);
        self.notify.notify_one();
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

    /// The next event, if one waits.
    pub fn try_next(&mut self) -> Option<Delivery> {
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.missed > 0 {
            let missed = std::mem::take(&mut queue.missed);
            return Some(Delivery::Resync { missed });
        }
        let event = queue.waiting.pop_front()?;
        queue.taken += 1;
        if queue.waiting.is_empty() && !queue.latest.is_empty() {
            queue.latest = HashMap::new();
        }
        Some(Delivery::Event(event))
    }
}

/// Who gets every event in order, at once, without a queue: the recorder. Must not block.
pub type Sink = Arc<dyn Fn(&Arc<Event>) + Send + Sync>;

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
    pub fn publish(&self, draft: Draft, now_ms: i64) -> Arc<Event> {
        // One at a time, so that every subscriber sees the numbers in order.
        let order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Arc::new(draft.at(self.seq.fetch_add(1, Ordering::Relaxed) + 1, now_ms));
        for sink in self.sinks.read().unwrap_or_else(PoisonError::into_inner).iter() {
            sink(&event);
        }
        let mut anyone_gone = false;
        for mailbox in self.mailboxes.read().unwrap_or_else(PoisonError::into_inner).iter() {
            match mailbox.upgrade() {
                Some(mailbox) => mailbox.deliver(&event),
                None => anyone_gone = true,
            }
        }
        drop(order);
        if anyone_gone {
            let mut all = self.mailboxes.write().unwrap_or_else(PoisonError::into_inner);
            all.retain(|mailbox| mailbox.strong_count() > 0);
        }
        event
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
        let event = bus.publish(Draft::new("dwn", json!({"type": "new"})).device("dwn.n1", None), 1_500);
        let value = event.value();
        assert_eq!(value["event"], "dwn");
        assert_eq!(
            (&value["timestamp"], &value["time"], &value["seq"]),
            (&json!(1), &json!(1500), &json!(42))
        );
        assert_eq!((&value["type"], &value["device"]), (&json!("new"), &json!("dwn.n1")));
    }
}
