//! Waiting until a screen is still, so that a policy never decides on half a frame.
//!
//! The wait looks at pixels, not at a clock: it ends as soon as the screen has been quiet for a
//! moment, and it is bounded, because some screens (a video, a spinner) never are. This is the only
//! file that sleeps; everything here returns at once when the episode is cancelled.

use std::time::{Duration, Instant};

use handsight_actions::{Device, DeviceError, Observation};
use handsight_model::CancelFlag;
use image::RgbImage;

/// The share of a screen's pixels that may change while it still counts as still.
///
/// A caret, a clock's digits and a small spinner stay below it.
const STILL_SHARE: f64 = 0.001;

/// The widest a blinking caret is taken to be, in pixels.
const CARET_WIDTH: u32 = 4;

/// The longest sleep between two looks at the cancel flag.
const NAP: Duration = Duration::from_millis(20);

/// How long to wait for a still screen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SettleOptions {
    /// The time between two observations.
    pub interval: Duration,
    /// How long the screen must stay the same.
    ///
    /// It must exceed the time an application takes to react to an action, or the screen counts as
    /// still before anything has happened.
    pub quiet: Duration,
    /// When to give up and use the last observation, still or not.
    pub limit: Duration,
}

impl Default for SettleOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(40),
            quiet: Duration::from_millis(120),
            limit: Duration::from_secs(2),
        }
    }
}

impl SettleOptions {
    /// Options for a phone: apps slide in for a third of a second, and a picture takes as long.
    pub fn phone() -> Self {
        Self {
            interval: Duration::from_millis(60),
            quiet: Duration::from_millis(350),
            limit: Duration::from_secs(4),
        }
    }

    /// Options that observe once and do not wait; right for a picture and for a fake device.
    pub fn immediate() -> Self {
        Self { interval: Duration::ZERO, quiet: Duration::ZERO, limit: Duration::ZERO }
    }
}

/// An observation, and whether the screen was still when it was made.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The last observation.
    pub observation: Observation,
    /// Whether the screen had been quiet; `false` if the limit came first.
    pub still: bool,
    /// How long this took.
    pub waited: Duration,
}

/// Observes `device` until its screen is still, the limit passes or `cancel` is set.
///
/// Changes of up to 0.1 % of the pixels between two observations are ignored, so a blinking caret
/// holds nothing up.
///
/// # Errors
///
/// The [`DeviceError`] of the first observation that fails.
pub fn observe_still(
    device: &mut dyn Device,
    options: &SettleOptions,
    cancel: &CancelFlag,
) -> Result<Settled, DeviceError> {
    let start = Instant::now();
    let mut observation = device.observe()?;
    let mut quiet_since = Instant::now();
    loop {
        let quiet = quiet_since.elapsed() >= options.quiet;
        if quiet || start.elapsed() >= options.limit || cancel.is_cancelled() {
            return Ok(Settled { observation, still: quiet, waited: start.elapsed() });
        }
        pause(options.interval, cancel);
        let next = device.observe()?;
        if !Change::between(&observation.screenshot.image, &next.screenshot.image).is_small() {
            quiet_since = Instant::now();
        }
        observation = next;
    }
}

/// Sleeps for `duration`, or until `cancel` is set; returns whether the whole time passed.
#[expect(clippy::disallowed_methods, reason = "this is the one place that may sleep")]
pub fn pause(duration: Duration, cancel: &CancelFlag) -> bool {
    let end = Instant::now() + duration;
    while !cancel.is_cancelled() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(NAP));
    }
    false
}

/// What differs between two pictures of a screen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    /// How many pixels differ.
    pixels: u64,
    /// How many pixels there are.
    total: u64,
    /// The width of the smallest box around all that differs.
    width: u32,
}

