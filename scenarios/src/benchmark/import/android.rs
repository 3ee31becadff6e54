//! Steps of Android episodes in the files they were published in: AndroidControl, whose records are whole
//! episodes, and AITW, whose records are single steps.
//!
//! # Source
//!
//! google-research 1d49f2c: `android_control/README.md`, `android_in_the_wild/README.md` and
//! `visualization_utils.py`; google-deepmind/android_env 1.2.3, `android_env/proto/a11y/*.proto`.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, RgbImage};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::records::Record;
use super::tfrecord::{Example, fields, in_message};
use crate::benchmark::item::{Step, StepKind, Target};
use crate::benchmark::region::Box2;
use crate::files::read_text;

/// The most bytes of the file that says which episodes are which.
const MAX_SPLITS: u64 = 64 << 20;

/// The most pixels of a screenshot.
const MAX_PIXELS: i64 = 64 << 20;

/// The domains of AITW, as its folders and files are called.
const DOMAINS: [&str; 5] = ["google_apps", "web_shopping", "install", "general", "single"];

/// Which instruction a step of AndroidControl is asked with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Level {
    /// The goal of the episode; the steps so far are its history.
    High,
    /// The words for this step alone.
    Low,
}

/// Which episodes of AndroidControl are for what.
#[derive(Debug, Default)]
pub(crate) struct Splits {
    split: BTreeMap<i64, String>,
    subsets: BTreeMap<i64, Vec<String>>,
}

impl Splits {
    /// Reads `splits.json` and `test_subsplits.json`, as far as they lie in a folder.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub(super) fn beside(folder: &Path) -> Result<Self, String> {
        let read = |name: &str| -> Result<BTreeMap<String, Vec<i64>>, String> {
            match read_text(&folder.join(name), MAX_SPLITS) {
                Ok(text) => serde_json::from_str(&text)
                    .map_err(|error| format!("`{name}` cannot be read: {error}")),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
                Err(error) => Err(format!("`{name}` cannot be read: {error}")),
            }
        };
        let mut splits = Self::default();
        for (name, episodes) in read("splits.json")? {
            for episode in episodes {
                splits.split.insert(episode, name.clone());
            }
        }
        for (name, episodes) in read("test_subsplits.json")? {
            for episode in episodes {
                splits.subsets.entry(episode).or_default().push(name.clone());
            }
        }
        Ok(splits)
    }
}

/// What a person did, as AndroidControl writes it.
#[derive(Deserialize)]
struct Done {
    action_type: String,
    x: Option<f64>,
    y: Option<f64>,
    direction: Option<String>,
    text: Option<String>,
    app_name: Option<String>,
}

/// Makes records of our own form of an episode of AndroidControl, one for each step.
pub(crate) fn control(
    example: &Example,
    level: Level,
    splits: &Splits,
    place: &str,
) -> Result<Vec<Record>, String> {
    let episode = example.int("episode_id")?;
    let goal = example.text("goal")?;
    let actions = example.texts("actions")?;
    let words = example.texts("step_instructions")?;
    let screenshots = example.bytes("screenshots")?;
    let trees = example.bytes("accessibility_trees")?;
    // The last screenshot shows what the last step has led to.
    if words.len() != actions.len() || screenshots.len() < actions.len() {
        return Err(format!(
            "episode {episode} has {} actions, {} instructions and {} screenshots",
            actions.len(),
            words.len(),
            screenshots.len()
        ));
    }
    let step = |at: usize, action: &String| -> Result<Record, String> {
        let bad = |problem: String| format!("step {at} of episode {episode}: {problem}");
        let done: Done = serde_json::from_str(action)
            .map_err(|error| bad(format!("the action `{action}` cannot be read: {error}")))?;
        let screenshot = &screenshots[at];
        let (width, height) = image::ImageReader::new(Cursor::new(screenshot))
            .with_guessed_format()
            .map_err(|error| bad(error.to_string()))?
            .into_dimensions()
            .map_err(|error| bad(format!("the screenshot cannot be read: {error}")))?;
        let sides = [f64::from(width), f64::from(height)];
        let boxes = trees.get(at).map_or(Ok(Vec::new()), |tree| things(tree, sides));
        let boxes = boxes
            .map_err(|error| bad(format!("the accessibility tree cannot be read: {error}")))?;
        let target = Target::Step(done.step(sides, boxes).map_err(bad)?);
        let mut tags = Map::new();
        tags.insert("episode".into(), episode.to_string().into());
        tags.insert("step".into(), at.to_string().into());
        tags.insert("target".into(), target.kind().into());
        if let Some(split) = splits.split.get(&episode) {
            tags.insert("split".into(), split.clone().into());
        }
        if let Some(subsets) = splits.subsets.get(&episode) {
            tags.insert("subset".into(), subsets.join("+").into());
        }
        let (instruction, history) = match level {
            Level::High => (&goal, &words[..at]),
            Level::Low => (&words[at], &[][..]),
        };
        let fields = json!({
            "id": format!("{episode}-{at}"), "instruction": instruction, "history": history,
            "target": target, "tags": tags,
        });
        let Value::Object(fields) = fields else { return Err(bad("it is no record".to_owned())) };
        let place = format!("{place}, step {at}");
        Ok(Record { place, fields, picture: Some(screenshot.clone()), example: None })
    };
    actions.iter().enumerate().map(|(at, action)| step(at, action)).collect()
}

