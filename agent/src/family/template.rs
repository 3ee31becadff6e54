//! Texts with holes: `{goal}`, `{description}` and the like.
//!
//! Holes are found when a file is read, and filled in one pass, so that a goal which contains
//! `{steps}` stays a goal.

use std::borrow::Cow;

/// What stands in a hole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hole {
    /// What the user wants.
    Goal,
    /// What to find.
    Description,
    /// The steps that are told.
    Steps,
    /// The block that tells of the function and how to call it.
    Tools,
    /// The width of the grid the model speaks in.
    Width,
    /// Its height.
    Height,
    /// The number of a step, from 1.
    Number,
    /// The number of a step, from 0.
    Index,
    /// The reply of a step.
    Reply,
    /// What the model thought in a step.
    Thought,
    /// The action of a step, in the family's dialect.
    Call,
    /// What the model said it did in a step.
    Summary,
    /// The same on one line and without quotes.
    Sentence,
    /// Why the device refused a step's action, in parentheses; nothing if it did not.
    Error,
}

impl Hole {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "goal" => Self::Goal,
            "description" => Self::Description,
            "steps" => Self::Steps,
            "tools" => Self::Tools,
            "width" => Self::Width,
            "height" => Self::Height,
            "number" => Self::Number,
            "index" => Self::Index,
            "reply" => Self::Reply,
            "thought" => Self::Thought,
            "call" => Self::Call,
            "summary" => Self::Summary,
            "sentence" => Self::Sentence,
            "error" => Self::Error,
            _ => return None,
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Hole(Hole),
}

/// A text with holes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Template(Vec<Piece>);

impl Template {
    /// Reads a template that has none but the `allowed` holes; braces around anything else are text.
    pub(crate) fn read(text: &str, allowed: &[Hole]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        let mut plain = String::new();
        while let Some(open) = rest.find('{') {
            let (before, from) = rest.split_at(open);
            plain.push_str(before);
            let name = from[1..].split('}').next().unwrap_or_default();
            let is_name = !name.is_empty()
                && from[1 + name.len()..].starts_with('}')
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if !is_name {
                plain.push('{');
                rest = &from[1..];
                continue;
            }
            match Hole::from_name(name) {
                Some(hole) if allowed.contains(&hole) => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Hole(hole));
                }
                _ => return Err(format!("has no hole `{{{name}}}` to fill")),
            }
            rest = &from[name.len() + 2..];
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self(pieces))
    }

    /// Whether it has that hole.
    pub(crate) fn has(&self, hole: Hole) -> bool {
        self.0.contains(&Piece::Hole(hole))
    }

    /// Whether that text stands in it, outside of holes.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Text(own) if own.contains(text)))
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the text with its holes filled.
    pub(crate) fn fill<'v>(&self, mut value: impl FnMut(Hole) -> Cow<'v, str>) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Hole(hole) => filled.push_str(&value(*hole)),
            }
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_once_and_other_braces_are_text() {
        let text = "{goal} {\"a\": [{\"b\": 1}]} {} {X} {goal}{steps}";
        let template = Template::read(text, &[Hole::Goal, Hole::Steps]).unwrap();
        let filled = template.fill(|hole| match hole {
            Hole::Goal => "find {steps}".into(),
            _ => "none".into(),
        });
        assert_eq!(filled, "find {steps} {\"a\": [{\"b\": 1}]} {} {X} find {steps}none");
        assert!(template.has(Hole::Steps) && !template.has(Hole::Tools));
        assert!(Template::read("", &[]).unwrap().is_empty());
    }

    #[test]
    fn a_hole_that_cannot_be_filled_is_refused() {
        let problem = |text: &str| Template::read(text, &[Hole::Goal]).unwrap_err();
        assert_eq!(problem("{gaol}"), "has no hole `{gaol}` to fill");
        assert_eq!(problem("{steps}"), "has no hole `{steps}` to fill");
    }
}
