//! What each dialect calls the fields of an action.

use super::Dialect;

/// A field of an action, whatever it is called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Field {
    /// Where the action acts.
    Place,
    /// Where a drag or swipe ends.
    End,
    /// Where a drag begins, if `Place` is its end.
    Start,
    /// What to type.
    Text,
    /// What to answer.
    Answer,
    /// Which application.
    App,
    /// Which keys.
    Keys,
    /// For how long.
    Time,
    /// How far to scroll, in notches.
    Amount,
}

/// The names of a field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// Those of the dialect, the usual one first.
    pub(super) own: &'static [&'static str],
    /// Those of other dialects, and mistakes: read too, and noted.
    pub(super) others: &'static [&'static str],
}

/// Returns what a dialect calls a field.
pub(super) fn names(dialect: Dialect, field: Field) -> Names {
    let own: &[&str] = match dialect {
        Dialect::UiTars => match field {
            Field::Place => &["start_box", "point", "start_point"],
            Field::End => &["end_box", "end_point"],
            Field::Text | Field::Answer => &["content"],
            Field::App => &["app_name"],
            Field::Keys => &["key"],
            _ => standard(field),
        },
        Dialect::UiVenus => match field {
            Field::Place => &["box", "start"],
            Field::End => &["end"],
            Field::Text | Field::Answer => &["content"],
            _ => standard(field),
        },
        Dialect::Pyautogui => match field {
            Field::Text => &["message"],
            _ => standard(field),
        },
        Dialect::MobileUse => match field {
            Field::App | Field::Keys => &["text"],
            _ => standard(field),
        },
        Dialect::Json | Dialect::ComputerUse | Dialect::OwlComputerUse => standard(field),
    };
    let others: &[&str] = match field {
        Field::Place => &[
            "coordinate",
            "coordinates",
            "point",
            "point_2d",
            "position",
            "start_box",
            "box",
            "bbox_2d",
            "bbox",
        ],
        Field::End => &["coordinate2", "coordinates2", "end_coordinate", "end_box", "end"],
        Field::Start => &["start_coordinates"],
        Field::Text => &["text", "content", "value", "message"],
        Field::Answer => &["text", "content", "answer"],
        Field::App => &["app", "text", "app_name", "package_name", "name"],
        Field::Keys => &["keys", "key", "text", "hotkey"],
        Field::Time => &["duration", "seconds"],
        Field::Amount => &["clicks", "notches"],
    };
    Names { own, others }
}

/// Returns the names of plain action JSON.
fn standard(field: Field) -> &'static [&'static str] {
    match field {
        Field::Place => &["coordinate"],
        Field::End => &["coordinate2"],
        Field::Start => &["start_coordinate"],
        Field::Text | Field::Answer => &["text"],
        Field::App => &["app"],
        Field::Keys => &["keys"],
        Field::Time => &["time"],
        Field::Amount => &["amount"],
    }
}
