//! What a screen of the fake phone is made of.
//!
//! One list of views is drawn, hit by fingers and written by `uiautomator dump`, so the three can
//! never disagree.

use crate::geometry::{PixelPoint, Rect};

/// One thing on the screen.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// Its resource id without the package, unique on its screen; empty for what has none.
    pub(super) id: String,
    /// What is written on it.
    pub(super) text: String,
    /// Where it is.
    pub(super) bounds: Rect,
    /// What it is.
    pub(super) kind: Kind,
    /// What lies inside it.
    pub(super) children: Vec<View>,
}

/// The kinds of view.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Text.
    Label,
    /// Large text.
    Title,
    /// Something to press.
    Button,
    /// Something to type in; the text is the hint while it is empty.
    Field { focused: bool, selected: bool, hint: String },
    /// A box with a tick or without one.
    Check { on: bool },
    /// A switch.
    Switch { on: bool },
    /// A line of a list that can be pressed.
    Row { marked: bool },
    /// An app's icon with its name.
    Icon,
    /// A picture.
    Picture { liked: bool },
    /// A card that can be dragged.
    Card,
    /// A list that can be scrolled.
    List,
    /// A plain background.
    Panel,
    /// A key of the on-screen keyboard.
    Letter,
}

impl View {
    pub(super) fn new(kind: Kind, id: &str, text: &str, bounds: Rect) -> Self {
        Self { id: id.to_owned(), text: text.to_owned(), bounds, kind, children: Vec::new() }
    }

    /// Returns the name of its Java class.
    pub(super) fn class(&self) -> &'static str {
        match self.kind {
            Kind::Label | Kind::Title | Kind::Row { .. } | Kind::Icon => "android.widget.TextView",
            Kind::Button | Kind::Letter => "android.widget.Button",
            Kind::Field { .. } => "android.widget.EditText",
            Kind::Check { .. } => "android.widget.CheckBox",
            Kind::Switch { .. } => "android.widget.Switch",
            Kind::Picture { .. } => "android.widget.ImageView",
            Kind::Card => "android.view.View",
            Kind::List => "androidx.recyclerview.widget.RecyclerView",
            Kind::Panel => "android.widget.FrameLayout",
        }
    }

    /// Whether a tap does something.
    pub(super) fn is_clickable(&self) -> bool {
        !matches!(self.kind, Kind::Label | Kind::Title | Kind::List | Kind::Panel | Kind::Card)
    }

    /// Whether it is on or off, if it is something that can be.
    pub(super) fn state(&self) -> Option<bool> {
        match self.kind {
            Kind::Check { on } | Kind::Switch { on } => Some(on),
            _ => None,
        }
    }
}

/// Returns the topmost view at a point that `wanted` accepts.
pub(super) fn topmost<'a>(
    views: &'a [View],
    point: PixelPoint,
    wanted: &impl Fn(&View) -> bool,
) -> Option<&'a View> {
    views.iter().rev().filter(|view| view.bounds.contains(point)).find_map(|view| {
        topmost(&view.children, point, wanted).or_else(|| wanted(view).then_some(view))
    })
}

/// The place an app has for its views, and the size of things on this screen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    /// The app's part of the screen.
    pub(super) area: Rect,
    /// Pixels to an inch.
    pub(super) density: u32,
    /// The field with the focus.
    pub(super) focus: Option<&'a str>,
    /// Whether all of that field's text is selected.
    pub(super) selected: bool,
}

impl Page<'_> {
    /// Returns a length of the design, which counts in pixels of a screen of 160 to an inch.
    pub(super) fn dp(&self, length: u32) -> u32 {
        length * self.density / 160
    }

    /// Returns the page as it is when no field has the focus.
    pub(super) fn without_focus<'b>(&self) -> Page<'b> {
        Page { area: self.area, density: self.density, focus: None, selected: self.selected }
    }

    /// Makes a text field.
    pub(super) fn field(&self, id: &str, hint: &str, text: &str, bounds: Rect) -> View {
        let focused = self.focus == Some(id);
        let selected = focused && self.selected;
        View::new(Kind::Field { focused, selected, hint: hint.to_owned() }, id, text, bounds)
    }

    /// Returns rows of these heights, one below the other, with a margin.
    pub(super) fn column(&self) -> Column {
        let margin = self.dp(16);
        Column {
            x: self.area.x.saturating_add_unsigned(margin),
            y: self.area.y.saturating_add_unsigned(self.dp(8)),
            width: self.area.width.saturating_sub(2 * margin),
            density: self.density,
        }
    }
}

/// Places views one below the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    x: i32,
    y: i32,
    width: u32,
    density: u32,
}

impl Column {
    /// Returns the next row, this many design pixels high.
    pub(super) fn row(&mut self, height: u32) -> Rect {
        let height = height * self.density / 160;
        let rect = Rect { x: self.x, y: self.y, width: self.width, height };
        self.y = self.y.saturating_add_unsigned(height + 8 * self.density / 160);
        rect
    }
}
