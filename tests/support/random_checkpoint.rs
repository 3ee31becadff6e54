//! Checkpoints of the released sizes with random weights: what loading, memory and speed are measured
//! on where no weights can be had. They answer nonsense.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use fs_err as fs;
use half::{bf16, f16};
use serde_json::{Map, Value, json};

use crate::golden::qwen_tokenizer_json;

/// The sizes of a checkpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shape {
    /// Width of the text decoder.
    pub hidden: usize,
    /// Width of its MLPs.
    pub intermediate: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Rows of the embedding.
    pub vocab: usize,
    /// Whether the embedding is the lm head, too.
    pub tied: bool,
    /// Vision blocks.
    pub depth: usize,
    /// Whether the decoder's matrices have 4 bits a weight, packed as AWQ does.
    pub awq: bool,
}

impl Shape {
    /// The 3B as it was released.
    pub const B3: Self = Self {
        hidden: 2048,
        intermediate: 11008,
        layers: 36,
        heads: 16,
        kv_heads: 2,
        vocab: 151_936,
        tied: true,
        depth: 32,
        awq: false,
    };

    /// The 7B as it was released.
    pub const B7: Self = Self {
        hidden: 3584,
        intermediate: 18944,
        layers: 28,
        heads: 28,
        kv_heads: 4,
        vocab: 152_064,
        tied: false,
        depth: 32,
        awq: false,
    };
}

const VISION_HIDDEN: usize = 1280;
const VISION_INTERMEDIATE: usize = 3420;
const HEAD_DIM: usize = 128;

/// The most bytes of a shard, as transformers cuts them.
const SHARD_BYTES: usize = 4 << 30;

/// Inputs that share a scale and a zero in AWQ.
const AWQ_GROUP: usize = 128;

/// Outputs in a word of AWQ.
const AWQ_PACKED: usize = 8;

/// A tensor to be written.
struct Planned {
    name: String,
    shape: Vec<usize>,
    numbers: Numbers,
}

/// What a tensor holds.
#[derive(Clone, Copy)]
enum Numbers {
    /// Ones, in bf16.
    Ones,
    /// Numbers up to this bound on both sides of zero, in bf16.
    Around(f32),
    /// Words of eight numbers of 4 bits.
    Nibbles,
    /// Words of eight times 8, which stands for zero among them.
    Eights,
    /// One number, in f16.
    Half(f16),
}

impl Planned {
    /// The type, as safetensors names it, and the bytes of one number.
    fn dtype(&self) -> (&'static str, usize) {
        match self.numbers {
            Numbers::Ones | Numbers::Around(_) => ("BF16", 2),
            Numbers::Nibbles | Numbers::Eights => ("I32", 4),
            Numbers::Half(_) => ("F16", 2),
        }
    }

    fn bytes(&self) -> usize {
        self.dtype().1 * self.shape.iter().product::<usize>()
    }
}

/// Writes a checkpoint folder in bf16, the same for the same shape.
///
/// # Errors
///
/// Fails if the folder cannot be written.
pub fn write_random_checkpoint(dir: &Path, shape: &Shape) -> Result<()> {
    fs::create_dir_all(dir)?;
    let texts = [
        ("config.json", config(shape)),
        ("preprocessor_config.json", preprocessor()),
        ("generation_config.json", json!({ "eos_token_id": [151_645, 151_643] })),
    ];
    for (name, text) in texts {
        fs::write(dir.join(name), serde_json::to_string_pretty(&text)?)?;
    }
    fs::write(dir.join("tokenizer.json"), qwen_tokenizer_json())?;

    let tensors = tensors(shape);
    let mut shards: Vec<Vec<&Planned>> = vec![Vec::new()];
    let mut filled = 0;
    for tensor in &tensors {
        if filled + tensor.bytes() > SHARD_BYTES {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += tensor.bytes();
        shards.last_mut().context("there is always a shard")?.push(tensor);
    }
    let mut weight_map = Map::new();
    for (index, shard) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", index + 1, shards.len());
        weight_map.extend(shard.iter().map(|tensor| (tensor.name.clone(), json!(name))));
        write_shard(&dir.join(&name), shard)?;
    }
    let index = json!({ "metadata": {}, "weight_map": weight_map });
    fs::write(dir.join("model.safetensors.index.json"), index.to_string())?;
    Ok(())
}

