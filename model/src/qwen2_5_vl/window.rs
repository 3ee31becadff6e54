//! Which patches attend to each other in the windowed blocks of the vision tower.
//!
//! The merged patches are permuted so that every window lies in one run: nothing is padded or masked.
//!
//! # Source
//!
//! `get_window_index` in `modeling_qwen2_5_vl.py` of transformers 4.49.0.

use std::ops::Range;

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
    let unit = config.merge_unit();
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

/// How the patches of some images are ordered and cut.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct WindowPlan {
    /// For each place after the permutation, the merged patch that goes there.
    pub(crate) index: Vec<u32>,
    /// The patches of each window after the permutation; they follow each other.
    pub(crate) windows: Vec<Range<usize>>,
    /// The patches of each frame: attention never crosses them, not even in full blocks.
    pub(crate) frames: Vec<Range<usize>>,
}

impl WindowPlan {
    /// Plans the windows of `grids`.
    pub(crate) fn new(grids: &[Grid], config: &VisionConfig) -> Self {
        let WindowIndex { index, cu_window_seqlens } = window_index(grids, config);
        let windows = cu_window_seqlens.windows(2).map(|ends| ends[0]..ends[1]).collect();
        let mut frames: Vec<Range<usize>> = Vec::new();
        for grid in grids {
            for _time in 0..grid.time {
                let start = frames.last().map_or(0, |frame| frame.end);
                frames.push(start..start + grid.height * grid.width);
            }
        }
        Self { index, windows, frames }
    }

    /// Returns the plan of some windows alone, and the patches each has in this one.
    pub(crate) fn part(&self, windows: &[usize]) -> (Self, Vec<Range<usize>>) {
        let places: Vec<_> = windows.iter().map(|&window| self.windows[window].clone()).collect();
        let unit = self.windows.last().map_or(1, |last| last.end / self.index.len());
        let mut part = Self { index: Vec::new(), windows: Vec::new(), frames: Vec::new() };
        for place in &places {
            part.index.extend_from_slice(&self.index[place.start / unit..place.end / unit]);
            let start = part.windows.last().map_or(0, |before| before.end);
            part.windows.push(start..start + place.len());
        }
        (part, places)
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
    fn windows_lie_within_frames_and_frames_within_images() {
        let grids = [Grid { time: 2, height: 8, width: 12 }, Grid { time: 1, height: 4, width: 6 }];
        let plan = WindowPlan::new(&grids, &config());
        let mut sorted = plan.index.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..54).collect::<Vec<_>>());
        assert_eq!(plan.windows, [0..64, 64..96, 96..160, 160..192, 192..216]);
        assert_eq!(plan.frames, [0..96, 96..192, 192..216]);
    }

    #[test]
    fn a_part_has_the_windows_it_was_asked_for() {
        let plan = WindowPlan::new(&[Grid { time: 1, height: 10, width: 14 }], &config());
        let (part, places) = plan.part(&[2, 1]);
        assert_eq!(join(&part.index), "28 29 30 31 4 5 6 11 12 13 18 19 20 25 26 27");
        assert_eq!(part.windows, [0..16, 16..64]);
        assert_eq!(places, [112..128, 64..112]);
    }

    fn join(index: &[u32]) -> String {
        index.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }
}
