//! Where a model is to run, as a user says it: one device, several with what each may hold, or all
//! there are.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;

use crate::error::ModelError;
use crate::memory::{available_memory, parse_bytes};

/// A device that tensors live on.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum DeviceKind {
    /// The processor; activations are f32.
    #[default]
    Cpu,
    /// An NVIDIA GPU by number; needs the cargo feature `cuda`.
    Cuda(usize),
    /// An Apple GPU by number; needs the cargo feature `metal`.
    Metal(usize),
    /// The processor, doing what a GPU would: for tests where there is none.
    #[doc(hidden)]
    Pretended,
}

/// A device and what it may hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DeviceShare {
    /// The device.
    pub kind: DeviceKind,
    /// The most bytes of weights; if nothing is said, as many as there is room for.
    pub limit: Option<u64>,
}

/// Where a model runs: `auto`, or devices such as `cpu`, `cuda:0,cuda:1` or `cuda:0=20GB,cpu`.
///
/// A device is filled before the next one is used. The vision tower and the embedding come first, then
/// the layers in order, then the lm head.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DeviceMap {
    /// The GPUs that this build knows and this machine has, then the CPU.
    Auto,
    /// These, in this order.
    On(Vec<DeviceShare>),
}

/// The most devices that are looked for or may be named.
const MAX_DEVICES: usize = 16;

/// The part of a device's free memory that weights may take: keys, values and what a pass computes need
/// some, too.
const SHARE_FOR_WEIGHTS: f64 = 0.85;

/// A device ready to hold tensors, and what it may hold.
#[derive(Clone, Debug)]
pub(crate) struct OpenDevice {
    pub(crate) kind: DeviceKind,
    pub(crate) device: Device,
    /// The most bytes of weights, if that is known.
    pub(crate) limit: Option<u64>,
}

impl DeviceKind {
    /// Returns whether our kernels compute there, in f32.
    pub(crate) fn is_cpu(self) -> bool {
        self == Self::Cpu
    }

    fn open(self) -> Result<Device, ModelError> {
        let opened = match self {
            Self::Cpu | Self::Pretended => return Ok(Device::Cpu),
            Self::Cuda(index) => Device::new_cuda(index),
            Self::Metal(index) => Device::new_metal(index),
        };
        opened.map_err(|source| ModelError::Device { device: self.to_string(), source })
    }
}

impl DeviceMap {
    /// Returns a map of one device.
    pub fn one(kind: DeviceKind) -> Self {
        Self::On(vec![DeviceShare { kind, limit: None }])
    }

    /// Opens the devices. Together, those on the CPU may hold at most `memory`, or what is free.
    pub(crate) fn open(&self, memory: Option<u64>) -> Result<Vec<OpenDevice>, ModelError> {
        let devices = match self {
            Self::On(shares) => {
                let open = |share: &DeviceShare| {
                    let device = share.kind.open()?;
                    let limit = share.limit.or_else(|| free_memory(&device));
                    Ok(OpenDevice { kind: share.kind, device, limit })
                };
                shares.iter().map(open).collect::<Result<Vec<_>, ModelError>>()?
            }
            Self::Auto => {
                let found = |kind: fn(usize) -> DeviceKind| {
                    (0..MAX_DEVICES).map_while(move |index| {
                        let device = kind(index).open().ok()?;
                        let limit = free_memory(&device);
                        Some(OpenDevice { kind: kind(index), device, limit })
                    })
                };
                let cpu = OpenDevice { kind: DeviceKind::Cpu, device: Device::Cpu, limit: None };
                found(DeviceKind::Cuda).chain(found(DeviceKind::Metal)).chain([cpu]).collect()
            }
        };
        // The last of the CPU shares without a limit gets what is left.
        let mut left = memory.unwrap_or_else(available_memory);
        let limit = |mut open: OpenDevice| {
            if open.device.is_cpu() {
                let limit = open.limit.map_or(left, |limit| limit.min(left));
                left -= limit;
                open.limit = Some(limit);
            }
            open
        };
        Ok(devices.into_iter().map(limit).collect())
    }
}

/// Returns what weights may take of a GPU, where its driver tells.
#[cfg(feature = "cuda")]
fn free_memory(device: &Device) -> Option<u64> {
    use candle_core::cuda_backend::cudarc::driver::result::mem_get_info;
    let Device::Cuda(device) = device else { return None };
    device.cuda_stream().context().bind_to_thread().ok()?;
    let (free, _total) = mem_get_info().ok()?;
    Some((free as f64 * SHARE_FOR_WEIGHTS) as u64)
}

