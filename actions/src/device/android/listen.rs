//! Listens to the fingers and buttons of a phone, as its kernel tells of them: `getevent -lt`.
//!
//! Places come in the panel's own units and as it was built in, whichever way the phone is held, so they
//! are turned and scaled to the screenshot. What an on-screen keyboard writes is nowhere told: only the
//! taps on its keys are.

use std::collections::HashMap;
use std::time::Duration;

use super::adb::client::Channel;
use super::adb::error::AdbError;
use super::adb::link::{Patience, ReadInTime as _};
use super::adb::shell_protocol::{Kind, Packets};
use super::{AndroidDevice, AndroidError};
use crate::action::SystemButton;
use crate::device::DeviceError;
use crate::geometry::{PixelPoint, Size};
use crate::heard::{Heard, HeardButton, HeardInput};

/// Tells of every event of every input.
const EVENTS: &str = "getevent -lt";
/// Tells what inputs there are, and from where to where each counts.
const INPUTS: &str = "getevent -lp";
/// The longest line that is waited for.
const MAX_LINE: usize = 4096;
/// The shortest wait in which something can be read.
const LEAST: Duration = Duration::from_millis(15);

/// Listens to one phone.
pub struct AndroidListener {
    channel: Channel,
    events: Events,
}

/// What the phone tells, as it comes in.
pub(crate) struct Events {
    /// Packets, where the phone sends the events in such.
    packets: Option<Packets>,
    line: Vec<u8>,
    panels: HashMap<String, Panel>,
}

/// A touch panel: how far it counts, and the finger on it.
#[derive(Clone, Copy, Debug, Default)]
struct Panel {
    most: (u32, u32),
    at: (u32, u32),
    /// Which of several fingers is told of.
    slot: u32,
    touched: bool,
    was_touched: bool,
}

/// One line: when, of which input, and what.
#[derive(Debug, Eq, PartialEq)]
struct Line<'a> {
    at: Duration,
    input: &'a str,
    kind: &'a str,
    code: &'a str,
    value: &'a str,
}

impl AndroidListener {
    /// Starts to listen.
    ///
    /// # Errors
    /// [`AndroidError::Adb`] if the phone does not tell, or has no touch panel.
    pub fn open(device: &AndroidDevice) -> Result<Self, DeviceError> {
        let inputs = device.client.look(INPUTS).map_err(AndroidError::from)?;
        let events = Events::of(&inputs);
        if events.panels.is_empty() {
            let problem = "it tells of no touch panel".to_owned();
            let error = AdbError::Protocol { task: INPUTS.to_owned(), problem };
            return Err(AndroidError::from(error).into());
        }
        let opened = device.client.follow(EVENTS, &device.client.looking());
        let (channel, in_packets) = opened.map_err(|lapse| AndroidError::from(lapse.error))?;
        let events = if in_packets { events.in_packets() } else { events };
        Ok(Self { channel, events })
    }

    /// Returns what was done since the last time, after waiting for something if it is nothing.
    ///
    /// # Errors
    /// [`AndroidError::Adb`] if the phone is gone.
    pub fn hear(
        &mut self,
        device: &AndroidDevice,
        wait: Duration,
    ) -> Result<Vec<Heard>, DeviceError> {
        let mut buffer = [0; 16 * 1024];
        let patience = Patience::of(wait.max(LEAST));
        let count = match self.channel.read(&mut buffer, &patience, EVENTS) {
            Ok(0) => {
                let source = std::io::ErrorKind::UnexpectedEof.into();
                let error = AdbError::Broken { task: EVENTS.to_owned(), source };
                return Err(AndroidError::from(error).into());
            }
            Ok(count) => count,
            Err(AdbError::Timeout { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(AndroidError::from(error).into()),
        };
        let screen = (device.size, device.screen.degrees);
        let heard = self.events.hear(&buffer[..count], screen).map_err(|problem| {
            AndroidError::from(AdbError::Protocol { task: EVENTS.to_owned(), problem })
        })?;
        Ok(heard)
    }
}

impl Events {
    /// Reads what inputs there are.
    pub(crate) fn of(inputs: &str) -> Self {
        Self { packets: None, line: Vec::new(), panels: panels(inputs) }
    }

    /// What is told comes in packets of the shell's protocol.
    pub(crate) fn in_packets(self) -> Self {
        Self { packets: Some(Packets::default()), ..self }
    }

    /// Returns what some more bytes tell, on a screen of this size that is turned by so many degrees.
    pub(crate) fn hear(&mut self, bytes: &[u8], screen: (Size, u32)) -> Result<Vec<Heard>, String> {
        self.take(bytes)?;
        let mut heard = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', &self.line) {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if let Some(line) = read(line.trim_end()) {
                let what = happened(&mut self.panels, &line, screen);
                heard.extend(what.map(|what| Heard { at: line.at, what }));
            }
        }
        Ok(heard)
    }

