//! The live suite: the pages in a real browser, by hands that do what the goal says and by the embedded model.

use std::os::unix::fs::symlink;
use std::path::Path;

use fs_err as fs;
use handsight_actions::{Action, Halt, Status};
use handsight_agent::{CancelFlag, Controls, EpisodeOptions, ScriptedPolicy, run_episode};
use handsight_scenarios::live::{Family, LiveReport, LiveTask};
use handsight_tests::binary::Binary;
use handsight_tests::page::Page;
use handsight_tests::xserver::XServer;

use super::SCREEN;

#[test]
fn a_form_of_the_live_suite_judges_what_hands_do() {
    // `type "Paris" into "Comment", then click "OK"`; "Address" stands above it.
    let task = LiveTask::new(Family::Form, 3);
    let outcome = |text: &str| {
        let server = XServer::start_managed(SCREEN).unwrap();
        let page = Page::open(&server, task.html(), [560, 400]).unwrap();
        let [field, button] = ["f1", "ok"].map(|id| page.middle(id).unwrap());
        let mut policy = ScriptedPolicy::actions([
            Action::LeftClick { coordinate: field },
            Action::Type { text: text.to_owned() },
            Action::LeftClick { coordinate: button },
            Action::Terminate { status: Status::Success },
        ]);
        let mut controls = Controls {
            observer: &mut (),
            user: &mut (),
            cancel: &CancelFlag::default(),
            halt: &Halt::default(),
        };
        let (mut device, options) = (server.device().unwrap(), EpisodeOptions::default());
        run_episode(&mut device, &mut policy, task.goal(), &options, &mut controls).unwrap();
        page.settled().unwrap().text("outcome").to_owned()
    };
    let right = outcome("Paris");
    assert!(task.is_reached(&right), "{right}");
    let wrong = outcome("Rome");
    assert!(wrong.contains("Rome") && !task.is_reached(&wrong), "{wrong}");
}

/// Plays tasks with the binary, and returns what it makes of them.
fn play(handsight: &Binary, args: &[&str], path: Option<&Path>) -> LiveReport {
    let mut command = handsight.command(&[&["eval", "live", "--json"], args].concat());
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"))
}

#[test]
fn the_embedded_model_reaches_goals_of_the_live_suite() {
    // One of each kind it can do; how often it does is `make eval-live`'s to say.
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let args = ["--only", "menu,check", "--seeds", "1", "--traces", "traces"];
    let report = play(&handsight, &args, None);
    assert_eq!(report.rate().hits, 2, "{report}\n{:#?}", report.episodes);
    assert!(handsight.dir().join("traces/menu-0").is_dir());
}

#[test]
fn what_breaks_is_an_episode_that_failed() {
    // A display, and no browser.
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let programs = handsight.dir().join("programs");
    fs::create_dir(&programs).unwrap();
    for program in ["Xvfb", "openbox", "sh", "xkbcomp"] {
        let there = Path::new("/usr/bin").join(program);
        if there.exists() {
            symlink(there, programs.join(program)).unwrap();
        }
    }
    let report = play(&handsight, &["--only", "menu", "--seeds", "1"], Some(&programs));
    let crash = report.episodes[0].crash.as_ref().unwrap();
    assert!(crash.contains("`chromium` is not installed"), "{crash}");
    assert_eq!((report.crashes(), report.rate().hits, report.rate().tries), (1, 0, 1));
}
