//! What a repository holds, as the hub tells it.
//!
//! # Source
//!
//! `GET /api/models/{repo}/revision/{revision}?blobs=true` of the Hugging Face Hub: `sha` is the
//! commit, `siblings` the files, each with `rfilename`, `size`, `blobId` (git's id) and, for large
//! files, `lfs.sha256`. Mirrors may leave out all but the names.

use std::collections::HashSet;

use serde::Deserialize;

use super::HubError;
use super::checksum::Checksum;
use super::http::{Client, Subject};
use super::name::{ModelName, is_commit, is_file_name};

/// The largest description of a repository that is read.
const MAX_BYTES: u64 = 16 << 20;

/// The most files a repository may have.
const MAX_FILES: usize = 20_000;

/// The largest file there can be: 16 TiB.
const MAX_FILE_BYTES: u64 = 1 << 44;

/// A repository at one commit.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: Vec<RemoteFile>,
}

/// A file of a repository.
#[derive(Clone, Debug)]
pub(super) struct RemoteFile {
    /// A path below the repository's folder.
    pub(super) name: String,
    /// In bytes.
    pub(super) size: Option<u64>,
    pub(super) checksum: Option<Checksum>,
}

impl Listing {
    /// Asks the hub.
    pub(super) fn fetch(client: &Client, name: &ModelName) -> Result<Self, HubError> {
        let path = ["api", "models"].into_iter().chain(name.repo().split('/'));
        let mut url = client.address(path.chain(["revision", name.revision()]));
        url.set_query(Some("blobs=true"));
        let subject = Subject { repo: name.repo(), revision: name.revision(), file: None };
        let bytes = client.document(&url, subject, MAX_BYTES)?;
        Self::parse(&bytes).map_err(|problem| client.unusable(name.repo(), problem))
    }

    /// Reads the description, and refuses one that no honest repository has.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let found: Found = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if !is_commit(&found.sha) {
            return Err("its commit is no commit".to_owned());
        }
        if found.siblings.len() > MAX_FILES {
            return Err(format!("it has {} files; {MAX_FILES} are allowed", found.siblings.len()));
        }
        let mut seen = HashSet::new();
        let mut files = Vec::new();
        for sibling in found.siblings {
            let name = sibling.rfilename;
            if leaves_its_folder(&name) {
                let shown: String = name.chars().take(100).collect();
                return Err(format!("a file is called {shown:?}"));
            }
            // What no system could keep is passed over: it may be there, but is not fetched.
            if !is_file_name(&name) {
                continue;
            }
            if !seen.insert(name.to_lowercase()) {
                return Err(format!("it has `{name}` twice"));
            }
            let lfs = sibling.lfs;
            let size = lfs.as_ref().and_then(|lfs| lfs.size).or(sibling.size);
            if size.is_some_and(|size| size > MAX_FILE_BYTES) {
                return Err(format!("`{name}` has {} bytes", size.unwrap_or_default()));
            }
            let digits = lfs.and_then(|lfs| lfs.sha256).or(sibling.blob_id);
            let checksum = digits.as_deref().and_then(Checksum::from_etag);
            files.push(RemoteFile { name, size, checksum });
        }
        Ok(Self { commit: found.sha, files })
    }

    /// Returns a file by its name.
    pub(super) fn file(&self, name: &str) -> Option<&RemoteFile> {
        self.files.iter().find(|file| file.name == name)
    }
}

impl RemoteFile {
    /// Returns the file with the size and the checksum that were missing, asking for them if need
    /// be.
    pub(super) fn completed(
        mut self,
        client: &Client,
        repo: &str,
        commit: &str,
    ) -> Result<KnownFile, HubError> {
        if self.size.is_none() || self.checksum.is_none() {
            let url = client.file_address(repo, commit, &self.name);
            let subject = Subject { repo, revision: commit, file: Some(&self.name) };
            let head = client.head(&url, subject)?;
            if head.commit.as_ref().is_some_and(|found| found != commit) {
                let problem = format!("`{}` is of another commit", self.name);
                return Err(client.unusable(repo, problem));
            }
            self.size = self.size.or(head.size);
            self.checksum = self.checksum.or(head.checksum);
        }
        let lacks = |what| client.unusable(repo, format!("it gives no {what} of `{}`", self.name));
        let size = self.size.ok_or_else(|| lacks("size"))?;
        if size > MAX_FILE_BYTES {
            return Err(client.unusable(repo, format!("`{}` has {size} bytes", self.name)));
        }
        let checksum = self.checksum.clone().ok_or_else(|| lacks("checksum"))?;
        Ok(KnownFile { name: self.name, size, checksum })
    }
}

