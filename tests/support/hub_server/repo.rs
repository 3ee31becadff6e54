//! What the server has: repositories of files.

use std::path::Path;

use fs_err as fs;
use sha2::Digest;

/// One revision of a repository.
#[derive(Clone, Debug)]
pub struct Repo {
    /// `org/name`.
    pub name: String,
    /// The commit.
    pub commit: String,
    /// Branches and tags that stand for the commit.
    pub revisions: Vec<String>,
    /// The files.
    pub files: Vec<RepoFile>,
    /// Whether only those with the token see it.
    pub private: bool,
    /// Whether its terms have to be accepted, which holders of the token have done.
    pub gated: bool,
}

/// A file of a repository.
#[derive(Clone, Debug)]
pub struct RepoFile {
    /// Its path in the repository.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Repo {
    /// Makes the revision `main` of a repository, its commit made of one digit.
    pub fn new(name: &str, digit: char, files: &[(&str, &[u8])]) -> Self {
        let file = |(name, bytes): &(&str, &[u8])| RepoFile {
            name: (*name).to_owned(),
            bytes: bytes.to_vec(),
        };
        Self {
            name: name.to_owned(),
            commit: digit.to_string().repeat(40),
            revisions: vec!["main".to_owned()],
            files: files.iter().map(file).collect(),
            private: false,
            gated: false,
        }
    }

    /// Makes a repository of the files of a folder.
    ///
    /// # Panics
    ///
    /// Panics if the folder cannot be read.
    pub fn of_folder(name: &str, digit: char, folder: &Path) -> Self {
        let mut repo = Self::new(name, digit, &[]);
        for entry in fs::read_dir(folder).expect("the fixture is there") {
            let entry = entry.expect("the fixture is there");
            let bytes = fs::read(entry.path()).expect("the fixture is there");
            let name = entry.file_name().to_string_lossy().into_owned();
            repo.files.push(RepoFile { name, bytes });
        }
        repo.files.sort_by(|a, b| a.name.cmp(&b.name));
        repo
    }

    /// Adds a file.
    #[must_use]
    pub fn with(mut self, name: &str, bytes: &[u8]) -> Self {
        self.files.push(RepoFile { name: name.to_owned(), bytes: bytes.to_vec() });
        self
    }

    /// Returns a file.
    ///
    /// # Panics
    ///
    /// Panics if there is none of that name.
    pub fn file(&self, name: &str) -> &RepoFile {
        let found = self.files.iter().find(|file| file.name == name);
        found.unwrap_or_else(|| panic!("`{}` has no `{name}`", self.name))
    }
}

impl RepoFile {
    /// Whether it is kept in the store.
    pub(super) fn is_large(&self) -> bool {
        [".safetensors", ".gguf", "tokenizer.json"].iter().any(|end| self.name.ends_with(end))
    }

    /// Its checksum as the hub tells it.
    pub fn etag(&self) -> String {
        if self.is_large() {
            return format!("{:x}", sha2::Sha256::digest(&self.bytes));
        }
        let mut hasher = sha1::Sha1::new();
        hasher.update(format!("blob {}\0", self.bytes.len()));
        hasher.update(&self.bytes);
        format!("{:x}", hasher.finalize())
    }
}

/// A path without `%XX`.
pub(super) fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = code.and_then(|two| u8::from_str_radix(two, 16).ok());
        if let Some(byte) = code.filter(|_| *first == b'%') {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
