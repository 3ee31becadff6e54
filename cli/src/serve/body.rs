//! Request bodies: how large, how slow, and how many at once.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Memory for requests that are read or wait: bodies, decoded images.
///
/// What does not fit is refused, so that many large requests cannot fill the machine.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// In KiB.
    left: Arc<Semaphore>,
}

/// Memory that was set aside; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Reserved {
    _permit: OwnedSemaphorePermit,
}

impl Memory {
    /// Sets the size of all.
    pub(super) fn new(bytes: usize) -> Self {
        Self { left: Arc::new(Semaphore::new((bytes >> 10).min(Semaphore::MAX_PERMITS))) }
    }

    /// Sets some aside.
    pub(super) fn reserve(&self, bytes: usize) -> Result<Reserved, ApiError> {
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.left).try_acquire_many_owned(kib);
        match permit {
            Ok(permit) => Ok(Reserved { _permit: permit }),
            Err(_) => Err(ApiError::busy(
                "The requests that are being read take all the memory there is for them. Please \
                 try again in a moment.",
            )),
        }
    }
}

/// Reads a JSON body of at most `limit` bytes.
pub(super) async fn read_json(
    request: Request,
    limit: usize,
    memory: &Memory,
) -> Result<Value, ApiError> {
    let (head, body) = request.into_parts();
    check_type(&head.headers)?;
    let announced = announced_len(&head.headers);
    if announced.is_some_and(|len| len > limit) {
        return Err(ApiError::body_too_large(limit));
    }
    // The bytes, and the values made of them.
    let reserved = memory.reserve(2 * announced.unwrap_or(limit))?;
    let bytes = tokio::time::timeout(BODY_TIMEOUT, whole(body, limit)).await.map_err(|_| {
        let message = "The request body did not arrive in time.";
        ApiError::of_status(StatusCode::REQUEST_TIMEOUT, message)
    })??;
    let value = blocking(move || serde_json::from_slice(&bytes)).await?;
    drop(reserved);
    value.map_err(|error| {
        let message = format!(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't \
             using your HTTP library correctly. The API expects a JSON payload: {error})"
        );
        ApiError::bad_request(message)
    })
}

async fn whole(body: Body, limit: usize) -> Result<axum::body::Bytes, ApiError> {
    to_bytes(body, limit).await.map_err(|error| {
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            if error.is::<http_body_util::LengthLimitError>() {
                return ApiError::body_too_large(limit);
            }
            cause = error.source();
        }
        ApiError::bad_request("The request body could not be read.")
    })
}

/// A page in a browser may send plain text anywhere without asking; JSON it may not.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message =
        "The request body has to be JSON, with the header 'Content-Type: application/json'.";
    Err(ApiError::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}

fn announced_len(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Does work that takes a while away from the threads that serve connections.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| {
        let message = "The server had an error while processing your request.";
        ApiError::of_status(StatusCode::INTERNAL_SERVER_ERROR, message)
    })
}
