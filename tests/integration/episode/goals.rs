//! What the embedded model does by itself: goals in words, windows of a toolkit and of a browser,
//! and nothing but pixels in between.
//!
//! The goals are data. One that the committed checkpoint cannot reach does not belong here: how
//! often it reaches what is `cargo run --example embedded_eval`'s to say, not a test's.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use handsight_agent::read_trace;
use handsight_tests::apps::Form;
use handsight_tests::page::Page;
use handsight_tests::xserver::XServer;
use serde_json::{Map, Value};

use super::{PROFILE, SCREEN, check_whole, handsight, start_run};

/// How long a whole episode may take on a busy machine.
const EPISODE: Duration = Duration::from_secs(80);

/// A goal in a GTK form, and what the form prints once it is reached.
struct FormGoal {
    fields: &'static [&'static str],
    ok: &'static str,
    goal: &'static str,
    printed: &'static str,
}

const FORM_GOALS: [FormGoal; 3] = [
    FormGoal {
        fields: &["First Name", "City"],
        ok: "Save",
        goal: "type \"Ada\" into \"First Name\", type \"Paris\" into \"City\", then click \"Save\"",
        printed: "Ada|Paris",
    },
    FormGoal {
        fields: &["Email"],
        ok: "Send",
        goal: "type \"José 中文\" into \"Email\" and click \"Send\"",
        printed: "José 中文",
    },
    FormGoal { fields: &["Name"], ok: "OK", goal: "click \"OK\"", printed: "" },
];

/// A goal in a page, and the values and the event of the page once it is reached.
struct PageGoal {
    goal: &'static str,
    /// As JSON, by the ids of the inputs.
    values: &'static str,
    event: &'static str,
}

const PAGE_GOALS: [PageGoal; 3] = [
    PageGoal {
        goal: "type \"Ada\" into \"Name\", check \"Remember Me\", then click \"Save\"",
        values: r#"{"name":"Ada","city":"","remember":true}"#,
        event: "submit profile",
    },
    PageGoal {
        goal: "type \"Paris\" into \"City\" and press Enter",
        values: r#"{"name":"","city":"Paris","remember":false}"#,
        event: "submit profile",
    },
    PageGoal {
        goal: "click \"Save\"",
        values: r#"{"name":"","city":"","remember":false}"#,
        event: "click save",
    },
];

/// Has the binary pursue a goal, and checks that it claims to have reached it, that it left
/// nothing held, and that all of it was recorded. Returns the steps in words.
fn pursue(server: &XServer, goal: &str) -> Result<String> {
    let handsight = handsight();
    let output = start_run(&handsight, server, goal).wait(EPISODE)?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}\n{stderr}", output.status);
    let result: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(result["stop_reason"] == "claimed_success", "{result}");
    let trace = read_trace(&handsight.dir().join("trace"))?;
    ensure!(result["steps"].as_array().map(Vec::len) == Some(trace.steps.len()), "{result}");
    check_whole(goal, &trace);
    server.check_nothing_held()?;
    Ok(stderr)
}

fn fill_in_form(FormGoal { fields, ok, goal, printed }: &FormGoal) -> Result<()> {
    let server = XServer::start_managed(SCREEN)?;
    let mut form = Form::open(&server, fields, ok)?;
    let steps = pursue(&server, goal)?;
    let (status, found) = form.outcome().with_context(|| steps.clone())?;
    ensure!(status.success() && found == *printed, "the form says `{found}`, {status}\n{steps}");
    Ok(())
}

fn fill_in_page(PageGoal { goal, values, event }: &PageGoal) -> Result<()> {
    let server = XServer::start_managed(SCREEN)?;
    let page = Page::open(&server, PROFILE, [560, 400])?;
    let steps = pursue(&server, goal)?;
    let state = page.settled()?;
    let values: Map<String, Value> = serde_json::from_str(values)?;
    let is_meant = values.iter().all(|(id, value)| state.values.get(id) == Some(value));
    ensure!(is_meant && state.saw(event), "the page has {:?}\n{steps}", state.values);
    Ok(())
}

/// Panics with every goal that was not reached, and why.
fn check_all<G>(goals: &[G], words: impl Fn(&G) -> &str, reach: impl Fn(&G) -> Result<()>) {
    let failures: Vec<String> = goals
        .iter()
        .filter_map(|goal| {
            let reached = reach(goal).with_context(|| format!("`{}`", words(goal)));
            reached.err().map(|error| format!("{error:#}"))
        })
        .collect();
    assert!(failures.is_empty(), "goals that were not reached:\n{}", failures.join("\n\n"));
}

#[test]
fn the_embedded_model_fills_in_gtk_forms() {
    check_all(&FORM_GOALS, |goal| goal.goal, fill_in_form);
}

#[test]
fn the_embedded_model_fills_in_pages_in_chromium() {
    check_all(&PAGE_GOALS, |goal| goal.goal, fill_in_page);
}
