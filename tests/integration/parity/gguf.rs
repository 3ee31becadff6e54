//! GGUF files that llama.cpp's own converter and quantiser wrote: the same model as the folder they
//! were made from, and as transformers with the weights that llama.cpp's Python package reads.

use std::path::PathBuf;
use std::sync::OnceLock;

use fs_err as fs;
use handsight_model::{CancelFlag, Engine, EngineOptions, GenerateOptions, ImageInput, Request};
use handsight_tests::golden::{Golden, assert_close};

use super::model::prompt_logits;
use super::{Case, cases, engine};

/// What logits may differ by when activations are f32: the order of additions, as everywhere.
const EXACT: f32 = 1e-4;

fn gguf(name: &str) -> PathBuf {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/gguf");
    folder.join(format!("{name}.gguf"))
}

fn flat() -> &'static Engine {
    static FLAT: OnceLock<Engine> = OnceLock::new();
    FLAT.get_or_init(|| Engine::load(&gguf("flat-f32"), &EngineOptions::default()).unwrap())
}

fn case(name: &str) -> Case {
    cases().into_iter().find(|case| case.name == name).unwrap()
}

/// A converted checkpoint has the same tensors, so every logit is the same number; the token ids
/// are those of the goldens, made by the tokenizer in the file.
#[test]
fn a_converted_checkpoint_answers_as_its_folder() {
    for case in cases() {
        // The converter leaves out the pixel limits, and this image is above them.
        if case.name == "shrunk" {
            continue;
        }
        let golden = Golden::open(&format!("flat_{}", case.name));
        let folder = prompt_logits(engine("flat"), &case, &golden, usize::MAX);
        let file = prompt_logits(flat(), &case, &golden, usize::MAX);
        assert!(folder == file, "{}: the logits differ", case.name);

        let request = Request {
            messages: case.messages.clone(),
            images: case.pictures.iter().cloned().map(ImageInput::from).collect(),
            options: GenerateOptions { max_new_tokens: 12, ..Default::default() },
            ..Default::default()
        };
        let answer = flat().generate(&request, &mut |_| {}, &CancelFlag::default()).unwrap();
        let tokens: Vec<u32> = answer.tokens.iter().map(|token| token.id).collect();
        assert_eq!(tokens, golden.token_ids("greedy"), "{}", case.name);
        assert_eq!(answer.stats.prompt_tokens, golden.token_ids("input_ids").len());
    }
}

/// Everything but the tensors is read from metadata, and is what the folder says.
#[test]
fn a_converted_checkpoint_is_described_as_its_folder() {
    let (file, folder) = (flat(), engine("flat"));
    assert_eq!(file.model().config(), folder.model().config());
    let mut processor = file.processor().clone();
    processor.max_pixels = folder.processor().max_pixels; // the converter leaves it out
    assert_eq!(&processor, folder.processor());
    assert_eq!(file.tokenizer().len(), folder.tokenizer().len());
    assert_eq!(file.info().parameters, folder.info().parameters);
    for (token, special) in [("<|im_end|>", true), ("<tool_call>", false), ("<|fim_pad|>", false)] {
        let id = file.tokenizer().id(token).unwrap();
        assert_eq!(Some(id), folder.tokenizer().id(token));
        let shown = if special { "" } else { token };
        assert_eq!(file.tokenizer().decode(&[id]).unwrap(), shown, "{token}");
    }
}

/// Goldens: `gguf_flat-q8_0_*`, `gguf_wide_*`: what transformers computes from the weights of the
/// files. `wide` has a matrix of every type, joined projections, and a vision tower in f16.
#[test]
fn quantised_files_mean_what_llama_cpp_reads_in_them() {
    for name in ["flat-q8_0", "wide"] {
        let options = EngineOptions { exact: true, ..EngineOptions::default() };
        let engine = Engine::load(&gguf(name), &options).unwrap();
        for case in [case("tiny"), case("two_images")] {
            let golden = Golden::open(&format!("gguf_{name}_{}", case.name));
            let logits = prompt_logits(&engine, &case, &golden, usize::MAX);
            let kept = golden.integers("logit_positions");
            let kept: Vec<f32> =
                kept.iter().flat_map(|&at| logits[usize::try_from(at).unwrap()].clone()).collect();
            let what = format!("{name} {}: logits", case.name);
            assert_close(&what, &kept, &golden.floats("logits"), EXACT);
        }
    }
}

/// The vision tower is found beside the language model if that is clear, and else asked for.
#[test]
fn the_vision_tower_is_found_or_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model.gguf");
    fs::copy(gguf("flat-q8_0"), &model).unwrap();
    let load = || Engine::load(&model, &EngineOptions::default()).map(|_| ());
    let err = load().unwrap_err();
    let message = err.to_string();
    assert!(message.ends_with("model.gguf` is not beside it"), "{message}");
    assert!(err.hint().unwrap().contains("--mmproj FILE"));

    fs::copy(gguf("mmproj-flat-q8_0"), dir.path().join("tower-MMPROJ-q8_0.gguf")).unwrap();
    load().unwrap();
    fs::copy(gguf("mmproj-flat-f32"), dir.path().join("mmproj-F32.gguf")).unwrap();
    let message = load().unwrap_err().to_string();
    assert!(
        message.ends_with("there are `mmproj-F32.gguf`, `tower-MMPROJ-q8_0.gguf`"),
        "{message}"
    );
    // One that has the model's own name is meant.
    fs::copy(gguf("mmproj-flat-f32"), dir.path().join("mmproj-model.gguf")).unwrap();
    load().unwrap();
    // One that is named is meant before any other.
    let named = EngineOptions { mmproj: Some(gguf("mmproj-wide")), ..Default::default() };
    let message = Engine::load(&model, &named).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("out_hidden_size must equal the text hidden_size"), "{message}");

    let vision = dir.path().join("mmproj-F32.gguf");
    let message =
        Engine::load(&vision, &EngineOptions::default()).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("it is the vision part of a model (mmproj)"), "{message}");
    fs::copy(gguf("wide"), dir.path().join("mmproj-model.gguf")).unwrap();
    let message = load().unwrap_err().to_string();
    assert!(message.contains("is `qwen2vl`, but an mmproj has `clip`"), "{message}");
}

/// A download that stopped is recognised, whichever byte was the last.
#[test]
fn a_file_that_is_cut_short_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(gguf("flat-q8_0")).unwrap();
    fs::copy(gguf("mmproj-flat-q8_0"), dir.path().join("mmproj.gguf")).unwrap();
    let path = dir.path().join("model.gguf");
    for kept in [0, 3, 20, 1000, 9000, whole.len() / 2, whole.len() - 40] {
        fs::write(&path, &whole[..kept]).unwrap();
        let err = Engine::load(&path, &EngineOptions::default()).map(|_| ()).unwrap_err();
        let message = err.to_string();
        assert!(
            message.starts_with("GGUF file `") && message.contains("model.gguf`: "),
            "{message}"
        );
        assert!(err.hint().unwrap().contains("incomplete"), "{message}");
    }
}
