//! The registry of what other programs can ask for: names, words and schemas, written here once.
//!
//! MCP tools, Robot Framework keywords, HTTP paths, their documents and the table in `TOOLS.md` are all
//! made from it. Kinds of action are tools without being listed: they are those of
//! [`Verb`], with the schemas of their fields.

use handsight_actions::{Action, Verb, verb_schema};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::args;
use crate::result::ScenarioResult;
use crate::scenario::file::Target;
use crate::scenario::step::{LONG_PRESS, NOTCHES};
use crate::scenario::step_of;

/// Something that a session can be asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Tool {
    /// What the screen shows.
    Observe,
    /// Where something is.
    Ground,
    /// A question about the screen.
    Ask,
    /// A value read off the screen.
    Extract,
    /// Whether something is so.
    Expect,
    /// One kind of action.
    Verb(Verb),
    /// One action, as JSON.
    Act,
    /// A goal, over several actions.
    RunGoal,
    /// A scenario.
    RunScenario,
    /// Which devices there are.
    ListDevices,
}

/// What a tool does to the world.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// It looks, and changes nothing.
    Looks,
    /// It acts on the device.
    Acts,
}

/// What an action's points are called by a person: one is a target, a second is where it goes to.
pub(super) const POINTS: [(&str, &str); 2] = [("target", "coordinate"), ("to", "coordinate2")];

impl Tool {
    /// Returns all tools in the order in which they are offered. Actions that only a policy has a use for
    /// are none.
    pub fn all() -> impl Iterator<Item = Self> {
        let looks = [Self::Observe, Self::Ground, Self::Ask, Self::Extract, Self::Expect];
        let verbs = Verb::ALL.iter().copied().filter(|verb| !verb.is_for_policies());
        let others = [Self::Act, Self::RunGoal, Self::RunScenario, Self::ListDevices];
        looks.into_iter().chain(verbs.map(Self::Verb)).chain(others)
    }

