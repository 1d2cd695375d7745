//! A module: one technology, run by a supervisor that restarts it alone when it fails.

use crate::BoxFuture;
use crate::house::House;
use crate::room::Room;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// One technology. It brings devices, entities, functions and events through its [`Room`].
pub trait Module: Send + Sync + 'static {
    /// Its name: prefix of its devices' ids, owner of its functions.
    fn name(&self) -> &'static str;
    /// Works until the hub ends. Says [`Room::armed`] once it is ready, before it waits for any device. Returning (or
    /// panicking) is a failure: everything that was registered is withdrawn and the module starts anew after a pause.
    fn run(self: Arc<Self>, room: Room) -> BoxFuture<'static, Result<(), String>>;
}

/// The pause before the first restart; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A module that ran this long has recovered.
const RECOVERED: Duration = Duration::from_secs(120);

/// Runs a module for ever. `is_armed` becomes true when the module is ready, or has failed for the first time.
pub async fn supervise(house: House, module: Arc<dyn Module>, is_armed: watch::Sender<bool>) {
    let name = module.name();
    let mut pause = FIRST_PAUSE;
    loop {
        let started = tokio::time::Instant::now();
        let room = Room::new(house.clone(), name, is_armed.clone());
        // A task of its own, because it may panic; in a set, because it must end with its supervisor.
        let mut run = JoinSet::new();
        run.spawn(module.clone().run(room.clone()));
        let reason = match run.join_next().await {
            None | Some(Ok(Ok(()))) => "it ended".to_string(),
            Some(Ok(Err(reason))) => reason,
            Some(Err(error)) if error.is_panic() => {
                let panic = error.into_panic();
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| t.to_string()));
                format!("it panicked: {}", text.unwrap_or_default())
            }
            Some(Err(_)) => return,
        };
        room.armed();
        room.withdraw(&format!("module {name} is being restarted: {reason}"));
        if started.elapsed() >= RECOVERED {
            pause = FIRST_PAUSE;
        }
        tracing::error!(module = name, reason, pause_s = pause.as_secs(), "module failed");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