impl Change {
    /// Compares two pictures; pictures of different sizes differ everywhere.
    pub(crate) fn between(before: &RgbImage, after: &RgbImage) -> Self {
        let (columns, rows) = after.dimensions();
        let total = u64::from(columns) * u64::from(rows);
        if before.dimensions() != after.dimensions() {
            return Self { pixels: total, total, width: columns };
        }
        let row_bytes = columns as usize * 3;
        let mut pixels = 0;
        let mut columns_changed: Option<(usize, usize)> = None;
        let lines = before.as_raw().chunks_exact(row_bytes.max(1));
        for (old, new) in lines.zip(after.as_raw().chunks_exact(row_bytes.max(1))) {
            // Whole rows are compared first: a still screen then costs one `memcmp`.
            if old == new {
                continue;
            }
            for (x, (old, new)) in old.chunks_exact(3).zip(new.chunks_exact(3)).enumerate() {
                if old != new {
                    pixels += 1;
                    let (left, right) = columns_changed.unwrap_or((x, x));
                    columns_changed = Some((left.min(x), right.max(x)));
                }
            }
        }
        let width = columns_changed.map_or(0, |(left, right)| right - left + 1);
        Self { pixels, total, width: u32::try_from(width).unwrap_or(u32::MAX) }
    }

    /// Whether so little changed that the screen counts as still.
    #[expect(clippy::cast_precision_loss, reason = "a screen has far fewer than 2^52 pixels")]
    pub(crate) fn is_small(self) -> bool {
        self.pixels as f64 <= STILL_SHARE * self.total as f64
    }

    /// Whether nothing changed that an action could have caused: nothing, or a caret's blink.
    ///
    /// Stricter than [`is_small`](Self::is_small), because one digit of a counter is small too.
    pub(crate) fn is_nothing(self) -> bool {
        self.pixels == 0 || (self.width <= CARET_WIDTH && self.is_small())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use handsight_actions::{Action, ActionSpace, DeviceInfo, DeviceKind, Screenshot, Size};
    use image::Rgb;

    /// A screen whose picture depends on how often it was looked at.
    struct Moving {
        looks: u8,
        draw: fn(u8, &mut RgbImage),
    }

    impl Device for Moving {
        fn info(&self) -> DeviceInfo {
            DeviceInfo {
                name: "moving".to_owned(),
                kind: DeviceKind::Fake,
                size: Size { width: 300, height: 200 },
                scale: 1.0,
                action_space: ActionSpace::desktop(),
            }
        }

        fn observe(&mut self) -> Result<Observation, DeviceError> {
            let mut image = RgbImage::new(300, 200);
            (self.draw)(self.looks, &mut image);
            self.looks = self.looks.wrapping_add(1);
            Ok(Observation { screenshot: Screenshot::now(image, 1.0), foreground_app: None })
        }

        fn perform(&mut self, _: &Action) -> Result<(), DeviceError> {
            Ok(())
        }

        fn release_all(&mut self) -> Result<(), DeviceError> {
            Ok(())
        }
    }

    const QUICK: SettleOptions = SettleOptions {
        interval: Duration::from_millis(1),
        quiet: Duration::from_millis(5),
        limit: Duration::from_millis(200),
    };

    fn fill(image: &mut RgbImage, columns: std::ops::Range<u32>, value: u8) {
        for y in 0..16 {
            for x in columns.clone() {
                image.put_pixel(x, y, Rgb([value; 3]));
            }
        }
    }

    fn watch(draw: fn(u8, &mut RgbImage), cancel: &CancelFlag) -> Settled {
        observe_still(&mut Moving { looks: 0, draw }, &QUICK, cancel).unwrap()
    }

    #[test]
    fn a_blinking_caret_holds_nothing_up() {
        let blink = |look, image: &mut RgbImage| fill(image, 40..42, look % 2 * 255);
        let settled = watch(blink, &CancelFlag::default());
        assert!(settled.still && settled.waited < QUICK.limit, "{:?}", settled.waited);
    }

    #[test]
    fn an_animation_is_waited_out() {
        let settling = |look: u8, image: &mut RgbImage| fill(image, 0..100, look.min(9));
        let settled = watch(settling, &CancelFlag::default());
        assert!(settled.still);
        assert_eq!(*settled.observation.screenshot.image.get_pixel(0, 0), Rgb([9; 3]));
    }

    #[test]
    fn a_video_is_waited_for_only_so_long() {
        let video = |look, image: &mut RgbImage| fill(image, 0..100, look);
        let settled = watch(video, &CancelFlag::default());
        assert!(!settled.still && settled.waited >= QUICK.limit, "{:?}", settled.waited);
    }

    #[test]
    fn cancelling_ends_every_wait_at_once() {
        let cancel = CancelFlag::default();
        cancel.cancel();
        let start = Instant::now();
        assert!(!pause(Duration::from_secs(60), &cancel));
        watch(|look, image| fill(image, 0..100, look), &cancel);
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
