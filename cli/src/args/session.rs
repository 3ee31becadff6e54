//! What other programs may use, as it was typed: for `mcp` and `robot`.

use std::path::PathBuf;

use clap::Args;
use handsight_actions::SecretName;

use super::{ModelArgs, PolicyArgs, SecretsArgs, TargetArgs};

/// What programs act on and ask, and what they may.
#[derive(Debug, Args)]
pub(crate) struct SessionArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    #[command(flatten)]
    pub(crate) may: MayArgs,
}

/// What programs may do.
#[derive(Debug, Args)]
pub(crate) struct MayArgs {
    /// Let scenarios below this folder be run; their steps can start programs.
    #[arg(long, value_name = "DIR")]
    pub(crate) scenarios: Option<PathBuf>,

    /// Record every goal that is pursued in a folder of its own in this one.
    #[arg(long, value_name = "DIR")]
    pub(crate) traces: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) policy: PolicyArgs,

    #[command(flatten)]
    pub(crate) secrets: SecretsArgs,

    /// Let this secret be typed, as `{{secret:NAME}}`; may be repeated.
    #[arg(long = "secret", value_name = "NAME", value_parser = parse_name)]
    pub(crate) names: Vec<SecretName>,
}

impl MayArgs {
    /// Whether anything was said that makes sense on a device of this process only.
    pub(crate) fn needs_device(&self) -> bool {
        self.scenarios.is_some() || self.secrets.file.is_some() || !self.names.is_empty()
    }
}

fn parse_name(text: &str) -> Result<SecretName, String> {
    SecretName::new(text).ok_or_else(|| "expected letters, digits, `_` and `-`".to_owned())
}
