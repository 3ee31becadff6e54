//! The judgement itself: rules, one action and what is known of where it goes.

use super::file::{Ask, Mode, Rules, SafetyPolicy};
use super::refusal::Refusal;
use super::rule::{Pattern, Region, WindowRule, line};
use crate::action::{Action, SystemButton, Verb};
use crate::geometry::{PixelPoint, Point};
use crate::key::{Key, NamedKey};
use crate::observation::{Window, WindowAt};

/// What an action would do, as rules see it.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) verb: Verb,
    /// The points it touches: ends of a drag and all between them.
    points: Vec<PixelPoint>,
    /// Whether it goes wherever the pointer happens to be.
    at_pointer: bool,
    /// What it writes, if it writes.
    pub(super) text: Option<String>,
    /// The key with which it writes a single character, if that is how it writes.
    writing: Option<Vec<Key>>,
    /// The chords it presses, those inside a text among them.
    chords: Vec<Vec<Key>>,
}

impl Deed {
    /// Takes an action apart.
    pub(super) fn of(action: &Action<PixelPoint>) -> Self {
        let points = match action.points() {
            [Some(from), Some(to)] => line(from, to).collect(),
            [first, second] => first.into_iter().chain(second).collect(),
        };
        let at_pointer = matches!(action, Action::Scroll { coordinate: None, .. });
        let mut deed = Self {
            verb: action.verb(),
            points,
            at_pointer,
            text: None,
            writing: None,
            chords: Vec::new(),
        };
        match action {
            Action::Type { text } => {
                deed.text = Some(text.clone());
                deed.chords = keys_in(text);
            }
            Action::Key { keys } => match written(keys) {
                Some(character) => {
                    deed.text = Some(character.to_string());
                    deed.writing = Some(keys.clone());
                }
                None => deed.chords.push(keys.clone()),
            },
            Action::SystemButton { button: SystemButton::Enter } => {
                deed.chords.push(vec![NamedKey::Enter.into()]);
            }
            _ => {}
        }
        deed
    }

    /// Whether it does something to the screen, as opposed to waiting or ending the episode.
    pub(super) fn acts(&self) -> bool {
        self.verb.acts()
    }

    /// Returns the places whose windows it reaches: each end of a drag, else where the keys go.
    pub(super) fn ends(&self) -> Vec<PixelPoint> {
        let mut ends: Vec<_> =
            self.points.first().into_iter().chain(self.points.last()).copied().collect();
        ends.dedup();
        ends
    }

    /// Whether it goes to where the keys go.
    pub(super) fn is_typed(&self) -> bool {
        self.text.is_some() || !self.chords.is_empty()
    }
}

/// Returns the keys that a text presses beside those that write.
fn keys_in(text: &str) -> Vec<Vec<Key>> {
    let key = |character, key: NamedKey| text.contains(character).then(|| vec![key.into()]);
    key('\n', NamedKey::Enter).into_iter().chain(key('\t', NamedKey::Tab)).collect()
}

/// Returns the character that keys write, if writing is all they do.
fn written(keys: &[Key]) -> Option<char> {
    match keys {
        [Key::Char(character)] => Some(*character),
        [Key::Named(NamedKey::Space)] => Some(' '),
        [Key::Named(NamedKey::Shift), Key::Char(character)] => {
            let mut upper = character.to_uppercase();
            upper.next().filter(|_| upper.next().is_none())
        }
        _ => None,
    }
}

/// What is known beside the action.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    /// The windows it would reach; empty, if no rule is about windows.
    pub(super) windows: &'a [WindowAt],
    /// What was typed lately.
    pub(super) typed: &'a str,
}

/// What the rules say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It may be done.
    Allowed,
    /// A person is asked first, for this reason.
    Ask(&'static str),
    /// It is not done.
    Refused(Refusal),
}

impl SafetyPolicy {
    /// Whether the rules are about windows, so that a device must be asked for them.
    pub(super) fn knows_windows(&self) -> bool {
        let lists = [&self.allow, &self.deny, &self.risky];
        lists.into_iter().flatten().any(|rules| rules.windows.is_some())
    }

