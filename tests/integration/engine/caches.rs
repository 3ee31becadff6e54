//! What is remembered of earlier prompts and images.

use std::ops::Range;

use handsight_model::{Completion, EngineOptions, Message, Quantization, Request, Role};
use handsight_tests::golden::pattern;

use super::{answer, ask, assert_same, conversation, forgetful, look, tiny, watch};

#[test]
fn answers_are_the_same_with_and_without_memory() {
    let (remembers, forgets) = (tiny(&EngineOptions::default()), forgetful());
    let first = look("What is open?", (140, 112, 1));
    let said = answer(&forgets, &first).text;
    // The next turn goes on; another looks at the same picture with another question; then comes a
    // picture of the same size with other pixels, a video, and the first question once more.
    let mut turns = first.messages[1..].to_vec();
    turns.extend([Message::text(Role::Assistant, said), Message::image_and_text(1, "And now?")]);
    let requests = [
        first.clone(),
        conversation(turns, &[(140, 112, 1), (112, 140, 2)]),
        look("Where is the button?", (140, 112, 1)),
        look("What is open?", (140, 112, 9)),
        watch("What happens?", 5),
        watch("When does it happen?", 5),
        ask("What is open?"),
        first,
    ];
    let mut cached = Vec::new();
    for request in &requests {
        let (with, without) = (answer(&remembers, request), answer(&forgets, request));
        assert_same(&with, &without);
        assert_eq!(without.stats.cached_tokens, 0);
        assert_eq!(with.stats.prompt_tokens, without.stats.prompt_tokens);
        cached.push(with.stats.cached_tokens);
    }
    // What was shared: nothing; the whole first turn; the picture too; only the system turn; …
    let prompt = |request: &Request| answer(&forgets, request).stats.prompt_tokens;
    assert_eq!(cached[0], 0);
    assert!(cached[1] >= prompt(&requests[0]), "the first turn and its answer: {cached:?}");
    assert!(cached[2] > cached[3], "the same picture is shared, another is not: {cached:?}");
    assert!(cached[3] > 0, "the system turn is shared: {cached:?}");
    assert!(cached[5] > cached[4], "the same video is shared: {cached:?}");
    assert_eq!(cached[7], prompt(&requests[0]) - 1, "all but the last token: {cached:?}");
    let counts = remembers.cache_counts();
    assert!(counts.prefix_hits >= 7 && counts.prefix_misses >= 1, "{counts:?}");
}

#[test]
fn a_picture_in_another_place_is_encoded_once() {
    let engine = tiny(&EngineOptions::default());
    answer(&engine, &look("What is open?", (140, 112, 1)));
    // Another system turn: no prompt is shared, the picture's features are.
    let mut elsewhere = look("What is open?", (140, 112, 1));
    elsewhere.messages[0] = Message::text(Role::System, "Be brief.");
    let other = answer(&engine, &elsewhere);
    assert_same(&other, &answer(&forgetful(), &elsewhere));
    let counts = engine.cache_counts();
    assert_eq!((counts.vision_hits, counts.vision_misses), (1, 1));
}

#[test]
fn of_a_changed_picture_only_the_changed_windows_are_run_and_no_bit_differs() {
    for quantize in [None, Some(Quantization::Q8_0)] {
        let options = EngineOptions { quantize, prefix_cache_bytes: 0, ..EngineOptions::default() };
        let keeps = tiny(&options);
        let forgets = tiny(&EngineOptions { vision_cache_bytes: 0, ..options });
        // 4 × 3 windows of 112 px, those at the right 28 px wide and those below 56 px high.
        let mut request = look("What is open?", (364, 280, 1));
        let mut picture = pattern(364, 280, 1);
        let changes: [(Range<u32>, Range<u32>, u64); 6] = [
            (0..364, 0..280, 12),
            (0..1, 0..1, 1),
            (363..364, 279..280, 1),
            (100..130, 20..240, 6),
            (0..364, 111..112, 4),
            (336..364, 224..280, 1),
        ];
        for (columns, rows, windows) in changes {
            let before = keeps.cache_counts();
            for (x, y) in columns.clone().flat_map(|x| rows.clone().map(move |y| (x, y))) {
                picture.get_pixel_mut(x, y).0[1] ^= 0x55;
            }
            request.images = vec![picture.clone().into()];
            let (with, without) = (answer(&keeps, &request), answer(&forgets, &request));
            let bits = |answer: &Completion| {
                answer.tokens.iter().map(|token| token.logprob.to_bits()).collect::<Vec<_>>()
            };
            assert_same(&with, &without);
            assert_eq!(bits(&with), bits(&without), "{columns:?} {rows:?}");
            let after = keeps.cache_counts();
            assert_eq!(after.window_misses - before.window_misses, windows, "{columns:?} {rows:?}");
            assert_eq!(after.window_hits - before.window_hits, 12 - windows);
        }
        assert_eq!(forgets.cache_counts().window_hits, 0);
    }
}

#[test]
fn a_system_turn_is_kept_for_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let options = EngineOptions {
        prefix_cache_bytes: 0,
        vision_cache_bytes: 0,
        prefix_dir: Some(dir.path().to_owned()),
        ..EngineOptions::default()
    };
    let request = look("What is open?", (140, 112, 1));
    let fresh = answer(&tiny(&options), &request);
    assert_eq!(fresh.stats.cached_tokens, 0);
    let next = answer(&tiny(&options), &request);
    assert_same(&next, &fresh);
    let n_system = next.stats.cached_tokens;
    assert!(n_system > 64, "the system turn was read from disk: {n_system}");
    // Another question about another picture shares it, too; another system turn does not.
    let other = look("And this?", (112, 140, 2));
    assert_eq!(answer(&tiny(&options), &other).stats.cached_tokens, n_system);
    let mut elsewhere = request.clone();
    elsewhere.messages[0] = Message::text(Role::System, "Be brief. ".repeat(20));
    assert_eq!(answer(&tiny(&options), &elsewhere).stats.cached_tokens, 0);
    // A damaged file is as none.
    for file in fs_err::read_dir(dir.path()).unwrap() {
        fs_err::write(file.unwrap().path(), b"damaged").unwrap();
    }
    assert_same(&answer(&tiny(&options), &request), &fresh);
}

#[test]
fn a_small_memory_forgets_and_still_answers() {
    let options = EngineOptions {
        prefix_cache_bytes: 200_000,
        vision_cache_bytes: 2_000,
        ..EngineOptions::default()
    };
    let (engine, forgets) = (tiny(&options), forgetful());
    for round in 0..2 {
        for seed in 0..6 {
            let request = look(&format!("Question {seed}"), (112, 84, seed));
            assert_same(&answer(&engine, &request), &answer(&forgets, &request));
        }
        assert!(engine.cache_counts().vision_hits == 0, "round {round}: too little room for one");
    }
}
