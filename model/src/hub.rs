//! Checkpoints by name: the Hugging Face Hub, and its cache on this machine.
//!
//! The cache is the one every tool of that ecosystem shares (`models--org--name` with `refs`,
//! `snapshots` and `blobs`), so what another tool fetched is found here, and the other way round.
//!
//! Nothing here reads the environment: who calls says where the cache is ([`HubOptions`]).

mod cache;
mod error;
mod name;

pub use cache::{CachedModel, Resolved};
pub use error::HubError;
pub use name::{ModelName, short_names};

use std::path::PathBuf;

/// Where checkpoints are kept.
#[derive(Clone, Debug, Default)]
pub struct HubOptions {
    /// The folder of the cache (`…/huggingface/hub`); none if the machine has no home folder.
    pub cache: Option<PathBuf>,
}

/// The hub and its cache.
#[derive(Clone, Debug)]
pub struct Hub {
    options: HubOptions,
}

impl Hub {
    /// Takes the options; nothing is opened yet.
    pub fn new(options: HubOptions) -> Self {
        Self { options }
    }

    fn cache(&self) -> Result<cache::Cache, HubError> {
        let dir = self.options.cache.as_ref().ok_or(HubError::NoCache)?;
        Ok(cache::Cache::new(dir.clone()))
    }

    /// Returns the folder of the cache.
    ///
    /// # Errors
    ///
    /// If the options name none.
    pub fn cache_dir(&self) -> Result<PathBuf, HubError> {
        self.options.cache.clone().ok_or(HubError::NoCache)
    }

    /// Returns the models in the cache, complete or not, sorted by repository and revision.
    ///
    /// A cache folder that does not exist yet holds none.
    ///
    /// # Errors
    ///
    /// If the options name no cache folder or it cannot be read.
    pub fn list(&self) -> Result<Vec<CachedModel>, HubError> {
        self.cache()?.list()
    }

    /// Returns the folder or the file of a model that was pulled. Nothing is fetched.
    ///
    /// # Errors
    ///
    /// If it was not pulled, or not wholly.
    pub fn resolve(&self, name: &ModelName) -> Result<Resolved, HubError> {
        self.cache()?.resolve(name)
    }
}
