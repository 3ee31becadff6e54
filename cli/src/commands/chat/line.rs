//! A line that was typed → a command, or words with the pictures and videos dropped among them.
//!
//! A terminal writes the path of a file that is dropped on it: between quotes, with backslashes before
//! blanks, or as a `file:` address, as it sees fit. A word counts as one if such a file is there and its
//! name ends as a picture's or a video's does; everything else is words.

use std::path::{Path, PathBuf};

use url::Url;

use crate::failure::Failure;
use crate::settings::without_tilde;

/// What `/help` says.
pub(super) const HELP: &str = "\
/image PATH   show a picture with the next question
/video PATH   show a video: a file, an animated GIF or a folder of frames
/reset        forget all that was said, and start anew
/save FILE    keep the conversation: as Markdown, or as JSON if FILE ends in .json
/help         this
/quit         leave, as Ctrl-D does
A picture or video may also be dropped into a line, or its path typed there.
Ctrl-C stops the answer; once more, it leaves.";

/// How the names of pictures end, and of videos.
const IMAGES: &[&str] = &["png", "jpg", "jpeg", "webp", "bmp", "gif"];
const VIDEOS: &[&str] = &["mp4", "mkv", "mov", "avi", "webm", "m4v", "mpg", "mpeg"];

/// What a line is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Line {
    Empty,
    Command(Command),
    Say(Vec<Piece>),
}

/// What a line that begins with a slash asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Command {
    Show(Piece),
    Reset,
    Help,
    Save(PathBuf),
    Quit,
}

/// A piece of a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Image(PathBuf),
    Video(PathBuf),
}

/// Reads a line.
///
/// # Errors
///
/// If it is a command that there is not, or one without what it needs; or nothing but the path of a
/// picture that is not there.
pub(super) fn read(line: &str) -> Result<Line, Failure> {
    if line.trim().is_empty() {
        return Ok(Line::Empty);
    }
    if let Some(command) = command(line)? {
        return Ok(Line::Command(command));
    }
    let pieces = pieces(line);
    if let [Piece::Text(text)] = &pieces[..] {
        let path = unwrapped(text.trim());
        let is_one_word = words(text.trim()).len() == 1;
        if is_one_word && path.components().count() > 1 && kind(&path).is_some() {
            let message = format!("there is no file `{}`", path.display());
            return Err(Failure::bad_input(message).with_hint("check the path"));
        }
    }
    Ok(Line::Say(pieces))
}

/// Reads a command; nothing if the line is none, as one that begins with a path is not.
fn command(line: &str) -> Result<Option<Command>, Failure> {
    let Some(rest) = line.strip_prefix('/') else { return Ok(None) };
    let (name, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let argument = argument.trim();
    if name.contains(['/', '.']) || name.is_empty() {
        return Ok(None);
    }
    let path = || {
        if argument.is_empty() {
            let message = format!("`/{name}` needs the path of a file");
            return Err(Failure::bad_input(message).with_hint(format!("`/{name} PATH`")));
        }
        Ok(unwrapped(argument))
    };
    let command = match name {
        "image" => Command::Show(Piece::Image(path()?)),
        "video" => Command::Show(Piece::Video(path()?)),
        "reset" => Command::Reset,
        "help" | "?" => Command::Help,
        "save" => Command::Save(path()?),
        "quit" | "exit" => Command::Quit,
        _ => {
            let message = format!("there is no command `/{name}`");
            return Err(Failure::bad_input(message).with_hint(
                "`/help` lists them; a question that begins with a slash needs a blank before it",
            ));
        }
    };
    let takes_none = matches!(command, Command::Reset | Command::Help | Command::Quit);
    if takes_none && !argument.is_empty() {
        let message = format!("`/{name}` takes nothing, and there is `{argument}`");
        return Err(Failure::bad_input(message).with_hint(format!("type `/{name}` alone")));
    }
    Ok(Some(command))
}

/// Takes a line apart at the files that were dropped into it.
fn pieces(line: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut from = 0;
    for (start, word) in words(line) {
        let Some((piece, length)) = dropped(word) else { continue };
        push_text(&mut pieces, &line[from..start]);
        pieces.push(piece);
        from = start + length;
    }
    push_text(&mut pieces, &line[from..]);
    pieces
}

/// Adds words, if there are any; blanks beside a picture say nothing.
fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.trim().is_empty() {
        pieces.push(Piece::Text(text.trim().to_owned()));
    }
}

/// Returns the words of a line with where they begin: quotes hold blanks together, and so does a
/// backslash.
fn words(line: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if c.is_whitespace() && quote.is_none() && !escaped {
            words.extend(start.take().map(|start| (start, &line[start..at])));
            continue;
        }
        if start.is_none() {
            start = Some(at);
            // An apostrophe inside a word is no quote.
            let closes = |quote: char| line[at + 1..].contains(quote);
            quote = Some(c).filter(|c| matches!(c, '"' | '\'') && closes(*c));
        } else if quote == Some(c) {
            quote = None;
        }
        escaped = c == '\\' && !escaped;
    }
    words.extend(start.map(|start| (start, &line[start..])));
    words
}

