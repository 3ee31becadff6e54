//! Parity with the reference: every stage against what transformers 4.49.0 computed.
//!
//! The goldens are made by `model/reference`, from two checkpoints with random weights. Each test
//! states its tolerance and why it is not zero.
#![expect(clippy::unwrap_used, reason = "helpers of tests stop where the tests would")]

mod awq;
mod batch;
mod gguf;
mod images;
mod loading;
mod media;
mod model;
mod text;
mod yarn;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use fs_err as fs;
use handsight_model::{Engine, EngineOptions, Message, Part, Role};
use handsight_tests::golden::{golden_dir, pattern, rows, tiny_fixture};
use image::RgbImage;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Goldens and their manifests name each other, and the hashes are right.
#[test]
fn every_golden_is_in_the_manifest_with_its_hash() {
    agree(&golden_dir(), "transformers ", "renew goldens and manifest together with `make golden`");
    let scorers = "renew golden and manifest together with `scenarios/reference/scorers.py`";
    agree(&golden_dir().join("benchmark"), "likaixin2000/ScreenSpot-Pro", scorers);
    let records = "renew goldens and manifest together with `scenarios/reference/tfrecords.py`";
    agree(&golden_dir().join("tfrecords"), "tfrecord ", records);
}

/// Compares the goldens of a folder with the manifest in it; `upstream` is what each was made from.
fn agree(folder: &Path, upstream: &str, hint: &str) {
    let manifest = fs::read_to_string(folder.join("MANIFEST.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let entries = manifest["golden"].as_table().unwrap();
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    // A folder in it has a manifest of its own.
    let files = files
        .filter(|file| file.is_file())
        .map(|file| file.file_name().and_then(|name| name.to_str()).map(str::to_owned).unwrap());
    let files: BTreeSet<_> = files.filter(|name| name != "MANIFEST.toml").collect();
    let mut named: Vec<_> = entries.keys().cloned().collect();
    named.sort_unstable();
    assert_eq!(files.into_iter().collect::<Vec<_>>(), named, "{hint}");

    let root = golden_dir().join("../..");
    for (name, entry) in entries {
        let hash = sha256(&fs::read(folder.join(name)).unwrap());
        assert_eq!(entry["sha256"].as_str(), Some(hash.as_str()), "{name}: {hint}");
        let script = entry["script"].as_str().unwrap();
        assert!(root.join(script).is_file(), "{name} is made by `{script}`, which does not exist");
        assert!(entry["upstream"].as_str().unwrap().starts_with(upstream), "{name}");
    }
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// The two checkpoints: `flat` and `sharded`, as the goldens' names start.
fn engine(variant: &str) -> &'static Engine {
    static FLAT: OnceLock<Engine> = OnceLock::new();
    static SHARDED: OnceLock<Engine> = OnceLock::new();
    let (engine, folder) = match variant {
        "flat" => (&FLAT, "flat-f32"),
        _ => (&SHARDED, "sharded-bf16"),
    };
    engine.get_or_init(|| Engine::load(&tiny_fixture(folder), &EngineOptions::default()).unwrap())
}

/// One prompt of `model/reference/cases.py`.
struct Case {
    name: String,
    messages: Vec<Message>,
    pictures: Vec<RgbImage>,
}

fn cases() -> Vec<Case> {
    rows("prompts.json").iter().map(case).collect()
}

fn case(row: &Value) -> Case {
    let picture = |picture: &Value| {
        let [width, height, seed] = serde_json::from_value(picture.clone()).unwrap();
        pattern(width, height, seed)
    };
    Case {
        name: row["name"].as_str().unwrap().to_owned(),
        messages: messages(&row["messages"]).unwrap(),
        pictures: row["pictures"].as_array().unwrap().iter().map(picture).collect(),
    }
}

/// Messages in the form the Hub's template takes → ours; none if ours cannot say it.
fn messages(rows: &Value) -> Option<Vec<Message>> {
    let (mut image, mut video) = (0.., 0..);
    let mut part = |item: &Value| {
        if item["type"] == "image" || item.get("image").or(item.get("image_url")).is_some() {
            return Some(Part::Image { image: image.next()? });
        }
        if item["type"] == "video" || item.get("video").is_some() {
            return Some(Part::Video { video: video.next()? });
        }
        Some(Part::Text { text: item.get("text")?.as_str()?.to_owned() })
    };
    let mut message = |row: &Value| {
        let role = match row["role"].as_str()? {
            "system" => Role::System,
            "user" => Role::User,
            _ => Role::Assistant,
        };
        let content = match &row["content"] {
            Value::String(text) => vec![Part::Text { text: text.clone() }],
            items => items.as_array()?.iter().map(&mut part).collect::<Option<_>>()?,
        };
        Some(Message::new(role, content))
    };
    rows.as_array()?.iter().map(&mut message).collect()
}
