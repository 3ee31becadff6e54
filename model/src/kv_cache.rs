//! Keys and values of the tokens a sequence has already been through.
//!
//! The caller of `forward` owns the cache, so the model itself has no state: a sequence can be cut
//! back ([`KvCache::truncate`]) and continued another way without running its start again.

use candle_core::{Result, Tensor};

/// The cache of one sequence, all layers.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<LayerCache>,
}

impl KvCache {
    /// Returns an empty cache for a model of `num_layers` decoder layers.
    pub fn new(num_layers: usize) -> Self {
        Self { layers: (0..num_layers).map(|_| LayerCache::default()).collect() }
    }

    /// Returns the number of tokens held.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.len)
    }

    /// Returns whether no token is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all tokens but the first `len`; no effect if there are fewer.
    pub fn truncate(&mut self, len: usize) {
        for layer in &mut self.layers {
            layer.len = layer.len.min(len);
        }
    }

    /// Forgets all tokens and keeps the memory.
    pub fn reset(&mut self) {
        self.truncate(0);
    }

    /// Returns the memory taken, room for tokens to come included.
    pub fn byte_len(&self) -> usize {
        self.layers.iter().map(LayerCache::byte_len).sum()
    }

    /// Returns an independent cache of the first `len` tokens, with room for `capacity`.
    ///
    /// # Errors
    ///
    /// Fails if memory runs out.
    pub fn copy_prefix(&self, len: usize, capacity: usize) -> Result<Self> {
        let layers = self.layers.iter().map(|layer| layer.copy_prefix(len, capacity));
        Ok(Self { layers: layers.collect::<Result<_>>()? })
    }

    /// Makes room for `capacity` tokens at once, so that the buffers need not grow on the way.
    pub(crate) fn reserve(&mut self, capacity: usize) {
        for layer in &mut self.layers {
            layer.reserved = layer.reserved.max(capacity);
        }
    }

    pub(crate) fn num_layers(&self) -> usize {
        self.layers.len()
    }

    /// The first `len` keys and values of a layer, `(kv, len, d)` each; nothing if it has fewer.
    pub(crate) fn held(&self, layer: usize, len: usize) -> Result<Option<(Tensor, Tensor)>> {
        self.layers[layer].held(len)
    }

    pub(crate) fn layer_mut(&mut self, layer: usize) -> &mut LayerCache {
        &mut self.layers[layer]
    }
}

/// The smallest number of tokens room is made for.
const MIN_CAPACITY: usize = 256;

/// One decoder layer's keys and values. Not `Clone`: the buffers are written in place, so a clone
/// would be written through.
#[derive(Debug, Default)]
pub(crate) struct LayerCache {
    buffers: Option<Buffers>,
    len: usize,
    /// Tokens for which room is made when the first buffers are.
    reserved: usize,
}

/// Room for keys and values, `(kv, capacity, d)` each.
#[derive(Debug)]
struct Buffers {
    keys: Tensor,
    values: Tensor,
}

impl LayerCache {
    /// Adds `s` tokens, `(kv, s, d)` each, and returns all `t` keys and values, `(kv, t, d)`.
    pub(crate) fn append(&mut self, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor)> {
        let (kv, s, d) = keys.dims3()?;
        let needed = self.len + s;
        let capacity = self.buffers.as_ref().map_or(0, |buffers| buffers.keys.dims()[1]);
        if needed > capacity {
            let capacity = needed.max(2 * capacity).max(MIN_CAPACITY).max(self.reserved);
            let room = || Tensor::zeros((kv, capacity, d), keys.dtype(), keys.device());
            let grown = Buffers { keys: room()?, values: room()? };
            if let Some(old) = self.buffers.take().filter(|_| self.len > 0) {
                let held = |xs: &Tensor| xs.narrow(1, 0, self.len)?.contiguous();
                grown.keys.slice_set(&held(&old.keys)?, 1, 0)?;
                grown.values.slice_set(&held(&old.values)?, 1, 0)?;
            }
            self.buffers = Some(grown);
        }
        let buffers = self.buffers.as_ref().expect("room was made above");
        buffers.keys.slice_set(&keys.contiguous()?, 1, self.len)?;
        buffers.values.slice_set(&values.contiguous()?, 1, self.len)?;
        self.len = needed;
        Ok((buffers.keys.narrow(1, 0, needed)?, buffers.values.narrow(1, 0, needed)?))
    }

    fn held(&self, len: usize) -> Result<Option<(Tensor, Tensor)>> {
        let Some(buffers) = self.buffers.as_ref().filter(|_| len <= self.len) else {
            return Ok(None);
        };
        let held = |xs: &Tensor| xs.narrow(1, 0, len)?.contiguous();
        Ok(Some((held(&buffers.keys)?, held(&buffers.values)?)))
    }

    fn copy_prefix(&self, len: usize, capacity: usize) -> Result<Self> {
        let mut copy = Self { reserved: capacity, ..Self::default() };
        let len = len.min(self.len);
        if let Some(buffers) = self.buffers.as_ref().filter(|_| len > 0) {
            copy.append(&buffers.keys.narrow(1, 0, len)?, &buffers.values.narrow(1, 0, len)?)?;
        }
        Ok(copy)
    }

    fn byte_len(&self) -> usize {
        let Some(buffers) = &self.buffers else { return 0 };
        let bytes = |xs: &Tensor| xs.elem_count() * xs.dtype().size_in_bytes();
        bytes(&buffers.keys) + bytes(&buffers.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn tokens(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, (1, values.len(), 1), &Device::Cpu).unwrap()
    }

    fn held(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn tokens_survive_growth_and_truncation() {
        let mut cache = KvCache::new(1);
        let many: Vec<f32> = (0..300_u16).map(f32::from).collect();
        let layer = cache.layer_mut(0);
        layer.append(&tokens(&many[..200]), &tokens(&many[..200])).unwrap();
        let (keys, values) = layer.append(&tokens(&many[200..]), &tokens(&many[200..])).unwrap();
        assert_eq!(held(&keys), many);
        assert_eq!(held(&values), many);
        cache.truncate(2);
        assert_eq!(cache.len(), 2);
        let (keys, _) = cache.layer_mut(0).append(&tokens(&[7.0]), &tokens(&[7.0])).unwrap();
        assert_eq!(held(&keys), [0.0, 1.0, 7.0]);
        cache.reset();
        assert!(cache.is_empty());
    }
}
