//! Anchors on disk: a folder beside the scenario, fit for version control.
//!
//! `anchors.yaml` says where each was, one PNG holds what it looked like. Files are replaced whole, so
//! a run that is killed leaves what was there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fs_err as fs;
use handsight_actions::yaml::from_yaml;
use handsight_actions::{PixelPoint, Rect, Size};
use image::{ImageReader, Limits, RgbImage};
use serde::{Deserialize, Serialize};

use super::Anchor;
use crate::files::{read_text, replace, short_digest};

/// The version of the format.
const ANCHORS_VERSION: u32 = 1;

/// The name of the list in the folder.
const LIST: &str = "anchors.yaml";

/// The most anchors of a scenario, and the most bytes of its list.
const MAX_ANCHORS: usize = 10_000;
const MAX_LIST_BYTES: u64 = 8 << 20;

/// The most looks of one target.
const MAX_LOOKS: usize = 16;

/// The largest side of a picture, in pixels.
const MAX_SIDE: u32 = 1024;

/// Which target an anchor is of: the words that name it, and which of the steps that have these very
/// words it is, so that a step put in before it changes nothing.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct AnchorKey {
    /// The words, as they were when its step ran.
    pub target: String,
    /// Its number among the steps with these words, from 1.
    pub nth: u32,
}

/// The anchors of one scenario.
///
/// A target has several looks if its step is done several times and the screen is another one each
/// time, as a button that comes to have the pointer over it.
#[derive(Debug)]
pub struct Anchors {
    folder: PathBuf,
    by_key: BTreeMap<AnchorKey, Vec<Anchor>>,
    /// Looks whose pictures are not on disk yet.
    changed: Vec<(AnchorKey, usize)>,
}

/// Why anchors cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// A file cannot be read or written.
    #[error("could not {task} the anchors")]
    File {
        /// What was done.
        task: &'static str,
        /// What the operating system said; it names the file.
        #[source]
        source: std::io::Error,
    },
    /// The list says something that is not known.
    #[error("anchors `{}`, line {line}, column {column}: {problem}", .path.display())]
    Syntax {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What is wrong there.
        problem: String,
    },
    /// A picture is not what the list says.
    #[error("the anchor `{}` {problem}", .path.display())]
    Picture {
        /// The picture.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl AnchorError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File { .. } => None,
            Self::Syntax { .. } | Self::Picture { .. } => Some(
                "`--anchors refresh` makes all anchors anew; `--anchors off` runs without them",
            ),
        }
    }
}

/// The list, as it is written.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct List {
    version: u32,
    anchors: Vec<Entry>,
}

/// One anchor of the list. Rectangles are `[x, y, width, height]`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    target: String,
    nth: u32,
    picture: String,
    screen: [u32; 2],
    point: [i32; 2],
    area: [i32; 4],
    around: [i32; 4],
    #[serde(default = "alone", skip_serializing_if = "is_alone")]
    like_it: usize,
}

/// Most targets are like nothing else.
fn alone() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_alone(like_it: &usize) -> bool {
    *like_it == 1
}

impl Anchors {
    /// Returns the folder of a scenario's anchors.
    pub fn folder_of(scenario: &Path) -> PathBuf {
        scenario.with_extension("anchors")
    }

    /// Starts without any; saving replaces those that are there.
    pub fn empty(folder: PathBuf) -> Self {
        Self { folder, by_key: BTreeMap::new(), changed: Vec::new() }
    }

    /// Reads a folder; one that is not there has no anchors yet.
    ///
    /// # Errors
    ///
    /// [`AnchorError`] if something in it is damaged, too: doubtful anchors are worse than none.
    pub fn open(folder: PathBuf) -> Result<Self, AnchorError> {
        let path = folder.join(LIST);
        let mut anchors = Self::empty(folder);
        let text = match read_text(&path, MAX_LIST_BYTES) {
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(anchors),
            other => other.map_err(|source| AnchorError::File { task: "read", source })?,
        };
        let syntax = |line, column, problem| AnchorError::Syntax {
            path: path.clone(),
            line,
            column,
            problem,
        };
        let list: List =
            from_yaml(&text).map_err(|error| syntax(error.line, error.column, error.problem))?;
        if list.version != ANCHORS_VERSION || list.anchors.len() > MAX_ANCHORS {
            let (version, count) = (list.version, list.anchors.len());
            let problem =
                format!("version {version} with {count} anchors is not read by this build");
            return Err(syntax(1, 1, problem));
        }
        for entry in list.anchors {
            let (key, anchor) = anchors.read(entry)?;
            anchors.by_key.entry(key).or_default().push(anchor);
        }
        Ok(anchors)
    }

    fn read(&self, entry: Entry) -> Result<(AnchorKey, Anchor), AnchorError> {
        // A name with a folder in it could be any file of the user's.
        let path = self.folder.join(Path::new(&entry.picture).file_name().unwrap_or_default());
        let wrong = |problem: String| AnchorError::Picture { path: path.clone(), problem };
        let picture = read_picture(&path).map_err(|error| wrong(error.to_string()))?;
        let rect = |[x, y, width, height]: [i32; 4]| {
            let [width, height] = [width, height].map(|side| u32::try_from(side).unwrap_or(0));
            Rect { x, y, width, height }
        };
        let [width, height] = entry.screen;
        let screen = Size { width, height };
        let anchor = Anchor {
            screen,
            point: PixelPoint { x: entry.point[0], y: entry.point[1] },
            target: rect(entry.area),
            around: rect(entry.around),
            picture,
            like_it: entry.like_it,
        };
        let (target, around, point) = (anchor.target, anchor.around, anchor.point);
        let inside = |outer: Rect, inner: Rect| outer.intersection(inner) == Some(inner);
        if anchor.picture.dimensions() != (around.width, around.height) {
            let (width, height) = anchor.picture.dimensions();
            return Err(wrong(format!(
                "has {width}×{height} pixels where the list says {}×{}",
                around.width, around.height
            )));
        }
        let screen = Rect::whole(screen);
        if !(target.contains(point) && inside(around, target) && inside(screen, around)) {
            return Err(wrong("lies where the list says it cannot".to_owned()));
        }
        Ok((AnchorKey { target: entry.target, nth: entry.nth }, anchor))
    }

