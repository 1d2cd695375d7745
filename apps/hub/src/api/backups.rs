//! Backups: made while the hub runs, with progress; listed, fetched, removed.

use super::add;
use crate::{Config, maintain};
use house::function::{Content, Right};
use house::{Function, House, Method, Problem, Reply};
use hub_store::{Store, backup, private, sealed};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Jobs remembered at most.
const JOBS: usize = 50;

/// How far a backup is.
#[derive(Clone, Debug, Default, Serialize)]
struct Job {
    /// `running`, `good` or `failed`.
    state: String,
    done: u64,
    rows: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<hub_store::backup::Summary>,
    is_sealed: bool,
    /// Unix milliseconds at which it was begun.
    made: i64,
}

#[derive(Clone)]
struct Jobs {
    folder: PathBuf,
    all: Arc<Mutex<BTreeMap<String, Job>>>,
}

impl Jobs {
    /// The jobs of this run, and what earlier runs have left in the folder (only good ones have their final names).
    fn new(folder: PathBuf) -> Jobs {
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "part") {
                // A hub was killed over it: it is half, and may be plain where the backup was to be sealed.
                if let Err(error) = private::remove(&path) {
                    tracing::error!(%error, file = %path.display(), "half a backup could not be removed");
                }
                continue;
            }
            let id = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_string();
            let made =
                i64::from_str_radix(&id, 16).ok().filter(|_| path.extension().is_some_and(|e| e == "hob"));
            if let Some(made) = made {
                let is_sealed = sealed::is_sealed(&path).unwrap_or(false);
                all.insert(id, Job { state: "good".into(), is_sealed, made, ..Job::default() });
            }
        }
        Jobs { folder, all: Arc::new(Mutex::new(all)) }
    }
    fn edit<T>(&self, edit: impl FnOnce(&mut BTreeMap<String, Job>) -> T) -> T {
        edit(&mut self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }
    fn file(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.hob"))
    }
}

pub(super) fn register(house: &House, store: &Arc<Store>, config: &Config, restart: &Arc<Notify>) {
    let jobs = Jobs::new(config.state.join("backups"));
    restore(house, &jobs, config, restart);
    let schema = json!({"type": "object", "properties": {"passphrase": {"type": "string"}}});
    let (store, making) = (store.clone(), jobs.clone());
    let make = Function::new(
        Method::Post,
        "/api/backups",
        "Make a backup; verified before it is called good",
        move |house, call| {
            let (store, jobs) = (store.clone(), making.clone());
            Box::pin(async move {
                let pass = call.body["passphrase"].as_str().map(str::to_string).filter(|p| !p.is_empty());
                let made = house.clock().now_ms();
                let id = format!("{made:x}");
                jobs.edit(|all| {
                    if all.values().any(|job| job.state == "running") {
                        return Err(Problem::new(409, "a backup is being made already"));
                    }
                    while all.len() >= JOBS {
                        all.pop_first();
                    }
                    all.insert(
                        id.clone(),
                        Job { state: "running".into(), is_sealed: pass.is_some(), made, ..Job::default() },
                    );
                    Ok(())
                })?;
                let job = id.clone();
                tokio::task::spawn_blocking(move || {
                    let made = make(&store, &jobs, &job, pass.as_deref());
                    jobs.edit(|all| {
                        let Some(job) = all.get_mut(&job) else { return };
                        match made {
                            Ok(summary) => (job.state, job.summary) = ("good".into(), Some(summary)),
                            Err(reason) => (job.state, job.reason) = ("failed".into(), Some(reason)),
                        }
                    });
                });
                Ok(Reply::json(json!({"id": id})).status(202))
            })
        },
    );
    house.functions().add(make.right(Right::Admin).body(schema));

    let admin = |f: Function| f.right(Right::Admin);
    let listed = jobs.clone();
    add(
        house,
        Method::Get,
        "/api/backups",
        "All backups, and how far one is that is being made",
        admin,
        move |_, _| Ok(Reply::json(listed.edit(|all| json!(all)))),
    );
    let one = jobs.clone();
    add(house, Method::Get, "/api/backups/{id}", "One backup", admin, move |_, call| {
        let id = call.text("id");
        let job = one.edit(|all| all.get(id).cloned()).ok_or_else(|| Problem::missing("backup", id))?;
        let mut shown = json!(job);
        shown["file"] = json!(one.file(id));
        Ok(Reply::json(shown))
    });
    let fetched = jobs.clone();
    add(house, Method::Get, "/api/backups/{id}/file", "The file of a good backup", admin, move |_, call| {
        let id = call.text("id");
        let is_good = fetched.edit(|all| all.get(id).is_some_and(|job| job.state == "good"));
        if !is_good {
            return Err(Problem::missing("good backup", id));
        }
        let mut reply = Reply::json(json!(null));
        reply.content = Content::File("application/octet-stream", fetched.file(id));
        reply.headers.push(("content-disposition", format!("attachment; filename=\"hub-{id}.hob\"")));
        Ok(reply)
    });
    add(house, Method::Delete, "/api/backups/{id}", "Remove a backup", admin, move |_, call| {
        let id = call.text("id");
        jobs.edit(|all| all.remove(id)).ok_or_else(|| Problem::missing("backup", id))?;
        match std::fs::remove_file(jobs.file(id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Problem::internal(error.to_string()))
            }
            _ => Ok(Reply::ok()),
        }
    });
}

/// Putting a backup in the place of the store: verified while the hub runs, in force when it has started anew.
fn restore(house: &House, jobs: &Jobs, config: &Config, restart: &Arc<Notify>) {
    let schema = json!({"type": "object", "properties": {"passphrase": {"type": "string"}}});
    let (jobs, config, restart) = (jobs.clone(), Arc::new(config.clone()), restart.clone());
    let about =
        "Go back to a backup: it is verified, then the hub starts anew with it; the store before is kept";
    let function = Function::new(Method::Post, "/api/backups/{id}/restore", about, move |_, call| {
        let (jobs, config, restart) = (jobs.clone(), config.clone(), restart.clone());
        Box::pin(async move {
            let id = call.text("id");
            if !jobs.edit(|all| all.get(id).is_some_and(|job| job.state == "good")) {
                return Err(Problem::missing("good backup", id));
            }
            let (file, pass) = (jobs.file(id), call.body["passphrase"].as_str().map(str::to_string));
            let prepared =
                tokio::task::spawn_blocking(move || maintain::prepare(&config, &file, pass.as_deref())).await;
            let summary = prepared
                .map_err(|e| Problem::internal(e.to_string()))?
                .map_err(|reason| Problem::new(422, "this backup cannot be restored").detail(reason))?;
            restart.notify_one();
            Ok(Reply::json(json!({"status": "restarting", "rows": summary.rows})).status(202))
        })
    });
    house.functions().add(function.right(Right::Admin).body(schema));
}

fn make(
    store: &Store,
    jobs: &Jobs,
    id: &str,
    pass: Option<&str>,
) -> Result<hub_store::backup::Summary, String> {
    private::folder(&jobs.folder).map_err(|e| e.to_string())?;
    let progress = |done, rows| {
        if done % 256 == 0 || done == rows {
            jobs.edit(|all| all.get_mut(id).map(|job| (job.done, job.rows) = (done, rows)));
        }
    };
    backup::make(store, &jobs.file(id), pass, &progress)
}
