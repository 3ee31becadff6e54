//! `screencap`, `uiautomator` and `wm`.

use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, RgbImage};

use super::Output;
use crate::device::android::fake::FakePixels;
use crate::device::android::fake::device::Phone;
use crate::device::android::fake::system::Lock;
use crate::geometry::Size;

pub(super) fn screencap(phone: &Phone, args: &[&str]) -> Output {
    let as_png = args.contains(&"-p");
    let path = args.iter().find(|arg| !arg.starts_with('-'));
    let (pixels, sdk, image) = {
        let system = phone.lock();
        (system.options.pixels, system.options.sdk, system.capture())
    };
    let is_png =
        as_png || path.is_some_and(|path| Path::new(path).extension() == Some("png".as_ref()));
    let mut bytes = if is_png { png(&image) } else { raw(&image, pixels, sdk) };
    if let Some(kept) = phone.fault_of_capture(bytes.len()) {
        bytes.truncate(kept);
    }
    match path {
        None => Output::bytes(bytes),
        Some(path) => match phone.write_file(path, &bytes, false) {
            Ok(()) => Output::default(),
            Err(problem) => Output::error(1, &format!("Error opening file: {path} ({problem})")),
        },
    }
}

fn png(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    // Writing to memory cannot fail; an empty file says the same as an error would.
    let _ = image.write_to(&mut bytes, ImageFormat::Png);
    bytes.into_inner()
}

/// Returns the header and the pixels that `screencap` writes without `-p`.
fn raw(image: &RgbImage, pixels: FakePixels, sdk: u32) -> Vec<u8> {
    let format = match pixels {
        FakePixels::Rgba8888 => 1,
        FakePixels::Rgbx8888 => 2,
        FakePixels::Rgb888 => 3,
        FakePixels::Rgb565 => 4,
        FakePixels::Bgra8888 => 5,
    };
    let mut bytes = Vec::new();
    for word in [image.width(), image.height(), format] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    if sdk >= 28 {
        bytes.extend_from_slice(&1_u32.to_le_bytes());
    }
    append_pixels(&mut bytes, image, pixels);
    bytes
}

/// Appends pixels in a format.
pub(in crate::device::android::fake) fn append_pixels(
    bytes: &mut Vec<u8>,
    image: &RgbImage,
    pixels: FakePixels,
) {
    for &image::Rgb([red, green, blue]) in image.pixels() {
        match pixels {
            FakePixels::Rgba8888 => bytes.extend([red, green, blue, 255]),
            FakePixels::Rgbx8888 => bytes.extend([red, green, blue, 0]),
            FakePixels::Rgb888 => bytes.extend([red, green, blue]),
            FakePixels::Bgra8888 => bytes.extend([blue, green, red, 255]),
            FakePixels::Rgb565 => {
                let [red, green, blue] = [red, green, blue].map(u16::from);
                let word = red >> 3 << 11 | green >> 2 << 5 | blue >> 3;
                bytes.extend(word.to_le_bytes());
            }
        }
    }
}

pub(super) fn uiautomator(phone: &Phone, args: &[&str]) -> Output {
    let args: Vec<&str> = args.iter().copied().filter(|arg| !arg.starts_with("--")).collect();
    let path = match args[..] {
        ["dump"] => "/sdcard/window_dump.xml",
        ["dump", path] => path,
        _ => return Output::error(1, "Usage: uiautomator <subcommand> [options]"),
    };
    if !phone.lock().awake {
        return Output::error(1, "ERROR: null root node returned by UiTestAutomationBridge.");
    }
    let xml = phone.lock().dump();
    // The missing letter is Android's own.
    let done = format!("UI hierchary dumped to: {path}");
    if path == "/dev/tty" {
        return Output::line(&format!("{xml}{done}"));
    }
    match phone.write_file(path, xml.as_bytes(), false) {
        Ok(()) => Output::line(&done),
        Err(problem) => Output::error(1, &format!("ERROR: {path}: {problem}")),
    }
}

pub(super) fn wm(phone: &Phone, args: &[&str]) -> Output {
    let mut system = phone.lock();
    match args {
        ["size"] => {
            let physical = shown(system.display.physical);
            let own = system.display.size_override.map(shown);
            Output::text(overridable("size", &physical, own.as_deref()))
        }
        ["density"] => {
            let own = system.display.density_override.map(|density| density.to_string());
            let physical = system.display.physical_density.to_string();
            Output::text(overridable("density", &physical, own.as_deref()))
        }
        ["size", "reset"] => {
            system.display.size_override = None;
            Output::default()
        }
        ["density", "reset"] => {
            system.display.density_override = None;
            Output::default()
        }
        ["size", text] => match read_size(text) {
            Some(size) => {
                system.display.size_override = Some(size);
                Output::default()
            }
            None => Output::error(255, &format!("Error: bad size {text}")),
        },
        ["density", text] => {
            match text.parse().ok().filter(|density| (72..=1000).contains(density)) {
                Some(density) => {
                    system.display.density_override = Some(density);
                    Output::default()
                }
                None => Output::error(255, &format!("Error: bad density {text}")),
            }
        }
        ["dismiss-keyguard"] => {
            if system.lock == Lock::Swipe {
                system.lock = Lock::Open;
            }
            Output::default()
        }
        ["user-rotation", "lock", turns] if matches!(*turns, "0" | "1" | "2" | "3") => {
            system.world.set("system", "accelerometer_rotation", "0");
            system.world.set("system", "user_rotation", turns);
            Output::default()
        }
        _ => Output::error(255, &format!("Error: unknown command '{}'", args.join(" "))),
    }
}

fn shown(size: Size) -> String {
    format!("{}x{}", size.width, size.height)
}

fn overridable(what: &str, physical: &str, own: Option<&str>) -> String {
    let own = own.map(|own| format!("Override {what}: {own}\n")).unwrap_or_default();
    format!("Physical {what}: {physical}\n{own}")
}

/// Reads a size, such as `720x1280`, that a screen can have.
pub(in crate::device::android::fake) fn read_size(text: &str) -> Option<Size> {
    let (width, height) = text.split_once('x')?;
    let side = |text: &str| text.parse().ok().filter(|side| (100..=8192).contains(side));
    Some(Size { width: side(width)?, height: side(height)? })
}
