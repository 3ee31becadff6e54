//! Takes a command line apart.

use std::iter::Peekable;
use std::str::Chars;

/// A word: pieces of text and variables, one after another.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Word {
    pub(super) parts: Vec<Part>,
    /// Whether any of it was quoted, so that it counts even if it is empty.
    pub(super) quoted: bool,
}

/// A piece of a word.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Text(String),
    Variable(String),
}

/// One command of a pipeline.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Stage {
    pub(super) assignments: Vec<(String, Word)>,
    pub(super) words: Vec<Word>,
    pub(super) redirects: Vec<Redirect>,
}

/// Where one of a command's streams goes or comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Redirect {
    /// 0 for stdout and 1 for stderr: an index, not a descriptor.
    pub(super) stream: usize,
    pub(super) target: Target,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Target {
    File {
        path: Word,
        append: bool,
    },
    /// Where the stream of that index goes.
    Same(usize),
    /// Stdin comes from here.
    Input(Word),
}

/// When a pipeline runs, after the one before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum After {
    Anything,
    Success,
    Failure,
}

impl After {
    pub(super) fn is_success(self) -> bool {
        self == Self::Success
    }
}

/// A pipeline, and when it runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Chain {
    pub(super) after: After,
    pub(super) stages: Vec<Stage>,
}

impl Chain {
    pub(super) const ALWAYS: After = After::Anything;
}

/// Takes a command line apart.
///
/// # Errors
/// Says what this shell does not know.
pub(super) fn parse(line: &str) -> Result<Vec<Chain>, String> {
    let mut reader = Reader { rest: line.chars().peekable() };
    let mut chains = Vec::new();
    let mut chain = Chain { after: After::Anything, stages: Vec::new() };
    let mut stage = Stage::default();
    loop {
        reader.skip_blanks();
        let Some(&next) = reader.rest.peek() else { break };
        let after = match next {
            '#' => {
                reader.skip_line();
                continue;
            }
            ';' | '\n' => {
                reader.rest.next();
                After::Anything
            }
            '&' => {
                reader.rest.next();
                // In the background: nothing here takes long enough for it to matter when it ends.
                let together = reader.rest.next_if_eq(&'&').is_some();
                if together { After::Success } else { After::Anything }
            }
            '|' => {
                reader.rest.next();
                if reader.rest.next_if_eq(&'|').is_some() {
                    After::Failure
                } else {
                    if stage == Stage::default() {
                        return Err("unexpected '|'".to_owned());
                    }
                    chain.stages.push(std::mem::take(&mut stage));
                    continue;
                }
            }
            '(' | ')' | '`' => return Err(format!("unexpected '{next}'")),
            _ => {
                reader.word_or_redirect(&mut stage)?;
                continue;
            }
        };
        let is_empty = stage == Stage::default();
        if is_empty && (!chain.stages.is_empty() || after != After::Anything) {
            return Err("an operator without a command".to_owned());
        }
        if !is_empty {
            chain.stages.push(std::mem::take(&mut stage));
            chains.push(std::mem::replace(&mut chain, Chain { after, stages: Vec::new() }));
        }
        chain.after = after;
    }
    if stage != Stage::default() {
        chain.stages.push(stage);
        chains.push(chain);
    } else if !chain.stages.is_empty() || chain.after != After::Anything {
        return Err("an operator without a command".to_owned());
    }
    Ok(chains)
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn skip_blanks(&mut self) {
        while self.rest.next_if(|c| matches!(c, ' ' | '\t' | '\r')).is_some() {}
    }

    fn skip_line(&mut self) {
        while self.rest.next_if(|c| *c != '\n').is_some() {}
    }

    fn word_or_redirect(&mut self, stage: &mut Stage) -> Result<(), String> {
        let descriptor = self.descriptor();
        if descriptor.is_none() && !matches!(self.rest.peek(), Some('>' | '<')) {
            let word = self.word()?;
            match assignment(&word).filter(|_| stage.words.is_empty()) {
                Some(assignment) => stage.assignments.push(assignment),
                None => stage.words.push(word),
            }
            return Ok(());
        }
        if self.rest.next_if_eq(&'<').is_some() {
            self.skip_blanks();
            let target = Target::Input(self.word()?);
            stage.redirects.push(Redirect { stream: 0, target });
            return Ok(());
        }
        self.rest.next();
        let append = self.rest.next_if_eq(&'>').is_some();
        let target = if self.rest.next_if_eq(&'&').is_some() {
            match self.rest.next() {
                Some('1') => Target::Same(0),
                Some('2') => Target::Same(1),
                _ => return Err("'>&' wants 1 or 2".to_owned()),
            }
        } else {
            self.skip_blanks();
            Target::File { path: self.word()?, append }
        };
        stage.redirects.push(Redirect { stream: descriptor.unwrap_or(0), target });
        Ok(())
    }

    /// Reads the `1` or `2` before a `>`; a digit before anything else is part of a word.
    fn descriptor(&mut self) -> Option<usize> {
        let digit = *self.rest.peek()?;
        let mut ahead = self.rest.clone();
        ahead.next();
        let stream = match digit {
            '1' => 0,
            '2' => 1,
            _ => return None,
        };
        (ahead.next() == Some('>')).then(|| {
            self.rest.next();
            stream
        })
    }

    fn word(&mut self) -> Result<Word, String> {
        let mut word = Word::default();
        let mut text = String::new();
        while let Some(&next) = self.rest.peek() {
            match next {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                _ => {}
            }
            self.rest.next();
            match next {
                '\'' => {
                    word.quoted = true;
                    loop {
                        match self.rest.next() {
                            Some('\'') => break,
                            Some(character) => text.push(character),
                            None => return Err("no closing quote".to_owned()),
                        }
                    }
                }
                '"' => {
                    word.quoted = true;
                    self.double_quoted(&mut word, &mut text)?;
                }
                '\\' => {
                    word.quoted = true;
                    text.extend(self.rest.next().filter(|c| *c != '\n'));
                }
                '$' => self.variable(&mut word, &mut text)?,
                '`' => return Err("unexpected '`'".to_owned()),
                character => text.push(character),
            }
        }
        if !text.is_empty() {
            word.parts.push(Part::Text(text));
        }
        if word == Word::default() { Err("a word is missing".to_owned()) } else { Ok(word) }
    }

    fn double_quoted(&mut self, word: &mut Word, text: &mut String) -> Result<(), String> {
        loop {
            match self.rest.next() {
                Some('"') => return Ok(()),
                Some('$') => self.variable(word, text)?,
                Some('`') => return Err("unexpected '`'".to_owned()),
                Some('\\') => match self.rest.next() {
                    Some(escaped @ ('$' | '`' | '"' | '\\')) => text.push(escaped),
                    Some('\n') => {}
                    Some(other) => text.extend(['\\', other]),
                    None => return Err("no closing quote".to_owned()),
                },
                Some(character) => text.push(character),
                None => return Err("no closing quote".to_owned()),
            }
        }
    }

    /// Reads what follows a `$`.
    fn variable(&mut self, word: &mut Word, text: &mut String) -> Result<(), String> {
        let braced = self.rest.next_if_eq(&'{').is_some();
        let mut name = String::new();
        match self.rest.peek() {
            Some('?') => name.extend(self.rest.next()),
            Some('(') => return Err("'$(' does not work".to_owned()),
            _ => {
                while let Some(part) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_')
                {
                    name.push(part);
                }
            }
        }
        if braced && (self.rest.next() != Some('}') || name.is_empty()) {
            return Err("only '${NAME}' works".to_owned());
        }
        if name.is_empty() {
            text.push('$');
            return Ok(());
        }
        if !text.is_empty() {
            word.parts.push(Part::Text(std::mem::take(text)));
        }
        word.parts.push(Part::Variable(name));
        Ok(())
    }
}

