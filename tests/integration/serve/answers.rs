//! Answers: whole and streamed, drawn and constrained, with logprobs and calls.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Server, ask, chunks, text_of, with};

fn content(answer: &Value, index: usize) -> &str {
    answer["choices"][index]["message"]["content"].as_str().unwrap()
}

#[test]
fn a_stream_says_what_a_whole_answer_says() {
    let server = Server::start(&[]);
    let sampled = json!({"temperature": 1.2, "seed": 5, "n": 3, "max_tokens": 24});
    let tools = json!({
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {
            "type": "object", "properties": {"x": {"enum": ["a", "b"]}}, "required": ["x"],
            "additionalProperties": false,
        }}}],
        "tool_choice": "required", "max_tokens": 100, "parallel_tool_calls": false,
    });
    let logprobs = json!({"logprobs": true, "top_logprobs": 2});
    let stopped = json!({"stop": ["}", "action"]});
    for (name, fields) in
        [("sampled", sampled), ("tools", tools), ("logprobs", logprobs), ("stop", stopped)]
    {
        let body = with(ask(), &fields);
        let whole = server.chat(&body);
        let usage = json!({"stream_options": {"include_usage": true}});
        let streamed = chunks(&mut server.stream(&with(body, &usage)));
        let (last, chunks) = streamed.split_last().unwrap();
        assert_eq!(last["choices"], json!([]), "{name}");
        for field in ["prompt_tokens", "completion_tokens", "total_tokens"] {
            assert_eq!(last["usage"][field], whole["usage"][field], "{name}");
        }
        assert!(chunks.iter().all(|chunk| chunk["usage"].is_null() && chunk["id"] == last["id"]));
        for (index, choice) in whole["choices"].as_array().unwrap().iter().enumerate() {
            let own: Vec<&Value> = chunks
                .iter()
                .flat_map(|chunk| chunk["choices"].as_array().unwrap())
                .filter(|choice| choice["index"] == index)
                .collect();
            let message = &choice["message"];
            assert_eq!(text_of(chunks, index), message["content"].as_str().unwrap_or_default());
            let reasons: Vec<&Value> =
                own.iter().map(|own| &own["finish_reason"]).filter(|r| !r.is_null()).collect();
            assert_eq!(reasons, [&choice["finish_reason"]], "{name}");
            let told: Vec<Value> = own
                .iter()
                .flat_map(|own| own["logprobs"]["content"].as_array().cloned().unwrap_or_default())
                .collect();
            let expected = choice["logprobs"]["content"].as_array().cloned().unwrap_or_default();
            assert_eq!(told, expected, "{name}");
            let calls: Vec<&Value> =
                own.iter().filter_map(|own| own["delta"]["tool_calls"].get(0)).collect();
            let names: String =
                calls.iter().filter_map(|call| call["function"]["name"].as_str()).collect();
            let arguments: String =
                calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
            let function = &message["tool_calls"][0]["function"];
            assert_eq!(names, function["name"].as_str().unwrap_or_default(), "{name}");
            assert_eq!(arguments, function["arguments"].as_str().unwrap_or_default(), "{name}");
        }
    }
}

#[test]
fn a_seed_repeats_answers_and_without_one_they_differ() {
    let server = Server::start(&[]);
    let texts = |fields: Value| {
        let fields = with(json!({"temperature": 1.5, "n": 4}), &fields);
        let answer = server.chat(&with(ask(), &fields));
        let choices = answer["choices"].as_array().unwrap().clone();
        assert!(choices.iter().enumerate().all(|(at, choice)| choice["index"] == at));
        (0..4).map(|index| content(&answer, index).to_owned()).collect::<Vec<_>>()
    };
    let first = texts(json!({"seed": 3}));
    assert_eq!(first, texts(json!({"seed": 3})));
    assert!(first.iter().collect::<HashSet<_>>().len() > 1, "{first:?}");
    let unseeded: HashSet<Vec<String>> = (0..4).map(|_| texts(json!({}))).collect();
    assert!(unseeded.len() > 1, "{unseeded:?}");
    // Of the likeliest there is only one.
    let greedy = texts(json!({"temperature": 0}));
    assert_eq!(greedy.iter().collect::<HashSet<_>>().len(), 1);
}

