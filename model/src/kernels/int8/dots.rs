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
        for (row, ys) in (task * TASK_ROWS..).zip(ys.chunks_mut(n)) {
            let row = weights.row(row);
            let (mut at, xs) = (0, |at: usize| &xs[at * per_row..][..per_row]);
            while at < n {
                let (ys, xs) = (&mut ys[at..], |next: usize| xs(at + next));
                at += match ys.len() {
                    8.. => kernel.row_dots::<K, 8>(row, std::array::from_fn(xs), ys),
                    4.. => kernel.row_dots::<K, 4>(row, std::array::from_fn(xs), ys),
                    2.. => kernel.row_dots::<K, 2>(row, std::array::from_fn(xs), ys),
                    _ => kernel.row_dots::<K, 1>(row, std::array::from_fn(xs), ys),
                };
            }
        }
    });
    if n == 1 { ys } else { super::super::dots::transpose(&ys, n) }
}

impl Kernel {
    /// Multiplies a row of blocks with the blocks of `N` rows of activations; returns how many.
    fn row_dots<K: KType, const N: usize>(
        self,
        row: &[u8],
        xs: [&[Block]; N],
        ys: &mut [f32],
    ) -> usize {
        let dots = match self {
            #[cfg(target_arch = "x86_64")]
            Self::X86(Instructions::Amx | Instructions::Avx512 | Instructions::Avx512Vl) => {
                x86::row_dots::<K, N>(row, xs)
            }
            _ => xs.map(|xs| Arch::new().dispatch(RowDot { row, xs, kind: K::default() })),
        };
        ys[..N].copy_from_slice(&dots);
        N
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
