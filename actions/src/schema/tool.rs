//! The functions `computer_use` and `mobile_use`: their signatures for the prompt, and the schema
//! of a call of them for constrained decoding.
//!
//! The names of verbs and fields are Qwen2.5-VL's, because the models were trained on them; the
//! descriptions are our own words. The resolution a signature states is that of the resized image,
//! which is the space the model's coordinates are in.

use serde_json::{Value, json};

use super::{action_schema, point};
use crate::action::{ActionSpace, MAX_KEYS, MAX_NOTCHES, MAX_PRESS, MAX_TEXT, MAX_WAIT, Verb};
use crate::geometry::Size;
use crate::key::Key;
use crate::parse::Dialect;

/// The verbs the function of a dialect is documented to have, in its order.
///
/// Reading accepts more than these; a model is offered these.
fn documented(dialect: Dialect) -> &'static [Verb] {
    match dialect {
        Dialect::Json | Dialect::UiTars | Dialect::UiVenus | Dialect::Pyautogui => Verb::ALL,
        Dialect::ComputerUse | Dialect::OwlComputerUse => &[
            Verb::Key,
            Verb::Type,
            Verb::MouseMove,
            Verb::LeftClick,
            Verb::Drag,
            Verb::RightClick,
            Verb::MiddleClick,
            Verb::DoubleClick,
            Verb::Scroll,
            Verb::Wait,
            Verb::Terminate,
        ],
        Dialect::MobileUse => &[
            Verb::Key,
            Verb::LeftClick,
            Verb::LongPress,
            Verb::Swipe,
            Verb::Type,
            Verb::SystemButton,
            Verb::OpenApp,
            Verb::Wait,
            Verb::Terminate,
        ],
    }
}

/// Returns the schema of the call object of a dialect, for constrained decoding.
///
/// It offers the verbs that are both in `space` and documented for the dialect's function, and to call
/// the user if `space` has that, with coordinates inside `bounds`. For [`Dialect::Json`] it is the schema of the action itself, and so it
/// is for the dialects of calls, which have no JSON.
pub fn tool_schema(dialect: Dialect, space: &ActionSpace, bounds: Size) -> Value {
    let Some(tool) = dialect.tool() else {
        return action_schema(space, bounds);
    };
    let documented = documented(dialect).iter().chain([&Verb::CallUser]).copied();
    let offered = documented.filter(|verb| space.contains(*verb));
    let arguments: Vec<_> = offered.map(|verb| arguments(dialect, verb, bounds)).collect();
    object(&[("name", constant(tool)), ("arguments", json!({ "anyOf": arguments }))])
}

/// Returns the schema of the `arguments` of one verb.
fn arguments(dialect: Dialect, verb: Verb, bounds: Size) -> Value {
    let text = || json!({ "type": "string", "minLength": 1, "maxLength": MAX_TEXT });
    let time = |most: f64| json!({ "type": "number", "minimum": 0, "maximum": most });
    let coordinate = || ("coordinate", point(bounds));
    let fields = match verb {
        Verb::Drag if dialect == Dialect::OwlComputerUse => {
            vec![coordinate(), ("coordinate2", point(bounds))]
        }
        Verb::MouseMove
        | Verb::LeftClick
        | Verb::RightClick
        | Verb::MiddleClick
        | Verb::DoubleClick
        | Verb::TripleClick
        | Verb::Drag => vec![coordinate()],
        Verb::LongPress => vec![coordinate(), ("time", time(MAX_PRESS))],
        Verb::Swipe => vec![coordinate(), ("coordinate2", point(bounds))],
        Verb::Scroll => vec![("pixels", pixels(dialect))],
        Verb::Type if dialect == Dialect::OwlComputerUse => {
            // Emptying a field is left out: it takes an action of its own.
            let choice = |values: &[u32]| json!({ "type": "integer", "enum": values });
            vec![("text", text()), ("clear", choice(&[0])), ("enter", choice(&[0, 1]))]
        }
        Verb::Type | Verb::OpenApp | Verb::Answer | Verb::CallUser => vec![("text", text())],
        Verb::Key => vec![key_field(dialect)],
        Verb::SystemButton => {
            vec![("button", json!({ "type": "string", "enum": ["Back", "Home", "Menu", "Enter"] }))]
        }
        Verb::Wait => vec![("time", time(MAX_WAIT))],
        Verb::Terminate => {
            vec![("status", json!({ "type": "string", "enum": ["success", "failure"] }))]
        }
    };
    let action = ("action", constant(dialect.verb_name(verb)));
    object(&std::iter::once(action).chain(fields).collect::<Vec<_>>())
}

/// Up to the most notches a scroll may have, either way, and never 0.
fn pixels(dialect: Dialect) -> Value {
    let most = if dialect == Dialect::OwlComputerUse { 5 } else { i64::from(MAX_NOTCHES) * 120 };
    json!({ "anyOf": [
        { "type": "integer", "minimum": -most, "maximum": -1 },
        { "type": "integer", "minimum": 1, "maximum": most },
    ] })
}

