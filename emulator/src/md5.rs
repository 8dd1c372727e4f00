//! MD5, by which the storage of assets tells one file from another (RFC 1321).

/// How far each round rotates.
const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// The digest of these bytes, in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut message = bytes.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend((bytes.len() as u64).wrapping_mul(8).to_le_bytes());
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in message.as_chunks::<64>().0 {
        let (words, _) = block.as_chunks::<4>();
        state = mixed(state, words);
    }
    state.iter().flat_map(|word| word.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect()
}

fn mixed(state: [u32; 4], words: &[[u8; 4]]) -> [u32; 4] {
    let [mut a, mut b, mut c, mut d] = state;
    for step in 0..64_u32 {
        let (round, n) = (step / 16, step % 16);
        let (mix, word) = match round {
            0 => ((b & c) | (!b & d), n),
            1 => ((d & b) | (!d & c), (5 * step + 1) % 16),
            2 => (b ^ c ^ d, (3 * step + 5) % 16),
            _ => (c ^ (b | !d), (7 * step) % 16),
        };
        let word = words.get(word as usize).copied().map(u32::from_le_bytes).unwrap_or_default();
        let shifts = SHIFTS.get(round as usize).copied().unwrap_or_default();
        let shift = shifts.get((n % 4) as usize).copied().unwrap_or_default();
        let sum = a.wrapping_add(mix).wrapping_add(constant(step)).wrapping_add(word);
        (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(shift)));
    }
    let [former_a, former_b, former_c, former_d] = state;
    [
        former_a.wrapping_add(a),
        former_b.wrapping_add(b),
        former_c.wrapping_add(c),
        former_d.wrapping_add(d),
    ]
}

/// The integer part of `2^32 * abs(sin(step + 1))`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it lies between 0 and 2^32"
)]
fn constant(step: u32) -> u32 {
    (f64::from(step + 1).sin().abs() * 4_294_967_296.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_rfc() {
        for (text, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            assert_eq!(hex(text.as_bytes()), digest, "{text}");
        }
    }
}
