//! The commands, one file each.

mod act;
mod ask;
mod bench;
mod chat;
mod control;
mod devices;
mod doctor;
mod eval;
mod ground;
mod mcp;
mod models;
mod policy;
mod robot;
mod run;
mod scenario;
mod schema;
mod screenshot;
mod secrets;
mod serve;
mod trace;

use handsight_agent::control::ControlCommand;

pub(crate) use self::devices::listing;
use crate::args::Command;
use crate::demo;
use crate::failure::{Exit, Failure};
use crate::print::Printer;
use crate::settings::Environment;

/// Runs a command.
pub(crate) fn dispatch(
    command: Command,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::run(&args, printer, environment),
        Command::Scenario(args) => scenario::run(&args.command, printer, environment),
        Command::Eval(args) => eval::run(&args.command, printer, environment),
        Command::Ground(args) => ground::run(&args, printer, environment),
        Command::Ask(args) => ask::run(&args, printer, environment),
        Command::Chat(args) => chat::run(&args, printer, environment),
        Command::Act(args) => act::run(&args, printer, environment),
        Command::Screenshot(args) => screenshot::run(&args, printer, environment),
        Command::Devices(args) => devices::run(&args, printer, environment),
        Command::Doctor(args) => doctor::run(&args, printer, environment),
        Command::Stop(args) => {
            control::run(ControlCommand::Stop, (&args, None), printer, environment)
        }
        Command::Pause(args) => {
            control::run(ControlCommand::Pause, (&args, None), printer, environment)
        }
        Command::Resume(args) => {
            let wish = (&args.control, args.say.as_deref());
            control::run(ControlCommand::Resume, wish, printer, environment)
        }
        #[cfg(target_os = "linux")]
        Command::Watchdog { display } => crate::watchdog::watch(&display),
        #[cfg(not(target_os = "linux"))]
        Command::Watchdog { .. } => Ok(Exit::Done),
        #[cfg(target_os = "linux")]
        Command::KeepClipboard { display } => crate::clipboard_keeper::keep(&display),
        #[cfg(not(target_os = "linux"))]
        Command::KeepClipboard { .. } => Ok(Exit::Done),
        Command::Policy(args) => policy::run(&args.command, printer, environment),
        Command::Secrets(args) => secrets::run(&args.command, printer, environment),
        Command::Schema(args) => schema::run(&args, printer),
        Command::Demo(args) => demo::run(&args, printer, environment),
        Command::Trace(args) => trace::run(&args.command, printer, environment),
        Command::Models(args) => models::run(&args.command, printer, environment),
        Command::Serve(args) => serve::run(args, printer, environment),
        Command::Mcp(args) => mcp::run(&args, printer, environment),
        Command::Robot(args) => robot::run(&args, printer, environment),
        Command::Bench(args) => bench::run(&args, printer, environment),
    }
}
