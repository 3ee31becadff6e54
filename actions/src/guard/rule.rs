//! The words of a safety policy: regions, windows, texts, chords, limits and hours.
//!
//! Each is read from a short form a person writes, and refused with a reason a person understands.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::{DateTime, Time, Weekday};
use regex::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::geometry::{PixelPoint, Rect};
use crate::key::{Key, NamedKey};
use crate::observation::Window;

/// The most memory one pattern may take when it is compiled, in bytes.
const PATTERN_BYTES: usize = 1 << 20;

/// The longest time of a limit.
const LONGEST: f64 = 7.0 * 24.0 * 3600.0;

/// A part of the screenshot, written `[x, y, width, height]`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "[i64; 4]")]
pub struct Region(pub Rect);

impl TryFrom<[i64; 4]> for Region {
    type Error = String;

    fn try_from([x, y, width, height]: [i64; 4]) -> Result<Self, String> {
        let side =
            |value: i64| u32::try_from(value).ok().filter(|&side| (1..=65_535).contains(&side));
        let edge = |value: i64| i32::try_from(value).ok();
        let wrong = || {
            format!(
                "[{x}, {y}, {width}, {height}] is no `[x, y, width, height]` of one pixel or more"
            )
        };
        Ok(Self(Rect {
            x: edge(x).ok_or_else(wrong)?,
            y: edge(y).ok_or_else(wrong)?,
            width: side(width).ok_or_else(wrong)?,
            height: side(height).ok_or_else(wrong)?,
        }))
    }
}

impl JsonSchema for Region {
    fn schema_name() -> Cow<'static, str> {
        "Region".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "x, y, width and height in pixels of the screenshot",
            "type": "array", "items": { "type": "integer" }, "minItems": 4, "maxItems": 4,
        })
    }
}

/// Returns every pixel on the straight line between two points, ends included.
pub(super) fn line(from: PixelPoint, to: PixelPoint) -> impl Iterator<Item = PixelPoint> {
    let (dx, dy) = (i64::from(to.x) - i64::from(from.x), i64::from(to.y) - i64::from(from.y));
    let steps = dx.abs().max(dy.abs()).max(1);
    let part = move |start: i32, length: i64, step: i64| {
        // A device's own steps are rounded the same way.
        i32::try_from(i64::from(start) + length * step / steps).unwrap_or(i32::MAX)
    };
    (0..=steps).map(move |step| PixelPoint { x: part(from.x, dx, step), y: part(from.y, dy, step) })
}

/// A window, by its title, its application or both, as regular expressions.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, try_from = "WindowFields")]
#[schemars(with = "WindowFields")]
pub struct WindowRule {
    title: Option<Pattern>,
    app: Option<Pattern>,
}

/// A window.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Window")]
struct WindowFields {
    /// What its title bar says, as a regular expression.
    #[serde(default)]
    title: Option<Pattern>,
    /// The application: the class of an X11 window, the package of an Android application.
    #[serde(default)]
    app: Option<Pattern>,
}

impl TryFrom<WindowFields> for WindowRule {
    type Error = &'static str;

    fn try_from(WindowFields { title, app }: WindowFields) -> Result<Self, Self::Error> {
        if title.is_none() && app.is_none() {
            return Err("a window needs a `title` or an `app`");
        }
        Ok(Self { title, app })
    }
}

impl WindowRule {
    /// Whether the whole title and the whole name of the application match.
    pub fn is_exactly(&self, window: &Window) -> bool {
        let all = |pattern: &Option<Pattern>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.matches_whole(text))
        };
        all(&self.title, &window.title) && all(&self.app, &window.app)
    }

    /// Whether the title and the name of the application match anywhere.
    pub fn is_about(&self, window: &Window) -> bool {
        let any = |pattern: &Option<Pattern>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.is_in(text))
        };
        any(&self.title, &window.title) && any(&self.app, &window.app)
    }
}

/// A regular expression, as the `regex` crate understands it; matching takes linear time.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    anywhere: Regex,
    whole: Regex,
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        let compile = |text: &str| {
            let compiled = RegexBuilder::new(text).size_limit(PATTERN_BYTES).build();
            compiled.map_err(|error| {
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default();
                let reason = reason.trim().trim_start_matches("error: ");
                format!("`{pattern}` is no regular expression: {reason}")
            })
        };
        // The plain one first: what is wrong is said of what was written.
        let anywhere = compile(&pattern)?;
        Ok(Self { anywhere, whole: compile(&format!(r"\A(?:{pattern})\n?\z"))? })
    }
}

