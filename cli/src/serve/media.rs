//! Images and videos of a request: data URLs, and files where the operator allows them.
//!
//! The server fetches nothing: a request must not make it talk to other machines. Files are read
//! below one folder only, links resolved. What comes in a data URL is never given to ffmpeg, which
//! can be made to open other files.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use handsight_model::media::MediaError;
use handsight_model::media::image::{DecodeLimits, decode};
use handsight_model::media::video::{self, FrameChoice, Rate, VideoOptions};
use handsight_model::{CancelFlag, PixelLimits, VideoInput};
use image::RgbImage;

use super::error::ApiError;

/// What a request may show the model.
#[derive(Clone, Debug)]
pub(super) struct MediaPolicy {
    /// The folder files may be read below, links resolved.
    pub(super) file_root: Option<PathBuf>,
    pub(super) max_images: usize,
    pub(super) max_videos: usize,
    /// Pixels of one image before it is resized.
    pub(super) max_image_pixels: u64,
    /// Pixels of all images and frames of a request before they are resized.
    pub(super) max_total_pixels: u64,
}

/// How long a video file may be read.
const VIDEO_TIMEOUT: Duration = Duration::from_secs(60);

/// The most frames of a video that comes as a list of images.
const MAX_LISTED_FRAMES: usize = 768;

/// An image or video, found but not read.
#[derive(Debug)]
pub(super) struct MediaSource {
    /// Where its URL is in the request.
    param: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// A data URL, its media type, and where its encoded bytes start.
    Data { kind: String, url: String, start: usize },
    /// A file below the root.
    File(PathBuf),
}

impl MediaSource {
    /// Looks at a URL without reading what it names; `param` is where the request has it.
    pub(super) fn of(param: String, url: String, policy: &MediaPolicy) -> Result<Self, ApiError> {
        let refuse = |why: &str| {
            Err(ApiError::param(
                param.clone(),
                "invalid_image_url",
                format!("Invalid '{param}': {why}."),
            ))
        };
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
        let place = match scheme.as_str() {
            "data" => {
                let Some(comma) = url.find(',') else {
                    return refuse("a data URL has a comma before its data");
                };
                let Some(kind) = url["data:".len()..comma].strip_suffix(";base64") else {
                    return refuse("expected a base64 data URL, such as data:image/png;base64,…");
                };
                let kind = kind.split(';').next().unwrap_or_default().to_ascii_lowercase();
                Place::Data { kind, start: comma + 1, url }
            }
            "http" | "https" => {
                return refuse(
                    "this server does not fetch remote images. Send the image as a data URL",
                );
            }
            "file" => match file(&url, policy) {
                Ok(path) => Place::File(path),
                Err(why) => return refuse(why),
            },
            _ => {
                return refuse("expected a data URL, such as data:image/png;base64,…");
            }
        };
        Ok(Self { param, place })
    }
}

/// Returns the file a `file:` URL names, if it lies below the root.
fn file(url: &str, policy: &MediaPolicy) -> Result<PathBuf, &'static str> {
    let Some(root) = &policy.file_root else {
        return Err("files are not read, because the server was started without --allow-file-root");
    };
    let rest = &url["file:".len()..];
    let path = rest.strip_prefix("//localhost").or_else(|| rest.strip_prefix("//"));
    let path = path.filter(|path| path.starts_with('/'));
    let Some(path) = path.and_then(percent_decoded) else {
        return Err("expected file:///absolute/path");
    };
    // `/C:/folder` is how a URL writes `C:/folder`.
    let path = if cfg!(windows) { path.trim_start_matches('/').to_owned() } else { path };
    // One answer for what is missing, what is elsewhere and what is no file: a client learns
    // nothing of what lies outside.
    let found = fs_err::canonicalize(path).ok();
    let found = found.filter(|found| found.starts_with(root) && found.is_file());
    found.ok_or("there is no such file below the folder of --allow-file-root")
}

/// Replaces `%41` by `A` and so on; nothing if that is not text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// Clients leave padding away now and then.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the images and videos of one request, within what is left of its pixels.
#[derive(Debug)]
pub(super) struct Media<'a> {
    policy: &'a MediaPolicy,
    pixels_left: u64,
}

impl<'a> Media<'a> {
    pub(super) fn new(policy: &'a MediaPolicy) -> Self {
        Self { policy, pixels_left: policy.max_total_pixels }
    }

    /// Reads an image.
    pub(super) fn image(&mut self, source: &MediaSource) -> Result<RgbImage, ApiError> {
        let bytes = match &source.place {
            Place::Data { url, start, .. } => decoded(&source.param, &url[*start..])?,
            Place::File(path) => fs_err::read(path).map_err(|_| unreadable(&source.param))?,
        };
        self.picture(&source.param, &bytes)
    }