fn config(shape: &Shape) -> Value {
    let full: Vec<usize> = (7..shape.depth).step_by(8).collect();
    let mut config = json!({
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "bos_token_id": 151_643,
        "eos_token_id": 151_645,
        "vision_start_token_id": 151_652,
        "vision_end_token_id": 151_653,
        "vision_token_id": 151_654,
        "image_token_id": 151_655,
        "video_token_id": 151_656,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "max_position_embeddings": 128_000,
        "max_window_layers": 70,
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "rope_scaling": { "type": "mrope", "mrope_section": [16, 24, 24] },
        "sliding_window": 32768,
        "tie_word_embeddings": shape.tied,
        "torch_dtype": "bfloat16",
        "use_cache": true,
        "use_sliding_window": false,
        "vocab_size": shape.vocab,
        "vision_config": {
            "depth": shape.depth,
            "hidden_act": "silu",
            "hidden_size": VISION_HIDDEN,
            "intermediate_size": VISION_INTERMEDIATE,
            "num_heads": 16,
            "in_chans": 3,
            "out_hidden_size": shape.hidden,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "spatial_patch_size": 14,
            "window_size": 112,
            "fullatt_block_indexes": full,
            "tokens_per_second": 2,
            "temporal_patch_size": 2,
        },
    });
    if shape.awq {
        config["quantization_config"] = json!({
            "quant_method": "awq",
            "bits": 4,
            "group_size": AWQ_GROUP,
            "version": "gemm",
            "zero_point": true,
            "modules_to_not_convert": ["visual"],
        });
    }
    config
}

fn preprocessor() -> Value {
    json!({
        "min_pixels": 3136,
        "max_pixels": 12_845_056,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.481_454_66, 0.457_827_5, 0.408_210_73],
        "image_std": [0.268_629_54, 0.261_302_58, 0.275_777_11],
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
    })
}

/// All tensors of a checkpoint, by the names of the original release.
fn tensors(shape: &Shape) -> Vec<Planned> {
    let mut all = Vec::new();
    let mut add = |name: String, shape: &[usize]| {
        let is_norm = shape.len() == 1 && !name.ends_with("bias");
        let bound = bound(shape[1..].iter().product());
        let numbers = if is_norm { Numbers::Ones } else { Numbers::Around(bound) };
        all.push(Planned { name, shape: shape.to_vec(), numbers });
    };
    let (c, i) = (VISION_HIDDEN, VISION_INTERMEDIATE);
    add("visual.patch_embed.proj.weight".to_owned(), &[c, 3, 2, 14, 14]);
    for block in 0..shape.depth {
        let at = |name: &str| format!("visual.blocks.{block}.{name}");
        add(at("norm1.weight"), &[c]);
        add(at("norm2.weight"), &[c]);
        for (name, rows, columns) in [
            ("attn.qkv", 3 * c, c),
            ("attn.proj", c, c),
            ("mlp.gate_proj", i, c),
            ("mlp.up_proj", i, c),
            ("mlp.down_proj", c, i),
        ] {
            add(at(&format!("{name}.weight")), &[rows, columns]);
            add(at(&format!("{name}.bias")), &[rows]);
        }
    }
    add("visual.merger.ln_q.weight".to_owned(), &[c]);
    for (name, rows) in [("0", 4 * c), ("2", shape.hidden)] {
        add(format!("visual.merger.mlp.{name}.weight"), &[rows, 4 * c]);
        add(format!("visual.merger.mlp.{name}.bias"), &[rows]);
    }

    let (c, i) = (shape.hidden, shape.intermediate);
    let (q, kv) = (shape.heads * HEAD_DIM, shape.kv_heads * HEAD_DIM);
    add("model.embed_tokens.weight".to_owned(), &[shape.vocab, c]);
    for layer in 0..shape.layers {
        let at = |name: &str| format!("model.layers.{layer}.{name}");
        add(at("input_layernorm.weight"), &[c]);
        add(at("post_attention_layernorm.weight"), &[c]);
        for (name, rows, columns, bias) in [
            ("self_attn.q_proj", q, c, true),
            ("self_attn.k_proj", kv, c, true),
            ("self_attn.v_proj", kv, c, true),
            ("self_attn.o_proj", c, q, false),
            ("mlp.gate_proj", i, c, false),
            ("mlp.up_proj", i, c, false),
            ("mlp.down_proj", c, i, false),
        ] {
            add(at(&format!("{name}.weight")), &[rows, columns]);
            if bias {
                add(at(&format!("{name}.bias")), &[rows]);
            }
        }
    }
    add("model.norm.weight".to_owned(), &[c]);
    if !shape.tied {
        add("lm_head.weight".to_owned(), &[shape.vocab, c]);
    }
    if shape.awq { all.into_iter().flat_map(packed).collect() } else { all }
}