    /// Takes what came, out of its packets if it is in such.
    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        match &mut self.packets {
            None => self.line.extend_from_slice(bytes),
            Some(packets) => {
                packets.push(bytes);
                while let Some((kind, data)) = packets.next().map_err(|error| error.to_string())? {
                    if kind == Kind::Stdout {
                        self.line.extend_from_slice(data);
                    }
                }
            }
        }
        let is_endless = self.line.len() > MAX_LINE && !self.line.contains(&b'\n');
        if is_endless { Err("a line does not end".to_owned()) } else { Ok(()) }
    }
}

/// Returns the touch panels among the inputs, by their files.
fn panels(text: &str) -> HashMap<String, Panel> {
    let mut panels = HashMap::new();
    let mut input = String::new();
    for line in text.lines() {
        if let Some((_, path)) =
            line.strip_prefix("add device ").and_then(|rest| rest.split_once(": "))
        {
            path.trim().clone_into(&mut input);
        }
        let most = || line.split_once("max ")?.1.split([',', ' ']).next()?.trim().parse().ok();
        let panel: &mut Panel = match most() {
            Some(_) if line.contains("ABS_MT_POSITION_") => {
                panels.entry(input.clone()).or_default()
            }
            _ => continue,
        };
        if line.contains("ABS_MT_POSITION_X") {
            panel.most.0 = most().unwrap_or_default();
        } else {
            panel.most.1 = most().unwrap_or_default();
        }
    }
    panels.retain(|_, panel: &mut Panel| panel.most.0 > 0 && panel.most.1 > 0);
    panels
}

/// Reads `[  1234.567890] /dev/input/event2: EV_ABS       ABS_MT_POSITION_X    0000021c`.
fn read(line: &str) -> Option<Line<'_>> {
    let (time, rest) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    let seconds: f64 = time.trim().parse().ok()?;
    let (input, event) = rest.trim_start().split_once(": ")?;
    let mut words = event.split_whitespace();
    let (kind, code, value) = (words.next()?, words.next()?, words.next()?);
    let at = Duration::try_from_secs_f64(seconds).ok()?;
    Some(Line { at, input, kind, code, value })
}

/// Returns what an event tells that a person did, if it is the last of what tells it.
fn happened(
    panels: &mut HashMap<String, Panel>,
    line: &Line<'_>,
    screen: (Size, u32),
) -> Option<HeardInput> {
    if line.kind == "EV_KEY" && line.code != "BTN_TOUCH" {
        return if line.value == "DOWN" { button(line.code) } else { None };
    }
    let panel = panels.get_mut(line.input)?;
    let number = u32::from_str_radix(line.value, 16);
    match (line.kind, line.code) {
        ("EV_ABS", "ABS_MT_SLOT") => panel.slot = number.ok()?,
        // Other fingers than the first are of no step.
        ("EV_ABS", _) if panel.slot != 0 => {}
        ("EV_ABS", "ABS_MT_TRACKING_ID") => panel.touched = number.ok()? != u32::MAX,
        ("EV_ABS", "ABS_MT_POSITION_X") => panel.at.0 = number.ok()?,
        ("EV_ABS", "ABS_MT_POSITION_Y") => panel.at.1 = number.ok()?,
        ("EV_KEY", _) => panel.touched = line.value == "DOWN",
        ("EV_SYN", "SYN_REPORT") if panel.touched != panel.was_touched => {
            panel.was_touched = panel.touched;
            let (button, point) = (HeardButton::Left, Some(panel.shown(screen)));
            return Some(if panel.touched {
                HeardInput::Down { button, point }
            } else {
                HeardInput::Up { button, point }
            });
        }
        _ => {}
    }
    None
}

