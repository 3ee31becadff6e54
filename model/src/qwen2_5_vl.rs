//! The whole model: vision tower, text decoder and lm head.
//!
//! # Source
//!
//! `Qwen2_5_VLForConditionalGeneration` in `modeling_qwen2_5_vl.py` of transformers 4.49.0.

pub mod config;
pub mod rope;
pub mod vision;
pub mod window;

mod attention;
mod merger;
mod mlp;
mod text;

pub use text::Segment;

use candle_core::{Result, Tensor};

use crate::kv_cache::KvCache;
use crate::placement::Place;
use crate::projection::Projection;
use crate::weights::{Loaded, Loader};
use config::Config;
use rope::RotaryTable;
use text::TextDecoder;
use vision::{Grid, VisionTower};

/// The tensors of one checkpoint.
#[derive(Clone, Debug)]
pub struct Qwen25Vl {
    visual: VisionTower,
    model: TextDecoder,
    lm_head: Projection,
    config: Config,
    /// Where the lm head is.
    head: Place,
}

impl Qwen25Vl {
    /// Builds the model from weights in the original tensor names.
    ///
    /// # Errors
    ///
    /// Fails if a tensor is missing or its shape contradicts `config`.
    pub(crate) fn new(config: &Config, loader: &Loader<'_>) -> Loaded<Self> {
        let model = TextDecoder::new(&config.text, &loader.pp("model"))?;
        let (c, v) = (config.text.hidden_size, config.text.vocab_size);
        let (lm_head, head) =
            if config.text.tie_word_embeddings || !loader.contains("lm_head.weight") {
                (model.embedding_matrix().clone(), model.place().clone())
            } else {
                let loader = loader.pp("lm_head");
                (loader.projection_no_bias(c, v)?, loader.place())
            };
        Ok(Self {
            visual: VisionTower::new(&config.vision, &loader.pp("visual"))?,
            model,
            lm_head,
            config: config.clone(),
            head,
        })
    }

    /// Returns the sizes the model was built with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns where a decoder layer is.
    pub(crate) fn layer_place(&self, layer: usize) -> &Place {
        self.model.layer_place(layer)
    }

    /// Returns the vision tower.
    pub fn visual(&self) -> &VisionTower {
        &self.visual
    }

    /// Returns an empty cache that fits this model.
    pub fn new_cache(&self) -> KvCache {
        KvCache::new(self.config.text.num_hidden_layers)
    }

    /// Returns image features, `(merged patches of all images, c)`; see [`VisionTower::forward`].
    ///
    /// # Errors
    ///
    /// As [`VisionTower::forward`].
    pub fn image_features(&self, pixel_values: &Tensor, grids: &[Grid]) -> Result<Tensor> {
        self.visual.forward(pixel_values, grids)
    }

    /// Returns the embeddings of `token_ids`, `(s, c)`, the rows of image and video placeholders
    /// replaced by `features` in order.
    ///
    /// # Errors
    ///
    /// Fails if there are not as many features as placeholders.
    pub fn embed(&self, token_ids: &[u32], features: Option<&Tensor>) -> Result<Tensor> {
        let placeholders = token_ids.iter().filter(|&&id| self.is_placeholder(id)).count();
        let n_features = features.map_or(Ok(0), |features| features.dim(0))?;
        if placeholders != n_features {
            candle_core::bail!(
                "{placeholders} placeholders in the prompt but {n_features} image features"
            );
        }
        let place = self.model.place();
        let mut used = 0;
        let mut runs = Vec::new();
        for run in token_ids.chunk_by(|&a, &b| self.is_placeholder(a) == self.is_placeholder(b)) {
            if let Some(features) = features.filter(|_| self.is_placeholder(run[0])) {
                runs.push(place.take(&features.narrow(0, used, run.len())?)?);
                used += run.len();
            } else {
                let ids = Tensor::from_slice(run, run.len(), &place.device)?;
                runs.push(place.take(&self.model.embed(&ids)?)?);
            }
        }
        attention::cat_tiles(runs, 0)
    }

    /// Returns whether a token stands for a patch of an image or a video.
    pub fn is_placeholder(&self, token_id: u32) -> bool {
        token_id == self.config.image_token_id || token_id == self.config.video_token_id
    }

    /// Runs `s` tokens after those in `cache` and returns their hidden states, `(s, c)`.
    ///
    /// `position_ids` holds `[time, height, width]` of each; see [`rope::positions`].
    ///
    /// # Errors
    ///
    /// Fails if the lengths disagree or memory runs out.
    pub fn forward(
        &self,
        embeddings: &Tensor,
        position_ids: &[[u32; 3]],
        cache: &mut KvCache,
    ) -> Result<Tensor> {
        let len = position_ids.len();
        self.forward_packed(embeddings, position_ids, &mut [Segment { cache, len }])
    }

    /// Runs the next tokens of several sequences in one pass, packed one after another, and returns
    /// their hidden states, `(s, c)`: each weight is read once for all of them, and no sequence sees
    /// another.
    ///
    /// # Errors
    ///
    /// Fails if the lengths disagree or memory runs out.
    pub fn forward_packed(
        &self,
        embeddings: &Tensor,
        position_ids: &[[u32; 3]],
        segments: &mut [Segment<'_>],
    ) -> Result<Tensor> {
        self.forward_while(embeddings, position_ids, segments, &mut || Ok(()))
    }

    /// As [`forward_packed`](Self::forward_packed), as long as `go_on` does not fail, which is asked
    /// after each layer. After that the caches hold different numbers of tokens for different layers.
    pub(crate) fn forward_while(
        &self,
        embeddings: &Tensor,
        position_ids: &[[u32; 3]],
        segments: &mut [Segment<'_>],
        go_on: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Tensor> {
        let packed: usize = segments.iter().map(|segment| segment.len).sum();
        if packed != position_ids.len() || packed != embeddings.dim(0)? {
            candle_core::bail!(
                "{packed} tokens in the segments, {} positions, {} embeddings",
                position_ids.len(),
                embeddings.dim(0)?
            );
        }
        let device = &self.model.place().device;
        let rotary = RotaryTable::text(position_ids, &self.config.text, device)?;
        self.model.forward(embeddings, rotary, segments, go_on)
    }

    /// Returns the logits of the given hidden states: `(n, c)` → `(n, v)`.
    ///
    /// # Errors
    ///
    /// Fails if memory runs out.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.lm_head.forward(&self.head.take(hidden)?)
    }
}
