//! `models pull`: fetches a model.

use handsight_model::hub::{Hub, ModelName, PullEvent, PullOptions, Pulled, PulledFile};
use serde_json::{Value, json};

use super::bytes;
use crate::args::ModelsPullArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::print::{Printer, Progress, Style};
use crate::settings::Environment;

pub(super) fn run(
    args: &ModelsPullArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let name: ModelName = args.name.parse()?;
    let interrupt = Interrupt::listen(printer)?;
    let options = PullOptions {
        files: &args.files,
        retries: args.retries,
        parallel: args.parallel.into(),
        ..Default::default()
    };
    let progress = printer.progress("asking", 0);
    let on_event = |event: PullEvent<'_>| show(event, &name, printer, &progress);
    let pulled =
        Hub::new(environment.hub.clone()).pull(&name, &options, &interrupt.cancel, &on_event)?;
    drop(progress);
    for missing in &pulled.missing {
        let mark = printer.paint(Style::Yellow, "warning:");
        printer.note(&format!("{mark} the repository has no {missing}, which a checkpoint needs"));
    }
    printer.result(&value(&name, &pulled), &text(&name, &pulled))?;
    Ok(Exit::Done)
}

/// Shows what happens: bars on a terminal, and lines that are worth keeping.
fn show(event: PullEvent<'_>, name: &ModelName, printer: &Printer, progress: &Progress) {
    let note = |text: String| progress.suspend(|| printer.note(&text));
    match event {
        PullEvent::Planned { files, bytes: total, have, .. } => {
            progress.message("pulling");
            progress.set_total(total, have);
            let here = match have {
                0 => String::new(),
                have => format!(", {} of them here already", bytes(have)),
            };
            note(format!("pulling {name}: {files} files of {}{here}", bytes(total)));
        }
        PullEvent::Waiting { file } => note(format!("{file}: waiting for another pull of it")),
        PullEvent::Started { file, size, have } => {
            progress.begin(file, size, have);
            if have > 0 {
                note(format!("{file}: going on at {} of {}", bytes(have), bytes(size)));
            }
        }
        PullEvent::Received { file, bytes } => progress.advance(file, bytes),
        PullEvent::Restarted { file } => progress.restart(file),
        PullEvent::Retrying { file, error, wait } => {
            let subject = if file.is_empty() { String::new() } else { format!("{file}: ") };
            note(format!("{subject}{error}; again in {:.1} s", wait.as_secs_f64()));
        }
        PullEvent::Done { file, size, received } => {
            progress.end(file);
            let mark = printer.paint(Style::Green, "✓");
            let here = if received == 0 { "  was here already" } else { "" };
            note(format!("{mark} {file}  {}{here}", bytes(size)));
        }
        _ => {}
    }
}

fn value(name: &ModelName, pulled: &Pulled) -> Value {
    let file = |file: &PulledFile| {
        json!({
            "name": file.name,
            "bytes": file.size,
            "received_bytes": file.received,
            "checksum": file.checksum,
        })
    };
    json!({
        "name": name.to_string(),
        "repo": pulled.repo,
        "revision": pulled.revision,
        "commit": pulled.commit,
        "path": pulled.path,
        "files": pulled.files.iter().map(file).collect::<Vec<_>>(),
        "received_bytes": received(pulled),
        "missing": pulled.missing,
    })
}

fn text(name: &ModelName, pulled: &Pulled) -> String {
    let what = match received(pulled) {
        0 => "was here already".to_owned(),
        count => format!("{} fetched", bytes(count)),
    };
    format!("{name}  {what}  {}", pulled.path.display())
}

fn received(pulled: &Pulled) -> u64 {
    pulled.files.iter().map(|file| file.received).sum()
}
