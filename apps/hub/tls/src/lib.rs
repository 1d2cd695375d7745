//! TLS as the hub uses it: the cryptography, what that needs of the processor, and whom a client trusts.
//!
//! The cryptography is Graviola's: no C, but it needs a processor with AES, AVX2, BMI2 and ADX. On another one nothing here
//! works, and [`provider`] says which feature is missing.
//!
//! Neighbours: `hub-server` offers HTTPS, the modules send mail and call webhooks.
#![forbid(unsafe_code)]

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// What this processor lacks; none when TLS can be spoken.
pub fn missing_feature() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let features = [
            ("aes", is_x86_feature_detected!("aes")),
            ("pclmulqdq", is_x86_feature_detected!("pclmulqdq")),
            ("ssse3", is_x86_feature_detected!("ssse3")),
            ("avx", is_x86_feature_detected!("avx")),
            ("avx2", is_x86_feature_detected!("avx2")),
            ("bmi1", is_x86_feature_detected!("bmi1")),
            ("bmi2", is_x86_feature_detected!("bmi2")),
            ("adx", is_x86_feature_detected!("adx")),
        ];
        features.into_iter().find(|(_, has)| !has).map(|(name, _)| name)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        Some("x86_64")
    }
}

/// The cryptography.
///
/// # Errors
/// In words: what the processor lacks.
pub fn provider() -> Result<Arc<CryptoProvider>, String> {
    match missing_feature() {
        None => Ok(Arc::new(rustls_graviola::default_provider())),
        Some(feature) => Err(format!("this processor lacks {feature}, which the TLS library needs")),
    }
}

/// Makes [`provider`] the one that libraries find which ask for none.
///
/// # Errors
/// See [`provider`].
pub fn install() -> Result<(), String> {
    let provider = provider()?;
    if CryptoProvider::get_default().is_none() {
        // When another thread was faster it has installed the same.
        let _ = CryptoProvider::install_default(Arc::unwrap_or_clone(provider));
    }
    Ok(())
}

/// The certificates of a PEM file.
///
/// # Errors
/// In words: it cannot be read, or holds none.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.map_err(|error| wrong(&error))?;
    if all.is_empty() { Err(wrong(&"no certificate")) } else { Ok(all) }
}

/// A client that trusts the authorities of this machine, and those of `authority` if a file is given.
///
/// # Errors
/// In words: the processor, the file.
pub fn client(authority: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    // Authorities that cannot be read are not trusted, which is the safe side.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in authority.map(certificates).transpose()?.into_iter().flatten() {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    let versions = ClientConfig::builder_with_provider(provider()?).with_safe_default_protocol_versions();
    Ok(versions.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth())
}
