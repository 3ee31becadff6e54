//! Writes a GGUF file: everything before the tensors first, then one tensor after another, so that
//! no more than one is in memory.
//!
//! # Source
//!
//! Version 3 as `gguf_writer.py` of llama.cpp (revision 0c1e570) writes it: tensors in the order of
//! the directory, each padded to the alignment.

use std::io::Write;

use super::container::{DEFAULT_ALIGNMENT, MAGIC};
use super::tensor_type::TensorType;
use super::value::Value;

/// A tensor that is going to be written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct PlannedTensor {
    pub(crate) name: String,
    /// Rows first; the last side is a whole number of blocks.
    pub(crate) shape: Vec<usize>,
    pub(crate) kind: TensorType,
}

impl PlannedTensor {
    /// The number of bytes its elements take.
    pub(crate) fn len(&self) -> u64 {
        let elements: u64 = self.shape.iter().map(|&side| side as u64).product();
        elements / self.kind.block_len * self.kind.block_bytes
    }
}

const VERSION: u32 = 3;

/// Returns what comes before the tensors, padded.
pub(crate) fn head(metadata: &[(String, Value)], tensors: &[PlannedTensor]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        push_name(&mut bytes, key);
        if let Some(count) = value.count {
            bytes.extend(super::value::Kind::Array.number().to_le_bytes());
            bytes.extend(value.kind.number().to_le_bytes());
            bytes.extend((count as u64).to_le_bytes());
        } else {
            bytes.extend(value.kind.number().to_le_bytes());
        }
        bytes.extend(&value.bytes);
    }
    let mut offset = 0_u64;
    for tensor in tensors {
        push_name(&mut bytes, &tensor.name);
        bytes.extend((tensor.shape.len() as u32).to_le_bytes());
        for &side in tensor.shape.iter().rev() {
            bytes.extend((side as u64).to_le_bytes());
        }
        bytes.extend(tensor.kind.number.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        offset += padded_len(tensor.len());
    }
    bytes.resize(bytes.len().next_multiple_of(DEFAULT_ALIGNMENT as usize), 0);
    bytes
}

/// Returns the bytes that a tensor of `len` bytes takes with the padding after it.
pub(crate) fn padded_len(len: u64) -> u64 {
    len.next_multiple_of(DEFAULT_ALIGNMENT)
}

/// Writes the elements of one tensor and the padding after them.
///
/// # Errors
///
/// Whatever `out` returns.
pub(crate) fn tensor(out: &mut impl Write, elements: &[u8]) -> std::io::Result<()> {
    out.write_all(elements)?;
    let padding = elements.len().next_multiple_of(DEFAULT_ALIGNMENT as usize) - elements.len();
    out.write_all(&[0; DEFAULT_ALIGNMENT as usize][..padding])
}

fn push_name(bytes: &mut Vec<u8>, name: &str) {
    bytes.extend((name.len() as u64).to_le_bytes());
    bytes.extend(name.as_bytes());
}
