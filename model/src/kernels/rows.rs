//! Weights as they are stored, row by row, and what they are turned into while they are used.

use std::ops::Range;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use pulp::{Arch, Simd};

use super::int8::{self, Panel};
use super::panels;

/// A matrix of which parts of rows can be turned to f32, or to 8 bits.
pub(crate) trait Rows: Sync {
    /// Returns the number of rows and columns.
    fn dims(&self) -> (usize, usize);

    /// Writes part of `row` from the column `start` on until `out` is full. `start` is a multiple of
    /// 256; `out` ends at such a multiple or with the row.
    fn widen(&self, row: usize, start: usize, out: &mut [f32]);

    /// Returns `len` columns of `row` from `start` on where they lie, if they are in f32.
    #[inline(always)]
    fn floats(&self, _row: usize, _start: usize, _len: usize) -> Option<&[f32]> {
        None
    }

    /// Writes some columns of `row`, at most 256 from a multiple of 256 on, as `levels` that are `scale`
    /// each; further levels are left at 0. Returns the scale.
    #[inline(always)]
    fn round<S: Simd>(
        &self,
        simd: S,
        row: usize,
        columns: Range<usize>,
        levels: &mut [i8; int8::DEPTH],
    ) -> f32 {
        let mut weights = [0.0; int8::DEPTH];
        let weights = &mut weights[..columns.len()];
        self.widen(row, columns.start, weights);
        int8::round(simd, weights, levels)
    }
}

/// [`Rows`] of any kind, as the products of many rows want them: in panels.
pub(crate) trait Weights: Sync {
    /// Returns the number of rows and columns.
    fn dims(&self) -> (usize, usize);

    /// Fills a panel, `(columns, width)`, with columns from `start` on of some rows and, where those are
    /// fewer than `width`, zeros.
    fn fill_floats(&self, rows: Range<usize>, start: usize, width: usize, panel: &mut [f32]);

    /// As [`fill_floats`](Self::fill_floats) in 8 bits, a panel for each depth of these columns.
    fn fill_integers(&self, rows: Range<usize>, columns: Range<usize>, panels: &mut [Panel]);
}

impl<R: Rows> Weights for R {
    fn dims(&self) -> (usize, usize) {
        Rows::dims(self)
    }

    fn fill_floats(&self, rows: Range<usize>, start: usize, width: usize, panel: &mut [f32]) {
        Arch::new().dispatch(panels::Fill { weights: self, rows, start, width, panel });
    }

    fn fill_integers(&self, rows: Range<usize>, columns: Range<usize>, panels: &mut [Panel]) {
        Arch::new().dispatch(int8::Fill { weights: self, rows, columns, panels });
    }
}

/// Dense weights, row by row.
pub(crate) struct Dense<'a, T> {
    pub(crate) weights: &'a [T],
    pub(crate) cols: usize,
}

impl<T> Dense<'_, T> {
    #[inline(always)]
    fn part(&self, row: usize, start: usize, len: usize) -> &[T] {
        &self.weights[row * self.cols + start..][..len]
    }

    fn rows(&self) -> usize {
        self.weights.len() / self.cols.max(1)
    }
}

impl Rows for Dense<'_, f32> {
    fn dims(&self) -> (usize, usize) {
        (self.rows(), self.cols)
    }

    #[inline(always)]
    fn widen(&self, row: usize, start: usize, out: &mut [f32]) {
        out.copy_from_slice(self.part(row, start, out.len()));
    }

    #[inline(always)]
    fn floats(&self, row: usize, start: usize, len: usize) -> Option<&[f32]> {
        Some(self.part(row, start, len))
    }
}

impl Rows for Dense<'_, bf16> {
    fn dims(&self) -> (usize, usize) {
        (self.rows(), self.cols)
    }

    #[inline(always)]
    fn widen(&self, row: usize, start: usize, out: &mut [f32]) {
        let weights = self.part(row, start, out.len());
        for (out, weight) in out.iter_mut().zip(weights) {
            // A bf16 is the upper half of an f32.
            *out = f32::from_bits(u32::from(weight.to_bits()) << 16);
        }
    }
}

impl Rows for Dense<'_, f16> {
    fn dims(&self) -> (usize, usize) {
        (self.rows(), self.cols)
    }

    #[inline(always)]
    fn widen(&self, row: usize, start: usize, out: &mut [f32]) {
        self.part(row, start, out.len()).convert_to_f32_slice(out);
    }
}

/// Weights in GGML's `Q8_0`, row by row: blocks of 32 that share a scale, the last of a row filled up.
pub(crate) struct Q8Rows<'a> {
    pub(crate) blocks: &'a [Q8Block],
    pub(crate) cols: usize,
}

/// The scale in f16, then 32 integers.
pub(crate) type Q8Block = [u8; 34];

impl Q8Rows<'_> {
    /// The blocks of `len` columns of a row.
    #[inline(always)]
    fn blocks(&self, row: usize, start: usize, len: usize) -> &[Q8Block] {
        &self.blocks[row * self.cols.div_ceil(32) + start / 32..][..len.div_ceil(32)]
    }
}

impl Rows for Q8Rows<'_> {
    fn dims(&self) -> (usize, usize) {
        (self.blocks.len() / self.cols.div_ceil(32).max(1), self.cols)
    }

    #[inline(always)]
    fn widen(&self, row: usize, start: usize, out: &mut [f32]) {
        let blocks = self.blocks(row, start, out.len());
        for (out, [low, high, values @ ..]) in out.chunks_mut(32).zip(blocks) {
            let scale = f16::from_le_bytes([*low, *high]).to_f32();
            for (out, &value) in out.iter_mut().zip(values) {
                *out = scale * f32::from(value.cast_signed());
            }
        }
    }

    /// The block with the largest scale keeps its integers; of the others they get smaller.
    #[inline(always)]
    fn round<S: Simd>(
        &self,
        _simd: S,
        row: usize,
        columns: Range<usize>,
        levels: &mut [i8; int8::DEPTH],
    ) -> f32 {
        let blocks = self.blocks(row, columns.start, columns.len());
        let mut scales = [0.0; int8::DEPTH / 32];
        let (mut largest, mut poison) = (0.0_f32, 0.0);
        for (scale, [low, high, ..]) in scales.iter_mut().zip(blocks) {
            *scale = f16::from_le_bytes([*low, *high]).to_f32();
            largest = largest.max(scale.abs());
            poison += *scale * 0.0;
        }
        let inverse = if largest > 0.0 { 1.0 / largest } else { 0.0 };
        let levels = levels.as_chunks_mut::<32>().0.iter_mut();
        for (levels, (scale, [_, _, values @ ..])) in levels.zip(scales.iter().zip(blocks)) {
            let scale = scale * inverse;
            for (level, &value) in levels.iter_mut().zip(values) {
                *level = int8::nearest(f32::from(value.cast_signed()) * scale) as i8;
            }
        }
        largest + poison
    }
}
