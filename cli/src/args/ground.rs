//! `ground`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use handsight_actions::ShapeKind;

use super::ModelArgs;

/// `ground`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("all").args(["boxes", "points", "document"])))]
pub(crate) struct GroundArgs {
    /// The picture: PNG, JPEG, WebP, BMP or GIF.
    pub(crate) image: PathBuf,

    /// What to find, such as `Save button`.
    #[arg(required_unless_present = "document", conflicts_with = "document")]
    pub(crate) description: Option<String>,

    /// Find all such things, and tell the box around each.
    #[arg(long)]
    pub(crate) boxes: bool,

    /// Find all such things, and tell a point on each.
    #[arg(long)]
    pub(crate) points: bool,

    /// Read the picture as a document: headings, paragraphs and tables, with the box of each.
    #[arg(long)]
    pub(crate) document: bool,

    /// Write the picture with all places marked to this PNG file.
    #[arg(long, value_name = "OUT.png", alias = "out")]
    pub(crate) annotated: Option<PathBuf>,

    /// Write the document as a web page to this file.
    #[arg(long, value_name = "OUT.html", requires = "document")]
    pub(crate) html: Option<PathBuf>,

    /// The most tokens of a list, 2048 by default, or of a document, 8192.
    #[arg(long, value_name = "N", requires = "all", value_parser = clap::value_parser!(u32).range(1..=131_072))]
    pub(crate) max_tokens: Option<u32>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
}

impl GroundArgs {
    /// Returns what kind of list is asked for, if one is.
    pub(crate) fn kind(&self) -> Option<ShapeKind> {
        match (self.boxes, self.points) {
            (true, _) => Some(ShapeKind::Boxes),
            (_, true) => Some(ShapeKind::Points),
            _ => None,
        }
    }
}