    /// Whether actions of this kind can be allowed at all.
    pub(super) fn offers(&self, verb: Verb) -> bool {
        if !verb.acts() {
            return true;
        }
        let has = |rules: &Option<Rules>| {
            rules
                .as_ref()
                .and_then(|rules| rules.actions.as_ref())
                .map(|verbs| verbs.contains(&verb))
        };
        self.mode != Mode::Observe
            && has(&self.allow) != Some(false)
            && has(&self.deny) != Some(true)
    }

    /// Judges an action by all rules but those about time.
    pub(super) fn judge(&self, deed: &Deed, thought: Option<&str>, scene: Scene<'_>) -> Verdict {
        if !deed.acts() {
            return Verdict::Allowed;
        }
        if self.mode == Mode::Observe {
            return Verdict::Refused(Refusal::OnlyObserve);
        }
        if !self.offers(deed.verb) {
            return Verdict::Refused(Refusal::Verb);
        }
        let denied = self.deny.as_ref().map_or(Ok(()), |rules| rules.deny(deed, scene));
        let bounded = self.allow.as_ref().map_or(Ok(()), |rules| rules.bound(deed, scene));
        if let Err(refusal) = denied.and(bounded) {
            return Verdict::Refused(refusal);
        }
        if self.mode != Mode::Confirm {
            return Verdict::Allowed;
        }
        if self.ask == Some(Ask::Everything) {
            return Verdict::Ask("the safety policy asks about every action");
        }
        let named = self.risky.as_ref().is_some_and(|rules| {
            let verbs = rules.actions.as_ref().is_some_and(|verbs| verbs.contains(&deed.verb));
            verbs || rules.deny(deed, scene).is_err()
        });
        if named {
            return Verdict::Ask("the safety policy calls it risky");
        }
        risk(deed, thought).map_or(Verdict::Allowed, Verdict::Ask)
    }
}

impl Rules {
    /// Says whether anything of a deed is on one of the lists.
    fn deny(&self, deed: &Deed, scene: Scene<'_>) -> Result<(), Refusal> {
        if let Some(regions) = &self.regions {
            if deed.at_pointer {
                return Err(Refusal::ScrollWithoutPoint);
            }
            if let Some(&at) = deed.points.iter().find(|&&point| inside(regions, point)) {
                return Err(Refusal::InDeniedRegion { at });
            }
        }
        if let Some(rules) = &self.windows {
            for window in scene.windows {
                match window {
                    WindowAt::Unknown => return Err(Refusal::UnknownWindow),
                    WindowAt::Window(window) if rules.iter().any(|rule| rule.is_about(window)) => {
                        return Err(Refusal::DeniedWindow { window: name(window) });
                    }
                    WindowAt::Window(_) | WindowAt::Nothing => {}
                }
            }
        }
        if let (Some(patterns), Some(text)) = (&self.text, &deed.text) {
            let lately = format!("{}{text}", scene.typed);
            if let Some(pattern) = patterns.iter().find(|p| p.is_in(text) || p.is_in(&lately)) {
                return Err(Refusal::DeniedText { pattern: pattern.as_str().to_owned() });
            }
        }
        let Some(denied) = &self.keys else { return Ok(()) };
        for keys in deed.chords.iter().chain(&deed.writing) {
            if let Some(denied) = denied.iter().find(|denied| denied.is_in(keys)) {
                let denied = denied.as_str().to_owned();
                return Err(Refusal::DeniedKeys { chord: Key::write_chord(keys), denied });
            }
        }
        Ok(())
    }

