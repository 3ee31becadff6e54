//! Something that holds or does not.

use std::fmt;
use std::path::PathBuf;

use regex::Regex;
use serde_json::Value;

use super::file::{
    ConditionFields, ConditionFile, HttpFields, HttpFile, ShellFile, TextHow, TextMatch,
    ViewFields, ViewFile,
};
use super::template::{Expression, Template};

/// Something that holds or does not; [`ConditionFile`] after its check.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// The model judges a claim about the screen.
    Seen {
        claim: Template,
        at_least: f64,
    },
    /// An expression is true.
    That(Expression),
    /// The title of the window that has the focus.
    Window(Text),
    /// The application that has the focus.
    App(Text),
    /// A file is there, or is not, and its text.
    File {
        path: Template,
        exists: bool,
        text: Option<Text>,
    },
    /// A command ends with 0.
    Shell(Shell),
    /// What was copied last.
    Clipboard(Text),
    /// A view of a phone.
    View(View),
    /// A setting of a phone.
    Setting {
        namespace: String,
        key: String,
        value: Text,
    },
    /// What a server says.
    Http(Box<HttpCheck>),
    Not(Box<Condition>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

/// What must be so of one view.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) text: Option<Text>,
    pub(crate) id: Option<Template>,
    pub(crate) checked: Option<bool>,
    pub(crate) enabled: Option<bool>,
    pub(crate) focused: Option<bool>,
}

/// A request, and what the answer must be.
#[derive(Clone, Debug)]
pub(crate) struct HttpCheck {
    pub(crate) method: String,
    pub(crate) url: Template,
    pub(crate) headers: Vec<(String, Template)>,
    pub(crate) body: Option<Template>,
    pub(crate) status: Option<u16>,
    pub(crate) text: Option<Text>,
    pub(crate) json: Vec<(String, Value)>,
}

/// What a text must be.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Equals(Template),
    Contains(Template),
    Matches(Regex),
}

/// A command.
#[derive(Clone, Debug)]
pub(crate) enum Shell {
    Line(Template),
    Words(Vec<Template>),
}

/// The deepest nesting of `not`, `all` and `any`.
const MAX_DEPTH: usize = 16;

impl Condition {
    /// Checks what a file says.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn of(file: &ConditionFile) -> Result<Self, String> {
        Self::nested(file, MAX_DEPTH)
    }

    fn nested(file: &ConditionFile, depth: usize) -> Result<Self, String> {
        if depth == 0 {
            return Err("conditions are nested too deep".to_owned());
        }
        let fields = match file {
            ConditionFile::Seen(claim) => {
                return Ok(Self::Seen { claim: Template::parse(claim)?, at_least: 0.5 });
            }
            ConditionFile::Kinds(fields) => fields,
        };
        let mut kinds = Vec::new();
        if let Some(claim) = &fields.seen {
            let at_least = fields.at_least.unwrap_or(0.5);
            if !(0.0..=1.0).contains(&at_least) {
                return Err(format!("`at_least` is {at_least}, and a probability is from 0 to 1"));
            }
            kinds.push(Self::Seen { claim: Template::parse(claim)?, at_least });
        } else if fields.at_least.is_some() {
            return Err("`at_least` is for `seen`".to_owned());
        }
        Self::deterministic(fields, depth, &mut kinds)?;
        let count = kinds.len();
        match (kinds.pop(), count) {
            (Some(kind), 1) => Ok(kind),
            (_, 0) => Err("a condition says nothing".to_owned()),
            _ => Err("a condition says several things; put them under `all:` or `any:`".to_owned()),
        }
    }

    /// Reads the kinds that need no model.
    fn deterministic(
        fields: &ConditionFields,
        depth: usize,
        kinds: &mut Vec<Self>,
    ) -> Result<(), String> {
        let list = |list: &[ConditionFile]| -> Result<Vec<Self>, String> {
            if list.is_empty() {
                return Err("`all` and `any` need conditions".to_owned());
            }
            list.iter().map(|condition| Self::nested(condition, depth - 1)).collect()
        };
        if let Some(expression) = &fields.that {
            kinds.push(Self::That(Expression::parse(expression)?));
        }
        if let Some(title) = &fields.window {
            kinds.push(Self::Window(Text::of(title)?));
        }
        if let Some(app) = &fields.app {
            kinds.push(Self::App(Text::of(app)?));
        }
        if let Some(file) = &fields.file {
            let exists = file.exists.unwrap_or(true);
            if !exists && file.text.is_some() {
                return Err("a file that is not there has no text".to_owned());
            }
            let text = file.text.as_ref().map(Text::of).transpose()?;
            kinds.push(Self::File { path: Template::parse(&file.path)?, exists, text });
        }
        if let Some(shell) = &fields.shell {
            kinds.push(Self::Shell(Shell::of(shell)?));
        }
        Self::of_devices_and_servers(fields, kinds)?;
        if let Some(condition) = &fields.not {
            kinds.push(Self::Not(Box::new(Self::nested(condition, depth - 1)?)));
        }
        if let Some(conditions) = &fields.all {
            kinds.push(Self::All(list(conditions)?));
        }
        if let Some(conditions) = &fields.any {
            kinds.push(Self::Any(list(conditions)?));
        }
        Ok(())
    }

    /// Reads the kinds that ask a device or a server.
    fn of_devices_and_servers(
        fields: &ConditionFields,
        kinds: &mut Vec<Self>,
    ) -> Result<(), String> {
        if let Some(text) = &fields.clipboard {
            kinds.push(Self::Clipboard(Text::of(text)?));
        }
        if let Some(view) = &fields.view {
            kinds.push(Self::View(View::of(view)?));
        }
        if let Some(setting) = &fields.setting {
            let (namespace, key) = setting.name.split_once('/').unwrap_or_default();
            if !["system", "secure", "global"].contains(&namespace) || key.is_empty() {
                return Err(format!(
                    "`{}` is no setting; write one such as `global/wifi_on`",
                    setting.name
                ));
            }
            let (namespace, key) = (namespace.to_owned(), key.to_owned());
            kinds.push(Self::Setting { namespace, key, value: Text::of(&setting.value)? });
        }
        if let Some(http) = &fields.http {
            kinds.push(Self::Http(Box::new(HttpCheck::of(http)?)));
        }
        Ok(())
    }

    /// Returns the names of variables it uses.
    pub(crate) fn names(&self) -> Vec<String> {
        match self {
            Self::View(view) => {
                let text = view.text.as_ref().map(Text::names).unwrap_or_default();
                text.into_iter().chain(view.id.iter().flat_map(Template::names)).collect()
            }
            Self::Http(http) => http.names(),
            Self::Seen { claim, .. } => claim.names(),
            Self::That(expression) => expression.names(),
            Self::Window(text)
            | Self::App(text)
            | Self::Clipboard(text)
            | Self::Setting { value: text, .. } => text.names(),
            Self::File { path, text, .. } => {
                let text = text.as_ref().map(Text::names).unwrap_or_default();
                path.names().into_iter().chain(text).collect()
            }
            Self::Shell(shell) => shell.names(),
            Self::Not(condition) => condition.names(),
            Self::All(conditions) | Self::Any(conditions) => {
                conditions.iter().flat_map(Self::names).collect()
            }
        }
    }
}