    /// Reads a video: a GIF, a list of frames, or a file.
    pub(super) fn video(
        &mut self,
        source: &MediaSource,
        limits: PixelLimits,
        fps: Option<f64>,
    ) -> Result<VideoInput, ApiError> {
        let mut options = VideoOptions {
            min_pixels: limits.min_pixels,
            max_pixels: limits.max_pixels,
            frame_limits: self.limits(),
            timeout: VIDEO_TIMEOUT,
            ..VideoOptions::default()
        };
        let failed = |error: &MediaError| ApiError::media(source.param.clone(), error);
        let video = match &source.place {
            Place::Data { kind, url, start } if is_list(kind) => {
                let base64 = &url[*start..];
                // The frames one after another, commas between them.
                let count = base64.split(',').count();
                if count > MAX_LISTED_FRAMES {
                    let message =
                        format!("{count} frames, and at most {MAX_LISTED_FRAMES} are read");
                    return Err(invalid(&source.param, &message));
                }
                let frames = base64
                    .split(',')
                    .map(|frame| {
                        let bytes = decoded(&source.param, frame)?;
                        self.picture(&source.param, &bytes).map(Arc::new)
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                // They were chosen already: all of them are shown, at the rate they are said to have.
                video::from_frames("video", &frames, &options)
                    .map(|video| VideoInput { fps: fps.unwrap_or(video.fps), ..video })
            }
            Place::Data { kind, url, start } if is_gif(kind) => {
                options.choice = choice(fps);
                let bytes = decoded(&source.param, &url[*start..])?;
                if !bytes.starts_with(b"GIF8") {
                    return Err(invalid(&source.param, "the data is not a GIF"));
                }
                let mut file = tempfile::NamedTempFile::new_in(crate::settings::temp_dir())
                    .map_err(|_| no_room())?;
                file.write_all(&bytes).map_err(|_| no_room())?;
                video::open(file.path(), &options, &CancelFlag::default())
            }
            Place::Data { kind, .. } => {
                let kind: String = kind.chars().take(100).collect();
                let message = format!(
                    "a video of type '{kind}' is not read from a data URL. Send data:image/gif or \
                     a list of frames as data:video/jpeg;base64,FRAME,FRAME,…"
                );
                return Err(invalid(&source.param, &message));
            }
            Place::File(path) => {
                options.choice = choice(fps);
                video::open(path, &options, &CancelFlag::default())
            }
        };
        let video = video.map_err(|error| failed(&error))?;
        let pixels = video.frames.iter().map(|frame| pixels(frame)).sum();
        self.take(&source.param, pixels)?;
        Ok(video)
    }

    /// Reads an image that came as base64 alone.
    pub(super) fn encoded(&mut self, param: &str, base64: &str) -> Result<RgbImage, ApiError> {
        let bytes = decoded(param, base64)?;
        self.picture(param, &bytes)
    }

    fn picture(&mut self, param: &str, bytes: &[u8]) -> Result<RgbImage, ApiError> {
        let image = decode("image", bytes, &self.limits())
            .map_err(|error| ApiError::media(param, &error))?;
        self.take(param, pixels(&image))?;
        Ok(image)
    }

    fn limits(&self) -> DecodeLimits {
        let max_pixels = self.policy.max_image_pixels.min(self.pixels_left);
        DecodeLimits { max_pixels, ..DecodeLimits::default() }
    }

    fn take(&mut self, param: &str, pixels: u64) -> Result<(), ApiError> {
        let Some(left) = self.pixels_left.checked_sub(pixels) else {
            let max = self.policy.max_total_pixels;
            let message = format!("the request's images have more than {max} pixels together");
            return Err(invalid(param, &message));
        };
        self.pixels_left = left;
        Ok(())
    }
}

/// Whether a video of this type is a list of images, as vLLM has it.
fn is_list(kind: &str) -> bool {
    matches!(kind, "video/jpeg" | "video/png")
}

fn is_gif(kind: &str) -> bool {
    matches!(kind, "image/gif" | "video/gif")
}

/// Takes `fps` frames a second, or as many as the checkpoints were trained on.
fn choice(fps: Option<f64>) -> FrameChoice {
    let rate = match (fps, Rate::default()) {
        (Some(fps), Rate::Fps { min_frames, max_frames, .. }) => {
            Rate::Fps { fps, min_frames, max_frames }
        }
        (_, rate) => rate,
    };
    FrameChoice { rate, ..FrameChoice::default() }
}

fn pixels(image: &RgbImage) -> u64 {
    u64::from(image.width()) * u64::from(image.height())
}

fn decoded(param: &str, base64: &str) -> Result<Vec<u8>, ApiError> {
    BASE64.decode(base64).map_err(|error| invalid(param, &format!("not base64 ({error})")))
}

fn invalid(param: &str, why: &str) -> ApiError {
    ApiError::param(param, "invalid_image", format!("Invalid '{param}': {why}."))
}

fn unreadable(param: &str) -> ApiError {
    invalid(param, "the file could not be read")
}

fn no_room() -> ApiError {
    let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
    ApiError::of_status(status, "The server could not store the video to read it.")
}
