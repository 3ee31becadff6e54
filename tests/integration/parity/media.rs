//! Videos, images with limits of their own, several of either in a conversation, and a long prompt.
//!
//! Tolerances as in `model.rs`; what is sampled of a golden is said there.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use handsight_model::qwen2_5_vl::rope::{Media, Positions, positions};
use handsight_model::qwen2_5_vl::vision::Grid;
use handsight_model::{
    CancelFlag, Engine, GenerateOptions, ImageInput, Message, Part, PixelLimits, Request,
    VideoInput,
};
use handsight_tests::golden::{Golden, assert_close, floats, grid, pattern, rows};
use serde_json::Value;

use super::images::sum;
use super::model::{FEATURES, LOGITS};
use super::{engine, messages};

/// One prompt of `model/reference/media_cases.py`, as a request.
fn cases() -> Vec<(String, Request, Golden)> {
    let case = |row: &Value| {
        let name = row["name"].as_str().unwrap().to_owned();
        let golden = Golden::open(&format!("media_{name}"));
        let all = |key: &str| row[key].as_array().unwrap().clone();
        let request = Request {
            messages: messages(&row["messages"]).unwrap(),
            images: all("pictures").iter().map(image).collect(),
            videos: all("videos").iter().map(video).collect(),
            options: GenerateOptions { max_new_tokens: 12, ..Default::default() },
            ..Default::default()
        };
        (name, request, golden)
    };
    rows("media.json").iter().map(case).collect()
}

fn limits(row: &Value) -> PixelLimits {
    let resized = row.get("resized").map(|size| serde_json::from_value(size.clone()).unwrap());
    let pixels = |key: &str| row.get(key).and_then(Value::as_u64);
    PixelLimits { min_pixels: pixels("min_pixels"), max_pixels: pixels("max_pixels"), resized }
}

/// The picture of a row, its number `i` if it is a video.
fn picture(row: &Value, i: u32) -> Arc<image::RgbImage> {
    let [width, height] = serde_json::from_value(row["size"].clone()).unwrap();
    let seed: u32 = serde_json::from_value(row["seed"].clone()).unwrap();
    Arc::new(pattern(width, height, seed + i))
}

fn image(row: &Value) -> ImageInput {
    ImageInput { pixels: picture(row, 0), limits: limits(row) }
}

fn video(row: &Value) -> VideoInput {
    let frames: u32 = serde_json::from_value(row["frames"].clone()).unwrap();
    let frames = (0..frames).map(|i| picture(row, i)).collect();
    VideoInput { frames, fps: row["fps"].as_f64().unwrap(), limits: limits(row) }
}

/// An image or a video as the vision tower takes it.
struct Shown {
    is_video: bool,
    pixel_values: Vec<f32>,
    media: Media,
}

