//! What a run of many scenarios has beside its steps: devices at once, shards, repetitions, what failed
//! before, checks of what is on no screen, and reports.

mod checks;
mod report;
mod together;

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use fs_err as fs;
use handsight_actions::{FakeAndroid, FakeAndroidOptions};
use handsight_tests::adb::AdbServer;
use handsight_tests::binary::Binary;
use handsight_tests::program::Program;
use handsight_tests::wait::{ANSWERING, STARTING, wait_until};
use handsight_tests::xserver::XServer;
use image::RgbImage;
use serde_json::Value;

use super::handsight;

/// A binary in a folder with a picture to look at and these scenarios.
fn with_files(files: &[(&str, &str)]) -> Binary {
    let handsight = handsight();
    RgbImage::new(64, 48).save(handsight.dir().join("screen.png")).unwrap();
    for (name, text) in files {
        let path = handsight.dir().join("suite").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("scenario: {name}\n{text}")).unwrap();
    }
    handsight
}

fn result_of(command: &mut Command) -> (i32, Value, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let errors = String::from_utf8_lossy(&stderr).into_owned();
    let result = serde_json::from_slice(&stdout);
    let result = result.unwrap_or_else(|error| panic!("{error}: {errors}"));
    (status.code().unwrap(), result, errors)
}

fn run(handsight: &Binary, args: &[&str]) -> (i32, Value) {
    let all = [&["scenario", "run", "--json", "--device", "still:screen.png"], args].concat();
    let (code, result, _) = result_of(&mut handsight.command(&all));
    (code, result)
}

fn titles(result: &Value) -> Vec<&str> {
    let runs = result["scenarios"].as_array().unwrap();
    runs.iter().map(|run| run["scenario"].as_str().unwrap()).collect()
}

#[test]
fn two_phones_share_a_suite_and_one_that_is_not_there_is_reported() {
    let options = FakeAndroidOptions::default();
    let phones = [FakeAndroid::start(&options).unwrap(), FakeAndroid::start(&options).unwrap()];
    let adb = AdbServer::start().unwrap();
    let [a, b] = phones.each_ref().map(|phone| adb.connect(phone.address()).unwrap());
    let text = "
steps:
  - open: Settings
  - wait_for: {app: com.android.settings}
  - shell: echo $ANDROID_SERIAL > {{ scenario.title }}.serial
  - wait: 1
";
    let handsight = with_files(&[("a.yaml", text), ("b.yaml", text), ("c.yaml", text)]);
    let devices = format!("android:{a},android:127.0.0.1:1,android:{b}");
    let mut command =
        handsight.command(&["scenario", "run", "suite", "--devices", &devices, "--json"]);
    adb.adopt(&mut command);
    let (code, result, said) = result_of(&mut command);
    assert_eq!((code, &result["passed"]), (0, &3.into()), "{result:#}\n{said}");
    let devices = result["devices"].as_array().unwrap();
    let runs: Vec<u64> = devices.iter().map(|device| device["runs"].as_u64().unwrap()).collect();
    assert!(runs[0] > 0 && runs[1] == 0 && runs[2] > 0, "{runs:?}");
    let problem = devices[1]["problem"].as_str().unwrap();
    assert!(problem.contains("127.0.0.1:1"), "{problem}");
    for run in result["scenarios"].as_array().unwrap() {
        // What the scenario starts finds the same phone.
        let title = run["scenario"].as_str().unwrap();
        let serial = fs::read_to_string(handsight.dir().join(format!("suite/{title}.serial")));
        assert_eq!(run["device"], format!("android {}", serial.unwrap().trim()));
    }
    for phone in &phones {
        assert_eq!(phone.foreground(), "com.android.settings/.Settings");
    }
    assert!(said.contains(&format!("android:{b}  ")), "{said}");
}

