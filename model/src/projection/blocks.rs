//! Weights kept in GGML's quantised blocks on the CPU.
//!
//! They are in memory once. candle's own `QMatMul` adds a rearranged copy of some types the first
//! time they are used, more than doubling them; so the blocks are used directly here.

use std::borrow::Cow;

use candle_core::quantized::{GgmlDType, QTensor, QuantizedType};
use candle_core::{CpuStorage, Device, Result, Tensor};
use rayon::prelude::*;

use super::gather;
use crate::kernels::k_quants::{KRows, Q4K, Q5K, Q5Zero, Q6K};
use crate::kernels::rows::{Q8Rows, Rows, Weights};
use crate::kernels::{multiply_few, multiply_few_rounded};

/// A matrix of quantised weights, `(rows, cols)`.
pub(super) struct BlockMatrix {
    rows: usize,
    /// What activations have.
    cols: usize,
    /// What rows of blocks have: `cols`, filled up with zeros to whole blocks.
    padded: usize,
    dtype: GgmlDType,
    blocks: Blocks,
}

enum Blocks {
    /// Of a type that is taken apart here.
    Own(Vec<u8>),
    /// Of a type that candle takes apart.
    Others(Box<dyn QuantizedType>),
}

/// The weights by type.
enum ByType<'a> {
    Q8(Q8Rows<'a>),
    Q4(KRows<'a, Q4K>),
    Q5(KRows<'a, Q5K>),
    Q6(KRows<'a, Q6K>),
    Q5Zero(KRows<'a, Q5Zero>),
    Others(OtherRows<'a>),
}

impl BlockMatrix {
    /// `bytes` are blocks, row by row.
    ///
    /// # Errors
    ///
    /// Fails if there are not as many blocks as `rows` of `cols` weights take.
    pub(super) fn new(dtype: GgmlDType, bytes: Vec<u8>, rows: usize, cols: usize) -> Result<Self> {
        use GgmlDType::{Q4K, Q5_0, Q5K, Q6K, Q8_0};
        let padded = cols.next_multiple_of(dtype.block_size());
        let expected = rows * (padded / dtype.block_size()) * dtype.type_size();
        if bytes.len() != expected {
            candle_core::bail!(
                "{rows} × {cols} weights in {dtype:?} take {expected} bytes, but {} are there",
                bytes.len()
            );
        }
        let blocks = match dtype {
            Q8_0 | Q4K | Q5K | Q6K => Blocks::Own(bytes),
            Q5_0 if cols.is_multiple_of(Q4K.block_size()) => Blocks::Own(bytes),
            _ => Blocks::Others(dtype.from_data(Cow::Owned(bytes))),
        };
        Ok(Self { rows, cols, padded, dtype, blocks })
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        match &self.blocks {
            Blocks::Own(bytes) => bytes.len(),
            Blocks::Others(blocks) => blocks.storage_size_in_bytes(),
        }
    }

    pub(super) fn dims(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    pub(super) fn dtype(&self) -> GgmlDType {
        self.dtype
    }

    fn by_type(&self) -> ByType<'_> {
        let cols = self.cols;
        match &self.blocks {
            Blocks::Others(blocks) => {
                let unit = self.dtype.block_size();
                let (dims, per_row) = (self.dims(), self.padded / unit);
                ByType::Others(OtherRows { blocks: &**blocks, dims, per_row, unit })
            }
            Blocks::Own(bytes) => match self.dtype {
                GgmlDType::Q4K => ByType::Q4(KRows::new(bytes, cols)),
                GgmlDType::Q5K => ByType::Q5(KRows::new(bytes, cols)),
                GgmlDType::Q6K => ByType::Q6(KRows::new(bytes, cols)),
                GgmlDType::Q5_0 => ByType::Q5Zero(KRows::new(bytes, cols)),
                _ => ByType::Q8(Q8Rows { blocks: bytes.as_chunks().0, cols }),
            },
        }
    }

    /// Shows the weights to a product of many rows.
    pub(super) fn with_weights<T>(&self, show: impl FnOnce(&dyn Weights) -> T) -> T {
        match self.by_type() {
            ByType::Q8(rows) => show(&rows),
            ByType::Q4(rows) => show(&rows),
            ByType::Q5(rows) => show(&rows),
            ByType::Q6(rows) => show(&rows),
            ByType::Q5Zero(rows) => show(&rows),
            ByType::Others(rows) => show(&rows),
        }
    }

    /// Multiplies few rows of activations: `(n, cols)` → `(n, rows)`.
    pub(super) fn multiply_few(&self, xs: &[f32], n: usize, rounding: bool) -> Vec<f32> {
        match self.by_type() {
            ByType::Q4(rows) if rounding => multiply_few_rounded(&rows, xs, n),
            ByType::Q5(rows) if rounding => multiply_few_rounded(&rows, xs, n),
            ByType::Q6(rows) if rounding => multiply_few_rounded(&rows, xs, n),
            ByType::Q5Zero(rows) if rounding => multiply_few_rounded(&rows, xs, n),
            ByType::Q8(rows) => multiply_few(&rows, xs, n),
            ByType::Q4(rows) => multiply_few(&rows, xs, n),
            ByType::Q5(rows) => multiply_few(&rows, xs, n),
            ByType::Q6(rows) => multiply_few(&rows, xs, n),
            ByType::Q5Zero(rows) => multiply_few(&rows, xs, n),
            ByType::Others(rows) => multiply_few(&rows, xs, n),
        }
    }

    /// Looks up rows: `(s,)` → `(s, cols)` in f32.
    pub(super) fn select(&self, indices: &Tensor) -> Result<Tensor> {
        let by_type = self.by_type();
        gather(indices, self.dims(), |row, out| match &by_type {
            ByType::Q8(rows) => rows.widen(row, 0, out),
            ByType::Q4(rows) => rows.widen(row, 0, out),
            ByType::Q5(rows) => rows.widen(row, 0, out),
            ByType::Q6(rows) => rows.widen(row, 0, out),
            ByType::Q5Zero(rows) => rows.widen(row, 0, out),
            ByType::Others(rows) => rows.widen(row, 0, out),
        })
    }
}

/// Blocks that candle turns to f32.
struct OtherRows<'a> {
    blocks: &'a dyn QuantizedType,
    dims: (usize, usize),
    /// Blocks in a row.
    per_row: usize,
    /// Weights in a block.
    unit: usize,
}

impl Rows for OtherRows<'_> {
    fn dims(&self) -> (usize, usize) {
        self.dims
    }

    fn widen(&self, row: usize, start: usize, out: &mut [f32]) {
        // To candle a row of an embedding is any number of whole blocks, here one.
        let first = row * self.per_row + start / self.unit;
        let last = first + out.len().div_ceil(self.unit);
        let blocks: Vec<u32> = (first..last).map(|block| block as u32).collect();
        match self.blocks.embedding(&blocks, self.dims.0 * self.per_row, self.unit) {
            Ok(CpuStorage::F32(values)) => out.copy_from_slice(&values[..out.len()]),
            // Cannot be: the number of blocks was checked. It would not go unnoticed.
            _ => out.fill(f32::NAN),
        }
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
