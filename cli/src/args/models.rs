//! What was typed after `models`.

use clap::{Args, Subcommand};

/// `models`.
#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) command: ModelsCommand,
}

/// The commands of `models`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models that were pulled, by this program or another.
    List(ModelsListArgs),
}

/// `models list`.
#[derive(Debug, Args)]
pub(crate) struct ModelsListArgs {
    /// List models of other families, too.
    #[arg(long)]
    pub(crate) all: bool,
}
