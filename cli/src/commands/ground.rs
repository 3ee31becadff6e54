//! `ground`: where on a picture something is, and all that is there.

mod document;
mod list;

use std::path::Path;
use std::time::Instant;

use handsight_actions::{Rect, Size};
use handsight_agent::annotate::draw_crosshair;
use handsight_agent::{GroundingError, PolicyError, ground};
use image::RgbImage;
use serde_json::{Value, json};

use super::screenshot::write_png;
use crate::answer;
use crate::args::GroundArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::live::millis;
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

pub(crate) fn run(
    args: &GroundArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    if args.document {
        answer::refuse_embedded(&args.model, "read documents")?;
        return document::run(args, printer, environment);
    }
    let description = args.description.as_deref().unwrap_or_default();
    if let Some(kind) = args.kind() {
        answer::refuse_embedded(&args.model, "list things")?;
        return list::run(args, description, kind, printer, environment);
    }
    let mut image = open::picture(&args.image)?.screenshot.image;
    let interrupt = Interrupt::listen(printer)?;
    let (model, profile) = open::model(&args.model, printer, environment, &interrupt.cancel)?;
    let start = Instant::now();
    let spinner = printer.spinner("looking");
    let grounding = ground(&model, &profile, &image, description, &interrupt.cancel)?;
    drop(spinner);
    let ms = millis(start.elapsed());

    if let Some(out) = &args.annotated {
        draw_crosshair(&mut image, grounding.point);
        write_marked(out, &image, printer)?;
    }
    let value = json!({
        "x": grounding.point.x,
        "y": grounding.point.y,
        "probability": grounding.probability,
        "found": grounding.found,
        "presence": grounding.presence,
        "model_point": grounding.model_point,
        "frame": grounding.frame,
        "looked_at": grounding.looked_at,
        "usage": grounding.usage,
        "ms": ms,
    });
    let (point, (width, height)) = (grounding.point, image.dimensions());
    let size = Size { width, height };
    let text = if grounding.found {
        let sure = grounding.probability.map_or(String::new(), |sure| format!("  p {sure:.2}"));
        format!("{point}{sure}  on {size}  {ms} ms")
    } else {
        format!("not found  best guess {point}  on {size}  {ms} ms")
    };
    printer.result(&value, &text)?;
    Ok(if grounding.found { Exit::Done } else { Exit::NotAchieved })
}

fn write_marked(out: &Path, image: &RgbImage, printer: &Printer) -> Result<(), Failure> {
    write_png(out, image)?;
    printer.note(&format!("marked in {}", out.display()));
    Ok(())
}

/// As much of a reply as a hint repeats, in characters.
const MAX_SHOWN: usize = 200;

/// Explains why there is no list or document; of a reply that cannot be used, its beginning is shown.
fn failed(error: GroundingError) -> Failure {
    let reply = match &error {
        GroundingError::Policy(PolicyError::InvalidReply { reply, .. }) => Some(reply.clone()),
        _ => None,
    };
    let failure = Failure::from(error);
    let Some(reply) = reply else { return failure };
    let shown: String = reply.trim().chars().take(MAX_SHOWN).collect();
    let more = if shown.len() < reply.trim().len() { "…" } else { "" };
    failure.with_hint(format!(
        "say it in other words, or take a larger checkpoint; this one wrote {shown:?}{more}"
    ))
}

/// Returns the corners of an area, the right lower one being past its last pixel.
fn corners(area: Rect) -> [i32; 4] {
    let Rect { x, y, width, height } = area;
    [x, y, x.saturating_add_unsigned(width), y.saturating_add_unsigned(height)]
}

fn corners_text(area: Rect) -> String {
    let [left, top, right, bottom] = corners(area);
    format!("({left}, {top}) to ({right}, {bottom})")
}

/// Returns a text on one line, without what could move the cursor of a terminal.
fn on_one_line(text: &str) -> String {
    let words: Vec<_> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Tells people what was wrong with a reply, and whether there may be more.
fn tell_faults(
    printer: &Printer,
    repairs: &[String],
    refused: &[String],
    cut_off_after: Option<u64>,
) {
    for repair in repairs {
        printer.note(&format!("mended: {}", on_one_line(repair)));
    }
    for fault in refused {
        printer.note(&format!("left out: {}", on_one_line(fault)));
    }
    if let Some(count) = cut_off_after {
        printer.note(&format!("cut off after {count} tokens; `--max-tokens` allows more"));
    }
}

/// Returns the part of a result that lists and documents share.
fn with_shared(mut value: Value, shared: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut value, shared) {
        fields.extend(more);
    }
    value
}
