//! Published annotations of every form become items, and what cannot be judged is named.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use fs_err as fs;
use handsight_agent::CancelFlag;
use handsight_scenarios::benchmark::import::check::Check;
use handsight_scenarios::benchmark::import::schema::Schema;
use handsight_scenarios::benchmark::import::{ImportError, ImportOptions, import};
use handsight_scenarios::benchmark::{Dataset, Item, StepKind, Target};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{own_set, picture, write_json};

fn options(schema: &str) -> ImportOptions {
    let schema = Schema::named(schema).unwrap();
    ImportOptions { schema, name: None, images: None, drop_broken: false, only: None }
}

/// Imports one file beside its pictures.
fn read(folder: &Path, file: PathBuf, schema: &str) -> Result<(Check, Vec<Item>), ImportError> {
    let out = folder.join("dataset");
    let check = import(&[file], Some(&out), &options(schema), &CancelFlag::default(), &mut |_| {})?;
    Ok((check, Dataset::open(&out).unwrap().items))
}

/// A folder with a picture of 200 by 100.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    picture(&folder.path().join("a.png"), 200, 100);
    folder
}

#[test]
fn every_published_form_is_read_as_what_it_is() {
    let boxed = |area: [f64; 4]| Target::Box(area);
    let pro = |bbox: Value| {
        json!({"img_filename": "a.png", "bbox": bbox, "instruction": "Save", "id": "x1",
               "application": "vim", "platform": "linux", "img_size": [200, 100], "ui_type": "icon",
               "group": "Dev"})
    };
    let cases: Vec<(&str, &str, Value, Target)> = vec![
        (
            "screenspot-v2",
            "screenspot_mobile_v2.json",
            json!({"img_filename": "a.png", "bbox": [10, 20, 30, 40], "instruction": "Save",
                   "data_type": "text", "data_source": "shop"}),
            boxed([10.0, 20.0, 40.0, 60.0]),
        ),
        (
            "screenspot-hf",
            "web.json",
            json!({"file_name": "a.png", "bbox": [0.1, 0.2, 0.5, 0.6], "instruction": "Save",
                   "data_type": "text", "data_source": "shop"}),
            boxed([20.0, 20.0, 100.0, 60.0]),
        ),
        (
            "screenspot-pro",
            "vim_linux.json",
            pro(json!([10, 20, 30, 40])),
            boxed([10.0, 20.0, 30.0, 40.0]),
        ),
        (
            "ui-vision",
            "basic.json",
            json!({"image_path": "a.png", "bbox": [30.5, 40.0, 10.0, 20.0], "platform": "gimp",
                   "prompt_to_evaluate": "Save", "image_size": [200, 100], "category": "basic",
                   "element_type": "icon"}),
            boxed([10.0, 20.0, 30.5, 40.0]),
        ),
        (
            "osworld-g",
            "g.json",
            json!({"image": "a.png", "instruction": "Save", "image_size": [200, 100], "id": "1",
                   "box_type": "polygon", "box_coordinates": [0, 0, 10, 0, 5, 9]}),
            Target::Polygon(vec![[0.0, 0.0], [10.0, 0.0], [5.0, 9.0]]),
        ),
        ("osworld-g-mai", "m.json", pro(json!([0, 0, 0, 0])), Target::Refusal),
        (
            "osworld-g-mai",
            "m2.json",
            pro(json!([0, 0, 10, 0, 5, 9])),
            Target::Polygon(vec![[0.0, 0.0], [10.0, 0.0], [5.0, 9.0]]),
        ),
    ];
    for (schema, name, record, expected) in cases {
        let folder = folder();
        let file = write_json(&folder.path().join(name), &json!([record]));
        let (_, items) = read(folder.path(), file, schema).unwrap();
        assert_eq!(items[0].target, expected, "{schema}");
        assert_eq!(items[0].instruction, "Save");
    }
}

