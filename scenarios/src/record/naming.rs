//! Names for what a person acted on, as a model reads them off the screen.
//!
//! A name is only taken if the model finds its way back by it: shown the whole screen and the name, it
//! must point at what it was read off.

use handsight_actions::PixelPoint;
use image::RgbImage;
use serde_json::json;

use super::Recording;
use crate::anchor::cut_around;
use crate::eyes::{Eyes, EyesError};

/// The pictures a model is shown of a target, smallest first.
const CLOSE: [(u32, u32); 3] = [(96, 40), (200, 56), (360, 80)];

/// How far a model may point from where the person clicked, in pixels: within the same control.
const SAME: (i32, i32) = (90, 22);

/// The longest name, in characters.
const MAX_NAME: usize = 48;

/// What a model is asked of a picture of a target.
const QUESTION: &str = "What do the words in the middle say?";

/// Returns the name of each place where the person acted, in order, where the model is sure of one.
///
/// # Errors
///
/// [`EyesError`] if there is no model to ask.
pub fn name_targets(
    recording: &Recording,
    eyes: &mut dyn Eyes,
    mut on_name: impl FnMut(Option<&str>),
) -> Result<Vec<Option<String>>, EyesError> {
    let mut names = Vec::new();
    for mark in recording.marks() {
        let name = match &mark.screen {
            Some(screen) => name_of(screen, mark.point, eyes)?,
            None => None,
        };
        on_name(name.as_deref());
        names.push(name);
    }
    Ok(names)
}

fn name_of(
    screen: &RgbImage,
    point: PixelPoint,
    eyes: &mut dyn Eyes,
) -> Result<Option<String>, EyesError> {
    let schema = json!({ "type": "string", "maxLength": MAX_NAME });
    let mut tried: Vec<String> = Vec::new();
    for size in CLOSE {
        let Some(close) = cut_around(screen, point, size) else { continue };
        let said = eyes.read(&close, QUESTION, &schema)?;
        let name =
            said.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        if name.is_empty() || tried.contains(&name) {
            continue;
        }
        if let Some(found) = eyes.find(screen, &name)?
            && (found.point.x - point.x).abs() <= SAME.0
            && (found.point.y - point.y).abs() <= SAME.1
        {
            return Ok(Some(name));
        }
        tried.push(name);
    }
    Ok(None)
}
