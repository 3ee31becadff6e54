//! The registry agrees with the actions there are, and a session does what its tools say.

use fs_err as fs;
use handsight_actions::{
    ActionSpace, FakeDevice, FakeScreen, Guard, Rect, SafetyPolicy, Size, Verb, action_schema,
};
use serde_json::json;

use super::*;
use crate::eyes::EyesError;

const SCREEN: Size = Size { width: 320, height: 200 };

/// A form on which only clicks and typing are allowed, with no model to ask.
fn session(options: SessionOptions) -> Session {
    let form = FakeScreen::new("form")
        .field("Name", Rect { x: 20, y: 20, width: 200, height: 24 })
        .button("OK", Rect { x: 20, y: 60, width: 60, height: 24 }, Some("done"));
    let device = FakeDevice::new(SCREEN, vec![form, FakeScreen::new("done")]);
    let rules =
        "mode: bounded\nallow: {actions: [left_click, type, wait], regions: [[0, 0, 300, 200]]}";
    let policy = SafetyPolicy::parse(rules, "policy.yaml".as_ref()).unwrap();
    let none = || {
        let message = "there is no model here".to_owned();
        Err(EyesError { message, hint: Some("name one".to_owned()) })
    };
    let options = SessionOptions { settle: SettleOptions::immediate(), ..options };
    Session::new(Box::new(Guard::new(Box::new(device), policy)), LazyModel::new(none), options)
}

fn call(session: &mut Session, tool: &str, arguments: &Value) -> Result<Reply, ToolError> {
    let call = Call { cancel: &CancelFlag::default(), tell: &mut |_| {} };
    session.call(Tool::from_name(tool).unwrap(), arguments, call)
}

#[track_caller]
fn refused(tool: &str, arguments: &Value, kind: ToolErrorKind, message: &str) {
    let error = call(&mut session(SessionOptions::default()), tool, arguments).unwrap_err();
    let whole = handsight_agent::with_source(&error);
    assert_eq!((error.kind(), whole.as_str()), (kind, message));
}

#[test]
fn every_action_is_a_tool_a_keyword_a_step_and_a_part_of_the_grammar() {
    let offered = action_schema(&ActionSpace::all(), SCREEN);
    let in_grammar = |verb: Verb| {
        let variants = offered["anyOf"].as_array().unwrap();
        variants.iter().any(|variant| variant["properties"]["action"]["const"] == verb.as_str())
    };
    let table = tools_table();
    for &verb in Verb::ALL {
        assert!(in_grammar(verb), "{verb} is not in the grammar");
        let tool = Tool::all().find(|tool| tool.verb() == Some(verb));
        assert_eq!(tool.is_none(), verb.is_for_policies(), "{verb}");
        let Some(tool) = tool else { continue };
        assert_eq!(Tool::from_name(verb.as_str()), Some(tool));
        assert!(tool.step().is_some(), "{verb} is no step of a scenario");
        assert!(table.contains(&format!("| `{verb}` | `{}` |", tool.keyword())), "{verb}");
        let acting = Tool::Act.arguments();
        let verbs = acting["properties"]["action"]["properties"]["action"]["enum"].as_array();
        assert!(verbs.unwrap().contains(&json!(verb)), "{verb} cannot be given to `act`");
    }
}

#[test]
fn names_are_unique_and_all_is_described() {
    let mut seen = std::collections::BTreeSet::new();
    for tool in Tool::all() {
        let keyword = tool.keyword().to_lowercase().replace(' ', "");
        assert!(seen.insert(tool.name().to_owned()), "{tool:?}");
        assert!(keyword == tool.name() || seen.insert(keyword), "{tool:?}");
        assert!(tool.description().ends_with('.'), "{tool:?}");
        for schema in [tool.arguments(), tool.result()] {
            assert_eq!(schema["type"], "object", "{tool:?}");
            let text = schema.to_string();
            // Clients that know draft 7 take the second for no item at all.
            for keyword in ["\"$ref\"", "\"format\":\"", "\"prefixItems\"", "\"items\":false"] {
                assert!(!text.contains(keyword), "{tool:?}: {keyword} in {text}");
            }
        }
        let arguments = tool.arguments();
        assert_eq!(arguments["additionalProperties"], false, "{tool:?}");
        for (name, field) in arguments["properties"].as_object().unwrap() {
            assert!(field["description"].is_string(), "{tool:?}: {name}");
        }
    }
}

#[test]
fn the_document_of_the_tools_is_up_to_date() {
    let document = include_str!("../../TOOLS.md");
    assert!(
        document.contains(&tools_table()),
        "scenarios/TOOLS.md lacks this table:\n{}",
        tools_table()
    );
}