/// A file of which all is known that is needed to fetch it.
#[derive(Clone, Debug)]
pub(super) struct KnownFile {
    pub(super) name: String,
    /// In bytes.
    pub(super) size: u64,
    pub(super) checksum: Checksum,
}

/// Whether a name is that of a file elsewhere.
fn leaves_its_folder(name: &str) -> bool {
    name.is_empty()
        || name.starts_with(['/', '\\'])
        || name.split(['/', '\\']).any(|part| part == "..")
        || name.chars().any(char::is_control)
        || name.get(1..3).is_some_and(|rest| rest == ":\\" || rest == ":/")
}

#[derive(Deserialize)]
struct Found {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    size: Option<u64>,
    sha256: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn parse(siblings: &str) -> Result<Listing, String> {
        Listing::parse(format!(r#"{{"sha":"{COMMIT}","siblings":[{siblings}]}}"#).as_bytes())
    }

    #[test]
    fn sizes_and_checksums_are_those_of_the_large_file() {
        let sha256 = "a".repeat(64);
        let listing = parse(&format!(
            r#"{{"rfilename":"a.json","size":3,"blobId":"{COMMIT}"}},
               {{"rfilename":"b.safetensors","size":134,"blobId":"{COMMIT}",
                 "lfs":{{"sha256":"{sha256}","size":9000,"pointerSize":134}}}},
               {{"rfilename":"c"}}"#
        ))
        .unwrap();
        assert_eq!(listing.commit, COMMIT);
        assert_eq!(listing.files[0].checksum, Some(Checksum::Git(COMMIT.to_owned())));
        assert_eq!(listing.files[1].checksum, Some(Checksum::Sha256(sha256)));
        assert_eq!(listing.files[1].size, Some(9000));
        assert_eq!((listing.files[2].size, &listing.files[2].checksum), (None, &None));
    }

    #[test]
    fn hostile_listings_are_refused() {
        let names = [
            "../x",
            "a/../../x",
            "/etc/passwd",
            "..",
            "\\\\x",
            "a\\\\..\\\\b",
            "c:\\\\x",
            "",
            "a\\u0000",
            "a\\u001b[2Jb",
            "C:/x",
        ];
        for name in names {
            let problem = parse(&format!(r#"{{"rfilename":"{name}"}}"#)).unwrap_err();
            assert!(problem.starts_with("a file is called"), "{name}: {problem}");
            assert!(!problem.chars().any(char::is_control), "{problem:?}");
        }
        let twice = r#"{"rfilename":"a"},{"rfilename":"A"}"#;
        assert!(parse(twice).unwrap_err().contains("twice"));
        for size in ["99999999999999999999999", "-1", "1e300", "\"x\""] {
            assert!(parse(&format!(r#"{{"rfilename":"a","size":{size}}}"#)).is_err(), "{size}");
        }
        let giant = format!(r#"{{"rfilename":"a","size":{}}}"#, u64::MAX);
        assert!(parse(&giant).unwrap_err().contains("18446744073709551615"));
        let many: Vec<_> = (0..=MAX_FILES).map(|i| format!(r#"{{"rfilename":"{i}"}}"#)).collect();
        assert!(parse(&many.join(",")).unwrap_err().contains("20001 files"));
        for text in ["", "{}", "[]", r#"{"sha":"../../x","siblings":[]}"#, r#"{"sha":"main"}"#] {
            assert!(Listing::parse(text.as_bytes()).is_err(), "{text}");
        }
        let deep = format!(r#"{{"sha":{}"#, "[".repeat(100_000));
        assert!(Listing::parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_name_no_system_could_keep_is_passed_over() {
        let listing = parse(r#"{"rfilename":"a:b?.png"},{"rfilename":"config.json"}"#).unwrap();
        assert_eq!(listing.files.len(), 1);
        assert!(listing.file("config.json").is_some());
    }
}
