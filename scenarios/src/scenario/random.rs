//! Values that are drawn, the same for the same seed on every machine and with every version.
//!
//! A draw is the SHA-256 of the seed, the variable and its number, so a variable that is added changes
//! none of the others.

use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::{Environment, Error, ErrorKind, Value};
use sha2::{Digest, Sha256};

/// The longest text that is drawn.
const MAX_TEXT: u64 = 4096;

/// The functions that draw.
const FUNCTIONS: [&str; 4] = ["random_int", "random_choice", "random_letters", "random_digits"];

/// Whether a name is that of a function that draws.
pub(super) fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

/// Whether a value is drawn, as it is written.
pub(crate) fn is_drawn(value: &serde_json::Value) -> bool {
    let text = value.to_string();
    FUNCTIONS.iter().any(|name| text.contains(&format!("{name}(")))
}

/// Returns the number that belongs to a text.
pub(crate) fn drawn(of: &str) -> u64 {
    let digest = Sha256::digest(of.as_bytes());
    u64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default())
}

/// Lets the expressions of one variable draw.
pub(super) fn allow_draws(environment: &mut Environment<'_>, seed: u64, variable: &str) {
    let draws = |name: &'static str| {
        let variable = variable.to_owned();
        let count = AtomicU64::new(0);
        move || {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let of = format!("{seed}/{variable}/{name}/{number}");
            drawn(&of)
        }
    };
    let draw = draws("int");
    environment.add_function("random_int", move |low: i64, high: i64| {
        let span =
            u64::try_from(i128::from(high) - i128::from(low)).ok().and_then(|n| n.checked_add(1));
        match span {
            Some(span) => Ok(low.wrapping_add_unsigned(draw() % span)),
            None => Err(wrong(format!("random_int({low}, {high}) has nothing to draw from"))),
        }
    });
    let draw = draws("choice");
    environment.add_function("random_choice", move |list: Value| {
        let items: Vec<Value> = list.try_iter()?.collect();
        let count = items.len() as u64;
        let drawn = draw().checked_rem(count).and_then(|index| usize::try_from(index).ok());
        drawn
            .and_then(|index| items.get(index).cloned())
            .ok_or_else(|| wrong("random_choice() has nothing to draw from".to_owned()))
    });
    for (name, letters) in
        [("random_letters", "abcdefghijklmnopqrstuvwxyz"), ("random_digits", "0123456789")]
    {
        let draw = draws(name);
        environment.add_function(name, move |length: u64| {
            if length > MAX_TEXT {
                return Err(wrong(format!("{name}({length}) is longer than {MAX_TEXT}")));
            }
            let letters = letters.as_bytes();
            let letter = |_| {
                char::from(letters[usize::try_from(draw() % letters.len() as u64).unwrap_or(0)])
            };
            Ok((0..length).map(letter).collect::<String>())
        });
    }
}

fn wrong(problem: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, problem)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::scenario::template::{Variables, fill_drawing};

    fn draw(text: &str, seed: u64, variable: &str) -> Result<Value, String> {
        fill_drawing(&json!(text), &Variables::new(), (seed, variable))
    }

    #[test]
    fn the_same_seed_draws_the_same_for_ever() {
        let text = "{{ random_int(1, 1000) }} {{ random_int(1, 1000) }} {{ random_letters(5) }} \
                    {{ random_choice(['a', 'b', 'c']) }}{{ random_digits(4) }}";
        assert_eq!(draw(text, 7, "x"), draw(text, 7, "x"));
        assert_ne!(draw(text, 7, "x"), draw(text, 8, "x"));
        assert_ne!(draw(text, 7, "x"), draw(text, 7, "y"));
        // What Python makes of the same digests. A change would draw other values for seeds that people
        // have written down.
        assert_eq!(draw(text, 7, "x"), Ok(json!("23 154 pcblz b8745")));
    }

    #[test]
    fn draws_stay_in_their_bounds_and_reach_all_of_them() {
        let drawn = |seed| draw("{{ random_int(-1, 1) }}", seed, "x").unwrap().as_i64().unwrap();
        let all: std::collections::BTreeSet<i64> = (0..60).map(drawn).collect();
        assert_eq!(all.into_iter().collect::<Vec<_>>(), [-1, 0, 1]);
        for bad in
            ["random_int(2, 1)", "random_choice([])", "random_letters(99999)", "random_choice(3)"]
        {
            assert!(draw(&format!("{{{{ {bad} }}}}"), 0, "x").is_err(), "{bad}");
        }
    }
}
