//! What was typed after `eval`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use handsight_agent::PIXEL_BUDGETS;
use handsight_scenarios::benchmark::Scorer;
use handsight_scenarios::benchmark::import::schema::{SCHEMAS, Schema};
use handsight_scenarios::live::Family as LiveFamily;
use handsight_scenarios::suite::Shard;

use super::ModelArgs;

/// `eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    #[command(subcommand)]
    pub(crate) command: EvalCommand,
}

/// The commands of `eval`, in the order they are used.
#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// Make a dataset of published annotations and pictures, or only check them.
    Import(EvalImportArgs),
    /// Ask a model about every item of a dataset, and write down what it wrote.
    Infer(Box<EvalInferArgs>),
    /// Judge a run, by as many rules as you like; no model is asked.
    Score(EvalScoreArgs),
    /// Write the report of a run: a page, Markdown, JSON, and the files of other scorers.
    Report(EvalReportArgs),
    /// Compare two runs on the same items.
    Diff(EvalDiffArgs),
    /// Compare several runs by what they cost: pixel budgets, closer looks, quantisations.
    Curve(EvalCurveArgs),
    /// Make one run of the parts that were asked with `--shard`.
    Merge(EvalMergeArgs),
    /// Play small pages that are made from seeds, in a browser on a display of their own, judged by what the
    /// page says happened.
    Live(Box<EvalLiveArgs>),
    /// Check this build against known answers; takes a moment and no weights.
    Selfcheck,
    /// List the schemas, prompts and scorers there are.
    List,
}

/// `eval import`.
#[derive(Debug, Args)]
pub(crate) struct EvalImportArgs {
    /// The annotations: .json, .jsonl, .tsv or .parquet files (.gz, too), TFRecords, or a folder of them.
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) sources: Vec<PathBuf>,

    /// What they are written in; `eval list` tells. The form of a box is never guessed.
    #[arg(long = "as", value_name = "SCHEMA", value_parser = parse_schema)]
    pub(crate) schema: &'static Schema,

    /// The folder of the pictures; by default that of the annotations.
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,

    /// The folder to write the dataset to.
    #[arg(short, long, value_name = "DIR", required_unless_present = "check")]
    pub(crate) output: Option<PathBuf>,

    /// The name of the dataset; by default the schema's.
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Only check: counts beside the published ones, and what is broken or odd. Exit code 1 if
    /// anything is.
    #[arg(long, conflicts_with = "output")]
    pub(crate) check: bool,

    /// Leave out items that cannot be judged; the dataset names them.
    #[arg(long)]
    pub(crate) drop_broken: bool,

    /// Only items with this tag, such as `split=test`; of subsets, those that are in it at all.
    #[arg(long, value_name = "TAG=VALUE", value_parser = parse_tag)]
    pub(crate) only: Option<(String, String)>,
}

/// `eval infer`.
#[derive(Debug, Args)]
pub(crate) struct EvalInferArgs {
    /// The dataset, as `eval import` made it.
    #[arg(value_name = "DATASET")]
    pub(crate) dataset: PathBuf,

    /// The folder of the run; one that is there goes on where it was.
    #[arg(short, long, value_name = "RUN")]
    pub(crate) output: PathBuf,

    /// How to ask: a name that `eval list` shows, a .toml file, or `handsight`, as `ground` does. By
    /// default that for the embedded model, else `qwen-guided`.
    #[arg(long = "ask", value_name = "PROMPT")]
    pub(crate) ask: Option<String>,

    /// Ask about the first so many items only.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,

    /// Ask about one part of the items, such as `2/3`; `eval merge` puts them together.
    #[arg(long, value_name = "I/N", value_parser = str::parse::<Shard>)]
    pub(crate) shard: Option<Shard>,

    /// Ask again about items that ended in an error.
    #[arg(long)]
    pub(crate) retry_errors: bool,

    /// The fewest pixels of a picture the model sees.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(784..=100_000_000))]
    pub(crate) min_pixels: Option<u64>,

    /// Ask once for each of these pixel budgets, such as `200704,501760,1003520`; each is a run of its own
    /// below the output folder, and `eval curve` shows them all.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', conflicts_with = "pixels", value_parser = clap::value_parser!(u64).range(PIXEL_BUDGETS))]
    pub(crate) sweep_pixels: Vec<u64>,

    /// Look again, so many times closer, around the first answer: a second figure, beside the first.
    #[arg(long, value_name = "TIMES", value_parser = parse_zoom)]
    pub(crate) zoom: Option<f64>,

    /// Divide the logits of tokens seen before by this; transformers' scripts keep the 1.05 of the
    /// checkpoint.
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = parse_penalty)]
    pub(crate) repetition_penalty: f32,

    /// The most tokens of an answer.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=8192))]
    pub(crate) max_tokens: u32,

    /// How many questions about different pictures a model in this process answers in common passes. Answers are
    /// the same, probabilities to six digits; it takes the memory of so many.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) batch: u16,

    /// How many requests a server gets at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: u16,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

/// A run, and who judges it.
#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// The dataset, if it is not where it was when the run was made.
    #[arg(long, value_name = "DATASET")]
    pub(crate) dataset: Option<PathBuf>,

    /// The rules to judge by, the first being the main one; by default all that fit.
    #[arg(long = "by", value_name = "SCORER", value_delimiter = ',', value_parser = str::parse::<Scorer>)]
    pub(crate) scorers: Vec<Scorer>,
}

