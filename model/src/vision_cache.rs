//! Features of images that were encoded before: an unchanged screenshot is not looked at twice.

use candle_core::Tensor;
use lru::LruCache;

/// Names an image by its content as the model sees it.
pub(crate) type ContentHash = u128;

/// The most recent features, bounded in bytes.
pub(crate) struct VisionCache {
    features: LruCache<ContentHash, Tensor>,
    bytes: usize,
    limit: usize,
    hits: u64,
    misses: u64,
}

impl VisionCache {
    /// Holds at most `limit` bytes; 0 switches it off.
    pub(crate) fn new(limit: usize) -> Self {
        Self { features: LruCache::unbounded(), bytes: 0, limit, hits: 0, misses: 0 }
    }

    /// Returns the features of this content, `(merged patches, c)`, if they are held.
    pub(crate) fn get(&mut self, content: ContentHash) -> Option<Tensor> {
        let found = self.features.get(&content).cloned();
        if found.is_some() {
            self.hits += 1;
        } else {
            self.misses += 1;
        }
        found
    }

    /// Remembers features; what was not used for longest goes.
    pub(crate) fn put(&mut self, content: ContentHash, features: &Tensor) {
        let size = byte_len(features);
        if size > self.limit {
            return;
        }
        if let Some(old) = self.features.put(content, features.clone()) {
            self.bytes -= byte_len(&old);
        }
        self.bytes += size;
        while self.bytes > self.limit {
            let Some((_, old)) = self.features.pop_lru() else { break };
            self.bytes -= byte_len(&old);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.features.clear();
        self.bytes = 0;
    }

    /// Returns how often features were found, and not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }
}

/// The memory a tensor's values take.
pub(crate) fn byte_len(tensor: &Tensor) -> usize {
    tensor.elem_count() * tensor.dtype().size_in_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn the_least_recently_used_goes_when_there_is_no_room() {
        let features = Tensor::zeros((4, 8), DType::F32, &Device::Cpu).unwrap(); // 128 bytes
        let mut cache = VisionCache::new(300);
        cache.put(1, &features);
        cache.put(2, &features);
        assert!(cache.get(1).is_some());
        cache.put(3, &features);
        assert!(cache.get(2).is_none(), "2 was used longest ago");
        assert!(cache.get(1).is_some() && cache.get(3).is_some());
        assert_eq!(cache.counts(), (3, 1));
        let mut off = VisionCache::new(0);
        off.put(1, &features);
        assert!(off.get(1).is_none());
    }
}
