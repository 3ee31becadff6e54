//! What breaks on the way to a phone: it ends in bounded time, looking is taken up again where the way
//! can be mended, and nothing that may have happened is done a second time.

use std::time::{Duration, Instant};

use handsight_actions::{
    Action, AndroidDevice, AndroidFault, AndroidOptions, Device, FakeAndroidOptions, Status,
};
use handsight_agent::{
    CancelFlag, Controls, EpisodeOptions, ScriptedPolicy, SettleOptions, StopReason, run_episode,
};
use serde_json::json;

use super::{Connected, act, words};

/// A device that gives up soon.
fn impatient(connected: &Connected) -> AndroidDevice {
    let patience = Duration::from_secs(2);
    AndroidDevice::open(&AndroidOptions { patience, ..connected.options() }).unwrap()
}

fn hang(command: &str, acts: bool) -> AndroidFault {
    AndroidFault::Hang { command: command.to_owned(), acts }
}

/// How often a command was carried out.
fn count(connected: &Connected, command: &str) -> usize {
    connected.phone.inputs().iter().filter(|line| line.starts_with(command)).count()
}

#[test]
fn a_cable_that_is_pulled_in_the_middle_of_a_frame_is_taken_up_again() {
    let connected = Connected::plain();
    let mut device = impatient(&connected);
    for _ in 0..2 {
        connected.phone.fail(AndroidFault::UnpluggedMidFrame);
        assert_eq!(device.observe().unwrap().screenshot.size(), device.info().size);
    }
}

#[test]
fn a_phone_that_is_gone_is_told_in_bounded_time_and_may_come_back() {
    let connected = Connected::plain();
    let mut device = impatient(&connected);
    connected.phone.unplug();
    let start = Instant::now();
    let lost = device.observe().unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
    assert!(lost.is_fatal(), "{}", words(&lost));
    assert!(lost.hint().is_some() && words(&lost).contains(&connected.serial), "{}", words(&lost));
    let tapped = act(&mut device, &json!({"action": "system_button", "button": "home"}));
    assert!(tapped.is_err());
    connected.phone.plug_in();
    device.observe().unwrap();
    assert_eq!(count(&connected, "input keyevent"), 0);
}

#[test]
fn a_server_that_is_restarted_is_found_again() {
    let mut connected = Connected::plain();
    let mut device = impatient(&connected);
    connected.adb.restart().unwrap();
    device.observe().unwrap();
    connected.adb.restart().unwrap();
    // What certainly did not arrive is sent: once.
    act(&mut device, &json!({"action": "open_app", "app": "Board"})).unwrap();
    connected.adb.restart().unwrap();
    act(&mut device, &json!({"action": "system_button", "button": "home"})).unwrap();
    assert_eq!(count(&connected, "input keyevent 3"), 1);
    // With no server at all, one is started, as `adb` itself would do.
    connected.adb.kill();
    let seen = device.observe();
    connected.adb.run(&["kill-server"]).unwrap();
    seen.unwrap();
}

#[test]
fn a_screen_that_never_comes_is_given_up() {
    let connected = Connected::plain();
    let mut device = impatient(&connected);
    connected.phone.fail(hang("screencap", false));
    let start = Instant::now();
    let hung = words(&device.observe().unwrap_err());
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(hung, "there was no end to `screencap 2>/dev/null` within 2 s");
    connected.phone.fail(hang("dumpsys window", false));
    assert!(words(&device.observe().unwrap_err()).contains("dumpsys window displays"));
    device.observe().unwrap();
}

#[test]
fn a_tap_that_may_have_happened_is_never_sent_again() {
    let connected = Connected::plain();
    let mut device = impatient(&connected);
    let tap = Action::LeftClick { coordinate: connected.find("Library") };
    for (acts, taps) in [(true, 1), (false, 1)] {
        connected.phone.fail(hang("input tap", acts));
        let unknown = device.perform(&tap).unwrap_err();
        assert!(unknown.may_have_been_done() && !unknown.nothing_was_done() && !unknown.is_fatal());
        let said = words(&unknown);
        assert!(said.starts_with("whether `left_click` was done on device"), "{said}");
        assert!(said.contains("not sent a second time") && said.ends_with("within 2 s"), "{said}");
        assert_eq!(count(&connected, "input tap"), taps);
    }
    assert_eq!(connected.phone.foreground(), "com.handsight.library/.LibraryActivity");
}

#[test]
fn input_that_fails_says_what_failed_and_how_far_it_came() {
    let connected = Connected::plain();
    let mut device = impatient(&connected);
    let fails = |command: &str| AndroidFault::Fail {
        command: command.to_owned(),
        code: 1,
        message: "java.lang.SecurityException: Injecting input events requires permission"
            .to_owned(),
    };
    connected.phone.fail(fails("input tap"));
    let coordinate = connected.find("Profile");
    let refused = device.perform(&Action::LeftClick { coordinate }).unwrap_err();
    assert!(refused.nothing_was_done(), "{}", words(&refused));
    let said = words(&refused);
    assert!(said.contains("failed on device") && said.contains("exit code 1"), "{said}");
    assert!(said.contains("SecurityException"), "{said}");
    assert!(refused.hint().unwrap().contains("USB debugging (Security settings)"));

    device.perform(&Action::LeftClick { coordinate }).unwrap();
    let coordinate = connected.find("first_name");
    device.perform(&Action::LeftClick { coordinate }).unwrap();
    connected.phone.fail(fails("input keyevent"));
    let secret =
        act(&mut device, &json!({"action": "type", "text": "hunter2\nhunter3"})).unwrap_err();
    assert!(secret.may_have_been_done() && !secret.nothing_was_done());
    assert!(!words(&secret).contains("hunter"), "{}", words(&secret));
    assert_eq!(connected.phone.profile("first_name").as_deref(), Some("hunter2"));
    connected.phone.fail(hang("input text", false));
    let secret = act(&mut device, &json!({"action": "type", "text": "hunter2"})).unwrap_err();
    assert!(!words(&secret).contains("hunter"), "{}", words(&secret));
}

#[test]
fn an_episode_goes_on_after_an_action_of_which_nothing_is_known() {
    let connected = Connected::new(&FakeAndroidOptions::default());
    let mut device = impatient(&connected);
    let tap = Action::LeftClick { coordinate: connected.find("Library") };
    let mut policy = ScriptedPolicy::actions([tap, Action::Terminate { status: Status::Success }]);
    connected.phone.fail(hang("input tap", true));
    let settle = SettleOptions::immediate();
    let options = EpisodeOptions { settle, ..EpisodeOptions::default() };
    let mut controls = Controls {
        observer: &mut (),
        user: &mut (),
        cancel: &CancelFlag::default(),
        halt: &handsight_actions::Halt::default(),
    };
    let goal = "open the library";
    let episode = run_episode(&mut device, &mut policy, goal, &options, &mut controls).unwrap();
    assert_eq!((episode.stop_reason, episode.steps), (StopReason::ClaimedSuccess, 2));
    assert_eq!(count(&connected, "input tap"), 1);
    assert_eq!(connected.phone.foreground(), "com.handsight.library/.LibraryActivity");
}
