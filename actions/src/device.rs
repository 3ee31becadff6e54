//! The contract of a device, and what can go wrong with one.
//!
//! A device blocks: screens and input are blocking interfaces everywhere, and the one caller that
//! serves several clients gives each device a thread. Waiting belongs to the caller: a device that
//! is asked to `wait` returns at once, and `answer` and `terminate` change no screen either.

#[cfg(feature = "android")]
pub mod android;
mod area_fault;
#[cfg(any(feature = "desktop", all(feature = "x11", target_os = "linux")))]
pub mod desktop;
pub mod fake;
pub(crate) mod pause;
mod portal_fault;
pub mod relay;
pub mod still;

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

pub use self::area_fault::AreaFault;
pub use self::portal_fault::PortalFault;
use crate::action::{Action, ActionSpace, InvalidAction, Verb};
use crate::fact::{Fact, FactSaid};
use crate::geometry::{PixelPoint, Size};
use crate::guard::Refusal;
use crate::halt::HaltCause;
use crate::key::Key;
use crate::observation::{Observation, Place, WindowAt};
use crate::secret::{SecretRefusal, Secrets};

/// One screen that can be observed and acted on.
///
/// Points are pixels of the screenshot that [`observe`](Self::observe) returns.
pub trait Device: Send {
    /// Says what the device is; its size is that of the last screenshot.
    fn info(&self) -> DeviceInfo;

    /// Takes a screenshot.
    ///
    /// # Errors
    /// [`DeviceError::Lost`] when the device is gone, [`DeviceError::Capture`] when it is there
    /// and refuses.
    fn observe(&mut self) -> Result<Observation, DeviceError>;

    /// Performs an action, after checking it against the screen as it is now.
    ///
    /// `wait`, `answer` and `terminate` are the caller's business: they are checked, and nothing
    /// is done.
    ///
    /// # Errors
    /// Nothing was done on [`DeviceError::Invalid`], [`DeviceError::Unsupported`] and
    /// [`DeviceError::Refused`]. After any other error a part may have been done; no key or button
    /// is left held.
    fn perform(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError>;

    /// Says whether [`perform`](Self::perform) would do the action now, and does nothing.
    ///
    /// # Errors
    /// Those of `perform` after which nothing was done.
    fn check(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        admit(&self.info(), action)
    }

    /// Is told why the next action is done, in the words of whatever decided on it.
    ///
    /// Devices have no use for it; what stands between a policy and a device may show it to a
    /// person.
    fn intend(&mut self, _reason: &str) {}

    /// Returns the secrets it types by their names, which no record may hold.
    fn secrets(&self) -> Secrets {
        Secrets::default()
    }

    /// Returns the window that input to a place would reach.
    ///
    /// # Errors
    /// [`DeviceError::Lost`] when the device is gone.
    fn window(&mut self, _place: Place) -> Result<WindowAt, DeviceError> {
        Ok(WindowAt::Unknown)
    }

    /// Returns the text that was copied last on it; `None` if that is no text.
    ///
    /// # Errors
    /// [`DeviceError::Clipboard`] where it cannot be reached.
    fn clipboard(&mut self) -> Result<Option<String>, DeviceError> {
        let source = "this kind of device has none".into();
        Err(DeviceError::Clipboard { device: self.info().name, source })
    }

    /// Copies a text on it, as its user would.
    ///
    /// # Errors
    /// As [`clipboard`](Self::clipboard).
    fn set_clipboard(&mut self, _text: &str) -> Result<(), DeviceError> {
        self.clipboard().map(drop)
    }

    /// Tells something of its state beside its pixels, for checks; most devices tell nothing.
    ///
    /// # Errors
    /// [`DeviceError::Lost`] when the device is gone.
    fn fact(&mut self, _fact: &Fact) -> Result<FactSaid, DeviceError> {
        Ok(FactSaid::Unknown)
    }

    /// Lets go of every key and button the device holds, and undoes what it changed to type.
    ///
    /// It may be called at any time and any number of times. Devices also do it when dropped.
    ///
    /// # Errors
    /// [`DeviceError::Lost`] when there is nothing left to let go of them on.
    fn release_all(&mut self) -> Result<(), DeviceError>;
}

/// A device of a kind that is known at run time only.
impl<D: Device + ?Sized> Device for Box<D> {
    fn info(&self) -> DeviceInfo {
        (**self).info()
    }

