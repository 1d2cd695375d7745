//! Set-up, log-in and log-out; users, tokens, one-time codes and settings.

use super::secret::{digest, hex, random, totp_secret, totp_step};
use super::{Token, User, Users};
use house::function::Right;
use house::{Call, Change, Function, House, Method, Problem, Reply, Role, Scope};
use serde_json::{Value, json};
use std::sync::{Arc, PoisonError};

/// Tokens of one user at most.
const TOKENS: usize = 100;
/// A token's longest life in days.
const LONGEST_DAYS: i64 = 3_650;
/// The shortest password.
const SHORTEST: usize = 8;
/// The longest settings document.
const SETTINGS_BYTES: usize = 64 * 1024;

type Handler = fn(Arc<Users>, Call) -> house::BoxFuture<'static, Result<Reply, Problem>>;

pub(super) fn register(house: &House, users: &Arc<Users>) {
    let text = |fields: &[&str]| {
        let properties: serde_json::Map<String, Value> =
            fields.iter().map(|f| (f.to_string(), json!({"type": "string"}))).collect();
        json!({"type": "object", "properties": properties})
    };
    let none = Value::Null;
    let all: [(Method, &str, &str, Right, Value, Handler); 17] = [
        (
            Method::Post,
            "/api/setup",
            "Make the first administrator with the console's code",
            Right::Anyone,
            text(&["code", "user", "password"]),
            |u, c| Box::pin(set_up(u, c)),
        ),
        (
            Method::Get,
            "/api/setup",
            "Whether the first administrator is still to be made",
            Right::Anyone,
            none.clone(),
            |u, _| Box::pin(async move { Ok(Reply::json(json!({"needed": u.setup_code().is_some()}))) }),
        ),
        (
            Method::Post,
            "/api/login",
            "Open a session",
            Right::Anyone,
            text(&["user", "password", "code"]),
            |u, c| Box::pin(log_in(u, c)),
        ),
        (Method::Post, "/api/logout", "End all sessions of this user", Right::See, none.clone(), |u, c| {
            Box::pin(log_out(u, c))
        }),
        (Method::Get, "/api/me", "Who I am", Right::See, none.clone(), |u, c| {
            Box::pin(async move { Ok(Reply::tagged(me(&u, &c))) })
        }),
        (
            Method::Put,
            "/api/me/password",
            "Change my password; other sessions end",
            Right::See,
            text(&["old", "new", "code"]),
            |u, c| Box::pin(change_password(u, c)),
        ),
        (
            Method::Post,
            "/api/me/totp",
            "Begin with one-time codes: a secret for the authenticator",
            Right::See,
            none.clone(),
            |u, c| Box::pin(begin_totp(u, c)),
        ),
        (
            Method::Put,
            "/api/me/totp",
            "Confirm one-time codes by one",
            Right::See,
            text(&["code"]),
            |u, c| Box::pin(confirm_totp(u, c)),
        ),
        (Method::Get, "/api/me/settings", "My settings of the page", Right::See, none.clone(), |u, c| {
            Box::pin(async move { Ok(Reply::tagged(settings(&u, &c))) })
        }),
        (
            Method::Put,
            "/api/me/settings",
            "Keep my settings of the page",
            Right::See,
            json!({"type": "object"}),
            |u, c| Box::pin(keep_settings(u, c)),
        ),
        (Method::Get, "/api/users", "All users", Right::Admin, none.clone(), |u, _| {
            Box::pin(async move { Ok(list(&u)) })
        }),
        (Method::Get, "/api/users/{name}", "One user", Right::Admin, none.clone(), |u, c| {
            Box::pin(async move { one_user(&u, c.text("name")).map(Reply::tagged) })
        }),
        (Method::Get, "/api/tokens/{id}", "One of my tokens", Right::See, none.clone(), |u, c| {
            Box::pin(async move { one_token(&u, &c).map(Reply::tagged) })
        }),
        (
            Method::Put,
            "/api/users/{name}",
            "Make or change a user",
            Right::Admin,
            text(&["role", "password"]),
            |u, c| Box::pin(put_user(u, c)),
        ),
        (
            Method::Delete,
            "/api/users/{name}",
            "Remove a user with all sessions and tokens",
            Right::Admin,
            none.clone(),
            |u, c| Box::pin(remove_user(u, c)),
        ),
        (
            Method::Post,
            "/api/tokens",
            "Make a token for a program; it is shown once",
            Right::See,
            json!({"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"}, "scope": {"enum": ["read", "control", "edit", "admin"]},
                "days": {"type": "integer"}}}),
            |u, c| Box::pin(make_token(u, c)),
        ),
        (Method::Get, "/api/tokens", "My tokens", Right::See, none, |u, c| {
            Box::pin(async move { Ok(tokens(&u, &c)) })
        }),
    ];
    for (method, path, about, right, schema, handler) in all {
        let users = users.clone();
        let function =
            Function::new(method, path, about, move |_, call| handler(users.clone(), call)).right(right);
        house.functions().add(if schema.is_null() { function } else { function.body(schema) });
    }
    let revoking = users.clone();
    let revoke = Function::new(Method::Delete, "/api/tokens/{id}", "Revoke a token", move |_, call| {
        Box::pin(revoke_token(revoking.clone(), call))
    });
    house.functions().add(revoke.right(Right::See));
}

