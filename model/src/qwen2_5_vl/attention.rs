//! Softmax attention, the same for the vision tower and the text decoder. No score matrix grows with
//! the square of the sequence.
//!
//! On the CPU it is a kernel of ours; elsewhere tensor operations in tiles of query rows, or
//! `FlashAttention` (cargo feature `flash-attn`).

#[cfg(feature = "flash-attn")]
mod flash;

use std::ops::Range;

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::ops::softmax_last_dim;
use candle_nn::rotary_emb::rope;

use super::rope::RotaryTable;
use crate::huge_pages;
use crate::kernels::attention::{Attention, Heads};
use crate::kernels::{self, Scratch};

/// The most scores held at once, in elements (64 MiB of f32).
const MAX_SCORES: usize = 1 << 24;

/// Splits rows into heads and rotates each: `(s, h * d)` → `(h, s, d)`.
pub(crate) fn rotate_heads(xs: &Tensor, heads: usize, rotary: &RotaryTable) -> Result<Tensor> {
    if !kernels::takes(xs) {
        let dtype = xs.dtype();
        // Positions in the thousands need more digits than 16 bits have.
        let xs = split_heads(xs, heads)?.to_dtype(DType::F32)?.unsqueeze(0)?;
        return rope(&xs, &rotary.cos, &rotary.sin)?.squeeze(0)?.to_dtype(dtype);
    }
    let (s, width) = xs.dims2()?;
    let mut rotated = huge_pages::zeroed(s * width);
    kernels::with_values(xs, |xs| {
        rotary.with_values(|angles| {
            kernels::elementwise::rotate_heads(xs, width, (s, heads), angles, &mut rotated);
        })
    })??;
    Tensor::from_vec(rotated, (heads, s, width / heads), xs.device())
}

/// Queries, keys and values of each row beside each other → softmax(q·kᵀ·scale)·v of every row over the
/// rows of its own span: `(s, 3 · h · d)` → `(s, h · d)`. The spans follow each other and cover all rows.
pub(crate) fn attend_within(
    qkv: &Tensor,
    heads: usize,
    rotary: &RotaryTable,
    spans: &[Range<usize>],
    scale: f64,
) -> Result<Tensor> {
    let (_s, c) = qkv.dims2()?;
    let part = |i: usize| qkv.narrow(1, i * c / 3, c / 3); // (s, h * d)
    let q = rotate_heads(&part(0)?, heads, rotary)?; // (h, s, d)
    let k = rotate_heads(&part(1)?, heads, rotary)?; // (h, s, d)
    let v = split_heads(&part(2)?, heads)?; // (h, s, d)
    #[cfg(feature = "flash-attn")]
    if flash::takes(&q) {
        return flash::within(&q, &k, &v, spans, scale);
    }
    let (_h, _s, d) = q.dims3()?;
    // Equal spans are one batched product.
    let tiles = spans.chunk_by(|a, b| a.len() == b.len()).map(|run| {
        let (n, len) = (run.len(), run[0].len());
        let own = |xs: &Tensor| {
            xs.narrow(1, run[0].start, n * len)?.contiguous()?.reshape((heads * n, len, d))
        };
        attend(&own(&q)?, &own(&k)?, &own(&v)?, scale)?.reshape((heads, n * len, d))
    });
    join_heads(&cat_tiles(tiles.collect::<Result<_>>()?, 1)?)
}

/// As [`attend_within`], of numbers on the CPU.
pub(crate) fn attend_within_on_cpu(
    qkv: &[f32],
    (rows, heads): (usize, usize),
    rotary: &RotaryTable,
    spans: &[Range<usize>],
    scale: f64,
) -> Result<Scratch> {
    let stride = qkv.len() / rows.max(1);
    let c = stride / 3;
    let width = c / heads;
    let [mut queries, mut keys] = [(); 2].map(|()| Scratch::new(rows * c));
    rotary.with_values(|angles| {
        let rotate = |from: usize, out: &mut [f32]| {
            kernels::elementwise::rotate_heads(&qkv[from..], stride, (rows, heads), angles, out);
        };
        rotate(0, &mut queries);
        rotate(c, &mut keys);
    })?;
    let by_head = Attention {
        queries: &queries,
        keys: Heads { values: &keys, head_stride: rows * width, row_stride: width },
        values: Heads { values: &qkv[2 * c..], head_stride: width, row_stride: stride },
        heads,
        kv_heads: heads,
        rows,
        width,
        scale: scale as f32,
    }
    .within(spans);
    // The queries have done their work, so this takes their room.
    let mut out = queries;
    kernels::attention::join_heads(&by_head, (rows, heads), &mut out);
    Ok(out)
}

