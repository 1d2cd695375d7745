//! Backup, restore and users from the command line: through the running hub, or on the store itself when none runs.

use crate::Config;
use crate::local::{self, LocalError};
use crate::start::{socket_file, store_file};
use house::function::Content;
use house::{Clock, House, Memory, Method, Principal, Reply, Status};
use hub_server::Users;
use hub_store::backup::Summary;
use hub_store::{Options, Store, backup, private, sealed};
use serde_json::{Value, json};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Makes a backup and puts it at `to`.
///
/// # Errors
/// It could not be made or copied.
pub fn back_up(config: &Config, to: &Path, pass: Option<&str>) -> Result<String, Box<dyn Error>> {
    let socket = socket_file(config);
    match local::call(&socket, "POST", "/api/backups", Some(&json!({ "passphrase": pass }))) {
        Ok(job) => {
            let path = format!("/api/backups/{}", job["id"].as_str().unwrap_or_default());
            loop {
                let job = local::call(&socket, "GET", &path, None)?;
                match job["state"].as_str() {
                    Some("running") => std::thread::sleep(Duration::from_millis(100)),
                    Some("good") => {
                        private::copy(Path::new(job["file"].as_str().unwrap_or_default()), to)?;
                        local::call(&socket, "DELETE", &path, None)?;
                        return Ok(format!("{} rows, verified", job["summary"]["rows"]));
                    }
                    _ => return Err(job["reason"].as_str().unwrap_or("failed").into()),
                }
            }
        }
        Err(LocalError::NotRunning) => {
            let store = Store::open(&store_file(config), Options::default())?;
            let summary = backup::make(&store, to, pass, &|_, _| ())?;
            Ok(format!("{} rows, verified", summary.rows))
        }
        Err(error) => Err(error.into()),
    }
}

/// Puts a backup in the place of the store; what was there stays beside it.
///
/// # Errors
/// A hub runs, the pass phrase is wrong, or the backup is not good. The store is untouched then.
pub fn restore(config: &Config, from: &Path, pass: Option<&str>) -> Result<String, Box<dyn Error>> {
    match local::call(&socket_file(config), "GET", "/api/health", None) {
        Err(LocalError::NotRunning) => {}
        _ => {
            return Err(
                "a hub runs on this state folder: stop it, or ask it: POST /api/backups/{id}/restore".into(),
            );
        }
    }
    private::folder(&config.state)?;
    let summary = prepare(config, from, pass)?;
    put_in_place(config)?;
    let before = store_file(config).with_extension("before-restore");
    Ok(format!("{} rows; the store before is kept as {}", summary.rows, before.display()))
}

/// A backup that was verified and waits to become the store.
fn waiting_file(config: &Config) -> PathBuf {
    store_file(config).with_extension("restored")
}

/// Unseals and verifies a backup; it becomes the store at the next start.
///
/// # Errors
/// In words: the pass phrase, the file, its version.
pub fn prepare(config: &Config, from: &Path, pass: Option<&str>) -> Result<Summary, String> {
    let scratch = store_file(config).with_extension("restoring");
    let work = || {
        if sealed::is_sealed(from).map_err(|e| e.to_string())? {
            sealed::open(from, &scratch, pass.ok_or("this backup is sealed: its pass phrase is needed")?)
                .map_err(|e| e.to_string())?;
        } else {
            private::copy(from, &scratch).map_err(|e| e.to_string())?;
        }
        let summary = backup::verify(&scratch)?;
        if summary.version > hub_store::schema::VERSION {
            return Err("the backup is of a newer hub".to_string());
        }
        private::publish(&scratch, &waiting_file(config)).map_err(|e| e.to_string())?;
        Ok(summary)
    };
    work().inspect_err(|_| {
        // Nothing half is left.
        let _ = std::fs::remove_file(&scratch);
    })
}

/// Makes a backup that waits the store; the store before is kept beside it. Says whether there was one.
///
/// # Errors
/// Another hub has the store, or the files cannot be renamed.
pub fn put_in_place(config: &Config) -> Result<bool, Box<dyn Error>> {
    let (store, waiting) = (store_file(config), waiting_file(config));
    if !waiting.exists() {
        return Ok(false);
    }
    if store.exists() {
        // Whoever can open it is alone with it.
        Store::open(&store, Options::default())?.close();
        std::fs::rename(&store, store.with_extension("before-restore"))?;
    }
    std::fs::rename(&waiting, &store)?;
    std::fs::File::open(&config.state)?.sync_all()?;
    Ok(true)
}

/// Asks the running hub; when none runs, the store itself is asked in the same way.
///
/// # Errors
/// The answer is no success, or the store cannot be opened.
pub fn ask(
    config: &Config,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, Box<dyn Error>> {
    match local::call(&socket_file(config), method.name(), path, body) {
        Err(LocalError::NotRunning) => {}
        answered => return Ok(answered?),
    }
    private::folder(&config.state)?;
    let store = Arc::new(Store::open(&store_file(config), Options::default())?);
    if let Some(trouble) = store.trouble() {
        return Err(trouble.into());
    }
    let memory: Arc<dyn Memory> = store.clone();
    let house = House::new(memory, Clock::default(), Status::Inbox);
    crate::api::register(&house, &store, config, &Arc::default());
    Users::new(house.clone()).register();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let body = body.cloned().unwrap_or(Value::Null);
    let answer = runtime.block_on(house.call_url(method, path, body, Principal::house()));
    store.close();
    match answer {
        Ok(Reply { content: Content::Json(value), .. }) => Ok(value),
        Ok(_) => Ok(Value::Null),
        Err(problem) => Err(problem.to_string().into()),
    }
}

/// Makes or changes a user.
///
/// # Errors
/// See [`ask`].
pub fn add_user(config: &Config, name: &str, role: &str, password: &str) -> Result<Value, Box<dyn Error>> {
    let body = json!({"role": role, "password": password});
    ask(config, Method::Put, &format!("/api/users/{name}"), Some(&body))
}
