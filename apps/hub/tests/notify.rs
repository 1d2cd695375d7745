//! People are told: mail plain, by STARTTLS and over TLS with a password, webhooks over HTTP and HTTPS.

mod support;

use house::memory::Volatile;
use house::{Clock, House, Status};
use hub_modules::notify::{MailSettings, Security};
use hub_server::Tls;
use hub_server::listen::Wrap as _;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use support::*;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// Everything that was said to a server, line by line.
type Heard = Arc<Mutex<Vec<String>>>;

/// A relay. Without TLS it takes mail from everybody; with it, only with the right password and never in clear.
struct Relay {
    at: SocketAddr,
    heard: Heard,
}

impl Relay {
    async fn start(security: Security, tls: Option<Arc<Tls>>) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Relay { at: listener.local_addr().unwrap(), heard: Heard::default() };
        let heard = relay.heard.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                match (security, &tls) {
                    (Security::None, _) => talk(stream, &heard, true, false).await,
                    (Security::Tls, Some(tls)) => {
                        if let Some(stream) = tls.wrap(stream).await {
                            talk(stream, &heard, true, true).await;
                        }
                    }
                    (Security::Starttls, Some(tls)) => {
                        // Byte by byte up to STARTTLS: what follows belongs to TLS.
                        stream.write_all(b"220 relay\r\n").await.unwrap();
                        let mut line = Vec::new();
                        while let Ok(byte) = stream.read_u8().await {
                            line.push(byte);
                            if byte != b'\n' {
                                continue;
                            }
                            let text = String::from_utf8_lossy(&line).trim().to_string();
                            line.clear();
                            heard.lock().unwrap().push(format!("clear: {text}"));
                            if text == "STARTTLS" {
                                stream.write_all(b"220 go\r\n").await.unwrap();
                                break;
                            }
                            stream.write_all(b"250-relay\r\n250 STARTTLS\r\n").await.unwrap();
                        }
                        if let Some(stream) = tls.wrap(stream).await {
                            talk(stream, &heard, false, true).await;
                        }
                    }
                    _ => unreachable!("a relay with TLS has a certificate"),
                }
            }
        });
        relay
    }

    fn said(&self, line: &str) -> bool {
        self.heard.lock().unwrap().iter().any(|heard| heard == line)
    }

    fn settings(&self, security: Security) -> MailSettings {
        MailSettings {
            relay: Some(format!("localhost:{}", self.at.port())),
            security,
            from: "Hub <hub@home.arpa>".into(),
            to: vec!["anna@home.arpa".into(), "Ben <ben@home.arpa>".into()],
            ..MailSettings::default()
        }
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    heard: &Heard,
    greets: bool,
    wants_password: bool,
) {
    let mut stream = BufReader::new(stream);
    if greets {
        stream.get_mut().write_all(b"220-hello\r\n220 relay\r\n").await.unwrap();
    }
    // "\0hub\0secret" in base 64.
    const RIGHT: &str = "AUTH PLAIN AGh1YgBzZWNyZXQ=";
    let (mut in_data, mut is_known, mut line) = (false, !wants_password, String::new());
    while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
        let text = line.trim_end().to_string();
        line.clear();
        let answer: &[u8] = match (in_data, text.as_str()) {
            (true, ".") => {
                in_data = false;
                b"250 ok\r\n"
            }
            (true, _) => b"",
            (false, "DATA") => {
                in_data = true;
                b"354 go on\r\n"
            }
            (false, hello) if hello.starts_with("EHLO") => b"250-relay\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n",
            (false, RIGHT) => {
                is_known = true;
                b"235 welcome\r\n"
            }
            (false, auth) if auth.starts_with("AUTH") => b"535 wrong\r\n",
            (false, mail) if mail.starts_with("MAIL") && !is_known => b"530 who are you\r\n",
            (false, _) => b"250 ok\r\n",
        };
        heard.lock().unwrap().push(text);
        if stream.get_mut().write_all(answer).await.is_err() {
            return;
        }
    }
}

