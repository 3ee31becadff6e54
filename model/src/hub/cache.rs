//! The cache on disk: where what lies, and what of a model is there.
//!
//! # Source
//!
//! The layout is that of `huggingface_hub`: `models--org--name/refs/REVISION` holds a commit,
//! `snapshots/COMMIT/FILE` is a link to `blobs/ETAG`, and a blob under way is `ETAG.incomplete`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;
use hf_hub::{Repo, RepoType};
use serde::Deserialize;

use super::checksum::Checksum;
use super::name::{is_commit, is_file_name, is_language_gguf, is_repo, split_part};
use super::{HubError, ModelName};

/// How deep folders in a snapshot may lie.
const MAX_DEPTH: usize = 8;

/// How many files of a snapshot are looked at.
const MAX_FILES: usize = 10_000;

/// The largest JSON file that is read.
const MAX_JSON_BYTES: u64 = 32 << 20;

/// The most parts of a split GGUF file that are looked for.
const MAX_PARTS: u32 = 1000;

/// The extension of a blob that is not yet whole.
pub(super) const INCOMPLETE: &str = "incomplete";

/// The end of the name of what is being made; no branch and no file of a model begins with a dot and
/// ends like this.
const NEW: &str = ".new";

/// The cache of all repositories.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    dir: PathBuf,
}

/// One revision of a model in the cache.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CachedModel {
    /// The repository, `org/name`.
    pub repo: String,
    /// The branches and tags that stand for this commit, as far as this machine knows.
    pub revisions: Vec<String>,
    /// The commit; empty if nothing of the repository has arrived yet.
    pub commit: String,
    /// The folder with the files.
    pub path: PathBuf,
    /// The files that are there, by their names in the repository, with their sizes in bytes.
    pub files: Vec<(String, u64)>,
    /// Bytes of files of this repository that are still under way.
    pub partial_bytes: u64,
    /// What a checkpoint needs and this one has not, by file name.
    pub missing: Vec<String>,
    /// `model_type` of `config.json`.
    pub model_type: Option<String>,
}

impl CachedModel {
    /// Returns the bytes of all files that are there.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Returns whether all is there that a checkpoint needs.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Returns whether it is, or may become, a checkpoint of the family this crate implements.
    pub fn is_of_this_family(&self) -> bool {
        match self.model_type.as_deref() {
            Some(kind) => matches!(kind, "qwen2_5_vl" | "opencua"),
            None => self.ggufs().next().is_some() || self.partial_bytes > 0,
        }
    }

    /// Returns the GGUF files.
    fn ggufs(&self) -> impl Iterator<Item = &str> {
        let names = self.files.iter().map(|(name, _)| name.as_str());
        names.filter(|name| has_extension(name, "gguf"))
    }
}

/// Where a model is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Resolved {
    /// The folder of a checkpoint.
    Folder(PathBuf),
    /// A GGUF file.
    File(PathBuf),
}

impl Resolved {
    /// Returns the path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::File(path) => path,
        }
    }
}

impl Cache {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The folder of a repository.
    pub(super) fn repo_dir(&self, repo: &str) -> PathBuf {
        self.dir.join(Repo::new(repo.to_owned(), RepoType::Model).folder_name())
    }

    /// Where the parts of a repository lie.
    pub(super) fn place(&self, repo: &str) -> Place {
        let dir = self.repo_dir(repo);
        let name = dir.file_name().map(ToOwned::to_owned).unwrap_or_default();
        Place { locks: self.dir.join(".locks").join(name), dir }
    }

    pub(super) fn list(&self) -> Result<Vec<CachedModel>, HubError> {
        let mut models = Vec::new();
        for name in names_in(&self.dir)? {
            let repo = name.strip_prefix("models--").and_then(|rest| rest.split_once("--"));
            let Some((org, name)) = repo else { continue };
            let repo = format!("{org}/{name}");
            if is_repo(&repo) {
                models.extend(self.models_of(&repo)?);
            }
        }
        models.sort_by(|a, b| (&a.repo, &a.commit).cmp(&(&b.repo, &b.commit)));
        Ok(models)
    }

