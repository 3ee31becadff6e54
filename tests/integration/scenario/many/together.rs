//! Scenarios on a desktop and a phone at once.

use std::fmt::Write as _;

use handsight_actions::{FakeAndroid, FakeAndroidOptions};
use handsight_tests::xserver::XServer;

use super::{fs, result_of, with_files};

const BOTH: &str = "
devices: {phone: android}
steps:
  - parallel:
      - device: phone
        steps:
          - open: Settings
          - wait_for: {app: com.android.settings}
          # Each waits for what the other has done.
          - shell: echo $ANDROID_SERIAL > serial
          - wait_for: {file: {path: who}}
          - button: home
      - steps:
          - wait_for: {file: {path: serial}}
          - start: [sh, -c, 'GDK_BACKEND=x11 NO_AT_BRIDGE=1 exec zenity --entry --title=Who > who']
          - wait_for: {window: Who}
          - type: Ada
          - press: enter
          - expect: {file: {path: who, text: {equals: Ada}}}
          - shell: cat who
            as: who
  - expect: {that: who == 'Ada'}
";

#[test]
fn a_phone_and_a_desktop_are_used_at_once() {
    let (server, phone) = (
        XServer::start_managed("640x480x24").unwrap(),
        FakeAndroid::start(&FakeAndroidOptions::default()).unwrap(),
    );
    let handsight = with_files(&[("both.yaml", BOTH)]);
    let serial = format!("tcp:{}", phone.address());
    let with = format!("phone=android:{serial}");
    let args = ["scenario", "run", "suite", "--with", &with, "--report", "out", "--json"];
    let mut command = handsight.command(&args);
    server.adopt(&mut command);
    let (code, result, said) = result_of(&mut command);
    assert_eq!((code, &result["passed"]), (0, &1.into()), "{result:#}\n{said}");
    let told = fs::read_to_string(handsight.dir().join("suite/serial")).unwrap();
    assert_eq!(told.trim(), serial);
    assert!(phone.foreground().contains("launcher"), "{}", phone.foreground());
    let run = &result["scenarios"][0];
    assert!(run["devices"]["phone"].as_str().unwrap().starts_with("android"), "{run:#}");
    assert!(run["device"].as_str().unwrap().starts_with("desktop"), "{run:#}");
    for line in ["phone  ", "desktop  "] {
        assert!(said.contains(line), "{said}");
    }
    let page = fs::read_to_string(handsight.dir().join("out/report.html")).unwrap();
    assert!(page.contains("on phone") && page.contains("phone: android"), "{page}");
}

#[test]
fn devices_that_cannot_be_told_are_refused_before_anything_is_done() {
    let other = BOTH.replace("android}", "tablet}");
    let handsight = with_files(&[("both.yaml", BOTH), ("other.yaml", &other)]);
    let refusal = |args: &[&str]| {
        let all = [&["scenario", "run"], args].concat();
        handsight.snapshot(&all)
    };
    let mut all = String::new();
    for args in [
        &["suite/both.yaml", "--with", "phnoe=desktop::9"][..],
        &["suite/both.yaml", "--with", "phone=tablet"],
        &["suite/both.yaml", "--device", "android"],
        &["suite/both.yaml", "--devices", "desktop::8,desktop::9"],
        &["suite/other.yaml"],
    ] {
        let _ = writeln!(all, "{}\n", refusal(args));
    }
    insta::assert_snapshot!(all, @r"
    exit code: 2
    --- stderr ---
    error: no scenario has a device `phnoe`
    hint: scenarios name them under `devices:`

    exit code: 2
    --- stderr ---
    error: invalid value 'phone=tablet' for '--with <NAME=DEVICE>': expected `desktop`, `android`, `android:SERIAL` or `still:FILE`, or `desktop:DISPLAY`

    For more information, try '--help'.

    exit code: 2
    --- stderr ---
    error: two devices of `suite/both.yaml` are `android`
    hint: a screen has one pointer and one focus

    exit code: 2
    --- stderr ---
    error: `suite/both.yaml` has devices of its own and cannot be shared out
    hint: run it by itself, with `--device` and `--with`

    exit code: 2
    --- stderr ---
    error: the device `phone` of `suite/other.yaml` is `tablet`: expected `desktop`, `android`, `android:SERIAL` or `still:FILE`, or `desktop:DISPLAY`
    hint: correct it, or give `--with phone=DEVICE`
    ");
}
