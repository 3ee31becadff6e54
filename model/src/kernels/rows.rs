//! Weights that are turned to f32 while they are used: 32 bits, 16 bits, or 8 bits in blocks.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// A matrix of which parts of rows can be turned to f32.
pub(crate) trait Rows: Sync {
    /// Returns the number of rows and columns.
    fn dims(&self) -> (usize, usize);

    /// Writes part of `row` from the column `start` on until `out` is full. `start` is a multiple of
    /// 256; `out` ends at such a multiple or with the row.
    fn widen(&self, row: usize, start: usize, out: &mut [f32]);
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

impl Rows for Q8Rows<'_> {
    fn dims(&self) -> (usize, usize) {
        (self.blocks.len() / self.cols.div_ceil(32).max(1), self.cols)
    }

    #[inline(always)]
    fn widen(&self, row: usize, start: usize, out: &mut [f32]) {
        let blocks = &self.blocks[row * self.cols.div_ceil(32) + start / 32..];
        for (out, [low, high, values @ ..]) in out.chunks_mut(32).zip(blocks) {
            let scale = f16::from_le_bytes([*low, *high]).to_f32();
            for (out, &value) in out.iter_mut().zip(values) {
                *out = scale * f32::from(value.cast_signed());
            }
        }
    }
}
