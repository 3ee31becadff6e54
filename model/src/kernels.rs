//! What is computed on the processor, in f32 or less: products with weights, attention, and the
//! functions between them. Everything here takes and returns numbers, not tensors, and uses all
//! threads; whoever has tensors on a GPU has no business here.
//!
//! Most of it is written once for registers of any width ([`pulp`]) and compiled for several; what
//! runs is chosen by what the processor has. Weights are never kept twice.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the widest registers"
)]

pub(crate) mod attention;
pub(crate) mod elementwise;
pub(crate) mod k_quants;
pub(crate) mod rows;

mod dots;
mod exp;
mod int8;
mod packed;
mod panels;
mod product;
mod scratch;

use candle_core::{CpuStorage, DType, Result, Storage, Tensor};

pub(crate) use product::Linear;
pub(crate) use scratch::Scratch;

use int8::{Integers, Kernel};
use k_quants::{KRows, KType};
use panels::Floats;
use rows::Rows;

/// Multiplies few rows of activations, one after another, with weights that are turned to f32:
/// `(n, in)` → `(n, out)`.
pub(crate) fn multiply_few(weights: &impl Rows, xs: &[f32], n: usize) -> Vec<f32> {
    dots::matmul(weights, xs, n)
}

/// As [`multiply_few`], with activations rounded to 8 bits.
pub(crate) fn multiply_few_rounded<K: KType>(
    weights: &KRows<'_, K>,
    xs: &[f32],
    n: usize,
) -> Vec<f32> {
    int8::dots::matmul(Kernel::fast().unwrap_or(Kernel::Scalar), weights, xs, n)
}

/// Many rows of activations, `(n, in)`, ready to be multiplied.
pub(crate) enum Activations {
    Floats(Floats),
    Integers(Integers),
}

impl Activations {
    /// Takes `n` rows of activations, one after another; in 8 bits if they may be rounded and that is
    /// faster.
    pub(crate) fn new(xs: &[f32], n: usize, cols: usize, rounding: bool) -> Self {
        match Kernel::fast().filter(|_| rounding) {
            Some(kernel) => Self::Integers(Integers::new(kernel, xs, n, cols)),
            None => Self::Floats(Floats::new(xs, n, cols)),
        }
    }

    /// Writes `xs·Wᵀ + b` to `out`, `(n, out)`, and adds `sum` if there is one.
    pub(crate) fn linear(&self, linear: Linear<'_>, sum: Option<&[f32]>, out: &mut [f32]) {
        match self {
            Self::Floats(xs) => product::linear(xs, linear, sum, out),
            Self::Integers(xs) => product::linear(xs, linear, sum, out),
        }
    }

    /// Writes `silu(xs·Gᵀ)·(xs·Uᵀ)`, each with its bias, to `out`, `(n, out)`.
    pub(crate) fn gated(&self, gate: Linear<'_>, up: Linear<'_>, out: &mut [f32]) {
        match self {
            Self::Floats(xs) => product::gated(xs, gate, up, out),
            Self::Integers(xs) => product::gated(xs, gate, up, out),
        }
    }
}

/// Returns whether the numbers of a tensor are what is computed with here.
pub(crate) fn takes(xs: &Tensor) -> bool {
    xs.device().is_cpu() && xs.dtype() == DType::F32
}

/// Shows the numbers of an f32 tensor on the CPU to `use_values`, in row-major order.
///
/// # Errors
///
/// Fails for any other tensor.
pub(crate) fn with_values<T>(xs: &Tensor, use_values: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let xs = xs.contiguous()?;
    with_strides(&xs, |values, _strides| use_values(&values[..xs.elem_count()]))
}

/// Shows the numbers of an f32 tensor on the CPU where they lie: those from its first on, and how far
/// it is from one to the next in each dimension.
///
/// # Errors
///
/// Fails for any other tensor.
pub(crate) fn with_strides<T>(
    xs: &Tensor,
    use_values: impl FnOnce(&[f32], &[usize]) -> T,
) -> Result<T> {
    let (storage, layout) = xs.storage_and_layout();
    match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => {
            Ok(use_values(&values[layout.start_offset()..], layout.stride()))
        }
        _ => candle_core::bail!(
            "this needs f32 numbers on the CPU, not {:?} on {:?}",
            xs.dtype(),
            xs.device()
        ),
    }
}
