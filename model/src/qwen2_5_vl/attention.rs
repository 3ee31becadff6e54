//! Softmax attention in tiles of query rows, so that no score matrix grows with the square of the
//! sequence. Shared by the vision tower and the text decoder.

use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::softmax_last_dim;

/// The most scores held at once, in elements (64 MiB of f32).
const MAX_SCORES: usize = 1 << 24;

/// Returns softmax(q·kᵀ·scale)·v, every row attending to every key.
///
/// `q`, `k` and `v` have shape `(b, s, d)`; the result too.
pub(crate) fn attend(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64) -> Result<Tensor> {
    let (b, s, _d) = q.dims3()?;
    let k_t = (k.t()? * scale)?; // (b, d, s)
    let rows = (MAX_SCORES / (b * s).max(1)).clamp(1, s);
    let mut tiles = Vec::with_capacity(s.div_ceil(rows));
    for start in (0..s).step_by(rows) {
        let q = q.narrow(1, start, rows.min(s - start))?;
        let scores = softmax_last_dim(&q.matmul(&k_t)?)?; // (b, rows, s)
        tiles.push(scores.matmul(v)?);
    }
    cat_tiles(tiles, 1)
}

/// Returns causal attention of `s` new tokens over `t ≥ s` cached ones, the new ones being the
/// last, with every group of query heads sharing one key and value head.
///
/// `q` has shape `(h, s, d)`, `k` and `v` `(kv, t, d)`; the result `(h, s, d)`.
pub(crate) fn attend_causal(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64) -> Result<Tensor> {
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
            Some(mask) => scores.broadcast_add(&mask)?,
            None => scores,
        };
        let scores = softmax_last_dim(&scores)?.reshape((kv, group * rows, seen))?;
        let out = scores.matmul(&v.narrow(1, 0, seen)?)?; // (kv, group * rows, d)
        tiles.push(out.reshape((h, rows, d))?);
    }
    cat_tiles(tiles, 1)
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