#[test]
fn two_desktops_are_typed_on_at_once() {
    let servers = [(); 2].map(|()| XServer::start_managed("640x480x24").unwrap());
    let text = r#"
setup:
  - start:
      - sh
      - -c
      - >-
        GDK_BACKEND=x11 NO_AT_BRIDGE=1 exec zenity --entry --title=Who --text=Name
        > {{ scenario.title }}.out
  - wait_for: {window: Who}
steps:
  - type: "{{ scenario.title }}!"
  - press: enter
  - expect: {file: {path: "{{ scenario.title }}.out", text: {equals: "{{ scenario.title }}!"}}}
  # Until both displays have one.
  - shell: touch {{ scenario.title }}.met; for i in $(seq 600); do test -e a.yaml.met -a -e b.yaml.met && exit; sleep 0.1; done; exit 1
"#;
    let handsight = with_files(&[("a.yaml", text), ("b.yaml", text)]);
    let devices = servers.each_ref().map(|server| format!("desktop:{}", server.display()));
    let devices = devices.join(",");
    let args = ["scenario", "run", "suite", "--devices", &devices, "--json"];
    let (code, result, said) = result_of(&mut handsight.command(&args));
    assert_eq!((code, &result["passed"]), (0, &2.into()), "{result:#}\n{said}");
    let on: Vec<&Value> =
        result["scenarios"].as_array().unwrap().iter().map(|run| &run["device"]).collect();
    assert_ne!(on[0], on[1]);
}

/// Fails the second time it is done, and no other.
const COUNTS: &str = "
steps:
  - shell: n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) > n; test $n != 1
";

#[test]
fn what_passes_and_fails_is_flaky_and_can_be_run_again() {
    let fine = "steps:\n  - wait: 0\n";
    let handsight = with_files(&[("a.yaml", fine), ("b.yaml", COUNTS)]);
    let (code, result) = run(&handsight, &["suite", "--repeat", "3", "--report", "out"]);
    assert_eq!(code, 1);
    let counts = ["passed", "flaky", "failed"].map(|name| result[name].as_u64().unwrap());
    assert_eq!(counts, [1, 1, 0], "{result:#}");
    assert_eq!(titles(&result), ["a.yaml", "a.yaml", "a.yaml", "b.yaml", "b.yaml", "b.yaml"]);
    let xml = fs::read_to_string(handsight.dir().join("out/junit.xml")).unwrap();
    assert!(xml.contains("<failure message=\"flaky, passed 2 of 3 times: shell"), "{xml}");
    assert_eq!(
        (xml.matches("<testcase").count(), xml.matches("<failure").count()),
        (2, 1),
        "{xml}"
    );

    let (code, again) = run(&handsight, &["--rerun-failed", "out", "--report", "out"]);
    assert_eq!((code, titles(&again)), (0, vec!["b.yaml"]), "{again:#}");
    let (code, nothing) = run(&handsight, &["suite", "--rerun-failed", "out/result.json"]);
    assert_eq!((code, titles(&nothing).len()), (0, 0), "{nothing:#}");
}

