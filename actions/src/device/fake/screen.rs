//! The screens a fake device shows, and the widgets on them.

use crate::geometry::Rect;

/// One screen of a [`FakeDevice`](super::FakeDevice).
#[derive(Clone, Debug)]
pub struct FakeScreen {
    pub(super) name: String,
    pub(super) widgets: Vec<Widget>,
}

#[derive(Clone, Debug)]
pub(super) struct Widget {
    pub(super) label: String,
    pub(super) rect: Rect,
    pub(super) kind: WidgetKind,
}

#[derive(Clone, Debug)]
pub(super) enum WidgetKind {
    Button { leads_to: Option<String> },
    Field { text: String, selected: bool },
}

impl FakeScreen {
    /// Makes an empty screen of that name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), widgets: Vec::new() }
    }

    /// Returns the screen with a button that leads to the screen of the name `leads_to`, if any.
    #[must_use]
    pub fn button(self, label: impl Into<String>, rect: Rect, leads_to: Option<&str>) -> Self {
        let leads_to = leads_to.map(str::to_owned);
        self.with(label.into(), rect, WidgetKind::Button { leads_to })
    }

    /// Returns the screen with an empty text field.
    #[must_use]
    pub fn field(self, label: impl Into<String>, rect: Rect) -> Self {
        let empty = WidgetKind::Field { text: String::new(), selected: false };
        self.with(label.into(), rect, empty)
    }

    fn with(mut self, label: String, rect: Rect, kind: WidgetKind) -> Self {
        self.widgets.push(Widget { label, rect, kind });
        self
    }
}

/// What typing does; on a button it does nothing.
impl WidgetKind {
    pub(super) fn insert(&mut self, character: char) {
        if let Self::Field { text, selected } = self {
            if std::mem::take(selected) {
                text.clear();
            }
            text.push(character);
        }
    }

    pub(super) fn erase(&mut self) {
        if let Self::Field { text, selected } = self {
            if std::mem::take(selected) {
                text.clear();
            } else {
                text.pop();
            }
        }
    }

    pub(super) fn select_all(&mut self) {
        if let Self::Field { selected, .. } = self {
            *selected = true;
        }
    }
}
