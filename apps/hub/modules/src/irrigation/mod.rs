//! Irrigation: guards every valve of the house, whatever technology it is of, and runs sequences and programs.
//!
//! A valve opens only through this module's interlock, which writes the deadline to the disk first. Whatever is open without
//! a deadline, or beyond it, is shut, again and again until it reports so.

mod functions;
mod programs;

pub(crate) use programs::check as check_program;

use crate::PlaceSettings;

use house::event::Draft;
use house::house::Interlock;
use house::{
    BoxFuture, Change, Command, Delivery, Filter, House, Kind, Module, Principal, Problem, Room, State,
};
use irrigation::guard::Seen;
use irrigation::{Action, Deadline, Engine, Guard, Input, LONGEST_OPENING_S, Now, Verdict};
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// The module.
#[derive(Debug)]
pub struct Irrigation {
    place: PlaceSettings,
}

impl Irrigation {
    /// A module for a house at this place.
    pub fn new(place: PlaceSettings) -> Irrigation {
        Irrigation { place }
    }
}

/// How often valves are looked at while there is anything to watch.
const PASS: Duration = Duration::from_millis(200);
/// States that are looked at before the engine has its turn.
const BATCH: usize = 256;
/// Inputs to the engine that wait at most.
const INPUTS: usize = 64;

type SharedGuard = Arc<Mutex<Guard>>;
type SharedEngine = Arc<Mutex<Engine>>;

impl Module for Irrigation {
    fn name(&self) -> &'static str {
        "irrigation"
    }

    fn run(self: Arc<Self>, room: Room) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async move {
            let house = room.house().clone();
            let guard = restore(&house);
            house.set_interlock(Some(interlock(house.clone(), guard.clone())));
            let _unlock = Unlock(house.clone());
            let engine = SharedEngine::default();
            let (inputs, mut received) = mpsc::channel(INPUTS);
            functions::register(&room, &inputs, &engine, &guard);
            let mut events = house
                .bus()
                .subscribe(Filter { patterns: vec!["state/*".into()], who: Principal::house() }, 4096);
            look_at_all(&house, &guard);
            let (todo, decided) = mpsc::unbounded_channel();
            let mut tasks = JoinSet::new();
            let inputs_for_programs = inputs.clone();
            tasks.spawn(carry_out(house.clone(), decided, inputs));
            programs::register(&room, &inputs_for_programs, &self.place.place());
            let mut clockwork = programs::Clockwork::new(&house, self.place.place());
            room.armed();
            let mut pass = interval(PASS);
            pass.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let input = tokio::select! {
                    batch = events.next_batch(BATCH) => {
                        for delivery in batch {
                            match delivery {
                                Delivery::Event(event) => {
                                    if let Some(id) = &event.entity {
                                        look_at(&house, &guard, id);
                                    }
                                }
                                Delivery::Resync { .. } => look_at_all(&house, &guard),
                            }
                        }
                        None
                    }
                    Some(input) = received.recv() => Some(input),
                    _ = pass.tick() => None,
                    Some(_) = tasks.join_next() => return Err("the task that carries out decisions ended".into()),
                };
                for input in input.into_iter().chain(clockwork.due(&house)).chain([Input::Tick]) {
                    work(&house, &engine, &todo, input);
                }
                judge(&house, &guard);
            }
        })
    }
}

/// Takes the interlock out when the module ends: then no valve opens.
struct Unlock(House);

impl Drop for Unlock {
    fn drop(&mut self) {
        self.0.set_interlock(None);
    }
}

fn now(house: &House) -> Now<'_> {
    let clock = house.clock();
    Now {
        boot_id: clock.boot_id(),
        boot_ms: clock.boot_ms(),
        wall_ms: clock.now_ms(),
        is_plausible: clock.is_plausible(),
        monotonic_ms: clock.monotonic_ms(),
    }
}

/// Whether this valve has a deadline on the disk that is over: then nothing is more urgent than to shut it.
pub(crate) fn is_overdue(house: &House, valve: &str) -> bool {
    let Some(stored) = house.memory().get("deadlines", valve) else { return false };
    // One that makes no sense is over.
    serde_json::from_value::<Deadline>(stored).map_or(true, |deadline| deadline.left_ms(&now(house)) == 0)
}

/// The deadlines of an earlier run. One that makes no sense is over.
fn restore(house: &House) -> SharedGuard {
    let mut guard = Guard::default();
    for (valve, value) in house.memory().list("deadlines") {
        let over = || Deadline { boot_id: String::new(), until_boot_ms: 0, until_wall_ms: 0, seconds: 0 };
        let deadline = serde_json::from_value(value).unwrap_or_else(|_| over());
        guard.arm(&valve, deadline, house.clock().monotonic_ms(), true);
    }
    if house.memory().trouble().is_some() {
        // Nobody knows what was open: everything that can be reached is shut.
        let valves: Vec<String> =
            house.look(|r| r.entities().filter(|e| e.kind == Kind::Valve).map(|e| e.id.clone()).collect());
        valves.iter().for_each(|valve| guard.see(valve, Seen::Open, 0));
    }
    Arc::new(Mutex::new(guard))
}

