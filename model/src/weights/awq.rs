//! Checkpoints quantised by AWQ: 4 bits a weight, and for each group of weights of one output a scale
//! and a zero.
//!
//! Where the model has a matrix `x.weight`, the files have `x.qweight`, `x.qzeros` and `x.scales`,
//! transposed: inputs by outputs, eight outputs to a word. A weight is `scale·(q − zero)`, both of them
//! from 0 to 15. Here they become blocks of GGML's `Q5_0`, 32 weights `d·(p − 16)` with `p` from 0 to
//! 31, which say exactly the same. (`Q4_1` is half a bit smaller, and would round `−scale·zero`.)
//!
//! # Source
//!
//! `WQLinear_GEMM` in `awq/modules/linear/gemm.py` and `awq/utils/packing_utils.py` of `AutoAWQ` 0.2.9.

use std::collections::BTreeMap;

use candle_core::quantized::GgmlDType;
use half::f16;
use rayon::prelude::*;
use serde_json::Value;

use super::{Data, Loaded, StoredTensor, StoredType, TensorInfo, TensorSource};
use crate::error::ModelError;

/// Weights in a block of `Q5_0`, and the bytes of one: `d`, the highest bit of each, then 16 bytes of
/// the lower bits of two.
const BLOCK: usize = 32;
const BLOCK_BYTES: usize = 22;

/// Outputs in a word.
const PACKED: usize = 8;

/// Which nibble of a word, from the lowest, has each of its outputs.
const NIBBLES: [u32; PACKED] = [0, 4, 1, 5, 2, 6, 3, 7];

/// What `quantization_config` says of an AWQ checkpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct AwqConfig {
    /// Inputs that share a scale and a zero; none if all of an output do.
    group_size: Option<usize>,
}

impl AwqConfig {
    /// Reads `quantization_config` of a checkpoint's `config.json`; nothing if there is none.
    ///
    /// # Errors
    ///
    /// [`ModelError::Config`] for any other kind of quantisation.
    pub(crate) fn of(config_json: &str) -> Loaded<Option<Self>> {
        let refuse =
            |problem: String| Err(ModelError::Config { file: "config.json".to_owned(), problem });
        let root: Value = serde_json::from_str(config_json)
            .map_err(|source| ModelError::Json { file: "config.json".to_owned(), source })?;
        let Some(config) = root.get("quantization_config").filter(|config| !config.is_null())
        else {
            return Ok(None);
        };
        let is = |key: &str, expected: &Value| config.get(key).is_none_or(|got| got == expected);
        let method = config.get("quant_method").and_then(Value::as_str).unwrap_or("unknown");
        if method != "awq" {
            return refuse(format!(
                "the weights are quantised by the method `{method}`; safetensors are read as f32, \
                 f16, bf16 and AWQ"
            ));
        }
        if !(is("bits", &4.into())
            && is("zero_point", &true.into())
            && is("version", &"gemm".into()))
        {
            return refuse(format!(
                "of AWQ only 4 bits with zero points in the layout `gemm` are read, not {config}"
            ));
        }
        let group_size = match config.get("group_size").map(|size| (size.as_u64(), size.as_i64())) {
            None => Some(128),
            Some((_, Some(-1))) => None,
            Some((Some(size), _)) if size > 0 && size % BLOCK as u64 == 0 => Some(size as usize),
            Some(_) => {
                return refuse(format!(
                    "AWQ's group_size is {}, which is no multiple of {BLOCK}",
                    config["group_size"]
                ));
            }
        };
        Ok(Some(Self { group_size }))
    }
}

/// A source whose packed matrices are shown as the blocks they become.
pub(crate) struct Awq<S> {
    packed: S,
    tensors: BTreeMap<String, TensorInfo>,
}

