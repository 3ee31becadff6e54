//! The model: windows, vision features, positions, logits, greedy tokens, and two properties.
//!
//! Both sides compute in f32 (the bf16 checkpoint is widened), so what remains is the order of
//! summation in matrix products. Features and logits are of the order of 1 to 10.

use candle_core::{Device, Tensor};
use handsight_model::qwen2_5_vl::config::Config;
use handsight_model::qwen2_5_vl::rope::{Media, Positions, positions};
use handsight_model::qwen2_5_vl::vision::Grid;
use handsight_model::qwen2_5_vl::window::window_index;
use handsight_model::{CancelFlag, Engine, GenerateOptions, ImageInput, Request};
use handsight_tests::golden::{Golden, assert_close, floats, grid, rows, tiny_fixture};
use image::RgbImage;
use serde_json::Value;

use super::{Case, cases, engine};

/// What the logits of a prompt may differ by.
pub(super) const LOGITS: f32 = 1e-3;

/// What vision features may differ by.
pub(super) const FEATURES: f32 = 1e-4;

/// The cases each checkpoint has goldens of.
fn all_cases() -> Vec<(&'static str, Case, Golden)> {
    let named = |variant: &'static str| {
        cases().into_iter().filter_map(move |case| {
            let name = format!("{variant}_{}", case.name);
            let exists = variant == "flat" || SHARDED.contains(&case.name.as_str());
            exists.then(|| (variant, case, Golden::open(&name)))
        })
    };
    named("flat").chain(named("sharded")).collect()
}

const SHARDED: [&str; 3] = ["text_only", "tiny", "two_images"];

/// Golden: `windows.json`. The model itself runs windows of one size together, in another order
/// within a frame; that the results do not change is what the feature goldens show.
#[test]
fn windows_match_the_reference() {
    let config = config();
    for row in rows("windows.json") {
        let grids: Vec<Vec<i64>> = serde_json::from_value(row["grids"].clone()).unwrap();
        let grids: Vec<Grid> = grids.iter().map(|thw| grid(thw)).collect();
        let windows = window_index(&grids, &config.vision);
        let bounds: Vec<usize> = serde_json::from_value(row["cu_window_seqlens"].clone()).unwrap();
        assert_eq!(windows.cu_window_seqlens, bounds, "{grids:?}");
        let checksum: u64 = (0..).zip(&windows.index).map(|(at, &from)| at * u64::from(from)).sum();
        assert_eq!(row["checksum"].as_u64(), Some(checksum % 1_000_000_007), "{grids:?}");
        if let Some(index) = row.get("window_index") {
            assert_eq!(*index, Value::from(windows.index), "{grids:?}");
        }
    }
}

fn config() -> Config {
    let path = tiny_fixture("flat-f32").join("config.json");
    Config::from_json(&fs_err::read_to_string(path).unwrap()).unwrap()
}

/// Goldens: `vision.blocks.*` of one case, in the order of `pixel_values`.
#[test]
fn every_vision_block_matches_the_reference() {
    let case = cases().into_iter().find(|case| case.name == "single").unwrap();
    let (engine, golden) = (engine("flat"), Golden::open("flat_single"));
    let (pixel_values, grids) = pixel_values(engine, &case.pictures);
    let mut n_blocks = 0;
    let mut compare = |i: usize, output: &dyn Fn() -> candle_core::Result<Tensor>| {
        let name = format!("vision.blocks.{i}");
        assert_close(&name, &floats(&output()?), &golden.floats(&name), FEATURES);
        n_blocks += 1;
        Ok(())
    };
    engine.model().visual().forward_with(pixel_values, &grids, &mut compare).unwrap();
    assert_eq!(n_blocks, 4);
}

/// Goldens: `vision.features` of every case with images, all images of a prompt in one pass.
#[test]
fn vision_features_match_the_reference() {
    for (variant, case, golden) in all_cases() {
        if let Some(features) = features(engine(variant), &case.pictures) {
            let what = format!("{variant} {}: features", case.name);
            let expected = golden.tensor("vision.features");
            assert_eq!(features.dims(), expected.dims(), "{what}");
            assert_close(&what, &floats(&features), &floats(expected), FEATURES);
        }
    }
}

