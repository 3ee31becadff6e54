//! What is accepted, what is mended and what is refused.

mod calls;

use super::*;
use crate::action::{ActionSpace, Direction, Status, SystemButton};
use crate::key::{Key, NamedKey};
use proptest::prelude::*;

const COMPUTER: Dialect = Dialect::ComputerUse;
const MOBILE: Dialect = Dialect::MobileUse;

/// `action | repair | repair`, or the error.
fn read(text: &str, dialect: Dialect, pointer: Option<ModelPoint>) -> String {
    match parse_action_with_pointer(text, dialect, pointer) {
        Ok(reply) => {
            let action = reply.action.to_string();
            std::iter::once(action).chain(reply.repairs).collect::<Vec<_>>().join(" | ")
        }
        Err(err) => format!("error: {err}"),
    }
}

#[track_caller]
fn check(text: &str, dialect: Dialect, expected: &str) {
    assert_eq!(read(text, dialect, None), expected, "{text}");
}

/// The fields alone, in a well-formed envelope.
#[track_caller]
fn fields(arguments: &str, dialect: Dialect, expected: &str) {
    let text = match dialect.tool() {
        Some(tool) => {
            format!(
                "<tool_call>\n{{\"name\": \"{tool}\", \"arguments\": {arguments}}}\n</tool_call>"
            )
        }
        None => arguments.to_owned(),
    };
    check(&text, dialect, expected);
}

