//! `models rm`: removes a model from the cache.

use handsight_model::hub::{Hub, ModelName};
use serde_json::json;

use super::bytes;
use crate::args::ModelsRmArgs;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::print::Printer;
use crate::settings::Environment;

pub(super) fn run(
    args: &ModelsRmArgs,
    printer: &Printer,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let name: ModelName = args.name.parse()?;
    let hub = Hub::new(environment.hub.clone());
    let removal = hub.plan_removal(&name)?;
    let what = match (removal.whole, removal.commits.as_slice()) {
        (true, [_, _, ..]) => format!("{} with all its revisions", removal.repo),
        _ => removal.name.clone(),
    };
    if !args.yes {
        if printer.json() || !environment.interactive {
            let message = format!("nobody can be asked whether to remove {what}");
            return Err(Failure::bad_input(message).with_hint("give `--yes` to remove it"));
        }
        let interrupt = Interrupt::listen(printer)?;
        let question = format!("remove {what}, {}?", bytes(removal.bytes));
        if !printer.ask(&question, &interrupt.cancel) {
            interrupt.check()?;
            return Ok(Exit::NotAchieved);
        }
    }
    hub.remove(&removal)?;
    let value = json!({
        "name": removal.name,
        "repo": removal.repo,
        "commits": removal.commits,
        "freed_bytes": removal.bytes,
    });
    printer.result(&value, &format!("{what}  removed, {} freed", bytes(removal.bytes)))?;
    Ok(Exit::Done)
}
