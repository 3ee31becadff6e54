//! What each tensor becomes in memory: the one place where that is decided, before anything is read.
//!
//! The loader follows it and the memory plan adds it up.

use candle_core::DType;
use candle_core::quantized::GgmlDType;

use super::{LoadOptions, Quantization, StoredType, TensorInfo, TensorSource, WeightDtype};
use crate::device_map::DeviceKind;

/// Dense weights below this many bytes are computed in f32 on the CPU unless something else is
/// asked for: twice the memory is nothing then, and nothing has to be widened.
const SMALL: u64 = 500_000_000;

/// What a matrix becomes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// A tensor of the arithmetic's dtype.
    Dense(DType),
    /// 16-bit weights under f32 arithmetic.
    Half(DType),
    /// Quantised blocks.
    Blocks(GgmlDType),
}

impl Form {
    /// Returns the bytes that a matrix of `rows` × `cols` takes.
    pub(crate) fn bytes(self, rows: usize, cols: usize) -> u64 {
        match self {
            Self::Dense(dtype) | Self::Half(dtype) => (rows * cols * dtype.size_in_bytes()) as u64,
            Self::Blocks(dtype) => {
                (rows * cols.div_ceil(dtype.block_size()) * dtype.type_size()) as u64
            }
        }
    }
}

/// Decides the forms of one checkpoint's tensors on one kind of device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forms {
    options: LoadOptions,
    on_cpu: bool,
    small: bool,
    layers: usize,
    /// What most dense weights of the decoder are stored in.
    stored: WeightDtype,
    /// Whether the decoder's matrices are quantised, or become so.
    quantized: bool,
}

impl Forms {
    /// Returns the forms on the CPU.
    pub(crate) fn new(source: &dyn TensorSource, options: LoadOptions) -> Self {
        let tensors = source.tensors();
        let small = source.stored_bytes() < SMALL;
        let layers = tensors.keys().filter_map(|name| layer(name)).max().map_or(0, |last| last + 1);
        let is_quantized = |(name, info): (&String, &TensorInfo)| {
            layer(name).is_some() && matches!(info.stored, StoredType::Ggml(_))
        };
        let quantized = options.quantize.is_some() || tensors.iter().any(is_quantized);
        let matrix = "model.layers.0.mlp.down_proj.weight";
        let stored = match tensors.get(matrix).map(|info| info.stored) {
            Some(StoredType::Bf16) if !quantized => WeightDtype::Bf16,
            Some(StoredType::F16) if !quantized => WeightDtype::F16,
            _ => WeightDtype::F32,
        };
        Self { options, on_cpu: true, small, layers, stored, quantized }
    }

    /// Returns the forms on a kind of device.
    pub(crate) fn on(self, device: DeviceKind) -> Self {
        Self { on_cpu: device.is_cpu(), ..self }
    }

    /// Returns the dtype of the arithmetic in the part of the model that this tensor belongs to, and
    /// of its vectors.
    pub(crate) fn compute(&self, name: &str) -> DType {
        match self.options.dtype.unwrap_or(self.stored) {
            _ if self.on_cpu => DType::F32,
            WeightDtype::F32 => DType::F32,
            // The last vision blocks exceed what f16 can hold.
            WeightDtype::F16 if name.starts_with("visual.") => DType::F32,
            WeightDtype::F16 => DType::F16,
            WeightDtype::Bf16 => DType::BF16,
        }
    }

    /// Returns the bytes that a tensor takes once it is loaded.
    pub(crate) fn bytes(&self, name: &str, info: &TensorInfo) -> u64 {
        match info.shape.as_slice() {
            [] | [_] => info.elements() * self.compute(name).size_in_bytes() as u64,
            [rows, cols @ ..] => self.matrix(name, info).bytes(*rows, cols.iter().product()),
        }
    }

    /// Returns the bytes that a tensor takes beside those while it is loaded: what was read, unless
    /// that is kept as it is.
    pub(crate) fn loading_bytes(&self, name: &str, info: &TensorInfo) -> u64 {
        let kept = info.shape.len() > 1
            && match (self.matrix(name, info), info.stored) {
                (Form::Half(DType::BF16), stored) => stored == StoredType::Bf16,
                (Form::Half(_), stored) => stored == StoredType::F16,
                (Form::Dense(DType::F32), stored) => stored == StoredType::F32,
                (Form::Blocks(dtype), stored) => stored == StoredType::Ggml(dtype),
                (Form::Dense(_), _) => false,
            };
        if kept { 0 } else { info.stored_bytes() }
    }

