//! Reports of recorded episodes.

use fs_err as fs;
use handsight_actions::{Action, FakeDevice, FakeScreen, Halt, PixelPoint, Rect, Size, Status};
use handsight_agent::{
    CancelFlag, Controls, EpisodeOptions, ScriptedPolicy, ScriptedReply, SettleOptions,
    TraceRecorder, run_episode,
};

use super::*;

/// Records an episode with a goal that tries to be markup.
fn record(dir: &Path) {
    let ok = Rect { x: 20, y: 60, width: 60, height: 24 };
    let form = FakeScreen::new("form").button("OK", ok, Some("done"));
    let size = Size { width: 320, height: 200 };
    let mut device = FakeDevice::new(size, vec![form, FakeScreen::new("done")]);
    let act = |action: Action| ScriptedReply::Act { thought: "<i>so</i>".to_owned(), action };
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
    let goal = "press <script>alert(1)</script>";
    run_episode(&mut device, &mut policy, goal, &options, &mut controls).unwrap();
}

fn report(dir: &Path, checks: Option<&[CheckResult]>) -> String {
    fs::read_to_string(write_report(dir, checks).unwrap()).unwrap()
}

#[test]
fn a_report_needs_nothing_but_itself_and_runs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let page = report(dir.path(), None);
    for forbidden in ["http:", "https:", "<script", "<i>", "src=", "@import", "url("] {
        assert!(!page.contains(forbidden), "the page has `{forbidden}`");
    }
    assert!(page.contains("press &lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_eq!(page.matches("data:image/png;base64,").count(), 2);
    assert!(page.contains("A reply was refused: no action"));
}

#[test]
fn only_checks_make_a_success() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let unchecked = report(dir.path(), None);
    assert!(unchecked.contains("<p class=\"verdict claimed\">"));
    assert!(unchecked.contains("The device was not checked"));
    let good = CheckResult::new("the form is gone", true, None);
    let bad = CheckResult::new("the file is saved", false, Some("there is no file".to_owned()));
    let all = report(dir.path(), Some(std::slice::from_ref(&good)));
    assert!(all.contains("<p class=\"verdict good\"><strong>1 of 1 checks passed"));
    let some = report(dir.path(), Some(&[good, bad]));
    assert!(some.contains("<p class=\"verdict bad\"><strong>1 of 2 checks passed"));
    assert!(some.contains("there is no file"));
}

#[test]
fn a_killed_episode_and_lost_pictures_are_reported_too() {
    let dir = tempfile::tempdir().unwrap();
    record(dir.path());
    let path = dir.path().join("trace.jsonl");
    let trace = fs::read(&path).unwrap();
    fs::write(&path, &trace[..trace.len() - 40]).unwrap();
    fs::remove_dir_all(dir.path().join("images")).unwrap();
    let page = report(dir.path(), None);
    assert!(page.contains("the process was killed"));
    assert!(page.contains("The picture is not in the trace any more."));
}