/// Reads `NAME=value`.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some(Part::Text(first)) = word.parts.first() else { return None };
    let (name, start) = first.split_once('=')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty()
        || !name.chars().all(is_name)
        || name.starts_with(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    let mut parts = vec![Part::Text(start.to_owned())];
    parts.extend_from_slice(&word.parts[1..]);
    Some((name.to_owned(), Word { parts, quoted: true }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of each command, with `|` and the operators between them.
    fn check(line: &str, expected: &str) {
        let show = |word: &Word| -> String {
            word.parts
                .iter()
                .map(|part| match part {
                    Part::Text(text) => text.clone(),
                    Part::Variable(name) => format!("<{name}>"),
                })
                .collect()
        };
        let parsed = parse(line).map(|chains| {
            let chains = chains.iter().map(|chain| {
                let stages = chain.stages.iter().map(|stage| {
                    let words: Vec<_> =
                        stage.words.iter().map(|word| format!("[{}]", show(word))).collect();
                    words.concat()
                });
                format!("{:?} {}", chain.after, stages.collect::<Vec<_>>().join("|"))
            });
            chains.collect::<Vec<_>>().join("; ")
        });
        assert_eq!(parsed.unwrap_or_else(|problem| problem), expected, "{line}");
    }

    #[test]
    fn quotes_are_read_as_a_shell_reads_them() {
        check("echo a  'b c' \"d $e\"", "Anything [echo][a][b c][d <e>]");
        check(r"echo 'it'\''s' a\ b", "Anything [echo][it's][a b]");
        check(r#"echo "\$x \" \n""#, r#"Anything [echo][$x " \n]"#);
        check("echo '' $? ${x}y", "Anything [echo][][<?>][<x>y]");
        check("a && b || c; d | e", "Anything [a]; Success [b]; Failure [c]; Anything [d]|[e]");
        check("a & b; c &", "Anything [a]; Anything [b]; Anything [c]");
        check("# nothing\na", "Anything [a]");
        check("x=1 y 2>/dev/null >&2", "Anything [y]");
    }

    #[test]
    fn what_it_does_not_know_is_an_error() {
        check("(a)", "unexpected '('");
        check("echo $(a)", "'$(' does not work");
        check("echo 'a", "no closing quote");
        check("| a", "unexpected '|'");
        check("a &&", "an operator without a command");
        check("a |", "an operator without a command");
    }
}
