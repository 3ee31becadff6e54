//! `FlashAttention` on NVIDIA GPUs, for 16-bit activations.
//!
//! # Source
//!
//! Dao, `FlashAttention-2`, 2023, as `candle-flash-attn` has it. Its causal mask ends at the last key,
//! however many queries there are, which is what a cache needs.

use std::ops::Range;

use candle_core::{DType, Result, Tensor};

/// Whether the kernels take such activations.
pub(super) fn takes(xs: &Tensor) -> bool {
    xs.device().is_cuda() && matches!(xs.dtype(), DType::BF16 | DType::F16)
}

/// As [`super::attend_causal`]: `(h, s, d)`, `(kv, t, d)` → `(s, h · d)`.
pub(super) fn causal(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64) -> Result<Tensor> {
    let [q, k, v] = [rows(q)?, rows(k)?, rows(v)?];
    let batch = |xs: &Tensor| xs.unsqueeze(0);
    candle_flash_attn::flash_attn(&batch(&q)?, &batch(&k)?, &batch(&v)?, scale as f32, true)?
        .squeeze(0)?
        .flatten_from(1)
}

/// As [`super::attend_within`], of rotated heads: `(h, s, d)` each → `(s, h · d)`.
pub(super) fn within(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    spans: &[Range<usize>],
    scale: f64,
) -> Result<Tensor> {
    let [q, k, v] = [rows(q)?, rows(k)?, rows(v)?];
    let bounds: Vec<u32> =
        std::iter::once(0).chain(spans.iter().map(|span| span.end as u32)).collect();
    let bounds = Tensor::new(bounds, q.device())?;
    let longest = spans.iter().map(Range::len).max().unwrap_or(0);
    let (scale, causal) = (scale as f32, false);
    candle_flash_attn::flash_attn_varlen(
        &q, &k, &v, &bounds, &bounds, longest, longest, scale, causal,
    )?
    .flatten_from(1)
}

/// `(h, s, d)` → `(s, h, d)`
fn rows(xs: &Tensor) -> Result<Tensor> {
    xs.transpose(0, 1)?.contiguous()
}
