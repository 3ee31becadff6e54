//! The Python package that makes an agent of AndroidWorld and `OSWorld` of a server: its own tests, and both agents
//! against the server itself.

use std::path::PathBuf;
use std::process::Command;

use fs_err as fs;
use handsight_tests::embedded_eval::fixtures;

use super::check_ends_with;
use super::episodes::easy;
use crate::serve::Server;
use crate::{python, root};

fn package() -> PathBuf {
    root().parent().unwrap().join("scenarios/benchmarks")
}

/// Returns a command of Python that finds the package and, in the place of AndroidWorld, its double.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(python());
    let paths = ["", "tests", "tests/double"].map(|folder| package().join(folder));
    let paths = std::env::join_paths(paths).unwrap();
    command.env("PYTHONPATH", paths).env("PYTHONDONTWRITEBYTECODE", "1");
    command.current_dir(package()).args(args);
    command
}

#[test]
fn the_package_s_own_tests_pass() {
    let output = command(&["-m", "unittest", "discover", "-s", "tests"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.ends_with("\n\nOK\n"), "{told}");
    // Nothing is left out without a word.
    let ran = told.split("\nRan ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(ran.parse::<u32>().unwrap() >= 34, "{told}");
}

#[test]
fn both_agents_click_what_the_embedded_model_sees() {
    let server = Server::start(&[]);
    let case = easy();
    let picture = fixtures().join(&case.image);
    let pixels = image::open(&picture).unwrap().to_rgb8();
    let raw = server.path().join("pixels.rgb");
    fs::write(&raw, pixels.as_raw()).unwrap();
    let mut command = command(&["tests/end_to_end.py"]);
    command.arg(format!("http://{}", server.addr)).arg(picture).arg(raw);
    command.args([pixels.width(), pixels.height()].map(|side| side.to_string())).arg(&case.goal);
    command.args(case.r#box.unwrap().map(|side| side.to_string()));
    check_ends_with(&command.output().unwrap(), "ok benchmarks\n", &server.log());
}

#[test]
fn the_runner_says_what_is_missing() {
    let run = |args: &[&str]| {
        // Here AndroidWorld is nowhere to be found, not even its double.
        let mut command = command(&["-m", "handsight_android_world"]);
        let output = command.env("PYTHONPATH", package()).args(args).output().unwrap();
        let [out, told] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), out + &told)
    };
    let (code, help) = run(&["--help"]);
    assert!(code == Some(0) && help.contains("--standard"), "{help}");
    for args in [&["--report", "nowhere"][..], &[]] {
        let (code, told) = run(args);
        assert_eq!(code, Some(3), "{told}");
        let missing = "error: No module named 'android_world'\n\
                       hint: install AndroidWorld beside this package, as its README says\n";
        assert_eq!(told, missing);
    }
}
