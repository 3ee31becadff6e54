//! Every form a list of places is known to come in, and what is refused.

use proptest::prelude::*;

use super::*;

const GRID: Size = Size { width: 1000, height: 500 };

/// Reads a reply and writes down what was understood of it, one line for each place, mend and
/// refusal.
fn told(reply: &str, kind: ShapeKind) -> String {
    let list = match read_places(reply, kind, GRID) {
        Ok(list) => list,
        Err(error) => return format!("error: {error}"),
    };
    let place = |place: &NamedPlace| {
        let at = match place.shape {
            Shape::Box(area) => format!("{:?}", <[i32; 4]>::from(area)),
            Shape::Point(point) => point.to_string(),
        };
        let more = if place.fields.is_empty() {
            String::new()
        } else {
            format!(" {}", serde_json::Value::from(place.fields.clone()))
        };
        format!("{at} {:?}{more}", place.label)
    };
    let mut lines: Vec<String> = list.places.iter().map(place).collect();
    lines.extend(list.repairs.iter().map(|repair| format!("mended: {repair}")));
    lines.extend(list.refused.iter().map(|error| format!("refused: {error}")));
    lines.extend(list.is_cut_off.then(|| "cut off".to_owned()));
    lines.join("\n")
}

#[track_caller]
fn boxes(reply: &str, expected: &str) {
    assert_eq!(told(reply, ShapeKind::Boxes), expected, "{reply}");
}

#[track_caller]
fn points(reply: &str, expected: &str) {
    assert_eq!(told(reply, ShapeKind::Points), expected, "{reply}");
}

const TWO: &str = "[10, 20, 30, 40] \"Save\"\n[50, 60, 70, 80] \"Cancel\"";

#[test]
fn the_form_of_the_cookbooks_needs_no_mending() {
    let list = "[\n\t{\"bbox_2d\": [10, 20, 30, 40], \"label\": \"Save\"},\n\
                \t{\"bbox_2d\": [50, 60, 70, 80], \"label\": \"Cancel\"}\n]";
    boxes(list, TWO);
    boxes(&format!("```json\n{list}\n```"), TWO);
    boxes(&format!("Here they are:\n```json\n{list}\n```\nTwo buttons."), TWO);
    boxes(&format!("<think>[1, 2, 3, 4]?</think>{list}"), TWO);
    points(
        r#"[{"point_2d": [12, 34], "label": "Save"}, {"point_2d": [56, 78], "label": "Cancel"}]"#,
        "(12, 34) \"Save\"\n(56, 78) \"Cancel\"",
    );
}

