//! `models`: fetches checkpoints and looks after those that were fetched, one file per command.

mod compare;
mod info;
mod list;
mod pull;
mod quantize;
mod rm;
mod verify;

pub(super) use handsight_model::memory::format_bytes as bytes;

use crate::args::ModelsCommand;
use crate::failure::{Exit, Failure};
use crate::print::Printer;
use crate::settings::Environment;

/// Runs a command of `models`.
pub(crate) fn run(
    command: &ModelsCommand,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    match command {
        ModelsCommand::Compare(args) => compare::run(args, printer, environment),
        ModelsCommand::Pull(args) => pull::run(args, printer, environment),
        ModelsCommand::List(args) => list::run(args, printer, environment),
        ModelsCommand::Info(args) => info::run(args, printer, environment),
        ModelsCommand::Quantize(args) => quantize::run(args, printer),
        ModelsCommand::Verify(args) => verify::run(args, printer, environment),
        ModelsCommand::Rm(args) => rm::run(args, printer, environment),
    }
}
