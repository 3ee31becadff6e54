//! Why a checkpoint could not be loaded or a model could not answer.
//!
//! Messages name the file or value that was refused; what to do about it is a separate
//! [`ModelError::hint`], so that servers and reports can leave it out.

use std::path::PathBuf;

use crate::memory::format_bytes;

/// An error from loading or running a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file the checkpoint needs is not there.
    #[error("checkpoint `{}` has no {what}", .dir.display())]
    MissingFile {
        /// The checkpoint folder.
        dir: PathBuf,
        /// What is missing, by file name.
        what: &'static str,
    },
    /// A file of the checkpoint could not be read.
    #[error("could not read the checkpoint")]
    Read {
        /// What the operating system said; names the file.
        #[source]
        source: std::io::Error,
    },
    /// A JSON file of the checkpoint could not be understood.
    #[error("`{file}` of the checkpoint is not what was expected")]
    Json {
        /// The file's name.
        file: String,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A value of `config.json` is missing, contradictory or not supported.
    #[error("`{file}`: {problem}")]
    Config {
        /// The file's name.
        file: String,
        /// What is wrong, with the value.
        problem: String,
    },
    /// A weights file is truncated or corrupt.
    #[error("weights file `{file}` is not a readable safetensors file")]
    Weights {
        /// The file's name.
        file: String,
        /// What the reader said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A GGUF file is damaged, or holds what cannot be used.
    #[error("GGUF file `{file}`: {problem}")]
    Gguf {
        /// The file.
        file: String,
        /// What is wrong, with the key or the tensor.
        problem: String,
    },
    /// A language model in GGUF, but not one file beside it that has the vision tower.
    #[error("the vision tower of `{file}` is not beside it{}", listed(.candidates))]
    Mmproj {
        /// The language model's file.
        file: String,
        /// The files it could be, by name.
        candidates: Vec<String>,
    },
    /// A file cannot be written under this name.
    #[error("`{}` cannot be written: {problem}", .path.display())]
    Output {
        /// What was to be written.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// Writing failed.
    #[error("could not write the model")]
    Write {
        /// What the operating system said; names the file.
        #[source]
        source: std::io::Error,
    },
    /// It was asked to stop.
    #[error("interrupted")]
    Cancelled,
    /// A tensor the configuration calls for is not in the weights.
    #[error("the weights have no tensor `{name}`, which config.json calls for")]
    MissingTensor {
        /// The tensor's name in the original layout.
        name: String,
    },
    /// A tensor's shape contradicts the configuration.
    #[error("tensor `{name}` has shape {found:?} but config.json calls for {expected:?}")]
    TensorShape {
        /// The tensor's name in the original layout.
        name: String,
        /// The shape the configuration gives.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// The tokenizer files could not be used.
    #[error("the tokenizer could not be built from `{file}`")]
    Tokenizer {
        /// The file's name.
        file: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The chat template failed on these messages.
    #[error("the chat template could not be rendered")]
    Template {
        /// Where and why.
        #[source]
        source: minijinja::Error,
    },
    /// An image cannot be processed.
    #[error("an image of {width}×{height} px cannot be used: {problem}")]
    Image {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The rule it breaks.
        problem: &'static str,
    },
    /// The prompt does not fit into the model's context.
    #[error(
        "the prompt has {tokens} tokens and {max_new_tokens} more may be generated, but the \
         model's context is {limit}"
    )]
    PromptTooLong {
        /// Tokens in the prompt, images included.
        tokens: usize,
        /// Tokens that were to be generated.
        max_new_tokens: usize,
        /// The most positions the model was made for.
        limit: usize,
    },
    /// The images and their places in the prompt do not agree.
    #[error("the messages refer to image {index} but {count} image(s) were given")]
    UnknownImage {
        /// The index in the message, from 0.
        index: usize,
        /// How many images the request carries.
        count: usize,
    },
    /// The messages refer to a video that was not given.
    #[error("the messages refer to video {index} but {count} video(s) were given")]
    UnknownVideo {
        /// The index in the message, from 0.
        index: usize,
        /// How many videos the request carries.
        count: usize,
    },
    /// A video cannot be processed.
    #[error("a video of {frames} frame(s) cannot be used: {problem}")]
    Video {
        /// How many frames it has.
        frames: usize,
        /// The rule it breaks.
        problem: &'static str,
    },
    /// The request's options cannot be followed.
    #[error("the request cannot be followed: {problem}")]
    Options {
        /// The option, and its value.
        problem: String,
    },
    /// Too many requests wait already.
    #[error("{queued} request(s) wait already, which is the most allowed")]
    Busy {
        /// How many wait.
        queued: usize,
    },
    /// No more requests are taken.
    #[error("the model is shutting down and takes no more requests")]
    ShuttingDown,
    /// The placeholders in the tokens and the image grids disagree.
    #[error(transparent)]
    Positions(#[from] crate::qwen2_5_vl::rope::PositionError),
    /// The grammar that constrains decoding could not be used.
    #[error("constrained decoding failed: {problem}")]
    Constraint {
        /// What the grammar engine said.
        problem: String,
    },
    /// The model produced numbers that are not finite.
    #[error("the model's logits are not finite at token {index}; the weights may be damaged")]
    NotFinite {
        /// Index of the generated token, from 0.
        index: usize,
    },
    /// The weights do not fit into memory.
    #[error(
        "the weights need {} of memory, but {} are free",
        format_bytes(*.needed),
        format_bytes(*.free)
    )]
    Memory {
        /// The bytes they take, with what loading takes for a moment.
        needed: u64,
        /// The bytes that may be taken.
        free: u64,
    },
    /// A request does not fit into memory.
    #[error(
        "this request needs {} of memory, but {} are free",
        format_bytes(*.needed),
        format_bytes(*.free)
    )]
    RequestMemory {
        /// The bytes that it takes: keys, values, and what a pass computes.
        needed: u64,
        /// The bytes that may be taken.
        free: u64,
    },
    /// The device asked for cannot be used by this build or on this machine.
    #[error("compute device `{device}` cannot be used")]
    Device {
        /// The device's name.
        device: String,
        /// Why.
        #[source]
        source: candle_core::Error,
    },
    /// Something that should not happen did; the request it happened to is lost, no other.
    #[error("the model failed on this request: {problem}")]
    Internal {
        /// What the program said of itself.
        problem: String,
    },
    /// A tensor operation failed.
    #[error("a tensor operation failed")]
    Tensor(#[source] candle_core::Error),
}

