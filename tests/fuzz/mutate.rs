//! Changes to inputs, always the same for the same seed: what a fuzzer without guidance tries.

/// Draws numbers, the same for the same seed (xorshift64*).
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// Starts anew.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a number below `count`, or 0 if that is 0.
    pub fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap_or(0) % count.max(1)
    }
}

/// The longest input that is made.
const MAX_LEN: usize = 16 << 10;

/// Numbers at which counts and sizes go wrong.
const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 40,
    1 << 60,
    i64::MAX as u64,
    u64::MAX,
];

/// The same, and other words that mean something, as text.
const WORDS: [&str; 16] = [
    "0",
    "-1",
    "4294967295",
    "18446744073709551616",
    "1e309",
    "null",
    "true",
    "\"\"",
    "[[[[",
    "{\"a\":",
    "\u{fffd}",
    "é",
    "\n\n",
    "\0",
    "{{",
    "%}",
];

/// Returns an input with one to four changes; pieces of `other` may come into it.
pub fn mutated(input: &[u8], other: &[u8], draw: &mut Draw) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=draw.below(4) {
        change(&mut bytes, other, draw);
    }
    bytes.truncate(MAX_LEN);
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], draw: &mut Draw) {
    let at = draw.below(bytes.len() + 1);
    let end = (at + 1 + draw.below(16)).min(bytes.len());
    match draw.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << draw.below(8),
        1 if at < bytes.len() => bytes[at] = draw.below(256).to_le_bytes()[0],
        2 => drop(bytes.drain(at..end)),
        3 => bytes.truncate(at),
        // A piece again, many times.
        4 => {
            let piece = bytes[at..end].repeat(1 + draw.below(64));
            drop(bytes.splice(at..at, piece));
        }
        5 => {
            let from = draw.below(other.len() + 1);
            let to = from + draw.below(other.len() - from + 1);
            drop(bytes.splice(at..end, other[from..to].iter().copied()));
        }
        6 => {
            let number = NUMBERS[draw.below(NUMBERS.len())].to_le_bytes();
            let len = [1, 2, 4, 8][draw.below(4)];
            let end = (at + len).min(bytes.len());
            drop(bytes.splice(at..end, number[..len].iter().copied()));
        }
        7 => drop(bytes.splice(at..end, WORDS[draw.below(WORDS.len())].bytes())),
        // A number in a text becomes another one.
        _ => {
            let digits = |byte: &u8| byte.is_ascii_digit();
            let Some(start) = bytes[at..].iter().position(digits).map(|found| at + found) else {
                return;
            };
            let len = bytes[start..].iter().take_while(|byte| digits(byte)).count();
            let number = NUMBERS[draw.below(NUMBERS.len())].to_string();
            drop(bytes.splice(start..start + len, number.bytes()));
        }
    }
}
