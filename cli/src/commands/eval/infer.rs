//! `eval infer`: what a model writes about every item.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use handsight_agent::{AskOptions, BenchmarkPrompt, PixelBudget, PromptProfile, VisionModel};
use handsight_model::DeviceMap;
use handsight_scenarios::benchmark::infer::{Asking, InferOptions, Progress, infer};
use handsight_scenarios::benchmark::run::{DatasetRef, ModelRef, OWN_PROMPT};
use handsight_scenarios::benchmark::{Dataset, Prediction, Run, RunManifest};
use serde_json::{Map, Value, json};

use crate::args::EvalInferArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::model_spec::ModelSpec;
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

/// The prompt a released checkpoint is asked with unless another is named.
const DEFAULT_PROMPT: &str = "qwen-guided";

pub(super) fn run(
    args: &EvalInferArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen(printer)?;
    let dataset = Dataset::open(&args.dataset)?;
    let spec = ModelSpec::of(&args.model.model, environment)?;
    let batch = args.batch.into();
    let (model, profile) =
        open::batching_model(&args.model, batch, printer, environment, &interrupt.cancel)?;
    check(args, &dataset, spec == ModelSpec::Embedded)?;
    let asker = Asker {
        args,
        dataset: &dataset,
        model: &*model,
        by_default: if spec == ModelSpec::Embedded { OWN_PROMPT } else { DEFAULT_PROMPT },
        concurrency: if matches!(spec, ModelSpec::Remote(_)) {
            args.concurrency.into()
        } else {
            batch
        },
        profile,
    };
    if args.sweep_pixels.is_empty() {
        let (value, exit) = asker.ask(
            args.model.talk.pixels.unwrap_or_default(),
            &args.output,
            printer,
            &interrupt,
        )?;
        printer.result(&value, &text(&value))?;
        return Ok(exit);
    }
    let (mut runs, mut worst) = (Vec::new(), Exit::Done);
    let budgets: std::collections::BTreeSet<u64> = args.sweep_pixels.iter().copied().collect();
    for budget in budgets {
        let folder = args.output.join(format!("pixels-{budget:09}"));
        let (value, exit) = asker.ask(PixelBudget::Most(budget), &folder, printer, &interrupt)?;
        if !printer.json() {
            printer.note(&text(&value));
        }
        runs.push(value);
        worst = if exit == Exit::Done { worst } else { exit };
    }
    let next = format!("handsight eval curve {}", args.output.display());
    printer.result(
        &json!({"runs": runs}),
        &format!("{} runs; compare them with `{next}`", runs.len()),
    )?;
    Ok(worst)
}

/// Refuses what would ask in vain.
fn check(args: &EvalInferArgs, dataset: &Dataset, is_embedded: bool) -> Result<(), Failure> {
    let own = args.ask.as_deref().map_or(is_embedded, |name| name == OWN_PROMPT);
    let steps = dataset.items.iter().any(|item| !item.target.is_place());
    let refuse = |problem: &str, hint: &str| {
        Err(Failure::bad_input(problem.to_owned()).with_hint(hint.to_owned()))
    };
    if steps && own {
        refuse(
            "`handsight` finds things, and these items are steps",
            "name a prompt that asks for a step with `--ask`, such as `qwen-mobile-use` or `agentnet`",
        )
    } else if steps && args.zoom.is_some() {
        refuse("there is no closer look at a step", "leave out `--zoom`")
    } else if own && args.zoom.is_some() {
        refuse(
            "`handsight` looks closer by itself",
            "leave out `--zoom`, or name another prompt with `--ask`",
        )
    } else if own && args.min_pixels.is_some() {
        refuse(
            "how small a picture `handsight` shows is its family's to say",
            "leave out `--min-pixels`, or name another prompt with `--ask`",
        )
    } else {
        Ok(())
    }
}

fn text(value: &Value) -> String {
    let word =
        |key: &str| value[key].as_str().map_or_else(|| value[key].to_string(), str::to_owned);
    format!(
        "run {}: {} of {} items, {} errors, in {}",
        word("run"),
        word("done"),
        word("items"),
        word("errors"),
        word("folder")
    )
}

/// A model, and the items it is asked about.
struct Asker<'a> {
    args: &'a EvalInferArgs,
    dataset: &'a Dataset,
    model: &'a dyn VisionModel,
    profile: PromptProfile,
    by_default: &'static str,
    concurrency: usize,
}

