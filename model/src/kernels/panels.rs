//! Many rows of activations, as of a prompt or an image: a matrix product in f32 that turns weights
//! to f32 a panel at a time.
//!
//! A panel is some rows of weights beside each other, so that one register holds the same column of
//! several rows; it stays in the cache while all activations pass by. The weights are therefore
//! never in memory twice, and rearranging them, which a general product does on every call, happens
//! together with turning them to f32.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::packed::{Packed, Tile, join};
use super::rows::Rows;

/// Columns of weights in a panel: with as many of the activations' they fit the nearest cache.
const DEPTH: usize = 512;

/// Multiplies `n` rows of activations, one after another, with the weights: `(n, in)` → `(n, out)`.
pub(super) fn matmul(weights: &impl Rows, xs: &[f32], n: usize) -> Vec<f32> {
    let arch = Arch::new();
    let Shape { height, width } = arch.dispatch(TileShape);
    let (rows, cols) = weights.dims();
    let packed = Packed::new(xs, n, cols, height, DEPTH);
    let filled = packed.filled();
    // One panel's results after another: (panels, filled, width).
    let mut ys = vec![0.0; rows.div_ceil(width) * filled * width];
    ys.par_chunks_mut(filled * width).enumerate().for_each_init(
        || vec![0.0; DEPTH * width],
        |panel, (at, ys)| {
            let first = at * width;
            let count = width.min(rows - first);
            for (depth, start) in (0..cols).step_by(DEPTH).enumerate() {
                let len = DEPTH.min(cols - start);
                let panel = &mut panel[..len * width];
                arch.dispatch(Fill { weights, first, count, start, width, panel });
                arch.dispatch(Product { panel, packed: &packed, depth, ys });
            }
        },
    );
    join(&ys, n, filled, rows, width)
}

/// How many results a processor's registers hold.
#[derive(Clone, Copy)]
struct Shape {
    /// Rows of activations.
    height: usize,
    /// Rows of weights.
    width: usize,
}

struct TileShape;

impl WithSimd for TileShape {
    type Output = Shape;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Shape {
        match S::F32_LANES {
            16 => Shape { height: 12, width: 2 * 16 }, // 24 of 32 registers
            8 => Shape { height: 4, width: 3 * 8 },    // 12 of 16
            lanes => Shape { height: 4, width: 4 * lanes },
        }
    }
}

/// Fills a panel: `(columns, width)`.
struct Fill<'a, R> {
    weights: &'a R,
    first: usize,
    count: usize,
    start: usize,
    width: usize,
    panel: &'a mut [f32],
}

impl<R: Rows> WithSimd for Fill<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let mut row = [0.0; DEPTH];
        let row = &mut row[..self.panel.len() / self.width];
        for at in 0..self.width {
            if at < self.count {
                self.weights.widen(self.first + at, self.start, row);
            } else {
                row.fill(0.0);
            }
            for (place, &weight) in self.panel[at..].iter_mut().step_by(self.width).zip(&*row) {
                *place = weight;
            }
        }
    }
}

/// Adds the product of one panel with the activations of its depth to `ys`, `(filled, width)`.
struct Product<'a> {
    panel: &'a [f32],
    packed: &'a Packed<f32>,
    depth: usize,
    ys: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.with_vectors::<S, 2>(simd),
            8 => self.with_vectors::<S, 3>(simd),
            _ => self.with_vectors::<S, 4>(simd),
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn with_vectors<S: Simd, const V: usize>(self, simd: S) {
        let (panel, _) = S::as_simd_f32s(self.panel);
        let (panel, _) = panel.as_chunks::<V>();
        let mut ys = self.ys;
        for Tile { rows, values, .. } in self.packed.tiles(self.depth) {
            let (tile, rest) = ys.split_at_mut(rows * V * S::F32_LANES);
            let (tile, _) = S::as_mut_simd_f32s(tile);
            let (tile, _) = tile.as_chunks_mut::<V>();
            match rows {
                12 => multiply::<S, V, 12>(simd, panel, values, tile),
                8 => multiply::<S, V, 8>(simd, panel, values, tile),
                _ => multiply::<S, V, 4>(simd, panel, values, tile),
            }
            ys = rest;
        }
    }
}

/// Adds `(rows, columns) · (columns, width)` to `(rows, width)`, which the registers hold.
#[inline(always)]
fn multiply<S: Simd, const V: usize, const M: usize>(
    simd: S,
    panel: &[[S::f32s; V]],
    xs: &[f32],
    ys: &mut [[S::f32s; V]],
) {
    let Some(ys) = ys.first_chunk_mut::<M>() else { return };
    let mut sums = *ys;
    for (weights, xs) in panel.iter().zip(xs.as_chunks::<M>().0) {
        for m in 0..M {
            let x = simd.splat_f32s(xs[m]);
            for v in 0..V {
                sums[m][v] = simd.mul_add_e_f32s(weights[v], x, sums[m][v]);
            }
        }
    }
    *ys = sums;
}
