//! `handsight ground` with lists and documents, as a user runs it: with a server that says exactly what
//! is to be read, and with the small checkpoint, whose words mean nothing and whose form must hold.

use std::path::Path;
use std::process::{Command, Output};

use fs_err as fs;
use handsight_tests::binary::Binary;
use handsight_tests::fake_server::{FakeServer, Script};
use handsight_tests::golden::tiny_fixture;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

/// A binary in a folder with a picture that models see at 1008×504.
fn with_picture() -> Binary {
    let handsight = Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"));
    let picture = RgbImage::from_pixel(1000, 500, Rgb([255; 3]));
    picture.save(handsight.dir().join("page.png")).unwrap();
    handsight
}

fn ground(handsight: &Binary, model: &str, args: &[&str]) -> Command {
    let mut command = handsight.command(&["ground", "page.png", "--model", model]);
    command.args(args);
    command
}

/// Has a server answer this, and returns what the command prints and says.
fn told(answer: &str, args: &[&str]) -> (Output, Vec<Value>, Binary) {
    let handsight = with_picture();
    let script = Script { answer: answer.to_owned(), logprobs: false, ..Script::default() };
    let server = FakeServer::start(script);
    let output = ground(&handsight, &server.url("test-model"), args).output().unwrap();
    (output, server.asked(), handsight)
}

fn json(output: &Output, exit: i32) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(exit), "{text}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A command with the small checkpoint.
fn tiny(handsight: &Binary, args: &[&str]) -> Command {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny-qwen2_5_vl/flat-f32");
    ground(handsight, model.to_str().unwrap(), args)
}

const BOXES: &str = "```json\n[\n\t{\"bbox_2d\": [504, 252, 1008, 504], \"label\": \"Save\"},\n\
                     \t{\"bbox_2d\": [20, 10, 2, 30], \"label\": \"Ca\\u001bncel\", \"kind\": \"button\"},\n\
                     \t{\"bbox_2d\": [2000, 1, 2002, 3], \"label\": \"no\"}\n]\n```";

#[test]
fn boxes_come_back_in_pixels_of_the_picture() {
    let (output, asked, _) = told(BOXES, &["button", "--boxes", "--json"]);
    let told = json(&output, 0);
    let save = &told["boxes"][0];
    assert_eq!((&save["bbox_2d"], &save["label"]), (&json!([500, 250, 1000, 500]), &json!("Save")));
    assert_eq!(save["model_bbox_2d"], json!([504, 252, 1008, 504]));
    assert_eq!(
        (&told["boxes"][1]["fields"], &save["probability"]),
        (&json!({"kind": "button"}), &Value::Null)
    );
    assert_eq!(told["boxes"].as_array().unwrap().len(), 2);
    let mended = told["mended"][0].as_str().unwrap();
    assert!(mended.starts_with("swapped corners"), "{mended}");
    let left_out = told["left_out"][0].as_str().unwrap();
    assert!(left_out.contains("[2000, 1, 2002, 3] lies outside the 1008×504 image"), "{left_out}");
    assert_eq!(told["frame"]["screenshot"], json!({"width": 1000, "height": 500}));
    assert_eq!(told["cut_off"], false);
    // What was asked is what the checkpoint was trained on, and no form was forced on the server.
    let parts = &asked[0]["messages"][1]["content"];
    let text = parts[1]["text"].as_str().unwrap();
    assert!(text.contains("every button") && text.contains("`bbox_2d`"), "{text}");
    assert!(asked[0].get("response_format").is_none());
}

#[test]
fn people_get_a_line_for_each_thing_and_a_marked_picture() {
    let (output, _, handsight) = told(BOXES, &["button", "--boxes", "--annotated", "marked.png"]);
    assert_eq!(output.status.code(), Some(0));
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(printed, "Save     (500, 250) to (1000, 500)\nCa ncel  (1, 9) to (20, 30)\n");
    let notes = said(&output);
    assert!(notes.contains("2 boxes  on 1000×500") && notes.contains("left out: "), "{notes}");
    let marked = image::open(handsight.dir().join("marked.png")).unwrap().to_rgb8();
    assert_eq!(marked.dimensions(), (1000, 500));
    assert_ne!(*marked.get_pixel(750, 249), Rgb([255; 3]), "no line above the first box");
    assert_eq!(*marked.get_pixel(750, 375), Rgb([255; 3]), "the box itself is covered");
}

