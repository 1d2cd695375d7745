//! The configuration: one TOML file, and for each error a line and a hint.

use hub_modules::{PlaceSettings, check_definition};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Everything that may be configured; the defaults run without a file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The folder of the store, the local socket and the backups.
    pub state: PathBuf,
    pub server: ServerSettings,
    pub devices: DeviceSettings,
    pub modules: hub_modules::Settings,
    pub place: PlaceSettings,
    /// Definitions that the API can only read, by id.
    pub rules: Definitions,
    pub scenes: Definitions,
    pub scripts: Definitions,
    pub programs: Definitions,
}

/// Definitions of one kind, by id.
pub type Definitions = BTreeMap<String, serde_json::Value>;

impl Default for Config {
    fn default() -> Self {
        Config {
            state: state_folder(),
            server: ServerSettings::default(),
            devices: DeviceSettings::default(),
            modules: hub_modules::Settings::default(),
            place: PlaceSettings::default(),
            rules: Definitions::new(),
            scenes: Definitions::new(),
            scripts: Definitions::new(),
            programs: Definitions::new(),
        }
    }
}

/// `[server]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Where plain HTTP is offered; only a loopback address is allowed.
    pub http: SocketAddr,
    /// Where HTTPS is offered, if anywhere: `0.0.0.0:8443` for the whole network.
    pub https: Option<SocketAddr>,
    /// Names under which the hub is called, besides addresses and localhost.
    pub names: Vec<String>,
    /// Everyone on this machine is an administrator: for demonstrations.
    pub open_door: bool,
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings {
            http: SocketAddr::from(([127, 0, 0, 1], 8080)),
            https: None,
            names: Vec::new(),
            open_door: false,
        }
    }
}

/// `[devices]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceSettings {
    /// Devices that are discovered are accepted at once instead of waiting in the inbox.
    pub accept_all: bool,
}

/// `$HUB_STATE`, the XDG state folder, or `/var/lib/hub`.
fn state_folder() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    folder("HUB_STATE")
        .or_else(|| Some(folder("XDG_STATE_HOME")?.join("hub")))
        .or_else(|| Some(folder("HOME")?.join(".local/state/hub")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/hub"))
}

/// What is wrong with a file: its line (from 1), what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub file: PathBuf,
    pub line: Option<usize>,
    pub what: String,
    pub hint: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}\n  hint: {}", self.what, self.hint)
    }
}

impl std::error::Error for Mistake {}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is no TOML, has an unknown name or a value that makes no sense.
    pub fn read(file: &Path) -> Result<Config, Mistake> {
        let mistake =
            |line, what: String, hint: &str| Mistake { file: file.into(), line, what, hint: hint.into() };
        let text = std::fs::read_to_string(file)
            .map_err(|error| mistake(None, error.to_string(), "does the file exist, and may you read it?"))?;
        Config::parse(&text, file)
    }

    /// Reads a text; `file` is only named in mistakes.
    ///
    /// # Errors
    /// See [`Config::read`].
    pub fn parse(text: &str, file: &Path) -> Result<Config, Mistake> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map(|span| text.get(..span.start).unwrap_or("").matches('\n').count() + 1);
            let what = error.message().to_string();
            let hint = match &what {
                w if w.contains("unknown field") => {
                    "remove it, or use one of the names listed; hub export-config shows all"
                }
                w if w.contains("invalid type") => {
                    "the value has another type here; hub export-config shows an example"
                }
                _ => "see docs/hub/guide.md, or start from hub export-config",
            };
            Mistake { file: file.into(), line, what, hint: hint.into() }
        })?;
        config.check().map_err(|(name, what, hint)| {
            let line = text.lines().position(|line| line.trim_start().starts_with(&name)).map(|at| at + 1);
            Mistake { file: file.into(), line, what, hint: hint.into() }
        })?;
        Ok(config)
    }

    /// The configuration as a file.
    ///
    /// # Errors
    /// A definition that TOML cannot say (a null).
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// What is wrong although it can be read: the name, what, and a hint.
    fn check(&self) -> Result<(), (String, String, &'static str)> {
        if !self.server.http.ip().is_loopback() {
            let what =
                format!("plain HTTP on {} could be read and changed on its way", self.server.http.ip());
            return Err(("http".into(), what, "use 127.0.0.1 here, and server.https for the network"));
        }
        let hint = "see docs/hub, the chapter of this module";
        self.modules.check().map_err(|(name, what)| (name.to_string(), what, hint))?;
        let hint = "see [place] in docs/hub/guide.md";
        self.place.check().map_err(|(name, what)| (name.to_string(), what, hint))?;
        for (space, all) in self.definitions() {
            for (id, value) in all {
                let wrong = |what| {
                    (format!("[{space}.{id}"), format!("{space}.{id}: {what}"), "see docs/hub/automations.md")
                };
                check_definition(space, value).map_err(wrong)?;
            }
        }
        Ok(())
    }

    /// Everything that is defined in the file, by kind.
    pub fn definitions(&self) -> [(&'static str, &Definitions); 4] {
        [
            ("rules", &self.rules),
            ("scenes", &self.scenes),
            ("scripts", &self.scripts),
            ("programs", &self.programs),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, Mistake> {
        Config::parse(text, Path::new("hub.toml"))
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(parse(""), Ok(Config::default()));
    }

    #[test]
    fn mistakes_name_the_line_and_a_remedy() {
        let unknown = parse("[server]\nnames = []\nprot = 80\n").unwrap_err();
        assert_eq!((unknown.line, unknown.what.contains("prot")), (Some(3), true), "{unknown}");
        let wrong = parse("\n[modules.dwn]\nport = \"x\"\n").unwrap_err();
        assert_eq!(wrong.line, Some(3));
        let open = parse("[server]\nhttp = \"0.0.0.0:80\"\n").unwrap_err();
        assert_eq!((open.line, open.hint.contains("https")), (Some(2), true));
        assert!(parse("[server").unwrap_err().line.is_some());
        let rule = parse("\n\n[rules.night]\ntriggers = []\nactions = []\n").unwrap_err();
        assert_eq!((rule.line, rule.what.contains("triggers")), (Some(3), true), "{rule}");
        assert_eq!(parse("[place]\nlatitude = 95.0\nlongitude = 1.0\n").unwrap_err().line, Some(2));
    }

    #[test]
    fn rules_may_stand_in_the_file() {
        let text = r##"
            [rules.evening]
            triggers = [{ on = "time", at = "sunset-15" }]
            conditions = [{ if = "weekday", days = ["fri"] }]
            actions = [{ do = "command", entity = "dwn.strip.light", command = "fade", with = { value = "#ff8000", over_ms = 2000 } }]
        "##;
        assert_eq!(parse(text).unwrap().rules.len(), 1);
    }
}
