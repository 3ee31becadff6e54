//! `/agent`: the device that was named with `--device`, for programs that speak HTTP. One session at a time
//! holds it; each step is a tool of the registry, and runs tell of their steps as server-sent events. Whoever
//! has a device of their own begins an episode instead.

mod desk;
mod episodes;
mod events;
pub(crate) mod openapi;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use handsight_scenarios::{Reply, Tool};
use serde_json::{Value, json};

use self::desk::Desk;
use super::Server;
use super::body::read_json;
use super::error::{ApiError, json_response};
use crate::session_thread::{CallError, SessionThread};

pub(super) use self::desk::Desk as AgentDesk;
pub(crate) use self::episodes::EpisodeRules;
pub(super) use self::episodes::Episodes;

/// The most bytes of a request.
const MAX_BODY: usize = 1 << 20;

type Answer = Result<Response<Body>, ApiError>;

/// Returns what is answered below `/agent`; where no device was named, episodes on the client's own alone.
pub(super) fn router() -> Router<Arc<Server>> {
    Router::new()
        .route("/agent/openapi.json", get(document))
        .route("/agent/sessions", any(sessions))
        .route("/agent/sessions/{id}", any(session))
        .route("/agent/sessions/{id}/screenshot", get(screenshot))
        .route("/agent/sessions/{id}/step/{tool}", post(step))
        .route("/agent/sessions/{id}/run/{tool}", post(begin_run))
        .route("/agent/sessions/{id}/runs/{run}", any(run))
        .route("/agent/sessions/{id}/events", get(tell))
        .merge(episodes::router())
}

fn desk(server: &Server) -> Result<&Arc<Desk>, ApiError> {
    let none = || {
        let message = "This server has no device for agents; start it with --device.";
        ApiError::of_status(StatusCode::NOT_FOUND, message).with_code("no_device")
    };
    server.agent.as_ref().ok_or_else(none)
}

async fn document() -> Response<Body> {
    json_response(StatusCode::OK, &openapi::document())
}