impl View {
    fn of(file: &ViewFile) -> Result<Self, String> {
        let fields = match file {
            ViewFile::Text(text) => &ViewFields {
                text: Some(TextMatch::Contains(text.clone())),
                ..ViewFields::default()
            },
            ViewFile::Fields(fields) => fields,
        };
        if fields.text.is_none() && fields.id.is_none() {
            return Err("a view is told by its `text:` or its `id:`".to_owned());
        }
        let ViewFields { text, id, checked, enabled, focused } = fields;
        Ok(Self {
            text: text.as_ref().map(Text::of).transpose()?,
            id: id.as_ref().map(|id| Template::parse(id)).transpose()?,
            checked: *checked,
            enabled: *enabled,
            focused: *focused,
        })
    }
}

impl HttpCheck {
    fn of(file: &HttpFile) -> Result<Self, String> {
        const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let fields = match file {
            HttpFile::Url(url) => &HttpFields { url: url.clone(), ..HttpFields::default() },
            HttpFile::Fields(fields) => &**fields,
        };
        let method = fields.method.as_deref().unwrap_or("GET").to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            return Err(format!("`{method}` is none of {}", METHODS.join(", ")));
        }
        let takes_body = ["POST", "PUT", "PATCH"].contains(&method.as_str());
        if fields.body.is_some() && !takes_body {
            return Err(format!("a {method} sends no `body:`"));
        }
        if let Some(status) = fields.status
            && !(100..=599).contains(&status)
        {
            return Err(format!("`status` is {status}, not from 100 to 599"));
        }
        let is_pointer = |name: &&String| name.is_empty() || name.starts_with('/');
        if let Some(name) = fields.json.keys().find(|name| !is_pointer(name)) {
            return Err(format!("`{name}` is no JSON pointer; write `/{name}`"));
        }
        let header =
            |(name, value): (&String, &String)| Ok((name.clone(), Template::parse(value)?));
        Ok(Self {
            method,
            url: Template::parse(&fields.url)?,
            headers: fields.headers.iter().map(header).collect::<Result<_, String>>()?,
            body: fields.body.as_ref().map(|body| Template::parse(body)).transpose()?,
            status: fields.status,
            text: fields.text.as_ref().map(Text::of).transpose()?,
            json: fields.json.clone().into_iter().collect(),
        })
    }

    fn names(&self) -> Vec<String> {
        let headers = self.headers.iter().map(|(_, value)| value);
        let texts = std::iter::once(&self.url).chain(headers).chain(&self.body);
        let text = self.text.as_ref().map(Text::names).unwrap_or_default();
        texts.flat_map(Template::names).chain(text).collect()
    }
}

