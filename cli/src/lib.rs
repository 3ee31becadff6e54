//! The command line: arguments in, an exit code out. It translates and decides nothing.
//!
//! [`run`] is all of it, so that a test or another binary can call it.

mod answer;
mod args;
mod attend;
#[cfg(target_os = "linux")]
mod clipboard_keeper;
mod commands;
mod demo;
mod failure;
mod interrupt;
mod live;
mod mcp;
mod model_spec;
mod open;
mod plugin_http;
mod print;
mod robot;
mod serve;
mod session_thread;
mod settings;
mod stage;
#[cfg(target_os = "linux")]
mod watchdog;

use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::args::Cli;
use crate::failure::{Exit, Failure};
use crate::print::Printer;
use crate::settings::Environment;

/// Runs the command that `args` name, program name included, and returns its exit code.
///
/// The codes are listed in the source of the binary and at the foot of `handsight --help`.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let environment = Environment::read();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &args, &environment).into(),
    };
    let printer = Printer::new(cli.json, &environment);
    failure::keep_panics_quiet();
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        commands::dispatch(cli.command, &printer, &environment)
    }));
    let outcome = outcome.unwrap_or_else(|_| Err(Failure::from_last_panic()));
    let exit = outcome.unwrap_or_else(|failure| {
        printer.failure(&failure);
        failure.exit
    });
    exit.into()
}

/// Answers arguments that name no command: help, the version, or what is wrong with them.
fn usage(error: &clap::Error, args: &[OsString], environment: &Environment) -> Exit {
    let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let json = !is_help && args.iter().any(|arg| arg == "--json");
    Printer::new(json, environment).usage(error);
    if is_help { Exit::Done } else { Exit::BadInput }
}
