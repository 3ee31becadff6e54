//! The pictures of a set: found beside its annotations, or taken out of them.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use fs_err as fs;
use handsight_actions::Size;
use image::{ImageFormat, ImageReader};

use crate::files::{replace, short_digest};

/// The most bytes of one picture.
const MAX_PICTURE: u64 = 256 << 20;

/// Where the pictures are, and what is known of them.
pub(super) struct Pictures {
    root: PathBuf,
    /// The folder of the dataset, whose `images` gets those that come with the annotations.
    out: Option<PathBuf>,
    seen: HashMap<String, (Size, String)>,
    took_out: bool,
    /// The folders and files that this import made, which go again if it comes to nothing.
    made: Vec<PathBuf>,
}

impl Drop for Pictures {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            // A folder stays if there is something else in it.
            let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
        }
    }
}

impl Pictures {
    pub(super) fn new(root: PathBuf, out: Option<PathBuf>) -> Self {
        Self { root, out, seen: HashMap::new(), took_out: false, made: Vec::new() }
    }

    /// Returns the folder of the pictures as the dataset is to name it.
    pub(super) fn root(&self) -> PathBuf {
        if self.took_out {
            return PathBuf::from("images");
        }
        fs::canonicalize(&self.root).unwrap_or_else(|_| self.root.clone())
    }

    /// Returns the size of a picture beside the annotations, and the beginning of its hash.
    pub(super) fn find(&mut self, name: &str) -> Result<(Size, String), String> {
        if let Some(known) = self.seen.get(name) {
            return Ok(known.clone());
        }
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || name.is_empty() {
            return Err(format!("the picture `{name}` lies outside the folder of pictures"));
        }
        let path = self.root.join(name);
        let length = fs::metadata(&path)
            .map_err(|_| format!("the picture `{name}` is not in `{}`", self.root.display()))?;
        if length.len() > MAX_PICTURE {
            return Err(format!("the picture `{name}` has over {MAX_PICTURE} bytes"));
        }
        let bytes = fs::read(&path).map_err(|error| error.to_string())?;
        let known = (measure(name, &bytes)?.0, short_digest(&bytes));
        self.seen.insert(name.to_owned(), known.clone());
        Ok(known)
    }

    /// Says that the import has come to a dataset, which its pictures are part of.
    pub(super) fn stay(mut self) {
        self.made.clear();
    }

    /// Keeps a picture that came with the annotations and returns the name of its file, its size and the
    /// beginning of its hash.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Result<(String, Size, String), String> {
        self.took_out = true;
        let digest = short_digest(bytes);
        let (size, format) = measure("in the record", bytes)?;
        let extension = format.extensions_str().first().unwrap_or(&"png");
        let name = format!("{digest}.{extension}");
        if let Some(out) = &self.out
            && !self.seen.contains_key(&name)
        {
            let folder = out.join("images");
            let file = folder.join(&name);
            let missing = folder.ancestors().take_while(|folder| !folder.exists());
            let mut missing: Vec<_> = missing.map(Path::to_owned).collect();
            missing.reverse();
            self.made.append(&mut missing);
            if !file.exists() {
                self.made.push(file.clone());
            }
            let written = fs::create_dir_all(&folder).and_then(|()| replace(&file, bytes));
            written.map_err(|error| error.to_string())?;
        }
        self.seen.insert(name.clone(), (size, digest.clone()));
        Ok((name, size, digest))
    }
}

/// Returns the size and the format of a picture, by its head.
fn measure(name: &str, bytes: &[u8]) -> Result<(Size, ImageFormat), String> {
    let bad = |problem: String| format!("the picture `{name}` cannot be read: {problem}");
    let reader = ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format();
    let reader = reader.map_err(|error| bad(error.to_string()))?;
    let format = reader.format().ok_or_else(|| bad("it is of no known format".to_owned()))?;
    let (width, height) = reader.into_dimensions().map_err(|error| bad(error.to_string()))?;
    Ok((Size { width, height }, format))
}
