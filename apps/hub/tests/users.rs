//! Users, tokens, rights, TLS, and backups that are restored and compared.

mod support;

use hub::maintain;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use support::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_needs_the_console_and_nobody_else_gets_in() {
    let scratch = Scratch::new("setup");
    let hub = start(&closed(&scratch)).await;
    let at = hub.http;
    for path in
        ["/api/devices", "/api/entities", "/api/events", "/api/status", "/dwn/list", "/metrics", "/api/users"]
    {
        assert_eq!(get(at, path).await.status, 401, "{path}");
    }
    assert_eq!(get(at, "/api/setup").await.json()["needed"], true);
    let wrong = json!({"code": "0000000000", "user": "eve", "password": "12345678"});
    assert_eq!(send(at, "POST", "/api/setup", wrong).await.status, 403);
    let code = hub.setup_code.clone().unwrap();
    let short = json!({"code": code, "user": "anna", "password": "short"});
    assert_eq!(send(at, "POST", "/api/setup", short).await.status, 422);
    let right = json!({"code": code, "user": "anna", "password": "open sesame"});
    assert_eq!(send(at, "POST", "/api/setup", right.clone()).await.status, 201);
    assert_eq!(send(at, "POST", "/api/setup", right).await.status, 403);
    assert_eq!(log_in(at, "anna", "open sesam").await.status, 401);
    let session = cookie(&log_in(at, "anna", "open sesame").await);
    assert_eq!(as_user(at, &session, "GET", "/api/me", None).await.json()["role"], "admin");
    // The original let anyone in who sent back the nonce of a refusal.
    assert_eq!(as_user(at, "Cookie: session=", "GET", "/api/me", None).await.status, 401);
    assert_eq!(as_user(at, "Cookie: session=abc", "GET", "/api/me", None).await.status, 401);
    assert_eq!(as_user(at, "Authorization: Bearer hob_abc_def", "GET", "/api/me", None).await.status, 401);
    // The session outlives a restart; the set-up code does not come back.
    hub.stop().await;
    let hub = start(&closed(&scratch)).await;
    assert_eq!(hub.setup_code, None);
    assert_eq!(as_user(hub.http, &session, "GET", "/api/me", None).await.status, 200);
    assert_eq!(as_user(hub.http, &session, "POST", "/api/logout", None).await.status, 200);
    assert_eq!(as_user(hub.http, &session, "GET", "/api/me", None).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_passwords_is_slowed_down() {
    let scratch = Scratch::new("guess");
    let (hub, _) = with_admin(&closed(&scratch)).await;
    let mut refused = Vec::new();
    for _ in 0..7 {
        refused.push(log_in(hub.http, "anna", "wrong password").await.status);
    }
    assert_eq!(refused[..5], [401; 5]);
    assert!(refused[5..].contains(&429), "{refused:?}");
    assert_eq!(log_in(hub.http, "anna", "open sesame").await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_see_and_control_only_their_areas() {
    let scratch = Scratch::new("guests");
    let config = closed(&scratch);
    let (hub, admin) = with_admin(&config).await;
    let at = hub.http;
    let (_n1, relays) = irrigation(&config, 1, "n1", None);
    let (_n2, _) = irrigation(&config, 2, "n2", None);
    until("both are found", SOON, async || {
        as_user(at, &admin, "GET", "/api/devices", None).await.json().as_array().is_some_and(|d| d.len() == 2)
    })
    .await;
    let ok = async |method: &str, path: &str, body: Value| {
        let answer = as_user(at, &admin, method, path, Some(body)).await;
        assert!(answer.status < 300, "{path}: {}", answer.json());
    };
    ok("PUT", "/api/areas/garden", json!({"name": "Garden"})).await;
    ok("PATCH", "/api/devices/dwn.n1", json!({"area": "garden"})).await;
    ok(
        "PUT",
        "/api/users/gina",
        json!({"role": "guest", "areas": ["garden"], "password": "only the garden"}),
    )
    .await;
    let guest = cookie(&log_in(at, "gina", "only the garden").await);
    let seen = as_user(at, &guest, "GET", "/api/devices", None).await.json();
    assert_eq!(seen.as_array().unwrap().len(), 1, "{seen}");
    assert_eq!(as_user(at, &guest, "GET", "/api/entities/dwn.n2.valve_a", None).await.status, 404);
    assert_eq!(as_user(at, &guest, "GET", "/api/history?entity=dwn.n2.valve_a", None).await.status, 404);
    assert_eq!(as_user(at, &guest, "GET", "/dwn/n2/status", None).await.status, 404);
    let open = json!({"command": "open", "seconds": 20});
    assert_eq!(
        as_user(at, &guest, "POST", "/api/entities/dwn.n2.valve_a/command", Some(open.clone())).await.status,
        404
    );
    until("the garden obeys", SOON, async || {
        as_user(at, &guest, "POST", "/api/entities/dwn.n1.valve_a/command", Some(open.clone())).await.status
            == 200
    })
    .await;
    until("it is open", SOON, async || relays.now() == 1).await;
    for (method, path) in [
        ("GET", "/api/users"),
        ("GET", "/api/rules"),
        ("POST", "/api/backups"),
        ("DELETE", "/api/devices/dwn.n1"),
    ] {
        assert_eq!(as_user(at, &guest, method, path, None).await.status, 403, "{path}");
    }
    let events = as_user(at, &guest, "GET", "/api/events?limit=1000", None).await.json();
    assert!(events.as_array().unwrap().iter().all(|e| e["device"] == "dwn.n1"), "{events}");
    assert!(!events.as_array().unwrap().is_empty());
    // A GET that acts needs a token, and a token that may only read does not act.
    assert_eq!(as_user(at, &guest, "GET", "/dwn/n1/off", None).await.status, 403);
    let token = async |scope: &str| {
        let made =
            as_user(at, &guest, "POST", "/api/tokens", Some(json!({"name": "t", "scope": scope, "days": 1})))
                .await;
        (
            made.json()["id"].as_str().unwrap().to_string(),
            format!("Authorization: Bearer {}", made.json()["token"].as_str().unwrap()),
        )
    };
    let ((_, reader), (id, actor)) = (token("read").await, token("control").await);
    assert_eq!(as_user(at, &reader, "GET", "/dwn/n1/status", None).await.json()["valves"], 1);
    assert_eq!(as_user(at, &reader, "GET", "/dwn/n1/off", None).await.status, 403);
    assert_eq!(as_user(at, &actor, "GET", "/dwn/n1/off", None).await.status, 200);
    until("it is shut", SOON, async || relays.now() == 0).await;
    assert_eq!(as_user(at, &actor, "DELETE", &format!("/api/tokens/{id}"), None).await.status, 403);
    assert_eq!(as_user(at, &guest, "DELETE", &format!("/api/tokens/{id}"), None).await.status, 200);
    assert_eq!(as_user(at, &actor, "GET", "/dwn/n1/status", None).await.status, 401);
    // Expiry, and a user that is removed is gone at once.
    hub.house.clock().shift(2 * 86_400_000);
    assert_eq!(as_user(at, &reader, "GET", "/api/me", None).await.status, 401);
    assert_eq!(as_user(at, &admin, "DELETE", "/api/users/gina", None).await.status, 200);
    assert_eq!(as_user(at, &guest, "GET", "/api/me", None).await.status, 401);
    assert_eq!(as_user(at, &admin, "DELETE", "/api/users/anna", None).await.status, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_each_users_own() {
    let scratch = Scratch::new("settings");
    let (hub, admin) = with_admin(&closed(&scratch)).await;
    assert_eq!(
        as_user(hub.http, &admin, "PUT", "/api/me/settings", Some(json!({"theme": "dark"}))).await.status,
        200
    );
    assert_eq!(
        as_user(hub.http, &admin, "GET", "/api/me/settings", None).await.json(),
        json!({"theme": "dark"})
    );
    // An edit of what somebody else has changed since is refused, whatever it is that is edited.
    let eve = json!({"role": "guest", "password": "a password"});
    assert_eq!(as_user(hub.http, &admin, "PUT", "/api/users/eve", Some(eve)).await.status, 200);
    let made = as_user(hub.http, &admin, "POST", "/api/tokens", Some(json!({"name": "t"}))).await.json();
    let token = format!("/api/tokens/{}", made["id"].as_str().unwrap());
    for (read, method, edited, body) in [
        ("/api/me/settings", "PUT", "/api/me/settings", Some(json!({"theme": "dark"}))),
        ("/api/users/eve", "PUT", "/api/users/eve", Some(json!({"role": "resident"}))),
        ("/api/me", "PUT", "/api/me/password", Some(json!({"old": "open sesame", "new": "open sesame"}))),
        (token.as_str(), "DELETE", token.as_str(), None),
    ] {
        let tag = as_user(hub.http, &admin, "GET", read, None).await.header("etag").unwrap().to_string();
        for (tag, is_refused) in [("\"old\"", true), (tag.as_str(), false)] {
            if !is_refused && method == "PUT" && edited.ends_with("password") {
                // It would end this session.
                continue;
            }
            let who = format!("{admin}\r\nIf-Match: {tag}");
            let status = as_user(hub.http, &who, method, edited, body.clone()).await.status;
            assert_eq!(status == 412, is_refused, "{method} {edited}: {status}");
        }
    }
    let totp = as_user(hub.http, &admin, "POST", "/api/me/totp", None).await.json();
    assert!(totp["uri"].as_str().unwrap().starts_with("otpauth://totp/"));
    assert_eq!(
        as_user(hub.http, &admin, "PUT", "/api/me/totp", Some(json!({"code": "123"}))).await.status,
        422
    );
    let change = json!({"old": "open sesame", "new": "close sesame"});
    assert_eq!(as_user(hub.http, &admin, "PUT", "/api/me/password", Some(change)).await.status, 200);
    assert_eq!(as_user(hub.http, &admin, "GET", "/api/me", None).await.status, 401);
    assert_eq!(log_in(hub.http, "anna", "close sesame").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_served_under_the_houses_own_authority() {
    let scratch = Scratch::new("https");
    let mut config = closed(&scratch);
    config.server.https = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let hub = start(&config).await;
    if let Some(feature) = hub_tls::missing_feature() {
        assert!(hub.https.is_none(), "without {feature} there must be no HTTPS");
        return;
    }
    let https = hub.https.unwrap();
    let authority = scratch.0.join("ca.crt");
    std::fs::write(&authority, get(hub.http, "/ca.crt").await.body).unwrap();
    // curl is an implementation that shares nothing with this one.
    let curl = async |host: &str, with: &[&str]| {
        let (url, with): (String, Vec<String>) = (
            format!("https://{host}:{}/api/setup", https.port()),
            with.iter().map(|w| w.to_string()).collect(),
        );
        tokio::task::spawn_blocking(move || {
            std::process::Command::new("curl")
                .args(["-sS", "--max-time", "10"])
                .args(with)
                .arg(url)
                .output()
                .unwrap()
        })
        .await
        .unwrap()
    };
    let ca = authority.to_str().unwrap();
    let trusted = curl("localhost", &["--cacert", ca]).await;
    assert_eq!(
        String::from_utf8_lossy(&trusted.stdout),
        r#"{"needed":true}"#,
        "{}",
        String::from_utf8_lossy(&trusted.stderr)
    );
    assert!(curl("127.0.0.1", &["--cacert", ca]).await.status.success());
    assert!(!curl("localhost", &[]).await.status.success(), "an unknown authority must not be trusted");
    // The certificate is renewed while the hub runs, long before it ends; the authority stays, also after a restart.
    let before = std::fs::read(&authority).unwrap();
    let day_ms = 86_400_000;
    let mut seen = Vec::new();
    for days in [0, 300, 300 + 80, 3 * 365] {
        hub.house.clock().shift(day_ms * days - seen.last().map_or(0, |(before, _)| day_ms * before));
        let certificate = certificate(https, &authority, days as u64 * 86_400).await;
        seen.push((days, certificate));
        assert_eq!(get(hub.http, "/ca.crt").await.body, before);
    }
    assert_eq!(seen[0].1, seen[1].1, "it is used as long as it is good");
    assert!(seen[1].1 != seen[2].1 && seen[2].1 != seen[3].1);
    hub.house.clock().shift(-3 * 365 * day_ms);
    assert!(
        curl("localhost", &["--cacert", ca]).await.status.success(),
        "a clock that is set back is no trap"
    );
    hub.stop().await;
    let hub = start(&config).await;
    assert_eq!(get(hub.http, "/ca.crt").await.body, before);
}

/// The certificate that the hub shows to a client whose clock is this much ahead, and which trusts the authority.
async fn certificate(at: SocketAddr, authority: &std::path::Path, ahead_s: u64) -> Vec<u8> {
    #[derive(Debug)]
    struct Ahead(u64);
    impl rustls::time_provider::TimeProvider for Ahead {
        fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
            let now = rustls::pki_types::UnixTime::now().as_secs() + self.0;
            Some(rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(now)))
        }
    }
    let mut roots = rustls::RootCertStore::empty();
    hub_tls::certificates(authority).unwrap().into_iter().for_each(|one| roots.add(one).unwrap());
    let provider = hub_tls::provider().unwrap();
    let config = rustls::ClientConfig::builder_with_details(provider, Arc::new(Ahead(ahead_s)));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(at).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_restored_to_the_same_house() {
    let scratch = Scratch::new("backup");
    let config = config(&scratch);
    let hub = start(&config).await;
    let at = hub.http;
    let (_node, _) = irrigation(&config, 1, "n1", None);
    known(at, "dwn.n1.valve_a").await;
    send(at, "PUT", "/api/areas/garden", json!({"name": "Garden"})).await;
    send(at, "PATCH", "/api/devices/dwn.n1", json!({"name": "Roses", "area": "garden"})).await;
    open_valve(at, "dwn.n1.valve_a", 1).await;
    let rule = json!({"triggers": [{"on": "webhook", "id": "w"}], "actions": [{"do": "emit", "event": "x"}]});
    send(at, "PUT", "/api/rules/r", rule.clone()).await;
    let load = tokio::spawn(async move {
        while let Ok(answer) = request(at, "POST", "/api/events", "", Some(json!([{"event": "load"}]))).await
        {
            assert_eq!(answer.status, 200);
        }
    });
    until("the valve is shut and on record", SOON, async || {
        get(at, "/api/history?entity=dwn.n1.valve_a").await.json()["points"]
            .as_array()
            .is_some_and(|p| p.len() >= 3)
    })
    .await;
    let file = scratch.0.join("house.hob");
    let (to, from) = (file.clone(), config.clone());
    let made = tokio::task::spawn_blocking(move || {
        maintain::back_up(&from, &to, Some("phrase")).map_err(|e| e.to_string())
    });
    made.await.unwrap().unwrap();
    let (to, from) = (file.clone(), config.clone());
    let refused = tokio::task::spawn_blocking(move || {
        maintain::restore(&from, &to, Some("phrase")).map_err(|e| e.to_string())
    });
    assert!(refused.await.unwrap().is_err(), "a running hub must not be restored over");

    let mut other = config.clone();
    other.state = scratch.0.join("other");
    other.modules.dwn.port = free_port();
    assert!(maintain::restore(&other, &file, Some("wrong")).is_err());
    assert!(maintain::restore(&other, &file, None).is_err());
    maintain::restore(&other, &file, Some("phrase")).unwrap();
    let copy = start(&other).await;
    for path in ["/api/areas", "/api/rules/r", "/api/history?entity=dwn.n1.valve_a&from=0"] {
        let cut = |answer: Answer| {
            let mut value = answer.json();
            // What happened after the backup is not in it.
            if let Some(points) = value.get_mut("points").and_then(Value::as_array_mut) {
                points.truncate(3);
            }
            value
        };
        assert_eq!(cut(get(copy.http, path).await), cut(get(at, path).await), "{path}");
    }
    for id in
        get(at, "/api/entities").await.json().as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap())
    {
        let (one, two) = (
            get(at, &format!("/api/entities/{id}")).await.json(),
            get(copy.http, &format!("/api/entities/{id}")).await.json(),
        );
        for field in ["id", "device", "name", "kind", "area"] {
            assert_eq!(one[field], two[field], "{id} {field}");
        }
    }
    let device = get(copy.http, "/api/devices/dwn.n1").await.json();
    assert_eq!((&device["name"], &device["area"]), (&json!("Roses"), &json!("garden")));
    load.abort();
}
