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
mod text;

use candle_core::{Device, Result, Tensor};

use crate::kv_cache::KvCache;
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
    device: Device,
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
        let lm_head = if config.text.tie_word_embeddings || !loader.contains("lm_head.weight") {
            model.embedding_matrix().clone()
        } else {
            loader.pp("lm_head").projection_no_bias(c, v)?
        };
        Ok(Self {
            visual: VisionTower::new(&config.vision, &loader.pp("visual"))?,
            model,
            lm_head,
            config: config.clone(),
            device: loader.device().clone(),
        })
    }

    /// Returns the sizes the model was built with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns where the tensors live.
    pub fn device(&self) -> &Device {
        &self.device
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

    /// Returns the embeddings of `token_ids`, `(s, c)`, the rows of image placeholders replaced by
    /// `image_features` in order.
    ///
    /// # Errors
    ///
    /// Fails if there are not as many features as placeholders.
    pub fn embed(&self, token_ids: &[u32], image_features: Option<&Tensor>) -> Result<Tensor> {
        let ids = Tensor::from_slice(token_ids, token_ids.len(), &self.device)?;
        let embeddings = self.model.embed(&ids)?; // (s, c)
        let placeholders: Vec<u32> = (0..)
            .zip(token_ids)
            .filter(|&(_, &id)| id == self.config.image_token_id)
            .map(|(at, _)| at)
            .collect();
        let n_features = image_features.map_or(Ok(0), |features| features.dim(0))?;
        if placeholders.len() != n_features {
            candle_core::bail!(
                "{} image placeholders in the prompt but {n_features} image features",
                placeholders.len()
            );
        }
        let Some(features) = image_features else { return Ok(embeddings) };
        // One gather over [embeddings; features] puts every feature in its place.
        let s = token_ids.len() as u32;
        let mut source: Vec<u32> = (0..s).collect();
        for (feature, &at) in (0..).zip(&placeholders) {
            source[at as usize] = s + feature;
        }
        let source = Tensor::from_vec(source, token_ids.len(), &self.device)?;
        Tensor::cat(&[&embeddings, features], 0)?.index_select(&source, 0)
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
        let text = &self.config.text;
        let rotary = RotaryTable::text(
            position_ids,
            text.head_dim(),
            text.rope_theta,
            text.mrope_section,
            &self.device,
        )?;
        self.model.forward(embeddings, &rotary, cache)
    }

    /// Returns the logits of the given hidden states: `(n, c)` → `(n, v)`.
    ///
    /// # Errors
    ///
    /// Fails if memory runs out.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.lm_head.forward(hidden)
    }
}