/// `eval score`.
#[derive(Debug, Args)]
pub(crate) struct EvalScoreArgs {
    /// The run.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,

    #[command(flatten)]
    pub(crate) judge: JudgeArgs,

    /// Exit with 1 if the main figure is below this share, 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub(crate) min_acc: Option<f64>,
}

/// `eval report`.
#[derive(Debug, Args)]
pub(crate) struct EvalReportArgs {
    /// The run.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,

    #[command(flatten)]
    pub(crate) judge: JudgeArgs,

    /// The folder of the report; by default `report` in that of the run.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,

    /// The most failures with a picture.
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u32).range(0..=5000))]
    pub(crate) gallery: u32,

    /// Leave out what took how long: reports of the same predictions are then the same bytes.
    #[arg(long)]
    pub(crate) no_times: bool,
}

/// `eval diff`.
#[derive(Debug, Args)]
pub(crate) struct EvalDiffArgs {
    /// The first run.
    #[arg(value_name = "A")]
    pub(crate) a: PathBuf,

    /// The second run.
    #[arg(value_name = "B")]
    pub(crate) b: PathBuf,

    /// The dataset, if it is not where it was when the runs were made.
    #[arg(long, value_name = "DATASET")]
    pub(crate) dataset: Option<PathBuf>,

    /// The rule to judge by; by default `strict`, or for steps `qwen-ac`.
    #[arg(long = "by", value_name = "SCORER", value_parser = str::parse::<Scorer>)]
    pub(crate) scorer: Option<Scorer>,

    /// Write a page with what flipped, side by side.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Exit with 1 if the second run is worse by more than this share, 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub(crate) max_regress: Option<f64>,
}

/// `eval live`.
#[derive(Debug, Args)]
pub(crate) struct EvalLiveArgs {
    /// How many tasks of each family.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) seeds: u32,

    /// The seed of the first task.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) from: u32,

    /// The families: form, check, radio, tabs, menu, search, list, dialog; by default all.
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = parse_live_family)]
    pub(crate) only: Vec<LiveFamily>,

    /// Try each task so often, and say how reliably tasks succeed: pass^k and pass@k.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) repeats: u32,

    /// A list of tasks that are run, but not counted, each with a reason and the day it ends.
    #[arg(long, value_name = "FILE")]
    pub(crate) quarantine: Option<PathBuf>,

    /// The most steps of an episode.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) max_steps: u32,

    /// Keep a trace of every episode in this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) traces: Option<PathBuf>,

    /// Exit with 1 if fewer goals than this share are reached, 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub(crate) min_acc: Option<f64>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

/// `eval curve`.
#[derive(Debug, Args)]
pub(crate) struct EvalCurveArgs {
    /// The runs, or the folder of a sweep.
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,

    /// The dataset, if it is not where it was when the runs were made.
    #[arg(long, value_name = "DATASET")]
    pub(crate) dataset: Option<PathBuf>,

    /// The rule to judge by; by default `strict`, or for steps `qwen-ac`.
    #[arg(long = "by", value_name = "SCORER", value_parser = str::parse::<Scorer>)]
    pub(crate) scorer: Option<Scorer>,

    /// Write a page with the curve.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// `eval merge`.
#[derive(Debug, Args)]
pub(crate) struct EvalMergeArgs {
    /// The parts.
    #[arg(required = true, value_name = "RUN")]
    pub(crate) parts: Vec<PathBuf>,

    /// The folder of the whole run.
    #[arg(short, long, value_name = "RUN")]
    pub(crate) output: PathBuf,

    /// The dataset, if it is not where it was when the parts were made.
    #[arg(long, value_name = "DATASET")]
    pub(crate) dataset: Option<PathBuf>,
}

fn parse_tag(text: &str) -> Result<(String, String), String> {
    let (tag, value) = text.split_once('=').ok_or("write a tag and its value: `split=test`")?;
    Ok((tag.to_owned(), value.to_owned()))
}

fn parse_live_family(name: &str) -> Result<LiveFamily, String> {
    LiveFamily::ALL.into_iter().find(|family| family.as_str() == name).ok_or_else(|| {
        let names = LiveFamily::ALL.map(LiveFamily::as_str).join(", ");
        format!("there is no family `{name}`; they are {names}")
    })
}

fn parse_schema(name: &str) -> Result<&'static Schema, String> {
    Schema::named(name).ok_or_else(|| {
        let names: Vec<_> = SCHEMAS.iter().map(|schema| schema.name).collect();
        format!("there is no schema `{name}`; they are {}", names.join(", "))
    })
}

fn number_within(text: &str, low: f64, high: f64) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    if (low..=high).contains(&number) {
        Ok(number)
    } else {
        Err(format!("{number} is not between {low} and {high}"))
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    number_within(text, 0.0, 1.0)
}

fn parse_zoom(text: &str) -> Result<f64, String> {
    number_within(text, 1.1, 16.0)
}

#[expect(clippy::cast_possible_truncation, reason = "a penalty has few digits")]
fn parse_penalty(text: &str) -> Result<f32, String> {
    number_within(text, 0.5, 2.0).map(|penalty| penalty as f32)
}
