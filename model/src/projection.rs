//! A matrix of weights that activations are multiplied with, however it is stored.
//!
//! Activations are the caller's: f32 on the CPU, the run's dtype on a GPU. What the weights are is
//! decided when they are loaded (`weights/form.rs`).
#![expect(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the widest registers"
)]

mod blocks;
mod dots;
mod half;
mod int8;
mod packed;
mod panels;
mod rows;

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul};
use candle_core::{CpuStorage, DType, Device, Module, Result, Storage, Tensor};

use blocks::BlockMatrix;
use half::HalfMatrix;
use rows::{Dense, Rows};

pub(crate) use blocks::quantize;
pub(crate) use half::HalfWeights;

/// The most rows of activations for which dot products with f32 weights are faster than panels.
const FEW_ROWS: usize = 8;

/// A linear layer: `x·Wᵀ + b`.
#[derive(Clone, Debug)]
pub(crate) struct Projection {
    matrix: Matrix,
    /// `(out,)`
    bias: Option<Tensor>,
}

/// The weights, `(out, in)`. Clones share them.
#[derive(Clone)]
enum Matrix {
    /// Of the activations' dtype, anywhere.
    Dense(Tensor),
    /// 16 bits, on the CPU.
    Half(Arc<HalfMatrix>),
    /// Quantised, on the CPU.
    Blocks(Arc<BlockMatrix>),
    /// Quantised, on a GPU.
    Device(QMatMul),
}

impl Projection {
    /// Returns a projection by a dense matrix, `(out, in)`, of the activations' dtype.
    pub(crate) fn dense(weight: Tensor) -> Self {
        Self { matrix: Matrix::Dense(weight), bias: None }
    }

    /// Returns a projection by 16-bit weights on the CPU, row by row, `in_len` each.
    pub(crate) fn half(weights: HalfWeights, in_len: usize) -> Self {
        let matrix = Matrix::Half(Arc::new(HalfMatrix::new(weights, in_len)));
        Self { matrix, bias: None }
    }

    /// Returns a projection by quantised weights, row by row, each row filled up to whole blocks.
    pub(crate) fn blocks(
        dtype: GgmlDType,
        bytes: Vec<u8>,
        (out_len, in_len): (usize, usize),
        device: &Device,
    ) -> Result<Self> {
        let matrix = if device.is_cpu() {
            Matrix::Blocks(Arc::new(BlockMatrix::new(dtype, bytes, out_len, in_len)?))
        } else {
            use candle_core::quantized::{QStorage, QTensor};
            let storage = QStorage::from_data(bytes.into(), device, dtype)?;
            Matrix::Device(QMatMul::from_qtensor(QTensor::new(storage, (out_len, in_len))?)?)
        };
        Ok(Self { matrix, bias: None })
    }

    /// Adds `bias`, `(out,)`, to every row of the result.
    pub(crate) fn with_bias(self, bias: Tensor) -> Self {
        Self { bias: Some(bias), ..self }
    }

    /// Returns the bytes that the weights and the bias take in memory.
    #[cfg_attr(not(test), expect(dead_code, reason = "the memory plan is checked with it"))]
    pub(crate) fn resident_bytes(&self) -> usize {
        let dense = |tensor: &Tensor| tensor.elem_count() * tensor.dtype().size_in_bytes();
        let weights = match &self.matrix {
            Matrix::Dense(tensor)
            | Matrix::Device(QMatMul::Tensor(tensor) | QMatMul::TensorF16(tensor)) => dense(tensor),
            Matrix::Half(matrix) => matrix.bytes(),
            Matrix::Blocks(matrix) => matrix.bytes(),
            Matrix::Device(QMatMul::QTensor(tensor)) => tensor.storage_size_in_bytes(),
        };
        weights + self.bias.as_ref().map_or(0, dense)
    }

