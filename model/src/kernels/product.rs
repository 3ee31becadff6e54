//! The order in which a product of many rows is computed, whatever the numbers are.
//!
//! `ys = xs·Wᵀ`. Some columns of some rows of weights are turned into *panels*, a few at a time and
//! each once, by all threads together; then each thread takes the same columns of activations past
//! them, tile by tile. So the panels stay in the second cache and a tile in the first, however wide the
//! matrix is, and weights are never in memory twice. What a tile has added up waits beside it for the
//! next columns; after the last, results are finished (bias, gate, sum) and written.
//!
//! # Source
//!
//! Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008: the blocks and what
//! stays in which cache. Sums are added up in the order of columns, whatever the blocks are.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::elementwise::Gate;
use super::rows::Weights;
use super::scratch::Scratch;

/// The most rows of activations in a tile.
pub(super) const HEIGHT: usize = 12;

/// The most rows of weights in a panel.
pub(super) const MAX_WIDTH: usize = 32;

/// Panels that are used together take about so many bytes: half of a small second cache.
const GROUP_BYTES: usize = 512 << 10;

/// The most tiles that one task handles, and how many tasks each thread gets at least, if there are as
/// many tiles.
const TASK_TILES: usize = 4;
const THREAD_TASKS: usize = 4;

/// A way to multiply, with its activations.
pub(super) trait Product: Sync {
    /// Some columns of some rows of weights, in the order they are used.
    type Panel: Send + Sync;

    /// The most columns in a panel: as many of a tile fit the nearest cache.
    const COLUMNS: usize;

    /// Returns the number of columns.
    fn cols(&self) -> usize;

    /// Returns how many rows of weights are in a panel; it divides [`MAX_WIDTH`] or is that.
    fn width(&self) -> usize;

    /// Returns an empty panel.
    fn panel(&self) -> Self::Panel;

    /// Returns the size of a panel of all columns it can have.
    fn panel_bytes(&self) -> usize;

    /// Fills a panel with some columns of some rows of weights, and zeros where those rows are fewer
    /// than its width.
    fn fill(
        &self,
        weights: &dyn Weights,
        rows: Range<usize>,
        columns: Range<usize>,
        panel: &mut Self::Panel,
    );

    /// Adds the product of a panel, whose first column is `column`, with a tile, whose first row is `row`,
    /// to `sums`, `(rows, width)`.
    fn add(&self, panel: &Self::Panel, column: usize, row: usize, sums: &mut Sums);
}

/// The results of a tile: as many rows as there are, each as wide as a panel.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(super) struct Sums(pub(super) [[f32; MAX_WIDTH]; HEIGHT]);

/// A matrix with its bias.
#[derive(Clone, Copy)]
pub(crate) struct Linear<'a> {
    pub(crate) weights: &'a dyn Weights,
    /// `(out,)`
    pub(crate) bias: Option<&'a [f32]>,
}

impl Linear<'_> {
    fn out_len(&self) -> usize {
        self.weights.dims().0
    }

    /// The bias of these results, or zeros.
    fn bias(&self, columns: &Range<usize>) -> [f32; MAX_WIDTH] {
        let mut part = [0.0; MAX_WIDTH];
        if let Some(bias) = self.bias {
            part[..columns.len()].copy_from_slice(&bias[columns.clone()]);
        }
        part
    }
}

/// Writes `xs·Wᵀ + b`, and adds `sum`, `(n, out)`, if there is one.
pub(super) fn linear<P: Product>(
    product: &P,
    linear: Linear<'_>,
    sum: Option<&[f32]>,
    out: &mut [f32],
) {
    let stride = linear.out_len();
    run(product, [linear], out, |row, columns, [sums], out| {
        let bias = linear.bias(columns);
        for (at, (out, sums)) in out.chunks_mut(stride).zip(&sums.0).enumerate() {
            let out = &mut out[columns.clone()];
            for ((out, y), bias) in out.iter_mut().zip(sums).zip(&bias) {
                *out = y + bias;
            }
            if let Some(sum) = sum {
                let sum = &sum[(row + at) * stride..][columns.clone()];
                for (out, sum) in out.iter_mut().zip(sum) {
                    *out += sum;
                }
            }
        }
    });
}

