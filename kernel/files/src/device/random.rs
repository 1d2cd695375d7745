//! Random bytes for programs: one pool that entropy is stirred into, and a ChaCha20 stream that is drawn from it.
//!
//! Each draw takes a key of its own from the pool and replaces the pool's key by bytes of the same stream ("fast key
//! erasure"), so that who reads the kernel's memory later cannot compute what was given out before.

use abi::Errno;
use machine::random;
use machine::sync::{Irq, Rank, SpinLock};
use threads::poll::{Events, PollSource, Waiter};
use threads::{Wait, WaitQueue};

use super::chacha;

/// Bits of entropy after which the pool counts as seeded.
const SEEDED_BITS: u32 = 256;

struct Pool {
    key: [u8; 32],
    bits: u32,
}

static POOL: SpinLock<Pool, Irq> = SpinLock::new(Rank::Device, Pool { key: [0; 32], bits: 0 });
static SEEDED: WaitQueue = WaitQueue::new();
static SOURCE: PollSource = PollSource::new();

/// Stirs `bytes` into the pool, believed to hold `bits` bits that nobody can guess. From any context.
pub fn add_entropy(bytes: &[u8], bits: u32) {
    let became_seeded = {
        let mut pool = POOL.lock();
        for chunk in bytes.chunks(32) {
            for (key, byte) in pool.key.iter_mut().zip(chunk) {
                *key ^= byte;
            }
            // One block of the stream under the stirred key is the new key: every bit depends on all that came before.
            let block = chacha::block(&pool.key, random::cycles());
            pool.key.copy_from_slice(&block[..32]);
        }
        let before = pool.bits;
        pool.bits = before.saturating_add(bits);
        before < SEEDED_BITS && pool.bits >= SEEDED_BITS
    };
    if became_seeded {
        SEEDED.wake_all();
        SOURCE.notify(Events::IN | Events::RDNORM);
    }
}

/// Asks the processor for entropy, where it offers any.
fn stir_hardware() {
    for _ in 0..8 {
        if let Some(word) = random::hardware_u64() {
            add_entropy(&word.to_ne_bytes(), 32);
        }
    }
}

/// Whether enough entropy has been gathered that nobody can guess what [`fill`] gives.
pub fn is_seeded() -> bool {
    if POOL.lock().bits >= SEEDED_BITS {
        return true;
    }
    stir_hardware();
    POOL.lock().bits >= SEEDED_BITS
}

/// Sleeps until [`is_seeded`]: EINTR.
pub fn wait_until_seeded() -> Result<(), Errno> {
    if is_seeded() {
        return Ok(());
    }
    let seeded = || (POOL.lock().bits >= SEEDED_BITS).then_some(());
    SEEDED.wait_until(Wait::INTERRUPTIBLE, seeded).map_err(|_| Errno::EINTR)
}

/// Whether random bytes can be read without waiting.
pub(super) fn poll(interest: Events, waiter: Option<&mut Waiter>) -> Events {
    if let Some(waiter) = waiter {
        waiter.watch(&SOURCE, interest);
    }
    if is_seeded() { Events::IN | Events::RDNORM } else { Events::empty() }
}

/// Fills `into` with random bytes; never waits, so that before [`is_seeded`] they may be guessed.
pub fn fill(into: &mut [u8]) {
    add_entropy(&random::cycles().to_ne_bytes(), 0);
    let key = {
        let mut pool = POOL.lock();
        let block = chacha::block(&pool.key, 0);
        pool.key.copy_from_slice(&block[..32]);
        let mut key = [0; 32];
        key.copy_from_slice(&block[32..]);
        key
    };
    for (chunk, counter) in into.chunks_mut(64).zip(0..) {
        let block = chacha::block(&key, counter);
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ_and_fill_every_byte() {
        let (mut first, mut second) = ([0; 200], [0; 200]);
        fill(&mut first);
        fill(&mut second);
        assert_ne!(first, second);
        assert!(first.chunks(20).all(|chunk| chunk.iter().any(|&byte| byte != 0)));
    }
}
