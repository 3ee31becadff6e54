//! The kinds of action, and the sets of them that devices and policies agree on.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! verbs {
    ($($variant:ident $name:literal,)*) => {
        /// The kind of an action, without its fields.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Verb {
            $(#[doc = concat!("The verb `", $name, "`.")] $variant,)*
        }

        impl Verb {
            /// All verbs, in the order in which they are offered.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns its name in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the verb of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

verbs! {
    LeftClick "left_click",
    RightClick "right_click",
    MiddleClick "middle_click",
    DoubleClick "double_click",
    TripleClick "triple_click",
    LongPress "long_press",
    MouseMove "mouse_move",
    Drag "drag",
    Swipe "swipe",
    Scroll "scroll",
    Type "type",
    Key "key",
    SystemButton "system_button",
    OpenApp "open_app",
    Wait "wait",
    Answer "answer",
    CallUser "call_user",
    Terminate "terminate",
}

impl Verb {
    /// Whether it does something to the screen, as opposed to waiting, speaking or ending the episode.
    pub fn acts(self) -> bool {
        self != Self::Wait && !self.is_for_policies()
    }

    /// Whether only a policy has a use for it: it speaks to whoever set the goal, or ends the episode.
    ///
    /// All others can be asked for by a person or a program, too.
    pub fn is_for_policies(self) -> bool {
        matches!(self, Self::Answer | Self::CallUser | Self::Terminate)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The verbs offered to a policy, in order and without repeats.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ActionSpace(Vec<Verb>);

impl ActionSpace {
    /// Makes a set of these verbs; a repeated verb counts once.
    pub fn new(verbs: impl IntoIterator<Item = Verb>) -> Self {
        let mut space = Self(Vec::new());
        for verb in verbs {
            if !space.contains(verb) {
                space.0.push(verb);
            }
        }
        space
    }

    /// What can be done with a mouse and a keyboard.
    pub fn desktop() -> Self {
        let phone_only = [Verb::Swipe, Verb::SystemButton, Verb::OpenApp];
        Self::new(Verb::ALL.iter().copied().filter(|verb| !phone_only.contains(verb)))
    }

    /// What can be done with a finger and a phone's buttons.
    pub fn android() -> Self {
        Self::new([
            Verb::LeftClick,
            Verb::DoubleClick,
            Verb::LongPress,
            Verb::Drag,
            Verb::Swipe,
            Verb::Scroll,
            Verb::Type,
            Verb::Key,
            Verb::SystemButton,
            Verb::OpenApp,
            Verb::Wait,
            Verb::Answer,
            Verb::CallUser,
            Verb::Terminate,
        ])
    }

    /// Every verb there is.
    pub fn all() -> Self {
        Self(Verb::ALL.to_vec())
    }

    /// Whether the verb is offered.
    pub fn contains(&self, verb: Verb) -> bool {
        self.0.contains(&verb)
    }

    /// Returns the set without that verb.
    #[must_use]
    pub fn without(mut self, verb: Verb) -> Self {
        self.0.retain(|&offered| offered != verb);
        self
    }

    /// Returns the verbs both sets offer, in this one's order.
    #[must_use]
    pub fn intersection(mut self, other: &Self) -> Self {
        self.0.retain(|&verb| other.contains(verb));
        self
    }

    /// Returns the verbs in order.
    pub fn iter(&self) -> impl Iterator<Item = Verb> + '_ {
        self.0.iter().copied()
    }

    /// Whether nothing is offered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_verb() {
        for &verb in Verb::ALL {
            assert_eq!(Verb::from_name(verb.as_str()), Some(verb));
            assert_eq!(serde_json::to_value(verb).unwrap(), verb.as_str());
        }
    }

    #[test]
    fn a_space_keeps_order_and_drops_repeats() {
        let space = ActionSpace::new([Verb::Type, Verb::Key, Verb::Type]).without(Verb::Key);
        assert_eq!(space.iter().collect::<Vec<_>>(), [Verb::Type]);
        assert!(ActionSpace::desktop().contains(Verb::MiddleClick));
        assert!(!ActionSpace::desktop().contains(Verb::Swipe));
        assert!(!ActionSpace::android().contains(Verb::MouseMove));
    }
}
