//! Keys and values of prompts that ran before: a prompt that begins like one of them starts where
//! they part.
//!
//! A place in a prompt is named by its token, or, where it stands for a patch of an image, by the
//! image's content and the patch's number: two prompts with different images never share what
//! follows. Attention is causal, so what a place holds depends on nothing after it.

use std::collections::VecDeque;

use candle_core::Result;

use crate::kv_cache::KvCache;

/// The name of one place in a prompt.
pub(crate) type PlaceKey = u128;

/// Returns the name of a text token's place.
pub(crate) fn token_key(id: u32) -> PlaceKey {
    PlaceKey::from(id)
}

/// Returns the name of the place of patch `index` of the content with this hash.
pub(crate) fn media_key(content: u128, index: usize) -> PlaceKey {
    // The highest bit keeps it apart from every token; the index is spread over all others.
    let spread = (index as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    (content ^ spread) | (1 << 127)
}

/// Returns how many places two sequences have in common from their beginning.
pub(crate) fn shared_len(a: &[PlaceKey], b: &[PlaceKey]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Finished sequences, the most recently used last, bounded in bytes.
pub(crate) struct PrefixCache {
    entries: VecDeque<Entry>,
    limit: usize,
    hits: u64,
    misses: u64,
}

struct Entry {
    keys: Vec<PlaceKey>,
    cache: KvCache,
}

/// Shorter common beginnings are not worth a copy.
pub(crate) const MIN_SHARED: usize = 16;

impl PrefixCache {
    /// Holds at most `limit` bytes of keys and values; 0 switches it off.
    pub(crate) fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), limit, hits: 0, misses: 0 }
    }

    /// Returns a cache with the longest remembered beginning of `keys`, in room for `capacity`
    /// tokens. At least the last place is left out: its logits are needed.
    pub(crate) fn take(&mut self, keys: &[PlaceKey], capacity: usize) -> Result<Option<KvCache>> {
        let taken = self.take_longer(keys, capacity, 0)?;
        if taken.is_some() {
            self.hits += 1;
        } else {
            self.misses += 1;
        }
        Ok(taken)
    }

    /// As [`take`](Self::take), if it is worth a copy beside the `held` places one has already; such
    /// a second look is not counted.
    pub(crate) fn take_longer(
        &mut self,
        keys: &[PlaceKey],
        capacity: usize,
        held: usize,
    ) -> Result<Option<KvCache>> {
        let most = &keys[..keys.len().saturating_sub(1)];
        let entries = self.entries.iter().enumerate();
        let lens = entries.map(|(at, entry)| (at, shared_len(&entry.keys, most)));
        let best = lens.max_by_key(|&(_, len)| len).filter(|&(_, len)| len >= held + MIN_SHARED);
        let Some((at, len)) = best else { return Ok(None) };
        let Some(entry) = self.entries.remove(at) else { return Ok(None) };
        if len == entry.keys.len() {
            // The whole entry goes on as this sequence, and comes back longer.
            return Ok(Some(entry.cache));
        }
        let copy = entry.cache.copy_prefix(len, capacity);
        self.entries.push_back(entry);
        copy.map(Some)
    }

    /// Remembers a finished sequence. One that is the beginning of another is not kept twice.
    pub(crate) fn put(&mut self, keys: Vec<PlaceKey>, cache: KvCache) {
        if self.limit == 0 || keys.len() < MIN_SHARED || keys.len() != cache.len() {
            return;
        }
        if self.entries.iter().any(|entry| entry.keys.starts_with(&keys)) {
            return;
        }
        self.entries.retain(|entry| !keys.starts_with(&entry.keys));
        self.entries.push_back(Entry { keys, cache });
        let mut bytes: usize = self.entries.iter().map(|entry| entry.cache.byte_len()).sum();
        while bytes > self.limit {
            let Some(oldest) = self.entries.pop_front() else { break };
            bytes -= oldest.cache.byte_len();
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Returns how often a beginning was found, and not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};

    fn keys(tokens: impl IntoIterator<Item = u32>) -> Vec<PlaceKey> {
        tokens.into_iter().map(token_key).collect()
    }

    /// A cache that holds one number per token.
    fn cache(keys: &[PlaceKey]) -> KvCache {
        let mut cache = KvCache::new(1);
        let values: Vec<f32> = keys.iter().map(|&key| key as f32).collect();
        let tokens = Tensor::from_slice(&values, (1, values.len(), 1), &Device::Cpu).unwrap();
        cache.layer_mut(0).append(&tokens, &tokens).unwrap();
        cache
    }

    fn put(prefixes: &mut PrefixCache, tokens: impl IntoIterator<Item = u32>) {
        let keys = keys(tokens);
        let cache = cache(&keys);
        prefixes.put(keys, cache);
    }

    #[test]
    fn the_longest_shared_beginning_is_found_and_the_last_place_left_out() {
        let mut prefixes = PrefixCache::new(1 << 20);
        put(&mut prefixes, 0..40);
        put(&mut prefixes, (0..30).chain(100..120));
        let asked = keys((0..30).chain(100..105).chain(7..9));
        assert_eq!(prefixes.take(&asked, 64).unwrap().unwrap().len(), 35);
        // The same prompt again: all but its last place.
        assert_eq!(prefixes.take(&keys(0..40), 64).unwrap().unwrap().len(), 39);
        assert!(prefixes.take(&keys(50..90), 64).unwrap().is_none());
        assert_eq!(prefixes.counts(), (2, 1));
    }

    #[test]
    fn another_image_in_the_same_place_is_not_shared() {
        let prompt = |content: u128| {
            let image = (0..20).map(move |patch| media_key(content, patch));
            keys(0..20).into_iter().chain(image).chain(keys(30..60)).collect::<Vec<_>>()
        };
        let mut prefixes = PrefixCache::new(1 << 20);
        let first = prompt(5);
        let held = cache(&first);
        prefixes.put(first, held);
        assert_eq!(prefixes.take(&prompt(6), 99).unwrap().unwrap().len(), 20);
        assert_eq!(prefixes.take(&prompt(5), 99).unwrap().unwrap().len(), 69);
    }

    #[test]
    fn an_extended_sequence_replaces_its_beginning_and_the_oldest_goes() {
        let mut prefixes = PrefixCache::new(3 * 256 * 8 - 1);
        put(&mut prefixes, 0..20);
        put(&mut prefixes, 0..30);
        assert_eq!(prefixes.entries.len(), 1);
        put(&mut prefixes, 100..130);
        put(&mut prefixes, 200..230);
        assert_eq!(prefixes.entries.len(), 2, "room for two buffers of 256 places");
        assert!(prefixes.take(&keys(0..30), 99).unwrap().is_none(), "the oldest went");
    }
}
