//! Requests to the hub: redirects, the token, and what a refusal means.
//!
//! The token goes to the endpoint's own origin (scheme, host and port) and nowhere else: the hub
//! redirects downloads to stores of other hosts, whose addresses carry their own permission.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};
use url::Url;

use super::checksum::Checksum;
use super::{HubError, HubOptions};

/// How often one request may be sent elsewhere.
const MAX_REDIRECTS: usize = 8;

/// How long it may take to find a host and to connect to it.
const CONNECTING: Duration = Duration::from_secs(20);

/// How long a small answer may take as a whole, however slowly it keeps coming.
const SMALL_ANSWER: Duration = Duration::from_secs(120);

/// How long the transfer of one file may take as a whole: a day, after which it is resumed.
const LARGE_ANSWER: Duration = Duration::from_secs(24 * 3600);

/// The largest file with certificates or a token that is read.
const MAX_LOCAL_BYTES: u64 = 4 << 20;

/// A secret that lets its holder fetch private models. It is never shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Token(String);

impl Token {
    /// Takes the text of a token.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Returns an error if the token cannot be sent.
    fn checked(self) -> Result<Self, HubError> {
        if self.0.bytes().all(|byte| byte.is_ascii_graphic()) && self.0.len() <= 4096 {
            return Ok(self);
        }
        let problem = "it holds characters that no token has, or too many".to_owned();
        Err(HubError::Option { what: "the token", problem })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Speaks to one endpoint.
#[derive(Clone)]
pub(super) struct Client {
    agent: Agent,
    endpoint: Url,
    token: Option<Token>,
}

/// What the endpoint itself says of a file, even where it redirects to get it.
#[derive(Clone, Debug, Default)]
pub(super) struct FileHead {
    pub(super) checksum: Option<Checksum>,
    /// In bytes.
    pub(super) size: Option<u64>,
    pub(super) commit: Option<String>,
    /// As `checksum`, if the server says that it is that of the file and not of its own answer.
    pub(super) checksum_of_link: Option<Checksum>,
    /// As `size`, likewise.
    pub(super) size_of_link: Option<u64>,
}

/// Which file, for a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) repo: &'a str,
    pub(super) revision: &'a str,
    /// None if the repository is asked about as a whole.
    pub(super) file: Option<&'a str>,
}

impl Client {
    /// Makes a client.
    pub(super) fn new(options: &HubOptions) -> Result<Self, HubError> {
        let token = match (&options.token, &options.token_file) {
            (Some(token), _) => Some(token.clone()),
            (None, Some(file)) => read_small(file)?.map(|text| Token::new(&text)),
            (None, None) => None,
        };
        let token = token.filter(|token| !token.0.is_empty()).map(Token::checked).transpose()?;
        let mut tls = TlsConfig::builder();
        if let Some(file) = &options.certificates {
            tls = tls.root_certs(certificates(file)?);
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .tls_config(tls.build())
            .user_agent(concat!("handsight/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_resolve(Some(CONNECTING))
            .timeout_connect(Some(CONNECTING))
            .timeout_recv_response(Some(options.patience.max(CONNECTING)))
            .timeout_per_read(Some(options.patience))
            .timeout_per_write(Some(options.patience));
        let agent = config.build().new_agent();
        Ok(Self { agent, endpoint: parse_endpoint(&options.endpoint)?, token })
    }

    /// Returns the endpoint's host and port, for a message.
    pub(super) fn host(&self) -> String {
        host(&self.endpoint)
    }

    /// Returns the address of a page below the endpoint.
    pub(super) fn address<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.endpoint.clone();
        // An http address can always have a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Returns the address of a file.
    pub(super) fn file_address(&self, repo: &str, commit: &str, file: &str) -> Url {
        let path = repo.split('/').chain(["resolve", commit]).chain(file.split('/'));
        self.address(path)
    }

    /// Asks for a document of at most `limit` bytes.
    pub(super) fn document(
        &self,
        url: &Url,
        subject: Subject<'_>,
        limit: u64,
    ) -> Result<Vec<u8>, HubError> {
        let (mut response, _) = self.ask(url, subject, Ask::Document)?;
        let body = response.body_mut().as_reader();
        let mut bytes = Vec::new();
        body.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| HubError::Unreachable { host: self.host(), source: source.into() })?;
        if bytes.len() as u64 > limit {
            let problem = format!("its description has more than {limit} bytes");
            return Err(self.unusable(subject.repo, problem));
        }
        Ok(bytes)
    }

    /// Asks what a file is, without its bytes.
    pub(super) fn head(&self, url: &Url, subject: Subject<'_>) -> Result<FileHead, HubError> {
        Ok(self.ask(url, subject, Ask::Head)?.1)
    }

    /// Asks for the bytes of a file from `start` on.
    pub(super) fn bytes(
        &self,
        url: &Url,
        subject: Subject<'_>,
        start: u64,
    ) -> Result<(Response<Body>, FileHead), HubError> {
        self.ask(url, subject, Ask::Bytes(start))
    }

    /// Makes the error of an answer that cannot be used.
    pub(super) fn unusable(&self, repo: &str, problem: String) -> HubError {
        HubError::Listing { host: self.host(), repo: repo.to_owned(), problem }
    }

    fn ask(
        &self,
        url: &Url,
        subject: Subject<'_>,
        ask: Ask,
    ) -> Result<(Response<Body>, FileHead), HubError> {
        let mut url = url.clone();
        let mut head = FileHead::default();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.ask_once(&url, ask)?;
            let is_ours = self.is_ours(&url);
            if is_ours {
                head.note(response.headers(), response.status());
            }
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED
            {
                if response.status().is_success() {
                    return Ok((response, head));
                }
                return Err(self.refusal(&url, &response, subject));
            }
            let next = self.next(&url, response.headers())?;
            if matches!(ask, Ask::Head) && !self.is_ours(&next) {
                return Ok((response, head));
            }
            url = next;
        }
        let problem = format!("more than {MAX_REDIRECTS} times");
        Err(HubError::Redirect { host: self.host(), problem })
    }

    fn ask_once(&self, url: &Url, ask: Ask) -> Result<Response<Body>, HubError> {
        let mut request = match ask {
            Ask::Head => self.agent.head(url.as_str()),
            Ask::Document | Ask::Bytes(_) => self.agent.get(url.as_str()),
        };
        if let Ask::Bytes(start @ 1..) = ask {
            request = request.header("Range", format!("bytes={start}-"));
        }
        if let Some(token) = self.token.as_ref().filter(|_| self.is_ours(url)) {
            request = request.header("Authorization", format!("Bearer {}", token.0));
        }
        let limit = if matches!(ask, Ask::Bytes(_)) { LARGE_ANSWER } else { SMALL_ANSWER };
        let request = request.config().timeout_recv_body(Some(limit)).build();
        request
            .call()
            .map_err(|source| HubError::Unreachable { host: host(url), source: source.into() })
    }

    /// Whether an address belongs to the endpoint.
    fn is_ours(&self, url: &Url) -> bool {
        url.origin() == self.endpoint.origin()
    }

    /// Where a redirect leads.
    fn next(&self, url: &Url, headers: &HeaderMap) -> Result<Url, HubError> {
        let wrong =
            |problem: &str| HubError::Redirect { host: host(url), problem: problem.to_owned() };
        let location = text_of(headers, "location").ok_or_else(|| wrong("to nowhere"))?;
        let next = url.join(location).map_err(|_| wrong("to what is no address"))?;
        match next.scheme() {
            "https" => Ok(next),
            "http" if self.endpoint.scheme() == "http" => Ok(next),
            "http" => Err(wrong("to an address that is not encrypted")),
            _ => Err(wrong("to an address that is not of the web")),
        }
    }

    /// What a status other than success means.
    fn refusal(&self, url: &Url, response: &Response<Body>, subject: Subject<'_>) -> HubError {
        let (status, headers) = (response.status().as_u16(), response.headers());
        let (host, repo) = (host(url), subject.repo.to_owned());
        let with_token = self.token.is_some();
        let message = text_of(headers, "x-error-message").map(printable).unwrap_or_default();
        let code = text_of(headers, "x-error-code").unwrap_or_default();
        if self.is_ours(url) {
            match (code, status) {
                ("GatedRepo", _) | (_, 403) => {
                    let page = self.address(repo.split('/')).to_string();
                    return HubError::Refused { host, repo, status, message, page, with_token };
                }
                ("RevisionNotFound", _) => {
                    return HubError::NoSuchRevision {
                        repo,
                        revision: subject.revision.to_owned(),
                    };
                }
                ("EntryNotFound", _) => {
                    let file = subject.file.unwrap_or_default().to_owned();
                    return HubError::NoSuchFile { repo, file, similar: Vec::new() };
                }
                // The hub says 401 of a model it does not have, too, lest private ones be guessed.
                ("RepoNotFound", _) | (_, 404) if subject.file.is_none() => {
                    return HubError::NoSuchModel { host, repo, with_token };
                }
                (_, 401) => {
                    let page = self.address(repo.split('/')).to_string();
                    return HubError::Refused { host, repo, status, message, page, with_token };
                }
                _ => {}
            }
        }
        let what = match subject.file {
            Some(file) => format!("`{file}` of `{repo}`"),
            None => format!("`{repo}`"),
        };
        let retry_after = text_of(headers, "retry-after").and_then(|text| text.parse().ok());
        HubError::Status { host, status, what, message, retry_after }
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
enum Ask {
    Document,
    Head,
    /// The bytes from this one on.
    Bytes(u64),
}

impl FileHead {
    /// Takes note of what one answer of the endpoint says.
    fn note(&mut self, headers: &HeaderMap, status: StatusCode) {
        let number = |name| text_of(headers, name).and_then(|text| text.parse().ok());
        let linked = text_of(headers, "x-linked-etag");
        // The plain ETag and length of a redirect are those of the redirect.
        let own = text_of(headers, "etag").filter(|_| status.is_success());
        let own_size = || number("content-length").filter(|_| status == StatusCode::OK);
        let linked = linked.and_then(Checksum::from_etag);
        self.checksum_of_link = self.checksum_of_link.take().or(linked);
        self.size_of_link = self.size_of_link.or_else(|| number("x-linked-size"));
        self.checksum = self.checksum_of_link.clone().or_else(|| own.and_then(Checksum::from_etag));
        self.size = self.size_of_link.or_else(own_size);
        let commit = || text_of(headers, "x-repo-commit").map(printable);
        self.commit = self.commit.take().or_else(commit);
    }
}

/// The value of a header, if it is a text.
pub(super) fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The host of an address and its port: nothing of an address that could be a secret.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or("nowhere");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// A text of the other side, fit to be shown.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

fn parse_endpoint(text: &str) -> Result<Url, HubError> {
    let wrong = |problem: &str| HubError::Option {
        what: "the address of the hub (HF_ENDPOINT)",
        problem: problem.to_owned(),
    };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("it has to begin with https:// or http:// and a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it holds a name or password; put a token into HF_TOKEN instead"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it ends with `?…` or `#…`"));
    }
    Ok(url)
}

/// The certificates in a file.
fn certificates(file: &Path) -> Result<RootCerts, HubError> {
    let wrong = |problem: String| HubError::Option { what: "the file with certificates", problem };
    let text =
        read_small(file)?.ok_or_else(|| wrong(format!("there is no `{}`", file.display())))?;
    let mut certificates = Vec::new();
    for item in parse_pem(text.as_bytes()) {
        if let PemItem::Certificate(found) = item.map_err(|error| wrong(error.to_string()))? {
            certificates.push(found);
        }
    }
    if certificates.is_empty() {
        return Err(wrong(format!("`{}` holds none", file.display())));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

/// The text of a small file; none if there is no such file.
fn read_small(file: &Path) -> Result<Option<String>, HubError> {
    let file = match fs::File::open(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = String::new();
    file.take(MAX_LOCAL_BYTES).read_to_string(&mut text)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new(" hf_secret\n");
        let options = HubOptions { token: Some(token.clone()), ..Default::default() };
        assert!(!format!("{options:?}").contains("secret"));
        assert_eq!(token.0, "hf_secret");
        let split = HubOptions { token: Some(Token::new("hf_a\r\nX: b")), ..Default::default() };
        let error = Client::new(&split).err().unwrap();
        assert!(!error.to_string().contains("hf_a"), "{error}");
    }

    #[test]
    fn addresses_are_built_below_the_endpoint() {
        let at = |endpoint: &str| {
            let options = HubOptions { endpoint: endpoint.to_owned(), ..Default::default() };
            Client::new(&options)
        };
        let mirror = at("https://mirror.example/hf/").unwrap();
        let url = mirror.file_address("org/name", "main", "a b/%#?.json");
        assert_eq!(
            url.as_str(),
            "https://mirror.example/hf/org/name/resolve/main/a%20b/%25%23%3F.json"
        );
        let url = mirror.address(["api", "models", "org", "name", "revision", "refs/pr/1"]);
        assert!(url.as_str().ends_with("/revision/refs%2Fpr%2F1"), "{url}");
        for bad in ["huggingface.co", "ftp://x", "https://a:b@x", "https://x?y", "", "file:///x"] {
            let error = at(bad).err().unwrap();
            assert!(error.to_string().contains("HF_ENDPOINT"), "{error}");
            assert!(!error.to_string().contains("a:b"), "{error}");
        }
    }
}
