//! Softmax attention, a block of keys at a time, so that no matrix of scores is ever whole.
//!
//! Everything is turned on its side: a register holds the same thing of several queries. The largest
//! score, the sum and the rescaling of the softmax then happen in all lanes at once, and keys and
//! values are read where they lie, row by row, without being rearranged.
//!
//! # Source
//!
//! The running maximum and sum: Milakov and Gimelshein, Online normalizer calculation for softmax,
//! 2018; the blocks: Dao et al., `FlashAttention`, 2022.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::exp::exp;
use super::scratch::Scratch;

/// Rows of numbers of some heads, anywhere in a slice.
#[derive(Clone, Copy)]
pub(crate) struct Heads<'a> {
    /// Holds them all.
    pub(crate) values: &'a [f32],
    /// From one head to the next.
    pub(crate) head_stride: usize,
    /// From one row to the next.
    pub(crate) row_stride: usize,
}

impl<'a> Heads<'a> {
    /// Row `row` of a head, `width` numbers.
    #[inline(always)]
    fn row(&self, head: usize, row: usize, width: usize) -> &'a [f32] {
        &self.values[head * self.head_stride + row * self.row_stride..][..width]
    }
}

/// What is attended to what.
#[derive(Clone, Copy)]
pub(crate) struct Attention<'a> {
    /// Of all queries, `(h, s, d)` without gaps.
    pub(crate) queries: &'a [f32],
    /// `kv` heads of keys.
    pub(crate) keys: Heads<'a>,
    /// `kv` heads of values.
    pub(crate) values: Heads<'a>,
    /// `h`
    pub(crate) heads: usize,
    /// `kv`; each serves `h / kv` heads of queries.
    pub(crate) kv_heads: usize,
    /// `s`
    pub(crate) rows: usize,
    /// `d`
    pub(crate) width: usize,
    /// Multiplies every score.
    pub(crate) scale: f32,
}

/// The most lanes of queries that one task handles: their results stay in the cache while the keys
/// pass by.
const TASK_LANES: usize = 128;

/// Keys that are scored at once.
const BLOCK: usize = 64;

impl Attention<'_> {
    /// Returns attention within spans of rows, every row of a span to every key of it, by heads,
    /// `(h, s, d)`; the spans follow each other and cover all rows.
    pub(crate) fn within(&self, spans: &[Range<usize>]) -> Scratch {
        let mut tasks = Vec::new();
        for head in 0..self.heads {
            for span in spans {
                for start in span.clone().step_by(TASK_LANES) {
                    let end = span.end.min(start + TASK_LANES);
                    let first = head * self.rows;
                    tasks.push(Task {
                        lanes: first + start..first + end,
                        kv_head: head * self.kv_heads / self.heads,
                        keys: span.clone(),
                        past: None,
                    });
                }
            }
        }
        self.run(&tasks)
    }

    /// Returns causal attention to `past + s` keys, of which the rows are the last, by heads,
    /// `(h, s, d)`.
    pub(crate) fn causal(&self, past: usize) -> Scratch {
        let group = self.heads / self.kv_heads;
        let mut tasks = Vec::new();
        for kv_head in 0..self.kv_heads {
            // The rows of all heads of a group after one another: few rows fill the lanes, too.
            let lanes = kv_head * group * self.rows..(kv_head + 1) * group * self.rows;
            for start in lanes.clone().step_by(TASK_LANES) {
                let lanes = start..lanes.end.min(start + TASK_LANES);
                tasks.push(Task { lanes, kv_head, keys: 0..past + self.rows, past: Some(past) });
            }
        }
        self.run(&tasks)
    }

    fn run(&self, tasks: &[Task]) -> Scratch {
        let arch = Arch::new();
        let mut out = Scratch::new(self.heads * self.rows * self.width); // (h, s, d)
        let mut parts = Vec::with_capacity(tasks.len());
        let mut rest = &mut *out;
        for task in tasks {
            let (part, after) = rest.split_at_mut(task.lanes.len() * self.width);
            parts.push((task, part));
            rest = after;
        }
        parts.into_par_iter().for_each(|(task, out)| {
            arch.dispatch(Run { attention: self, task, out });
        });
        out
    }
}

/// Writes what is by heads, `(h, s, d)`, row by row: `(s, h · d)`.
pub(crate) fn join_heads(by_head: &[f32], (rows, heads): (usize, usize), out: &mut [f32]) {
    let width = by_head.len() / (rows * heads).max(1);
    out.par_chunks_mut((heads * width).max(1)).enumerate().for_each(|(row, out)| {
        for (head, out) in out.chunks_mut(width).enumerate() {
            out.copy_from_slice(&by_head[(head * rows + row) * width..][..width]);
        }
    });
}