/// Returns the picture or video a word names, and how much of the word its name is: a question mark may
/// follow.
fn dropped(word: &str) -> Option<(Piece, usize)> {
    let bare = word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')']);
    // The bare one first: in the address of a file a question mark at the end would be read, too.
    [bare, word].into_iter().find_map(|name| {
        let path = unwrapped(name);
        let make = kind(&path).filter(|_| path.is_file())?;
        Some((make(path), name.len()))
    })
}

/// Returns what a file is by the end of its name.
fn kind(path: &Path) -> Option<fn(PathBuf) -> Piece> {
    let end = path.extension()?.to_str()?.to_ascii_lowercase();
    if IMAGES.contains(&end.as_str()) {
        return Some(Piece::Image);
    }
    VIDEOS.contains(&end.as_str()).then_some(Piece::Video as fn(PathBuf) -> Piece)
}

/// Returns the path in what a terminal wrote of it.
fn unwrapped(text: &str) -> PathBuf {
    if text.starts_with("file://")
        && let Some(path) = Url::parse(text).ok().and_then(|url| url.to_file_path().ok())
    {
        return path;
    }
    for quote in ['"', '\''] {
        let inner = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner.filter(|inner| !inner.contains(quote)) {
            return inner.into();
        }
    }
    if cfg!(windows) {
        // There the backslash is part of paths.
        return text.into();
    }
    let mut path = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        path.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    without_tilde(Path::new(&path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fs_err as fs;

    fn image(path: &Path) -> Piece {
        Piece::Image(path.to_owned())
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn said(line: &str) -> Vec<Piece> {
        match read(line) {
            Ok(Line::Say(pieces)) => pieces,
            other => panic!("{other:?}"),
        }
    }

    fn refused(line: &str) -> String {
        let failure = read(line).unwrap_err();
        assert!(failure.hint.is_some());
        failure.messages().join(": ")
    }

    #[test]
    fn files_that_were_dropped_are_found_in_every_form_a_terminal_writes() {
        let dir = tempfile::tempdir().unwrap();
        let picture = dir.path().join("a b's.PNG");
        let film = dir.path().join("c.mp4");
        fs::write(&picture, "").unwrap();
        fs::write(&film, "").unwrap();
        let shown = picture.display().to_string();
        let escaped = shown.replace(' ', "\\ ").replace('\'', "\\'");
        let address = Url::from_file_path(&picture).unwrap().to_string();
        for form in [format!("\"{shown}\""), escaped, address] {
            assert_eq!(said(&form), [image(&picture)], "{form}");
            assert_eq!(said(&format!(" {form} ")), [image(&picture)]);
            assert_eq!(
                said(&format!("What is {form}?")),
                [text("What is"), image(&picture), text("?")]
            );
        }
        let two = format!("Is '{0}' as {0}, or not?", film.display());
        let film = Piece::Video(film);
        assert_eq!(said(&two), [text("Is"), film.clone(), text("as"), film, text(", or not?")]);
    }

    #[test]
    fn everything_else_is_words() {
        for line in [
            "What's this? It isn't a.png, is it?",
            "it's",
            "\"",
            "a 'quoted word' and one \" more",
            "C:\\no\\file.png here",
            " /image with a blank before it",
            "/home/me/notes.txt says what?",
            "/",
            "日本語 /help?",
        ] {
            assert_eq!(said(line), [text(line.trim())], "{line}");
        }
        assert_eq!(read("  \t").unwrap(), Line::Empty);
    }

    #[test]
    fn commands_are_told_from_paths_and_need_what_they_need() {
        let command = |line: &str| match read(line) {
            Ok(Line::Command(command)) => command,
            other => panic!("{other:?}"),
        };
        assert_eq!(command("/image a b.png"), Command::Show(image(Path::new("a b.png"))));
        assert_eq!(command("/image 'a b.png' "), Command::Show(image(Path::new("a b.png"))));
        assert_eq!(command("/video frames"), Command::Show(Piece::Video("frames".into())));
        assert_eq!(command("/save x.json"), Command::Save("x.json".into()));
        assert_eq!((command("/reset"), command("/exit ")), (Command::Reset, Command::Quit));
        assert_eq!(refused("/image"), "`/image` needs the path of a file");
        assert_eq!(refused("/rest"), "there is no command `/rest`");
        assert_eq!(refused("/reset now"), "`/reset` takes nothing, and there is `now`");
        assert_eq!(refused("/no/such/file.png"), "there is no file `/no/such/file.png`");
        assert_eq!(refused("'./no such.mp4'"), "there is no file `./no such.mp4`");
    }
}
