//! Turns stored tensors into those of the run, one name at a time.

use std::fmt::Display;

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::RmsNorm;

use super::form::{Form, Forms};
use super::{Data, Loaded, StoredTensor, TensorInfo, TensorSource};
use crate::error::ModelError;
use crate::placement::{Place, Placement};
use crate::projection::{HalfWeights, Projection, quantize};

/// A place in the tree of tensor names, from which a part of the model is read.
#[derive(Clone)]
pub(crate) struct Loader<'a> {
    source: &'a dyn TensorSource,
    forms: Forms,
    placement: &'a Placement,
    /// With a final dot unless it is empty.
    prefix: String,
}

impl<'a> Loader<'a> {
    /// Returns the root of the tree.
    pub(crate) fn new(
        source: &'a dyn TensorSource,
        forms: Forms,
        placement: &'a Placement,
    ) -> Self {
        Self { source, forms, placement, prefix: String::new() }
    }

    /// Returns the place one name further down.
    pub(crate) fn pp(&self, name: impl Display) -> Self {
        Self { prefix: format!("{}{name}.", self.prefix), ..self.clone() }
    }

    /// Returns where the tensors below this one live, and what they compute in.
    pub(crate) fn place(&self) -> Place {
        let device = self.placement.of(&self.prefix).device.clone();
        Place { device, dtype: self.forms(&self.prefix).compute(&self.prefix) }
    }

    fn forms(&self, name: &str) -> Forms {
        self.forms.on(self.placement.of(name).kind)
    }

    /// Returns whether there is such a tensor.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.source.tensors().contains_key(&self.name(name))
    }

    /// Reads a tensor that takes part in the arithmetic as it is.
    pub(crate) fn tensor(&self, shape: impl Into<Shape>, name: &str) -> Loaded<Tensor> {
        let (name, shape) = (self.name(name), shape.into());
        self.info(&name, &shape)?;
        dense(self.source.read(&name)?, &shape, &self.place())
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
        let (forms, place) = (self.forms(&name), self.place());
        let form = forms.matrix(&name, info);
        let on_cpu = self.placement.of(&name).kind.is_cpu();
        let blocks = |dtype, bytes, (out_len, in_len)| {
            if on_cpu {
                Projection::blocks(dtype, bytes, (out_len, in_len))
            } else {
                Projection::device_blocks(dtype, bytes, (out_len, in_len), &place.device)
            }
        };
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
                blocks(dtype, bytes, (out_len, in_len))?
            }
            (Form::Blocks(dtype), data) => {
                let bytes = quantize(dtype, elements, in_len, |at, out| data.widen(at, out))?;
                blocks(dtype, bytes, (out_len, in_len))?
            }
            (Form::Dense(_), data) => {
                let stored = StoredTensor { data, ..stored };
                Projection::dense(dense(stored, &Shape::from((out_len, in_len)), &place)?)
            }
        };
        Ok(projection.with_rounding(forms.rounding(&name, form)))
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

fn dense(stored: StoredTensor, shape: &Shape, place: &Place) -> Loaded<Tensor> {
    // 16-bit weights that stay such need not cross the bus in 32.
    let tensor = match stored.data {
        Data::Bf16(values) if place.dtype != DType::F32 => {
            Tensor::from_vec(values, shape, &Device::Cpu)?
        }
        Data::F16(values) if place.dtype != DType::F32 => {
            Tensor::from_vec(values, shape, &Device::Cpu)?
        }
        data => Tensor::from_vec(data.into_f32(shape.elem_count())?, shape, &Device::Cpu)?,
    };
    Ok(tensor.to_dtype(place.dtype)?.to_device(&place.device)?)
}