fn text<'a>(call: &'a Call, name: &str) -> &'a str {
    call.body[name].as_str().unwrap_or_default()
}

/// A user's account is changed by the user, not by a token that was given to a program for less.
fn own_account(call: &Call) -> Result<(), Problem> {
    match call.who.scope {
        Scope::Admin => Ok(()),
        _ => Err(Problem::forbidden("this token may not change its user's account").with("needs", "admin")),
    }
}

fn check_name(name: &str) -> Result<(), Problem> {
    let is_good = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b))
        && name != "house";
    if is_good {
        Ok(())
    } else {
        Err(Problem::new(422, "a name has 1 to 64 letters, digits, - _ . @").with("field", "user"))
    }
}

fn check_password(password: &str) -> Result<(), Problem> {
    match password.chars().count() {
        n if n < SHORTEST => Err(Problem::new(422, format!("a password has at least {SHORTEST} characters"))
            .with("field", "password")),
        n if n > 256 => {
            Err(Problem::new(422, "a password has at most 256 characters").with("field", "password"))
        }
        _ => Ok(()),
    }
}

async fn set_up(users: Arc<Users>, call: Call) -> Result<Reply, Problem> {
    let (name, password) = (text(&call, "user").to_string(), text(&call, "password").to_string());
    let keys = vec![format!("setup {}", call.text("@address"))];
    users.must_wait(&keys)?;
    let is_right = users.setup_code().is_some_and(|code| code == text(&call, "code"));
    users.attempted(&keys, is_right);
    if !is_right {
        return Err(Problem::forbidden("the code is wrong, or there is an administrator already"));
    }
    check_name(&name)?;
    check_password(&password)?;
    let password = users.hash(move || super::Password::new(&password)).await?;
    let user = User { role: Role::Admin, areas: Vec::new(), password, totp: None, totp_step: 0 };
    // The code counts once, also when two come at the same time.
    if users.setup.lock().unwrap_or_else(PoisonError::into_inner).take().is_none() {
        return Err(Problem::forbidden("there is an administrator already"));
    }
    users.save(&name, &user).await?;
    Ok(Reply::ok().status(201))
}

async fn log_in(users: Arc<Users>, call: Call) -> Result<Reply, Problem> {
    let name = text(&call, "user").to_string();
    let address = call.text("@address").parse().ok();
    users.check(&name, text(&call, "password"), text(&call, "code"), address).await?;
    let session = users.open_session(&name).await?;
    let secure = if call.text("@secure") == "true" { "; Secure" } else { "" };
    let mut reply = Reply::ok();
    reply.headers.push((
        "set-cookie",
        format!("session={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000{secure}"),
    ));
    Ok(reply)
}

async fn log_out(users: Arc<Users>, call: Call) -> Result<Reply, Problem> {
    own_account(&call)?;
    let changes = users.close_all(&call.who.user, None, false);
    users.write(changes).await?;
    let mut reply = Reply::ok();
    reply.headers.push(("set-cookie", "session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0".into()));
    Ok(reply)
}

fn me(users: &Users, call: &Call) -> Value {
    let totp = users.user(&call.who.user).is_some_and(|user| user.totp.is_some());
    json!({"user": call.who.user, "role": call.who.role, "areas": call.who.areas, "totp": totp,
                       "scope": call.who.scope, "until": call.who.until_ms})
}

async fn change_password(users: Arc<Users>, call: Call) -> Result<Reply, Problem> {
    own_account(&call)?;
    call.unchanged(&me(&users, &call))?;
    let new = text(&call, "new").to_string();
    check_password(&new)?;
    let name = call.who.user.clone();
    users.check(&name, text(&call, "old"), text(&call, "code"), call.text("@address").parse().ok()).await?;
    let password = users.hash(move || super::Password::new(&new)).await?;
    let mut user = users.user(&name).ok_or_else(|| Problem::missing("user", &name))?;
    user.password = password;
    users.save(&name, &user).await?;
    users.write(users.close_all(&name, None, false)).await?;
    Ok(Reply::ok())
}

