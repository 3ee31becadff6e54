//! Pictures of the whole desktop, cut to what is observed.
//!
//! The portal writes each into a file, in the folder of the user's pictures as a rule. It was made for
//! us, so it is deleted once it is read.

use std::io::{Cursor, Read as _};
use std::time::Duration;

use fs_err as fs;
use image::imageops::{self, FilterType};
use image::{ImageReader, Limits, RgbImage};
use serde::Deserialize;
use url::Url;
use zbus::zvariant::{Type, Value, as_value};

use super::Desk;
use super::bus::{Interface, Options};
use crate::device::desktop::Failure;
use crate::device::desktop::wayland::output::Placed;
use crate::device::{PortalFault, Source};
use crate::geometry::{Area, MonitorLayout, Rect, Size};

/// How long a picture may take; before the first one the user may be asked.
const ANSWERING: Duration = Duration::from_secs(120);
/// The longest side of a desktop, and the longest file.
const LONGEST: u32 = 1 << 16;
const LONGEST_FILE: u64 = 1 << 28;

const TASK: &str = "take screenshots";

#[derive(Default, Deserialize, Type)]
#[zvariant(signature = "dict")]
#[serde(default)]
struct Taken {
    #[serde(with = "as_value::optional")]
    uri: Option<String>,
}

/// Takes a picture of an area of a monitor.
pub(super) fn capture(desk: &mut Desk, area: Area, monitor: usize) -> Result<RgbImage, Failure> {
    let options = Options::from([("interactive", Value::from(false))]);
    let take = (Interface::Screenshot, "Screenshot");
    let taken = desk.bus.request(take, (TASK, ANSWERING), options, |options| ("", options));
    let taken: Taken = taken.map_err(Failure::Portal)?;
    let failed = |source| Failure::Portal(PortalFault::Failed { task: TASK, source });
    let uri = taken.uri.ok_or_else(|| failed("it named no file".into()))?;
    let image = read(&uri).map_err(failed)?;

    let refused = |message: &'static str| Failure::Refused(message.into());
    desk.compositor.refresh()?;
    let layouts: Vec<MonitorLayout> =
        desk.compositor.outputs().map(Placed::monitor).map(|monitor| monitor.layout).collect();
    let layout = *layouts.get(monitor).ok_or_else(|| refused("it was unplugged"))?;
    let beyond = || refused("it does not lie on one monitor");
    let part = Rect::whole(layout.size).intersection(area.on_monitor());
    let part = part.filter(|&part| part == area.on_monitor()).ok_or_else(beyond)?;
    let seen = cut(&image, layout, &layouts);
    let seen = seen.ok_or_else(|| refused("the picture does not show the monitor"))?;
    if part == Rect::whole(layout.size) {
        return Ok(seen);
    }
    let (x, y) = (part.x.unsigned_abs(), part.y.unsigned_abs());
    Ok(imageops::crop_imm(&seen, x, y, part.width, part.height).to_image())
}

/// Reads the file of a picture, and deletes it.
fn read(uri: &str) -> Result<RgbImage, Source> {
    let path = Url::parse(uri)?.to_file_path().map_err(|()| format!("it named no file: {uri}"))?;
    let mut bytes = Vec::new();
    fs::File::open(&path)?.take(LONGEST_FILE).read_to_end(&mut bytes)?;
    // One that stays does no harm but in the user's folder.
    let _ = fs::remove_file(&path);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST);
    limits.max_image_height = Some(LONGEST);
    reader.limits(limits);
    Ok(reader.decode()?.into_rgb8())
}

/// Cuts a picture of the whole desktop to one of its monitors.
///
/// Where the monitors have several scales, the picture has the largest.
fn cut(image: &RgbImage, layout: MonitorLayout, all: &[MonitorLayout]) -> Option<RgbImage> {
    let logical = |layout: &MonitorLayout| {
        let unit = |pixels: u32| (f64::from(pixels) / layout.scale).round();
        let (x, y) = (f64::from(layout.origin.x), f64::from(layout.origin.y));
        [x, y, x + unit(layout.size.width), y + unit(layout.size.height)]
    };
    let edge = |index: usize, pick: fn(f64, f64) -> f64| {
        all.iter().map(|layout| logical(layout)[index]).reduce(pick)
    };
    let (left, top) = (edge(0, f64::min)?, edge(1, f64::min)?);
    let (right, bottom) = (edge(2, f64::max)?, edge(3, f64::max)?);
    let across = f64::from(image.width()) / (right - left);
    let down = f64::from(image.height()) / (bottom - top);
    let [x, y, end_x, end_y] = logical(&layout);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the image")]
    let pixel = |units: f64, scale: f64| (units * scale).round() as u32;
    let (x, y) = (pixel(x - left, across), pixel(y - top, down));
    let (end_x, end_y) = (pixel(end_x - left, across), pixel(end_y - top, down));
    let size = Size { width: end_x.checked_sub(x)?, height: end_y.checked_sub(y)? };
    // A picture of something else has another shape.
    if size.width == 0 || size.height == 0 || (across / down - 1.0).abs() > 0.02 {
        return None;
    }
    let seen = imageops::crop_imm(image, x, y, size.width, size.height);
    Some(if size == layout.size {
        seen.to_image()
    } else {
        imageops::resize(&*seen, layout.size.width, layout.size.height, FilterType::Triangle)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::DesktopPoint;
    use image::Rgb;

    #[test]
    fn a_monitor_is_cut_out_of_the_desktop() {
        let layout = |x, y, width, height, scale| MonitorLayout {
            origin: DesktopPoint { x, y },
            size: Size { width, height },
            scale,
        };
        // One of 20 by 10 units, and to the left of it one of high density.
        let all = [layout(0, 0, 20, 10, 1.0), layout(-10, 2, 20, 16, 2.0)];
        let image = RgbImage::from_fn(60, 20, |x, y| {
            let (x, y) = (u8::try_from(x).unwrap(), u8::try_from(y).unwrap());
            Rgb([x, y, 0])
        });
        let dense = cut(&image, all[1], &all).unwrap();
        assert_eq!(dense.dimensions(), (20, 16));
        assert_eq!((dense.get_pixel(0, 0).0, dense.get_pixel(19, 15).0), ([0, 4, 0], [19, 19, 0]));
        let plain = cut(&image, all[0], &all).unwrap();
        assert_eq!(plain.dimensions(), (20, 10));
        assert!(plain.get_pixel(0, 0).0[0] >= 20 && plain.get_pixel(19, 9).0[0] <= 59);
        assert!(cut(&RgbImage::new(60, 60), all[0], &all).is_none());
    }
}
