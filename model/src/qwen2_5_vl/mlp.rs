//! The gated MLP, the same in the vision tower and the text decoder but for its biases.
//!
//! # Source
//!
//! `Qwen2MLP` and `Qwen2_5_VLMLP` in `modeling_qwen2_5_vl.py` of transformers 4.49.0.

use candle_core::{Result, Tensor};

use crate::projection::{Projection, gated_mlp};
use crate::weights::{Loaded, Loader};

/// `mlp`
#[expect(clippy::struct_field_names, reason = "the names are the checkpoint's")]
#[derive(Clone, Debug)]
pub(crate) struct Mlp {
    gate_proj: Projection,
    up_proj: Projection,
    down_proj: Projection,
}

impl Mlp {
    /// Reads an MLP of width `c` that is `i` wide inside.
    pub(crate) fn new(c: usize, i: usize, loader: &Loader<'_>) -> Loaded<Self> {
        Ok(Self {
            gate_proj: loader.pp("gate_proj").projection(c, i)?,
            up_proj: loader.pp("up_proj").projection(c, i)?,
            down_proj: loader.pp("down_proj").projection(i, c)?,
        })
    }

    /// As [`new`](Self::new), without biases.
    pub(crate) fn new_no_bias(c: usize, i: usize, loader: &Loader<'_>) -> Loaded<Self> {
        Ok(Self {
            gate_proj: loader.pp("gate_proj").projection_no_bias(c, i)?,
            up_proj: loader.pp("up_proj").projection_no_bias(c, i)?,
            down_proj: loader.pp("down_proj").projection_no_bias(i, c)?,
        })
    }

    /// Adds the MLP of `xs` to `sum`, both `(s, c)`.
    pub(crate) fn forward_sum(&self, xs: &Tensor, sum: &Tensor) -> Result<Tensor> {
        gated_mlp([&self.gate_proj, &self.up_proj, &self.down_proj], xs, sum)
    }
}
