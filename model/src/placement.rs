//! Which part of a model lives on which device: decided from the table of tensors, before any is read.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor};

use crate::device_map::OpenDevice;
use crate::error::ModelError;
use crate::weights::form::{Forms, layer};
use crate::weights::{Loaded, TensorSource};

/// A part of a model that is never divided, in the order a prompt goes through them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Part {
    /// `visual`
    Visual,
    /// `model.embed_tokens`
    Embedding,
    /// `model.layers.{i}`
    Layer(usize),
    /// `model.norm` and `lm_head`
    Head,
}

impl Part {
    /// Returns the part that a tensor, or a place in the tree of tensors, belongs to.
    pub(crate) fn of(name: &str) -> Self {
        match layer(name) {
            Some(layer) => Self::Layer(layer),
            None if name.starts_with("visual.") => Self::Visual,
            None if name.starts_with("model.embed_tokens.") => Self::Embedding,
            None => Self::Head,
        }
    }
}

/// Where a part of a model lives, and what it computes in.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) device: Device,
    pub(crate) dtype: DType,
}

impl Place {
    /// Brings a tensor here; one that is here already is not copied.
    pub(crate) fn take(&self, xs: &Tensor) -> Result<Tensor> {
        xs.to_device(&self.device)?.to_dtype(self.dtype)
    }
}

/// The devices, and which of them each part is on.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    devices: Vec<OpenDevice>,
    parts: BTreeMap<Part, usize>,
    /// Bytes of weights on each device.
    bytes: Vec<u64>,
}

impl Placement {
    /// Fills the devices one after another.
    ///
    /// # Errors
    ///
    /// [`ModelError::Memory`] if the devices cannot hold the weights.
    pub(crate) fn new(
        source: &dyn TensorSource,
        forms: Forms,
        devices: Vec<OpenDevice>,
    ) -> Loaded<Self> {
        let mut sizes: BTreeMap<Part, Vec<u64>> = BTreeMap::new();
        for (name, info) in source.tensors() {
            let sizes = sizes.entry(Part::of(name)).or_insert_with(|| vec![0; devices.len()]);
            for (size, open) in sizes.iter_mut().zip(&devices) {
                *size += forms.on(open.kind).bytes(name, info);
            }
        }
        let limits: Vec<Option<u64>> = devices.iter().map(|open| open.limit).collect();
        let (parts, sizes): (Vec<Part>, Vec<Vec<u64>>) = sizes.into_iter().unzip();
        match assign(&sizes, &limits) {
            Ok(assigned) => {
                let mut bytes = vec![0; devices.len()];
                for (sizes, &at) in sizes.iter().zip(&assigned) {
                    bytes[at] += sizes[at];
                }
                Ok(Self { devices, parts: parts.into_iter().zip(assigned).collect(), bytes })
            }
            Err(needed) => {
                let free = limits.iter().map(|limit| limit.unwrap_or(0)).sum();
                Err(ModelError::Memory { needed, free })
            }
        }
    }

    /// Returns the device that a tensor, or a place in the tree of tensors, lives on.
    pub(crate) fn of(&self, name: &str) -> &OpenDevice {
        let at = self.parts.get(&Part::of(name)).copied();
        // What no tensor belongs to is where the model ends.
        &self.devices[at.unwrap_or(self.devices.len() - 1)]
    }

    /// Returns the devices, each with the bytes of weights on it.
    pub(crate) fn devices(&self) -> impl Iterator<Item = (&OpenDevice, u64)> {
        self.devices.iter().zip(self.bytes.iter().copied())
    }
}

/// Returns for each part the device it goes to, given what it takes on each of them; a part goes to
/// the device of the one before or to a later one.
///
/// Otherwise returns how much they take: all parts where they go, the rest on the last device.
fn assign(sizes: &[Vec<u64>], limits: &[Option<u64>]) -> std::result::Result<Vec<usize>, u64> {
    let last = limits.len() - 1;
    let (mut at, mut taken, mut all, mut overfull) = (0, 0_u64, 0_u64, false);
    let mut assigned = Vec::with_capacity(sizes.len());
    for sizes in sizes {
        while limits[at].is_some_and(|limit| taken + sizes[at] > limit) {
            if at == last {
                overfull = true;
                break;
            }
            (at, taken) = (at + 1, 0);
        }
        taken += sizes[at];
        all += sizes[at];
        assigned.push(at);
    }
    if overfull { Err(all) } else { Ok(assigned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_part() {
        for (name, part) in [
            ("visual.blocks.3.attn.qkv.weight", Part::Visual),
            ("visual.", Part::Visual),
            ("model.embed_tokens.weight", Part::Embedding),
            ("model.layers.0.input_layernorm.weight", Part::Layer(0)),
            ("model.layers.35.", Part::Layer(35)),
            ("model.norm.weight", Part::Head),
            ("lm_head.weight", Part::Head),
            ("lm_head.", Part::Head),
        ] {
            assert_eq!(Part::of(name), part, "{name}");
        }
        assert!(Part::Visual < Part::Embedding && Part::Layer(2) < Part::Layer(10));
        assert!(Part::Layer(usize::MAX) < Part::Head);
    }

    #[test]
    fn devices_are_filled_one_after_another() {
        let sizes = |n: usize, size: &[u64]| vec![size.to_vec(); n];
        let six = sizes(6, &[10, 10, 10]);
        assert_eq!(assign(&six, &[None]), Ok(vec![0; 6]));
        assert_eq!(assign(&six, &[Some(30), Some(25), None]), Ok(vec![0, 0, 0, 1, 1, 2]));
        assert_eq!(
            assign(&six, &[Some(5), Some(60), None]),
            Ok(vec![1; 6]),
            "one that is too small"
        );
        assert_eq!(assign(&six, &[Some(30), Some(25)]), Err(60));
        assert_eq!(assign(&six, &[Some(59)]), Err(60));
        assert_eq!(assign(&six, &[Some(60)]), Ok(vec![0; 6]));
        // What a part takes depends on where it is.
        assert_eq!(assign(&sizes(3, &[10, 20]), &[Some(10), Some(40)]), Ok(vec![0, 1, 1]));
        assert_eq!(assign(&sizes(3, &[10, 20]), &[Some(10), Some(39)]), Err(50));
    }
}
