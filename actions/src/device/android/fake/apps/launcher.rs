//! The home screen: an icon for each app.

use super::{App, Identity, Press, World};
use crate::device::android::fake::view::{Kind, Page, View};
use crate::geometry::Rect;

/// The home screen.
#[derive(Debug, Default)]
pub(in crate::device::android::fake) struct Launcher;

impl App for Launcher {
    fn identity(&self) -> Identity {
        Identity {
            package: "com.android.launcher3",
            activity: "com.android.launcher3.Launcher",
            label: "Home",
        }
    }

    fn views(&self, page: &Page<'_>, world: &World) -> Vec<View> {
        let columns = if page.area.width > page.area.height { 5 } else { 3 };
        let (width, height) = (page.area.width / columns, page.dp(96));
        let icons = world.icons.iter().zip(0..);
        icons
            .map(|(app, index)| {
                let bounds = Rect {
                    x: page.area.x.saturating_add_unsigned(index % columns * width),
                    y: page.area.y.saturating_add_unsigned(page.dp(16) + index / columns * height),
                    width,
                    height,
                };
                View::new(Kind::Icon, &format!("icon_{index}"), app.label, bounds)
            })
            .collect()
    }

    fn press(&mut self, id: &str, _press: Press, world: &mut World) {
        let index = id.strip_prefix("icon_").and_then(|index| index.parse::<usize>().ok());
        world.wanted = index.and_then(|index| world.icons.get(index)).map(|app| app.package);
    }

    fn stop(&mut self) {}
}