    /// All revisions of a repository in the cache.
    pub(super) fn models_of(&self, repo: &str) -> Result<Vec<CachedModel>, HubError> {
        let dir = self.repo_dir(repo);
        let mut revisions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (revision, commit) in self.refs(repo)? {
            revisions.entry(commit).or_default().push(revision);
        }
        let partial_bytes = partial_bytes(&dir.join("blobs"))?;
        let mut models = Vec::new();
        for commit in names_in(&dir.join("snapshots"))? {
            if !is_commit(&commit) {
                continue;
            }
            let path = dir.join("snapshots").join(&commit);
            let mut files = Vec::new();
            walk(&path, "", MAX_DEPTH, &mut |name, path| {
                // A link to nothing is a file that is not there.
                if let Ok(metadata) = fs::metadata(path)
                    && files.len() < MAX_FILES
                {
                    files.push((name.to_owned(), metadata.len()));
                }
                Ok(())
            })?;
            files.sort();
            models.push(CachedModel {
                repo: repo.to_owned(),
                revisions: revisions.remove(&commit).unwrap_or_default(),
                commit,
                missing: missing_files(&path, &files),
                model_type: model_type(&path),
                files,
                partial_bytes,
                path,
            });
        }
        if models.is_empty() && partial_bytes > 0 {
            models.push(CachedModel {
                repo: repo.to_owned(),
                revisions: Vec::new(),
                commit: String::new(),
                path: dir,
                files: Vec::new(),
                partial_bytes,
                missing: vec!["config.json".to_owned()],
                model_type: None,
            });
        }
        Ok(models)
    }

    /// The branches and tags of a repository that were pulled, with their commits.
    pub(super) fn refs(&self, repo: &str) -> Result<Vec<(String, String)>, HubError> {
        let mut refs = Vec::new();
        walk(&self.repo_dir(repo).join("refs"), "", MAX_DEPTH, &mut |name, path| {
            if let Some(commit) = read_ref(path)? {
                refs.push((name.to_owned(), commit));
            }
            Ok(())
        })?;
        Ok(refs)
    }

    /// The commit of a revision, as far as this machine knows it.
    pub(super) fn commit_of(&self, repo: &str, revision: &str) -> Result<Option<String>, HubError> {
        let dir = self.repo_dir(repo);
        if let Some(commit) = read_ref(&dir.join("refs").join(revision))? {
            return Ok(Some(commit));
        }
        // A commit names itself; an abbreviation will do where it is the only one.
        let snapshots = names_in(&dir.join("snapshots"))?;
        let mut found = snapshots.into_iter().filter(|commit| commit.starts_with(revision));
        Ok(match (found.next(), found.next()) {
            (Some(commit), None) if is_commit(revision) && is_commit(&commit) => Some(commit),
            _ => None,
        })
    }

    /// One revision of a repository.
    pub(super) fn find(&self, name: &ModelName) -> Result<CachedModel, HubError> {
        let commit = self.commit_of(name.repo(), name.revision())?;
        let mut models = self.models_of(name.repo())?;
        if let Some(index) = models.iter().position(|model| Some(&model.commit) == commit.as_ref())
        {
            return Ok(models.swap_remove(index));
        }
        // A branch gets its commit when all is there, so a pull that was cut has none.
        let partial = models.iter().find(|_| name.revision() == "main");
        match partial.and_then(|model| model.missing.first()) {
            Some(missing) => {
                Err(HubError::Incomplete { name: name.to_string(), missing: missing.clone() })
            }
            None => Err(HubError::NotPulled { name: name.to_string() }),
        }
    }

