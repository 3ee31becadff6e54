//! A card that can be dragged over a board.

use super::{App, Identity, Press, World};
use crate::device::android::fake::view::{Kind, Page, View};
use crate::geometry::{PixelPoint, Rect};

/// The side of the card, in design pixels.
const CARD: u32 = 64;

/// The board.
#[derive(Debug, Default)]
pub(in crate::device::android::fake) struct Board {
    /// Where the card's middle is, once it was moved.
    card: Option<PixelPoint>,
}

impl Board {
    fn card(&self, page: &Page<'_>) -> Rect {
        let side = page.dp(CARD);
        let start = PixelPoint {
            x: page.area.x.saturating_add_unsigned(side),
            y: page.area.y.saturating_add_unsigned(page.dp(96)),
        };
        let middle = self.card.unwrap_or(start);
        Rect {
            x: middle.x.saturating_sub_unsigned(side / 2),
            y: middle.y.saturating_sub_unsigned(side / 2),
            width: side,
            height: side,
        }
    }
}

impl App for Board {
    fn identity(&self) -> Identity {
        Identity {
            package: "com.handsight.board",
            activity: "com.handsight.board.BoardActivity",
            label: "Board",
        }
    }

    fn views(&self, page: &Page<'_>, _world: &World) -> Vec<View> {
        vec![
            View::new(Kind::Title, "title", "Board", page.column().row(24)),
            View::new(Kind::Card, "card", "Card", self.card(page)),
        ]
    }

    fn press(&mut self, _id: &str, _press: Press, _world: &mut World) {}

    fn drag(&mut self, from: PixelPoint, to: PixelPoint, page: &Page<'_>) {
        if self.card(page).contains(from) && page.area.contains(to) {
            self.card = Some(to);
        }
    }

    fn stop(&mut self) {
        *self = Self::default();
    }
}
