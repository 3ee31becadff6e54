//! The report of scenarios in a real browser, and films of it.

use std::process::Command;

use fs_err as fs;
use handsight_actions::{Action, DesktopDevice, DesktopOptions, Device as _, Key};
use handsight_tests::binary::Binary;
use handsight_tests::page::{Page, dom_of};
use handsight_tests::xserver::XServer;
use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder as _, Rgb, RgbImage};

use super::handsight;

/// The first scenario passes; the second fails at its third step, after two that act.
fn reported() -> Binary {
    let handsight = handsight();
    RgbImage::from_pixel(321, 201, Rgb([90, 120, 200]))
        .save(handsight.dir().join("screen.png"))
        .unwrap();
    fs::write(handsight.dir().join("a.yaml"), "scenario: a fine one\nsteps:\n  - wait: 0\n")
        .unwrap();
    let bad = "
scenario: <img src=x onerror=alert(1)>
steps:
  - click: [10, 20]
  - click: [100, 50]
  - expect: {that: 1 > 2}
";
    fs::write(handsight.dir().join("b.yaml"), bad).unwrap();
    let args = ["scenario", "run", "a.yaml", "b.yaml", "--device", "still:screen.png", "--report"];
    let films = ["out", "--gif", "run.gif", "--mp4", "run.mp4"];
    let output = handsight.command(&[&args[..], &films].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("film of 2 pictures in run.gif"), "{said}");
    handsight
}

#[test]
fn a_browser_runs_the_reports_own_script_and_no_other() {
    let handsight = reported();
    let page = handsight.dir().join("out/report.html");
    let shown = dom_of(&page).unwrap();
    assert!(shown.contains("<html lang=\"en\" class=\"js\">"), "{shown}");
    assert_eq!(shown.matches("type=\"range\"").count(), 2);
    assert_eq!(shown.matches("class=\"compare\"").count(), 2);
    assert!(shown.contains("&lt;img src=x onerror=alert(1)&gt;"));

    // Were something else written into the page, it would not run.
    let text = fs::read_to_string(&page).unwrap();
    let hostile =
        "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">";
    let other = handsight.dir().join("out/other.html");
    fs::write(&other, text.replace("<main>", &format!("{hostile}<main>"))).unwrap();
    let shown = dom_of(&other).unwrap();
    assert!(!shown.contains("<title>owned"), "{shown}");
    assert!(shown.contains("class=\"js\""), "{shown}");
}

#[test]
fn keys_walk_through_a_report() {
    let handsight = reported();
    let server = XServer::start_managed("1000x700x24").unwrap();
    let text = fs::read_to_string(handsight.dir().join("out/report.html")).unwrap();
    // The test's own script tells what happens, which the page would not let it.
    let start = text.find("<meta http-equiv").unwrap();
    let end = start + text[start..].find('>').unwrap() + 1;
    let page =
        Page::open(&server, &(text[..start].to_owned() + &text[end..]), [1000, 700]).unwrap();
    let display = Some(server.display().to_owned());
    let options = DesktopOptions { display, ..DesktopOptions::default() };
    let mut device = DesktopDevice::open(&options).unwrap();
    let mut press = |keys: &str| {
        device.perform(&Action::Key { keys: Key::parse_chord(keys).unwrap() }).unwrap();
    };
    let focused = |id: &'static str| {
        page.expect(&format!("`{id}` is not in focus"), |state| {
            state.focused.as_deref() == Some(id)
        })
        .unwrap()
    };
    // What failed comes first, and its failed step.
    press("n");
    focused("s1");
    press("n");
    focused("s1-3");
    press("k");
    let state = focused("s1-2");
    assert_eq!(state.text("s1-2-slider"), "50");
    press("right");
    page.expect("the slider does not move", |state| state.text("s1-2-slider") == "60").unwrap();
    press("j");
    focused("s1-3");
    press("j");
    focused("s2");
}

#[test]
fn films_show_each_step_once() {
    let handsight = reported();
    let gif = std::io::BufReader::new(fs::File::open(handsight.dir().join("run.gif")).unwrap());
    let frames = GifDecoder::new(gif).unwrap().into_frames().collect_frames().unwrap();
    // Where the screen did not change, what a step led to is not shown again.
    assert_eq!(frames.len(), 2);
    let size = frames[0].buffer().dimensions();
    assert_eq!(size, (322, 202));
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-show_entries", "stream=codec_name,width,height:format=duration"]);
    probe.args(["-of", "csv=p=0"]).arg(handsight.dir().join("run.mp4"));
    let said = String::from_utf8(probe.output().unwrap().stdout).unwrap();
    assert!(said.starts_with("h264,322,202"), "{said}");
    let seconds: f64 = said.lines().nth(1).unwrap().trim().parse().unwrap();
    assert!((2.0..=3.0).contains(&seconds), "{said}");

    let mut command = handsight.command(&[
        "scenario",
        "run",
        "a.yaml",
        "--device",
        "still:screen.png",
        "--report",
        "x",
        "--gif",
        "x.gif",
    ]);
    let said = handsight.snapshot_of(&mut command);
    assert!(said.starts_with("exit code: 1\n"), "{said}");
    assert!(
        said.contains("error: could not make a film of it: no step of it has a picture"),
        "{said}"
    );
}
