//! Mail by a relay: encrypted by STARTTLS or from the start, with a password, or plain inside the house.

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// How the way to the relay is protected.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// The relay must offer STARTTLS (port 587 as a rule).
    #[default]
    Starttls,
    /// TLS from the start (port 465).
    Tls,
    /// Nothing: for a relay on this machine or in the house; never with a password.
    None,
}

/// `[modules.notify.mail]`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `host` or `host:port` of the relay; without a port 587, 465 or 25, as the security goes. None: no mail.
    pub relay: Option<String>,
    pub security: Security,
    pub user: Option<String>,
    /// A file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// A PEM file with an authority to trust besides those of this machine.
    pub authority: Option<PathBuf>,
    pub from: String,
    pub to: Vec<String>,
}

/// How long each answer of the relay may take.
const ANSWER: Duration = Duration::from_secs(20);

impl Settings {
    /// What is wrong: the name of the field and the reason.
    ///
    /// # Errors
    /// A password that would travel in clear, an address that is none.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.relay.is_none() {
            return Ok(());
        }
        if self.security == Security::None && self.user.is_some() {
            return Err(("security", "a password would travel in clear: use starttls or tls".into()));
        }
        if self.user.is_some() != self.password_file.is_some() {
            return Err(("user", "user and password_file are needed both".into()));
        }
        self.from.parse::<Mailbox>().map_err(|error| ("from", error.to_string()))?;
        for to in &self.to {
            to.parse::<Mailbox>().map_err(|error| ("to", format!("{to}: {error}")))?;
        }
        if self.to.is_empty() { Err(("to", "nobody would get the mail".into())) } else { Ok(()) }
    }

    /// Sends one mail to everybody.
    ///
    /// # Errors
    /// In words.
    pub async fn send(&self, title: &str, text: &str) -> Result<(), String> {
        let Some(relay) = &self.relay else { return Ok(()) };
        let title: String = title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let from: Mailbox = self.from.parse().map_err(|error| format!("from: {error}"))?;
        let mut message = Message::builder().from(from).subject(title);
        for to in &self.to {
            message = message.to(to.parse().map_err(|error| format!("{to}: {error}"))?);
        }
        let message = message.body(text.to_string()).map_err(|error| error.to_string())?;
        let (host, port) = match relay.rsplit_once(':') {
            Some((host, port)) => {
                (host, port.parse().map_err(|_| format!("relay {relay:?} has no port number"))?)
            }
            None => (relay.as_str(), self.default_port()),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .timeout(Some(ANSWER))
            .hello_name(ClientId::Domain("hub.invalid".into()))
            .tls(self.tls(host)?);
        if let (Some(user), Some(file)) = (&self.user, &self.password_file) {
            transport = transport.credentials(Credentials::new(user.clone(), crate::secret(file)?));
        }
        match transport.build().send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(reasons(&error)),
        }
    }

    fn default_port(&self) -> u16 {
        match self.security {
            Security::Starttls => 587,
            Security::Tls => 465,
            Security::None => 25,
        }
    }

    fn tls(&self, host: &str) -> Result<Tls, String> {
        if self.security == Security::None {
            return Ok(Tls::None);
        }
        hub_tls::install()?;
        let mut parameters =
            TlsParameters::builder(host.to_string()).certificate_store(CertificateStore::Default);
        for certificate in
            self.authority.as_deref().map(hub_tls::certificates).transpose()?.into_iter().flatten()
        {
            let certificate = Certificate::from_der(certificate.to_vec()).map_err(|error| reasons(&error))?;
            parameters = parameters.add_root_certificate(certificate);
        }
        let parameters = parameters.build_rustls().map_err(|error| reasons(&error))?;
        Ok(match self.security {
            Security::Tls => Tls::Wrapper(parameters),
            _ => Tls::Required(parameters),
        })
    }
}

/// An error and what caused it: the outer one alone says "Connection error".
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        if !text.contains(&inner) {
            text = format!("{text}: {inner}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_travels_in_clear() {
        let settings = |security, user: Option<&str>| Settings {
            relay: Some("mail.example".into()),
            security,
            user: user.map(str::to_string),
            password_file: user.map(PathBuf::from),
            from: "hub@example.org".into(),
            to: vec!["Anna <anna@example.org>".into()],
            ..Settings::default()
        };
        assert_eq!(settings(Security::None, Some("hub")).check().unwrap_err().0, "security");
        assert_eq!(settings(Security::None, None).check(), Ok(()));
        assert_eq!(settings(Security::Starttls, Some("hub")).check(), Ok(()));
        let nobody = Settings { to: Vec::new(), ..settings(Security::Tls, None) };
        assert_eq!(nobody.check().unwrap_err().0, "to");
        let nonsense =
            Settings { from: "hub\r\nBcc: eve@example.org".into(), ..settings(Security::Tls, None) };
        assert_eq!(nonsense.check().unwrap_err().0, "from");
    }
}
