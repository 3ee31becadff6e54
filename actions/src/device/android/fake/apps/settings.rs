//! The phone's settings: switches, each with the key that `settings get` shows.

use super::{App, Identity, Press, World};
use crate::device::android::fake::view::{Kind, Page, View};

/// The switches: id, name, namespace and key.
const SWITCHES: [(&str, &str, &str, &str); 4] = [
    ("wifi", "Wi-Fi", "global", "wifi_on"),
    ("airplane_mode", "Airplane mode", "global", "airplane_mode_on"),
    ("auto_rotate", "Auto-rotate", "system", "accelerometer_rotation"),
    ("dark_theme", "Dark theme", "secure", "ui_night_mode"),
];

/// The settings.
#[derive(Debug, Default)]
pub(in crate::device::android::fake) struct Settings;

impl App for Settings {
    fn identity(&self) -> Identity {
        Identity {
            package: "com.android.settings",
            activity: "com.android.settings.Settings",
            label: "Settings",
        }
    }

    fn views(&self, page: &Page<'_>, world: &World) -> Vec<View> {
        let mut column = page.column();
        let mut views = vec![View::new(Kind::Title, "title", "Settings", column.row(24))];
        for (id, name, namespace, key) in SWITCHES {
            let kind = Kind::Switch { on: world.is_on(namespace, key) };
            views.push(View::new(kind, id, name, column.row(40)));
        }
        views
    }

    fn press(&mut self, id: &str, _press: Press, world: &mut World) {
        let switch = SWITCHES.iter().find(|(name, ..)| *name == id);
        if let Some((_, _, namespace, key)) = switch {
            let on = world.is_on(namespace, key);
            world.set(namespace, key, if on { "0" } else { "1" });
        }
    }

    fn stop(&mut self) {}
}
