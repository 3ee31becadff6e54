//! Scenarios on two fake devices at once.

use std::time::{Duration, Instant};

use fs_err as fs;
use handsight_actions::FakeDevice;
use handsight_agent::{CancelFlag, SettleOptions};

use super::super::tests::{Folder, Known, eyes, form, quick};
use super::super::{AnchorMode, run_scenario_with};
use super::*;
use crate::result::{ScenarioResult, Status};

/// A form that scenarios call `phone`.
fn named<'a>(
    device: &'a mut FakeDevice,
    eyes: &'a mut Known,
    observer: &'a mut (),
) -> NamedDevice<'a> {
    NamedDevice {
        name: "phone".to_owned(),
        device,
        eyes,
        observer,
        pictures: None,
        settle: SettleOptions::immediate(),
        env: [("WHERE".to_owned(), "phone".to_owned())].into(),
    }
}

/// Runs a scenario on a form, with another one that is called `phone`.
fn run(
    folder: &Folder,
    (own, phone): (&mut FakeDevice, &mut FakeDevice),
    (mut own_eyes, mut eyes): (Known, Known),
    mode: AnchorMode,
) -> ScenarioResult {
    let controls = RunControls {
        device: own,
        eyes: &mut own_eyes,
        observer: &mut (),
        pictures: None,
        cancel: &CancelFlag::default(),
    };
    let (mut observer, options) = ((), quick(mode));
    let phone = named(phone, &mut eyes, &mut observer);
    run_scenario_with(&folder.open().unwrap(), &options, controls, vec![phone]).unwrap()
}

fn nothing_known() -> (Known, Known) {
    (Known::default(), Known::default())
}

/// Returns what became of a scenario whose steps are these.
fn ran(steps: &str) -> (ScenarioResult, Folder) {
    let text = format!("scenario: x\ndevices: {{phone: android}}\n{steps}");
    let folder = Folder::new(&[("main.yaml", &text)]);
    let result = run(&folder, (&mut form(20), &mut form(20)), nothing_known(), AnchorMode::Off);
    (result, folder)
}

fn statuses(result: &ScenarioResult) -> Vec<(&str, Status)> {
    result.steps.iter().map(|step| (step.id.as_str(), step.status)).collect()
}

const BOTH: &str = "
scenario: x
devices: {phone: android}
steps:
  - parallel:
      - device: phone
        steps:
          - click: OK
      - steps:
          - type: {text: Ada, into: name}
  - click: OK
";

#[test]
fn each_device_has_anchors_of_its_own() {
    let folder = Folder::new(&[("main.yaml", BOTH)]);
    let (mut own, mut phone) = (form(20), form(200));
    let first = run(&folder, (&mut own, &mut phone), (eyes(20), eyes(200)), AnchorMode::Use);
    assert_eq!((first.status, first.model_calls), (Status::Passed, 3), "{first:?}");
    assert_eq!((own.screen(), phone.screen()), ("done", "done"));

    let (mut own, mut phone) = (form(20), form(200));
    let last = run(&folder, (&mut own, &mut phone), nothing_known(), AnchorMode::Strict);
    assert_eq!((last.status, last.model_calls), (Status::Passed, 0), "{last:?}");
    assert_eq!((own.screen(), phone.screen()), ("done", "done"));
    let anchors = folder.0.path().join("main.anchors");
    assert!(anchors.join("phone/anchors.yaml").exists());
    assert!(anchors.join("anchors.yaml").exists());
    assert_eq!(last.devices, [("phone".to_owned(), "fake".to_owned())].into());
}

#[test]
fn branches_are_done_at_once_and_what_they_set_is_there_afterwards() {
    let (result, folder) = ran("
vars: {before: 1, both: 0}
steps:
  - parallel:
      - steps:
          - wait_for: {file: {path: phone}}
          - shell: touch own
          - set: {mine: '{{ before + 1 }}'}
      - device: phone
        steps:
          - shell: echo $WHERE > phone
          - wait_for: {file: {path: own}}
          - start: [sh, -c, 'echo $$ > pid; exec sleep 60']
          - wait_for: {file: {path: pid, text: {matches: '\\d'}}}
          - set: {theirs: '{{ before + 2 }}'}
  - expect: {that: mine == 2 and theirs == 3}
  - expect: {shell: kill -0 $(cat pid)}
");
    assert_eq!(result.status, Status::Passed, "{result:?}");
    assert_eq!(fs::read_to_string(folder.0.path().join("phone")).unwrap(), "phone\n");
    let ids: Vec<&str> = result.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids[..3], ["steps[0]", "steps[0].parallel[0]", "steps[0].parallel[0].steps[0]"]);
    assert_eq!(ids[5], "steps[0].parallel[1]");
    assert_eq!(result.steps[5].title, "on phone");
    // What a branch started ends with the scenario.
    let pid = fs::read_to_string(folder.0.path().join("pid")).unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists());
}

