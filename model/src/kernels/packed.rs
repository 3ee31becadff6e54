//! Activations rearranged for tiles: what a product of many rows reads one after another lies one
//! after another.
//!
//! A *depth* is a run of columns that is multiplied at once; a *tile* is a few rows of activations
//! whose results the registers hold together.

use rayon::prelude::*;

/// Rows of activations come in multiples of this.
pub(super) const STEP: usize = 4;

/// Rows of activations, depth by depth, tile by tile, each tile `(columns, rows)`.
pub(super) struct Packed<T> {
    values: Vec<T>,
    /// Rows, filled up to a multiple of [`STEP`].
    filled: usize,
    cols: usize,
    /// Rows in a tile but for the last.
    height: usize,
    /// Columns in a depth but for the last.
    depth: usize,
}

/// Some rows of one depth.
pub(super) struct Tile<'a, T> {
    /// The first row.
    pub(super) first: usize,
    /// How many: 12, 8 or 4.
    pub(super) rows: usize,
    /// `(columns, rows)`
    pub(super) values: &'a [T],
}

impl<T: Copy + Default + Send + Sync> Packed<T> {
    /// Rearranges `n` rows of `cols` columns, one row after another.
    pub(super) fn new(xs: &[T], n: usize, cols: usize, height: usize, depth: usize) -> Self {
        let filled = n.next_multiple_of(STEP);
        let mut values = vec![T::default(); filled * cols];
        let depths = values.par_chunks_mut((filled * depth).max(1)).enumerate();
        depths.for_each(|(at, values)| {
            let len = values.len() / filled;
            for (tile, values) in values.chunks_mut(height * len).enumerate() {
                let rows = values.len() / len;
                for row in 0..rows.min(n - (tile * height).min(n)) {
                    let xs = &xs[(tile * height + row) * cols + at * depth..][..len];
                    for (value, &x) in values[row..].iter_mut().step_by(rows).zip(xs) {
                        *value = x;
                    }
                }
            }
        });
        Self { values, filled, cols, height, depth }
    }

    /// Returns the number of rows, filled up to a multiple of [`STEP`].
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    /// Returns the tiles of one depth.
    pub(super) fn tiles(&self, depth: usize) -> impl Iterator<Item = Tile<'_, T>> {
        let start = depth * self.depth;
        let len = self.depth.min(self.cols - start);
        let values = &self.values[start * self.filled..][..len * self.filled];
        let tiles = values.chunks(self.height * len).enumerate();
        tiles.map(move |(tile, values)| Tile {
            first: tile * self.height,
            rows: values.len() / len,
            values,
        })
    }
}

/// Puts results that lie panel by panel, `(panels, filled, width)`, row by row: `(n, rows)`.
pub(super) fn join(ys: &[f32], n: usize, filled: usize, rows: usize, width: usize) -> Vec<f32> {
    let mut joined = vec![0.0; n * rows];
    joined.par_chunks_mut(rows).enumerate().for_each(|(at, joined)| {
        for (panel, out) in joined.chunks_mut(width).enumerate() {
            out.copy_from_slice(&ys[(panel * filled + at) * width..][..out.len()]);
        }
    });
    joined
}
