//! Notifications: mail over the house's own relay, and webhooks of services in the house.

use crate::fetch;
use house::function::Right;
use house::{BoxFuture, Function, Method, Module, Problem, Reply, Room};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// `[modules.notify]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `host:port` of the mail relay, which must take mail from the hub without a password.
    pub relay: Option<String>,
    pub from: String,
    pub to: Vec<String>,
    /// Name to `http://host:port/path`; a message is posted as JSON.
    pub webhooks: BTreeMap<String, String>,
}

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

    async fn send(&self, title: &str, text: &str) -> Vec<String> {
        let mut failed = Vec::new();
        if let Some(relay) = &self.settings.relay {
            let work = mail(relay, &self.settings.from, &self.settings.to, title, text);
            match timeout(Duration::from_secs(30), work).await {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => failed.push(format!("mail: {reason}")),
                Err(_) => failed.push("mail: it took too long".into()),
            }
        }
        for (name, url) in &self.settings.webhooks {
            let place = url.strip_prefix("http://").and_then(|rest| Some(rest.split_at(rest.find('/')?)));
            let body = json!({"title": title, "text": text}).to_string();
            let posted = match place {
                Some((host, path)) => fetch::post(host, path, &body, None).await.map(|_| ()),
                None => Err("the URL must be http://host/path".into()),
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
            let schema = json!({"type": "object", "properties": {"title": {"type": "string"}, "text": {"type": "string"}}});
            let notify = self.clone();
            let function = Function::new(
                Method::Post,
                "/api/notify",
                "Tell people: mail and webhooks",
                move |_, call| {
                    let notify = notify.clone();
                    Box::pin(async move {
                        let text = |name: &str| call.body[name].as_str().unwrap_or_default().to_string();
                        let (title, text) = (text("title"), text("text"));
                        if title.is_empty() || title.len() > 200 || text.len() > 10_000 {
                            return Err(Problem::new(422, "title: 1 to 200 bytes; text: at most 10000"));
                        }
                        let failed = notify.send(&title, &text).await;
                        match failed.is_empty() {
                            true => Ok(Reply::ok()),
                            false => {
                                Err(Problem::new(502, "not everyone was told").detail(failed.join("; ")))
                            }
                        }
                    })
                },
            );
            room.function(None, function.right(Right::Edit).body(schema));
            room.armed();
            std::future::pending().await
        })
    }
}

/// Hands a mail to a relay (RFC 5321).
async fn mail(relay: &str, from: &str, to: &[String], title: &str, text: &str) -> Result<(), String> {
    let is_address =
        |a: &str| a.contains('@') && a.bytes().all(|b| b.is_ascii_graphic() && !b"<>".contains(&b));
    if !is_address(from) || to.is_empty() || !to.iter().all(|a| is_address(a)) {
        return Err("from and to must be mail addresses".into());
    }
    let stream = TcpStream::connect(relay).await.map_err(|e| format!("no connection: {e}"))?;
    let mut stream = BufReader::new(stream);
    expect(&mut stream, '2').await?;
    say(&mut stream, "EHLO hub", '2').await?;
    say(&mut stream, &format!("MAIL FROM:<{from}>"), '2').await?;
    for address in to {
        say(&mut stream, &format!("RCPT TO:<{address}>"), '2').await?;
    }
    say(&mut stream, "DATA", '3').await?;
    let title: String = title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let head = format!("From: <{from}>\r\nTo: <{}>\r\nSubject: {title}\r\n", to.join(">, <"));
    let kind = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    // A line that begins with a dot gets another (section 4.5.2).
    let body: String =
        text.lines().map(|l| format!("{}{l}\r\n", if l.starts_with('.') { "." } else { "" })).collect();
    say(&mut stream, &format!("{head}{kind}{body}."), '2').await?;
    say(&mut stream, "QUIT", '2').await
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str, wanted: char) -> Result<(), String> {
    stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.map_err(|e| e.to_string())?;
    expect(stream, wanted).await
}

/// Reads an answer of one or more lines; its first digit must be the wanted one.
async fn expect(stream: &mut BufReader<TcpStream>, wanted: char) -> Result<(), String> {
    for _ in 0..100 {
        let mut line = String::new();
        let mut limited = tokio::io::AsyncReadExt::take(&mut *stream, 1_000);
        limited.read_line(&mut line).await.map_err(|e| e.to_string())?;
        if line.as_bytes().get(3) == Some(&b'-') {
            continue;
        }
        return if line.starts_with(wanted) {
            Ok(())
        } else {
            Err(format!("the relay said {:?}", line.trim()))
        };
    }
    Err("the relay does not stop talking".into())
}
