//! `models compare`: a model agrees with itself, and the less the coarser it is made.

use image::{Rgb, RgbImage};
use serde_json::Value;

use super::{fixture, handsight};

fn compare(args: &[&str]) -> Value {
    let handsight = handsight();
    let folder = fixture("flat-f32");
    let folder = folder.to_str().unwrap();
    for (name, level) in [("light.png", 240), ("dark.png", 20)] {
        let pixel = |x: u32, y: u32| Rgb([level, (x % 251) as u8, (y % 251) as u8]);
        RgbImage::from_fn(140, 112, pixel).save(handsight.dir().join(name)).unwrap();
    }
    let mut command = handsight.command(&["models", "compare", folder, folder]);
    command.args(["--image", "light.png", "--image", "dark.png", "--find", "Save", "--json"]);
    let output = command.args(["--prompt", "computer-use"]).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_model_agrees_with_itself_and_less_when_quantised() {
    let same = compare(&["--exact"]);
    assert_eq!((&same["screens"], &same["top1_agreement"]), (&2.into(), &1.0.into()));
    assert_eq!(same["shift_max_px"], 0.0);
    assert!(same["kl_max"].as_f64().unwrap() < 1e-9, "{same}");
    assert!(same["tokens"].as_u64().unwrap() >= 8, "{same}");
    assert_eq!(same["each"][1]["screen"], "dark.png");
    let kl = |args: &[&str]| compare(args)["kl_mean"].as_f64().unwrap();
    let (f16, q8_0) = (kl(&["--dtype", "f16"]), kl(&["--quantize", "q8_0"]));
    assert!(1e-12 < f16 && 10.0 * f16 < q8_0 && q8_0 < 1.0, "{f16} {q8_0}");
}
