//! `handsight models` and `--model NAME`, as a user sees them.

use std::path::{Path, PathBuf};

use fs_err as fs;
use handsight_tests::binary::Binary;
use insta::assert_snapshot;
use serde_json::Value;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn handsight() -> Binary {
    Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"))
}

/// Puts the small checkpoint into the cache as the Python client would: as links to blobs.
fn put_into_cache(handsight: &Binary, repo: &str) -> PathBuf {
    let dir = handsight.dir().join("huggingface/hub").join(repo);
    let snapshot = dir.join("snapshots").join(COMMIT);
    for folder in [&snapshot, &dir.join("blobs"), &dir.join("refs")] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(dir.join("refs/main"), COMMIT).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny-qwen2_5_vl/flat-f32");
    for (index, entry) in fs::read_dir(fixture).unwrap().enumerate() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.join(format!("blobs/{index}"))).unwrap();
        let link = snapshot.join(entry.file_name());
        std::os::unix::fs::symlink(format!("../../blobs/{index}"), link).unwrap();
    }
    snapshot
}

#[test]
fn the_cache_is_listed() {
    let handsight = handsight();
    assert_snapshot!(handsight.snapshot(&["models", "list"]), @r"
    exit code: 0
    --- stderr ---
    no models in [DIR]/huggingface/hub
    ");
    put_into_cache(&handsight, "models--Qwen--Qwen2.5-VL-3B-Instruct");
    let partial = put_into_cache(&handsight, "models--org--other");
    fs::remove_file(partial.join("model.safetensors")).unwrap();
    assert_snapshot!(handsight.snapshot(&["models", "list"]), @r"
    exit code: 0
    --- stdout ---
    qwen2.5-vl-3b  main  0123456   1.11 MB  complete
    org/other      main  0123456   16.0 kB  incomplete: no model.safetensors
    ");
    let output = handsight.command(&["models", "list", "--json"]).output().unwrap();
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let model = &list["models"][0];
    assert_eq!(model["name"], "qwen2.5-vl-3b");
    assert_eq!((&model["complete"], &model["commit"]), (&true.into(), &COMMIT.into()));
    assert_eq!(list["models"][1]["missing"][0], "model.safetensors");
}

#[test]
fn a_pulled_model_is_used_by_its_name() {
    let handsight = handsight();
    let white = image::RgbImage::from_pixel(112, 84, image::Rgb([255; 3]));
    white.save(handsight.dir().join("white.png")).unwrap();
    let ground = ["ground", "white.png", "Save", "--model", "qwen2.5-vl-3b"];
    assert_snapshot!(handsight.snapshot(&ground), @r"
    exit code: 3
    --- stderr ---
    error: model `qwen2.5-vl-3b` has not been pulled
    hint: `handsight models pull qwen2.5-vl-3b` fetches it
    ");
    put_into_cache(&handsight, "models--Qwen--Qwen2.5-VL-3B-Instruct");
    let output = handsight.command(&ground).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let none = handsight.snapshot(&["ground", "white.png", "Save", "--model", "a/../b"]);
    assert!(none.contains("there is no model `a/../b`"), "{none}");
}
