//! `screenshot`: what the screen shows, as a PNG file.

use std::io::Cursor;
use std::path::Path;

use fs_err as fs;
use handsight_actions::Halt;
use image::{ImageFormat, RgbImage};
use serde_json::json;

use crate::args::ScreenshotArgs;
use crate::failure::{Exit, Failure, is_full};
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

pub(crate) fn run(
    args: &ScreenshotArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let to_stdout = args.out == Path::new("-");
    if to_stdout && printer.json() {
        return Err(Failure::bad_input("`-` and `--json` both want stdout".to_owned())
            .with_hint("name a file to write the screenshot to"));
    }
    let mut device = open::device(&args.target, None, environment, &Halt::default())?;
    let screenshot = device.observe()?.screenshot;
    if to_stdout {
        printer.bytes(&png(&screenshot.image)?)?;
        return Ok(Exit::Done);
    }
    write_png(&args.out, &screenshot.image)?;
    let size = screenshot.size();
    let value = json!({
        "path": args.out,
        "width": size.width,
        "height": size.height,
        "scale": screenshot.scale,
        "device": device.info().name,
    });
    printer.result(&value, &format!("{}  {size}", args.out.display()))?;
    Ok(Exit::Done)
}

/// Writes a picture as a PNG file.
pub(crate) fn write_png(path: &Path, image: &RgbImage) -> Result<(), Failure> {
    fs::write(path, png(image)?).map_err(|error| {
        if is_full(&error) {
            // Half a picture is of no use, and takes the space that is wanting.
            if path.is_file() {
                let _ = fs::remove_file(path);
            }
            return Failure::new(Exit::NotAchieved, error).with_hint("free some space");
        }
        Failure::new(Exit::BadInput, error).with_hint("name a file in a folder that exists")
    })
}

fn png(image: &RgbImage) -> Result<Vec<u8>, Failure> {
    let mut png = Cursor::new(Vec::new());
    let encoded = image.write_to(&mut png, ImageFormat::Png);
    encoded.map_err(|error| Failure::new(Exit::NotAchieved, error))?;
    Ok(png.into_inner())
}
