//! The two checksums the hub gives: SHA-256 of large files, git's SHA-1 of small ones.

use std::fmt;
use std::io::Read;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The checksum a file is to have. It is also the name of its blob in the cache.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Checksum {
    /// SHA-256 of the bytes, 64 hexadecimal digits.
    Sha256(String),
    /// The id git gives the file: SHA-1 of `blob SIZE\0` and the bytes, 40 hexadecimal digits.
    Git(String),
}

impl Checksum {
    /// Reads an `ETag`, quoted or not.
    pub(super) fn from_etag(etag: &str) -> Option<Self> {
        let etag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
        let is_hex = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
        match etag.len() {
            64 if etag.bytes().all(is_hex) => Some(Self::Sha256(etag.to_owned())),
            40 if etag.bytes().all(is_hex) => Some(Self::Git(etag.to_owned())),
            _ => None,
        }
    }

    /// Returns the hexadecimal digits.
    pub(super) fn digits(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::Git(digits) => digits,
        }
    }

    /// Starts to compute the checksum of this kind of a file of `size` bytes.
    pub(super) fn hasher(&self, size: u64) -> Hasher {
        match self {
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Self::Git(_) => Hasher::Git(Sha1::new_with_prefix(format!("blob {size}\0"))),
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits())
    }
}

/// A checksum under way.
pub(super) enum Hasher {
    Sha256(Sha256),
    Git(Sha1),
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Git(hasher) => hasher.update(bytes),
        }
    }

    /// Reads to the end, `progress` being told of every piece; it may end it early.
    pub(super) fn read<E: From<std::io::Error>>(
        &mut self,
        mut reader: impl Read,
        progress: &mut dyn FnMut(u64) -> Result<(), E>,
    ) -> Result<u64, E> {
        let (mut buffer, mut total) = (vec![0; 1 << 20], 0);
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(total),
                count => {
                    self.update(&buffer[..count]);
                    total += count as u64;
                    progress(count as u64)?;
                }
            }
        }
    }

    /// Returns the hexadecimal digits.
    pub(super) fn finish(self) -> String {
        match self {
            Self::Sha256(hasher) => format!("{:x}", hasher.finalize()),
            Self::Git(hasher) => format!("{:x}", hasher.finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known values are what `sha256sum` and `git hash-object` print for `hello`.
    #[test]
    fn both_checksums_are_those_of_the_usual_tools() {
        let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let git = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";
        for digits in [sha256, git] {
            let checksum = Checksum::from_etag(&format!("\"{digits}\"")).unwrap();
            let mut hasher = checksum.hasher(5);
            let mut progress = |_| Ok::<_, std::io::Error>(());
            assert_eq!(hasher.read(&b"hello"[..], &mut progress).unwrap(), 5);
            assert_eq!(hasher.finish(), checksum.digits());
        }
    }

    #[test]
    fn what_is_no_checksum_never_names_a_file() {
        for etag in ["", "\"\"", "../../x", "d41d8cd98f00b204e9800998ecf8427e", &"g".repeat(64)] {
            assert_eq!(Checksum::from_etag(etag), None, "{etag}");
        }
    }
}
