//! A matrix of weights that activations are multiplied with, however it is stored.
//!
//! Activations are the caller's, always dense; what the weights are is decided when they are loaded.

use candle_core::{Result, Tensor};

/// A linear layer: `x·Wᵀ + b`.
#[derive(Clone, Debug)]
pub(crate) struct Projection {
    matrix: Matrix,
    /// `(out,)`
    bias: Option<Tensor>,
}

/// The weights, `(out, in)`. Clones share them.
#[derive(Clone, Debug)]
enum Matrix {
    Dense(Tensor),
}

impl Projection {
    /// Returns a projection by a dense matrix, `(out, in)`, of the activations' dtype.
    pub(crate) fn dense(weight: Tensor) -> Self {
        Self { matrix: Matrix::Dense(weight), bias: None }
    }

    /// Adds `bias`, `(out,)`, to every row of the result.
    pub(crate) fn with_bias(self, bias: Tensor) -> Self {
        Self { bias: Some(bias), ..self }
    }

    /// `(…, in)` → `(…, out)`
    pub(crate) fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        let (rows, [.., in_len]) = (xs.rank(), xs.dims()) else {
            candle_core::bail!("a projection needs at least one dimension")
        };
        let flat = if rows == 2 { xs.clone() } else { xs.reshape(((), *in_len))? };
        let ys = match &self.matrix {
            Matrix::Dense(weight) => flat.matmul(&weight.t()?)?,
        };
        let ys = match &self.bias {
            Some(bias) => ys.broadcast_add(bias)?,
            None => ys,
        };
        if rows == 2 {
            return Ok(ys);
        }
        let mut shape = xs.dims().to_vec();
        shape[rows - 1] = ys.dim(1)?;
        ys.reshape(shape)
    }

    /// Looks up rows of the weights, as an embedding does: `(s,)` → `(s, in)`.
    pub(crate) fn rows(&self, indices: &Tensor) -> Result<Tensor> {
        match &self.matrix {
            Matrix::Dense(weight) => weight.index_select(indices, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn rows_of_any_batch_are_multiplied_alike() {
        let values = |n: usize| (0..n).map(|i| (i as f32).sin()).collect::<Vec<_>>();
        let tensor =
            |n: usize, shape: &[usize]| Tensor::from_vec(values(n), shape, &Device::Cpu).unwrap();
        let projection = Projection::dense(tensor(12, &[4, 3])).with_bias(tensor(4, &[4]));
        let flat = projection.forward(&tensor(18, &[6, 3])).unwrap();
        assert_eq!(flat.dims(), [6, 4]);
        let batched = projection.forward(&tensor(18, &[2, 3, 3])).unwrap();
        assert_eq!(batched.dims(), [2, 3, 4]);
        let vec2 = |xs: &Tensor| xs.reshape((6, 4)).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(vec2(&flat), vec2(&batched));
        let expected: f32 =
            (0..3).map(|i| values(12)[6 + i] * values(18)[3 + i]).sum::<f32>() + values(4)[2];
        assert!((vec2(&flat)[1][2] - expected).abs() < 1e-6);
    }
}
