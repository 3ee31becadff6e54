//! The vision tower: patches → features, one per merged patch of 28 × 28 px.
//!
//! Most blocks attend within windows of 112 × 112 px; those named in `fullatt_block_indexes` attend to
//! the whole image.
//!
//! # Source
//!
//! `Qwen2_5_VisionTransformerPretrainedModel` in `modeling_qwen2_5_vl.py` of transformers 4.49.0.
//! The convolution over a whole patch is written as the matrix product it is.

use std::ops::Range;

use candle_core::{Device, Result, Tensor};
use candle_nn::{Module, RmsNorm};

use super::attention::{attend_within, attend_within_on_cpu};
use super::config::VisionConfig;
use super::merger::PatchMerger;
use super::mlp::Mlp;
use super::rope::RotaryTable;
use super::window::WindowPlan;
use crate::kernels;
use crate::placement::Place;
use crate::projection::{MOST_FEW_ROWS, Projection};
use crate::weights::{Loaded, Loader};

/// The patches of one image or video, before merging.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Grid {
    /// Pairs of frames; 1 for a still image.
    pub time: usize,
    /// Rows of 14 px patches; even.
    pub height: usize,
    /// Columns of 14 px patches; even.
    pub width: usize,
}

impl Grid {
    /// Returns the number of patches, the rows of `pixel_values`.
    pub fn patch_len(&self) -> usize {
        self.time * self.height * self.width
    }

    /// Returns the number of merged patches, the tokens the image takes in a prompt.
    pub fn merged_len(&self) -> usize {
        self.patch_len() / 4
    }

    /// Returns the number of windows of the blocks that attend within windows.
    pub(crate) fn windows(&self, config: &VisionConfig) -> usize {
        let side = config.window_side() * config.spatial_merge_size;
        self.time * self.height.div_ceil(side) * self.width.div_ceil(side)
    }
}

/// Is shown the number of a block and, when it asks, that block's output.
pub type Inspect<'a> = dyn FnMut(usize, &dyn Fn() -> Result<Tensor>) -> Result<()> + 'a;

/// Is shown the number of a block and its output, in the order of the plan.
type After<'a> = dyn FnMut(usize, &Tensor) -> Result<()> + 'a;

/// `visual`
#[derive(Clone, Debug)]
pub struct VisionTower {
    patch_embed: PatchEmbed,
    blocks: Vec<VisionBlock>,
    merger: PatchMerger,
    config: VisionConfig,
    place: Place,
}

impl VisionTower {
    pub(crate) fn new(config: &VisionConfig, loader: &Loader<'_>) -> Loaded<Self> {
        let blocks = loader.pp("blocks");
        Ok(Self {
            patch_embed: PatchEmbed::new(config, &loader.pp("patch_embed"))?,
            blocks: (0..config.depth)
                .map(|i| VisionBlock::new(config, &blocks.pp(i)))
                .collect::<Loaded<_>>()?,
            merger: PatchMerger::new(config, &loader.pp("merger"))?,
            config: config.clone(),
            place: loader.place(),
        })
    }

    /// Returns the features of the images, `(merged patches of all, out_hidden_size)`, each image's
    /// in row-major order.
    ///
    /// `pixel_values` has shape `(p, 1176)`: the rows of all images after one another, patches in
    /// groups of 2 × 2; `grids` gives each image's patches.
    ///
    /// # Errors
    ///
    /// Fails if the rows do not add up to the grids, or memory runs out.
    pub fn forward(&self, pixel_values: &Tensor, grids: &[Grid]) -> Result<Tensor> {
        self.forward_with(pixel_values.clone(), grids, &mut |_, _| Ok(()))
    }

    /// As [`forward`](Self::forward), showing the output of each block, `(p, c)` in the original
    /// order of patches, to `inspect`. The pixels are dropped as soon as they are embedded.
    ///
    /// # Errors
    ///
    /// As `forward`, and whatever `inspect` returns.
    pub fn forward_with(
        &self,
        pixel_values: Tensor,
        grids: &[Grid],
        inspect: &mut Inspect<'_>,
    ) -> Result<Tensor> {
        let plan = WindowPlan::new(grids, &self.config);
        let reverse = self.reverse(&plan)?;
        let xs = self.embed(pixel_values, &plan)?; // (p, c)
        let mut show = |block: usize, xs: &Tensor| {
            inspect(block, &|| {
                let (p, c) = xs.dims2()?;
                let unit = self.config.merge_unit();
                xs.reshape((p / unit, unit, c))?.index_select(&reverse, 0)?.reshape((p, c))
            })
        };
        let rotary = self.rotary(grids, &plan)?;
        let xs = self.run(0..self.blocks.len(), xs, &rotary, &plan, &mut show)?;
        self.merger.forward(&xs)?.index_select(&reverse, 0)
    }

