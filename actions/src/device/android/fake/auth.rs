//! Who may use the fake phone: keys, and signatures made with them.

use std::hash::{BuildHasher, Hasher, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use sha1::Sha1;

/// The words of a modulus of 2048 bits.
const WORDS: u32 = 64;

/// A public key, as `adbkey.pub` holds it.
#[derive(Debug)]
pub(super) struct Key(RsaPublicKey);

impl Key {
    /// Reads a key: base64 of its length, two numbers for quick arithmetic, modulus and exponent.
    pub(super) fn read(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.split_whitespace().next()?).ok()?;
        let word = |at: usize| -> Option<u32> {
            Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
        };
        if word(0)? != WORDS || bytes.len() != 4 + 4 + 256 + 256 + 4 {
            return None;
        }
        let modulus = BigUint::from_bytes_le(&bytes[8..264]);
        RsaPublicKey::new(modulus, BigUint::from(word(520)?)).ok().map(Self)
    }
}

/// Something for a client to sign.
#[derive(Debug)]
pub(super) struct Challenge([u8; 20]);

impl Challenge {
    pub(super) fn new() -> Self {
        let mut token = [0; 20];
        for piece in token.chunks_mut(8) {
            // The standard library's own source of surprise is enough for a phone that is none.
            let random = RandomState::new().build_hasher().finish().to_le_bytes();
            piece.copy_from_slice(&random[..piece.len()]);
        }
        Self(token)
    }

    pub(super) fn token(&self) -> &[u8] {
        &self.0
    }

    /// Whether this was signed with that key. ADB takes the token for a digest and signs it as it is.
    pub(super) fn is_signed(&self, key: &Key, signature: &[u8]) -> bool {
        key.0.verify(Pkcs1v15Sign::new::<Sha1>(), &self.0, signature).is_ok()
    }
}
