//! GGML's K types: blocks of 256 weights, cut into groups that have a scale and, some, an offset. Eight
//! blocks of `Q5_0` one after another are such a block, too.
//!
//! # Source
//!
//! `block_q4_K`, `block_q5_K`, `block_q6_K`, `block_q5_0` and their `dequantize_row_*` in `ggml-quants.c` of
//! llama.cpp.

use std::marker::PhantomData;
use std::ops::Range;

use half::f16;
use pulp::Simd;

use super::int8;
use super::rows::Rows;

/// Weights in a block.
pub(super) const BLOCK: usize = 256;

/// Weights that share a scale and an offset; in some types two neighbouring groups have the same.
pub(super) const GROUP: usize = 16;

/// A block taken apart: a weight is `scale · level − offset` of its group.
pub(crate) struct Parts {
    pub(super) levels: [u8; BLOCK],
    pub(super) scales: [f32; BLOCK / GROUP],
    pub(super) offsets: [f32; BLOCK / GROUP],
}

/// A K type.
pub(crate) trait KType: Copy + Default + Sync {
    /// Bytes of a block.
    const BYTES: usize;

    /// The largest level; the least is 0.
    const MOST: f32;

    /// How it is taken apart where there is a faster way than [`parts`](Self::parts).
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only there is one"))]
    const LAYOUT: Layout = Layout::Other;

    /// Takes a block of [`Self::BYTES`] apart.
    fn parts(block: &[u8]) -> Parts;
}

/// The types that are taken apart in registers.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only there are such registers"))]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Layout {
    /// Of [`Q4K`].
    Q4K,
    /// Of [`Q6K`].
    Q6K,
    /// Any other.
    Other,
}

/// 4 bits and an offset.
#[derive(Clone, Copy, Default)]
pub(crate) struct Q4K;

/// 5 bits and an offset.
#[derive(Clone, Copy, Default)]
pub(crate) struct Q5K;

/// 6 bits.
#[derive(Clone, Copy, Default)]
pub(crate) struct Q6K;

/// 5 bits, a scale for 32: what AWQ's weights become.
#[derive(Clone, Copy, Default)]
pub(crate) struct Q5Zero;

/// A matrix of a K type, row by row, the last block of each row filled up.
pub(crate) struct KRows<'a, K> {
    bytes: &'a [u8],
    cols: usize,
    kind: PhantomData<K>,
}

impl<'a, K: KType> KRows<'a, K> {
    /// `bytes` are whole blocks.
    pub(crate) fn new(bytes: &'a [u8], cols: usize) -> Self {
        Self { bytes, cols, kind: PhantomData }
    }
}

impl<K: KType> KRows<'_, K> {
    /// The blocks of a row.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> &[u8] {
        let len = self.cols.div_ceil(BLOCK) * K::BYTES;
        &self.bytes[row * len..][..len]
    }

    #[inline(always)]
    fn block(&self, row: usize, start: usize) -> &[u8] {
        let at = row * self.cols.div_ceil(BLOCK) + start / BLOCK;
        &self.bytes[at * K::BYTES..][..K::BYTES]
    }
}

impl<K: KType> Rows for KRows<'_, K> {
    fn dims(&self) -> (usize, usize) {
        let row_bytes = self.cols.div_ceil(BLOCK) * K::BYTES;
        (self.bytes.len() / row_bytes.max(1), self.cols)
    }

    #[inline(always)]
    fn widen(&self, row: usize, start: usize, out: &mut [f32]) {
        for (at, out) in out.chunks_mut(BLOCK).enumerate() {
            let Parts { levels, scales, offsets } = K::parts(self.block(row, start + at * BLOCK));
            let groups = levels.as_chunks::<GROUP>().0.iter().zip(scales.iter().zip(&offsets));
            for (out, (levels, (scale, offset))) in out.chunks_mut(GROUP).zip(groups) {
                for (out, &level) in out.iter_mut().zip(levels) {
                    *out = scale * f32::from(level) - offset;
                }
            }
        }
    }

    #[inline(always)]
    fn round<S: Simd>(
        &self,
        _simd: S,
        row: usize,
        columns: Range<usize>,
        levels: &mut [i8; BLOCK],
    ) -> f32 {
        let scale = int8::round_block::<K>(self.block(row, columns.start), levels);
        // A row that ends within the block is filled up with zeros there.
        levels[columns.len()..].fill(0);
        scale
    }
}

impl Parts {
    /// Returns what takes levels of −127 to 127 to the weights, and what takes the weights there. The
    /// largest weight is not looked for: the largest that the scales allow is taken for it.
    #[inline(always)]
    pub(super) fn scale(&self, most: f32) -> (f32, f32) {
        let (mut largest, mut poison) = (0.0_f32, 0.0);
        for (scale, offset) in self.scales.iter().zip(&self.offsets) {
            largest = largest.max(offset.abs()).max((scale * most - offset).abs());
            poison += (scale + offset) * 0.0;
        }
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        (largest / 127.0 + poison, inverse)
    }
}

