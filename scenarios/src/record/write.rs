//! A recording as a scenario file, with the anchors of its targets.

use std::path::Path;

use super::{Deed, Mark, Recording};
use crate::draft::{Draft, DraftError, DraftTarget};
use crate::scenario::Scenario;

/// What is said of a target that the model has no name for.
const NAMELESS: &str = "say what this is";

/// Writes a recording; `names` are those of its [marks](Recording::marks), as far as there are any.
///
/// # Errors
///
/// [`DraftError`].
pub fn write_recording(
    recording: &Recording,
    names: &[Option<String>],
    path: &Path,
) -> Result<Scenario, DraftError> {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().replace(['-', '_'], " "));
    let mut draft = Draft::new(path, &stem.unwrap_or_default())?;
    draft.about(&format!("Recorded on {}.", recording.device));
    let mut names = names.iter().cloned();
    let mut target = |draft: &mut Draft, mark: &Mark| {
        let name = names.next().flatten();
        described(draft, mark, name.as_deref())
    };
    let mut deeds = recording.deeds.iter().peekable();
    while let Some(deed) = deeds.next() {
        match deed {
            Deed::Point { verb: "click", mark } => {
                let target = target(&mut draft, mark);
                match deeds.next_if(|next| matches!(next, Deed::Type { .. })) {
                    Some(Deed::Type { text, note }) => {
                        let target = note.map_or(target.clone(), |note| target.noting(note));
                        draft.types(text, Some(target));
                    }
                    _ => draft.on("click", &target),
                }
            }
            Deed::Point { verb, mark } => {
                let target = target(&mut draft, mark);
                draft.on(verb, &target);
            }
            Deed::Type { text, note } => {
                if let Some(note) = note {
                    draft.comment(note);
                }
                draft.types(text, None);
            }
            Deed::Press(keys) => draft.says("press", keys),
            Deed::Scroll { direction, amount, point } => draft.scrolls(direction, *amount, *point),
            Deed::Between { verb, from, to } => {
                let (from, to) = (target(&mut draft, from), target(&mut draft, to));
                draft.between(verb, from, to);
            }
            Deed::Button(name) => draft.says("button", name),
            Deed::Window(title) => draft.waits_for_window(title),
            Deed::Note(text) => draft.comment(text),
        }
    }
    if let Some(end) = &recording.end {
        draft.ends(end);
    }
    draft.save()
}

fn described(draft: &mut Draft, mark: &Mark, name: Option<&str>) -> DraftTarget {
    let screen = mark.screen.as_deref();
    if let Some(name) = name {
        return draft.target(name, screen, mark.point, None);
    }
    let place = if mark.window.is_empty() { String::new() } else { format!(" of {}", mark.window) };
    let words = format!("the place at {}, {}{place}", mark.point.x, mark.point.y);
    draft.target(&words, screen, mark.point, None).noting(NAMELESS)
}
