//! A matrix of weights that activations are multiplied with, however it is stored.
//!
//! Activations are the caller's: f32 on the CPU, the run's dtype on a GPU. What the weights are is
//! decided when they are loaded (`weights/form.rs`).
mod blocks;
mod half;

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul};
use candle_core::{DType, Device, Module, Result, Tensor};

use crate::kernels;
use crate::kernels::rows::{Dense, Rows};
use blocks::BlockMatrix;
use half::HalfMatrix;

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
    /// Whether activations may be rounded to 8 bits.
    rounding: bool,
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
        Self { matrix: Matrix::Dense(weight), bias: None, rounding: false }
    }

    /// Returns a projection by 16-bit weights on the CPU, row by row, `in_len` each.
    pub(crate) fn half(weights: HalfWeights, in_len: usize) -> Self {
        let matrix = Matrix::Half(Arc::new(HalfMatrix::new(weights, in_len)));
        Self { matrix, bias: None, rounding: false }
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
        Ok(Self { matrix, bias: None, rounding: false })
    }

    /// Adds `bias`, `(out,)`, to every row of the result.
    pub(crate) fn with_bias(self, bias: Tensor) -> Self {
        Self { bias: Some(bias), ..self }
    }

    /// Allows activations to be rounded to 8 bits where that is faster, or forbids it.
    pub(crate) fn with_rounding(self, rounding: bool) -> Self {
        Self { rounding, ..self }
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
            Matrix::Dense(weight) if kernels::takes(weight) => {
                let cols = weight.dim(1)?;
                let precision = Precision { few_rows: FEW_ROWS, rounding: self.rounding };
                kernels::with_values(weight, |weights| {
                    multiply(&Dense { weights, cols }, &flat, precision)
                })??
            }
            Matrix::Dense(weight) => flat.matmul(&weight.t()?)?,
            Matrix::Half(matrix) => matrix.matmul(&flat, self.rounding)?,
            Matrix::Blocks(matrix) => matrix.matmul(&flat, self.rounding)?,
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

/// How activations are multiplied.
#[derive(Clone, Copy)]
struct Precision {
    /// Up to so many rows one by one.
    few_rows: usize,
    /// Whether many may be rounded to 8 bits.
    rounding: bool,
}

/// Multiplies activations with weights that are turned to f32, or rounded: `(n, in)` → `(n, out)`,
/// both f32 on the CPU.
fn multiply(weights: &impl Rows, xs: &Tensor, precision: Precision) -> Result<Tensor> {
    let Precision { few_rows, rounding } = precision;
    let multiply = if rounding { kernels::multiply_rounded } else { kernels::multiply };
    product(weights.dims(), xs, |xs, n| multiply(weights, xs, n, few_rows))
}

/// Has activations multiplied with weights of `dims`, (rows, cols), if that is possible.
fn product(
    (rows, cols): (usize, usize),
    xs: &Tensor,
    multiply: impl FnOnce(&[f32], usize) -> Vec<f32>,
) -> Result<Tensor> {
    let (n, width) = xs.dims2()?;
    if width != cols {
        candle_core::bail!("activations of width {width} meet weights of width {cols}");
    }
    if n == 0 || rows == 0 || cols == 0 {
        return Tensor::zeros((n, rows), DType::F32, &Device::Cpu);
    }
    let ys = kernels::with_values(xs, |xs| multiply(xs, n))?;
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