/// Goldens: `position_ids` and `rope_delta`. Whole numbers, so equal.
#[test]
fn positions_match_the_reference() {
    for (variant, case, golden) in all_cases() {
        let Positions { ids, next } = prompt_positions(engine(variant), &golden);
        let expected = golden.integers("position_ids"); // (3, s)
        let actual: Vec<i64> =
            (0..3).flat_map(|axis| ids.iter().map(move |id| i64::from(id[axis]))).collect();
        assert_eq!(actual, expected, "{}", case.name);
        let len = i64::try_from(ids.len()).unwrap();
        assert_eq!(vec![i64::from(next) - len], golden.integers("rope_delta"), "{}", case.name);
    }
}

/// Goldens: `logits` at `logit_positions`: of every position for small cases, of eight up to the
/// last for the others.
#[test]
fn logits_match_the_reference() {
    for (variant, case, golden) in all_cases() {
        let logits = prompt_logits(engine(variant), &case, &golden, usize::MAX);
        let kept = golden.integers("logit_positions");
        let kept: Vec<f32> =
            kept.iter().flat_map(|&at| logits[usize::try_from(at).unwrap()].clone()).collect();
        let what = format!("{variant} {}: logits", case.name);
        assert_close(&what, &kept, &golden.floats("logits"), LOGITS);
    }
}

/// Goldens: `greedy`, twelve tokens decoded with the cache. In every step the two best logits are
/// further apart than [`LOGITS`], so the tokens are equal or something is wrong.
#[test]
fn greedy_tokens_match_the_reference() {
    for (variant, case, golden) in all_cases() {
        let request = Request {
            messages: case.messages.clone(),
            images: case.pictures.iter().cloned().map(ImageInput::from).collect(),
            options: GenerateOptions { max_new_tokens: 12, ..Default::default() },
            ..Default::default()
        };
        let mut shown = Vec::new();
        let mut show = |token: &handsight_model::TokenInfo| shown.push(token.id);
        let answer = engine(variant).generate(&request, &mut show, &CancelFlag::default()).unwrap();
        let tokens: Vec<u32> = answer.tokens.iter().map(|token| token.id).collect();
        assert_eq!(tokens, golden.token_ids("greedy"), "{variant} {}", case.name);
        assert_eq!(shown, tokens);
    }
}

/// Property: however a prompt is cut into passes, through images too, its logits stay the same.
#[test]
fn any_split_of_a_prompt_gives_the_same_logits() {
    for (variant, case, golden) in all_cases() {
        let engine = engine(variant);
        let whole = prompt_logits(engine, &case, &golden, usize::MAX).concat();
        for chunk in [1, 2, 7, 64] {
            let split = prompt_logits(engine, &case, &golden, chunk).concat();
            let what = format!("{variant} {}: chunks of {chunk}", case.name);
            assert_close(&what, &split, &whole, LOGITS);
        }
    }
}

/// Property: a token decoded after a prompt sees what it would see inside it.
#[test]
fn prefill_and_decode_equal_one_prefill() {
    for (variant, case, golden) in all_cases() {
        let model = engine(variant).model();
        let prompt = Prompt::new(engine(variant), &case, &golden);
        let mut cache = model.new_cache();
        model.forward(&prompt.embeddings, &prompt.positions.ids, &mut cache).unwrap();
        let greedy = golden.token_ids("greedy");
        let decoded: Vec<f32> = (prompt.positions.next..)
            .zip(&greedy)
            .flat_map(|(at, &id)| {
                let embedding = model.embed(&[id], None).unwrap();
                let hidden = model.forward(&embedding, &[[at; 3]], &mut cache).unwrap();
                floats(&model.logits(&hidden).unwrap())
            })
            .collect();

        let mut position_ids = prompt.positions.ids;
        position_ids.extend((prompt.positions.next..).take(greedy.len()).map(|at| [at; 3]));
        let answer = model.embed(&greedy, None).unwrap();
        let embeddings = Tensor::cat(&[&prompt.embeddings, &answer], 0).unwrap();
        let hidden = model.forward(&embeddings, &position_ids, &mut model.new_cache()).unwrap();
        let n = greedy.len();
        let hidden = hidden.narrow(0, position_ids.len() - n, n).unwrap();
        let at_once = floats(&model.logits(&hidden).unwrap());
        assert_close(&format!("{variant} {}: decode", case.name), &decoded, &at_once, LOGITS);
    }
}

