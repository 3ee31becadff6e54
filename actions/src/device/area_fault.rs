//! Why what was chosen of a desktop cannot be observed.

use crate::geometry::{Rect, Size};

/// Why a monitor, a window or a region cannot be observed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AreaFault {
    /// There is no such monitor, or none any more.
    #[error("there is no monitor `{monitor}`, only {}", list(.available))]
    NoMonitor {
        /// The number or the name that was asked for.
        monitor: String,
        /// The names of those there are, by number.
        available: Vec<String>,
    },

    /// No window is called so.
    #[error("there is no window `{window}`, only {}", list(.available))]
    NoWindow {
        /// The expression or the number that was asked for.
        window: String,
        /// The titles there are, the window in front first.
        available: Vec<String>,
    },

    /// Several windows are called so.
    #[error("`{window}` is found in the titles of {} windows: {}", .found.len(), list(.found))]
    SeveralWindows {
        /// The expression that was asked for.
        window: String,
        /// Their titles, the window in front first.
        found: Vec<String>,
    },

    /// The region reaches beyond the monitor or the window it is of.
    #[error(
        "the region {},{},{},{} does not lie within {size} px",
        .region.x, .region.y, .region.width, .region.height
    )]
    NoRegion {
        /// The region, in pixels.
        region: Rect,
        /// The size of what it is of.
        size: Size,
    },

    /// The window is no more.
    #[error("the window `{window}` is gone")]
    Gone {
        /// Its title when it was last seen.
        window: String,
    },

    /// The window is minimised, or on another workspace, and stayed there.
    #[error("the window `{window}` is not shown, and did not come up when it was asked to")]
    Hidden {
        /// Its title.
        window: String,
    },

    /// Another window lies on it, and stayed there.
    #[error("the window `{window}` lies under `{by}`, and did not come up when it was asked to")]
    Covered {
        /// Its title.
        window: String,
        /// The other's title, or its application where it has none.
        by: String,
    },

    /// A part of the window is on no monitor.
    #[error(
        "the window `{window}`, {} by {} at ({}, {}), lies partly off the screen",
        .area.width, .area.height, .area.x, .area.y
    )]
    OffScreen {
        /// Its title.
        window: String,
        /// Where it is, in units of the desktop.
        area: Rect,
    },

    /// Keys would reach another window.
    #[error("the window `{window}` did not take the keyboard when it was asked to")]
    Unfocused {
        /// Its title.
        window: String,
    },

    /// The system does not say which windows there are.
    #[error("this system does not say which windows there are")]
    WindowsUnknown,
}

impl AreaFault {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoMonitor { available, .. } if available.is_empty() => "connect a monitor",
            Self::NoMonitor { .. } => "give the name of one of those, or its number, from 0",
            Self::NoWindow { .. } => "give a title, or a regular expression for a part of one",
            Self::SeveralWindows { .. } => "give more of the title, or the window's number",
            Self::NoRegion { .. } => "give a smaller region: x, y, width and height in pixels",
            Self::Gone { .. } => "open the window again, then run again",
            Self::Hidden { .. } => "open the window by hand, or choose its monitor instead",
            Self::Covered { .. } => "move or close the window that lies on it",
            Self::OffScreen { .. } => "move the window so that all of it is on the screen",
            Self::Unfocused { .. } => "close the dialog that keeps the keyboard to itself",
            Self::WindowsUnknown => "choose a monitor and a region instead",
        }
    }

    /// Whether the choice itself was wrong, and not what became of it.
    pub fn is_choice(&self) -> bool {
        matches!(
            self,
            Self::NoMonitor { .. }
                | Self::NoWindow { .. }
                | Self::SeveralWindows { .. }
                | Self::NoRegion { .. }
        )
    }
}

/// How many names are told; there may be hundreds of windows.
const MOST: usize = 12;

/// Lists names for a message.
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let mut told: Vec<String> =
        names.iter().take(MOST).map(|name| format!("`{}`", shortened(name))).collect();
    if names.len() > MOST {
        told.push(format!("{} more", names.len() - MOST));
    }
    told.join(", ")
}

/// Titles are written by programs: they may be long, and have lines.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 60;
    let plain = name.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = plain.clone().take(LONGEST).collect();
    if plain.count() > LONGEST {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_and_wild_titles_are_cut_short() {
        assert_eq!(list(&[]), "nothing");
        assert_eq!(list(&["one".to_owned(), "a\nb".to_owned()]), "`one`, `a b`");
        let many: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        assert!(list(&many).ends_with("`11`, 8 more"), "{}", list(&many));
        let long = shortened(&"ß".repeat(500));
        assert_eq!(long.chars().count(), 61);
    }
}
