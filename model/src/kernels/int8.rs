//! Products of many rows with quantised weights in 8-bit integers, four times as fast as in f32 where
//! the processor has instructions for it (VNNI).
//!
//! Weights and activations are cut into runs of 256 columns; each run of a row has one scale, so that
//! a large number somewhere makes nothing coarse but its own run. That is how llama.cpp rounds
//! activations for its K types, too. Against the 4 to 6 bits that most weights come from, what is lost
//! by rounding them once more is little: a panel has 8.
//!
//! All kernels compute the same integers and round the same way, so results do not depend on which
//! one runs.

pub(super) mod dots;

mod kernel;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use kernel::{Kernel, Panel, WIDTH};

use std::ops::Range;

use super::k_quants::{GROUP, KType};
use super::packed::Packed;
use super::product::{Product, Sums};
use super::rows::{Rows, Weights};
use kernel::{TileProduct, WORD};
use pulp::{Arch, Simd, WithSimd};

/// Columns that have one scale.
pub(super) const DEPTH: usize = 256;

/// Activations that meet weights in 8 bits.
pub(crate) struct Integers {
    kernel: Kernel,
    /// Four neighbouring columns to a word.
    words: Packed<[i8; WORD]>,
    /// For every depth, for every row: what its numbers are multiplied with.
    scales: Vec<f32>,
    /// For every depth, for every row: the sum of its 8-bit numbers.
    sums: Vec<i32>,
    cols: usize,
}

impl Integers {
    /// Takes `n` rows of activations, one after another.
    pub(super) fn new(kernel: Kernel, xs: &[f32], n: usize, cols: usize) -> Self {
        let arch = Arch::new();
        let (words, kept) = Packed::new(
            n,
            cols.div_ceil(WORD),
            DEPTH / WORD,
            kernel.order(),
            |row, words, places| {
                let columns = words.start * WORD..cols.min(words.end * WORD);
                let mut levels = [0; DEPTH];
                let xs = &xs[row * cols..][columns];
                let kept = arch.dispatch(Quantize { xs, out: &mut levels });
                for (place, &levels) in places.zip(levels.as_chunks().0) {
                    *place = levels;
                }
                kept
            },
        );
        let (scales, sums) = kept.into_iter().unzip();
        Self { kernel, words, scales, sums, cols }
    }
}

impl Product for Integers {
    /// One for each depth.
    type Panel = Vec<Panel>;

    const COLUMNS: usize = 8 * DEPTH;

    fn cols(&self) -> usize {
        self.cols
    }

    fn width(&self) -> usize {
        WIDTH
    }

    fn panel(&self) -> Vec<Panel> {
        Vec::new()
    }

    fn panel_bytes(&self) -> usize {
        self.cols.min(Self::COLUMNS).div_ceil(DEPTH) * size_of::<Panel>()
    }

    fn fill(
        &self,
        weights: &dyn Weights,
        rows: Range<usize>,
        columns: Range<usize>,
        panel: &mut Vec<Panel>,
    ) {
        panel.resize_with(columns.len().div_ceil(DEPTH), bytemuck::Zeroable::zeroed);
        weights.fill_integers(rows, columns, panel);
    }

    fn add(&self, panel: &Vec<Panel>, column: usize, row: usize, sums: &mut Sums) {
        let (rows, filled) = (self.words.rows(row), self.words.filled());
        self.kernel.run(|| {
            for (depth, panel) in (column / DEPTH..).zip(panel) {
                let range = depth * filled + row..depth * filled + row + rows;
                self.kernel.add(TileProduct {
                    panel,
                    xs: self.words.tile(row, depth),
                    scales: &self.scales[range.clone()],
                    sums: &self.sums[range],
                    ys: &mut sums.0[..rows],
                });
            }
        });
    }
}

/// Rounds numbers to 8 bits: `xs ≈ scale · out`. Returns the scale, which is no number if one of
/// `xs` is not finite, and the sum of `out`; what `xs` does not fill of that is 0.
struct Quantize<'a> {
    xs: &'a [f32],
    out: &'a mut [i8; DEPTH],
}

impl WithSimd for Quantize<'_> {
    type Output = (f32, i32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f32, i32) {
        let Self { xs, out } = self;
        let (scale, inverse) = scale_of(simd, xs);
        let mut sum = 0;
        for (out, &x) in out.iter_mut().zip(xs) {
            let level = nearest(x * inverse);
            sum = i32::wrapping_add(sum, level);
            *out = level as i8;
        }
        out[xs.len()..].fill(0);
        (scale, sum)
    }
}

/// Returns the integer nearest to a number between −2²² and 2²², the even one of two that are as near;
/// of other numbers, any integer.
#[inline(always)]
pub(super) fn nearest(x: f32) -> i32 {
    /// 1.5·2²³: a number added to it has its nearest integer in the lowest bits of the sum.
    const MAGIC: f32 = 12_582_912.0;
    (x + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()).cast_signed()
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

/// Turns some columns of some rows of weights into panels, one for each depth. Words of a panel beyond its
/// last keep what they had; activations are zeros there.
pub(super) struct Fill<'a, R> {
    pub(super) weights: &'a R,
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
    pub(super) panels: &'a mut [Panel],
}

impl<R: Rows> WithSimd for Fill<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weights, rows, columns, panels } = self;
        for (start, panel) in columns.clone().step_by(DEPTH).zip(panels) {
            let len = DEPTH.min(columns.end - start);
            panel.words = len.div_ceil(WORD);
            for at in 0..WIDTH {
                let mut levels = [0; DEPTH];
                let scale = if at < rows.len() {
                    weights.round(simd, rows.start + at, start..start + len, &mut levels)
                } else {
                    0.0
                };
                panel.set_row(at, levels.as_chunks().0, scale);
            }
        }
    }
}

/// Rounds weights to 8 bits: `weights ≈ scale · levels`. Returns the scale.
#[inline(always)]
pub(super) fn round<S: Simd>(simd: S, weights: &[f32], levels: &mut [i8; DEPTH]) -> f32 {
    let (scale, inverse) = scale_of(simd, weights);
    for (level, &weight) in levels.iter_mut().zip(weights) {
        *level = nearest(weight * inverse) as i8;
    }
    scale
}

/// Rounds a block of a K type to 8 bits: its weights are about `scale · levels`. Returns the scale.
pub(super) fn round_block<K: KType>(block: &[u8], levels: &mut [i8; DEPTH]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if let Some(scale) = x86::round_block::<K>(block, levels) {
        return scale;
    }
    let parts = K::parts(block);
    let (scale, inverse) = parts.scale(K::MOST);
    for (at, (levels, from)) in
        levels.as_chunks_mut::<GROUP>().0.iter_mut().zip(parts.levels.as_chunks().0).enumerate()
    {
        let (scale, offset) = (parts.scales[at] * inverse, parts.offsets[at] * inverse);
        for (level, &from) in levels.iter_mut().zip::<&[u8; GROUP]>(from) {
            *level = nearest(f32::from(from).mul_add(scale, -offset)) as i8;
        }
    }
    scale
}

#[cfg(test)]
mod tests;
