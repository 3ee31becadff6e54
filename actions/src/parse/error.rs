//! Why a reply could not be read.

use crate::geometry::Size;
use crate::key::UnknownKey;

/// Why no action could be read from a reply: what was wrong, and at which byte.
///
/// The message is written so that it can be shown to the model that made the mistake.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// There is nothing in the reply that looks like an action.
    #[error("the reply has no action: expected {expected}")]
    NoAction {
        /// The form that was expected.
        expected: &'static str,
    },

    /// There is nothing in the reply.
    #[error("the reply is empty")]
    Empty,

    /// There is no point or box in the reply where one was asked for.
    #[error("the reply names no place: expected `{expected}`")]
    NoPlace {
        /// The form that was expected.
        expected: String,
    },

    /// An entry of a list of places has none.
    #[error("the entry at byte {offset} has no `{wanted}`")]
    PlacelessEntry {
        /// Where the entry begins.
        offset: usize,
        /// The field it should have.
        wanted: &'static str,
    },

    /// The reply has more than one action, and nothing says which is meant.
    #[error("the reply has a second action at byte {offset}: write exactly one")]
    SecondAction {
        /// Where the second begins.
        offset: usize,
    },

    /// The JSON of the action is broken.
    #[error("broken JSON at byte {offset}: {fault}")]
    Json {
        /// Where reading stopped.
        offset: usize,
        /// What is wrong there.
        fault: Fault,
    },

    /// The call that is the action is broken.
    #[error("broken call at byte {offset}: {fault}")]
    Call {
        /// Where reading stopped.
        offset: usize,
        /// What is wrong there.
        fault: Fault,
    },

    /// The reply calls a function that is not the one offered.
    #[error("unknown function `{name}` at byte {offset}: expected `{expected}`")]
    UnknownTool {
        /// Where the name is.
        offset: usize,
        /// The name.
        name: String,
        /// The function there is.
        expected: &'static str,
    },

    /// The action's verb is not one of ours.
    #[error("unknown action `{name}` at byte {offset}")]
    UnknownVerb {
        /// Where the name is.
        offset: usize,
        /// The name.
        name: String,
    },

    /// A field that the verb needs is not there.
    #[error("`{verb}` needs `{field}`, which the action at byte {offset} lacks")]
    MissingField {
        /// Where the object begins.
        offset: usize,
        /// The verb, as the reply wrote it.
        verb: String,
        /// The field.
        field: &'static str,
    },

    /// A field has a value that means nothing.
    #[error("`{field}` at byte {offset}: {fault}")]
    Field {
        /// Where the value begins.
        offset: usize,
        /// The field, as the reply wrote it.
        field: String,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What is wrong at one place of a reply.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Something else should be there.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What should be there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// The reply ends inside a value, which may therefore be incomplete.
    #[error("the reply breaks off inside {inside}")]
    CutOff {
        /// What it ends inside of.
        inside: &'static str,
    },
    /// A string has an escape that JSON does not know.
    #[error("a bad escape in a string")]
    Escape,
    /// Values are nested deeper than any action is.
    #[error("values are nested too deep")]
    Depth,
    /// The same field is there twice.
    #[error("it is there twice")]
    Twice,
    /// A point has not two numbers, nor four.
    #[error("{count} numbers are neither a point [x, y] nor a box [x1, y1, x2, y2]")]
    Count {
        /// How many there are.
        count: usize,
    },
    /// A box has its corners the wrong way round.
    #[error("the box's right or bottom edge comes before its left or top edge")]
    InsideOut,
    /// A box is so thin that it holds no pixel.
    #[error("the box has no area")]
    Flat,
    /// A box or point does not lie on the image.
    #[error("{place} lies outside the {size} image")]
    Outside {
        /// Its numbers.
        place: String,
        /// The size of the grid over the image.
        size: Size,
    },
    /// A point lies left of or above the image, or beyond any.
    #[error("{value} is not a pixel of the image")]
    NoPixel {
        /// The number.
        value: f64,
    },
    /// A point seems to be in parts of the whole image.
    #[error("coordinates are pixels of the image, not fractions of it")]
    Fraction,
    /// A number is not one that makes sense here.
    #[error("{value} is not {expected}")]
    Number {
        /// The number.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// A word is not one of those known here.
    #[error("`{word}` is not one of {known}")]
    Word {
        /// The word.
        word: String,
        /// Those known.
        known: &'static str,
    },
    /// A text field is to be emptied and typed into at once.
    #[error(
        "emptying a field takes an action of its own: select all there first, then type with `clear` 0"
    )]
    Clear,
    /// A key has an unknown name.
    #[error(transparent)]
    Key(#[from] UnknownKey),
}
