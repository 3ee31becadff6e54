//! Which model, where it runs, and how it is talked to, as it was typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use handsight_agent::PixelBudget;
use handsight_model::memory::parse_bytes;
use handsight_model::{DeviceMap, Quantization, WeightDtype};

use super::ServerArgs;

/// Which model, and where it runs.
#[derive(Clone, Debug, Args)]
pub(crate) struct ModelArgs {
    /// The model: `embedded`, the folder of a checkpoint, a `.gguf` file, a name that `models list`
    /// shows, or a server's, `http://host/v1#name`.
    #[arg(long, value_name = "MODEL", default_value = "embedded")]
    pub(crate) model: String,

    #[command(flatten)]
    pub(crate) load: LoadArgs,

    #[command(flatten)]
    pub(crate) talk: TalkArgs,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// How a checkpoint is loaded.
#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArgs {
    /// The vision tower's file of a model in GGUF, if it is not the one beside it.
    #[arg(long, value_name = "FILE")]
    pub(crate) mmproj: Option<PathBuf>,

    /// Where the model runs: `cpu`, `cuda:N`, `metal:N`, several such as `cuda:0=20GB,cuda:1,cpu`,
    /// each filled before the next is used, or `auto`.
    #[arg(long, visible_alias = "device-map", value_name = "WHERE", default_value = "cpu", value_parser = str::parse::<DeviceMap>)]
    pub(crate) compute: DeviceMap,

    /// The most memory to take, such as `6GB`; by default what is free.
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    pub(crate) memory: Option<u64>,

    /// What weights are kept in; by default as they are stored, and small models in f32.
    #[arg(long, value_name = "DTYPE", value_parser = str::parse::<WeightDtype>)]
    pub(crate) dtype: Option<WeightDtype>,

    /// Quantise the weights as they are loaded: `q4k`, `q5k`, `q6k` or `q8_0`.
    #[arg(long, value_name = "TYPE", value_parser = str::parse::<Quantization>)]
    pub(crate) quantize: Option<Quantization>,

    /// Compute in f32 even where weights are quantised, on the CPU: slower, and closer to the
    /// reference.
    #[arg(long)]
    pub(crate) exact: bool,
}

/// How a model is talked to.
#[derive(Clone, Debug, Args)]
pub(crate) struct TalkArgs {
    /// The family of fine-tunes the model is of, or a .toml file; by default what its name tells.
    #[arg(long, value_name = "NAME")]
    pub(crate) family: Option<String>,

    /// How to talk to the model; by default as its family or config.json says, for the screen.
    #[arg(long, value_enum, value_name = "PROFILE")]
    pub(crate) prompt: Option<Prompt>,

    /// The most pixels of a picture the model sees; `auto`: what a screen like this needs, and then a
    /// closer look; by default what suits its family.
    #[arg(long, visible_alias = "max-pixels", value_name = "N|auto", value_parser = str::parse::<PixelBudget>)]
    pub(crate) pixels: Option<PixelBudget>,
}

/// How to talk to a model.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Prompt {
    #[value(name = "embedded-v1")]
    EmbeddedV1,
    ComputerUse,
    MobileUse,
}
