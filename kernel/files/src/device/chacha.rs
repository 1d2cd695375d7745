//! One block of the ChaCha20 stream (RFC 8439, section 2.3).

/// "expand 32-byte k".
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

const COLUMNS: [[usize; 4]; 4] = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]];
const DIAGONALS: [[usize; 4]; 4] = [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];

fn quarter_round(state: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for (sum, turned, added, by) in [(a, d, b, 16), (c, b, d, 12), (a, d, b, 8), (c, b, d, 7)] {
        state[sum] = state[sum].wrapping_add(state[added]);
        state[turned] = (state[turned] ^ state[sum]).rotate_left(by);
    }
}

/// Block `counter` of the stream under `key`, with a nonce of zeroes and a counter of 64 bits.
pub(super) fn block(key: &[u8; 32], counter: u64) -> [u8; 64] {
    let mut start = [0; 16];
    start[..4].copy_from_slice(&CONSTANTS);
    for (word, bytes) in start[4..12].iter_mut().zip(key.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    start[12] = counter as u32;
    start[13] = (counter >> 32) as u32;
    let mut state = start;
    for _ in 0..10 {
        for lane in COLUMNS.into_iter().chain(DIAGONALS) {
            quarter_round(&mut state, lane);
        }
    }
    let mut out = [0; 64];
    for (bytes, (word, first)) in out.as_chunks_mut::<4>().0.iter_mut().zip(state.into_iter().zip(start)) {
        *bytes = word.wrapping_add(first).to_le_bytes();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_the_rfc() {
        // RFC 8439, A.1, test vectors 1 and 2: the zero key, blocks 0 and 1.
        assert_eq!(block(&[0; 32], 0)[..8], [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]);
        assert_eq!(block(&[0; 32], 1)[..8], [0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a]);
    }
}
