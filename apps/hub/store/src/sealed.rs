//! A backup under a pass phrase: Argon2id makes the key, ChaCha20-Poly1305 seals chunks in the STREAM construction
//! (Hoang, Reyhanitabar, Rogaway, Vizár 2015): each nonce holds the chunk's number and whether it is the last, so that chunks
//! cannot be left out, repeated or exchanged.
//!
//! `HOBBAK1\n`, 16 bytes of salt, 7 bytes of nonce prefix; then chunks of 64 KiB + 16.

use crate::private;
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::Aead as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

const MAGIC: &[u8; 8] = b"HOBBAK1\n";
const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;

fn cipher(pass: &str, salt: &[u8]) -> io::Result<ChaCha20Poly1305> {
    let mut key = [0; 32];
    let params = Params::new(64 * 1024, 3, 1, Some(32)).map_err(io::Error::other)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(pass.as_bytes(), salt, &mut key).map_err(io::Error::other)?;
    Ok(ChaCha20Poly1305::new(&key.into()))
}

fn nonce(prefix: [u8; 7], number: u32, is_last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..7].copy_from_slice(&prefix);
    nonce[7..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(is_last);
    nonce
}

/// Reads until the buffer is full or the file ends.
fn fill(from: &mut impl Read, size: usize) -> io::Result<Vec<u8>> {
    let mut chunk = Vec::with_capacity(size);
    from.take(size as u64).read_to_end(&mut chunk)?;
    Ok(chunk)
}

/// Whether a file is a sealed backup.
///
/// # Errors
/// It cannot be read.
pub fn is_sealed(file: &Path) -> io::Result<bool> {
    Ok(fill(&mut File::open(file)?, MAGIC.len())? == MAGIC)
}

/// Seals a file. The result is on the disk when this returns; until then it is half.
///
/// # Errors
/// A file cannot be read or written, or there is no randomness.
pub fn seal(from: &Path, to: &Path, pass: &str) -> io::Result<()> {
    let (mut salt, mut prefix) = ([0; 16], [0; 7]);
    getrandom::fill(&mut salt).map_err(io::Error::other)?;
    getrandom::fill(&mut prefix).map_err(io::Error::other)?;
    let cipher = cipher(pass, &salt)?;
    let (mut from, mut to) = (BufReader::new(File::open(from)?), private::create(to)?);
    to.write_all(MAGIC)?;
    to.write_all(&salt)?;
    to.write_all(&prefix)?;
    let mut chunk = fill(&mut from, CHUNK)?;
    for number in 0.. {
        let next = fill(&mut from, CHUNK)?;
        let is_last = next.is_empty();
        let sealed = cipher.encrypt(&nonce(prefix, number, is_last).into(), chunk.as_slice());
        to.write_all(&sealed.map_err(|_| io::Error::other("the chunk is too long"))?)?;
        if is_last {
            break;
        }
        chunk = next;
    }
    to.sync_all()
}

/// Opens a sealed file.
///
/// # Errors
/// The pass phrase is wrong, or the file was changed or cut.
pub fn open(from: &Path, to: &Path, pass: &str) -> io::Result<()> {
    let mut from = BufReader::new(File::open(from)?);
    let (mut magic, mut salt, mut prefix) = ([0; 8], [0; 16], [0; 7]);
    from.read_exact(&mut magic)?;
    from.read_exact(&mut salt)?;
    from.read_exact(&mut prefix)?;
    if magic != *MAGIC {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no sealed backup"));
    }
    let cipher = cipher(pass, &salt)?;
    let mut to = private::create(to)?;
    let mut chunk = fill(&mut from, CHUNK + TAG)?;
    for number in 0.. {
        let next = fill(&mut from, CHUNK + TAG)?;
        let is_last = next.is_empty();
        let opened = cipher.decrypt(&nonce(prefix, number, is_last).into(), chunk.as_slice());
        let wrong = |_| {
            io::Error::new(io::ErrorKind::InvalidData, "the pass phrase is wrong, or the file was changed")
        };
        to.write_all(&opened.map_err(wrong)?)?;
        if is_last {
            break;
        }
        chunk = next;
    }
    to.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_with_its_pass_phrase_and_only_whole() {
        let folder = std::env::temp_dir().join(format!("hub-sealed-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let at = |name: &str| folder.join(name);
        for size in [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let plain: Vec<u8> = (0..size).map(|n| n as u8).collect();
            std::fs::write(at("plain"), &plain).unwrap();
            seal(&at("plain"), &at("sealed"), "phrase").unwrap();
            assert!(is_sealed(&at("sealed")).unwrap() && !is_sealed(&at("plain")).unwrap());
            open(&at("sealed"), &at("opened"), "phrase").unwrap();
            assert_eq!(std::fs::read(at("opened")).unwrap(), plain);
        }
        assert!(open(&at("sealed"), &at("opened"), "Phrase").is_err());
        let whole = std::fs::read(at("sealed")).unwrap();
        for cut in [whole.len() - 1, 31 + CHUNK + TAG, 31, 5] {
            std::fs::write(at("cut"), &whole[..cut]).unwrap();
            assert!(open(&at("cut"), &at("opened"), "phrase").is_err(), "{cut}");
        }
        let swapped = [
            &whole[..31],
            &whole[31 + CHUNK + TAG..31 + 2 * (CHUNK + TAG)],
            &whole[31..31 + CHUNK + TAG],
            &whole[31 + 2 * (CHUNK + TAG)..],
        ]
        .concat();
        std::fs::write(at("cut"), swapped).unwrap();
        assert!(open(&at("cut"), &at("opened"), "phrase").is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
