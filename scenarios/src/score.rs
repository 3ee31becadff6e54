//! Success rates that say how sure they are.

use serde::{Deserialize, Serialize};

/// Hits out of tries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rate {
    /// How many succeeded.
    pub hits: u32,
    /// How many were tried.
    pub tries: u32,
}

impl Rate {
    /// Counts one more try.
    pub fn add(&mut self, hit: bool) {
        self.hits += u32::from(hit);
        self.tries += 1;
    }

    /// Returns the share of hits, 0..1; 0 without tries.
    pub fn share(self) -> f64 {
        if self.tries == 0 { 0.0 } else { f64::from(self.hits) / f64::from(self.tries) }
    }

    /// Returns the 95 % Wilson interval of the share; everything without tries.
    ///
    /// # Source
    ///
    /// E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA
    /// 22 (1927).
    pub fn wilson_95(self) -> (f64, f64) {
        wilson_95(self.share(), self.tries)
    }
}

/// Returns the 95 % Wilson interval of a share of some tries, of which some may have succeeded in part.
fn wilson_95(p: f64, tries: u32) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if tries == 0 {
        return (0.0, 1.0);
    }
    let n = f64::from(tries);
    let denominator = 1.0 + Z * Z / n;
    let center = (p + Z * Z / (2.0 * n)) / denominator;
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / denominator;
    // At the ends it is exact, but for rounding.
    let low = if p <= 0.0 { 0.0 } else { (center - half).max(0.0) };
    (low, if p >= 1.0 { 1.0 } else { (center + half).min(1.0) })
}

/// How reliably tasks succeed that are tried several times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassK {
    /// How many tries are drawn of each task's.
    pub k: u32,
    /// How many tasks there are.
    pub tasks: u32,
    /// The share of tasks of which all `k` tries succeed: pass^k.
    pub all: f64,
    /// Its 95 % interval, tasks being drawn.
    pub all_95: (f64, f64),
    /// The share of tasks of which any of `k` tries succeeds: pass@k.
    pub any: f64,
    /// Its 95 % interval.
    pub any_95: (f64, f64),
}

impl PassK {
    /// Returns it for every `k` up to the fewest tries that a task has; nothing if that is one.
    ///
    /// # Source
    ///
    /// M. Chen et al., "Evaluating large language models trained on code", 2021, for the unbiased pass@k; S. Yao
    /// et al., "τ-bench", 2024, for pass^k.
    pub fn of(tasks: &[Rate]) -> Vec<Self> {
        let fewest = tasks.iter().map(|task| task.tries).min().unwrap_or(0);
        let most = if fewest > 1 { fewest } else { 0 };
        let count = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
        let mean = |of: &dyn Fn(&Rate) -> f64| {
            let mean = tasks.iter().map(of).sum::<f64>() / f64::from(count.max(1));
            (mean, wilson_95(mean, count))
        };
        (1..=most)
            .map(|k| {
                let (all, all_95) = mean(&|task| all_of(task.hits, task.tries, k));
                let (any, any_95) =
                    mean(&|task| 1.0 - all_of(task.tries - task.hits, task.tries, k));
                Self { k, tasks: count, all, all_95, any, any_95 }
            })
            .collect()
    }
}

/// Returns the probability that `k` draws of `tries` without putting back are all among `those`.
fn all_of(those: u32, tries: u32, k: u32) -> f64 {
    let draws = (0..k).map(|drawn| {
        f64::from(those.saturating_sub(drawn)) / f64::from(tries.saturating_sub(drawn).max(1))
    });
    draws.product()
}

impl std::fmt::Display for PassK {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = |share: f64, (low, high): (f64, f64)| {
            format!("{:.1} % [{:.1}, {:.1}]", share * 100.0, low * 100.0, high * 100.0)
        };
        let Self { k, tasks, .. } = self;
        let (all, any) = (share(self.all, self.all_95), share(self.any, self.any_95));
        write!(f, "pass^{k} {all}  pass@{k} {any}  ({tasks} tasks)")
    }
}

impl std::fmt::Display for Rate {
    /// `90.2 % [86.1, 93.2] (249/276)`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.tries == 0 {
            return f.pad("— (0/0)");
        }
        let (low, high) = self.wilson_95();
        let [share, low, high] = [self.share(), low, high].map(|part| part * 100.0);
        write!(f, "{share:.1} % [{low:.1}, {high:.1}] ({}/{})", self.hits, self.tries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_wilson_s() {
        // Reference values: statsmodels.stats.proportion.proportion_confint(method="wilson").
        for (hits, tries, low, high) in
            [(0, 10, 0.0, 0.277_533), (7, 10, 0.396_778, 0.892_209), (10, 10, 0.722_467, 1.0)]
        {
            let (found_low, found_high) = Rate { hits, tries }.wilson_95();
            assert!((found_low - low).abs() < 1e-5 && (found_high - high).abs() < 1e-5);
        }
        assert_eq!(Rate::default().wilson_95(), (0.0, 1.0));
        assert_eq!(Rate { hits: 7, tries: 10 }.to_string(), "70.0 % [39.7, 89.2] (7/10)");
    }

    #[test]
    fn pass_k_is_of_tasks_and_not_of_tries() {
        let rate = |hits, tries| Rate { hits, tries };
        assert_eq!(PassK::of(&[rate(1, 1), rate(0, 4)]), [], "one try says nothing of repeats");
        let found = PassK::of(&[rate(4, 4), rate(2, 4), rate(0, 4)]);
        assert_eq!(found.len(), 4);
        // Of 4 tries with 2 hits, 1 of the 6 pairs has both, and 1 has neither.
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a}, not {b}");
        close(found[0].all, 0.5);
        close(found[0].any, 0.5);
        close(found[1].all, (1.0 + 1.0 / 6.0) / 3.0);
        close(found[1].any, (1.0 + 5.0 / 6.0) / 3.0);
        close(found[3].all, 1.0 / 3.0);
        close(found[3].any, 2.0 / 3.0);
        // Whole tasks have Wilson's interval of so many tasks.
        assert_eq!(found[3].all_95, rate(1, 3).wilson_95());
        assert_eq!(
            found[3].to_string(),
            "pass^4 33.3 % [6.1, 79.2]  pass@4 66.7 % [20.8, 93.9]  (3 tasks)"
        );
    }
}
