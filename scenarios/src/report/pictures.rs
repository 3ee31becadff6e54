//! Screenshots of a run on disk, each once however often it was seen.

use std::collections::BTreeSet;
use std::path::PathBuf;

use fs_err as fs;
use handsight_actions::{PixelPoint, Screenshot};
use image::codecs::webp::WebPEncoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The folder of a run's pictures.
#[derive(Debug)]
pub struct PictureFolder {
    folder: PathBuf,
    /// The fingerprints of those that are there.
    kept: BTreeSet<u64>,
}

/// A screenshot that was kept, and what was acted on.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Picture {
    /// Its file in the folder.
    pub file: String,
    /// Its width, in pixels.
    pub width: u32,
    /// Its height, in pixels.
    pub height: u32,
    /// Where a target was, in its pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<PixelPoint>,
}

impl PictureFolder {
    /// Uses a folder, which is made when the first picture comes.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, kept: BTreeSet::new() }
    }

    /// Keeps a screenshot.
    ///
    /// # Errors
    ///
    /// What the operating system said; it names the file.
    pub(crate) fn keep(
        &mut self,
        screenshot: &Screenshot,
        point: Option<PixelPoint>,
    ) -> std::io::Result<Picture> {
        let (fingerprint, image) = (screenshot.fingerprint(), &screenshot.image);
        let file = format!("{fingerprint:016x}.webp");
        if self.kept.insert(fingerprint) {
            fs::create_dir_all(&self.folder)?;
            let mut bytes = Vec::new();
            image
                .write_with_encoder(WebPEncoder::new_lossless(&mut bytes))
                .map_err(std::io::Error::other)?;
            fs::write(self.folder.join(&file), bytes)?;
        }
        Ok(Picture { file, width: image.width(), height: image.height(), point })
    }
}
