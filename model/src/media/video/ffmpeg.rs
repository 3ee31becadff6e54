//! Video files, through the ffmpeg and ffprobe of the system.
//!
//! ffprobe says how many frames there are, and ffmpeg writes the chosen ones as PPM pictures, each
//! with its own size, so that a rotated video needs no special care. Both are started without a
//! shell, may open that one file and nothing else, and are ended on cancelling or when time is up.

mod process;

use std::ffi::OsString;
use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use image::RgbImage;
use serde_json::Value;

use self::process::{Job, Running};
use super::sampling::{self, Chosen};
use super::{Fitter, MediaError, VideoOptions};
use crate::media::image::{DecodeLimits, check_size};
use crate::request::CancelFlag;
use crate::request::VideoInput;

/// Containers and raw streams that hold a video themselves. Play lists are left out: they name
/// other files and addresses.
const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,ogg,\
                       asf,gif,apng,ivf,h264,hevc,m4v,mjpeg,mxf,nut,rm,wtv,dv,y4m,yuv4mpegpipe,\
                       av1,obu,webp_pipe";

/// The most that is read of what ffprobe says.
const MAX_PROBE_BYTES: u64 = 1 << 20;

/// The longest header of a PPM picture: three numbers.
const MAX_HEADER_BYTES: u64 = 40;

/// Reads a video file.
pub(super) fn open(
    path: &Path,
    options: &VideoOptions,
    cancel: &CancelFlag,
) -> Result<VideoInput, MediaError> {
    let name = path.display().to_string();
    let job = Job { name: &name, options, cancel, deadline: Instant::now() + options.timeout };
    // With the protocol in front, a name can begin with a hyphen and have colons in it.
    let mut source = OsString::from("file:");
    source.push(path);

    let mut video = probe(&job, &source, Count::Packets)?;
    let mut chosen = sampling::choose(&name, video.frames, video.fps, &options.choice)?;
    let mut read = extract(&job, &source, &chosen)?;
    if matches!(read, Extracted::TooFew { .. }) {
        // What a container says of its frames need not be what comes out of it.
        video = probe(&job, &source, Count::Decoded)?;
        chosen = sampling::choose(&name, video.frames, video.fps, &options.choice)?;
        read = extract(&job, &source, &chosen)?;
    }
    match read {
        Extracted::All(input) => Ok(input),
        Extracted::TooFew { found, complaint } => {
            let wanted = chosen.indices.len();
            let problem = format!("only {found} of {wanted} frames could be read{complaint}");
            Err(MediaError::Video { name, problem })
        }
    }
}

/// How frames are counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Count {
    /// As the container says, or else by its packets.
    Packets,
    /// By decoding all of it.
    Decoded,
}

/// What ffprobe says of a video.
struct Probed {
    frames: usize,
    fps: f64,
}

fn probe(job: &Job<'_>, source: &OsString, count: Count) -> Result<Probed, MediaError> {
    let mut arguments = common_arguments();
    arguments.push(match count {
        Count::Packets => "-count_packets".into(),
        Count::Decoded => "-count_frames".into(),
    });
    arguments.extend(["-select_streams", "v:0", "-show_entries"].map(OsString::from));
    arguments.push("stream=avg_frame_rate,r_frame_rate,nb_read_packets,nb_read_frames".into());
    arguments.extend(["-of", "json", "-i"].map(OsString::from));
    arguments.push(source.clone());
    let running = Running::start(job, &job.options.ffprobe, &arguments, |stdout, results| {
        let mut json = Vec::new();
        let read = stdout.take(MAX_PROBE_BYTES).read_to_end(&mut json);
        // Whoever waits may have gone.
        let _ = results.send(read.map(|_| json));
    })?;
    let json = running.next(job)?.and_then(Result::ok).unwrap_or_default();
    let root: Value = serde_json::from_slice(&json).unwrap_or_default();
    let Some(stream) = root["streams"].get(0) else {
        let complaint = running.complaint(job);
        let problem = format!("ffprobe found no video in it{complaint}");
        return Err(MediaError::Video { name: job.name.to_owned(), problem });
    };
    let key = match count {
        Count::Packets => "nb_read_packets",
        Count::Decoded => "nb_read_frames",
    };
    let frames = stream[key].as_str().and_then(|number| number.parse().ok());
    let rate = |key: &str| stream[key].as_str().and_then(ratio);
    let fps = rate("avg_frame_rate").or_else(|| rate("r_frame_rate"));
    let (Some(frames), Some(fps)) = (frames, fps) else {
        let problem = "ffprobe does not say how many frames it has a second".to_owned();
        return Err(MediaError::Video { name: job.name.to_owned(), problem });
    };
    Ok(Probed { frames, fps })
}

/// Reads `30000/1001`; nothing if it is no positive number.
fn ratio(text: &str) -> Option<f64> {
    let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
    let ratio = numerator.parse::<f64>().ok()? / denominator.parse::<f64>().ok()?;
    (ratio.is_finite() && ratio > 0.0).then_some(ratio)
}

