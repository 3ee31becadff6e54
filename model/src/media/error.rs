//! Why a picture or a video cannot be used.

use std::io;
use std::time::Duration;

/// An error from reading a picture or a video. Messages name the file, or what stands for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// A file or folder could not be read.
    #[error("the file could not be read")]
    Read {
        /// What the operating system said; names the file.
        #[source]
        source: io::Error,
    },
    /// The bytes are of no kind that can be read.
    #[error("`{name}` is not a PNG, JPEG, WebP, BMP or GIF image")]
    UnknownFormat {
        /// The file's name.
        name: String,
    },
    /// The bytes are damaged, or use a part of their format that is not supported.
    #[error("could not read the image `{name}`")]
    Decode {
        /// The file's name.
        name: String,
        /// What the decoder said.
        #[source]
        source: image::ImageError,
    },
    /// A file has too many bytes.
    #[error("`{name}` has {bytes} bytes and at most {limit} are read")]
    TooManyBytes {
        /// The file's name.
        name: String,
        /// How many it has, or at least has.
        bytes: u64,
        /// The most allowed.
        limit: u64,
    },
    /// An image says in its header that it is too large.
    #[error(
        "`{name}` has {width}×{height} px, and at most {max_pixels} px with sides of at most \
         {max_side} are read"
    )]
    TooLarge {
        /// The file's name.
        name: String,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The most pixels allowed.
        max_pixels: u64,
        /// The longest side allowed.
        max_side: u32,
    },
    /// Frames cannot be chosen as asked.
    #[error("the frames of `{name}` cannot be chosen: {problem}")]
    Sampling {
        /// The video's name.
        name: String,
        /// What is wrong, with the values.
        problem: String,
    },
    /// A video, folder or animation cannot be used.
    #[error("`{name}` cannot be used as a video: {problem}")]
    Video {
        /// The video's name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The program that reads video files is not there.
    #[error("reading the video `{name}` takes the program `{program}`, which could not be started")]
    NoProgram {
        /// The video's name.
        name: String,
        /// The program.
        program: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Reading a video took too long.
    #[error("`{name}` was not read within {} s", .after.as_secs_f64())]
    Timeout {
        /// The video's name.
        name: String,
        /// How long was waited.
        after: Duration,
    },
    /// The cancel flag was set.
    #[error("cancelled while a video was read")]
    Cancelled,
}

impl MediaError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => Some("check the path, and that the file may be read"),
            Self::UnknownFormat { .. } => {
                Some("videos are given with `--video`; other images have to be converted first")
            }
            Self::Decode { .. } => {
                Some("the file may be damaged, or too large: open it elsewhere and save it anew")
            }
            Self::TooManyBytes { .. } | Self::TooLarge { .. } => {
                Some("make it smaller, or cut out the part that matters")
            }
            Self::NoProgram { .. } => Some(
                "install ffmpeg (`sudo apt-get install ffmpeg`), or give an animated GIF or a \
                 folder of frames instead",
            ),
            Self::Timeout { .. } => Some("cut out the part of the video that matters"),
            _ => None,
        }
    }
}
