//! `ground --document`: what a picture of a document says, and where.

use std::time::Instant;

use fs_err as fs;
use handsight_agent::annotate::draw_box;
use handsight_agent::document::Element;
use handsight_agent::{Document, read_document};
use serde_json::{Value, json};

use super::{corners, corners_text, failed, on_one_line, tell_faults, with_shared, write_marked};
use crate::args::GroundArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::live::millis;
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

/// Two dense pages.
const MAX_TOKENS: u32 = 8192;

pub(super) fn run(
    args: &GroundArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let mut image = open::picture(&args.image)?.screenshot.image;
    let interrupt = Interrupt::listen(printer)?;
    let (model, profile) = open::model(&args.model, printer, environment, &interrupt.cancel)?;
    profile.check_lists(None)?;
    let max_tokens = args.max_tokens.unwrap_or(MAX_TOKENS) as usize;
    let start = Instant::now();
    let spinner = printer.spinner("looking");
    let mut count = 0usize;
    let mut tell = |_: &_| {
        count += 1;
        spinner.message(format!("writing the document down: {count} tokens"));
    };
    let document =
        read_document(&model, &profile, &image, max_tokens, &mut tell, &interrupt.cancel);
    drop(spinner);
    let document = document.map_err(failed)?;
    let ms = millis(start.elapsed());

    if let Some(out) = &args.annotated {
        document
            .elements
            .iter()
            .filter_map(|part| part.area)
            .for_each(|area| draw_box(&mut image, area));
        write_marked(out, &image, printer)?;
    }
    if let Some(out) = &args.html {
        fs::write(out, &document.html).map_err(|error| {
            Failure::new(Exit::BadInput, error).with_hint("name a file in a folder that exists")
        })?;
        printer.note(&format!("written to {}", out.display()));
    }
    let cut_off = document.is_cut_off.then_some(document.usage.completion_tokens);
    tell_faults(printer, &document.repairs, &document.refused, cut_off);
    if !printer.json() {
        let (count, size) = (document.elements.len(), document.frame.screenshot);
        let plural = if count == 1 { "" } else { "s" };
        printer.note(&format!("{count} part{plural}  on {size}  {ms} ms"));
    }
    let lines: Vec<String> = document.elements.iter().flat_map(lines).collect();
    printer.result(&value(&document, ms), &lines.join("\n"))?;
    Ok(if document.elements.is_empty() { Exit::NotAchieved } else { Exit::Done })
}

fn value(document: &Document, ms: u64) -> Value {
    let element = |element: &Element| {
        json!({
            "tag": element.tag,
            "class": element.class,
            "text": element.text,
            "rows": element.rows,
            "bbox_2d": element.area.map(corners),
            "model_bbox_2d": element.model_box,
        })
    };
    let elements: Value = document.elements.iter().map(element).collect();
    let shared = json!({
        "html": document.html,
        "cut_off": document.is_cut_off,
        "mended": document.repairs,
        "left_out": document.refused,
        "frame": document.frame,
        "usage": document.usage,
        "ms": ms,
    });
    with_shared(json!({ "elements": elements }), shared)
}

/// Returns an element as lines for people: its kind, its place and its text, and a table's rows.
fn lines(element: &Element) -> Vec<String> {
    let kind = match &element.class {
        Some(class) => format!("{}.{}", element.tag, on_one_line(class).replace(' ', ".")),
        None => element.tag.clone(),
    };
    let place = element.area.map_or("no place".to_owned(), corners_text);
    let first = format!("{kind}  {place}  {}", on_one_line(&element.text));
    let row = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().map(|cell| on_one_line(cell)).collect();
        format!("  {}", cells.join(" | "))
    };
    let rows = element.rows.iter().map(row);
    [first.trim_end().to_owned()].into_iter().chain(rows).collect()
}
