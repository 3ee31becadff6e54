//! Which tensors of a pair of GGUF files make up each tensor of the model, under its original name.
//!
//! llama.cpp's converter renames all tensors, cuts the patch convolution of two frames into one of
//! each, and may cut the joined projections of the vision tower or join those of the decoder. Old
//! converters swapped the names of two vision layers.
//!
//! # Source
//!
//! `tensor_mapping.py` and `conversion/qwenvl.py` of llama.cpp (revision 0c1e570), `clip.cpp` for
//! the swapped names; reversed.

use std::collections::BTreeMap;

use super::container::TensorPlace;

/// Names outside of the layers: original, GGUF.
pub(crate) const SINGLE: [(&str, &str); 8] = [
    ("model.embed_tokens.weight", "token_embd.weight"),
    ("model.norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
    ("visual.merger.ln_q.weight", "v.post_ln.weight"),
    ("visual.merger.mlp.0.weight", "mm.0.weight"),
    ("visual.merger.mlp.0.bias", "mm.0.bias"),
    ("visual.merger.mlp.2.weight", "mm.2.weight"),
    ("visual.merger.mlp.2.bias", "mm.2.bias"),
];

/// The patch convolution: original, and the GGUF names of its two frames.
pub(crate) const PATCH_EMBED: (&str, [&str; 2]) =
    ("visual.patch_embed.proj.weight", ["v.patch_embd.weight", "v.patch_embd.weight.1"]);

/// Parts of a decoder layer: original after `model.layers.{i}.`, GGUF after `blk.{i}.`.
pub(crate) const TEXT_LAYER: [(&str, &str); 9] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// Parts of a vision block: original after `visual.blocks.{i}.`, GGUF after `v.blk.{i}.`.
pub(crate) const VISION_BLOCK: [(&str, &str); 7] = [
    ("norm1", "ln1"),
    ("attn.qkv", "attn_qkv"),
    ("attn.proj", "attn_out"),
    ("norm2", "ln2"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// Queries, keys and values where they are apart.
pub(crate) const QKV: [&str; 3] = ["attn_q", "attn_k", "attn_v"];

/// A tensor of one of the files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Part {
    /// The index of the file.
    pub(crate) file: usize,
    pub(crate) place: TensorPlace,
}

/// How a tensor of the model is made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Recipe {
    /// It is in the file as it is.
    Whole(Part),
    /// The rows of these, one after another.
    Rows(Vec<Part>),
    /// `count` rows from `first` on of one that has more.
    Slice { part: Part, first: usize, count: usize },
    /// `(out, channels, y, x)` twice → `(out, channels, frame, y, x)`.
    Frames([Part; 2]),
}

/// All tensors of all files, by name.
pub(crate) type Stored = BTreeMap<String, Part>;

/// Returns how every tensor that the model knows is made. `hidden_size` is the width of the
/// decoder.
///
/// # Errors
///
/// What does not fit together, naming the tensor.
pub(crate) fn recipes(
    stored: &Stored,
    hidden_size: usize,
) -> Result<BTreeMap<String, Recipe>, String> {
    let mut recipes = BTreeMap::new();
    for (name, part) in stored {
        if let Some((original, _)) = SINGLE.iter().find(|(_, gguf)| gguf == name) {
            recipes.insert((*original).to_owned(), Recipe::Whole(part.clone()));
        } else if let Some((layer, rest)) = layer(name, "blk.") {
            let prefix = format!("model.layers.{layer}.");
            decoder_layer(&prefix, rest, (name, part), hidden_size, &mut recipes)?;
        } else if let Some((block, rest)) = layer(name, "v.blk.") {
            vision_block(stored, block, rest, part, &mut recipes)?;
        }
    }
    let (original, frames) = PATCH_EMBED;
    if let [Some(first), Some(second)] = frames.map(|name| stored.get(name)) {
        if first.place.shape != second.place.shape || first.place.shape.len() != 4 {
            return Err(format!("tensors `{}` and `{}` differ in shape", frames[0], frames[1]));
        }
        recipes.insert(original.to_owned(), Recipe::Frames([first.clone(), second.clone()]));
    }
    Ok(recipes)
}

/// The number of the layer and what follows, if `name` is part of one.
fn layer<'n>(name: &'n str, prefix: &str) -> Option<(usize, &'n str)> {
    let (layer, rest) = name.strip_prefix(prefix)?.split_once('.')?;
    Some((layer.parse().ok()?, rest))
}

