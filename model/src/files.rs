//! Files of a checkpoint, which may come from anywhere: only what is a file is opened, and no more is
//! read of a small one than any honest one has.

use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

use fs_err as fs;

/// The most bytes of a file that is read whole; the largest tokenizers have twenty million.
const MAX_BYTES: u64 = 64 << 20;

/// Opens a file. A pipe would be waited for, and a device has no end.
pub(crate) fn open(path: &Path) -> Result<fs::File> {
    if !fs::metadata(path)?.is_file() {
        let problem = format!("`{}` is not a file", path.display());
        return Err(Error::new(ErrorKind::InvalidInput, problem));
    }
    fs::File::open(path)
}

/// Reads a small file whole.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let file = open(path)?;
    let invalid = |problem: String| Error::new(ErrorKind::InvalidData, problem);
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let problem = format!("`{}` has more than {} MiB", path.display(), MAX_BYTES >> 20);
        return Err(invalid(problem));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        invalid(format!("`{}` is not UTF-8 from byte {at} on", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_small_text_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let problem = || read_text(&path).unwrap_err().to_string();
        assert_eq!(read_text(&path).unwrap_err().kind(), ErrorKind::NotFound);
        fs::write(&path, b"ab\xff").unwrap();
        assert!(problem().ends_with("config.json` is not UTF-8 from byte 2 on"), "{}", problem());
        // All holes: it takes no space, and would take a terabyte of memory.
        fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(problem().ends_with("config.json` has more than 64 MiB"), "{}", problem());
        let folder = read_text(dir.path()).unwrap_err().to_string();
        assert!(folder.ends_with("is not a file"), "{folder}");
    }

    #[cfg(unix)]
    #[test]
    fn what_has_no_end_is_not_opened() {
        let endless = read_text(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(endless, "`/dev/zero` is not a file");
    }
}
