//! Sets that are published as episodes: AndroidControl and AITW in files of TFRecords that other programs
//! wrote, AgentNetBench in files of JSON, judged to the digit as its own script does.
//!
//! Goldens: `golden/tfrecords`, which `scenarios/reference/tfrecords.py` made with the packages `tfrecord` and
//! `android-env`; `golden/benchmark/scorers.json`.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use fs_err as fs;
use handsight_actions::Size;
use handsight_agent::CancelFlag;
use handsight_scenarios::benchmark::import::check::Check;
use handsight_scenarios::benchmark::import::schema::Schema;
use handsight_scenarios::benchmark::import::{ImportError, ImportOptions, import};
use handsight_scenarios::benchmark::scorer::totals;
use handsight_scenarios::benchmark::{Dataset, Item, Scorer, Step, StepKind, Target};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::scorers::{ASKED, prediction};
use super::{picture, write_json};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// A folder with a copy of a file of records.
fn folder_with(name: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::copy(golden("tfrecords").join(name), folder.path().join(name)).unwrap();
    folder
}

fn read(
    from: &Path,
    schema: &str,
    only: Option<(&str, &str)>,
) -> Result<(TempDir, Check, Dataset), ImportError> {
    let out = TempDir::new().unwrap();
    let options = ImportOptions {
        schema: Schema::named(schema).unwrap(),
        name: None,
        images: None,
        drop_broken: false,
        only: only.map(|(tag, value)| (tag.to_owned(), value.to_owned())),
    };
    let check = import(
        &[from.to_owned()],
        Some(out.path()),
        &options,
        &CancelFlag::default(),
        &mut |_| {},
    )?;
    let dataset = Dataset::open(out.path()).unwrap();
    Ok((out, check, dataset))
}

fn step(item: &Item) -> &Step {
    match &item.target {
        Target::Step(step) => step,
        other => panic!("{other:?}"),
    }
}

const CONTROL: &str = "android_control-00000-of-00001";

#[test]
fn android_control_is_read_as_it_is_published() {
    let folder = folder_with(CONTROL);
    write_json(&folder.path().join("splits.json"), &json!({"train": [9], "test": [3, 4]}));
    write_json(
        &folder.path().join("test_subsplits.json"),
        &json!({"IDD": [4], "app_unseen": [3], "task_unseen": [3]}),
    );
    let (out, _, dataset) = read(folder.path(), "android-control", None).unwrap();
    let kinds: Vec<_> = dataset.items.iter().map(|item| step(item).kind).collect();
    assert_eq!(
        kinds,
        [
            StepKind::Open,
            StepKind::Click,
            StepKind::Scroll,
            StepKind::Type,
            StepKind::LongPress,
            StepKind::Press,
            StepKind::Wait,
            StepKind::Press
        ]
    );
    let click = &dataset.items[1];
    assert_eq!((click.id.as_str(), click.instruction.as_str()), ("3-1", "Wake me at seven"));
    assert_eq!(click.history, ["open the clock"]);
    assert_eq!(click.tag("split"), Some("test"));
    assert_eq!(click.tag("subset"), Some("app_unseen+task_unseen"));
    assert_eq!(click.size, Size { width: 108, height: 240 });
    assert_eq!(step(click).touch, Some([0.25, 0.25]));
    // What is hidden is no candidate, and what reaches out of the screen ends at its edge.
    let boxes: Vec<[f64; 4]> = step(click).boxes.clone();
    let pixels: Vec<_> = boxes
        .iter()
        .map(|area| {
            [area[0] * 108.0, area[1] * 240.0, area[2] * 108.0, area[3] * 240.0].map(f64::round)
        })
        .collect();
    assert_eq!(
        pixels,
        [[0.0, 0.0, 108.0, 240.0], [10.0, 20.0, 50.0, 60.0], [0.0, 230.0, 30.0, 240.0]]
    );
    // To see what is below, the finger goes up.
    let Step { touch: Some([_, from]), lift: Some([_, to]), .. } = step(&dataset.items[2]) else {
        panic!("a scroll has two ends");
    };
    assert!(to < from);
    let texts: Vec<_> = dataset.items.iter().map(|item| step(item).text.as_deref()).collect();
    assert_eq!(texts[0], Some("Clock"));
    assert_eq!((texts[3], texts[5], texts[7]), (Some("7:00"), Some("back"), Some("home")));
    // Every step has the screenshot it was decided on.
    let shade = |item: &Item| image::open(dataset.picture(item)).unwrap().into_rgb8()[(0, 0)][0];
    assert_eq!([shade(&dataset.items[0]), shade(click), shade(&dataset.items[7])], [30, 31, 40]);
    drop(out);

    let (_out, _, low) = read(folder.path(), "android-control-low", None).unwrap();
    assert_eq!(low.items[1].instruction, "click on the plus");
    assert!(low.items[1].history.is_empty());
    let (_out, check, idd) =
        read(folder.path(), "android-control", Some(("subset", "app_unseen"))).unwrap();
    assert_eq!((idd.items.len(), check.pictures), (7, 7));
    assert_eq!(idd.info.only.as_deref(), Some("subset=app_unseen"));
}

