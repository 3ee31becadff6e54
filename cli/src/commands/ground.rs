//! `ground`: where on a picture something is.

use std::time::Instant;

use handsight_agent::annotate::draw_crosshair;
use handsight_agent::ground;
use serde_json::json;

use super::screenshot::write_png;
use crate::args::GroundArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

pub(crate) fn run(
    args: &GroundArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let mut image = open::picture(&args.image)?.screenshot.image;
    let interrupt = Interrupt::listen(printer)?;
    let (model, profile) = open::model(&args.model, printer, environment, &interrupt.cancel)?;
    let start = Instant::now();
    let spinner = printer.spinner("looking");
    let grounding = ground(&model, &profile, &image, &args.description, &interrupt.cancel)?;
    drop(spinner);
    let ms = start.elapsed().as_millis();

    if let Some(out) = &args.out {
        draw_crosshair(&mut image, grounding.point);
        write_png(out, &image)?;
        printer.note(&format!("marked in {}", out.display()));
    }
    let value = json!({
        "x": grounding.point.x,
        "y": grounding.point.y,
        "probability": grounding.probability,
        "found": grounding.found,
        "presence": grounding.presence,
        "model_point": grounding.model_point,
        "frame": grounding.frame,
        "usage": grounding.usage,
        "ms": u64::try_from(ms).unwrap_or(u64::MAX),
    });
    let (point, size) = (grounding.point, grounding.frame.screenshot);
    let text = if grounding.found {
        let sure = grounding.probability.map_or(String::new(), |sure| format!("  p {sure:.2}"));
        format!("{point}{sure}  on {size}  {ms} ms")
    } else {
        format!("not found  best guess {point}  on {size}  {ms} ms")
    };
    printer.result(&value, &text)?;
    Ok(if grounding.found { Exit::Done } else { Exit::NotAchieved })
}