    /// Returns the features of a still image, and what the blocks made of its windows before the first
    /// that attends to the whole image, `(p, c)`, window by window.
    ///
    /// Until then windows see nothing but themselves. So of an `earlier` image of the same grid they
    /// are taken as they are, and only the `changed` ones are run: the result is the same to the bit.
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward), and whatever `go_on` returns, which is asked after each block.
    pub(crate) fn forward_windows(
        &self,
        pixel_values: Tensor,
        grid: Grid,
        earlier: Option<(&Tensor, &[usize])>,
        go_on: &mut dyn FnMut() -> Result<()>,
    ) -> Result<(Tensor, Tensor)> {
        let grids = [grid];
        let plan = WindowPlan::new(&grids, &self.config);
        let depth = self.windowed_depth();
        let mut go_on = |_block: usize, _xs: &Tensor| go_on();
        let begin = |part: &WindowPlan, go_on: &mut After<'_>| {
            let xs = self.embed(pixel_values, part)?;
            self.run(0..depth, xs, &self.rotary(&grids, part)?, part, go_on)
        };
        let hidden = match earlier {
            None => begin(&plan, &mut go_on)?,
            Some((earlier, [])) => earlier.clone(),
            Some((earlier, changed)) => {
                let (part, places) = plan.part(&enough(changed, &plan));
                replace_rows(earlier, &begin(&part, &mut go_on)?, &places)?
            }
        };
        let rotary = self.rotary(&grids, &plan)?;
        let blocks = depth..self.blocks.len();
        let xs = self.run(blocks, hidden.clone(), &rotary, &plan, &mut go_on)?;
        Ok((self.merger.forward(&xs)?.index_select(&self.reverse(&plan)?, 0)?, hidden))
    }

    /// Returns how many blocks come before the first that attends to the whole image, if what they
    /// make of a window is worth keeping and computed the same way whatever is beside it: on the CPU.
    pub(crate) fn windowed_depth(&self) -> usize {
        let full = self.config.fullatt_block_indexes.iter().min();
        let depth = full.map_or(self.blocks.len(), |&first| first.min(self.blocks.len()));
        if self.place.device.is_cpu() { depth } else { 0 }
    }

    /// Embeds the patches of the plan, in its order: `(p', 1176)` → `(p, c)`.
    fn embed(&self, pixel_values: Tensor, plan: &WindowPlan) -> Result<Tensor> {
        let unit = self.config.merge_unit();
        let (n, width) = (pixel_values.dim(0)? / unit, pixel_values.dim(1)?);
        let index = Tensor::from_slice(&plan.index, plan.index.len(), &Device::Cpu)?;
        let pixels = pixel_values.reshape((n, unit, width))?.index_select(&index, 0)?;
        drop(pixel_values);
        let pixels = pixels.reshape((plan.index.len() * unit, width))?;
        self.patch_embed.forward(&self.place.take(&pixels)?)
    }

    fn rotary(&self, grids: &[Grid], plan: &WindowPlan) -> Result<RotaryTable> {
        let patches = patch_positions(grids, &plan.index, self.config.spatial_merge_size);
        RotaryTable::vision(&patches, self.config.head_dim(), &self.place.device)
    }

    /// Runs some blocks, showing the output of each, `(p, c)` in the order of the plan, to `after`.
    fn run(
        &self,
        blocks: Range<usize>,
        mut xs: Tensor,
        rotary: &RotaryTable,
        plan: &WindowPlan,
        after: &mut After<'_>,
    ) -> Result<Tensor> {
        for i in blocks {
            let full = self.config.fullatt_block_indexes.contains(&i);
            let spans = if full { &plan.frames } else { &plan.windows };
            xs = self.blocks[i].forward(&xs, rotary, spans)?;
            after(i, &xs)?;
        }
        Ok(xs)
    }

    /// The places of merged patches in the order of the plan.
    fn reverse(&self, plan: &WindowPlan) -> Result<Tensor> {
        Tensor::from_vec(reverse(&plan.index), plan.index.len(), &self.place.device)
    }
}

/// Adds windows to `changed` until they have more patches than the products of few rows take, which
/// add up in another order than those of a whole image.
fn enough(changed: &[usize], plan: &WindowPlan) -> Vec<usize> {
    let mut windows = changed.to_vec();
    let mut patches: usize = windows.iter().map(|&window| plan.windows[window].len()).sum();
    for window in 0..plan.windows.len() {
        if patches == 0 || patches > MOST_FEW_ROWS {
            break;
        }
        if !changed.contains(&window) {
            windows.push(window);
            patches += plan.windows[window].len();
        }
    }
    windows
}

/// Returns `(p, c)` rows with those in `places` replaced, one range after another, by `new` ones.
fn replace_rows(rows: &Tensor, new: &Tensor, places: &[Range<usize>]) -> Result<Tensor> {
    let (p, c) = rows.dims2()?;
    let mut values: Vec<f32> = rows.flatten_all()?.to_vec1()?;
    kernels::with_values(new, |mut new| {
        for place in places {
            let (these, after) = new.split_at(place.len() * c);
            values[place.start * c..place.end * c].copy_from_slice(these);
            new = after;
        }
    })?;
    Tensor::from_vec(values, (p, c), rows.device())
}

