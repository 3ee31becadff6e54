//! The ways in which a GGUF file stores a tensor's elements.
//!
//! # Source
//!
//! `ggml_type` and `type_traits` of llama.cpp (revision 0c1e570); those that candle cannot compute
//! with are known by name, so that a refusal can say what the file holds.

use candle_core::quantized::GgmlDType;

/// Number in the file, name, elements per block, bytes per block and what candle calls it.
type Row = (u32, &'static str, u64, u64, Option<GgmlDType>);

const TYPES: [Row; 33] = [
    (0, "F32", 1, 4, Some(GgmlDType::F32)),
    (1, "F16", 1, 2, Some(GgmlDType::F16)),
    (2, "Q4_0", 32, 18, Some(GgmlDType::Q4_0)),
    (3, "Q4_1", 32, 20, Some(GgmlDType::Q4_1)),
    (6, "Q5_0", 32, 22, Some(GgmlDType::Q5_0)),
    (7, "Q5_1", 32, 24, Some(GgmlDType::Q5_1)),
    (8, "Q8_0", 32, 34, Some(GgmlDType::Q8_0)),
    (9, "Q8_1", 32, 36, None),
    (10, "Q2_K", 256, 84, Some(GgmlDType::Q2K)),
    (11, "Q3_K", 256, 110, Some(GgmlDType::Q3K)),
    (12, "Q4_K", 256, 144, Some(GgmlDType::Q4K)),
    (13, "Q5_K", 256, 176, Some(GgmlDType::Q5K)),
    (14, "Q6_K", 256, 210, Some(GgmlDType::Q6K)),
    (15, "Q8_K", 256, 292, None),
    (16, "IQ2_XXS", 256, 66, None),
    (17, "IQ2_XS", 256, 74, None),
    (18, "IQ3_XXS", 256, 98, None),
    (19, "IQ1_S", 256, 50, None),
    (20, "IQ4_NL", 32, 18, None),
    (21, "IQ3_S", 256, 110, None),
    (22, "IQ2_S", 256, 82, None),
    (23, "IQ4_XS", 256, 136, None),
    (24, "I8", 1, 1, None),
    (25, "I16", 1, 2, None),
    (26, "I32", 1, 4, None),
    (27, "I64", 1, 8, None),
    (28, "F64", 1, 8, None),
    (29, "IQ1_M", 256, 56, None),
    (30, "BF16", 1, 2, Some(GgmlDType::BF16)),
    (34, "TQ1_0", 256, 54, None),
    (35, "TQ2_0", 256, 66, None),
    (39, "MXFP4", 32, 17, None),
    (40, "NVFP4", 64, 36, None),
];

/// What can be loaded, for messages.
pub(crate) const SUPPORTED: &str = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K";

/// A type that candle can compute with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TensorType {
    /// Its name in llama.cpp, such as `Q4_K`.
    pub(crate) name: &'static str,
    /// Its number in the file.
    pub(crate) number: u32,
    /// Elements per block; a row is a whole number of blocks.
    pub(crate) block_len: u64,
    /// Bytes per block.
    pub(crate) block_bytes: u64,
    /// What candle calls it.
    pub(crate) dtype: GgmlDType,
}

impl TensorType {
    /// Returns the type with this number, or how to call what it is instead.
    pub(crate) fn from_number(number: u32) -> Result<Self, String> {
        let row = TYPES.iter().find(|row| row.0 == number);
        match row {
            Some(&(number, name, block_len, block_bytes, Some(dtype))) => {
                Ok(Self { name, number, block_len, block_bytes, dtype })
            }
            Some((_, name, ..)) => Err((*name).to_owned()),
            None => Err(format!("number {number}")),
        }
    }

    /// Returns the type of what candle holds, if a file can store it.
    pub(crate) fn from_dtype(dtype: GgmlDType) -> Option<Self> {
        let row = TYPES.iter().find(|row| row.4 == Some(dtype))?;
        Self::from_number(row.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_candle() {
        for (number, name, block_len, block_bytes, dtype) in TYPES {
            let Some(dtype) = dtype else { continue };
            assert_eq!(block_len, dtype.block_size() as u64, "{name}");
            assert_eq!(block_bytes, dtype.type_size() as u64, "{name}");
            assert_eq!(TensorType::from_dtype(dtype), TensorType::from_number(number).ok());
        }
    }

    #[test]
    fn what_is_not_supported_has_a_name() {
        assert_eq!(TensorType::from_number(23), Err("IQ4_XS".to_owned()));
        assert_eq!(TensorType::from_number(4), Err("number 4".to_owned()));
        assert_eq!(TensorType::from_number(u32::MAX), Err("number 4294967295".to_owned()));
    }
}
