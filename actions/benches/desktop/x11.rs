//! The X11 backend, and the requests it is made of.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt as _;
use std::process::{Child, Command, Stdio};

use divan::Bencher;
use handsight_actions::{
    Action, DesktopDevice, DesktopOptions, Device as _, Direction, PixelPoint,
};
use x11rb::connection::Connection as _;
use x11rb::protocol::shm::ConnectionExt as _;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, CreateGCAux, ImageFormat,
    KEY_PRESS_EVENT, KEY_RELEASE_EVENT, MOTION_NOTIFY_EVENT, Rectangle,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

const SCREENS: [&str; 2] = ["1280x720", "1920x1080"];
/// The code of the key `a` on the layout that Xvfb starts with.
const KEY_A: u8 = 38;

/// An Xvfb, and a connection to it beside that of the device.
struct Server {
    process: Child,
    display: String,
    x11: RustConnection,
    root: u32,
    size: (u16, u16),
}

impl Server {
    fn start(screen: &str) -> Self {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-nolisten", "tcp", "-noreset"]);
        command.args(["-screen", "0", &format!("{screen}x24")]);
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("`make deps` installs Xvfb");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("Xvfb names its display");
        let display = format!(":{}", line.trim());
        let (x11, index) = x11rb::connect(Some(&display)).expect("Xvfb takes connections");
        let screen = &x11.setup().roots[index];
        let (root, size) = (screen.root, (screen.width_in_pixels, screen.height_in_pixels));
        let server = Self { process, display, x11, root, size };
        server.paint();
        server
    }

    /// Covers the screen with stripes, so that no picture of it is flat.
    fn paint(&self) {
        for row in 0..self.size.1 / 4 {
            let color = (u32::from(row) * 0x0001_0305) & 0x00FF_FFFF;
            let y = i16::try_from(row * 4).expect("a screen is not so high");
            self.fill([0, y], [self.size.0, 4], color);
        }
        self.x11.sync().expect("the server answers");
    }

    /// Fills a rectangle.
    fn fill(&self, [x, y]: [i16; 2], [width, height]: [u16; 2], color: u32) {
        let gc = self.x11.generate_id().expect("ids are left");
        let values = CreateGCAux::new().foreground(color);
        self.x11.create_gc(gc, self.root, &values).expect("it is sent");
        let area = Rectangle { x, y, width, height };
        self.x11.poly_fill_rectangle(self.root, gc, &[area]).expect("it is sent");
        self.x11.free_gc(gc).expect("it is sent");
    }

    fn device(&self) -> DesktopDevice {
        let display = Some(self.display.clone());
        DesktopDevice::open(&DesktopOptions { display, ..DesktopOptions::default() })
            .expect("the server was started above")
    }

