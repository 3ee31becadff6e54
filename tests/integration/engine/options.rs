//! What a request may ask of an answer: stop strings, likeliest tokens, a context, a form.

use std::collections::HashSet;
use std::sync::Arc;

use handsight_model::{
    CancelFlag, Completion, Constraint, EngineOptions, GenerateOptions, ImageInput, Message,
    ModelError, Part, PixelLimits, Quantization, Request, Role, Sampling, StopReason, TokenInfo,
};
use handsight_tests::golden::pattern;

use super::{answer, ask, conversation, forgetful, look, tiny, watch};

fn with(request: Request, options: GenerateOptions) -> Request {
    Request { options, ..request }
}

#[test]
fn a_stop_string_ends_the_answer_and_is_never_shown() {
    let engine = forgetful();
    let options = GenerateOptions { max_new_tokens: 40, ..Default::default() };
    let whole = answer(&engine, &with(ask("Go on."), options.clone()));
    assert_eq!(whole.stop, StopReason::Length);
    // A stop string that starts inside one token and ends inside a later one.
    let chars: Vec<char> = whole.text.chars().collect();
    let stop: String = chars[chars.len() / 2..][..5].iter().collect();
    let before = whole.text.split(&stop).next().unwrap();
    let request = with(ask("Go on."), GenerateOptions { stop: vec![stop.clone()], ..options });
    let mut shown = String::new();
    let mut show = |token: &TokenInfo| shown.push_str(&token.text);
    let stopped = engine.generate(&request, &mut show, &CancelFlag::default()).unwrap();
    assert_eq!((stopped.text.as_str(), stopped.stop), (before, StopReason::StopString));
    assert_eq!(shown, before);
    assert!(stopped.tokens.len() < whole.tokens.len());
}

#[test]
fn the_texts_of_the_tokens_are_the_answer() {
    let options = GenerateOptions { max_new_tokens: 30, top_logprobs: 5, ..Default::default() };
    let whole = answer(&forgetful(), &with(look("Hm?", (112, 84, 3)), options));
    let texts: String = whole.tokens.iter().map(|token| token.text.as_str()).collect();
    assert_eq!(texts, whole.text);
    let bytes: Vec<u8> = whole.tokens.iter().flat_map(|token| token.bytes.clone()).collect();
    assert_eq!(String::from_utf8_lossy(&bytes), whole.text);
    for token in &whole.tokens {
        assert_eq!(token.top.len(), 5);
        assert_eq!((token.top[0].id, &token.top[0].bytes), (token.id, &token.bytes), "greedy");
        assert!((token.top[0].logprob - token.logprob).abs() < 1e-6);
        assert!(token.top.windows(2).all(|pair| pair[0].logprob >= pair[1].logprob));
        assert!(token.top.iter().map(|top| top.logprob.exp()).sum::<f32>() <= 1.0 + 1e-5);
    }
}

#[test]
fn a_regular_expression_is_followed() {
    let request = Request {
        constraint: Some(Constraint::Regex("(yes|no), [0-9]{2} times".to_owned())),
        ..ask("How often?")
    };
    let engine = forgetful();
    let said = answer(&engine, &with(request, GenerateOptions::default()));
    assert_eq!(said.stop, StopReason::Stop);
    let (word, rest) = said.text.split_once(", ").unwrap();
    assert!(["yes", "no"].contains(&word) && rest.ends_with(" times"), "{}", said.text);
    assert_eq!(rest.chars().filter(char::is_ascii_digit).count(), 2, "{}", said.text);
}

#[test]
fn an_answer_that_may_not_end_fills_its_room() {
    let options = GenerateOptions { max_new_tokens: 20, ignore_eos: true, ..Default::default() };
    let said = answer(&forgetful(), &with(ask("Go on."), options));
    assert_eq!((said.stop, said.tokens.len()), (StopReason::Length, 20));
    let nothing = GenerateOptions { max_new_tokens: 0, ..Default::default() };
    let said = answer(&forgetful(), &with(ask("Go on."), nothing));
    assert_eq!((said.stop, said.tokens.len(), said.text.as_str()), (StopReason::Length, 0, ""));
}

