//! A window that may not be captured: what it shows is black in every screenshot.

use super::{App, Identity, Press, World};
use crate::device::android::fake::view::{Kind, Page, View};

/// The secret window.
#[derive(Debug, Default)]
pub(in crate::device::android::fake) struct Vault;

impl App for Vault {
    fn identity(&self) -> Identity {
        Identity {
            package: "com.handsight.vault",
            activity: "com.handsight.vault.VaultActivity",
            label: "Vault",
        }
    }

    fn is_secure(&self) -> bool {
        true
    }

    fn views(&self, page: &Page<'_>, _world: &World) -> Vec<View> {
        let mut column = page.column();
        vec![
            View::new(Kind::Title, "title", "Vault", column.row(24)),
            View::new(Kind::Label, "pin", "4711", column.row(20)),
        ]
    }

    fn press(&mut self, _id: &str, _press: Press, _world: &mut World) {}

    fn stop(&mut self) {}
}
