//! Weights kept in GGML's quantised blocks on the CPU.
//!
//! They are in memory once. candle's own `QMatMul` adds a rearranged copy to some types the first
//! time they are used, more than doubling them; so the blocks are used directly here. Few rows of
//! activations (decoding) are multiplied by candle's integer dot products. Many rows (a prompt, an
//! image) share tiles of weights turned to f32, which is as fast as the rearranged copy or faster
//! and leaves the activations whole.

use std::borrow::Cow;

use candle_core::quantized::{GgmlDType, QTensor, QuantizedType};
use candle_core::{CpuStorage, Device, Result, Tensor};
use rayon::prelude::*;

use super::{TILE_ELEMENTS, gather, join_columns, with_rows};

/// The most rows of activations that are multiplied with the blocks as they are.
/// From measurements at the shapes of the 3B: above, tiles cost less than they save.
const FEW_ROWS: usize = 16;

/// A matrix of quantised weights, `(rows, cols)`.
pub(super) struct BlockMatrix {
    rows: usize,
    /// What activations have.
    cols: usize,
    /// What rows of blocks have: `cols`, filled up with zeros to whole blocks.
    padded: usize,
    blocks: Box<dyn QuantizedType>,
}

impl BlockMatrix {
    /// `bytes` are blocks, row by row.
    ///
    /// # Errors
    ///
    /// Fails if there are not as many blocks as `rows` of `cols` weights take.
    pub(super) fn new(dtype: GgmlDType, bytes: Vec<u8>, rows: usize, cols: usize) -> Result<Self> {
        let padded = cols.next_multiple_of(dtype.block_size());
        let expected = rows * (padded / dtype.block_size()) * dtype.type_size();
        if bytes.len() != expected {
            candle_core::bail!(
                "{rows} × {cols} weights in {dtype:?} take {expected} bytes, but {} are there",
                bytes.len()
            );
        }
        Ok(Self { rows, cols, padded, blocks: dtype.from_data(Cow::Owned(bytes)) })
    }

    pub(super) fn bytes(&self) -> usize {
        self.blocks.storage_size_in_bytes()
    }

    pub(super) fn dims(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    pub(super) fn dtype(&self) -> GgmlDType {
        self.blocks.dtype()
    }

    /// `(n, cols)` → `(n, rows)`, both f32 on the CPU.
    pub(super) fn matmul(&self, xs: &Tensor) -> Result<Tensor> {
        let (n, cols) = xs.dims2()?;
        if cols != self.cols {
            candle_core::bail!("activations of width {cols} meet weights of width {}", self.cols);
        }
        if n > FEW_ROWS {
            return self.matmul_in_tiles(xs);
        }
        let xs = xs.pad_with_zeros(1, 0, self.padded - self.cols)?;
        let mut ys = vec![0.0; n * self.rows];
        with_rows(&xs, |xs| self.blocks.matmul_t((n, self.padded, self.rows), xs, &mut ys))??;
        Tensor::from_vec(ys, (n, self.rows), &Device::Cpu)
    }

    fn matmul_in_tiles(&self, xs: &Tensor) -> Result<Tensor> {
        let tile_rows = (TILE_ELEMENTS / self.padded).max(1);
        let tiles = (0..self.rows).step_by(tile_rows).map(|start| {
            let rows = tile_rows.min(self.rows - start);
            let tile = Tensor::from_vec(self.widen(start, rows)?, (rows, self.cols), &Device::Cpu)?;
            xs.matmul(&tile.t()?)
        });
        join_columns(tiles, self.rows)
    }

    /// Turns some rows to f32.
    fn widen(&self, start: usize, rows: usize) -> Result<Vec<f32>> {
        let mut tile = vec![0.0; rows * self.cols];
        let task_rows = rows.div_ceil(4 * rayon::current_num_threads());
        tile.par_chunks_mut(task_rows * self.cols)
            .enumerate()
            .try_for_each(|(task, out)| self.widen_into(start + task * task_rows, out))?;
        Ok(tile)
    }

    /// Turns the rows from `start` to f32 until `out` is full.
    fn widen_into(&self, start: usize, out: &mut [f32]) -> Result<()> {
        let rows = (start..start + out.len() / self.cols).map(|row| row as u32).collect::<Vec<_>>();
        let CpuStorage::F32(values) = self.blocks.embedding(&rows, self.rows, self.padded)? else {
            candle_core::bail!("quantised weights did not become f32")
        };
        for (out, values) in out.chunks_mut(self.cols).zip(values.chunks(self.padded)) {
            out.copy_from_slice(&values[..self.cols]);
        }
        Ok(())
    }

    /// Looks up rows: `(s,)` → `(s, cols)` in f32.
    pub(super) fn select(&self, indices: &Tensor) -> Result<Tensor> {
        gather(indices, self.dims(), |row, out| self.widen_into(row, out))
    }
}

/// Quantises dense weights, row by row, each row filled up with zeros to whole blocks; all
/// processors take part. `read` writes the weights from a place on until its slice is full.
pub(crate) fn quantize(
    dtype: GgmlDType,
    elements: usize,
    cols: usize,
    read: impl Fn(usize, &mut [f32]) -> Result<()> + Sync,
) -> Result<Vec<u8>> {
    const TASK_ELEMENTS: usize = 1 << 16;
    let padded = cols.next_multiple_of(dtype.block_size());
    let task_rows = (TASK_ELEMENTS / cols.max(1)).max(1);
    let rows = elements / cols.max(1);
    let parts = (0..rows.div_ceil(task_rows)).into_par_iter().map(|task| {
        let start = task * task_rows;
        let rows = task_rows.min(rows - start);
        let mut dense = vec![0.0; rows * cols];
        read(start * cols, &mut dense)?;
        let dense = Tensor::from_vec(dense, (rows, cols), &Device::Cpu)?;
        let dense = dense.pad_with_zeros(1, 0, padded - cols)?;
        QTensor::quantize(&dense, dtype)?.data().map(Cow::into_owned)
    });
    Ok(parts.collect::<Result<Vec<_>>>()?.concat())
}
