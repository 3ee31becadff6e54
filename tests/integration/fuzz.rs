//! Every fuzz target, for a few seconds: the corpus, which has every fault that was ever found, and
//! mutations of it that are the same in every run.
//!
//! `cargo fuzz` looks for new ones; CONTRIBUTING.md says how.

use std::path::Path;
use std::process::Command;

use fs_err as fs;
use handsight_tests::fuzz::{TARGETS, corpus};

/// Runs a target under limits, and says which input it does not bear.
#[track_caller]
fn check(name: &str) {
    // Written for every input: in memory, where there is such a folder.
    let shm = Path::new("/dev/shm");
    let dir = tempfile::tempdir_in(shm).or_else(|_| tempfile::tempdir()).unwrap();
    let current = dir.path().join("input");
    let short = env!("CARGO_BIN_EXE_fuzz-short");
    // A trace of the stack would need more memory than what is tested may take.
    let output =
        Command::new(short).env("RUST_BACKTRACE", "0").arg(name).arg(&current).output().unwrap();
    if output.status.success() {
        return;
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let kept = std::env::temp_dir().join(format!("handsight-fuzz-{name}"));
    fs::copy(&current, &kept).unwrap();
    panic!(
        "`{name}` does not bear the input in {}: {}, {stderr}\nmend the reader, and keep the input \
         in {}",
        kept.display(),
        output.status,
        corpus().join(name).display(),
    );
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_target_is_run_and_has_a_corpus() {
            let run = [$(stringify!($name)),*];
            let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(run[..], known[..]);
            let mut folders: Vec<_> = fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            folders.sort();
            let mut known = known;
            known.sort_unstable();
            assert_eq!(folders, known);
        }
    };
}

targets! {
    gguf safetensors config tokenizer template tool_calls action places document family reply listing result getevent annotation tfrecord raw_answer
    grammar
    image gif
}

/// Limits that are never reached would prove nothing.
#[test]
fn an_input_beyond_the_limits_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let current = dir.path().join("input");
    for (name, expected) in [
        ("test-panic", "a panic on purpose"),
        ("test-memory", "memory allocation of"),
        ("test-time", "an input takes more than"),
        ("test-stack", "overflowed its stack"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_fuzz-short"))
            .arg(name)
            .arg(&current)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains(expected), "{name}: {stderr}");
        assert_eq!(fs::read(&current).unwrap(), b"input", "{name}");
    }
}
