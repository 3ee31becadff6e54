//! A matrix of weights that activations are multiplied with, however it is stored.
//!
//! Activations are the caller's: f32 on the CPU, the run's dtype on a GPU. What the weights are is
//! decided when they are loaded (`weights/form.rs`).
mod blocks;
mod half;
mod mlp;

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{DType, Device, Module, Result, Tensor};

use crate::huge_pages;
use crate::kernels::rows::Dense;
use crate::kernels::{self, Activations, Linear, Scratch};
use blocks::BlockMatrix;
use half::HalfMatrix;

pub(crate) use blocks::quantize;
pub(crate) use half::HalfWeights;
pub(crate) use mlp::gated_mlp;

/// The most rows of activations that any matrix takes for few.
pub(crate) const MOST_FEW_ROWS: usize = 16;

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

    /// Returns a projection by quantised weights on the CPU, row by row, each row filled up to whole
    /// blocks.
    pub(crate) fn blocks(
        dtype: GgmlDType,
        bytes: Vec<u8>,
        (out_len, in_len): (usize, usize),
    ) -> Result<Self> {
        let matrix = Matrix::Blocks(Arc::new(BlockMatrix::new(dtype, bytes, out_len, in_len)?));
        Ok(Self { matrix, bias: None, rounding: false })
    }

    /// As [`blocks`](Self::blocks), of whole blocks on a GPU.
    pub(crate) fn device_blocks(
        dtype: GgmlDType,
        bytes: Vec<u8>,
        (out_len, in_len): (usize, usize),
        device: &Device,
    ) -> Result<Self> {
        let storage = QStorage::from_data(bytes.into(), device, dtype)?;
        let matrix = QMatMul::from_qtensor(QTensor::new(storage, (out_len, in_len))?)?;
        Ok(Self { matrix: Matrix::Device(matrix), bias: None, rounding: false })
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
    #[cfg(test)]
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
        self.apply(xs, None)
    }

    /// Adds what [`forward`](Self::forward) gives to `sum`: `(s, in)`, `(s, out)` → `(s, out)`.
    pub(crate) fn forward_sum(&self, xs: &Tensor, sum: &Tensor) -> Result<Tensor> {
        self.apply(xs, Some(sum))
    }

    /// As [`forward`](Self::forward) of `(s, in)` on the CPU, into room that is used again and again;
    /// nothing if the weights are elsewhere.
    pub(crate) fn forward_scratch(&self, xs: &Tensor) -> Result<Option<Scratch>> {
        if !self.is_for_kernels() {
            return Ok(None);
        }
        let n = xs.dim(0)?;
        let mut ys = Scratch::new(n * self.dims()?.0);
        kernels::with_values(xs, |xs| self.multiply(xs, n, None, &mut ys))??;
        Ok(Some(ys))
    }

    /// As [`forward_sum`](Self::forward_sum), of numbers on the CPU.
    pub(crate) fn forward_slice_sum(&self, xs: &[f32], sum: &Tensor) -> Result<Tensor> {
        let (n, out_len) = (sum.dim(0)?, self.dims()?.0);
        let mut ys = huge_pages::zeroed(n * out_len);
        kernels::with_values(sum, |sum| self.multiply(xs, n, Some(sum), &mut ys))??;
        Tensor::from_vec(ys, (n, out_len), &Device::Cpu)
    }

    fn apply(&self, xs: &Tensor, sum: Option<&Tensor>) -> Result<Tensor> {
        let (rank, [.., in_len]) = (xs.rank(), xs.dims()) else {
            candle_core::bail!("a projection needs at least one dimension")
        };
        let flat = if rank == 2 { xs.clone() } else { xs.reshape(((), *in_len))? };
        let ys = match &self.matrix {
            _ if self.is_for_kernels() => {
                let (n, out_len) = (flat.dim(0)?, self.dims()?.0);
                let mut ys = huge_pages::zeroed(n * out_len);
                kernels::with_values(&flat, |xs| match sum {
                    None => self.multiply(xs, n, None, &mut ys),
                    Some(sum) => {
                        kernels::with_values(sum, |sum| self.multiply(xs, n, Some(sum), &mut ys))?
                    }
                })??;
                Tensor::from_vec(ys, (n, out_len), &Device::Cpu)?
            }
            Matrix::Dense(weight) => self.finish(flat.matmul(&weight.t()?)?, sum)?,
            Matrix::Device(matrix) => {
                // candle multiplies blocks with f32 only.
                let ys = matrix.forward(&flat.to_dtype(DType::F32)?)?;
                self.finish(ys.to_dtype(flat.dtype())?, sum)?
            }
            Matrix::Half(_) | Matrix::Blocks(_) => candle_core::bail!("these are for the kernels"),
        };
        if rank == 2 {
            return Ok(ys);
        }
        let mut shape = xs.dims().to_vec();
        shape[rank - 1] = ys.dim(1)?;
        ys.reshape(shape)
    }

    fn finish(&self, ys: Tensor, sum: Option<&Tensor>) -> Result<Tensor> {
        let ys = match &self.bias {
            Some(bias) => ys.broadcast_add(bias)?,
            None => ys,
        };
        sum.map_or(Ok(ys.clone()), |sum| sum + ys)
    }

    /// Whether the weights are multiplied by the kernels, with f32 activations on the CPU.
    fn is_for_kernels(&self) -> bool {
        match &self.matrix {
            Matrix::Half(_) | Matrix::Blocks(_) => true,
            Matrix::Dense(weight) => kernels::takes(weight),
            Matrix::Device(_) => false,
        }
    }

    /// Returns the number of outputs and inputs.
    fn dims(&self) -> Result<(usize, usize)> {
        match &self.matrix {
            Matrix::Dense(weight) => weight.dims2(),
            Matrix::Half(matrix) => Ok(matrix.dims()),
            Matrix::Blocks(matrix) => Ok(matrix.dims()),
            Matrix::Device(QMatMul::QTensor(tensor)) => tensor.shape().dims2(),
            Matrix::Device(QMatMul::Tensor(tensor) | QMatMul::TensorF16(tensor)) => tensor.dims2(),
        }
    }

    /// Writes the product of `n` rows on the CPU, with the bias and `sum` added.
    fn multiply(&self, xs: &[f32], n: usize, sum: Option<&[f32]>, ys: &mut [f32]) -> Result<()> {
        let (_, in_len) = self.dims()?;
        if xs.len() != n * in_len {
            let width = xs.len() / n.max(1);
            candle_core::bail!("activations of width {width} meet weights of width {in_len}");
        }
        if ys.is_empty() {
            return Ok(());
        }
        if n > self.few_rows() {
            let activations = Activations::new(xs, n, in_len, self.rounding);
            return self.with_linear(|linear| activations.linear(linear, sum, ys));
        }
        ys.copy_from_slice(&match &self.matrix {
            Matrix::Half(matrix) => matrix.multiply_few(xs, n),
            Matrix::Blocks(matrix) => matrix.multiply_few(xs, n, self.rounding),
            Matrix::Dense(weight) => kernels::with_values(weight, |weights| {
                kernels::multiply_few(&Dense { weights, cols: in_len }, xs, n)
            })?,
            Matrix::Device(_) => candle_core::bail!("these are not for the kernels"),
        });
        let mut add = |values: &[f32]| {
            for (y, value) in ys.iter_mut().zip(values.iter().cycle()) {
                *y += value;
            }
        };
        sum.map(&mut add);
        match &self.bias {
            None => Ok(()),
            Some(bias) => kernels::with_values(bias, add),
        }
    }

    /// The most rows of activations for which dot products are faster than panels, from measurements
    /// at the shapes of the 3B.
    fn few_rows(&self) -> usize {
        match &self.matrix {
            Matrix::Blocks(_) | Matrix::Half(_) => MOST_FEW_ROWS,
            Matrix::Dense(_) | Matrix::Device(_) => 8,
        }
    }

    /// Shows weights and bias to a product of many rows.
    fn with_linear<T>(&self, show: impl FnOnce(Linear<'_>) -> T) -> Result<T> {
        let with_bias = |bias: Option<&[f32]>| match &self.matrix {
            Matrix::Half(matrix) => {
                Ok(matrix.with_weights(|weights| show(Linear { weights, bias })))
            }
            Matrix::Blocks(matrix) => {
                Ok(matrix.with_weights(|weights| show(Linear { weights, bias })))
            }
            Matrix::Dense(weight) => {
                let cols = weight.dim(1)?;
                kernels::with_values(weight, |weights| {
                    show(Linear { weights: &Dense { weights, cols }, bias })
                })
            }
            Matrix::Device(_) => candle_core::bail!("these are not for the kernels"),
        };
        match &self.bias {
            None => with_bias(None),
            Some(bias) => kernels::with_values(bias, |bias| with_bias(Some(bias)))?,
        }
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
