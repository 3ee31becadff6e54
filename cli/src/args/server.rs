//! How a model on a server is asked, as it was typed.

use std::time::Duration;

use clap::{Args, ValueEnum};
use handsight_agent::SchemaForm;

use super::parse_duration;

/// What holds for `--model http://…` only.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Model on a server")]
#[expect(clippy::struct_field_names, reason = "they are the names of options")]
pub(crate) struct ServerArgs {
    /// How long one answer may take, repetitions included.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    pub(crate) server_timeout: Duration,

    /// The form in which the server is sent a JSON Schema; by default the one that works.
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) server_schema: Option<ServerSchema>,

    /// The most pixels the server's model takes an image at, if fewer than the family's.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u64).range(3136..=12_845_056))]
    pub(crate) server_max_pixels: Option<u64>,
}

/// The form of a JSON Schema.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ServerSchema {
    JsonSchema,
    GuidedJson,
    JsonObject,
    None,
}

impl From<ServerSchema> for SchemaForm {
    fn from(form: ServerSchema) -> Self {
        match form {
            ServerSchema::JsonSchema => Self::JsonSchema,
            ServerSchema::GuidedJson => Self::GuidedJson,
            ServerSchema::JsonObject => Self::JsonObject,
            ServerSchema::None => Self::NotSent,
        }
    }
}
