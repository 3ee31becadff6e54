//! The safety policy and what stops a run, as it was typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Which safety policy holds.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// The safety policy that says what may be done; by default `handsight/policy.yaml` in the
    /// user's configuration folder, if there is one.
    #[arg(long = "policy", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// `stop`, `pause` and `resume`.
#[derive(Debug, Args)]
pub(crate) struct ControlArgs {
    /// The process; every run of this user, if absent.
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
}

/// `policy`.
#[derive(Debug, Args)]
pub(crate) struct PolicyCommandArgs {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

/// The commands of `policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a safety policy, and say where it is wrong.
    Check {
        /// The file; by default the one that holds when none is named.
        file: Option<PathBuf>,
    },
}
