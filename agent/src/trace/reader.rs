//! Reads a trace back, also one whose process was killed while it wrote.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;
use image::{ImageFormat, ImageReader, Limits, RgbImage};
use serde::Deserialize;

use super::event::{
    Acted, Decided, EpisodeStarted, EpisodeStopped, ImageRef, ReplyRefused, StepStarted, TraceEvent,
};
use super::writer::image_path;
use super::{TRACE_FILE, TRACE_VERSION, TraceError};

/// A trace that was read, its events sorted into steps.
#[derive(Clone, Debug)]
pub struct Trace {
    dir: PathBuf,
    /// The first line.
    pub started: EpisodeStarted,
    /// The steps, in order.
    pub steps: Vec<TracedStep>,
    /// The last line; `None` if the process was killed before it.
    pub stopped: Option<EpisodeStopped>,
    /// Whether the last line was cut short and left out.
    pub torn: bool,
}

/// One step of a trace, as far as it got.
#[derive(Clone, Debug)]
pub struct TracedStep {
    /// What was seen.
    pub started: StepStarted,
    /// The replies that were refused before the one that was not.
    pub refused: Vec<ReplyRefused>,
    /// What was decided.
    pub decided: Option<Decided>,
    /// What became of it; `None` too for an action that ends the episode.
    pub acted: Option<Acted>,
}

/// Reads the trace in `dir`.
///
/// # Errors
///
/// [`TraceError::Missing`] if there is none, [`TraceError::Newer`] if a newer version wrote it, and
/// [`TraceError::Line`] or [`TraceError::Order`] if it was damaged; a last line that was cut short
/// is no damage.
pub fn read_trace(dir: &Path) -> Result<Trace, TraceError> {
    let path = dir.join(TRACE_FILE);
    let bytes = read(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => TraceError::Missing { dir: dir.to_owned() },
        _ => TraceError::Read { source },
    })?;
    check_version(&path, &bytes)?;
    let mut trace = None;
    let mut torn = false;
    for (index, text) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let line = index + 1;
        match serde_json::from_slice(text) {
            Ok(event) => place(&mut trace, dir, event).map_err(|problem| TraceError::Order {
                path: path.clone(),
                line,
                problem,
            })?,
            // Only the last line can lack its end, and only because the writer was stopped.
            Err(_) if !text.ends_with(b"\n") => torn = true,
            Err(source) => return Err(TraceError::Line { path, line, source }),
        }
    }
    let trace = trace.map(|trace| Trace { torn, ..trace });
    trace.ok_or_else(|| TraceError::Missing { dir: dir.to_owned() })
}

impl Trace {
    /// Returns the folder the trace was read from.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the PNG file of a picture, or `None` if it is not there any more.
    ///
    /// # Errors
    ///
    /// [`TraceError::Read`] if the file is there but cannot be read.
    pub fn png(&self, image: &ImageRef) -> Result<Option<Vec<u8>>, TraceError> {
        match fs::read(image_path(&self.dir, image)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(TraceError::Read { source }),
        }
    }

    /// Returns the pixels of a picture, or `None` if it is not there any more.
    ///
    /// # Errors
    ///
    /// [`TraceError::Read`] if the file is there but cannot be read, [`TraceError::Picture`] if it is
    /// none or another than the trace says.
    pub fn picture(&self, image: &ImageRef) -> Result<Option<RgbImage>, TraceError> {
        let Some(png) = self.png(image)? else { return Ok(None) };
        let wrong =
            |problem: String| TraceError::Picture { path: image_path(&self.dir, image), problem };
        let mut reader = ImageReader::with_format(std::io::Cursor::new(png), ImageFormat::Png);
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        reader.limits(limits);
        let pixels = reader.decode().map_err(|error| wrong(error.to_string()))?.into_rgb8();
        if pixels.dimensions() != (image.width, image.height) {
            let (width, height) = pixels.dimensions();
            let (said_width, said_height) = (image.width, image.height);
            let said = format!("the trace says {said_width}×{said_height}");
            return Err(wrong(format!("it has {width}×{height} pixels where {said}")));
        }
        Ok(Some(pixels))
    }
}

/// The largest side of a picture, in pixels.
const MAX_SIDE: u32 = 16_384;

/// The most bytes of a trace without its pictures; a step takes some thousand.
const MAX_BYTES: u64 = 256 << 20;

/// Reads the file whole.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let problem = format!("`{}` has more than {} MiB", path.display(), MAX_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(bytes)
}

/// Refuses a trace of a newer version before its unknown events can be mistaken for damage.
fn check_version(path: &Path, bytes: &[u8]) -> Result<(), TraceError> {
    #[derive(Deserialize)]
    struct Version {
        version: u64,
    }
    let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    match serde_json::from_slice(first) {
        Ok(Version { version }) if version > u64::from(TRACE_VERSION) => {
            Err(TraceError::Newer { path: path.to_owned(), found: version })
        }
        // Any other fault is reported with its line, when that line is read.
        _ => Ok(()),
    }
}

/// Puts an event into its place, or says why it has none.
fn place(trace: &mut Option<Trace>, dir: &Path, event: TraceEvent) -> Result<(), &'static str> {
    let Some(trace) = trace else {
        let TraceEvent::EpisodeStarted(started) = event else {
            return Err("the first event must be `episode_started`");
        };
        let dir = dir.to_owned();
        *trace = Some(Trace { dir, started, steps: Vec::new(), stopped: None, torn: false });
        return Ok(());
    };
    if trace.stopped.is_some() {
        return Err("there is an event after `episode_stopped`");
    }
    match event {
        TraceEvent::EpisodeStarted(_) => return Err("`episode_started` occurs twice"),
        TraceEvent::StepStarted(started) => trace.steps.push(TracedStep {
            started,
            refused: Vec::new(),
            decided: None,
            acted: None,
        }),
        TraceEvent::EpisodeStopped(stopped) => trace.stopped = Some(stopped),
        TraceEvent::ReplyRefused(refused) => step(trace, refused.step)?.refused.push(refused),
        TraceEvent::Decided(decided) => {
            let step = step(trace, decided.step)?;
            step.decided = Some(decided);
        }
        TraceEvent::Acted(acted) => {
            let step = step(trace, acted.step)?;
            step.acted = Some(acted);
        }
    }
    Ok(())
}

/// Returns the step of that number, if it is the current one.
fn step(trace: &mut Trace, number: u32) -> Result<&mut TracedStep, &'static str> {
    let last = trace.steps.last_mut().filter(|last| last.started.step == number);
    last.ok_or("the event belongs to a step that is not the current one")
}