impl Pattern {
    /// Whether it matches the whole text; a line feed at the end may be extra.
    pub fn matches_whole(&self, text: &str) -> bool {
        self.whole.is_match(text)
    }

    /// Whether it matches somewhere in the text.
    pub fn is_in(&self, text: &str) -> bool {
        self.anywhere.is_match(text)
    }

    /// Returns it as it was written.
    pub fn as_str(&self) -> &str {
        self.anywhere.as_str()
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "a regular expression", "type": "string", "format": "regex" })
    }
}

/// Keys pressed together, whatever their order.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct Chord {
    written: String,
    pressed: Vec<Key>,
    keys: BTreeSet<String>,
}

impl TryFrom<String> for Chord {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        let keys = Key::parse_chord(&written).map_err(|error| error.to_string())?;
        Ok(Self { keys: names(&keys), pressed: keys, written })
    }
}

impl Chord {
    /// Whether exactly these keys are pressed.
    pub fn is(&self, keys: &[Key]) -> bool {
        self.keys == names(keys)
    }

    /// Whether all of its keys are among these.
    pub fn is_in(&self, keys: &[Key]) -> bool {
        self.keys.is_subset(&names(keys))
    }

    /// Returns its keys, in the order in which they were written.
    pub fn keys(&self) -> &[Key] {
        &self.pressed
    }

    /// Returns it as it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl JsonSchema for Chord {
    fn schema_name() -> Cow<'static, str> {
        "Chord".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "keys joined by `+`, such as `ctrl+w`", "type": "string" })
    }
}

/// Both Alt keys close windows, so they count as one.
fn names(keys: &[Key]) -> BTreeSet<String> {
    let alt = |key: &Key| match key {
        Key::Named(NamedKey::AltGr) => Key::Named(NamedKey::Alt).to_string(),
        key => key.to_string(),
    };
    keys.iter().map(alt).collect()
}

/// So many actions in so long, and no more.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many actions.
    #[serde(deserialize_with = "at_least_one")]
    #[schemars(range(min = 1))]
    pub actions: u32,
    /// In how long: a number with `s`, `m` or `h`.
    #[serde(deserialize_with = "duration")]
    #[schemars(with = "String")]
    pub per: Duration,
}

fn at_least_one<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        0 => Err(serde::de::Error::custom("a limit of 0 actions; use mode `observe` instead")),
        actions => Ok(actions),
    }
}

fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong =
        || serde::de::Error::custom(format!("`{text}` is no time; write `10s`, `1.5m` or `2h`"));
    let digits = text.trim_end_matches(['s', 'm', 'h']);
    let unit = match &text[digits.len()..] {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let seconds = digits.parse::<f64>().map_err(|_| wrong())? * unit;
    if !(0.001..=LONGEST).contains(&seconds) {
        return Err(wrong());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A time of the week, in the time zone of this machine.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// On which days it begins; every day, if absent.
    #[serde(default)]
    pub days: Option<Vec<Day>>,
    /// From when, such as `08:00`.
    #[serde(deserialize_with = "time")]
    #[schemars(with = "String")]
    pub from: Time,
    /// Until when; earlier than `from`, if it is over on the day after.
    #[serde(deserialize_with = "time")]
    #[schemars(with = "String")]
    pub to: Time,
}

fn time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    Time::strptime("%H:%M", &text)
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no time of day like `08:00`")))
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "their names say it")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    fn of(weekday: Weekday) -> Self {
        match weekday {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

impl Hours {
    /// Whether this moment lies inside; `to` itself does not.
    pub fn contains(&self, now: DateTime) -> bool {
        let on = |day: Weekday| self.days.as_ref().is_none_or(|days| days.contains(&Day::of(day)));
        let (day, time) = (now.weekday(), now.time());
        if self.from < self.to {
            return on(day) && (self.from..self.to).contains(&time);
        }
        // It goes on past midnight.
        (on(day) && time >= self.from) || (on(day.previous()) && time < self.to)
    }
}