/// `computer_use` takes a chord, `mobile_use` the name of one hardware key.
fn key_field(dialect: Dialect) -> (&'static str, Value) {
    if dialect == Dialect::MobileUse {
        let names = ["volume_up", "volume_down", "power", "camera", "clear"];
        return ("text", json!({ "type": "string", "enum": names }));
    }
    let names: Vec<_> = Key::offered().map(|key| key.to_string()).collect();
    let key = json!({ "type": "string", "enum": names });
    ("keys", json!({ "type": "array", "items": key, "minItems": 1, "maxItems": MAX_KEYS }))
}

fn constant(value: &str) -> Value {
    json!({ "type": "string", "const": value })
}

/// Returns the schema of an object with exactly these fields, in this order.
fn object(fields: &[(&str, Value)]) -> Value {
    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    let properties: serde_json::Map<_, _> =
        fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": false,
    })
}

/// Returns the function signature of a dialect, to be shown to the model between `<tools>` tags.
///
/// `resolution` is the size of the resized image. [`Dialect::Json`] and the dialects of calls have no
/// function; for them this is the schema of the actions of a desktop on such an image.
pub fn tool_signature(dialect: Dialect, resolution: Size) -> Value {
    let (tool, description, parameters) = match dialect {
        Dialect::Json | Dialect::UiTars | Dialect::UiVenus | Dialect::Pyautogui => {
            return action_schema(&ActionSpace::desktop(), resolution);
        }
        Dialect::OwlComputerUse => {
            ("computer_use", computer_description(resolution), owl_parameters())
        }
        Dialect::ComputerUse => {
            ("computer_use", computer_description(resolution), computer_parameters())
        }
        Dialect::MobileUse => ("mobile_use", mobile_description(resolution), mobile_parameters()),
    };
    json!({
        "type": "function",
        "function": {
            "name_for_human": tool,
            "name": tool,
            "description": description,
            "parameters": parameters,
            "args_format": "Format the arguments as a JSON object.",
        },
    })
}

fn computer_description(Size { width, height }: Size) -> String {
    format!(
        "Control a computer with its mouse and keyboard, and see its screen in screenshots.\n\
         * You work with the windows of a desktop; there is no terminal and no menu of programs \
         other than what the screen shows.\n\
         * Programs may need time to start or to answer. If the screen has not changed yet, wait \
         and look at the next screenshot.\n\
         * The screen's resolution is {width}x{height}.\n\
         * Before you move the cursor to something, find its coordinates in the screenshot.\n\
         * If a click had no effect, correct the coordinates so that the tip of the cursor is on \
         the element.\n\
         * Click in the middle of buttons, links and icons, not on their edges."
    )
}

fn mobile_description(Size { width, height }: Size) -> String {
    format!(
        "Control a phone with its touchscreen, and see its screen in screenshots.\n\
         * You can tap, press long, swipe, type and use the system's buttons.\n\
         * Apps may need time to start or to answer. If the screen has not changed yet, wait and \
         look at the next screenshot.\n\
         * The screen's resolution is {width}x{height}.\n\
         * Tap in the middle of buttons, links and icons, not on their edges."
    )
}

/// The verbs of a dialect, each with a line that says what it does.
fn action_parameter(dialect: Dialect, lines: &[&str]) -> Value {
    let names: Vec<_> = documented(dialect).iter().map(|verb| dialect.verb_name(*verb)).collect();
    let lines: Vec<_> =
        names.iter().zip(lines).map(|(name, line)| format!("* `{name}`: {line}")).collect();
    json!({
        "description": format!("What to do:\n{}", lines.join("\n")),
        "enum": names,
        "type": "string",
    })
}

fn computer_parameters() -> Value {
    let action = action_parameter(
        Dialect::ComputerUse,
        &[
            "Press the keys of `keys` in order and release them in reverse.",
            "Type the text of `text`.",
            "Move the cursor to `coordinate`.",
            "Click the left button at `coordinate`.",
            "Drag with the left button from the cursor to `coordinate`.",
            "Click the right button at `coordinate`.",
            "Click the middle button at `coordinate`.",
            "Click the left button twice at `coordinate`.",
            "Turn the mouse wheel by `pixels`.",
            "Wait for `time` seconds.",
            "End the task and report its `status`.",
        ],
    );
    json!({
        "properties": {
            "action": action,
            "keys": { "description": "For `key`.", "type": "array" },
            "text": { "description": "For `type`.", "type": "string" },
            "coordinate": {
                "description": "(x, y): pixels from the left and from the top edge of the screen. \
                    For `mouse_move`, `left_click_drag` and the clicks.",
                "type": "array",
            },
            "pixels": {
                "description": "How far to scroll: up if positive, down if negative. For `scroll`.",
                "type": "number",
            },
            "time": { "description": "Seconds. For `wait`.", "type": "number" },
            "status": {
                "description": "Whether the task succeeded. For `terminate`.",
                "type": "string",
                "enum": ["success", "failure"],
            },
        },
        "required": ["action"],
        "type": "object",
    })
}

