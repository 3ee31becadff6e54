//! What was typed after `models`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use handsight_model::GgufType;

use super::{LoadArgs, TalkArgs};

/// `models`.
#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

/// The commands of `models`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Fetch a model, or go on with one that was interrupted.
    #[command(after_help = PULL_HELP)]
    Pull(ModelsPullArgs),
    /// List the models that were pulled, by this program or another.
    List(ModelsListArgs),
    /// Show what a model is: its sizes, parameters, types, licence and files.
    Info(ModelsInfoArgs),
    /// Write a checkpoint folder as GGUF: a language model and its vision tower.
    Quantize(ModelsQuantizeArgs),
    /// Compare a model with a reference on some screens: how often they find the same token likeliest,
    /// and how far apart the points are that they ground.
    #[command(after_help = COMPARE_HELP)]
    Compare(ModelsCompareArgs),
    /// Compute the checksums of all files of a model again.
    Verify(ModelsVerifyArgs),
    /// Remove a model; what other revisions share stays.
    Rm(ModelsRmArgs),
}

/// What `models pull` knows from the environment.
const PULL_HELP: &str = "\
Names: qwen2.5-vl-3b, -7b, -32b and -72b, each also with -awq; ui-tars-1.5, gui-owl, ui-venus, \
holo1.5, gta1, opencua and their other sizes; any `org/name`, with `@` and a branch, tag or commit, \
and with `:` and a GGUF file.

Environment: HF_HOME or HF_HUB_CACHE says where models are kept, HF_ENDPOINT names a mirror, \
HF_TOKEN is for private and gated models, HF_HUB_OFFLINE=1 forbids the network, \
HF_HUB_DOWNLOAD_TIMEOUT is how many seconds a server may be silent, HTTPS_PROXY and \
REQUESTS_CA_BUNDLE are as everywhere.";

const COMPARE_HELP: &str = "\
Example: what quantising changes on two screens

  handsight models compare qwen2.5-vl-3b qwen2.5-vl-3b --quantize q4k \\
      --image desktop.png --image browser.png --find 'the Save button'

`--quantize`, `--dtype`, `--compute` and `--mmproj` are said of MODEL; the reference is loaded as it \
is, with `--exact`.";

/// `models compare`.
#[derive(Debug, Args)]
pub(crate) struct ModelsCompareArgs {
    /// What is compared with, such as the checkpoint that was quantised.
    pub(crate) reference: String,

    /// What is compared.
    pub(crate) model: String,

    /// A screenshot; can be given several times.
    #[arg(long = "image", value_name = "FILE", required = true)]
    pub(crate) images: Vec<PathBuf>,

    /// What to look for on each of them; can be given several times.
    #[arg(long, value_name = "TEXT", required = true)]
    pub(crate) find: Vec<String>,

    #[command(flatten)]
    pub(crate) load: LoadArgs,

    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}

/// `models pull`.
#[derive(Debug, Args)]
pub(crate) struct ModelsPullArgs {
    /// The model, such as `qwen2.5-vl-3b` or `org/name@revision`.
    pub(crate) name: String,

    /// Fetch this file in the place of those a checkpoint needs; can be given several times.
    #[arg(long = "file", value_name = "FILE")]
    pub(crate) files: Vec<String>,

    /// How many files to fetch at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) parallel: u8,

    /// How often in a row a request may fail for a reason that can pass.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) retries: u32,
}

/// `models info`.
#[derive(Debug, Args)]
pub(crate) struct ModelsInfoArgs {
    /// The name of a pulled model, or the folder or file of one.
    pub(crate) name: String,
}

/// `models quantize`.
#[derive(Debug, Args)]
pub(crate) struct ModelsQuantizeArgs {
    /// The folder of a checkpoint.
    #[arg(value_name = "IN")]
    pub(crate) input: PathBuf,

    /// The language model to write; the vision tower is written beside it as `mmproj-OUT.gguf`.
    #[arg(value_name = "OUT.gguf")]
    pub(crate) output: PathBuf,

    /// What the matrices of the language model become: `q4k`, `q5k`, `q6k`, `q8_0`, `bf16` or `f16`.
    #[arg(long = "type", value_name = "TYPE", default_value = "q4k", value_parser = str::parse::<GgufType>)]
    pub(crate) kind: GgufType,
}

/// `models verify`.
#[derive(Debug, Args)]
pub(crate) struct ModelsVerifyArgs {
    /// The model, by the name it was pulled by.
    pub(crate) name: String,

    /// Remove files that are damaged, so that `models pull` fetches them again.
    #[arg(long)]
    pub(crate) remove_damaged: bool,
}

/// `models rm`.
#[derive(Debug, Args)]
pub(crate) struct ModelsRmArgs {
    /// The model: all its revisions, or the one after `@`, or the file after `:`.
    pub(crate) name: String,

    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `models list`.
#[derive(Debug, Args)]
pub(crate) struct ModelsListArgs {
    /// List models of other families, too.
    #[arg(long)]
    pub(crate) all: bool,
}
