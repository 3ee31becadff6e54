//! Keys and values of a prompt's constant beginning, kept on disk: a fresh process need not run the
//! rules and the tools of an agent again.
//!
//! A file is named by the checkpoint, how it is run, and the tokens; it holds nothing but tensors.
//! Whatever is wrong with one, it is as if it were not there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use candle_core::{Device, Result, Tensor};
use fs_err as fs;
use sha2::{Digest, Sha256};

use crate::kv_cache::KvCache;
use crate::placement::Place;
use crate::prefix_cache::PlaceKey;

/// A folder of beginnings.
pub(crate) struct PrefixStore {
    dir: PathBuf,
    /// Names the checkpoint and how it is run.
    fingerprint: String,
}

/// Shorter beginnings are as quickly run as read.
const MIN_TOKENS: usize = 64;

/// The most files kept; the oldest go.
const MAX_FILES: usize = 16;

const EXTENSION: &str = "prefix";

impl PrefixStore {
    pub(crate) fn new(dir: PathBuf, fingerprint: String) -> Self {
        Self { dir, fingerprint }
    }

    /// Returns a cache of exactly these places, with room for `capacity`, if one is kept.
    pub(crate) fn load(
        &self,
        keys: &[PlaceKey],
        mut cache: KvCache,
        capacity: usize,
        place: impl Fn(usize) -> Place,
    ) -> Option<KvCache> {
        if keys.len() < MIN_TOKENS {
            return None;
        }
        let path = self.path(keys);
        let tensors = candle_core::safetensors::load(&path, &Device::Cpu).ok()?;
        cache.reserve(capacity);
        let filled = fill(&mut cache, &tensors, keys.len(), place);
        if filled.is_err() {
            // Damaged: the next one writes it anew. If it cannot be removed, it is passed over again.
            let _ = fs::remove_file(&path);
        }
        filled.ok().map(|()| cache)
    }

    /// Keeps the first places of a cache, unless they are kept already.
    pub(crate) fn save(&self, keys: &[PlaceKey], cache: &KvCache) -> Result<()> {
        let path = self.path(keys);
        if keys.len() < MIN_TOKENS || cache.len() < keys.len() || path.exists() {
            return Ok(());
        }
        let mut tensors = HashMap::new();
        for layer in 0..cache.num_layers() {
            if let Some((k, v)) = cache.held(layer, keys.len())? {
                tensors.insert(format!("k{layer}"), k);
                tensors.insert(format!("v{layer}"), v);
            }
        }
        fs::create_dir_all(&self.dir)?;
        self.forget_oldest()?;
        // Renamed when whole, so that no other process reads half a file.
        let half = path.with_extension(format!("{}.half", std::process::id()));
        candle_core::safetensors::save(&tensors, &half)?;
        fs::rename(&half, &path)?;
        Ok(())
    }

    fn path(&self, keys: &[PlaceKey]) -> PathBuf {
        let mut hasher = Sha256::new();
        hasher.update(&self.fingerprint);
        for key in keys {
            hasher.update(key.to_le_bytes());
        }
        let name: String = format!("{:x}", hasher.finalize()).chars().take(32).collect();
        self.dir.join(name).with_extension(EXTENSION)
    }

    /// Makes room for one more file.
    fn forget_oldest(&self) -> Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let path = entry.path();
            if is_ours(&path) {
                files.push((entry.metadata()?.modified()?, path));
            }
        }
        files.sort_unstable();
        let n_over = (files.len() + 1).saturating_sub(MAX_FILES);
        for (_, path) in &files[..n_over] {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// Nothing else in the folder is ever removed.
fn is_ours(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == EXTENSION)
}

/// Puts the tensors of a file into an empty cache.
fn fill(
    cache: &mut KvCache,
    tensors: &HashMap<String, Tensor>,
    len: usize,
    place: impl Fn(usize) -> Place,
) -> Result<()> {
    for layer in 0..cache.num_layers() {
        let tensor = |name: String| {
            tensors.get(&name).ok_or(candle_core::Error::CannotFindTensor { path: name })
        };
        let (k, v) = (tensor(format!("k{layer}"))?, tensor(format!("v{layer}"))?);
        if k.dims() != v.dims() || k.dims3()?.1 != len {
            candle_core::bail!("layer {layer} has another shape");
        }
        let place = place(layer);
        cache.layer_mut(layer).append(&place.take(k)?, &place.take(v)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;

    fn cache(len: usize) -> KvCache {
        let mut cache = KvCache::new(2);
        let values: Vec<f32> = (0..len).map(|i| i as f32).collect();
        let tokens = Tensor::from_vec(values, (1, len, 1), &Device::Cpu).unwrap();
        for layer in 0..2 {
            cache.layer_mut(layer).append(&tokens, &tokens).unwrap();
        }
        cache
    }

    fn load(store: &PrefixStore, keys: &[PlaceKey]) -> Option<Vec<f32>> {
        let loaded = store.load(keys, KvCache::new(2), 500, |_layer| Place {
            device: Device::Cpu,
            dtype: DType::F32,
        })?;
        let (k, _) = loaded.held(1, keys.len()).unwrap().unwrap();
        Some(k.flatten_all().unwrap().to_vec1().unwrap())
    }

    #[test]
    fn a_beginning_is_found_again_by_its_checkpoint_and_tokens() {
        let dir = tempfile::tempdir().unwrap();
        let store = PrefixStore::new(dir.path().join("new"), "a".to_owned());
        let keys: Vec<PlaceKey> = (0..100).collect();
        assert!(load(&store, &keys).is_none());
        store.save(&keys, &cache(150)).unwrap();
        let expected: Vec<f32> = (0..100_u16).map(f32::from).collect();
        assert_eq!(load(&store, &keys), Some(expected));
        assert!(load(&store, &keys[..99]).is_none());
        let other = PrefixStore::new(dir.path().join("new"), "b".to_owned());
        assert!(load(&other, &keys).is_none());
    }

    #[test]
    fn a_damaged_file_is_removed_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let store = PrefixStore::new(dir.path().to_owned(), "a".to_owned());
        let keys: Vec<PlaceKey> = (0..100).collect();
        store.save(&keys, &KvCache::new(2)).unwrap();
        assert_eq!(dir.path().read_dir().unwrap().count(), 0, "a shorter cache is not kept");
        // The tensors of fewer layers than the model has.
        let mut one_layer = KvCache::new(1);
        let tokens = Tensor::zeros((1, 100, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        one_layer.layer_mut(0).append(&tokens, &tokens).unwrap();
        store.save(&keys, &one_layer).unwrap();
        assert!(load(&store, &keys).is_none());
        assert_eq!(dir.path().read_dir().unwrap().count(), 0, "it is gone");

        fs::write(dir.path().join("notes.txt"), "mine").unwrap();
        for first in 0..MAX_FILES as u128 + 4 {
            store.save(&(first..first + 64).collect::<Vec<_>>(), &cache(64)).unwrap();
        }
        assert_eq!(dir.path().read_dir().unwrap().count(), MAX_FILES + 1);
        assert!(dir.path().join("notes.txt").exists());
    }
}
