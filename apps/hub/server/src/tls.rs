//! HTTPS: a certificate authority of the house's own, made at the first start, and certificates for the hub's names.
//!
//! On a processor that lacks what the cryptography needs [`Tls::new`] says so and the hub stays on the loopback address.

use crate::listen::Wrap;
use graviola::hashing::Sha256;
use graviola::signing::ecdsa::{P256, SigningKey};
use house::{Change, House};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyUsagePurpose,
};
use rcgen::{PublicKeyData, SerialNumber, SignatureAlgorithm};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde_json::json;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

const DAY_S: i64 = 86_400;
/// How long the authority is valid.
const AUTHORITY_DAYS: i64 = 20 * 365;
/// How long a certificate is valid; a new one is made at each start (browsers accept at most 398 days).
const CERTIFICATE_DAYS: i64 = 397;
/// A hub that runs for longer makes a new one when the old one is valid for less than this.
const RENEW_DAYS: i64 = 30;

/// Ready to speak TLS.
pub struct Tls {
    acceptor: TlsAcceptor,
    /// The authority's certificate, for people to install.
    pub authority_pem: String,
}

/// The present certificate, and what the next one is made of. It is looked at with each handshake, so that a clock that is set
/// is noticed, and a certificate that nobody asks for is not renewed.
struct Certificates {
    house: House,
    authority: Issuer<'static, Key>,
    names: Vec<String>,
    provider: Arc<CryptoProvider>,
    present: RwLock<Present>,
}

struct Present {
    key: Arc<CertifiedKey>,
    made_s: i64,
}

impl Present {
    /// Whether another one is due: this one ends soon, or is of a time that has yet to come.
    fn is_due(&self, now_s: i64) -> bool {
        now_s < self.made_s || now_s >= self.made_s + (CERTIFICATE_DAYS - RENEW_DAYS) * DAY_S
    }
}

/// From when a certificate that is made now is valid: a day ago, for clocks that are behind.
fn valid_from_s(house: &House) -> i64 {
    // A clock that was never set must not make a certificate that is valid in 1970 only.
    house.clock().now_ms().max(house::clock::EARLIEST_PLAUSIBLE_MS).div_euclid(1000) - DAY_S
}

fn issue(
    authority: &Issuer<'static, Key>,
    names: &[String],
    provider: &CryptoProvider,
    made_s: i64,
) -> Result<Present, String> {
    let own = Key::generate()?;
    let mut params = params(names.to_vec(), "Hob hub", &own, made_s, CERTIFICATE_DAYS)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&own, authority).map_err(|e| e.to_string())?;
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.pkcs8()?));
    let key = CertifiedKey::from_der(chain, private, provider).map_err(|e| e.to_string())?;
    Ok(Present { key: Arc::new(key), made_s })
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificates({:?})", self.names)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let made_s = valid_from_s(&self.house);
        {
            let present = self.present.read().unwrap_or_else(PoisonError::into_inner);
            if !present.is_due(made_s) {
                return Some(present.key.clone());
            }
        }
        let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
        // Another handshake may have been faster.
        if present.is_due(made_s) {
            match issue(&self.authority, &self.names, &self.provider, made_s) {
                Ok(new) => {
                    tracing::info!("a new certificate was made");
                    *present = new;
                }
                Err(reason) => {
                    tracing::error!(reason, "no new certificate could be made; the old one goes on")
                }
            }
        }
        Some(present.key.clone())
    }
}

struct Key {
    key: SigningKey<P256>,
    public: Vec<u8>,
}

