//! Questions about one picture: whether a claim is true of it, and what it says.

use std::sync::Arc;

use handsight_model::{
    CancelFlag, Completion, Constraint, GenerateOptions, ImageInput, Message, Request, Role,
    StopReason,
};
use image::RgbImage;
use serde_json::{Value, json};

use crate::policy::PolicyError;
use crate::prompt::PromptProfile;
use crate::vision_model::VisionModel;

/// The longest answer, in tokens.
const MAX_ANSWER: usize = 1024;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuestionError {
    /// The checkpoint was trained for something else.
    #[error("the embedded model clicks and types, and answers no questions")]
    Unable,
    /// The answer is cut off.
    #[error("the answer is longer than {MAX_ANSWER} tokens")]
    TooLong,
    /// The answer is not what was asked for.
    #[error("the answer `{reply}` is not what was asked for")]
    Unreadable {
        /// The answer as it was written.
        reply: String,
    },
    /// The model failed.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl QuestionError {
    /// Returns what the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unable => Some("name another model with `--model`".to_owned()),
            Self::TooLong => Some("ask for less at a time".to_owned()),
            Self::Unreadable { .. } => None,
            Self::Policy(error) => error.hint(),
        }
    }
}

/// Returns how probable it is that a claim is true of `image`, 0..1.
///
/// A server that tells no probabilities gives 0 or 1.
///
/// # Errors
///
/// [`QuestionError`] if the model fails, or `cancel` is set.
pub fn judge(
    model: &dyn VisionModel,
    profile: &PromptProfile,
    image: &RgbImage,
    claim: &str,
    cancel: &CancelFlag,
) -> Result<f64, QuestionError> {
    let question = format!(
        "Look at the screenshot and judge this claim: {claim}\nIs it true? Answer \"yes\" or \"no\"."
    );
    let schema = json!({ "type": "string", "enum": ["yes", "no"] });
    let completion = ask(model, profile, image, question, schema, cancel)?;
    let chosen = match completion.text.trim() {
        "\"yes\"" => true,
        "\"no\"" => false,
        _ => return Err(QuestionError::Unreadable { reply: completion.text }),
    };
    let told = completion.tokens.iter().filter(|token| !token.forced);
    let probability = told.map(|token| f64::from(token.logprob)).sum::<f64>().exp();
    // The grammar leaves two answers, so what the one does not have, the other has.
    Ok(if chosen { probability } else { 1.0 - probability })
}

/// Answers a question about `image`, as a value that a JSON Schema describes.
///
/// # Errors
///
/// [`QuestionError`] if the model fails, its answer is cut off, or `cancel` is set.
pub fn read_value(
    model: &dyn VisionModel,
    profile: &PromptProfile,
    image: &RgbImage,
    question: &str,
    schema: &Value,
    cancel: &CancelFlag,
) -> Result<Value, QuestionError> {
    let question = format!(
        "{question}\nAnswer from what the screenshot shows, in JSON that follows this schema: {schema}"
    );
    let completion = ask(model, profile, image, question, schema.clone(), cancel)?;
    if completion.stop == StopReason::Length {
        return Err(QuestionError::TooLong);
    }
    serde_json::from_str(&completion.text)
        .map_err(|_| QuestionError::Unreadable { reply: completion.text })
}

fn ask(
    model: &dyn VisionModel,
    profile: &PromptProfile,
    image: &RgbImage,
    question: String,
    mut schema: Value,
    cancel: &CancelFlag,
) -> Result<Completion, QuestionError> {
    if profile.is_embedded() {
        return Err(QuestionError::Unable);
    }
    // Space that may stand anywhere may be written for ever.
    if let (true, Value::Object(fields)) = (model.card().takes_grammars, &mut schema) {
        fields.entry("x-guidance").or_insert_with(
            || json!({ "whitespace_flexible": false, "item_separator": ", ", "key_separator": ": " }),
        );
    }
    let messages = vec![
        Message::text(Role::System, "You are a helpful assistant."),
        Message::image_and_text(0, question),
    ];
    let image = ImageInput { pixels: Arc::new(image.clone()), limits: profile.limits() };
    let request = Request {
        messages,
        images: vec![image],
        constraint: Some(Constraint::JsonSchema(schema)),
        options: GenerateOptions { max_new_tokens: MAX_ANSWER, ..GenerateOptions::default() },
        ..Request::default()
    };
    let completion = model.answer(&request, &mut |_| {}, cancel).map_err(PolicyError::from)?;
    model.check_frame(&completion).map_err(PolicyError::from)?;
    if completion.stop == StopReason::Cancelled {
        return Err(PolicyError::Cancelled.into());
    }
    Ok(completion)
}
