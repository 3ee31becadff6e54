//! What published sets are written in: which field is what, and what the numbers of a box mean.
//!
//! The form of a box is part of the schema and never guessed from its values: one scorer that guesses
//! misreads 61 of the 1272 boxes of ScreenSpot-v2.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use handsight_actions::Size;
use serde_json::{Map, Value};

use super::android::Level;
use super::pictures::Pictures;
use super::records::{Kind, Record};
use super::step;
use crate::benchmark::dataset::BoxForm;
use crate::benchmark::item::{Item, Target};

/// What a set's annotations are written in.
#[derive(Debug)]
pub struct Schema {
    /// The name `--as` takes.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// How many items the published set has, if that is known.
    pub count: Option<usize>,
    /// How many there are of each kind of a tag, as published: tag, value, count.
    pub counts: &'static [(&'static str, &'static str, usize)],
    pub(super) boxes: Boxes,
    /// What a record of a file holds.
    pub(super) holds: Holds,
    image: &'static str,
    instruction: &'static str,
    id: Option<&'static str>,
    size: Option<&'static str>,
    /// Tags, and the fields they are in.
    tags: &'static [(&'static str, &'static str)],
    /// Whether the platform is in the name of the file.
    platform_of_file: bool,
}

/// What a record of a file holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Holds {
    /// An item.
    Item,
    /// A step of AITW, in a file of TFRecords.
    WildStep,
    /// An episode of AndroidControl, in a file of TFRecords.
    ControlEpisode(Level),
    /// An episode of AgentNetBench, whose pictures lie in a folder `images`.
    AgentnetEpisode,
}

/// What the target of a record is in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Boxes {
    /// `bbox`: left, top, right, bottom, in pixels.
    Corners,
    /// The same, whose corners may be swapped: UI-Vision's own scorer sorts them.
    CornersInAnyOrder,
    /// `bbox`: left, top, width, height, in pixels.
    Extent,
    /// `bbox`: left, top, right, bottom, in shares of the sides.
    UnitCorners,
    /// `box_type` and `box_coordinates`: OSWorld-G as published.
    Typed,
    /// `bbox`: a box, more numbers of a polygon, or zeros for a refusal: the copy of MAI-UI.
    Mixed,
    /// The fields of AITZ's steps.
    Step,
    /// The fields of an item of ours.
    Own,
}

impl Boxes {
    pub(super) fn form(self) -> BoxForm {
        match self {
            Self::Extent | Self::Typed => BoxForm::Extent,
            Self::UnitCorners => BoxForm::UnitCorners,
            _ => BoxForm::Corners,
        }
    }
}

const V1_TAGS: &[(&str, &str)] = &[("ui_type", "data_type"), ("data_source", "data_source")];

const PRO_TAGS: &[(&str, &str)] = &[
    ("platform", "platform"),
    ("ui_type", "ui_type"),
    ("group", "group"),
    ("application", "application"),
];

const STEP_TAGS: &[(&str, &str)] =
    &[("subset", "subset"), ("episode", "episode_id"), ("step", "step_id")];

/// What most schemas have in common.
const PLAIN: Schema = Schema {
    name: "",
    about: "",
    count: None,
    counts: &[],
    boxes: Boxes::Corners,
    holds: Holds::Item,
    image: "img_filename",
    instruction: "instruction",
    id: None,
    size: None,
    tags: &[],
    platform_of_file: false,
};

const PRO: Schema = Schema { id: Some("id"), size: Some("img_size"), tags: PRO_TAGS, ..PLAIN };

const TSV: Schema =
    Schema { image: "image_path", instruction: "question", id: Some("index"), ..PLAIN };

const OWN: Schema = Schema { boxes: Boxes::Own, image: "image", id: Some("id"), ..PLAIN };