    /// Returns the tool of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|tool| tool.name() == name)
    }

    /// Returns its name, which is that of the action for one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Ground => "ground",
            Self::Ask => "ask",
            Self::Extract => "extract",
            Self::Expect => "expect",
            Self::Verb(verb) => verb.as_str(),
            Self::Act => "act",
            Self::RunGoal => "run_goal",
            Self::RunScenario => "run_scenario",
            Self::ListDevices => "list_devices",
        }
    }

    /// Returns its name in words, which is also its keyword in Robot Framework.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Observe => "Take Screenshot",
            Self::Ground => "Find Target",
            Self::Ask => "Ask",
            Self::Extract => "Extract",
            Self::Expect => "Expect",
            Self::Act => "Perform Action",
            Self::RunGoal => "Run Goal",
            Self::RunScenario => "Run Scenario",
            Self::ListDevices => "List Devices",
            Self::Verb(verb) => match verb {
                Verb::LeftClick => "Click",
                Verb::RightClick => "Right Click",
                Verb::MiddleClick => "Middle Click",
                Verb::DoubleClick => "Double Click",
                Verb::TripleClick => "Triple Click",
                Verb::LongPress => "Long Press",
                Verb::MouseMove => "Move Mouse",
                Verb::Drag => "Drag",
                Verb::Swipe => "Swipe",
                Verb::Scroll => "Scroll",
                Verb::Type => "Type Text",
                Verb::Key => "Press Keys",
                Verb::SystemButton => "Press Button",
                Verb::OpenApp => "Open App",
                Verb::Wait => "Wait",
                // These are no tools.
                Verb::Answer => "Answer",
                Verb::CallUser => "Call User",
                Verb::Terminate => "Terminate",
            },
        }
    }

    /// Returns the kind of action it is, if it is one.
    pub fn verb(self) -> Option<Verb> {
        if let Self::Verb(verb) = self { Some(verb) } else { None }
    }

    /// Returns the step of a scenario that does the same, if there is one.
    pub fn step(self) -> Option<&'static str> {
        match self {
            Self::Verb(verb) => step_of(verb),
            Self::Extract => Some("extract"),
            Self::Expect => Some("expect"),
            Self::RunGoal => Some("do"),
            Self::RunScenario => Some("include"),
            Self::Observe | Self::Ground | Self::Ask | Self::Act | Self::ListDevices => None,
        }
    }

    /// Returns what it does to the world.
    pub fn effect(self) -> Effect {
        match self {
            Self::Observe
            | Self::Ground
            | Self::Ask
            | Self::Extract
            | Self::Expect
            | Self::ListDevices
            | Self::Verb(Verb::Wait) => Effect::Looks,
            Self::Verb(_) | Self::Act | Self::RunGoal | Self::RunScenario => Effect::Acts,
        }
    }

    /// Whether it takes several steps, and tells of each.
    pub fn takes_steps(self) -> bool {
        matches!(self, Self::RunGoal | Self::RunScenario)
    }

    /// Says what it does, in a sentence or two.
    pub fn description(self) -> String {
        let text = match self {
            Self::Observe => {
                "Waits until the screen is still and returns a screenshot, its size and the window \
                 in front. Points of all other tools are pixels of this picture."
            }
            Self::Ground => "Finds something on the screen by words, with the model.",
            Self::Ask => "Has the model answer a question about the screen, in words.",
            Self::Extract => {
                "Has the model read a value off the screen; it follows the JSON Schema that is given."
            }
            Self::Expect => {
                "Has the model judge whether a claim about the screen is true, and waits for it to \
                 become so."
            }
            Self::Act => {
                "Performs one action that is given as JSON. It is checked against the screen as it \
                 is now and against the safety policy first."
            }
            Self::RunGoal => {
                "Has the model pursue a goal on the screen, over as many actions as it takes. That \
                 it claims success is no proof: look at the screen, or expect something of it."
            }
            Self::RunScenario => {
                "Runs a scenario: steps and checks in a file, without the model where nothing has \
                 changed."
            }
            Self::ListDevices => "Lists the monitors, windows and phones that can be used.",
            Self::Verb(verb) => return verb_description(verb),
        };
        text.to_owned()
    }

    /// Returns the JSON Schema of its arguments: an object without references.
    pub fn arguments(self) -> Value {
        portable(match self {
            Self::Observe | Self::ListDevices => schema_of::<args::Nothing>(),
            Self::Ground => schema_of::<args::Ground>(),
            Self::Ask => schema_of::<args::Ask>(),
            Self::Extract => schema_of::<args::Extract>(),
            Self::Expect => schema_of::<args::Expect>(),
            Self::Verb(verb) => verb_arguments(verb),
            Self::Act => act_arguments(),
            Self::RunGoal => schema_of::<args::RunGoal>(),
            Self::RunScenario => schema_of::<args::RunScenario>(),
        })
    }

    /// Returns the JSON Schema of its result: an object without references.
    pub fn result(self) -> Value {
        portable(match self {
            Self::Observe => schema_of::<args::Observed>(),
            Self::Ground => schema_of::<args::Grounded>(),
            Self::Ask => schema_of::<args::Answered>(),
            Self::Extract => schema_of::<args::Extracted>(),
            Self::Expect => schema_of::<args::Expected>(),
            Self::Verb(_) | Self::Act => schema_of::<args::Acted>(),
            Self::RunGoal => schema_of::<args::GoalRun>(),
            Self::RunScenario => schema_of::<ScenarioResult>(),
            Self::ListDevices => json!({ "type": "object" }),
        })
    }
}

fn verb_description(verb: Verb) -> String {
    let schema = verb_schema(verb);
    let text = schema["description"].as_str().unwrap_or_default().to_owned();
    let takes_words = schema["properties"].get("coordinate").is_some();
    if takes_words { format!("{text} What is named in words is found by the model.") } else { text }
}

/// Returns a table of all tools for people, in Markdown: `TOOLS.md` holds it.
pub fn tools_table() -> String {
    let head = "| tool | keyword | step | what it does | arguments |\n|---|---|---|---|---|\n";
    Tool::all().fold(head.to_owned(), |table, tool| table + &row(tool))
}

fn row(tool: Tool) -> String {
    let step = tool.step().map(|step| format!("`{step}`")).unwrap_or_default();
    let arguments = tool.arguments();
    let required = arguments["required"].as_array().cloned().unwrap_or_default();
    let fields = arguments["properties"].as_object().cloned().unwrap_or_default();
    let fields = fields.iter().map(|(name, field)| match field.get("default") {
        Some(default) => format!("`{name}={default}`"),
        None if required.contains(&json!(name)) => format!("`{name}`"),
        None => format!("`{name}` if wanted"),
    });
    format!(
        "| `{}` | `{}` | {step} | {} | {} |\n",
        tool.name(),
        tool.keyword(),
        tool.description(),
        fields.collect::<Vec<_>>().join(", ")
    )
}

