//! Activations rearranged for tiles: what a product of many rows reads one after another lies one
//! after another.
//!
//! A *depth* is a run of columns that is multiplied at once; a *tile* is a few rows of activations
//! whose results the registers hold together.

use std::iter::StepBy;
use std::ops::Range;
use std::slice::IterMut;

use bytemuck::Pod;
use rayon::prelude::*;

use super::product::HEIGHT;
use crate::huge_pages;

/// Rows of activations come in multiples of this where tiles lie by columns.
pub(super) const STEP: usize = 4;

/// How a tile lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    /// `(columns, rows)`; the last tile has as many rows as there are, in steps of [`STEP`].
    ByColumn,
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(dead_code, reason = "only there is a kernel that wants it")
    )]
    /// `(rows, columns)`; every tile has [`HEIGHT`] rows, and columns are filled up to a multiple.
    ByRow {
        /// Of so many.
        multiple: usize,
    },
}

/// Rows of activations, depth by depth, tile by tile, each tile in some [`Order`].
pub(super) struct Packed<T> {
    values: Vec<T>,
    /// Rows, filled up to whole steps or tiles.
    filled: usize,
    cols: usize,
    /// Columns in a depth but for the last.
    depth: usize,
}

impl<T: Pod + Send + Sync> Packed<T> {
    /// Rearranges `n` rows of `cols` columns. `write` is given a row, some columns, and where they go.
    /// What it returns is kept for every depth and row, in that order.
    pub(super) fn new<M: Copy + Default + Send>(
        n: usize,
        cols: usize,
        depth: usize,
        order: Order,
        write: impl Fn(usize, Range<usize>, StepBy<IterMut<'_, T>>) -> M + Sync,
    ) -> (Self, Vec<M>) {
        let (filled, cols) = match order {
            Order::ByColumn => (n.next_multiple_of(STEP), cols),
            Order::ByRow { multiple } => {
                (n.next_multiple_of(HEIGHT), cols.next_multiple_of(multiple))
            }
        };
        let mut values: Vec<T> = huge_pages::zeroed(filled * cols);
        let mut kept = vec![M::default(); filled * cols.div_ceil(depth)];
        let mut tiles = Vec::with_capacity(cols.div_ceil(depth) * filled.div_ceil(HEIGHT));
        let (mut rest, mut kept_rest) = (values.as_mut_slice(), kept.as_mut_slice());
        for start in (0..cols).step_by(depth) {
            let columns = start..cols.min(start + depth);
            for row in (0..filled).step_by(HEIGHT) {
                let rows = HEIGHT.min(filled - row);
                let (tile, after) = rest.split_at_mut(rows * columns.len());
                let (kept, kept_after) = kept_rest.split_at_mut(rows);
                tiles.push((row, columns.clone(), tile, kept));
                (rest, kept_rest) = (after, kept_after);
            }
        }
        tiles.into_par_iter().for_each(|(row, columns, tile, kept)| {
            let height = kept.len();
            for (at, kept) in kept.iter_mut().enumerate().take(n.saturating_sub(row)) {
                let places = match order {
                    Order::ByColumn => tile[at..].iter_mut().step_by(height),
                    Order::ByRow { .. } => {
                        tile[at * columns.len()..][..columns.len()].iter_mut().step_by(1)
                    }
                };
                *kept = write(row + at, columns.clone(), places);
            }
        });
        (Self { values, filled, cols, depth }, kept)
    }

    /// Returns the number of rows, filled up to whole steps or tiles.
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    /// Returns the number of rows of the tile that starts at `first`.
    pub(super) fn rows(&self, first: usize) -> usize {
        HEIGHT.min(self.filled - first)
    }

    /// Returns the tile that starts at row `first`, of one depth.
    pub(super) fn tile(&self, first: usize, depth: usize) -> &[T] {
        let start = depth * self.depth;
        let len = self.depth.min(self.cols - start);
        &self.values[start * self.filled + first * len..][..len * self.rows(first)]
    }
}
