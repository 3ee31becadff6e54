//! A person's fingers on the fake phone, as `getevent` tells of them.

use std::io::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::device::Phone;
use super::stream::Stream;
use super::system::System;
use crate::device::android::adb::shell_protocol::{Kind, write_packet};
use crate::geometry::PixelPoint;

/// The command that tells of every event.
pub(super) const FOLLOW: &str = "getevent -lt";

/// How far the panel counts; it has its own units, as real ones have.
const MOST: f64 = 4095.0;

/// What `getevent -lp` tells.
pub(super) const INPUTS: &str = "add device 1: /dev/input/event1
  name:     \"fake_panel\"
  events:
    KEY (0001): BTN_TOUCH
    ABS (0003): ABS_MT_SLOT           : value 0, min 0, max 9, fuzz 0, flat 0, resolution 0
                ABS_MT_POSITION_X     : value 0, min 0, max 4095, fuzz 0, flat 0, resolution 0
                ABS_MT_POSITION_Y     : value 0, min 0, max 4095, fuzz 0, flat 0, resolution 0
                ABS_MT_TRACKING_ID    : value 0, min 0, max 65535, fuzz 0, flat 0, resolution 0
  input props:
    INPUT_PROP_DIRECT
";

/// How often it is looked whether there is something to tell.
const BEAT: Duration = Duration::from_millis(10);

/// Notes what the kernel has to tell of a finger.
pub(super) fn touch(system: &mut System, from: PixelPoint, to: PixelPoint, time: Duration) {
    let down = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (start, end) = (on_panel(system, from), on_panel(system, to));
    let mut tell = |at: Duration, kind: &str, code: &str, value: u32| {
        let seconds = at.as_secs_f64();
        let line = format!("[{seconds:15.6}] /dev/input/event1: {kind:<12} {code:<20} {value:08x}");
        system.fingers.push(line);
    };
    tell(down, "EV_ABS", "ABS_MT_TRACKING_ID", 1);
    for (at, (x, y), last) in [(down, start, false), (down + time, end, true)] {
        tell(at, "EV_ABS", "ABS_MT_POSITION_X", x);
        tell(at, "EV_ABS", "ABS_MT_POSITION_Y", y);
        if last {
            tell(at, "EV_ABS", "ABS_MT_TRACKING_ID", u32::MAX);
        }
        tell(at, "EV_SYN", "SYN_REPORT", 0);
    }
}

/// Returns where a pixel of the screen is on the panel, which does not turn with it.
fn on_panel(system: &System, point: PixelPoint) -> (u32, u32) {
    let size = system.size();
    let share = |at: i32, side: u32| (f64::from(at) + 0.5) / f64::from(side);
    let (x, y) = (share(point.x, size.width), share(point.y, size.height));
    let (x, y) = match system.rotation() {
        1 => (1.0 - y, x),
        2 => (1.0 - x, 1.0 - y),
        3 => (y, 1.0 - x),
        _ => (x, y),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
    let unit = |share: f64| (share * (MOST + 1.0)).floor().clamp(0.0, MOST) as u32;
    (unit(x), unit(y))
}

/// Tells of every finger from now on, until whoever listens hangs up.
pub(super) fn follow(phone: &Phone, stream: &mut Stream, in_packets: bool) -> io::Result<()> {
    let mut told = phone.lock().fingers.len();
    while !phone.is_alone() {
        let news: Vec<String> = phone.lock().fingers.iter().skip(told).cloned().collect();
        told += news.len();
        for line in news {
            // Its terminal ends lines so.
            let line = format!("{line}\r\n");
            if in_packets {
                write_packet(&mut *stream, Kind::Stdout, line.as_bytes())?;
            } else {
                stream.write_all(line.as_bytes())?;
            }
        }
        phone.rest(BEAT);
    }
    Ok(())
}
