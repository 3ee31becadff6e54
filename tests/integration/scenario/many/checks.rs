//! Checks of what is not on the screen: a phone's state, a server's answers, the clipboard.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;

use fs_err as fs;
use handsight_actions::{FakeAndroid, FakeAndroidOptions};
use handsight_tests::adb::AdbServer;
use handsight_tests::xserver::XServer;
use serde_json::Value;

use super::handsight;

fn result_of(command: &mut Command) -> (i32, Value) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let result = serde_json::from_slice(&output.stdout);
    (output.status.code().unwrap(), result.unwrap_or_else(|error| panic!("{error}: {said}")))
}

fn problems(result: &Value) -> Vec<&str> {
    let steps = result["scenarios"][0]["steps"].as_array().unwrap();
    steps.iter().filter_map(|step| step["problem"].as_str()).collect()
}

#[test]
fn a_phones_views_and_settings_are_checked() {
    let phone = FakeAndroid::start(&FakeAndroidOptions::default()).unwrap();
    let adb = AdbServer::start().unwrap();
    let serial = adb.connect(phone.address()).unwrap();
    let handsight = handsight();
    let text = "
scenario: Wi-Fi is on
steps:
  - open: Settings
  - wait_for: {view: {text: Wi-Fi, enabled: true}}
  - expect: {window: Settings}
  - expect: {setting: {name: global/wifi_on, value: {equals: '1'}}}
  - expect: {not: {view: Nothing such}}
  - name: wrong
    expect: {setting: {name: global/wifi_on, value: {equals: '0'}}}
    continue_on_error: true
  - expect: {view: {text: Wi-Fi, enabled: false}}
    continue_on_error: true
  - expect: {view: Nothing such}
    continue_on_error: true
";
    fs::write(handsight.dir().join("wifi.yaml"), text).unwrap();
    let device = format!("android:{serial}");
    let args = ["scenario", "run", "wifi.yaml", "--device", &device, "--json"];
    let mut command = handsight.command(&args);
    adb.adopt(&mut command);
    let (code, result) = result_of(&mut command);
    assert_eq!(code, 1, "{result:#}");
    let problems = problems(&result);
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert_eq!(problems[0], "expected the setting global/wifi_on is \"0\"; it is \"1\"");
    assert!(problems[1].contains("that is not enabled; ") && problems[1].contains("is enabled"));
    assert!(problems[2].contains("there are ") && problems[2].contains("Wi-Fi"), "{problems:?}");
}

/// A server that says what it was asked, as JSON; returns its port.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut length) = (String::new(), 0);
            reader.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let lower = line.to_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            std::io::Read::read_exact(&mut reader, &mut body).unwrap();
            let mut words = first.split(' ');
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            let body = String::from_utf8(body).unwrap();
            let said = serde_json::json!({ "method": method, "path": path, "body": [body] });
            let said = said.to_string();
            let status = if path == "/gone" { "404 Not Found" } else { "200 OK" };
            let mut stream = stream;
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{said}",
                said.len()
            );
        }
    });
    port
}

#[test]
fn a_servers_answers_are_checked() {
    let port = echo();
    let handsight = handsight();
    image::RgbImage::new(64, 48).save(handsight.dir().join("screen.png")).unwrap();
    let text = r#"
scenario: the server has what was saved
vars: {base: "http://127.0.0.1:PORT", who: Ada}
steps:
  - expect: {http: "{{ base }}/health"}
  - expect: {http: {url: "{{ base }}/a", method: post, body: "{{ who }}", json: {/method: POST, /body/0: "{{ who }}"}}}
  - expect: {http: {url: "{{ base }}/gone", status: 404, text: /gone}}
  - expect: {http: "{{ base }}/gone"}
    continue_on_error: true
  - expect: {http: {url: "{{ base }}/x", json: {/path: /y}}}
    continue_on_error: true
  - expect: {http: "http://127.0.0.1:1/"}
    continue_on_error: true
"#;
    fs::write(handsight.dir().join("web.yaml"), text.replace("PORT", &port.to_string())).unwrap();
    let args = ["scenario", "run", "web.yaml", "--device", "still:screen.png", "--json"];
    let (code, result) = result_of(&mut handsight.command(&args));
    assert_eq!(code, 1, "{result:#}");
    let problems = problems(&result);
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].contains("the status is 404"), "{problems:?}");
    assert!(problems[1].contains("at `/path` is \"\\\"/x\\\"\""), "{problems:?}");
    assert!(problems[2].to_lowercase().contains("refused"), "{problems:?}");

    let wrong = "scenario: x\nsteps:\n  - expect: {http: {url: a, json: {path: 1}}}\n";
    fs::write(handsight.dir().join("wrong.yaml"), wrong).unwrap();
    insta::assert_snapshot!(handsight.snapshot(&["scenario", "check", "wrong.yaml"]), @r"
    exit code: 2
    --- stderr ---
    error: scenario `wrong.yaml`, line 3, column 5: `path` is no JSON pointer; write `/path`
    hint: `handsight schema scenario` describes all that a scenario can say
    ");
}

#[test]
fn what_was_copied_is_checked_and_drawn_values_are_told() {
    let server = XServer::start_managed("640x480x24").unwrap();
    let handsight = handsight();
    let text = r#"
scenario: a copied text
vars: {who: "{{ random_choice(['Ada', 'Bo', 'Cy', 'Di']) }} {{ random_digits(6) }}"}
seed: 3
setup:
  - start: [sh, -c, "GDK_BACKEND=x11 NO_AT_BRIDGE=1 exec zenity --entry --title=Who"]
  - wait_for: {window: Who}
steps:
  - type: "{{ who }}"
  - press: ctrl+a
  - press: ctrl+c
  - expect: {clipboard: {equals: "{{ who }}"}}
  - expect: {clipboard: something else}
    continue_on_error: true
"#;
    fs::write(handsight.dir().join("copy.yaml"), text).unwrap();
    let run = |args: &[&str]| {
        let all = [&["scenario", "run", "copy.yaml", "--json", "--report", "out"], args].concat();
        let mut command = handsight.command(&all);
        server.adopt(&mut command);
        let (code, result) = result_of(&mut command);
        assert_eq!(code, 1, "{result:#}");
        let run = &result["scenarios"][0];
        let who = run["drawn"]["who"].as_str().unwrap().to_owned();
        let problems = problems(&result).join("\n");
        let expected = format!("expected the clipboard contains \"something else\"; it is {who:?}");
        assert_eq!(problems, expected);
        let page = fs::read_to_string(handsight.dir().join("out/report.html")).unwrap();
        assert!(page.contains(&who), "the report has not what was drawn");
        (run["seed"].as_u64().unwrap(), who)
    };
    let (seed, who) = run(&[]);
    assert_eq!((seed, run(&[])), (3, (3, who.clone())));
    let (other_seed, other) = run(&["--seed", "4"]);
    assert_eq!(other_seed, 4);
    assert_ne!(other, who);
}
