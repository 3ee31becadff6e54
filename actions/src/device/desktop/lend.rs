//! What lending a clipboard takes, whichever display server it is: what is fetched of it first, and how long
//! other programs are waited for.

use std::time::{Duration, Instant};

use crate::device::pause::pause;

/// The most bytes of one form that is fetched.
pub(super) const MOST_OF_A_FORM: usize = 32 << 20;

/// How long the program that has a content may take for each form of it, and for all.
pub(super) const ANSWERING: Duration = Duration::from_secs(1);
pub(super) const FETCHING: Duration = Duration::from_secs(4);

/// How long a process that ended may seem to have the clipboard.
pub(super) const ENDING: Duration = Duration::from_secs(2);

/// How long a program may take to ask for what it is to paste.
const ASKING: Duration = Duration::from_secs(2);

/// For how long nothing more may be asked before a paste counts as done.
const QUIET: Duration = Duration::from_millis(120);

/// How often it is looked.
const BEAT: Duration = Duration::from_millis(5);

/// What is no form of a content, but about it.
const ABOUT: [&str; 6] =
    ["TARGETS", "MULTIPLE", "TIMESTAMP", "SAVE_TARGETS", "DELETE", "INSERT_SELECTION"];

/// Whether a form of this name is to be fetched, of all that a content comes in: it says something of it
/// that no other form says.
pub(super) fn is_worth_fetching<S: AsRef<str>>(name: &str, all: &[S]) -> bool {
    const PNG: &str = "image/png";
    // The same picture in ten formats is the work of converting it ten times.
    let is_other_picture = name.starts_with("image/") && name != PNG;
    !(ABOUT.contains(&name) || is_other_picture && all.iter().any(|other| other.as_ref() == PNG))
}

/// Waits until a text was asked for, and nothing more for a while; returns whether it was. `last` is when it
/// was last handed out.
pub(super) fn wait_until_asked(last: impl Fn() -> Option<Instant>) -> bool {
    let start = Instant::now();
    loop {
        match last() {
            Some(last) if last.elapsed() >= QUIET => return true,
            None if start.elapsed() >= ASKING => return false,
            _ => pause(BEAT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_pictures_one_is_fetched_and_nothing_that_is_only_about_a_content() {
        let all = ["TARGETS", "image/bmp", "image/png", "text/html"];
        let worth: Vec<_> = all.iter().filter(|name| is_worth_fetching(name, &all)).collect();
        assert_eq!(worth, [&"image/png", &"text/html"]);
        assert!(is_worth_fetching("image/bmp", &["image/bmp", "image/tiff"]));
    }
}
