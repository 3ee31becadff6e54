//! Who may ask: the Host header, the token, and what is written down about every request.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use futures_util::FutureExt as _;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Server;
use super::access::Access;
use super::error::ApiError;

/// What a request must carry.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// SHA-256 of the token, if there is one: equal lengths, whatever is sent.
    token: Option<[u8; 32]>,
    /// Names the server is known by, besides `localhost` and addresses.
    hosts: Vec<String>,
}

/// Where an answer says by which id the log knows the request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl Gate {
    /// Lets in who names this server and has the token, if there is one.
    pub(crate) fn new(token: Option<&str>, hosts: &[String]) -> Self {
        let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Self { token: token.map(|token| Sha256::digest(token).into()), hosts }
    }

    /// Refuses a request that may not pass; one of `is_open` needs no token.
    pub(crate) fn admit(&self, headers: &HeaderMap, is_open: bool) -> Result<(), ApiError> {
        self.check_host(headers)?;
        if is_open { Ok(()) } else { self.check_token(headers) }
    }

    /// Refuses names this server does not go by: a page in a browser whose name was made to lead
    /// here would otherwise speak for the user (DNS rebinding).
    fn check_host(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(ApiError::bad_request("The request needs exactly one Host header."));
        };
        let name = host.to_str().map(host_name).unwrap_or_default().to_ascii_lowercase();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let is_local = name == "localhost" || name.ends_with(".localhost");
        if is_local || bare.parse::<IpAddr>().is_ok() || self.hosts.contains(&name) {
            return Ok(());
        }
        let message = "The Host header names another server. If this name leads here on purpose, \
                       start the server with --allow-host NAME.";
        Err(ApiError::of_status(StatusCode::FORBIDDEN, message).with_code("host_not_allowed"))
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(expected) = &self.token else { return Ok(()) };
        let unauthorized = |message| ApiError::of_status(StatusCode::UNAUTHORIZED, message);
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Err(unauthorized(
                "You didn't provide an API key. You need to provide your API key in an \
                 Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            ));
        };
        let given = value.as_bytes().split_at_checked(7);
        let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "));
        let digest: [u8; 32] = Sha256::digest(given.map_or(&[][..], |(_, token)| token)).into();
        if given.is_some() && bool::from(digest.ct_eq(expected)) {
            return Ok(());
        }
        Err(unauthorized("Incorrect API key provided.").with_code("invalid_api_key"))
    }
}

/// Returns a Host header's name without the port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Lets a request pass, and writes down how it ended.
pub(super) async fn check(
    State(server): State<Arc<Server>>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    let peer = request.extensions().get::<SocketAddr>().copied();
    let access = Access::new(&server, request.method(), request.uri().path(), peer);
    request.extensions_mut().insert(access.clone());
    let headers = request.headers();
    let is_open = request.uri().path() == "/healthz";
    let mut response = if let Err(error) = server.gate.admit(headers, is_open) {
        error.into_response()
    } else {
        let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        answered.unwrap_or_else(|_| {
            let message = "The server had an error while processing your request.";
            ApiError::of_status(StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
        })
    };
    if let Ok(id) = HeaderValue::from_str(access.id()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    access.answered(response.status());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_names_of_this_server_pass() {
        let gate = Gate::new(None, &["Gpu.Example".to_owned()]);
        let status = |host| {
            gate.check_host(&headers(&[(header::HOST, host)]))
                .map_err(|error| error.status.as_u16())
        };
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "a.localhost:1",
            "127.0.0.1:8080",
            "192.168.1.7",
            "[::1]:8080",
            "[fe80::1]",
            "gpu.example:80",
        ] {
            assert_eq!(status(host), Ok(()), "{host}");
        }
        for host in
            ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil", ""]
        {
            assert_eq!(status(host), Err(403), "{host}");
        }
        assert_eq!(gate.check_host(&headers(&[])).unwrap_err().status, 400);
    }

    #[test]
    fn only_the_token_itself_passes() {
        let gate = Gate::new(Some("s3cret"), &[]);
        let code = |value| {
            let error = gate.check_token(&headers(&[(header::AUTHORIZATION, value)]));
            error.map_err(|error| (error.status.as_u16(), error.code))
        };
        assert_eq!(code("Bearer s3cret"), Ok(()));
        assert_eq!(code("bearer s3cret"), Ok(()));
        for value in
            ["Bearer s3cre", "Bearer s3crets", "Bearer ", "Bearer", "s3cret", "Basic s3cret", ""]
        {
            assert_eq!(code(value), Err((401, Some("invalid_api_key"))), "{value}");
        }
        assert_eq!(gate.check_token(&headers(&[])).unwrap_err().status, 401);
        assert_eq!(Gate::new(None, &[]).check_token(&headers(&[])), Ok(()));
        assert!(!format!("{gate:?}").contains("s3cret"));
    }
}
