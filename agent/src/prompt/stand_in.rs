//! What the embedded checkpoint reads where a goal has a secret.
//!
//! It never saw a placeholder in its training and goes astray at the braces, so it reads a word: the
//! secret's name. Its grammar writes the placeholder into the action, so what it decides on is the
//! secret and not the word.

use std::borrow::Cow;
use std::collections::HashSet;

use handsight_actions::secret::{SecretName, with_names};

/// Returns a goal with words for its secrets, unless there are none or the words would be mistaken for
/// others that the goal quotes.
pub(crate) fn with_stand_ins(goal: &str) -> Cow<'_, str> {
    let Ok(shown) = with_names(goal, stand_in) else { return goal.into() };
    // Only what is quoted can be told apart from the words around it.
    let is_plain = |goal: &str| goal.split('"').step_by(2).eq(shown.split('"').step_by(2));
    let n_different = |goal: &str| quoted(goal).collect::<HashSet<_>>().len();
    let is_clear = is_plain(goal) && n_different(goal) == n_different(&shown);
    if is_clear { shown.into() } else { goal.into() }
}

/// Returns what a goal quotes.
pub(crate) fn quoted(goal: &str) -> impl Iterator<Item = &str> {
    goal.split('"').skip(1).step_by(2)
}

/// A word as those it was trained on: with a capital.
fn stand_in(name: &SecretName) -> String {
    let mut letters = name.as_str().chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_secrets_where_they_are_clear() {
        let check = |goal: &str, expected: &str| assert_eq!(with_stand_ins(goal), expected);
        check(r#"click "Save""#, r#"click "Save""#);
        check(r#"type "{{secret:bank}}" into "Password""#, r#"type "Bank" into "Password""#);
        let same = r#"type "{{secret:password}}" into "Password""#;
        check(same, same);
        let unquoted = "type {{secret:bank}}";
        check(unquoted, unquoted);
        let broken = r#"type "{{secret:" into "A""#;
        check(broken, broken);
    }
}