#[test]
fn aitw_is_read_as_it_is_published() {
    let folder = folder_with("general-00000-of-00001");
    let (_out, _, dataset) = read(folder.path(), "aitw", None).unwrap();
    let kinds: Vec<_> = dataset.items.iter().map(|item| step(item).kind).collect();
    assert_eq!(kinds, [StepKind::Scroll, StepKind::Click, StepKind::Type, StepKind::Stop]);
    let click = &dataset.items[1];
    assert_eq!((click.id.as_str(), click.instruction.as_str()), ("17-1", "turn on the lights"));
    assert_eq!(step(click).touch, Some([0.5, 0.25]));
    assert_eq!(step(click).boxes, [[0.5, 0.25, 0.75, 0.375], [0.0, 0.5, 1.0, 0.75]]);
    assert_eq!(step(&dataset.items[2]).text.as_deref(), Some("lights"));
    assert_eq!((click.tag("subset"), click.tag("episode")), (Some("general"), Some("17")));
    // The bare pixels have become a picture of the same pixels.
    let picture = image::open(dataset.picture(click)).unwrap().into_rgb8();
    assert_eq!((picture.dimensions(), picture[(29, 59)].0), ((30, 60), [41; 3]));
}

#[test]
fn a_file_of_records_that_is_damaged_is_refused_and_leaves_nothing() {
    let folder = folder_with(CONTROL);
    let file = folder.path().join(CONTROL);
    let mut plain = Vec::new();
    GzDecoder::new(fs::File::open(&file).unwrap()).read_to_end(&mut plain).unwrap();
    let middle = plain.len() / 2;
    let torn = plain[..plain.len() - 3].to_vec();
    let mut flipped = plain.clone();
    flipped[middle] ^= 1;
    let mut long = plain.clone();
    long[7] = 1;
    for (bytes, problem) in [
        (flipped, "record 1: its checksum is another"),
        (torn, "record 2: the file ends in the middle of a record"),
        (long, "record 1: its checksum is another"),
        (b"[]".to_vec(), "record 1: the file ends in the middle of a record"),
    ] {
        fs::File::create(&file).unwrap().write_all(&bytes).unwrap();
        let out = TempDir::new().unwrap();
        let options = ImportOptions {
            schema: Schema::named("android-control").unwrap(),
            name: None,
            images: None,
            drop_broken: true,
            only: None,
        };
        let set = out.path().join("deep/set");
        let error = import(
            std::slice::from_ref(&file),
            Some(&set),
            &options,
            &CancelFlag::default(),
            &mut |_| {},
        );
        let error = error.unwrap_err().to_string();
        assert!(error.contains(CONTROL) && error.contains(problem), "{error}");
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "{problem}");
    }
    // Unpacked by hand it is the same set.
    fs::write(&file, &plain).unwrap();
    assert_eq!(read(folder.path(), "android-control", None).unwrap().2.items.len(), 8);
    let error = read(&file, "aitw", None).unwrap_err();
    assert!(error.details()[0].ends_with("record 1: `episode_id` is no list of bytes"));
    let error = read(&file, "screenspot", None).unwrap_err();
    assert!(error.details()[0].ends_with("the set is not published in files of TFRecords"));
}

#[derive(Deserialize)]
struct Golden {
    agentnet: Desktop,
}

#[derive(Deserialize)]
struct Desktop {
    episodes: Vec<Value>,
    raws: Vec<Vec<String>>,
    agentnet: Said,
    agentnet_paper: Said,
}

#[derive(Deserialize)]
struct Said {
    scores: Vec<f64>,
    totals: Value,
}

#[test]
fn agentnetbench_is_read_and_both_its_revisions_agree() {
    let text = fs::read_to_string(golden("benchmark/scorers.json")).unwrap();
    let Golden { agentnet: desktop } = serde_json::from_str(&text).unwrap();
    let folder = TempDir::new().unwrap();
    picture(&folder.path().join("images/screen.png"), 1024, 768);
    for (at, episode) in desktop.episodes.iter().enumerate() {
        write_json(&folder.path().join(format!("e{at}.json")), episode);
    }
    let (_out, check, dataset) = read(folder.path(), "agentnetbench", None).unwrap();
    assert!(check.broken.is_empty() && dataset.items.len() == 400);
    assert_eq!(dataset.items[2].history, ["Do 0.", "Do 1."]);
    let shown = Size { width: 1024, height: 768 };
    let raws: Vec<_> = desktop.raws.concat();
    for (scorer, said) in
        [(Scorer::Agentnet, &desktop.agentnet), (Scorer::AgentnetPaper, &desktop.agentnet_paper)]
    {
        let judged: Vec<_> = dataset
            .items
            .iter()
            .zip(&raws)
            .map(|(item, raw)| scorer.judge(item, &prediction(raw, shown), ASKED))
            .collect();
        for (((item, raw), judged), expected) in
            dataset.items.iter().zip(&raws).zip(&judged).zip(&said.scores)
        {
            let score = judged.detail.as_ref().unwrap()["score"].as_f64().unwrap();
            assert!(
                (score - expected).abs() < 1e-12,
                "{scorer} gives {score}, not {expected}: {raw} for {:?}",
                item.target
            );
        }
        let rows: Vec<_> = dataset.items.iter().zip(&judged).collect();
        near(&totals(scorer, &rows), &said.totals, scorer.as_str());
    }
}

/// Compares tables; sums in another order differ in the last digit.
fn near(found: &Value, expected: &Value, place: &str) {
    if let (Value::Object(found), Value::Object(expected)) = (found, expected) {
        assert_eq!(found.len(), expected.len(), "{place}");
        expected.iter().for_each(|(name, value)| near(&found[name], value, name));
    } else {
        let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
        assert!((found - expected).abs() < 1e-9, "{place}: {found}, not {expected}");
    }
}
