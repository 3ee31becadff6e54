//! `models quantize`: writes a checkpoint folder as GGUF.

use handsight_model::{ConvertProgress, ConvertReport, convert};
use serde_json::{Value, json};

use super::bytes;
use crate::args::ModelsQuantizeArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::print::Printer;

pub(super) fn run(args: &ModelsQuantizeArgs, printer: &Printer) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen(printer)?;
    let bar = printer.progress("writing", 0);
    let mut shown = 0;
    let mut show = |progress: ConvertProgress<'_>| {
        if shown == 0 {
            bar.set_total(progress.total, 0);
            bar.begin(WRITING, progress.total, 0);
        }
        bar.advance(WRITING, progress.done - shown);
        shown = progress.done;
    };
    let report = convert(&args.input, &args.output, args.kind, &mut show, &interrupt.cancel)?;
    drop(bar);
    printer.result(&value(&report), &text(&report))?;
    Ok(Exit::Done)
}

/// What the progress bar is called.
const WRITING: &str = "GGUF";

fn value(report: &ConvertReport) -> Value {
    let [language_model_bytes, mmproj_bytes] = report.bytes;
    json!({
        "language_model": report.language_model,
        "language_model_bytes": language_model_bytes,
        "mmproj": report.mmproj,
        "mmproj_bytes": mmproj_bytes,
        "input_bytes": report.stored_bytes,
    })
}

fn text(report: &ConvertReport) -> String {
    let [language_model, mmproj] = report.bytes;
    format!(
        "{}  {}\n{}  {}\nfrom weights of {}",
        report.language_model.display(),
        bytes(language_model),
        report.mmproj.display(),
        bytes(mmproj),
        bytes(report.stored_bytes)
    )
}
