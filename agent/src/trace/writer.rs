//! Writes a trace so that it is whole at every moment.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use fs_err as fs;
use handsight_actions::Screenshot;
use sha2::{Digest, Sha256};

use super::event::{ImageRef, TraceEvent};
use super::{IMAGE_DIR, TRACE_FILE, TraceError};

/// Appends events and pictures to a new trace.
///
/// A line is one `write` of its whole text. If that write fails half-way, as on a full disk, the
/// half is cut off again, so what was recorded before stays readable.
#[derive(Debug)]
pub struct TraceWriter {
    dir: PathBuf,
    file: fs::File,
    /// The length of the file up to the last whole line, in bytes.
    whole: u64,
    /// Pictures already stored, by the fingerprint of their pixels.
    stored: HashMap<u64, ImageRef>,
}

impl TraceWriter {
    /// Starts a trace in `dir`, which is created if need be.
    ///
    /// # Errors
    ///
    /// [`TraceError::Exists`] if the folder already holds one, [`TraceError::Write`] if it cannot
    /// be written to.
    pub fn create(dir: &Path) -> Result<Self, TraceError> {
        fs::create_dir_all(dir.join(IMAGE_DIR)).map_err(write_error)?;
        let path = dir.join(TRACE_FILE);
        let file = fs::OpenOptions::new().append(true).create_new(true).open(path);
        let file = file.map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => TraceError::Exists { dir: dir.to_owned() },
            _ => TraceError::Write { source },
        })?;
        Ok(Self { dir: dir.to_owned(), file, whole: 0, stored: HashMap::new() })
    }

    /// Returns the trace's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Appends one event as one line.
    ///
    /// # Errors
    ///
    /// [`TraceError::Write`]; the trace then ends with the event before this one.
    pub fn append(&mut self, event: &TraceEvent) -> Result<(), TraceError> {
        let mut line = serde_json::to_vec(event).map_err(|error| write_error(error.into()))?;
        line.push(b'\n');
        if let Err(source) = self.file.write_all(&line) {
            // Shrinking a file works on a full disk too. Should it fail as well, the reader still
            // knows how to leave out a torn last line.
            let _ = self.file.set_len(self.whole);
            return Err(write_error(source));
        }
        self.whole += line.len() as u64;
        Ok(())
    }

    /// Stores a screenshot, unless the same pixels are stored already.
    ///
    /// # Errors
    ///
    /// [`TraceError::Encode`] or [`TraceError::Write`]; no half picture is left behind.
    pub fn add_screenshot(&mut self, screenshot: &Screenshot) -> Result<ImageRef, TraceError> {
        let fingerprint = screenshot.fingerprint();
        if let Some(stored) = self.stored.get(&fingerprint) {
            return Ok(stored.clone());
        }
        let (width, height) = screenshot.image.dimensions();
        let png = screenshot.to_png().map_err(|source| TraceError::Encode { source })?;
        let image = ImageRef { sha256: hex(&Sha256::digest(&png)), width, height };
        write_whole(&image_path(&self.dir, &image), &png).map_err(write_error)?;
        self.stored.insert(fingerprint, image.clone());
        Ok(image)
    }

    /// Forces everything written so far to the disk.
    ///
    /// # Errors
    ///
    /// [`TraceError::Write`] if the operating system cannot promise that.
    pub fn sync(&self) -> Result<(), TraceError> {
        self.file.sync_all().map_err(write_error)
    }
}

/// Returns where a picture of the trace in `dir` lies.
pub(super) fn image_path(dir: &Path, image: &ImageRef) -> PathBuf {
    dir.join(IMAGE_DIR).join(format!("{}.png", image.sha256))
}

/// Writes a file under another name and renames it, so that the name never holds half of it.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let partial = path.with_extension("png.partial");
    let written = fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

fn write_error(source: std::io::Error) -> TraceError {
    TraceError::Write { source }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