/// Property: an image's features do not depend on the images beside it.
#[test]
fn images_are_seen_one_by_one() {
    let pictures: Vec<RgbImage> =
        cases().into_iter().flat_map(|case| case.pictures).filter(|p| p.width() < 300).collect();
    let engine = engine("flat");
    let together = floats(&features(engine, &pictures).unwrap());
    let alone: Vec<f32> = pictures
        .chunks(1)
        .flat_map(|picture| floats(&features(engine, picture).unwrap()))
        .collect();
    assert_close("features of a batch", &together, &alone, FEATURES);
}

/// `(p, 1176)` of all pictures, and their grids.
fn pixel_values(engine: &Engine, pictures: &[RgbImage]) -> (Tensor, Vec<Grid>) {
    let processed: Vec<_> =
        pictures.iter().map(|picture| engine.processor().process(picture).unwrap()).collect();
    let grids: Vec<Grid> = processed.iter().map(|image| image.grid).collect();
    let values: Vec<f32> = processed.into_iter().flat_map(|image| image.pixel_values).collect();
    let rows = values.len() / 1176;
    (Tensor::from_vec(values, (rows, 1176), &Device::Cpu).unwrap(), grids)
}

fn features(engine: &Engine, pictures: &[RgbImage]) -> Option<Tensor> {
    if pictures.is_empty() {
        return None;
    }
    let (pixel_values, grids) = pixel_values(engine, pictures);
    Some(engine.model().image_features(&pixel_values, &grids).unwrap())
}

/// The images of a golden's prompt.
pub(super) fn media(engine: &Engine, golden: &Golden) -> Vec<Media> {
    let image_token_id = engine.model().config().image_token_id;
    golden.grids().into_iter().map(|grid| Media::image(grid, image_token_id)).collect()
}

fn prompt_positions(engine: &Engine, golden: &Golden) -> Positions {
    let is_placeholder = |id| engine.model().is_placeholder(id);
    positions(&golden.token_ids("input_ids"), is_placeholder, &media(engine, golden), 0).unwrap()
}

/// A golden's prompt, ready to run.
pub(super) struct Prompt {
    pub(super) embeddings: Tensor, // (s, c)
    pub(super) positions: Positions,
}

impl Prompt {
    pub(super) fn new(engine: &Engine, case: &Case, golden: &Golden) -> Self {
        let features = features(engine, &case.pictures);
        let ids = golden.token_ids("input_ids");
        let embeddings = engine.model().embed(&ids, features.as_ref()).unwrap();
        Self { embeddings, positions: prompt_positions(engine, golden) }
    }

    /// A prompt without pictures.
    pub(super) fn of_text(engine: &Engine, ids: &[u32]) -> Self {
        let embeddings = engine.model().embed(ids, None).unwrap();
        Self { embeddings, positions: positions(ids, |_| false, &[], 0).unwrap() }
    }
}

/// The logits of every position, the prompt run `chunk` tokens at a time.
pub(super) fn prompt_logits(
    engine: &Engine,
    case: &Case,
    golden: &Golden,
    chunk: usize,
) -> Vec<Vec<f32>> {
    let model = engine.model();
    let prompt = Prompt::new(engine, case, golden);
    let mut cache = model.new_cache();
    let mut start = 0;
    let mut logits = Vec::new();
    for position_ids in prompt.positions.ids.chunks(chunk) {
        let embeddings = prompt.embeddings.narrow(0, start, position_ids.len()).unwrap();
        let hidden = model.forward(&embeddings, position_ids, &mut cache).unwrap();
        logits.extend(model.logits(&hidden).unwrap().to_vec2::<f32>().unwrap());
        start += position_ids.len();
    }
    logits
}