    fn fake(&self, kind: u8, detail: u8, x: i16, y: i16) {
        self.x11.xtest_fake_input(kind, detail, 0, self.root, x, y, 0).expect("it is sent");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended needs no end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The server's pixels in shared memory, as they are: nobody reads them.
#[divan::bench(args = SCREENS)]
fn capture_raw_shm(bencher: Bencher<'_, '_>, screen: &str) {
    let server = Server::start(screen);
    let (id, _file) = segment(&server);
    bencher.bench_local(|| shm_get_image(&server, id));
}

/// The same, and read into a buffer of ours, as they are.
#[divan::bench(args = SCREENS)]
fn capture_raw_shm_and_read(bencher: Bencher<'_, '_>, screen: &str) {
    let server = Server::start(screen);
    let (id, file) = segment(&server);
    let mut pixels = vec![0; usize::from(server.size.0) * usize::from(server.size.1) * 4];
    bencher.bench_local(|| {
        shm_get_image(&server, id);
        file.read_exact_at(&mut pixels, 0).expect("the memory is as long");
    });
}

/// The server's pixels through the socket, as they are.
#[divan::bench(args = SCREENS)]
fn capture_raw_socket(bencher: Bencher<'_, '_>, screen: &str) {
    let server = Server::start(screen);
    let (width, height) = server.size;
    bencher.bench_local(|| {
        let request = server
            .x11
            .get_image(ImageFormat::Z_PIXMAP, server.root, 0, 0, width, height, !0)
            .expect("it is sent");
        request.reply().expect("the server answers")
    });
}

/// What a policy gets, a picture in RGB and the name of the program in front, when all has changed.
#[divan::bench(args = SCREENS, sample_size = 1)]
fn capture(bencher: Bencher<'_, '_>, screen: &str) {
    let server = Server::start(screen);
    let mut device = server.device();
    bencher.with_inputs(|| server.paint()).bench_local_values(|()| device.observe());
}

/// The same when a line of text has changed.
#[divan::bench(args = SCREENS, sample_size = 1)]
fn capture_changed_line(bencher: Bencher<'_, '_>, screen: &str) {
    let server = Server::start(screen);
    let mut device = server.device();
    let change = || server.fill([100, 300], [600, 20], 0x00AA_BBCC);
    bencher.with_inputs(change).bench_local_values(|()| device.observe());
}

/// The same when nothing has changed.
#[divan::bench(args = SCREENS)]
fn capture_still(bencher: Bencher<'_, '_>, screen: &str) {
    let server = Server::start(screen);
    let mut device = server.device();
    bencher.bench_local(|| device.observe());
}

/// A window of it, with the looks at what might lie on it.
#[divan::bench(args = SCREENS)]
fn capture_region_320x200(bencher: Bencher<'_, '_>, screen: &str) {
    let server = Server::start(screen);
    let region = handsight_actions::Rect { x: 100, y: 100, width: 320, height: 200 };
    let options = DesktopOptions {
        region: Some(region),
        display: Some(server.display.clone()),
        ..DesktopOptions::default()
    };
    let mut device = DesktopDevice::open(&options).expect("the server was started above");
    bencher.bench_local(|| device.observe());
}

#[divan::bench(args = SCREENS)]
fn fingerprint(bencher: Bencher<'_, '_>, screen: &str) {
    let server = Server::start(screen);
    let screenshot = server.device().observe().expect("the server was started above").screenshot;
    bencher.bench_local(|| black_box(&screenshot).fingerprint());
}

#[divan::bench]
fn move_raw_xtest(bencher: Bencher<'_, '_>) {
    let server = Server::start(SCREENS[0]);
    let mut x = 0;
    bencher.bench_local(|| {
        x = (x + 7) % 1000;
        server.fake(MOTION_NOTIFY_EVENT, 0, x, 100);
        server.x11.sync().expect("the server answers");
    });
}

#[divan::bench]
fn move_pointer(bencher: Bencher<'_, '_>) {
    let server = Server::start(SCREENS[0]);
    let mut device = server.device();
    let mut x = 0;
    bencher.bench_local(|| {
        x = (x + 7) % 1000;
        device.perform(&Action::MouseMove { coordinate: PixelPoint { x, y: 100 } })
    });
}

#[divan::bench]
fn click_raw_xtest(bencher: Bencher<'_, '_>) {
    let server = Server::start(SCREENS[0]);
    bencher.bench_local(|| {
        server.fake(MOTION_NOTIFY_EVENT, 0, 100, 100);
        server.fake(BUTTON_PRESS_EVENT, 1, 0, 0);
        server.fake(BUTTON_RELEASE_EVENT, 1, 0, 0);
        server.x11.sync().expect("the server answers");
    });
}

#[divan::bench]
fn click(bencher: Bencher<'_, '_>) {
    let server = Server::start(SCREENS[0]);
    let mut device = server.device();
    let coordinate = PixelPoint { x: 100, y: 100 };
    bencher.bench_local(|| device.perform(&Action::LeftClick { coordinate }));
}

#[divan::bench]
fn type_10_raw_xtest(bencher: Bencher<'_, '_>) {
    let server = Server::start(SCREENS[0]);
    bencher.bench_local(|| {
        for _ in 0..10 {
            server.fake(KEY_PRESS_EVENT, KEY_A, 0, 0);
            server.fake(KEY_RELEASE_EVENT, KEY_A, 0, 0);
        }
        server.x11.sync().expect("the server answers");
    });
}

#[divan::bench]
fn type_10(bencher: Bencher<'_, '_>) {
    let server = Server::start(SCREENS[0]);
    let mut device = server.device();
    let action = Action::Type { text: "aaaaaaaaaa".to_owned() };
    bencher.bench_local(|| device.perform(&action));
}

#[divan::bench]
fn scroll_3(bencher: Bencher<'_, '_>) {
    let server = Server::start(SCREENS[0]);
    let mut device = server.device();
    let coordinate = Some(PixelPoint { x: 100, y: 100 });
    let action = Action::Scroll { coordinate, direction: Direction::Down, amount: 3 };
    bencher.bench_local(|| device.perform(&action));
}

#[divan::bench]
fn drag(bencher: Bencher<'_, '_>) {
    let server = Server::start(SCREENS[0]);
    let mut device = server.device();
    let (coordinate, coordinate2) = (PixelPoint { x: 100, y: 100 }, PixelPoint { x: 400, y: 300 });
    bencher.bench_local(|| device.perform(&Action::Drag { coordinate, coordinate2 }));
}

/// Returns memory that the server shares, as long as its screen.
fn segment(server: &Server) -> (u32, File) {
    let length = u32::from(server.size.0) * u32::from(server.size.1) * 4;
    let id = server.x11.generate_id().expect("ids are left");
    let request = server.x11.shm_create_segment(id, length, false).expect("it is sent");
    (id, File::from(request.reply().expect("the server shares memory").shm_fd))
}

fn shm_get_image(server: &Server, segment: u32) {
    let (width, height) = server.size;
    let format = ImageFormat::Z_PIXMAP.into();
    let request = server
        .x11
        .shm_get_image(server.root, 0, 0, width, height, !0, format, segment, 0)
        .expect("it is sent");
    request.reply().expect("the server answers");
}
