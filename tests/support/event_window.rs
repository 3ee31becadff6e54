//! A window of X.Org's own `xev`, which prints every event that reaches it: the judge of where
//! clicks and keys arrive.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use handsight_actions::Rect;
use x11rb::protocol::xproto::Window;

use crate::program::Program;
use crate::wait::{ANSWERING, wait_for};
use crate::xserver::XServer;

/// The window, which closes when this is dropped.
pub struct EventWindow {
    xev: Program,
    id: Window,
    lines: Arc<Mutex<Vec<String>>>,
}

/// A press of a button, as the window was told of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Press {
    /// Which button.
    pub button: u32,
    /// Where in the window.
    pub inside: [i32; 2],
    /// Where on the screen.
    pub on_screen: [i32; 2],
}

impl EventWindow {
    /// Opens a window of this title at a place, and waits until it is there.
    ///
    /// # Errors
    ///
    /// Fails if `xev` is not installed or shows no window.
    pub fn open(server: &XServer, title: &str, area: Rect) -> Result<Self> {
        let Rect { x, y, width, height } = area;
        let mut command = server.command("xev");
        command.args([
            "-bw",
            "0",
            "-name",
            title,
            "-geometry",
            &format!("{width}x{height}+{x}+{y}"),
        ]);
        command.args(["-event", "button", "-event", "keyboard", "-event", "mouse"]);
        let mut xev = Program::start(command.stderr(Stdio::null()))?;
        let stdout = xev.take_stdout().context("xev has no stdout")?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                written.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let id = server.find_window(title)?;
        Ok(Self { xev, id, lines })
    }

    /// Returns the window's number.
    pub fn id(&self) -> Window {
        self.id
    }

    /// Closes the window.
    pub fn close(&mut self) {
        self.xev.kill();
    }

    /// Returns the presses so far.
    pub fn presses(&self) -> Vec<Press> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // The event's name, then two lines of what it was.
        let events = lines.windows(3).filter(|event| event[0].starts_with("ButtonPress event"));
        events.filter_map(|event| press(&event[1], &event[2])).collect()
    }

    /// Waits until there are this many presses, and returns all.
    ///
    /// # Errors
    ///
    /// Fails if they do not come.
    pub fn wait_for_presses(&self, count: usize) -> Result<Vec<Press>> {
        let found = wait_for("a press did not arrive", ANSWERING, || {
            Ok(Some(self.presses()).filter(|presses| presses.len() >= count))
        });
        found.with_context(|| format!("there were {:?}", self.presses()))
    }

    /// Returns what was typed so far.
    pub fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        let mut is_press = false;
        for line in lines.iter() {
            if line.contains(" event, ") {
                is_press = line.starts_with("KeyPress event");
            }
            if let Some((_, written)) = line.split_once("XLookupString gives ")
                && is_press
                && let Some(written) = written.split('"').nth(1)
            {
                text.push_str(written);
            }
        }
        text
    }

    /// Waits until this was typed.
    ///
    /// # Errors
    ///
    /// Fails if it does not come.
    pub fn wait_for_text(&self, text: &str) -> Result<()> {
        let found =
            wait_for(
                "a text did not arrive",
                ANSWERING,
                || Ok((self.text() == text).then_some(())),
            );
        found.with_context(|| format!("there was {:?}", self.text()))
    }
}

/// Reads `… time 7, (49,39), root:(100,100),` and `state 0x0, button 1, same_screen YES`.
fn press(place: &str, what: &str) -> Option<Press> {
    let pair = |text: &str| {
        let (x, y) = text.split_once(')')?.0.split_once(',')?;
        Some([x.parse().ok()?, y.parse().ok()?])
    };
    let (_, inside) = place.split_once(", (")?;
    let (_, on_screen) = place.split_once("root:(")?;
    let button = what.split_once("button ")?.1.split(',').next()?;
    Some(Press { button: button.parse().ok()?, inside: pair(inside)?, on_screen: pair(on_screen)? })
}
