//! `pull`: a model of the hub becomes a folder of the cache.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fs_err as fs;

use super::cache::{Cache, INDEX, Place, shards};
use super::http::Client;
use super::listing::{KnownFile, Listing};
use super::plan::{self, First};
use super::transfer::{Transfer, back_off};
use super::wait::Stop;
use super::{Hub, HubError, ModelName};
use crate::CancelFlag;

/// Room on the disk that is left alone.
const SPARE_BYTES: u64 = 16 << 20;

/// How to pull.
#[derive(Clone, Copy, Debug)]
pub struct PullOptions<'a> {
    /// Files to fetch in the place of those a checkpoint needs, by their names in the repository.
    pub files: &'a [String],
    /// How often in a row a request may fail for a reason that can pass.
    pub retries: u32,
    /// How many files are fetched at once.
    pub parallel: usize,
    /// Returns the bytes that are free in a folder.
    pub available_space: fn(&Path) -> io::Result<u64>,
}

impl Default for PullOptions<'_> {
    fn default() -> Self {
        Self {
            files: &[],
            retries: 5,
            parallel: 4,
            available_space: |dir| fs4::available_space(dir),
        }
    }
}

/// What happens during a pull. Several files can be under way at once.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum PullEvent<'a> {
    /// It is known what is to be fetched.
    Planned {
        /// The commit of the revision.
        commit: &'a str,
        /// How many files there are.
        files: usize,
        /// Their sizes together, in bytes.
        bytes: u64,
        /// Bytes of them that are here already.
        have: u64,
    },
    /// Another program fetches this file.
    Waiting {
        /// The file's name in the repository.
        file: &'a str,
    },
    /// A file is being fetched.
    Started {
        /// The file's name in the repository.
        file: &'a str,
        /// Its size in bytes.
        size: u64,
        /// Bytes that an earlier pull fetched.
        have: u64,
    },
    /// Bytes arrived.
    Received {
        /// The file's name in the repository.
        file: &'a str,
        /// How many.
        bytes: u64,
    },
    /// What was here of a file could not be used; it is fetched from its beginning.
    Restarted {
        /// The file's name in the repository.
        file: &'a str,
    },
    /// A request failed and will be repeated.
    Retrying {
        /// The file's name in the repository; empty for its listing.
        file: &'a str,
        /// Why.
        error: &'a HubError,
        /// How long until then.
        wait: Duration,
    },
    /// A file is here, and its checksum is right.
    Done {
        /// The file's name in the repository.
        file: &'a str,
        /// Its size in bytes.
        size: u64,
        /// Bytes that this pull fetched of it.
        received: u64,
    },
}

/// What a pull has done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pulled {
    /// The repository.
    pub repo: String,
    /// The branch, tag or commit that was asked for.
    pub revision: String,
    /// The commit; empty if the network was not used and the cache does not know.
    pub commit: String,
    /// The folder with the files.
    pub path: PathBuf,
    /// The files.
    pub files: Vec<PulledFile>,
    /// What a checkpoint needs and the repository does not have.
    pub missing: Vec<String>,
}

/// A file that was pulled, or was there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PulledFile {
    /// Its name in the repository.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Bytes that this pull fetched of it.
    pub received: u64,
    /// Its checksum: SHA-256 (64 digits) of large files, git's SHA-1 (40 digits) of small ones.
    pub checksum: String,
}

