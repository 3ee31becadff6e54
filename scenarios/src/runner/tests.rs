//! Scenarios on a fake device, with a model that knows where everything is.

use std::collections::BTreeMap;
use std::time::Duration;

use fs_err as fs;
use handsight_actions::{Device, FakeDevice, FakeScreen, PixelPoint, Rect, Size};
use handsight_agent::{CancelFlag, SettleOptions};
use image::RgbImage;
use serde_json::{Value, json};

use super::*;
use crate::eyes::{Eyes, Found, Pursued};
use crate::scenario::ScenarioError;

/// A model that knows where everything is; a test tool.
#[derive(Default)]
pub(super) struct Known {
    places: BTreeMap<&'static str, PixelPoint>,
    /// What it was asked.
    asked: Vec<String>,
}

impl Eyes for Known {
    fn find(&mut self, _: &RgbImage, target: &str) -> Result<Option<Found>, EyesError> {
        self.asked.push(target.to_owned());
        Ok(self.places.get(target).map(|&point| Found { point, area: None }))
    }

    fn judge(&mut self, _: &RgbImage, claim: &str) -> Result<f64, EyesError> {
        self.asked.push(claim.to_owned());
        Ok(f64::from(u8::from(claim == "all is well")))
    }

    fn read(&mut self, _: &RgbImage, question: &str, _: &Value) -> Result<Value, EyesError> {
        self.asked.push(question.to_owned());
        Ok(json!("42"))
    }

    fn pursue(
        &mut self,
        _: &mut dyn Device,
        goal: &str,
        _: Duration,
    ) -> Result<Pursued, EyesError> {
        self.asked.push(goal.to_owned());
        Ok(Pursued { decisions: 3 })
    }
}

const SCREEN: Size = Size { width: 320, height: 200 };

fn button(x: i32) -> Rect {
    Rect { x, y: 120, width: 60, height: 24 }
}

/// A form whose button is at `x`, and the screen it leads to.
pub(super) fn form(x: i32) -> FakeDevice {
    let form = FakeScreen::new("form")
        .field("name", Rect { x: 20, y: 20, width: 200, height: 24 })
        .button("OK", button(x), Some("done"));
    FakeDevice::new(SCREEN, vec![form, FakeScreen::new("done")])
}

pub(super) fn eyes(x: i32) -> Known {
    let places = [("name", PixelPoint { x: 60, y: 32 }), ("OK", button(x).center())];
    Known { places: places.into(), asked: Vec::new() }
}

/// A folder with files, and a scenario among them.
pub(super) struct Folder(pub(super) tempfile::TempDir);

impl Folder {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    pub(super) fn open(&self) -> Result<Scenario, ScenarioError> {
        Scenario::open(&self.0.path().join("main.yaml"))
    }

    fn run(
        &self,
        device: &mut dyn Device,
        eyes: &mut dyn Eyes,
        mode: AnchorMode,
    ) -> ScenarioResult {
        let options = quick(mode);
        let cancel = CancelFlag::default();
        let controls =
            RunControls { device, eyes, observer: &mut (), pictures: None, cancel: &cancel };
        run_scenario(&self.open().unwrap(), &options, controls).unwrap()
    }
}

/// How a scenario is run that never has to wait.
pub(super) fn quick(anchors: AnchorMode) -> RunOptions {
    RunOptions {
        anchors,
        settle: SettleOptions::immediate(),
        patience: Duration::from_millis(50),
        ..RunOptions::default()
    }
}

/// Runs a scenario on the form.
fn run(text: &str) -> ScenarioResult {
    Folder::new(&[("main.yaml", text)]).run(&mut form(20), &mut eyes(20), AnchorMode::Off)
}

#[track_caller]
fn check(text: &str, status: Status, problem: Option<&str>) {
    let result = run(text);
    let problems: Vec<_> = result.steps.iter().filter_map(|step| step.problem.as_deref()).collect();
    assert_eq!(result.status, status, "{problems:?}");
    match problem {
        Some(problem) => {
            assert!(problems.iter().any(|found| found.contains(problem)), "{problems:?}");
        }
        None => assert!(problems.is_empty(), "{problems:?}"),
    }
}

