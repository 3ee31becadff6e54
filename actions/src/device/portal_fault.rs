//! Why a desktop cannot be used through its portal.

use super::Source;

/// Why the portal of a desktop does not let this program see and use it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortalFault {
    /// The message bus of the session, on which portals are, could not be reached.
    #[error("the session's message bus, on which its desktop portal would be, cannot be reached")]
    NoBus(#[source] Source),

    /// No portal runs in the session.
    #[error("no desktop portal (`org.freedesktop.portal.Desktop`) runs in the session")]
    NotRunning(#[source] Source),

    /// The portal runs, but this desktop has not given it what it takes.
    #[error("the desktop portal of the session lacks {interface}, which it takes {needed_for}")]
    Lacks {
        /// The interface, as the portal calls it.
        interface: &'static str,
        /// What it is for.
        needed_for: &'static str,
    },

    /// The user was asked and said no.
    #[error("the user did not allow to {task}")]
    Declined {
        /// What it was about.
        task: &'static str,
    },

    /// The user allowed some of it only.
    #[error("the user shared the screen, but did not allow the use of {withheld}")]
    Withheld {
        /// The devices that may not be used.
        withheld: &'static str,
    },

    /// The user shared other monitors than the one that is meant.
    #[error("the user shared no monitor that lies where `{monitor}` does, only {shared} other")]
    Unshared {
        /// The name of the monitor.
        monitor: String,
        /// How many were shared.
        shared: usize,
    },

    /// Nobody answered the portal's question, or the portal did not.
    #[error("there was no answer within {seconds} s when the portal was asked to {task}")]
    NoAnswer {
        /// What it was asked for.
        task: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },

    /// The portal refused, or did something that it should not.
    #[error("the desktop portal could not {task}")]
    Failed {
        /// What it was asked for.
        task: &'static str,
        /// What it said.
        #[source]
        source: Source,
    },
}

impl PortalFault {
    /// Returns what the user can do about it.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NoBus(_) => {
                "run this from within the desktop session, or name the session's bus with \
                 DBUS_SESSION_BUS_ADDRESS"
            }
            Self::NotRunning(_) => {
                "install `xdg-desktop-portal` and the part of it that belongs to the desktop, such \
                 as `xdg-desktop-portal-gnome` or `xdg-desktop-portal-kde`, and log in again"
            }
            Self::Lacks { .. } => {
                "on GNOME install `xdg-desktop-portal-gnome`, on KDE `xdg-desktop-portal-kde`; \
                 elsewhere use sway, Hyprland, river or another compositor of the wlroots family, or \
                 an X11 session"
            }
            Self::Declined { .. } => {
                "run it again and allow it; what was denied for good is allowed again in the \
                 desktop's privacy settings"
            }
            Self::Withheld { .. } => {
                "run it again, and switch on “Allow remote interaction” in the question before you \
                 share the screen"
            }
            Self::Unshared { .. } => {
                "run it again and choose that monitor, or choose a shared one with `--monitor`"
            }
            Self::NoAnswer { .. } => "run it again and answer the question on the screen",
            Self::Failed { .. } => {
                "what was denied once is allowed again in the desktop's privacy settings; what else \
                 the matter may be `journalctl --user -b -t xdg-desktop-portal` says"
            }
        }
    }
}
