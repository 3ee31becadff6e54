//! What a caller wants of the weights.

use std::fmt;
use std::str::FromStr;

/// How weights are kept in memory. By default as they are stored, but that small models are
/// computed in f32 on the CPU.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct LoadOptions {
    /// What dense weights are kept in.
    pub(crate) dtype: Option<WeightDtype>,
    /// What dense matrices are quantised to.
    pub(crate) quantize: Option<Quantization>,
    /// Whether activations are f32 even where weights are quantised.
    pub(crate) exact: bool,
}

/// What dense weights are kept in.
///
/// On the CPU activations are f32 whatever the weights are. On a GPU they have this dtype too, but
/// that the vision tower is never computed in f16, which overflows there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WeightDtype {
    /// 4 bytes a weight.
    F32,
    /// 2 bytes a weight, the range of f32; what checkpoints are released in.
    Bf16,
    /// 2 bytes a weight, finer than bf16, up to 65 504.
    F16,
}

/// What the matrices of the text decoder are quantised to, but for the few that need more; those of
/// the vision tower to 8 bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Quantization {
    /// 4.5 bits a weight.
    Q4K,
    /// 5.5 bits a weight.
    Q5K,
    /// 6.6 bits a weight.
    Q6K,
    /// 8.5 bits a weight.
    Q8_0,
}

impl WeightDtype {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::F16];

    /// Returns the name in options and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

impl Quantization {
    /// Every choice, the smallest first.
    pub const ALL: [Self; 4] = [Self::Q4K, Self::Q5K, Self::Q6K, Self::Q8_0];

    /// Returns the name in options and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q4K => "q4k",
            Self::Q5K => "q5k",
            Self::Q6K => "q6k",
            Self::Q8_0 => "q8_0",
        }
    }
}

impl fmt::Display for WeightDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Quantization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for WeightDtype {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|dtype| dtype.name() == text);
        found.ok_or_else(|| format!("`{text}` is none of f32, bf16, f16"))
    }
}

impl FromStr for Quantization {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|dtype| dtype.name() == text);
        found.ok_or_else(|| format!("`{text}` is none of q4k, q5k, q6k, q8_0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for dtype in WeightDtype::ALL {
            assert_eq!(dtype.to_string().parse(), Ok(dtype));
        }
        for quantization in Quantization::ALL {
            assert_eq!(quantization.to_string().parse(), Ok(quantization));
        }
        assert!("q3k".parse::<Quantization>().is_err() && "f64".parse::<WeightDtype>().is_err());
    }
}