    /// Returns what this matrix, `(out, in)`, becomes.
    pub(crate) fn matrix(&self, name: &str, info: &TensorInfo) -> Form {
        if let StoredType::Ggml(dtype) = info.stored {
            return Form::Blocks(dtype);
        }
        let in_len = info.shape.iter().skip(1).product();
        if let Some(dtype) =
            self.options.quantize.and_then(|wanted| self.quantized(wanted, name, in_len))
        {
            return Form::Blocks(dtype);
        }
        if !self.on_cpu {
            return Form::Dense(self.compute(name));
        }
        match (self.options.dtype, info.stored) {
            (Some(WeightDtype::Bf16), _) => Form::Half(DType::BF16),
            (Some(WeightDtype::F16), _) => Form::Half(DType::F16),
            (None, StoredType::Bf16) if !self.small => Form::Half(DType::BF16),
            (None, StoredType::F16) if !self.small => Form::Half(DType::F16),
            (Some(WeightDtype::F32) | None, _) => Form::Dense(DType::F32),
        }
    }

    /// Returns whether the activations that this matrix of `form` is multiplied with may be rounded to
    /// 8 bits: where weights are coarser still, and in the vision tower of a model that is quantised,
    /// since that is most of its work.
    pub(crate) fn rounding(&self, name: &str, form: Form) -> bool {
        let rounds = match form {
            Form::Blocks(dtype) => {
                !matches!(dtype, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16)
            }
            Form::Half(_) | Form::Dense(_) => self.quantized && Role::of(name) == Role::Vision,
        };
        rounds && self.on_cpu && !self.options.exact
    }

    /// Returns what this matrix is quantised to when `wanted` is asked for, if it is.
    fn quantized(&self, wanted: Quantization, name: &str, in_len: usize) -> Option<GgmlDType> {
        let base = match wanted {
            Quantization::Q4K => GgmlDType::Q4K,
            Quantization::Q5K => GgmlDType::Q5K,
            Quantization::Q6K => GgmlDType::Q6K,
            Quantization::Q8_0 => GgmlDType::Q8_0,
        };
        let dtype = mixed(base, name, self.layers)?;
        // Blocks of the K types hold 256 weights of a row, those of Q8_0 32: rows that the former do
        // not divide would be mostly filling.
        let fits = in_len.is_multiple_of(dtype.block_size());
        Some(if fits { dtype } else { GgmlDType::Q8_0 })
    }
}

/// Returns what the matrix `name` of a decoder of `layers` layers gets where most get `base`; nothing
/// if it is not to be quantised.
pub(crate) fn mixed(base: GgmlDType, name: &str, layers: usize) -> Option<GgmlDType> {
    let better = if base == GgmlDType::Q8_0 { base } else { GgmlDType::Q6K };
    match Role::of(name) {
        Role::PatchEmbed | Role::Merger => None,
        Role::Vision => Some(GgmlDType::Q8_0),
        Role::Vocabulary => Some(better),
        Role::Sensitive(layer) if needs_more_bits(layer, layers) => Some(better),
        Role::Sensitive(_) | Role::Text => Some(base),
    }
}

/// What a matrix does, as far as it matters to how coarse it may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    /// 1.5 M weights that every pixel goes through: nothing to gain, and an error here is in
    /// everything that follows.
    PatchEmbed,
    /// The only way from the image to the text, whose inputs are far larger than elsewhere; 37 to
    /// 94 M weights.
    Merger,
    /// The other matrices of the vision tower. Coordinates are read off its features, so 8 bits.
    Vision,
    /// The embedding and the lm head: every token goes through them, and between likely tokens
    /// small differences decide. llama.cpp's mixes keep 6 bits, too.
    Vocabulary,
    /// `v_proj` and `down_proj` of this layer: their errors go straight into the residual stream.
    Sensitive(usize),
    /// The other matrices of the text decoder.
    Text,
}

impl Role {
    fn of(name: &str) -> Self {
        let is = |part: &str| name.contains(part);
        match layer(name) {
            _ if is("visual.patch_embed.") => Self::PatchEmbed,
            _ if is("visual.merger.") => Self::Merger,
            _ if is("visual.") => Self::Vision,
            _ if is("embed_tokens.") || is("lm_head.") => Self::Vocabulary,
            Some(layer) if is(".v_proj.") || is(".down_proj.") => Self::Sensitive(layer),
            _ => Self::Text,
        }
    }
}

/// Returns the number of the decoder layer that a tensor belongs to, if any.
pub(crate) fn layer(name: &str) -> Option<usize> {
    name.strip_prefix("model.layers.")?.split('.').next()?.parse().ok()
}