/// The images and videos of a request in the order of its messages.
fn shown(engine: &Engine, request: &Request) -> Vec<Shown> {
    let (processor, config) = (engine.processor(), engine.model().config());
    let show = |part: &Part| {
        let (frames, limits, seconds) = match *part {
            Part::Text { .. } => return None,
            Part::Image { image } => {
                let ImageInput { pixels, limits } = &request.images[image];
                (std::slice::from_ref(pixels), *limits, None)
            }
            Part::Video { video } => {
                let VideoInput { frames, fps, limits } = &request.videos[video];
                (frames.as_slice(), *limits, Some(2.0 / fps))
            }
        };
        let frames: Vec<_> =
            frames.iter().map(|frame| processor.resize(frame, limits).unwrap()).collect();
        let processed = processor.patchify(&frames.iter().collect::<Vec<_>>());
        let media = match seconds {
            None => Media::image(processed.grid, config.image_token_id),
            Some(seconds) => video_media(processed.grid, seconds, engine),
        };
        let pixel_values = processed.pixel_values;
        Some(Shown { is_video: seconds.is_some(), pixel_values, media })
    };
    request.messages.iter().flat_map(|message| &message.content).filter_map(show).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the reference computes in f32 too")]
fn video_media(grid: Grid, seconds: f64, engine: &Engine) -> Media {
    let time_stride = seconds as f32 * engine.model().config().vision.tokens_per_second as f32;
    Media { grid, token_id: engine.model().config().video_token_id, time_stride }
}

/// Goldens: `input_ids`, `grid_thw`, `video_grid_thw`; `.sample` and `.row_sums` of the values.
#[test]
fn what_a_request_shows_becomes_the_reference_s_pixels_and_tokens() {
    let engine = engine("flat");
    for (name, request, golden) in cases() {
        let shown = shown(engine, &request);
        let media: Vec<Media> = shown.iter().map(|shown| shown.media).collect();
        let ids = engine.prompt_ids(&request.messages, &media).unwrap();
        assert_eq!(ids, golden.token_ids("input_ids"), "{name}");
        for (is_video, grids, pixels) in
            [(false, "grid_thw", "pixel_values"), (true, "video_grid_thw", "pixel_values_videos")]
        {
            let of_kind = || shown.iter().filter(|shown| shown.is_video == is_video);
            assert_eq!(golden.has(grids), of_kind().count() > 0, "{name}");
            if !golden.has(grids) {
                continue;
            }
            let expected: Vec<_> = golden.integers(grids).chunks_exact(3).map(grid).collect();
            let found: Vec<_> = of_kind().map(|shown| shown.media.grid).collect();
            assert_eq!(found, expected, "{name}");
            let values: Vec<f32> = of_kind().flat_map(|shown| shown.pixel_values.clone()).collect();
            let expected = golden.floats(&format!("{pixels}.sample"));
            let sample: Vec<f32> =
                values.iter().copied().step_by(101).take(expected.len()).collect();
            assert_close(&format!("{name} {pixels}"), &sample, &expected, 1e-6);
            let sums: Vec<f32> = values.chunks_exact(1176).map(sum).collect();
            let expected = golden.floats(&format!("{pixels}.row_sums"));
            assert_close(&format!("{name} {pixels} sums"), &sums, &expected, 2e-3);
        }
    }
}

/// The features of one image or video.
fn features(engine: &Engine, shown: &Shown) -> Tensor {
    let rows = shown.pixel_values.len() / 1176;
    let device = &Device::Cpu;
    let values = Tensor::from_slice(&shown.pixel_values, (rows, 1176), device).unwrap();
    engine.model().image_features(&values, &[shown.media.grid]).unwrap()
}

/// Goldens: `vision.features` and `vision.video_features`, every third row.
#[test]
fn features_of_videos_match_the_reference() {
    let engine = engine("flat");
    for (name, request, golden) in cases() {
        let shown = shown(engine, &request);
        for (is_video, key) in [(false, "vision.features"), (true, "vision.video_features")] {
            let of_kind = shown.iter().filter(|shown| shown.is_video == is_video);
            let rows: Vec<Vec<f32>> =
                of_kind.flat_map(|shown| features(engine, shown).to_vec2().unwrap()).collect();
            assert_eq!(rows.is_empty(), !golden.has(key));
            if !rows.is_empty() {
                let sample = rows.into_iter().step_by(3).flatten().collect::<Vec<f32>>();
                assert_close(&format!("{name} {key}"), &sample, &golden.floats(key), FEATURES);
            }
        }
    }
}

fn places(engine: &Engine, ids: &[u32], media: &[Media]) -> Positions {
    positions(ids, |id| engine.model().is_placeholder(id), media, 0).unwrap()
}

/// Goldens: `position_ids`, `rope_delta`. Whole numbers, so equal.
#[test]
fn positions_of_videos_match_the_reference() {
    let engine = engine("flat");
    for (name, request, golden) in cases() {
        let media: Vec<Media> = shown(engine, &request).iter().map(|shown| shown.media).collect();
        let ids = golden.token_ids("input_ids");
        let Positions { ids: actual, next } = places(engine, &ids, &media);
        let actual: Vec<i64> = (0..3)
            .flat_map(|axis| actual.iter().map(move |position| i64::from(position[axis])))
            .collect();
        assert_eq!(actual, golden.integers("position_ids"), "{name}");
        let delta = i64::from(next) - i64::try_from(ids.len()).unwrap();
        assert_eq!(vec![delta], golden.integers("rope_delta"), "{name}");
    }
}

/// Golden: `video_positions.json`: the times of every step at many frame rates, among them those
/// whose products f32 rounds across a whole number.
#[test]
fn times_of_videos_match_the_reference_at_every_rate() {
    let engine = engine("flat");
    let video_token = engine.model().config().video_token_id;
    let mut n_rows = 0;
    for row in rows("video_positions.json") {
        let thw: Vec<i64> = serde_json::from_value(row["grid"].clone()).unwrap();
        let media = video_media(grid(&thw), 2.0 / row["fps"].as_f64().unwrap(), engine);
        let n = media.grid.merged_len();
        let mut ids = vec![1, 1, 1];
        ids.extend(std::iter::repeat_n(video_token, n));
        ids.extend([1, 1]);
        let found = places(engine, &ids, &[media]);
        let per_step = n / media.grid.time;
        let times: Vec<u32> = found.ids[3..3 + n].iter().step_by(per_step).map(|p| p[0]).collect();
        assert_eq!(row["times"], Value::from(times), "{row}");
        assert_eq!(row["last"], serde_json::json!(found.ids.last().unwrap()), "{row}");
        n_rows += 1;
    }
    assert!(n_rows > 40);
}

/// Goldens: `logits` of the last eight positions, the prompt run at once and in passes that end
/// inside images, videos and text.
#[test]
fn logits_after_videos_match_the_reference_however_the_prompt_is_cut() {
    let engine = engine("flat");
    let model = engine.model();
    for (name, request, golden) in cases() {
        let shown = shown(engine, &request);
        let media: Vec<Media> = shown.iter().map(|shown| shown.media).collect();
        let ids = golden.token_ids("input_ids");
        let features: Vec<Tensor> = shown.iter().map(|shown| features(engine, shown)).collect();
        let features = Tensor::cat(&features, 0).unwrap();
        let embeddings = model.embed(&ids, Some(&features)).unwrap();
        let places = places(engine, &ids, &media);
        for chunk in [usize::MAX, 512, 100, 33] {
            let mut cache = model.new_cache();
            let mut hidden = Vec::new();
            let mut start = 0;
            for position_ids in places.ids.chunks(chunk) {
                let part = embeddings.narrow(0, start, position_ids.len()).unwrap();
                hidden.push(model.forward(&part, position_ids, &mut cache).unwrap());
                start += position_ids.len();
            }
            let hidden = Tensor::cat(&hidden, 0).unwrap();
            let last = hidden.narrow(0, ids.len() - 8, 8).unwrap();
            let logits = floats(&model.logits(&last).unwrap());
            let what = format!("{name} in passes of {}", chunk.min(ids.len()));
            assert_close(&what, &logits, &golden.floats("logits"), LOGITS);
        }
    }
}

/// Goldens: `greedy`, twelve tokens by way of the engine.
#[test]
fn answers_about_videos_match_the_reference() {
    for (name, request, golden) in cases() {
        let answer =
            engine("flat").generate(&request, &mut |_| {}, &CancelFlag::default()).unwrap();
        let tokens: Vec<u32> = answer.tokens.iter().map(|token| token.id).collect();
        assert_eq!(tokens, golden.token_ids("greedy"), "{name}");
        assert_eq!(answer.stats.prompt_tokens, golden.token_ids("input_ids").len());
    }
}

/// A video that is asked about twice is two videos; an image that is shown twice is encoded once.
#[test]
fn a_picture_may_be_shown_again() {
    let (_, request, _) = cases().into_iter().find(|(name, ..)| name == "video_resized").unwrap();
    let message = request.messages[0].clone();
    let mut twice = message.clone();
    twice.content.extend(message.content);
    let once = engine("flat").prompt_ids(&request.messages, &[]).unwrap();
    let messages = vec![Message::new(twice.role, twice.content)];
    let again = Request { messages, ..request };
    let answer = engine("flat").generate(&again, &mut |_| {}, &CancelFlag::default()).unwrap();
    assert_eq!(
        answer.stats.image_tokens,
        2 * shown(engine("flat"), &again)[0].media.grid.merged_len()
    );
    assert!(answer.stats.prompt_tokens > once.len());
}
