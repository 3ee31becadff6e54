//! The merger: four patches of the vision tower → one token of the text decoder.
//!
//! # Source
//!
//! `Qwen2_5_VLPatchMerger` in `modeling_qwen2_5_vl.py` of transformers 4.49.0. Its GELU is the
//! exact one (erf), not the tanh approximation.

use candle_core::{Result, Tensor};
use candle_nn::{Linear, Module, RmsNorm, VarBuilder, linear, rms_norm};

use super::config::VisionConfig;

/// `visual.merger`
#[derive(Clone, Debug)]
pub(crate) struct PatchMerger {
    ln_q: RmsNorm,
    mlp_0: Linear,
    mlp_2: Linear,
    merged_size: usize,
}

impl PatchMerger {
    pub(crate) fn new(config: &VisionConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let merged_size = config.hidden_size * config.spatial_merge_size.pow(2);
        let mlp = vb.pp("mlp");
        Ok(Self {
            ln_q: rms_norm(config.hidden_size, 1e-6, vb.pp("ln_q"))?,
            mlp_0: linear(merged_size, merged_size, mlp.pp("0"))?,
            mlp_2: linear(merged_size, config.out_hidden_size, mlp.pp("2"))?,
            merged_size,
        })
    }

    /// `(p, c)` → `(p / 4, out)`
    pub(crate) fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let xs = self.ln_q.forward(xs)?.reshape(((), self.merged_size))?;
        self.mlp_2.forward(&self.mlp_0.forward(&xs)?.gelu_erf()?)
    }
}