/// All schemas that are read.
pub const SCHEMAS: &[Schema] = &[
    Schema {
        name: "screenspot",
        about: "ScreenSpot by SeeClick: screenspot_{mobile,desktop,web}.json, boxes as extents",
        count: Some(1272),
        counts: &[
            ("platform", "mobile", 502),
            ("platform", "desktop", 334),
            ("platform", "web", 436),
        ],
        boxes: Boxes::Extent,
        tags: V1_TAGS,
        platform_of_file: true,
        ..PLAIN
    },
    Schema {
        name: "screenspot-hf",
        about: "ScreenSpot as rootsautomation published it: boxes as shares of the sides",
        count: Some(1272),
        boxes: Boxes::UnitCorners,
        image: "file_name",
        tags: V1_TAGS,
        platform_of_file: true,
        ..PLAIN
    },
    Schema {
        name: "screenspot-v2",
        about: "ScreenSpot-v2 by OS-Atlas: screenspot_{mobile,desktop,web}_v2.json, boxes as extents",
        count: Some(1272),
        counts: &[
            ("platform", "mobile", 501),
            ("platform", "desktop", 334),
            ("platform", "web", 437),
        ],
        boxes: Boxes::Extent,
        tags: V1_TAGS,
        platform_of_file: true,
        ..PLAIN
    },
    Schema {
        name: "screenspot-v2-gui-actor",
        about: "ScreenSpot-v2 in the copy of GUI-Actor: boxes as corners",
        count: Some(1272),
        size: Some("img_size"),
        tags: &[("platform", "platform"), ("ui_type", "ui_type"), ("group", "group")],
        ..PLAIN
    },
    Schema {
        name: "screenspot-v2-mai",
        about: "ScreenSpot-v2 in the copy of MAI-UI: boxes as corners, platforms from the names of pictures",
        count: Some(1272),
        tags: &[("ui_type", "ui_type"), ("application", "application")],
        platform_of_file: true,
        ..PRO
    },
    Schema {
        name: "screenspot-pro",
        about: "ScreenSpot-Pro: a folder of 26 .json files, boxes as corners",
        count: Some(1581),
        counts: &[
            ("ui_type", "text", 977),
            ("ui_type", "icon", 604),
            ("group", "Creative", 341),
            ("group", "Dev", 299),
            ("group", "CAD", 261),
            ("group", "Scientific", 254),
            ("group", "Office", 230),
            ("group", "OS", 196),
        ],
        ..PRO
    },
    Schema {
        name: "osworld-g",
        about: "OSWorld-G as published: boxes as extents, polygons, refusals",
        count: Some(564),
        boxes: Boxes::Typed,
        image: "image",
        id: Some("id"),
        size: Some("image_size"),
        tags: &[("box_type", "box_type"), ("category", "GUI_types")],
        ..PLAIN
    },
    Schema {
        name: "osworld-g-mai",
        about: "OSWorld-G, also refined, in the copy of MAI-UI: polygons and refusals inside `bbox`",
        count: Some(564),
        counts: &[("target", "bbox", 470), ("target", "polygon", 40), ("target", "refusal", 54)],
        boxes: Boxes::Mixed,
        ..PRO
    },
    Schema {
        name: "ui-vision",
        about: "UI-Vision, element grounding: corners in any order",
        boxes: Boxes::CornersInAnyOrder,
        image: "image_path",
        instruction: "prompt_to_evaluate",
        size: Some("image_size"),
        tags: &[("application", "platform"), ("category", "category"), ("ui_type", "element_type")],
        ..PLAIN
    },
    Schema {
        name: "mmbench-gui-l2",
        about: "MMBench-GUI, level 2: boxes as corners",
        count: Some(3594),
        ..PRO
    },
    Schema {
        name: "vlmevalkit-screenspot",
        about: "VLMEvalKit's .tsv of ScreenSpot and ScreenSpot-v2: boxes as extents",
        boxes: Boxes::Extent,
        tags: &[("ui_type", "data_type"), ("data_source", "data_source"), ("category", "category")],
        platform_of_file: true,
        ..TSV
    },
    Schema {
        name: "vlmevalkit-screenspot-pro",
        about: "VLMEvalKit's .tsv of ScreenSpot-Pro: boxes as corners",
        tags: &[("ui_type", "ui_type"), ("application", "application"), ("category", "category")],
        ..TSV
    },
    Schema {
        name: "aitz",
        about: "AITZ's steps, and AITW's and AndroidControl's in the same fields, as AgentCPM-GUI writes them",
        boxes: Boxes::Step,
        image: "image_path",
        tags: STEP_TAGS,
        ..PLAIN
    },
    Schema {
        name: "aitw",
        about: "AITW as published: files of TFRecords, a step in each record",
        boxes: Boxes::Step,
        holds: Holds::WildStep,
        image: "image",
        id: Some("id"),
        tags: STEP_TAGS,
        ..PLAIN
    },
    Schema {
        name: "android-control",
        about: "AndroidControl as published: files of TFRecords, an episode in each record; asked with its goal",
        holds: Holds::ControlEpisode(Level::High),
        ..OWN
    },
    Schema {
        name: "android-control-low",
        about: "the same, each step asked with its own instruction",
        holds: Holds::ControlEpisode(Level::Low),
        ..OWN
    },
    Schema {
        name: "agentnetbench",
        about: "AgentNetBench: a .json file for each episode, pictures in `images`",
        holds: Holds::AgentnetEpisode,
        ..OWN
    },
    Schema {
        name: "handsight",
        about: "our own: JSON Lines with id, image, instruction, target, tags",
        ..OWN
    },
];

