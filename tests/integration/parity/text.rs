//! Text: chat templates and token ids. Everything here is equal or wrong; there is no tolerance.

use fs_err as fs;
use handsight_model::chat::{ChatTemplate, DEFAULT_TEMPLATE};
use handsight_model::tokenizer::Tokenizer;
use handsight_tests::golden::{Golden, rows, tiny_fixture};
use serde_json::Value;

use super::{cases, engine, messages};

/// Golden: `chat_template.json`. Video and `add_vision_id` cannot be said in our messages, so the
/// rows that use them are left out, by name.
#[test]
fn messages_are_rendered_as_the_reference_renders_them() {
    let default = ChatTemplate::new(DEFAULT_TEMPLATE).unwrap();
    let templates = [&default, engine("flat").template(), engine("sharded").template()];
    let mut left_out = Vec::new();
    for row in rows("chat_template.json") {
        let name = row["name"].as_str().unwrap().to_owned();
        let add_vision_id = row.get("add_vision_id").is_some();
        let Some(messages) = messages(&row["messages"]).filter(|_| !add_vision_id) else {
            left_out.push(name);
            continue;
        };
        let add_generation_prompt = row["add_generation_prompt"].as_bool().unwrap();
        for template in templates {
            let rendered = template.render(&messages, add_generation_prompt).unwrap();
            assert_eq!(row["rendered"], Value::from(rendered), "{name}");
        }
    }
    assert_eq!(left_out, ["video", "unknown_item", "vision_ids"]);
}

/// Golden: `tiny_tokenizer.json`, for both forms of the same tokenizer.
#[test]
fn the_tiny_tokenizer_gives_the_reference_s_ids_from_either_form() {
    check_tokenizer(engine("flat").tokenizer(), "tiny_tokenizer.json");
    check_tokenizer(engine("sharded").tokenizer(), "tiny_tokenizer.json");
}

/// Golden: `qwen_tokenizer.json`, ids of the released tokenizer; the fixture is that tokenizer cut
/// down to what these strings can touch.
#[test]
fn qwen_s_tokenizer_gives_the_reference_s_ids() {
    let json = fs::read(tiny_fixture("qwen2-tokenizer-subset").join("tokenizer.json")).unwrap();
    check_tokenizer(&Tokenizer::from_json(&json).unwrap(), "qwen_tokenizer.json");
}

#[track_caller]
fn check_tokenizer(tokenizer: &Tokenizer, golden: &str) {
    for row in rows(golden) {
        let text = row["text"].as_str().unwrap();
        let ids = tokenizer.encode(text).unwrap();
        assert_eq!(row["ids"], Value::from(ids.clone()), "{text:?}");
        let decoded = tokenizer.decode(&ids).unwrap();
        assert_eq!(row["decoded_without_special"], Value::from(decoded), "{text:?}");
    }
}

/// Goldens: `input_ids` of every prompt. Template, tokenizer and the room for images in one.
#[test]
fn prompts_become_the_reference_s_tokens() {
    for case in cases() {
        let golden = Golden::open(&format!("flat_{}", case.name));
        let ids = engine("flat").prompt_ids(&case.messages, &golden.grids()).unwrap();
        assert_eq!(ids, golden.token_ids("input_ids"), "{}", case.name);
    }
}
