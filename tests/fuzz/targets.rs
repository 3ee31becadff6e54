//! What is fuzzed: every reader of what comes from outside, as a function of bytes.
//!
//! The same functions are run in two ways. `cargo fuzz` searches for new inputs, guided by coverage
//! (CONTRIBUTING.md says how); `tests/fuzz/short.rs` replays the corpus and some mutations of it in
//! every `make test`. A function that returns has passed: a refusal is a good answer, a panic, a
//! lost property, too much time or too much memory is a fault.
#![expect(clippy::missing_panics_doc, reason = "to panic is how a target tells of a fault")]

pub mod mutate;

use std::path::PathBuf;

use handsight_actions::heard::HeardInput;
use handsight_actions::untrusted as actions;
use handsight_actions::{
    Action, AnswerForm, Dialect, Frame, Key, ModelPoint, Shape, ShapeKind, Size,
    parse_action_with_pointer, print_action, python_json, read_places, told,
};
use handsight_agent::Counts;
use handsight_agent::document::read_document_html;
use handsight_agent::untrusted as agent;
use handsight_model::chat::tools::{AnswerSplitter, Piece, split_answer};
use handsight_model::chat::{ChatTemplate, Message, Part, Role, ToolCall};
use handsight_model::media::image::{DecodeLimits, decode};
use handsight_model::media::video::VideoOptions;
use handsight_model::untrusted as model;
use handsight_model::{Constraint, untrusted::Grammars};
use handsight_scenarios::benchmark::answer::{Place, read_place};
use handsight_scenarios::benchmark::dataset::BoxForm;
use handsight_scenarios::benchmark::scorer::{Asked, totals};
use handsight_scenarios::benchmark::{Item, Prediction, Scorer};
use handsight_scenarios::suite::{RESULT_FILE, merge};
use handsight_scenarios::untrusted as scenarios;
use serde_json::{Value, json};

/// One thing that is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its corpus, too.
    pub name: &'static str,
    /// What is done with an input.
    pub run: fn(&[u8]),
    /// How many mutations the short run tries.
    pub mutations: u32,
    /// The most memory one input may take, in MiB.
    pub memory_mib: usize,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "gguf", run: gguf, mutations: 3000, memory_mib: 64 },
    Target { name: "safetensors", run: safetensors, mutations: 3000, memory_mib: 64 },
    Target { name: "config", run: config, mutations: 4000, memory_mib: 64 },
    Target { name: "tokenizer", run: tokenizer, mutations: 1000, memory_mib: 64 },
    Target { name: "template", run: template, mutations: 500, memory_mib: 512 },
    Target { name: "tool_calls", run: tool_calls, mutations: 3000, memory_mib: 64 },
    Target { name: "action", run: action, mutations: 3000, memory_mib: 64 },
    Target { name: "places", run: places, mutations: 3000, memory_mib: 64 },
    Target { name: "document", run: document, mutations: 2000, memory_mib: 64 },
    Target { name: "family", run: family, mutations: 3000, memory_mib: 64 },
    Target { name: "reply", run: reply, mutations: 4000, memory_mib: 64 },
    Target { name: "listing", run: listing, mutations: 4000, memory_mib: 64 },
    Target { name: "result", run: result, mutations: 3000, memory_mib: 64 },
    Target { name: "getevent", run: getevent, mutations: 4000, memory_mib: 64 },
    Target { name: "annotation", run: annotation, mutations: 4000, memory_mib: 64 },
    Target { name: "tfrecord", run: tfrecord, mutations: 4000, memory_mib: 64 },
    Target { name: "raw_answer", run: raw_answer, mutations: 2000, memory_mib: 64 },
    Target { name: "grammar", run: grammar, mutations: 300, memory_mib: 512 },
    Target { name: "image", run: image, mutations: 3000, memory_mib: 256 },
    Target { name: "gif", run: gif, mutations: 500, memory_mib: 256 },
];

/// Returns the folder with the corpus of all targets.
pub fn corpus() -> PathBuf {
    // This file is compiled in two packages, one in the folder of the other.
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let own = here.join("corpus");
    if own.is_dir() { own } else { here.join("fuzz/corpus") }
}

/// A GGUF file: the head, and what a model is made of.
pub fn gguf(bytes: &[u8]) {
    let _ = model::parse_gguf(bytes);
}

