//! Which path leads where, and the answers that need no model.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::error::{ApiError, json_response};
use super::{Server, agent, chat, gate, metrics, tokenize};

/// Returns everything the server answers.
pub(super) fn router(server: &Arc<Server>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat::completions))
        .route("/v1/models", get(models))
        .route("/v1/models/{*id}", get(model))
        .route("/tokenize", post(tokenize::tokenize))
        .route("/detokenize", post(tokenize::detokenize))
        .route("/healthz", get(health))
        .route("/metrics", get(numbers))
        .merge(agent::router())
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(server), gate::check))
        .with_state(Arc::clone(server))
}

async fn models(State(server): State<Arc<Server>>) -> Response<Body> {
    json_response(StatusCode::OK, &json!({ "object": "list", "data": [card(&server)] }))
}

async fn model(State(server): State<Arc<Server>>, Path(id): Path<String>) -> Response<Body> {
    match server.check_model(&id) {
        Ok(()) => json_response(StatusCode::OK, &card(&server)),
        Err(error) => error.into_response(),
    }
}

fn card(server: &Server) -> Value {
    let engine = server.engine();
    let (info, processor) = (engine.info(), engine.processor());
    json!({
        "id": server.name,
        "object": "model",
        "created": server.created,
        "owned_by": "handsight",
        "root": info.name,
        "parent": null,
        "max_model_len": server.limits.request.context,
        // What our own clients need to know of a checkpoint, beyond the API.
        "handsight": {
            "prompt_profile": info.prompt_profile,
            "parameters": info.parameters,
            "min_pixels": processor.min_pixels,
            "max_pixels": processor.max_pixels,
        },
    })
}

async fn health(State(server): State<Arc<Server>>) -> Response<Body> {
    if *server.stopping.borrow() {
        return ApiError::shutting_down().into_response();
    }
    json_response(StatusCode::OK, &json!({ "status": "ok" }))
}

async fn numbers(State(server): State<Arc<Server>>) -> Response<Body> {
    let mut response = Response::new(Body::from(server.metrics.text(&server.scheduler.stats())));
    let kind = HeaderValue::from_static(metrics::CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

async fn nothing(method: Method, uri: Uri) -> Response<Body> {
    let message = format!("Invalid URL ({method} {})", short(uri.path()));
    ApiError::of_status(StatusCode::NOT_FOUND, message).into_response()
}

async fn wrong_method(method: Method, uri: Uri) -> Response<Body> {
    let message = format!("Not allowed to {method} on {}.", short(uri.path()));
    let error = ApiError::of_status(StatusCode::METHOD_NOT_ALLOWED, message);
    error.with_code("method_not_supported").into_response()
}

fn short(path: &str) -> String {
    path.chars().take(200).collect()
}
