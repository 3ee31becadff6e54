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

use candle_core::{Result, Tensor};
use candle_nn::{Module, RmsNorm};

use super::attention::{attend_within, attend_within_on_cpu};
use super::config::VisionConfig;
use super::merger::PatchMerger;
use super::mlp::Mlp;
use super::rope::RotaryTable;
use super::window::WindowPlan;
use crate::placement::Place;
use crate::projection::Projection;
use crate::weights::{Loaded, Loader};

/// The patches of one image or video, before merging.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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
}

/// Is shown the number of a block and, when it asks, that block's output.
pub type Inspect<'a> = dyn FnMut(usize, &dyn Fn() -> Result<Tensor>) -> Result<()> + 'a;

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
        let n = plan.index.len(); // merged patches of all images
        let unit = self.config.spatial_merge_size * self.config.spatial_merge_size;
        let device = &self.place.device;
        let index = Tensor::from_slice(&plan.index, n, device)?;
        let reverse = Tensor::from_vec(reverse(&plan.index), n, device)?;
        let xs = self.patch_embed.forward(&self.place.take(&pixel_values)?)?; // (p, c)
        drop(pixel_values);
        let (p, c) = xs.dims2()?;
        let mut xs = xs.reshape((n, unit, c))?.index_select(&index, 0)?.reshape((p, c))?;
        let patches = patch_positions(grids, &plan.index, self.config.spatial_merge_size);
        let rotary = RotaryTable::vision(&patches, self.config.head_dim(), device)?;
        for (i, block) in self.blocks.iter().enumerate() {
            let full = self.config.fullatt_block_indexes.contains(&i);
            let spans = if full { &plan.frames } else { &plan.windows };
            xs = block.forward(&xs, &rotary, spans)?;
            inspect(i, &|| xs.reshape((n, unit, c))?.index_select(&reverse, 0)?.reshape((p, c)))?;
        }
        self.merger.forward(&xs)?.index_select(&reverse, 0)
    }
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
