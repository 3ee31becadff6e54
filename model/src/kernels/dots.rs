//! Few rows of activations, as when one token is decoded: dot products with weights that are turned
//! to f32 a block at a time in the cache, which is as fast as memory can be read.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::rows::Rows;

/// Weights turned to f32 at once.
const BLOCK: usize = 256;

/// Rows of weights that one task of the parallel loop handles.
const TASK_ROWS: usize = 32;

/// Multiplies `n` rows of activations, one after another, with the weights: `(n, in)` → `(n, out)`.
pub(super) fn matmul(weights: &impl Rows, xs: &[f32], n: usize) -> Vec<f32> {
    let arch = Arch::new();
    let (rows, cols) = weights.dims();
    let xs = blocks(xs, cols);
    let per_row = cols.div_ceil(BLOCK);
    let mut ys = vec![0.0; rows * n]; // (out, n)
    ys.par_chunks_mut(TASK_ROWS * n).enumerate().for_each(|(task, ys)| {
        for (row, ys) in (task * TASK_ROWS..).zip(ys.chunks_mut(n)) {
            for (ys, xs) in ys.chunks_mut(4).zip(xs.chunks(4 * per_row)) {
                match ys.len() {
                    4 => ys.copy_from_slice(&arch.dispatch(Dots::<_, 4> { weights, row, xs })),
                    3 => ys.copy_from_slice(&arch.dispatch(Dots::<_, 3> { weights, row, xs })),
                    2 => ys.copy_from_slice(&arch.dispatch(Dots::<_, 2> { weights, row, xs })),
                    _ => ys.copy_from_slice(&arch.dispatch(Dots::<_, 1> { weights, row, xs })),
                }
            }
        }
    });
    if n == 1 { ys } else { transpose(&ys, n) }
}

/// Cuts every row into blocks, the last one filled up with zeros.
fn blocks(xs: &[f32], cols: usize) -> Vec<[f32; BLOCK]> {
    let filled = |part: &[f32]| {
        let mut block = [0.0; BLOCK];
        block[..part.len()].copy_from_slice(part);
        block
    };
    xs.chunks(cols.max(1)).flat_map(|row| row.chunks(BLOCK).map(filled)).collect()
}

/// `(rows, n)` → `(n, rows)`
pub(super) fn transpose(ys: &[f32], n: usize) -> Vec<f32> {
    (0..n).flat_map(|column| ys.iter().skip(column).step_by(n).copied()).collect()
}

/// Dot products of one row of weights with `N` rows of activations, in blocks.
struct Dots<'a, R, const N: usize> {
    weights: &'a R,
    row: usize,
    xs: &'a [[f32; BLOCK]],
}

impl<R: Rows, const N: usize> WithSimd for Dots<'_, R, N> {
    type Output = [f32; N];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f32; N] {
        const CHAINS: usize = 4; // additions that need not wait for each other
        let cols = self.weights.dims().1;
        let per_row = self.xs.len() / N;
        let mut sums = [[simd.splat_f32s(0.0); CHAINS]; N];
        let mut buffer = [0.0; BLOCK];
        for block in 0..per_row {
            let start = block * BLOCK;
            let len = BLOCK.min(cols - start);
            let whole = self.weights.floats(self.row, start, len).filter(|_| len == BLOCK);
            let weights = if let Some(weights) = whole {
                weights
            } else {
                self.weights.widen(self.row, start, &mut buffer[..len]);
                buffer[len..].fill(0.0);
                &buffer
            };
            let (w, _) = S::as_simd_f32s(weights);
            let (w, _) = w.as_chunks::<CHAINS>();
            for (n, sums) in sums.iter_mut().enumerate() {
                let (x, _) = S::as_simd_f32s(&self.xs[n * per_row + block]);
                for (w, x) in w.iter().zip(x.as_chunks::<CHAINS>().0) {
                    for ((sum, w), x) in sums.iter_mut().zip(w).zip(x) {
                        *sum = simd.mul_add_e_f32s(*w, *x, *sum);
                    }
                }
            }
        }
        sums.map(|[a, b, c, d]| {
            simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
        })
    }
}