const FORM: &str = "
scenario: fill in the form
vars: {who: Ada}
steps:
  - type: {text: '{{ who }}', into: name}
  - click: OK
  - expect: {that: \"who == 'Ada'\"}
";

#[test]
fn the_second_run_asks_no_model_and_the_third_heals() {
    let folder = Folder::new(&[("main.yaml", FORM)]);
    let (mut device, mut model) = (form(20), eyes(20));
    let first = folder.run(&mut device, &mut model, AnchorMode::Use);
    assert_eq!((first.status, first.model_calls), (Status::Passed, 2), "{first:?}");
    assert_eq!(device.screen(), "done");
    assert_eq!(model.asked, ["name", "OK"]);

    // All as it was: no model at all.
    let (mut device, mut model) = (form(20), Known::default());
    let second = folder.run(&mut device, &mut model, AnchorMode::Strict);
    assert_eq!((second.status, second.model_calls), (Status::Passed, 0), "{second:?}");
    assert_eq!(device.screen(), "done");

    // The button alone has moved: its surroundings are not those that were remembered.
    let (mut device, mut model) = (form(200), eyes(200));
    let third = folder.run(&mut device, &mut model, AnchorMode::Use);
    assert_eq!(device.screen(), "done");
    assert!(matches!(third.status, Status::Passed | Status::Healed), "{third:?}");
    if third.status == Status::Healed {
        assert_eq!(third.steps[1].changes, ["\"OK\" moved 180 px right"]);
    }
    let (mut device, mut model) = (form(200), Known::default());
    let fourth = folder.run(&mut device, &mut model, AnchorMode::Strict);
    assert_eq!((fourth.status, device.screen()), (Status::Passed, "done"), "{fourth:?}");
}

#[test]
fn what_is_not_there_fails_and_teardown_runs() {
    let text = "
scenario: x
steps:
  - click: nothing such
  - set: {never: 1}
teardown:
  - shell: echo torn > down
";
    let folder = Folder::new(&[("main.yaml", text)]);
    let result = folder.run(&mut form(20), &mut eyes(20), AnchorMode::Use);
    assert_eq!(result.status, Status::Failed);
    let steps: Vec<_> = result.steps.iter().map(|step| (step.id.as_str(), step.status)).collect();
    assert_eq!(steps, [("steps[0]", Status::Failed), ("teardown[0]", Status::Passed)]);
    assert_eq!(result.steps[0].problem.as_deref(), Some("\"nothing such\" is not on the screen"));
    assert_eq!(fs::read_to_string(folder.0.path().join("down")).unwrap(), "torn\n");
    // What was not reached is remembered by nobody.
    assert!(!folder.0.path().join("main.anchors").exists());
}

#[test]
fn steps_can_depend_on_what_is_so() {
    check(
        "
scenario: x
vars: {n: 0, seen: ''}
steps:
  - until: {that: n == 3}
    at_most: 5
    steps:
      - set: {n: '{{ n + 1 }}'}
  - for_each: [a, b]
    as: letter
    steps:
      - set: {seen: '{{ seen }}{{ letter }}'}
  - if: {that: seen == 'ab'}
    then:
      - shell: echo three {{ n }}
        as: said
    else:
      - expect: {that: 'false'}
  - expect: {all: [{that: said == 'three 3'}, {not: {file: {path: none}}}]}
  - extract: {question: how many?}
    as: answer
  - expect: all is well
  - expect: {any: [{that: answer == '0'}, {that: answer == '42'}]}
",
        Status::Passed,
        None,
    );
}

#[test]
fn bounds_hold() {
    let endless = "
scenario: x
vars: {n: 1}
steps:
  - while: {that: n}
    at_most: 4
    steps: [{set: {n: 1}}]
";
    check(endless, Status::Failed, Some("n: still holds after 4 rounds"));
    check(
        "{scenario: x, timeout: 0.3, steps: [{shell: sleep 60}]}",
        Status::Failed,
        Some("`sh -c sleep 60` did not end in time"),
    );
    check(
        "{scenario: x, steps: [{wait: 30, timeout: 0.1}]}",
        Status::Failed,
        Some("less time left"),
    );
    check(
        "{scenario: x, steps: [{expect: {shell: exit 3}}]}",
        Status::Failed,
        Some("it ended with 3"),
    );
    check(
        "{scenario: x, steps: [{shell: [no-such-program-here]}]}",
        Status::Failed,
        Some("could not start"),
    );
}

#[test]
fn a_step_can_be_tried_again_or_passed_over() {
    check(
        "
scenario: x
steps:
  - shell: test -e again || { touch again; false; }
    retry: 1
  - shell: 'false'
    continue_on_error: true
  - set: {reached: 1}
",
        Status::Failed,
        Some("it ended with 1"),
    );
    let result = run("
scenario: x
steps:
  - shell: test -e again || { touch again; false; }
    retry: 1
");
    assert_eq!(result.status, Status::Passed, "{result:?}");
}

#[test]
fn files_can_include_others_with_variables() {
    let folder = Folder::new(&[
        (
            "main.yaml",
            "
scenario: x
vars: {name: Bo}
steps:
  - include: {file: parts/greet.yaml, vars: {name: Ada}}
  - expect: {that: name == 'Bo'}
  - expect: {file: {path: parts/said, text: {equals: 'Hello Ada!'}}}
",
        ),
        (
            "parts/greet.yaml",
            "
scenario: greet
vars: {name: nobody, greeting: Hello}
steps:
  - shell: echo '{{ greeting }} {{ name }}!' > said
",
        ),
    ]);
    let result = folder.run(&mut form(20), &mut eyes(20), AnchorMode::Off);
    assert_eq!(result.status, Status::Passed, "{result:?}");
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let check = |text: &str, expected: &str| {
        let folder = Folder::new(&[
            ("main.yaml", text),
            ("other.yaml", "{scenario: o, steps: [{include: main.yaml}]}"),
        ]);
        let error = folder.open().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}\n{error}");
    };
    check("scenario: x\nsteps:\n  - clik: OK\n", "line 3");
    check("scenario: x\nsteps:\n  - clik: OK\n", "clik");
    check(
        "scenario: x\nsteps:\n  - click: OK\n    type: a\n",
        "line 3, column 5: the step has several verbs: `click`, `type`",
    );
    check("scenario: x\nsteps:\n  - name: nothing\n", "the step has no verb");
    check(
        "scenario: x\nsteps:\n  - until: {that: 'true'}\n    steps: [{wait: 1}]\n",
        "`until` needs `at_most:`",
    );
    check(
        "scenario: x\nvars: {name: 1}\nsteps:\n  - type: '{{ nmae }}'\n",
        "uses `nmae`, which nothing sets; did you mean `name`?",
    );
    check("scenario: x\nsteps:\n  - type: '{{ name '\n", "syntax error");
    check("scenario: x\nsteps: [{include: other.yaml}]\n", "includes itself");
    check("scenario: x\nsteps: [{include: ../other.yaml}]\n", "not beside the scenario");
    check("scenario: x\nsteps: [{click: [1, 2, 3]}]\n", "line 2");
    check("scenario: x\nsteps: [{press: hyper+q}]\n", "hyper");
    check("scenario: x\nsteps: [{expect: {window: {matches: '('}}}]\n", "no regular expression");
    check("scenario: x\nsteps: [{expect: {file: {path: a}, that: b}}]\n", "says several things");
    check("a: &a [x, x]\nb: &b [*a, *a]\n", "unknown field");
}

#[test]
fn damaged_anchors_are_refused_before_anything_is_done() {
    let folder = Folder::new(&[("main.yaml", FORM)]);
    folder.run(&mut form(20), &mut eyes(20), AnchorMode::Use);
    let anchors = folder.0.path().join("main.anchors");
    let mut picture = fs::read_dir(&anchors).unwrap().map(|entry| entry.unwrap().path());
    let picture = picture.find(|path| path.extension().is_some_and(|ext| ext == "png")).unwrap();
    let open = || Anchors::open(anchors.clone()).map(|_| ()).unwrap_err().to_string();
    RgbImage::new(3, 3).save(&picture).unwrap();
    assert!(open().contains("has 3×3 pixels where the list says"), "{}", open());
    fs::write(&picture, "no picture").unwrap();
    assert!(open().contains(&picture.display().to_string()), "{}", open());
    fs::write(anchors.join("anchors.yaml"), "version: 1\nanchors: {}\n").unwrap();
    assert!(open().contains("line 2"), "{}", open());
}

const PAGES: &str = "
scenario: on through the pages
steps:
  - for_each: [1, 2, 3]
    as: page
    steps:
      - click: OK
";

/// Three screens with the same button, and something else around it on each.
fn pages() -> FakeDevice {
    let page = |name, y, to| {
        FakeScreen::new(name).field("name", Rect { x: 20, y, width: 200, height: 24 }).button(
            "OK",
            button(20),
            Some(to),
        )
    };
    let pages = [page("a", 20, "b"), page("b", 88, "c"), page("c", 150, "done")];
    FakeDevice::new(SCREEN, pages.into_iter().chain([FakeScreen::new("done")]).collect())
}

#[test]
fn a_step_that_is_done_again_remembers_every_look() {
    let folder = Folder::new(&[("main.yaml", PAGES)]);
    let first = folder.run(&mut pages(), &mut eyes(20), AnchorMode::Use);
    assert_eq!((first.status, first.model_calls), (Status::Passed, 3), "{first:?}");
    let (mut device, mut model) = (pages(), Known::default());
    let second = folder.run(&mut device, &mut model, AnchorMode::Strict);
    assert_eq!((second.status, device.screen()), (Status::Passed, "done"), "{second:?}");
    let key = AnchorKey { target: "OK".to_owned(), nth: 1 };
    let anchors = Anchors::open(folder.0.path().join("main.anchors")).unwrap();
    assert_eq!(anchors.looks(&key).len(), 3);

    // Made anew on one page alone: the others' pictures go.
    fs::write(folder.0.path().join("main.yaml"), PAGES.replace("[1, 2, 3]", "[1]")).unwrap();
    folder.run(&mut pages(), &mut eyes(20), AnchorMode::Refresh);
    let count = fs::read_dir(folder.0.path().join("main.anchors")).unwrap().count();
    assert_eq!(count, 2, "the list and one picture");
}

#[test]
fn a_refresh_that_fails_keeps_what_it_did_not_come_to() {
    let folder = Folder::new(&[("main.yaml", FORM)]);
    folder.run(&mut form(20), &mut eyes(20), AnchorMode::Use);
    let mut model = eyes(20);
    model.places.remove("name");
    let refreshed = folder.run(&mut form(20), &mut model, AnchorMode::Refresh);
    assert_eq!(refreshed.status, Status::Failed);
    let again = folder.run(&mut form(20), &mut Known::default(), AnchorMode::Strict);
    assert_eq!(again.status, Status::Passed, "{again:?}");
}

/// Returns how many looks are remembered of each of these targets.
fn remembered(folder: &Folder, targets: [&str; 2]) -> [usize; 2] {
    let anchors = Anchors::open(folder.0.path().join("main.anchors")).unwrap();
    targets.map(|target| anchors.looks(&AnchorKey { target: target.to_owned(), nth: 1 }).len())
}

#[test]
fn targets_of_the_teardown_are_remembered_too() {
    let text = "{scenario: x, steps: [{wait: 0}], teardown: [{click: OK}]}";
    let folder = Folder::new(&[("main.yaml", text)]);
    let first = folder.run(&mut form(20), &mut eyes(20), AnchorMode::Use);
    assert_eq!((first.status, first.model_calls), (Status::Passed, 1), "{first:?}");
    let mut device = form(20);
    let second = folder.run(&mut device, &mut Known::default(), AnchorMode::Strict);
    assert_eq!((second.status, device.screen()), (Status::Passed, "done"), "{second:?}");
}

#[test]
fn a_check_vouches_for_no_target_of_what_failed_before_it() {
    let text = "
scenario: x
steps:
  - click: name
  - expect: {that: 'false'}
teardown:
  - click: OK
  - expect: {that: 'true'}
";
    let folder = Folder::new(&[("main.yaml", text)]);
    folder.run(&mut form(20), &mut eyes(20), AnchorMode::Use);
    assert_eq!(remembered(&folder, ["name", "OK"]), [0, 1]);

    // An attempt that counts no more, and one that does.
    let text = "
scenario: x
steps:
  - group: twice
    retry: 1
    steps:
      - click: name
      - shell: test -e again || { touch again; false; }
  - click: OK
";
    let folder = Folder::new(&[("main.yaml", text)]);
    let result = folder.run(&mut form(20), &mut eyes(20), AnchorMode::Use);
    assert_eq!((result.status, result.model_calls), (Status::Passed, 3), "{result:?}");
    assert_eq!(remembered(&folder, ["name", "OK"]), [1, 1]);
}