fn decoder_layer(
    prefix: &str,
    rest: &str,
    (name, part): (&str, &Part),
    hidden_size: usize,
    recipes: &mut BTreeMap<String, Recipe>,
) -> Result<(), String> {
    let Some((module, kind)) = rest.rsplit_once('.') else { return Ok(()) };
    if let Some((original, _)) = TEXT_LAYER.iter().find(|(_, gguf)| *gguf == module) {
        recipes.insert(format!("{prefix}{original}.{kind}"), Recipe::Whole(part.clone()));
    } else if module == "attn_qkv" {
        // As many rows of queries as the decoder is wide; keys and values share the rest.
        let rows = part.place.shape[0];
        let others = rows.checked_sub(hidden_size).filter(|others| others % 2 == 0);
        let others = others.ok_or_else(|| {
            format!("tensor `{name}` has {rows} rows, which are not queries, keys and values")
        })?;
        let counts = [hidden_size, others / 2, others / 2];
        let mut first = 0;
        for (count, projection) in counts.into_iter().zip(["q_proj", "k_proj", "v_proj"]) {
            let slice = Recipe::Slice { part: part.clone(), first, count };
            recipes.insert(format!("{prefix}self_attn.{projection}.{kind}"), slice);
            first += count;
        }
    }
    Ok(())
}

fn vision_block(
    stored: &Stored,
    block: usize,
    rest: &str,
    part: &Part,
    recipes: &mut BTreeMap<String, Recipe>,
) -> Result<(), String> {
    let Some((module, kind)) = rest.rsplit_once('.') else { return Ok(()) };
    let prefix = format!("visual.blocks.{block}.");
    if module == QKV[0] {
        let parts = QKV.map(|module| stored.get(&format!("v.blk.{block}.{module}.{kind}")));
        if let [Some(q), Some(k), Some(v)] = parts {
            if [k, v].iter().any(|part| part.place.shape[1..] != q.place.shape[1..]) {
                return Err(format!("the projections of `v.blk.{block}` differ in width"));
            }
            let rows = Recipe::Rows(vec![q.clone(), k.clone(), v.clone()]);
            recipes.insert(format!("{prefix}attn.qkv.{kind}"), rows);
        }
        return Ok(());
    }
    let module = match module {
        "ffn_up" if is_swapped(stored, block) => "ffn_down",
        "ffn_down" if is_swapped(stored, block) => "ffn_up",
        other => other,
    };
    if let Some((original, _)) = VISION_BLOCK.iter().find(|(_, gguf)| *gguf == module) {
        recipes.insert(format!("{prefix}{original}.{kind}"), Recipe::Whole(part.clone()));
    }
    Ok(())
}

