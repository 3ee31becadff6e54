//! Sharing out, finding what is flaky, and merging.

use std::sync::Mutex;

use fs_err as fs;
use handsight_agent::CancelFlag;

use super::*;

/// Scenarios of one step each, by the names of their files.
fn scenarios(folder: &Path, names: &[&str]) -> Vec<Scenario> {
    let open = |name: &&str| {
        let path = folder.join(name);
        fs::write(&path, format!("scenario: {name}\nsteps:\n  - wait: 0\n")).unwrap();
        Scenario::open(&path).unwrap()
    };
    names.iter().map(open).collect()
}

fn ended(scenario: &Scenario, status: Status, conditions: &str) -> ScenarioResult {
    let mut result = ScenarioResult::not_begun(scenario, "it was so".to_owned(), None);
    (result.status, result.conditions) = (status, conditions.to_owned());
    if status != Status::Failed {
        result.steps.clear();
    }
    result
}

fn seat<'a>(name: &str, run: impl FnMut(&Scenario, u32) -> Ran + Send + 'a) -> Seat<'a, String> {
    Seat { name: name.to_owned(), open: Box::new(move || Ok(Box::new(run) as RunOn<'a>)) }
}

fn passed_on(scenario: &Scenario) -> Ran {
    Ran { result: ended(scenario, Status::Passed, "c"), lost: None }
}

#[test]
fn devices_share_the_scenarios_and_one_that_fails_to_open_is_no_hindrance() {
    let folder = tempfile::tempdir().unwrap();
    let scenarios = scenarios(folder.path(), &["a.yaml", "b.yaml", "c.yaml"]);
    // Both wait for the other, so neither can do all.
    let barrier = std::sync::Barrier::new(2);
    let waited = [Mutex::new(false), Mutex::new(false)];
    let meeting = |which: usize| {
        let (barrier, waited) = (&barrier, &waited);
        move |scenario: &Scenario, _: u32| {
            if !std::mem::replace(&mut *waited[which].lock().unwrap(), true) {
                barrier.wait();
            }
            passed_on(scenario)
        }
    };
    let broken = Seat { name: "z".to_owned(), open: Box::new(|| Err("no such phone".to_owned())) };
    let seats = vec![seat("x", meeting(0)), broken, seat("y", meeting(1))];
    let shared = share_out(&scenarios, 1, seats, &CancelFlag::default());
    let files: Vec<_> = shared.results.iter().map(|run| &run.scenario).collect();
    assert_eq!(files, ["a.yaml", "b.yaml", "c.yaml"]);
    let runs: Vec<_> = shared.devices.iter().map(|(device, _)| device.runs).collect();
    assert_eq!((runs.iter().sum::<usize>(), runs[1]), (3, 0));
    assert!(runs[0] > 0 && runs[2] > 0, "{runs:?}");
    assert_eq!(shared.devices[1].1.as_deref(), Some("no such phone"));
}

#[test]
fn what_a_lost_device_leaves_has_failed_and_a_cancelled_run_begins_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let scenarios = scenarios(folder.path(), &["a.yaml", "b.yaml"]);
    let lose = |scenario: &Scenario, _: u32| Ran {
        result: ended(scenario, Status::Failed, "c"),
        lost: Some("gone".to_owned()),
    };
    let shared = share_out(&scenarios, 3, vec![seat("x", lose)], &CancelFlag::default());
    assert_eq!(shared.devices[0].0.problem.as_deref(), Some("gone"));
    let problems: Vec<_> =
        shared.results.iter().map(|run| run.failure().unwrap().problem.clone().unwrap()).collect();
    assert_eq!(problems, ["it was so", "no device was left to run it on"]);
    let cancel = CancelFlag::default();
    cancel.cancel();
    let never = |_: &Scenario, _: u32| -> Ran { panic!("it was cancelled") };
    assert!(share_out(&scenarios, 1, vec![seat("x", never)], &cancel).results.is_empty());
}

#[test]
fn only_runs_under_equal_conditions_make_a_scenario_flaky() {
    let folder = tempfile::tempdir().unwrap();
    let scenarios = scenarios(folder.path(), &["a.yaml", "b.yaml"]);
    let run = |scenario: &Scenario, run: u32| {
        let status = if run == 2 { Status::Failed } else { Status::Passed };
        // What the first run of `b` has left makes its others no repetitions of it.
        let conditions = if scenario.title == "b.yaml" && run == 1 { "before" } else { "c" };
        let status = if scenario.title == "b.yaml" && run == 3 { Status::Failed } else { status };
        Ran { result: ended(scenario, status, conditions), lost: None }
    };
    let shared = share_out(&scenarios, 3, vec![seat("x", run)], &CancelFlag::default());
    let suite = SuiteResult::new(digest_of(&scenarios), None, Vec::new(), shared.results);
    let statuses: Vec<_> = by_scenario(&suite.scenarios).iter().map(Runs::status).collect();
    assert_eq!(statuses, [Status::Flaky, Status::Failed]);
    let tally = "0 passed, 0 healed, 1 flaky, 1 failed, 0 model calls, 0.0 s";
    assert_eq!(suite.tally.to_string(), tally);
    assert_eq!(suite.failed_files().len(), 2);

    crate::report::suite::write_suite(folder.path(), &suite).unwrap();
    let written = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(written("junit.xml").contains("flaky, passed 2 of 3 times: begin: it was so"));
    assert!(
        written("summary.md").contains("| a.yaml | flaky | 0.0 | 0 | flaky, passed 2 of 3 times")
    );
    let page = written("report.html");
    assert!(page.contains("<span class=\"badge claimed\">flaky</span> a.yaml"), "{page}");
    let again = SuiteResult::read(folder.path()).unwrap();
    assert_eq!((again.tally, again.suite), (suite.tally, suite.suite));
}

#[test]
fn shards_become_one_and_what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let all = scenarios(folder.path(), &["a.yaml", "b.yaml", "c.yaml"]);
    let part = |index, of| {
        let shard = Shard { index, of };
        let runs = shard.part(all.iter().collect()).into_iter();
        let runs = runs.map(|scenario| ended(scenario, Status::Passed, "c")).collect();
        let result = SuiteResult::new(digest_of(&all), Some(shard), Vec::new(), runs);
        (PathBuf::from(format!("shard-{index}-{of}")), result)
    };
    let merged = merge(vec![part(2, 2), part(1, 2)]).unwrap();
    let names: Vec<_> = merged.scenarios.iter().map(|run| &*run.scenario).collect();
    assert_eq!((names, merged.shard), (vec!["a.yaml", "b.yaml", "c.yaml"], None));

    let refused = |parts: Vec<_>| merge(parts).unwrap_err().to_string();
    assert_eq!(refused(vec![part(1, 2)]), "shard 2/2 is missing");
    assert_eq!(
        refused(vec![part(1, 2), part(1, 2)]),
        "`shard-1-2` and `shard-1-2` are both shard 1/2"
    );
    assert_eq!(
        refused(vec![part(1, 2), part(2, 3)]),
        "`shard-1-2` is shard 1/2 and `shard-2-3` is shard 2/3"
    );
    let (path, mut other) = part(2, 2);
    other.suite = "another".to_owned();
    assert_eq!(
        refused(vec![part(1, 2), (path.clone(), other.clone())]),
        "`shard-1-2` and `shard-2-2` are shards of suites that differ"
    );
    other.shard = None;
    assert_eq!(refused(vec![(path, other)]), "`shard-2-2` is the result of no shard");
    assert_eq!(refused(Vec::new()), "there is no result to merge");
}

