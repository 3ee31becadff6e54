//! A live suite: small pages with a goal each, made from a seed, and judged by what the page says happened.
//!
//! The pages are in the manner of `MiniWoB`: a form, a menu, a dialog, with words that are drawn. A page ends with
//! the first thing that counts, right or wrong, and writes it into its element `outcome`; whoever shows it in a
//! browser reads that, and nothing of what the model claims. The same family and seed are the same task everywhere.
//!
//! ```
//! use handsight_scenarios::live::{Family, LiveTask};
//!
//! let task = LiveTask::new(Family::Form, 7);
//! assert_eq!(task, LiveTask::new(Family::Form, 7));
//! assert!(task.html().contains("outcome"));
//! assert!(!task.is_reached(""));
//! ```

mod draw;
mod pages;
mod report;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::report::{LiveEpisode, LiveReport};

/// A kind of task.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Fields are filled in, others left alone.
    Form,
    /// Boxes are ticked.
    Check,
    /// One of several is chosen.
    Radio,
    /// A tab is opened, and something in it pressed.
    Tabs,
    /// A menu is opened, and one of its entries chosen.
    Menu,
    /// Something is looked for, and one of the results opened.
    Search,
    /// An entry of a list is selected and acted on.
    List,
    /// A dialog is brought up and answered.
    Dialog,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Form,
        Self::Check,
        Self::Radio,
        Self::Tabs,
        Self::Menu,
        Self::Search,
        Self::List,
        Self::Dialog,
    ];

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Check => "check",
            Self::Radio => "radio",
            Self::Tabs => "tabs",
            Self::Menu => "menu",
            Self::Search => "search",
            Self::List => "list",
            Self::Dialog => "dialog",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A page, what is to be done on it, and how it tells that it was.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveTask {
    family: Family,
    seed: u64,
    goal: String,
    html: String,
    meant: Value,
}

impl LiveTask {
    /// Makes the task of a seed.
    pub fn new(family: Family, seed: u64) -> Self {
        let made = pages::make(family, &mut draw::Draw::new(family.as_str(), seed));
        Self { family, seed, goal: made.goal, html: made.html, meant: made.meant }
    }

    /// Returns its kind.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Returns its seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns what it is called: `form-7`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.family, self.seed)
    }

    /// Returns what is to be done.
    pub fn goal(&self) -> &str {
        &self.goal
    }

    /// Returns the body of the page, with its style and its script.
    pub fn html(&self) -> &str {
        &self.html
    }

    /// Whether the page's `outcome` is that the goal was reached.
    pub fn is_reached(&self, outcome: &str) -> bool {
        serde_json::from_str::<Value>(outcome).is_ok_and(|outcome| outcome == self.meant)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn seeds_make_different_tasks_and_always_the_same() {
        for family in Family::ALL {
            let goals: BTreeSet<String> =
                (0..200).map(|seed| LiveTask::new(family, seed).goal).collect();
            assert!(goals.len() > 50, "{family}: {}", goals.len());
            assert_eq!(LiveTask::new(family, 3), LiveTask::new(family, 3));
        }
        // A task that changed is another benchmark, under the same name.
        assert_eq!(
            LiveTask::new(Family::Form, 3).goal(),
            "type \"Paris\" into \"Comment\", then click \"OK\""
        );
    }

    #[test]
    fn only_what_was_meant_is_success() {
        for family in Family::ALL {
            let task = LiveTask::new(family, 5);
            assert!(task.is_reached(&task.meant.to_string()), "{family}");
            let other = LiveTask::new(family, 6).meant;
            assert!(!task.is_reached(&other.to_string()), "{family}");
            assert!(!task.is_reached("") && !task.is_reached("{}") && !task.is_reached("null"));
        }
    }

    #[test]
    fn what_the_goal_names_is_on_the_page() {
        for family in Family::ALL {
            for seed in 0..50 {
                let task = LiveTask::new(family, seed);
                let quoted: Vec<&str> = task.goal.split('"').skip(1).step_by(2).collect();
                assert!(!quoted.is_empty());
                // What is typed is not; labels are, and what a click brings up is in the script.
                let shown = quoted.iter().filter(|label| task.html.contains(**label)).count();
                assert!(shown * 2 >= quoted.len(), "{}: {}", task.name(), task.goal);
            }
        }
    }
}
