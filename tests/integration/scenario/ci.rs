//! The files for containers and CI servers, run as they stand there.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fs_err as fs;
use handsight_actions::yaml::from_yaml;
use handsight_tests::program::Program;
use handsight_tests::wait::{ANSWERING, STARTING, wait_until};
use serde_json::Value;
use tempfile::TempDir;

/// A scenario that needs neither a model nor anchors; `ENTERED` is replaced.
const GREETING: &str = "
scenario: A greeting is entered
setup:
  - start: [sh, -c, 'GDK_BACKEND=x11 NO_AT_BRIDGE=1 exec zenity --entry --title=Greeting > NAME.tmp']
  - wait_for: {window: Greeting}
steps:
  - type: ENTERED
  - press: enter
  - expect: {file: {path: NAME.tmp, text: {equals: hello}}}
teardown:
  - shell: rm NAME.tmp
";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/ci").join(name)
}

/// A folder as a runner has it: tools, and scenarios with what each enters.
fn folder(scenarios: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let of = |name| folder.path().join(name);
    fs::create_dir_all(of("tools")).unwrap();
    fs::create_dir_all(of("scenarios")).unwrap();
    symlink(env!("CARGO_BIN_EXE_handsight-under-test"), of("tools/handsight")).unwrap();
    symlink(fs::canonicalize(file("headless")).unwrap(), of("tools/headless")).unwrap();
    for (name, entered) in scenarios {
        let text = GREETING.replace("ENTERED", entered).replace("NAME", name);
        fs::write(of("scenarios").join(name).with_extension("yaml"), text).unwrap();
    }
    folder
}

/// A command with the tools of a folder, and no display.
fn command(program: &str, folder: &Path) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(folder.join("tools")).chain(std::env::split_paths(&path));
    let mut command = Command::new(program);
    command
        .env("PATH", std::env::join_paths(all).unwrap())
        .env("HOME", folder)
        .env("XDG_RUNTIME_DIR", folder);
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs a command to its end, and returns its exit code and what it said.
fn ended(command: &mut Command) -> (i32, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
    (status.code().unwrap(), said.into_owned())
}

#[test]
fn the_image_runs_the_scenarios_of_a_folder_without_a_screen() {
    let dockerfile = fs::read_to_string(file("Dockerfile")).unwrap();
    let words = |instruction: &str| -> Vec<String> {
        let line = dockerfile.lines().find_map(|line| line.strip_prefix(instruction));
        serde_json::from_str(line.unwrap()).unwrap()
    };
    let words = [words("ENTRYPOINT "), words("CMD ")].concat();
    let folder = folder(&[("greeting", "hello")]);
    let mut image = command(&words[0], folder.path());
    image.args(&words[1..]).current_dir(folder.path().join("scenarios"));
    let (code, said) = ended(&mut image);
    assert_eq!(code, 0, "{said}");
    let report = folder.path().join("scenarios/report");
    let summary = fs::read_to_string(report.join("summary.md")).unwrap();
    assert!(summary.contains("1 passed"), "{summary}");
    assert!(report.join("junit.xml").exists() && report.join("report.html").exists());
}

/// Returns the shell commands of a step of the workflow.
fn step(workflow: &Value, job: &str, name: &str) -> String {
    let steps = workflow["jobs"][job]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == name);
    step.unwrap()["run"].as_str().unwrap().to_owned()
}

#[test]
fn the_workflow_runs_in_parts_and_makes_one_report_of_what_failed_too() {
    let text = fs::read_to_string(file("github-actions.yml")).unwrap();
    let workflow: Value = from_yaml(&text).unwrap();
    let folder = folder(&[("a", "hello"), ("b", "good bye")]);
    let run = |script: &str, shard: &Value| {
        let mut bash = command("bash", folder.path());
        bash.args(["-e", "-o", "pipefail", "-c", script]).env("SHARD", shard.to_string());
        ended(bash.env("GITHUB_STEP_SUMMARY", folder.path().join("summary.md")))
    };
    let shards = workflow["jobs"]["run"]["strategy"]["matrix"]["shard"].as_array().unwrap();
    let codes: Vec<i32> = shards
        .iter()
        .map(|shard| {
            let (code, _) = run(&step(&workflow, "run", "Run"), shard);
            let report = format!("report-{shard}");
            fs::create_dir_all(folder.path().join("reports")).unwrap();
            fs::rename(folder.path().join(&report), folder.path().join("reports").join(report))
                .unwrap();
            code
        })
        .collect();
    assert_eq!(codes, [0, 1, 0], "one passes, one fails, and there is no third");
    let (code, said) = run(&step(&workflow, "report", "Make one"), &Value::Null);
    assert_eq!(code, 1, "{said}");
    let summary = fs::read_to_string(folder.path().join("summary.md")).unwrap();
    assert!(summary.contains("1 passed, 0 healed, 1 failed"), "{summary}");
}

#[test]
fn a_command_without_a_screen_is_told_to_end_and_its_display_ends_with_it() {
    let folder = folder(&[]);
    let script = "trap 'exit 7' TERM; echo $DISPLAY > display; while :; do sleep 0.05; done";
    let mut headless = command("headless", folder.path());
    let mut program = Program::start(headless.args(["sh", "-c", script])).unwrap();
    let display = folder.path().join("display");
    let told = || fs::read_to_string(&display).unwrap_or_default();
    wait_until("no display is told", STARTING, || Ok(told().ends_with('\n'))).unwrap();
    let number = told().trim().trim_start_matches(':').to_owned();
    let socket = PathBuf::from(format!("/tmp/.X11-unix/X{number}"));
    assert!(socket.exists(), "{}", socket.display());
    program.signal("TERM").unwrap();
    assert_eq!(program.wait(ANSWERING).unwrap().status.code(), Some(7));
    wait_until("the display does not end", ANSWERING, || Ok(!socket.exists())).unwrap();

    let nothing_there =
        command("headless", folder.path()).env("PATH", folder.path().join("tools")).output();
    let nothing_there = nothing_there.unwrap();
    assert_eq!(nothing_there.status.code(), Some(3));
    assert_eq!(String::from_utf8_lossy(&nothing_there.stderr), "headless: there is no `Xvfb`\n");
}
