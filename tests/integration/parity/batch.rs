//! Prompts of different lengths side by side. transformers pads them on the left and masks; here
//! they are packed one after another, and no sequence sees another.

use candle_core::Tensor;
use handsight_model::qwen2_5_vl::Segment;
use handsight_model::{
    CancelFlag, Engine, Event, GenerateOptions, ImageInput, Message, Request, Role, Scheduler,
    SchedulerLimits,
};
use handsight_tests::golden::{Golden, assert_close, floats, rows};
use serde_json::Value;

use super::model::{LOGITS, Prompt};
use super::{Case, cases, engine};

/// The prompts of each batch, by name, and its golden.
fn batches() -> Vec<(String, Vec<Case>, Golden)> {
    let batch = |row: &Value| {
        let name = row["name"].as_str().unwrap().to_owned();
        let prompts: Vec<String> = serde_json::from_value(row["prompts"].clone()).unwrap();
        let golden = Golden::open(&format!("media_{name}"));
        (name, prompts.iter().map(|name| case(name)).collect(), golden)
    };
    rows("batches.json").iter().map(batch).collect()
}

fn case(name: &str) -> Case {
    let short = || {
        let messages = vec![Message::text(Role::User, "Hi")];
        Case { name: "short".to_owned(), messages, pictures: Vec::new() }
    };
    cases().into_iter().find(|case| case.name == name).unwrap_or_else(short)
}

fn prompt(engine: &Engine, case: &Case) -> Prompt {
    if case.name == "short" {
        let ids = engine.prompt_ids(&case.messages, &[]).unwrap();
        return Prompt::of_text(engine, &ids);
    }
    Prompt::new(engine, case, &Golden::open(&format!("flat_{}", case.name)))
}

/// Goldens: `lengths`, `last_logits` and `greedy`. The prompts go through the decoder in one pass,
/// and so does the next token of all of them, eight times.
#[test]
fn a_batch_in_one_pass_matches_the_reference() {
    let model = engine("flat").model();
    for (name, cases, golden) in batches() {
        let prompts: Vec<Prompt> = cases.iter().map(|case| prompt(engine("flat"), case)).collect();
        let lengths: Vec<usize> = prompts.iter().map(|p| p.positions.ids.len()).collect();
        let expected: Vec<u32> = golden.token_ids("lengths");
        assert_eq!(
            lengths.iter().map(|&n| u32::try_from(n).unwrap()).collect::<Vec<_>>(),
            expected
        );

        let mut caches: Vec<_> = prompts.iter().map(|_| model.new_cache()).collect();
        let mut segments: Vec<Segment<'_>> =
            caches.iter_mut().zip(&lengths).map(|(cache, &len)| Segment { cache, len }).collect();
        let embeddings: Vec<_> = prompts.iter().map(|prompt| &prompt.embeddings).collect();
        let embeddings = Tensor::cat(&embeddings, 0).unwrap();
        let places: Vec<_> = prompts.iter().flat_map(|p| p.positions.ids.clone()).collect();
        let hidden = model.forward_packed(&embeddings, &places, &mut segments).unwrap();
        let ends = lengths.iter().scan(0, |end, len| {
            *end += len;
            Some(*end)
        });
        let last: Vec<_> = ends.map(|end| hidden.narrow(0, end - 1, 1).unwrap()).collect();
        let mut logits = model.logits(&Tensor::cat(&last, 0).unwrap()).unwrap();
        assert_close(&name, &floats(&logits), &golden.floats("last_logits"), LOGITS);

        let mut answers = vec![Vec::new(); prompts.len()];
        let mut next: Vec<u32> = prompts.iter().map(|prompt| prompt.positions.next).collect();
        for step in 0..8 {
            let tokens: Vec<u32> = logits.argmax(1).unwrap().to_vec1().unwrap();
            for (answer, &token) in answers.iter_mut().zip(&tokens) {
                answer.push(token);
            }
            if step == 7 {
                break;
            }
            let mut segments: Vec<_> =
                caches.iter_mut().map(|cache| Segment { cache, len: 1 }).collect();
            let places: Vec<[u32; 3]> = next.iter().map(|&at| [at; 3]).collect();
            let embeddings = model.embed(&tokens, None).unwrap();
            let hidden = model.forward_packed(&embeddings, &places, &mut segments).unwrap();
            logits = model.logits(&hidden).unwrap();
            for at in &mut next {
                *at += 1;
            }
        }
        assert_eq!(answers.concat(), golden.token_ids("greedy"), "{name}");
    }
}

/// Goldens: `greedy`, by way of the scheduler, which begins and ends requests while others run.
#[test]
fn requests_that_run_together_match_the_reference() {
    let folder = handsight_tests::golden::tiny_fixture("flat-f32");
    let engine = Engine::load(&folder, &handsight_model::EngineOptions::default()).unwrap();
    let scheduler = Scheduler::new(std::sync::Arc::new(engine), SchedulerLimits::default());
    for (name, cases, golden) in batches() {
        let (sender, receiver) = std::sync::mpsc::channel();
        for (index, case) in cases.iter().enumerate() {
            let request = Request {
                messages: case.messages.clone(),
                images: case.pictures.iter().cloned().map(ImageInput::from).collect(),
                options: GenerateOptions { max_new_tokens: 8, ..Default::default() },
                ..Default::default()
            };
            let sender = sender.clone();
            let on_event = Box::new(move |event| {
                if let Event::Done(result) = event {
                    sender.send((index, result)).unwrap();
                }
            });
            scheduler.submit(request, CancelFlag::default(), on_event).unwrap();
        }
        let expected = golden.token_ids("greedy");
        for _ in &cases {
            let (index, result) = receiver.recv().unwrap();
            let tokens: Vec<u32> = result.unwrap().tokens.iter().map(|token| token.id).collect();
            assert_eq!(tokens, expected[index * 8..(index + 1) * 8], "{name} {index}");
        }
    }
}
