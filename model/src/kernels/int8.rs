//! Many rows of activations with quantised weights: a matrix product in 8-bit integers, four times as
//! fast as one in f32 where the processor has instructions for it (VNNI).
//!
//! Weights and activations are cut into runs of 256 columns; each run of a row has one scale, so that
//! a large number somewhere makes nothing coarse but its own run. That is how llama.cpp rounds
//! activations for its K types, too. Weights stay in memory as they are stored and are turned into a
//! panel of 8-bit numbers while they are used, as [`panels`](super::panels) does it for f32; against
//! the 4 to 6 bits they come from, what that rounds is nothing.
//!
//! All kernels compute the same integers and round the same way, so results do not depend on which
//! one runs.

mod kernel;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use kernel::Kernel;

use bytemuck::Zeroable;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::packed::{Packed, STEP, join};
use super::rows::Rows;
use kernel::{DEPTH, HEIGHT, Line, Panel, TileProduct, WIDTH, WORD};

/// Registers' worth of results of a row in a panel.
const LINES: usize = WIDTH / 16;

/// Multiplies `n` rows of activations, one after another, with the weights: `(n, in)` → `(n, out)`.
pub(super) fn matmul(kernel: Kernel, weights: &impl Rows, xs: &[f32], n: usize) -> Vec<f32> {
    let arch = Arch::new();
    let (rows, cols) = weights.dims();
    let activations = Activations::new(arch, xs, n, cols);
    let filled = activations.words.filled();
    let mut ys = vec![Line::zeroed(); rows.div_ceil(WIDTH) * filled * LINES];
    ys.par_chunks_mut(filled * LINES).enumerate().for_each_init(
        || Box::new(Panel::zeroed()),
        |panel, (at, ys)| {
            let first = at * WIDTH;
            let count = WIDTH.min(rows - first);
            for (depth, start) in (0..cols).step_by(DEPTH).enumerate() {
                let len = DEPTH.min(cols - start);
                arch.dispatch(Fill { weights, first, count, start, len, panel });
                for tile in activations.words.tiles(depth) {
                    let rows = depth * filled + tile.first..depth * filled + tile.first + tile.rows;
                    kernel.add(TileProduct {
                        panel,
                        xs: tile.values,
                        scales: &activations.scales[rows.clone()],
                        sums: &activations.sums[rows],
                        ys: &mut ys[tile.first * LINES..][..tile.rows * LINES],
                    });
                }
            }
        },
    );
    join(bytemuck::cast_slice(&ys), n, filled, rows, WIDTH)
}

/// Activations in 8 bits.
struct Activations {
    /// Four neighbouring columns to a word.
    words: Packed<[i8; WORD]>,
    /// For every depth, for every row: what its numbers are multiplied with.
    scales: Vec<f32>,
    /// For every depth, for every row: the sum of its 8-bit numbers.
    sums: Vec<i32>,
}

impl Activations {
    fn new(arch: Arch, xs: &[f32], n: usize, cols: usize) -> Self {
        let words_per_row = cols.div_ceil(WORD);
        let depths = cols.div_ceil(DEPTH);
        let filled = n.next_multiple_of(STEP);
        let mut words = vec![[0; WORD]; n * words_per_row];
        let mut row_scales = vec![(0.0, 0); n * depths]; // (n, depths)
        words
            .par_chunks_mut(words_per_row)
            .zip(row_scales.par_chunks_mut(depths))
            .zip(xs.par_chunks(cols))
            .for_each(|((words, scales), xs)| {
                let parts = words.chunks_mut(DEPTH / WORD).zip(xs.chunks(DEPTH));
                for ((words, xs), scale) in parts.zip(scales) {
                    *scale = arch.dispatch(Quantize { xs, out: words.as_flattened_mut() });
                }
            });
        let mut scales = vec![0.0; depths * filled];
        let mut sums = vec![0; depths * filled];
        for (row, row_scales) in row_scales.chunks(depths).enumerate() {
            for (depth, &(scale, sum)) in row_scales.iter().enumerate() {
                scales[depth * filled + row] = scale;
                sums[depth * filled + row] = sum;
            }
        }
        let words = Packed::new(&words, n, words_per_row, HEIGHT, DEPTH / WORD);
        Self { words, scales, sums }
    }
}

/// Rounds numbers to 8 bits: `xs ≈ scale · out`. Returns the scale, which is no number if one of
/// `xs` is not finite, and the sum of `out`.
struct Quantize<'a> {
    xs: &'a [f32],
    out: &'a mut [i8],
}

impl WithSimd for Quantize<'_> {
    type Output = (f32, i32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f32, i32) {
        let Self { xs, out } = self;
        let (scale, inverse) = scale_of(simd, xs);
        let mut sum = 0;
        for (out, &x) in out.iter_mut().zip(xs) {
            let level = (x * inverse).round_ties_even() as i32;
            sum += level;
            *out = level as i8;
        }
        (scale, sum)
    }
}

/// Returns what takes the largest of `xs` to 127, and the other way round.
#[inline(always)]
fn scale_of<S: Simd>(simd: S, xs: &[f32]) -> (f32, f32) {
    let (vectors, rest) = S::as_simd_f32s(xs);
    let mut largest = simd.splat_f32s(0.0);
    let mut poison = simd.splat_f32s(0.0); // stays 0, but for what is not finite
    for &x in vectors {
        largest = simd.max_f32s(largest, simd.abs_f32s(x));
        poison = simd.mul_add_e_f32s(x, simd.splat_f32s(0.0), poison);
    }
    let mut largest = simd.reduce_max_f32s(largest);
    let mut poison = simd.reduce_sum_f32s(poison);
    for &x in rest {
        largest = largest.max(x.abs());
        poison += x * 0.0;
    }
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    (largest / 127.0 + poison, inverse)
}

/// Turns some rows of weights into a panel.
struct Fill<'a, R> {
    weights: &'a R,
    first: usize,
    count: usize,
    start: usize,
    len: usize,
    panel: &'a mut Panel,
}

impl<R: Rows> WithSimd for Fill<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weights, first, count, start, len, panel } = self;
        let mut row = [0.0; DEPTH];
        let mut levels = [[0; WORD]; DEPTH / WORD];
        panel.words = len.div_ceil(WORD);
        for at in 0..WIDTH {
            let scale = if at < count {
                let row = &mut row[..len];
                weights.widen(first + at, start, row);
                let (scale, inverse) = scale_of(simd, row);
                // What a row does not fill is left over from another one, or 0.
                levels[panel.words - 1] = [0; WORD];
                for (level, &weight) in levels.as_flattened_mut().iter_mut().zip(&*row) {
                    *level = (weight * inverse).round_ties_even() as i32 as i8;
                }
                scale
            } else {
                levels = [[0; WORD]; DEPTH / WORD];
                0.0
            };
            panel.set_row(at, &levels, scale);
        }
    }
}

#[cfg(test)]
mod tests;
