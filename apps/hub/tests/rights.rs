//! A right needs the user's role, the token's scope and the area; everywhere, and for as long as a connection lasts.

mod support;

use futures_util::StreamExt as _;
use house::{Change, Memory as _};
use serde_json::{Value, json};
use std::net::SocketAddr;
use support::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// A token of whoever asks, as a header.
async fn token(at: SocketAddr, who: &str, scope: &str) -> String {
    let body = json!({"name": scope, "scope": scope, "days": 1});
    let made = as_user(at, who, "POST", "/api/tokens", Some(body)).await;
    assert_eq!(made.status, 201, "{}", made.json());
    format!("Authorization: Bearer {}", made.json()["token"].as_str().unwrap())
}

async fn ok(at: SocketAddr, who: &str, method: &str, path: &str, body: Value) {
    let answer = as_user(at, who, method, path, Some(body)).await;
    assert!(answer.status < 300, "{method} {path}: {}", answer.json());
}

/// A user with these areas, logged in.
async fn user(at: SocketAddr, admin: &str, name: &str, role: &str, areas: &[&str]) -> String {
    let body = json!({"role": role, "areas": areas, "password": "a password"});
    ok(at, admin, "PUT", &format!("/api/users/{name}"), body).await;
    cookie(&log_in(at, name, "a password").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_no_more_than_its_scope_says() {
    let scratch = Scratch::new("scopes");
    let (hub, admin) = with_admin(&closed(&scratch)).await;
    let at = hub.http;
    let event = json!({"event": "x"});
    let eve = json!({"role": "admin", "password": "let me in, please"});
    let password = json!({"old": "open sesame", "new": "close sesame"});
    let another = json!({"name": "more", "scope": "admin"});
    // What each needs; the account is its user's own.
    let calls = [
        (0, "GET", "/api/devices", None),
        (0, "GET", "/api/tokens", None),
        (1, "POST", "/api/irrigation/stop", Some(json!({}))),
        (2, "POST", "/api/events", Some(event)),
        (2, "PUT", "/api/areas/garden", Some(json!({"name": "Garden"}))),
        (2, "GET", "/api/rules", None),
        (3, "GET", "/api/users", None),
        (3, "GET", "/api/backups", None),
        (3, "PUT", "/api/users/eve", Some(eve)),
        (3, "POST", "/api/tokens", Some(another)),
        (3, "PUT", "/api/me/settings", Some(json!({}))),
        (3, "PUT", "/api/me/password", Some(password)),
        (3, "POST", "/api/me/totp", Some(json!({}))),
    ];
    for (level, scope) in ["read", "control", "edit"].into_iter().enumerate() {
        let who = token(at, &admin, scope).await;
        for (needs, method, path, body) in &calls {
            let answer = as_user(at, &who, method, path, body.clone()).await;
            let is_allowed = answer.status < 300;
            assert_eq!(is_allowed, *needs <= level, "{scope}: {method} {path}: {}", answer.status);
        }
        assert_eq!(as_user(at, &who, "POST", "/api/logout", None).await.status, 403);
        assert_eq!(as_user(at, &who, "GET", "/api/me", None).await.json()["scope"], scope);
    }
    let whole = token(at, &admin, "admin").await;
    assert_eq!(as_user(at, &whole, "GET", "/api/users", None).await.status, 200);
    for (field, value) in
        [("scope", json!("all")), ("scope", json!(1)), ("days", json!(-1)), ("days", json!("x"))]
    {
        let refused =
            as_user(at, &admin, "POST", "/api/tokens", Some(json!({"name": "t", field: value}))).await;
        assert_eq!((refused.status, &refused.json()["field"]), (422, &json!(field)));
    }
    // One of before scopes may command devices, not more.
    let (id, secret) = whole.rsplit_once("hob_").unwrap().1.split_once('_').unwrap();
    assert!(!secret.is_empty());
    let mut old = hub.store.get("tokens", id).unwrap();
    let fields = old.as_object_mut().unwrap();
    fields.remove("scope");
    fields.insert("is_read_only".into(), false.into());
    hub.store.write(vec![Change::put("tokens", id, old)]).await.unwrap();
    assert_eq!(as_user(at, &whole, "GET", "/api/me", None).await.json()["scope"], "control");
    assert_eq!(as_user(at, &whole, "GET", "/api/users", None).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_resident_makes_does_not_do_more_than_the_resident() {
    let scratch = Scratch::new("resident");
    let (hub, admin) = with_admin(&closed(&scratch)).await;
    let at = hub.http;
    let resident = user(at, &admin, "rita", "resident", &[]).await;
    // Nor may it make what only the house makes, or what is told in areas.
    let rule = json!({"triggers": [{"on": "webhook", "id": "w"}], "actions": [
        {"do": "emit", "event": "state", "with": {"entity": "dwn.n1.valve_a", "state": true}},
        {"do": "emit", "event": "said", "with": {"area": "garden", "entity": "x", "word": "yes"}},
        {"do": "call", "method": "PUT", "url": "/api/users/rita", "body": {"role": "admin"}},
        {"do": "call", "method": "PUT", "url": "/api/areas/cellar", "body": {"name": "Cellar"}}]});
    ok(at, &resident, "PUT", "/api/rules/climb", rule).await;
    ok(at, &resident, "POST", "/api/rules/climb/run", json!({})).await;
    until("the rule has run", SOON, async || {
        as_user(at, &resident, "GET", "/api/areas", None).await.json()[0]["id"] == "cellar"
    })
    .await;
    assert_eq!(as_user(at, &resident, "GET", "/api/me", None).await.json()["role"], "resident");
    let mut trace = Value::Null;
    until("it is told", SOON, async || {
        trace = as_user(at, &resident, "GET", "/api/rules/climb/trace", None).await.json();
        trace[0]["steps"].is_array()
    })
    .await;
    assert!(trace.to_string().contains("not allowed"), "{trace}");
    assert!(trace.to_string().contains("only the house itself"), "{trace}");
    let said = as_user(at, &resident, "GET", "/api/events?patterns=said", None).await.json();
    assert_eq!(
        (&said[0]["word"], &said[0]["area"], &said[0]["entity"]),
        (&json!("yes"), &Value::Null, &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_some_areas_knows_of_no_others() {
    let scratch = Scratch::new("areas");
    let config = closed(&scratch);
    let (hub, admin) = with_admin(&config).await;
    let at = hub.http;
    let (_n1, _) = irrigation(&config, 1, "n1", None);
    let (_n2, relays) = irrigation(&config, 2, "n2", None);
    until("both are found", SOON, async || {
        as_user(at, &admin, "GET", "/dwn/list", None).await.json()["modules"]
            .as_array()
            .is_some_and(|d| d.len() == 2)
    })
    .await;
    for (device, area) in [("n1", "garden"), ("n2", "cellar")] {
        ok(at, &admin, "PUT", &format!("/api/areas/{area}"), json!({"name": area})).await;
        ok(at, &admin, "PATCH", &format!("/api/devices/dwn.{device}"), json!({"area": area})).await;
    }
    let paths = async |who: &str| {
        let help = as_user(at, who, "GET", "/help", None).await.json();
        let openapi = as_user(at, who, "GET", "/api/openapi.json", None).await.json();
        let all = help["api"].as_array().unwrap().clone();
        let all: Vec<String> = all.iter().map(|f| f["path"].as_str().unwrap().to_string()).collect();
        assert!(all.iter().all(|path| openapi["paths"][path].is_object()), "both documents say the same");
        all
    };
    let shows = |all: &[String], path: &str| all.iter().any(|p| p == path);
    let of_admin = paths(&admin).await;
    for path in ["/dwn/n1/status", "/dwn/n2/status", "/api/users", "/api/login"] {
        assert!(shows(&of_admin, path), "{path}");
    }
    let of_nobody = paths("X: y").await;
    assert!(shows(&of_nobody, "/api/login") && !shows(&of_nobody, "/api/devices"));
    assert!(!of_nobody.iter().any(|path| path.starts_with("/dwn")), "{of_nobody:?}");

    let run = json!({"id": "water", "zones": [{"valve": "dwn.n2.valve_a", "seconds": 120}]});
    ok(at, &admin, "POST", "/api/irrigation/run", run.clone()).await;
    until("the cellar is watered", SOON, async || relays.now() == 1).await;
    for (name, role) in [("gina", "guest"), ("rita", "resident")] {
        let who = user(at, &admin, name, role, &["garden"]).await;
        let theirs = paths(&who).await;
        assert!(shows(&theirs, "/dwn/n1/status") && !shows(&theirs, "/dwn/n2/status"), "{name}: {theirs:?}");
        assert!(!shows(&theirs, "/api/rules") && !shows(&theirs, "/api/users"));
        assert_eq!(as_user(at, &who, "GET", "/dwn/n2/status", None).await.status, 404);
        for path in ["/api/devices", "/api/entities", "/api/areas", "/dwn/list", "/api/events?limit=1000"] {
            let seen = as_user(at, &who, "GET", path, None).await;
            let text = String::from_utf8_lossy(&seen.body).into_owned();
            assert_eq!(seen.status, 200, "{path}");
            assert!(!text.contains("n2") && !text.contains("cellar"), "{name} {path}: {text}");
        }
        for path in ["/api/history", "/api/history.csv"] {
            let other = as_user(at, &who, "GET", &format!("{path}?entity=dwn.n2.valve_a"), None).await;
            assert_eq!(other.status, 404, "{path}");
            let own = as_user(at, &who, "GET", &format!("{path}?entity=dwn.n1.valve_a"), None).await;
            assert_eq!(own.status, 200, "{path}");
        }
        let edit = as_user(at, &who, "PATCH", "/api/devices/dwn.n1", Some(json!({"area": "cellar"}))).await;
        assert_eq!(edit.status, 403, "who has one area must not move devices");
        // A run in the cellar is not theirs to see, to end or to replace.
        let runs = as_user(at, &who, "GET", "/api/irrigation", None).await.json();
        assert_eq!((&runs["runs"]["active"], &runs["deadlines"]), (&Value::Null, &json!({})));
        for body in [json!({}), json!({"id": "water"})] {
            ok(at, &who, "POST", "/api/irrigation/stop", body).await;
        }
        for (id, overlap) in [("water", "queue"), ("other", "replace")] {
            let zones = json!([{"valve": "dwn.n1.valve_a", "seconds": 5}]);
            let body = json!({"id": id, "overlap": overlap, "zones": zones});
            let refused = as_user(at, &who, "POST", "/api/irrigation/run", Some(body)).await;
            assert_eq!(refused.status, 403, "{}", refused.json());
        }
    }
    let runs = as_user(at, &admin, "GET", "/api/irrigation", None).await.json();
    assert_eq!(runs["runs"]["active"]["run"]["id"], "water", "{runs}");
    assert_eq!(relays.history().len(), 1, "it was never interrupted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_with_the_right_to_it() {
    let scratch = Scratch::new("live");
    let (hub, admin) = with_admin(&closed(&scratch)).await;
    let at = hub.http;
    let guest = user(at, &admin, "gina", "guest", &["garden"]).await;
    let (kept, revoked, expired) =
        (token(at, &admin, "admin").await, token(at, &admin, "read").await, token(at, &guest, "read").await);
    let listen = async |who: &str| {
        let mut request = format!("ws://{at}/ws").into_client_request().unwrap();
        let (name, value) = who.split_once(": ").unwrap();
        let name = tokio_tungstenite::tungstenite::http::HeaderName::try_from(name).unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
        tokio_tungstenite::connect_async(request).await.unwrap().0
    };
    let mut sockets = Vec::new();
    for who in [&guest, &revoked, &expired, &kept] {
        sockets.push(listen(who).await);
    }
    let [mut by_session, mut by_revoked, mut by_expired, mut by_kept] =
        <[_; 4]>::try_from(sockets).ok().unwrap();
    // Its head has come: the token was looked at while it was good.
    let mut sse = TcpStream::connect(at).await.unwrap();
    let request = format!("GET /events HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{revoked}\r\n\r\n");
    sse.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    sse.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    until("it listens", SOON, async || hub.house.bus().subscribers() >= 5).await;
    async fn closed_by<S>(socket: &mut S) -> u16
    where
        S: futures_util::Stream<Item = Result<Message, tokio_tungstenite::tungstenite::Error>> + Unpin,
    {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(close)))) => return close.code.into(),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let all = as_user(at, &admin, "GET", "/api/tokens", None).await.json();
    let id = all.as_array().unwrap().iter().find(|t| t["scope"] == "read").unwrap()["id"].clone();
    ok(at, &admin, "DELETE", &format!("/api/tokens/{}", id.as_str().unwrap()), json!({})).await;
    assert_eq!(closed_by(&mut by_revoked).await, 1008);
    // A stream of events ends, too.
    sse.read_to_end(&mut Vec::new()).await.unwrap();
    // Other areas than before: what was subscribed to is no longer what may be heard.
    ok(at, &admin, "PUT", "/api/users/gina", json!({"areas": ["cellar"]})).await;
    assert_eq!(closed_by(&mut by_session).await, 1008);
    assert_eq!(closed_by(&mut by_expired).await, 1008);
    let mut by_expired = listen(&expired).await;
    hub.house.clock().shift(2 * 86_400_000);
    // The next look comes by itself within half a minute, or with any change.
    ok(at, &admin, "PUT", "/api/users/paul", json!({"role": "guest", "password": "a password"})).await;
    assert_eq!(closed_by(&mut by_expired).await, 1008);
    assert_eq!(closed_by(&mut by_kept).await, 1008, "it has expired as well");
    assert_eq!(as_user(at, &admin, "GET", "/api/me", None).await.status, 200, "the session goes on");
}