/// GUI-Owl's own form of the function: plainer names for clicks and drags, and a `type` that can
/// press Enter.
fn owl_parameters() -> Value {
    let action = action_parameter(
        Dialect::OwlComputerUse,
        &[
            "Press the keys of `keys` in order and release them in reverse.",
            "Type the text of `text`, and press Enter after it if `enter` is 1.",
            "Move the cursor to `coordinate`.",
            "Click the left button at `coordinate`.",
            "Drag with the left button from `coordinate` to `coordinate2`.",
            "Click the right button at `coordinate`.",
            "Click the middle button at `coordinate`.",
            "Click the left button twice at `coordinate`.",
            "Turn the mouse wheel by `pixels`.",
            "Wait for `time` seconds.",
            "End the task and report its `status`.",
        ],
    );
    let mut parameters = computer_parameters();
    let properties = &mut parameters["properties"];
    properties["action"] = action;
    properties["clear"] = json!({
        "description": "1 if the text is to replace what the field holds, otherwise 0. For `type`.",
        "type": "number",
    });
    properties["enter"] = json!({
        "description": "1 if Enter is to be pressed after the text, otherwise 0. For `type`.",
        "type": "number",
    });
    properties["coordinate2"] = json!({
        "description": "(x2, y2): where the drag ends. For `drag`.",
        "type": "array",
    });
    properties["pixels"] = json!({
        "description": "How far to scroll, from -5 to 5: up if positive, down if negative. For \
            `scroll`.",
        "type": "number",
    });
    parameters
}

fn mobile_parameters() -> Value {
    let action = action_parameter(
        Dialect::MobileUse,
        &[
            "Press the hardware key of `text`, such as volume_up, volume_down, power or camera.",
            "Tap at `coordinate`.",
            "Press at `coordinate` for `time` seconds.",
            "Swipe from `coordinate` to `coordinate2`.",
            "Type the text of `text` into the field that has the focus.",
            "Press the system's `button`.",
            "Open the app of the name `text`.",
            "Wait for `time` seconds.",
            "End the task and report its `status`.",
        ],
    );
    json!({
        "properties": {
            "action": action,
            "coordinate": {
                "description": "(x, y): pixels from the left and from the top edge of the screen. \
                    For `click`, `long_press` and the start of `swipe`.",
                "type": "array",
            },
            "coordinate2": {
                "description": "(x, y): where to let go. For `swipe`.",
                "type": "array",
            },
            "text": { "description": "For `key`, `type` and `open`.", "type": "string" },
            "time": { "description": "Seconds. For `long_press` and `wait`.", "type": "number" },
            "button": {
                "description": "For `system_button`.",
                "enum": ["Back", "Home", "Menu", "Enter"],
                "type": "string",
            },
            "status": {
                "description": "Whether the task succeeded. For `terminate`.",
                "type": "string",
                "enum": ["success", "failure"],
            },
        },
        "required": ["action"],
        "type": "object",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 1288, height: 728 };

    #[test]
    fn a_call_offers_only_what_device_and_dialect_share() {
        let space = ActionSpace::new([Verb::LeftClick, Verb::Drag, Verb::OpenApp]);
        let schema = tool_schema(Dialect::ComputerUse, &space, SIZE);
        let offered = schema["properties"]["arguments"]["anyOf"].as_array().unwrap();
        let names: Vec<_> =
            offered.iter().map(|schema| &schema["properties"]["action"]["const"]).collect();
        assert_eq!(names, ["left_click", "left_click_drag"]);
        assert_eq!(offered[0]["properties"]["coordinate"]["prefixItems"][1]["maximum"], 727);
        assert_eq!(offered[0]["required"], json!(["action", "coordinate"]));
        assert_eq!(schema["properties"]["name"]["const"], "computer_use");
    }

    #[test]
    fn signatures_have_the_documented_parameters_in_order() {
        let check = |dialect, verbs: &[&str], parameters: &[&str]| {
            let signature = tool_signature(dialect, SIZE);
            let function = &signature["function"];
            let description = function["description"].as_str().unwrap();
            assert!(description.contains("The screen's resolution is 1288x728."));
            let found = &function["parameters"];
            assert_eq!(found["properties"]["action"]["enum"], json!(verbs));
            let names: Vec<_> = found["properties"].as_object().unwrap().keys().collect();
            assert_eq!(names, parameters);
            let keys: Vec<_> = found.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["properties", "required", "type"]);
        };
        check(
            Dialect::ComputerUse,
            &[
                "key",
                "type",
                "mouse_move",
                "left_click",
                "left_click_drag",
                "right_click",
                "middle_click",
                "double_click",
                "scroll",
                "wait",
                "terminate",
            ],
            &["action", "keys", "text", "coordinate", "pixels", "time", "status"],
        );
        check(
            Dialect::MobileUse,
            &[
                "key",
                "click",
                "long_press",
                "swipe",
                "type",
                "system_button",
                "open",
                "wait",
                "terminate",
            ],
            &["action", "coordinate", "coordinate2", "text", "time", "button", "status"],
        );
    }
}