impl Done {
    /// Makes a step of it, on a screen of these sides.
    fn step(self, [width, height]: [f64; 2], boxes: Vec<Box2>) -> Result<Step, String> {
        let kind = self.action_type.as_str();
        let point = |boxes| -> Result<Step, String> {
            let (Some(x), Some(y)) = (self.x, self.y) else {
                return Err(format!("the {kind} does not say where"));
            };
            let touch = Some([x / width, y / height]);
            Ok(Step { touch, lift: touch, boxes, ..Step::of(StepKind::Click) })
        };
        let named =
            |kind, text: Option<&str>| Step { text: text.map(str::to_owned), ..Step::of(kind) };
        Ok(match kind {
            "click" => point(boxes)?,
            "long_press" => Step { kind: StepKind::LongPress, ..point(boxes)? },
            // What is to be seen moves against the finger.
            "scroll" => {
                let (dx, dy) = match self.direction.as_deref() {
                    Some("up") => (0.0, 0.2),
                    Some("down") => (0.0, -0.2),
                    Some("left") => (0.2, 0.0),
                    Some("right") => (-0.2, 0.0),
                    other => {
                        return Err(format!("the scroll's direction is `{}`", other.unwrap_or("")));
                    }
                };
                let (touch, lift) = (Some([0.5, 0.5]), Some([0.5 + dx, 0.5 + dy]));
                Step { touch, lift, ..Step::of(StepKind::Scroll) }
            }
            "input_text" => named(StepKind::Type, self.text.as_deref()),
            "open_app" => named(StepKind::Open, self.app_name.as_deref()),
            "navigate_back" => named(StepKind::Press, Some("back")),
            "navigate_home" => named(StepKind::Press, Some("home")),
            "wait" => Step::of(StepKind::Wait),
            other => return Err(format!("the action `{other}` is unknown")),
        })
    }
}

/// Returns the boxes of what is visible, of an `AndroidAccessibilityForest`, in shares of the screen's sides.
fn things(forest: &[u8], [width, height]: [f64; 2]) -> quick_protobuf::Result<Vec<Box2>> {
    const WINDOWS: u32 = 0x0a;
    const TREE: u32 = 0x5a;
    const NODES: u32 = 0x0a;
    const BOUNDS: u32 = 0x12;
    const VISIBLE: u32 = 0xb8;
    let mut boxes = Vec::new();
    let mut node = |node| {
        let (mut bounds, mut visible) = ([0; 4], false);
        fields(node, |tag, reader, bytes| {
            match tag {
                BOUNDS => {
                    fields(reader.read_bytes(bytes)?, |tag, reader, bytes| {
                        match tag {
                            0x08 | 0x10 | 0x18 | 0x20 => {
                                bounds[(tag >> 3) as usize - 1] = reader.read_int32(bytes)?;
                            }
                            tag => reader.read_unknown(bytes, tag)?,
                        }
                        Ok(())
                    })?;
                }
                VISIBLE => visible = reader.read_bool(bytes)?,
                tag => reader.read_unknown(bytes, tag)?,
            }
            Ok(())
        })?;
        let [left, top, right, bottom] = bounds.map(f64::from);
        let area = [
            left.max(0.0) / width,
            top.max(0.0) / height,
            right.min(width) / width,
            bottom.min(height) / height,
        ];
        if visible && area[0] < area[2] && area[1] < area[3] {
            boxes.push(area);
        }
        Ok(())
    };
    in_message(forest, WINDOWS, |window| {
        in_message(window, TREE, |tree| in_message(tree, NODES, &mut node))
    })?;
    Ok(boxes)
}

/// Makes a record in the fields of AITZ of a step of AITW.
pub(crate) fn wild(example: &Example, file: &Path, place: &str) -> Result<Record, String> {
    let (episode, step) = (example.text("episode_id")?, example.int("step_id")?);
    let touch = example.floats("results/yx_touch")?;
    let lift = example.floats("results/yx_lift")?;
    let things = example.floats("image/ui_annotations_positions")?;
    let (boxes, rest) = things.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(format!("the boxes have {} numbers, not four each", things.len()));
    }
    let typed = example.text("results/type_action").unwrap_or_default();
    let mut fields = json!({
        "id": format!("{episode}-{step}"), "episode_id": episode, "step_id": step,
        "instruction": example.text("goal_info")?,
        "result_action_type": example.int("results/action_type")?,
        "result_touch_yx": touch, "result_lift_yx": lift, "result_action_text": typed,
        "ui_positions": boxes,
    });
    // The files are called `general-00000-of-00321`, and lie in a folder `general`.
    let name = file.to_string_lossy();
    if let Some(domain) = DOMAINS.iter().find(|domain| name.contains(**domain)) {
        fields["subset"] = Value::from(*domain);
    }
    let Value::Object(fields) = fields else { return Err("it is no record".to_owned()) };
    let picture = Some(screenshot(example)?);
    Ok(Record { place: place.to_owned(), fields, picture, example: None })
}

/// Returns AITW's screenshot, which is stored as bare pixels, as a PNG.
fn screenshot(example: &Example) -> Result<Vec<u8>, String> {
    let side = |name: &str| {
        let side = example.int(name)?;
        let fits = (1..=MAX_PIXELS).contains(&side).then(|| u32::try_from(side).ok()).flatten();
        fits.ok_or_else(|| format!("`{name}` is {side}"))
    };
    let (width, height) = (side("image/width")?, side("image/height")?);
    let channels = example.int("image/channels")?;
    if channels != 3 {
        return Err(format!("the screenshot has {channels} channels, not 3"));
    }
    let pixels = example.bytes("image/encoded")?.first().cloned().unwrap_or_default();
    let length = pixels.len();
    if i64::from(width) * i64::from(height) > MAX_PIXELS
        || length as u64 != u64::from(width) * u64::from(height) * 3
    {
        return Err(format!("the screenshot of {width}×{height} has {length} bytes"));
    }
    let image = RgbImage::from_raw(width, height, pixels).ok_or("the screenshot is too small")?;
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png).map_err(|error| error.to_string())?;
    Ok(png.into_inner())
}