/// What ffmpeg wrote.
enum Extracted {
    All(VideoInput),
    TooFew { found: usize, complaint: String },
}

/// Decodes the chosen frames.
fn extract(job: &Job<'_>, source: &OsString, chosen: &Chosen) -> Result<Extracted, MediaError> {
    let mut wanted = chosen.indices.clone();
    wanted.dedup();
    let mut arguments = vec![OsString::from("-nostdin"), "-hide_banner".into()];
    arguments.extend(common_arguments());
    arguments.push("-i".into());
    arguments.push(source.clone());
    arguments.extend(["-map", "0:v:0", "-an", "-sn", "-dn", "-vf"].map(OsString::from));
    arguments.push(filter(&wanted).into());
    let count = wanted.len().to_string();
    let picture = ["-r", "25", "-frames:v", &count, "-c:v", "ppm", "-pix_fmt", "rgb24"];
    arguments.extend(picture.map(OsString::from));
    arguments.extend(["-f", "image2pipe", "pipe:1"].map(OsString::from));

    let limits = job.options.frame_limits;
    let name = job.name.to_owned();
    let running = Running::start(job, &job.options.ffmpeg, &arguments, move |stdout, frames| {
        read_frames(BufReader::with_capacity(1 << 20, stdout), &name, &limits, &frames);
    })?;
    let mut fitter = Fitter::new(job.name, chosen.indices.len(), job.options);
    let mut indices = chosen.indices.iter().peekable();
    for (found, &index) in wanted.iter().enumerate() {
        let Some(frame) = running.next(job)? else {
            return Ok(Extracted::TooFew { found, complaint: running.complaint(job) });
        };
        let frame = std::sync::Arc::new(frame?);
        while indices.next_if(|&&other| other == index).is_some() {
            fitter.push(std::sync::Arc::clone(&frame))?;
        }
    }
    Ok(Extracted::All(fitter.finish(chosen.fps)?))
}

/// What both programs are told: say nothing but errors, and open no other file.
fn common_arguments() -> Vec<OsString> {
    let limits = ["-v", "error", "-protocol_whitelist", "file", "-format_whitelist", FORMATS];
    limits.map(OsString::from).to_vec()
}

/// Keeps the frames of these indices, and counts them anew at 25 a second: then none is repeated or
/// dropped to keep a rate.
fn filter(indices: &[usize]) -> String {
    let mut filter = String::from("select='");
    write_choice(indices, &mut filter);
    filter.push_str("',settb=1/25,setpts=N");
    filter
}

/// Writes an expression that is true for these frame numbers, in order: a binary search, since
/// ffmpeg takes no expression of more than 100 levels, nor a sum of more than 100 terms.
fn write_choice(indices: &[usize], expression: &mut String) {
    // A string takes all that is written to it.
    if let [index] = indices {
        let _ = write!(expression, "eq(n,{index})");
        return;
    }
    let (low, high) = indices.split_at(indices.len() / 2);
    let _ = write!(expression, "if(lt(n,{}),", high[0]);
    write_choice(low, expression);
    expression.push(',');
    write_choice(high, expression);
    expression.push(')');
}

/// Reads one PPM picture after another until there are no more or nobody wants them.
fn read_frames(
    mut stream: impl BufRead,
    name: &str,
    limits: &DecodeLimits,
    frames: &SyncSender<Result<RgbImage, MediaError>>,
) {
    loop {
        let frame = read_frame(&mut stream, name, limits);
        let is_last = !matches!(frame, Ok(Some(_)));
        let Some(frame) = frame.transpose() else { return };
        if frames.send(frame).is_err() || is_last {
            return;
        }
    }
}

/// Reads one PPM picture; nothing at the end of the stream.
fn read_frame(
    stream: &mut impl BufRead,
    name: &str,
    limits: &DecodeLimits,
) -> Result<Option<RgbImage>, MediaError> {
    let broken = |problem: &str| MediaError::Video {
        name: name.to_owned(),
        problem: format!("ffmpeg wrote {problem}"),
    };
    let read = |source| MediaError::Read { source };
    let mut header = Vec::new();
    // `P6`, width and height, 255: each on a line.
    for _ in 0..3 {
        let mut rest = stream.take(MAX_HEADER_BYTES);
        rest.read_until(b'\n', &mut header).map_err(read)?;
    }
    if header.is_empty() {
        return Ok(None);
    }
    let header = String::from_utf8_lossy(&header);
    let words: Vec<&str> = header.split_ascii_whitespace().collect();
    let ["P6", width, height, "255"] = words[..] else {
        return Err(broken("something that is no picture"));
    };
    let (Ok(width), Ok(height)) = (width.parse::<u32>(), height.parse::<u32>()) else {
        return Err(broken("a picture without a size"));
    };
    check_size(name, width, height, limits)?;
    let len = width as usize * height as usize * 3;
    let mut pixels = Vec::new();
    stream.take(len as u64).read_to_end(&mut pixels).map_err(read)?;
    // The program was ended in the middle of a picture: what came before it counts.
    Ok(RgbImage::from_raw(width, height, pixels))
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
