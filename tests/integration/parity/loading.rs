//! Checkpoint folders: every shape of config.json, every layout of names and files.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use fs_err as fs;
use handsight_model::qwen2_5_vl::config::Config;
use handsight_model::{Engine, EngineOptions};
use handsight_tests::golden::{Golden, assert_close, rows, tiny_fixture};
use serde_json::{Value, json};

use super::cases;
use super::model::prompt_logits;

/// Golden: `configs.json`, what must be read from each file; null where it must be refused.
#[test]
fn every_shape_of_config_is_read() {
    for row in rows("configs.json") {
        let file = row["file"].as_str().unwrap();
        let text = fs::read_to_string(tiny_fixture("configs").join(file)).unwrap();
        let config = Config::from_json(&text).as_ref().map_or(Value::Null, values);
        assert_eq!(config, row["expected"], "{file}");
    }
}

fn values(config: &Config) -> Value {
    let Config { text, vision, .. } = config;
    json!({
        "hidden_size": text.hidden_size,
        "intermediate_size": text.intermediate_size,
        "num_hidden_layers": text.num_hidden_layers,
        "num_attention_heads": text.num_attention_heads,
        "num_key_value_heads": text.num_key_value_heads,
        "vocab_size": text.vocab_size,
        "rms_norm_eps": text.rms_norm_eps,
        "rope_theta": text.rope_theta,
        "mrope_section": text.mrope_section,
        "max_position_embeddings": text.max_position_embeddings,
        "tie_word_embeddings": text.tie_word_embeddings,
        "image_token_id": config.image_token_id,
        "video_token_id": config.video_token_id,
        "vision_start_token_id": config.vision_start_token_id,
        "vision": {
            "depth": vision.depth,
            "hidden_size": vision.hidden_size,
            "intermediate_size": vision.intermediate_size,
            "num_heads": vision.num_heads,
            "out_hidden_size": vision.out_hidden_size,
            "patch_size": vision.patch_size,
            "spatial_merge_size": vision.spatial_merge_size,
            "temporal_patch_size": vision.temporal_patch_size,
            "window_size": vision.window_size,
            "fullatt_block_indexes": vision.fullatt_block_indexes,
        },
    })
}

/// The names as transformers ≥ 4.52 saves them.
#[test]
fn nested_names_load() {
    check_layout(|name, tensor| {
        let name = match name.split_once('.').unwrap() {
            ("visual", _) => format!("model.{name}"),
            ("model", rest) => format!("model.language_model.{rest}"),
            _ => name.to_owned(),
        };
        (name, tensor)
    });
}

/// The names as a save of the base model alone has them, beside an `lm_head`.
#[test]
fn base_model_names_load() {
    check_layout(|name, tensor| {
        let name = match name.split_once('.').unwrap() {
            ("model", rest) => format!("language_model.{rest}"),
            _ => name.to_owned(),
        };
        (name, tensor)
    });
}

/// The names as MLX saves them, the channels of the patch convolution last.
#[test]
fn mlx_names_load() {
    check_layout(|name, tensor| {
        let tensor = match name {
            "visual.patch_embed.proj.weight" => {
                tensor.permute([0, 2, 3, 4, 1]).unwrap().contiguous().unwrap()
            }
            _ => tensor,
        };
        let name = match name.split_once('.').unwrap() {
            ("visual", rest) => format!("vision_tower.{rest}"),
            _ => format!("language_model.{name}"),
        };
        (name, tensor)
    });
}

/// Without `lm_head.weight` the embedding is the head, whatever the config says.
#[test]
fn a_checkpoint_without_lm_head_is_tied() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = flat_tensors();
    let embedding = tensors["model.embed_tokens.weight"].clone();
    tensors.insert("lm_head.weight".to_owned(), embedding);
    let with_head = logits(&write(folder.path(), &tensors));
    tensors.remove("lm_head.weight");
    assert_eq!(logits(&write(folder.path(), &tensors)), with_head);
}