#[test]
fn steps_are_read_with_their_touches_and_boxes() {
    let folder = folder();
    let step = |kind: Value, touch: &str, lift: &str| {
        json!({"image_path": "a.png", "instruction": "Turn it on", "episode_id": "7", "step_id": 0,
               "subset": "general", "result_action_type": kind, "result_touch_yx": touch,
               "result_lift_yx": lift, "result_action_text": "Paris",
               "ui_positions": "[[0.1, 0.2, 0.3, 0.4]]"})
    };
    let records = json!([
        step(json!(4), "[0.25, 0.5]", "[0.25, 0.52]"),
        step(json!("DUAL_POINT"), "[0.8, 0.5]", "[0.2, 0.5]"),
        step(json!(3), "[-1, -1]", "[-1, -1]"),
        step(json!(6), "[-1, -1]", "[-1, -1]"),
    ]);
    let file = write_json(&folder.path().join("steps.json"), &records);
    let (_, items) = read(folder.path(), file, "aitz").unwrap();
    let steps: Vec<_> = items
        .iter()
        .map(|item| match &item.target {
            Target::Step(step) => step,
            other => panic!("{other:?}"),
        })
        .collect();
    let kinds: Vec<_> = steps.iter().map(|step| step.kind).collect();
    assert_eq!(kinds, [StepKind::Click, StepKind::Scroll, StepKind::Type, StepKind::Press]);
    assert_eq!(steps[0].touch, Some([0.5, 0.25]));
    let [left, top, right, bottom] = steps[0].boxes[0];
    assert!((left - 0.2).abs() < 1e-9 && (top - 0.1).abs() < 1e-9);
    assert!((right - 0.6).abs() < 1e-9 && (bottom - 0.4).abs() < 1e-9);
    assert_eq!((steps[2].text.as_deref(), steps[3].text.as_deref()), (Some("Paris"), Some("home")));
    assert_eq!(items[0].tag("episode"), Some("7"));
}

/// The same four records as lines, packed, as a table with pictures in it, and as pyarrow wrote them.
#[test]
fn every_kind_of_file_is_read() {
    let folder = folder();
    let png = fs::read(folder.path().join("a.png")).unwrap();
    let record = |index: usize| {
        json!({"img_filename": "a.png", "bbox": [index, 20, 30, 40], "instruction": format!("Save {index}"),
               "data_type": "text", "data_source": "shop"})
    };
    let lines: Vec<_> = (0..4).map(|index| record(index).to_string()).collect();
    let lines = lines.join("\n");
    let plain = folder.path().join("lines.jsonl");
    fs::write(&plain, &lines).unwrap();
    let packed = folder.path().join("packed.jsonl.gz");
    let mut encoder = GzEncoder::new(fs::File::create(&packed).unwrap(), Compression::fast());
    encoder.write_all(lines.as_bytes()).unwrap();
    encoder.finish().unwrap();

    let mut table = vec!["index\timage\tquestion\tbbox\tdata_type\tcategory".to_owned()];
    for index in 0..4 {
        // Only the first has the picture; the others name it.
        let picture = if index == 0 { STANDARD.encode(&png) } else { "0".to_owned() };
        table.push(format!("{index}\t{picture}\tSave {index}\t[{index}, 20, 30, 40]\ttext\tWeb"));
    }
    let tsv = folder.path().join("ScreenSpot_Web.tsv");
    fs::write(&tsv, table.join("\n")).unwrap();

    for (file, schema) in [
        (plain, "screenspot"),
        (packed, "screenspot"),
        (tsv, "vlmevalkit-screenspot"),
        (
            Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/benchmark/screenspot.parquet"),
            "screenspot-hf",
        ),
    ] {
        let out = TempDir::new().unwrap();
        let name = file.display().to_string();
        let check = import(
            &[file],
            Some(out.path()),
            &options(schema),
            &CancelFlag::default(),
            &mut |_| {},
        );
        let check = check.unwrap_or_else(|error| panic!("{name}: {error} {:?}", error.details()));
        let dataset = Dataset::open(out.path()).unwrap();
        assert_eq!(dataset.items.len(), 4, "{name}");
        assert_eq!(dataset.items[3].instruction, "Save 3", "{name}");
        assert_eq!(dataset.items[3].size.to_string(), "200×100", "{name}");
        let Target::Box([left, top, ..]) = dataset.items[3].target else { panic!("{name}") };
        assert!((left - 3.0).abs() < 1e-9 && (top - 20.0).abs() < 1e-9, "{name}: {left}");
        assert!(dataset.picture(&dataset.items[0]).exists(), "{name}");
        assert_eq!(check.is_as_published(), schema.starts_with("vlm"), "four items are not 1272");
    }
}