    fn observe(&mut self) -> Result<Observation, DeviceError> {
        (**self).observe()
    }

    fn perform(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        (**self).perform(action)
    }

    fn check(&mut self, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
        (**self).check(action)
    }

    fn intend(&mut self, reason: &str) {
        (**self).intend(reason);
    }

    fn secrets(&self) -> Secrets {
        (**self).secrets()
    }

    fn window(&mut self, place: Place) -> Result<WindowAt, DeviceError> {
        (**self).window(place)
    }

    fn clipboard(&mut self) -> Result<Option<String>, DeviceError> {
        (**self).clipboard()
    }

    fn set_clipboard(&mut self, text: &str) -> Result<(), DeviceError> {
        (**self).set_clipboard(text)
    }

    fn fact(&mut self, fact: &Fact) -> Result<FactSaid, DeviceError> {
        (**self).fact(fact)
    }

    fn release_all(&mut self) -> Result<(), DeviceError> {
        (**self).release_all()
    }
}

/// What a device is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceInfo {
    /// Its name, for people and for messages: `desktop :0 monitor 1`.
    pub name: String,
    /// What kind of device it is.
    pub kind: DeviceKind,
    /// The size of its screenshots.
    pub size: Size,
    /// Pixels to one unit of the system's own layout.
    pub scale: f64,
    /// The verbs it can perform.
    pub action_space: ActionSpace,
}

/// The kinds of device.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeviceKind {
    /// A desktop this process can reach.
    Desktop,
    /// A phone or its emulator.
    Android,
    /// Scripted screens, for tests and examples.
    Fake,
    /// An image file.
    Still,
    /// A screen of another kind, which a program brings along.
    Custom,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Desktop => "desktop",
            Self::Android => "android",
            Self::Fake => "fake",
            Self::Still => "still",
            Self::Custom => "custom",
        })
    }
}

/// A protocol that a Wayland compositor lacks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{protocol} ({needed_for})")]
pub struct MissingProtocol {
    /// Its name.
    pub protocol: &'static str,
    /// What cannot be done without it.
    pub needed_for: &'static str,
}

