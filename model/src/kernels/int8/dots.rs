//! Few rows of activations with weights of a K type, as when one token is decoded: dot products in 8
//! bits, straight from the blocks, which takes about as long as reading them.

use bytemuck::{Pod, Zeroable};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::Kernel;
#[cfg(target_arch = "x86_64")]
use super::x86::{self, Instructions};
use super::{DEPTH, Quantize};
use crate::kernels::k_quants::{BLOCK, GROUP, KRows, KType};
use crate::kernels::rows::Rows;

/// Rows of weights that one task of the parallel loop handles.
const TASK_ROWS: usize = 32;

/// 256 activations in 8 bits.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Block {
    pub(super) levels: [i8; BLOCK],
    /// The sum of the levels of each group of a block of weights.
    pub(super) group_sums: [f32; BLOCK / GROUP],
    /// What levels are multiplied with.
    pub(super) scale: f32,
    filling: [f32; 15],
}

impl Block {
    fn new(arch: Arch, xs: &[f32]) -> Self {
        const { assert!(DEPTH == BLOCK) };
        let mut block = Self::zeroed();
        (block.scale, _) = arch.dispatch(Quantize { xs, out: &mut block.levels });
        let groups = block.levels.as_chunks::<GROUP>().0.iter();
        for (sum, group) in block.group_sums.iter_mut().zip(groups) {
            *sum = group.iter().map(|&level| i32::from(level)).sum::<i32>() as f32;
        }
        block
    }
}

/// Multiplies `n` rows of activations, one after another, with the weights: `(n, in)` → `(n, out)`.
pub(in crate::kernels) fn matmul<K: KType>(
    kernel: Kernel,
    weights: &KRows<'_, K>,
    xs: &[f32],
    n: usize,
) -> Vec<f32> {
    let arch = Arch::new();
    let (rows, cols) = weights.dims();
    let per_row = cols.div_ceil(BLOCK);
    let xs: Vec<Block> =
        xs.chunks(cols).flat_map(|row| row.chunks(BLOCK).map(|xs| Block::new(arch, xs))).collect();
    let mut ys = vec![0.0; rows * n]; // (out, n)
    ys.par_chunks_mut(TASK_ROWS * n).enumerate().for_each(|(task, ys)| {
        let rows = (task * TASK_ROWS..).take(ys.len() / n).map(|row| weights.row(row));
        let rows: Vec<&[u8]> = rows.collect();
        let mut at = 0;
        while at < n {
            let ys = &mut ys[at..];
            let xs = |next: usize| &xs[(at + next) * per_row..][..per_row];
            // As many results as registers hold: of few rows of activations for many of weights, since
            // memory answers several questions at once.
            at += match n - at {
                8.. => kernel.dots::<K, 1, 8>(&rows, std::array::from_fn(xs), ys, n),
                4.. => kernel.dots::<K, 2, 4>(&rows, std::array::from_fn(xs), ys, n),
                2.. => kernel.dots::<K, 4, 2>(&rows, std::array::from_fn(xs), ys, n),
                _ => kernel.dots::<K, 4, 1>(&rows, std::array::from_fn(xs), ys, n),
            };
        }
    });
    if n == 1 { ys } else { super::super::dots::transpose(&ys, n) }
}

impl Kernel {
    /// Multiplies rows of blocks, `R` at once, with the blocks of `N` rows of activations, and writes the
    /// results of each `stride` apart; returns how many rows of activations those were.
    fn dots<K: KType, const R: usize, const N: usize>(
        self,
        rows: &[&[u8]],
        xs: [&[Block]; N],
        ys: &mut [f32],
        stride: usize,
    ) -> usize {
        let (groups, rest) = rows.as_chunks::<R>();
        let (ys, last) = ys.split_at_mut((groups.len() * R * stride).min(ys.len()));
        for (&rows, ys) in groups.iter().zip(ys.chunks_mut(R * stride)) {
            self.group_dots::<K, R, N>(rows, xs, ys, stride);
        }
        for (&row, ys) in rest.iter().zip(last.chunks_mut(stride)) {
            self.group_dots::<K, 1, N>([row], xs, ys, stride);
        }
        N
    }

    fn group_dots<K: KType, const R: usize, const N: usize>(
        self,
        rows: [&[u8]; R],
        xs: [&[Block]; N],
        ys: &mut [f32],
        stride: usize,
    ) {
        let dots = match self {
            #[cfg(target_arch = "x86_64")]
            Self::X86(Instructions::Amx | Instructions::Avx512 | Instructions::Avx512Vl) => {
                x86::group_dots::<K, R, N>(rows, xs)
            }
            _ => rows.map(|row| {
                xs.map(|xs| Arch::new().dispatch(RowDot { row, xs, kind: K::default() }))
            }),
        };
        for (ys, dots) in ys.chunks_mut(stride).zip(dots) {
            ys[..N].copy_from_slice(&dots);
        }
    }
}

/// The dot product of a row of blocks with one row of activations.
struct RowDot<'a, K> {
    row: &'a [u8],
    xs: &'a [Block],
    kind: K,
}

impl<K: KType> WithSimd for RowDot<'_, K> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> f32 {
        let _ = self.kind;
        let mut total = 0.0;
        for (block, x) in self.row.chunks_exact(K::BYTES).zip(self.xs) {
            let parts = K::parts(block);
            let mut sum = 0.0;
            for group in 0..BLOCK / GROUP {
                let range = group * GROUP..(group + 1) * GROUP;
                let pairs = parts.levels[range.clone()].iter().zip(&x.levels[range]);
                let dot: i32 = pairs.map(|(&level, &x)| i32::from(level) * i32::from(x)).sum();
                sum += parts.scales[group] * dot as f32;
                sum -= parts.offsets[group] * x.group_sums[group];
            }
            total += sum * x.scale;
        }
        total
    }
}
