//! The merger: four patches of the vision tower → one token of the text decoder.
//!
//! # Source
//!
//! `Qwen2_5_VLPatchMerger` in `modeling_qwen2_5_vl.py` of transformers 4.49.0. Its GELU is the
//! exact one (erf), not the tanh approximation.

use candle_core::{Result, Tensor};
use candle_nn::{Module, RmsNorm};

use super::config::VisionConfig;
use crate::projection::Projection;
use crate::weights::{Loaded, Loader};

/// `visual.merger`
#[derive(Clone, Debug)]
pub(crate) struct PatchMerger {
    ln_q: RmsNorm,
    mlp_0: Projection,
    mlp_2: Projection,
    merged_size: usize,
}

impl PatchMerger {
    pub(crate) fn new(config: &VisionConfig, loader: &Loader<'_>) -> Loaded<Self> {
        let merged_size = config.hidden_size * config.spatial_merge_size.pow(2);
        let mlp = loader.pp("mlp");
        Ok(Self {
            ln_q: loader.pp("ln_q").rms_norm(config.hidden_size, 1e-6)?,
            mlp_0: mlp.pp("0").projection(merged_size, merged_size)?,
            mlp_2: mlp.pp("2").projection(merged_size, config.out_hidden_size)?,
            merged_size,
        })
    }

    /// `(p, c)` → `(p / 4, out)`
    pub(crate) fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let xs = self.ln_q.forward(xs)?.reshape(((), self.merged_size))?;
        self.mlp_2.forward(&self.mlp_0.forward(&xs)?.gelu_erf()?)
    }
}
