//! Other processors, and less of one: the same answers, more slowly.

use std::path::Path;
use std::process::{Command, Stdio};

use fs_err as fs;
use handsight_tests::binary::Binary;
use handsight_tests::embedded_eval::{self, fixtures};
use handsight_tests::program::Program;
use serde_json::Value;

/// What the embedded checkpoint finds in so many cases when it runs by this command, such as
/// `taskset --cpu-list 0`: the points, and whether it believes in them.
fn found_by(launcher: &[&str], cases: usize) -> Vec<Value> {
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let named = |goal: &str| goal.split('"').nth(1).map(str::to_owned);
    let known = embedded_eval::cases().unwrap().into_iter().filter(|case| case.set == "a");
    let named = known.filter_map(|case| Some((fixtures().join(&case.image), named(&case.goal)?)));
    let ask = |(image, name): (std::path::PathBuf, String)| {
        let ground = handsight.command(&["ground", image.to_str().unwrap(), &name, "--json"]);
        let output = behind(launcher, &ground).stderr(Stdio::inherit()).output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(told["x"].is_number() && told["found"].is_boolean(), "{name}: {told}");
        serde_json::json!([told["x"], told["y"], told["found"]])
    };
    named.step_by(40).take(cases).map(ask).collect()
}

/// The same command, started by another.
fn behind(launcher: &[&str], command: &Command) -> Command {
    let words: Vec<_> = launcher.iter().map(AsRef::as_ref).chain([command.get_program()]).collect();
    let mut behind = Command::new(words[0]);
    behind.args(&words[1..]).args(command.get_args());
    behind.current_dir(command.get_current_dir().unwrap_or(Path::new(".")));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => behind.env(name, value),
            None => behind.env_remove(name),
        };
    }
    behind
}

/// A processor this process may use.
fn one_processor() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let first = allowed.trim().split([',', '-']).next();
    first.unwrap().to_owned()
}

#[test]
fn one_processor_gives_the_answers_of_several_also_when_another_program_keeps_it_busy() {
    let expected = found_by(&["env"], 3);
    assert_eq!(expected.len(), 3);
    let processor = one_processor();
    let on_one = ["taskset", "--cpu-list", &processor];
    assert_eq!(found_by(&on_one, 3), expected);
    let mut busy = Command::new("taskset");
    busy.args(["--cpu-list", &processor, "sh", "-c", "while :; do :; done"]);
    let busy = Program::start(&mut busy).unwrap();
    assert_eq!(found_by(&on_one, 3), expected);
    drop(busy);
}

/// From one that knows nothing newer than SSE4.2 to one with AVX2; both have none of what the 8-bit
/// kernels want.
#[test]
#[ignore = "needs QEMU's emulator of processors: make test-processors"]
fn processors_without_wide_registers_give_the_same_answers() {
    let expected = found_by(&["env"], 1);
    for processor in ["Nehalem", "Haswell", "EPYC"] {
        assert_eq!(found_by(&["qemu-x86_64", "-cpu", processor], 1), expected, "{processor}");
    }
}
