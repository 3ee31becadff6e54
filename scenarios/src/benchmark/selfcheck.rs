//! Known answers: sizes, prompts, readers, rules and statistics, checked in a moment and without weights
//! that anyone has to fetch.
//!
//! A figure that a build of this program prints is worth what this says of the build.

use std::collections::BTreeMap;

use handsight_actions::Size;
use handsight_agent::{AskOptions, BenchmarkPrompt, Counts, VisionModel};
use serde::Serialize;
use serde_json::json;

use super::dataset::BoxForm;
use super::item::{Item, Target};
use super::prediction::{Look, Prediction, Tokens};
use super::scorer::{Asked, Outcome, Scorer};
use super::statistics::mcnemar_exact;
use crate::files::short_digest;
use crate::score::Rate;

/// A known answer and what this build makes of it.
#[derive(Clone, Debug, Serialize)]
pub struct Known {
    /// What was checked.
    pub what: String,
    /// What it must be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl Known {
    fn new(what: impl Into<String>, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), expected: expected.into(), found: found.into() }
    }

    /// Whether it is right.
    pub fn holds(&self) -> bool {
        self.expected == self.found
    }
}

/// Width and height.
type Sides = (u32, u32);

/// Pictures, limits, and the size transformers' `smart_resize` makes of them: (width, height), (min, max)
/// pixels, (width, height).
///
/// # Source
///
/// The formula of huggingface/transformers 4.49, `models/qwen2_vl/image_processing_qwen2_vl.py`, in Python;
/// what that library itself makes of other sizes is in the goldens of `model/reference`.
const SIZES: &[(Sides, (u64, u64), Sides)] = &[
    ((1280, 720), (3136, 12_845_056), (1288, 728)),
    ((1920, 1080), (3136, 12_845_056), (1932, 1092)),
    ((2560, 1440), (3136, 12_845_056), (2548, 1428)),
    ((3840, 2160), (3136, 12_845_056), (3836, 2156)),
    ((5120, 2880), (3136, 12_845_056), (4760, 2688)),
    ((6016, 3384), (3136, 12_845_056), (4760, 2688)),
    ((1080, 2400), (3136, 12_845_056), (1092, 2408)),
    ((1920, 1080), (3136, 1_003_520), (1316, 728)),
    ((70, 70), (3136, 12_845_056), (56, 56)),
    ((42, 98), (3136, 12_845_056), (56, 112)),
    ((20, 20), (3136, 12_845_056), (56, 56)),
    ((640, 480), (78_400, 12_845_056), (644, 476)),
];

/// Prompts about a picture shown at 1288x728, and the beginning of the SHA-256 of their text.
const PROMPTS: &[(&str, &str)] = &[
    ("qwen-guided", "44b65b982bfe375e"),
    ("qwen-computer-use", "dde6727f2a6e5f61"),
    ("qwen-mobile-use", "6c307de0031ef740"),
    ("point", "9bf21ed9ca74ed4e"),
    ("bbox", "bde833d1c8462cf9"),
    ("ui-tars", "3efd623592c1e5a6"),
    ("os-atlas", "d044764cda870038"),
    ("pyautogui", "35e0d16236b0c024"),
    ("unit-point", "10e20d899957f6d0"),
    ("plain", "7b9dc7fa845f3b72"),
];

const CALL: &str = "<tool_call>\n{\"name\": \"computer_use\", \"arguments\": {\"action\": \
                    \"left_click\", \"coordinate\": [C]}}\n</tool_call>";

/// Checks everything; `model` is only asked how large it is shown pictures, and must resize as
/// Qwen2.5-VL does.
pub fn selfcheck(model: &dyn VisionModel) -> Vec<Known> {
    let mut all = Vec::new();
    for &((width, height), (min, max), (to_width, to_height)) in SIZES {
        let options =
            AskOptions { min_pixels: Some(min), max_pixels: Some(max), ..AskOptions::default() };
        let found = model.resized_size_within(width, height, options.limits());
        let found = found.map_or_else(|error| error.to_string(), |(w, h)| format!("{w}x{h}"));
        let what = format!("{width}x{height} within {min} to {max} pixels");
        all.push(Known::new(what, format!("{to_width}x{to_height}"), found));
    }
    for (name, expected) in PROMPTS {
        let found = BenchmarkPrompt::open(name).map_or_else(
            |error| error.to_string(),
            |prompt| {
                let text = prompt.text_of("the Save button", Size { width: 1288, height: 728 });
                short_digest(text.as_bytes())
            },
        );
        all.push(Known::new(format!("text of prompt {name}"), *expected, found));
    }
    all.extend(scorers());
    all.push(Known::new(
        "Wilson of 7 of 10",
        "70.0 % [39.7, 89.2] (7/10)",
        Rate { hits: 7, tries: 10 }.to_string(),
    ));
    let p = format!("{:.6}", mcnemar_exact(1, 9));
    all.push(Known::new("McNemar of 1 and 9 flips", "0.021484", p));
    all
}

/// What each scorer says of answers about a box of 100x40 at (200, 100) on 1280x720.
fn scorers() -> Vec<Known> {
    use Outcome::{Correct as C, FormatError as F, Wrong as W};
    // strict, sspro, seeclick-macro, vlmevalkit, lmms, clawgui
    const BY: [Scorer; 6] = [
        Scorer::Strict,
        Scorer::Sspro,
        Scorer::SeeclickMacro,
        Scorer::Vlmevalkit,
        Scorer::Lmms,
        Scorer::Clawgui,
    ];
    let call = |numbers: &str| CALL.replace("[C]", &format!("[{numbers}]"));
    let cases: [(&str, String, [Outcome; 6]); 7] = [
        ("in the middle", call("251, 121"), [C, C, C, W, C, C]),
        // 1288 wide for the model, 1280 in truth: three map back, three forget to.
        ("on the right edge", call("302, 121"), [W, W, W, W, W, W]),
        ("within the right edge", call("301, 121"), [C, C, C, W, W, W]),
        ("no line break in the call", call("251, 121").replace(">\n", ">"), [C, F, C, W, C, C]),
        ("a line of pyautogui", "pyautogui.click(x=251, y=121)".to_owned(), [C, F, C, C, C, C]),
        ("words alone", "it is on the left".to_owned(), [F, F, F, W, F, F]),
        ("two numbers in words", "row 251 of 121".to_owned(), [F, F, F, W, C, C]),
    ];
    let asked = Asked {
        counts: Counts::ResizedPixels,
        boxes: BoxForm::Extent,
        calls: true,
        first_look_only: false,
    };
    let item = Item {
        id: "known".to_owned(),
        image: "known.png".to_owned(),
        image_sha256: String::new(),
        size: Size { width: 1280, height: 720 },
        instruction: "Save".to_owned(),
        history: Vec::new(),
        target: Target::Box([200.0, 100.0, 300.0, 140.0]),
        tags: BTreeMap::new(),
    };
    let mut all = Vec::new();
    for (what, raw, expected) in cases {
        let look =
            Look { raw, part: None, resized: Size { width: 1288, height: 728 }, probability: None };
        let prediction = Prediction {
            run: String::new(),
            id: item.id.clone(),
            looks: vec![look],
            click: None,
            error: None,
            tokens: Tokens::default(),
        };
        let found = BY.map(|scorer| scorer.judge(&item, &prediction, asked).outcome);
        let names = |outcomes: [Outcome; 6]| json!(outcomes.map(Outcome::as_str)).to_string();
        all.push(Known::new(format!("an answer {what}"), names(expected), names(found)));
    }
    all
}
