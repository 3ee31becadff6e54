//! What is on the fake phone's screen at this moment, as views, as pixels and as XML.

use std::fmt::Write as _;

use image::RgbImage;
use image::imageops::{FilterType, resize};

use super::{Lock, System, turned};
use crate::device::android::fake::paint::Canvas;
use crate::device::android::fake::view::{Kind, Page, View};
use crate::geometry::{Rect, Size};

/// The bars above and below, and the on-screen keyboard, in design pixels.
const STATUS_BAR: u32 = 24;
const NAVIGATION_BAR: u32 = 40;
const KEYBOARD: u32 = 200;
/// The rows of the on-screen keyboard.
const KEYS: [&str; 4] = ["1234567890", "qwertyuiop", "asdfghjkl-", "zxcvbnm,.@"];

impl System {
    pub(super) fn dp(&self, length: u32) -> u32 {
        length * self.display.density() / 160
    }

    /// Returns the part of the screen that belongs to the app.
    fn area(&self) -> Rect {
        let size = self.size();
        let (top, bottom) = (self.dp(STATUS_BAR), self.dp(NAVIGATION_BAR));
        let keyboard = if self.keyboard_up { self.dp(KEYBOARD) } else { 0 };
        Rect {
            y: i32::try_from(top).unwrap_or(i32::MAX),
            height: size.height.saturating_sub(top + bottom + keyboard),
            ..Rect::whole(size)
        }
    }

    pub(super) fn page(&self) -> Page<'_> {
        Page {
            area: self.area(),
            density: self.display.density(),
            focus: self.focus.as_deref(),
            selected: self.selected,
        }
    }

    /// Returns what the app in front shows.
    pub(in crate::device::android::fake) fn app_views(&self) -> Vec<View> {
        self.front_app().views(&self.page(), &self.world)
    }

    /// Returns the bars, the lock screen and the keyboard: what does not belong to the app.
    pub(super) fn system_views(&self) -> Vec<View> {
        let size = self.size();
        if self.lock != Lock::Open {
            let middle = Rect { height: size.height / 2, ..Rect::whole(size) };
            let text = if self.lock == Lock::Swipe { "Swipe up to unlock" } else { "Enter PIN" };
            return vec![
                View::new(Kind::Panel, "keys", "", Rect::whole(size)),
                View::new(Kind::Label, "lock", text, middle),
            ];
        }
        let status = Rect { height: self.dp(STATUS_BAR), ..Rect::whole(size) };
        let mut views = vec![View::new(Kind::Panel, "status", "", status)];
        let height = self.dp(NAVIGATION_BAR);
        let below = |height| i32::try_from(size.height.saturating_sub(height)).unwrap_or(i32::MAX);
        let bar = Rect { y: below(height), height, ..Rect::whole(size) };
        views.push(View::new(Kind::Panel, "keys", "", bar));
        let third = size.width / 3;
        for (index, (id, text)) in (0..).zip([("back", "<"), ("home", "o"), ("recent_apps", "=")]) {
            let x = i32::try_from(third * index).unwrap_or(i32::MAX);
            views.push(View::new(Kind::Letter, id, text, Rect { x, width: third, ..bar }));
        }
        if self.keyboard_up {
            views.extend(self.keyboard_views(below(height + self.dp(KEYBOARD)), size));
        }
        views
    }

    fn keyboard_views(&self, top: i32, size: Size) -> Vec<View> {
        let (all, height) = (self.dp(KEYBOARD), self.dp(KEYBOARD) / 5);
        let panel = Rect { y: top, height: all, ..Rect::whole(size) };
        let mut views = vec![View::new(Kind::Panel, "keys", "", panel)];
        let mut add = |id: &str, text: &str, row: u32, column: u32, columns: u32| {
            let x = i32::try_from(size.width / 10 * column).unwrap_or(i32::MAX);
            let y = top.saturating_add_unsigned(row * height);
            let bounds = Rect { x, y, width: size.width / 10 * columns, height };
            views.push(View::new(Kind::Letter, id, text, bounds));
        };
        for (row, keys) in (0..).zip(KEYS) {
            for (column, key) in (0..).zip(keys.chars()) {
                add(&format!("key_{key}"), &key.to_string(), row, column, 1);
            }
        }
        add("key_del", "Del", 4, 0, 3);
        add("key_space", "space", 4, 3, 4);
        add("key_enter", "Enter", 4, 7, 3);
        views
    }

    /// Returns the pixels of `screencap`, with what may not be captured in black.
    pub(in crate::device::android::fake) fn capture(&self) -> RgbImage {
        let size = self.size();
        if !self.awake {
            return self.as_captured(RgbImage::new(size.width, size.height));
        }
        let mut canvas = Canvas::new(size.width, size.height, self.display.density());
        if self.lock == Lock::Open {
            canvas.draw(&self.app_views());
            if self.front_app().is_secure() {
                canvas.black_out(self.area());
            }
        }
        canvas.draw(&self.system_views());
        self.as_captured(canvas.into_image())
    }

    /// Some versions of Android capture the panel's own pixels, whatever `wm size` says.
    fn as_captured(&self, image: RgbImage) -> RgbImage {
        let physical = turned(self.display.physical, self.rotation());
        if self.options.captures_physical && image.dimensions() != (physical.width, physical.height)
        {
            return resize(&image, physical.width, physical.height, FilterType::Triangle);
        }
        image
    }

    /// Returns what `uiautomator dump` writes.
    pub(in crate::device::android::fake) fn dump(&self) -> String {
        let mut xml = String::from("<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>");
        // A write to a `String` cannot fail.
        let _ = write!(xml, "<hierarchy rotation=\"{}\">", self.rotation());
        let (package, views) = if self.lock == Lock::Open {
            (self.front_app().identity().package, self.app_views())
        } else {
            ("com.android.systemui", self.system_views())
        };
        let mut root = View::new(Kind::Panel, "", "", Rect::whole(self.size()));
        root.children = views;
        node(&mut xml, 0, package, &root);
        xml.push_str("</hierarchy>");
        xml
    }
}