#[test]
fn results_of_the_first_version_are_read_and_no_picture_leads_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{"version":1,"tally":{"passed":1,"healed":0,"failed":0,"model_calls":2,"seconds":1.5},
        "scenarios":[{"scenario":"x","file":"x.yaml","tags":[],"status":"passed","seconds":1.5,
        "model_calls":2,"steps":[{"id":"steps[0]","file":"x.yaml","line":3,"title":"click","status":
        "passed","seconds":1.5,"pictures":[{"file":"../../secret.webp","width":1,"height":1},
        {"file":"a.webp","width":1,"height":1}]}]}]}"#;
    fs::write(folder.path().join(RESULT_FILE), text).unwrap();
    let read = SuiteResult::read(folder.path()).unwrap();
    assert_eq!((read.tally.passed, read.scenarios[0].run), (1, 1));
    let pictures: Vec<_> =
        read.scenarios[0].steps[0].pictures.iter().map(|picture| &*picture.file).collect();
    assert_eq!(pictures, ["a.webp"]);
    fs::write(folder.path().join(RESULT_FILE), text.replace(":1,\"tally", ":2,\"tally")).unwrap();
    let error = SuiteResult::read(folder.path()).unwrap_err();
    assert!(error.to_string().ends_with("has version 2 and this build reads up to version 1"));
    fs::write(folder.path().join(RESULT_FILE), "[]").unwrap();
    assert!(matches!(SuiteResult::read(folder.path()), Err(ResultError::Format { .. })));
}
