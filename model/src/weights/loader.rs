//! Turns stored tensors into those of the run, one name at a time.

use std::fmt::Display;

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::RmsNorm;

use super::form::{Form, Forms};
use super::{Data, LoadOptions, Loaded, StoredTensor, TensorInfo, TensorSource};
use crate::error::ModelError;
use crate::projection::{HalfWeights, Projection, quantize};

/// A place in the tree of tensor names, from which a part of the model is read.
#[derive(Clone)]
pub(crate) struct Loader<'a> {
    source: &'a dyn TensorSource,
    forms: Forms,
    device: Device,
    /// With a final dot unless it is empty.
    prefix: String,
}

impl<'a> Loader<'a> {
    /// Returns the root of the tree.
    pub(crate) fn new(source: &'a dyn TensorSource, options: LoadOptions, device: Device) -> Self {
        let forms = Forms::new(source, options, device.is_cpu());
        Self { source, forms, device, prefix: String::new() }
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
        let (name, shape) = (self.name(name), shape.into());
        self.info(&name, &shape)?;
        dense(self.source.read(&name)?, &shape, self.forms.compute(&name), &self.device)
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
        self.matrix((out_len, in_len))
    }

    /// Reads `weight` of a convolution over patches that do not overlap as the matrix it is: the
    /// first of `shape` are the outputs, the others together the inputs.
    pub(crate) fn patch_projection(&self, shape: impl Into<Shape>) -> Loaded<Projection> {
        self.matrix(shape)
    }

    /// Reads `weight` as a matrix: the first of `shape` are the outputs.
    fn matrix(&self, shape: impl Into<Shape>) -> Loaded<Projection> {
        let (name, shape) = (self.name("weight"), shape.into());
        let info = self.info(&name, &shape)?;
        let form = self.forms.matrix(&name, info);
        let out_len = shape.dims().first().copied().unwrap_or(1);
        let elements = shape.elem_count();
        let in_len = elements / out_len.max(1);
        let stored = self.source.read(&name)?;
        let projection = match (form, stored.data) {
            (Form::Half(DType::BF16), data) => {
                Projection::half(HalfWeights::Bf16(data.into_bf16(elements)?), in_len)
            }
            (Form::Half(_), data) => {
                Projection::half(HalfWeights::F16(data.into_f16(elements)?), in_len)
            }
            (Form::Blocks(wanted), Data::Ggml { dtype, bytes }) if dtype == wanted => {
                Projection::blocks(dtype, bytes, (out_len, in_len), &self.device)?
            }
            (Form::Blocks(dtype), data) => {
                let bytes = quantize(dtype, elements, in_len, |at, out| data.widen(at, out))?;
                Projection::blocks(dtype, bytes, (out_len, in_len), &self.device)?
            }
            (Form::Dense(dtype), data) => {
                let stored = StoredTensor { data, ..stored };
                let shape = Shape::from((out_len, in_len));
                Projection::dense(dense(stored, &shape, dtype, &self.device)?)
            }
        };
        Ok(projection.with_rounding(self.forms.rounding(&name, form)))
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn info(&self, name: &str, shape: &Shape) -> Loaded<&'a TensorInfo> {
        let missing = || ModelError::MissingTensor { name: name.to_owned() };
        let info = self.source.tensors().get(name).ok_or_else(missing)?;
        if info.shape == shape.dims() {
            return Ok(info);
        }
        let (expected, found) = (shape.dims().to_vec(), info.shape.clone());
        Err(ModelError::TensorShape { name: name.to_owned(), expected, found })
    }
}

fn dense(stored: StoredTensor, shape: &Shape, dtype: DType, device: &Device) -> Loaded<Tensor> {
    // Converted before it is moved: 16-bit weights need not cross the bus in 32.
    let tensor = Tensor::from_vec(stored.into_f32()?, shape, &Device::Cpu)?;
    Ok(tensor.to_dtype(dtype)?.to_device(device)?)
}