fn node(xml: &mut String, index: usize, package: &str, view: &View) {
    let id = if view.id.is_empty() { String::new() } else { format!("{package}:id/{}", view.id) };
    let (on, click) = (view.state(), view.is_clickable());
    let is_field = matches!(view.kind, Kind::Field { .. });
    let focused = matches!(view.kind, Kind::Field { focused: true, .. });
    let selected = matches!(view.kind, Kind::Row { marked: true });
    let scrollable = view.kind == Kind::List;
    let long = matches!(view.kind, Kind::Row { .. } | Kind::Field { .. });
    let Rect { x, y, width, height } = view.bounds;
    let (right, bottom) = (x.saturating_add_unsigned(width), y.saturating_add_unsigned(height));
    let shown = match &view.kind {
        Kind::Field { hint, .. } if view.text.is_empty() => hint,
        _ => &view.text,
    };
    let text = escape(shown);
    let name = if view.kind == Kind::Icon { text.as_str() } else { "" };
    let class = view.class();
    let _ = write!(
        xml,
        "<node index=\"{index}\" text=\"{text}\" resource-id=\"{id}\" class=\"{class}\" \
         package=\"{package}\" content-desc=\"{name}\" checkable=\"{}\" checked=\"{}\" \
         clickable=\"{click}\" enabled=\"true\" focusable=\"{}\" focused=\"{focused}\" \
         scrollable=\"{scrollable}\" long-clickable=\"{long}\" password=\"false\" \
         selected=\"{selected}\" bounds=\"[{x},{y}][{right},{bottom}]\"",
        on.is_some(),
        on == Some(true),
        click || is_field,
    );
    if view.children.is_empty() {
        xml.push_str(" />");
        return;
    }
    xml.push('>');
    for (index, child) in view.children.iter().enumerate() {
        node(xml, index, package, child);
    }
    xml.push_str("</node>");
}

/// Escapes a text for an attribute, as Android's serialiser does.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            character => escaped.push(character),
        }
    }
    escaped
}