/// What the layer below a device said.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// An error from a device: what failed, on which device, and why.
///
/// What a person can do about it is apart, in [`DeviceError::hint`], so that a server or a report
/// can leave it out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No connection to the display could be made.
    #[error("could not connect to display `{display}`")]
    NoDisplay {
        /// The display's name, or `default`.
        display: String,
        /// What the system said.
        #[source]
        source: Source,
    },

    /// The display lacks something the device is built on.
    #[error("display `{display}` lacks the {extension} extension, which {needed_for} needs")]
    MissingExtension {
        /// The display's name.
        display: String,
        /// The extension, as the display server calls it.
        extension: &'static str,
        /// What cannot be done without it.
        needed_for: &'static str,
    },

    /// The Wayland compositor has not what it takes to be used by other programs.
    #[error(
        "the compositor of Wayland display `{display}` lacks {}",
        .missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    MissingProtocols {
        /// The display's name.
        display: String,
        /// What it lacks.
        missing: Vec<MissingProtocol>,
        /// Why the desktop portal does not stand in for it, if that was looked for.
        #[source]
        portal: Option<PortalFault>,
    },

    /// The desktop is to be used through its portal, which does not let this program.
    #[error("Wayland display `{display}` cannot be used through its desktop portal")]
    Portal {
        /// The display's name.
        display: String,
        /// Why.
        #[source]
        source: PortalFault,
    },

    /// Nothing tells what the user does on the display.
    #[error("the compositor of Wayland display `{display}` does not tell what its user does")]
    Unheard {
        /// The display's name.
        display: String,
    },

    /// The display is a guest of a Wayland session, which keeps its screen to itself.
    #[error(
        "display `{display}` is that of XWayland, on which nothing of the screen is to be seen"
    )]
    Wayland {
        /// The display's name.
        display: String,
    },

    /// What was chosen of a desktop cannot be observed, or not any more; nothing was done.
    #[error("what was chosen of device `{device}` cannot be observed")]
    Area {
        /// The device's name.
        device: String,
        /// Why.
        #[source]
        source: AreaFault,
    },

    /// The device was there and is gone.
    #[error("device `{device}` is gone: its connection broke while it was asked to {task}")]
    Lost {
        /// The device's name.
        device: String,
        /// What it was doing.
        task: &'static str,
        /// What the system said.
        #[source]
        source: Source,
    },

    /// The screen could not be read.
    #[error("could not capture the screen of device `{device}`")]
    Capture {
        /// The device's name.
        device: String,
        /// What the system said.
        #[source]
        source: Source,
    },

    /// A mouse or keyboard event could not be sent.
    #[error("could not perform `{verb}` on device `{device}`")]
    Input {
        /// The device's name.
        device: String,
        /// The verb of the action.
        verb: Verb,
        /// What the system said.
        #[source]
        source: Source,
    },

    /// Its clipboard cannot be reached.
    #[error("could not use the clipboard of device `{device}`")]
    Clipboard {
        /// The device's name.
        device: String,
        /// Why.
        #[source]
        source: Source,
    },
    /// The action makes no sense on this screen; nothing was done.
    #[error("device `{device}` refused the action")]
    Invalid {
        /// The device's name.
        device: String,
        /// What is wrong with it.
        #[source]
        source: InvalidAction,
    },

    /// The device cannot do such a thing; nothing was done.
    #[error("device `{device}` cannot perform `{verb}`")]
    Unsupported {
        /// The device's name.
        device: String,
        /// The verb of the action.
        verb: Verb,
    },

    /// The safety policy forbids the action; nothing was done.
    #[error("the safety policy does not allow this `{verb}` on device `{device}`")]
    Refused {
        /// The device's name.
        device: String,
        /// The verb of the action.
        verb: Verb,
        /// Which rule forbids it.
        #[source]
        source: Refusal,
    },

    /// A text with a secret in it may not be typed here, or cannot be. None of the secret was, unless
    /// the source says so.
    #[error("device `{device}` did not type the secret")]
    Secret {
        /// The device's name.
        device: String,
        /// Why.
        #[source]
        source: SecretRefusal,
    },
    /// The user was asked about the action and said no; nothing was done.
    #[error("the user declined this `{verb}` on device `{device}`")]
    Declined {
        /// The device's name.
        device: String,
        /// The verb of the action.
        verb: Verb,
    },

    /// Whoever has the device says that the action failed.
    #[error("`{verb}` failed on device `{device}`, which is elsewhere: {problem}")]
    Elsewhere {
        /// The device's name.
        device: String,
        /// The verb of the action.
        verb: Verb,
        /// What they say.
        problem: String,
    },

    /// Input was halted, before the action or in the middle of it; nothing is left pressed.
    #[error("device `{device}` was told to stop: {cause}")]
    Halted {
        /// The device's name.
        device: String,
        /// Who or what halted it.
        cause: HaltCause,
    },

    /// The keyboard has no such key; nothing was pressed.
    #[error("the keyboard of device `{device}` has no key `{key}`")]
    NoSuchKey {
        /// The device's name.
        device: String,
        /// The key.
        key: Key,
    },

    /// The keyboard can write neither this character nor be taught to; nothing was typed.
    #[error("the keyboard of device `{device}` cannot write {character:?} and has no unused key")]
    NoSpareKey {
        /// The device's name.
        device: String,
        /// The first character that cannot be written.
        character: char,
    },

    /// Not all layouts of the keyboard have a key for this character; nothing was typed.
    #[error("not every layout of the keyboard of device `{device}` has a key for {character:?}")]
    NotOnLayout {
        /// The device's name.
        device: String,
        /// The first character that cannot be written.
        character: char,
    },

    /// Every key of the keyboard is in use, and input needs one that is not.
    #[error("every key of display `{display}` is in use, and input needs an unused one")]
    KeyboardFull {
        /// The display's name.
        display: String,
    },

    /// A phone could not do it.
    #[cfg(feature = "android")]
    #[error(transparent)]
    Android(#[from] android::AndroidError),

    /// An image file could not be read.
    #[error("could not read the image `{path}`", path = .path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: image::ImageError,
    },

    /// A file could not be opened; the source names it.
    #[error("could not open a screenshot")]
    File(#[source] io::Error),
}

