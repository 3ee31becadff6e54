//! What the readers of YAML share: bounds, and errors with their place and without their decoration.

use std::io::Read as _;
use std::path::Path;

/// The most bytes of a file.
pub(crate) const MAX_BYTES: u64 = 4 << 20;

/// Reads a text file that people wrote; one that is far longer than that is an error.
pub(crate) fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    fs_err::File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        let problem = format!("`{}` has over {MAX_BYTES} bytes", path.display());
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, problem));
    }
    Ok(text)
}

/// Returns the message of an error without its place and without advice to programmers.
pub(crate) fn problem(error: &serde_saphyr::Error) -> String {
    let message = error.without_snippet().to_string();
    let line = message.lines().next().unwrap_or_default();
    let line = line.rsplit_once(" at line ").map_or(line, |(text, _)| text);
    line.split_once(", set DuplicateKeyPolicy").map_or(line, |(text, _)| text).to_owned()
}
