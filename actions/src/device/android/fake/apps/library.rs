//! A list longer than the screen: a tap opens a line of it, a long press marks one, and what is
//! open has a picture that a double tap likes.

use std::collections::BTreeSet;

use super::{App, Identity, Press, World};
use crate::device::android::fake::view::{Kind, Page, View};
use crate::geometry::Rect;

/// How many lines the list has.
const BOOKS: u32 = 40;
/// How high a line is, in design pixels.
const ROW: u32 = 48;

/// The list.
#[derive(Debug, Default)]
pub(in crate::device::android::fake) struct Library {
    /// How far the list was scrolled, in pixels.
    scrolled: u32,
    open: Option<u32>,
    marked: BTreeSet<u32>,
    liked: BTreeSet<u32>,
}

fn list_area(page: &Page<'_>) -> Rect {
    let top = page.dp(40);
    Rect {
        y: page.area.y.saturating_add_unsigned(top),
        height: page.area.height.saturating_sub(top),
        ..page.area
    }
}

impl Library {
    fn list(&self, page: &Page<'_>) -> View {
        let area = list_area(page);
        let mut list = View::new(Kind::List, "books", "", area);
        let height = page.dp(ROW).max(1);
        for book in self.scrolled / height..BOOKS {
            let y = area.y.saturating_add_unsigned(book * height);
            let y = y.saturating_sub_unsigned(self.scrolled);
            if y >= area.y.saturating_add_unsigned(area.height) {
                break;
            }
            let kind = Kind::Row { marked: self.marked.contains(&book) };
            let row = Rect { y, height, ..area };
            list.children.push(View::new(
                kind,
                &format!("book_{}", book + 1),
                &format!("Book {}", book + 1),
                clip(row, area),
            ));
        }
        list
    }
}

/// Cuts off what sticks out above or below.
fn clip(row: Rect, area: Rect) -> Rect {
    let end = |rect: Rect| rect.y.saturating_add_unsigned(rect.height);
    let top = row.y.max(area.y);
    let height = u32::try_from(end(row).min(end(area)) - top).unwrap_or(0);
    Rect { y: top, height, ..row }
}

impl App for Library {
    fn identity(&self) -> Identity {
        Identity {
            package: "com.handsight.library",
            activity: "com.handsight.library.LibraryActivity",
            label: "Library",
        }
    }

    fn views(&self, page: &Page<'_>, _world: &World) -> Vec<View> {
        let mut column = page.column();
        let Some(book) = self.open else {
            let title = View::new(Kind::Title, "title", "Library", column.row(24));
            return vec![title, self.list(page)];
        };
        let liked = self.liked.contains(&book);
        let title = format!("Book {}{}", book + 1, if liked { " (liked)" } else { "" });
        vec![
            View::new(Kind::Title, "title", &title, column.row(24)),
            View::new(Kind::Picture { liked }, "picture", "", column.row(160)),
        ]
    }

    fn press(&mut self, id: &str, press: Press, _world: &mut World) {
        let book = id.strip_prefix("book_").and_then(|number| number.parse::<u32>().ok());
        match (book, self.open, press) {
            (Some(book), _, Press::Once) => self.open = Some(book - 1),
            (Some(book), _, Press::Long) => {
                let was_marked = self.marked.remove(&(book - 1));
                self.marked.extend((!was_marked).then_some(book - 1));
            }
            (None, Some(open), Press::Twice) if id == "picture" => {
                self.liked.insert(open);
            }
            _ => {}
        }
    }

    fn scroll(&mut self, pixels: i64, page: &Page<'_>) {
        let most = (BOOKS * page.dp(ROW)).saturating_sub(list_area(page).height);
        let scrolled = (i64::from(self.scrolled) - pixels).clamp(0, most.into());
        self.scrolled = u32::try_from(scrolled).expect("clamped to what a list is long");
    }

    fn back(&mut self) -> bool {
        self.open.take().is_some()
    }

    fn stop(&mut self) {
        *self = Self::default();
    }
}