/// A safetensors file: the header, and all tensors.
pub fn safetensors(bytes: &[u8]) {
    let _ = model::safetensors(bytes);
}

/// Any of the small JSON files of a checkpoint.
pub fn config(bytes: &[u8]) {
    if let Ok(json) = str::from_utf8(bytes) {
        let _ = model::configs(json);
    }
}

/// The files of a tokenizer, then text in which it should find its tokens.
pub fn tokenizer(bytes: &[u8]) {
    let _ = model::tokenizer(bytes, "ab <|im_end|>ünd 12 <tool_call>");
}

/// A chat template, rendered with a conversation that has everything.
pub fn template(bytes: &[u8]) {
    let Ok(source) = str::from_utf8(bytes) else { return };
    if let Ok(template) = ChatTemplate::new(source) {
        for prompts in [true, false] {
            let _ = template.render(&conversation(), prompts);
        }
    }
}

fn conversation() -> Vec<Message> {
    let call = ToolCall { name: "click".to_owned(), arguments: json!({"x": 1, "y": [2.5, "é"]}) };
    let content = vec![Part::Image { image: 0 }, Part::Text { text: "Hi <there>".to_owned() }];
    vec![
        Message::text(Role::System, "Be brief."),
        Message::new(Role::User, content),
        Message { tool_calls: vec![call], ..Message::text(Role::Assistant, " done\n") },
        Message::text(Role::Tool, "{\"ok\": true}"),
        Message::new(Role::User, vec![Part::Video { video: 0 }]),
    ]
}

/// An answer with calls: it means the same however it comes in.
pub fn tool_calls(bytes: &[u8]) {
    let answer = String::from_utf8_lossy(bytes);
    let whole = split_answer(&answer);
    for size in [1, 3, 7] {
        let mut splitter = AnswerSplitter::default();
        let mut pieces = Vec::new();
        let mut part = String::new();
        for (index, char) in answer.chars().enumerate() {
            part.push(char);
            if index % size == size - 1 {
                pieces.extend(splitter.push(&std::mem::take(&mut part)));
            }
        }
        pieces.extend(splitter.push(&part));
        pieces.extend(splitter.finish());
        let (mut text, mut calls) = (String::new(), Vec::new());
        for piece in pieces {
            match piece {
                Piece::Text(more) => text.push_str(&more),
                Piece::Call(call) => calls.push(call),
            }
        }
        assert_eq!((text, calls), whole, "in parts of {size}");
    }
    for call in &whole.1 {
        let _ = python_json(&call.arguments);
    }
}

/// What a model answers, in every dialect.
pub fn action(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = Key::parse_chord(&text);
    for form in ["({x},{y})", "click(start_box='({x},{y},{x2},{y2})')"] {
        let form = AnswerForm::read(form).expect("a good form");
        let _ = form.find(&text);
    }
    let screen = Size { width: 1920, height: 1080 };
    for &dialect in Dialect::ALL {
        let _ = told(&text, dialect);
        for pointer in [None, Some(ModelPoint { x: 3, y: 4 })] {
            let Ok(reply) = parse_action_with_pointer(&text, dialect, pointer) else { continue };
            if dialect == Dialect::Json {
                // Our own form loses nothing.
                let printed = print_action(&reply.action, dialect);
                let again = parse_action_with_pointer(&printed, dialect, None);
                assert_eq!(again.expect("we read what we write").action, reply.action, "{printed}");
            }
            let on_screen: Action<ModelPoint> = reply.action;
            let _ = on_screen
                .map_points(|point| handsight_actions::PixelPoint { x: point.x, y: point.y })
                .validate(screen);
        }
    }
}

/// A list of boxes or points: what is taken of it lies on the picture, and in the reply.
///
/// # Panics
///
/// If it does not.
pub fn places(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let grid = Size { width: 1092, height: 728 };
    for kind in [ShapeKind::Boxes, ShapeKind::Points] {
        let Ok(list) = read_places(&text, kind, grid) else { continue };
        for place in list.places {
            let lies_inside = match place.shape {
                Shape::Box(area) => kind == ShapeKind::Boxes && area.is_inside(grid),
                Shape::Point(point) => kind == ShapeKind::Points && grid.contains(point),
            };
            assert!(lies_inside, "{:?}", place.shape);
            assert!(text.get(place.span.clone()).is_some(), "{:?} of {text:?}", place.span);
        }
    }
}

