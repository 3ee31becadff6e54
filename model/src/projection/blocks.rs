//! Weights kept in GGML's quantised blocks on the CPU.
//!
//! They are in memory once. candle's own `QMatMul` adds a rearranged copy of some types the first
//! time they are used, more than doubling them; so the blocks are used directly here. Few rows of
//! activations (decoding) are multiplied by candle's integer dot products, or with weights turned to
//! f32 where that is faster. Many rows (a prompt, an image) are multiplied in 8-bit integers where the
//! processor is made for it, else with weights turned to f32.

use std::borrow::Cow;

use candle_core::quantized::{GgmlDType, QTensor, QuantizedType};
use candle_core::{CpuStorage, Device, Result, Tensor};
use rayon::prelude::*;

use super::{Precision, gather, multiply};
use crate::kernels::rows::{Q8Rows, Rows};
use crate::kernels::with_values;

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
    /// `Q8_0`, which turns to f32 faster than it is read.
    Q8(Vec<u8>),
    /// Other types, which candle takes apart.
    Others(Box<dyn QuantizedType>),
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
        let blocks = match dtype {
            GgmlDType::Q8_0 => Blocks::Q8(bytes),
            _ => Blocks::Others(dtype.from_data(Cow::Owned(bytes))),
        };
        Ok(Self { rows, cols, padded, dtype, blocks })
    }

    pub(super) fn bytes(&self) -> usize {
        match &self.blocks {
            Blocks::Q8(bytes) => bytes.len(),
            Blocks::Others(blocks) => blocks.storage_size_in_bytes(),
        }
    }

    pub(super) fn dims(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    pub(super) fn dtype(&self) -> GgmlDType {
        self.dtype
    }

    /// `(n, cols)` → `(n, rows)`, both f32 on the CPU.
    pub(super) fn matmul(&self, xs: &Tensor, rounding: bool) -> Result<Tensor> {
        let few_rows = few_rows(self.dtype);
        let (n, width) = xs.dims2()?;
        let blocks = match &self.blocks {
            Blocks::Q8(bytes) => {
                let precision = Precision { few_rows, rounding };
                return multiply(&self.q8_rows(bytes), xs, precision);
            }
            Blocks::Others(blocks) => &**blocks,
        };
        // candle's dot products round activations, too.
        if !rounding || n == 0 || n > few_rows || width != self.cols {
            let precision = Precision { few_rows: if rounding { 0 } else { few_rows }, rounding };
            return multiply(&self.other_rows(blocks), xs, precision);
        }
        let xs = xs.pad_with_zeros(1, 0, self.padded - self.cols)?;
        let mut ys = vec![0.0; n * self.rows];
        with_values(&xs, |xs| blocks.matmul_t((n, self.padded, self.rows), xs, &mut ys))??;
        Tensor::from_vec(ys, (n, self.rows), &Device::Cpu)
    }

    /// Looks up rows: `(s,)` → `(s, cols)` in f32.
    pub(super) fn select(&self, indices: &Tensor) -> Result<Tensor> {
        gather(indices, self.dims(), |row, out| match &self.blocks {
            Blocks::Q8(bytes) => self.q8_rows(bytes).widen(row, 0, out),
            Blocks::Others(blocks) => self.other_rows(&**blocks).widen(row, 0, out),
        })
    }

    fn q8_rows<'a>(&self, bytes: &'a [u8]) -> Q8Rows<'a> {
        Q8Rows { blocks: bytes.as_chunks().0, cols: self.cols }
    }

    fn other_rows<'a>(&self, blocks: &'a dyn QuantizedType) -> OtherRows<'a> {
        let unit = self.dtype.block_size();
        let Self { rows, cols, padded, .. } = *self;
        OtherRows { blocks, dims: (rows, cols), per_row: padded / unit, unit }
    }
}

/// Returns the most rows of activations for which the dot products of this type are faster than
/// turning all weights to f32, from measurements at the shapes of the 3B.
fn few_rows(dtype: GgmlDType) -> usize {
    use GgmlDType::{Q2K, Q3K, Q4_0, Q4K, Q5K, Q6K, Q8_0};
    match dtype {
        Q2K | Q3K | Q4K | Q5K | Q6K => 24,
        Q4_0 => 8,
        Q8_0 => 16,
        // Those without instructions for wide registers.
        _ => 1,
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
