//! Products of many rows in f32.
//!
//! A panel is some rows of weights beside each other, so that one register holds the same column of
//! several rows.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::packed::{Order, Packed};
use super::product::{MAX_WIDTH, Product, Sums};
use super::rows::{Rows, Weights};

/// Columns of weights that are multiplied at once.
const DEPTH: usize = 512;

/// Columns of a panel that are filled at once: they stay in the nearest cache, though each row of weights
/// goes to all of them.
const FILLED: usize = 256;

/// Activations that meet weights in f32.
pub(crate) struct Floats {
    arch: Arch,
    packed: Packed<f32>,
    cols: usize,
    width: usize,
}

impl Floats {
    /// Takes `n` rows of activations, one after another.
    pub(super) fn new(xs: &[f32], n: usize, cols: usize) -> Self {
        let arch = Arch::new();
        let (packed, _) = Packed::new(n, cols, DEPTH, Order::ByColumn, |row, columns, places| {
            for (place, &x) in places.zip(&xs[row * cols..][columns]) {
                *place = x;
            }
        });
        Self { arch, packed, cols, width: arch.dispatch(Width) }
    }
}

impl Product for Floats {
    /// `(columns, width)`
    type Panel = Vec<f32>;

    const COLUMNS: usize = DEPTH;

    fn cols(&self) -> usize {
        self.cols
    }

    fn width(&self) -> usize {
        self.width
    }

    fn panel(&self) -> Vec<f32> {
        Vec::new()
    }

    fn panel_bytes(&self) -> usize {
        4 * self.cols.min(DEPTH) * self.width
    }

    fn fill(
        &self,
        weights: &dyn Weights,
        rows: Range<usize>,
        columns: Range<usize>,
        panel: &mut Vec<f32>,
    ) {
        panel.resize(columns.len() * self.width, 0.0);
        weights.fill_floats(rows, columns.start, self.width, panel);
    }

    fn add(&self, panel: &Vec<f32>, column: usize, row: usize, sums: &mut Sums) {
        let (xs, rows) = (self.packed.tile(row, column / DEPTH), self.packed.rows(row));
        self.arch.dispatch(Tile { panel, xs, rows, sums });
    }
}

/// How many rows of weights two registers hold, or more registers where there are more than sixteen.
struct Width;

impl WithSimd for Width {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> usize {
        (S::F32_LANES * vectors::<S>()).min(MAX_WIDTH)
    }
}

/// Registers side by side in a panel.
#[inline(always)]
fn vectors<S: Simd>() -> usize {
    if S::F32_LANES >= 8 { 2 } else { 4 }
}

/// Fills a panel, `(columns, width)`, with columns from `start` on.
pub(super) struct Fill<'a, R> {
    pub(super) weights: &'a R,
    pub(super) rows: Range<usize>,
    pub(super) start: usize,
    pub(super) width: usize,
    pub(super) panel: &'a mut [f32],
}

impl<R: Rows> WithSimd for Fill<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self { weights, rows, start, width, panel } = self;
        let mut row = [0.0; FILLED];
        for (part, panel) in panel.chunks_mut(FILLED * width).enumerate() {
            let row = &mut row[..panel.len() / width];
            for at in 0..width {
                if at < rows.len() {
                    weights.widen(rows.start + at, start + part * FILLED, row);
                } else {
                    row.fill(0.0);
                }
                for (place, &weight) in panel[at..].iter_mut().step_by(width).zip(&*row) {
                    *place = weight;
                }
            }
        }
    }
}

/// Adds the product of a panel with a tile of its columns.
struct Tile<'a> {
    /// `(columns, width)`
    panel: &'a [f32],
    /// `(columns, rows)`
    xs: &'a [f32],
    rows: usize,
    sums: &'a mut Sums,
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::F32_LANES, self.rows) {
            (16, 12) => self.part::<S, 2, 12>(simd, 0),
            (16, 8) => self.part::<S, 2, 8>(simd, 0),
            (8, 12) => {
                let Self { panel, xs, rows, sums } = self;
                Tile { panel, xs, rows, sums }.part::<S, 2, 6>(simd, 0);
                Tile { panel, xs, rows, sums }.part::<S, 2, 6>(simd, 6);
            }
            (16 | 8, _) => self.fours::<S, 2>(simd),
            _ => self.fours::<S, 4>(simd),
        }
    }
}

impl Tile<'_> {
    #[inline(always)]
    fn fours<S: Simd, const V: usize>(self, simd: S) {
        let Self { panel, xs, rows, sums } = self;
        for row in (0..rows).step_by(4) {
            Tile { panel, xs, rows, sums }.part::<S, V, 4>(simd, row);
        }
    }

    /// `M` rows from `row` on, whose sums the registers hold.
    #[inline(always)]
    fn part<S: Simd, const V: usize, const M: usize>(self, simd: S, row: usize) {
        let (panel, _) = S::as_simd_f32s(self.panel);
        let (panel, _) = panel.as_chunks::<V>();
        let Some(out) = self.sums.0[row..].first_chunk_mut::<M>() else { return };
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        for m in 0..M {
            sums[m].copy_from_slice(&S::as_simd_f32s(&out[m]).0[..V]);
        }
        for (weights, xs) in panel.iter().zip(self.xs.chunks_exact(self.rows)) {
            let Some(xs) = xs[row..].first_chunk::<M>() else { return };
            for m in 0..M {
                let x = simd.splat_f32s(xs[m]);
                for v in 0..V {
                    sums[m][v] = simd.mul_add_e_f32s(weights[v], x, sums[m][v]);
                }
            }
        }
        for m in 0..M {
            S::as_mut_simd_f32s(&mut out[m]).0[..V].copy_from_slice(&sums[m]);
        }
    }
}
