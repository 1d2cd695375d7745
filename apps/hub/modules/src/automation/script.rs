//! Scripts in Rhai: a way to say what rules cannot, within limits of operations, memory and time.
//!
//! A script may define `fn on_event(e)`, called for each event as a map, and may call `action(url)` (the answer is a map),
//! `state(entity)` and `log(text)`. Its top level runs when a rule or a person starts it. Each call starts with fresh
//! variables: what must last is an entity's or another event's business.

use house::{House, Method, Principal, Problem};
use rhai::{AST, Dynamic, Engine, EvalAltResult, Map, Scope};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const OPERATIONS: u64 = 2_000_000;
const STRING_BYTES: usize = 64 * 1024;
const ITEMS: usize = 10_000;
const VARIABLES: usize = 500;
/// How long one call may take, its actions included.
const TIME: Duration = Duration::from_secs(10);
/// Calls at one time at most; events beyond are passed over.
const AT_ONCE: usize = 8;
/// The longest script.
pub(super) const SOURCE_BYTES: usize = 64 * 1024;

/// All scripts, compiled.
pub(super) struct Scripts {
    house: House,
    compiled: Mutex<BTreeMap<String, Arc<AST>>>,
    running: Arc<AtomicUsize>,
}

/// A place among the running scripts, given back however the run ends.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Scripts {
    pub fn new(house: House) -> Scripts {
        Scripts { house, compiled: Mutex::default(), running: Arc::default() }
    }

    /// Compiles what is defined now.
    pub fn read(&self) {
        let mut compiled = BTreeMap::new();
        for (id, value) in self.house.definitions("scripts") {
            match compile(value["source"].as_str().unwrap_or_default()) {
                Ok(ast) => {
                    compiled.insert(id, Arc::new(ast));
                }
                Err(reason) => {
                    tracing::error!(script = id, reason, "a script makes no sense and does not run")
                }
            }
        }
        *self.compiled.lock().unwrap_or_else(PoisonError::into_inner) = compiled;
    }

    /// Whether any script wants events.
    pub fn want_events(&self) -> bool {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner).values().any(|ast| wants(ast))
    }

    /// Gives an event to every script that wants events.
    pub fn event(&self, event: &Value) {
        let wanting: Vec<(String, Arc<AST>)> = {
            let all = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
            all.iter().filter(|(_, ast)| wants(ast)).map(|(id, ast)| (id.clone(), ast.clone())).collect()
        };
        for (id, ast) in wanting {
            let Some(place) = self.enter() else {
                tracing::warn!(script = id, "too many scripts run; an event is passed over");
                continue;
            };
            let (house, event) = (self.house.clone(), event.clone());
            let runtime = tokio::runtime::Handle::current();
            tokio::task::spawn_blocking(move || {
                let _place = place;
                let engine = engine(&house, &id, runtime);
                let event = rhai::serde::to_dynamic(event).unwrap_or(Dynamic::UNIT);
                let options = rhai::CallFnOptions::new().eval_ast(false);
                let called = engine.call_fn_with_options::<Dynamic>(
                    options,
                    &mut Scope::new(),
                    &ast,
                    "on_event",
                    (event,),
                );
                if let Err(error) = called {
                    tracing::warn!(script = id, %error, "a script failed");
                }
            });
        }
    }

    fn enter(&self) -> Option<Place> {
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.running.clone());
        (before < AT_ONCE).then_some(place)
    }

    /// Runs a script's top level.
    ///
    /// # Errors
    /// There is none of this id, too many run, or it failed.
    pub async fn run(&self, id: &str, cause: &str) -> Result<(), Problem> {
        let ast = self.compiled.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let ast = ast.ok_or_else(|| Problem::missing("script", id))?;
        let place = self.enter().ok_or_else(|| Problem::unavailable("too many scripts run"))?;
        let (house, id, cause) = (self.house.clone(), id.to_string(), cause.to_string());
        let runtime = tokio::runtime::Handle::current();
        let ran = tokio::task::spawn_blocking(move || {
            let _place = place;
            let mut scope = Scope::new();
            scope.push("cause", cause);
            engine(&house, &id, runtime).run_ast_with_scope(&mut scope, &ast).map_err(|e| e.to_string())
        });
        let ran = ran.await.map_err(|e| Problem::internal(e.to_string()))?;
        ran.map_err(|reason| Problem::new(422, "the script failed").detail(reason))
    }
}

/// Whether a script has a function for events.
fn wants(ast: &AST) -> bool {
    ast.iter_functions().any(|f| f.name == "on_event" && f.params.len() == 1)
}