/// Writes `silu(xs·Gᵀ)·(xs·Uᵀ)`, each with its bias.
pub(super) fn gated<P: Product>(product: &P, gate: Linear<'_>, up: Linear<'_>, out: &mut [f32]) {
    let arch = Arch::new();
    let stride = gate.out_len();
    run(product, [gate, up], out, |_row, columns, [gates, ups], out| {
        let (gate_bias, up_bias) = (gate.bias(columns), up.bias(columns));
        for ((out, gates), ups) in out.chunks_mut(stride).zip(&mut gates.0).zip(&mut ups.0) {
            for ((gate, up), (gate_bias, up_bias)) in
                gates.iter_mut().zip(&mut *ups).zip(gate_bias.iter().zip(&up_bias))
            {
                *gate += gate_bias;
                *up += up_bias;
            }
            let out = &mut out[columns.clone()];
            let (gate, up) = (&gates[..out.len()], &ups[..out.len()]);
            arch.dispatch(Gate { gates: gate, ups: up, out });
        }
    });
}

/// Computes the results of `N` matrices of the same shape and has them finished, tile by tile and panel
/// by panel: `finish` is given the tile's first row, the columns, the sums, and the tile's rows of
/// `out`.
fn run<P: Product, const N: usize>(
    product: &P,
    linears: [Linear<'_>; N],
    out: &mut [f32],
    finish: impl Fn(usize, &Range<usize>, [&mut Sums; N], &mut [f32]) + Sync,
) {
    let stride = linears[0].out_len();
    let width = product.width();
    let panels = stride.div_ceil(width);
    let group_len = (GROUP_BYTES / (N * product.panel_bytes()).max(1)).clamp(1, panels.max(1));
    let mut group: Vec<[P::Panel; N]> =
        (0..group_len).map(|_| std::array::from_fn(|_| product.panel())).collect();
    let blocks = product.cols().div_ceil(P::COLUMNS).max(1);
    let tiles = (out.len() / stride.max(1)).div_ceil(HEIGHT);
    let task_tiles = tiles / (THREAD_TASKS * rayon::current_num_threads());
    let task_tiles = task_tiles.clamp(1, TASK_TILES);
    // Of one block nothing has to wait for the next.
    let mut waiting = Waiting::new(if blocks == 1 { 0 } else { tiles * group_len * N });
    for start in (0..panels).step_by(group_len) {
        let group = &mut group[..group_len.min(panels - start)];
        let outputs = |at: usize| (start + at) * width..stride.min((start + at + 1) * width);
        for block in 0..blocks {
            let columns = block * P::COLUMNS..product.cols().min((block + 1) * P::COLUMNS);
            group.as_flattened_mut().par_iter_mut().enumerate().for_each(|(at, panel)| {
                let weights = linears[at % N].weights;
                product.fill(weights, outputs(at / N), columns.clone(), panel);
            });
            let group = &*group;
            let multiply = |task: usize, out: &mut [f32], mut waiting: Option<&mut [Sums]>| {
                for (tile, out) in out.chunks_mut(HEIGHT * stride).enumerate() {
                    let row = (task * task_tiles + tile) * HEIGHT;
                    for (at, panels) in group.iter().enumerate() {
                        let mut sums = [bytemuck::Zeroable::zeroed(); N];
                        let mut waiting = waiting.as_mut().and_then(|waiting| {
                            waiting[(tile * group_len + at) * N..].first_chunk_mut::<N>()
                        });
                        if let Some(waiting) = waiting.as_ref().filter(|_| block > 0) {
                            sums = **waiting;
                        }
                        for (sums, panel) in sums.iter_mut().zip(panels) {
                            product.add(panel, columns.start, row, sums);
                        }
                        match &mut waiting {
                            Some(waiting) if block + 1 < blocks => **waiting = sums,
                            _ => finish(row, &outputs(at), sums.each_mut(), out),
                        }
                    }
                }
            };
            let tasks = out.par_chunks_mut(task_tiles * HEIGHT * stride);
            if blocks == 1 {
                tasks.enumerate().for_each(|(task, out)| multiply(task, out, None));
            } else {
                let waiting = waiting.sums().par_chunks_mut(task_tiles * group_len * N);
                let tasks = tasks.zip(waiting).enumerate();
                tasks.for_each(|(task, (out, waiting))| multiply(task, out, Some(waiting)));
            }
        }
    }
}

/// What tiles have added up of the columns so far.
struct Waiting {
    room: Scratch,
    len: usize,
}

impl Waiting {
    /// Room for so many sums.
    fn new(len: usize) -> Self {
        // One more, so that they can begin where a line of the cache does.
        let room = if len == 0 { 0 } else { (len + 1) * size_of::<Sums>() / size_of::<f32>() };
        Self { room: Scratch::new(room), len }
    }

    fn sums(&mut self) -> &mut [Sums] {
        let start = self.room.as_ptr().align_offset(align_of::<Sums>());
        let len = self.len * size_of::<Sums>() / size_of::<f32>();
        bytemuck::cast_slice_mut(self.room.get_mut(start..start + len).unwrap_or_default())
    }
}