#[test]
fn one_object_or_several_in_a_row_are_a_list() {
    boxes(r#"{"bbox_2d": [10, 20, 30, 40], "label": "Save"}"#, "[10, 20, 30, 40] \"Save\"");
    let row = "{\"bbox_2d\": [10, 20, 30, 40], \"label\": \"Save\"}\n\
               {\"bbox_2d\": [50, 60, 70, 80], \"label\": \"Cancel\"}";
    boxes(row, TWO);
    boxes(&format!("{{\"objects\": [{}]}}", row.replace('\n', ",")), TWO);
    boxes(r#"{"Save": [10, 20, 30, 40], "Cancel": [50, 60, 70, 80]}"#, TWO);
    boxes(r#"{"Save": {"bbox": [10, 20, 30, 40]}, "Cancel": [[50, 60, 70, 80]]}"#, TWO);
}

#[test]
fn python_and_other_names_are_read() {
    let list = "[{'bbox_2d': (10, 20, 30, 40), 'label': 'Save',}, {'box': [50, 60, 70, 80], 'name': 'Cancel'}]";
    let told = format!("{TWO}\nmended: single quotes\nmended: a tuple\nmended: a trailing comma");
    boxes(list, &told);
    boxes(
        r#"[{"x1": 10, "y1": 20, "x2": 30, "y2": 40, "text": "Save"}]"#,
        "[10, 20, 30, 40] \"Save\"",
    );
    boxes(
        r#"[{"bbox_2d": "10, 20, 30, 40", "label": "Save"}]"#,
        "[10, 20, 30, 40] \"Save\"\nmended: a string in `bbox_2d`",
    );
    boxes(r#"{"bbox": [[10, 20], [30, 40]], "label": 7}"#, "[10, 20, 30, 40] \"7\"");
    points(r#"{"x": 12, "y": 34.9, "label": "Save"}"#, "(12, 34) \"Save\"");
    points(r#"{"label": "Save", "points": [{"x": 12, "y": 34}]}"#, "(12, 34) \"Save\"");
}

#[test]
fn labels_may_be_missing_and_other_fields_are_kept() {
    boxes("[10, 20, 30, 40]", "[10, 20, 30, 40] \"\"");
    boxes("[[10, 20, 30, 40], [50, 60, 70, 80]]", "[10, 20, 30, 40] \"\"\n[50, 60, 70, 80] \"\"");
    boxes(r#"[{"bbox_2d": [10, 20, 30, 40]}]"#, "[10, 20, 30, 40] \"\"");
    boxes(
        r#"[{"bbox_2d": [10, 20, 30, 40], "label": "bird", "text_content": "x", "n": 2}]"#,
        "[10, 20, 30, 40] \"bird\" {\"text_content\":\"x\",\"n\":2}",
    );
    boxes(
        r#"[{"label": "chair", "bbox_2d": [[10, 20, 30, 40], [50, 60, 70, 80]]}]"#,
        "[10, 20, 30, 40] \"chair\"\n[50, 60, 70, 80] \"chair\"",
    );
    points("It is at (12, 34).", "(12, 34) \"\"\nmended: a tuple");
}

#[test]
fn tags_hold_places_too() {
    let old = "<|object_ref_start|>Save<|object_ref_end|><|box_start|>(10,20),(30,40)<|box_end|>";
    boxes(old, "[10, 20, 30, 40] \"Save\"");
    boxes("<ref>Save</ref><box>(10,20),(30,40)</box>", "[10, 20, 30, 40] \"Save\"");
    let xml = r#"<points x1="12" y1="34" x2="56" y2="78" alt="wheel">a wheel</points>"#;
    points(xml, "(12, 34) \"wheel\"\n(56, 78) \"wheel\"");
    points("<point x='12' y='34'>a wheel</point>", "(12, 34) \"a wheel\"");
    points("<point>12 34</point>", "(12, 34) \"\"");
    points("<points x1=\"12\" y1=\"3", "cut off");
    boxes("<box>(10,20),(30", "cut off");
}

#[test]
fn what_breaks_off_is_good_up_to_its_last_whole_entry() {
    let whole = "[{\"bbox_2d\": [10, 20, 30, 40], \"label\": \"Save\"}";
    let told = "[10, 20, 30, 40] \"Save\"\ncut off";
    for rest in [
        "",
        ",",
        ", {",
        ", {\"bbox_2d\": [5",
        ", {\"bbox_2d\": [50, 60, 70, 80], \"lab",
        ", {\"label\": \"{{",
    ] {
        boxes(&format!("{whole}{rest}"), told);
    }
    // All values are whole, and only the braces are missing.
    boxes(&whole[..whole.len() - 1], told);
    boxes(&format!("{{\"objects\": {whole}, {{\"bbox_2d\": [5"), told);
    boxes("[", "cut off");
    boxes("```json\n[{\"bbox_2d\": [1, 2", "cut off");
}

#[test]
fn an_empty_list_is_none_and_words_are_no_list() {
    boxes("```json\n[]\n```", "");
    boxes("{\"objects\": []}", "");
    boxes("", "error: the reply is empty");
    boxes("<think>hm</think> \n", "error: the reply is empty");
    let no_list = "error: the reply names no place: expected `[{\"bbox_2d\": [x1, y1, x2, y2], \"label\": \"…\"}]`";
    boxes("There is no [visible] button (none at all) {here}.", no_list);
    points(
        "no",
        "error: the reply names no place: expected `[{\"point_2d\": [x, y], \"label\": \"…\"}]`",
    );
}

#[test]
fn corners_are_put_in_order_and_boxes_cut_off_at_the_edge() {
    boxes(
        r#"[{"bbox_2d": [30, 40, 10, 20], "label": "Save"}]"#,
        "[10, 20, 30, 40] \"Save\"\nmended: swapped corners of \"Save\"",
    );
    boxes(
        r#"[{"bbox_2d": [-5, 20, 2000, 40], "label": "Save"}]"#,
        "[0, 20, 1000, 40] \"Save\"\n\
         mended: cut the box of \"Save\" off at the edge of the 1000×500 image",
    );
    boxes("[10.4, 20.6, 30.2, 40.0]", "[10, 20, 31, 40] \"\"");
    points("[10, 20, 30, 40]", "(20, 30) \"\"\nmended: a box in the place of a point");
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place_and_the_rest_stands() {
    let check = |entry: &str, expected: &str| {
        let reply = format!("[{entry}, {{\"bbox_2d\": [10, 20, 30, 40], \"label\": \"Save\"}}]");
        boxes(&reply, &format!("[10, 20, 30, 40] \"Save\"\nrefused: {expected}"));
    };
    check(
        r#"{"bbox_2d": [1000, 2, 1003, 4], "label": "a"}"#,
        "`bbox_2d` at byte 13: [1000, 2, 1003, 4] lies outside the 1000×500 image",
    );
    check(r#"{"bbox_2d": [1, 2, 1, 4]}"#, "`bbox_2d` at byte 13: the box has no area");
    check(
        r#"{"bbox_2d": [1, 2, 3]}"#,
        "`bbox_2d` at byte 13: 3 numbers are neither a point [x, y] nor a box [x1, y1, x2, y2]",
    );
    check(
        r#"{"bbox_2d": [0.1, 0.2, 0.3, 0.4]}"#,
        "`bbox_2d` at byte 13: coordinates are pixels of the image, not fractions of it",
    );
    check(
        r#"{"point_2d": [1, 2]}"#,
        "`point_2d` at byte 14: expected a box [x1, y1, x2, y2], found a point",
    );
    check(r#"{"label": "a"}"#, "the entry at byte 1 has no `bbox_2d`");
    check(
        r#"{"bbox_2d": ["a", 2]}"#,
        "`bbox_2d` at byte 13: expected a list of numbers, found an array",
    );
    check(r#"{"bbox_2d" [1, 2, 3, 4]}"#, "broken JSON at byte 12: expected `:`, found '['");
    check("\"Save\"", "broken JSON at byte 1: expected an entry with a place, found a string");
    points(
        "[1000, 20]",
        "refused: `point_2d` at byte 0: (1000, 20) lies outside the 1000×500 image",
    );
}

#[test]
fn repetitions_are_left_out_and_counted() {
    let entry = r#"{"bbox_2d": [10, 20, 30, 40], "label": "Save"}"#;
    let reply = format!("[{}]", [entry; 5].join(","));
    boxes(&reply, "[10, 20, 30, 40] \"Save\"\nmended: left out 4 repetitions");
}

#[test]
fn a_place_knows_the_bytes_of_its_numbers() {
    let reply = "at: [{\"bbox_2d\": [10, 20, 30, 40], \"label\": \"12\"}]";
    let list = read_places(reply, ShapeKind::Boxes, GRID).unwrap();
    assert_eq!(&reply[list.places[0].span.clone()], "10, 20, 30, 40");
    let xml = "<point y='34' x='12'>a</point>";
    let list = read_places(xml, ShapeKind::Points, GRID).unwrap();
    assert_eq!(&xml[list.places[0].span.clone()], "34' x='12");
}

#[test]
fn a_box_alone_is_read_from_its_numbers() {
    let read = |text: &str| match read_box(text, GRID) {
        Ok((area, mends)) => format!("{:?} {mends:?}", <[i32; 4]>::from(area)),
        Err(fault) => fault.to_string(),
    };
    assert_eq!(read("10 20 30 40"), "[10, 20, 30, 40] []");
    assert_eq!(read("30, 40, 10, 2000"), "[10, 40, 30, 500] [Swapped, CutAtEdge]");
    assert!(read("1 2 3").starts_with("3 numbers"), "{}", read("1 2 3"));
    assert_eq!(read("a b c d"), "expected a number, found \"a b c d\"");
    assert!(read("2000 1 2001 3").ends_with("lies outside the 1000×500 image"));
}

proptest! {
    #[test]
    fn no_reply_makes_the_reader_panic(reply in "[ -~é\\[\\](){}0-9,\"'<>=\\n]{0,120}") {
        for kind in [ShapeKind::Boxes, ShapeKind::Points] {
            let _ = read_places(&reply, kind, GRID);
        }
    }

    #[test]
    fn no_cut_of_a_reply_invents_a_place(at in 0..200usize) {
        let reply = "```json\n[\n\t{\"bbox_2d\": [10, 20, 30, 40], \"label\": \"Säve\"},\n\
                     \t{\"bbox_2d\": [50, 60, 70, 80], \"label\": \"Cancel\"}\n]\n```";
        let whole = read_places(reply, ShapeKind::Boxes, GRID).unwrap();
        let cut: String = reply.chars().take(at).collect();
        if let Ok(list) = read_places(&cut, ShapeKind::Boxes, GRID) {
            let shapes = |list: &PlaceList| -> Vec<Shape> {
                list.places.iter().map(|place| place.shape).collect()
            };
            prop_assert!(shapes(&whole).starts_with(&shapes(&list)), "{cut}");
            for (cut, whole) in list.places.iter().zip(&whole.places) {
                prop_assert!(cut.label.is_empty() || cut.label == whole.label, "{}", cut.label);
            }
        }
    }
}