#[test]
fn a_prompt_over_the_limit_is_refused_with_the_numbers() {
    let engine = tiny(&EngineOptions { max_context: Some(100), ..EngineOptions::default() });
    assert_eq!(engine.context_limit(), 100);
    let error = refusal(&engine, &ask("Go on."));
    let tokens = answer(&forgetful(), &ask("Go on.")).stats.prompt_tokens;
    let expected = format!(
        "the prompt has {tokens} tokens and 8 more may be generated, but the model's context is 100"
    );
    assert_eq!(error.to_string(), expected);
    // Without YaRN the released limit holds, whatever the positions could count to.
    assert_eq!(forgetful().context_limit(), 32_768.min(forgetful().info().max_position_embeddings));
}

#[test]
fn a_prompt_over_the_limit_is_refused_before_its_pictures_are_made_large() {
    let side = 32_760;
    let parts = (0..64).map(|image| Part::Image { image }).collect();
    let limits = PixelLimits {
        min_pixels: Some(side * side - 100_000),
        max_pixels: Some(side * side),
        ..Default::default()
    };
    let pixels = Arc::new(pattern(56, 56, 1));
    let images = vec![ImageInput { pixels, limits }; 64];
    let request = Request { images, ..conversation(vec![Message::new(Role::User, parts)], &[]) };
    // Resized first, they would take 200 GB.
    let error = refusal(&forgetful(), &request);
    let ModelError::PromptTooLong { tokens, max_new_tokens: 8, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(tokens, forgetful().prompt_len(&request).unwrap());
    assert!(tokens > 64 * 1_300_000, "{tokens}");
}

#[test]
fn penalties_keep_an_answer_from_saying_the_same_again() {
    let repeats = |presence_penalty, frequency_penalty| {
        let options = GenerateOptions {
            max_new_tokens: 60,
            ignore_eos: true,
            presence_penalty,
            frequency_penalty,
            ..Default::default()
        };
        let said = answer(&forgetful(), &with(ask("Go on."), options));
        let ids: HashSet<u32> = said.tokens.iter().map(|token| token.id).collect();
        said.tokens.len() - ids.len()
    };
    let free = repeats(0.0, 0.0);
    assert!(repeats(2.0, 0.0) < free && repeats(0.0, 2.0) < free, "{free} without a penalty");
    assert!(repeats(0.0, -2.0) > free, "{free} without a penalty");
}

#[test]
fn each_image_has_limits_of_its_own() {
    let engine = forgetful();
    let tokens = |limits| {
        let mut request = look("Hm?", (300, 200, 1));
        request.images[0].limits = limits;
        answer(&engine, &request).stats.image_tokens
    };
    let side = |pixels: usize| pixels / 28;
    assert_eq!(tokens(PixelLimits::default()), side(308) * side(196));
    let small = PixelLimits { max_pixels: Some(100 * 100), ..Default::default() };
    assert_eq!(tokens(small), side(112) * side(56));
    let asked = PixelLimits { resized: Some((150, 90)), ..Default::default() };
    assert_eq!(tokens(asked), side(140) * side(84));
    let impossible =
        PixelLimits { min_pixels: Some(9999), max_pixels: Some(100), ..Default::default() };
    let mut request = look("Hm?", (300, 200, 1));
    request.images[0].limits = impossible;
    let error = refusal(&engine, &request).to_string();
    assert!(error.contains("300×200 px") && error.contains("min_pixels"), "{error}");
}

#[test]
fn what_cannot_be_followed_is_refused_with_the_value() {
    let engine = forgetful();
    let mut cases: Vec<(Request, &str)> = Vec::new();
    let options = |options| with(ask("Hm?"), options);
    cases.push((
        options(GenerateOptions { stop: vec![String::new()], ..Default::default() }),
        "a stop string is empty",
    ));
    cases.push((
        options(GenerateOptions { top_logprobs: 101, ..Default::default() }),
        "top_logprobs is 101 but at most 100",
    ));
    cases.push((
        options(GenerateOptions { repetition_penalty: f32::NAN, ..Default::default() }),
        "the repetition penalty NaN is not between 0.01 and 100",
    ));
    cases.push((
        options(GenerateOptions { presence_penalty: 2.5, ..Default::default() }),
        "the presence penalty 2.5 is not between -2 and 2",
    ));
    cases.push((
        options(GenerateOptions { frequency_penalty: f32::INFINITY, ..Default::default() }),
        "the frequency penalty inf is not between -2 and 2",
    ));
    let mut no_image = look("Hm?", (112, 84, 1));
    no_image.images.clear();
    cases.push((no_image, "the messages refer to image 0 but 0 image(s) were given"));
    let mut no_video = watch("Hm?", 2);
    no_video.videos.clear();
    cases.push((no_video, "the messages refer to video 0 but 0 video(s) were given"));
    cases.push((watch("Hm?", 0), "a video of 0 frame(s) cannot be used: it has no frames"));
    let mut frozen = watch("Hm?", 2);
    frozen.videos[0].fps = 0.0;
    cases.push((frozen, "its frames per second are not between 0.001 and 1000"));
    for (request, expected) in cases {
        let error = refusal(&engine, &request).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

fn refusal(engine: &handsight_model::Engine, request: &Request) -> ModelError {
    engine.generate(request, &mut |_| {}, &CancelFlag::default()).unwrap_err()
}

/// A pass that checks guesses computes the same as passes of one token.
#[test]
fn guessing_the_next_tokens_changes_no_bit_and_saves_passes() {
    let sampled = Sampling::Random { temperature: 1.2, top_p: None, top_k: Some(20), seed: 7 };
    for quantize in [None, Some(Quantization::Q4K)] {
        let options = EngineOptions { quantize, ..EngineOptions::default() };
        let guesses = tiny(&options);
        let plain = tiny(&EngineOptions { speculate: false, ..options });
        let schema = serde_json::json!({
            "type": "object",
            "properties": {
                "action": { "enum": ["left_click", "double_click"] },
                "coordinate": { "type": "array", "items": { "type": "integer" }, "maxItems": 2 },
                "thought": { "type": "string", "maxLength": 40 },
            },
            "required": ["action", "coordinate", "thought"],
        });
        let as_json = Some(Constraint::JsonSchema(schema));
        let (mut passes, mut plain_passes) = (0, 0);
        for (sampling, constraint) in [
            (Sampling::default(), None),
            (Sampling::default(), as_json.clone()),
            (sampled, None),
            (sampled, as_json),
        ] {
            let options =
                GenerateOptions { max_new_tokens: 80, sampling, ..GenerateOptions::default() };
            // The same twice, then another that begins like it.
            for text in ["Say it.", "Say it.", "Say that."] {
                let request = Request { constraint: constraint.clone(), ..ask(text) };
                let request = with(request, options.clone());
                let (a, b) = (answer(&guesses, &request), answer(&plain, &request));
                let bits = |answer: &Completion| {
                    let each =
                        answer.tokens.iter().map(|token| (token.id, token.logprob.to_bits()));
                    each.collect::<Vec<_>>()
                };
                assert_eq!(bits(&a), bits(&b), "{text} {options:?}");
                assert_eq!((a.text, a.stop), (b.text, b.stop));
                assert!(a.stats.accepted_draft_tokens <= a.stats.draft_tokens);
                assert_eq!(b.stats.draft_tokens, 0);
                passes += a.stats.forward_passes;
                plain_passes += b.stats.forward_passes;
            }
        }
        assert!(4 * passes < 3 * plain_passes, "{passes} passes, without guesses {plain_passes}");
    }
}
