//! `policy`: looks after safety policies.

use handsight_actions::SafetyPolicy;
use serde_json::json;

use crate::args::{PolicyArgs, PolicyCommand};
use crate::failure::{Exit, Failure};
use crate::open;
use crate::print::Printer;
use crate::settings::Environment;

pub(crate) fn run(
    command: &PolicyCommand,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Check { file } => {
            let args = PolicyArgs { file: file.clone(), no_paste: false };
            let Some(path) = open::policy::file(&args, environment) else {
                let message = "no safety policy was named, and the user has none".to_owned();
                return Err(Failure::bad_input(message).with_hint("name the file to check"));
            };
            let policy = SafetyPolicy::open(&path)?;
            let path = path.display().to_string();
            let value = json!({ "ok": true, "path": path, "mode": policy.mode });
            printer.result(&value, &format!("{path}: fine, mode {}", policy.mode))?;
            Ok(Exit::Done)
        }
    }
}
