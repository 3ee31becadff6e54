//! Weights kept in 16 bits on the CPU, where arithmetic is in f32.
//!
//! Half of f32's memory, and exactly the numbers of the checkpoint. Few rows of activations (decoding)
//! are multiplied while the weights are widened, a block at a time in the cache: that is as fast as
//! memory can be read. Many rows (a prompt, an image) share a tile of widened weights, which the f32
//! matrix product then uses.
//!
//! candle's own product of bf16 tensors widens all of the weights on every call.
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the widest registers"
)]

use candle_core::{Device, Result, Tensor};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{TILE_ELEMENTS, gather, join_columns, with_rows};

/// The most rows of activations for which weights are widened in the cache rather than in tiles.
/// From measurements at the shapes of the 3B: below, tiles cost more than they save.
const FEW_ROWS: usize = 16;

/// Weights widened at once in the cache.
const BLOCK: usize = 256;

/// Rows of weights that one task of a parallel loop handles.
const TASK_ROWS: usize = 32;

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

/// Some of them.
#[derive(Clone, Copy)]
enum HalfSlice<'a> {
    Bf16(&'a [bf16]),
    F16(&'a [f16]),
}

impl HalfWeights {
    fn len(&self) -> usize {
        match self {
            Self::Bf16(weights) => weights.len(),
            Self::F16(weights) => weights.len(),
        }
    }

    fn slice(&self, start: usize, len: usize) -> HalfSlice<'_> {
        match self {
            Self::Bf16(weights) => HalfSlice::Bf16(&weights[start..start + len]),
            Self::F16(weights) => HalfSlice::F16(&weights[start..start + len]),
        }
    }
}

impl HalfSlice<'_> {
    /// Writes the weights in f32.
    #[inline(always)]
    fn widen(self, out: &mut [f32]) {
        match self {
            Self::Bf16(weights) => {
                for (out, weight) in out.iter_mut().zip(weights) {
                    // A bf16 is the upper half of an f32.
                    *out = f32::from_bits(u32::from(weight.to_bits()) << 16);
                }
            }
            Self::F16(weights) => weights.convert_to_f32_slice(out),
        }
    }
}

impl HalfMatrix {
    /// `weights` are row by row, `cols` each.
    pub(super) fn new(weights: HalfWeights, cols: usize) -> Self {
        debug_assert!(weights.len().is_multiple_of(cols.max(1)));
        Self { cols, weights }
    }

    fn rows(&self) -> usize {
        self.weights.len() / self.cols.max(1)
    }

    pub(super) fn bytes(&self) -> usize {
        2 * self.weights.len()
    }

    pub(super) fn dims(&self) -> (usize, usize) {
        (self.rows(), self.cols)
    }

    /// `(n, cols)` → `(n, rows)`, both f32 on the CPU.
    pub(super) fn matmul(&self, xs: &Tensor) -> Result<Tensor> {
        let (n, cols) = xs.dims2()?;
        if cols != self.cols {
            candle_core::bail!("activations of width {cols} meet weights of width {}", self.cols);
        }
        if n > FEW_ROWS {
            return self.matmul_in_tiles(xs);
        }
        let ys = with_rows(xs, |xs| self.dots(xs, n))?; // (rows, n)
        let ys = Tensor::from_vec(ys, (self.rows(), n), &Device::Cpu)?;
        if n == 1 { ys.reshape((1, self.rows())) } else { ys.t()?.contiguous() }
    }

    /// Multiplies every row of weights with `n` rows of `xs`: `(n, cols)` → `(rows, n)`.
    fn dots(&self, xs: &[f32], n: usize) -> Vec<f32> {
        let arch = Arch::new();
        let mut ys = vec![0.0; self.rows() * n];
        ys.par_chunks_mut(TASK_ROWS * n).enumerate().for_each(|(task, ys)| {
            for (row, ys) in (task * TASK_ROWS..).zip(ys.chunks_mut(n)) {
                let weights = self.weights.slice(row * self.cols, self.cols);
                let pairs = ys.chunks_mut(4).zip(xs.chunks(4 * self.cols));
                for (ys, xs) in pairs {
                    match ys.len() {
                        4 => ys.copy_from_slice(&arch.dispatch(Dots::<4> { weights, xs })),
                        3 => ys.copy_from_slice(&arch.dispatch(Dots::<3> { weights, xs })),
                        2 => ys.copy_from_slice(&arch.dispatch(Dots::<2> { weights, xs })),
                        _ => ys.copy_from_slice(&arch.dispatch(Dots::<1> { weights, xs })),
                    }
                }
            }
        });
        ys
    }

