//! Checkpoints by name: the Hugging Face Hub, and its cache on this machine.
//!
//! The cache is the one every tool of that ecosystem shares (`models--org--name` with `refs`,
//! `snapshots` and `blobs`), so what another tool fetched is found here, and the other way round.
//! [`Hub::pull`] is the only thing that uses the network.
//!
//! Nothing here reads the environment: who calls says where the cache is ([`HubOptions`]).

mod cache;
mod checksum;
mod error;
mod http;
mod inspect;
mod listing;
mod lock;
mod name;
mod plan;
mod pull;
mod remove;
mod transfer;
mod verify;
mod wait;

pub use cache::{CachedModel, Resolved};
pub use error::HubError;
pub use http::Token;
pub use inspect::ModelFacts;
pub use name::{ModelName, short_names};
pub use pull::{PullEvent, PullOptions, Pulled, PulledFile};
pub use remove::Removal;
pub use verify::{FileState, VerifiedFile};

use std::path::PathBuf;
use std::time::Duration;

/// Where checkpoints come from and where they are kept.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// The folder of the cache (`…/huggingface/hub`); none if the machine has no home folder.
    pub cache: Option<PathBuf>,
    /// The hub, or a mirror of it: the start of every address, without a `/` at its end.
    pub endpoint: String,
    /// Proves who asks, for private and gated models. Only the endpoint is told.
    pub token: Option<Token>,
    /// A file with a token, for when there is no `token`; it need not exist.
    pub token_file: Option<PathBuf>,
    /// Certificates (PEM) to trust in the place of those in this crate, for private mirrors.
    pub certificates: Option<PathBuf>,
    /// Never use the network.
    pub offline: bool,
    /// How long the other side may be silent.
    pub patience: Duration,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            cache: None,
            endpoint: "https://huggingface.co".to_owned(),
            token: None,
            token_file: None,
            certificates: None,
            offline: false,
            patience: Duration::from_secs(30),
        }
    }
}

/// Reads what a hub says is in a repository, and returns how many files that are.
pub(crate) fn count_listed(bytes: &[u8]) -> Result<usize, String> {
    Ok(listing::Listing::parse(bytes)?.files.len())
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
        Ok(cache::Cache::new(self.cache_dir()?))
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
