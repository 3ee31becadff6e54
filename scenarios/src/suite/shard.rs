//! A part of a suite, for one of several machines.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most parts of a suite.
const MAX_SHARDS: u32 = 10_000;

/// Which part of a suite, of how many.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Shard {
    /// Which, from 1.
    pub index: u32,
    /// Of how many.
    pub of: u32,
}

impl Shard {
    /// Returns its part of a list: every so many-th, so that all parts are as long, but for one, and the
    /// same list is always parted the same.
    pub fn part<T>(self, list: Vec<T>) -> Vec<T> {
        let every = self.of as usize;
        let numbered = list.into_iter().enumerate();
        numbered
            .filter(|(index, _)| index % every == self.index as usize - 1)
            .map(|(_, item)| item)
            .collect()
    }
}

/// `2/3`
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/');
        let numbers =
            numbers.and_then(|(index, of)| Some((index.parse().ok()?, of.parse::<u32>().ok()?)));
        match numbers {
            Some((index, of)) if (1..=of).contains(&index) && of <= MAX_SHARDS => {
                Ok(Self { index, of })
            }
            Some((index, of)) if of <= MAX_SHARDS => {
                Err(format!("there is no part {index} of {of}; the first is 1"))
            }
            Some((_, of)) => Err(format!("{of} parts are more than {MAX_SHARDS}")),
            None => Err("expected which part of how many, such as `2/3`".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scenario_is_in_one_part() {
        let all: Vec<u32> = (0..10).collect();
        let mut parted: Vec<u32> = Vec::new();
        for index in 1..=3 {
            let part = Shard { index, of: 3 }.part(all.clone());
            assert!((3..=4).contains(&part.len()), "{part:?}");
            parted.extend(part);
        }
        parted.sort_unstable();
        assert_eq!(parted, all);
        assert_eq!(Shard { index: 2, of: 3 }.part(vec!["only"]), Vec::<&str>::new());
    }

    #[test]
    fn parts_are_named_from_one() {
        assert_eq!("2/3".parse(), Ok(Shard { index: 2, of: 3 }));
        for bad in ["0/3", "4/3", "3", "a/b", "1/0", "-1/2", "1/99999", "1/2/3", ""] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
