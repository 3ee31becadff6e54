//! What came of a run of the live suite. An episode that broke off is one that failed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Family, LiveTask};
use crate::score::Rate;

/// How one task went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveEpisode {
    /// The kind of the task.
    pub family: Family,
    /// Its seed.
    pub seed: u64,
    /// What was to be done.
    pub goal: String,
    /// Whether the page says that it was.
    pub reached: bool,
    /// Whether the model says so.
    pub claimed: bool,
    /// Why the episode broke off, if it did.
    pub crash: Option<String>,
    /// What the page says; empty if it never came to an end.
    pub outcome: String,
    /// How many steps were begun.
    pub steps: u32,
    /// How long it took.
    pub seconds: f64,
}

impl LiveEpisode {
    /// An episode that broke off.
    pub fn crashed(task: &LiveTask, why: String) -> Self {
        Self {
            family: task.family,
            seed: task.seed,
            goal: task.goal.clone(),
            reached: false,
            claimed: false,
            crash: Some(why),
            outcome: String::new(),
            steps: 0,
            seconds: 0.0,
        }
    }
}

/// What came of many tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveReport {
    /// Each of them, in the order in which they were run.
    pub episodes: Vec<LiveEpisode>,
}

impl LiveReport {
    /// Returns how often goals were reached, over all tasks.
    pub fn rate(&self) -> Rate {
        self.rate_of(|_| true)
    }

    /// Returns the same for each family that there is.
    pub fn rates(&self) -> BTreeMap<Family, Rate> {
        let families = self.episodes.iter().map(|episode| episode.family);
        families.map(|family| (family, self.rate_of(|found| found == family))).collect()
    }

    fn rate_of(&self, is_counted: impl Fn(Family) -> bool) -> Rate {
        let mut rate = Rate::default();
        for episode in self.episodes.iter().filter(|episode| is_counted(episode.family)) {
            rate.add(episode.reached && episode.crash.is_none());
        }
        rate
    }

    /// Returns how many episodes broke off.
    pub fn crashes(&self) -> usize {
        self.episodes.iter().filter(|episode| episode.crash.is_some()).count()
    }

    /// Returns in how many the model claimed what is not so.
    pub fn false_claims(&self) -> usize {
        self.episodes.iter().filter(|episode| episode.claimed && !episode.reached).count()
    }
}

/// The table that people read.
impl fmt::Display for LiveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (family, rate) in self.rates() {
            writeln!(f, "{family:<8} {rate}")?;
        }
        writeln!(f, "{:<8} {}", "all", self.rate())?;
        write!(
            f,
            "crashed, counted as failures: {}; claimed and not so: {}",
            self.crashes(),
            self.false_claims()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_a_failure_and_a_claim_is_no_success() {
        let task = |seed| LiveTask::new(Family::Menu, seed);
        let episode = |seed, reached, claimed| LiveEpisode {
            reached,
            claimed,
            crash: None,
            ..LiveEpisode::crashed(&task(seed), String::new())
        };
        let report = LiveReport {
            episodes: vec![
                episode(1, true, true),
                episode(2, false, true),
                LiveEpisode::crashed(&task(3), "the browser is gone".to_owned()),
                LiveEpisode { family: Family::Form, ..episode(4, true, false) },
            ],
        };
        assert_eq!(report.rate(), Rate { hits: 2, tries: 4 });
        assert_eq!(report.rates()[&Family::Menu], Rate { hits: 1, tries: 3 });
        assert_eq!(
            report.to_string(),
            "form     100.0 % [20.7, 100.0] (1/1)\n\
             menu     33.3 % [6.1, 79.2] (1/3)\n\
             all      50.0 % [15.0, 85.0] (2/4)\n\
             crashed, counted as failures: 1; claimed and not so: 1"
        );
    }
}
