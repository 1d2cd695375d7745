//! Users, their sessions and their tokens: the doorkeeper of a house that people live in.
//!
//! Everything is in the store's documents (`users`, `sessions`, `tokens`) and looked up at each request, so that what an
//! administrator takes away is gone at once. Secrets are stored hashed. The first user is made with a code that the console
//! shows; when the store failed there are no users and nobody can become one, only the local socket acts.

mod functions;
mod secret;

use crate::door::{Credentials, Doorkeeper};
use house::{Change, House, Principal, Problem, Role, Scope};
use secret::{Password, digest, hex, random};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, watch};

const DAY_MS: i64 = 86_400_000;
/// A session that is not used for this long ends.
const SESSION_MS: i64 = 30 * DAY_MS;
/// Wrong attempts before waiting begins.
const FREE_ATTEMPTS: u32 = 5;
/// The longest wait after wrong attempts.
const LONGEST_WAIT_MS: u64 = 15 * 60_000;
/// Addresses and names whose attempts are remembered.
const REMEMBERED: usize = 10_000;

/// A stored user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct User {
    role: Role,
    #[serde(default)]
    areas: Vec<String>,
    password: Password,
    #[serde(default)]
    totp: Option<String>,
    /// The last one-time code's step: a code counts once.
    #[serde(default)]
    totp_step: i64,
}

/// A stored token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    user: String,
    name: String,
    digest: String,
    scope: Scope,
    /// Unix milliseconds; 0 does not end.
    expires: i64,
}

impl Token {
    /// Reads a stored token. Those of before scopes say only whether they may act: on devices, then.
    fn read(mut stored: Value) -> Option<Token> {
        if stored["scope"].is_null() {
            stored["scope"] = if stored["is_read_only"] == false { "control" } else { "read" }.into();
        }
        serde_json::from_value(stored).ok()
    }
}

/// The doorkeeper.
pub struct Users {
    house: House,
    /// The code for the first user, while there is none.
    setup: Mutex<Option<String>>,
    attempts: Mutex<HashMap<String, (u32, u64)>>,
    /// One password is hashed at a time: each takes 19 MiB.
    hashing: Semaphore,
    /// Counts changes to users, sessions and tokens.
    changes: watch::Sender<u64>,
}

impl Users {
    /// Reads nothing yet; makes a set-up code when there is no user and the store is well.
    pub fn new(house: House) -> Arc<Users> {
        let is_new = house.memory().list("users").is_empty() && house.memory().trouble().is_none();
        let setup = if is_new { random::<5>().map(|code| hex(&code)) } else { None };
        let (attempts, hashing) = (Mutex::default(), Semaphore::new(1));
        let changes = watch::Sender::new(0);
        Arc::new(Users { house, setup: Mutex::new(setup), attempts, hashing, changes })
    }