#[test]
fn what_cannot_be_judged_is_named_with_its_place() {
    let good = json!({"img_filename": "a.png", "bbox": [1, 2, 3, 4], "instruction": "Save", "id": "good",
                      "img_size": [200, 100], "ui_type": "text"});
    let with = |key: &str, value: Value| {
        let mut record = good.clone();
        record["id"] = json!("bad");
        record[key] = value;
        record
    };
    let cases = [
        (with("bbox", json!([30, 2, 3, 4])), "the box [30, 2, 3, 4] has its corners swapped"),
        (with("bbox", json!([1, 2, 3])), "`bbox` has 3 numbers, not 4"),
        (
            with("bbox", json!([1, 2, null, 4])),
            "`bbox` has something that is no number: [1,2,null,4]",
        ),
        (with("bbox", json!("all of it")), "`bbox` is no list of numbers: \"all of it\""),
        (with("img_filename", json!("b.png")), "the picture `b.png` is not in "),
        (
            with("img_filename", json!("../a.png")),
            "the picture `../a.png` lies outside the folder of pictures",
        ),
        (
            with("img_size", json!([100, 200])),
            "`img_size` says [100.0, 200.0] but the picture is 200×100",
        ),
        (with("instruction", json!(" ")), "the instruction is empty"),
        (with("id", json!("good")), "another item has the same id"),
    ];
    for (bad, problem) in cases {
        let folder = folder();
        let file = write_json(&folder.path().join("set.json"), &json!([good, bad]));
        let error = read(folder.path(), file.clone(), "screenspot-pro").unwrap_err();
        assert_eq!(error.to_string(), "1 of 2 items cannot be judged");
        let details = error.details().join("\n");
        assert!(details.contains(problem) && details.contains("set.json, record 2"), "{details}");
        assert!(!folder.path().join("dataset").exists());

        let options = ImportOptions { drop_broken: true, ..options("screenspot-pro") };
        let out = folder.path().join("rest");
        import(&[file], Some(&out), &options, &CancelFlag::default(), &mut |_| {}).unwrap();
        let rest = Dataset::open(&out).unwrap();
        assert_eq!((rest.items.len(), rest.info.dropped.len()), (1, 1));
    }
}