/// Checks a source.
///
/// # Errors
/// What is wrong, with line and column.
pub(super) fn compile(source: &str) -> Result<AST, String> {
    if source.len() > SOURCE_BYTES {
        return Err(format!("longer than {SOURCE_BYTES} bytes"));
    }
    limited().compile(source).map_err(|error| error.to_string())
}

fn limited() -> Engine {
    let mut engine = Engine::new();
    engine.set_max_operations(OPERATIONS);
    engine.set_max_string_size(STRING_BYTES);
    engine.set_max_array_size(ITEMS);
    engine.set_max_map_size(ITEMS);
    engine.set_max_variables(VARIABLES);
    engine.set_max_call_levels(32);
    engine.set_max_expr_depths(64, 32);
    engine
}

fn engine(house: &House, id: &str, runtime: tokio::runtime::Handle) -> Engine {
    let mut engine = limited();
    let ends = Instant::now() + TIME;
    engine.on_progress(move |_| (Instant::now() > ends).then(|| "it took too long".into()));
    let script = id.to_string();
    engine.register_fn("log", move |text: &str| tracing::info!(script, text, "script"));
    let seen = house.clone();
    engine.register_fn("state", move |entity: &str| -> Dynamic {
        let value = seen.look(|r| r.entity(entity).and_then(|e| e.state.value().map(house::Value::to_json)));
        value.and_then(|v| rhai::serde::to_dynamic(v).ok()).unwrap_or(Dynamic::UNIT)
    });
    let house = house.clone();
    engine.register_fn("action", move |url: &str| -> Result<Dynamic, Box<EvalAltResult>> {
        let left = ends.saturating_duration_since(Instant::now());
        let call = house.call_url(Method::Get, url, Value::Null, Principal::house());
        let answer = runtime.block_on(async { tokio::time::timeout(left, call).await });
        let answer = answer.map_err(|_| "it took too long")?.map_err(|problem| problem.to_string())?;
        match answer.content {
            house::function::Content::Json(value) => rhai::serde::to_dynamic(value),
            _ => Ok(Map::new().into()),
        }
    });
    engine
}

#[cfg(test)]
mod tests {
    use super::*;
    use house::{Clock, Status, memory::Volatile};
    use serde_json::json;

    fn house_with(source: &str) -> Scripts {
        let house = House::new(Arc::new(Volatile::default()), Clock::default(), Status::Inbox);
        house.fix("scripts", "s", json!({ "source": source }));
        let scripts = Scripts::new(house);
        scripts.read();
        scripts
    }

    #[test]
    fn hostile_scripts_are_refused_or_ended() {
        let scripts: [&[u8]; 4] = [
            b"fn on_event(e) { if e.event == \"state\" && e.state > 5 { action(`/dwn/${e.entity}/on?valve=a`); } }",
            b"let a = [1, 2.5, \"x\", #{b: ()}]; for i in 0..10 { a.push(i); } while a.len() > 3 { a.pop(); } a[0]",
            b"let f = |x| x * 2; switch f.call(21) { 42 => throw \"yes\", _ => () } try { 1 / 0 } catch (e) { log(e) }",
            b"state(\"a.b\").to_string().split(\",\").map(|p| p.trim()).reduce(|s, v| s + v, \"\")",
        ];
        let mut engine = limited();
        // As in a house, but with an end that comes sooner.
        engine.set_max_operations(5_000);
        hostile::attack(1, 200, &scripts, |input| {
            if let Ok(ast) = compile(&String::from_utf8_lossy(input)) {
                let _ = engine.run_ast(&ast);
            }
        });
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_script_without_end_is_ended() {
        for endless in [
            "loop {}",
            "fn f() { f() } f()",
            "let a = []; loop { a.push(1) }",
            "let s = \"x\"; loop { s += s; }",
            "let m = #{}; let i = 0; loop { m[i.to_string()] = i; i += 1; }",
        ] {
            // Which limit comes first depends on the machine.
            assert!(house_with(endless).run("s", "").await.is_err(), "{endless}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_script_knows_its_cause_and_reaches_nothing_but_the_house() {
        assert_eq!(house_with("if cause != \"why\" { throw \"no\" }").run("s", "why").await, Ok(()));
        assert!(house_with("action(\"/no/such\")").run("s", "").await.is_err());
        assert!(
            compile("import \"x\" as y;").is_err()
                || house_with("import \"x\" as y;").run("s", "").await.is_err()
        );
        assert!(compile("let x = ;").is_err());
    }
}
