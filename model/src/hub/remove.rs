//! `rm`: models leave the cache, and what other revisions share stays.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::cache::{CachedModel, Place, walk};
use super::lock::Lock;
use super::{Hub, HubError, ModelName};

/// How deep the folder with the locks of a repository is looked through.
const LOCKS_DEPTH: usize = 2;

/// What is to leave the cache.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Removal {
    /// The name as it was given.
    pub name: String,
    /// The repository.
    pub repo: String,
    /// The commits that lose files.
    pub commits: Vec<String>,
    /// Branches and tags that are to go.
    pub revisions: Vec<String>,
    /// Files that are to go from these commits.
    pub links: Vec<PathBuf>,
    /// The blobs nothing else needs.
    pub blobs: Vec<PathBuf>,
    /// Bytes that will be free.
    pub bytes: u64,
    /// Whether nothing of the repository is to stay.
    pub whole: bool,
}

impl Hub {
    /// Returns what [`Hub::remove`] would remove: one file, one revision, or all of a repository
    /// if the name has neither.
    ///
    /// # Errors
    ///
    /// If nothing of the model is in the cache, or the cache cannot be read.
    pub fn plan_removal(&self, name: &ModelName) -> Result<Removal, HubError> {
        let cache = self.cache()?;
        let place = cache.place(name.repo());
        let models = cache.models_of(name.repo())?;
        let nothing = || HubError::NotPulled { name: name.to_string() };
        let commit = cache.commit_of(name.repo(), name.revision())?;
        let (leaving, staying): (Vec<_>, Vec<_>) = models.into_iter().partition(|model| {
            !name.names_revision() && name.file().is_none()
                || Some(&model.commit) == commit.as_ref()
        });
        if leaving.is_empty() {
            return Err(nothing());
        }
        let goes = |file: &str| name.file().is_none_or(|named| named == file);
        let mut links = Vec::new();
        let mut kept: BTreeSet<PathBuf> = staying.iter().flat_map(blobs_of).collect();
        let mut blobs = BTreeSet::new();
        for model in &leaving {
            for (file, path) in links_of(model)? {
                if goes(&file) {
                    blobs.extend(blob_of(&path));
                    links.push(path);
                } else {
                    kept.extend(blob_of(&path));
                }
            }
        }
        let whole = staying.is_empty() && name.file().is_none();
        if whole {
            blobs.extend(all_blobs(&place)?);
        } else if links.is_empty() {
            return Err(nothing());
        }
        let blobs: Vec<PathBuf> = blobs.into_iter().filter(|blob| !kept.contains(blob)).collect();
        let is_emptied = |commit: &String| {
            leaving.iter().any(|model| {
                let count = links.iter().filter(|link| link.starts_with(&model.path)).count();
                model.commit == *commit && model.files.len() <= count
            })
        };
        let revisions = cache.refs(name.repo())?.into_iter();
        let revisions = revisions.filter(|(_, commit)| whole || is_emptied(commit));
        let revisions = revisions.map(|(revision, _)| revision).collect();
        let size = |path: &PathBuf| fs::symlink_metadata(path).map_or(0, |found| found.len());
        Ok(Removal {
            name: name.to_string(),
            repo: name.repo().to_owned(),
            commits: leaving.into_iter().map(|model| model.commit).collect(),
            bytes: blobs.iter().map(size).sum(),
            revisions,
            links,
            blobs,
            whole,
        })
    }

    /// Removes what was planned. Names go before bytes, so that what is left of an interrupted
    /// removal is an incomplete model and never a damaged one.
    ///
    /// # Errors
    ///
    /// If another program is pulling the model, or a file cannot be removed.
    pub fn remove(&self, removal: &Removal) -> Result<(), HubError> {
        let place = self.cache()?.place(&removal.repo);
        let _locks = lock_all(&place, &removal.name)?;
        for revision in &removal.revisions {
            remove_file(&place.dir().join("refs").join(revision))?;
        }
        for path in removal.links.iter().chain(&removal.blobs) {
            remove_file(path)?;
        }
        if removal.whole {
            fs::remove_dir_all(place.dir())?;
            return Ok(());
        }
        for commit in &removal.commits {
            remove_empty_dirs(&place.snapshot(commit));
        }
        Ok(())
    }

    /// Removes one file of a model with its bytes, so that the next pull fetches it again.
    ///
    /// # Errors
    ///
    /// As [`Hub::remove`].
    pub fn discard(&self, model: &CachedModel, file: &str) -> Result<(), HubError> {
        let place = self.cache()?.place(&model.repo);
        let _locks = lock_all(&place, &model.repo)?;
        let path = model.path.join(file);
        let blob = blob_of(&path);
        remove_file(&path)?;
        blob.map_or(Ok(()), |blob| remove_file(&blob))
    }
}

/// The links of a model, also those that lead nowhere, with the names of their files.
fn links_of(model: &CachedModel) -> Result<Vec<(String, PathBuf)>, HubError> {
    let mut links = Vec::new();
    walk(&model.path, "", 8, &mut |name, path| {
        links.push((name.to_owned(), path.to_owned()));
        Ok(())
    })?;
    Ok(links)
}

fn blobs_of(model: &CachedModel) -> Vec<PathBuf> {
    model.files.iter().filter_map(|(name, _)| blob_of(&model.path.join(name))).collect()
}

/// The blob a link stands for, if it is one of the same repository.
fn blob_of(link: &Path) -> Option<PathBuf> {
    let target = fs::read_link(link).ok()?;
    let target = fs::canonicalize(link.parent()?.join(target)).ok()?;
    let blobs = link.ancestors().find(|dir| dir.ends_with("snapshots"))?.with_file_name("blobs");
    let blobs = fs::canonicalize(blobs).ok()?;
    (target.parent() == Some(&blobs)).then_some(target)
}

/// All that lies among the blobs, whole or not.
fn all_blobs(place: &Place) -> Result<Vec<PathBuf>, HubError> {
    let mut found = Vec::new();
    walk(&place.dir().join("blobs"), "", 0, &mut |_, path| {
        found.push(fs::canonicalize(path)?);
        Ok(())
    })?;
    Ok(found)
}

/// Takes every lock of a repository, or finds that somebody else is at work.
fn lock_all(place: &Place, name: &str) -> Result<Vec<Lock>, HubError> {
    let mut paths = Vec::new();
    walk(place.locks(), "", LOCKS_DEPTH, &mut |_, path| {
        paths.push(path.to_owned());
        Ok(())
    })?;
    let mut locks = Vec::new();
    for path in paths {
        match Lock::try_take(&path)? {
            Some(lock) => locks.push(lock),
            None => return Err(HubError::Busy { name: name.to_owned() }),
        }
    }
    Ok(locks)
}

fn remove_file(path: &Path) -> Result<(), HubError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Removes a folder and those in it, as far as they are empty.
fn remove_empty_dirs(dir: &Path) {
    let inner = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    for entry in inner {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty_dirs(&entry.path());
        }
    }
    // One that is not empty stays, which is what is wanted.
    let _ = fs::remove_dir(dir);
}
