//! Tests with programs that stand in for ffmpeg and behave badly; the real one is driven in
//! `tests/integration/media.rs`.

use std::os::unix::fs::PermissionsExt;

use fs_err as fs;
use tempfile::TempDir;

use super::*;
use std::time::Duration;

const PROBE: &str = r#"echo '{"streams": [{"avg_frame_rate": "10/1", "r_frame_rate": "10/1",
    "nb_read_packets": "20", "nb_read_frames": "6"}]}'"#;

/// A folder with a video of no content and two programs that are these shell scripts.
struct Stand {
    dir: TempDir,
}

impl Stand {
    fn new(ffprobe: &str, ffmpeg: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, script) in [("ffprobe", ffprobe), ("ffmpeg", ffmpeg)] {
            let path = dir.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        fs::write(dir.path().join("-a b.mp4"), "").unwrap();
        Self { dir }
    }

    fn options(&self) -> VideoOptions {
        VideoOptions {
            ffmpeg: self.dir.path().join("ffmpeg"),
            ffprobe: self.dir.path().join("ffprobe"),
            ..VideoOptions::default()
        }
    }

    fn open(&self, options: &VideoOptions, cancel: &CancelFlag) -> Result<VideoInput, MediaError> {
        open(&self.dir.path().join("-a b.mp4"), options, cancel)
    }

    /// Returns the error's message and cause, the folder left out.
    fn error(&self, options: &VideoOptions) -> String {
        let err = self.open(options, &CancelFlag::default()).unwrap_err();
        err.to_string().replace(&self.dir.path().display().to_string(), "DIR")
    }
}

/// A script that writes pictures of 56×28 px.
fn pictures(count: usize) -> String {
    format!(
        "i=0; while [ $i -lt {count} ]; do printf 'P6\\n56 28\\n255\\n'; \
         head -c 4704 /dev/zero; i=$((i+1)); done"
    )
}

#[test]
fn frames_are_read_and_the_rate_is_that_of_the_chosen_ones() {
    let stand = Stand::new(PROBE, &pictures(4));
    let video = stand.open(&stand.options(), &CancelFlag::default()).unwrap();
    assert_eq!((video.frames.len(), video.fps), (4, 2.0));
}

#[test]
fn the_expression_is_a_shallow_search() {
    assert_eq!(filter(&[4]), "select='eq(n,4)',settb=1/25,setpts=N");
    let expected = "select='if(lt(n,7),eq(n,4),if(lt(n,9),eq(n,7),eq(n,9)))',settb=1/25,setpts=N";
    assert_eq!(filter(&[4, 7, 9]), expected);
    let long = filter(&(0..768).collect::<Vec<_>>());
    let depth = long.bytes().scan(0i32, |depth, byte| {
        *depth += i32::from(byte == b'(') - i32::from(byte == b')');
        Some(*depth)
    });
    assert!(depth.max().unwrap() < 13);
}

#[test]
fn a_container_that_promises_too_much_is_counted_again() {
    // 20 packets give four frames; there are three the first time, and six exist.
    let script = format!(
        "d=$(dirname \"$0\"); if [ -e \"$d/again\" ]; then {}; else touch \"$d/again\"; {}; fi",
        pictures(4),
        pictures(3)
    );
    let stand = Stand::new(PROBE, &script);
    let video = stand.open(&stand.options(), &CancelFlag::default()).unwrap();
    assert_eq!(video.frames.len(), 4);
    assert!((video.fps - 4.0 / 0.6).abs() < 1e-9);

    let stand = Stand::new(PROBE, &format!("echo 'bad data' >&2; {}", pictures(1)));
    let expected =
        "`DIR/-a b.mp4` cannot be used as a video: only 1 of 4 frames could be read: bad data";
    assert_eq!(stand.error(&stand.options()), expected);
}

#[test]
fn what_the_programs_write_is_not_trusted() {
    let check = |ffprobe: &str, ffmpeg: &str, expected: &str| {
        let stand = Stand::new(ffprobe, ffmpeg);
        let message = stand.error(&stand.options());
        assert!(message.ends_with(expected), "{message}");
    };
    check(
        "echo '[]'; echo 'x: it is bad' >&2",
        "true",
        "ffprobe found no video in it: x: it is bad",
    );
    check("yes '{'", "true", "ffprobe found no video in it");
    let rates = r#"echo '{"streams": [{"avg_frame_rate": "0/0", "nb_read_packets": "9"}]}'"#;
    check(rates, "true", "ffprobe does not say how many frames it has a second");
    check(PROBE, "yes", "ffmpeg wrote something that is no picture");
    check(PROBE, "printf 'P6\\n-1 3\\n255\\n'", "ffmpeg wrote a picture without a size");
    check(PROBE, "printf 'P6\\n99999 99999\\n255\\n'", "sides of at most 32768 are read");
    check(PROBE, "printf 'P6\\n56 28\\n255\\nabc'", "only 0 of 4 frames could be read");
}

#[test]
fn a_program_that_hangs_is_ended() {
    // The shell becomes the program, so that ending it leaves nothing behind.
    let hang = "cd \"$(dirname \"$0\")\"; echo $$ > new; mv new pid; exec sleep 1000";
    let stand = Stand::new(hang, "true");
    let short = VideoOptions { timeout: Duration::from_millis(200), ..stand.options() };
    assert_eq!(stand.error(&short), "`DIR/-a b.mp4` was not read within 0.2 s");

    for (ffprobe, ffmpeg) in [(hang, "true"), (PROBE, hang)] {
        let stand = Stand::new(ffprobe, ffmpeg);
        let (cancel, file) = (CancelFlag::default(), stand.dir.path().join("pid"));
        let canceller = cancel.clone();
        let waiting = std::thread::spawn(move || {
            while !file.exists() {
                std::thread::yield_now();
            }
            canceller.cancel();
        });
        let err = stand.open(&stand.options(), &cancel).unwrap_err();
        waiting.join().unwrap();
        assert!(matches!(err, MediaError::Cancelled), "{err}");
        let pid = fs::read_to_string(stand.dir.path().join("pid")).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists(), "it still runs");
    }
}

#[test]
fn a_missing_program_is_named_with_what_to_do() {
    let stand = Stand::new(PROBE, "true");
    let options = VideoOptions { ffprobe: "no-such-ffprobe".into(), ..stand.options() };
    let err = stand.open(&options, &CancelFlag::default()).unwrap_err();
    assert!(err.to_string().contains("takes the program `no-such-ffprobe`"), "{err}");
    assert!(err.hint().unwrap().contains("folder of frames"));
}
