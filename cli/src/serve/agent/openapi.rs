//! The document of `/agent`: OpenAPI 3.1, made from the registry. It is committed as `cli/openapi.json`.

mod episodes;

use handsight_scenarios::{Effect, Tool};
use serde_json::{Map, Value, json};

/// Returns the document.
pub(crate) fn document() -> Value {
    let mut paths = sessions();
    for tool in Tool::all() {
        paths.insert(format!("/agent/sessions/{{session}}/step/{}", tool.name()), step(tool));
        if tool.takes_steps() {
            paths.insert(
                format!("/agent/sessions/{{session}}/run/{}", tool.name()),
                begin_run(tool),
            );
        }
    }
    paths.extend(episodes::paths());
    let mut schemas = shared();
    schemas.extend(episodes::schemas());
    for tool in Tool::all() {
        schemas.insert(format!("{}Arguments", type_name(tool)), tool.arguments());
        // Those of all actions are the same, and large.
        if tool.verb().is_none() {
            schemas.insert(format!("{}Value", type_name(tool)), tool.result());
            schemas.insert(format!("{}Result", type_name(tool)), result(tool));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Handsight agent API",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "description": "Sees the screen that the server was started with (`handsight serve --device \
                            …`) and acts on it; one session at a time holds it. On a screen of your own, \
                            begin an episode. All points are pixels of the screenshot; a safety policy \
                            may refuse an action, with the reason.",
        },
        "servers": [{ "url": "http://127.0.0.1:8080" }],
        "security": [{}, { "token": [] }],
        "tags": [
            { "name": "sessions", "description": "Who holds the device." },
            { "name": "step", "description": "One tool at a time, waited for." },
            { "name": "run", "description": "What takes several steps, in the background." },
            { "name": "episodes", "description": "Goals on a device of your own." },
        ],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas,
        },
    })
}

/// `run_goal` → `RunGoal`.
fn type_name(tool: Tool) -> String {
    let words = tool.name().split('_').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    words.collect()
}

/// Returns what the types of a tool's answer begin with.
fn answer_name(tool: Tool) -> String {
    type_name(if tool.verb().is_some() { Tool::Act } else { tool })
}

