//! Which patches attend to each other in the windowed blocks of the vision tower.
//!
//! The merged patches are permuted so that every window lies in one run. Within an image, windows
//! of the same size are also put side by side (at most four sizes occur: whole, cut at the right,
//! cut at the bottom, cut at both), so that each size is one batched matrix product and nothing is
//! padded or masked. The order of windows does not change any result.
//!
//! # Source
//!
//! `get_window_index` in `modeling_qwen2_5_vl.py` of transformers 4.49.0.

use super::config::VisionConfig;
use super::vision::Grid;

/// Windows in the reference's order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WindowIndex {
    /// For each place after the permutation, the merged patch that goes there.
    pub index: Vec<u32>,
    /// Where each window ends, in patches (four per merged patch), starting with 0.
    pub cu_window_seqlens: Vec<usize>,
}

/// Returns the reference's window permutation for `grids`.
pub fn window_index(grids: &[Grid], config: &VisionConfig) -> WindowIndex {
    let unit = config.spatial_merge_size * config.spatial_merge_size;
    let mut index = Vec::new();
    let mut cu_window_seqlens = vec![0];
    let mut start = 0;
    for grid in grids {
        for window in windows(*grid, config) {
            index.extend(window.iter().map(|&patch| patch + start));
            cu_window_seqlens.push(index.len() * unit);
        }
        start += grid.merged_len() as u32;
    }
    WindowIndex { index, cu_window_seqlens }
}

/// A run of equally long windows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct WindowGroup {
    /// The first patch of the run, after the permutation.
    pub(crate) start: usize,
    /// How many windows.
    pub(crate) n_windows: usize,
    /// Patches in each.
    pub(crate) window_len: usize,
}

/// How the patches of some images are ordered and cut.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct WindowPlan {
    /// For each place after the permutation, the merged patch that goes there.
    pub(crate) index: Vec<u32>,
    /// The runs of equal windows, in order.
    pub(crate) groups: Vec<WindowGroup>,
    /// The patches of each frame: attention never crosses them, not even in full blocks.
    pub(crate) frames: Vec<WindowGroup>,
}

impl WindowPlan {
    /// Plans the windows of `grids`.
    pub(crate) fn new(grids: &[Grid], config: &VisionConfig) -> Self {
        let unit = config.spatial_merge_size * config.spatial_merge_size;
        let mut plan = Self { index: Vec::new(), groups: Vec::new(), frames: Vec::new() };
        let mut first = 0;
        for grid in grids {
            let frame_len = grid.height * grid.width;
            for time in 0..grid.time {
                let start = plan.index.len() * unit;
                plan.frames.push(WindowGroup { start, n_windows: 1, window_len: frame_len });
                let mut by_size = windows(Grid { time: 1, ..*grid }, config);
                by_size.sort_by_key(|window| std::cmp::Reverse(window.len()));
                let offset = first + (time * frame_len / unit) as u32;
                for run in by_size.chunk_by(|a, b| a.len() == b.len()) {
                    plan.groups.push(WindowGroup {
                        start: plan.index.len() * unit,
                        n_windows: run.len(),
                        window_len: run[0].len() * unit,
                    });
                    plan.index.extend(run.iter().flatten().map(|&patch| patch + offset));
                }
            }
            first += grid.merged_len() as u32;
        }
        plan
    }
}

/// The windows of one image, row by row, each a list of merged patches, row by row.
fn windows(grid: Grid, config: &VisionConfig) -> Vec<Vec<u32>> {
    let (rows, columns) =
        (grid.height / config.spatial_merge_size, grid.width / config.spatial_merge_size);
    let side = config.window_side();
    let mut windows = Vec::new();
    for time in 0..grid.time {
        for y0 in (0..rows).step_by(side) {
            for x0 in (0..columns).step_by(side) {
                let patches = (y0..rows.min(y0 + side)).flat_map(|y| {
                    (x0..columns.min(x0 + side))
                        .map(move |x| ((time * rows + y) * columns + x) as u32)
                });
                windows.push(patches.collect());
            }
        }
    }
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> VisionConfig {
        VisionConfig {
            depth: 1,
            hidden_size: 64,
            intermediate_size: 64,
            num_heads: 4,
            in_channels: 3,
            patch_size: 14,
            temporal_patch_size: 2,
            spatial_merge_size: 2,
            window_size: 112,
            fullatt_block_indexes: vec![],
            tokens_per_second: 2.0,
            out_hidden_size: 64,
        }
    }

    #[test]
    fn ragged_windows_follow_the_reference_order() {
        let windows = window_index(&[Grid { time: 1, height: 10, width: 14 }], &config());
        assert_eq!(windows.cu_window_seqlens, [0, 64, 112, 128, 140]);
        let expected = "0 1 2 3 7 8 9 10 14 15 16 17 21 22 23 24 4 5 6 11 12 13 18 19 20 25 26 27 \
                        28 29 30 31 32 33 34";
        assert_eq!(join(&windows.index), expected);
    }

    #[test]
    fn a_1080p_screen_has_180_windows() {
        let windows = window_index(&[Grid { time: 1, height: 78, width: 138 }], &config());
        assert_eq!(windows.cu_window_seqlens.len() - 1, 180);
        let sum: u64 = (0..).zip(&windows.index).map(|(i, &at)| i * u64::from(at)).sum();
        assert_eq!(sum % 1_000_000_007, 480_544_029);
    }

    #[test]
    fn the_plan_has_the_same_windows_grouped_by_size_within_each_frame() {
        let grids = [Grid { time: 2, height: 8, width: 12 }, Grid { time: 1, height: 4, width: 6 }];
        let plan = WindowPlan::new(&grids, &config());
        let mut sorted = plan.index.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..54).collect::<Vec<_>>());
        let lens: Vec<_> =
            plan.groups.iter().map(|g| (g.start, g.n_windows, g.window_len)).collect();
        assert_eq!(lens, [(0, 1, 64), (64, 1, 32), (96, 1, 64), (160, 1, 32), (192, 1, 24)]);
        let frames: Vec<_> = plan.frames.iter().map(|g| (g.start, g.window_len)).collect();
        assert_eq!(frames, [(0, 96), (96, 96), (192, 24)]);
    }

    fn join(index: &[u32]) -> String {
        index.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }
}
