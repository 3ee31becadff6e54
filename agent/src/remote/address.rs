//! `http(s)://host[:port]/v1#name`: which server, and which of its models.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ureq::http::Uri;

use super::RemoteError;

/// The longest address.
const MAX_CHARS: usize = 2000;

/// Where the API usually is, if the address names no path.
const USUAL_PATH: &str = "/v1";

/// A server that speaks the OpenAI API, and the name of one of its models.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// Scheme, host, port and path, without a slash at the end.
    base: String,
    is_https: bool,
    is_loopback: bool,
    model: Option<String>,
}

impl Address {
    /// Returns the address of one of the API's resources, such as `models`.
    pub(super) fn of(&self, resource: &str) -> String {
        format!("{}/{resource}", self.base)
    }

    /// Returns the server without the name of the model; what errors and traces call it.
    pub fn server(&self) -> &str {
        &self.base
    }

    /// Returns the name after the `#`.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Whether what is sent cannot be read on the way: it is encrypted, or never leaves the machine.
    pub fn is_private(&self) -> bool {
        self.is_https || self.is_loopback
    }

    /// Whether the server runs on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        self.is_loopback
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.model {
            Some(model) => write!(f, "{}#{model}", self.base),
            None => f.write_str(&self.base),
        }
    }
}

impl FromStr for Address {
    type Err = RemoteError;

    /// Reads an address. Nothing secret may be in it: it is shown in errors and traces.
    fn from_str(text: &str) -> Result<Self, RemoteError> {
        let wrong = |problem| Err(RemoteError::Address { problem });
        if text.chars().count() > MAX_CHARS || text.contains(char::is_control) {
            return wrong("it is too long, or has control characters in it");
        }
        let (url, model) = match text.split_once('#') {
            Some((url, model)) => (url, Some(model)),
            None => (text, None),
        };
        let Ok(uri) = url.parse::<Uri>() else { return wrong("it cannot be read") };
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return wrong("it begins with neither `http://` nor `https://`"),
        };
        let Some(authority) = uri.authority() else { return wrong("it names no host") };
        if authority.as_str().contains('@') {
            return wrong("it has a user or password in it");
        }
        if uri.query().is_some() {
            return wrong("it has a query in it");
        }
        let path = uri.path().trim_end_matches('/');
        let path = if path.is_empty() { USUAL_PATH } else { path };
        let scheme = if is_https { "https" } else { "http" };
        Ok(Self {
            base: format!("{scheme}://{authority}{path}"),
            is_https,
            is_loopback: is_loopback(authority.host()),
            model: model.map(str::trim).filter(|model| !model.is_empty()).map(str::to_owned),
        })
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_server_and_perhaps_a_model() {
        let check = |text: &str, server: &str, model: Option<&str>, is_private: bool| {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.server(), address.model()), (server, model), "{text}");
            assert_eq!(address.is_private(), is_private, "{text}");
        };
        let name = Some("Qwen/Qwen2.5-VL-7B-Instruct");
        check(
            "http://10.0.0.7:8000/v1#Qwen/Qwen2.5-VL-7B-Instruct",
            "http://10.0.0.7:8000/v1",
            name,
            false,
        );
        check(
            "https://api.example.com/openai/v1/",
            "https://api.example.com/openai/v1",
            None,
            true,
        );
        check("http://localhost:8080#m", "http://localhost:8080/v1", Some("m"), true);
        check("http://[::1]:8080/#", "http://[::1]:8080/v1", None, true);
        check("http://127.0.0.2/v1#a#b", "http://127.0.0.2/v1", Some("a#b"), true);
        let shown: Address = "http://h/v1/#m".parse().unwrap();
        assert_eq!(shown.to_string(), "http://h/v1#m");
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for text in [
            "ftp://host/v1#m",
            "http://",
            "http:///v1",
            "http://me:secret@host/v1",
            "http://host/v1?key=secret",
            "http://ho st/v1",
            "http://host/v1#a\nb",
        ] {
            let message = text.parse::<Address>().unwrap_err().to_string();
            assert!(message.starts_with("the address of the server cannot be used: "), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