#[test]
fn points_are_listed_likewise() {
    let answer = r#"{"point_2d": [1007, 0], "label": "corner"}"#;
    let (output, _, _) = told(answer, &["corner", "--points", "--json"]);
    let told = json(&output, 0);
    assert_eq!(told["points"][0]["point_2d"], json!([999, 0]));
    assert_eq!(told["points"][0]["model_point_2d"], json!([1007, 0]));
}

const DOCUMENT: &str = "```html\n<html><body>\n<h1 data-bbox=\"0 0 1008 126\">A &amp; B</h1>\n\
                        <table data-bbox=\"504 252 1008 504\"><tr><th>Name</th><th>Age</th></tr>\
                        <tr><td>Ada</td><td>36</td></tr></table>\n<script>alert(1)</script>\n</body></html>\n```";

#[test]
fn a_document_is_read_with_its_boxes() {
    let args = ["--document", "--json", "--html", "out.html", "--annotated", "marked.png"];
    let (output, asked, handsight) = told(DOCUMENT, &args);
    let told = json(&output, 0);
    let heading = &told["elements"][0];
    assert_eq!((&heading["tag"], &heading["text"]), (&json!("h1"), &json!("A & B")));
    assert_eq!(heading["bbox_2d"], json!([0, 0, 1000, 125]));
    assert_eq!(told["elements"][1]["rows"], json!([["Name", "Age"], ["Ada", "36"]]));
    let page = fs::read_to_string(handsight.dir().join("out.html")).unwrap();
    assert!(page.contains("<h1 data-bbox=\"0 0 1000 125\">A &amp; B</h1>"), "{page}");
    assert!(!page.contains("script") && told["html"] == page, "{page}");
    assert!(handsight.dir().join("marked.png").is_file());
    assert_eq!(asked[0]["messages"][1]["content"][1]["text"], "QwenVL HTML ");

    let (output, _, _) = self::told(DOCUMENT, &["--document"]);
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    let expected = "h1  (0, 0) to (1000, 125)  A & B\ntable  (500, 250) to (1000, 500)\n  \
                    Name | Age\n  Ada | 36\n";
    assert_eq!(printed, expected);
    assert!(said(&output).contains("2 parts  on 1000×500"), "{}", said(&output));
}

#[test]
fn what_breaks_off_is_told_with_what_is_whole() {
    let cut = "```json\n[\n\t{\"bbox_2d\": [504, 252, 1008, 504], \"label\": \"Save\"},\n\t{\"bbox_2d\": [5";
    let (output, _, _) = told(cut, &["button", "--boxes", "--json"]);
    let told = json(&output, 0);
    assert_eq!((told["boxes"].as_array().unwrap().len(), &told["cut_off"]), (1, &json!(true)));
}

#[test]
fn nothing_found_is_an_answer_and_no_place_is_none() {
    let (output, _, _) = told("```json\n[]\n```", &["unicorn", "--boxes", "--json"]);
    assert_eq!(json(&output, 1)["boxes"], json!([]));
    for (answer, args, problem) in [
        ("I see no such thing.", ["unicorn", "--boxes"], "the reply names no place: expected `[{"),
        (" ", ["unicorn", "--points"], "the reply is empty"),
        (
            r#"{"bbox_2d": [2000, 1, 2002, 3]}"#,
            ["unicorn", "--boxes"],
            "lies outside the 1008×504 image",
        ),
        (r#"{"bbox_2d": [1, 2, 3]}"#, ["unicorn", "--boxes"], "3 numbers are neither"),
    ] {
        let (output, _, _) = told(answer, &args);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(problem) && said.contains("hint: "), "{said}");
    }
    let (output, _, _) = told("a plain sentence", &["--document"]);
    let said = said(&output);
    assert!(output.status.code() == Some(1) && said.contains("the reply has no HTML"), "{said}");
    assert!(said.contains("this one wrote \"a plain sentence\""), "{said}");
}