    fn matmul_in_tiles(&self, xs: &Tensor) -> Result<Tensor> {
        let tile_rows = (TILE_ELEMENTS / self.cols).max(TASK_ROWS);
        let tiles = (0..self.rows()).step_by(tile_rows).map(|start| {
            let rows = tile_rows.min(self.rows() - start);
            let tile = Tensor::from_vec(self.widen(start, rows), (rows, self.cols), &Device::Cpu)?;
            xs.matmul(&tile.t()?)
        });
        join_columns(tiles, self.rows())
    }

    /// Widens some rows.
    fn widen(&self, start: usize, rows: usize) -> Vec<f32> {
        let arch = Arch::new();
        let mut tile = vec![0.0; rows * self.cols];
        let task_len = TASK_ROWS * self.cols;
        tile.par_chunks_mut(task_len).enumerate().for_each(|(task, out)| {
            let weights = self.weights.slice(start * self.cols + task * task_len, out.len());
            arch.dispatch(Widen { weights, out });
        });
        tile
    }

    /// Looks up rows: `(s,)` → `(s, cols)` in f32.
    pub(super) fn select(&self, indices: &Tensor) -> Result<Tensor> {
        gather(indices, self.dims(), |row, out| {
            self.weights.slice(row * self.cols, self.cols).widen(out);
            Ok(())
        })
    }
}

/// Dot products of one row of weights with `N` rows of activations, which follow one another.
struct Dots<'a, const N: usize> {
    weights: HalfSlice<'a>,
    xs: &'a [f32],
}

impl<const N: usize> WithSimd for Dots<'_, N> {
    type Output = [f32; N];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f32; N] {
        match self.weights {
            HalfSlice::Bf16(weights) => {
                dots(simd, weights, self.xs, |block, out| HalfSlice::Bf16(block).widen(out))
            }
            HalfSlice::F16(weights) => {
                dots(simd, weights, self.xs, |block, out| HalfSlice::F16(block).widen(out))
            }
        }
    }
}

#[inline(always)]
fn dots<S: Simd, H, const N: usize>(
    simd: S,
    weights: &[H],
    xs: &[f32],
    widen: impl Fn(&[H], &mut [f32]),
) -> [f32; N] {
    const CHAINS: usize = 4; // additions that do not wait for each other
    let cols = weights.len();
    let mut sums = [[simd.splat_f32s(0.0); CHAINS]; N];
    let mut buffer = [0.0; BLOCK];
    for (block, weights) in weights.chunks(BLOCK).enumerate() {
        let buffer = &mut buffer[..weights.len()];
        widen(weights, buffer);
        let (vectors, tail) = S::as_simd_f32s(buffer);
        let (vectors, rest) = vectors.as_chunks::<CHAINS>();
        for (n, sums) in sums.iter_mut().enumerate() {
            let (x_vectors, x_tail) =
                S::as_simd_f32s(&xs[n * cols + block * BLOCK..][..buffer.len()]);
            let (x_vectors, x_rest) = x_vectors.as_chunks::<CHAINS>();
            for (w, x) in vectors.iter().zip(x_vectors) {
                for chain in 0..CHAINS {
                    sums[chain] = simd.mul_add_e_f32s(w[chain], x[chain], sums[chain]);
                }
            }
            for (w, x) in rest.iter().zip(x_rest) {
                sums[0] = simd.mul_add_e_f32s(*w, *x, sums[0]);
            }
            let (w, x) = (simd.partial_load_f32s(tail), simd.partial_load_f32s(x_tail));
            sums[1] = simd.mul_add_e_f32s(w, x, sums[1]);
        }
    }
    sums.map(|[a, b, c, d]| {
        simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
    })
}

/// Widens some weights with the widest instructions there are.
struct Widen<'a> {
    weights: HalfSlice<'a>,
    out: &'a mut [f32],
}

impl WithSimd for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        self.weights.widen(self.out);
    }
}
