//! Who acts: a user, a token or the house itself, and what that allows.

use serde::{Deserialize, Serialize};

/// What kind of person (or token) it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees and controls the areas that were granted, nothing else.
    Guest,
    /// Sees and controls all devices, edits automations.
    Resident,
    /// May do everything, users and backups included.
    Admin,
}

/// Somebody who has been authenticated, or nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub user: String,
    pub role: Role,
    /// The areas that a guest has; not looked at for others.
    pub areas: Vec<String>,
    /// A token may be limited to reading.
    pub is_read_only: bool,
    /// Whether this came by a browser's cookie: then a GET must not act.
    pub by_cookie: bool,
}

impl Principal {
    /// The house itself: automations, modules, the local socket.
    pub fn house() -> Principal {
        Principal {
            user: "house".into(),
            role: Role::Admin,
            areas: Vec::new(),
            is_read_only: false,
            by_cookie: false,
        }
    }

    /// Whether something in this area (or in none) may be seen.
    pub fn sees(&self, area: Option<&str>) -> bool {
        self.role > Role::Guest || area.is_some_and(|area| self.areas.iter().any(|a| a == area))
    }

    /// Whether something in this area (or in none) may be controlled.
    pub fn controls(&self, area: Option<&str>) -> bool {
        !self.is_read_only && self.sees(area)
    }
}