#[test]
fn a_branch_that_fails_ends_the_others_and_teardown_runs() {
    for (bad, good) in [("device: phone", "name: none"), ("name: none", "device: phone")] {
        let branch = |line: &str, steps: &str| {
            let line = if line.starts_with("name") { String::new() } else { format!("{line}, ") };
            format!("      - {{{line}steps: [{steps}]}}\n")
        };
        let start = Instant::now();
        let (result, folder) = ran(&format!(
            "steps:\n  - parallel:\n{}{}  - set: {{never: 1}}\nteardown:\n  - shell: touch torn\n",
            branch(bad, "{wait: 0.2}, {expect: {that: 'false'}}"),
            branch(good, "{wait: 30}, {set: {never: 1}}"),
        ));
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        assert_eq!(
            statuses(&result),
            [
                ("steps[0]", Status::Failed),
                ("steps[0].parallel[0]", Status::Failed),
                ("steps[0].parallel[0].steps[0]", Status::Passed),
                ("steps[0].parallel[0].steps[1]", Status::Failed),
                ("steps[0].parallel[1]", Status::Stopped),
                ("steps[0].parallel[1].steps[0]", Status::Stopped),
                ("teardown[0]", Status::Passed),
            ]
        );
        assert_eq!(result.status, Status::Failed);
        assert!(result.steps[0].problem.as_deref().unwrap().contains("it is false"));
        assert!(folder.0.path().join("torn").exists());
    }
}

#[test]
fn an_interrupt_ends_all_branches() {
    let folder = Folder::new(&[(
        "main.yaml",
        "{scenario: x, devices: {phone: p}, steps: [{parallel: [{device: phone, steps: [{wait: 30}]}]}]}",
    )]);
    let cancel = CancelFlag::default();
    let within = cancel.within();
    assert!(!within.is_cancelled());
    cancel.cancel();
    assert!(within.is_cancelled());
    let alone = CancelFlag::default();
    alone.within().cancel();
    assert!(!alone.is_cancelled());
    let (mut own, mut phone, mut eyes, mut theirs) =
        (form(20), form(20), Known::default(), Known::default());
    let cancel = CancelFlag::default();
    let start = Instant::now();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            handsight_agent::settle::pause(Duration::from_millis(200), &CancelFlag::default());
            cancel.cancel();
        });
        let controls = RunControls {
            device: &mut own,
            eyes: &mut eyes,
            observer: &mut (),
            pictures: None,
            cancel: &cancel,
        };
        let mut observer = ();
        let phone = named(&mut phone, &mut theirs, &mut observer);
        run_scenario_with(&folder.open().unwrap(), &RunOptions::default(), controls, vec![phone])
    });
    assert_eq!(result.unwrap().status, Status::Stopped);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn what_cannot_be_done_at_once_is_refused() {
    let check = |devices: &str, branches: &str, expected: &str| {
        let text = format!("scenario: x\ndevices: {devices}\nsteps:\n  - parallel: [{branches}]\n");
        let folder = Folder::new(&[("main.yaml", &text)]);
        let error = folder.open().unwrap_err().to_string();
        assert!(error.contains(expected), "{branches}\n{error}");
    };
    let two = "{phone: android, desk: desktop}";
    check(two, "{device: phnoe, steps: []}", "line 4, column 5: steps[0]: `phnoe` is not among");
    check(two, "", "`parallel` needs a branch");
    check(two, "{steps: []}, {steps: []}", "two branches are on the scenario's own device");
    check(
        two,
        "{device: desk, steps: []}, {device: desk, steps: []}",
        "two branches are on `desk`",
    );
    check(
        two,
        "{device: desk, steps: [{set: {a: 1}}]}, {steps: [{shell: ls, as: a}]}",
        "two branches set `a`",
    );
    check(
        two,
        "{steps: [{parallel: [{device: desk, steps: []}]}]}",
        "a branch cannot have `parallel` in it",
    );
    check("{../up: android}", "{steps: []}", "`../up` is no name of a device");
    check(two, "{device: desk, step: []}", "unknown field");
    check(two, "{device: desk, steps: [{type: '{{ nmae }}'}]}", "uses `nmae`");

    let text = "{scenario: x, devices: {tablet: android}, steps: [{wait: 0}]}";
    let folder = Folder::new(&[("main.yaml", text)]);
    let result = run(&folder, (&mut form(20), &mut form(20)), nothing_known(), AnchorMode::Off);
    let problem = result.steps[0].problem.as_deref();
    assert_eq!(problem, Some("the scenario needs the device `tablet`, and there is none"));
}