async fn begin_totp(users: Arc<Users>, call: Call) -> Result<Reply, Problem> {
    own_account(&call)?;
    let secret = totp_secret().ok_or_else(|| Problem::internal("no randomness"))?;
    let name = &call.who.user;
    users.write(vec![Change::put("totp", name, json!(secret))]).await?;
    let uri = format!("otpauth://totp/Hob:{name}?secret={secret}&issuer=Hob");
    Ok(Reply::json(json!({"secret": secret, "uri": uri})))
}

async fn confirm_totp(users: Arc<Users>, call: Call) -> Result<Reply, Problem> {
    own_account(&call)?;
    let name = &call.who.user;
    let stored = users.house.memory().get("totp", name).and_then(|s| s.as_str().map(str::to_string));
    let secret = stored.ok_or_else(|| Problem::new(409, "begin first: POST /api/me/totp"))?;
    let step = totp_step(&secret, text(&call, "code"), users.now_ms().div_euclid(1000));
    let step = step
        .ok_or_else(|| Problem::new(422, "the code is wrong; is the clock right?").with("field", "code"))?;
    let mut user = users.user(name).ok_or_else(|| Problem::missing("user", name))?;
    (user.totp, user.totp_step) = (Some(secret), step);
    users.save(name, &user).await?;
    users.write(vec![Change::remove("totp", name)]).await?;
    Ok(Reply::ok())
}

fn settings(users: &Users, call: &Call) -> Value {
    users.house.memory().get("settings", &call.who.user).unwrap_or(json!({}))
}

async fn keep_settings(users: Arc<Users>, call: Call) -> Result<Reply, Problem> {
    own_account(&call)?;
    call.unchanged(&settings(&users, &call))?;
    if !call.body.is_object() || call.body.to_string().len() > SETTINGS_BYTES {
        return Err(Problem::new(422, format!("settings: an object of at most {SETTINGS_BYTES} bytes")));
    }
    users.write(vec![Change::put("settings", &call.who.user, call.body)]).await?;
    Ok(Reply::ok())
}

fn list(users: &Users) -> Reply {
    let all = users.house.memory().list("users").into_iter();
    Reply::json(all.map(|(name, user)| shown_user(&name, &user)).collect())
}

fn shown_user(name: &str, user: &Value) -> Value {
    json!({"name": name, "role": user["role"], "areas": user["areas"], "totp": !user["totp"].is_null()})
}

fn one_user(users: &Users, name: &str) -> Result<Value, Problem> {
    let user = users.house.memory().get("users", name).ok_or_else(|| Problem::missing("user", name))?;
    Ok(shown_user(name, &user))
}

async fn put_user(users: Arc<Users>, call: Call) -> Result<Reply, Problem> {
    let name = call.text("name").to_string();
    check_name(&name)?;
    call.unchanged(&one_user(&users, &name).unwrap_or(Value::Null))?;
    let known = users.user(&name);
    let role: Option<Role> = match &call.body["role"] {
        Value::Null => None,
        role => Some(
            serde_json::from_value(role.clone())
                .map_err(|_| Problem::new(422, "role: admin, resident or guest").with("field", "role"))?,
        ),
    };
    let areas: Option<Vec<String>> = match &call.body["areas"] {
        Value::Null => None,
        areas => Some(
            serde_json::from_value(areas.clone())
                .map_err(|_| Problem::new(422, "areas: a list of ids").with("field", "areas"))?,
        ),
    };
    let password = match call.body["password"].as_str() {
        Some(password) => {
            check_password(password)?;
            let password = password.to_string();
            Some(users.hash(move || super::Password::new(&password)).await?)
        }
        None => None,
    };
    let missing = |field: &str| Problem::new(422, format!("{field} is missing")).with("field", field);
    let user = match known {
        Some(user) => User {
            role: role.unwrap_or(user.role),
            areas: areas.unwrap_or(user.areas),
            password: password.clone().unwrap_or(user.password),
            ..user
        },
        None => User {
            role: role.ok_or_else(|| missing("role"))?,
            areas: areas.unwrap_or_default(),
            password: password.clone().ok_or_else(|| missing("password"))?,
            totp: None,
            totp_step: 0,
        },
    };
    if user.role != Role::Admin {
        keep_an_administrator(&users, &name)?;
    }
    users.save(&name, &user).await?;
    if password.is_some() {
        users.write(users.close_all(&name, None, true)).await?;
    }
    // Somebody made with the local socket is the first administrator, too.
    *users.setup.lock().unwrap_or_else(PoisonError::into_inner) = None;
    Ok(Reply::ok())
}