impl Asker<'_> {
    /// Returns how the model is asked within a budget of pixels.
    fn asking(&self, pixels: PixelBudget) -> Result<Asking, Failure> {
        let args = self.args;
        match args.ask.as_deref().unwrap_or(self.by_default) {
            OWN_PROMPT => Ok(Asking::Own(self.profile.clone().with_budget(pixels))),
            name => Ok(Asking::Published {
                prompt: BenchmarkPrompt::open(name)?,
                options: AskOptions {
                    min_pixels: args.min_pixels,
                    max_pixels: pixels.most(),
                    repetition_penalty: args.repetition_penalty,
                    max_new_tokens: args.max_tokens as usize,
                },
                zoom: args.zoom,
            }),
        }
    }

    /// Asks about all items that are not done yet, and returns what the run has come to.
    fn ask(
        &self,
        pixels: PixelBudget,
        folder: &Path,
        printer: &Printer,
        interrupt: &Interrupt,
    ) -> Result<(Value, Exit), Failure> {
        let asking = self.asking(pixels)?;
        let run = Run::begin(folder, manifest(self.args, self.dataset, self.model, &asking)?)?;
        let options = InferOptions {
            shard: self.args.shard,
            retry_errors: self.args.retry_errors,
            concurrency: self.concurrency,
        };
        let spinner = printer.spinner("asking");
        let start = Instant::now();
        let first = Mutex::new(None);
        let last_error = Mutex::new(None);
        let on_item = |progress: Progress, prediction: &Prediction| {
            if let Some(error) = &prediction.error {
                *last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
            }
            // The speed of this run alone: what was done before took no time of it.
            let before = *first
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(progress.done.saturating_sub(1));
            let each = start.elapsed() / u32::try_from(progress.done - before).unwrap_or(1).max(1);
            let left = each * u32::try_from(progress.of - progress.done).unwrap_or(u32::MAX);
            spinner.message(format!(
                "{} of {}, {:.1} s each, {} min left, {} errors",
                progress.done,
                progress.of,
                each.as_secs_f64(),
                left.as_secs().div_ceil(60),
                progress.errors
            ));
        };
        let with = (self.model, &asking);
        let asked = infer((&run, self.dataset), with, &options, &interrupt.cancel, &on_item);
        drop(spinner);
        let progress = asked?;
        if progress.done < progress.of {
            let done = format!("{} of {} items are done", progress.done, progress.of);
            return Err(Failure::interrupted()
                .with_hint(format!("{done}; the same command goes on where it was")));
        }
        if let Some(error) = last_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            printer.note(&format!("the last error: {error}; `--retry-errors` asks again"));
        }
        let value = json!({
            "run": run.manifest.id(), "folder": run.folder, "items": progress.of,
            "done": progress.done, "errors": progress.errors,
        });
        Ok((value, if progress.errors > 0 { Exit::NotAchieved } else { Exit::Done }))
    }
}

fn manifest(
    args: &EvalInferArgs,
    dataset: &Dataset,
    model: &dyn VisionModel,
    asking: &Asking,
) -> Result<RunManifest, Failure> {
    let card = model.card();
    let limit = args.limit.map_or(usize::MAX, |limit| limit as usize);
    let folder = fs_err::canonicalize(&dataset.folder)
        .map_err(|error| Failure::new(Exit::BadInput, error))?;
    let dataset = DatasetRef {
        name: dataset.info.name.clone(),
        sha256: dataset.info.sha256.clone(),
        items: dataset.items.len().min(limit),
        folder,
    };
    let model_ref = ModelRef {
        name: card.name,
        sha256: model.weights_sha256()?,
        parameters: card.parameters,
        loaded: loaded(args),
    };
    let frames = asking.frames(model)?;
    Ok(RunManifest::new(
        dataset,
        model_ref,
        asking.prompt(),
        asking.options(),
        frames,
        asking.zoom(),
    ))
}

/// Returns how the model was loaded, as far as its answers depend on it.
fn loaded(args: &EvalInferArgs) -> Map<String, Value> {
    let load = &args.model.load;
    let mut loaded = Map::new();
    let mut say = |name: &str, value: Option<String>| {
        loaded.insert(name.to_owned(), value.unwrap_or_else(|| "as stored".to_owned()).into());
    };
    let compute = match &load.compute {
        DeviceMap::Auto => "auto".to_owned(),
        DeviceMap::On(shares) => {
            shares.iter().map(|share| share.kind.to_string()).collect::<Vec<_>>().join(",")
        }
    };
    say("compute", Some(compute));
    say("dtype", load.dtype.map(|dtype| format!("{dtype:?}").to_lowercase()));
    say("quantize", load.quantize.map(|to| format!("{to:?}").to_lowercase()));
    loaded.insert("exact".to_owned(), load.exact.into());
    loaded
}