/// Reads the number that starts at `at`.
#[inline(always)]
fn number(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// The scales and offsets of eight groups of 32, 6 bits each, as [`GROUP`]s.
#[inline(always)]
fn scales_and_offsets(block: &[u8]) -> ([f32; 16], [f32; 16]) {
    let (scale, offset) = (number(block, 0), number(block, 2));
    let packed = &block[4..16];
    let (mut scales, mut offsets) = ([0.0; 16], [0.0; 16]);
    for group in 0..8 {
        let (s, o) = if group < 4 {
            (packed[group] & 63, packed[group + 4] & 63)
        } else {
            let low = packed[group + 4];
            (low & 15 | packed[group - 4] >> 6 << 4, low >> 4 | packed[group] >> 6 << 4)
        };
        scales[2 * group..2 * group + 2].fill(scale * f32::from(s));
        offsets[2 * group..2 * group + 2].fill(offset * f32::from(o));
    }
    (scales, offsets)
}

impl KType for Q4K {
    const BYTES: usize = 144;
    const MOST: f32 = 15.0;
    const LAYOUT: Layout = Layout::Q4K;

    #[inline(always)]
    fn parts(block: &[u8]) -> Parts {
        let (scales, offsets) = scales_and_offsets(block);
        let mut levels = [0; BLOCK];
        let packed = block[16..].as_chunks::<32>().0;
        for (levels, packed) in levels.as_chunks_mut::<64>().0.iter_mut().zip(packed) {
            for at in 0..32 {
                levels[at] = packed[at] & 15;
                levels[at + 32] = packed[at] >> 4;
            }
        }
        Parts { levels, scales, offsets }
    }
}

impl KType for Q5K {
    const BYTES: usize = 176;
    const MOST: f32 = 31.0;

    #[inline(always)]
    fn parts(block: &[u8]) -> Parts {
        let (scales, offsets) = scales_and_offsets(block);
        let mut levels = [0; BLOCK];
        let (fifths, packed) = (&block[16..48].as_chunks::<32>().0[0], &block[48..]);
        let parts = levels.as_chunks_mut::<64>().0.iter_mut().zip(packed.as_chunks::<32>().0);
        for (part, (levels, packed)) in parts.enumerate() {
            for at in 0..32 {
                levels[at] = packed[at] & 15 | (fifths[at] >> (2 * part) & 1) << 4;
                levels[at + 32] = packed[at] >> 4 | (fifths[at] >> (2 * part + 1) & 1) << 4;
            }
        }
        Parts { levels, scales, offsets }
    }
}

impl KType for Q6K {
    const BYTES: usize = 210;
    const MOST: f32 = 63.0;
    const LAYOUT: Layout = Layout::Q6K;

    #[inline(always)]
    fn parts(block: &[u8]) -> Parts {
        let scale = number(block, 208);
        let mut scales = [0.0; 16];
        for (scales, &packed) in scales.iter_mut().zip(&block[192..208]) {
            *scales = scale * f32::from(packed.cast_signed());
        }
        let mut levels = [0; BLOCK];
        let halves =
            block[..128].as_chunks::<64>().0.iter().zip(block[128..192].as_chunks::<32>().0);
        for (levels, (low, high)) in levels.as_chunks_mut::<128>().0.iter_mut().zip(halves) {
            for at in 0..32 {
                levels[at] = low[at] & 15 | (high[at] & 3) << 4;
                levels[at + 32] = low[at + 32] & 15 | (high[at] >> 2 & 3) << 4;
                levels[at + 64] = low[at] >> 4 | (high[at] >> 4 & 3) << 4;
                levels[at + 96] = low[at + 32] >> 4 | (high[at] >> 6) << 4;
            }
        }
        // Levels count from −32.
        let offsets = scales.map(|scale| 32.0 * scale);
        Parts { levels, scales, offsets }
    }
}

/// For every byte its bits, each as 16 in a byte of its own.
static FIFTHS: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            table[byte] |= (byte as u64 >> bit & 1) << (8 * bit + 4);
            bit += 1;
        }
        byte += 1;
    }
    table
};

impl KType for Q5Zero {
    const BYTES: usize = 8 * 22;
    const MOST: f32 = 31.0;

    #[inline(always)]
    fn parts(block: &[u8]) -> Parts {
        let (mut levels, mut scales) = ([0; BLOCK], [0.0; BLOCK / GROUP]);
        let blocks = block.as_chunks::<22>().0.iter();
        let parts = levels.as_chunks_mut::<32>().0.iter_mut().zip(scales.as_chunks_mut::<2>().0);
        for (block, (levels, scales)) in blocks.zip(parts) {
            scales.fill(number(block, 0));
            for at in 0..16 {
                levels[at] = block[6 + at] & 15;
                levels[at + 16] = block[6 + at] >> 4;
            }
            for (levels, &fifths) in levels.as_chunks_mut::<8>().0.iter_mut().zip(&block[2..6]) {
                let fifths = FIFTHS[fifths as usize];
                *levels = (u64::from_le_bytes(*levels) | fifths).to_le_bytes();
            }
        }
        // Levels count from −16.
        let offsets = scales.map(|scale| 16.0 * scale);
        Parts { levels, scales, offsets }
    }
}