impl Schema {
    /// Returns the schema of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SCHEMAS.iter().find(|schema| schema.name == name)
    }

    /// Whether annotations in this schema are in files of that kind.
    pub(super) fn is_in(&self, kind: Kind) -> bool {
        let in_tfrecords = matches!(self.holds, Holds::WildStep | Holds::ControlEpisode(_));
        in_tfrecords == (kind == Kind::TfRecord)
    }

    /// Whether a file of JSON is one record.
    pub(super) fn has_a_file_each(&self) -> bool {
        self.holds == Holds::AgentnetEpisode
    }

    /// Returns the folder of the pictures, by that of the annotations.
    pub(super) fn images_beside(&self, folder: &Path) -> PathBuf {
        let own = folder.join("images");
        if self.has_a_file_each() && own.is_dir() { own } else { folder.to_owned() }
    }

    /// Makes an item of a record, or says why it cannot; nothing of one without the tag that was asked for.
    /// `file` is the record's, and its number there.
    pub(super) fn item(
        &self,
        record: Record,
        (file, number): (&Path, usize),
        only: Option<&(String, String)>,
        pictures: &mut Pictures,
    ) -> Result<Option<Item>, String> {
        let Record { fields, picture, .. } = record;
        let stem = stem(file);
        let mut tags = self.tags(&fields)?;
        // The platform may be in the name of the picture, too, which is known below.
        if self.platform_of_file
            && let Some(platform) = platform(&stem)
        {
            tags.insert("platform".to_owned(), platform.to_owned());
        }
        let has = |(tag, value): &(String, String)| {
            tags.get(tag).is_some_and(|has| has.split('+').any(|part| part == value))
        };
        if only.is_some_and(|only| !has(only)) {
            return Ok(None);
        }
        let (image, size, image_sha256) = if let Some(bytes) = &picture {
            pictures.keep(bytes)?
        } else {
            // Copies of the same set name this field differently; what it holds is never in doubt.
            let field = if fields.contains_key(self.image) { self.image } else { "image_path" };
            let field = if fields.contains_key(field) { field } else { self.image };
            let name = text(&fields, field)?;
            let (size, digest) = pictures.find(&name)?;
            (name, size, digest)
        };
        // Corners would be taken for extents, silently: sets that say sizes are written otherwise.
        let foreign =
            ["img_size", "image_size"].into_iter().find(|field| fields.contains_key(*field));
        if let (None, Boxes::Extent, Some(field)) = (self.size, self.boxes, foreign) {
            return Err(format!(
                "it has `{field}`, which `{}` has not: it is written in another schema",
                self.name
            ));
        }
        if let Some(field) = self.size {
            check_size(&fields, field, size)?;
        }
        let id = match self.id.and_then(|field| fields.get(field)) {
            Some(id) => plain(id).ok_or("its id is neither text nor a number")?,
            None => format!("{stem}-{number:04}"),
        };
        if self.platform_of_file
            && !tags.contains_key("platform")
            && let Some(platform) = platform(&image)
        {
            tags.insert("platform".to_owned(), platform.to_owned());
        }
        let mut history = Vec::new();
        if self.boxes == Boxes::Own {
            history = own(&fields, "history")?;
        }
        if let Some(Value::Array(steps)) = fields.get("history") {
            history = steps.iter().filter_map(plain).collect();
        }
        let target = self.target(&fields, size)?;
        if matches!(self.boxes, Boxes::Mixed | Boxes::Typed | Boxes::Step) {
            tags.insert("target".to_owned(), target.kind().to_owned());
        }
        let instruction = text(&fields, self.instruction)?;
        Ok(Some(Item { id, image, image_sha256, size, instruction, history, target, tags }))
    }

    /// Returns the tags that stand in a record.
    fn tags(&self, fields: &Map<String, Value>) -> Result<BTreeMap<String, String>, String> {
        if self.boxes == Boxes::Own {
            return own(fields, "tags");
        }
        let value =
            |(tag, field): &(&str, &str)| Some(((*tag).to_owned(), plain(fields.get(*field)?)?));
        Ok(self.tags.iter().filter_map(value).collect())
    }

    pub(crate) fn target(&self, fields: &Map<String, Value>, size: Size) -> Result<Target, String> {
        let (width, height) = (f64::from(size.width), f64::from(size.height));
        let of_four = |numbers: &[f64]| {
            <[f64; 4]>::try_from(numbers)
                .map_err(|_| format!("`bbox` has {} numbers, not 4", numbers.len()))
        };
        let extent = |[x, y, w, h]: [f64; 4]| [x, y, x + w, y + h];
        Ok(match self.boxes {
            Boxes::Corners => Target::Box(of_four(&numbers(fields, "bbox")?)?),
            Boxes::CornersInAnyOrder => {
                let [ax, ay, bx, by] = of_four(&numbers(fields, "bbox")?)?;
                Target::Box([ax.min(bx), ay.min(by), ax.max(bx), ay.max(by)])
            }
            Boxes::Extent => Target::Box(extent(of_four(&numbers(fields, "bbox")?)?)),
            Boxes::UnitCorners => {
                let area = of_four(&numbers(fields, "bbox")?)?;
                if area.iter().any(|share| !(0.0..=1.0).contains(share)) {
                    return Err(format!("`bbox` {area:?} is not in shares of the sides"));
                }
                let [left, top, right, bottom] = area;
                Target::Box([left * width, top * height, right * width, bottom * height])
            }
            Boxes::Typed => match text(fields, "box_type")?.as_str() {
                "bbox" => Target::Box(extent(of_four(&numbers(fields, "box_coordinates")?)?)),
                "polygon" => Target::Polygon(corners(&numbers(fields, "box_coordinates")?)?),
                "refusal" => Target::Refusal,
                other => {
                    return Err(format!("`box_type` is `{other}`, not bbox, polygon or refusal"));
                }
            },
            Boxes::Mixed => {
                let numbers = numbers(fields, "bbox")?;
                match numbers.len() {
                    4 if numbers.iter().all(|number| *number == 0.0) => Target::Refusal,
                    4 => Target::Box(of_four(&numbers)?),
                    _ => Target::Polygon(corners(&numbers)?),
                }
            }
            Boxes::Step => Target::Step(step::read(fields)?),
            Boxes::Own => own(fields, "target")?,
        })
    }
}

