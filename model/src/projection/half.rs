//! Weights kept in 16 bits on the CPU, where arithmetic is in f32: half of f32's memory, and exactly
//! the numbers of the checkpoint.
//!
//! candle's own product of 16-bit tensors widens all of the weights on every call.

use candle_core::{Result, Tensor};
use half::{bf16, f16};

use super::gather;
use crate::kernels::multiply_few;
use crate::kernels::rows::{Dense, Rows, Weights};

/// A matrix of 16-bit weights, `(rows, cols)`.
pub(super) struct HalfMatrix {
    cols: usize,
    weights: HalfWeights,
}

/// 16-bit numbers.
#[derive(Debug)]
pub(crate) enum HalfWeights {
    Bf16(Vec<bf16>),
    F16(Vec<f16>),
}

impl HalfWeights {
    fn len(&self) -> usize {
        match self {
            Self::Bf16(weights) => weights.len(),
            Self::F16(weights) => weights.len(),
        }
    }
}

impl HalfMatrix {
    /// `weights` are row by row, `cols` each.
    pub(super) fn new(weights: HalfWeights, cols: usize) -> Self {
        debug_assert!(weights.len().is_multiple_of(cols.max(1)));
        Self { cols, weights }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        2 * self.weights.len()
    }

    pub(super) fn dims(&self) -> (usize, usize) {
        (self.weights.len() / self.cols.max(1), self.cols)
    }

    /// Shows the weights to a product of many rows.
    pub(super) fn with_weights<T>(&self, show: impl FnOnce(&dyn Weights) -> T) -> T {
        let cols = self.cols;
        match &self.weights {
            HalfWeights::Bf16(weights) => show(&Dense { weights, cols }),
            HalfWeights::F16(weights) => show(&Dense { weights, cols }),
        }
    }

    /// Multiplies few rows of activations: `(n, cols)` → `(n, rows)`.
    pub(super) fn multiply_few(&self, xs: &[f32], n: usize) -> Vec<f32> {
        let cols = self.cols;
        match &self.weights {
            HalfWeights::Bf16(weights) => multiply_few(&Dense { weights, cols }, xs, n),
            HalfWeights::F16(weights) => multiply_few(&Dense { weights, cols }, xs, n),
        }
    }

    /// Looks up rows: `(s,)` → `(s, cols)` in f32.
    pub(super) fn select(&self, indices: &Tensor) -> Result<Tensor> {
        let cols = self.cols;
        gather(indices, self.dims(), |row, out| match &self.weights {
            HalfWeights::Bf16(weights) => Dense { weights, cols }.widen(row, 0, out),
            HalfWeights::F16(weights) => Dense { weights, cols }.widen(row, 0, out),
        })
    }
}
