//! Images and videos from files, the real ffmpeg included.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;
use handsight_model::CancelFlag;
use handsight_model::media::image::{DecodeLimits, open as open_image};
use handsight_model::media::video::{FrameChoice, Rate, VideoOptions, open as open_video};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/media").join(name)
}

#[test]
fn images_other_programs_wrote_are_read_as_people_see_them() {
    // What Pillow reads of them, over white and turned upright, at the corners.
    let check = |name: &str, size: (u32, u32), tolerance: u8, corners: [[u8; 3]; 4]| {
        let image = open_image(&fixture(name), &DecodeLimits::default()).unwrap();
        let (width, height) = image.dimensions();
        assert_eq!((width, height), size, "{name}");
        let (right, bottom) = (width - 1, height - 1);
        for ((x, y), expected) in
            [(0, 0), (right, 0), (0, bottom), (right, bottom)].into_iter().zip(corners)
        {
            let found = image.get_pixel(x, y).0;
            let is_near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= tolerance);
            assert!(is_near, "{name} at ({x}, {y}): {found:?}, not {expected:?}");
        }
    };
    let (red, green, blue) = ([255, 0, 0], [0, 255, 0], [0, 0, 255]);
    let yellow = [255, 255, 0];
    check("turned.jpg", (8, 16), 40, [blue, red, yellow, green]);
    check("cmyk.jpg", (16, 8), 40, [red, green, blue, yellow]);
    check("palette.png", (16, 8), 0, [[255; 3], green, blue, yellow]);
    check("grey16.png", (16, 8), 1, [[0; 3], [255; 3], [64; 3], [128; 3]]);
    check("clear.webp", (16, 8), 0, [[255; 3], green, [127, 127, 255], yellow]);
    check("part.gif", (16, 8), 0, [[255; 3], [255; 3], [255; 3], blue]);
}

/// Writes a video of grey frames of 112×112 px, 10 a second, frame `i` having the level `i`.
fn video(dir: &TempDir, name: &str, count: u8, arguments: &[&str]) -> PathBuf {
    let path = dir.path().join(name);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "112x112"]);
    command.args(["-r", "10", "-i", "pipe:0"]).args(arguments);
    command.arg(format!("file:{}", path.display())).stdin(Stdio::piped());
    let mut child = command.spawn().expect("`make deps` installs ffmpeg");
    let mut stdin = child.stdin.take().unwrap();
    for index in 0..count {
        stdin.write_all(&vec![index; 112 * 112 * 3]).unwrap();
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    path
}

/// Which frames were taken, and how many a second.
fn taken(path: &Path, options: &VideoOptions) -> (Vec<u8>, f64) {
    let video = open_video(path, options, &CancelFlag::default()).unwrap();
    let frames = video.frames.iter().map(|frame| frame.get_pixel(50, 50)[0]);
    (frames.collect(), video.fps)
}

const LOSSLESS: &[&str] = &["-c:v", "ffv1", "-pix_fmt", "bgr0"];
const LOSSLESS_MOV: &[&str] = &["-c:v", "png"];

#[test]
fn video_files_give_exactly_the_frames_of_the_reference() {
    let dir = tempfile::tempdir().unwrap();
    let plain = VideoOptions::default();
    // 80 frames of 10 a second are 8 s, so 16 frames: linspace(0, 79, 16), rounded.
    let expected = vec![0, 5, 11, 16, 21, 26, 32, 37, 42, 47, 53, 58, 63, 68, 74, 79];
    let names = [("-y plain.mkv", LOSSLESS), ("a:b %d.mov", LOSSLESS_MOV)];
    for (name, arguments) in names {
        let path = video(&dir, name, 80, arguments);
        assert_eq!(taken(&path, &plain), (expected.clone(), 2.0), "{name}");
    }
    let part = FrameChoice { rate: Rate::Frames(4), start: Some(2.0), end: Some(5.0) };
    let part = VideoOptions { choice: part, ..plain.clone() };
    let (frames, fps) = taken(&dir.path().join("-y plain.mkv"), &part);
    assert_eq!(frames, [20, 30, 40, 50]);
    assert!((fps - 4.0 / 3.1).abs() < 1e-9);
    // As many frames as a video can have at most.
    let path = video(&dir, "long.avi", 200, LOSSLESS);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-stream_loop", "4", "-i"]).arg(&path).args(["-c", "copy"]);
    assert!(command.arg(dir.path().join("longer.mkv")).status().unwrap().success());
    let all = FrameChoice { rate: Rate::Frames(768), ..FrameChoice::default() };
    let all = VideoOptions { choice: all, ..plain };
    let (frames, fps) = taken(&dir.path().join("longer.mkv"), &all);
    assert_eq!(frames.len(), 768);
    assert_eq!(frames[767], 199);
    assert!((fps - 7.68).abs() < 1e-9, "{fps}");
}

#[test]
fn a_turned_video_is_upright() {
    let dir = tempfile::tempdir().unwrap();
    let path = video(&dir, "flat.mp4", 12, &["-vf", "scale=224:112", "-c:v", "mpeg4"]);
    let turned = dir.path().join("turned.mp4");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(&path).args(["-c", "copy"]);
    command.args(["-metadata:s:v", "rotate=90"]).arg(&turned);
    assert!(command.status().unwrap().success());
    let size = |path: &Path| {
        let video = open_video(path, &VideoOptions::default(), &CancelFlag::default()).unwrap();
        video.limits.resized.unwrap()
    };
    let (width, height) = size(&path);
    assert!(width > height);
    assert_eq!(size(&turned), (height, width));
}

#[test]
fn what_is_no_video_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let check = |name: &str, content: &str, expected: &str| {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        let err = open_video(&path, &VideoOptions::default(), &CancelFlag::default()).unwrap_err();
        let message = err.to_string();
        assert!(message.contains(name) && message.contains(expected), "{message}");
    };
    check("text.mp4", "hello", "ffprobe found no video in it: ");
    check("empty.mkv", "", "ffprobe found no video in it: ");
    // A play list would make ffmpeg open what it names.
    let video = video(&dir, "secret.ts", 20, &["-c:v", "mpeg2video"]);
    let list = format!("#EXTM3U\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n", video.display());
    check("list.m3u8", &list, "ffprobe found no video in it");
    let list = format!("ffconcat version 1.0\nfile '{}'\n", video.display());
    check("list.ffconcat", &list, "ffprobe found no video in it");
}
