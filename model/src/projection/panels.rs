//! Many rows of activations, as of a prompt or an image: a matrix product in f32 that turns weights
//! to f32 a panel at a time.
//!
//! A panel is some rows of weights beside each other, so that one register holds the same column of
//! several rows; it stays in the cache while all activations pass by. The weights are therefore
//! never in memory twice, and rearranging them, which a general product does on every call, happens
//! together with turning them to f32.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::rows::Rows;

/// Columns of weights in a panel: with as many of the activations' they fit the nearest cache.
const DEPTH: usize = 512;

/// Rows of activations come in multiples of this.
const STEP: usize = 4;

/// Multiplies `n` rows of activations, one after another, with the weights: `(n, in)` → `(n, out)`.
pub(super) fn matmul(weights: &impl Rows, xs: &[f32], n: usize) -> Vec<f32> {
    let arch = Arch::new();
    let tile = arch.dispatch(TileSize);
    let (rows, cols) = weights.dims();
    let packed = Activations::pack(xs, n, cols, tile.height);
    let filled = packed.n; // n, filled up
    // One panel's results after another: (panels, filled, width).
    let mut ys = vec![0.0; rows.div_ceil(tile.width) * filled * tile.width];
    ys.par_chunks_mut(filled * tile.width).enumerate().for_each_init(
        || vec![0.0; DEPTH * tile.width],
        |panel, (at, ys)| {
            let first = at * tile.width;
            let count = tile.width.min(rows - first);
            for (depth, start) in (0..cols).step_by(DEPTH).enumerate() {
                let len = DEPTH.min(cols - start);
                let panel = &mut panel[..len * tile.width];
                arch.dispatch(Fill { weights, first, count, start, width: tile.width, panel });
                arch.dispatch(Product { panel, packed: &packed, depth, ys });
            }
        },
    );
    join(&ys, n, filled, rows, tile.width)
}

/// `(panels, filled, width)` → `(n, rows)`
fn join(ys: &[f32], n: usize, filled: usize, rows: usize, width: usize) -> Vec<f32> {
    let mut joined = vec![0.0; n * rows];
    joined.par_chunks_mut(rows).enumerate().for_each(|(at, joined)| {
        for (panel, out) in joined.chunks_mut(width).enumerate() {
            out.copy_from_slice(&ys[(panel * filled + at) * width..][..out.len()]);
        }
    });
    joined
}

/// How many results a processor's registers hold.
#[derive(Clone, Copy)]
struct Tile {
    /// Rows of activations.
    height: usize,
    /// Rows of weights.
    width: usize,
}

struct TileSize;

impl WithSimd for TileSize {
    type Output = Tile;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Tile {
        match S::F32_LANES {
            16 => Tile { height: 12, width: 2 * 16 }, // 24 of 32 registers
            8 => Tile { height: 4, width: 3 * 8 },    // 12 of 16
            lanes => Tile { height: 4, width: 4 * lanes },
        }
    }
}

/// Activations in the order in which they are used.
struct Activations {
    /// For every depth, for every tile: `(columns, rows of the tile)`.
    values: Vec<f32>,
    /// Rows, filled up to a multiple of [`STEP`].
    n: usize,
    cols: usize,
    height: usize,
}

impl Activations {
    fn pack(xs: &[f32], n: usize, cols: usize, height: usize) -> Self {
        let filled = n.next_multiple_of(STEP);
        let mut values = vec![0.0; filled * cols];
        let depths = values.par_chunks_mut((filled * DEPTH).max(1)).enumerate();
        depths.for_each(|(depth, values)| {
            let len = values.len() / filled;
            for (tile, values) in values.chunks_mut(height * len).enumerate() {
                let rows = values.len() / len;
                for row in 0..rows.min(n - (tile * height).min(n)) {
                    let xs = &xs[(tile * height + row) * cols + depth * DEPTH..][..len];
                    for (value, &x) in values[row..].iter_mut().step_by(rows).zip(xs) {
                        *value = x;
                    }
                }
            }
        });
        Self { values, n: filled, cols, height }
    }

    /// The tiles of one depth, each with the number of its rows.
    fn tiles(&self, depth: usize) -> impl Iterator<Item = (usize, &[f32])> {
        let start = depth * DEPTH;
        let len = DEPTH.min(self.cols - start);
        let values = &self.values[start * self.n..][..len * self.n];
        values.chunks(self.height * len).map(move |values| (values.len() / len, values))
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
    packed: &'a Activations,
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
        for (rows, xs) in self.packed.tiles(self.depth) {
            let (tile, rest) = ys.split_at_mut(rows * V * S::F32_LANES);
            let (tile, _) = S::as_mut_simd_f32s(tile);
            let (tile, _) = tile.as_chunks_mut::<V>();
            match rows {
                12 => multiply::<S, V, 12>(simd, panel, xs, tile),
                8 => multiply::<S, V, 8>(simd, panel, xs, tile),
                _ => multiply::<S, V, 4>(simd, panel, xs, tile),
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