impl DeviceError {
    /// What a person can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoDisplay { .. } if cfg!(target_os = "macos") => {
                "allow the terminal to see and to act, in System Settings → Privacy & Security: Screen \
                 Recording and Accessibility; then start it anew"
            }
            Self::NoDisplay { .. } if cfg!(windows) => {
                "run this in the session of a user who is logged in and sees the desktop"
            }
            Self::NoDisplay { .. } => {
                "start a desktop session, or a virtual one with `Xvfb :99 -screen 0 1280x720x24`, \
                 and name it with DISPLAY"
            }
            Self::MissingExtension { extension, .. } => {
                return Some(format!("start the display server with {extension} enabled"));
            }
            Self::Area { source, .. } => source.hint(),
            Self::Unheard { .. } | Self::Wayland { .. } => {
                "log in to an X11 session (often called “on Xorg”), or start a virtual display with \
                 `Xvfb :99 -screen 0 1280x720x24` and name it with DISPLAY"
            }
            Self::MissingProtocols { portal: Some(portal), .. } => portal.hint(),
            Self::Portal { source, .. } => source.hint(),
            Self::MissingProtocols { portal: None, .. } => {
                "use sway, Hyprland, river or another compositor of the wlroots family; on GNOME and \
                 KDE log in to an X11 session (often called “on Xorg”), or start a virtual display \
                 with `Xvfb :99 -screen 0 1280x720x24` and name it with DISPLAY"
            }
            Self::Lost { .. } => "restart the display, then run again",
            Self::Capture { .. } => {
                "allow this program to record the screen in the system's privacy settings"
            }
            Self::Input { .. } => {
                "allow this program to control the computer in the system's privacy settings"
            }
            Self::NoSuchKey { .. } => "choose a keyboard layout that has the key",
            Self::NotOnLayout { .. } => {
                "add a keyboard layout that has the character, or take one of several away; which of \
                 them is in use, the desktop does not tell"
            }
            Self::NoSpareKey { .. } | Self::KeyboardFull { .. } => {
                "another program has remapped every unused key; `setxkbmap us` restores the layout"
            }
            #[cfg(feature = "android")]
            Self::Android(error) => return error.hint(),
            Self::Refused { .. } => "change the safety policy if the action is to be allowed",
            Self::Secret { .. }
            | Self::Clipboard { .. }
            | Self::Invalid { .. }
            | Self::Elsewhere { .. }
            | Self::Unsupported { .. }
            | Self::Declined { .. }
            | Self::Halted { .. }
            | Self::Image { .. }
            | Self::File(_) => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether the device refused without doing anything, so that something else can be tried.
    pub fn nothing_was_done(&self) -> bool {
        match self {
            Self::Invalid { .. }
            | Self::Unsupported { .. }
            | Self::NoSuchKey { .. }
            | Self::NoSpareKey { .. }
            | Self::NotOnLayout { .. } => true,
            #[cfg(feature = "android")]
            Self::Android(error) => error.nothing_was_done(),
            _ => false,
        }
    }

    /// Whether the action was sent and nothing is known of what became of it.
    ///
    /// It must not be sent again: the screen shows what happened.
    pub fn may_have_been_done(&self) -> bool {
        #[cfg(feature = "android")]
        if let Self::Android(error) = self {
            return error.may_have_been_done();
        }
        matches!(self, Self::Elsewhere { .. })
    }

    /// Whether no further call to the device can succeed.
    pub fn is_fatal(&self) -> bool {
        #[cfg(feature = "android")]
        if let Self::Android(error) = self {
            return error.is_fatal();
        }
        matches!(
            self,
            Self::NoDisplay { .. }
                | Self::Wayland { .. }
                | Self::MissingProtocols { .. }
                | Self::Portal { .. }
                | Self::MissingExtension { .. }
                | Self::KeyboardFull { .. }
                | Self::Lost { .. }
                | Self::Area { source: AreaFault::Gone { .. }, .. }
        )
    }
}

/// Checks that the device can perform the action, and that it makes sense on its screen.
pub(crate) fn admit(info: &DeviceInfo, action: &Action<PixelPoint>) -> Result<(), DeviceError> {
    let verb = action.verb();
    if !info.action_space.contains(verb) {
        return Err(DeviceError::Unsupported { device: info.name.clone(), verb });
    }
    let refused = |source| DeviceError::Invalid { device: info.name.clone(), source };
    action.validate(info.size).map_err(refused)
}
