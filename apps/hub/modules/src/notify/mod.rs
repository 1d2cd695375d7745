//! Notifications: mail, and webhooks over HTTP or HTTPS.

mod mail;

use crate::fetch;
use house::function::Right;
use house::{BoxFuture, Function, Method, Module, Problem, Reply, Room};
pub use mail::{Security, Settings as MailSettings};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// `[modules.notify]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub mail: MailSettings,
    /// Name to `http://` or `https://` URL; a message is posted there as JSON.
    pub webhooks: BTreeMap<String, String>,
    /// A PEM file with an authority to trust for webhooks, besides those of this machine.
    pub authority: Option<PathBuf>,
}

impl Settings {
    /// What is wrong: the name of the field and the reason.
    ///
    /// # Errors
    /// See [`MailSettings::check`]; a webhook that is no URL.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        self.mail.check()?;
        for (name, url) in &self.webhooks {
            fetch::Url::parse(url)
                .map_err(|reason| ("[modules.notify.webhooks", format!("{name}: {reason}")))?;
        }
        Ok(())
    }
}

/// How long telling one of them may take.
const TELLING: Duration = Duration::from_secs(60);

/// The module.
#[derive(Debug)]
pub struct Notify {
    settings: Settings,
}

impl Notify {
    /// A module with these ways out.
    pub fn new(settings: Settings) -> Notify {
        Notify { settings }
    }

    /// Tells everybody; gives what went wrong.
    async fn send(&self, title: &str, text: &str) -> Vec<String> {
        let mut failed = Vec::new();
        match timeout(TELLING, self.settings.mail.send(title, text)).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => failed.push(format!("mail: {reason}")),
            Err(_) => failed.push("mail: it took too long".into()),
        }
        let body = json!({"title": title, "text": text}).to_string();
        for (name, url) in &self.settings.webhooks {
            let posted = match fetch::Url::parse(url) {
                Ok(url) => url.post(&body, self.settings.authority.as_deref()).await,
                Err(reason) => Err(reason),
            };
            failed.extend(posted.err().map(|reason| format!("{name}: {reason}")));
        }
        failed
    }
}

impl Module for Notify {
    fn name(&self) -> &'static str {
        "notify"
    }

    fn run(self: Arc<Self>, room: Room) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async move {
            let schema = json!({"type": "object", "required": ["title"],
                "properties": {"title": {"type": "string"}, "text": {"type": "string"}}});
            let notify = self.clone();
            let about = "Tell people: mail and webhooks";
            let function = Function::new(Method::Post, "/api/notify", about, move |_, call| {
                let notify = notify.clone();
                Box::pin(async move {
                    let text = |name: &str| call.body[name].as_str().unwrap_or_default().to_string();
                    let (title, text) = (text("title"), text("text"));
                    if title.is_empty() || title.len() > 200 || text.len() > 10_000 {
                        return Err(Problem::new(422, "title: 1 to 200 bytes; text: at most 10000"));
                    }
                    if notify.settings.mail.relay.is_none() && notify.settings.webhooks.is_empty() {
                        let detail =
                            "the configuration names neither a mail relay nor a webhook: [modules.notify]";
                        return Err(Problem::new(409, "nobody can be told").detail(detail));
                    }
                    let failed = notify.send(&title, &text).await;
                    match failed.is_empty() {
                        true => Ok(Reply::ok()),
                        false => Err(Problem::new(502, "not everyone was told").detail(failed.join("; "))),
                    }
                })
            });
            room.function(None, function.right(Right::Edit).body(schema));
            room.armed();
            std::future::pending().await
        })
    }
}