    /// Returns the folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the looks of a target that are remembered.
    pub fn looks(&self, key: &AnchorKey) -> &[Anchor] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    /// Remembers a look of a target in the place of the first that is not among `seen`, and returns
    /// its index.
    pub fn put(&mut self, key: AnchorKey, anchor: Anchor, seen: &BTreeSet<usize>) -> usize {
        let looks = self.by_key.entry(key.clone()).or_default();
        let free = (0..MAX_LOOKS).find(|index| !seen.contains(index));
        let index = free.unwrap_or(MAX_LOOKS - 1).min(looks.len());
        if let Some(look) = looks.get_mut(index) {
            *look = anchor;
        } else {
            looks.push(anchor);
        }
        self.changed.push((key, index));
        index
    }

    /// Takes over what others remember of targets that are not known here.
    pub(crate) fn complete(&mut self, others: Self) {
        for (key, looks) in others.by_key {
            self.by_key.entry(key).or_insert(looks);
        }
    }

    /// Returns what stands for all of them, pictures included.
    pub(crate) fn fingerprint(&self) -> String {
        let mut bytes = Vec::new();
        for (key, _, anchor) in self.all() {
            bytes.extend(format!("{key:?}{:?}{:?}", anchor.point, anchor.around).into_bytes());
            bytes.extend_from_slice(anchor.picture.as_raw());
        }
        short_digest(&bytes)
    }

    /// Returns whether there is anything to save.
    pub fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Writes what was changed.
    ///
    /// # Errors
    ///
    /// [`AnchorError::File`] if a file cannot be written; those that are there stay whole.
    pub fn save(&mut self) -> Result<(), AnchorError> {
        let failed = |source| AnchorError::File { task: "write", source };
        fs::create_dir_all(&self.folder).map_err(failed)?;
        for (key, index) in std::mem::take(&mut self.changed) {
            let Some(anchor) = self.looks(&key).get(index) else { continue };
            let mut png = std::io::Cursor::new(Vec::new());
            let encoded = anchor.picture.write_to(&mut png, image::ImageFormat::Png);
            encoded.map_err(|error| failed(std::io::Error::other(error)))?;
            let name = picture_name(&key, index);
            replace(&self.folder.join(name), png.get_ref()).map_err(failed)?;
        }
        let text = self.list_text().map_err(failed)?;
        replace(&self.folder.join(LIST), text.as_bytes()).map_err(failed)?;
        self.remove_others().map_err(failed)
    }

    /// Returns every look of every target.
    fn all(&self) -> impl Iterator<Item = (&AnchorKey, usize, &Anchor)> {
        self.by_key.iter().flat_map(|(key, looks)| {
            looks.iter().enumerate().map(move |(index, look)| (key, index, look))
        })
    }

    /// Returns the text of the list.
    fn list_text(&self) -> std::io::Result<String> {
        let numbers =
            |rect: Rect| [rect.x, rect.y, rect.width.cast_signed(), rect.height.cast_signed()];
        let entries = self.all().map(|(key, index, anchor)| Entry {
            target: key.target.clone(),
            nth: key.nth,
            picture: picture_name(key, index),
            screen: [anchor.screen.width, anchor.screen.height],
            point: [anchor.point.x, anchor.point.y],
            area: numbers(anchor.target),
            around: numbers(anchor.around),
            like_it: anchor.like_it,
        });
        let list = List { version: ANCHORS_VERSION, anchors: entries.collect() };
        serde_saphyr::to_string(&list).map_err(std::io::Error::other)
    }

    /// Removes pictures that no anchor has any more; other files are not ours.
    fn remove_others(&self) -> std::io::Result<()> {
        let ours: BTreeSet<String> =
            self.all().map(|(key, index, _)| picture_name(key, index)).collect();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if is_picture_name(name) && !ours.contains(name) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn read_picture(path: &Path) -> image::ImageResult<RgbImage> {
    let mut reader = ImageReader::open(path)?;
    reader.set_format(image::ImageFormat::Png);
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    Ok(reader.decode()?.into_rgb8())
}

/// Returns a name that people recognise, and no two looks share.
fn picture_name(key: &AnchorKey, index: usize) -> String {
    let words: String = key
        .target
        .chars()
        .map(|char| if char.is_alphanumeric() { char.to_ascii_lowercase() } else { '-' })
        .take(32)
        .collect();
    let hash = key
        .target
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let look = if index == 0 { String::new() } else { format!("-{}", index + 1) };
    format!("{}-{hash:08x}-{}{look}.png", words.trim_matches('-'), key.nth)
}

/// Returns whether a file has a name as [`picture_name`] makes them.
fn is_picture_name(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".png") else { return false };
    let is_number =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_hash = |part: &str| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut parts = stem.rsplit('-').skip_while(is_number);
    parts.next().is_some_and(is_hash) && stem.ends_with(|char: char| char.is_ascii_digit())
}
