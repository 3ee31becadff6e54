//! Messages → prompt text, by the checkpoint's own chat template.
//!
//! # Source
//!
//! `chat_template.json` of the released checkpoints; `render_jinja_template` of transformers 4.49.0
//! for the environment (trimmed blocks, Python string methods).

pub mod python_json;
pub mod tools;

mod sandbox;

use minijinja::{Environment, Value as Variable, context};
use serde::Serialize;
use serde_json::Value;

use crate::error::ModelError;

/// Who speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that hold for the whole conversation.
    System,
    /// The person, or the program that speaks for one.
    User,
    /// The model.
    Assistant,
    /// A function the model called: what it returned.
    Tool,
}

/// A piece of a message.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Part {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// An image, by its index among the request's images.
    Image {
        /// Index from 0.
        image: usize,
    },
    /// A video, by its index among the request's videos.
    Video {
        /// Index from 0.
        video: usize,
    },
}

/// A function the model called.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ToolCall {
    /// The function's name.
    pub name: String,
    /// What it was called with: a JSON object.
    pub arguments: Value,
}

/// One turn of a conversation.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub content: Vec<Part>,
    /// The functions the assistant called in this turn.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
}

impl Message {
    /// Returns a message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self::new(role, vec![Part::Text { text: text.into() }])
    }

    /// Returns the user's message of one image, by index, and a text after it.
    pub fn image_and_text(image: usize, text: impl Into<String>) -> Self {
        let content = vec![Part::Image { image }, Part::Text { text: text.into() }];
        Self::new(Role::User, content)
    }

    /// Returns a message of these parts.
    pub fn new(role: Role, content: Vec<Part>) -> Self {
        Self { role, content, tool_calls: Vec::new() }
    }
}

/// What a checkpoint without a template is spoken to with: the released checkpoints' format.
pub const DEFAULT_TEMPLATE: &str = include_str!("chat/default_template.jinja");

/// A chat template, checked when it is made. It comes with the checkpoint, so what it may do is
/// limited: it reads no files, it ends, and it stays small.
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
}

const NAME: &str = "chat_template";

impl ChatTemplate {
    /// Compiles a template.
    ///
    /// # Errors
    ///
    /// [`ModelError::Template`] with the line of a syntax error.
    pub fn new(source: &str) -> Result<Self, ModelError> {
        let mut environment = Environment::new();
        sandbox::restrict(&mut environment);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| {
            Err::<String, _>(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, message))
        });
        sandbox::check(NAME, source).map_err(|source| ModelError::Template { source })?;
        Ok(Self { environment, source: source.to_owned() })
    }

    /// Returns the template as it was compiled.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Returns the prompt for `messages`, ending where the assistant is to speak if
    /// `add_generation_prompt`. Every image is one `<|image_pad|>`.
    ///
    /// # Errors
    ///
    /// [`ModelError::Template`] if the template refuses the messages, or does more than a chat
    /// template has reason to.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, ModelError> {
        let context: Variable =
            context! { messages, add_generation_prompt, add_vision_id => false };
        sandbox::render(&self.environment, NAME, &self.source, context)
            .map_err(|source| ModelError::Template { source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_system_turn_is_added_and_images_stay_in_place() {
        let messages = [
            Message::image_and_text(0, "What is this? {{ 7 * 7 }}"),
            Message::text(Role::Assistant, "A dialog."),
            Message::text(Role::User, "Close it."),
        ];
        let prompt = ChatTemplate::new(DEFAULT_TEMPLATE).unwrap().render(&messages, true).unwrap();
        assert_eq!(
            prompt,
            "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n\
             <|vision_start|><|image_pad|><|vision_end|>What is this? {{ 7 * 7 }}<|im_end|>\n\
             <|im_start|>assistant\nA dialog.<|im_end|>\n<|im_start|>user\nClose it.<|im_end|>\n\
             <|im_start|>assistant\n"
        );
    }

    #[test]
    fn a_template_may_refuse_and_a_broken_one_is_refused() {
        let template = ChatTemplate::new("{{ raise_exception('no tools here') }}").unwrap();
        let err = template.render(&[], false).unwrap_err();
        let ModelError::Template { source } = err else { panic!("{err}") };
        assert!(source.to_string().contains("no tools here"));
        assert!(ChatTemplate::new("{% for %}").is_err());
    }
}
