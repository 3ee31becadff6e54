//! The last looks at the screen, and which of them shows a target as it is when nobody points at it.

use std::collections::VecDeque;
use std::sync::Arc;

use handsight_actions::{PixelPoint, WindowAt};
use image::RgbImage;

/// The most looks that are kept, and the most bytes of them.
const MOST_FRAMES: usize = 12;
const MOST_BYTES: usize = 128 << 20;

/// How far the pointer must be from a target not to change it, in pixels.
const AWAY: (i32, i32) = (80, 30);

/// How far what changes under the pointer may reach, in pixels.
const REACH: (i32, i32) = (200, 48);

/// The last looks at the screen, newest last.
#[derive(Debug, Default)]
pub(super) struct Frames {
    kept: VecDeque<Frame>,
    /// Where the pointer is now.
    pub(super) pointer: Option<PixelPoint>,
    /// The window in front at the last look, of a device that is slow to say: by the time a press is
    /// heard, another may be.
    pub(super) window: Option<WindowAt>,
}

#[derive(Clone, Debug)]
struct Frame {
    image: Arc<RgbImage>,
    pointer: Option<PixelPoint>,
}

impl Frames {
    /// Keeps a look; one that shows what the last one did takes no memory.
    pub(super) fn keep(&mut self, image: RgbImage) {
        let image = match self.kept.back() {
            Some(last) if *last.image == image => {
                if last.pointer == self.pointer {
                    return;
                }
                Arc::clone(&last.image)
            }
            _ => Arc::new(image),
        };
        let most = MOST_FRAMES.min(MOST_BYTES / image.as_raw().len().max(1)).max(2);
        while self.kept.len() >= most {
            self.kept.pop_front();
        }
        self.kept.push_back(Frame { image, pointer: self.pointer });
    }

    /// Returns the screen as it was before a press at a point: from before the pointer came near, if
    /// nothing else has changed since.
    pub(super) fn before_press(&self, point: PixelPoint) -> Option<Arc<RgbImage>> {
        let latest = self.kept.back()?;
        let away = self.kept.iter().rev().find_map(|frame| {
            let pointer = frame.pointer?;
            let is_away =
                (pointer.x - point.x).abs() > AWAY.0 || (pointer.y - point.y).abs() > AWAY.1;
            is_away.then_some((frame, pointer))
        });
        let same_but_near = |frame: &Frame, pointer| same_but_near(frame, latest, [point, pointer]);
        match away {
            Some((frame, pointer)) if same_but_near(frame, pointer) => {
                Some(Arc::clone(&frame.image))
            }
            _ => Some(Arc::clone(&latest.image)),
        }
    }
}

/// Whether two looks differ near some points at most.
fn same_but_near(a: &Frame, b: &Frame, points: [PixelPoint; 2]) -> bool {
    if Arc::ptr_eq(&a.image, &b.image) {
        return true;
    }
    if a.image.dimensions() != b.image.dimensions() {
        return false;
    }
    let is_near = |x: u32, y: u32| {
        points.iter().any(|point| {
            (x.cast_signed() - point.x).abs() <= REACH.0
                && (y.cast_signed() - point.y).abs() <= REACH.1
        })
    };
    let pairs = a.image.enumerate_pixels().zip(b.image.pixels());
    pairs.into_iter().all(|((x, y, a), b)| a == b || is_near(x, y))
}
