//! The results of all shards of a suite become one.

use std::path::PathBuf;

use super::{Shard, SuiteResult, mark_flaky};

/// Why results do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// There is nothing to merge.
    #[error("there is no result to merge")]
    Nothing,
    /// One was not run with `--shard`.
    #[error("`{}` is the result of no shard", .path.display())]
    NoShard {
        /// The result.
        path: PathBuf,
    },
    /// Two are of suites that differ.
    #[error("`{}` and `{}` are shards of suites that differ", .first.display(), .second.display())]
    OtherSuite {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Two are of suites that were parted differently.
    #[error("`{}` is shard {first_shard} and `{}` is shard {second_shard}", .first.display(), .second.display())]
    OtherCount {
        /// One of them.
        first: PathBuf,
        /// Which shard it is.
        first_shard: Shard,
        /// The other.
        second: PathBuf,
        /// Which shard that is.
        second_shard: Shard,
    },
    /// Two are of the same shard.
    #[error("`{}` and `{}` are both shard {shard}", .first.display(), .second.display())]
    Twice {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// Which shard.
        shard: Shard,
    },
    /// One is not there.
    #[error("shard {shard} is missing")]
    Missing {
        /// Which.
        shard: Shard,
    },
}

impl MergeError {
    /// Returns what the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Nothing | Self::Missing { .. } => "give the report of every shard",
            Self::NoShard { .. } => "run every part of the suite with `--shard`",
            Self::OtherSuite { .. } => {
                "run all shards with the same files, `--tags` and version of the scenarios"
            }
            Self::OtherCount { .. } => "run all shards with the same number behind the `/`",
            Self::Twice { .. } => "give the report of each shard once",
        }
    }
}

/// Makes one result of those of all shards; the paths are what errors call them.
///
/// # Errors
///
/// [`MergeError`] if they are not all the shards of one suite, each once.
pub fn merge(results: Vec<(PathBuf, SuiteResult)>) -> Result<SuiteResult, MergeError> {
    let mut sorted: Vec<(Shard, PathBuf, SuiteResult)> = Vec::new();
    for (path, result) in results {
        let Some(shard) = result.shard else { return Err(MergeError::NoShard { path }) };
        sorted.push((shard, path, result));
    }
    sorted.sort_by_key(|(shard, _, _)| *shard);
    let Some((whole, _, first_result)) = sorted.first() else { return Err(MergeError::Nothing) };
    let (of, suite) = (whole.of, first_result.suite.clone());
    for pair in sorted.windows(2) {
        let [(first_shard, first, one), (second_shard, second, other)] = pair else { continue };
        let (first, second) = (first.clone(), second.clone());
        let (first_shard, second_shard) = (*first_shard, *second_shard);
        if one.suite != other.suite {
            return Err(MergeError::OtherSuite { first, second });
        }
        if first_shard.of != second_shard.of {
            return Err(MergeError::OtherCount { first, first_shard, second, second_shard });
        }
        if first_shard == second_shard {
            return Err(MergeError::Twice { first, second, shard: first_shard });
        }
    }
    let has = |index| sorted.iter().any(|(shard, _, _)| shard.index == index);
    if let Some(index) = (1..=of).find(|&index| !has(index)) {
        return Err(MergeError::Missing { shard: Shard { index, of } });
    }
    let (mut devices, mut scenarios) = (Vec::new(), Vec::new());
    for (_, _, result) in sorted {
        devices.extend(result.devices);
        scenarios.extend(result.scenarios);
    }
    scenarios.sort_by(|a, b| a.file.cmp(&b.file));
    mark_flaky(&mut scenarios);
    Ok(SuiteResult::new(suite, None, devices, scenarios))
}