#[test]
fn an_automatic_budget_shows_less_of_a_screen_and_then_a_part_of_it_as_it_is() {
    let handsight = with_picture();
    // The small checkpoint, if it were shown pictures as large as the released ones are.
    let large = handsight.dir().join("large");
    fs::create_dir(&large).unwrap();
    for file in fs::read_dir(tiny_fixture("flat-f32")).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), large.join(file.file_name())).unwrap();
    }
    let settings = large.join("preprocessor_config.json");
    let text = fs::read_to_string(&settings).unwrap().replace("235200", "12845056");
    fs::write(&settings, text).unwrap();
    let screen = RgbImage::from_pixel(1600, 900, Rgb([255; 3]));
    screen.save(handsight.dir().join("page.png")).unwrap();
    let told = |args: &[&str]| {
        let args = [&["button", "--json"], args].concat();
        json(&ground(&handsight, "large", &args).output().unwrap(), 0)
    };
    let tokens = |told: &Value| told["usage"]["image_tokens"].as_u64().unwrap();
    let (whole, auto) = (told(&[]), told(&["--pixels", "auto"]));
    assert_eq!((tokens(&whole), &whole["looked_at"]), (57 * 32, &Value::Null));
    // 640,000 px at the most, and 448 × 448 of the screen one to one.
    assert_eq!(tokens(&auto), 38 * 21 + 16 * 16);
    let part = &auto["looked_at"];
    assert_eq!((&part["width"], &part["height"]), (&json!(448), &json!(448)));
    assert_eq!(auto["frame"]["screenshot"], json!({"width": 448, "height": 448}));
    let inside = |at: &str, from: &str| {
        let from = part[from].as_i64().unwrap();
        (from..from + 448).contains(&auto[at].as_i64().unwrap())
    };
    assert!(inside("x", "x") && inside("y", "y"), "{auto}");
    // A small picture is not made smaller.
    let small = RgbImage::from_pixel(400, 300, Rgb([255; 3]));
    small.save(handsight.dir().join("page.png")).unwrap();
    assert_eq!(told(&["--pixels", "auto"])["looked_at"], Value::Null);
    let refused = tiny(&handsight, &["button", "--pixels", "12"]).output().unwrap();
    assert!(said(&refused).contains("neither `auto` nor a number from 784"), "{refused:?}");
}

#[test]
fn in_this_process_every_place_lies_on_the_picture_by_construction() {
    let handsight = with_picture();
    for args in [["button", "--boxes"], ["button", "--points"]] {
        let small = ["--json", "--max-pixels", "50176", "--max-tokens", "1500"];
        let output = tiny(&handsight, &[&args[..], &small].concat()).output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        // A box without area is all that the grammar leaves to be refused.
        if let Some(error) = told.get("error") {
            assert!(error.to_string().contains("no area"), "{error}");
            continue;
        }
        let model = &told["frame"]["model"];
        assert!(model["width"].as_u64().unwrap() < 1000, "{model}");
        let places = told["boxes"].as_array().or(told["points"].as_array()).unwrap();
        assert!(!places.is_empty(), "{told}");
        for place in places {
            let numbers =
                place.get("bbox_2d").or(place.get("point_2d")).unwrap().as_array().unwrap();
            for (index, number) in numbers.iter().enumerate() {
                let edge = if index % 2 == 0 { 1000 } else { 500 };
                assert!(number.as_u64().unwrap() <= edge, "{place}");
            }
            let probability = place["probability"].as_f64().unwrap();
            assert!(probability > 0.0 && probability <= 1.0, "{place}");
        }
        for refused in told["left_out"].as_array().unwrap() {
            assert!(refused.to_string().contains("no area"), "{refused}");
        }
    }
}

#[test]
fn what_cannot_be_asked_is_said_before_anything_is_read() {
    let handsight = with_picture();
    for (args, task) in [
        (&["ground", "page.png", "button", "--boxes"][..], "list things"),
        (&["ground", "page.png", "--document"], "read documents"),
    ] {
        let output = handsight.command(args).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(task) && said.contains("models pull qwen2.5-vl-3b"), "{said}");
    }
    let other = tiny(&handsight, &["button", "--boxes", "--family", "gta1"]).output().unwrap();
    let told = said(&other);
    assert_eq!(other.status.code(), Some(2), "{told}");
    assert!(
        told.contains("the family `gta1` was not made to list things by their boxes"),
        "{told}"
    );
    let missing = handsight.command(&["ground", "no.png", "x", "--boxes", "--model", "."]);
    let cases: [(Command, &str); 6] = [
        (missing, "no.png"),
        (tiny(&handsight, &["", "--boxes"]), "the description is empty"),
        (tiny(&handsight, &["--boxes"]), "<DESCRIPTION>"),
        (tiny(&handsight, &["x", "--document"]), "cannot be used with"),
        (tiny(&handsight, &["x", "--boxes", "--points"]), "cannot be used with"),
        (tiny(&handsight, &["x", "--max-tokens", "9"]), "--max-tokens"),
    ];
    for (mut command, message) in cases {
        let output = command.output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(message) && !said.contains("panicked"), "{said}");
    }
}