/// Returns causal attention of `s` new tokens over `t ≥ s` cached ones, the new ones being the
/// last, with every group of query heads sharing one key and value head: `(s, h * d)`.
///
/// `q` has shape `(h, s, d)`, `k` and `v` `(kv, t, d)`.
pub(crate) fn attend_causal(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64) -> Result<Tensor> {
    let (h, s, d) = q.dims3()?;
    #[cfg(feature = "flash-attn")]
    if flash::takes(q) {
        return flash::causal(q, k, v, scale);
    }
    if !kernels::takes(q) {
        return join_heads(&attend_causal_in_tiles(q, k, v, scale)?);
    }
    let (kv_heads, t, _d) = k.dims3()?;
    let mut out = huge_pages::zeroed(h * s * d);
    kernels::with_values(q, |queries| {
        kernels::with_strides(k, |keys, strides| {
            let keys = Heads { values: keys, head_stride: strides[0], row_stride: strides[1] };
            kernels::with_strides(v, |values, strides| {
                let values = Heads { values, head_stride: strides[0], row_stride: strides[1] };
                let (heads, rows, width, scale) = (h, s, d, scale as f32);
                let attention =
                    Attention { queries, keys, values, heads, kv_heads, rows, width, scale };
                kernels::attention::join_heads(&attention.causal(t - s), (s, h), &mut out);
            })
        })
    })???;
    Tensor::from_vec(out, (s, h * d), q.device())
}

/// Returns softmax(q·kᵀ·scale)·v, every row attending to every key.
///
/// `q`, `k` and `v` have shape `(b, s, d)`; the result too.
fn attend(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64) -> Result<Tensor> {
    let (b, s, _d) = q.dims3()?;
    let k_t = (k.t()? * scale)?; // (b, d, s)
    let rows = (MAX_SCORES / (b * s).max(1)).clamp(1, s);
    let mut tiles = Vec::with_capacity(s.div_ceil(rows));
    for start in (0..s).step_by(rows) {
        let q = q.narrow(1, start, rows.min(s - start))?;
        let scores = softmax(&q.matmul(&k_t)?)?; // (b, rows, s)
        tiles.push(scores.matmul(v)?);
    }
    cat_tiles(tiles, 1)
}

/// As [`attend_causal`], with the result in heads, `(h, s, d)`.
fn attend_causal_in_tiles(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64) -> Result<Tensor> {
    let (h, s, d) = q.dims3()?;
    let (kv, t, _d) = k.dims3()?;
    let group = h / kv;
    let past = t - s;
    let q = (q.reshape((kv, group, s, d))? * scale)?;
    let k_t = k.t()?; // (kv, d, t)
    let rows = (MAX_SCORES / (h * t).max(1)).clamp(1, s);
    let mut tiles = Vec::with_capacity(s.div_ceil(rows));
    for start in (0..s).step_by(rows) {
        let rows = rows.min(s - start);
        // Later keys are hidden from the whole tile, so they are not computed at all.
        let seen = past + start + rows;
        let q = q.narrow(2, start, rows)?.reshape((kv, group * rows, d))?;
        let scores = q.matmul(&k_t.narrow(2, 0, seen)?)?.reshape((kv * group, rows, seen))?;
        let scores = match causal_mask(rows, seen, q.device())? {
            Some(mask) => scores.broadcast_add(&mask.to_dtype(scores.dtype())?)?,
            None => scores,
        };
        let scores = softmax(&scores)?.reshape((kv, group * rows, seen))?;
        let out = scores.matmul(&v.narrow(1, 0, seen)?)?; // (kv, group * rows, d)
        tiles.push(out.reshape((h, rows, d))?);
    }
    cat_tiles(tiles, 1)
}

/// In f32 whatever the scores are in.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    softmax_last_dim(&scores.to_dtype(DType::F32)?)?.to_dtype(scores.dtype())
}

/// `(rows, seen)`: 0 where row `i` may look, −∞ behind its own token; none for a single row.
fn causal_mask(rows: usize, seen: usize, device: &Device) -> Result<Option<Tensor>> {
    if rows == 1 {
        return Ok(None);
    }
    let first = seen - rows;
    let mask: Vec<f32> = (0..rows)
        .flat_map(|row| {
            (0..seen).map(move |key| if key <= first + row { 0.0 } else { f32::NEG_INFINITY })
        })
        .collect();
    Tensor::from_vec(mask, (rows, seen), device).map(Some)
}

/// Joins tensors along `dim`; a single one is not copied.
pub(crate) fn cat_tiles(mut tiles: Vec<Tensor>, dim: usize) -> Result<Tensor> {
    if tiles.len() == 1 { Ok(tiles.remove(0)) } else { Tensor::cat(&tiles, dim) }
}

/// Splits the last dimension into heads: `(s, h * d)` → `(h, s, d)`, contiguous.
pub(crate) fn split_heads(xs: &Tensor, heads: usize) -> Result<Tensor> {
    let (s, width) = xs.dims2()?;
    xs.reshape((s, heads, width / heads))?.transpose(0, 1)?.contiguous()
}

/// Joins the heads again: `(h, s, d)` → `(s, h * d)`.
pub(crate) fn join_heads(xs: &Tensor) -> Result<Tensor> {
    xs.transpose(0, 1)?.flatten_from(D::Minus2)
}
