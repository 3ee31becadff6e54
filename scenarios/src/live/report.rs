//! What came of a run of the live suite. An episode that broke off is one that failed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Family, LiveTask};
use crate::quarantine::Quarantined;
use crate::score::{PassK, Rate};

/// How one task went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveEpisode {
    /// The kind of the task.
    pub family: Family,
    /// Its seed.
    pub seed: u64,
    /// Which try at it, from 1.
    #[serde(default = "first")]
    pub attempt: u32,
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

fn first() -> u32 {
    1
}

impl LiveEpisode {
    /// Returns what its task is called: `form-7`.
    pub fn task(&self) -> String {
        format!("{}-{}", self.family, self.seed)
    }

    /// An episode that broke off.
    pub fn crashed(task: &LiveTask, why: String) -> Self {
        Self {
            family: task.family,
            seed: task.seed,
            attempt: 1,
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
    /// Tasks that were run, but do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantined: Vec<Quarantined>,
    /// How reliably tasks succeed that were tried several times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passes: Vec<PassK>,
}

impl LiveReport {
    /// Makes a report of episodes, of which those of some tasks do not count.
    pub fn new(episodes: Vec<LiveEpisode>, quarantined: Vec<Quarantined>) -> Self {
        let mut report = Self { episodes, quarantined, passes: Vec::new() };
        let mut tasks: BTreeMap<(Family, u64), Rate> = BTreeMap::new();
        for episode in report.counted() {
            tasks.entry((episode.family, episode.seed)).or_default().add(succeeded(episode));
        }
        report.passes = PassK::of(&tasks.into_values().collect::<Vec<_>>());
        report
    }

    /// Returns the episodes that count.
    fn counted(&self) -> impl Iterator<Item = &LiveEpisode> {
        self.episodes.iter().filter(|episode| !self.is_quarantined(episode))
    }

    fn is_quarantined(&self, episode: &LiveEpisode) -> bool {
        !self.quarantined.is_empty()
            && self.quarantined.iter().any(|entry| entry.task == episode.task())
    }

    /// Returns how often goals were reached, over all tasks that count.
    pub fn rate(&self) -> Rate {
        rate(self.counted())
    }

    /// Returns the same for each family that there is.
    pub fn rates(&self) -> BTreeMap<Family, Rate> {
        let mut rates: BTreeMap<Family, Rate> = BTreeMap::new();
        for episode in self.counted() {
            rates.entry(episode.family).or_default().add(succeeded(episode));
        }
        rates
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

fn succeeded(episode: &LiveEpisode) -> bool {
    episode.reached && episode.crash.is_none()
}

fn rate<'a>(episodes: impl Iterator<Item = &'a LiveEpisode>) -> Rate {
    let mut rate = Rate::default();
    episodes.for_each(|episode| rate.add(succeeded(episode)));
    rate
}

/// The table that people read.
impl fmt::Display for LiveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (family, rate) in self.rates() {
            writeln!(f, "{family:<8} {rate}")?;
        }
        writeln!(f, "{:<8} {}", "all", self.rate())?;
        for pass in &self.passes {
            writeln!(f, "{pass}")?;
        }
        for entry in &self.quarantined {
            let of = self.episodes.iter().filter(|episode| episode.task() == entry.task);
            let Rate { hits, tries } = rate(of);
            writeln!(f, "not counted, {hits} of {tries}: {entry}")?;
        }
        if !self.quarantined.is_empty() {
            writeln!(f, "{:<8} {}", "with all", rate(self.episodes.iter()))?;
        }
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
        let episodes = vec![
            episode(1, true, true),
            episode(2, false, true),
            LiveEpisode::crashed(&task(3), "the browser is gone".to_owned()),
            LiveEpisode { family: Family::Form, ..episode(4, true, false) },
        ];
        let report = LiveReport::new(episodes.clone(), Vec::new());
        assert_eq!(report.rate(), Rate { hits: 2, tries: 4 });
        assert_eq!(report.rates()[&Family::Menu], Rate { hits: 1, tries: 3 });
        assert_eq!(
            report.to_string(),
            "form     100.0 % [20.7, 100.0] (1/1)\n\
             menu     33.3 % [6.1, 79.2] (1/3)\n\
             all      50.0 % [15.0, 85.0] (2/4)\n\
             crashed, counted as failures: 1; claimed and not so: 1"
        );

        // What is in quarantine is shown, and counts nowhere else.
        let entry = Quarantined {
            task: "menu-3".to_owned(),
            reason: "the browser".to_owned(),
            since: "2026-11-20".parse().unwrap(),
            until: "2026-12-20".parse().unwrap(),
        };
        let again = LiveEpisode { attempt: 2, ..episode(1, false, false) };
        let episodes = episodes.into_iter().chain([again]).collect();
        let report = LiveReport::new(episodes, vec![entry]);
        assert_eq!(report.rate(), Rate { hits: 2, tries: 4 });
        assert_eq!(report.rates()[&Family::Menu], Rate { hits: 1, tries: 3 });
        let text = report.to_string();
        assert!(
            text.contains(
                "not counted, 0 of 1: menu-3: the browser (since 2026-11-20, until 2026-12-20)\n\
                           with all 40.0 %"
            ),
            "{text}"
        );
        assert!(report.passes.is_empty(), "not every task was tried twice");
    }

    #[test]
    fn tasks_that_were_tried_as_often_have_their_passes() {
        let try_of = |seed, attempt, reached| {
            let task = LiveTask::new(Family::Menu, seed);
            LiveEpisode {
                attempt,
                reached,
                crash: None,
                ..LiveEpisode::crashed(&task, String::new())
            }
        };
        let episodes =
            vec![try_of(1, 1, true), try_of(1, 2, true), try_of(2, 1, true), try_of(2, 2, false)];
        let report = LiveReport::new(episodes, Vec::new());
        let text = report.to_string();
        assert!(text.contains("pass^2 50.0 % [9.5, 90.5]  pass@2 100.0 % [34.2, 100.0]"), "{text}");
    }
}
