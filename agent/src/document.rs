//! A picture of a document → its parts: what each says, what it is, and where it stands.
//!
//! Qwen2.5-VL was trained to write such a picture down as HTML in which every part carries its box.
//! The boxes are mapped back to the picture's own pixels, and the HTML is written anew with them: of
//! what the model wrote only harmless tags and attributes are kept, since a page that was photographed
//! can hold whatever its author wished.

mod page;
mod read;

use handsight_actions::{Frame, ModelBox, Rect, Size};
use handsight_model::{CancelFlag, Constraint, GenerateOptions, Request, StopReason, TokenInfo};
use image::RgbImage;

use crate::grounding::GroundingError;
use crate::policy::PolicyError;
use crate::policy::grammar;
use crate::policy::model::frame_of;
use crate::prompt::{PromptProfile, build_ask};
use crate::trace::event::Usage;
use crate::vision_model::VisionModel;

pub use self::read::{DocumentError, DocumentText, read_document_html};

/// A document as a model read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its parts, in the order of reading.
    pub elements: Vec<Element>,
    /// The whole as an HTML page, with the boxes in pixels of the picture.
    pub html: String,
    /// What had to be mended, for people.
    pub repairs: Vec<String>,
    /// Why some boxes cannot be used; their elements are without one.
    pub refused: Vec<String>,
    /// Whether it breaks off before its end.
    pub is_cut_off: bool,
    /// The sizes the boxes were mapped between.
    pub frame: Frame,
    /// The reply as it was written.
    pub reply: String,
    /// What it cost.
    pub usage: Usage,
}

/// A part of a document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Element {
    /// Its HTML tag, such as `h2`, `p`, `table` or `img`.
    pub tag: String,
    /// Its class, such as `formula` or `image caption`.
    pub class: Option<String>,
    /// What it says, apart from the parts inside it that are elements themselves.
    pub text: String,
    /// The cells of a table, by rows.
    pub rows: Vec<Vec<String>>,
    /// The pixels of the picture it covers, if the model told.
    pub area: Option<Rect>,
    /// The same in the space the model spoke in.
    pub model_box: Option<ModelBox>,
}

/// Reads a picture of a document. `on_token` sees the reply as it is written.
///
/// # Errors
///
/// [`GroundingError`] if the family was not trained for it, the model fails, the reply is no document,
/// or `cancel` is set.
pub fn read_document(
    model: &dyn VisionModel,
    profile: &PromptProfile,
    image: &RgbImage,
    max_new_tokens: usize,
    on_token: &mut dyn FnMut(&TokenInfo),
    cancel: &CancelFlag,
) -> Result<Document, GroundingError> {
    let (width, height) = image.dimensions();
    let limits = profile.limits_to_ground();
    let frame =
        frame_of(model, profile, limits, Size { width, height }).map_err(PolicyError::from)?;
    let prompt = build_ask(profile.document()?, None, image.clone(), limits);
    let constraint = model.card().takes_grammars.then(|| grammar::document(frame.model));
    let request = Request {
        constraint: constraint.map(Constraint::Lark),
        options: GenerateOptions { max_new_tokens, ..GenerateOptions::default() },
        ..prompt.into_request()
    };
    let completion = model.answer(&request, on_token, cancel).map_err(PolicyError::from)?;
    model.check_frame(&completion).map_err(PolicyError::from)?;
    if completion.stop == StopReason::Cancelled {
        return Err(PolicyError::Cancelled.into());
    }
    let invalid =
        |problem: String| PolicyError::InvalidReply { reply: completion.text.clone(), problem };
    let read =
        read_document_html(&completion.text, frame).map_err(|error| invalid(error.to_string()))?;
    Ok(Document {
        elements: read.elements,
        html: read.html,
        repairs: read.repairs,
        refused: read.refused.iter().map(ToString::to_string).collect(),
        is_cut_off: read.is_cut_off || completion.stop == StopReason::Length,
        frame,
        usage: Usage::from(&completion.stats),
        reply: completion.text,
    })
}