impl<S: TensorSource> Awq<S> {
    /// Finds the packed matrices of a source.
    ///
    /// # Errors
    ///
    /// [`ModelError::MissingTensor`] or [`ModelError::TensorShape`] if the parts of one do not fit.
    pub(crate) fn new(packed: S, config: AwqConfig) -> Loaded<Self> {
        let mut tensors = BTreeMap::new();
        for (name, info) in packed.tensors() {
            let Some((stem, part)) = name.rsplit_once('.') else { continue };
            match part {
                "qweight" => {
                    let shape = shape_of(stem, &packed, config)?;
                    let stored = StoredType::Ggml(GgmlDType::Q5_0);
                    tensors.insert(format!("{stem}.weight"), TensorInfo { shape, stored });
                }
                "qzeros" | "scales" => {}
                _ => {
                    tensors.insert(name.clone(), info.clone());
                }
            }
        }
        Ok(Self { packed, tensors })
    }
}

/// Returns the shape, `(out, in)`, of a packed matrix whose parts fit together.
fn shape_of(stem: &str, packed: &dyn TensorSource, config: AwqConfig) -> Loaded<Vec<usize>> {
    let shape = |part: &str| -> Loaded<(String, &[usize])> {
        let name = format!("{stem}.{part}");
        let info = packed.tensors().get(&name);
        let info = info.ok_or_else(|| ModelError::MissingTensor { name: name.clone() })?;
        Ok((name, &info.shape))
    };
    let (name, qweight) = shape("qweight")?;
    let &[inputs, words] = qweight else {
        let (expected, found) = (vec![0, 0], qweight.to_vec());
        return Err(ModelError::TensorShape { name, expected, found });
    };
    let group = config.group_size.unwrap_or(inputs);
    if inputs == 0 || !inputs.is_multiple_of(group) || !inputs.is_multiple_of(BLOCK) {
        let expected = vec![inputs.next_multiple_of(group.max(BLOCK)), words];
        return Err(ModelError::TensorShape { name, expected, found: qweight.to_vec() });
    }
    let groups = inputs / group;
    let outputs = words * PACKED;
    for (part, expected) in [("qzeros", [groups, words]), ("scales", [groups, outputs])] {
        let (name, found) = shape(part)?;
        if found != expected {
            let (expected, found) = (expected.to_vec(), found.to_vec());
            return Err(ModelError::TensorShape { name, expected, found });
        }
    }
    Ok(vec![outputs, inputs])
}

impl<S: TensorSource> TensorSource for Awq<S> {
    fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    fn unpacking_bytes(&self, name: &str) -> u64 {
        let stem = name.strip_suffix(".weight").unwrap_or(name);
        let parts = ["qweight", "qzeros", "scales"];
        let parts = parts.map(|part| self.packed.tensors().get(&format!("{stem}.{part}")));
        parts.into_iter().flatten().map(TensorInfo::stored_bytes).sum()
    }

    fn read(&self, name: &str) -> Loaded<StoredTensor> {
        let stem = name.strip_suffix(".weight").unwrap_or(name);
        if !self.packed.tensors().contains_key(&format!("{stem}.qweight")) {
            return self.packed.read(name);
        }
        let words = |part: &str| {
            let name = format!("{stem}.{part}");
            match self.packed.read(&name)?.data {
                Data::I32(words) => Ok(words),
                _ => Err(ModelError::Config {
                    file: "config.json".to_owned(),
                    problem: format!("AWQ's tensor `{name}` does not hold 32-bit integers"),
                }),
            }
        };
        let scales = self.packed.read(&format!("{stem}.scales"))?;
        let [groups, outputs] = scales.shape[..] else {
            return Err(ModelError::MissingTensor { name: name.to_owned() });
        };
        let scales = scales.data.into_f16(groups * outputs)?;
        let packed = Packed {
            weights: &words("qweight")?,
            zeros: &words("qzeros")?,
            scales: &scales,
            outputs,
            groups,
        };
        let bytes = packed.blocks();
        let inputs = packed.inputs();
        let data = Data::Ggml { dtype: GgmlDType::Q5_0, bytes };
        Ok(StoredTensor { shape: vec![outputs, inputs], data })
    }
}

/// A packed matrix.
struct Packed<'a> {
    /// `(in, out / 8)`
    weights: &'a [i32],
    /// `(groups, out / 8)`
    zeros: &'a [i32],
    /// `(groups, out)`
    scales: &'a [f16],
    outputs: usize,
    groups: usize,
}

