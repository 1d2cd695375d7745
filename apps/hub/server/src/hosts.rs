//! Which `Host` and `Origin` are the hub's own. A page elsewhere whose name resolves to the hub (DNS rebinding) is not.

use axum::http::{HeaderMap, header};
use std::net::IpAddr;

/// The names under which the hub may be called, besides addresses and `localhost`.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    names: Vec<String>,
}

impl Hosts {
    /// These names, in any case.
    pub fn new(names: impl IntoIterator<Item = String>) -> Hosts {
        Hosts { names: names.into_iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Whether the request's `Host` (exactly one) is the hub's.
    pub fn accepts(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) {
            (Some(host), None) => self.is_ours(host),
            _ => false,
        }
    }

    /// Whether there is no `Origin`, or it is the very place that `Host` names.
    pub fn is_same_origin(headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        matches!((origin, host), (Some((_, place)), Some(host)) if place.eq_ignore_ascii_case(host))
    }

    fn is_ours(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => host.split_once(':').map_or(host, |(name, _)| name),
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost" || name.parse::<IpAddr>().is_ok() || self.names.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn addresses_and_known_names_are_ours_and_others_are_not() {
        let hosts = Hosts::new(["Hub.home.arpa".to_string()]);
        for ours in
            ["localhost:8080", "127.0.0.1", "[::1]:8080", "192.0.2.7:80", "hub.home.arpa", "HUB.HOME.ARPA.:1"]
        {
            assert!(hosts.accepts(&headers(ours, None)), "{ours}");
        }
        for other in ["evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example"] {
            assert!(!hosts.accepts(&headers(other, None)), "{other}");
        }
        assert!(!hosts.accepts(&HeaderMap::new()));
        let mut twice = headers("localhost", None);
        twice.append(header::HOST, "evil.example".parse().unwrap());
        assert!(!hosts.accepts(&twice));
    }

    #[test]
    fn another_origin_is_not_ours() {
        assert!(Hosts::is_same_origin(&headers("localhost:8080", None)));
        assert!(Hosts::is_same_origin(&headers("localhost:8080", Some("http://localhost:8080"))));
        for other in
            ["http://localhost:9090", "https://evil.example", "null", "http://localhost:8080.evil.example"]
        {
            assert!(!Hosts::is_same_origin(&headers("localhost:8080", Some(other))), "{other}");
        }
    }
}
