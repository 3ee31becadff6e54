//! The name of a model: `qwen2.5-vl-3b`, `org/name`, `org/name@revision`, `org/name:file.gguf`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use super::HubError;

/// The revision of a name that gives none.
const DEFAULT_REVISION: &str = "main";

/// Short names, in a file of their own: they are data.
static SHORT_NAMES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("names.json")).expect("the file is part of this crate")
});

/// Returns the short names and the repositories they stand for.
pub fn short_names() -> impl Iterator<Item = (&'static str, &'static str)> {
    SHORT_NAMES.iter().map(|(short, repo)| (short.as_str(), repo.as_str()))
}

/// Which model: a repository, a revision of it and, if it is one file, that file.
///
/// Every part is safe to use in a path and in a URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ModelName {
    given: String,
    repo: String,
    revision: String,
    file: Option<String>,
}

impl ModelName {
    /// Returns the repository, `org/name`.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// Returns the branch, tag or commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Returns whether a revision was named, rather than taken for granted.
    pub fn names_revision(&self) -> bool {
        self.given.contains('@')
    }

    /// Returns the file that was named, if one was.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Returns the short name of a repository, if it has one.
    pub fn short_of(repo: &str) -> Option<&'static str> {
        short_names().find(|(_, known)| *known == repo).map(|(short, _)| short)
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

impl FromStr for ModelName {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        let refuse = |problem| HubError::Name { text: text.chars().take(200).collect(), problem };
        let (rest, file) = match text.split_once(':') {
            Some((rest, file)) => (rest, Some(file)),
            None => (text, None),
        };
        let (name, revision) = match rest.split_once('@') {
            Some((name, revision)) => (name, revision),
            None => (rest, DEFAULT_REVISION),
        };
        let repo = match SHORT_NAMES.get(name) {
            Some(repo) => repo,
            None if name.contains('/') => name,
            None => return Err(refuse("it is no short name that is known, and has no `/`")),
        };
        if !is_repo(repo) {
            return Err(refuse("a repository is `org/name`, of letters, digits, `.`, `_` and `-`"));
        }
        if !is_revision(revision) {
            return Err(refuse("what follows `@` is no branch, tag or commit"));
        }
        if file.is_some_and(|file| !is_file_name(file)) {
            return Err(refuse("what follows `:` is no file of a repository"));
        }
        Ok(Self {
            given: text.to_owned(),
            repo: repo.to_owned(),
            revision: revision.to_owned(),
            file: file.map(str::to_owned),
        })
    }
}

/// Whether a text is `org/name` as the hub allows it.
pub(super) fn is_repo(text: &str) -> bool {
    let is_part = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        // `--` separates the two in the cache, and is not allowed by the hub for that reason.
        (1..=96).contains(&part.len())
            && part.chars().all(plain)
            && !part.starts_with(['.', '-'])
            && !part.ends_with(['.', '-'])
            && !part.contains("--")
            && !part.contains("..")
    };
    text.split_once('/').is_some_and(|(org, name)| is_part(org) && is_part(name))
}

/// Whether a text can be a branch, a tag or a commit, and a path below `refs`.
pub(super) fn is_revision(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    text.chars().all(plain) && is_file_name(text)
}

/// Whether a text can be the name of a snapshot: the commit of a revision.
pub(super) fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether a file's name in a repository is a path below the folder it is to lie in, on every
/// system.
pub(super) fn is_file_name(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_plain = |c: char| {
            !c.is_control() && !matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
        };
        (1..=200).contains(&part.len())
            && part.chars().all(is_plain)
            && !part.trim_end_matches(['.', ' ']).is_empty()
    };
    text.len() <= 1000 && text.split('/').all(is_part)
}

/// The parts of a GGUF file that was split (`NAME-00001-of-00003.gguf`): what is before the number
/// of the part, the number from 1 on, and how many there are.
pub(super) fn split_part(name: &str) -> Option<(&str, u32, u32)> {
    let (rest, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
    let (stem, part) = rest.rsplit_once('-')?;
    let number = |digits: &str| if digits.len() == 5 { digits.parse::<u32>().ok() } else { None };
    Some((stem, number(part)?, number(count)?))
}

/// Whether a file of a repository is a GGUF language model, or the first part of one.
pub(super) fn is_language_gguf(name: &str) -> bool {
    let is_gguf = std::path::Path::new(name)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
    is_gguf && !is_projector(name) && split_part(name).is_none_or(|(_, part, _)| part == 1)
}

/// Whether a GGUF file is the part of a model that sees.
pub(super) fn is_projector(name: &str) -> bool {
    name.to_lowercase().contains("mmproj")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ModelName {
        text.parse().unwrap()
    }

    #[test]
    fn short_names_stand_for_repositories() {
        assert_eq!(name("qwen2.5-vl-3b").repo(), "Qwen/Qwen2.5-VL-3B-Instruct");
        assert_eq!(name("qwen2.5-vl-72b-awq").repo(), "Qwen/Qwen2.5-VL-72B-Instruct-AWQ");
        for short in ["ui-tars-1.5", "gui-owl", "ui-venus", "holo1.5", "gta1", "opencua"] {
            assert_eq!(ModelName::short_of(name(short).repo()), Some(short));
        }
        for (short, repo) in short_names() {
            assert!(is_repo(repo), "{short}");
        }
    }

    #[test]
    fn a_name_has_a_revision_and_may_have_a_file() {
        let full = name("org/some-model_1.0@v2/x:sub/a.gguf");
        assert_eq!((full.repo(), full.revision()), ("org/some-model_1.0", "v2/x"));
        assert_eq!(full.file(), Some("sub/a.gguf"));
        assert_eq!(full.to_string(), "org/some-model_1.0@v2/x:sub/a.gguf");
        assert_eq!((name("a/b").revision(), name("a/b").file()), ("main", None));
        assert_eq!(name("gta1@1234567").revision(), "1234567");
    }

    #[test]
    fn split_files_are_known_by_their_first_part() {
        assert_eq!(split_part("q4/a-00002-of-00003.gguf"), Some(("q4/a", 2, 3)));
        assert_eq!(split_part("a-2-of-3.gguf"), None);
        assert!(is_language_gguf("a-00001-of-00003.gguf") && is_language_gguf("a.GGUF"));
        for other in ["a-00002-of-00003.gguf", "mmproj-a.gguf", "a-MMPROJ.gguf", "a.bin", "gguf"] {
            assert!(!is_language_gguf(other), "{other}");
        }
    }

    #[test]
    fn names_that_leave_the_cache_are_refused() {
        let bad = [
            "",
            "x",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "../b",
            "a/..",
            "a/b..c",
            "a--b/c",
            "a/b c",
            "a/ü",
            ".a/b",
            "a/b@",
            "a/b@../x",
            "a/b@/x",
            "a/b@x/../y",
            "a/b@x y",
            "a/b:",
            "a/b:../x",
            "a/b:/etc/passwd",
            "a/b:x\\y",
            "a/b:c:d",
            "a/b:x\0",
            "a/b:..",
            "-a/b",
            "a/b:x/./y",
        ];
        for text in bad {
            let error = text.parse::<ModelName>().unwrap_err();
            assert!(matches!(error, HubError::Name { .. }), "{text}");
        }
        let long = format!("a/{}", "b".repeat(10_000));
        assert!(long.parse::<ModelName>().unwrap_err().to_string().len() < 400);
    }
}
