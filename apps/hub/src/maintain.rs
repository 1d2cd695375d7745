//! Backup, restore and users from the command line: through the running hub, or on the store itself when none runs.

use crate::Config;
use crate::local::{self, LocalError};
use crate::start::{socket_file, store_file};
use hub_store::{Options, Store, backup, sealed};
use serde_json::{Value, json};
use std::error::Error;
use std::path::Path;
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
                        std::fs::copy(job["file"].as_str().unwrap_or_default(), to)?;
                        local::call(&socket, "DELETE", &path, None)?;
                        return Ok(format!("{} rows, verified", job["summary"]["rows"]));
                    }
                    _ => return Err(job["reason"].as_str().unwrap_or("failed").into()),
                }
            }
        }
        Err(LocalError::NotRunning) => {
            let store = Store::open(&store_file(config), Options::default())?;
            let scratch = to.with_extension("part");
            let summary = store.back_up(&scratch, &|_, _| ())?;
            match pass {
                None => std::fs::rename(&scratch, to)?,
                Some(pass) => {
                    sealed::seal(&scratch, to, pass)?;
                    std::fs::remove_file(&scratch)?;
                }
            }
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
        _ => return Err("a hub runs on this state folder: stop it first".into()),
    }
    std::fs::create_dir_all(&config.state)?;
    let store = store_file(config);
    let scratch = store.with_extension("restored");
    if sealed::is_sealed(from)? {
        sealed::open(from, &scratch, pass.ok_or("this backup is sealed: give --passphrase-file")?)?;
    } else {
        std::fs::copy(from, &scratch)?;
    }
    let summary = backup::verify(&scratch).inspect_err(|_| {
        let _ = std::fs::remove_file(&scratch);
    })?;
    if summary.version > hub_store::schema::VERSION {
        return Err("the backup is of a newer hub".into());
    }
    if store.exists() {
        std::fs::rename(&store, store.with_extension("before-restore"))?;
    }
    std::fs::rename(&scratch, &store)?;
    std::fs::File::open(&config.state)?.sync_all()?;
    Ok(format!(
        "{} rows; the store before is kept as {}",
        summary.rows,
        store.with_extension("before-restore").display()
    ))
}

/// Makes or changes a user through the running hub.
///
/// # Errors
/// No hub runs, or it refuses.
pub fn add_user(config: &Config, name: &str, role: &str, password: &str) -> Result<Value, LocalError> {
    let body = json!({"role": role, "password": password});
    local::call(&socket_file(config), "PUT", &format!("/api/users/{name}"), Some(&body))
}
