//! Of a screen that was seen a moment ago only what was drawn since is read again; that is the same picture as
//! one of which everything is read.

use handsight_actions::{DesktopDevice, DesktopOptions, Device as _, PixelPoint, Rect};
use handsight_tests::apps::Terminal;
use handsight_tests::page::Page;
use handsight_tests::wait::{ANSWERING, wait_until};
use handsight_tests::xserver::XServer;
use image::RgbImage;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    ChangeGCAux, ConfigureWindowAux, ConnectionExt as _, CreateGCAux, CreateWindowAux, Rectangle,
    StackMode, WindowClass,
};
use x11rb::wrapper::ConnectionExt as _;

use super::{click, type_text};

fn seen(device: &mut DesktopDevice) -> RgbImage {
    device.observe().unwrap().screenshot.image
}

/// Numbers that look like chance, and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u32) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % most
    }

    /// A rectangle that may reach beyond the screen.
    fn rectangle(&mut self) -> Rectangle {
        let place = |value: u32| i16::try_from(value).unwrap() - 30;
        let side = |value: u32| u16::try_from(value).unwrap() + 1;
        Rectangle {
            x: place(self.below(680)),
            y: place(self.below(520)),
            width: side(self.below(120)),
            height: side(self.below(90)),
        }
    }
}

#[test]
fn whatever_is_drawn_is_seen() {
    let server = XServer::start("640x480x24").unwrap();
    let x = server.connection();
    let root = x.setup().roots[0].root;
    let gc = x.generate_id().unwrap();
    x.create_gc(gc, root, &CreateGCAux::new()).unwrap();
    let region = Rect { x: 100, y: 90, width: 333, height: 201 };
    let display = Some(server.display().to_owned());
    let region = DesktopOptions { region: Some(region), display, ..DesktopOptions::default() };
    let (mut device, mut part) = (server.device().unwrap(), DesktopDevice::open(&region).unwrap());
    let (mut dice, mut windows) = (Dice(7), Vec::new());
    for round in 0..400 {
        for _ in 0..=dice.below(12) {
            let place = dice.rectangle();
            let color = dice.below(1 << 24);
            let any = (!windows.is_empty())
                .then(|| windows[dice.below(u32::try_from(windows.len()).unwrap()) as usize]);
            x.change_gc(gc, &ChangeGCAux::new().foreground(color)).unwrap();
            match (dice.below(8), any) {
                (0, _) if windows.len() < 12 => {
                    let window = x.generate_id().unwrap();
                    let inside = any.filter(|_| color % 3 == 0).unwrap_or(root);
                    let looks = CreateWindowAux::new().background_pixel(color);
                    let Rectangle { x: left, y: top, width, height } = place;
                    let (class, depth) = (WindowClass::INPUT_OUTPUT, x11rb::COPY_DEPTH_FROM_PARENT);
                    x.create_window(
                        depth, window, inside, left, top, width, height, 1, class, 0, &looks,
                    )
                    .unwrap();
                    x.map_window(window).unwrap();
                    windows.push(window);
                }
                (1, Some(window)) => {
                    let to = ConfigureWindowAux::new().x(i32::from(place.x)).y(i32::from(place.y));
                    x.configure_window(window, &to.stack_mode(StackMode::OPPOSITE)).unwrap();
                }
                (2, Some(window)) => {
                    let (width, height) = (u32::from(place.width), u32::from(place.height));
                    let to = ConfigureWindowAux::new().width(width).height(height);
                    x.configure_window(window, &to).unwrap();
                }
                (3, Some(window)) => drop(x.unmap_window(window).unwrap()),
                (4, Some(window)) => drop(x.map_window(window).unwrap()),
                (5, _) => {
                    let Rectangle { x: left, y: top, width, height } = place;
                    x.copy_area(root, root, gc, 50, 60, left, top, width, height).unwrap();
                }
                (_, window) => {
                    drop(x.poly_fill_rectangle(window.unwrap_or(root), gc, &[place]).unwrap());
                }
            }
        }
        x.sync().unwrap();
        let expected = server.pixels().unwrap();
        assert!(seen(&mut device) == expected, "round {round}");
        let cut = image::imageops::crop_imm(&expected, 100, 90, 333, 201).to_image();
        assert!(seen(&mut part) == cut, "the region in round {round}");
    }
}

#[test]
fn applications_are_seen_as_they_are() {
    let server = XServer::start_managed("900x700x24").unwrap();
    let mut device = server.device().unwrap();
    let check = |device: &mut DesktopDevice, what: &str| {
        wait_until(what, ANSWERING, || {
            // What is drawn while it is looked at is no mistake.
            let before = server.pixels().unwrap();
            let image = seen(device);
            Ok(before == image && image == server.pixels().unwrap())
        })
        .unwrap();
    };
    let _terminal = Terminal::open(&server).unwrap();
    for line in 0..30 {
        type_text(&mut device, &format!("line {line}\n"));
        seen(&mut device);
    }
    check(&mut device, "the terminal is seen otherwise");
    let page = Page::open(&server, &"<p>Some words of a page".repeat(90), [500, 400]).unwrap();
    click(&mut device, PixelPoint { x: 250, y: 250 });
    for _ in 0..10 {
        super::press(&mut device, "down");
        seen(&mut device);
    }
    page.settled().unwrap();
    check(&mut device, "the page is seen otherwise");
}
