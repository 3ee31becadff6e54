//! A run is the same, byte for byte, whether it is made in one go, killed and resumed, or in parts.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use fs_err as fs;
use handsight_tests::binary::Binary;
use serde_json::Value;
use tempfile::TempDir;

use super::own_set;

/// Questions in the set: two about each of five pictures.
const ITEMS: usize = 10;

fn eval(args: &[&str]) -> Command {
    static BINARY: LazyLock<Binary> =
        LazyLock::new(|| Binary::new(env!("CARGO_BIN_EXE_handsight-under-test")));
    BINARY.command(&[&["eval"], args].concat())
}

#[track_caller]
fn ok(output: &Output) -> String {
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout.into_owned()
}

/// A folder with a set, imported.
fn set() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let file = own_set(folder.path(), ITEMS);
    let dataset = folder.path().join("dataset");
    let args =
        ["import", path(&file), "--as", "handsight", "--name", "small", "-o", path(&dataset)];
    ok(&eval(&args).output().unwrap());
    (folder, dataset)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn predictions(run: &Path) -> String {
    fs::read_to_string(run.join("predictions.jsonl")).unwrap()
}

/// Reports without what took how long: all files, by name.
fn report(run: &Path) -> Vec<(String, Vec<u8>)> {
    let out = run.join("bytes");
    ok(&eval(&["report", path(run), "-o", path(&out), "--no-times"]).output().unwrap());
    let mut files: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|file| {
            (file.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&file).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn killed_resumed_and_shared_out_it_is_the_same() {
    let (folder, dataset) = set();
    let run = |name: &str| folder.path().join(name);
    let infer = |name: &str, more: &[&str]| {
        let folder = run(name);
        let mut args = vec![
            "infer",
            path(&dataset),
            "-o",
            path(&folder),
            "--ask",
            "qwen-guided",
            "--max-tokens",
            "16",
        ];
        args.extend(more);
        eval(&args)
    };
    ok(&infer("straight", &[]).output().unwrap());
    let straight = predictions(&run("straight"));
    assert_eq!(straight.lines().count(), ITEMS);

    killed_until_it_is_whole(&run("killed"), || infer("killed", &[]));
    assert_eq!(predictions(&run("killed")), straight);

    for shard in ["1/3", "2/3", "3/3"] {
        let name = format!("part{}", &shard[..1]);
        ok(&infer(&name, &["--shard", shard]).output().unwrap());
    }
    let (whole, parts) = (run("whole"), ["part3", "part1", "part2"].map(run));
    let mut args = vec!["merge", "-o", path(&whole)];
    args.extend(parts.iter().map(|part| path(part)));
    ok(&eval(&args).output().unwrap());
    assert_eq!(predictions(&whole), straight);

    let expected = report(&run("straight"));
    let names: Vec<_> = expected.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["report.html", "report.json", "report.md", "screenspot-pro.json", "vlmevalkit.json"]
    );
    for other in [run("killed"), whole] {
        for (found, expected) in report(&other).iter().zip(&expected) {
            assert!(found == expected, "{} of {} differs", found.0, other.display());
        }
    }

    counts_add_up(&run("straight"));
    files_from_elsewhere_are_refused(&folder, &dataset);
}

/// Kills a run after each few answers, with no chance to tidy up, until it is whole.
fn killed_until_it_is_whole(run: &Path, infer: impl Fn() -> Command) {
    let done =
        || fs::read_to_string(run.join("predictions.jsonl")).unwrap_or_default().lines().count();
    let mut kills = 0;
    loop {
        let before = done();
        let mut child = infer().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if done() >= before + 3 || start.elapsed() > Duration::from_secs(120) {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::yield_now();
        };
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
        kills += 1;
        // A line that was torn by the kill, and one of the timings.
        if kills == 1 {
            for file in ["predictions.jsonl", "timings.jsonl"] {
                let file = run.join(file);
                let mut text = fs::read(&file).unwrap();
                text.extend(b"{\"run\":\"");
                fs::write(&file, text).unwrap();
            }
        }
    }
    assert!(kills >= 2, "the run was killed {kills} times only");
}

/// Every item ends in exactly one outcome, by every scorer.
fn counts_add_up(run: &Path) {
    let mut command = eval(&["score", path(run)]);
    let summary: Value =
        serde_json::from_str(&ok(&command.arg("--json").output().unwrap())).unwrap();
    assert_eq!(summary["items"], ITEMS);
    assert_eq!(summary["missing"], 0);
    let scores = summary["scores"].as_array().unwrap();
    assert_eq!(scores.len(), 6, "{summary}");
    for scores in scores {
        let outcomes = scores["outcomes"].as_object().unwrap();
        let sum: u64 = outcomes.values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(sum, u64::try_from(ITEMS).unwrap(), "{scores}");
    }
    let strict = scores[0]["overall"]["accuracy"].as_f64().unwrap();
    let above = format!("{}", (strict + 0.05).min(1.0));
    let output = eval(&["score", path(run), "--min-acc", &above]).output().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(strict < 1.0)));
}