/// Returns whether the sensitive matrices of this layer get more bits: the first and last eighth and
/// every third between.
///
/// # Source
///
/// `use_more_bits` in `llama-quant.cpp` of llama.cpp, which its `Q4_K_M` and `Q5_K_M` go by.
fn needs_more_bits(layer: usize, layers: usize) -> bool {
    layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(options: LoadOptions, on_cpu: bool) -> Forms {
        let quantized = options.quantize.is_some();
        let stored = WeightDtype::Bf16;
        Forms { options, on_cpu, small: false, layers: 36, stored, quantized }
    }

    fn info(stored: StoredType, shape: &[usize]) -> TensorInfo {
        TensorInfo { shape: shape.to_vec(), stored }
    }

    #[test]
    fn the_mix_of_a_quantised_3b_is_the_table() {
        use GgmlDType::{Q4K, Q6K, Q8_0};
        let options = LoadOptions { quantize: Some(Quantization::Q4K), ..LoadOptions::default() };
        let forms = forms(options, true);
        for (name, in_len, expected) in [
            ("model.embed_tokens.weight", 2048, Some(Q6K)),
            ("lm_head.weight", 2048, Some(Q6K)),
            ("model.layers.0.self_attn.q_proj.weight", 2048, Some(Q4K)),
            ("model.layers.0.self_attn.v_proj.weight", 2048, Some(Q6K)),
            ("model.layers.4.mlp.down_proj.weight", 11008, Some(Q4K)),
            ("model.layers.6.mlp.down_proj.weight", 11008, Some(Q6K)),
            ("model.layers.35.mlp.down_proj.weight", 11008, Some(Q6K)),
            ("model.layers.35.mlp.up_proj.weight", 2048, Some(Q4K)),
            ("model.layers.5.mlp.down_proj.weight", 300, Some(Q8_0)),
            ("visual.blocks.31.mlp.down_proj.weight", 3420, Some(Q8_0)),
            ("visual.blocks.0.attn.qkv.weight", 1280, Some(Q8_0)),
            ("visual.merger.mlp.0.weight", 5120, None),
            ("visual.patch_embed.proj.weight", 1176, None),
        ] {
            let form = forms.matrix(name, &info(StoredType::Bf16, &[8, in_len]));
            assert_eq!(form, expected.map_or(Form::Half(DType::BF16), Form::Blocks), "{name}");
        }
    }

    #[test]
    fn what_is_stored_quantised_stays_as_it_is() {
        let options = LoadOptions {
            dtype: Some(WeightDtype::F32),
            quantize: Some(Quantization::Q8_0),
            exact: false,
        };
        let stored = info(StoredType::Ggml(GgmlDType::Q5_0), &[8, 64]);
        let form = forms(options, true).matrix("model.layers.0.mlp.up_proj.weight", &stored);
        assert_eq!(form, Form::Blocks(GgmlDType::Q5_0));
        assert_eq!(form.bytes(8, 64), 8 * 2 * 22);
    }

    #[test]
    fn activations_are_rounded_where_weights_are_and_not_if_all_is_to_be_exact() {
        let rounding = |options: LoadOptions, name: &str| {
            let forms = forms(options, true);
            forms.rounding(name, forms.matrix(name, &info(StoredType::Bf16, &[8, 512])))
        };
        let dense = LoadOptions::default();
        let q4k = LoadOptions { quantize: Some(Quantization::Q4K), ..dense };
        let exact = LoadOptions { exact: true, ..q4k };
        for (name, quantized) in [
            ("model.layers.0.mlp.up_proj.weight", true),
            ("visual.blocks.0.mlp.up_proj.weight", true),
            ("visual.merger.mlp.0.weight", false),
            ("visual.patch_embed.proj.weight", false),
        ] {
            assert!(!rounding(dense, name) && !rounding(exact, name), "{name}");
            assert_eq!(rounding(q4k, name), quantized, "{name}");
        }
    }

    #[test]
    fn the_vision_tower_is_never_computed_in_f16() {
        for dtype in [None, Some(WeightDtype::F32), Some(WeightDtype::Bf16), Some(WeightDtype::F16)]
        {
            for on_cpu in [true, false] {
                let forms = forms(LoadOptions { dtype, ..LoadOptions::default() }, on_cpu);
                assert_ne!(forms.compute("visual.blocks.31.mlp.down_proj.weight"), DType::F16);
                let stored = info(StoredType::F16, &[8, 64]);
                let form = forms.matrix("visual.blocks.31.mlp.down_proj.weight", &stored);
                assert_ne!(
                    form,
                    Form::Dense(DType::F16),
                    "f16 is a form to store, not to compute in"
                );
            }
        }
    }

    #[test]
    fn small_checkpoints_are_f32_on_the_cpu_unless_asked_otherwise() {
        let stored = info(StoredType::Bf16, &[8, 64]);
        let name = "model.layers.0.mlp.up_proj.weight";
        let small = |dtype| {
            let options = LoadOptions { dtype, ..LoadOptions::default() };
            Forms { small: true, ..forms(options, true) }.matrix(name, &stored)
        };
        assert_eq!(small(None), Form::Dense(DType::F32));
        assert_eq!(small(Some(WeightDtype::F16)), Form::Half(DType::F16));
        assert_eq!(
            forms(LoadOptions::default(), true).matrix(name, &stored),
            Form::Half(DType::BF16)
        );
        let f32_stored = info(StoredType::F32, &[8, 64]);
        let form = forms(LoadOptions::default(), true).matrix(name, &f32_stored);
        assert_eq!(form, Form::Dense(DType::F32));
    }
}
