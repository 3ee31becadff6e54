//! `schema`: the JSON Schema of actions, safety policies, scenarios and tools.

use handsight_actions::{
    ActionSpace, Dialect, Size, action_schema, policy_schema, public_schema, tool_signature,
};
use handsight_scenarios::{Tool, scenario_schema};
use serde_json::{Value, json};

use crate::args::{SchemaArgs, SchemaKind};
use crate::failure::{Exit, Failure};
use crate::print::Printer;
use crate::serve::agent::openapi;

/// The screen a function is described for unless another is named.
const DEFAULT_SIZE: Size = Size { width: 1288, height: 728 };

pub(crate) fn run(args: &SchemaArgs, printer: &Printer) -> Result<Exit, Failure> {
    let size = args.width.zip(args.height).map(|(width, height)| Size { width, height });
    let schema = match args.kind {
        SchemaKind::Action => {
            size.map_or_else(public_schema, |size| action_schema(&ActionSpace::all(), size))
        }
        SchemaKind::Policy => policy_schema().to_value(),
        SchemaKind::Scenario => scenario_schema().to_value(),
        SchemaKind::Tools => Tool::all().map(tool).collect(),
        SchemaKind::Openapi => openapi::document(),
        SchemaKind::ComputerUse => signature(Dialect::ComputerUse, size),
        SchemaKind::MobileUse => signature(Dialect::MobileUse, size),
    };
    printer.result(&schema, &format!("{schema:#}"))?;
    Ok(Exit::Done)
}

fn tool(tool: Tool) -> Value {
    json!({
        "name": tool.name(),
        "keyword": tool.keyword(),
        "step": tool.step(),
        "description": tool.description(),
        "arguments": tool.arguments(),
        "result": tool.result(),
    })
}

fn signature(dialect: Dialect, size: Option<Size>) -> Value {
    tool_signature(dialect, size.unwrap_or(DEFAULT_SIZE))
}
