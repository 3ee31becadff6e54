//! The readers of what comes from outside, each as a function of bytes: for fuzzing and for tests.
//!
//! None of them may panic, take long, or take memory out of proportion to what it is given.

use handsight_model::Completion;

use crate::family::FamilyError;
use crate::remote::untrusted;

/// Reads a family's file, and returns its name.
///
/// # Errors
///
/// [`FamilyError`] if it is not one.
pub fn family(text: &str) -> Result<String, FamilyError> {
    crate::family::read(text).map(|family| family.name)
}

/// Reads all of a server's answer as a stream of events, as one body, and as the body of an error;
/// returns what the model is said to have written in the stream.
///
/// # Errors
///
/// What is wrong with it as a stream.
pub fn reply(bytes: &[u8]) -> Result<Completion, String> {
    let _ = untrusted::body(bytes);
    let _ = untrusted::complaint(bytes);
    untrusted::stream(bytes)
}

/// Reads a server's list of models and returns their names as an error would show them.
pub fn model_list(bytes: &[u8]) -> Option<String> {
    untrusted::model_list(bytes)
}