    /// Says whether all of a deed is on the lists that there are.
    fn bound(&self, deed: &Deed, scene: Scene<'_>) -> Result<(), Refusal> {
        if let Some(regions) = &self.regions {
            if deed.at_pointer {
                return Err(Refusal::ScrollWithoutPoint);
            }
            if let Some(&at) = deed.points.iter().find(|&&point| !inside(regions, point)) {
                return Err(Refusal::OutsideRegions { at });
            }
        }
        if let Some(rules) = &self.windows {
            allowed_windows(rules, scene.windows)?;
        }
        let is_listed = |keys: &[Key]| {
            self.keys.as_ref().is_some_and(|listed| listed.iter().any(|chord| chord.is(keys)))
        };
        match (&self.text, &deed.text, &deed.writing) {
            (_, _, Some(keys)) if is_listed(keys) => {}
            (Some(patterns), Some(text), _) if !patterns.iter().any(|p| p.matches_whole(text)) => {
                return Err(Refusal::OtherText);
            }
            (None, _, Some(keys)) if self.keys.is_some() => {
                return Err(Refusal::OtherKeys { chord: Key::write_chord(keys) });
            }
            _ => {}
        }
        match deed.chords.iter().find(|keys| self.keys.is_some() && !is_listed(keys)) {
            Some(keys) => Err(Refusal::OtherKeys { chord: Key::write_chord(keys) }),
            None => Ok(()),
        }
    }
}

fn allowed_windows(rules: &[WindowRule], windows: &[WindowAt]) -> Result<(), Refusal> {
    for window in windows {
        match window {
            WindowAt::Unknown => return Err(Refusal::UnknownWindow),
            WindowAt::Nothing => {
                return Err(Refusal::OtherWindow { window: "behind all others".to_owned() });
            }
            WindowAt::Window(window) if !rules.iter().any(|rule| rule.is_exactly(window)) => {
                return Err(Refusal::OtherWindow { window: name(window) });
            }
            WindowAt::Window(_) => {}
        }
    }
    Ok(())
}

fn inside<P: Point>(regions: &[Region], point: P) -> bool {
    regions.iter().any(|region| region.0.contains(point))
}

/// Titles come from the screen: they are quoted, and cut.
pub(crate) fn name(window: &Window) -> String {
    let title: String = window.title.chars().take(60).collect();
    format!("{title:?} of {:?}", window.app)
}

/// Words for what cannot be taken back, in what is said of an action.
const RISKY_WORDS: &str = r"(?i)\b(delete|remove|erase|format|wipe|discard|overwrite|uninstall|install|buy|pay|order|purchase|checkout|transfer|send|submit|post|publish|share|confirm|accept|agree|sign|log ?out|shut ?down|restart|reset|grant|allow)";

/// Returns what is risky about a deed as far as keys and words show it.
///
/// What a click leads to is not known here; what decided on it says so, and is trusted with no more
/// than this question. A click of which nothing is said counts as risky.
fn risk(deed: &Deed, thought: Option<&str>) -> Option<&'static str> {
    use NamedKey::{Alt, AltGr, Ctrl, Delete, Enter, Meta};
    let has = |keys: &[Key], any: &[NamedKey]| any.iter().any(|&key| keys.contains(&key.into()));
    let harmless = |keys: &[Key]| {
        let letter = |c| keys == [Ctrl.into(), Key::Char(c)];
        letter('a') || letter('c')
    };
    let risky = |keys: &Vec<Key>| {
        has(keys, &[Enter, Delete]) || (has(keys, &[Ctrl, Alt, AltGr, Meta]) && !harmless(keys))
    };
    if deed.chords.iter().any(risky) {
        return Some("its keys can send, close or delete something");
    }
    if deed.text.as_ref().is_some_and(|text| text.contains("{{secret:")) {
        return Some("it types a secret");
    }
    if matches!(deed.verb, Verb::OpenApp | Verb::SystemButton) {
        return Some("it leaves the application");
    }
    if matches!(deed.verb, Verb::MouseMove | Verb::Scroll | Verb::Swipe | Verb::Type | Verb::Key) {
        return None;
    }
    match thought {
        None | Some("") => Some("nothing is said of what it is for"),
        Some(thought) => {
            let words = Pattern::try_from(RISKY_WORDS.to_owned()).ok()?;
            words
                .is_in(thought)
                .then_some("what is said of it sounds as if it cannot be taken back")
        }
    }
}