    pub(super) fn resolve(&self, name: &ModelName) -> Result<Resolved, HubError> {
        let model = self.find(name)?;
        let incomplete = |missing: &str| HubError::Incomplete {
            name: name.to_string(),
            missing: missing.to_owned(),
        };
        if let Some(file) = name.file() {
            let is_there = model.files.iter().any(|(known, _)| known == file);
            return if is_there {
                Ok(Resolved::File(model.path.join(file)))
            } else {
                Err(incomplete(file))
            };
        }
        if let Some(missing) = model.missing.first() {
            return Err(incomplete(missing));
        }
        if model.files.iter().any(|(name, _)| name == "config.json") {
            return Ok(Resolved::Folder(model.path));
        }
        let language: Vec<&str> = model.ggufs().filter(|name| is_language_gguf(name)).collect();
        match language.as_slice() {
            [file] => Ok(Resolved::File(model.path.join(file))),
            files => {
                let files = files.iter().map(|&file| file.to_owned()).collect();
                Err(HubError::Ambiguous { name: name.to_string(), files })
            }
        }
    }
}

/// Where the parts of one repository lie.
#[derive(Clone, Debug)]
pub(super) struct Place {
    dir: PathBuf,
    locks: PathBuf,
}

impl Place {
    /// The folder of the repository.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The bytes of the file with a checksum.
    pub(super) fn blob(&self, checksum: &Checksum) -> PathBuf {
        self.dir.join("blobs").join(checksum.digits())
    }

    /// The bytes of a file that is not whole yet.
    pub(super) fn partial(&self, checksum: &Checksum) -> PathBuf {
        self.dir.join("blobs").join(format!("{}.{INCOMPLETE}", checksum.digits()))
    }

    /// The lock of a blob.
    pub(super) fn lock(&self, checksum: &Checksum) -> PathBuf {
        self.locks.join(format!("{}.lock", checksum.digits()))
    }

    /// All locks of this repository.
    pub(super) fn locks(&self) -> &Path {
        &self.locks
    }

    /// The folder of a commit.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.dir.join("snapshots").join(commit)
    }

    /// Makes a file of a commit stand for a blob.
    pub(super) fn link(&self, commit: &str, name: &str, checksum: &Checksum) -> io::Result<()> {
        let path = self.snapshot(commit).join(name);
        let up = "../".repeat(2 + name.matches('/').count());
        let target = PathBuf::from(format!("{up}blobs/{}", checksum.digits()));
        if fs::read_link(&path).is_ok_and(|found| found == target) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        replace(&path, |new| link_to(&target, &self.blob(checksum), new))
    }

    /// Makes a branch or tag stand for a commit.
    pub(super) fn set_ref(&self, revision: &str, commit: &str) -> io::Result<()> {
        let path = self.dir.join("refs").join(revision);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        replace(&path, |new| fs::write(new, commit))
    }
}

/// Makes a file beside `path` and then puts it in its place, so that nobody sees half of it.
fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (process, thread) = (std::process::id(), std::thread::current().id());
    let new = path.with_file_name(format!(".{name}.{process}-{thread:?}{NEW}"));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => make(&new)?,
    }
    fs::rename(new, path)
}

#[cfg(unix)]
fn link_to(target: &Path, _: &Path, new: &Path) -> io::Result<()> {
    fs_err::os::unix::fs::symlink(target, new)
}

/// Where links are a privilege, a second name or else a copy has to do.
#[cfg(not(unix))]
fn link_to(_: &Path, blob: &Path, new: &Path) -> io::Result<()> {
    fs::hard_link(blob, new).or_else(|_| fs::copy(blob, new).map(|_| ()))
}

/// The names in a folder; none if there is no such folder.
fn names_in(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
    names.filter_map(io::Result::transpose).collect()
}

