//! Backups: made while the hub runs, with progress; listed, fetched, removed.

use super::add;
use house::function::{Content, Right};
use house::{Function, House, Method, Problem, Reply};
use hub_store::{Store, sealed};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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
}

#[derive(Clone)]
struct Jobs {
    folder: PathBuf,
    all: Arc<Mutex<BTreeMap<String, Job>>>,
}

impl Jobs {
    fn edit<T>(&self, edit: impl FnOnce(&mut BTreeMap<String, Job>) -> T) -> T {
        edit(&mut self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }
    fn file(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.hob"))
    }
}

pub(super) fn register(house: &House, store: &Arc<Store>, state: &Path) {
    let jobs = Jobs { folder: state.join("backups"), all: Arc::default() };
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
                let id = format!("{:x}", house.clock().now_ms());
                jobs.edit(|all| {
                    if all.values().any(|job| job.state == "running") {
                        return Err(Problem::new(409, "a backup is being made already"));
                    }
                    while all.len() >= JOBS {
                        all.pop_first();
                    }
                    all.insert(
                        id.clone(),
                        Job { state: "running".into(), is_sealed: pass.is_some(), ..Job::default() },
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
        "Backups of this run, and how far they are",
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

fn make(
    store: &Store,
    jobs: &Jobs,
    id: &str,
    pass: Option<&str>,
) -> Result<hub_store::backup::Summary, String> {
    let file = jobs.file(id);
    let scratch = file.with_extension("part");
    let work = || -> Result<hub_store::backup::Summary, String> {
        make_private(&jobs.folder).map_err(|e| e.to_string())?;
        let progress = |done, rows| {
            if done % 256 == 0 || done == rows {
                jobs.edit(|all| all.get_mut(id).map(|job| (job.done, job.rows) = (done, rows)));
            }
        };
        let summary = store.back_up(&scratch, &progress).map_err(|e| e.to_string())?;
        match pass {
            None => std::fs::rename(&scratch, &file).map_err(|e| e.to_string())?,
            Some(pass) => sealed::seal(&scratch, &file, pass).map_err(|e| e.to_string())?,
        }
        Ok(summary)
    };
    let made = work();
    // Sealed: the plain copy goes. Failed: nothing half is left.
    let _ = std::fs::remove_file(&scratch);
    made
}

/// A backup holds every secret of the house.
fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(folder)?;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}
