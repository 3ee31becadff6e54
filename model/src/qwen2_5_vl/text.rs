//! The text decoder: a dense Qwen2.5 whose rotary positions have three axes.
//!
//! # Source
//!
//! `Qwen2_5_VLModel` in `modeling_qwen2_5_vl.py` of transformers 4.49.0. Several sequences run packed
//! one after another instead of padded to one length; `use_sliding_window` is false in every released
//! checkpoint and not implemented.

use candle_core::{Result, Tensor};
use candle_nn::{Module, RmsNorm};

use super::attention::{attend_causal, cat_tiles, rotate_heads, split_heads};
use super::config::TextConfig;
use super::mlp::Mlp;
use super::rope::RotaryTable;
use crate::kv_cache::KvCache;
use crate::placement::Place;
use crate::projection::Projection;
use crate::weights::{Loaded, Loader};

/// The next tokens of one sequence in a packed pass.
#[derive(Debug)]
pub struct Segment<'a> {
    /// What the sequence has been through; it grows by the tokens.
    pub cache: &'a mut KvCache,
    /// How many tokens.
    pub len: usize,
}

/// `model`
#[derive(Clone, Debug)]
pub(crate) struct TextDecoder {
    embed_tokens: Projection,
    layers: Vec<DecoderLayer>,
    norm: RmsNorm,
    /// Where the embedding is.
    place: Place,
    /// Where the norm is.
    end: Place,
}

impl TextDecoder {
    pub(crate) fn new(config: &TextConfig, loader: &Loader<'_>) -> Loaded<Self> {
        let (c, v) = (config.hidden_size, config.vocab_size);
        let (embed_tokens, layers, norm) =
            (loader.pp("embed_tokens"), loader.pp("layers"), loader.pp("norm"));
        Ok(Self {
            embed_tokens: embed_tokens.projection_no_bias(c, v)?,
            layers: (0..config.num_hidden_layers)
                .map(|i| DecoderLayer::new(config, &layers.pp(i)))
                .collect::<Loaded<_>>()?,
            norm: norm.rms_norm(c, config.rms_norm_eps)?,
            place: embed_tokens.place(),
            end: norm.place(),
        })
    }

    /// The embedding matrix, `(v, c)`, for checkpoints whose lm head is tied to it.
    pub(crate) fn embedding_matrix(&self) -> &Projection {
        &self.embed_tokens
    }

    /// Where the embedding is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Where a layer is.
    pub(crate) fn layer_place(&self, layer: usize) -> &Place {
        &self.layers[layer].place
    }

    /// `(s,)` → `(s, c)`
    pub(crate) fn embed(&self, token_ids: &Tensor) -> Result<Tensor> {
        self.embed_tokens.rows(token_ids)
    }

    /// Runs the next tokens of some sequences, packed one after another: `(s, c)` → `(s, c)`, normed.
    /// `go_on` is asked after each layer.
    pub(crate) fn forward(
        &self,
        embeddings: &Tensor,
        mut rotary: RotaryTable,
        segments: &mut [Segment<'_>],
        go_on: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Tensor> {
        let mut xs = embeddings.clone();
        for (i, layer) in self.layers.iter().enumerate() {
            // From one device to the next, where the layers are on several.
            rotary = rotary.to_device(&layer.place.device)?;
            xs = layer.forward(&layer.place.take(&xs)?, &rotary, i, segments)?;
            go_on()?;
        }
        self.norm.forward(&self.end.take(&xs)?)
    }
}

/// `model.layers.{i}`
#[derive(Clone, Debug)]
struct DecoderLayer {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: Mlp,
    place: Place,
}

impl DecoderLayer {
    fn new(config: &TextConfig, loader: &Loader<'_>) -> Loaded<Self> {
        let norm = |name: &str| loader.pp(name).rms_norm(config.hidden_size, config.rms_norm_eps);
        Ok(Self {
            input_layernorm: norm("input_layernorm")?,
            self_attn: Attention::new(config, &loader.pp("self_attn"))?,
            post_attention_layernorm: norm("post_attention_layernorm")?,
            mlp: Mlp::new_no_bias(config.hidden_size, config.intermediate_size, &loader.pp("mlp"))?,
            place: loader.place(),
        })
    }

    /// `(s, c)` → `(s, c)`; this is layer `i` of the segments' caches.
    fn forward(
        &self,
        xs: &Tensor,
        rotary: &RotaryTable,
        i: usize,
        segments: &mut [Segment<'_>],
    ) -> Result<Tensor> {
        let normed = self.input_layernorm.forward(xs)?;
        let xs = self.self_attn.forward_sum(&normed, xs, rotary, i, segments)?;
        self.mlp.forward_sum(&self.post_attention_layernorm.forward(&xs)?, &xs)
    }
}

/// `model.layers.{i}.self_attn`
#[derive(Clone, Debug)]
struct Attention {
    // projections
    q_proj: Projection,
    k_proj: Projection,
    v_proj: Projection,
    o_proj: Projection,
    // sizes
    num_heads: usize,
    num_kv_heads: usize,
    scale: f64,
}

impl Attention {
    fn new(config: &TextConfig, loader: &Loader<'_>) -> Loaded<Self> {
        let (c, d) = (config.hidden_size, config.head_dim());
        let (h, kv) = (config.num_attention_heads, config.num_key_value_heads);
        Ok(Self {
            q_proj: loader.pp("q_proj").projection(c, h * d)?,
            k_proj: loader.pp("k_proj").projection(c, kv * d)?,
            v_proj: loader.pp("v_proj").projection(c, kv * d)?,
            o_proj: loader.pp("o_proj").projection_no_bias(h * d, c)?,
            num_heads: h,
            num_kv_heads: kv,
            scale: (d as f64).powf(-0.5),
        })
    }

    /// Adds the attention of `xs` to `sum`, both `(s, c)`; tokens attend to their own segment's earlier
    /// ones only.
    fn forward_sum(
        &self,
        xs: &Tensor,
        sum: &Tensor,
        rotary: &RotaryTable,
        i: usize,
        segments: &mut [Segment<'_>],
    ) -> Result<Tensor> {
        let q = rotate_heads(&self.q_proj.forward(xs)?, self.num_heads, rotary)?; // (h, s, d)
        let k = rotate_heads(&self.k_proj.forward(xs)?, self.num_kv_heads, rotary)?; // (kv, s, d)
        let v = split_heads(&self.v_proj.forward(xs)?, self.num_kv_heads)?; // (kv, s, d)
        let mut start = 0;
        let mut outputs = Vec::with_capacity(segments.len());
        for Segment { cache, len } in segments {
            let own = |xs: &Tensor| xs.narrow(1, start, *len);
            let (k, v) = cache.layer_mut(i).append(&own(&k)?, &own(&v)?)?; // (kv, t, d)
            outputs.push(attend_causal(&own(&q)?, &k, &v, self.scale)?); // (len, h * d)
            start += *len;
        }
        self.o_proj.forward_sum(&cat_tiles(outputs, 0)?, sum)
    }
}
