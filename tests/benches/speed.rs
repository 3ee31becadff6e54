//! `make bench`: what one step is made of. Speed is measured here and never asserted in a test.

use std::hint::black_box;

use candle_core::{Device, Tensor};
use divan::Bencher;
use handsight_actions::{ActionSpace, Observation, Screenshot, Size, action_schema};
use handsight_agent::policy::{Policy, Turn};
use handsight_model::qwen2_5_vl::rope::{Media, positions};
use handsight_model::{CancelFlag, Constraint, Engine, Message};
use handsight_tests::embedded_eval::{embedded_policy, fixtures};
use image::RgbImage;

fn main() {
    divan::main();
}

/// A picture that is not flat, so that nothing is skipped.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([x ^ y, x / 3 + y, 3 * x + y / 2].map(|value| value.to_le_bytes()[0]))
    })
}

fn window() -> RgbImage {
    image::open(fixtures().join("img/0001.png")).expect("the picture is committed").to_rgb8()
}

#[divan::bench(args = [(640, 480), (1280, 720), (1920, 1080)])]
fn preprocess(bencher: Bencher<'_, '_>, (width, height): (u32, u32)) {
    let processor = handsight_model::processor::Processor::default();
    let image = picture(width, height);
    bencher.bench(|| processor.process(black_box(&image)));
}

#[divan::bench]
fn vision_tower_640x480(bencher: Bencher<'_, '_>) {
    let engine = Engine::embedded().expect("the checkpoint is in the binary");
    let (pixel_values, grid) = pixels(&engine);
    bencher.bench(|| engine.model().image_features(black_box(&pixel_values), &[grid]));
}

#[divan::bench]
fn prefill_640x480(bencher: Bencher<'_, '_>) {
    let engine = Engine::embedded().expect("the checkpoint is in the binary");
    let (embeddings, position_ids, _next) = prompt(&engine);
    bencher.bench(|| {
        let mut cache = engine.model().new_cache();
        engine.model().forward(black_box(&embeddings), &position_ids, &mut cache)
    });
}

#[divan::bench]
fn decode_one_token(bencher: Bencher<'_, '_>) {
    let engine = Engine::embedded().expect("the checkpoint is in the binary");
    let model = engine.model();
    let (embeddings, position_ids, next) = prompt(&engine);
    let mut cache = model.new_cache();
    model.forward(&embeddings, &position_ids, &mut cache).expect("the prompt runs");
    let length = cache.len();
    let token = model.embed(&[0], None).expect("token 0 exists");
    bencher.bench_local(|| {
        cache.truncate(length);
        let hidden = model.forward(black_box(&token), &[[next; 3]], &mut cache)?;
        model.logits(&hidden)
    });
}

#[divan::bench]
fn compile_grammar_and_first_mask(bencher: Bencher<'_, '_>) {
    let engine = Engine::embedded().expect("the checkpoint is in the binary");
    let size = Size { width: 644, height: 476 };
    let constraint = Constraint::JsonSchema(action_schema(&ActionSpace::desktop(), size));
    engine.time_first_mask(&constraint).expect("the schema is a grammar");
    bencher.bench(|| engine.time_first_mask(black_box(&constraint)));
}

/// The whole decision, the first of a process.
#[divan::bench]
fn decide_640x480_first(bencher: Bencher<'_, '_>) {
    bencher
        .with_inputs(|| (embedded_policy().expect("the checkpoint is in the binary"), seen(0)))
        .bench_local_refs(|(policy, observation)| decide(policy, observation));
}

/// The whole decision, a later one, on a screen of which every window has changed.
#[divan::bench]
fn decide_640x480(bencher: Bencher<'_, '_>) {
    let mut policy = embedded_policy().expect("the checkpoint is in the binary");
    let mut screens = 0..;
    bencher
        .with_inputs(|| seen(screens.next().unwrap_or_default()))
        .bench_local_refs(|observation| decide(&mut policy, observation));
}

/// The whole decision, a later one, on a screen that has not changed.
#[divan::bench]
fn decide_640x480_unchanged(bencher: Bencher<'_, '_>) {
    let mut policy = embedded_policy().expect("the checkpoint is in the binary");
    let observation = seen(0);
    bencher.bench_local(|| decide(&mut policy, &observation));
}

fn decide(policy: &mut impl Policy, observation: &Observation) {
    let action_space = ActionSpace::desktop();
    let turn = Turn {
        goal: "click \"Team\"",
        observation,
        history: &[],
        action_space: &action_space,
        feedback: None,
        said: None,
        attempt: 0,
    };
    // A reply that cannot be used costs the same as one that can.
    let _ = policy.decide(&turn, &mut |_| {}, &CancelFlag::default());
}

/// The window as no one sees that it has changed: for each `n` below 256 another one.
fn seen(n: u32) -> Observation {
    let mut image = window();
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        let bit = (n >> ((x + y) % 8)) & 1;
        pixel.0[0] ^= bit.to_le_bytes()[0];
    }
    Observation { screenshot: Screenshot::now(image, 1.0), foreground_app: None }
}

#[divan::bench]
fn help(bencher: Bencher<'_, '_>) {
    bencher.bench(|| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_handsight-under-test"));
        command.arg("--help").output()
    });
}

#[divan::bench]
fn load_embedded(bencher: Bencher<'_, '_>) {
    bencher.bench(Engine::embedded);
}

fn pixels(engine: &Engine) -> (Tensor, handsight_model::qwen2_5_vl::vision::Grid) {
    let processed = engine.processor().process(&window()).expect("the picture is small");
    let rows = processed.grid.patch_len();
    let columns = processed.pixel_values.len() / rows;
    let tensor = Tensor::from_vec(processed.pixel_values, (rows, columns), &Device::Cpu);
    (tensor.expect("the rows add up"), processed.grid)
}

/// Embeddings, positions and the next position of a prompt with one 640×480 window.
fn prompt(engine: &Engine) -> (Tensor, Vec<[u32; 3]>, u32) {
    let (pixel_values, grid) = pixels(engine);
    let model = engine.model();
    let features = model.image_features(&pixel_values, &[grid]).expect("the tower runs");
    let messages = [Message::image_and_text(0, "click \"Team\"")];
    let media = [Media::image(grid, model.config().image_token_id)];
    let ids = engine.prompt_ids(&messages, &media).expect("the template renders");
    let places = positions(&ids, |id| model.is_placeholder(id), &media, 0).expect("one image");
    let embeddings = model.embed(&ids, Some(&features)).expect("features fit");
    (embeddings, places.ids, places.next)
}
