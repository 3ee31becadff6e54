//! What can go wrong with a phone.

use std::fmt;

use super::adb::error::AdbError;
use super::frame::FrameError;
use crate::action::Verb;

/// An error from a phone: what failed, on which one, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AndroidError {
    /// The phone could not be reached, or the connection to it broke before anything was done.
    #[error(transparent)]
    Adb(#[from] AdbError),

    /// The phone was asked to act and did not say that it had; it is not asked again.
    #[error(
        "whether `{verb}` was done on device `{device}` is not known; it was not sent a second time"
    )]
    Unknown {
        /// The device's name.
        device: String,
        /// The verb of the action.
        verb: Verb,
        /// How the connection or the command ended.
        #[source]
        source: AdbError,
    },

    /// A command of the phone failed.
    #[error("`{command}` failed on device `{device}` with exit code {code}: {said}")]
    Command {
        /// The device's name.
        device: String,
        /// The command, without what it was to type.
        command: String,
        /// Its exit code.
        code: u8,
        /// What it said.
        said: String,
        /// Whether a part of the action was done before.
        begun: bool,
    },

    /// The picture of the screen could not be used.
    #[error("the screen of device `{device}` could not be read: {problem}")]
    Frame {
        /// The device's name.
        device: String,
        /// What is wrong with it.
        problem: FrameProblem,
    },

    /// The screen is off.
    #[error("the screen of device `{device}` is off")]
    Asleep {
        /// The device's name.
        device: String,
    },

    /// The app in front forbids screenshots, so what was captured is not what is to be seen.
    #[error("`{app}` on device `{device}` does not let its window be captured (FLAG_SECURE)")]
    Secure {
        /// The device's name.
        device: String,
        /// The app's package.
        app: String,
    },

    /// The screen is black all over.
    #[error("the screen of device `{device}` is black all over")]
    Black {
        /// The device's name.
        device: String,
    },

    /// The screen has turned or changed its size since the last screenshot; nothing was done.
    #[error("the screen of device `{device}` has turned or changed its size since it was seen")]
    Changed {
        /// The device's name.
        device: String,
    },

    /// No app has such a name; nothing was done.
    #[error("device `{device}` has no app `{app}`")]
    NoSuchApp {
        /// The device's name.
        device: String,
        /// The name that was asked for.
        app: String,
        /// The names that are most like it.
        similar: Vec<String>,
    },

    /// The name fits several apps; nothing was done.
    #[error("`{app}` may be {} on device `{device}`", .candidates.join(" or "))]
    WhichApp {
        /// The device's name.
        device: String,
        /// The name that was asked for.
        app: String,
        /// The packages it fits.
        candidates: Vec<String>,
    },

    /// There is no way to type these characters; nothing was done.
    #[error("device `{device}` has no way to type {}", shown(.characters))]
    Untypable {
        /// The device's name.
        device: String,
        /// Those characters, each once.
        characters: Vec<char>,
    },

    /// The phone knows no keys pressed together; nothing was done.
    #[error("device `{device}` has Android API level {sdk}, which cannot press `{keys}` together")]
    NoChord {
        /// The device's name.
        device: String,
        /// The keys.
        keys: String,
        /// Its API level.
        sdk: u32,
    },
}

/// What is wrong with a picture of the screen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FrameProblem(pub(crate) FrameError);

impl fmt::Display for FrameProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// At most so many characters are named.
const MOST_SHOWN: usize = 12;

fn shown(characters: &[char]) -> String {
    let some: Vec<_> = characters.iter().take(MOST_SHOWN).map(|c| format!("{c:?}")).collect();
    let more = if characters.len() > MOST_SHOWN { " and others" } else { "" };
    format!("{}{more}", some.join(", "))
}

impl AndroidError {
    /// What a person can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Adb(error) => return error.hint(),
            Self::Unknown { source, .. } => {
                let look = "look at the screen before going on";
                return Some(
                    source.hint().map_or(look.to_owned(), |hint| format!("{look}; {hint}")),
                );
            }
            Self::Command { said, .. } if !said.contains("SecurityException") => return None,
            Self::Command { .. } => {
                "some phones forbid input over ADB until `USB debugging (Security settings)` is \
                 switched on in the developer options"
            }
            Self::Frame { .. } => "look whether `adb exec-out screencap -p` works",
            Self::Asleep { .. } => "wake it, for example with `adb shell input keyevent WAKEUP`",
            Self::Secure { .. } => {
                "the app is not to be seen by programs; what has to be done in it is for a person"
            }
            Self::Black { .. } => "wait until something is shown, or look at the phone",
            Self::Changed { .. } => "take another screenshot first",
            Self::NoSuchApp { similar, .. } if similar.is_empty() => return None,
            Self::NoSuchApp { similar, .. } => {
                return Some(format!("it has {}", similar.join(", ")));
            }
            Self::WhichApp { .. } => "name the package",
            Self::Untypable { .. } => {
                "a phone without `cmd clipboard` types them only through a keyboard that types what \
                 it is sent: install ADBKeyBoard, which is then switched on and off by itself"
            }
            Self::NoChord { .. } => "press the keys one after another",
        };
        Some(hint.to_owned())
    }

    /// Whether nothing was done, so that something else can be tried.
    pub fn nothing_was_done(&self) -> bool {
        match self {
            Self::Command { begun, .. } => !begun,
            Self::Changed { .. }
            | Self::NoSuchApp { .. }
            | Self::WhichApp { .. }
            | Self::Untypable { .. }
            | Self::NoChord { .. } => true,
            _ => false,
        }
    }

    /// Whether some of the action may have been done: the screen shows what.
    pub fn may_have_been_done(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Command { begun: true, .. })
    }

    /// Whether the fault is with what was asked for rather than with the phone.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Adb(error) => {
                matches!(
                    error,
                    AdbError::NoSuchPhone { .. }
                        | AdbError::SeveralPhones { .. }
                        | AdbError::Unreachable { .. }
                )
            }
            Self::Changed { .. } | Self::Command { .. } => false,
            error => error.nothing_was_done(),
        }
    }

    /// Whether no further call to the phone can succeed.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Adb(error) if !matches!(error, AdbError::Timeout { .. }))
    }
}
