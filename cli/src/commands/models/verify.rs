//! `models verify`: are the files of a model still what was fetched?

use handsight_model::hub::{FileState, Hub, ModelName, VerifiedFile};
use serde_json::{Value, json};

use super::bytes;
use crate::args::ModelsVerifyArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::print::{Printer, Style};
use crate::settings::Environment;

pub(super) fn run(
    args: &ModelsVerifyArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let name: ModelName = args.name.parse()?;
    let interrupt = Interrupt::listen(printer)?;
    let hub = Hub::new(environment.hub.clone());
    let model = hub.find(&name)?;
    let progress = printer.progress("reading", model.bytes());
    let verified = hub.verify(&model, &interrupt.cancel, &mut |file, bytes| {
        progress.advance(file, bytes);
    })?;
    drop(progress);
    let is_damaged = |file: &&VerifiedFile| matches!(file.state, FileState::Damaged { .. });
    if args.remove_damaged {
        for file in verified.iter().filter(is_damaged) {
            hub.discard(&model, &file.name)?;
        }
    }
    let is_right = verified.iter().all(|file| file.state == FileState::Right);
    let value = json!({
        "name": name.to_string(),
        "repo": model.repo,
        "commit": model.commit,
        "path": model.path,
        "ok": is_right,
        "files": verified.iter().map(value).collect::<Vec<_>>(),
    });
    let lines: Vec<String> = verified.iter().map(|file| line(file, printer)).collect();
    printer.result(&value, &lines.join("\n"))?;
    let needs_pull = |file: &VerifiedFile| is_damaged(&file) || file.state == FileState::Missing;
    if verified.iter().any(needs_pull) {
        let first = "`--remove-damaged` removes what is damaged, and then ";
        let stays = !args.remove_damaged && verified.iter().any(|file| is_damaged(&file));
        let remove = if stays { first } else { "" };
        printer.note(&format!("{remove}`handsight models pull {name}` fetches what is missing"));
    }
    Ok(if is_right { Exit::Done } else { Exit::NotAchieved })
}

fn value(file: &VerifiedFile) -> Value {
    let (state, found) = match &file.state {
        FileState::Right => ("right", None),
        FileState::Damaged { found, .. } => ("damaged", Some(found)),
        FileState::Missing => ("missing", None),
        _ => ("unknown", None),
    };
    json!({ "name": file.name, "bytes": file.size, "state": state, "found": found })
}

fn line(file: &VerifiedFile, printer: &Printer) -> String {
    let (style, mark, state) = match &file.state {
        FileState::Right => (Style::Green, "✓", bytes(file.size)),
        FileState::Damaged { .. } => (Style::Red, "✗", "is damaged".to_owned()),
        FileState::Missing => (Style::Red, "✗", "is missing".to_owned()),
        _ => (Style::Yellow, "?", "has no checksum in the cache".to_owned()),
    };
    format!("{} {}  {state}", printer.paint(style, mark), file.name)
}
