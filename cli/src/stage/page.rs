//! A page, served to a browser on this machine, which sends back what was done on it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fs_err as fs;

use crate::failure::{Exit, Failure};
use crate::settings::temp_dir;

/// What keeps Chromium from asking, updating, or showing anything but the page.
pub(super) const CHROMIUM_FLAGS: [&str; 11] = [
    "--no-sandbox",
    "--test-type",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-features=Translate",
    "--password-store=basic",
    "--force-device-scale-factor=1",
    "--window-position=0,0",
    "--window-size=560,400",
];

const THANKS: &str = "<!doctype html><meta charset=utf-8><title>Done</title><h1>Done</h1>";

/// The most that is read of what a page sends, in bytes.
const MAX_BODY: u64 = 4096;

/// A served page, until the process ends.
pub(crate) struct Page {
    address: String,
    profile: PathBuf,
    sent: Arc<Mutex<Option<String>>>,
}

impl Page {
    /// Serves a page on a free port that only this machine reaches.
    pub(crate) fn serve(html: String) -> Result<Self, Failure> {
        let unavailable = |error: std::io::Error| {
            let error = anyhow::Error::new(error).context("could not serve a page");
            Failure::new(Exit::Unavailable, error)
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(unavailable)?;
        let address = format!("http://{}/", listener.local_addr().map_err(unavailable)?);
        // Several pages may be open, one after another or at once.
        let port = listener.local_addr().map_err(unavailable)?.port();
        let profile = format!("handsight-page-{}-{port}", std::process::id());
        let profile = temp_dir().join(profile);
        fs::create_dir_all(&profile).map_err(unavailable)?;
        let sent = Arc::new(Mutex::new(None));
        let page = Self { address, profile, sent: Arc::clone(&sent) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A browser that hangs up early asks again.
                let _ = answer(&stream, &html, &sent);
            }
        });
        Ok(page)
    }

    /// Returns the page's address.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Returns the folder for the browser's own files, removed with the page.
    pub(super) fn profile(&self) -> &Path {
        &self.profile
    }

    /// Returns what the page has sent, if it has.
    pub(crate) fn sent(&self) -> Option<String> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// Answers one request.
fn answer(stream: &TcpStream, html: &str, sent: &Mutex<Option<String>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let (status, body) = match request.split(' ').take(2).collect::<Vec<_>>()[..] {
        ["POST", "/"] => {
            let mut body = String::new();
            reader.take(MAX_BODY.min(length)).read_to_string(&mut body)?;
            *sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
            ("200 OK", THANKS)
        }
        ["GET", "/"] => ("200 OK", html),
        _ => ("404 Not Found", ""),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(page: &Page, request: &str) -> String {
        let address = page.address().trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_page_is_served_and_what_it_sends_comes_back() {
        let page = Page::serve("<form>First Name</form>".to_owned()).unwrap();
        assert!(ask(&page, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").contains("First Name"));
        assert!(ask(&page, "GET /favicon.ico HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert_eq!(page.sent(), None);
        let form = "first=Ada&city=Paris";
        let request = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{form}", form.len());
        assert!(ask(&page, &request).contains("Done"));
        assert_eq!(page.sent().as_deref(), Some(form));
        let profile = page.profile().to_owned();
        drop(page);
        assert!(!profile.exists());
    }
}