#[test]
fn odd_polygons_and_hostile_files_are_refused() {
    let folder = folder();
    let odd = json!([{"img_filename": "a.png", "bbox": [0, 0, 5, 5, 9], "instruction": "Save",
                      "id": "x", "img_size": [200, 100]}]);
    let file = write_json(&folder.path().join("odd.json"), &odd);
    let error = read(folder.path(), file, "osworld-g-mai").unwrap_err();
    assert!(error.details()[0].ends_with("the polygon has 5 numbers, which is odd"));

    // Python writes NaN, which is no JSON: the line is named.
    let file = folder.path().join("nan.jsonl");
    fs::write(&file, "{\"img_filename\": \"a.png\", \"bbox\": [NaN, 2, 3, 4]}\n").unwrap();
    let error = read(folder.path(), file, "screenspot-pro").unwrap_err();
    assert!(error.to_string().contains("nan.jsonl`, line 1: expected value"), "{error}");

    let file = folder.path().join("long.jsonl");
    let mut long = fs::File::create(&file).unwrap();
    for _ in 0..66 {
        long.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let error = read(folder.path(), file, "screenspot-pro").unwrap_err();
    assert!(error.to_string().contains("long.jsonl`, line 1: longer than"), "{error}");

    for (name, text, problem) in [
        ("object.json", "{}", "it is no list of records"),
        ("cut.json", "[{", "EOF while parsing"),
        ("pickle.pkl", "", "it is no .json, .jsonl, .tsv, .parquet or .tfrecord file"),
        ("cut.parquet", "PAR1", "cannot be read"),
        ("empty.jsonl", "", "has no items"),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        let error = read(folder.path(), file, "screenspot-pro").unwrap_err();
        assert!(error.to_string().contains(problem), "{name}: {error}");
    }
}

#[test]
fn corners_are_not_taken_for_extents_nor_pixels_for_shares() {
    let folder = folder();
    let pro = json!([{"img_filename": "a.png", "bbox": [1, 2, 3, 4], "instruction": "Save", "id": "x",
                      "img_size": [200, 100], "ui_type": "text", "data_type": "text"}]);
    let file = write_json(&folder.path().join("pro.json"), &pro);
    let error = read(folder.path(), file, "screenspot-v2").unwrap_err();
    let problem =
        "it has `img_size`, which `screenspot-v2` has not: it is written in another schema";
    assert!(error.details()[0].ends_with(problem), "{:?}", error.details());

    let pixels = json!([{"image_path": "a.png", "instruction": "On", "result_action_type": 4,
                         "result_touch_yx": "[50, 100]", "result_lift_yx": "[50, 100]"}]);
    let file = write_json(&folder.path().join("pixels.json"), &pixels);
    let error = read(folder.path(), file, "aitz").unwrap_err();
    let problem = "the step has places that are no shares of the screen's sides";
    assert!(error.details()[0].ends_with(problem), "{:?}", error.details());
}

#[test]
fn folders_are_searched_to_the_bottom_but_not_through_datasets() {
    let folder = TempDir::new().unwrap();
    for name in ["one", "two/deeper"] {
        let below = folder.path().join(name);
        fs::create_dir_all(&below).unwrap();
        picture(&folder.path().join("a.png"), 200, 100);
        let record = json!([{"image": "a.png", "image_path": "a.png", "id": name, "instruction": "Save",
                             "box_type": "refusal", "image_size": [200, 100], "GUI_types": ["Text", "Icon"]}]);
        write_json(&below.join("set.json"), &record);
    }
    let options = ImportOptions { images: Some(folder.path().to_owned()), ..options("osworld-g") };
    let out = folder.path().join("dataset");
    let sources = [folder.path().to_owned()];
    for _ in 0..2 {
        import(&sources, Some(&out), &options, &CancelFlag::default(), &mut |_| {}).unwrap();
        let items = Dataset::open(&out).unwrap().items;
        let ids: Vec<_> = items.iter().map(|item| item.id.as_str()).collect();
        assert_eq!(ids, ["one", "two/deeper"]);
        assert_eq!(items[0].tag("category"), Some("Text+Icon"));
    }
}

#[test]
fn a_check_counts_and_finds_what_is_odd() {
    let folder = folder();
    let record = |bbox: Value, instruction: &str| {
        json!({"img_filename": "a.png", "bbox": bbox, "instruction": instruction, "data_type": "text",
               "data_source": "shop"})
    };
    let records = json!([
        record(json!([10, 20, 30, 40]), "Save"),
        record(json!([10, 20, 30, 40]), "Save"),
        record(json!([190, 20, 30, 40]), "Open"),
        record(json!([10, 20, 0, 40]), "Close"),
        record(json!([0, 0, 200, 90]), "All"),
    ]);
    let file = write_json(&folder.path().join("screenspot_web_v2.json"), &records);
    let options = options("screenspot-v2");
    let check = import(&[file], None, &options, &CancelFlag::default(), &mut |_| {}).unwrap();
    let odd: Vec<_> = check.odd.iter().map(|finding| finding.problem.as_str()).collect();
    assert_eq!(
        odd,
        [
            "the same question about the same picture is there twice",
            "the middle of the box [190.0, 20.0, 220.0, 60.0] lies outside the picture of 200×100",
            "the box [10.0, 20.0, 10.0, 60.0] has no area",
            "the box [0.0, 0.0, 200.0, 90.0] covers more than half of the picture",
        ]
    );
    let counts: Vec<_> = check
        .counts
        .iter()
        .map(|count| (count.what.as_str(), count.found, count.published))
        .collect();
    assert!(
        counts.contains(&("items", 5, Some(1272)))
            && counts.contains(&("platform web", 5, Some(437)))
    );
    assert!(counts.contains(&("platform mobile", 0, Some(501))));
}

#[test]
fn a_dataset_that_was_changed_is_noticed() {
    let folder = TempDir::new().unwrap();
    let file = own_set(folder.path(), 4);
    read(folder.path(), file, "handsight").unwrap();
    let items = folder.path().join("dataset/items.jsonl");
    let text = fs::read_to_string(&items).unwrap();
    fs::write(&items, text.replace("Save 1", "Save 9")).unwrap();
    let error = Dataset::open(&folder.path().join("dataset")).unwrap_err();
    assert!(error.to_string().ends_with("was changed after it was imported"), "{error}");
    assert_eq!(error.hint().as_deref(), Some("import it again"));
}