/// Visits the files below a folder with their names relative to it. Links to folders are not
/// followed, and what another program is making or takes away meanwhile is not there.
pub(super) fn walk(
    dir: &Path,
    prefix: &str,
    depth: usize,
    visit: &mut dyn FnMut(&str, &Path) -> io::Result<()>,
) -> io::Result<()> {
    for name in names_in(dir)? {
        if name.starts_with('.') && name.ends_with(NEW) {
            continue;
        }
        let (path, name) = (dir.join(&name), format!("{prefix}{name}"));
        let found = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            found => found?,
        };
        if found.is_dir() {
            if depth > 0 {
                walk(&path, &format!("{name}/"), depth - 1, visit)?;
            }
        } else {
            visit(&name, &path)?;
        }
    }
    Ok(())
}

/// The commit in a file below `refs`, if there is such a file and a commit in it.
fn read_ref(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    match fs::File::open(path) {
        Ok(file) if file.metadata()?.is_file() => file.take(100).read_to_string(&mut text)?,
        Ok(_) => return Ok(None),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    Ok(Some(text.trim().to_owned()).filter(|commit| is_commit(commit)))
}

/// Bytes of blobs that are still under way.
fn partial_bytes(blobs: &Path) -> io::Result<u64> {
    let names = names_in(blobs)?;
    let sizes = names.iter().filter(|name| has_extension(name, INCOMPLETE)).map(|name| {
        // One that was finished meanwhile is not under way any more.
        fs::metadata(blobs.join(name)).map_or(0, |metadata| metadata.len())
    });
    Ok(sizes.sum())
}

pub(super) fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// What a checkpoint needs of what is not in `files`.
fn missing_files(dir: &Path, files: &[(String, u64)]) -> Vec<String> {
    let has = |name: &str| files.iter().any(|(known, _)| known == name);
    if !has("config.json") {
        // GGUF files bring their own configuration and tokenizer.
        let names = files.iter().map(|(name, _)| name.as_str());
        let ggufs: Vec<&str> = names.filter(|name| has_extension(name, "gguf")).collect();
        if ggufs.is_empty() {
            return vec!["config.json".to_owned()];
        }
        let splits: BTreeSet<_> = ggufs.iter().filter_map(|name| split_part(name)).collect();
        let wanted: BTreeSet<String> = splits
            .iter()
            .flat_map(|&(stem, _, count)| {
                let parts = 1..=count.min(MAX_PARTS);
                parts.map(move |part| format!("{stem}-{part:05}-of-{count:05}.gguf"))
            })
            .collect();
        return wanted.into_iter().filter(|name| !has(name)).collect();
    }
    let mut missing = Vec::new();
    let has_tokenizer =
        has("tokenizer.json") || (has("vocab.json") && has("merges.txt")) || has("tiktoken.model");
    if !has_tokenizer {
        missing.push("tokenizer.json".to_owned());
    }
    let shards = if has(INDEX) { shards(&dir.join(INDEX)) } else { None };
    match shards {
        Some(shards) => missing.extend(shards.into_iter().filter(|shard| !has(shard))),
        None if has("model.safetensors") => {}
        None => missing.push("model.safetensors".to_owned()),
    }
    missing
}

/// The file that says which weights file has which tensor.
pub(super) const INDEX: &str = "model.safetensors.index.json";

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The weights files an index names, if it can be understood and names only files beside it.
pub(super) fn shards(index: &Path) -> Option<BTreeSet<String>> {
    let index: Index = serde_json::from_slice(&read_small(index)?).ok()?;
    let shards: BTreeSet<String> = index.weight_map.into_values().collect();
    shards.iter().all(|shard| is_file_name(shard)).then_some(shards).filter(|all| !all.is_empty())
}

/// `model_type` of the `config.json` of a folder.
fn model_type(dir: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Config {
        model_type: Option<String>,
    }
    let config: Config = serde_json::from_slice(&read_small(&dir.join("config.json"))?).ok()?;
    config.model_type
}

/// The bytes of a JSON file, unless it is not there or larger than one would be.
pub(super) fn read_small(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(MAX_JSON_BYTES + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_JSON_BYTES).then_some(bytes)
}

#[cfg(test)]
#[path = "cache/tests.rs"]
mod tests;