/// `patch_embed`
#[derive(Clone, Debug)]
struct PatchEmbed {
    proj: Projection,
}

impl PatchEmbed {
    fn new(config: &VisionConfig, loader: &Loader<'_>) -> Loaded<Self> {
        let VisionConfig { in_channels, temporal_patch_size, patch_size, hidden_size, .. } =
            *config;
        let shape = (hidden_size, in_channels, temporal_patch_size, patch_size, patch_size);
        Ok(Self { proj: loader.pp("proj").patch_projection(shape)? })
    }

    /// `(p, 1176)` → `(p, c)`
    fn forward(&self, xs: &Tensor) -> Result<Tensor> {
        self.proj.forward(xs)
    }
}

/// `blocks.{i}`
#[derive(Clone, Debug)]
struct VisionBlock {
    norm1: RmsNorm,
    attn: VisionAttention,
    norm2: RmsNorm,
    mlp: Mlp,
}

impl VisionBlock {
    fn new(config: &VisionConfig, loader: &Loader<'_>) -> Loaded<Self> {
        Ok(Self {
            norm1: loader.pp("norm1").rms_norm(config.hidden_size, 1e-6)?,
            attn: VisionAttention::new(config, &loader.pp("attn"))?,
            norm2: loader.pp("norm2").rms_norm(config.hidden_size, 1e-6)?,
            mlp: Mlp::new(config.hidden_size, config.intermediate_size, &loader.pp("mlp"))?,
        })
    }

    /// `(p, c)` → `(p, c)`; patches attend within their own of `spans`.
    fn forward(&self, xs: &Tensor, rotary: &RotaryTable, spans: &[Range<usize>]) -> Result<Tensor> {
        let xs = self.attn.forward_sum(self.norm1.forward(xs)?, xs, rotary, spans)?;
        self.mlp.forward_sum(&self.norm2.forward(&xs)?, &xs)
    }
}

/// `blocks.{i}.attn`
#[derive(Clone, Debug)]
struct VisionAttention {
    qkv: Projection,
    proj: Projection,
    num_heads: usize,
    scale: f64,
}

impl VisionAttention {
    fn new(config: &VisionConfig, loader: &Loader<'_>) -> Loaded<Self> {
        let c = config.hidden_size;
        Ok(Self {
            qkv: loader.pp("qkv").projection(c, 3 * c)?,
            proj: loader.pp("proj").projection(c, c)?,
            num_heads: config.num_heads,
            scale: (config.head_dim() as f64).powf(-0.5),
        })
    }

    /// Adds the attention of `xs` to `sum`, both `(p, c)`; patches attend within their own of `spans`.
    fn forward_sum(
        &self,
        xs: Tensor,
        sum: &Tensor,
        rotary: &RotaryTable,
        spans: &[Range<usize>],
    ) -> Result<Tensor> {
        let (num_heads, scale) = (self.num_heads, self.scale);
        // On the CPU nothing in between, up to twelve times as large as `xs`, is a tensor.
        if let Some(qkv) = self.qkv.forward_scratch(&xs)? {
            let (p, _c) = xs.dims2()?;
            drop(xs);
            let out = attend_within_on_cpu(&qkv, (p, num_heads), rotary, spans, scale)?; // (p, c)
            return self.proj.forward_slice_sum(&out, sum);
        }
        let qkv = self.qkv.forward(&xs)?; // (p, 3 * c)
        let out = attend_within(&qkv, num_heads, rotary, spans, scale)?; // (p, c)
        self.proj.forward_sum(&out, sum)
    }
}

/// `[row, column]` of every patch after the permutation of merged patches by `index`.
fn patch_positions(grids: &[Grid], index: &[u32], merge: usize) -> Vec<[u32; 2]> {
    let mut in_order = Vec::new(); // (patches of a merged patch) in the original order
    for grid in grids {
        for _time in 0..grid.time {
            for y0 in (0..grid.height).step_by(merge) {
                for x0 in (0..grid.width).step_by(merge) {
                    let patches = (y0..y0 + merge)
                        .flat_map(|y| (x0..x0 + merge).map(move |x| [y as u32, x as u32]));
                    in_order.push(patches.collect::<Vec<_>>());
                }
            }
        }
    }
    index.iter().flat_map(|&at| in_order[at as usize].iter().copied()).collect()
}

/// The permutation that undoes `index`.
fn reverse(index: &[u32]) -> Vec<u32> {
    let mut reverse = vec![0; index.len()];
    for (place, &from) in (0..).zip(index) {
        reverse[from as usize] = place;
    }
    reverse
}
