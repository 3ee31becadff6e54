//! Turns stored tensors into those of the run, one name at a time.

use std::fmt::Display;

use candle_core::{Device, Shape, Tensor};
use candle_nn::RmsNorm;

use super::{Loaded, StoredTensor, TensorSource};
use crate::error::ModelError;
use crate::projection::Projection;

/// A place in the tree of tensor names, from which a part of the model is read.
#[derive(Clone)]
pub(crate) struct Loader<'a> {
    source: &'a dyn TensorSource,
    device: Device,
    /// With a final dot unless it is empty.
    prefix: String,
}

impl<'a> Loader<'a> {
    /// Returns the root of the tree.
    pub(crate) fn new(source: &'a dyn TensorSource, device: Device) -> Self {
        Self { source, device, prefix: String::new() }
    }

    /// Returns the place one name further down.
    pub(crate) fn pp(&self, name: impl Display) -> Self {
        Self { prefix: format!("{}{name}.", self.prefix), ..self.clone() }
    }

    /// Returns where the tensors of this place live.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Returns whether there is such a tensor.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.source.tensors().contains_key(&self.name(name))
    }

    /// Reads a tensor that takes part in the arithmetic as it is.
    pub(crate) fn tensor(&self, shape: impl Into<Shape>, name: &str) -> Loaded<Tensor> {
        let shape = shape.into();
        let stored = self.stored(&shape, name)?;
        Ok(Tensor::from_vec(stored.into_f32()?, shape, &self.device)?)
    }

    /// Reads `weight` of an [`RmsNorm`].
    pub(crate) fn rms_norm(&self, size: usize, eps: f64) -> Loaded<RmsNorm> {
        Ok(RmsNorm::new(self.tensor(size, "weight")?, eps))
    }

    /// Reads `weight`, `(out, in)`, and `bias`, `(out,)`.
    pub(crate) fn projection(&self, in_len: usize, out_len: usize) -> Loaded<Projection> {
        Ok(self.projection_no_bias(in_len, out_len)?.with_bias(self.tensor(out_len, "bias")?))
    }

    /// Reads `weight`, `(out, in)`.
    pub(crate) fn projection_no_bias(&self, in_len: usize, out_len: usize) -> Loaded<Projection> {
        Ok(Projection::dense(self.tensor((out_len, in_len), "weight")?))
    }

    /// Reads `weight` of a convolution over patches that do not overlap as the matrix it is: the
    /// first of `shape` are the outputs, the others together the inputs.
    pub(crate) fn patch_projection(&self, shape: impl Into<Shape>) -> Loaded<Projection> {
        let weight = self.tensor(shape, "weight")?;
        Ok(Projection::dense(weight.flatten_from(1)?))
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn stored(&self, shape: &Shape, name: &str) -> Loaded<StoredTensor> {
        let name = self.name(name);
        if let Some(info) = self.source.tensors().get(&name)
            && info.shape != shape.dims()
        {
            let (expected, found) = (shape.dims().to_vec(), info.shape.clone());
            return Err(ModelError::TensorShape { name, expected, found });
        }
        self.source.read(&name)
    }
}
