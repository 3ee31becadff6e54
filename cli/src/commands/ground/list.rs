//! `ground --boxes` and `--points`: all things of a description.

use std::time::Instant;

use handsight_actions::{Shape, ShapeKind};
use handsight_agent::annotate::{draw_box, draw_crosshair};
use handsight_agent::{ListOptions, Thing, Things, ground_all};
use serde_json::{Value, json};

use super::{corners, corners_text, failed, on_one_line, tell_faults, with_shared, write_marked};
use crate::args::GroundArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::live::millis;
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

/// Some sixty boxes.
const MAX_TOKENS: u32 = 2048;

/// The longest label of a line, in characters.
const MAX_LABEL: usize = 60;

pub(super) fn run(
    args: &GroundArgs,
    description: &str,
    kind: ShapeKind,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let mut image = open::picture(&args.image)?.screenshot.image;
    let interrupt = Interrupt::listen(printer)?;
    let (model, profile) = open::model(&args.model, printer, environment, &interrupt.cancel)?;
    profile.check_lists(Some(kind))?;
    let max_new_tokens = args.max_tokens.unwrap_or(MAX_TOKENS) as usize;
    let options = ListOptions { description, kind, max_new_tokens };
    let start = Instant::now();
    let spinner = printer.spinner("looking");
    let mut count = 0usize;
    let mut tell = |_: &_| {
        count += 1;
        spinner.message(format!("writing down what is there: {count} tokens"));
    };
    let cancel = &interrupt.cancel;
    let things = ground_all(&model, &profile, &image, options, &mut tell, cancel);
    drop(spinner);
    let things = things.map_err(failed)?;
    let ms = millis(start.elapsed());

    if let Some(out) = &args.annotated {
        for thing in &things.things {
            match thing.area {
                Some(area) => draw_box(&mut image, area),
                None => draw_crosshair(&mut image, thing.point),
            }
        }
        write_marked(out, &image, printer)?;
    }
    let cut_off = things.is_cut_off.then_some(things.usage.completion_tokens);
    tell_faults(printer, &things.repairs, &things.refused, cut_off);
    if !printer.json() {
        let name = if kind == ShapeKind::Boxes { "box" } else { "point" };
        let plural = match (things.things.len(), kind) {
            (1, _) => "",
            (_, ShapeKind::Boxes) => "es",
            (_, ShapeKind::Points) => "s",
        };
        let (count, size) = (things.things.len(), things.frame.screenshot);
        printer.note(&format!("{count} {name}{plural}  on {size}  {ms} ms"));
    }
    printer.result(&value(&things, kind, ms), &lines(&things).join("\n"))?;
    Ok(if things.things.is_empty() { Exit::NotAchieved } else { Exit::Done })
}

/// The things as Qwen2.5-VL writes them, in pixels of the picture, and what it said itself beside.
fn value(things: &Things, kind: ShapeKind, ms: u64) -> Value {
    let entry = |thing: &Thing| {
        let model = match thing.shape {
            Shape::Box(area) => json!(area),
            Shape::Point(point) => json!(point),
        };
        let own = thing.area.map_or(json!(thing.point), |area| json!(corners(area)));
        let field = kind.field();
        let mut entry = json!({ (field): own, "label": thing.label });
        entry["fields"] = Value::from(thing.fields.clone());
        entry[format!("model_{field}")] = model;
        entry["probability"] = thing.probability.into();
        entry
    };
    let list: Value = things.things.iter().map(entry).collect();
    let name = if kind == ShapeKind::Boxes { "boxes" } else { "points" };
    let shared = json!({
        "cut_off": things.is_cut_off,
        "mended": things.repairs,
        "left_out": things.refused,
        "frame": things.frame,
        "usage": things.usage,
        "ms": ms,
    });
    with_shared(json!({ (name): list }), shared)
}

fn lines(things: &Things) -> Vec<String> {
    let label = |thing: &Thing| {
        let label = on_one_line(&thing.label);
        match label.char_indices().nth(MAX_LABEL) {
            None => label,
            Some((end, _)) => format!("{}…", &label[..end]),
        }
    };
    let rows: Vec<_> = things.things.iter().map(|thing| (label(thing), thing)).collect();
    let width = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let line = |(label, thing): &(String, &Thing)| {
        let place = thing.area.map_or(thing.point.to_string(), corners_text);
        let sure = thing.probability.map_or(String::new(), |sure| format!("  p {sure:.2}"));
        format!("{label:width$}  {place}{sure}")
    };
    rows.iter().map(line).collect()
}
