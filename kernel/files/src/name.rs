//! Hashing of file names, with a seed that programs do not know.

use core::hash::{BuildHasher, Hasher};

use machine::frame::OutOfMemory;
use machine::heap::request;
use machine::random;
use machine::sync::Once;

static SEED: Once<u64> = Once::new();

/// Odd, with its bits evenly spread (the golden ratio's fraction).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Makes hashers that all start from one secret seed, so that nobody can fill a directory with names that collide.
#[derive(Clone, Copy)]
pub struct NameHash(u64);

impl Default for NameHash {
    fn default() -> Self {
        let seed = match SEED.get() {
            Some(seed) => *seed,
            None => {
                let seed = random::hardware_u64().unwrap_or(0) ^ random::cycles().wrapping_mul(MULTIPLIER);
                // Whoever came first has set the seed that all use.
                let _ = SEED.set(seed);
                SEED.get().copied().unwrap_or(seed)
            }
        };
        Self(seed)
    }
}

impl BuildHasher for NameHash {
    type Hasher = NameHasher;

    #[inline]
    fn build_hasher(&self) -> NameHasher {
        NameHasher(self.0)
    }
}

/// Folds eight bytes at a time with a 128-bit product, both halves of which are kept.
pub struct NameHasher(u64);

impl NameHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(MULTIPLIER);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for NameHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        // The length tells names apart that differ only in zero bytes at the end.
        self.mix(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

/// A map from names.
pub type NameMap<V> = hashbrown::HashMap<alloc::sync::Arc<[u8]>, V, NameHash>;

/// Room for one name more in a map.
pub fn reserve_name<V>(names: &mut NameMap<V>) -> Result<(), OutOfMemory> {
    if names.capacity() > names.len() {
        return Ok(());
    }
    request()?;
    names.try_reserve(1).map_err(|_| OutOfMemory)
}
