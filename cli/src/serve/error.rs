//! Refusals in the shape of the real API: a status, and `{"error": {message, type, param, code}}`.
//!
//! # Source
//!
//! The error guide and the answers of `api.openai.com` for `/v1/chat/completions`; the client turns
//! statuses into its exception classes, and programs look at `code` and `param`.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use handsight_model::ModelError;
use handsight_model::media::MediaError;
use serde_json::{Value, json};

/// Why a request was refused or failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) message: String,
    /// The class of the error, `type` on the wire.
    pub(super) kind: &'static str,
    /// The parameter that is wrong, such as `messages[0].role`.
    pub(super) param: Option<String>,
    /// What programs can tell the error by.
    pub(super) code: Option<&'static str>,
}

/// Seconds after which a refused client may ask again.
const RETRY_AFTER: &str = "1";

impl ApiError {
    /// A request that cannot be followed as it is.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        let (status, kind) = (StatusCode::BAD_REQUEST, "invalid_request_error");
        Self { status, message: message.into(), kind, param: None, code: None }
    }

    /// A parameter with a value that cannot be followed.
    pub(super) fn param(
        param: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let error = Self::bad_request(message);
        Self { param: Some(param.into()), code: Some(code), ..error }
    }

    /// A parameter, or a value of it, that the API knows and this server does not.
    pub(super) fn unsupported(param: impl Into<String>, why: &str) -> Self {
        let param = param.into();
        let message = format!("Unsupported parameter: '{param}' is not supported here: {why}.");
        Self::param(param, "unsupported_parameter", message)
    }

    /// An error of another status.
    pub(super) fn of_status(status: StatusCode, message: impl Into<String>) -> Self {
        let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
        Self { status, kind, ..Self::bad_request(message) }
    }

    /// Sets the code.
    pub(super) fn with_code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Sets the parameter.
    pub(super) fn with_param(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    /// More requests than this server takes.
    pub(super) fn busy(message: impl Into<String>) -> Self {
        let error = Self::of_status(StatusCode::TOO_MANY_REQUESTS, message);
        Self { kind: "requests", code: Some("rate_limit_exceeded"), ..error }
    }

    /// A server that is going down.
    pub(super) fn shutting_down() -> Self {
        Self::of_status(StatusCode::SERVICE_UNAVAILABLE, "The server is shutting down.")
            .with_code("shutting_down")
    }

    /// A body with more bytes than are read.
    pub(super) fn body_too_large(limit: usize) -> Self {
        let message = format!(
            "The request body is larger than {} MB, the most that this server reads.",
            limit >> 20
        );
        Self::of_status(StatusCode::PAYLOAD_TOO_LARGE, message).with_code("request_too_large")
    }

    /// An image or video that cannot be used.
    pub(super) fn media(param: impl Into<String>, error: &MediaError) -> Self {
        let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        let message = format!("{}{hint}", with_causes(error));
        Self::param(param, "invalid_image", message)
    }

    /// The body.
    pub(super) fn body(&self) -> Value {
        json!({
            "error": {
                "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
            }
        })
    }
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> Self {
        let text = with_causes(&error);
        match error {
            ModelError::PromptTooLong { tokens, max_new_tokens, limit } => Self::param(
                "messages",
                "context_length_exceeded",
                format!(
                    "This model's maximum context length is {limit} tokens. However, you requested \
                     {} tokens ({tokens} in the messages, {max_new_tokens} in the completion).",
                    tokens.saturating_add(max_new_tokens)
                ),
            ),
            // Places are wrong where a checkpoint's template shows no videos, for instance.
            ModelError::Image { .. } | ModelError::Video { .. } | ModelError::Positions(_) => {
                Self::param("messages", "invalid_image", text)
            }
            ModelError::Constraint { .. } => {
                Self::bad_request(text).with_code("invalid_constraint")
            }
            ModelError::Options { .. } | ModelError::Template { .. } => Self::bad_request(text),
            ModelError::Busy { .. } => {
                Self::busy("Too many requests are waiting already. Please try again in a moment.")
            }
            ModelError::ShuttingDown => Self::shutting_down(),
            _ => Self::of_status(StatusCode::INTERNAL_SERVER_ERROR, text),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        let mut response = json_response(self.status, &self.body());
        let headers = response.headers_mut();
        let is_temporary =
            matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        if is_temporary {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Returns a response of a JSON body.
pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Returns an error's message with its causes, each after a colon.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