async fn sessions(State(server): State<Arc<Server>>, method: Method) -> Response<Body> {
    let answer = desk(&server).and_then(|desk| match method {
        Method::GET => {
            let open: Vec<Value> = desk.described().into_iter().collect();
            Ok(json_response(StatusCode::OK, &json!({ "sessions": open })))
        }
        Method::POST => Ok(json_response(StatusCode::CREATED, &desk.begin()?)),
        method => Err(not_allowed(&method)),
    });
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn session(
    State(server): State<Arc<Server>>,
    method: Method,
    Path(id): Path<String>,
) -> Response<Body> {
    let answer = desk(&server).and_then(|desk| match method {
        Method::GET => Ok(json_response(StatusCode::OK, &desk.of(&id)?)),
        Method::DELETE => {
            desk.end(&id)?;
            Ok(empty())
        }
        method => Err(not_allowed(&method)),
    });
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn screenshot(State(server): State<Arc<Server>>, Path(id): Path<String>) -> Response<Body> {
    let seen = async {
        let desk = desk(&server)?;
        desk.of(&id)?;
        let reply = call(desk.thread(), Tool::Observe, Value::Null).await?;
        let png = reply.image.ok_or_else(|| ApiError::bad_request("There is no picture."))?;
        let mut response = Response::new(Body::from(png));
        let png = HeaderValue::from_static("image/png");
        response.headers_mut().insert(header::CONTENT_TYPE, png);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    };
    let seen: Answer = seen.await;
    seen.unwrap_or_else(IntoResponse::into_response)
}

/// One tool, waited for. A client that goes away cancels it.
async fn step(
    State(server): State<Arc<Server>>,
    Path((id, tool)): Path<(String, String)>,
    request: Request,
) -> Response<Body> {
    let done = async {
        let desk = desk(&server)?;
        desk.of(&id)?;
        let tool = named(&tool)?;
        let arguments = read_json(request, MAX_BODY, &server.memory).await?;
        let reply = call(desk.thread(), tool, arguments).await;
        desk.touch(&id);
        Ok(json_response(StatusCode::OK, &result(reply?)))
    };
    let done: Answer = done.await;
    done.unwrap_or_else(IntoResponse::into_response)
}

/// One tool that takes several steps, not waited for.
async fn begin_run(
    State(server): State<Arc<Server>>,
    Path((id, tool)): Path<(String, String)>,
    request: Request,
) -> Response<Body> {
    let begun = async {
        let desk = desk(&server)?;
        desk.of(&id)?;
        let tool = named(&tool)?;
        if !tool.takes_steps() {
            let message = format!("`{}` is one step: ask for it under /step.", tool.name());
            return Err(ApiError::of_status(StatusCode::NOT_FOUND, message));
        }
        let arguments = read_json(request, MAX_BODY, &server.memory).await?;
        Ok(json_response(StatusCode::ACCEPTED, &desk.run(&id, tool, arguments)?))
    };
    let begun: Answer = begun.await;
    begun.unwrap_or_else(IntoResponse::into_response)
}

async fn run(
    State(server): State<Arc<Server>>,
    method: Method,
    Path((id, run)): Path<(String, String)>,
) -> Response<Body> {
    let answer = desk(&server).and_then(|desk| match method {
        Method::GET => Ok(json_response(StatusCode::OK, &desk.run_of(&id, &run)?)),
        Method::DELETE => {
            desk.cancel(&id, &run)?;
            Ok(empty())
        }
        method => Err(not_allowed(&method)),
    });
    answer.unwrap_or_else(IntoResponse::into_response)
}

async fn tell(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let last = headers.get("last-event-id").and_then(|last| last.to_str().ok()?.parse().ok());
    let told = desk(&server).and_then(|desk| desk.events(&id));
    match told {
        Ok(events) => events::stream(events, last.unwrap_or(0), server.stopping.clone()),
        Err(error) => error.into_response(),
    }
}

async fn call(thread: &SessionThread, tool: Tool, arguments: Value) -> Result<Reply, ApiError> {
    let reply = thread.call(tool, arguments, |_| std::future::ready(())).await;
    reply.map_err(|error| refusal(&error))
}

fn named(tool: &str) -> Result<Tool, ApiError> {
    Tool::from_name(tool).ok_or_else(|| {
        let tool: String = tool.chars().take(100).collect();
        let message = format!("There is no tool `{tool}`.");
        ApiError::of_status(StatusCode::NOT_FOUND, message).with_code("no_such_tool")
    })
}

/// Returns a reply as it is sent: whether all was as it was wanted, and what was found.
fn result(reply: Reply) -> Value {
    json!({
        "ok": reply.unmet.is_none(),
        "value": reply.value,
        "text": reply.text,
        "unmet": reply.unmet,
        "image": reply.image.map(|png| STANDARD.encode(png)),
    })
}

/// Returns why there is no reply, with the status for its kind.
fn refusal(error: &CallError) -> ApiError {
    let (status, code) = match error.kind() {
        "bad_input" => (StatusCode::BAD_REQUEST, "bad_input"),
        "not_found" => (StatusCode::UNPROCESSABLE_ENTITY, "not_found"),
        "refused" => (StatusCode::FORBIDDEN, "refused"),
        "halted" => (StatusCode::CONFLICT, "halted"),
        "cancelled" => (StatusCode::CONFLICT, "cancelled"),
        "busy" => (StatusCode::TOO_MANY_REQUESTS, "busy"),
        "unavailable" => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    };
    ApiError::of_status(status, error.in_words()).with_code(code)
}

fn not_allowed(method: &Method) -> ApiError {
    let message = format!("Not allowed to {method} here.");
    ApiError::of_status(StatusCode::METHOD_NOT_ALLOWED, message).with_code("method_not_supported")
}

fn none(what: &str, id: &str) -> ApiError {
    let id: String = id.chars().take(100).collect();
    let message = format!("There is no {what} `{id}`, or it has ended.");
    ApiError::of_status(StatusCode::NOT_FOUND, message).with_code("not_found")
}

fn empty() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
