//! Why the safety policy does not allow an action, in words for the model and for people.

use std::time::Duration;

use crate::geometry::PixelPoint;

/// Which rule of the safety policy forbids an action.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The mode is `observe`.
    #[error("the screen may only be looked at")]
    OnlyObserve,
    /// This kind of action is not among the allowed ones, or among the denied ones.
    #[error("this kind of action is not allowed")]
    Verb,
    /// A point lies outside every allowed region.
    #[error("{at} lies outside the allowed part of the screen")]
    OutsideRegions {
        /// The point.
        at: PixelPoint,
    },
    /// A point lies in a denied region.
    #[error("{at} lies in a part of the screen that is off limits")]
    InDeniedRegion {
        /// The point.
        at: PixelPoint,
    },
    /// There are rules about regions, and nobody knows where a scroll without a point goes.
    #[error("a scroll must say over which point it is")]
    ScrollWithoutPoint,
    /// The window is none of the allowed ones.
    #[error("it would reach the window {window}, which is not among the allowed ones")]
    OtherWindow {
        /// The window's title, or what is there instead.
        window: String,
    },
    /// The window is a denied one.
    #[error("it would reach the window {window}, which is off limits")]
    DeniedWindow {
        /// The window's title.
        window: String,
    },
    /// There are rules about windows, and the device cannot tell where the action goes.
    #[error("there are rules about windows, and this device cannot tell which one it would reach")]
    UnknownWindow,
    /// The text matches no allowed pattern.
    #[error("the text is not of an allowed form")]
    OtherText,
    /// The text, with what was typed before it, matches a denied pattern.
    #[error("the text holds something that must not be typed (`{pattern}`)")]
    DeniedText {
        /// The pattern.
        pattern: String,
    },
    /// The chord is none of the allowed ones.
    #[error("`{chord}` is not among the keys that may be pressed")]
    OtherKeys {
        /// The chord.
        chord: String,
    },
    /// The chord holds a denied one.
    #[error("`{chord}` holds `{denied}`, which must not be pressed")]
    DeniedKeys {
        /// The chord.
        chord: String,
        /// The denied one.
        denied: String,
    },
    /// There were as many actions as are allowed.
    #[error("there were {actions} actions in the last {} s, as many as are allowed; wait for {} s", .per.as_secs_f64(), .wait.as_secs_f64().ceil())]
    TooFast {
        /// How many are allowed.
        actions: u32,
        /// In how long.
        per: Duration,
        /// Until when the next one is allowed.
        wait: Duration,
    },
    /// It is not the time of day, or of the week.
    #[error("actions are not allowed at this time")]
    OffHours,
    /// A person would have to be asked and cannot be.
    #[error("the user would have to agree to it first, and cannot be asked")]
    NobodyToAsk,
}