/// Returns what a button of the phone is, if it is one of the system's.
fn button(code: &str) -> Option<HeardInput> {
    Some(HeardInput::System(match code {
        "KEY_BACK" => SystemButton::Back,
        "KEY_HOMEPAGE" | "KEY_HOME" => SystemButton::Home,
        "KEY_MENU" | "KEY_APPSELECT" => SystemButton::Menu,
        "KEY_ENTER" => SystemButton::Enter,
        // Volume and power are no steps, and a keyboard that is plugged in cannot be read yet.
        code if code.starts_with("KEY_VOLUME") || code == "KEY_POWER" => return None,
        _ => return Some(HeardInput::Unknown),
    }))
}

impl Panel {
    /// Returns the pixel of a screenshot under the finger, on a screen that is turned by so much.
    fn shown(&self, (size, degrees): (Size, u32)) -> PixelPoint {
        let share = |at: u32, most: u32| (f64::from(at) + 0.5) / (f64::from(most) + 1.0);
        let (u, v) = (share(self.at.0, self.most.0), share(self.at.1, self.most.1));
        let (u, v) = match degrees {
            90 => (v, 1.0 - u),
            180 => (1.0 - u, 1.0 - v),
            270 => (1.0 - v, u),
            _ => (u, v),
        };
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and it is clamped")]
        let pixel = |share: f64, side: u32| {
            ((share * f64::from(side)).floor() as i32).clamp(0, side.cast_signed() - 1)
        };
        PixelPoint { x: pixel(u, size.width), y: pixel(v, size.height) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANELS: &str = "add device 1: /dev/input/event0\n  name: \"gpio-keys\"\n  events:\n    \
        KEY (0001): KEY_VOLUMEUP KEY_POWER\nadd device 2: /dev/input/event2\n  name: \"panel\"\n  \
        events:\n    ABS (0003): ABS_MT_SLOT           : value 0, min 0, max 9, fuzz 0\n                \
        ABS_MT_POSITION_X     : value 0, min 0, max 1079, fuzz 0\n                ABS_MT_POSITION_Y     \
        : value 0, min 0, max 2399, fuzz 0\n";

    fn told(events: &[&str], degrees: u32) -> Vec<String> {
        let mut panels = panels(PANELS);
        let size = Size { width: 1080, height: 2400 };
        let size =
            if degrees.is_multiple_of(180) { size } else { Size { width: 2400, height: 1080 } };
        let lines = events.iter().map(|event| format!("[   12.500000] /dev/input/event2: {event}"));
        let heard = lines.filter_map(|line| happened(&mut panels, &read(&line)?, (size, degrees)));
        heard
            .map(|what| match what {
                HeardInput::Down { point, .. } => format!("down {}", point.unwrap()),
                HeardInput::Up { point, .. } => format!("up {}", point.unwrap()),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn fingers_are_heard_once_each_and_only_the_first() {
        let events = [
            "EV_ABS       ABS_MT_TRACKING_ID   000000a1",
            "EV_ABS       ABS_MT_POSITION_X    00000064",
            "EV_ABS       ABS_MT_POSITION_Y    000000c8",
            "EV_SYN       SYN_REPORT           00000000",
            "EV_ABS       ABS_MT_SLOT          00000001",
            "EV_ABS       ABS_MT_TRACKING_ID   000000a2",
            "EV_ABS       ABS_MT_POSITION_X    00000001",
            "EV_SYN       SYN_REPORT           00000000",
            "EV_ABS       ABS_MT_SLOT          00000000",
            "EV_ABS       ABS_MT_POSITION_Y    000001f4",
            "EV_SYN       SYN_REPORT           00000000",
            "EV_ABS       ABS_MT_TRACKING_ID   ffffffff",
            "EV_SYN       SYN_REPORT           00000000",
            "EV_KEY       KEY_BACK             DOWN",
            "EV_KEY       KEY_BACK             UP",
        ];
        assert_eq!(told(&events, 0), ["down (100, 200)", "up (100, 500)", "System(Back)"]);
        // The panel stays where it is when the phone is turned.
        assert_eq!(told(&events[..4], 90), ["down (200, 979)"]);
        assert_eq!(told(&events[..4], 180), ["down (979, 2199)"]);
        assert_eq!(told(&events[..4], 270), ["down (2199, 100)"]);
    }

    #[test]
    fn what_is_no_event_is_left_out() {
        for line in
            ["", "[", "[x] a: b c d", "[1.0] /dev/input/event2 EV_SYN", "could not get driver"]
        {
            assert_eq!(read(line), None, "{line}");
        }
        assert!(panels("add device 1: /dev/input/event0\n").is_empty());
    }
}