/// Returns a type's schema without references and without what is said of the type itself.
fn schema_of<T: JsonSchema>() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    for name in ["$schema", "title", "description"] {
        remove(&mut schema, name);
    }
    if schema["type"] == "object" && schema.get("properties").is_none() {
        schema["properties"] = json!({});
    }
    schema
}

/// Returns the schema of a target: words or a point.
fn target(description: &Value) -> Value {
    let mut schema = json!({ "description": description });
    schema["anyOf"] = schema_of::<Target>()["anyOf"].take();
    schema
}

/// Says a schema in what all clients understand, those too that know an older draft of JSON Schema: points are
/// lists of two numbers, without `prefixItems`, and numbers are not what they are in Rust, such as `uint32`.
fn portable(mut schema: Value) -> Value {
    if schema.get("format").is_some_and(Value::is_string) {
        remove(&mut schema, "format");
    }
    if let Some(first) = schema.get("prefixItems").and_then(|items| items.get(0)).cloned() {
        schema["items"] = first;
        remove(&mut schema, "prefixItems");
    }
    match schema {
        Value::Object(keywords) => {
            let fields = keywords.into_iter().map(|(name, value)| (name, portable(value)));
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.into_iter().map(portable).collect(),
        other => other,
    }
}

fn remove(schema: &mut Value, keyword: &str) {
    if let Some(keywords) = schema.as_object_mut() {
        keywords.shift_remove(keyword);
    }
}

/// Returns the schema of an action's fields, its points being targets, with what is meant if a field is
/// left out.
fn verb_arguments(verb: Verb) -> Value {
    let schema = verb_schema(verb);
    let (mut properties, mut required) = (Map::new(), Vec::new());
    let is_required = |name: &str| {
        schema["required"].as_array().is_some_and(|required| required.contains(&json!(name)))
    };
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        if field == "action" {
            continue;
        }
        let point = POINTS.iter().find(|(_, point)| point == field);
        let name = point.map_or(field.as_str(), |(name, _)| name);
        let mut argument = match point {
            Some(_) => target(&schema["description"]),
            None if field == "keys" => chord_or(schema.clone()),
            None => schema.clone(),
        };
        if let Some(default) = default(verb, field) {
            argument["default"] = default;
        } else if is_required(field) {
            required.push(json!(name));
        }
        properties.insert(name.to_owned(), argument);
    }
    if verb == Verb::Type {
        let into = target(&json!("What is clicked first; nothing is, if absent."));
        properties.insert("into".to_owned(), into);
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// Returns what is meant if a field of an action is left out.
pub(super) fn default(verb: Verb, field: &str) -> Option<Value> {
    match (verb, field) {
        (Verb::Scroll, "amount") => Some(json!(NOTCHES)),
        (Verb::LongPress, "time") => Some(json!(LONG_PRESS)),
        _ => None,
    }
}

/// Keys are a list, or a chord as people write it.
fn chord_or(keys: Value) -> Value {
    let description = keys["description"].clone();
    let mut list = keys;
    remove(&mut list, "description");
    let chord = json!({ "type": "string", "description": "A chord, such as `ctrl+s`." });
    json!({ "description": description, "anyOf": [chord, list] })
}

/// Returns the schema of an action as an argument. Its fields are those that the tool of the action's name
/// describes, so they are not said again.
fn act_arguments() -> Value {
    let verbs: Vec<&str> = Tool::all().filter_map(Tool::verb).map(Verb::as_str).collect();
    let example = Action::LeftClick { coordinate: handsight_actions::PixelPoint { x: 120, y: 44 } };
    json!({
        "type": "object",
        "properties": {
            "action": {
                "type": "object",
                "description": "The action, with its points as `coordinate` and `coordinate2`.",
                "properties": { "action": { "type": "string", "enum": verbs } },
                "required": ["action"],
                "examples": [example],
            },
        },
        "required": ["action"],
        "additionalProperties": false,
    })
}
