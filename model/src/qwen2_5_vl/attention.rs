//! Softmax attention, the same for the vision tower and the text decoder. No score matrix grows with
//! the square of the sequence.
//!
//! On the CPU it is a kernel of ours; elsewhere tensor operations in tiles of query rows.

use std::ops::Range;

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::ops::softmax_last_dim;
use candle_nn::rotary_emb::rope;

use super::rope::RotaryTable;
use crate::kernels;
use crate::kernels::attention::{Attention, Heads};

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
    let rotated = kernels::with_values(&rotary.cos, |cos| {
        kernels::with_values(&rotary.sin, |sin| {
            kernels::with_strides(xs, |values, strides| {
                kernels::elementwise::rotate_heads(values, strides[0], (s, heads), cos, sin)
            })
        })
    })???;
    Tensor::from_vec(rotated, (heads, s, width / heads), xs.device())
}

/// Returns softmax(q·kᵀ·scale)·v of every row over the rows of its own span: `(s, h * d)`. The spans
/// follow each other and cover all rows.
///
/// `q` and `k` have shape `(h, s, d)`, `v` `(s, h * d)`.
pub(crate) fn attend_within(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    spans: &[Range<usize>],
    scale: f64,
) -> Result<Tensor> {
    let (h, s, d) = q.dims3()?;
    if !kernels::takes(q) {
        let v = split_heads(v, h)?; // (h, s, d)
        // Equal spans are one batched product.
        let tiles = spans.chunk_by(|a, b| a.len() == b.len()).map(|run| {
            let (n, len) = (run.len(), run[0].len());
            let own = |xs: &Tensor| {
                xs.narrow(1, run[0].start, n * len)?.contiguous()?.reshape((h * n, len, d))
            };
            attend(&own(q)?, &own(k)?, &own(&v)?, scale)?.reshape((h, n * len, d))
        });
        return join_heads(&cat_tiles(tiles.collect::<Result<_>>()?, 1)?);
    }
    let out = with_attention(
        q,
        k,
        v,
        |strides| [d, strides[0]],
        scale,
        |attention| attention.within(spans),
    )?;
    Tensor::from_vec(out, (s, h * d), q.device())
}

/// Returns causal attention of `s` new tokens over `t ≥ s` cached ones, the new ones being the
/// last, with every group of query heads sharing one key and value head: `(s, h * d)`.
///
/// `q` has shape `(h, s, d)`, `k` and `v` `(kv, t, d)`.
pub(crate) fn attend_causal(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64) -> Result<Tensor> {
    let (h, s, d) = q.dims3()?;
    if !kernels::takes(q) {
        return join_heads(&attend_causal_in_tiles(q, k, v, scale)?);
    }
    let past = k.dim(1)? - s;
    let out = with_attention(
        q,
        k,
        v,
        |strides| [strides[0], strides[1]],
        scale,
        |attention| attention.causal(past),
    )?;
    Tensor::from_vec(out, (s, h * d), q.device())
}

/// Shows what is attended to what to the kernel. Of the values, `value_strides` tells how far it is
/// from head to head and from row to row.
fn with_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    value_strides: impl FnOnce(&[usize]) -> [usize; 2],
    scale: f64,
    attend: impl FnOnce(&Attention<'_>) -> Vec<f32>,
) -> Result<Vec<f32>> {
    let (heads, rows, width) = q.dims3()?;
    let kv_heads = k.dim(0)?;
    kernels::with_values(q, |queries| {
        kernels::with_strides(k, |keys, strides| {
            let keys = Heads { values: keys, head_stride: strides[0], row_stride: strides[1] };
            kernels::with_strides(v, |values, strides| {
                let [head_stride, row_stride] = value_strides(strides);
                let values = Heads { values, head_stride, row_stride };
                let scale = scale as f32;
                attend(&Attention { queries, keys, values, heads, kv_heads, rows, width, scale })
            })
        })
    })??
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