/// The last administrator stays one.
fn keep_an_administrator(users: &Users, leaving: &str) -> Result<(), Problem> {
    let all = users.house.memory().list("users");
    let is_one = |value: &Value| value["role"] == "admin";
    let leaves = all.iter().any(|(name, value)| name == leaving && is_one(value));
    if leaves && !all.iter().any(|(name, value)| name != leaving && is_one(value)) {
        return Err(Problem::new(409, "the last administrator must stay one"));
    }
    Ok(())
}

async fn remove_user(users: Arc<Users>, call: Call) -> Result<Reply, Problem> {
    let name = call.text("name");
    call.unchanged(&one_user(&users, name)?)?;
    keep_an_administrator(&users, name)?;
    let mut changes = users.close_all(name, None, true);
    changes.extend([
        Change::remove("users", name),
        Change::remove("settings", name),
        Change::remove("totp", name),
    ]);
    users.write(changes).await?;
    Ok(Reply::ok())
}

async fn make_token(users: Arc<Users>, call: Call) -> Result<Reply, Problem> {
    own_account(&call)?;
    let name = text(&call, "name").to_string();
    if users.user(&call.who.user).is_none() || name.is_empty() || name.len() > 100 {
        return Err(Problem::new(422, "a token needs a name and a user").with("field", "name"));
    }
    if users.house.memory().list("tokens").iter().filter(|(_, t)| t["user"] == call.who.user.as_str()).count()
        >= TOKENS
    {
        return Err(Problem::new(507, format!("{TOKENS} tokens are enough; revoke one")));
    }
    let days = match &call.body["days"] {
        Value::Null => 0,
        days => days.as_i64().filter(|days| (0..=LONGEST_DAYS).contains(days)).ok_or_else(|| {
            Problem::new(422, format!("days: 0 (no end) to {LONGEST_DAYS}")).with("field", "days")
        })?,
    };
    let scope = match &call.body["scope"] {
        Value::Null => Scope::Read,
        scope => scope
            .as_str()
            .and_then(Scope::from_name)
            .ok_or_else(|| Problem::new(422, "scope: read, control, edit or admin").with("field", "scope"))?,
    };
    let parts = random::<6>().zip(random::<24>()).ok_or_else(|| Problem::internal("no randomness"))?;
    let (id, secret) = (hex(&parts.0), hex(&parts.1));
    let token = format!("hob_{id}_{secret}");
    let expires = if days > 0 { users.now_ms() + days * super::DAY_MS } else { 0 };
    let stored = Token { user: call.who.user, name, digest: digest(&token), scope, expires };
    let value = serde_json::to_value(stored).map_err(|e| Problem::internal(e.to_string()))?;
    users.write(vec![Change::put("tokens", &id, value)]).await?;
    Ok(Reply::json(json!({"id": id, "token": token, "scope": scope, "expires": expires})).status(201))
}

fn tokens(users: &Users, call: &Call) -> Reply {
    let all = users.house.memory().list("tokens").into_iter();
    let all = all.filter_map(|(id, stored)| Some((id, Token::read(stored)?)));
    let theirs = all.filter(|(_, token)| token.user == call.who.user);
    Reply::json(theirs.map(|(id, token)| shown_token(&id, &token)).collect())
}

fn shown_token(id: &str, token: &Token) -> Value {
    json!({"id": id, "name": token.name, "scope": token.scope, "expires": token.expires})
}

/// A token of whoever asks; an administrator may ask for everybody's.
fn one_token(users: &Users, call: &Call) -> Result<Value, Problem> {
    let id = call.text("id");
    let token = users.house.memory().get("tokens", id).and_then(Token::read);
    let is_mine = |t: &Token| t.user == call.who.user || call.who.may(Right::Admin);
    let token = token.filter(is_mine).ok_or_else(|| Problem::missing("token", id))?;
    Ok(shown_token(id, &token))
}

async fn revoke_token(users: Arc<Users>, call: Call) -> Result<Reply, Problem> {
    own_account(&call)?;
    let id = call.text("id");
    call.unchanged(&one_token(&users, &call)?)?;
    users.write(vec![Change::remove("tokens", id)]).await?;
    Ok(Reply::ok())
}