/// Whether `ffn_up` and `ffn_down` of a vision block have each other's name: up takes the width of
/// the tower, which every norm has, and down gives it.
fn is_swapped(stored: &Stored, block: usize) -> bool {
    let shape = |name: &str| stored.get(&format!("v.blk.{block}.{name}.weight"));
    match (shape("ffn_down"), shape("ln1")) {
        (Some(down), Some(norm)) => {
            let [out, inner] = down.place.shape[..] else { return false };
            inner == norm.place.shape[0] && out != inner
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::tensor_type::TensorType;

    fn stored(tensors: &[(&str, &[usize])]) -> Stored {
        let kind = TensorType::from_number(0).unwrap();
        let mut start = 0;
        let part = |&(name, shape): &(&str, &[usize])| {
            start += 64; // tells them apart
            let place = TensorPlace { shape: shape.to_vec(), kind, start, len: 0 };
            (name.to_owned(), Part { file: 0, place })
        };
        tensors.iter().map(part).collect()
    }

    #[test]
    fn names_are_the_original_ones_and_strangers_are_left_out() {
        let stored = stored(&[
            ("token_embd.weight", &[9, 4]),
            ("rope_freqs.weight", &[4]),
            ("blk.12.attn_k.bias", &[2]),
            ("blk.0.ffn_norm.weight", &[4]),
            ("blk.x.ffn_norm.weight", &[4]),
            ("v.blk.3.ln2.weight", &[8]),
            ("v.patch_embd.weight", &[8, 3, 14, 14]),
            ("v.patch_embd.weight.1", &[8, 3, 14, 14]),
            ("mm.2.bias", &[4]),
        ]);
        let recipes = recipes(&stored, 4).unwrap();
        let names: Vec<_> = recipes.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "model.embed_tokens.weight",
                "model.layers.0.post_attention_layernorm.weight",
                "model.layers.12.self_attn.k_proj.bias",
                "visual.blocks.3.norm2.weight",
                "visual.merger.mlp.2.bias",
                "visual.patch_embed.proj.weight",
            ]
        );
        assert!(matches!(recipes["visual.patch_embed.proj.weight"], Recipe::Frames(_)));
    }

    #[test]
    fn projections_are_joined_and_cut_as_the_model_wants_them() {
        let stored = stored(&[
            ("blk.0.attn_qkv.weight", &[8, 4]),
            ("v.blk.0.attn_q.weight", &[6, 6]),
            ("v.blk.0.attn_k.weight", &[6, 6]),
            ("v.blk.0.attn_v.weight", &[6, 6]),
            ("v.blk.1.attn_qkv.bias", &[18]),
        ]);
        let recipes = recipes(&stored, 4).unwrap();
        let Recipe::Slice { first, count, .. } = recipes["model.layers.0.self_attn.v_proj.weight"]
        else {
            panic!("not a slice")
        };
        assert_eq!((first, count), (6, 2));
        let Recipe::Rows(parts) = &recipes["visual.blocks.0.attn.qkv.weight"] else {
            panic!("not rows")
        };
        assert_eq!(parts[2], stored["v.blk.0.attn_v.weight"]);
        assert!(matches!(recipes["visual.blocks.1.attn.qkv.bias"], Recipe::Whole(_)));
    }

    #[test]
    fn the_swapped_names_of_old_files_are_swapped_back() {
        let old = stored(&[
            ("v.blk.0.ln1.weight", &[8]),
            ("v.blk.0.ffn_down.weight", &[20, 8]),
            ("v.blk.0.ffn_down.bias", &[20]),
            ("v.blk.0.ffn_up.weight", &[8, 20]),
            ("v.blk.0.ffn_up.bias", &[8]),
        ]);
        let recipes = recipes(&old, 4).unwrap();
        let whole = |name: &str| Recipe::Whole(old[name].clone());
        assert_eq!(recipes["visual.blocks.0.mlp.up_proj.bias"], whole("v.blk.0.ffn_down.bias"));
        assert_eq!(recipes["visual.blocks.0.mlp.down_proj.weight"], whole("v.blk.0.ffn_up.weight"));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let odd = stored(&[("blk.0.attn_qkv.weight", &[7, 4])]);
        let err = recipes(&odd, 4).unwrap_err();
        assert_eq!(
            err,
            "tensor `blk.0.attn_qkv.weight` has 7 rows, which are not queries, keys and values"
        );
        let frames = stored(&[
            ("v.patch_embd.weight", &[8, 3, 14, 14]),
            ("v.patch_embd.weight.1", &[8, 3, 14, 7]),
        ]);
        assert!(recipes(&frames, 4).unwrap_err().contains("differ in shape"));
    }
}