#[test]
fn several_answers_run_their_prompt_once_and_penalties_change_them() {
    let server = Server::start(&[]);
    let prefilled = || server.metric("handsight_prefilled_tokens_total");
    let fields = json!({
        "n": 6, "temperature": 1.5, "seed": 1, "max_tokens": 30, "ignore_eos": true,
        "messages": [{"role": "user", "content": "type \"Ada\" into \"Name\""}],
    });
    let answer = server.chat(&with(ask(), &fields));
    let prompt = answer["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(prefilled(), prompt + 5, "the last token runs for each");
    // Each says what it says alone.
    for index in 0..6 {
        let alone = with(ask(), &with(fields.clone(), &json!({"n": 1, "seed": 1 + index})));
        assert_eq!(content(&server.chat(&alone), 0), content(&answer, index), "{index}");
    }
    let greedy = json!({"n": 1, "temperature": 0});
    let plain = with(ask(), &with(fields, &greedy));
    let penalties = [json!({"presence_penalty": 2}), json!({"frequency_penalty": 1.5})];
    for penalty in penalties {
        let said = server.chat(&with(plain.clone(), &penalty));
        assert_ne!(content(&said, 0), content(&server.chat(&plain), 0), "{penalty}");
    }
}

#[test]
fn logprobs_are_probabilities_of_the_tokens_that_were_written() {
    let server = Server::start(&[]);
    let answer = server.chat(&with(ask(), &json!({"logprobs": true, "top_logprobs": 20})));
    let tokens = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(
        tokens.len(),
        usize::try_from(answer["usage"]["completion_tokens"].as_u64().unwrap()).unwrap()
    );
    let bytes: Vec<u8> = tokens
        .iter()
        .flat_map(|token| token["bytes"].as_array().unwrap())
        .map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap())
        .collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), content(&answer, 0));
    for token in tokens {
        let top = token["top_logprobs"].as_array().unwrap();
        assert_eq!(top.len(), 20);
        let logprobs: Vec<f64> = top.iter().map(|top| top["logprob"].as_f64().unwrap()).collect();
        assert!(logprobs.is_sorted_by(|a, b| a >= b), "{logprobs:?}");
        let sum: f64 = logprobs.iter().map(|logprob| logprob.exp()).sum();
        assert!((0.5..1.0001).contains(&sum), "{sum}");
        // Greedy: the first of them is the one that was taken.
        assert_eq!(top[0]["token"], token["token"]);
        let difference = logprobs[0] - token["logprob"].as_f64().unwrap();
        assert!(difference.abs() < 1e-4, "{difference}");
    }
    let without = server.chat(&ask());
    assert_eq!(without["choices"][0]["logprobs"], Value::Null);
}

