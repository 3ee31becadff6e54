//! The files of the fake phone, in memory.

use std::collections::BTreeMap;

/// How much all files may take together.
const CAPACITY: usize = 64 * 1024 * 1024;
/// How long a path may be, as on Linux.
const MAX_PATH: usize = 1024;

/// A file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct File {
    pub(super) data: Vec<u8>,
    /// Permission bits.
    pub(super) mode: u32,
    /// Seconds since 1970.
    pub(super) modified: u32,
}

/// Why a file could not be written or read, as the phone's own programs say it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum FileError {
    #[error("No such file or directory")]
    Missing,
    #[error("Is a directory")]
    Directory,
    #[error("Permission denied")]
    Denied,
    #[error("No space left on device")]
    Full,
    #[error("File name too long")]
    NameTooLong,
}

/// All files; folders are there when something is in them, as are a few that always are.
#[derive(Debug, Default)]
pub(super) struct Files(BTreeMap<String, File>);

/// Where a phone lets its shell write.
const WRITABLE: [&str; 2] = ["/data/local/tmp/", "/sdcard/"];
const FOLDERS: [&str; 5] =
    ["/", "/data/local/tmp", "/sdcard", "/sdcard/Documents", "/sdcard/Download"];

impl Files {
    /// Writes a file; folders above it come into being.
    pub(super) fn write(&mut self, path: &str, data: Vec<u8>, mode: u32) -> Result<(), FileError> {
        let path = normal(path);
        if path.len() > MAX_PATH {
            return Err(FileError::NameTooLong);
        }
        if self.is_folder(&path) {
            return Err(FileError::Directory);
        }
        if !WRITABLE.iter().any(|folder| path.starts_with(folder)) {
            return Err(FileError::Denied);
        }
        let old = self.0.get(&path).map_or(0, |file| file.data.len());
        let used: usize = self.0.values().map(|file| file.data.len()).sum();
        if used - old + data.len() > CAPACITY {
            return Err(FileError::Full);
        }
        self.0.insert(path, File { data, mode: mode & 0o777, modified: now() });
        Ok(())
    }

    pub(super) fn read(&self, path: &str) -> Result<&File, FileError> {
        let path = normal(path);
        if self.is_folder(&path) {
            return Err(FileError::Directory);
        }
        self.0.get(&path).ok_or(FileError::Missing)
    }

    /// Sets when a file was last changed.
    pub(super) fn touch(&mut self, path: &str, modified: u32) {
        if let Some(file) = self.0.get_mut(&normal(path)) {
            file.modified = modified;
        }
    }

    pub(super) fn remove(&mut self, path: &str) -> Result<(), FileError> {
        let path = normal(path);
        if self.is_folder(&path) {
            return Err(FileError::Directory);
        }
        self.0.remove(&path).map(|_| ()).ok_or(FileError::Missing)
    }

    pub(super) fn is_folder(&self, path: &str) -> bool {
        let path = normal(path);
        let inside = format!("{}/", path.trim_end_matches('/'));
        FOLDERS.contains(&path.as_str()) || self.0.keys().any(|file| file.starts_with(&inside))
    }

    /// Returns the names in a folder, and the file where it is one.
    pub(super) fn list(&self, path: &str) -> Vec<(String, Option<&File>)> {
        let inside = format!("{}/", normal(path).trim_end_matches('/'));
        let mut names: BTreeMap<String, Option<&File>> = BTreeMap::new();
        let folders = FOLDERS.iter().map(|folder| ((*folder).to_owned(), None));
        let files = self.0.iter().map(|(path, file)| (path.clone(), Some(file)));
        for (path, file) in folders.chain(files) {
            let Some(rest) = path.strip_prefix(&inside).filter(|rest| !rest.is_empty()) else {
                continue;
            };
            match rest.split_once('/') {
                Some((folder, _)) => {
                    names.entry(folder.to_owned()).or_default();
                }
                None => {
                    names.insert(rest.to_owned(), file);
                }
            }
        }
        names.into_iter().collect()
    }
}

/// Takes `/storage/emulated/0` for `/sdcard`, and one slash for several.
fn normal(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let path = format!("/{}", parts.join("/"));
    match path.strip_prefix("/storage/emulated/0") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("/sdcard{rest}"),
        _ => path,
    }
}

fn now() -> u32 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u32::try_from(since.as_secs()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_with_their_files() {
        let mut files = Files::default();
        assert_eq!(files.write("/system/x", vec![], 0o644), Err(FileError::Denied));
        assert_eq!(files.write("/sdcard", vec![], 0o644), Err(FileError::Directory));
        files.write("/sdcard//new/./a.txt", b"a".to_vec(), 0o100_644).unwrap();
        assert_eq!(files.read("/storage/emulated/0/new/a.txt").unwrap().data, b"a");
        assert!(files.is_folder("/sdcard/new/"));
        let names = |path| files.list(path).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("/sdcard"), ["Documents", "Download", "new"]);
        assert_eq!(names("/sdcard/new"), ["a.txt"]);
        assert_eq!(files.remove("/sdcard/new/a.txt"), Ok(()));
        assert_eq!(files.read("/sdcard/new/a.txt"), Err(FileError::Missing));
        assert_eq!(files.write("/sdcard/big", vec![0; CAPACITY + 1], 0), Err(FileError::Full));
    }
}
