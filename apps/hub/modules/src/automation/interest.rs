//! Which events the rules look at, so that the others cost next to nothing.

use house::Event;
use rules::rule::Trigger;
use std::collections::HashSet;

/// A superset of the events that pull a trigger.
#[derive(Debug, Default)]
pub(super) struct Interest {
    kinds: HashSet<String>,
    /// Entities whose states matter.
    entities: HashSet<String>,
}

impl Interest {
    /// Adds what pulls a trigger.
    pub fn add(&mut self, trigger: &Trigger) {
        match trigger {
            Trigger::State { entity, .. } => self.entities.insert(entity.clone()),
            Trigger::Event { kind, .. } => self.kinds.insert(kind.clone()),
            Trigger::Webhook { .. } => self.kinds.insert("webhook".into()),
            Trigger::Time { .. } | Trigger::Cron { .. } => return,
        };
    }

    /// Whether the event may pull a trigger.
    pub fn takes(&self, event: &Event) -> bool {
        let is_watched = || event.entity.as_ref().is_some_and(|entity| self.entities.contains(entity));
        self.kinds.contains(&event.kind) || (event.kind == "state" && is_watched())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use house::event::Draft;
    use serde_json::{Value, json};

    fn trigger(value: Value) -> Trigger {
        serde_json::from_value(value).unwrap()
    }
    fn event(kind: &str, entity: &str) -> Event {
        let draft = Draft::new(kind, json!({"state": true}));
        Draft { entity: Some(entity.into()), ..draft }.at(1, 0)
    }

    #[test]
    fn what_pulls_a_trigger_is_taken_and_the_rest_is_not() {
        let triggers = [
            trigger(json!({"on": "state", "entity": "a"})),
            trigger(json!({"on": "event", "kind": "dwn"})),
            trigger(json!({"on": "webhook", "id": "x"})),
            trigger(json!({"on": "time", "at": "07:30"})),
        ];
        let mut interest = Interest::default();
        triggers.iter().for_each(|trigger| interest.add(trigger));
        for (kind, entity, is_taken) in [
            ("state", "a", true),
            ("state", "b", false),
            ("command", "a", false),
            ("dwn", "b", true),
            ("webhook", "b", true),
            ("timer", "b", false),
        ] {
            assert_eq!(interest.takes(&event(kind, entity)), is_taken, "{kind} {entity}");
        }
        // An event that looks at states as events is not passed over.
        interest.add(&trigger(json!({"on": "event", "kind": "state"})));
        assert!(interest.takes(&event("state", "b")));
    }
}
