//! What [`crate::untrusted`] reads of a server's.

use std::io::BufReader;

use handsight_model::Completion;

use super::answer::{Collector, Step, said};
use super::server::ModelList;
use super::sse::next_event;

/// Reads a stream of events to its end.
pub(crate) fn stream(bytes: &[u8]) -> Result<Completion, String> {
    let mut collector = Collector::new();
    let mut stream = BufReader::new(bytes);
    while let Some(event) = next_event(&mut stream).map_err(|error| error.to_string())? {
        match collector.event(&event)? {
            Step::Grew(count) => assert_eq!(collector.latest(count).len(), count),
            Step::Done => break,
            Step::Failed(said) => return Err(said),
        }
    }
    Ok(collector.finish(0, false))
}

/// Reads an answer that is no stream.
pub(crate) fn body(bytes: &[u8]) -> Result<Completion, String> {
    let mut collector = Collector::new();
    match collector.body(bytes)? {
        Step::Failed(said) => Err(said),
        Step::Grew(_) | Step::Done => Ok(collector.finish(0, false)),
    }
}

/// Reads what the body of an error says.
pub(crate) fn complaint(bytes: &[u8]) -> String {
    said(bytes)
}

/// Reads a list of models.
pub(crate) fn model_list(bytes: &[u8]) -> Option<String> {
    ModelList::read(bytes).map(|list| list.names())
}