/// Returns the bounds of numbers that keep activations the size of a trained model's.
#[expect(clippy::cast_precision_loss, reason = "a matrix is at most some thousand wide")]
fn bound(columns: usize) -> f32 {
    (3.0 / columns.max(64) as f32).sqrt()
}

/// Returns the parts that a matrix of the decoder has in AWQ, and any other tensor as it is.
fn packed(tensor: Planned) -> Vec<Planned> {
    let stem =
        tensor.name.strip_prefix("model.layers.").and_then(|_| tensor.name.strip_suffix(".weight"));
    let (Some(stem), &[outputs, inputs]) = (stem, tensor.shape.as_slice()) else {
        return vec![tensor];
    };
    let (groups, words) = (inputs / AWQ_GROUP, outputs / AWQ_PACKED);
    let scale = f16::from_f32(bound(inputs) / 8.0);
    let part = |part, shape: [usize; 2], numbers| Planned {
        name: format!("{stem}.{part}"),
        shape: shape.to_vec(),
        numbers,
    };
    vec![
        part("qweight", [inputs, words], Numbers::Nibbles),
        part("qzeros", [groups, words], Numbers::Eights),
        part("scales", [groups, outputs], Numbers::Half(scale)),
    ]
}

/// Writes one safetensors file, tensor by tensor.
fn write_shard(path: &Path, tensors: &[&Planned]) -> Result<()> {
    let mut header = Map::new();
    let mut end = 0;
    for tensor in tensors {
        let offsets = [end, end + tensor.bytes()];
        end = offsets[1];
        let entry =
            json!({ "dtype": tensor.dtype().0, "shape": tensor.shape, "data_offsets": offsets });
        header.insert(tensor.name.clone(), entry);
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::with_capacity(1 << 20, fs::File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for tensor in tensors {
        write_numbers(&mut file, tensor)?;
    }
    Ok(file.flush()?)
}

/// Writes the numbers of a tensor.
fn write_numbers(file: &mut impl Write, tensor: &Planned) -> Result<()> {
    // A large odd number per tensor, from its name, starts a generator of its own.
    let mut state = tensor.name.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }) | 1;
    // What each of the 65,536 halves of a random word stands for: there are thousands of millions to
    // be written, and this is also run in development builds.
    let words: Vec<[u8; 2]> = match tensor.numbers {
        Numbers::Around(bound) => (0..=u16::MAX)
            .map(|word| bf16::from_f32((f32::from(word) / 32768.0 - 1.0) * bound).to_le_bytes())
            .collect(),
        _ => Vec::new(),
    };
    let mut bytes = vec![0; 1 << 16];
    let mut left = tensor.bytes();
    while left > 0 {
        match tensor.numbers {
            Numbers::Ones => bytes.as_chunks_mut().0.fill(bf16::ONE.to_le_bytes()),
            Numbers::Eights => bytes.fill(0x88),
            Numbers::Half(number) => bytes.as_chunks_mut().0.fill(number.to_le_bytes()),
            Numbers::Around(_) | Numbers::Nibbles => {
                for word in bytes.as_chunks_mut().0 {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    *word = state.to_le_bytes();
                }
            }
        }
        if !words.is_empty() {
            for word in bytes.as_chunks_mut().0 {
                *word = words[usize::from(u16::from_le_bytes(*word))];
            }
        }
        let count = left.min(bytes.len());
        file.write_all(&bytes[..count])?;
        left -= count;
    }
    Ok(())
}
