//! Passwords, tokens and one-time codes: made, hashed, compared.

use argon2::{Algorithm, Argon2, Params, Version};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A hashed password. The parameters are stored, so that they can be raised later.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Password {
    salt: String,
    hash: String,
    memory_kib: u32,
    passes: u32,
}

/// OWASP's recommendation for Argon2id. One log-in takes this memory for a moment; log-ins run one after another.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;

impl Password {
    /// Hashes a password with a new salt; takes tens of milliseconds.
    pub fn new(password: &str) -> Option<Password> {
        let salt = random::<16>()?;
        let hash = argon2id(password, &salt, MEMORY_KIB, PASSES)?;
        Some(Password { salt: hex(&salt), hash: hex(&hash), memory_kib: MEMORY_KIB, passes: PASSES })
    }

    /// Whether this is the password; takes as long as making one, also for one that was damaged.
    pub fn is(&self, password: &str) -> bool {
        let salt = unhex(&self.salt).unwrap_or_default();
        let memory_kib = self.memory_kib.min(256 * 1024);
        let hash = argon2id(password, &salt, memory_kib, self.passes.min(10));
        hash.is_some_and(|hash| is_equal(hex(&hash).as_bytes(), self.hash.as_bytes()))
    }
}

fn argon2id(password: &str, salt: &[u8], memory_kib: u32, passes: u32) -> Option<[u8; 32]> {
    let params = Params::new(memory_kib, passes, 1, Some(32)).ok()?;
    let mut hash = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut hash)
        .ok()?;
    Some(hash)
}

/// Random bytes of the system.
pub(super) fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let (pairs, []) = digits.as_deref()?.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// What is stored of a token: its hash, so that the store gives no token away.
pub(super) fn digest(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// Compares without telling by the time where the difference is.
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new secret for one-time codes: 160 bits in base 32 (RFC 4648).
pub(super) fn totp_secret() -> Option<String> {
    let bytes = random::<32>()?;
    Some(bytes.iter().map(|b| char::from(BASE32[usize::from(b & 31)])).collect())
}

/// The step of 30 s whose code this is: the present one or a neighbour (RFC 6238, section 5.2). None when it is wrong.
pub(super) fn totp_step(secret: &str, code: &str, unix_s: i64) -> Option<i64> {
    let mut key = Vec::new();
    let (mut bits, mut held) = (0u32, 0u32);
    for letter in secret.bytes() {
        let value = BASE32.iter().position(|b| *b == letter)? as u32;
        (bits, held) = (bits + 5, held << 5 | value);
        if bits >= 8 {
            bits -= 8;
            key.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    let step = unix_s.div_euclid(30);
    (step - 1..=step + 1)
        .find(|step| totp_code(&key, *step).is_some_and(|c| is_equal(c.as_bytes(), code.as_bytes())))
}

fn totp_code(key: &[u8], step: i64) -> Option<String> {
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(key).ok()?;
    mac.update(&step.to_be_bytes());
    let hash = mac.finalize().into_bytes();
    let offset = usize::from(hash.last()? & 15);
    let four: [u8; 4] = hash.get(offset..offset + 4)?.try_into().ok()?;
    Some(format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_another_is_not() {
        let stored = Password::new("correct horse").unwrap();
        assert!(stored.is("correct horse") && !stored.is("correct horsf") && !stored.is(""));
        let damaged = Password { salt: "zz".into(), ..stored };
        assert!(!damaged.is("correct horse"));
    }

    #[test]
    fn one_time_codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, SHA-1, cut to six digits.
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        for (time, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(totp_step(secret, code, time), Some(time / 30));
            assert_eq!(totp_step(secret, code, time + 120), None);
        }
        assert_eq!(totp_step("not base32!", "000000", 0), None);
    }
}
