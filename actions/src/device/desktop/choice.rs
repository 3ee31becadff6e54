//! What of a desktop is to be observed, as a person says it.

use std::fmt;
use std::str::FromStr;

use regex::Regex;

use super::view::no_monitor;
use super::{DesktopOptions, Failure, Monitor, PortalOptions, View, connect};
use crate::device::{AreaFault, DeviceError};

/// A monitor, or a single window.
#[derive(Clone, Debug)]
pub enum Scope {
    /// All that a monitor shows.
    Monitor(MonitorChoice),
    /// A window, without the frame that the window manager draws; wherever it goes.
    Window(WindowChoice),
}

impl Default for Scope {
    fn default() -> Self {
        Self::Monitor(MonitorChoice::default())
    }
}

/// One of the monitors.
///
/// As text it is `primary`, `1`, `DP-1` or `window:TITLE`.
#[derive(Clone, Debug, Default)]
pub enum MonitorChoice {
    /// The one that the system calls primary, or else the first.
    #[default]
    Primary,
    /// The one of this number, from 0 as [`monitors`](super::monitors) lists them.
    Index(usize),
    /// The one of this name.
    Name(String),
    /// The one that shows most of a window.
    With(WindowChoice),
}

/// One of the windows.
///
/// As text it is `0x1e00003` or a regular expression.
#[derive(Clone, Debug)]
pub enum WindowChoice {
    /// The one of this number, as [`windows`](super::windows) lists them.
    Id(u64),
    /// The one in whose title this is found. If there are several, the one whose whole title it is.
    Title(Regex),
}

const PRIMARY: &str = "primary";

impl FromStr for MonitorChoice {
    type Err = regex::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(window) = text.strip_prefix("window:") {
            return window.parse().map(Self::With);
        }
        if text == PRIMARY {
            return Ok(Self::Primary);
        }
        Ok(text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Index))
    }
}

impl FromStr for WindowChoice {
    type Err = regex::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits =
            text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        digits.map_or_else(|| Regex::new(text).map(Self::Title), |id| Ok(Self::Id(id)))
    }
}

impl fmt::Display for MonitorChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primary => f.write_str(PRIMARY),
            Self::Index(index) => index.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::With(window) => write!(f, "window:{window}"),
        }
    }
}

impl fmt::Display for WindowChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id:#x}"),
            Self::Title(title) => title.fmt(f),
        }
    }
}

impl MonitorChoice {
    /// Finds the monitor.
    ///
    /// # Errors
    /// [`DeviceError::NoDisplay`] where there is no desktop, [`DeviceError::Area`] where there is
    /// no such monitor on it.
    pub fn find(&self, display: Option<&str>) -> Result<Monitor, DeviceError> {
        let screen = connect(display, &PortalOptions::default())?;
        let scope = Scope::Monitor(self.clone());
        let options = DesktopOptions { scope, ..DesktopOptions::default() };
        let view = View::choose(&*screen, &options).map_err(|failure: Failure| {
            failure.while_asked(&format!("desktop {}", screen.display()), "find a monitor")
        })?;
        Ok(view.monitor().0.clone())
    }

    /// Returns the number of the monitor; the one with a window is found by what shows it.
    pub(super) fn pick(&self, monitors: &[Monitor]) -> Result<usize, AreaFault> {
        let found = match self {
            Self::Primary | Self::With(_) => {
                monitors.iter().position(|monitor| monitor.is_primary).or(Some(0))
            }
            Self::Index(index) => Some(*index),
            Self::Name(name) => monitors.iter().position(|monitor| monitor.name == *name),
        };
        let found = found.filter(|&index| index < monitors.len());
        found.ok_or_else(|| no_monitor(self.to_string(), monitors))
    }
}

impl WindowChoice {
    /// Returns the window that is meant; each comes with its number and title, the first in front.
    pub(super) fn pick<W>(
        &self,
        windows: Vec<W>,
        name: impl Fn(&W) -> (u64, &str),
    ) -> Result<W, AreaFault> {
        let titles = |windows: &[&W]| {
            windows.iter().map(|window| name(window).1.to_owned()).collect::<Vec<_>>()
        };
        let is_meant = |window: &W| match (self, name(window)) {
            (Self::Id(meant), (id, _)) => *meant == id,
            (Self::Title(meant), (_, title)) => meant.is_match(title),
        };
        let is_whole = |window: &W| match self {
            Self::Id(_) => true,
            Self::Title(meant) => {
                let title = name(window).1;
                meant.find_iter(title).any(|found| found.as_str() == title)
            }
        };
        let meant: Vec<usize> =
            (0..windows.len()).filter(|&index| is_meant(&windows[index])).collect();
        let whole: Vec<usize> =
            meant.iter().copied().filter(|&index| is_whole(&windows[index])).collect();
        let index = match (meant.as_slice(), whole.as_slice()) {
            ([], _) => {
                let available = titles(&windows.iter().collect::<Vec<_>>());
                return Err(AreaFault::NoWindow { window: self.to_string(), available });
            }
            ([one], _) | (_, [one]) => *one,
            (several, _) => {
                let found: Vec<&W> = several.iter().map(|&index| &windows[index]).collect();
                let found = titles(&found);
                return Err(AreaFault::SeveralWindows { window: self.to_string(), found });
            }
        };
        Ok(windows.into_iter().nth(index).expect("the number was found among them"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(choice: &str) -> Result<u64, AreaFault> {
        let windows = vec![(7, "Profile — Browser"), (30, "Profile"), (31, "Terminal"), (99, "")];
        let choice: WindowChoice = choice.parse().unwrap();
        choice.pick(windows, |&(id, title)| (id, title)).map(|(id, _)| id)
    }

    #[test]
    fn a_whole_title_counts_before_a_part_of_one() {
        assert_eq!(pick("Term"), Ok(31));
        assert_eq!(pick("Profile"), Ok(30));
        assert_eq!(pick("Browser$"), Ok(7));
        assert_eq!(pick("0x63"), Ok(99));
        let several = pick("Pro").unwrap_err();
        assert!(matches!(several, AreaFault::SeveralWindows { ref found, .. } if found.len() == 2));
        assert!(matches!(pick("0x5"), Err(AreaFault::NoWindow { .. })));
        let none = pick("profile").unwrap_err().to_string();
        assert!(none.starts_with("there is no window `profile`, only `Profile — B"), "{none}");
    }

    #[test]
    fn choices_are_written_as_they_are_read() {
        for text in ["0", "DP-1", "window:Profile.*", "window:0x1e00003", "primary"] {
            let choice: MonitorChoice = text.parse().unwrap();
            assert_eq!(choice.to_string(), text);
        }
        assert!("window:(".parse::<MonitorChoice>().is_err());
        assert!("(".parse::<WindowChoice>().is_err());
    }
}