#[test]
fn answers_have_the_form_that_was_asked_for() {
    let server = Server::start(&[]);
    let schema = json!({
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 100, "maximum": 999}, "ok": {"type": "boolean"}},
        "required": ["n", "ok"], "additionalProperties": false,
    });
    let format = json!({"type": "json_schema", "json_schema": {"name": "a", "schema": schema}});
    let answer = server.chat(&with(ask(), &json!({"response_format": format, "max_tokens": 64})));
    let text = content(&answer, 0);
    let value: Value = serde_json::from_str(text).unwrap();
    assert!((100..1000).contains(&value["n"].as_i64().unwrap()) && value["ok"].is_boolean());
    // The spaces of training, and no others.
    assert_eq!(text, format!(r#"{{"n": {}, "ok": {}}}"#, value["n"], value["ok"]));
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");

    for (fields, allowed) in [
        (json!({"guided_choice": ["left", "ri\"ght\n"]}), &["left", "ri\"ght\n"][..]),
        (json!({"guided_regex": "(a|b)/?c"}), &["a/c", "b/c", "ac", "bc"]),
        (json!({"guided_json": "{\"enum\": [1, \"two\"]}"}), &["1", "\"two\""]),
        (json!({"guided_grammar": "start: \"x\" (\"y\" | \"z\")\n"}), &["xy", "xz"]),
        (json!({"structured_outputs": {"choice": ["only"]}}), &["only"]),
    ] {
        let answer = server.chat(&with(ask(), &fields));
        assert!(allowed.contains(&content(&answer, 0)), "{fields}: {answer}");
    }
}

#[test]
fn calls_follow_their_schema_and_results_reach_the_model() {
    let server = Server::start(&[]);
    let tool = |name: &str| {
        json!({"type": "function", "function": {"name": name, "parameters": {
            "type": "object",
            "properties": {"at": {"$ref": "#/$defs/small"}},
            "required": ["at"], "additionalProperties": false,
            "$defs": {"small": {"type": "integer", "minimum": 10, "maximum": 99}},
        }}})
    };
    let tools = json!([tool("click"), tool("press")]);
    let body = with(
        ask(),
        &json!({"tools": tools, "tool_choice": "required", "parallel_tool_calls": false, "max_tokens": 100}),
    );
    let answer = server.chat(&body);
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 1);
    let arguments: Value =
        serde_json::from_str(calls[0]["function"]["arguments"].as_str().unwrap()).unwrap();
    assert!((10..100).contains(&arguments["at"].as_i64().unwrap()), "{arguments}");

    let named = json!({"tool_choice": {"type": "function", "function": {"name": "press"}}});
    let answer = server.chat(&with(body.clone(), &named));
    let choice = &answer["choices"][0];
    assert_eq!(choice["message"]["tool_calls"][0]["function"]["name"], "press");
    assert_eq!(choice["finish_reason"], "stop");

    // What the model is shown of it all, token by token.
    let messages = json!([
        {"role": "user", "content": "click \"Save\""},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "click", "arguments": "{\"at\":12}"}},
            {"id": "2", "type": "function", "function": {"name": "press", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "2", "content": "second"},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "first"}]},
    ]);
    let tokens = server.post("/tokenize", &json!({"messages": messages, "tools": [tool("click")]}));
    let tokens = tokens.json().unwrap();
    assert_eq!(tokens["count"], tokens["tokens"].as_array().unwrap().len());
    let text = server.post("/detokenize", &json!({"tokens": tokens["tokens"]})).json().unwrap();
    let prompt = text["prompt"].as_str().unwrap();
    let expected = "\n<tool_call>\n{\"name\": \"click\", \"arguments\": {\"at\": 12}}\n</tool_call>\n\
                    <tool_call>\n{\"name\": \"press\", \"arguments\": {}}\n</tool_call>\nuser\n\
                    <tool_response>\nfirst\n</tool_response>\n\
                    <tool_response>\nsecond\n</tool_response>\nassistant\n";
    assert!(prompt.ends_with(expected), "{prompt}");
    assert!(prompt.contains("# Tools\n\nYou may call one or more functions"), "{prompt}");
}

#[test]
fn an_answer_goes_on_where_the_request_leaves_off() {
    let server = Server::start(&[]);
    let whole = server.chat(&ask());
    let text = content(&whole, 0);
    let (begun, rest) = text.split_at(text.find('{').unwrap());
    let mut messages = ask()["messages"].clone();
    messages.as_array_mut().unwrap().push(json!({"role": "assistant", "content": begun}));
    let fields = json!({
        "messages": messages, "continue_final_message": true, "add_generation_prompt": false,
    });
    let body = with(ask(), &fields);
    assert_eq!(content(&server.chat(&body), 0), rest);
    assert_eq!(text_of(&chunks(&mut server.stream(&body)), 0), rest);
}
