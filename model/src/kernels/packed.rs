//! Activations rearranged for tiles: what a product of many rows reads one after another lies one
//! after another.
//!
//! A *depth* is a run of columns that is multiplied at once; a *tile* is a few rows of activations
//! whose results the registers hold together.

use rayon::prelude::*;

use super::product::HEIGHT;

/// Rows of activations come in multiples of this.
pub(super) const STEP: usize = 4;

/// Rows of activations, depth by depth, tile by tile, each tile `(columns, rows)`.
pub(super) struct Packed<T> {
    values: Vec<T>,
    /// Rows, filled up to a multiple of [`STEP`].
    filled: usize,
    cols: usize,
    /// Columns in a depth but for the last.
    depth: usize,
}

impl<T: Copy + Default + Send + Sync> Packed<T> {
    /// Rearranges `n` rows of `cols` columns. `write` is given a tile's first row, how many there are
    /// of it that exist, its columns, and where it goes: `(columns, rows)`, filled with the default.
    pub(super) fn new(
        n: usize,
        cols: usize,
        depth: usize,
        write: impl Fn(std::ops::Range<usize>, std::ops::Range<usize>, &mut [T], usize) + Sync,
    ) -> Self {
        let filled = n.next_multiple_of(STEP);
        let mut values = vec![T::default(); filled * cols];
        let mut tiles = Vec::with_capacity(cols.div_ceil(depth) * filled.div_ceil(HEIGHT));
        let mut rest = values.as_mut_slice();
        for start in (0..cols).step_by(depth) {
            let columns = start..cols.min(start + depth);
            for row in (0..filled).step_by(HEIGHT) {
                let rows = HEIGHT.min(filled - row);
                let (tile, after) = rest.split_at_mut(rows * columns.len());
                tiles.push((row, rows, columns.clone(), tile));
                rest = after;
            }
        }
        tiles.into_par_iter().for_each(|(row, rows, columns, tile)| {
            write(row..n.min(row + rows), columns, tile, rows);
        });
        Self { values, filled, cols, depth }
    }

    /// Returns the number of rows, filled up to a multiple of [`STEP`].
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    /// Returns the number of rows of the tile that starts at `first`.
    pub(super) fn rows(&self, first: usize) -> usize {
        HEIGHT.min(self.filled - first)
    }

    /// Returns the tile that starts at row `first`, of one depth: `(columns, rows)`.
    pub(super) fn tile(&self, first: usize, depth: usize) -> &[T] {
        let start = depth * self.depth;
        let len = self.depth.min(self.cols - start);
        &self.values[start * self.filled + first * len..][..len * self.rows(first)]
    }
}
