//! Files that are read whole or refused, and written whole or not at all.

use std::io::Read as _;
use std::path::Path;

use fs_err as fs;
use sha2::{Digest, Sha256};

/// The most bytes of a file that people wrote.
pub(crate) const MAX_BYTES: u64 = 4 << 20;

/// Reads a text file; one of over `most` bytes is an error.
pub(crate) fn read_text(path: &Path, most: u64) -> std::io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        let problem = format!("`{}` has over {most} bytes", path.display());
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, problem));
    }
    Ok(text)
}

/// Writes a file; one that was there stays whole until the new one is.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    let written = fs::write(partial, bytes).and_then(|()| fs::rename(partial, path));
    if written.is_err() {
        let _ = fs::remove_file(partial);
    }
    written
}

/// Returns the beginning of the SHA-256 of some bytes, in hexadecimal: enough to tell things apart that
/// nobody means to pass for one another.
pub(crate) fn short_digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let start = digest.first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(start))
}