#[cfg(not(feature = "cuda"))]
fn free_memory(_device: &Device) -> Option<u64> {
    const { assert!(SHARE_FOR_WEIGHTS < 1.0) };
    None
}

impl Default for DeviceMap {
    fn default() -> Self {
        Self::one(DeviceKind::Cpu)
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Metal(index) => write!(f, "metal:{index}"),
            Self::Pretended => f.write_str("pretended"),
        }
    }
}

impl FromStr for DeviceKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || format!("`{text}` is none of `cpu`, `cuda`, `cuda:N`, `metal` and `metal:N`");
        let (name, index) = text.split_once(':').unwrap_or((text, "0"));
        let index = index.parse().ok().filter(|&index: &usize| index < MAX_DEVICES);
        match (name, index) {
            ("cpu", _) if text == "cpu" => Ok(Self::Cpu),
            ("cuda", Some(index)) => Ok(Self::Cuda(index)),
            ("metal", Some(index)) => Ok(Self::Metal(index)),
            _ => Err(expected()),
        }
    }
}

impl FromStr for DeviceMap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let share = |text: &str| {
            let (kind, limit) = match text.split_once('=') {
                None => (text, None),
                Some((kind, limit)) => (kind, Some(parse_bytes(limit)?)),
            };
            Ok(DeviceShare { kind: kind.parse()?, limit })
        };
        let shares = text.split(',').map(share).collect::<Result<Vec<_>, String>>()?;
        if shares.len() > MAX_DEVICES {
            return Err(format!("{} devices are more than {MAX_DEVICES}", shares.len()));
        }
        Ok(Self::On(shares))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(kind: DeviceKind, limit: Option<u64>) -> DeviceShare {
        DeviceShare { kind, limit }
    }

    #[test]
    fn maps_are_read() {
        use DeviceKind::{Cpu, Cuda, Metal};
        let on = |shares: &[(DeviceKind, Option<u64>)]| {
            Ok(DeviceMap::On(shares.iter().map(|&(kind, limit)| share(kind, limit)).collect()))
        };
        assert_eq!("auto".parse(), Ok(DeviceMap::Auto));
        assert_eq!("cpu".parse(), Ok(DeviceMap::default()));
        assert_eq!("metal".parse(), on(&[(Metal(0), None)]));
        assert_eq!("cuda:0,cuda:1".parse(), on(&[(Cuda(0), None), (Cuda(1), None)]));
        assert_eq!("cuda:0=20GB,cpu".parse(), on(&[(Cuda(0), Some(20_000_000_000)), (Cpu, None)]));
        for bad in ["", "gpu", "cpu:1", "cuda:x", "cuda:16", "cuda:0,", "cpu=", "cpu=3", "cpu=-1GB"]
        {
            assert!(bad.parse::<DeviceMap>().is_err(), "{bad}");
        }
        assert!(vec!["cpu"; MAX_DEVICES + 1].join(",").parse::<DeviceMap>().is_err());
    }

    #[test]
    fn what_is_on_the_cpu_shares_its_memory() {
        let limits = |text: &str, memory| {
            let devices = text.parse::<DeviceMap>().unwrap().open(Some(memory)).unwrap();
            devices.iter().map(|open| open.limit.unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(limits("cpu", 10), [10]);
        assert_eq!(limits("cpu=3kB,cpu", 5000), [3000, 2000]);
        assert_eq!(limits("cpu=3kB,cpu=9kB", 5000), [3000, 2000]);
        assert_eq!(limits("cpu,cpu", 5000), [5000, 0]);
    }

    #[cfg(not(any(feature = "cuda", feature = "metal")))]
    #[test]
    fn a_gpu_needs_its_feature() {
        let error = "cuda:1".parse::<DeviceMap>().unwrap().open(None).unwrap_err();
        assert_eq!(error.to_string(), "compute device `cuda:1` cannot be used");
        let devices = DeviceMap::Auto.open(Some(7)).unwrap();
        assert_eq!(devices.len(), 1);
        assert_eq!((devices[0].kind, devices[0].limit), (DeviceKind::Cpu, Some(7)));
    }
}
