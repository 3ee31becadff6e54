//! Whole episodes in real windows, from pixels alone: what the window itself says afterwards is
//! compared with the goal. And what ends an episode from outside: Ctrl-C, a display that goes away.

mod goals;
mod live;
mod passes;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use fs_err as fs;
use handsight_actions::{Action, Halt, Status};
use handsight_agent::trace::TRACE_FILE;
use handsight_agent::{
    CancelFlag, Controls, EpisodeOptions, ScriptedPolicy, StopReason, Trace, TraceRecorder,
    read_trace, run_episode,
};
use handsight_scenarios::write_report;
use handsight_tests::apps::Form;
use handsight_tests::binary::Binary;
use handsight_tests::page::Page;
use handsight_tests::program::Program;
use handsight_tests::wait::{ANSWERING, STARTING, wait_until};
use handsight_tests::xserver::XServer;
use serde_json::Value;
use tempfile::TempDir;

/// The screen the embedded model knows best.
const SCREEN: &str = "560x420x24";

/// A form in a page.
const PROFILE: &str = r#"<style>
  body { margin: 24px; font: 15px "DejaVu Sans", sans-serif; color: #222; background: #fff }
  form { display: grid; grid-template-columns: 110px 220px; gap: 14px; align-items: center }
  input[type=text], button { font: inherit; padding: 6px }
  .wide { grid-column: 1 / 3 }
</style>
<form id="profile" autocomplete="off">
  <label for="name">Name</label> <input id="name" type="text">
  <label for="city">City</label> <input id="city" type="text">
  <label class="wide"><input id="remember" type="checkbox"> Remember Me</label>
  <span class="wide"><button id="save">Save</button> <button id="reset" type="reset">Reset</button></span>
</form>"#;

fn handsight() -> Binary {
    Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"))
}

/// Starts `handsight run` on a display, recording into `trace`.
fn start_run(handsight: &Binary, server: &XServer, goal: &str) -> Program {
    let mut command = handsight.command(&["run", goal, "--trace", "trace", "--json"]);
    command.args(["--max-steps", "12"]).stderr(Stdio::piped());
    server.adopt(&mut command);
    Program::start(&mut command).unwrap()
}

/// Checks that a trace has its end, every picture, and a report.
fn check_whole(goal: &str, trace: &Trace) {
    assert_eq!(trace.started.goal, goal);
    assert!(trace.stopped.is_some() && !trace.torn);
    for step in &trace.steps {
        let image = &step.started.screenshot;
        let png = trace.png(image).unwrap().expect("a picture is missing");
        let picture = image::load_from_memory(&png).unwrap();
        assert_eq!((picture.width(), picture.height()), (image.width, image.height));
    }
    let page = fs::read_to_string(write_report(trace.dir(), None).unwrap()).unwrap();
    let escaped = goal.replace('&', "&amp;").replace('"', "&quot;");
    assert!(page.contains(&escaped) || page.contains(goal), "the report does not name the goal");
    // A screen that did not change is in the report once.
    let distinct: BTreeSet<_> =
        trace.steps.iter().map(|step| &step.started.screenshot.sha256).collect();
    let pictures = page.matches("data:image/png;base64,").count();
    assert!(pictures >= distinct.len(), "the report has {pictures} of {} pictures", distinct.len());
}

#[test]
fn a_scripted_episode_fills_in_a_page_in_chromium() {
    let server = XServer::start_managed(SCREEN).unwrap();
    let page = Page::open(&server, PROFILE, [560, 400]).unwrap();
    let click = |id| Action::LeftClick { coordinate: page.middle(id).unwrap() };
    let mut policy = ScriptedPolicy::actions([
        click("name"),
        Action::Type { text: "José 中文 😀".to_owned() },
        click("remember"),
        click("save"),
        Action::Terminate { status: Status::Success },
    ]);
    let dir = TempDir::new().unwrap();
    let mut recorder = TraceRecorder::create(&dir.path().join("trace")).unwrap();
    let mut controls = Controls {
        observer: &mut recorder,
        user: &mut (),
        cancel: &CancelFlag::default(),
        halt: &Halt::default(),
    };
    let (mut device, goal) = (server.device().unwrap(), "save José & remember them");
    let options = EpisodeOptions::default();
    let episode = run_episode(&mut device, &mut policy, goal, &options, &mut controls).unwrap();
    assert_eq!((episode.stop_reason, episode.steps), (StopReason::ClaimedSuccess, 5));
    let state = page.expect("the form was not sent", |page| page.saw("submit profile")).unwrap();
    assert_eq!(state.text("name"), "José 中文 😀");
    assert_eq!(state.values["remember"], true, "{state:#?}");
    assert!(!state.saw("click reset"));
    check_whole(goal, &read_trace(recorder.dir()).unwrap());
}

/// Starts an episode in a form and waits until it is under way.
fn begin(handsight: &Binary, server: &XServer) -> (Form, Program) {
    let form = Form::open(server, &["Name", "City"], "Save").unwrap();
    // Nothing here has to be found on the screen, so any checkpoint begins with an action.
    let run = start_run(handsight, server, "scroll down, then scroll up, then scroll down");
    let events = handsight.dir().join("trace").join(TRACE_FILE);
    wait_until("the episode did not begin", STARTING, || Ok(has_line(&events, "step_started")))
        .unwrap();
    (form, run)
}

fn has_line(file: &Path, event: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.contains(event))
}

#[test]
fn a_display_that_goes_away_ends_the_episode_and_not_the_trace() {
    let mut server = XServer::start_managed(SCREEN).unwrap();
    let handsight = handsight();
    let (_form, mut run) = begin(&handsight, &server);
    server.kill();
    let output = run.wait(ANSWERING).unwrap();
    assert_eq!(output.status.code(), Some(3));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let error = &result["error"];
    let name = format!("device `desktop {} monitor 0` is gone", server.display());
    assert!(error["message"].as_str().unwrap().starts_with(&name), "{error}");
    assert_eq!(error["hint"], "restart the display, then run again");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));

    let trace = read_trace(&handsight.dir().join("trace")).unwrap();
    let stopped = trace.stopped.as_ref().expect("the end was not recorded");
    assert_eq!(stopped.stop_reason, StopReason::DeviceLost);
    assert!(stopped.error.as_ref().unwrap().contains("is gone"));
    assert!(!trace.steps.is_empty());
    let goal = trace.started.goal.clone();
    check_whole(&goal, &trace);
}

#[test]
fn an_interrupt_ends_the_episode_and_leaves_nothing_held() {
    let server = XServer::start_managed(SCREEN).unwrap();
    let handsight = handsight();
    let (_form, mut run) = begin(&handsight, &server);
    run.signal("INT").unwrap();
    let output = run.wait(ANSWERING).unwrap();
    assert_eq!(output.status.code(), Some(130));
    server.check_nothing_held().unwrap();
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["stop_reason"], "interrupted");
    let trace = read_trace(&handsight.dir().join("trace")).unwrap();
    assert_eq!(trace.stopped.as_ref().unwrap().stop_reason, StopReason::Interrupted);
    let goal = trace.started.goal.clone();
    check_whole(&goal, &trace);
}