/// Another prompt, another run's line, a second writer: each is said, and nothing is mixed.
fn files_from_elsewhere_are_refused(folder: &TempDir, dataset: &Path) {
    let run = folder.path().join("straight");
    let refused = |args: &[&str], code: i32, message: &str| {
        let output = eval(args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(message), "{stderr}");
    };
    let infer = ["infer", path(dataset), "-o", path(&run)];
    let guided = [&infer[..], &["--ask", "qwen-guided", "--max-tokens", "16"]].concat();
    refused(
        &[&infer[..], &["--ask", "plain", "--max-tokens", "16"]].concat(),
        2,
        "they differ in prompt",
    );
    refused(&[&guided[..], &["--limit", "4"]].concat(), 2, "they differ in number of items");

    let other = folder.path().join("other");
    ok(&eval(&["infer", path(dataset), "-o", path(&other), "--ask", "plain", "--limit", "2"])
        .output()
        .unwrap());
    let merged = folder.path().join("merged");
    refused(
        &["merge", path(&run), path(&other), "-o", path(&merged)],
        2,
        "they differ in number of items, prompt",
    );

    let line = predictions(&other);
    let (file, straight) = (run.join("predictions.jsonl"), predictions(&run));
    fs::write(&file, format!("{straight}{line}")).unwrap();
    refused(&["score", path(&run)], 2, "predictions.jsonl`, line 11: it is of run ");
    fs::write(&file, straight).unwrap();

    let lock = fs::File::open(run.join("run.json")).unwrap().into_parts().0;
    lock.lock().unwrap();
    refused(&guided, 3, "another process writes to");
    drop(lock);

    let output =
        eval(&["diff", path(&run), path(&folder.path().join("whole")), "--json"]).output().unwrap();
    let diff: Value = serde_json::from_str(&ok(&output)).unwrap();
    assert_eq!(diff["only_a"].as_array().unwrap().len(), 0);
    assert_eq!(diff["p"], 1.0);
}

#[test]
fn this_build_knows_the_known_answers() {
    let output = eval(&["selfcheck"]).output().unwrap();
    assert!(ok(&output).contains("known answers hold"));
}

#[test]
fn a_picture_that_is_gone_is_an_error_of_its_item_and_can_be_asked_again() {
    let (folder, dataset) = set();
    let (picture, run) = (folder.path().join("img/0.png"), folder.path().join("run"));
    let bytes = fs::read(&picture).unwrap();
    fs::remove_file(&picture).unwrap();
    let args = ["infer", path(&dataset), "-o", path(&run), "--limit", "4"];
    let output = eval(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(predictions(&run).matches("\"error\":").count(), 2);
    let score = ok(&eval(&["score", path(&run)]).output().unwrap());
    assert!(score.contains("infer errors 2"), "{score}");

    fs::write(&picture, bytes).unwrap();
    let output = eval(&args).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "what is done stays done");
    ok(&eval(&[&args[..], &["--retry-errors"]].concat()).output().unwrap());
    assert_eq!(predictions(&run).matches("\"error\":").count(), 0);
    assert_eq!(predictions(&run).lines().count(), 4);
}

#[test]
fn a_sweep_of_pixel_budgets_becomes_a_curve() {
    let (folder, dataset) = set();
    let (sweep, page) = (folder.path().join("sweep"), folder.path().join("curve.html"));
    let mut args = vec!["infer", path(&dataset), "-o", path(&sweep), "--limit", "2"];
    args.extend(["--ask", "plain", "--max-tokens", "4", "--sweep-pixels", "1568,6272,3136"]);
    ok(&eval(&args).output().unwrap());
    let output = eval(&["curve", path(&sweep), "-o", path(&page), "--json"]).output().unwrap();
    let curve: Value = serde_json::from_str(&ok(&output)).unwrap();
    let points: Vec<_> = curve["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| (point["name"].as_str().unwrap(), point["image_tokens"].as_f64().unwrap()))
        .collect();
    // A picture of 84 by 84 is 9 merged patches of 28; 6272 pixels allow 2 by 2, 3136 as many, 1568 one by one.
    assert_eq!(points.len(), 3);
    assert_eq!((points[0].0, points[2].0), ("1568 pixels", "6272 pixels"));
    assert!(points[0].1 < points[2].1, "{points:?}");
    assert!(fs::read_to_string(&page).unwrap().contains("6272 pixels"));
}

#[test]
fn what_is_not_the_items_fault_ends_the_run() {
    let folder = TempDir::new().unwrap();
    let file = own_set(folder.path(), 40);
    let (dataset, run) = (folder.path().join("dataset"), folder.path().join("run"));
    ok(&eval(&["import", path(&file), "--as", "handsight", "-o", path(&dataset)])
        .output()
        .unwrap());
    fs::rename(folder.path().join("img"), folder.path().join("elsewhere")).unwrap();
    let args = ["infer", path(&dataset), "-o", path(&run)];
    let output = eval(&args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("25 items in a row ended in an error, the last: "), "{stderr}");
    assert_eq!(predictions(&run).lines().count(), 25);
}
