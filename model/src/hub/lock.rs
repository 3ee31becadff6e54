//! One pull at a time per file, also among processes and with the Python client.
//!
//! # Source
//!
//! `huggingface_hub` locks `.locks/models--org--name/ETAG.lock` beside the repositories with
//! `flock`, which is what [`std::fs::File::lock`] does on Unix.

use std::fs::TryLockError;
use std::path::Path;
use std::time::Duration;

use fs_err as fs;

use super::HubError;
use super::wait::Stop;

/// A lock that is held until it is dropped. The file stays: removing it would be a race.
#[derive(Debug)]
pub(super) struct Lock {
    _file: fs::File,
}

impl Lock {
    /// Waits for the lock; `on_wait` is called once if someone else has it.
    pub(super) fn take(
        path: &Path,
        stop: Stop<'_>,
        on_wait: impl FnOnce(),
    ) -> Result<Self, HubError> {
        let file = open(path)?;
        let mut on_wait = Some(on_wait);
        loop {
            match file.file().try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(source)) => return Err(HubError::Cache { source }),
                Err(TryLockError::WouldBlock) => {
                    if let Some(on_wait) = on_wait.take() {
                        on_wait();
                    }
                    stop.pause(Duration::from_millis(100))?;
                }
            }
        }
    }

    /// Takes the lock if nobody has it.
    pub(super) fn try_take(path: &Path) -> Result<Option<Self>, HubError> {
        let file = open(path)?;
        match file.file().try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(HubError::Cache { source }),
        }
    }
}

fn open(path: &Path) -> Result<fs::File, HubError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(fs::OpenOptions::new().create(true).write(true).truncate(false).open(path)?)
}
