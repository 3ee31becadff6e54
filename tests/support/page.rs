//! A page in Chromium that tells the test its state, served by the test on the loopback address.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use handsight_actions::PixelPoint;
use serde::Deserialize;
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::program::Program;
use crate::wait::{ANSWERING, STARTING, wait_for};

/// What keeps Chromium from asking, updating, calling home, or showing anything but the page.
const FLAGS: [&str; 18] = [
    "--no-sandbox",
    "--test-type",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--disable-extensions",
    "--disable-breakpad",
    "--disable-smooth-scrolling",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
    "--password-store=basic",
    "--force-device-scale-factor=1",
    "--lang=en",
    "--window-position=0,0",
];

/// A page that tells nothing for so long has done all it was going to do.
const QUIET: Duration = Duration::from_millis(500);

const SCRIPT: &str = include_str!("page.js");

/// Opens a file in a browser without a window and returns what its scripts have made of it.
///
/// # Errors
///
/// Fails if there is no Chromium.
pub fn dom_of(file: &Path) -> Result<String> {
    let profile = TempDir::new()?;
    let mut command = Command::new("chromium");
    command.args(FLAGS).args(["--headless", "--virtual-time-budget=5000", "--dump-dom"]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    let output = command.arg(format!("file://{}", file.display())).output().context("chromium")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A desktop that programs can be opened on, and what opening one takes.
pub trait Desktop {
    /// What Chromium calls its kind.
    const PLATFORM: &str;

    /// Returns a command that runs on it, untouched by the session the tests run in.
    fn command(&self, program: &str) -> Command;

    /// Waits until a window with this title is in front and shows what it is to show.
    ///
    /// # Errors
    ///
    /// Fails if there is no such window in time.
    fn wait_for_window(&self, title: &str) -> Result<()>;

    /// Has the pointer be somewhere.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be moved.
    fn touch(&self, x: i32, y: i32) -> Result<()>;
}

/// A page in a browser, which ends when this is dropped.
pub struct Page {
    // Dropped in this order: the browser before its files.
    _browser: Program,
    _profile: TempDir,
    shared: Arc<Shared>,
    address: String,
}

/// What the server gives out and what it is told.
struct Shared {
    html: String,
    state: Mutex<Option<PageState>>,
}

/// What the page says of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct PageState {
    /// Reports are numbered; they may overtake one another.
    number: u64,
    ready: bool,
    /// Where the page's own top-left corner is on the screen, once the pointer was over it.
    origin: Option<[i32; 2]>,
    /// The id of the element that has the focus, if the page has it.
    pub focused: Option<String>,
    /// The text that is selected.
    pub selection: String,
    /// How far the page is scrolled to the right and down.
    pub scroll: [i32; 2],
    /// Left, top, width and height in the page of each element that has an id.
    rects: Map<String, Value>,
    /// The values of its inputs; for checkboxes whether they are checked.
    pub values: Map<String, Value>,
    /// What happened so far, such as `click save` and `keydown ctrl+a`.
    pub events: Vec<String>,
}

impl Page {
    /// Opens a page with this body in a window of this size, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// Fails if Chromium is not installed or does not show the page.
    pub fn open<D: Desktop>(desktop: &D, body: &str, size: [u32; 2]) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = format!("http://{}/", listener.local_addr()?);
        let html = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>Profile</title>\
             <script>{SCRIPT}</script>{body}"
        );
        let shared = Arc::new(Shared { html, state: Mutex::new(None) });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || serve(&listener, &served));

        let profile = TempDir::new()?;
        let [width, height] = size;
        let mut command = desktop.command("chromium");
        command.args(FLAGS).arg(format!("--ozone-platform={}", D::PLATFORM));
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.arg(format!("--window-size={width},{height}")).arg(format!("--app={address}"));
        let browser = Program::start_group(&mut command)?;
        let page = Self { _browser: browser, _profile: profile, shared, address };
        page.wait_for("the page is not loaded", STARTING, |state| state.ready)?;
        desktop.wait_for_window("Profile")?;
        // The page learns where it is on the screen from the pointer.
        let (x, y) = (i32::try_from(width / 2)?, i32::try_from(height / 2)?);
        let mut nudge = 0;
        wait_for("the page did not say where it is on the screen", ANSWERING, || {
            nudge = 1 - nudge;
            desktop.touch(x + nudge, y)?;
            Ok(page.state().and_then(|state| state.origin))
        })?;
        Ok(page)
    }

    /// Returns the last state the page told of.
    fn state(&self) -> Option<PageState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the page is in a state that was meant, and returns it.
    ///
    /// # Errors
    ///
    /// Names the state the page is in instead.
    pub fn expect(&self, what: &str, is_meant: impl Fn(&PageState) -> bool) -> Result<PageState> {
        self.wait_for(what, ANSWERING, is_meant)
    }

    /// Waits until the page has had nothing to tell for a while, and returns its state.
    ///
    /// # Errors
    ///
    /// Fails if it never ends.
    pub fn settled(&self) -> Result<PageState> {
        let (mut last, mut since) = (0, Instant::now());
        self.wait_for("the page is never still", ANSWERING, |state| {
            if state.number != last {
                (last, since) = (state.number, Instant::now());
            }
            since.elapsed() >= QUIET
        })
    }

    fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        mut is_meant: impl FnMut(&PageState) -> bool,
    ) -> Result<PageState> {
        let found = wait_for(what, limit, || Ok(self.state().filter(&mut is_meant)));
        found.with_context(|| format!("the page at {} says {:#?}", self.address, self.state()))
    }

    /// Returns the box of an element on the screen: left, top, width and height.
    ///
    /// # Errors
    ///
    /// Fails if there is no element of that id.
    pub fn rect(&self, id: &str) -> Result<[i32; 4]> {
        let state = self.state().context("the page has told nothing")?;
        let [x, y] = state.origin.context("the page is nowhere")?;
        let rect = state.rects.get(id).with_context(|| format!("the page has no `{id}`"))?;
        let [left, top, width, height] = serde_json::from_value(rect.clone())?;
        Ok([x + left, y + top, width, height])
    }

    /// Returns the middle of an element on the screen.
    ///
    /// # Errors
    ///
    /// Fails if there is no element of that id.
    pub fn middle(&self, id: &str) -> Result<PixelPoint> {
        let [left, top, width, height] = self.rect(id)?;
        Ok(PixelPoint { x: left + width / 2, y: top + height / 2 })
    }
}

impl PageState {
    /// Returns the text of an input.
    pub fn text(&self, id: &str) -> &str {
        self.values.get(id).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether this happened.
    pub fn saw(&self, event: &str) -> bool {
        self.events.iter().any(|seen| seen == event)
    }
}

/// Answers requests, each in a thread, for as long as the tests run.
fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        let shared = Arc::clone(shared);
        // A browser that ends in the middle of a request is no failure of the test.
        std::thread::spawn(move || drop(answer(&stream, &shared)));
    }
}

fn answer(mut stream: &TcpStream, shared: &Shared) -> Result<()> {
    stream.set_read_timeout(Some(ANSWERING))?;
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
    let (status, body) = if request.starts_with("POST /state ") {
        let state: PageState = serde_json::from_reader(reader.take(length))?;
        let mut last = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|last| last.number < state.number) {
            *last = Some(state);
        }
        ("200 OK", "")
    } else if request.starts_with("GET / ") {
        ("200 OK", shared.html.as_str())
    } else {
        ("404 Not Found", "")
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    Ok(())
}
