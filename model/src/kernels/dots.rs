//! Few rows of activations, as when one token is decoded: dot products with weights that are turned
//! to f32 a block at a time in the cache, which is as fast as memory can be read.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::rows::Rows;

/// Rows of weights that are multiplied at once.
const GROUP_ROWS: usize = 4;

/// Weights turned to f32 at once.
const BLOCK: usize = 256;

/// Rows of weights that one task of the parallel loop handles.
const TASK_ROWS: usize = 32;

/// Multiplies `n` rows of activations, one after another, with the weights: `(n, in)` → `(n, out)`.
pub(super) fn matmul(weights: &impl Rows, xs: &[f32], n: usize) -> Vec<f32> {
    let arch = Arch::new();
    let (rows, cols) = weights.dims();
    let xs = blocks(xs, cols);
    let mut ys = vec![0.0; rows * n]; // (out, n)
    ys.par_chunks_mut(TASK_ROWS * n).enumerate().for_each(|(task, ys)| {
        let groups = (task * TASK_ROWS..).step_by(GROUP_ROWS);
        for (row, ys) in groups.zip(ys.chunks_mut(GROUP_ROWS * n)) {
            if ys.len() == GROUP_ROWS * n {
                group::<_, GROUP_ROWS>(arch, weights, row, &xs, ys);
            } else {
                for (row, ys) in (row..).zip(ys.chunks_mut(n)) {
                    group::<_, 1>(arch, weights, row, &xs, ys);
                }
            }
        }
    });
    if n == 1 { ys } else { transpose(&ys, n) }
}

/// Multiplies `G` rows of weights from `row` on with all rows of activations: `ys` is `(G, n)`.
fn group<R: Rows, const G: usize>(
    arch: Arch,
    weights: &R,
    row: usize,
    xs: &[[f32; BLOCK]],
    ys: &mut [f32],
) {
    let n = ys.len() / G;
    let per_row = xs.len() / n;
    for (xs, at) in xs.chunks(4 * per_row).zip((0..).step_by(4)) {
        let ys = &mut ys[at..];
        match xs.len() / per_row {
            4 => arch.dispatch(Dots::<_, G, 4> { weights, row, xs, ys, n }),
            3 => arch.dispatch(Dots::<_, G, 3> { weights, row, xs, ys, n }),
            2 => arch.dispatch(Dots::<_, G, 2> { weights, row, xs, ys, n }),
            _ => arch.dispatch(Dots::<_, G, 1> { weights, row, xs, ys, n }),
        }
    }
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

/// Dot products of `G` rows of weights with `N` rows of activations, in blocks. Several rows of weights
/// at once, since memory answers several questions at once.
struct Dots<'a, R, const G: usize, const N: usize> {
    weights: &'a R,
    row: usize,
    xs: &'a [[f32; BLOCK]],
    /// Where the results go, those of a row of weights after every `n`.
    ys: &'a mut [f32],
    n: usize,
}

impl<R: Rows, const G: usize, const N: usize> WithSimd for Dots<'_, R, G, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let cols = self.weights.dims().1;
        let per_row = self.xs.len() / N;
        let mut sums = [[simd.splat_f32s(0.0); N]; G];
        let mut buffers = [[0.0; BLOCK]; G];
        for block in 0..per_row {
            let start = block * BLOCK;
            let len = BLOCK.min(cols - start);
            let mut weights: [&[f32]; G] = [&[]; G];
            for (at, (weights, buffer)) in weights.iter_mut().zip(&mut buffers).enumerate() {
                let row = self.row + at;
                let whole = self.weights.floats(row, start, len).filter(|_| len == BLOCK);
                *weights = if let Some(weights) = whole {
                    weights
                } else {
                    self.weights.widen(row, start, &mut buffer[..len]);
                    buffer[len..].fill(0.0);
                    buffer
                };
            }
            let vectors = BLOCK / S::F32_LANES;
            let weights = weights.map(|weights| &S::as_simd_f32s(weights).0[..vectors]);
            let mut xs = [weights[0]; N];
            for (n, xs) in xs.iter_mut().enumerate() {
                *xs = &S::as_simd_f32s(&self.xs[n * per_row + block]).0[..vectors];
            }
            for at in 0..vectors {
                for (sums, weights) in sums.iter_mut().zip(&weights) {
                    for (sum, xs) in sums.iter_mut().zip(&xs) {
                        *sum = simd.mul_add_e_f32s(weights[at], xs[at], *sum);
                    }
                }
            }
        }
        for (ys, sums) in self.ys.chunks_mut(self.n).zip(sums) {
            for (y, sum) in ys.iter_mut().zip(sums) {
                *y = simd.reduce_sum_f32s(sum);
            }
        }
    }
}