/// Writes the deadline, then lets the command pass.
fn interlock(house: House, guard: SharedGuard) -> Interlock {
    Arc::new(move |entity, mut command: Command| {
        let (house, guard) = (house.clone(), guard.clone());
        Box::pin(async move {
            let seconds = match command.arguments.get("seconds") {
                None => 600,
                Some(seconds) => match seconds.as_u64() {
                    Some(seconds @ 1..=14_400) => (seconds as u32).min(LONGEST_OPENING_S),
                    _ => return Err(Problem::bad("seconds: 1 to 1800").with("parameter", "seconds")),
                },
            };
            command.arguments.insert("seconds".into(), seconds.into());
            let deadline = Deadline::new(&now(&house), seconds);
            let value = serde_json::to_value(&deadline).map_err(|e| Problem::internal(e.to_string()))?;
            let until = house.clock().now_ms() + i64::from(seconds) * 1000;
            lock(&guard).arm(&entity.id, deadline, house.clock().monotonic_ms(), false);
            look_at(&house, &guard, &entity.id);
            let mut notes = Map::new();
            notes.insert("seconds".into(), seconds.into());
            notes.insert("until".into(), until.into());
            if let Err(error) = house.memory().write(vec![Change::put("deadlines", &entity.id, value)]).await
            {
                notes.insert("warning".into(), error.to_string().into());
            }
            Ok((command, notes))
        })
    })
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look_at(house: &House, guard: &SharedGuard, id: &str) {
    let seen = house.look(|registry| {
        let entity = registry.entity(id).filter(|e| e.kind == Kind::Valve)?;
        Some(match &entity.state {
            State::Known(value) if *value == true.into() => Seen::Open,
            State::Known(_) => Seen::Shut,
            State::Unknown => Seen::Unknown,
            State::Unavailable(_) => Seen::Unreachable,
        })
    });
    if let Some(seen) = seen {
        lock(guard).see(id, seen, house.clock().monotonic_ms());
    }
}

fn look_at_all(house: &House, guard: &SharedGuard) {
    let valves: Vec<String> =
        house.look(|r| r.entities().filter(|e| e.kind == Kind::Valve).map(|e| e.id.clone()).collect());
    valves.iter().for_each(|valve| look_at(house, guard, valve));
}

/// Carries out what the guard decides. Each valve has a task of its own, so that a slow one delays no other.
fn judge(house: &House, guard: &SharedGuard) {
    let verdicts = {
        let mut guard = lock(guard);
        if guard.is_idle() { Vec::new() } else { guard.check(&now(house)) }
    };
    for verdict in verdicts {
        match verdict {
            Verdict::Shut(valve) => {
                house.emit(Draft::new("valve", json!({"type": "deadline", "valve": valve})));
                let house = house.clone();
                tokio::spawn(async move {
                    if let Err(problem) = command(&house, &valve, "shut", Map::new()).await {
                        tracing::warn!(valve, %problem, "a valve could not be shut; it is tried again");
                    }
                });
            }
            Verdict::Forget(valve) => house.memory().write_soon(vec![Change::remove("deadlines", &valve)]),
        }
    }
}

async fn command(
    house: &House,
    valve: &str,
    action: &str,
    arguments: Map<String, Value>,
) -> Result<(), Problem> {
    let command = Command { entity: valve.into(), action: action.into(), arguments, who: Principal::house() };
    house.command(command).await.map(|_| ())
}

/// Steps the engine; what it decides waits for [`carry_out`].
fn work(house: &House, engine: &SharedEngine, todo: &mpsc::UnboundedSender<Action>, input: Input) {
    // An unbounded queue of what one engine decides: at most two actions for each input, and inputs are bounded.
    for action in lock(engine).step(house.clock().monotonic_ms(), input) {
        // Only the end of the module closes the queue.
        let _ = todo.send(action);
    }
}

/// Carries out the engine's decisions in order, without holding up the guard.
async fn carry_out(house: House, mut todo: mpsc::UnboundedReceiver<Action>, inputs: mpsc::Sender<Input>) {
    while let Some(action) = todo.recv().await {
        match action {
            Action::Tell { run, what } => {
                house.emit(Draft::new("irrigation", json!({"type": what, "run": run})));
            }
            Action::Shut { valve } => {
                // The guard shuts it as well when this fails: its deadline is the zone's end.
                if let Err(problem) = command(&house, &valve, "shut", Map::new()).await {
                    tracing::warn!(valve, %problem, "a zone could not be ended; its deadline will");
                }
            }
            Action::Open { valve, seconds } => {
                let mut arguments = Map::new();
                arguments.insert("seconds".into(), seconds.into());
                if let Err(problem) = command(&house, &valve, "open", arguments).await {
                    let data = json!({"type": "failed", "valve": valve, "reason": problem.to_string()});
                    house.emit(Draft::new("irrigation", data));
                    // When nobody listens the module has ended.
                    let _ = inputs.send(Input::Failed(valve)).await;
                }
            }
        }
    }
}
