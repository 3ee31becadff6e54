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
pub(crate) mod rows;

mod dots;
mod exp;
mod int8;
mod packed;
mod panels;

use candle_core::{CpuStorage, DType, Result, Storage, Tensor};

use rows::Rows;

/// Multiplies `n` rows of activations, one after another, with weights that are turned to f32:
/// `(n, in)` → `(n, out)`. Up to `few_rows` of them row by row.
pub(crate) fn multiply(weights: &impl Rows, xs: &[f32], n: usize, few_rows: usize) -> Vec<f32> {
    if n <= few_rows { dots::matmul(weights, xs, n) } else { panels::matmul(weights, xs, n) }
}

/// As [`multiply`], but of many rows both sides are rounded to 8 bits where that is faster.
pub(crate) fn multiply_rounded(
    weights: &impl Rows,
    xs: &[f32],
    n: usize,
    few_rows: usize,
) -> Vec<f32> {
    match int8::Kernel::fast() {
        Some(kernel) if n > few_rows => int8::matmul(kernel, weights, xs, n),
        _ => multiply(weights, xs, n, few_rows),
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
