//! A form: two fields, a box to tick, and a button that writes them to a file.

use super::{App, Identity, Press, World};
use crate::device::android::fake::view::{Kind, Page, View};

/// Where the form is saved.
pub(in crate::device::android::fake) const SAVED_TO: &str = "/sdcard/Documents/profile.txt";

/// The form.
#[derive(Debug, Default)]
pub(in crate::device::android::fake) struct Profile {
    first_name: String,
    city: String,
    newsletter: bool,
    saved: bool,
}

impl App for Profile {
    fn identity(&self) -> Identity {
        Identity {
            package: "com.handsight.profile",
            activity: "com.handsight.profile.ProfileActivity",
            label: "Profile",
        }
    }

    fn views(&self, page: &Page<'_>, _world: &World) -> Vec<View> {
        let mut column = page.column();
        let title = if self.saved { "Saved" } else { "Profile" };
        let label = |text: &str, bounds| View::new(Kind::Label, "", text, bounds);
        let mut views = vec![View::new(Kind::Title, "title", title, column.row(24))];
        views.push(label("First Name", column.row(20)));
        views.push(page.field("first_name", "", &self.first_name, column.row(32)));
        views.push(label("City", column.row(20)));
        views.push(page.field("city", "", &self.city, column.row(32)));
        let check = Kind::Check { on: self.newsletter };
        views.push(View::new(check, "newsletter", "Newsletter", column.row(24)));
        let mut save = column.row(32);
        save.width = save.width / 2 - page.dp(8);
        let mut clear = save;
        clear.x = save.x.saturating_add_unsigned(save.width + page.dp(16));
        views.push(View::new(Kind::Button, "save", "Save", save));
        views.push(View::new(Kind::Button, "clear", "Clear", clear));
        views
    }

    fn press(&mut self, id: &str, _press: Press, world: &mut World) {
        match id {
            "newsletter" => self.newsletter = !self.newsletter,
            "save" => {
                let Self { first_name, city, newsletter, .. } = &self;
                let text =
                    format!("first_name={first_name}\ncity={city}\nnewsletter={newsletter}\n");
                self.saved = world.files.write(SAVED_TO, text.into_bytes(), 0o660).is_ok();
            }
            "clear" => self.stop(),
            _ => {}
        }
    }

    fn field(&mut self, id: &str) -> Option<&mut String> {
        match id {
            "first_name" => Some(&mut self.first_name),
            "city" => Some(&mut self.city),
            _ => None,
        }
    }

    fn stop(&mut self) {
        *self = Self::default();
    }
}
