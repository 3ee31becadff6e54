//! What covers the desktop while it is calibrated: it shows targets, and says where clicks arrive.

use handsight_actions::{Area, Monitor, MonitorPoint, Rect};
#[cfg(feature = "wayland")]
use handsight_actions::{DesktopCover, is_wayland};
use image::Rgb;
#[cfg(feature = "wayland")]
use image::RgbImage;

use super::own_window::OwnWindow;
#[cfg(feature = "wayland")]
use super::own_window::PATIENCE;
use crate::failure::{Exit, Failure};

/// The side of a target, which is odd: it has a pixel in the middle.
pub(super) const SIDE: u32 = 9;

/// A monitor and its number.
pub(super) type Numbered<'a> = (usize, &'a Monitor);

/// A window over everything, on X11 a single one.
pub(super) enum Cover {
    X11(OwnWindow),
    #[cfg(feature = "wayland")]
    Wayland(DesktopCover),
}

impl Cover {
    /// Covers all monitors, with black.
    pub(super) fn open(display: Option<&str>) -> Result<Self, Failure> {
        #[cfg(feature = "wayland")]
        if let Some(socket) = display.filter(|display| is_wayland(display)) {
            return Ok(Self::Wayland(DesktopCover::open(socket)?));
        }
        OwnWindow::open(display, None)
            .map(Self::X11)
            .map_err(|error| failed("could not cover the desktop with a window", error))
    }

    /// Shows targets on a monitor, each with its middle and its colour, and nothing else.
    pub(super) fn show(
        &mut self,
        on: Numbered<'_>,
        targets: &[(MonitorPoint, Rgb<u8>)],
    ) -> Result<(), Failure> {
        let boxes = targets.iter().map(|&(MonitorPoint { x, y }, color)| {
            let (x, y) = (x - SIDE.cast_signed() / 2, y - SIDE.cast_signed() / 2);
            (Rect { x, y, width: SIDE, height: SIDE }, color)
        });
        match self {
            Self::X11(window) => {
                let all = Area::whole(on.1.layout).on_desktop();
                let everything = (Rect { x: 0, y: 0, ..all }, Rgb([0; 3]));
                for (area, color) in std::iter::once(everything).chain(boxes) {
                    let area = Rect { x: all.x + area.x, y: all.y + area.y, ..area };
                    window
                        .fill(area, color)
                        .map_err(|error| failed("could not draw a target", error))?;
                }
                Ok(())
            }
            #[cfg(feature = "wayland")]
            Self::Wayland(cover) => {
                let size = on.1.layout.size;
                let mut picture = RgbImage::new(size.width, size.height);
                for (area, color) in boxes {
                    let (left, top) = (area.x.unsigned_abs(), area.y.unsigned_abs());
                    for (x, y) in (0..SIDE * SIDE).map(|at| (left + at % SIDE, top + at / SIDE)) {
                        picture.put_pixel(x, y, color);
                    }
                }
                Ok(cover.show(on.0, &picture)?)
            }
        }
    }

    /// Waits for a click, and returns which pixel of a monitor it arrived on; `None` if it did not, or
    /// elsewhere than that can be said of.
    pub(super) fn wait_for_press(
        &mut self,
        on: Numbered<'_>,
    ) -> Result<Option<MonitorPoint>, Failure> {
        match self {
            // One that does not arrive is told as such.
            Self::X11(window) => {
                Ok(window.wait_for_press().ok().map(|point| on.1.layout.from_desktop(point)))
            }
            #[cfg(feature = "wayland")]
            Self::Wayland(cover) => {
                let pressed = cover.wait_for_press(PATIENCE)?;
                Ok(pressed.filter(|&(monitor, _)| monitor == on.0).map(|(_, pixel)| pixel))
            }
        }
    }
}

fn failed(what: &'static str, error: anyhow::Error) -> Failure {
    Failure::new(Exit::NotAchieved, error.context(what))
}