impl Packed<'_> {
    fn inputs(&self) -> usize {
        self.weights.len() / self.words().max(1)
    }

    /// Words to a row of inputs.
    fn words(&self) -> usize {
        self.outputs / PACKED
    }

    /// Returns the blocks, output by output.
    fn blocks(&self) -> Vec<u8> {
        /// Words that are read together: a line of the processor's cache.
        const TASK_WORDS: usize = 16;
        let (inputs, words) = (self.inputs(), self.words());
        let row_bytes = inputs / BLOCK * BLOCK_BYTES;
        let mut bytes = vec![0; self.outputs * row_bytes];
        let tasks = bytes.par_chunks_mut(TASK_WORDS * PACKED * row_bytes).enumerate();
        tasks.for_each(|(task, bytes)| {
            for block in 0..inputs / BLOCK {
                for (output, row) in bytes.chunks_mut(row_bytes).enumerate() {
                    let output = task * TASK_WORDS * PACKED + output;
                    let bytes = &mut row[block * BLOCK_BYTES..][..BLOCK_BYTES];
                    self.write_block(output, block, words, bytes);
                }
            }
        });
        bytes
    }

    fn write_block(&self, output: usize, block: usize, words: usize, bytes: &mut [u8]) {
        let shift = 4 * NIBBLES[output % PACKED];
        let nibble = |word: i32| ((word.cast_unsigned() >> shift) & 15) as u8;
        let group = block * BLOCK * self.groups / self.inputs();
        let scale = self.scales[group * self.outputs + output];
        let zero = nibble(self.zeros[group * words + output / PACKED]);
        let weight = |input: usize| {
            nibble(self.weights[(block * BLOCK + input) * words + output / PACKED]) + 16 - zero
        };
        let high = (0..BLOCK).map(|at| u32::from(weight(at) >> 4) << at).sum::<u32>();
        bytes[..2].copy_from_slice(&scale.to_le_bytes());
        bytes[2..6].copy_from_slice(&high.to_le_bytes());
        for (at, byte) in bytes[6..].iter_mut().enumerate() {
            *byte = weight(at) & 15 | (weight(at + BLOCK / 2) & 15) << 4;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order of the outputs in a word is the one that surprises.
    #[expect(clippy::float_cmp, reason = "nothing is rounded")]
    #[test]
    fn outputs_lie_in_a_word_as_autoawq_packs_them() {
        let mut weights = vec![0; BLOCK];
        weights[0] = 0x7531_6420;
        weights[17] = 0x7531_6420;
        let scales: Vec<f16> = (1..=8).map(|scale| f16::from_f32(scale as f32)).collect();
        let packed = Packed {
            weights: &weights,
            zeros: &[0x3333_3333],
            scales: &scales,
            outputs: 8,
            groups: 1,
        };
        let data = Data::Ggml { dtype: GgmlDType::Q5_0, bytes: packed.blocks() };
        let values = StoredTensor { shape: vec![8, BLOCK], data }.into_f32().unwrap();
        for output in 0..8 {
            let scale = (output + 1) as f32;
            let row = &values[output * BLOCK..][..BLOCK];
            for (input, &value) in row.iter().enumerate() {
                let level = if input == 0 || input == 17 { output as f32 } else { 0.0 };
                assert_eq!(value, scale * (level - 3.0), "output {output}, input {input}");
            }
        }
    }

    #[test]
    fn other_methods_are_refused_by_name() {
        let config = |inner: &str| AwqConfig::of(&format!("{{\"quantization_config\": {inner}}}"));
        assert_eq!(AwqConfig::of("{}").unwrap(), None);
        assert_eq!(config("null").unwrap(), None);
        let awq = config(r#"{"quant_method": "awq", "bits": 4, "group_size": 64}"#).unwrap();
        assert_eq!(awq, Some(AwqConfig { group_size: Some(64) }));
        for (inner, expected) in [
            (r#"{"quant_method": "gptq", "bits": 4}"#, "`gptq`"),
            (r#"{"quant_method": "awq", "bits": 8}"#, "only 4 bits"),
            (r#"{"quant_method": "awq", "version": "marlin"}"#, "only 4 bits"),
            (r#"{"quant_method": "awq", "group_size": 48}"#, "group_size is 48"),
        ] {
            let err = config(inner).unwrap_err().to_string();
            assert!(err.contains(expected), "{inner}: {err}");
        }
    }
}