/// A document: its boxes lie on the picture, and its page is one, with nothing but harmless tags.
///
/// # Panics
///
/// If they do not.
pub fn document(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let screenshot = Size { width: 1000, height: 700 };
    let frame = Frame { screenshot, model: Size { width: 1008, height: 700 } };
    let Ok(document) = read_document_html(&text, frame) else { return };
    for area in document.elements.iter().filter_map(|element| element.area) {
        let (right, bottom) =
            (i64::from(area.x) + i64::from(area.width), i64::from(area.y) + i64::from(area.height));
        assert!(area.x >= 0 && area.y >= 0 && right <= 1000 && bottom <= 700, "{area:?}");
    }
    let own = Frame { screenshot, model: screenshot };
    let again = read_document_html(&document.html, own).expect("we write pages");
    assert!(again.refused.is_empty() && again.repairs.is_empty(), "{again:?}");
    let body = document.html.split_once("<body>").expect("a page has a body").1;
    for tag in body.split('<').skip(1) {
        let name = tag.trim_start_matches('/');
        let name: String = name.chars().take_while(char::is_ascii_alphanumeric).collect();
        assert!(!["script", "style", "iframe", "a"].contains(&name.as_str()), "{tag}");
    }
}

/// A family's data file.
pub fn family(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = agent::family(text);
    }
}

/// What a model's server answers: a stream, a body or an error.
pub fn reply(bytes: &[u8]) {
    let _ = agent::reply(bytes);
}

/// What a hub says is in a repository, and what a server says are its models.
pub fn listing(bytes: &[u8]) {
    let _ = model::hub_listing(bytes);
    let _ = agent::model_list(bytes);
}

/// The result of a suite, for `merge` and `--rerun-failed`: what is written of it can be read again, and its
/// page runs no script but its own.
///
/// # Panics
///
/// If that is not so.
pub fn result(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(suite) = scenarios::result(text) else { return };
    let _ = suite.failed_files();
    let twice = ["a", "b"].map(|name| (PathBuf::from(name), suite.clone()));
    let _ = merge(twice.into());
    let merged = merge(vec![(PathBuf::from("a"), suite)]);
    let Ok(merged) = merged else { return };
    let Ok(files) = scenarios::report(&merged) else { return };
    for (name, text) in files {
        match name {
            RESULT_FILE => {
                let again = scenarios::result(&text).expect("we read what we write");
                assert_eq!(again.tally, merged.tally);
                for step in again.scenarios.iter().flat_map(|run| &run.steps) {
                    let mut pictures = step.pictures.iter().chain(&step.after);
                    assert!(pictures.all(|picture| !picture.file.contains('/')), "{step:?}");
                }
            }
            "report.html" => assert_eq!(text.matches("<script").count(), 1, "{text}"),
            _ => {}
        }
    }
}

/// A record of annotations, and lines of a dataset and of predictions.
pub fn annotation(bytes: &[u8]) {
    let _ = scenarios::annotation(bytes);
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let (item, prediction) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    if let Ok((item, prediction)) = scenarios::lines(item, prediction) {
        judge(&item, &prediction);
    }
}

/// A file of TFRecords, with its checksums, and each input as a record by itself, which has none.
pub fn tfrecord(bytes: &[u8]) {
    let _ = scenarios::tfrecords(bytes);
    let _ = scenarios::tfrecord(bytes);
}

/// An answer as a model wrote it, which every scorer reads in its own way.
///
/// # Panics
///
/// If a place is not a number.
pub fn raw_answer(bytes: &[u8]) {
    let raw = String::from_utf8_lossy(bytes);
    if let Ok(Some([x, y])) = read_place(&raw).map(Place::click) {
        assert!(x.is_finite() && y.is_finite(), "{raw:?}");
    }
    let item = |target| {
        let size = json!({"width": 1280, "height": 720});
        json!({"id": "a", "image": "a", "image_sha256": "", "size": size, "instruction": "Save", "target": target})
    };
    let step =
        json!({"step": {"kind": "click", "touch": [0.5, 0.5], "boxes": [[0.4, 0.4, 0.6, 0.6]]}});
    let polygon = json!({"polygon": [[0, 0], [600, 0], [300, 500]]});
    let look = json!({"raw": raw, "resized": {"width": 1288, "height": 728}});
    let prediction = json!({"run": "", "id": "a", "looks": [look]}).to_string();
    for target in [json!({"box": [10, 20, 400, 300]}), polygon, step, json!("refusal")] {
        let item = item(target).to_string();
        let (item, prediction) = scenarios::lines(item.as_bytes(), prediction.as_bytes())
            .expect("we read what we write");
        judge(&item, &prediction);
    }
}