impl Hub {
    /// Fetches what of a model is not here, and checks it.
    ///
    /// What an interrupted pull left is used. Nothing that is not whole and right is ever seen in
    /// the model's folder, and its branch moves to the new commit only when all is there.
    ///
    /// # Errors
    ///
    /// If the hub refuses, cannot be reached, describes the model in a way that cannot be trusted or
    /// sends something else; if there is no room; if `cancel` is set.
    pub fn pull(
        &self,
        name: &ModelName,
        options: &PullOptions<'_>,
        cancel: &CancelFlag,
        on_event: &(dyn Fn(PullEvent<'_>) + Sync),
    ) -> Result<Pulled, HubError> {
        let cache = self.cache()?;
        let mut named = options.files.to_vec();
        named.extend(name.file().map(str::to_owned));
        if self.options.offline {
            return already_there(&cache, name, &named);
        }
        let failed = AtomicBool::new(false);
        let stop = Stop { user: cancel, failed: &failed };
        let client = Client::new(&self.options)?;
        let context = Context { client: &client, name, options, stop, on_event };
        let listing = context.listing()?;
        let place = cache.place(name.repo());
        let (files, index) = context.known_files(&listing, &place, &named)?;
        context.check_space(&files, &place, &listing.commit)?;
        let pulled = context.fetch_all(&files, index, &listing.commit, &place)?;
        if name.revision() != listing.commit {
            place.set_ref(name.revision(), &listing.commit)?;
        }
        let model = cache.models_of(name.repo())?.into_iter();
        let model = model.into_iter().find(|model| model.commit == listing.commit);
        Ok(Pulled {
            repo: name.repo().to_owned(),
            revision: name.revision().to_owned(),
            path: place.snapshot(&listing.commit),
            commit: listing.commit,
            files: pulled,
            missing: model.map(|model| model.missing).unwrap_or_default(),
        })
    }
}

/// What an offline pull of something that is in the cache has done: nothing.
fn already_there(cache: &Cache, name: &ModelName, named: &[String]) -> Result<Pulled, HubError> {
    let offline = || HubError::Offline { name: name.to_string() };
    let model = cache.find(name).map_err(|_| offline())?;
    let has = |file: &String| model.files.iter().any(|(known, _)| known == file);
    let is_there = if named.is_empty() { model.is_complete() } else { named.iter().all(has) };
    if !is_there {
        return Err(offline());
    }
    Ok(Pulled {
        repo: model.repo,
        revision: name.revision().to_owned(),
        commit: model.commit,
        path: model.path,
        files: Vec::new(),
        missing: model.missing,
    })
}

/// What every part of one pull needs.
struct Context<'a> {
    client: &'a Client,
    name: &'a ModelName,
    options: &'a PullOptions<'a>,
    stop: Stop<'a>,
    on_event: &'a (dyn Fn(PullEvent<'_>) + Sync),
}