#[test]
fn shards_run_everything_once_and_their_reports_become_one() {
    let (fine, bad) = ("steps:\n  - wait: 0\n", "steps:\n  - expect: {that: 1 > 2}\n");
    let names = ["a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml"];
    let handsight =
        with_files(&names.map(|name| (name, if name == "d.yaml" { bad } else { fine })));
    for shard in ["1", "2", "3"] {
        let (of, folder) = (format!("{shard}/3"), format!("out-{shard}"));
        let (code, _) = run(&handsight, &["suite", "--shard", &of, "--report", &folder]);
        assert_eq!(code, i32::from(shard == "1"));
    }
    let merge = ["scenario", "merge", "out-1", "out-2/result.json", "out-3", "--report", "all"];
    let (code, merged, _) = result_of(&mut handsight.command(&[&merge[..], &["--json"]].concat()));
    assert_eq!((code, titles(&merged)), (1, names.to_vec()), "{merged:#}");
    let page = fs::read_to_string(handsight.dir().join("all/report.html")).unwrap();
    // What was on the screen when it failed.
    assert!(page.contains("data:image/webp;base64,"), "{page}");
    insta::assert_snapshot!(handsight.snapshot(&["scenario", "merge", "out-1", "out-3", "--report", "x"]), @r"
    exit code: 2
    --- stderr ---
    error: shard 2/3 is missing
    hint: give the report of every shard
    ");
    insta::assert_snapshot!(handsight.snapshot(&["scenario", "merge", "suite", "--report", "x"]), @r"
    exit code: 2
    --- stderr ---
    error: could not read the result of an earlier run
      caused by: failed to open file `suite/result.json`: No such file or directory (os error 2)
    hint: give the folder that `--report` wrote, or the `result.json` in it
    ");
    let twice = ["scenario", "run", "suite", "--devices", "still:screen.png,still:screen.png"];
    insta::assert_snapshot!(handsight.snapshot(&twice), @r"
    exit code: 2
    --- stderr ---
    error: the device `still:screen.png` is named twice
    hint: a screen has one pointer and one focus
    ");
}

#[test]
fn what_has_a_tag_can_be_left_out() {
    let steps =
        "steps:\n  - shell: touch a\n  - {tags: [slow], group: all, steps: [{shell: touch b}]}\n";
    let handsight =
        with_files(&[("a.yaml", steps), ("b.yaml", "tags: [slow]\nsteps:\n  - shell: touch c\n")]);
    let (code, result) = run(&handsight, &["suite", "--skip-tags", "slow", "--report", "out"]);
    assert_eq!((code, titles(&result)), (0, vec!["a.yaml"]), "{result:#}");
    let statuses: Vec<_> =
        result["scenarios"][0]["steps"].as_array().unwrap().iter().map(|s| &s["status"]).collect();
    assert_eq!(statuses, ["passed", "skipped"]);
    let there = ["a", "b", "c"].map(|name| handsight.dir().join("suite").join(name).exists());
    assert_eq!(there, [true, false, false]);
    let page = fs::read_to_string(handsight.dir().join("out/report.html")).unwrap();
    assert!(page.contains("<span class=\"badge plain\">skipped</span>"), "{page}");
    insta::assert_snapshot!(handsight.snapshot(&["scenario", "check", "suite/b.yaml", "--skip-tags", "slow"]), @r"
    exit code: 2
    --- stderr ---
    error: all scenarios have one of the tags slow
    hint: `scenario check` lists the tags there are
    ");
}

#[test]
fn an_interrupt_ends_all_devices_with_their_teardown() {
    let text = "
steps:
  - shell: touch {{ scenario.title }}.up
  - wait: 100
teardown:
  - shell: touch {{ scenario.title }}.down
";
    let handsight = with_files(&[("a.yaml", text), ("b.yaml", text), ("c.yaml", text)]);
    RgbImage::new(64, 48).save(handsight.dir().join("other.png")).unwrap();
    let devices = "still:screen.png,still:other.png";
    let mut command =
        handsight.command(&["scenario", "run", "suite", "--devices", devices, "--json"]);
    let mut program = Program::start(command.stderr(Stdio::piped())).unwrap();
    let is_there = |name: &str| handsight.dir().join("suite").join(name).exists();
    wait_until("both devices are busy", STARTING, || {
        Ok(is_there("a.yaml.up") && is_there("b.yaml.up"))
    })
    .unwrap();
    program.signal("INT").unwrap();
    let output = program.wait(ANSWERING + Duration::from_secs(10)).unwrap();
    assert_eq!(output.status.code(), Some(130));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(titles(&result), ["a.yaml", "b.yaml"]);
    assert!(is_there("a.yaml.down") && is_there("b.yaml.down") && !is_there("c.yaml.up"));
}