impl Key {
    fn new(key: SigningKey<P256>) -> Result<Key, String> {
        let mut spki = [0; 128];
        let spki = key.to_spki_der(&mut spki).map_err(|_| "the key has no public form")?;
        // An uncompressed point of 65 bytes ends the structure (RFC 5480, section 2.2).
        let public = spki.last_chunk::<65>().ok_or("the key is too short")?.to_vec();
        Ok(Key { key, public })
    }
    fn generate() -> Result<Key, String> {
        Key::new(SigningKey::generate().map_err(|_| "no randomness for a key")?)
    }
    fn pkcs8(&self) -> Result<Vec<u8>, String> {
        let mut der = [0; 256];
        Ok(self.key.to_pkcs8_der(&mut der).map_err(|_| "the key cannot be written")?.to_vec())
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut signature = [0; 128];
        let signed = self.key.sign_asn1::<Sha256>(&[message], &mut signature);
        signed.map(<[u8]>::to_vec).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

fn day(unix_s: i64) -> Result<(i32, u8, u8), String> {
    // Days to a civil date: Howard Hinnant's algorithm, chrono-compatible date algorithms.
    let z = unix_s.div_euclid(DAY_S) + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    i32::try_from(year).map(|year| (year, month as u8, day as u8)).map_err(|_| "the clock is far off".into())
}

fn params(
    names: Vec<String>,
    common: &str,
    key: &Key,
    from_s: i64,
    days: i64,
) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::new(names).map_err(|e| e.to_string())?;
    params.distinguished_name.push(DnType::CommonName, common);
    let (year, month, date) = day(from_s)?;
    params.not_before = rcgen::date_time_ymd(year, month, date);
    let (year, month, date) = day(from_s + days * DAY_S)?;
    params.not_after = rcgen::date_time_ymd(year, month, date);
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(|e| e.to_string())?;
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.key_identifier_method = KeyIdMethod::PreSpecified(sha2_prefix(&key.public));
    Ok(params)
}

fn sha2_prefix(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().take(20).copied().collect()
}

fn authority_params(key: &Key, from_s: i64) -> Result<CertificateParams, String> {
    let mut params = params(Vec::new(), "Hob house authority", key, from_s, AUTHORITY_DAYS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

impl Tls {
    /// Reads the house's authority (or makes and stores it) and issues a certificate for these names and addresses.
    ///
    /// # Errors
    /// In words: the processor, the randomness, or a name that is none.
    pub async fn new(house: &House, names: Vec<String>) -> Result<Tls, String> {
        let provider = hub_tls::provider()?;
        let now_s = valid_from_s(house);
        let (key, made_s, pem) = match stored(house)? {
            Some(stored) => stored,
            None => make_authority(house, now_s).await?,
        };
        let issuer_params = authority_params(&key, made_s)?;
        let authority = Issuer::new(issuer_params, key);
        let present = RwLock::new(issue(&authority, &names, &provider, now_s)?);
        let house = house.clone();
        let certificates = Certificates { house, authority, names, provider: provider.clone(), present };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificates));
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), authority_pem: pem })
    }
}

fn stored(house: &House) -> Result<Option<(Key, i64, String)>, String> {
    let Some(stored) = house.memory().get("tls", "authority") else { return Ok(None) };
    let bytes: Vec<u8> = serde_json::from_value(stored["key"].clone()).map_err(|e| e.to_string())?;
    let key = SigningKey::from_pkcs8_der(&bytes).map_err(|_| "the authority's key is damaged")?;
    let made_s = stored["made"].as_i64().ok_or("the authority's date is damaged")?;
    let pem = stored["certificate"].as_str().ok_or("the authority's certificate is damaged")?;
    Ok(Some((Key::new(key)?, made_s, pem.to_string())))
}

async fn make_authority(house: &House, now_s: i64) -> Result<(Key, i64, String), String> {
    let key = Key::generate()?;
    let pem = authority_params(&key, now_s)?.self_signed(&key).map_err(|e| e.to_string())?.pem();
    let value = json!({"key": key.pkcs8()?, "made": now_s, "certificate": pem});
    house.memory().write(vec![Change::put("tls", "authority", value)]).await.map_err(|e| e.to_string())?;
    Ok((key, now_s, pem))
}

impl Wrap for Tls {
    type Stream = tokio_rustls::server::TlsStream<TcpStream>;
    const IS_SECURE: bool = true;
    async fn wrap(&self, stream: TcpStream) -> Option<Self::Stream> {
        self.acceptor.accept(stream).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_the_calendars() {
        assert_eq!(day(0), Ok((1970, 1, 1)));
        assert_eq!(day(951_782_400), Ok((2000, 2, 29)));
        assert_eq!(day(1_790_000_000), Ok((2026, 9, 21)));
    }
}
