//! The safety policy, the secrets and what stops a run, as it was typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Which safety policy holds.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// The safety policy that says what may be done; by default `handsight/policy.yaml` in the
    /// user's configuration folder, if there is one.
    #[arg(long = "policy", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Type every text on a desktop, however long, and leave the clipboard alone.
    #[arg(long)]
    pub(crate) no_paste: bool,
}

/// `stop`, `pause` and `resume`.
#[derive(Debug, Args)]
pub(crate) struct ControlArgs {
    /// The process; every run of this user, if absent.
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
}

/// `resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    pub(crate) control: ControlArgs,

    /// Tell the model something, such as the answer to its question.
    #[arg(long, value_name = "TEXT", value_parser = parse_said)]
    pub(crate) say: Option<String>,
}

/// The longest word to a model, in characters.
const MAX_SAID: usize = 4000;

fn parse_said(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it is empty".to_owned()),
        text if text.chars().count() > MAX_SAID => {
            Err(format!("it has more than {MAX_SAID} characters"))
        }
        text => Ok(text.to_owned()),
    }
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

/// Which secrets there are.
#[derive(Debug, Args)]
pub(crate) struct SecretsArgs {
    /// The file with the secrets that `{{secret:NAME}}` stands for; by default
    /// `handsight/secrets.yaml` in the user's configuration folder, if there is one.
    #[arg(id = "secrets", long = "secrets", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// `secrets`.
#[derive(Debug, Args)]
pub(crate) struct SecretsCommandArgs {
    #[command(subcommand)]
    pub(crate) command: SecretsCommand,
}

/// The commands of `secrets`.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// List the names of the secrets in the file and the environment, never their values.
    List {
        #[command(flatten)]
        secrets: SecretsArgs,
    },
    /// Check that secrets can be had, in the keyring, too, and typed.
    Check {
        /// The names; by default all that `list` lists.
        #[arg(value_name = "NAME")]
        names: Vec<String>,

        #[command(flatten)]
        secrets: SecretsArgs,
    },
}
