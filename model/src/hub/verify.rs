//! `verify`: is every byte of a pulled model still what the hub promised?

use std::path::Path;

use fs_err as fs;

use super::cache::{CachedModel, Place};
use super::checksum::Checksum;
use super::{Hub, HubError, ModelName};
use crate::CancelFlag;

/// The state of one file of a pulled model.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FileState {
    /// Its checksum is right.
    Right,
    /// Its checksum is another one.
    Damaged {
        /// The checksum it should have.
        expected: String,
        /// The checksum it has.
        found: String,
    },
    /// It is needed and not there.
    Missing,
    /// The cache holds no checksum of it: it was put there by hand.
    Unknown,
}

/// One file of a model that was verified.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VerifiedFile {
    /// Its name in the repository.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// How it is.
    pub state: FileState,
}

impl Hub {
    /// Computes the checksums of all files of a pulled model; `progress` is told the file and how
    /// many bytes of it were read since it was told last.
    ///
    /// # Errors
    ///
    /// If the model is not in the cache, a file cannot be read, or `cancel` is set.
    pub fn verify(
        &self,
        model: &CachedModel,
        cancel: &CancelFlag,
        progress: &mut dyn FnMut(&str, u64),
    ) -> Result<Vec<VerifiedFile>, HubError> {
        let place = self.cache()?.place(&model.repo);
        let mut verified = Vec::new();
        for (name, size) in &model.files {
            let state = state(&place, &model.path.join(name), *size, &mut |count| {
                progress(name, count);
                if cancel.is_cancelled() { Err(HubError::Cancelled) } else { Ok(()) }
            })?;
            verified.push(VerifiedFile { name: name.clone(), size: *size, state });
        }
        verified.extend(model.missing.iter().map(|name| VerifiedFile {
            name: name.clone(),
            size: 0,
            state: FileState::Missing,
        }));
        Ok(verified)
    }

    /// Returns a model of the cache.
    ///
    /// # Errors
    ///
    /// If it is not in the cache.
    pub fn find(&self, name: &ModelName) -> Result<CachedModel, HubError> {
        self.cache()?.find(name)
    }
}

fn state(
    place: &Place,
    path: &Path,
    size: u64,
    progress: &mut dyn FnMut(u64) -> Result<(), HubError>,
) -> Result<FileState, HubError> {
    let target = fs::read_link(path).ok();
    let digits = target.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    if let Some(expected) = digits.and_then(Checksum::from_etag) {
        let mut hasher = expected.hasher(size);
        hasher.read(fs::File::open(path)?, progress)?;
        let found = hasher.finish();
        if found == expected.digits() {
            return Ok(FileState::Right);
        }
        return Ok(FileState::Damaged { expected: expected.to_string(), found });
    }
    // Where there are no links, the right checksum is the name of one of the blobs.
    for kind in [Checksum::Sha256(String::new()), Checksum::Git(String::new())] {
        let mut hasher = kind.hasher(size);
        hasher.read(fs::File::open(path)?, progress)?;
        let found = Checksum::from_etag(&hasher.finish());
        if found.is_some_and(|found| place.blob(&found).is_file()) {
            return Ok(FileState::Right);
        }
    }
    Ok(FileState::Unknown)
}
