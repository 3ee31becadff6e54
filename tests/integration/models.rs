//! `handsight models` and `--model NAME`, as a user sees them.

mod agreement;
mod compare;
mod convert;
mod hostile;
mod keep;
mod pull;
mod refused;

use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;
use handsight_tests::binary::Binary;
use handsight_tests::hub_server::{HubServer, Repo};
use insta::assert_snapshot;
use serde_json::Value;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn handsight() -> Binary {
    Binary::new(env!("CARGO_BIN_EXE_handsight-under-test"))
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny-qwen2_5_vl").join(name)
}

/// A repository with a small checkpoint of two weights files, and files nobody needs.
fn tiny() -> Repo {
    Repo::of_folder("org/tiny", 'a', &fixture("sharded-bf16"))
        .with("README.md", b"---\nlicense: apache-2.0\n---\n# A model\n")
        .with("pytorch_model.bin", &[0; 100])
        .with("assets/a picture.png", &[0; 100])
}

/// A command that uses a server as the hub.
fn command(handsight: &Binary, server: &HubServer, args: &[&str]) -> Command {
    let mut command = handsight.command(args);
    command.env("HF_ENDPOINT", server.endpoint());
    command
}

/// Pulls from a server; returns the exit code and what was written, stdout first.
fn pull(handsight: &Binary, server: &HubServer, args: &[&str]) -> (Option<i32>, String) {
    let args: Vec<&str> = ["models", "pull"].iter().chain(args).copied().collect();
    let output = command(handsight, server, &args).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// The cache's folder of a repository.
fn cached(handsight: &Binary, repo: &str) -> PathBuf {
    let name = format!("models--{}", repo.replace('/', "--"));
    handsight.dir().join("huggingface/hub").join(name)
}

/// Everything in a folder, sorted; nothing if there is none.
fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Puts the small checkpoint into the cache as the Python client would: as links to blobs.
fn put_into_cache(handsight: &Binary, repo: &str) -> PathBuf {
    let dir = handsight.dir().join("huggingface/hub").join(repo);
    let snapshot = dir.join("snapshots").join(COMMIT);
    for folder in [&snapshot, &dir.join("blobs"), &dir.join("refs")] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(dir.join("refs/main"), COMMIT).unwrap();
    for (index, entry) in fs::read_dir(fixture("flat-f32")).unwrap().enumerate() {
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