/// Some queries, and what they attend to.
struct Task {
    /// Which, counted over all rows of all heads.
    lanes: Range<usize>,
    kv_head: usize,
    keys: Range<usize>,
    /// Keys before the first row's own, if rows see no later ones.
    past: Option<usize>,
}

struct Run<'a> {
    attention: &'a Attention<'a>,
    task: &'a Task,
    /// `(lanes, d)`
    out: &'a mut [f32],
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let few = self.task.lanes.len() <= S::F32_LANES;
        match (S::F32_LANES, few) {
            (16, false) => self.with_registers::<S, 2, 12>(simd),
            (16, true) => self.with_registers::<S, 1, 12>(simd),
            (_, false) => self.with_registers::<S, 2, 6>(simd),
            (_, true) => self.with_registers::<S, 1, 6>(simd),
        }
    }
}

/// Numbers of as many queries as `V` registers have lanes.
type Lanes<S, const V: usize> = [<S as Simd>::f32s; V];

/// Queries that pass the keys together.
struct Panel<S: Simd, const V: usize> {
    /// `(d, lanes)`
    queries: Vec<Lanes<S, V>>,
    /// The last key each lane sees, as a number to compare with.
    last: Lanes<S, V>,
    /// The last key any lane sees.
    most: usize,
    /// The first key some lane does not see.
    least: usize,
    /// The largest score so far.
    largest: Lanes<S, V>,
    /// The sum of the weights so far.
    sum: Lanes<S, V>,
    /// The sum of the weighted values so far, `(d, lanes)`.
    out: Vec<Lanes<S, V>>,
}

impl Run<'_> {
    /// `V` registers of queries meet `M` keys, or `M` columns of values, at once.
    #[inline(always)]
    fn with_registers<S: Simd, const V: usize, const M: usize>(self, simd: S) {
        let Self { attention, task, out } = self;
        let (width, per_panel) = (attention.width, V * S::F32_LANES);
        let mut panels: Vec<Panel<S, V>> = task
            .lanes
            .clone()
            .step_by(per_panel)
            .map(|start| panel(simd, attention, task, start..task.lanes.end.min(start + per_panel)))
            .collect();
        let mut scores = vec![[simd.splat_f32s(0.0); V]; BLOCK];
        for start in task.keys.clone().step_by(BLOCK) {
            let block = start..task.keys.end.min(start + BLOCK);
            for panel in &mut panels {
                if block.start <= panel.most {
                    let seen = block.start..block.end.min(panel.most + 1);
                    panel.attend::<M>(simd, attention, task.kv_head, seen, &mut scores);
                }
            }
        }
        for (panel, out) in panels.iter().zip(out.chunks_mut(per_panel * width)) {
            panel.write(simd, out, width);
        }
    }
}

/// Takes up some queries.
#[inline(always)]
fn panel<S: Simd, const V: usize>(
    simd: S,
    attention: &Attention<'_>,
    task: &Task,
    lanes: Range<usize>,
) -> Panel<S, V> {
    let (width, rows) = (attention.width, attention.rows);
    let zero = [simd.splat_f32s(0.0); V];
    let mut queries = vec![zero; width];
    let values: &mut [f32] = bytemuck::cast_slice_mut(queries.as_flattened_mut());
    let per_row = values.len() / width.max(1);
    let (mut last, mut most, mut least) = (zero, 0, usize::MAX);
    let lasts: &mut [f32] = bytemuck::cast_slice_mut(&mut last);
    for (at, lane) in lanes.enumerate() {
        let query = &attention.queries[lane * width..][..width];
        for (value, &x) in values[at..].iter_mut().step_by(per_row).zip(query) {
            *value = x * attention.scale;
        }
        let seen = task.past.map_or(task.keys.end - 1, |past| past + lane % rows);
        lasts[at] = seen as f32;
        most = most.max(seen);
        least = least.min(seen + 1);
    }
    let largest = [simd.splat_f32s(f32::NEG_INFINITY); V];
    Panel { queries, last, most, least, largest, sum: zero, out: vec![zero; width] }
}