fn operation(id: &str, tag: &str, summary: &str) -> Value {
    json!({ "operationId": id, "tags": [tag], "summary": summary })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn json_of(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn answer(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": json_of(schema) })
}

fn error() -> Value {
    answer("Why not.", &reference("Error"))
}

fn arguments(name: &str) -> Value {
    json!({ "required": true, "content": json_of(&reference(&format!("{name}Arguments"))) })
}

fn in_path(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
}

fn with(mut operation: Value, responses: Value) -> Value {
    operation["responses"] = responses;
    operation["responses"]["default"] = error();
    operation
}

/// The paths of sessions, their events and runs.
fn sessions() -> Map<String, Value> {
    let session = reference("Session");
    let list = json!({
        "type": "object",
        "properties": { "sessions": { "type": "array", "items": session } },
        "required": ["sessions"],
    });
    let png = json!({ "image/png": { "schema": { "type": "string", "format": "binary" } } });
    let events = json!({ "text/event-stream": { "schema": { "type": "string" } } });
    let paths = json!({
        "/agent/sessions": {
            "get": with(
                operation("listSessions", "sessions", "The session that holds the device, if one does"),
                json!({ "200": answer("It.", &list) }),
            ),
            "post": with(
                operation("beginSession", "sessions", "Take hold of the device"),
                json!({ "201": answer("The session.", &session), "409": error() }),
            ),
        },
        "/agent/sessions/{session}": {
            "parameters": [in_path("session")],
            "get": with(
                operation("getSession", "sessions", "A session and its runs"),
                json!({ "200": answer("It.", &session) }),
            ),
            "delete": with(
                operation("endSession", "sessions", "End a session and all that is under way in it"),
                json!({ "204": { "description": "It has ended." } }),
            ),
        },
        "/agent/sessions/{session}/screenshot": {
            "parameters": [in_path("session")],
            "get": with(
                operation("getScreenshot", "sessions", "What the screen shows, once it is still"),
                json!({ "200": { "description": "A picture.", "content": png } }),
            ),
        },
        "/agent/sessions/{session}/events": {
            "parameters": [in_path("session")],
            "get": with(
                operation(
                    "listenToSession",
                    "run",
                    "Events of all runs as they happen: `step` with a `StepEvent`, `run` with a `Run`",
                ),
                json!({ "200": { "description": "Server-sent events.", "content": events } }),
            ),
        },
        "/agent/sessions/{session}/runs/{run}": {
            "parameters": [in_path("session"), in_path("run")],
            "get": with(
                operation("getRun", "run", "A run, and its result once it is over"),
                json!({ "200": answer("It.", &reference("Run")) }),
            ),
            "delete": with(
                operation("cancelRun", "run", "Cancel a run; nothing more is sent to the device"),
                json!({ "204": { "description": "It is over." } }),
            ),
        },
    });
    if let Value::Object(paths) = paths { paths } else { Map::new() }
}

/// The path of one tool.
fn step(tool: Tool) -> Value {
    let name = type_name(tool);
    let mut operation = operation(&format!("step{name}"), "step", tool.keyword());
    operation["description"] = json!(tool.description());
    operation["requestBody"] = arguments(&name);
    let done = answer("What came of it.", &reference(&format!("{}Result", answer_name(tool))));
    let mut responses = json!({ "200": done, "400": error() });
    if tool.effect() == Effect::Acts {
        responses["403"] = error();
    }
    json!({ "parameters": [in_path("session")], "post": with(operation, responses) })
}

/// The path that begins a run of a tool.
fn begin_run(tool: Tool) -> Value {
    let name = type_name(tool);
    let mut operation = operation(&format!("run{name}"), "run", tool.keyword());
    operation["description"] = json!(tool.description());
    operation["requestBody"] = arguments(&name);
    let begun = answer("The run, which has begun.", &reference("Run"));
    json!({ "parameters": [in_path("session")], "post": with(operation, json!({ "202": begun })) })
}

/// What came of a tool.
fn result(tool: Tool) -> Value {
    let name = type_name(tool);
    json!({
        "type": "object",
        "properties": {
            "ok": {
                "type": "boolean",
                "description": "Whether all was as it was wanted: a claim holds, a goal was reached.",
            },
            "value": reference(&format!("{name}Value")),
            "text": { "type": "string", "description": "The same in words." },
            "unmet": {
                "type": ["string", "null"],
                "description": "What is not so, if something is not.",
            },
            "image": {
                "type": ["string", "null"],
                "contentEncoding": "base64",
                "contentMediaType": "image/png",
                "description": "A screenshot.",
            },
        },
        "required": ["ok", "value", "text", "unmet", "image"],
    })
}

/// The schemas that are no tool's.
fn shared() -> Map<String, Value> {
    let tools: Vec<&str> = Tool::all().map(Tool::name).collect();
    let run_results: Vec<Value> = Tool::all()
        .filter(|tool| tool.takes_steps())
        .map(|tool| reference(&format!("{}Result", type_name(tool))))
        .chain([json!({ "type": "null" })])
        .collect();
    let error = json!({
        "type": "object",
        "properties": {
            "message": { "type": "string" },
            "type": { "type": "string" },
            "param": { "type": ["string", "null"] },
            "code": {
                "type": ["string", "null"],
                "description": "What programs can tell it by: `bad_input`, `not_found`, `refused`, \
                                `halted`, `cancelled`, `busy`, `unavailable` or `session_open`, for \
                                example.",
            },
        },
        "required": ["message", "type", "param", "code"],
    });
    let schemas = json!({
        "Session": {
            "type": "object",
            "properties": {
                "session": { "type": "string" },
                "created": { "type": "integer", "description": "In seconds since 1970." },
                "device": { "type": "string" },
                "width": { "type": "integer" },
                "height": { "type": "integer" },
                "tools": {
                    "type": "array",
                    "items": { "enum": tools },
                    "description": "Those that the device and its safety policy offer.",
                },
                "runs": { "type": "array", "items": reference("Run") },
            },
            "required": ["session", "created", "device", "width", "height", "tools", "runs"],
        },
        "Run": {
            "type": "object",
            "properties": {
                "run": { "type": "string" },
                "tool": { "enum": tools },
                "status": { "enum": ["running", "done", "failed", "cancelled"] },
                "result": { "anyOf": run_results },
                "error": { "anyOf": [reference("Problem"), json!({ "type": "null" })] },
            },
            "required": ["run", "tool", "status", "result", "error"],
        },
        "StepEvent": {
            "type": "object",
            "properties": {
                "run": { "type": "string" },
                "event": {
                    "type": "object",
                    "properties": {
                        "step": { "type": "integer", "description": "How many steps were begun." },
                        "of": { "type": "integer", "description": "How many there may be at most." },
                        "message": { "type": "string" },
                    },
                    "required": ["step", "message"],
                },
            },
            "required": ["run", "event"],
        },
        "Problem": error,
        "Error": {
            "type": "object",
            "properties": { "error": reference("Problem") },
            "required": ["error"],
        },
    });
    if let Value::Object(schemas) = schemas { schemas } else { Map::new() }
}
