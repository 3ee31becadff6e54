//! `chat`.

use std::path::PathBuf;

use clap::Args;

use super::{GenerateArgs, ModelArgs};

/// `chat`.
#[derive(Debug, Args)]
#[command(after_help = "Lines that begin with a slash are commands: /image PATH and /video PATH \
                        show something, /reset starts anew, /save FILE keeps the conversation, \
                        /help tells more. From a pipe every line is a question.")]
pub(crate) struct ChatArgs {
    /// Pictures to show with the first question.
    #[arg(value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,

    /// A video to show with the first question: a file, an animated GIF or a folder of frames; may be
    /// repeated.
    #[arg(long, value_name = "VIDEO")]
    pub(crate) video: Vec<PathBuf>,

    /// Instructions that hold for the whole conversation.
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,

    /// After each answer, say what it cost and how much of the prompt was remembered.
    #[arg(long)]
    pub(crate) stats: bool,

    #[command(flatten)]
    pub(crate) generate: GenerateArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
}
