//! The door: what a request shows of its sender, and who decides what that means.

use axum::http::{HeaderMap, header};
use house::{Principal, Problem};
use std::net::IpAddr;
use tokio::sync::watch;

/// What came with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// `Authorization: Bearer ...`.
    pub bearer: Option<String>,
    /// The cookie `session`.
    pub session: Option<String>,
    /// The sender's address; none over the local socket.
    pub address: Option<IpAddr>,
    /// Whether the connection is encrypted.
    pub is_secure: bool,
}

impl Credentials {
    /// Reads the headers.
    pub fn read(headers: &HeaderMap, address: Option<IpAddr>, is_secure: bool) -> Credentials {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer =
            bearer.and_then(|value| value.strip_prefix("Bearer ")).map(|token| token.trim().to_string());
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let session = cookies
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == "session")
            .map(|(_, value)| value.to_string());
        Credentials { bearer, session, address, is_secure }
    }
}

/// Decides who somebody is. Must not block.
pub trait Doorkeeper: Send + Sync {
    /// Who it is; `None` for nobody in particular.
    ///
    /// # Errors
    /// Credentials that are wrong, or too many wrong ones.
    fn who(&self, credentials: &Credentials) -> Result<Option<Principal>, Problem>;

    /// Who it is now, for a connection that lasts; `None` when the credentials are good no more.
    fn still(&self, credentials: &Credentials) -> Option<Principal>;

    /// Changes when somebody's credentials or rights may have changed; `None` when they never do.
    fn changes(&self) -> Option<watch::Receiver<u64>>;
}

/// For demonstrations on the loopback address: everyone is an administrator.
#[derive(Debug)]
pub struct Everyone;

impl Doorkeeper for Everyone {
    fn who(&self, credentials: &Credentials) -> Result<Option<Principal>, Problem> {
        let is_here = credentials.address.is_none_or(|address| address.to_canonical().is_loopback());
        Ok(is_here.then(|| Principal { user: "demo".into(), ..Principal::house() }))
    }

    fn still(&self, credentials: &Credentials) -> Option<Principal> {
        self.who(credentials).ok().flatten()
    }

    fn changes(&self) -> Option<watch::Receiver<u64>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_and_session_are_found_among_other_headers() {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, "Bearer abc".parse().unwrap());
        headers.append(header::COOKIE, "a=b; session=xyz; c=d".parse().unwrap());
        let read = Credentials::read(&headers, None, false);
        assert_eq!((read.bearer.as_deref(), read.session.as_deref()), (Some("abc"), Some("xyz")));
        headers.insert(header::AUTHORIZATION, "Digest nonce=\"x\"".parse().unwrap());
        assert_eq!(Credentials::read(&headers, None, false).bearer, None);
    }

    #[test]
    fn everyone_means_everyone_on_this_machine() {
        let from = |address: &str| {
            let address = Some(address.parse().unwrap());
            Everyone
                .who(&Credentials { bearer: None, session: None, address, is_secure: false })
                .unwrap()
                .is_some()
        };
        assert!(from("127.0.0.1") && from("::1") && from("::ffff:127.0.0.1") && !from("192.0.2.1"));
    }
}
