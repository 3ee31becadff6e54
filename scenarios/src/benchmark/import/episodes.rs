//! From the records of files to those of items: most sets have an item in each, some an episode.

use std::path::Path;

use super::android::{self, Splits};
use super::records::Record;
use super::schema::{Holds, Schema};
use super::{ImportError, agentnet};

/// Takes records apart, if a set has several items in one.
#[derive(Debug)]
pub(super) struct Episodes {
    holds: Holds,
    splits: Splits,
}

impl Episodes {
    /// Reads what lies beside the annotations.
    ///
    /// # Errors
    ///
    /// [`ImportError::Unreadable`] if that is not what it should be.
    pub(super) fn of(schema: &Schema, beside: &Path) -> Result<Self, ImportError> {
        let splits = match schema.holds {
            Holds::ControlEpisode(_) => Splits::beside(beside),
            _ => Ok(Splits::default()),
        };
        let unreadable = |problem| ImportError::Unreadable { path: beside.to_owned(), problem };
        Ok(Self { holds: schema.holds, splits: splits.map_err(unreadable)? })
    }

    /// Returns the records of items that a record of a file holds.
    ///
    /// # Errors
    ///
    /// Why it holds none.
    pub(super) fn items(&self, record: Record, file: &Path) -> Result<Vec<Record>, String> {
        let place = record.place.clone();
        match (self.holds, &record.example) {
            (Holds::Item, None) => Ok(vec![record]),
            (Holds::AgentnetEpisode, None) => agentnet::steps(record),
            (Holds::WildStep, Some(step)) => Ok(vec![android::wild(step, file, &place)?]),
            (Holds::ControlEpisode(level), Some(episode)) => {
                android::control(episode, level, &self.splits, &place)
            }
            (_, None) => {
                Err("the set is published in files of TFRecords, and this is none".to_owned())
            }
            (_, Some(_)) => Err("the set is not published in files of TFRecords".to_owned()),
        }
    }
}
