//! What was made of images before: an unchanged screenshot is not looked at twice, and of a changed one
//! only the windows that did change go through the first blocks of the tower.

use std::hash::Hash;
use std::sync::Arc;

use candle_core::Tensor;
use image::RgbImage;
use lru::LruCache;

use crate::qwen2_5_vl::vision::Grid;

/// Names an image by its content as the model sees it.
pub(crate) type ContentHash = u128;

/// What the vision tower made of images.
pub(crate) struct VisionCache {
    /// The features of images, `(merged patches, c)`.
    pub(crate) features: Recent<ContentHash, Tensor>,
    /// The windows of the last image of each grid.
    pub(crate) windows: Recent<Grid, Windows>,
    /// Windows that were as in an earlier image, and that were not.
    pub(crate) window_counts: (u64, u64),
}

impl VisionCache {
    /// Holds at most `limit` bytes; 0 switches it off.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            features: Recent::new(limit / 2),
            windows: Recent::new(limit / 2),
            window_counts: (0, 0),
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.features.clear();
        self.windows.clear();
    }
}

/// An image, and what the blocks before the first that attends to all of it made of its windows.
#[derive(Clone)]
pub(crate) struct Windows {
    /// One, as large as the model sees it.
    pub(crate) frames: Arc<[RgbImage]>,
    /// `(p, c)`, window by window.
    pub(crate) hidden: Tensor,
}

impl Windows {
    /// Returns how much memory it takes.
    pub(crate) fn byte_len(&self) -> usize {
        byte_len(&self.hidden) + self.frames.iter().map(|frame| frame.len()).sum::<usize>()
    }

    /// Returns the windows, `side` pixels wide and high but at the edges, in which the image differs
    /// from another one of its size, counted row by row.
    pub(crate) fn changed(&self, frames: &[RgbImage], side: u32) -> Vec<usize> {
        let pairs = || self.frames.iter().zip(frames);
        let (width, height) = frames.first().map_or((0, 0), RgbImage::dimensions);
        let mut changed = Vec::new();
        let mut window = 0;
        for top in (0..height).step_by(side as usize) {
            for left in (0..width).step_by(side as usize) {
                let rows = top..height.min(top + side);
                let bytes = |row: u32| {
                    let at = |column| 3 * (row as usize * width as usize + column as usize);
                    at(left)..at(width.min(left + side))
                };
                let differs =
                    |row| pairs().any(|(a, b)| a.as_raw()[bytes(row)] != b.as_raw()[bytes(row)]);
                if rows.into_iter().any(differs) {
                    changed.push(window);
                }
                window += 1;
            }
        }
        changed
    }
}

/// The most recent values, bounded in bytes.
pub(crate) struct Recent<K: Eq + Hash, V> {
    /// Each with its size.
    values: LruCache<K, (V, usize)>,
    bytes: usize,
    limit: usize,
    hits: u64,
    misses: u64,
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    fn new(limit: usize) -> Self {
        Self { values: LruCache::unbounded(), bytes: 0, limit, hits: 0, misses: 0 }
    }

    /// Returns the value of this key, if it is held.
    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        let found = self.values.get(key).map(|(value, _)| value.clone());
        if found.is_some() {
            self.hits += 1;
        } else {
            self.misses += 1;
        }
        found
    }

    /// Remembers a value of so many bytes; what was not used for longest goes.
    pub(crate) fn put(&mut self, key: K, value: V, size: usize) {
        if size > self.limit {
            return;
        }
        if let Some((_, old)) = self.values.put(key, (value, size)) {
            self.bytes -= old;
        }
        self.bytes += size;
        while self.bytes > self.limit {
            let Some((_, (_, old))) = self.values.pop_lru() else { break };
            self.bytes -= old;
        }
    }

    fn clear(&mut self) {
        self.values.clear();
        self.bytes = 0;
    }

    /// Returns how often values were found, and not.
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
        let mut cache = Recent::new(300);
        cache.put(1, 'a', 128);
        cache.put(2, 'b', 128);
        assert!(cache.get(&1).is_some());
        cache.put(3, 'c', 128);
        assert!(cache.get(&2).is_none(), "2 was used longest ago");
        assert!(cache.get(&1).is_some() && cache.get(&3).is_some());
        assert_eq!(cache.counts(), (3, 1));
        let mut off = Recent::new(0);
        off.put(1, 'a', 1);
        assert!(off.get(&1).is_none());
    }

    #[test]
    fn windows_that_differ_are_counted_row_by_row() {
        let before = RgbImage::new(280, 140);
        let hidden = Tensor::zeros((1, 1), DType::F32, &Device::Cpu).unwrap();
        let windows = Windows { frames: Arc::new([before.clone()]), hidden };
        assert_eq!(windows.byte_len(), 280 * 140 * 3 + 4);
        let changed = |at: &[(u32, u32)]| {
            let mut after = before.clone();
            for &(x, y) in at {
                after.get_pixel_mut(x, y).0[2] = 1;
            }
            windows.changed(&[after], 112)
        };
        // Three windows in a row, the last 56 px wide; the second row is 28 px high.
        assert!(changed(&[]).is_empty());
        assert_eq!(changed(&[(111, 111)]), [0]);
        assert_eq!(changed(&[(112, 111), (279, 0)]), [1, 2]);
        assert_eq!(changed(&[(0, 112), (223, 139), (224, 139)]), [3, 4, 5]);
    }
}
