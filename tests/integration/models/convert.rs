//! `models info` and `models quantize`.

use fs_err as fs;
use handsight_model::{CancelFlag, Engine, EngineOptions, GenerateOptions, Message, Request, Role};
use serde_json::Value;

use super::{fixture, handsight};

/// Runs a command in `--json` and returns what it prints.
fn json(handsight: &handsight_tests::binary::Binary, args: &[&str]) -> Value {
    let output = handsight.command(args).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_folder_becomes_a_pair_of_files_that_answer_alike() {
    let handsight = handsight();
    let folder = fixture("flat-f32");
    let input = folder.to_str().unwrap();
    let mut answers = Vec::new();
    let request = Request {
        messages: vec![Message::text(Role::User, "Where is the search field?")],
        options: GenerateOptions { max_new_tokens: 8, ..Default::default() },
        ..Default::default()
    };
    let mut ask = |path: &std::path::Path| {
        let engine = Engine::load(path, &EngineOptions::default()).unwrap();
        let answer = engine.generate(&request, &mut |_| {}, &CancelFlag::default()).unwrap();
        answers.push(answer.tokens.iter().map(|token| token.id).collect::<Vec<_>>());
    };
    ask(&folder);
    for kind in ["f16", "bf16", "q8_0"] {
        let out = format!("{kind}/tiny.gguf");
        fs::create_dir(handsight.dir().join(kind)).unwrap();
        let report = json(&handsight, &["models", "quantize", input, &out, "--type", kind]);
        let mmproj = report["mmproj"].as_str().unwrap();
        assert_eq!(mmproj, format!("{kind}/mmproj-tiny.gguf"));
        for (file, bytes) in [(out.as_str(), "language_model_bytes"), (mmproj, "mmproj_bytes")] {
            let written = fs::metadata(handsight.dir().join(file)).unwrap().len();
            assert_eq!(report[bytes], written, "{file}");
        }
        ask(&handsight.dir().join(&out));
    }
    // Random weights in 16 bits say what they say in 32; in 8 bits they may part on the way.
    let [folder, f16, _bf16, q8_0] = &answers[..] else { panic!("four answers") };
    assert_eq!(f16, folder);
    assert_eq!(q8_0.len(), folder.len());
    let again = handsight.snapshot(&["models", "quantize", input, "f16/tiny.gguf"]);
    assert!(again.contains("exit code: 2") && again.contains("f16/tiny.gguf"), "{again}");
}

#[test]
fn info_says_what_a_folder_is() {
    let handsight = handsight();
    let folder = fixture("sharded-bf16");
    let info = json(&handsight, &["models", "info", folder.to_str().unwrap()]);
    assert_eq!(info["model_type"], "qwen2_5_vl");
    let stored = info["weight_bytes"]["BF16"].as_u64().unwrap();
    assert_eq!(info["parameters"].as_u64().unwrap() * 2, stored, "all of it is bf16");
    let weights: Vec<u64> = info["memory"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["weight_bytes"].as_u64().unwrap())
        .collect();
    // So small a model is computed in f32.
    let [as_it_is, q4k] = weights[..] else { panic!("{info}") };
    assert!(as_it_is == 2 * stored && q4k < as_it_is, "{info}");
    let missing = handsight.snapshot(&["models", "info", "org/none"]);
    assert!(missing.contains("exit code: 3") && missing.contains("models pull"), "{missing}");
}
