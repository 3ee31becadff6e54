//! `models info`: what a checkpoint is.

use std::path::Path;

use handsight_model::hub::ModelFacts;
use handsight_model::memory::MemoryPlan;
use handsight_model::{Engine, EngineOptions, Quantization};
use serde_json::{Value, json};

use super::bytes;
use crate::args::ModelsInfoArgs;
use crate::failure::{Exit, Failure};
use crate::model_spec::ModelSpec;
use crate::print::Printer;
use crate::settings::Environment;

pub(super) fn run(
    args: &ModelsInfoArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let ModelSpec::Path(path) = ModelSpec::of(&args.name, environment)? else {
        let message = format!("`{}` is neither a folder, a file nor a pulled model", args.name);
        return Err(Failure::bad_input(message)
            .with_hint("`handsight models list` shows the models that were pulled"));
    };
    let facts = ModelFacts::of(&path)?;
    let plans = plans(&path);
    let mut lines = lines(&path, &facts);
    lines.extend(plans.iter().map(|(how, plan)| {
        let (weights, token) = (bytes(plan.weight_bytes()), bytes(plan.kv_bytes_per_token));
        format!("in memory   {weights} {how}, and {token} a token")
    }));
    let mut value = value(&path, &facts);
    value["memory"] = plans
        .iter()
        .map(|(how, plan)| json!({ "how": how, "weight_bytes": plan.weight_bytes(), "plan": plan }))
        .collect();
    printer.result(&value, &lines.join("\n"))?;
    Ok(Exit::Done)
}

/// What the model takes on the CPU, as it is stored and quantised while it is loaded; nothing of what
/// is no checkpoint that could be loaded.
fn plans(path: &Path) -> Vec<(&'static str, MemoryPlan)> {
    let plan = |quantize| {
        let options = EngineOptions { quantize, memory: Some(u64::MAX), ..Default::default() };
        Engine::memory_plan_of(path, &options).ok()
    };
    let Some(stored) = plan(None) else { return Vec::new() };
    let smaller = plan(Some(Quantization::Q4K));
    let smaller = smaller.filter(|plan| plan.weight_bytes() < stored.weight_bytes());
    let smaller = smaller.map(|plan| ("with --quantize q4k", plan));
    [("as it is", stored)].into_iter().chain(smaller).collect()
}

/// A number of `config.json`: of the whole, or of one of its parts. The text part is where the
/// whole is, or in a part of its own.
fn number(facts: &ModelFacts, part: Option<&str>, key: &str) -> Option<u64> {
    let config = facts.config.as_ref()?;
    let place = match part {
        Some(part) => config.get(part)?.get(key),
        None => config.get(key).or_else(|| config.get("text_config")?.get(key)),
    };
    place?.as_u64()
}

const TEXT: [&str; 7] = [
    "num_hidden_layers",
    "hidden_size",
    "num_attention_heads",
    "num_key_value_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
];
const VISION: [&str; 6] =
    ["depth", "hidden_size", "num_heads", "intermediate_size", "patch_size", "window_size"];

fn value(path: &Path, facts: &ModelFacts) -> Value {
    let files = facts.files.iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes }));
    let text = TEXT.map(|key| (key.to_owned(), json!(number(facts, None, key))));
    let vision =
        VISION.map(|key| (key.to_owned(), json!(number(facts, Some("vision_config"), key))));
    let config = facts.config.as_ref();
    json!({
        "path": path,
        "model_type": config.and_then(|config| config.get("model_type")),
        "text": Value::Object(text.into_iter().collect()),
        "vision": Value::Object(vision.into_iter().collect()),
        "parameters": facts.parameters,
        "weight_bytes": facts.bytes_by_type,
        "quantization": config.and_then(|config| config.get("quantization_config")),
        "license": facts.license,
        "bytes": facts.files.iter().map(|(_, bytes)| bytes).sum::<u64>(),
        "files": files.collect::<Vec<_>>(),
    })
}

fn lines(path: &Path, facts: &ModelFacts) -> Vec<String> {
    let mut lines = vec![format!("path        {}", path.display())];
    let config = facts.config.as_ref();
    if let Some(kind) = config.and_then(|config| config.get("model_type")?.as_str()) {
        lines.push(format!("family      {kind}"));
    }
    let shown = |part, keys: &[&str]| {
        let known = keys.iter().filter_map(|key| Some((key, number(facts, part, key)?)));
        known.map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ")
    };
    if config.is_some() {
        lines.push(format!("text        {}", shown(None, &TEXT)));
        lines.push(format!("vision      {}", shown(Some("vision_config"), &VISION)));
    }
    if facts.parameters > 0 {
        let types: Vec<String> = facts
            .bytes_by_type
            .iter()
            .map(|(kind, count)| format!("{kind} {}", bytes(*count)))
            .collect();
        lines.push(format!("parameters  {} stored as {}", facts.parameters, types.join(", ")));
    }
    let quantized = config.and_then(|config| config.get("quantization_config"));
    if let Some(method) = quantized.and_then(|found| found.get("quant_method")?.as_str()) {
        let bits = quantized.and_then(|found| found.get("bits")?.as_u64());
        let bits = bits.map(|bits| format!(", {bits} bits")).unwrap_or_default();
        lines.push(format!("quantised   {method}{bits}"));
    }
    if let Some(license) = &facts.license {
        lines.push(format!("licence     {license}"));
    }
    lines.extend(
        facts.files.iter().map(|(name, size)| format!("file        {name}  {}", bytes(*size))),
    );
    lines
}
