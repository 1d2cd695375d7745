//! Who acts: a user, a token or the house itself, and what that allows.

use crate::function::Right;
use serde::{Deserialize, Serialize};

/// What kind of person it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees and controls the areas that were granted, nothing else.
    Guest,
    /// Sees and controls all devices, edits automations; one to whom areas were granted has only those, and edits nothing.
    Resident,
    /// May do everything, users and backups included.
    Admin,
}

/// How much of what its user may do a token allows; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Looking.
    Read,
    /// Commands to devices.
    Control,
    /// Automations, programs, names.
    Edit,
    /// Everything that the user may do, the user's own account included. Sessions have this scope.
    Admin,
}

impl Scope {
    /// The scope of this name.
    pub fn from_name(name: &str) -> Option<Scope> {
        serde_json::from_value(name.into()).ok()
    }
}

/// Somebody who has been authenticated, or nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub user: String,
    pub role: Role,
    /// The areas that were granted; not looked at for administrators.
    pub areas: Vec<String>,
    pub scope: Scope,
    /// When the credentials end, in Unix milliseconds; `None` when they do not end by themselves.
    pub until_ms: Option<i64>,
    /// Whether this came by a browser's cookie: then a GET must not act.
    pub by_cookie: bool,
}

impl Principal {
    /// The house itself: modules, the configuration's rules, the local socket.
    pub fn house() -> Principal {
        Principal {
            user: "house".into(),
            role: Role::Admin,
            areas: Vec::new(),
            scope: Scope::Admin,
            until_ms: None,
            by_cookie: false,
        }
    }

    /// What residents have made and what acts later: it may what they may.
    pub fn automation() -> Principal {
        Principal {
            user: "automation".into(),
            role: Role::Resident,
            scope: Scope::Edit,
            ..Principal::house()
        }
    }

    /// Nobody in particular: sees nothing, controls nothing.
    pub fn nobody() -> Principal {
        Principal { user: String::new(), role: Role::Guest, scope: Scope::Read, ..Principal::house() }
    }

    /// Whether this is somebody.
    pub fn is_known(&self) -> bool {
        !self.user.is_empty()
    }

    /// Whether the whole house may be seen.
    pub fn sees_all(&self) -> bool {
        match self.role {
            Role::Admin => true,
            Role::Resident => self.areas.is_empty(),
            Role::Guest => false,
        }
    }

    /// Whether something in this area (or in none) may be seen.
    pub fn sees(&self, area: Option<&str>) -> bool {
        self.sees_all() || area.is_some_and(|area| self.areas.iter().any(|a| a == area))
    }

    /// Whether something in this area (or in none) may be controlled.
    pub fn controls(&self, area: Option<&str>) -> bool {
        self.scope >= Scope::Control && self.sees(area)
    }

    /// Whether functions that need this right may be called: the user's role must give it, and the token's scope must let it
    /// through.
    pub fn may(&self, right: Right) -> bool {
        match right {
            Right::Anyone => true,
            Right::See => self.is_known(),
            Right::Control => self.is_known() && self.scope >= Scope::Control,
            // What is edited acts on the whole house.
            Right::Edit => self.role >= Role::Resident && self.sees_all() && self.scope >= Scope::Edit,
            Right::Admin => self.role == Role::Admin && self.scope == Scope::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_needs_the_users_role_and_the_tokens_scope() {
        let all = [Right::Anyone, Right::See, Right::Control, Right::Edit, Right::Admin];
        let garden = || vec!["garden".to_string()];
        for (role, areas, scope, may) in [
            (Role::Admin, Vec::new(), Scope::Admin, 5),
            (Role::Admin, garden(), Scope::Admin, 5),
            (Role::Admin, Vec::new(), Scope::Edit, 4),
            (Role::Admin, Vec::new(), Scope::Control, 3),
            (Role::Admin, Vec::new(), Scope::Read, 2),
            (Role::Resident, Vec::new(), Scope::Admin, 4),
            (Role::Resident, garden(), Scope::Admin, 3),
            (Role::Resident, Vec::new(), Scope::Read, 2),
            (Role::Guest, garden(), Scope::Admin, 3),
            (Role::Guest, garden(), Scope::Read, 2),
        ] {
            let who = Principal { role, areas, scope, ..Principal::house() };
            assert_eq!(all.map(|right| who.may(right)), [0, 1, 2, 3, 4].map(|n| n < may), "{who:?}");
        }
        assert_eq!(all.map(|right| Principal::nobody().may(right)), [true, false, false, false, false]);
    }

    #[test]
    fn who_was_granted_areas_has_only_those() {
        let of = |role, areas: &[&str]| Principal {
            role,
            areas: areas.iter().map(|a| a.to_string()).collect(),
            ..Principal::house()
        };
        for (who, garden, cellar, nowhere) in [
            (of(Role::Guest, &[]), false, false, false),
            (of(Role::Guest, &["garden"]), true, false, false),
            (of(Role::Resident, &["garden"]), true, false, false),
            (of(Role::Resident, &[]), true, true, true),
            (of(Role::Admin, &["garden"]), true, true, true),
        ] {
            let sees = [Some("garden"), Some("cellar"), None].map(|area| who.sees(area));
            assert_eq!(sees, [garden, cellar, nowhere], "{who:?}");
            let reader = Principal { scope: Scope::Read, ..who };
            assert!([Some("garden"), Some("cellar"), None].iter().all(|area| !reader.controls(*area)));
        }
    }
}