impl<S: Simd, const V: usize> Panel<S, V> {
    /// Attends to some more keys.
    #[inline(always)]
    fn attend<const M: usize>(
        &mut self,
        simd: S,
        attention: &Attention<'_>,
        head: usize,
        keys: Range<usize>,
        scores: &mut [Lanes<S, V>],
    ) {
        let width = attention.width;
        let scores = &mut scores[..keys.len()];
        let rows = &attention.keys;
        let mut at = 0;
        while at < scores.len() {
            at += match scores.len() - at {
                left if left >= M => {
                    self.score::<M>(simd, rows, head, keys.start + at, &mut scores[at..])
                }
                left if left >= 4 => {
                    self.score::<4>(simd, rows, head, keys.start + at, &mut scores[at..])
                }
                _ => self.score::<1>(simd, rows, head, keys.start + at, &mut scores[at..]),
            };
        }
        if keys.end > self.least {
            for (key, scores) in keys.clone().zip(&mut *scores) {
                let key = simd.splat_f32s(key as f32);
                for (score, &last) in scores.iter_mut().zip(&self.last) {
                    let hidden = simd.less_than_f32s(last, key);
                    *score = simd.select_f32s(hidden, simd.splat_f32s(f32::NEG_INFINITY), *score);
                }
            }
        }
        self.weigh(simd, scores);
        let mut column = 0;
        while column < width {
            let out = &mut self.out[column..];
            let values = &attention.values;
            column += match width - column {
                left if left >= M => {
                    add_values::<S, V, M>(simd, values, (head, keys.start, column), scores, out)
                }
                left if left >= 4 => {
                    add_values::<S, V, 4>(simd, values, (head, keys.start, column), scores, out)
                }
                _ => add_values::<S, V, 1>(simd, values, (head, keys.start, column), scores, out),
            };
        }
    }

    /// Scores `M` keys from `first` on and returns how many those are.
    #[inline(always)]
    fn score<const M: usize>(
        &self,
        simd: S,
        keys: &Heads<'_>,
        head: usize,
        first: usize,
        scores: &mut [Lanes<S, V>],
    ) -> usize {
        let width = self.queries.len();
        let rows: [&[f32]; M] = std::array::from_fn(|m| keys.row(head, first + m, width));
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        for (column, queries) in self.queries.iter().enumerate() {
            for m in 0..M {
                let x = simd.splat_f32s(rows[m][column]);
                for v in 0..V {
                    sums[m][v] = simd.mul_add_e_f32s(queries[v], x, sums[m][v]);
                }
            }
        }
        scores[..M].copy_from_slice(&sums);
        M
    }

    /// Turns scores into weights relative to the largest score so far.
    #[inline(always)]
    fn weigh(&mut self, simd: S, scores: &mut [Lanes<S, V>]) {
        for v in 0..V {
            let mut largest = self.largest[v];
            for scores in &*scores {
                largest = simd.max_f32s(largest, scores[v]);
            }
            let shrink = exp(simd, simd.sub_f32s(self.largest[v], largest));
            let mut sum = simd.mul_f32s(self.sum[v], shrink);
            for scores in &mut *scores {
                scores[v] = exp(simd, simd.sub_f32s(scores[v], largest));
                sum = simd.add_f32s(sum, scores[v]);
            }
            self.largest[v] = largest;
            self.sum[v] = sum;
            for out in &mut self.out {
                out[v] = simd.mul_f32s(out[v], shrink);
            }
        }
    }

    /// Writes the results, `(lanes, d)`.
    #[inline(always)]
    fn write(&self, simd: S, out: &mut [f32], width: usize) {
        let one = simd.splat_f32s(1.0);
        let inverse: Lanes<S, V> = std::array::from_fn(|v| simd.div_f32s(one, self.sum[v]));
        for (column, values) in self.out.iter().enumerate() {
            let values: Lanes<S, V> = std::array::from_fn(|v| simd.mul_f32s(values[v], inverse[v]));
            let values: &[f32] = bytemuck::cast_slice(&values);
            for (out, &value) in out[column..].iter_mut().step_by(width).zip(values) {
                *out = value;
            }
        }
    }
}

/// Adds `M` columns of the values of some keys, weighted, to `out`; returns how many columns. The
/// first is told by its head, key and column.
#[inline(always)]
fn add_values<S: Simd, const V: usize, const M: usize>(
    simd: S,
    values: &Heads<'_>,
    (head, key, column): (usize, usize, usize),
    weights: &[Lanes<S, V>],
    out: &mut [Lanes<S, V>],
) -> usize {
    let Some(out) = out.first_chunk_mut::<M>() else { return M };
    let mut sums = *out;
    let rows = &values.values[head * values.head_stride + key * values.row_stride + column..];
    for (weights, row) in weights.iter().zip(rows.chunks(values.row_stride)) {
        let Some(row) = row.first_chunk::<M>() else { return M };
        for m in 0..M {
            let x = simd.splat_f32s(row[m]);
            for v in 0..V {
                sums[m][v] = simd.mul_add_e_f32s(weights[v], x, sums[m][v]);
            }
        }
    }
    *out = sums;
    M
}

#[cfg(test)]
mod tests;
