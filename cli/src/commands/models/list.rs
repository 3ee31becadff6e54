//! `models list`: the models in the cache.

use handsight_model::hub::{CachedModel, Hub, ModelName};
use serde_json::{Value, json};

use super::bytes;
use crate::args::ModelsListArgs;
use crate::failure::{Exit, Failure};
use crate::print::{Printer, Style};
use crate::settings::Environment;

pub(super) fn run(
    args: &ModelsListArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let hub = Hub::new(environment.hub.clone());
    let cache = hub.cache_dir()?;
    let mut models = hub.list()?;
    models.retain(|model| args.all || model.is_of_this_family());
    let values: Vec<Value> = models.iter().map(value).collect();
    let lines = lines(&models, printer);
    if models.is_empty() && !printer.json() {
        printer.note(&format!("no models in {}", cache.display()));
    }
    printer.result(&json!({ "cache": cache, "models": values }), &lines.join("\n"))?;
    Ok(Exit::Done)
}

fn value(model: &CachedModel) -> Value {
    json!({
        "name": short(model),
        "repo": model.repo,
        "revisions": model.revisions,
        "commit": model.commit,
        "path": model.path,
        "bytes": model.bytes(),
        "files": model.files.len(),
        "complete": model.is_complete(),
        "missing": model.missing,
        "partial_bytes": model.partial_bytes,
        "model_type": model.model_type,
    })
}

/// The name to give to `--model`.
fn short(model: &CachedModel) -> &str {
    ModelName::short_of(&model.repo).unwrap_or(&model.repo)
}

fn lines(models: &[CachedModel], printer: &Printer) -> Vec<String> {
    let rows = models.iter().map(|model| {
        let commit = model.commit.get(..7).unwrap_or("-");
        let revision = model.revisions.first().map_or(commit, String::as_str);
        (short(model), revision, commit, bytes(model.bytes()), state(model, printer))
    });
    let rows: Vec<_> = rows.collect();
    let width = |of: &dyn Fn(usize) -> usize| (0..rows.len()).map(of).max().unwrap_or(0);
    let names = width(&|row| rows[row].0.len());
    let revisions = width(&|row| rows[row].1.len());
    let line = |(name, revision, commit, size, state): &(_, _, _, _, _)| {
        format!("{name:names$}  {revision:revisions$}  {commit:7}  {size:>8}  {state}")
    };
    rows.iter().map(line).collect()
}

fn state(model: &CachedModel, printer: &Printer) -> String {
    if model.is_complete() {
        return printer.paint(Style::Green, "complete");
    }
    let first = model.missing.first().map_or("", String::as_str);
    let more = match model.missing.len() {
        0 | 1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let partial = match model.partial_bytes {
        0 => String::new(),
        count => format!("; {} under way", bytes(count)),
    };
    printer.paint(Style::Yellow, &format!("incomplete: no {first}{more}{partial}"))
}