fn listed(candidates: &[String]) -> String {
    match candidates {
        [] => String::new(),
        several => format!(" under one name: there are `{}`", several.join("`, `")),
    }
}

impl From<candle_core::Error> for ModelError {
    fn from(source: candle_core::Error) -> Self {
        Self::Tensor(source)
    }
}

impl ModelError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::MissingFile { .. } => Some(
                "a checkpoint folder holds config.json, *.safetensors and tokenizer.json (or \
                 vocab.json and merges.txt)",
            ),
            Self::Weights { .. } | Self::NotFinite { .. } => {
                Some("the download may be incomplete: fetch the checkpoint again")
            }
            Self::Gguf { .. } => Some(
                "the download may be incomplete, or the file is of another model or in a type of \
                 tensor that is not supported",
            ),
            Self::Mmproj { .. } => Some(
                "put the mmproj file of the same model beside it, or name one with `--mmproj FILE`",
            ),
            Self::Template { .. } => Some(
                "the chat template must be the checkpoint's own, as it was released, and take \
                 messages of these roles",
            ),
            Self::MissingTensor { .. } | Self::TensorShape { .. } => {
                Some("config.json and the weights must come from the same checkpoint")
            }
            Self::PromptTooLong { .. } => {
                Some("shorten the goal, keep fewer images in the history, or lower max_pixels")
            }
            Self::Memory { .. } => Some(
                "quantise while loading (`--quantize q4k`), take a smaller or a quantised \
                 checkpoint, or name what else may hold a part of it (`--compute cuda:0=20GB,cpu`)",
            ),
            Self::RequestMemory { .. } => Some(
                "show fewer or smaller pictures (`--max-pixels`), ask for a shorter answer, or \
                 close other programs",
            ),
            Self::Video { .. } => Some("sample fewer frames, all of one size"),
            Self::Busy { .. } => Some("wait a moment and ask again"),
            Self::Device { .. } => {
                Some("build with the cargo feature `cuda` or `metal`, or use the CPU")
            }
            _ => None,
        }
    }
}