    /// The code with which the first user is made; none when there is one.
    pub fn setup_code(&self) -> Option<String> {
        self.setup.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds the functions for logging in and for managing users.
    pub fn register(self: &Arc<Users>) {
        functions::register(&self.house, self);
    }

    fn user(&self, name: &str) -> Option<User> {
        serde_json::from_value(self.house.memory().get("users", name)?).ok()
    }

    fn principal(&self, name: &str) -> Option<Principal> {
        let user = self.user(name)?;
        Some(Principal {
            user: name.into(),
            role: user.role,
            areas: user.areas,
            scope: Scope::Admin,
            until_ms: None,
            by_cookie: false,
        })
    }

    fn now_ms(&self) -> i64 {
        self.house.clock().now_ms()
    }

    fn by_token(&self, bearer: &str) -> Option<Principal> {
        let id = bearer.strip_prefix("hob_")?.split('_').next()?;
        let token = Token::read(self.house.memory().get("tokens", id)?)?;
        let is_alive = token.expires == 0 || self.now_ms() < token.expires;
        // Comparing hashes tells nothing useful by its time.
        if !is_alive || token.digest != digest(bearer) {
            return None;
        }
        let until_ms = Some(token.expires).filter(|expires| *expires != 0);
        Some(Principal { scope: token.scope, until_ms, ..self.principal(&token.user)? })
    }

    fn by_session(&self, session: &str) -> Option<Principal> {
        let key = digest(session);
        let stored = self.house.memory().get("sessions", &key)?;
        let (user, used) = (stored["user"].as_str()?, stored["used"].as_i64()?);
        let idle_ms = self.now_ms() - used;
        if idle_ms > SESSION_MS {
            self.house.memory().write_soon(vec![Change::remove("sessions", &key)]);
            return None;
        }
        if idle_ms > DAY_MS {
            let value = json!({"user": user, "used": self.now_ms()});
            self.house.memory().write_soon(vec![Change::put("sessions", &key, value)]);
        }
        Some(Principal { by_cookie: true, ..self.principal(user)? })
    }

    /// Whether this address or name must wait; monotonic milliseconds.
    fn must_wait(&self, keys: &[String]) -> Result<(), Problem> {
        let now = self.house.clock().monotonic_ms();
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let until =
            keys.iter().filter_map(|key| attempts.get(key)).map(|(_, until)| *until).max().unwrap_or(0);
        if now < until {
            let wait_s = (until - now).div_ceil(1000);
            return Err(Problem::new(429, "too many wrong attempts").detail(format!("wait {wait_s} seconds")));
        }
        Ok(())
    }

    fn attempted(&self, keys: &[String], went_well: bool) {
        let now = self.house.clock().monotonic_ms();
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        if attempts.len() >= REMEMBERED {
            attempts.retain(|_, (_, until)| *until > now);
        }
        for key in keys {
            if went_well {
                attempts.remove(key);
                continue;
            }
            let (count, until) = attempts.entry(key.clone()).or_default();
            *count += 1;
            if *count >= FREE_ATTEMPTS {
                let wait_ms = 1_000u64 << (*count - FREE_ATTEMPTS).min(20);
                *until = now + wait_ms.min(LONGEST_WAIT_MS);
            }
        }
    }

    async fn hash(
        &self,
        work: impl FnOnce() -> Option<Password> + Send + 'static,
    ) -> Result<Password, Problem> {
        let failed = || Problem::internal("the password could not be hashed");
        let _place = self.hashing.acquire().await.map_err(|_| failed())?;
        tokio::task::spawn_blocking(work).await.ok().flatten().ok_or_else(failed)
    }

    /// Checks name, password and one-time code; as slow for a name that does not exist.
    async fn check(
        &self,
        name: &str,
        password: &str,
        code: &str,
        address: Option<IpAddr>,
    ) -> Result<(), Problem> {
        let mut keys = vec![format!("user {name}")];
        keys.extend(address.map(|address| format!("address {address}")));
        self.must_wait(&keys)?;
        let wrong = || Problem::new(401, "name, password or code is wrong");
        let user = self.user(name);
        let stored = user.as_ref().map(|user| user.password.clone());
        let password = password.to_string();
        let is_right = {
            let _place = self.hashing.acquire().await.map_err(|_| wrong())?;
            let work = tokio::task::spawn_blocking(move || match stored {
                Some(stored) => stored.is(&password),
                None => Password::new(&password).is_none(),
            });
            work.await.unwrap_or(false)
        };
        let Some(mut user) = user.filter(|_| is_right) else {
            self.attempted(&keys, false);
            return Err(wrong());
        };
        if let Some(secret) = &user.totp {
            let step = secret::totp_step(secret, code, self.now_ms().div_euclid(1000));
            let Some(step) = step.filter(|step| *step > user.totp_step) else {
                self.attempted(&keys, false);
                return Err(wrong().with("totp", true));
            };
            user.totp_step = step;
            self.save(name, &user).await?;
        }
        self.attempted(&keys, true);
        Ok(())
    }

    async fn save(&self, name: &str, user: &User) -> Result<(), Problem> {
        let value = serde_json::to_value(user).map_err(|e| Problem::internal(e.to_string()))?;
        self.write(vec![Change::put("users", name, value)]).await
    }

    /// Writes changes to users, sessions or tokens: connections that last look whether they still may.
    async fn write(&self, changes: Vec<Change>) -> Result<(), Problem> {
        let written = self.house.memory().write(changes);
        // In force at once, on the disk when it has been written.
        self.changes.send_modify(|count| *count += 1);
        Ok(written.await?)
    }

    /// A new session; the cookie's value.
    async fn open_session(&self, name: &str) -> Result<String, Problem> {
        let session = random::<24>().map(|s| hex(&s)).ok_or_else(|| Problem::internal("no randomness"))?;
        let value = json!({"user": name, "used": self.now_ms()});
        self.write(vec![Change::put("sessions", &digest(&session), value)]).await?;
        Ok(session)
    }

    /// Ends all sessions and tokens of a user, but not this session.
    fn close_all(&self, name: &str, but: Option<&str>, with_tokens: bool) -> Vec<Change> {
        let of_user = |value: &Value| value["user"] == name;
        let kept = but.map(digest);
        let sessions = self.house.memory().list("sessions").into_iter();
        let sessions = sessions.filter(|(key, value)| of_user(value) && Some(key) != kept.as_ref());
        let mut changes: Vec<Change> = sessions.map(|(key, _)| Change::remove("sessions", &key)).collect();
        if with_tokens {
            let tokens = self.house.memory().list("tokens").into_iter().filter(|(_, value)| of_user(value));
            changes.extend(tokens.map(|(key, _)| Change::remove("tokens", &key)));
        }
        changes
    }
}

impl Doorkeeper for Users {
    fn who(&self, credentials: &Credentials) -> Result<Option<Principal>, Problem> {
        if let Some(bearer) = &credentials.bearer {
            let keys: Vec<String> = credentials.address.iter().map(|a| format!("token from {a}")).collect();
            self.must_wait(&keys)?;
            let found = self.by_token(bearer);
            self.attempted(&keys, found.is_some());
            return found
                .map(Some)
                .ok_or_else(|| Problem::new(401, "the token is wrong, was revoked or has expired"));
        }
        // A session that is over is nobody: the log-in page must still open.
        Ok(self.still(credentials))
    }

    fn still(&self, credentials: &Credentials) -> Option<Principal> {
        match &credentials.bearer {
            Some(bearer) => self.by_token(bearer),
            None => credentials.session.as_deref().and_then(|session| self.by_session(session)),
        }
    }

    fn changes(&self) -> Option<watch::Receiver<u64>> {
        Some(self.changes.subscribe())
    }
}
