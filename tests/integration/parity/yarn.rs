//! Contexts longer than the model was trained on: YaRN as transformers 4.49.0 computes it.

use candle_core::Device;
use fs_err as fs;
use handsight_model::qwen2_5_vl::config::Config;
use handsight_model::qwen2_5_vl::rope::RotaryTable;
use handsight_model::{
    CancelFlag, Engine, EngineOptions, GenerateOptions, ImageInput, ModelError, Request,
};
use handsight_tests::golden::{Golden, assert_close, floats, rows, tiny_fixture};
use serde_json::{Value, json};

use super::cases;
use super::model::{LOGITS, prompt_logits};

/// Golden: `yarn.json`: frequencies and attention scaling, seen in the angles of position 1 and in
/// the cosines of position 0. Both sides compute in f32.
#[test]
fn frequencies_match_the_reference() {
    for row in rows("yarn.json") {
        let head_dim = row["head_dim"].as_u64().unwrap();
        let config = json!({
            "hidden_size": 4 * head_dim, "intermediate_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 8,
            "max_position_embeddings": row["max_position_embeddings"],
            "rope_theta": row["rope_theta"], "rope_scaling": row["rope_scaling"],
        });
        let config = Config::from_json(&config.to_string()).unwrap().text;
        let table = RotaryTable::text(&[[0; 3], [1; 3]], &config, &Device::Cpu).unwrap();
        let (cos, sin) = (floats(&table.cos), floats(&table.sin));
        let half = cos.len() / 2;
        let frequencies: Vec<f32> =
            cos[half..].iter().zip(&sin[half..]).map(|(cos, sin)| sin.atan2(*cos)).collect();
        let expected: Vec<f32> = serde_json::from_value(row["inv_freq"].clone()).unwrap();
        let name = row["name"].as_str().unwrap();
        // Relative, as the slowest turns a millionth as fast as the fastest.
        let ratios: Vec<f32> = frequencies.iter().zip(&expected).map(|(f, e)| f / e).collect();
        assert_close(name, &ratios, &vec![1.0; half], 1e-5);
        let scaling: f32 = serde_json::from_value(row["attention_scaling"].clone()).unwrap();
        assert_close(name, &cos[..half], &vec![scaling; half], 1e-6);
    }
}

/// The tiny checkpoint with the YaRN block that `yarn.safetensors` was made with.
fn engine() -> (tempfile::TempDir, Engine) {
    let row = rows("yarn.json").into_iter().find(|row| row["name"] == "tiny").unwrap();
    let folder = tempfile::tempdir().unwrap();
    for file in fs::read_dir(tiny_fixture("flat-f32")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for key in ["rope_scaling", "max_position_embeddings"] {
        config[key] = row[key].clone();
    }
    fs::write(&path, config.to_string()).unwrap();
    let engine = Engine::load(folder.path(), &EngineOptions::default()).unwrap();
    (folder, engine)
}

/// Goldens: `logits` and `greedy` of `yarn.safetensors`, a prompt of more than twice the tokens the
/// checkpoint says it was trained on. Beyond what YaRN stretches to, the numbers are in the refusal.
#[test]
fn a_prompt_beyond_the_original_limit_matches_the_reference() {
    let (_folder, engine) = engine();
    let golden = Golden::open("yarn");
    let case = cases().into_iter().find(|case| case.name == "multi_turn").unwrap();
    let logits = prompt_logits(&engine, &case, &golden, usize::MAX);
    let last = logits[logits.len() - 8..].concat();
    assert_close("logits with YaRN", &last, &golden.floats("logits"), LOGITS);

    let mut request = Request {
        messages: case.messages,
        images: case.pictures.into_iter().map(ImageInput::from).collect(),
        options: GenerateOptions { max_new_tokens: 12, ..Default::default() },
        ..Default::default()
    };
    let answer = engine.generate(&request, &mut |_| {}, &CancelFlag::default()).unwrap();
    let tokens: Vec<u32> = answer.tokens.iter().map(|token| token.id).collect();
    assert_eq!(tokens, golden.token_ids("greedy"));

    assert!(engine.context_limit() >= 250, "four times 64, or what the config allows");
    request.options.max_new_tokens = 256;
    let err = engine.generate(&request, &mut |_| {}, &CancelFlag::default()).unwrap_err();
    let ModelError::PromptTooLong { tokens, max_new_tokens: 256, limit } = err else {
        panic!("{err}")
    };
    assert_eq!((tokens, limit), (logits.len(), engine.context_limit()));
}
