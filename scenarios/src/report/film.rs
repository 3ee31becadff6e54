//! A run as a film: what was on the screen at each step, where it acted, and what came of it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fs_err as fs;
use handsight_agent::annotate::draw_crosshair;
use handsight_agent::{CancelFlag, settle::pause};
use image::codecs::gif::{GifEncoder, Repeat};
use image::imageops::FilterType;
use image::{Delay, DynamicImage, Frame, ImageFormat, ImageReader, Limits, RgbImage};

use super::ReportError;
use crate::report::pictures::Picture;
use crate::suite::SuiteResult;

/// The largest sides of a film; pictures that are larger are made smaller.
const MOST: (u32, u32) = (960, 720);

/// The largest side of a picture, in pixels.
const MAX_SIDE: u32 = 16_384;

/// How long each picture is shown.
const SHOWN: Duration = Duration::from_millis(1200);

/// The most pictures of a film.
const MAX_FRAMES: usize = 500;

/// How long `ffmpeg` may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// The kinds of film.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Film {
    /// An animated GIF.
    Gif,
    /// An MP4 of H.264, which `ffmpeg` makes.
    Mp4,
}

/// Writes a film of a suite, whose pictures are in a folder; returns how many pictures it has.
///
/// # Errors
///
/// [`ReportError::Film`] if there is nothing to show or `ffmpeg` does not make it, and
/// [`ReportError::Write`] if the file cannot be written.
pub fn write_film(
    path: &Path,
    film: Film,
    suite: &SuiteResult,
    pictures: &Path,
) -> Result<usize, ReportError> {
    let frames = frames(suite, pictures)?;
    let count = frames.len();
    if count == 0 {
        let problem = "no step of it has a picture".to_owned();
        return Err(ReportError::Film { problem, hint: None });
    }
    match film {
        Film::Gif => write_gif(path, frames)?,
        Film::Mp4 => write_mp4(path, frames)?,
    }
    Ok(count)
}

/// Returns the pictures of all steps, in order, on canvases of one size.
fn frames(suite: &SuiteResult, folder: &Path) -> Result<Vec<RgbImage>, ReportError> {
    let steps = suite.scenarios.iter().flat_map(|run| &run.steps);
    let shown = steps.flat_map(|step| step.pictures.iter().chain(&step.after));
    let mut pictures: Vec<RgbImage> = Vec::new();
    let mut last: Option<&Picture> = None;
    for picture in shown.take(MAX_FRAMES) {
        // What a step led to is what the next one saw.
        if last.is_some_and(|last| last.file == picture.file && picture.point.is_none()) {
            continue;
        }
        last = Some(picture);
        let Some(mut image) = read(&folder.join(&picture.file))? else { continue };
        if let Some(point) = picture.point {
            draw_crosshair(&mut image, point);
        }
        pictures.push(fitted(image));
    }
    let side = |side: fn(&RgbImage) -> u32| pictures.iter().map(side).max().unwrap_or(0);
    // H.264 wants even sides.
    let even = |length: u32| length.next_multiple_of(2);
    let (width, height) = (even(side(RgbImage::width)), even(side(RgbImage::height)));
    let on_canvas = |picture: RgbImage| {
        let mut canvas = RgbImage::new(width, height);
        let middle = |whole: u32, part: u32| i64::from((whole - part) / 2);
        let (x, y) = (middle(width, picture.width()), middle(height, picture.height()));
        image::imageops::replace(&mut canvas, &picture, x, y);
        canvas
    };
    Ok(pictures.into_iter().map(on_canvas).collect())
}

fn read(path: &Path) -> Result<Option<RgbImage>, ReportError> {
    let failed = |source| ReportError::Write { source };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut reader = ImageReader::with_format(std::io::BufReader::new(file), ImageFormat::WebP);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    let decoded = reader.decode().map_err(|error| failed(std::io::Error::other(error)))?;
    Ok(Some(decoded.into_rgb8()))
}

fn fitted(image: RgbImage) -> RgbImage {
    if image.width() <= MOST.0 && image.height() <= MOST.1 {
        return image;
    }
    DynamicImage::ImageRgb8(image).resize(MOST.0, MOST.1, FilterType::Triangle).into_rgb8()
}

fn write_gif(path: &Path, frames: Vec<RgbImage>) -> Result<(), ReportError> {
    let failed = |error: std::io::Error| ReportError::Write { source: error };
    let file = std::io::BufWriter::new(fs::File::create(path).map_err(failed)?);
    let mut encoder = GifEncoder::new_with_speed(file, 10);
    let encoded = encoder.set_repeat(Repeat::Infinite).and_then(|()| {
        frames.into_iter().try_for_each(|frame| {
            let picture = DynamicImage::ImageRgb8(frame).into_rgba8();
            let delay = Delay::from_saturating_duration(SHOWN);
            encoder.encode_frame(Frame::from_parts(picture, 0, 0, delay))
        })
    });
    encoded.map_err(|error| failed(std::io::Error::other(error)))
}

fn write_mp4(path: &Path, frames: Vec<RgbImage>) -> Result<(), ReportError> {
    let failed = |problem: String, hint: Option<&str>| ReportError::Film {
        problem,
        hint: hint.map(str::to_owned),
    };
    let size = frames
        .first()
        .map_or_else(String::new, |frame| format!("{}x{}", frame.width(), frame.height()));
    let rate = format!("1000/{}", SHOWN.as_millis());
    let mut command = Command::new("ffmpeg");
    command.args([
        "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", &size, "-r", &rate,
    ]);
    command.args(["-i", "-", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-r", "25"]);
    command.args(["-movflags", "+faststart", "-f", "mp4"]).arg(path);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| {
        let install = "install ffmpeg, or make a GIF with `--gif`";
        failed(format!("could not start `ffmpeg`: {error}"), Some(install))
    })?;
    let stdin = child.stdin.take();
    let writer = std::thread::spawn(move || {
        let Some(mut stdin) = stdin else { return };
        for frame in &frames {
            // It says itself why it reads no more.
            if stdin.write_all(frame.as_raw()).is_err() {
                break;
            }
        }
    });
    let begun = Instant::now();
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Ok(status),
            Ok(None) if begun.elapsed() > PATIENCE => {
                let seconds = PATIENCE.as_secs();
                break Err(failed(format!("`ffmpeg` took over {seconds} s"), None));
            }
            Ok(None) => pause(Duration::from_millis(20), &CancelFlag::default()),
            Err(error) => break Err(failed(format!("`ffmpeg`: {error}"), None)),
        };
    };
    if ended.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let _ = writer.join();
    if ended?.success() {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(stderr) = child.stderr.take() {
        // What it says is for people only, and as long as a line.
        let _ = std::io::Read::read_to_string(&mut std::io::Read::take(stderr, 4096), &mut said);
    }
    let said = said.lines().last().unwrap_or("nothing").to_owned();
    Err(failed(format!("`ffmpeg` did not make it and said: {said}"), None))
}
