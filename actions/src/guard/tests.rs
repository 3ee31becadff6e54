//! Rules and what they let through, one line each.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;
use crate::action::Verb;
use crate::device::fake::{FakeDevice, FakeScreen};
use crate::geometry::{Rect, Size};

fn policy(text: &str) -> SafetyPolicy {
    SafetyPolicy::parse(text, Path::new("policy.yaml")).unwrap()
}

fn device() -> Box<FakeDevice> {
    let form = FakeScreen::new("form")
        .field("Name", Rect { x: 10, y: 10, width: 100, height: 20 })
        .button("Save", Rect { x: 10, y: 70, width: 100, height: 20 }, Some("saved"));
    Box::new(FakeDevice::new(
        Size { width: 200, height: 120 },
        vec![form, FakeScreen::new("saved")],
    ))
}

fn action(json: &str) -> Action<PixelPoint> {
    serde_json::from_str(json).unwrap()
}

/// Returns `done`, or why not.
fn outcome(guard: &mut Guard, json: &str) -> String {
    match guard.perform(&action(json)) {
        Ok(()) => "done".to_owned(),
        Err(DeviceError::Refused { source, .. }) => source.to_string(),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn check(rules: &str, cases: &[(&str, &str)]) {
    let mut guard = Guard::new(device(), policy(rules));
    for (json, expected) in cases {
        assert_eq!(outcome(&mut guard, json), *expected, "{json} under {rules}");
    }
}

#[test]
fn observe_does_nothing_and_offers_nothing() {
    let observe = "mode: observe";
    check(
        observe,
        &[
            (r#"{"action":"left_click","coordinate":[1,1]}"#, "the screen may only be looked at"),
            (r#"{"action":"type","text":"x"}"#, "the screen may only be looked at"),
            (r#"{"action":"wait","time":1}"#, "done"),
            (r#"{"action":"terminate","status":"success"}"#, "done"),
        ],
    );
    let mut guard = Guard::new(device(), policy(observe));
    assert!(guard.observe().is_ok());
    let offered: Vec<_> = guard.info().action_space.iter().map(Verb::as_str).collect();
    assert_eq!(offered, ["wait", "answer", "call_user", "terminate"]);
}

#[test]
fn bounded_does_only_what_is_named() {
    check(
        "mode: bounded
allow:
  actions: [left_click, drag, scroll, type, key]
  regions: [[0, 0, 50, 50], [40, 40, 50, 50]]
  text: ['[a-z ]+', '[0-9]{4}']
  keys: [tab, ctrl+a, y]
",
        &[
            (r#"{"action":"left_click","coordinate":[49,49]}"#, "done"),
            (
                r#"{"action":"left_click","coordinate":[60,10]}"#,
                "(60, 10) lies outside the allowed part of the screen",
            ),
            (r#"{"action":"drag","coordinate":[1,1],"coordinate2":[89,89]}"#, "done"),
            // Both ends are inside, the way between them is not.
            (
                r#"{"action":"drag","coordinate":[45,5],"coordinate2":[85,45]}"#,
                "(50, 10) lies outside the allowed part of the screen",
            ),
            (
                r#"{"action":"scroll","direction":"down","amount":1}"#,
                "a scroll must say over which point it is",
            ),
            (
                r#"{"action":"right_click","coordinate":[1,1]}"#,
                "this kind of action is not allowed",
            ),
            (r#"{"action":"type","text":"ada lovelace"}"#, "done"),
            (r#"{"action":"type","text":"ada; rm -rf /"}"#, "the text is not of an allowed form"),
            (r#"{"action":"type","text":"1815"}"#, "done"),
            (r#"{"action":"type","text":"18156"}"#, "the text is not of an allowed form"),
            // Enter is a key, wherever it is written.
            (
                r#"{"action":"type","text":"ada\n"}"#,
                "`enter` is not among the keys that may be pressed",
            ),
            (
                r#"{"action":"key","keys":["enter"]}"#,
                "`enter` is not among the keys that may be pressed",
            ),
            (r#"{"action":"key","keys":["ctrl","a"]}"#, "done"),
            (r#"{"action":"key","keys":["a","ctrl"]}"#, "done"),
            (
                r#"{"action":"key","keys":["ctrl","shift","a"]}"#,
                "`ctrl+shift+a` is not among the keys that may be pressed",
            ),
            (r#"{"action":"key","keys":["q"]}"#, "done"),
            (r#"{"action":"key","keys":["!"]}"#, "the text is not of an allowed form"),
            (r#"{"action":"key","keys":["y"]}"#, "done"),
        ],
    );
    check(
        "{mode: bounded, allow: {actions: [key], keys: [enter]}}",
        &[
            (r#"{"action":"key","keys":["enter"]}"#, "done"),
            (r#"{"action":"key","keys":["q"]}"#, "`q` is not among the keys that may be pressed"),
        ],
    );
}

#[test]
fn what_is_denied_is_denied_in_every_mode() {
    let rules = "
deny:
  actions: [right_click]
  regions: [[100, 0, 10, 120]]
  text: ['rm\\s+-rf', '(?i)password']
  keys: [ctrl+w, delete, alt+f4]
";
    for mode in
        ["unrestricted", "bounded\nallow: {actions: [left_click, right_click, drag, type, key]}"]
    {
        check(
            &format!("mode: {mode}{rules}"),
            &[
                (r#"{"action":"left_click","coordinate":[99,5]}"#, "done"),
                (
                    r#"{"action":"left_click","coordinate":[100,5]}"#,
                    "(100, 5) lies in a part of the screen that is off limits",
                ),
                (
                    r#"{"action":"drag","coordinate":[90,5],"coordinate2":[120,5]}"#,
                    "(100, 5) lies in a part of the screen that is off limits",
                ),
                (
                    r#"{"action":"right_click","coordinate":[1,1]}"#,
                    "this kind of action is not allowed",
                ),
                (
                    r#"{"action":"type","text":"my PassWord"}"#,
                    "the text holds something that must not be typed (`(?i)password`)",
                ),
                // In pieces, by text and by keys.
                (r#"{"action":"type","text":"r"}"#, "done"),
                (r#"{"action":"key","keys":["m"]}"#, "done"),
                (r#"{"action":"key","keys":["space"]}"#, "done"),
                (r#"{"action":"left_click","coordinate":[9,5]}"#, "done"),
                (r#"{"action":"type","text":"-r"}"#, "done"),
                (
                    r#"{"action":"type","text":"f"}"#,
                    "the text holds something that must not be typed (`rm\\s+-rf`)",
                ),
                (
                    r#"{"action":"key","keys":["w","shift","ctrl"]}"#,
                    "`w+shift+ctrl` holds `ctrl+w`, which must not be pressed",
                ),
                (
                    r#"{"action":"key","keys":["delete"]}"#,
                    "`delete` holds `delete`, which must not be pressed",
                ),
                (
                    r#"{"action":"key","keys":["alt_gr","f4"]}"#,
                    "`alt_gr+f4` holds `alt+f4`, which must not be pressed",
                ),
                (r#"{"action":"key","keys":["w"]}"#, "done"),
            ],
        );
    }
}

#[test]
fn windows_are_known_by_title_and_application() {
    let save = (r#"{"action":"left_click","coordinate":[20,80]}"#, "done");
    let other =
        r#"it would reach the window "saved" of "fake", which is not among the allowed ones"#;
    check(
        "{mode: bounded, allow: {actions: [left_click, type], windows: [{title: form}]}}",
        &[
            save,
            (r#"{"action":"left_click","coordinate":[1,1]}"#, other),
            (r#"{"action":"type","text":"x"}"#, other),
        ],
    );
    check(
        "{mode: unrestricted, deny: {windows: [{app: fa, title: ^save}]}}",
        &[
            save,
            (
                r#"{"action":"key","keys":["tab"]}"#,
                r#"it would reach the window "saved" of "fake", which is off limits"#,
            ),
        ],
    );
    // Part of a title allows nothing.
    check(
        "{mode: bounded, allow: {actions: [left_click], windows: [{title: for}]}}",
        &[(
            save.0,
            r#"it would reach the window "form" of "fake", which is not among the allowed ones"#,
        )],
    );
}

#[test]
fn a_device_that_cannot_tell_windows_gets_nothing_done_under_rules_about_them() {
    let still = crate::StillDevice::from_image("white", image::RgbImage::new(20, 10));
    let rules = "{mode: unrestricted, deny: {windows: [{app: bank}]}}";
    let mut guard = Guard::new(Box::new(still), policy(rules));
    let refusal = outcome(&mut guard, r#"{"action":"left_click","coordinate":[1,1]}"#);
    assert_eq!(refusal, Refusal::UnknownWindow.to_string());
}

type Asked = Arc<Mutex<Vec<String>>>;

/// Returns a guard whose person says no, and what they were asked.
fn asking(rules: &str, answer: Approval) -> (Guard, Asked) {
    let asked = Asked::default();
    let told = Arc::clone(&asked);
    let guard = Guard::new(device(), policy(rules)).asking(move |question| {
        let thought = question.thought.unwrap_or("-");
        told.lock().unwrap().push(format!("{} ({thought}): {}", question.action, question.reason));
        answer
    });
    (guard, asked)
}

#[test]
fn confirm_asks_about_what_is_risky() {
    let (mut guard, asked) = asking("mode: confirm", Approval::Yes);
    let mut act = |json: &str, thought: &str| {
        guard.intend(thought);
        assert_eq!(outcome(&mut guard, json), "done", "{json}");
        asked.lock().unwrap().drain(..).count()
    };
    let click = r#"{"action":"left_click","coordinate":[1,1]}"#;
    assert_eq!(act(click, "click \"Name\""), 0);
    assert_eq!(act(click, "click \"Delete account\""), 1);
    assert_eq!(act(click, ""), 1);
    assert_eq!(act(r#"{"action":"type","text":"Ada"}"#, ""), 0);
    assert_eq!(act(r#"{"action":"type","text":"Ada\n"}"#, ""), 1);
    assert_eq!(act(r#"{"action":"key","keys":["enter"]}"#, ""), 1);
    assert_eq!(act(r#"{"action":"key","keys":["ctrl","w"]}"#, ""), 1);
    assert_eq!(act(r#"{"action":"key","keys":["ctrl","a"]}"#, ""), 0);
    assert_eq!(act(r#"{"action":"mouse_move","coordinate":[1,1]}"#, ""), 0);
    assert_eq!(act(r#"{"action":"wait","time":1}"#, "buy"), 0);
    // A thought is for one action.
    assert_eq!(act(click, "click \"Name\""), 0);
    assert_eq!(outcome(&mut guard, click), "done");
    assert_eq!(
        *asked.lock().unwrap(),
        ["left_click (1, 1) (-): nothing is said of what it is for"]
    );
}

#[test]
fn confirm_asks_about_everything_and_takes_no_for_an_answer() {
    let (mut guard, asked) = asking("{mode: confirm, ask: everything}", Approval::No);
    let declined = "the user declined this `mouse_move` on device `fake`";
    assert_eq!(outcome(&mut guard, r#"{"action":"mouse_move","coordinate":[1,1]}"#), declined);
    assert_eq!(asked.lock().unwrap().len(), 1);
    // Nobody is asked about what cannot be done.
    outcome(&mut guard, r#"{"action":"mouse_move","coordinate":[999,1]}"#);
    assert_eq!(asked.lock().unwrap().len(), 1);

    let mut nobody = Guard::new(device(), policy("{mode: confirm, ask: everything}"));
    let refusal = outcome(&mut nobody, r#"{"action":"mouse_move","coordinate":[1,1]}"#);
    assert_eq!(refusal, Refusal::NobodyToAsk.to_string());

    let rules = "{mode: confirm, risky: {actions: [scroll], text: [secret]}}";
    let (mut guard, asked) = asking(rules, Approval::Yes);
    for json in [
        r#"{"action":"scroll","direction":"up","amount":1}"#,
        r#"{"action":"type","text":"a secret"}"#,
        r#"{"action":"mouse_move","coordinate":[1,1]}"#,
    ] {
        outcome(&mut guard, json);
    }
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[test]
fn limits_count_what_was_done_and_say_how_long_to_wait() {
    let rules = "{mode: unrestricted, limits: [{actions: 2, per: 10s}, {actions: 3, per: 1m}]}";
    let now = Arc::new(Mutex::new(0.0));
    let clock = Arc::clone(&now);
    let mut guard = Guard::new(device(), policy(rules)).with_clock(move || {
        let day = jiff::civil::date(2026, 1, 5).at(12, 0, 0, 0);
        (Duration::from_secs_f64(*clock.lock().unwrap()), day)
    });
    let mut at = |seconds: f64| {
        *now.lock().unwrap() = seconds;
        outcome(&mut guard, r#"{"action":"mouse_move","coordinate":[1,1]}"#)
    };
    assert_eq!(at(0.0), "done");
    assert_eq!(at(4.0), "done");
    let too_fast = "there were 2 actions in the last 10 s, as many as are allowed; wait for 5 s";
    assert_eq!(at(5.0), too_fast);
    assert_eq!(at(10.0), "done");
    let too_fast = "there were 3 actions in the last 60 s, as many as are allowed; wait for 40 s";
    assert_eq!(at(20.0), too_fast);
    assert_eq!(at(60.0), "done");
}

#[test]
fn hours_are_those_of_this_machine_and_may_go_past_midnight() {
    let rules = "{mode: unrestricted, hours: [{days: [mon], from: '08:00', to: '17:30'}, {days: [fri], from: '22:00', to: '06:00'}]}";
    let at = |day: i8, hour: i8, minute: i8| {
        let moment = jiff::civil::date(2026, 1, day).at(hour, minute, 0, 0);
        let guard = Guard::new(device(), policy(rules));
        let mut guard = guard.with_clock(move || (Duration::ZERO, moment));
        outcome(&mut guard, r#"{"action":"mouse_move","coordinate":[1,1]}"#)
    };
    let off = "actions are not allowed at this time";
    // 5 January 2026 is a Monday.
    assert_eq!(at(5, 7, 59), off);
    assert_eq!(at(5, 8, 0), "done");
    assert_eq!(at(5, 17, 30), off);
    assert_eq!(at(6, 9, 0), off);
    assert_eq!(at(9, 22, 0), "done");
    assert_eq!(at(10, 5, 59), "done");
    assert_eq!(at(10, 22, 0), off);
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = SafetyPolicy::parse(text, Path::new("p.yaml")).unwrap_err().to_string();
    assert_eq!(error, format!("safety policy `p.yaml`{expected}"), "{text}");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    refused(
        "mode: bound",
        ", line 1, column 7: unknown variant `bound`, expected one of observe, confirm, bounded, unrestricted",
    );
    refused(
        "mode: observe\nalow: {}",
        ", line 2, column 1: unknown field `alow`, expected one of version, mode, ask, risky, allow, deny, stop, paste, limits, hours",
    );
    refused(
        "mode: confirm\ndeny:\n  text: ['a', '(b']",
        ", line 3, column 15: `(b` is no regular expression: unclosed group",
    );
    refused(
        "mode: confirm\ndeny:\n  keys: [ctrl+w, hyper+x]",
        ", line 3, column 18: `hyper` is not the name of a key",
    );
    refused(
        "mode: confirm\ndeny:\n  regions:\n    - [1, 2, 3]",
        ", line 4, column 7: invalid length 3, expected an array of length 4",
    );
    refused(
        "mode: confirm\ndeny:\n  regions: [[1, 2, 0, 4]]",
        ", line 3, column 13: [1, 2, 0, 4] is no `[x, y, width, height]` of one pixel or more",
    );
    refused(
        "mode: confirm\ndeny:\n  windows: [{}]",
        ", line 3, column 13: a window needs a `title` or an `app`",
    );
    refused(
        "mode: confirm\nlimits: [{actions: 0, per: 1m}]",
        ", line 2, column 20: a limit of 0 actions; use mode `observe` instead",
    );
    refused(
        "mode: confirm\nlimits: [{actions: 1, per: 1d}]",
        ", line 2, column 28: `1d` is no time; write `10s`, `1.5m` or `2h`",
    );
    refused(
        "mode: confirm\nhours: [{from: '8', to: '09:00'}]",
        ", line 2, column 16: `8` is no time of day like `08:00`",
    );
    refused("mode: [", ", line 1, column 7: externally tagged enum expected scalar or mapping");
    refused("", ", line 1, column 1: unexpected end of input");
    refused("- a", ", line 1, column 1: expected mapping start");
    refused("mode: observe\nmode: unrestricted", ", line 2, column 1: duplicate mapping key: mode");
}

#[test]
fn rules_that_could_never_apply_are_refused() {
    refused("mode: bounded", ": mode `bounded` does nothing without `allow: actions:`");
    refused(
        "{mode: unrestricted, allow: {keys: []}}",
        ": mode `unrestricted` has no use for `allow`",
    );
    refused(
        "{mode: bounded, ask: risky, allow: {actions: []}}",
        ": `ask` and `risky` are for mode `confirm`",
    );
    refused("{mode: unrestricted, deny: {}}", ": `deny` has no list");
    refused("{mode: observe, version: 2}", ": it has version 2 and this build reads version 1");
    refused(
        "{mode: confirm, ask: everything, risky: {keys: [enter]}}",
        ": `risky` has no use where everything is asked about",
    );
}

#[test]
fn a_hostile_file_is_an_error_in_no_time() {
    let start = Instant::now();
    let bomb = format!("mode: &a observe\nallow: {{text: [{}]}}", "*a,".repeat(100_000));
    assert!(SafetyPolicy::parse(&bomb, Path::new("p")).is_err());
    let deep = format!("mode: {}", "[".repeat(100_000));
    assert!(SafetyPolicy::parse(&deep, Path::new("p")).is_err());
    let huge = "mode: confirm\ndeny: {text: ['(a{1000}){1000}']}";
    assert!(SafetyPolicy::parse(huge, Path::new("p")).is_err());
    // A bound that tells a hang from a busy machine, and no measure of speed.
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn the_schema_names_what_the_file_may_hold() {
    let schema = policy_schema().to_value();
    let mut fields: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(
        fields,
        ["allow", "ask", "deny", "hours", "limits", "mode", "paste", "risky", "stop", "version"]
    );
    assert_eq!(schema["additionalProperties"], false);
}