impl Context<'_> {
    fn listing(&self) -> Result<Listing, HubError> {
        self.persist("", |client, name| Listing::fetch(&client, &name))
    }

    /// Asks something small, again and again if need be.
    fn persist<T: Send + 'static>(
        &self,
        file: &str,
        ask: impl FnOnce(Client, ModelName) -> Result<T, HubError> + Clone + Send + 'static,
    ) -> Result<T, HubError> {
        let mut failures = 0;
        loop {
            let (client, name, ask) = (self.client.clone(), self.name.clone(), ask.clone());
            let error = match self.stop.watch(move || ask(client, name)) {
                Err(error) if error.is_transient() && failures < self.options.retries => error,
                outcome => return outcome,
            };
            failures += 1;
            let wait = back_off(failures, &error);
            (self.on_event)(PullEvent::Retrying { file, error: &error, wait });
            self.stop.pause(wait)?;
        }
    }

    /// The files to fetch, with their sizes and checksums. The index of the weights, if there is
    /// one, is fetched on the way; with it comes how many bytes that took.
    fn known_files(
        &self,
        listing: &Listing,
        place: &Place,
        named: &[String],
    ) -> Result<(Vec<KnownFile>, Option<u64>), HubError> {
        let known = |names: Vec<String>| -> Result<Vec<KnownFile>, HubError> {
            names.iter().map(|name| self.known(listing, name)).collect()
        };
        let small = match plan::choose(listing, self.name.repo(), named)? {
            First::Everything(names) => return Ok((known(names)?, None)),
            First::Indexed(names) => known(names)?,
        };
        let Some(index) = small.iter().find(|file| file.name == INDEX) else {
            return Ok((small, None));
        };
        let quiet = |event: PullEvent<'_>| {
            if matches!(event, PullEvent::Retrying { .. } | PullEvent::Waiting { .. }) {
                (self.on_event)(event);
            }
        };
        let transfer = self.transfer(index, &listing.commit, place);
        let received = Transfer { on_event: &quiet, ..transfer }.run()?;
        let weights = plan::weights(listing, shards(&place.blob(&index.checksum)));
        let weights = weights.map_err(|problem| self.client.unusable(self.name.repo(), problem))?;
        Ok((small.into_iter().chain(known(weights)?).collect(), Some(received)))
    }

    fn known(&self, listing: &Listing, name: &str) -> Result<KnownFile, HubError> {
        let Some(file) = listing.file(name).cloned() else {
            let (repo, file) = (self.name.repo().to_owned(), name.to_owned());
            return Err(HubError::NoSuchFile { repo, file, similar: Vec::new() });
        };
        let commit = listing.commit.clone();
        let known =
            self.persist(name, move |client, name| file.completed(&client, name.repo(), &commit))?;
        plan::check_small(&known.name, known.size)
            .map_err(|problem| self.client.unusable(self.name.repo(), problem))?;
        Ok(known)
    }

    /// Refuses to begin what would not fit.
    fn check_space(
        &self,
        files: &[KnownFile],
        place: &Place,
        commit: &str,
    ) -> Result<(), HubError> {
        let length = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        let (mut bytes, mut have) = (0u64, 0u64);
        for file in files {
            let whole = length(&place.blob(&file.checksum));
            let part = length(&place.partial(&file.checksum)).min(file.size);
            bytes = bytes.saturating_add(file.size);
            have = have.saturating_add(if whole == file.size { whole } else { part });
        }
        (self.on_event)(PullEvent::Planned { commit, files: files.len(), bytes, have });
        let needed = bytes - have;
        let dir = place.dir().ancestors().find(|dir| dir.is_dir()).unwrap_or(place.dir());
        let available = (self.options.available_space)(dir)?;
        if needed > 0 && available < needed.saturating_add(SPARE_BYTES) {
            return Err(HubError::Space { dir: dir.to_owned(), needed, available });
        }
        Ok(())
    }

    fn transfer<'a>(
        &'a self,
        file: &'a KnownFile,
        commit: &'a str,
        place: &'a Place,
    ) -> Transfer<'a> {
        Transfer {
            client: self.client,
            repo: self.name.repo(),
            commit,
            file,
            place,
            retries: self.options.retries,
            stop: self.stop,
            on_event: self.on_event,
        }
    }

    /// Fetches the files, several at once; the first failure stops all. `index` is how many bytes
    /// the index took, if it was fetched before.
    fn fetch_all(
        &self,
        files: &[KnownFile],
        index: Option<u64>,
        commit: &str,
        place: &Place,
    ) -> Result<Vec<PulledFile>, HubError> {
        let is_index = |&at: &usize| index.is_some() && files[at].name == INDEX;
        let mut order: Vec<usize> = (0..files.len()).filter(|at| !is_index(at)).collect();
        // Small ones first, so that what is wrong shows soon.
        order.sort_by_key(|&index| files[index].size);
        let queue = Mutex::new(VecDeque::from(order));
        let received = (0..files.len()).map(|at| index.filter(|_| is_index(&at)).unwrap_or(0));
        let received = Mutex::new(received.collect::<Vec<u64>>());
        let first_error = Mutex::new(None);
        let work = || {
            while let Some(index) = locked(&queue).pop_front() {
                match self.transfer(&files[index], commit, place).run() {
                    Ok(bytes) => locked(&received)[index] = bytes,
                    Err(error) => {
                        self.stop.failed.store(true, Ordering::SeqCst);
                        locked(&first_error).get_or_insert(error);
                        return;
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.options.parallel.clamp(1, 16).min(files.len()) {
                scope.spawn(work);
            }
        });
        if let Some(error) = locked(&first_error).take() {
            return Err(error);
        }
        let received = locked(&received);
        let pulled = files.iter().zip(received.iter()).map(|(file, &received)| PulledFile {
            name: file.name.clone(),
            size: file.size,
            received,
            checksum: file.checksum.to_string(),
        });
        Ok(pulled.collect())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