/// Has all scorers judge an answer, whatever its numbers count.
fn judge(item: &Item, prediction: &Prediction) {
    for counts in Counts::ALL {
        for (calls, boxes) in [(true, BoxForm::Extent), (false, BoxForm::Corners)] {
            let asked = Asked { counts, boxes, calls, first_look_only: false };
            for scorer in Scorer::ALL.into_iter().filter(|scorer| scorer.takes(&item.target)) {
                let judged = scorer.judge(item, prediction, asked);
                let rows = [(item, &judged)];
                assert!(totals(scorer, &rows).is_object());
            }
        }
    }
}

/// What a phone tells of its inputs, a line `---`, or `+++` before packets, and what is done with them: the same
/// however it comes in, and every place lies on the screen.
///
/// # Panics
///
/// If that is not so.
pub fn getevent(bytes: &[u8]) {
    const PARTED: [&[u8]; 2] = [b"---\n", b"+++\n"];
    let Some(at) = bytes.windows(4).position(|window| PARTED.contains(&window)) else { return };
    let (inputs, (line, events)) = (&bytes[..at], bytes[at..].split_at(4));
    let in_packets = line == PARTED[1];
    let inputs = String::from_utf8_lossy(inputs);
    let size = Size { width: 1080, height: 2400 };
    for degrees in [0, 90, 180, 270] {
        let whole = actions::getevent(&inputs, &[events], in_packets, (size, degrees));
        for piece in [1, 7, 300] {
            let pieces: Vec<&[u8]> = events.chunks(piece).collect();
            let parted = actions::getevent(&inputs, &pieces, in_packets, (size, degrees));
            // A line without an end is refused once it is too long, and not before it is all there.
            if let (Ok(whole), Ok(parted)) = (&whole, &parted) {
                assert_eq!(whole, parted, "in pieces of {piece}");
            }
        }
        for heard in whole.into_iter().flatten() {
            if let HeardInput::Down { point, .. } | HeardInput::Up { point, .. } = heard.what {
                assert!(point.is_some_and(|point| size.contains(point)), "{heard:?}");
            }
        }
    }
}

/// A constraint: `r` and a regular expression, `l` and a Lark grammar, or a JSON Schema. The last
/// byte decides on the way an answer takes.
pub fn grammar(bytes: &[u8]) {
    thread_local! {
        static GRAMMARS: Grammars = Grammars::new().expect("the embedded vocabulary is one");
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    let constraint = match text.split_at_checked(1) {
        Some(("r", regex)) => Constraint::Regex(regex.to_owned()),
        Some(("l", lark)) => Constraint::Lark(lark.to_owned()),
        _ => match serde_json::from_str::<Value>(text) {
            Ok(schema) => Constraint::JsonSchema(schema),
            Err(_) => return,
        },
    };
    let mut state = usize::from(bytes.last().copied().unwrap_or(0));
    let choose = |allowed: usize| {
        state = state.wrapping_mul(31).wrapping_add(7);
        state % allowed
    };
    GRAMMARS.with(|grammars| {
        let _ = grammars.walk(&constraint, 24, choose);
    });
}

/// A picture of any kind.
pub fn image(bytes: &[u8]) {
    let limits = DecodeLimits { max_bytes: 1 << 20, max_side: 2048, max_pixels: 1 << 20 };
    if let Ok(picture) = decode("(memory)", bytes, &limits) {
        assert!(u64::from(picture.width()) * u64::from(picture.height()) <= limits.max_pixels);
    }
}

/// An animation.
pub fn gif(bytes: &[u8]) {
    let frame_limits = DecodeLimits { max_bytes: 1 << 20, max_side: 512, max_pixels: 1 << 16 };
    let options = VideoOptions { frame_limits, ..VideoOptions::default() };
    let _ = model::gif(bytes, &options);
}
