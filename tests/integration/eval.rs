//! Benchmarks: what is imported, asked, judged and reported, and that it is the same however it is done.

mod asking;
mod episodes;
mod import;
mod report;
mod run;
mod scorers;

use std::path::{Path, PathBuf};

use fs_err as fs;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

/// Writes a small picture.
fn picture(path: &Path, width: u32, height: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let shade = u8::try_from(width % 200).unwrap();
    RgbImage::from_pixel(width, height, Rgb([shade, 90, 160])).save(path).unwrap();
}

/// Writes a file with a value as JSON.
fn write_json(path: &Path, value: &Value) -> PathBuf {
    fs::write(path, value.to_string()).unwrap();
    path.to_owned()
}

/// Writes annotations in this program's own form, and their pictures: `count` questions, two about each.
fn own_set(folder: &Path, count: usize) -> PathBuf {
    let mut lines = Vec::new();
    for index in 0..count {
        let image = format!("img/{}.png", index / 2);
        picture(&folder.join(&image), 84 + u32::try_from(index / 2).unwrap() * 28, 84);
        let (platform, kind) = (["web", "mobile"][index % 2], ["text", "icon"][index / 2 % 2]);
        let item = json!({
            "id": format!("q{index}"), "image": image, "instruction": format!("Save {index}"),
            "target": {"box": [10, 10, 40, 30]},
            "tags": {"platform": platform, "ui_type": kind},
        });
        lines.push(item.to_string());
    }
    let file = folder.join("items.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    file
}
