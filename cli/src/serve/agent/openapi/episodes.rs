//! What the document says of episodes, whose device is the client's own.

use handsight_actions::Verb;
use handsight_scenarios::Tool;
use serde_json::{Map, Value, json};

use super::{answer, error, in_path, json_of, operation, reference, with};

/// The paths.
pub(super) fn paths() -> Map<String, Value> {
    let episode = reference("Episode");
    let list = json!({
        "type": "object",
        "properties": { "episodes": { "type": "array", "items": episode } },
        "required": ["episodes"],
    });
    let body = |name| json!({ "required": true, "content": json_of(&reference(name)) });
    let mut begin =
        operation("beginEpisode", "episodes", "Begin to pursue a goal on a device of yours");
    begin["requestBody"] = body("EpisodeWanted");
    let mut step =
        operation("stepEpisode", "episodes", "Send a screenshot, and get what to do on it");
    step["description"] = json!(
        "Waits for the model. A request whose `request_id` is that of the one before it gets the same answer, \
         so it can be sent again after a time-out or a broken connection. What went wrong with the model is \
         `error` of an answer."
    );
    step["requestBody"] = body("EpisodeSeen");
    let paths = json!({
        "/agent/episodes": {
            "get": with(
                operation("listEpisodes", "episodes", "The episodes that are open"),
                json!({ "200": answer("They.", &list) }),
            ),
            "post": with(
                begin,
                json!({ "201": answer("The episode.", &episode), "400": error(), "429": error() }),
            ),
        },
        "/agent/episodes/{episode}": {
            "parameters": [in_path("episode")],
            "get": with(
                operation("getEpisode", "episodes", "An episode"),
                json!({ "200": answer("It.", &episode) }),
            ),
            "delete": with(
                operation("endEpisode", "episodes", "End an episode, also while the model decides"),
                json!({ "204": { "description": "It has ended." } }),
            ),
        },
        "/agent/episodes/{episode}/step": {
            "parameters": [in_path("episode")],
            "post": with(
                step,
                json!({
                    "200": answer("What to do.", &reference("EpisodeStep")),
                    "400": error(),
                    "409": error(),
                    "413": error(),
                }),
            ),
        },
    });
    if let Value::Object(paths) = paths { paths } else { Map::new() }
}

/// The schemas.
pub(super) fn schemas() -> Map<String, Value> {
    let schemas = [
        ("EpisodeWanted", wanted()),
        ("Episode", episode()),
        ("EpisodeModel", model()),
        ("EpisodeSeen", seen()),
        ("EpisodeStep", step()),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn text() -> Value {
    json!({ "type": ["string", "null"] })
}

fn told(kind: &str, description: &str) -> Value {
    json!({ "type": kind, "description": description })
}

fn size() -> Value {
    let side = json!({ "type": "integer", "minimum": 1 });
    json!({
        "type": "array", "items": side, "minItems": 2, "maxItems": 2, "description": "Width and height.",
    })
}

fn verbs() -> Value {
    let verbs: Vec<&str> = Verb::ALL.iter().map(|verb| verb.as_str()).collect();
    json!({ "type": "array", "items": { "enum": verbs } })
}

fn wanted() -> Value {
    json!({
        "type": "object",
        "properties": {
            "protocol": { "const": super::super::episodes::PROTOCOL },
            "goal": told("string", "What to do, in a sentence."),
            "platform": { "enum": ["android", "desktop"] },
            "benchmark": text(),
            "task": text(),
            "max_steps": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 20 },
            "seed": told(
                "integer",
                "What the draws after an unusable reply begin from; all else is the likeliest.",
            ),
            "screen": size(),
            "actions": verbs(),
        },
        "required": ["goal", "platform"],
        "additionalProperties": false,
    })
}

fn episode() -> Value {
    json!({
        "type": "object",
        "properties": {
            "episode": { "type": "string" },
            "protocol": { "type": "integer" },
            "created": told("integer", "In seconds since 1970."),
            "benchmark": text(),
            "task": text(),
            "platform": { "enum": ["android", "desktop"] },
            "goal": { "type": "string" },
            "max_steps": { "type": "integer" },
            "seed": { "type": "integer" },
            "actions": verbs(),
            "model": reference("EpisodeModel"),
            "trace": {
                "type": ["string", "null"],
                "description": "The folder of its trace on the server, if it leaves one.",
            },
            "deciding": told("boolean", "Whether the model decides at the moment."),
        },
        "required": ["episode", "protocol", "platform", "goal", "max_steps", "actions", "model"],
    })
}

fn model() -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": { "type": "string" },
            "fingerprint": { "type": "string" },
            "parameters": { "type": "integer" },
            "prompt": told("string", "How it is talked to."),
            "handsight": told("string", "The version of the server."),
        },
        "required": ["id", "fingerprint", "parameters", "prompt", "handsight"],
    })
}

fn seen() -> Value {
    let result = json!({
        "type": "object",
        "properties": { "ok": { "type": "boolean" }, "error": text() },
        "required": ["ok"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": {
            "screenshot": {
                "type": "string", "contentEncoding": "base64", "contentMediaType": "image/png",
            },
            "request_id": told("string", "A name of this request, for sending it again."),
            "step": told("integer", "How many steps were answered before; another is refused."),
            "logical_size": size(),
            "foreground_activity": told("string", "What is in front, as `package/activity`."),
            "ui_elements": told("array", "Not looked at: the picture alone counts."),
            "last_results": {
                "type": "array",
                "items": result,
                "description": "How the actions of the last step went, which the model is told.",
            },
        },
        "required": ["screenshot"],
        "additionalProperties": false,
    })
}

fn step() -> Value {
    let refused = json!({
        "type": "object",
        "properties": { "reply": { "type": "string" }, "problem": { "type": "string" } },
        "required": ["reply", "problem"],
    });
    json!({
        "type": "object",
        "properties": {
            "episode": { "type": "string" },
            "step": { "type": "integer" },
            "request_id": { "type": "string" },
            "actions": {
                "type": "array",
                "items": Tool::Act.result()["properties"]["action"].take(),
                "description": "In pixels of the screenshot; none if nothing is to be done.",
            },
            "android_world": {
                "type": "array",
                "items": { "type": ["object", "null"] },
                "description": "On phones: each as a JSONAction; null for what that cannot say.",
            },
            "done": told("boolean", "Whether the episode is over."),
            "stop_reason": text(),
            "answer": text(),
            "thought": text(),
            "raw_output": text(),
            "repairs": { "type": ["array", "null"], "items": { "type": "string" } },
            "refused": { "type": "array", "items": refused },
            "probability": { "type": ["number", "null"] },
            "decide_ms": { "type": "number" },
            "usage": { "type": ["object", "null"] },
            "model": reference("EpisodeModel"),
            "error": { "anyOf": [reference("Problem"), json!({ "type": "null" })] },
        },
        "required": [
            "episode", "step", "request_id", "actions", "done", "stop_reason", "model", "error",
        ],
    })
}
