//! What the grammars let a model write.

use std::sync::LazyLock;

use super::*;
use crate::prompt::PromptProfile;
use handsight_actions::{Answer, AnswerForm, Dialect, call_forms, parse_action};
use handsight_model::{
    CancelFlag, Constraint, Engine, GenerateOptions, Message, Request, Sampling, StopReason,
};

const FRAME: Size = Size { width: 308, height: 196 };

/// Lets the embedded checkpoint, which was trained on one of these forms at most, write by
/// `grammar`, and returns what it wrote.
fn write(grammar: String, prefix: &str, seed: u64) -> (String, StopReason) {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::embedded().unwrap());
    let temperature = 1.0;
    let request = Request {
        messages: vec![Message::image_and_text(0, "click \"Save\"")],
        images: vec![image::RgbImage::new(FRAME.width, FRAME.height).into()],
        prefix: Some(prefix.to_owned()),
        constraint: Some(Constraint::Lark(grammar)),
        options: GenerateOptions {
            max_new_tokens: 200,
            sampling: Sampling::Random { temperature, top_p: None, top_k: None, seed },
            ..GenerateOptions::default()
        },
        ..Request::default()
    };
    let written = ENGINE.generate(&request, &mut |_| {}, &CancelFlag::default()).unwrap();
    (written.text, written.stop)
}

/// Checks that whatever is written by `grammar` is a valid action.
#[track_caller]
fn check(grammar: &str, prefix: &str, after: &str, dialect: Dialect) {
    for seed in 0..4 {
        let (text, stop) = write(grammar.to_owned(), prefix, seed);
        assert_eq!(stop, StopReason::Stop, "{text}");
        let parsed = parse_action(&format!("{text}{after}"), dialect);
        let parsed = parsed.unwrap_or_else(|error| panic!("{error} in {text}"));
        assert!(parsed.repairs.is_empty(), "{:?} in {text}", parsed.repairs);
        parsed.action.validate(FRAME).unwrap();
    }
}

/// The grammar of a reply of such a checkpoint.
fn grammar(profile: &PromptProfile, goal: &str, done: &[&str], offered: &ActionSpace) -> String {
    let task = Task { goal, done, offered, grid: FRAME, box_tokens: true };
    reply(profile.agent().unwrap(), task)
}

fn embedded(goal: &str, done: &[&str]) -> String {
    grammar(&PromptProfile::embedded(), goal, done, &ActionSpace::desktop())
}

fn offered() -> ActionSpace {
    ActionSpace::new([Verb::LeftClick, Verb::Scroll, Verb::Terminate])
}

#[test]
fn a_line_and_its_action_are_what_the_embedded_checkpoint_must_write() {
    let goal = "double click \"Save As\" then type \"Zoë 中文 c:\\d\" into \"Name\"";
    let reply = |done: &[&str]| embedded(goal, done);
    for line in ["", "click \"Save As\"\n", "double click \"", "type \"Zoë"] {
        check(&reply(&[]), line, "", Dialect::Json);
    }
    let (text, _) = write(reply(&[]), "scroll down\n", 0);
    assert!(text.contains("\"action\":\"scroll\""), "{text}");
    let (text, _) = write(reply(&[]), "type \"Z", 0);
    let typed = "type \"Zoë 中文 c:\\d\"\n{\"action\":\"type\",\"text\":\"Zoë 中文 c:\\\\d\"}";
    assert_eq!(text, typed);
}

#[test]
fn what_the_goal_quotes_is_used_once_and_before_the_end() {
    let goal = "click \"Next\", click \"Next\", then click \"OK\"";
    let pieces = |done: &[&str]| match Pieces::of(goal, goal, done) {
        Pieces::Quoted { words, .. } => {
            words.iter().map(|word| word.shown).collect::<Vec<_>>().join(" ")
        }
        Pieces::Words(_) => panic!("the goal has quotes"),
    };
    assert_eq!(pieces(&[]), "Next Next OK");
    assert_eq!(pieces(&["click \"Next\"", "scroll down"]), "Next OK");
    let all = ["click \"Next\"", "click \"OK\"", "click \"Next\""];
    assert_eq!(pieces(&all), "");
    let grammar = |done: &[&str]| embedded(goal, done);
    let start = grammar(&all[..2]).lines().next().unwrap().to_owned();
    assert!(start.contains("left_click") && !start.contains("finished"), "{start}");
    let (text, _) = write(grammar(&all), "f", 0);
    assert_eq!(text, "finished\n{\"action\":\"terminate\",\"status\":\"success\"}");
}

