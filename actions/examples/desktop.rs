//! Performs actions on the desktop and saves what the screen shows then.
//!
//! ```console
//! $ cargo run --example desktop -- shot.png '{"action":"left_click","coordinate":[120,44]}' \
//!       '{"action":"type","text":"José 中文 😀"}'
//! ```

use std::error::Error;
use std::time::Instant;

use handsight_actions::{Action, DesktopDevice, DesktopOptions, Device as _};

#[expect(clippy::print_stdout, reason = "an example of a program, not a library")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("name the image to save, then the actions as JSON")?;
    let mut device = DesktopDevice::open(&DesktopOptions::default())?;
    println!("{}: {} px", device.info().name, device.info().size);
    for argument in arguments {
        let action: Action = serde_json::from_str(&argument)?;
        let start = Instant::now();
        device.perform(&action)?;
        println!("{action} in {:.1?}", start.elapsed());
    }
    let start = Instant::now();
    let observation = device.observe()?;
    let app = observation.foreground_app.as_deref().unwrap_or("nothing");
    println!("saw {app} in {:.1?}", start.elapsed());
    observation.screenshot.image.save(path)?;
    device.release_all()?;
    Ok(())
}
