//! The engine: what it remembers changes no answer, and requests that run together answer as they
//! do alone.

mod caches;
mod devices;
mod memory;
mod options;
mod scheduler;

use handsight_model::{
    CancelFlag, Completion, Engine, EngineOptions, GenerateOptions, ImageInput, Message, Request,
    Role, VideoInput,
};
use handsight_tests::golden::{pattern, tiny_fixture};

/// A checkpoint of random weights: it says nothing sensible, but exactly.
fn tiny(options: &EngineOptions) -> Engine {
    Engine::load(&tiny_fixture("flat-f32"), options).unwrap()
}

/// The same that remembers nothing.
fn forgetful() -> Engine {
    let options =
        EngineOptions { prefix_cache_bytes: 0, vision_cache_bytes: 0, ..EngineOptions::default() };
    tiny(&options)
}

/// A conversation that starts with a long system turn, as an agent's do.
fn conversation(turns: Vec<Message>, pictures: &[(u32, u32, u32)]) -> Request {
    let rules = "You control a screen. ".repeat(8);
    let mut messages = vec![Message::text(Role::System, rules)];
    messages.extend(turns);
    let image = |&(width, height, seed)| ImageInput::from(pattern(width, height, seed));
    Request {
        messages,
        images: pictures.iter().map(image).collect(),
        options: GenerateOptions { max_new_tokens: 8, ..Default::default() },
        ..Default::default()
    }
}

fn ask(text: &str) -> Request {
    conversation(vec![Message::text(Role::User, text)], &[])
}

fn look(text: &str, picture: (u32, u32, u32)) -> Request {
    conversation(vec![Message::image_and_text(0, text)], &[picture])
}

fn watch(text: &str, frames: u32) -> Request {
    let frames = (0..frames).map(|seed| pattern(112, 84, seed).into()).collect();
    let video = VideoInput { frames, fps: 2.0, limits: handsight_model::PixelLimits::default() };
    let parts = vec![
        handsight_model::Part::Video { video: 0 },
        handsight_model::Part::Text { text: text.to_owned() },
    ];
    let request = conversation(vec![Message::new(Role::User, parts)], &[]);
    Request { videos: vec![video], ..request }
}

fn answer(engine: &Engine, request: &Request) -> Completion {
    engine.generate(request, &mut |_| {}, &CancelFlag::default()).unwrap()
}

/// Checks that two answers are the same: the tokens equal, their probabilities to the rounding of
/// f32 sums taken in another order.
#[track_caller]
fn assert_same(actual: &Completion, expected: &Completion) {
    let ids = |answer: &Completion| answer.tokens.iter().map(|token| token.id).collect::<Vec<_>>();
    assert_eq!(ids(actual), ids(expected));
    assert_eq!((&actual.text, actual.stop), (&expected.text, expected.stop));
    for (a, b) in actual.tokens.iter().zip(&expected.tokens) {
        assert!((a.logprob - b.logprob).abs() < 1e-4, "{} and {}", a.logprob, b.logprob);
    }
}