#[test]
fn what_the_goal_says_to_press_is_pressed_once_and_before_the_end() {
    let goal = "Press Ctrl+A, type \"press Tab\" and press Enter. Then press \"Save\"";
    let left = |done: &[&str]| match Pieces::of(goal, goal, done) {
        Pieces::Quoted { chords, .. } => chords.join(" "),
        Pieces::Words(_) => panic!("the goal has quotes"),
    };
    assert_eq!(left(&[]), "Ctrl+A Enter");
    assert_eq!(left(&["press Enter", "press Enter"]), "Ctrl+A");
    let texts = ["type \"press Tab\"", "click \"Save\"", "press Ctrl+A"];
    let grammar = embedded(goal, &texts);
    let start = grammar.lines().next().unwrap();
    assert!(start.contains("key") && !start.contains("finished"), "{start}");
    let (text, _) = write(grammar, "press", 0);
    assert!(text.starts_with("press Enter\n"), "{text}");
    let all = [&texts[..], &["press Enter"]].concat();
    let (text, _) = write(embedded(goal, &all), "", 0);
    assert!(text.starts_with("finished") || text.starts_with("scroll"), "{text}");
}

#[test]
fn a_secret_is_read_as_a_word_and_typed_by_its_name() {
    let goal = "type \"{{secret:bank}}\" into \"Password\"";
    let (text, _) = write(embedded(goal, &["click \"Password\""]), "type", 0);
    let expected = "type \"Bank\"\n{\"action\":\"type\",\"text\":\"{{secret:bank}}\"}";
    assert_eq!(text, expected);
    let (text, _) = write(embedded(goal, &["click \"Password\"", "type \"Bank\""]), "f", 0);
    assert!(text.starts_with("finished\n"), "{text}");
}

#[test]
fn a_goal_without_quotes_lends_any_of_its_words() {
    let goal = "open Save As";
    let grammar = embedded(goal, &[]);
    for line in ["click \"Save As\"\n", "click \"As\"\n", "type \"", "finished\n"] {
        check(&grammar, line, "", Dialect::Json);
    }
}

#[test]
fn tool_calls_are_what_the_cookbook_checkpoints_must_write() {
    for profile in [PromptProfile::computer_use(), PromptProfile::mobile_use()] {
        let grammar = grammar(&profile, "click Save", &[], &offered());
        check(&grammar, "<tool_call>\n", "", profile.dialect());
    }
    let owl = PromptProfile::from_name("gui-owl-computer").unwrap();
    let offered = ActionSpace::new([Verb::LeftClick, Verb::Drag, Verb::Scroll]);
    let grammar = grammar(&owl, "click Save", &[], &offered);
    let before = "<thinking>It is blue.</thinking>\n<tool_call>\n";
    // What it concludes is cut off in the end, and is no part of the action.
    check_action(&grammar, before, owl.dialect());
}

#[test]
fn only_coordinates_are_open_when_a_point_is_forced() {
    let thought = "say \"é\"\n{\"action\":\"left_click\",\"coordinate\":";
    let grammar = coordinates(&format!("{thought}["), ",", "]}", FRAME);
    check(&grammar, thought, "", Dialect::Json);
    let call = "<tool_call>\n{\"name\": \"computer_use\", \"arguments\": \
                {\"action\": \"left_click\", \"coordinate\": [";
    let form = AnswerForm::read(&format!("{call}{{x}}, {{y}}]}}}}")).unwrap();
    check(&place(&form, None, FRAME, true), call, "\n</tool_call>", Dialect::ComputerUse);
}

#[test]
fn a_click_or_nothing_is_the_choice_when_something_is_looked_for() {
    let grammar = click_or_not_found("click \"Save\"\n", FRAME);
    check(&grammar, "click \"Save\"\n", "", Dialect::Json);
}

/// Checks the action of a reply that may go on to talk after it.
#[track_caller]
fn check_action(grammar: &str, before: &str, dialect: Dialect) {
    for seed in 0..2 {
        let (text, _) = write(grammar.to_owned(), before, seed);
        let parsed = parse_action(&text, dialect);
        let parsed = parsed.unwrap_or_else(|error| panic!("{error} in {text}"));
        assert!(parsed.repairs.is_empty(), "{:?} in {text}", parsed.repairs);
        parsed.action.validate(FRAME).unwrap();
    }
}