#[test]
fn well_formed_replies_need_no_mending() {
    let json = Dialect::Json;
    fields(r#"{"action":"left_click","coordinate":[120,44]}"#, json, "left_click (120, 44)");
    fields(r#"{"action":"key","keys":["ctrl","s"]}"#, json, "key ctrl+s");
    fields(r#"{"action":"type","text":"é 中 \ud83d\ude00"}"#, json, r#"type "é 中 😀""#);
    fields(r#"{"action":"scroll","direction":"down","amount":5}"#, json, "scroll down 5");
    fields(r#"{"action": "left_click", "coordinate": [1, 2]}"#, COMPUTER, "left_click (1, 2)");
    fields(r#"{"action": "key", "keys": ["Ctrl", "A"]}"#, COMPUTER, "key ctrl+a");
    fields(r#"{"action": "scroll", "pixels": -300}"#, COMPUTER, "scroll down 3");
    fields(r#"{"action": "scroll", "pixels": 5}"#, COMPUTER, "scroll up 1");
    fields(r#"{"action": "wait", "time": 2}"#, COMPUTER, "wait 2 s");
    fields(r#"{"action": "terminate", "status": "success"}"#, COMPUTER, "terminate success");
    fields(r#"{"action": "click", "coordinate": [935, 406]}"#, MOBILE, "left_click (935, 406)");
    fields(
        r#"{"action": "swipe", "coordinate": [1, 2], "coordinate2": [3, 4]}"#,
        MOBILE,
        "swipe (1, 2) → (3, 4)",
    );
    fields(r#"{"action": "system_button", "button": "Back"}"#, MOBILE, "system_button back");
    fields(r#"{"action": "open", "text": "Clock"}"#, MOBILE, r#"open_app "Clock""#);
    fields(r#"{"action": "key", "text": "volume_up"}"#, MOBILE, "key volume_up");
    fields(
        r#"{"action": "long_press", "coordinate": [1, 2], "time": 0.5}"#,
        MOBILE,
        "long_press (1, 2) 0.5 s",
    );
}

#[test]
fn slips_of_the_envelope_are_mended() {
    let call =
        r#"{"name": "computer_use", "arguments": {"action": "left_click", "coordinate": [1, 2]}}"#;
    let click = |repairs: &str| format!("left_click (1, 2){repairs}");
    check(call, COMPUTER, &click(" | no `<tool_call>` tag"));
    check(&format!("<tool_call>\n{call}"), COMPUTER, &click(" | no `</tool_call>` tag"));
    check(&format!("<tool_call>\n```json\n{call}\n```\n</tool_call>"), COMPUTER, &click(""));
    check(&format!("<tool_call>\n{{{call}}}\n</tool_call>"), COMPUTER, &click(" | doubled braces"));
    check(
        &format!("<tool_call>\n{call}}}\n</tool_call>"),
        COMPUTER,
        &click(" | one closing brace too many"),
    );
    check(
        &format!("<tool_call>{call}</tool_call>\n<tool_call>{call}</tool_call>"),
        COMPUTER,
        &click(" | further tool calls were left out"),
    );
    check(
        r#"<tool_call>{"name":"computer_use","arguments":"{\"action\":\"left_click\",\"coordinate\":[1,2]}"}</tool_call>"#,
        COMPUTER,
        &click(" | `arguments` as a string"),
    );
    check(
        r#"<tool_call>{"name":"left_click","arguments":{"coordinate":[1,2]}}</tool_call>"#,
        COMPUTER,
        &click(" | the action as the function's name"),
    );
    check(
        r#"<tool_call>{"name":"mobile_use","arguments":{"action":"click","coordinate":[1,2]}}</tool_call>"#,
        COMPUTER,
        &click(" | a call of `mobile_use` | `click` for `left_click`"),
    );
    check(
        r#"<tool_call>{"action":"left_click","coordinate":[1,2]}</tool_call>"#,
        COMPUTER,
        &click(" | fields without a function around them"),
    );
    check(
        r#"<tool_call>{"name":"computer_use","arguments":{"action":"left_click","coordinate":[1,2]</tool_call>"#,
        COMPUTER,
        &click(" | a missing closing brace"),
    );
    check(
        "{'action': 'left_click', 'coordinate': [1, 2,],}",
        Dialect::Json,
        &click(" | single quotes | a trailing comma"),
    );
    check(
        "```json\n{\"action\":\"left_click\",\"coordinate\":[1,2]}\n```",
        Dialect::Json,
        &click(""),
    );
    check(
        "{\"action\":\"type\",\"text\":\"a\nb\"}",
        Dialect::Json,
        "type \"a\\nb\" | a raw line break in a string",
    );
}

#[test]
fn slips_of_the_fields_are_mended() {
    let json = Dialect::Json;
    let at = |coordinate: &str, expected: &str| {
        let text = format!(r#"{{"action":"left_click","coordinate":{coordinate}}}"#);
        check(&text, json, &format!("left_click {expected}"));
    };
    at("[10, 20, 31, 40]", "(20, 30) | a box in `coordinate`");
    at("[[10, 20]]", "(10, 20) | `coordinate` nested in an array");
    at(r#""[10, 20]""#, "(10, 20) | a string in `coordinate`");
    at(r#""(10,20)""#, "(10, 20) | a string in `coordinate`");
    at(r#"["10", 20]"#, "(10, 20) | a number as a string in `coordinate`");
    at(r#"{"x": 10, "y": 20}"#, "(10, 20) | an object in `coordinate`");
    at("[10.7, 20.0]", "(10, 20)");
    at("[0, 1]", "(0, 1)");
    check(
        r#"{"action":"tap","point_2d":[1,2]}"#,
        json,
        "left_click (1, 2) | `tap` for `left_click` | `point_2d` for `coordinate`",
    );
    check(
        r#"{"action":"swipe","coordinate":[1,2],"coordinates2":[3,4]}"#,
        json,
        "swipe (1, 2) → (3, 4) | `coordinates2` for `coordinate2`",
    );
    check(
        r#"{"action":"left_click","coordinate":[1,2],"text":"OK"}"#,
        json,
        "left_click (1, 2) | ignored the field `text`",
    );
    check(r#"{"action":"key","keys":"ctrl+c"}"#, json, "key ctrl+c | a string in `keys`");
    check(
        r#"{"action":"key","keys":["ctrl+c"]}"#,
        json,
        "key ctrl+c | the chord `ctrl+c` as one key",
    );
    check(r#"{"action":"type","text":007}"#, json, "type \"007\" | a number in `text`");
    check(r#"{"action":"wait"}"#, json, "wait 1 s | no `time`: 1 s");
    check(
        r#"{"action":"terminate","status":"fail"}"#,
        json,
        "terminate failure | `fail` for `failure`",
    );
    check(
        r#"{"action":"scroll","pixels":-1000000,"coordinate":null}"#,
        json,
        "scroll down 50 | `pixels` for `direction` and `amount`",
    );
    fields(
        r#"{"action": "hscroll", "pixels": 240}"#,
        COMPUTER,
        "scroll right 2 | `hscroll` for `scroll`",
    );
}

#[test]
fn nothing_malformed_becomes_an_action() {
    let json = Dialect::Json;
    let no_action =
        "error: the reply has no action: expected one JSON object with the field `action`";
    check("", json, no_action);
    check("I clicked the button.", json, no_action);
    check("finished()", json, no_action);
    check("{}", json, no_action);
    check("{not json} at all", json, no_action);
    check("{\"acton\":\"left_click\"}", json, no_action);
    check(
        "!!!!",
        COMPUTER,
        "error: the reply has no action: expected `<tool_call>` with a JSON object that has `name` and `arguments`",
    );
    check(
        r#"{"action":"left_click","coordinate":[12, 3"#,
        json,
        "error: broken JSON at byte 41: the reply breaks off inside a number",
    );
    check(
        r#"{"action":"left_click","coordinate":[12,"#,
        json,
        "error: broken JSON at byte 40: the reply breaks off inside an array",
    );
    check(
        r#"{"action":"type","text":"rm -r"#,
        json,
        "error: broken JSON at byte 30: the reply breaks off inside a string",
    );
    check(
        r#"{"action: "left_click","coordinate":[1,2]}"#,
        json,
        "error: the reply has no action: expected one JSON object with the field `action`",
    );
    check(
        r#"{"action":"left_click" "coordinate":[1,2]}"#,
        json,
        "error: broken JSON at byte 23: expected `,` or `}`, found '\"'",
    );
    check(
        r#"{"action":"left_click","coordinate":[1,2],"coordinate":[3,4]}"#,
        json,
        "error: `coordinate` at byte 42: it is there twice",
    );
    check(
        r#"{"action":"left_click","coordinate":[1,2]} or {"action":"terminate","status":"success"}"#,
        json,
        "error: the reply has a second action at byte 46: write exactly one",
    );
    check(
        r#"{"oops": [1 2], "inner": {"action":"terminate","status":"success"}}"#,
        json,
        "error: broken JSON at byte 12: expected `,` or `]`, found '2'",
    );
}

#[test]
fn nothing_misunderstood_becomes_an_action() {
    let json = Dialect::Json;
    check(
        r#"{"action":"explode","coordinate":[1,2]}"#,
        json,
        "error: unknown action `explode` at byte 10",
    );
    check(r#"{"action":"finished"}"#, json, "error: unknown action `finished` at byte 10");
    check(
        r#"{"action":"terminate"}"#,
        json,
        "error: `terminate` needs `status`, which the action at byte 0 lacks",
    );
    check(
        r#"{"action":"terminate","status":"Success!"}"#,
        json,
        "error: `status` at byte 31: `Success!` is not one of success, failure",
    );
    check(
        r#"{"action":"left_click"}"#,
        json,
        "error: `left_click` needs `coordinate`, which the action at byte 0 lacks",
    );
    check(
        r#"{"action":["left_click"],"coordinate":[1,2]}"#,
        json,
        "error: `action` at byte 10: expected a string, found an array",
    );
    check(
        r#"<tool_call>{"name":"bash","arguments":{"action":"left_click","coordinate":[1,2]}}</tool_call>"#,
        COMPUTER,
        "error: unknown function `bash` at byte 19: expected `computer_use`",
    );
    check(
        r#"<tool_call>{"name":"computer_use","arguments":{"action":"terminate","status":"success"}}</tool_call><tool_call>{"name":"computer_use","arguments":{"action":"left_click","coordinate":[1,2]}}</tool_call>"#,
        COMPUTER,
        "error: the reply has a second action at byte 100: write exactly one",
    );
    check(
        r#"<tool_call>{"name":"computer_use","arguments":[]}</tool_call>"#,
        COMPUTER,
        "error: `arguments` at byte 46: expected an object, found an array",
    );
    let deep = format!(r#"{{"action":{}"#, "[".repeat(100_000));
    check(&deep, json, "error: broken JSON at byte 34: values are nested too deep");
    let braces = "{".repeat(100_000);
    assert!(read(&braces, json, None).starts_with("error: the reply has no action"));
}

#[test]
fn coordinates_that_mean_nothing_are_refused() {
    let at = |coordinate: &str, expected: &str| {
        let text = format!(r#"{{"action":"left_click","coordinate":{coordinate}}}"#);
        check(&text, Dialect::Json, &format!("error: `coordinate` at byte 36: {expected}"));
    };
    at("[]", "0 numbers are neither a point [x, y] nor a box [x1, y1, x2, y2]");
    at("[5]", "1 numbers are neither a point [x, y] nor a box [x1, y1, x2, y2]");
    at("[1,2,3]", "3 numbers are neither a point [x, y] nor a box [x1, y1, x2, y2]");
    at("[0.42, 0.9]", "coordinates are pixels of the image, not fractions of it");
    at("[-1, 5]", "-1 is not a pixel of the image");
    at("[1e300, 5]", &format!("{} is not a pixel of the image", 1e300));
    at("[30, 20, 10, 40]", "the box's right or bottom edge comes before its left or top edge");
    at(r#"["left", 20]"#, "expected a number, found \"left\"");
    at(r#""=""#, "expected a number, found \"=\"");
    at("[null, 3]", "expected a number, found null");
    at("true", "expected a point [x, y], found a boolean");
    at(r#"{"left": 3}"#, "expected a point [x, y], found an object without `x` and `y`");
}

#[test]
fn a_known_pointer_stands_in_for_a_coordinate() {
    let pointer = Some(ModelPoint { x: 7, y: 8 });
    let call = |arguments: &str| {
        format!(r#"<tool_call>{{"name":"computer_use","arguments":{arguments}}}</tool_call>"#)
    };
    let drag = call(r#"{"action":"left_click_drag","coordinate":[30,40]}"#);
    assert_eq!(read(&drag, COMPUTER, pointer), "drag (7, 8) → (30, 40)");
    assert_eq!(
        read(&drag, COMPUTER, None),
        "error: `left_click_drag` needs `start_coordinate`, which the action at byte 46 lacks",
    );
    let click = call(r#"{"action":"right_click"}"#);
    assert_eq!(
        read(&click, COMPUTER, pointer),
        "right_click (7, 8) | no `coordinate`: where the pointer is",
    );
    // A reply that breaks off may have been going to say where.
    let cut_off = r#"<tool_call>{"name":"computer_use","arguments":{"action":"left_click""#;
    assert!(read(cut_off, COMPUTER, pointer).starts_with("error:"));
    // A move to where the pointer is would be no move.
    assert!(read(&call(r#"{"action":"mouse_move"}"#), COMPUTER, pointer).starts_with("error:"));
}

#[test]
fn the_thought_is_what_comes_before() {
    let thought = |text: &str, dialect| parse_action(text, dialect).unwrap().thought;
    let click = r#"{"action":"left_click","coordinate":[1,2]}"#;
    assert_eq!(thought(&format!("click \"Save\"\n{click}"), Dialect::Json), "click \"Save\"");
    assert_eq!(thought(&format!("type \"{{x}}\"\n{click}"), Dialect::Json), "type \"{x}\"",);
    let example = r#"{"action":"terminate","status":"success"}"#;
    assert_eq!(
        thought(&format!("<think>not {example} yet</think>\n{click}"), Dialect::Json),
        format!("not {example} yet"),
    );
    assert_eq!(
        thought(
            &format!(
                "<thinking>\nThe button is blue.\n</thinking>\n<tool_call>\n{{\"name\": \"computer_use\", \"arguments\": {click}}}\n</tool_call>\n<conclusion>\nDone.\n</conclusion>"
            ),
            COMPUTER,
        ),
        "The button is blue.",
    );
}

#[test]
fn tool_calls_are_spaced_like_the_original() {
    let print = |json: &str, dialect| {
        let action: Action<ModelPoint> = serde_json::from_str(json).unwrap();
        print_action(&action, dialect)
    };
    assert_eq!(
        print(r#"{"action":"left_click","coordinate":[935,406]}"#, MOBILE),
        "<tool_call>\n{\"name\": \"mobile_use\", \"arguments\": {\"action\": \"click\", \"coordinate\": [935, 406]}}\n</tool_call>",
    );
    assert_eq!(
        print(r#"{"action":"type","text":"é\"\n"}"#, COMPUTER),
        "<tool_call>\n{\"name\": \"computer_use\", \"arguments\": {\"action\": \"type\", \"text\": \"é\\\"\\n\"}}\n</tool_call>",
    );
    assert_eq!(
        print(r#"{"action":"wait","time":2}"#, COMPUTER),
        "<tool_call>\n{\"name\": \"computer_use\", \"arguments\": {\"action\": \"wait\", \"time\": 2}}\n</tool_call>",
    );
    assert_eq!(
        print(r#"{"action":"scroll","direction":"up","amount":2}"#, COMPUTER),
        "<tool_call>\n{\"name\": \"computer_use\", \"arguments\": {\"action\": \"scroll\", \"pixels\": 240}}\n</tool_call>",
    );
}

fn any_action() -> impl Strategy<Value = Action<ModelPoint>> {
    let point = || (0..4000i32, 0..4000i32).prop_map(|(x, y)| ModelPoint { x, y });
    let text = || "[ -~é中😀\n\t]{1,20}";
    let offered: Vec<_> = Key::offered().collect();
    let keys = proptest::collection::vec(proptest::sample::select(offered), 1..4);
    let direction = proptest::sample::select(
        &[Direction::Up, Direction::Down, Direction::Left, Direction::Right][..],
    );
    let button = proptest::sample::select(
        &[SystemButton::Back, SystemButton::Home, SystemButton::Menu, SystemButton::Enter][..],
    );
    prop_oneof![
        point().prop_map(|coordinate| Action::LeftClick { coordinate }),
        point().prop_map(|coordinate| Action::RightClick { coordinate }),
        point().prop_map(|coordinate| Action::MiddleClick { coordinate }),
        point().prop_map(|coordinate| Action::DoubleClick { coordinate }),
        point().prop_map(|coordinate| Action::TripleClick { coordinate }),
        (point(), 0.0..60.0f64)
            .prop_map(|(coordinate, time)| Action::LongPress { coordinate, time }),
        point().prop_map(|coordinate| Action::MouseMove { coordinate }),
        (point(), point())
            .prop_map(|(coordinate, coordinate2)| Action::Drag { coordinate, coordinate2 }),
        (point(), point())
            .prop_map(|(coordinate, coordinate2)| Action::Swipe { coordinate, coordinate2 }),
        (proptest::option::of(point()), direction, 1..=50u32).prop_map(
            |(coordinate, direction, amount)| Action::Scroll { coordinate, direction, amount }
        ),
        text().prop_map(|text| Action::Type { text }),
        keys.prop_map(|keys| Action::Key { keys }),
        button.prop_map(|button| Action::SystemButton { button }),
        text().prop_map(|app| Action::OpenApp { app }),
        (0..60u32).prop_map(|time| Action::Wait { time: time.into() }),
        text().prop_map(|text| Action::Answer { text }),
        Just(Action::Terminate { status: Status::Failure }),
        Just(Action::Terminate { status: Status::Success }),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(action in any_action()) {
        for &dialect in Dialect::ALL {
            let text = print_action(&action, dialect);
            let reply = parse_action(&text, dialect).map_err(|error| {
                TestCaseError::fail(format!("{error} in {text}"))
            })?;
            prop_assert_eq!(&reply.action, &said(&action, dialect), "{}", text);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        for &dialect in Dialect::ALL {
            let _ = parse_action(&text, dialect);
            let _ = told(&text, dialect);
        }
    }

    /// Text that is nearly a reply, whose pieces come in any order.
    #[test]
    fn no_mangled_reply_makes_the_reader_panic(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..30),
    ) {
        let text = pieces.concat();
        for &dialect in Dialect::ALL {
            let _ = parse_action(&text, dialect);
            let _ = told(&text, dialect);
        }
    }

    /// Cutting a reply short gives the same action or none, never another.
    #[test]
    fn a_reply_cut_short_is_the_same_action_or_none(action in any_action(), kept in 0..120usize) {
        for &dialect in Dialect::ALL {
            let text = print_action(&action, dialect);
            let cut: String = text.chars().take(kept).collect();
            if let Ok(reply) = parse_action(&cut, dialect) {
                // Fields with a default may be missing; what is there must be as it was.
                let has_default = matches!(
                    action,
                    Action::LongPress { .. } | Action::Scroll { .. } | Action::Wait { .. }
                );
                // GUI-Owl says a line break at the end in a field of its own, which may be missing.
                let breaks = matches!(&action, Action::Type { text } if text.ends_with('\n'));
                let has_default = has_default || (breaks && dialect == Dialect::OwlComputerUse);
                // The first of the two lines of a drag is a move to where it begins.
                let begins = reply.action.verb() == Verb::MouseMove && action.verb() == Verb::Drag;
                let same = reply.action == said(&action, dialect);
                prop_assert!(same || has_default || begins, "{} as {}", cut, reply.action);
            }
        }
    }
}

/// What an action is once it was said in a dialect: some have one word for a drag and a swipe.
fn said(action: &Action<ModelPoint>, dialect: Dialect) -> Action<ModelPoint> {
    match (action, dialect) {
        (&Action::Swipe { coordinate, coordinate2 }, Dialect::UiTars | Dialect::UiVenus) => {
            Action::Drag { coordinate, coordinate2 }
        }
        _ => action.clone(),
    }
}

const PIECES: &[&str] = &[
    "Thought: ",
    "Action: ",
    "click(",
    "start_box=",
    "'",
    "\"",
    "(",
    ")",
    "1",
    "2",
    ",",
    " ",
    "\n",
    "<action>",
    "</action>",
    "Click(box=",
    "```python\n",
    "```",
    "pyautogui.click(x=",
    ", y=",
    "{",
    "}",
    "<tool_call>",
    "</tool_call>",
    "\"action\": ",
    "\\",
    "é",
    "<point>",
    "</point>",
    "<|box_start|>",
    "computer.terminate(",
    "pyautogui.moveTo(1, 2)\n",
    "pyautogui.dragTo(",
    "</think>",
    "[",
    "]",
    "-",
    ".",
    "hotkey(key='ctrl c')",
    "wait()",
    "\u{2028}",
];

#[test]
fn the_verbs_of_a_dialect_are_told_apart() {
    for dialect in [Dialect::Json, COMPUTER, MOBILE, Dialect::OwlComputerUse] {
        let names: Vec<_> = ActionSpace::all().iter().map(|verb| dialect.verb_name(verb)).collect();
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{name}");
        }
    }
    assert_eq!(Key::Named(NamedKey::Ctrl).to_string(), "ctrl");
}