impl Text {
    fn of(file: &TextMatch) -> Result<Self, String> {
        match file {
            TextMatch::Contains(text) => Ok(Self::Contains(Template::parse(text)?)),
            TextMatch::How(TextHow { equals: Some(text), contains: None, matches: None }) => {
                Ok(Self::Equals(Template::parse(text)?))
            }
            TextMatch::How(TextHow { equals: None, contains: Some(text), matches: None }) => {
                Ok(Self::Contains(Template::parse(text)?))
            }
            TextMatch::How(TextHow { equals: None, contains: None, matches: Some(pattern) }) => {
                Ok(Self::Matches(Regex::new(pattern).map_err(|error| {
                    let message = error.to_string();
                    let last = message.lines().last().unwrap_or_default();
                    format!("`{pattern}` is no regular expression: {last}")
                })?))
            }
            TextMatch::How(_) => {
                Err("say exactly one of `equals:`, `contains:` and `matches:`".to_owned())
            }
        }
    }

    fn names(&self) -> Vec<String> {
        match self {
            Self::Equals(text) | Self::Contains(text) => text.names(),
            Self::Matches(_) => Vec::new(),
        }
    }
}

impl Shell {
    /// Checks what a file says.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn of(file: &ShellFile) -> Result<Self, String> {
        match file {
            ShellFile::Line(line) => Ok(Self::Line(Template::parse(line)?)),
            ShellFile::Words(words) if words.is_empty() => Err("a command has no words".to_owned()),
            ShellFile::Words(words) => Ok(Self::Words(
                words.iter().map(|word| Template::parse(word)).collect::<Result<_, _>>()?,
            )),
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        match self {
            Self::Line(line) => line.names(),
            Self::Words(words) => words.iter().flat_map(Template::names).collect(),
        }
    }
}

/// The condition as people read it: `the file out.txt contains "Ada"`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, conditions: &[Self], word: &str| {
            let texts: Vec<String> = conditions.iter().map(ToString::to_string).collect();
            f.write_str(&texts.join(word))
        };
        match self {
            Self::Seen { claim, .. } => write!(f, "{}", claim.source()),
            Self::That(expression) => f.write_str(expression.source()),
            Self::Window(text) => write!(f, "the window {text}"),
            Self::App(text) => write!(f, "the application {text}"),
            Self::File { path, exists: false, .. } => write!(f, "no file {}", path.source()),
            Self::File { path, text: None, .. } => write!(f, "the file {}", path.source()),
            Self::File { path, text: Some(text), .. } => {
                write!(f, "the file {} {text}", path.source())
            }
            Self::Shell(shell) => write!(f, "`{shell}` succeeds"),
            Self::Clipboard(text) => write!(f, "the clipboard {text}"),
            Self::View(view) => write!(f, "a view {view}"),
            Self::Setting { namespace, key, value } => {
                write!(f, "the setting {namespace}/{key} {value}")
            }
            Self::Http(http) => {
                let status = http.status.unwrap_or(200);
                write!(f, "{} {} says {status}", http.method, http.url.source())
            }
            Self::Not(condition) => write!(f, "not: {condition}"),
            Self::All(conditions) => list(f, conditions, " and "),
            Self::Any(conditions) => list(f, conditions, " or "),
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.id.as_ref().map(|id| format!("with the id {}", id.source())));
        parts.extend(self.text.as_ref().map(|text| format!("whose text {text}")));
        let states =
            [("checked", self.checked), ("enabled", self.enabled), ("focused", self.focused)];
        for (name, is_so) in states {
            let not = |is_so: bool| if is_so { "" } else { "not " };
            parts.extend(is_so.map(|is_so| format!("that is {}{name}", not(is_so))));
        }
        f.write_str(&parts.join(" and "))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(text) => write!(f, "is {:?}", text.source()),
            Self::Contains(text) => write!(f, "contains {:?}", text.source()),
            Self::Matches(pattern) => write!(f, "matches {:?}", pattern.as_str()),
        }
    }
}

impl fmt::Display for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => f.write_str(line.source()),
            Self::Words(words) => {
                let words: Vec<&str> = words.iter().map(Template::source).collect();
                f.write_str(&words.join(" "))
            }
        }
    }
}

/// Returns a path beside a scenario, unless it leads elsewhere.
///
/// # Errors
///
/// Says that the path is absolute or climbs out of the folder.
pub(crate) fn beside(folder: &std::path::Path, path: &str) -> Result<PathBuf, String> {
    use std::path::Component;
    let plain = std::path::Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if plain && !path.is_empty() {
        Ok(folder.join(path))
    } else {
        Err(format!("`{path}` is not beside the scenario or below it"))
    }
}