    /// `(…, in)` → `(…, out)`
    pub(crate) fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let (rank, [.., in_len]) = (xs.rank(), xs.dims()) else {
            candle_core::bail!("a projection needs at least one dimension")
        };
        let flat = if rank == 2 { xs.clone() } else { xs.reshape(((), *in_len))? };
        let ys = match &self.matrix {
            Matrix::Dense(weight) if weight.device().is_cpu() && weight.dtype() == DType::F32 => {
                let cols = weight.dim(1)?;
                with_rows(weight, |weights| multiply(&Dense { weights, cols }, &flat, FEW_ROWS))??
            }
            Matrix::Dense(weight) => flat.matmul(&weight.t()?)?,
            Matrix::Half(matrix) => matrix.matmul(&flat)?,
            Matrix::Blocks(matrix) => matrix.matmul(&flat)?,
            Matrix::Device(matrix) => matrix.forward(&flat)?,
        };
        let ys = match &self.bias {
            Some(bias) => ys.broadcast_add(bias)?,
            None => ys,
        };
        if rank == 2 {
            return Ok(ys);
        }
        let mut shape = xs.dims().to_vec();
        shape[rank - 1] = ys.dim(1)?;
        ys.reshape(shape)
    }

    /// Looks up rows of the weights, as an embedding does: `(s,)` → `(s, in)`.
    pub(crate) fn rows(&self, indices: &Tensor) -> Result<Tensor> {
        match &self.matrix {
            Matrix::Dense(weight) => weight.index_select(indices, 0),
            Matrix::Half(matrix) => matrix.select(indices),
            Matrix::Blocks(matrix) => matrix.select(indices),
            Matrix::Device(matrix) => matrix.embedding(indices),
        }
    }
}

impl std::fmt::Debug for Matrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dense(tensor) => write!(f, "Dense({:?}, {:?})", tensor.dims(), tensor.dtype()),
            Self::Half(matrix) => write!(f, "Half({:?})", matrix.dims()),
            Self::Blocks(matrix) => write!(f, "Blocks({:?}, {:?})", matrix.dims(), matrix.dtype()),
            Self::Device(matrix) => matrix.fmt(f),
        }
    }
}

/// Shows the numbers of an f32 tensor on the CPU to `use_rows`, in row-major order.
fn with_rows<T>(xs: &Tensor, use_rows: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let xs = xs.contiguous()?;
    let (storage, layout) = xs.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => {
            Ok(use_rows(&values[start..end]))
        }
        _ => candle_core::bail!(
            "weights of this form need f32 activations on the CPU, not {:?} on {:?}",
            xs.dtype(),
            xs.device()
        ),
    }
}

/// Multiplies activations with weights that are turned to f32: `(n, in)` → `(n, out)`, both f32 on
/// the CPU. Up to `few_rows` of them row by row.
fn multiply(weights: &impl Rows, xs: &Tensor, few_rows: usize) -> Result<Tensor> {
    multiply_by(weights, xs, few_rows, panels::matmul)
}

/// As [`multiply`], but of many rows both sides may be rounded to 8 bits, where that is faster.
fn multiply_rounded(weights: &impl Rows, xs: &Tensor, few_rows: usize) -> Result<Tensor> {
    match int8::Kernel::fast() {
        None => multiply(weights, xs, few_rows),
        Some(kernel) => multiply_by(weights, xs, few_rows, |weights, xs, n| {
            int8::matmul(kernel, weights, xs, n)
        }),
    }
}

fn multiply_by<R: Rows>(
    weights: &R,
    xs: &Tensor,
    few_rows: usize,
    many: impl Fn(&R, &[f32], usize) -> Vec<f32>,
) -> Result<Tensor> {
    let (n, width) = xs.dims2()?;
    let (rows, cols) = weights.dims();
    if width != cols {
        candle_core::bail!("activations of width {width} meet weights of width {cols}");
    }
    if n == 0 || rows == 0 || cols == 0 {
        return Tensor::zeros((n, rows), DType::F32, &Device::Cpu);
    }
    let ys = with_rows(xs, |xs| {
        if n <= few_rows { dots::matmul(weights, xs, n) } else { many(weights, xs, n) }
    })?;
    Tensor::from_vec(ys, (n, rows), &Device::Cpu)
}

/// Looks up rows of a matrix of `dims`, (rows, cols): `(s,)` → `(s, cols)` in f32.
fn gather(
    indices: &Tensor,
    (rows, cols): (usize, usize),
    read: impl Fn(usize, &mut [f32]),
) -> Result<Tensor> {
    let indices: Vec<u32> = indices.to_dtype(DType::U32)?.to_vec1()?;
    let mut out = vec![0.0; indices.len() * cols];
    for (&index, out) in indices.iter().zip(out.chunks_mut(cols)) {
        if index as usize >= rows {
            candle_core::bail!("row {index} was asked for, of {rows}");
        }
        read(index as usize, out);
    }
    Tensor::from_vec(out, (indices.len(), cols), &Device::Cpu)
}

#[cfg(test)]
mod tests;