#[test]
fn an_action_is_done_and_told() {
    let mut session = session(SessionOptions::default());
    let seen = call(&mut session, "observe", &json!({})).unwrap();
    assert_eq!((&seen.value["width"], &seen.value["height"]), (&json!(320), &json!(200)));
    assert_eq!(seen.value["actions"], json!(["left_click", "type", "wait"]));
    assert!(seen.image.unwrap().starts_with(b"\x89PNG"));

    let into = json!({ "text": "Ada", "into": [30, 30] });
    let typed = call(&mut session, "type", &into).unwrap();
    assert_eq!(typed.value["action"], json!({ "action": "type", "text": "Ada" }));
    assert_eq!(typed.value["performed"], true);
    let in_text = call(&mut session, "left_click", &json!({ "target": "[30, 30]" })).unwrap();
    assert_eq!(in_text.text, "left_click (30, 30)");
    let clicked = json!({ "action": { "action": "left_click", "coordinate": [40, 70] } });
    assert_eq!(call(&mut session, "act", &clicked).unwrap().text, "left_click (40, 70)");
}

#[test]
fn what_may_not_be_done_is_refused_with_the_reason() {
    let far = json!({ "target": [310, 10] });
    refused(
        "left_click",
        &far,
        ToolErrorKind::Refused,
        "the safety policy does not allow this `left_click` on device `fake`: (310, 10) lies \
         outside the allowed part of the screen",
    );
    let off = json!({ "target": [320, 10] });
    let error = call(&mut session(SessionOptions::default()), "left_click", &off).unwrap_err();
    assert!(matches!(error.kind(), ToolErrorKind::Refused | ToolErrorKind::BadInput), "{error}");
    refused(
        "act",
        &json!({ "action": { "action": "terminate", "status": "success" } }),
        ToolErrorKind::BadInput,
        "the arguments of `act` cannot be used: `terminate` is for what pursues a goal, and does \
         nothing by itself",
    );
}

#[test]
fn arguments_are_those_of_the_tool() {
    let bad = |tool, arguments, problem: &str| {
        let message = format!("the arguments of `{tool}` cannot be used: {problem}");
        refused(tool, &arguments, ToolErrorKind::BadInput, &message);
    };
    bad("left_click", json!({}), "`target` is missing");
    bad("left_click", json!({ "coordinate": [1, 2] }), "there is no `coordinate`, only `target`");
    bad("left_click", json!({ "target": [1] }), "a point has two numbers, not 1");
    bad("left_click", json!([1, 2]), "they are [1,2], not an object");
    bad("type", json!({ "text": 5 }), "invalid type: integer `5`, expected a string");
    bad("expect", json!({ "claim": " " }), "there are no words");
    let sure = json!({ "claim": "x", "at_least": 2.0 });
    bad("expect", sure, "`at_least` is from 0 to 1, and `within` from 0 to 600");
    bad(
        "run_goal",
        json!({ "goal": "x", "max_steps": 0 }),
        "`max_steps` is from 1 to 1000, and `timeout` from 1 to 86400",
    );
}

#[test]
fn without_a_model_only_what_needs_one_fails() {
    let words = json!({ "target": "OK" });
    let error = call(&mut session(SessionOptions::default()), "left_click", &words).unwrap_err();
    assert_eq!(error.to_string(), "there is no model here");
    assert_eq!(
        (error.kind(), error.hint().as_deref()),
        (ToolErrorKind::Unavailable, Some("name one"))
    );
}

#[test]
fn a_call_that_was_cancelled_does_nothing() {
    let cancel = CancelFlag::default();
    cancel.cancel();
    let call = Call { cancel: &cancel, tell: &mut |_| {} };
    let click = Tool::from_name("left_click").unwrap();
    let done = session(SessionOptions::default()).call(click, &json!({ "target": [1, 1] }), call);
    assert!(matches!(done, Err(ToolError::Cancelled)), "{done:?}");
}

#[test]
fn scenarios_are_run_from_their_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "good.yaml",
        "scenario: good\nvars: {n: 1}\nsteps: [{click: [40, 70]}, {expect: {that: n == 2}}]",
    );
    let options = || SessionOptions {
        scenarios: Some(folder.path().to_owned()),
        ..SessionOptions::default()
    };
    let mut told = Vec::new();
    let cancel = CancelFlag::default();
    let call = Call { cancel: &cancel, tell: &mut |event| told.push(event.message) };
    let arguments = json!({ "file": "good.yaml", "vars": { "n": 2 } });
    let passed = session(options()).call(Tool::RunScenario, &arguments, call).unwrap();
    assert_eq!((&passed.value["status"], passed.unmet), (&json!("passed"), None));
    assert_eq!(told, ["left_click (40, 70)", "expect n == 2"]);

    let failed = json!({ "file": "good.yaml" });
    let failed = super::tests::call(&mut session(options()), "run_scenario", &failed).unwrap();
    assert!(failed.unmet.unwrap().contains("expected n == 2"));

    for (file, problem) in [
        ("../good.yaml", "it is not below that folder"),
        ("/etc/passwd", "it is not below that folder"),
    ] {
        let arguments = json!({ "file": file });
        let error = super::tests::call(&mut session(options()), "run_scenario", &arguments);
        let message = format!("the scenario `{file}` may not be run: {problem}");
        assert_eq!(error.unwrap_err().to_string(), message);
    }
    let arguments = json!({ "file": "good.yaml" });
    let error =
        super::tests::call(&mut session(SessionOptions::default()), "run_scenario", &arguments);
    assert!(error.unwrap_err().to_string().ends_with("no folder of scenarios was named"));
}