/// A webhook's server: it answers 204 to whatever comes.
async fn hook(tls: Option<Arc<Tls>>) -> (SocketAddr, Heard) {
    async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, heard: &Heard) {
        let mut bytes = [0; 2048];
        let len = stream.read(&mut bytes).await.unwrap_or(0);
        heard.lock().unwrap().push(String::from_utf8_lossy(&bytes[..len]).into_owned());
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").await;
        let _ = stream.shutdown().await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, heard) = (listener.local_addr().unwrap(), Heard::default());
    let all = heard.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            match &tls {
                None => answer(stream, &all).await,
                Some(tls) => {
                    if let Some(stream) = tls.wrap(stream).await {
                        answer(stream, &all).await;
                    }
                }
            }
        }
    });
    (at, heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_inside_the_house() {
    let scratch = Scratch::new("notify");
    let relay = Relay::start(Security::None, None).await;
    let (hook, called) = hook(None).await;
    let mut config = config(&scratch);
    let silent = start(&config).await;
    let told = send(silent.http, "POST", "/api/notify", json!({"title": "x"})).await;
    assert_eq!((told.status, &told.json()["title"]), (409, &json!("nobody can be told")));
    silent.stop().await;
    config.modules.notify.mail = relay.settings(Security::None);
    config.modules.notify.webhooks.insert("pager".into(), format!("http://{hook}/page"));
    let hub = start(&config).await;
    let text = json!({"title": "Water\r\nBcc: eve@evil.example", "text": "first\n.\nlast: größer"});
    let told = send(hub.http, "POST", "/api/notify", text).await;
    assert_eq!(told.status, 200, "{}", told.json());
    for line in ["MAIL FROM:<hub@home.arpa>", "RCPT TO:<anna@home.arpa>", "RCPT TO:<ben@home.arpa>", ".."] {
        assert!(relay.said(line), "{line}: {:?}", relay.heard.lock().unwrap());
    }
    let heard = relay.heard.lock().unwrap().clone();
    assert!(heard.iter().any(|l| l.starts_with("Subject: Water  Bcc: eve@evil.example")), "{heard:?}");
    assert!(!heard.iter().any(|l| l.starts_with("Bcc:")), "a title must not add a header: {heard:?}");
    assert!(called.lock().unwrap()[0].starts_with("POST /page"));
    // When somebody cannot be told, that is said, and the others are told all the same.
    let mut config = config.clone();
    config.state = scratch.0.join("other");
    config.modules.notify.mail.relay = Some(format!("127.0.0.1:{}", free_port()));
    let other = start(&config).await;
    let told = send(other.http, "POST", "/api/notify", json!({"title": "x"})).await;
    assert_eq!((told.status, called.lock().unwrap().len()), (502, 2), "{}", told.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_and_webhooks_leave_the_house_encrypted_and_with_a_password() {
    let scratch = Scratch::new("mail");
    let house = House::new(Arc::new(Volatile::default()), Clock::default(), Status::Inbox);
    let tls = match Tls::new(&house, vec!["localhost".into()]).await {
        Ok(tls) => Arc::new(tls),
        Err(reason) => {
            assert!(hub_tls::missing_feature().is_some(), "{reason}");
            return;
        }
    };
    let (authority, password, wrong) =
        (scratch.0.join("ca.pem"), scratch.0.join("right"), scratch.0.join("wrong"));
    std::fs::write(&authority, &tls.authority_pem).unwrap();
    std::fs::write(&password, "secret\n").unwrap();
    std::fs::write(&wrong, "guess\n").unwrap();
    for security in [Security::Starttls, Security::Tls] {
        let relay = Relay::start(security, Some(tls.clone())).await;
        let (hook, called) = hook(Some(tls.clone())).await;
        let mail = MailSettings {
            user: Some("hub".into()),
            password_file: Some(password.clone()),
            authority: Some(authority.clone()),
            ..relay.settings(security)
        };
        let with = async |mail: MailSettings, authority: Option<std::path::PathBuf>, state: &str| {
            let mut config = config(&scratch);
            config.state = scratch.0.join(format!("{security:?}-{state}"));
            config.modules.notify.mail = mail;
            config.modules.notify.authority = authority;
            config
                .modules
                .notify
                .webhooks
                .insert("far".into(), format!("https://localhost:{}/far", hook.port()));
            let hub = start(&config).await;
            send(hub.http, "POST", "/api/notify", json!({"title": "Hello", "text": "text"})).await
        };
        let told = with(mail.clone(), Some(authority.clone()), "right").await;
        assert_eq!(told.status, 200, "{security:?} {}", told.json());
        assert!(relay.said("RCPT TO:<anna@home.arpa>") && relay.said("Subject: Hello"));
        assert!(!relay.heard.lock().unwrap().iter().any(|line| line.starts_with("clear: AUTH")));
        assert!(called.lock().unwrap()[0].starts_with("POST /far"));
        // A wrong password, and a relay and a webhook for which nobody vouches.
        let refused = with(
            MailSettings { password_file: Some(wrong.clone()), ..mail.clone() },
            Some(authority.clone()),
            "wrong",
        )
        .await;
        assert!(refused.json()["detail"].as_str().unwrap().contains("535"), "{}", refused.json());
        let unknown = with(MailSettings { authority: None, ..mail }, None, "unknown").await;
        let detail = unknown.json()["detail"].as_str().unwrap().to_string();
        assert!(
            detail.contains("mail") && detail.contains("far") && detail.contains("UnknownIssuer"),
            "{detail}"
        );
        assert_eq!(called.lock().unwrap().len(), 2, "nothing is told to who cannot be trusted");
    }
}
