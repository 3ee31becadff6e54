//! What happens between the products: rotation of heads, gating, and the like. One pass over memory
//! each, all threads.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::exp::exp;
use crate::huge_pages;

/// Numbers that one task handles.
const TASK: usize = 1 << 14;

/// Returns silu(gate)·up, number by number.
pub(crate) fn gate(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let arch = Arch::new();
    let mut out = huge_pages::zeroed(gate.len());
    let tasks = out.par_chunks_mut(TASK).zip(gate.par_chunks(TASK)).zip(up.par_chunks(TASK));
    tasks.for_each(|((out, gates), ups)| arch.dispatch(Gate { gates, ups, out }));
    out
}

/// Writes silu(gate)·up.
pub(super) struct Gate<'a> {
    pub(super) gates: &'a [f32],
    pub(super) ups: &'a [f32],
    pub(super) out: &'a mut [f32],
}

impl WithSimd for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (gates, gate_rest) = S::as_simd_f32s(self.gates);
        let (ups, up_rest) = S::as_simd_f32s(self.ups);
        let (outs, out_rest) = S::as_mut_simd_f32s(self.out);
        for ((out, &gate), &up) in outs.iter_mut().zip(gates).zip(ups) {
            *out = gated(simd, gate, up);
        }
        let (gate, up) = (simd.partial_load_f32s(gate_rest), simd.partial_load_f32s(up_rest));
        simd.partial_store_f32s(out_rest, gated(simd, gate, up));
    }
}

/// silu(gate)·up
#[inline(always)]
fn gated<S: Simd>(simd: S, gate: S::f32s, up: S::f32s) -> S::f32s {
    let down = simd.add_f32s(simd.splat_f32s(1.0), exp(simd, simd.neg_f32s(gate)));
    simd.mul_f32s(simd.div_f32s(gate, down), up)
}

/// Rotates the heads of some rows by the angles whose `cos` and `sin` are given, `(s, d / 2)` each:
/// `(s, h · d)` → `out`, `(h, s, d)`. From one row to the next it is `stride` numbers.
///
/// # Source
///
/// `rotate_half` in `modeling_qwen2_5_vl.py` of transformers 4.49.0: the first half of a head is turned
/// with its second half.
pub(crate) fn rotate_heads(
    xs: &[f32],
    stride: usize,
    (rows, heads): (usize, usize),
    [cos, sin]: [&[f32]; 2],
    out: &mut [f32],
) {
    let arch = Arch::new();
    let half = cos.len() / rows.max(1);
    let width = 2 * half;
    debug_assert_eq!(out.len(), heads * rows * width);
    let chunks = out.par_chunks_mut(width.max(1)).enumerate().with_min_len(256);
    chunks.for_each(|(at, out)| {
        let (head, row) = (at / rows, at % rows);
        let xs = &xs[row * stride + head * width..][..width];
        let angles = row * half..(row + 1) * half;
        arch.dispatch(Rotate { xs, cos: &cos[angles.clone()], sin: &sin[angles], out });
    });
}

struct Rotate<'a> {
    xs: &'a [f32],
    cos: &'a [f32],
    sin: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let half = self.cos.len();
        let (first, second) = self.xs.split_at(half);
        let (out_first, out_second) = self.out.split_at_mut(half);
        let xs = first.iter().zip(second).zip(self.cos.iter().zip(self.sin));
        for ((out_first, out_second), ((a, b), (cos, sin))) in
            out_first.iter_mut().zip(out_second).zip(xs)
        {
            *out_first = a * cos - b * sin;
            *out_second = b * cos + a * sin;
        }
    }
}
