//! Text: chat templates and token ids. Everything here is equal or wrong; there is no tolerance.

use handsight_model::chat::{ChatTemplate, DEFAULT_TEMPLATE};
use handsight_model::tokenizer::Tokenizer;
use handsight_tests::golden::{Golden, qwen_tokenizer_json, rows};
use serde_json::Value;

use super::model::media;
use super::{cases, engine, messages};

/// Golden: `chat_template.json`. Other items and `add_vision_id` cannot be said in our messages, so
/// the rows that use them are left out, by name.
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
    assert_eq!(left_out, ["unknown_item", "vision_ids"]);
}

/// Golden: `tiny_tokenizer.json`, for both forms of the same tokenizer.
#[test]
fn the_tiny_tokenizer_gives_the_reference_s_ids_from_either_form() {
    check_tokenizer(engine("flat").tokenizer(), "tiny_tokenizer.json");
    check_tokenizer(engine("sharded").tokenizer(), "tiny_tokenizer.json");
}

/// Golden: `qwen_tokenizer.json`, for the released tokenizer in both of its forms.
#[test]
fn qwen_s_tokenizer_gives_the_reference_s_ids_from_either_form() {
    let json = qwen_tokenizer_json();
    let tokenizer = Tokenizer::from_json(&json).unwrap();
    assert_eq!(tokenizer.len(), 151_665);
    check_tokenizer(&tokenizer, "qwen_tokenizer.json");
    check_literals(&tokenizer);

    let json: Value = serde_json::from_slice(&json).unwrap();
    let vocab = json["model"]["vocab"].to_string();
    let merges = json["model"]["merges"].as_array().unwrap().iter();
    let merges = merges.map(|pair| format!("{} {}\n", str(&pair[0]), str(&pair[1])));
    let merges = format!("#version: 0.2\n{}", merges.collect::<String>());
    let tokenizer = Tokenizer::from_vocab_and_merges(&vocab, &merges, None).unwrap();
    assert_eq!(tokenizer.len(), 151_665);
    check_tokenizer(&tokenizer, "qwen_tokenizer.json");
    check_literals(&tokenizer);
}

fn str(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Golden: `literal_ids`: of a text that a user typed no added token comes, and its name survives
/// the way there and back.
#[track_caller]
fn check_literals(tokenizer: &Tokenizer) {
    let mut n_names = 0;
    for row in rows("qwen_tokenizer.json") {
        let text = str(&row["text"]);
        let ids = tokenizer.encode_literal(text).unwrap();
        assert_eq!(row["literal_ids"], Value::from(ids.clone()), "{text:?}");
        assert!(ids.iter().all(|&id| id < 151_643), "{text:?}");
        // What differs between the two is what has to be taken literally.
        let names_token = row["ids"] != row["literal_ids"];
        assert_eq!(tokenizer.names_control_token(text), names_token, "{text:?}");
        if names_token {
            assert_eq!(tokenizer.decode(&ids).unwrap(), nfc(text), "{text:?}");
            n_names += 1;
        }
    }
    assert!(n_names > 30, "{n_names} rows name a token");
}

/// The one text that the tokenizer composes.
fn nfc(text: &str) -> String {
    text.replace("e\u{301}", "é")
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
        let ids =
            engine("flat").prompt_ids(&case.messages, &media(engine("flat"), &golden)).unwrap();
        assert_eq!(ids, golden.token_ids("input_ids"), "{}", case.name);
    }
}
