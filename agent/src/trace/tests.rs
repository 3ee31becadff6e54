//! Traces as they are written, read back, cut short and damaged.

use std::path::Path;

use fs_err as fs;
use handsight_actions::{Action, FakeDevice, FakeScreen, Halt, PixelPoint, Rect, Size, Status};
use handsight_model::CancelFlag;

use super::*;
use crate::episode::{Controls, EpisodeOptions, run_episode};
use crate::policy::scripted::{ScriptedPolicy, ScriptedReply};
use crate::settle::SettleOptions;
use crate::trace::event::{Outcome, StopReason};

/// Records an episode of a refused reply, a click and a claim.
fn record(dir: &Path) {
    let ok = Rect { x: 20, y: 60, width: 60, height: 24 };
    let form = FakeScreen::new("form").button("OK", ok, Some("done"));
    let size = Size { width: 320, height: 200 };
    let mut device = FakeDevice::new(size, vec![form, FakeScreen::new("done")]);
    let act = |action: Action| ScriptedReply::Act { thought: "so".to_owned(), action };
    let mut policy = ScriptedPolicy::new([
        ScriptedReply::Invalid { reply: "hm".to_owned(), problem: "no action".to_owned() },
        act(Action::LeftClick { coordinate: PixelPoint { x: 40, y: 70 } }),
        act(Action::Terminate { status: Status::Success }),
    ]);
    let options =
        EpisodeOptions { settle: SettleOptions::immediate(), ..EpisodeOptions::default() };
    let mut recorder = TraceRecorder::create(dir).unwrap();
    let cancel = CancelFlag::default();
    let mut controls = Controls {
        observer: &mut recorder,
        user: &mut (),
        cancel: &cancel,
        halt: &Halt::default(),
    };
    run_episode(&mut device, &mut policy, "press OK", &options, &mut controls).unwrap();
}

#[test]
fn a_trace_reads_back_as_it_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let trace = read_trace(dir.path()).unwrap();
    assert_eq!(trace.started.goal, "press OK");
    assert_eq!(trace.started.version, TRACE_VERSION);
    let [first, second] = &trace.steps[..] else { panic!("{:?}", trace.steps) };
    assert_eq!(first.refused[0].problem, "no action");
    assert_eq!(first.decided.as_ref().unwrap().thought, "so");
    assert_eq!(first.acted.as_ref().unwrap().outcome, Outcome::Performed);
    assert!(second.acted.is_none());
    assert_ne!(first.started.screenshot, second.started.screenshot);
    assert_eq!(trace.stopped.as_ref().unwrap().stop_reason, StopReason::ClaimedSuccess);
    assert!(!trace.torn);
    let png = trace.png(&first.started.screenshot).unwrap().unwrap();
    let picture = image::load_from_memory(&png).unwrap();
    assert_eq!((picture.width(), picture.height()), (320, 200));
}

#[test]
fn a_trace_cut_short_anywhere_is_still_read() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let path = dir.path().join(TRACE_FILE);
    let bytes = fs::read(&path).unwrap();
    let first_line = bytes.iter().position(|&byte| byte == b'\n').unwrap();
    for length in (first_line..bytes.len()).rev() {
        fs::write(&path, &bytes[..length]).unwrap();
        let trace = read_trace(dir.path()).unwrap();
        // A last line that lacks only its line feed is whole.
        let whole = trace.stopped.is_some();
        assert_eq!(whole, length >= bytes.len() - 1, "{length} bytes");
        assert!(trace.steps.len() <= 2);
    }
    fs::write(&path, &bytes[..first_line / 2]).unwrap();
    let error = read_trace(dir.path()).unwrap_err();
    assert!(matches!(error, TraceError::Missing { .. }), "{error}");
}

#[test]
fn a_missing_picture_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    fs::remove_dir_all(dir.path().join("images")).unwrap();
    let trace = read_trace(dir.path()).unwrap();
    assert_eq!(trace.png(&trace.steps[0].started.screenshot).unwrap(), None);
}

#[test]
fn a_trace_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let error = TraceRecorder::create(dir.path()).unwrap_err();
    assert!(matches!(error, TraceError::Exists { .. }), "{error}");
}

#[test]
fn damage_is_reported_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let path = dir.path().join(TRACE_FILE);
    let good = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = good.lines().collect();
    let from_the_future = r#"{"event":"episode_started","version":99,"thing":1}"#;
    let cases = [
        (
            format!("{from_the_future}\n{{\"event\":\"dreamt\"}}\n"),
            "`trace.jsonl` has trace version 99 and this build reads up to version 1",
        ),
        (
            format!("{}\nnonsense\n{}\n", lines[0], lines[1]),
            "`trace.jsonl`, line 2, is not a trace event",
        ),
        (
            format!("{}\n{}\n", lines[1], lines[0]),
            "`trace.jsonl`, line 1: the first event must be `episode_started`",
        ),
        (
            format!("{}\n{}\n", lines[0], lines[2]),
            "`trace.jsonl`, line 2: the event belongs to a step that is not the current one",
        ),
    ];
    for (text, expected) in cases {
        fs::write(&path, text).unwrap();
        let message = read_trace(dir.path()).unwrap_err().to_string();
        let folder = format!("{}/", dir.path().display());
        assert_eq!(message.replace(&folder, ""), expected);
    }
}