/// Two files without their index are not a checkpoint; with it they are.
#[test]
fn shards_are_found_by_their_index() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &flat_tensors());
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let (vision, text): (HashMap<_, _>, HashMap<_, _>) =
        flat_tensors().into_iter().partition(|(name, _)| name.starts_with("visual."));
    let mut weight_map = serde_json::Map::new();
    for (file, shard) in [("a.safetensors", &vision), ("b.safetensors", &text)] {
        candle_core::safetensors::save(shard, folder.path().join(file)).unwrap();
        weight_map.extend(shard.keys().map(|name| (name.clone(), Value::from(file))));
    }
    let err = Engine::load(folder.path(), &EngineOptions::default()).err().unwrap();
    assert!(err.to_string().ends_with("has no model.safetensors"), "{err}");
    let index = folder.path().join("model.safetensors.index.json");
    fs::write(index, json!({ "weight_map": weight_map }).to_string()).unwrap();
    let engine = Engine::load(folder.path(), &EngineOptions::default()).unwrap();
    check_logits(&engine);
}

/// A missing tensor and a wrong shape are named.
#[test]
fn tensors_that_contradict_the_config_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let name = "visual.blocks.2.mlp.down_proj.weight";
    let mut tensors = flat_tensors();
    let whole = tensors.remove(name).unwrap();
    write_tensors(folder.path(), &tensors);
    let err = Engine::load(folder.path(), &EngineOptions::default()).err().unwrap();
    assert_eq!(
        err.to_string(),
        format!("the weights have no tensor `{name}`, which config.json calls for")
    );
    tensors.insert(name.to_owned(), whole.narrow(1, 0, 50).unwrap().contiguous().unwrap());
    write_tensors(folder.path(), &tensors);
    let err = Engine::load(folder.path(), &EngineOptions::default()).err().unwrap();
    assert_eq!(
        err.to_string(),
        format!("tensor `{name}` has shape [32, 50] but config.json calls for [32, 100]")
    );
}

/// Renames the flat checkpoint's tensors and checks that the logits are still the golden's.
#[track_caller]
fn check_layout(rename: impl Fn(&str, Tensor) -> (String, Tensor)) {
    let folder = tempfile::tempdir().unwrap();
    let tensors = flat_tensors();
    let n = tensors.len();
    let renamed: HashMap<_, _> =
        tensors.into_iter().map(|(name, tensor)| rename(&name, tensor)).collect();
    assert_eq!(renamed.len(), n, "no two tensors get one name");
    check_logits(&write(folder.path(), &renamed));
}

#[track_caller]
fn check_logits(engine: &Engine) {
    let golden = Golden::open("flat_tiny");
    assert_close("logits", &logits(engine), &golden.floats("logits"), 1e-3);
}

/// The logits of the smallest case with an image, which touches every tensor.
fn logits(engine: &Engine) -> Vec<f32> {
    let case = cases().into_iter().find(|case| case.name == "tiny").unwrap();
    prompt_logits(engine, &case, &Golden::open("flat_tiny"), usize::MAX).concat()
}

fn flat_tensors() -> HashMap<String, Tensor> {
    let file = tiny_fixture("flat-f32").join("model.safetensors");
    candle_core::safetensors::load(file, &Device::Cpu).unwrap()
}

/// Writes a copy of the flat checkpoint with these tensors and loads it.
fn write(folder: &Path, tensors: &HashMap<String, Tensor>) -> Engine {
    write_tensors(folder, tensors);
    Engine::load(folder, &EngineOptions::default()).unwrap()
}

fn write_tensors(folder: &Path, tensors: &HashMap<String, Tensor>) {
    for file in fs::read_dir(tiny_fixture("flat-f32")).unwrap() {
        let file = file.unwrap();
        if file.file_name() != "model.safetensors" {
            fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
    }
    candle_core::safetensors::save(tensors, folder.join("model.safetensors")).unwrap();
}