#[test]
fn every_call_of_a_dialect_can_be_written_and_is_read() {
    let cases = [
        ("ui-tars-computer", "Thought: It is blue.\nAction: "),
        ("ui-venus-web", "<think>It is blue.</think>\n<action>"),
        ("opencua-l2", "## Action:\nClick it.\n```python\n"),
    ];
    for (name, before) in cases {
        let profile = PromptProfile::from_name(name).unwrap();
        for form in call_forms(profile.dialect()) {
            // A text goes on for as long as so small a model likes.
            let has_text = ["{text}", "{said}"].iter().any(|hole| form.template.contains(hole));
            let shown = if has_text {
                let text = form.template.replace("{text}", "a\\'b").replace("{said}", "");
                format!("{before}{text}")
            } else {
                before.to_owned()
            };
            let grammar = grammar(&profile, "", &[], &ActionSpace::new([form.verb]));
            check_action(&grammar, &shown, profile.dialect());
        }
    }
}

#[test]
fn a_point_of_ui_tars_may_stand_between_its_tokens() {
    let profile = PromptProfile::from_name("ui-tars-computer").unwrap();
    let grammar = grammar(&profile, "", &[], &ActionSpace::new([Verb::LeftClick]));
    let before = "Thought: a\nAction: click(start_box='";
    for token in ["(", "<|box_start|>("] {
        check_action(&grammar, &format!("{before}{token}"), Dialect::UiTars);
    }
}

#[test]
fn an_answer_is_a_place_on_the_grid_or_that_there_is_none() {
    for (form, not_found, before) in [
        ("({x},{y})", None, ""),
        ("<|box_start|>({x},{y})<|box_end|>", None, "<|box_start|>"),
        ("[{x},{y},{x2},{y2}]", Some("[-1,-1,-1,-1]"), "["),
        ("[{x},{y},{x2},{y2}]", Some("[-1,-1,-1,-1]"), "[-"),
        (r#"{"action": "click_absolute", "x": {x}, "y": {y}}"#, None, ""),
        ("pyautogui.click(x={x}, y={y})", None, ""),
    ] {
        let form = AnswerForm::read(form).unwrap();
        let grammar = place(&form, not_found, FRAME, true);
        for seed in 0..2 {
            let (text, stop) = write(grammar.clone(), before, seed);
            assert_eq!(stop, StopReason::Stop, "{text}");
            match form.find(&text).unwrap_or_else(|error| panic!("{error} in {text}")) {
                Answer::Point(point) => assert!(FRAME.contains(point), "{text}"),
                Answer::Box(area) => assert!(area.is_inside(FRAME), "{text}"),
                Answer::Nowhere => assert!(before.ends_with('-'), "{text}"),
            }
        }
    }
}

#[test]
fn a_list_holds_nothing_but_places_on_the_grid() {
    use handsight_actions::{Fault, ParseError, ShapeKind, read_places};
    let one = "```json\n[\n\t{\"bbox_2d\": [0, 0, 308, 196], \"label\": \"a\\\"b\"}";
    for (kind, before) in [
        (ShapeKind::Boxes, "```json\n[\n"),
        (ShapeKind::Boxes, one),
        (ShapeKind::Points, "```json\n[\n\t{\"point_2d\": [30"),
        (ShapeKind::Points, "```json\n[]"),
    ] {
        for seed in 0..3 {
            let (text, stop) = write(places(kind, FRAME), before, seed);
            let list = read_places(&text, kind, FRAME).unwrap();
            assert_eq!(list.is_cut_off, stop == StopReason::Length, "{text}");
            for refused in &list.refused {
                let is_flat = matches!(refused, ParseError::Field { fault: Fault::Flat, .. });
                assert!(is_flat, "{refused} in {text}");
            }
            let in_form = list
                .repairs
                .iter()
                .all(|mend| mend.starts_with("swapped corners") || mend.starts_with("left out"));
            assert!(in_form, "{:?} in {text}", list.repairs);
        }
    }
}

#[test]
fn the_boxes_of_a_document_lie_on_the_grid_and_its_words_are_free() {
    use crate::document::read_document_html;
    use handsight_actions::Frame;
    let frame = Frame { screenshot: FRAME, model: FRAME };
    for seed in 0..4 {
        let before =
            "```html\n<html><body>\n<h1>data-box & data-bbox= \u{e9}</h1>\n<p data-bbox=\"";
        let (text, _) = write(document(FRAME), before, seed);
        let after = &text[before.len()..];
        let numbers: Vec<u32> = after
            .split(['"', ' '])
            .take(4)
            .map(|number| number.parse().unwrap_or_else(|_| panic!("{after:?}")))
            .collect();
        let within =
            numbers[0] <= 308 && numbers[1] <= 196 && numbers[2] <= 308 && numbers[3] <= 196;
        assert!(within && after.len() > 12, "{after:?}");
        assert_eq!(read_document_html(&text, frame).unwrap().elements[0].tag, "h1");
    }
}