/// Returns the name of a file without its folder and its endings.
fn stem(file: &Path) -> String {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split('.').next().unwrap_or(name).to_owned()
}

/// Returns the platform that a name has in it.
fn platform(name: &str) -> Option<&'static str> {
    let name = name.rsplit('/').next()?.to_ascii_lowercase();
    let has = |words: &[&str]| {
        words.iter().any(|word| name.starts_with(word) || name.contains(&format!("_{word}")))
    };
    if has(&["mobile", "ios", "android"]) {
        Some("mobile")
    } else if has(&["desktop", "pc"]) {
        Some("desktop")
    } else if has(&["web"]) {
        Some("web")
    } else {
        None
    }
}

/// Returns a field that must be there, as text.
pub(super) fn text(fields: &Map<String, Value>, field: &str) -> Result<String, String> {
    let value = fields.get(field).ok_or_else(|| {
        let known: Vec<_> = fields.keys().take(12).map(String::as_str).collect();
        format!("there is no `{field}`; the fields are {}", known.join(", "))
    })?;
    plain(value).ok_or_else(|| format!("`{field}` is no text"))
}

/// Returns a value as a word: text, a number, or a list of those.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(parts) => {
            let parts: Option<Vec<_>> = parts.iter().map(plain).collect();
            Some(parts?.join("+"))
        }
        _ => None,
    }
}

/// Returns a list of finite numbers.
pub(super) fn numbers(fields: &Map<String, Value>, field: &str) -> Result<Vec<f64>, String> {
    let value = fields.get(field).ok_or_else(|| format!("there is no `{field}`"))?;
    let list =
        value.as_array().ok_or_else(|| format!("`{field}` is no list of numbers: {value}"))?;
    let numbers: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
    numbers.ok_or_else(|| format!("`{field}` has something that is no number: {value}"))
}

/// Returns the corners of a polygon of its flat list.
fn corners(numbers: &[f64]) -> Result<Vec<[f64; 2]>, String> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if rest.is_empty() {
        Ok(pairs.to_vec())
    } else {
        Err(format!("the polygon has {} numbers, which is odd", numbers.len()))
    }
}

/// Reads a field of ours; its default if it is not there and may be missing.
fn own<T: serde::de::DeserializeOwned>(
    fields: &Map<String, Value>,
    field: &str,
) -> Result<T, String> {
    let empty = match field {
        "tags" => Value::Object(Map::new()),
        "history" => Value::Array(Vec::new()),
        _ => Value::Null,
    };
    let value = fields.get(field).cloned().unwrap_or(empty);
    serde_json::from_value(value).map_err(|error| format!("`{field}` cannot be used: {error}"))
}

/// Compares the size that the annotation says with that of the picture.
fn check_size(fields: &Map<String, Value>, field: &str, size: Size) -> Result<(), String> {
    let said = numbers(fields, field)?;
    if said == [f64::from(size.width), f64::from(size.height)] {
        return Ok(());
    }
    Err(format!("`{field}` says {said:?} but the picture is {size}"))
}
