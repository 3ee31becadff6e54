//! The kernel against the plain formula in f64.

use super::*;

/// Numbers like those of a layer, the same every time.
fn values(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 16) as u16) / 65536.0 - 0.5
    };
    (0..n).map(|_| 3.0 * (next() + next() + next())).collect()
}

/// One query over some keys: softmax(q·kᵀ·scale)·v.
fn plain(attention: &Attention<'_>, head: usize, row: usize, keys: Range<usize>) -> Vec<f32> {
    let Attention { rows, width, heads, kv_heads, scale, .. } = *attention;
    let kv_head = head * kv_heads / heads;
    let query = &attention.queries[(head * rows + row) * width..][..width];
    let score = |key: usize| {
        let key = attention.keys.row(kv_head, key, width);
        let dot: f64 = query.iter().zip(key).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
        dot * f64::from(scale)
    };
    let scores: Vec<f64> = keys.clone().map(score).collect();
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let column = |column: usize| {
        let value = |key: usize| f64::from(attention.values.row(kv_head, key, width)[column]);
        let weighted = keys.clone().zip(&weights).map(|(key, weight)| weight * value(key));
        (weighted.sum::<f64>() / sum) as f32
    };
    (0..width).map(column).collect()
}

#[track_caller]
fn check(attention: &Attention<'_>, got: &[f32], keys: impl Fn(usize) -> Range<usize>) {
    let Attention { rows, width, heads, .. } = *attention;
    for row in 0..rows {
        for head in 0..heads {
            let got = &got[(row * heads + head) * width..][..width];
            for (got, expected) in got.iter().zip(plain(attention, head, row, keys(row))) {
                assert!((got - expected).abs() < 1e-5, "row {row}, head {head}: {got} {expected}");
            }
        }
    }
}

#[test]
fn rows_attend_within_their_span() {
    // Widths that fit no register, spans of one row up to more than a task and a block have.
    for (heads, width, ends) in
        [(2, 80, vec![64, 112, 128, 140]), (1, 5, vec![1, 2, 300]), (3, 16, vec![65])]
    {
        let rows = *ends.last().unwrap();
        let (c, stride) = (heads * width, 3 * heads * width);
        let queries = values(rows * c, 1);
        let keys = values(rows * c, 2);
        let mixed = values(rows * stride, 3); // the values lie among other things
        let attention = Attention {
            queries: &queries,
            keys: Heads { values: &keys, head_stride: rows * width, row_stride: width },
            values: Heads { values: &mixed[2 * c..], head_stride: width, row_stride: stride },
            heads,
            kv_heads: heads,
            rows,
            width,
            scale: 0.3,
        };
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let spans: Vec<_> =
            starts.zip(ends.iter().copied()).map(|(start, end)| start..end).collect();
        let mut got = vec![f32::NAN; rows * c];
        join_heads(&attention.within(&spans), (rows, attention.heads), &mut got);
        check(&attention, &got, |row| {
            spans.iter().find(|span| span.contains(&row)).unwrap().clone()
        });
    }
}

#[test]
fn rows_see_no_later_ones_and_groups_share_keys() {
    // One token as in decoding, a few, a chunk of a prompt behind another one.
    for (heads, kv_heads, width, past, rows) in [
        (16, 2, 128, 200, 1),
        (4, 2, 16, 0, 1),
        (4, 1, 24, 70, 5),
        (4, 2, 16, 130, 150),
        (2, 2, 8, 0, 67),
    ] {
        let room = past + rows + 9; // a cache has room for more
        let queries = values(heads * rows * width, 1);
        let keys = values(kv_heads * room * width, 2);
        let held = values(kv_heads * room * width, 3);
        let strides = |values| Heads { values, head_stride: room * width, row_stride: width };
        let attention = Attention {
            queries: &queries,
            keys: strides(&keys),
            values: strides(&held),
            heads,
            kv_heads,
            rows,
            width,
            scale: 0.2,
        };
        let mut got = vec![f32::NAN; rows * heads * width];
        join_heads(&attention.causal(past), (rows, heads), &mut got);
        check(&attention, &got, |row| 0..past + row + 1);
    }
}

#[test]
fn what_is_no_number_stays_none() {
    let mut keys = values(40 * 8, 2);
    keys[20 * 8] = f32::NAN;
    let queries = values(40 * 8, 1);
    let whole = Heads { values: &keys, head_stride: 40 * 8, row_stride: 8 };
    let attention = Attention {
        queries: &queries,
        keys: whole,
        values: Heads { values: &queries, ..whole },
        heads: 1,
        kv_heads: 1,
        rows: 40,
        width: 8,
        scale: 1.0,
    };
    let mut out = vec![0.0; 40 * 8];
    join_heads(&attention.causal(0), (40, 1), &mut out);
    assert!(out[..20 * 8].iter().all(|y| y.is_finite()), "what comes before does not see it");
    assert!(out[20 * 8..].iter().all(|y| y.is_nan()));
}
