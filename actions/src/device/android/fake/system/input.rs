//! Fingers and keys on the fake phone.

use std::time::{Duration, Instant};

use super::{Lock, System};
use crate::device::android::fake::apps::{App, Press};
use crate::device::android::fake::view::{Kind, Page, View, topmost};
use crate::geometry::PixelPoint;

/// How far a finger moves before it is no tap, in design pixels.
const SLOP: u32 = 8;
/// How long a press is a long one.
const LONG: Duration = Duration::from_millis(400);
/// How soon a second tap makes a double one.
const DOUBLE: Duration = Duration::from_millis(300);
/// Android's numbers of the keys it does something with.
mod code {
    pub(super) const HOME: u32 = 3;
    pub(super) const BACK: u32 = 4;
    pub(super) const POWER: u32 = 26;
    pub(super) const TAB: u32 = 61;
    pub(super) const ENTER: u32 = 66;
    pub(super) const DEL: u32 = 67;
    pub(super) const PASTE: u32 = 279;
    pub(super) const SLEEP: u32 = 223;
    pub(super) const WAKEUP: u32 = 224;
    pub(super) const CTRL_LEFT: u32 = 113;
    pub(super) const A: u32 = 29;
}

impl System {
    /// A finger touches in one place, moves to another and lets go.
    pub(in crate::device::android::fake) fn swipe(
        &mut self,
        from: PixelPoint,
        to: PixelPoint,
        time: Duration,
    ) {
        if !self.awake || !self.size().contains(from) {
            return;
        }
        let (dx, dy) = (i64::from(to.x) - i64::from(from.x), i64::from(to.y) - i64::from(from.y));
        let far = i64::from(self.dp(SLOP));
        if self.lock != Lock::Open {
            if self.lock == Lock::Swipe && -dy > 4 * far {
                self.lock = Lock::Open;
            }
            return;
        }
        if dx.abs() <= far && dy.abs() <= far {
            return self.press(from, if time >= LONG { Press::Long } else { Press::Once });
        }
        self.last_tap = None;
        let views = self.app_views();
        if topmost(&views, from, &|view| view.kind == Kind::List).is_some() {
            self.with_front(|app, page| app.scroll(dy, page));
        }
    }

    /// A finger picks something up after a while, carries it and puts it down.
    pub(in crate::device::android::fake) fn drag(&mut self, from: PixelPoint, to: PixelPoint) {
        if self.awake && self.lock == Lock::Open {
            self.with_front(|app, page| app.drag(from, to, page));
        }
    }

    fn with_front(&mut self, act: impl FnOnce(&mut dyn App, &Page<'_>)) {
        let focus = self.focus.clone();
        let page = Page { focus: focus.as_deref(), ..self.page().without_focus() };
        let front = self.front();
        act(&mut *self.apps[front], &page);
    }

    fn press(&mut self, at: PixelPoint, press: Press) {
        let system = self.system_views();
        if let Some(view) = topmost(&system, at, &|_| true) {
            let id = view.id.clone();
            return self.press_system(&id);
        }
        let views = self.app_views();
        let Some(view) = topmost(&views, at, &View::is_clickable) else {
            self.focus = None;
            self.keyboard_up = false;
            return;
        };
        let id = view.id.clone();
        if matches!(view.kind, Kind::Field { .. }) {
            self.focus = Some(id);
            self.selected = press == Press::Long;
            self.keyboard_up = true;
            return;
        }
        let now = Instant::now();
        let again = self.last_tap.take().is_some_and(|(last, when)| {
            press == Press::Once && last == id && now.duration_since(when) <= DOUBLE
        });
        let press = if again { Press::Twice } else { press };
        if press == Press::Once {
            self.last_tap = Some((id.clone(), now));
        }
        let front = self.front();
        self.apps[front].press(&id, press, &mut self.world);
        if let Some(package) = self.world.wanted.take() {
            self.open(package);
        }
    }

    fn press_system(&mut self, id: &str) {
        match id {
            "back" => self.key(code::BACK),
            "home" => self.key(code::HOME),
            "key_del" => self.key(code::DEL),
            "key_enter" => self.key(code::ENTER),
            "key_space" => self.write(" "),
            _ => {
                if let Some(key) = id.strip_prefix("key_") {
                    self.write(key);
                }
            }
        }
    }

    /// Presses a key by Android's number for it.
    pub(in crate::device::android::fake) fn key(&mut self, key: u32) {
        match key {
            code::POWER => self.set_awake(!self.awake),
            code::SLEEP => self.set_awake(false),
            code::WAKEUP => self.set_awake(true),
            _ if !self.awake || self.lock != Lock::Open => {}
            code::HOME => {
                self.leave();
                self.stack.clear();
            }
            code::BACK => self.back(),
            code::TAB => self.focus_next(),
            code::ENTER => self.keyboard_up = false,
            code::DEL => self.edit(|text| {
                text.pop();
            }),
            code::PASTE => {
                let text = self.clipboard.clone();
                self.write(&text);
            }
            // Letters and digits are numbered in order; the others write nothing here.
            7..=16 => self.write(&((key - 7).to_string())),
            29..=54 => {
                let letter = u8::try_from(key - 29).map_or('?', |index| char::from(b'a' + index));
                self.write(&letter.to_string());
            }
            62 => self.write(" "),
            _ => {}
        }
    }

    /// Presses keys together.
    pub(in crate::device::android::fake) fn chord(&mut self, keys: &[u32]) {
        if keys == [code::CTRL_LEFT, code::A] {
            self.selected = self.focus.is_some();
        } else if let Some(last) = keys.last() {
            self.key(*last);
        }
    }

    pub(in crate::device::android::fake) fn set_awake(&mut self, awake: bool) {
        self.awake = awake;
        self.last_tap = None;
    }

    fn back(&mut self) {
        if self.keyboard_up {
            self.keyboard_up = false;
            return;
        }
        let front = self.front();
        if !self.apps[front].back() {
            self.leave();
            self.stack.pop();
        }
    }

    fn focus_next(&mut self) {
        let views = self.app_views();
        let fields: Vec<&str> = views
            .iter()
            .filter(|view| matches!(view.kind, Kind::Field { .. }))
            .map(|view| view.id.as_str())
            .collect();
        let at = fields.iter().position(|id| Some(*id) == self.focus.as_deref());
        let next = at.map_or(0, |at| (at + 1) % fields.len().max(1));
        self.focus = fields.get(next).map(|id| (*id).to_owned());
        self.selected = false;
    }

    /// Writes a text into the field that has the focus.
    pub(in crate::device::android::fake) fn write(&mut self, text: &str) {
        if self.awake && self.lock == Lock::Open {
            self.edit(|field| field.push_str(text));
        }
    }

    fn edit(&mut self, edit: impl FnOnce(&mut String)) {
        let front = self.front();
        let Some(field) = self.focus.as_deref().and_then(|id| self.apps[front].field(id)) else {
            return;
        };
        if std::mem::take(&mut self.selected) {
            field.clear();
        }
        edit(field);
    }
}
