//! Keeps a conversation in a file: Markdown for people, or JSON if the name ends in `.json`.

use std::io::Write;
use std::path::Path;

use fs_err as fs;
use handsight_agent::Conversation;
use handsight_model::{Part, Role};
use serde_json::{Value, json};

use crate::failure::{Exit, Failure, is_full};

/// Writes the conversation. A file that is there already is left alone unless it `may_replace` it.
pub(super) fn write(
    talk: &Conversation,
    model: &str,
    path: &Path,
    may_replace: bool,
) -> Result<(), Failure> {
    let is_json = path.extension().is_some_and(|name| name.eq_ignore_ascii_case("json"));
    let text = if is_json { as_json(talk, model) } else { as_markdown(talk, model) };
    let mut options = fs::OpenOptions::new();
    options.write(true).truncate(true);
    let file = if may_replace { options.create(true) } else { options.create_new(true) };
    let written = file.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "name a file that is not there yet",
            _ if is_full(&error) => "free some space",
            _ => "name a file in a folder that exists",
        };
        Failure::new(Exit::BadInput, error).with_hint(hint)
    })
}

fn name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

/// The messages in the form of the OpenAI API, with paths in the place of pictures.
fn as_json(talk: &Conversation, model: &str) -> String {
    let part = |part: &Part| match part {
        Part::Text { text } => json!({ "type": "text", "text": text }),
        Part::Image { .. } => json!({ "type": "image", "path": talk.name_of(part) }),
        Part::Video { .. } => json!({ "type": "video", "path": talk.name_of(part) }),
    };
    let messages = talk.messages().iter().map(|message| {
        let content: Value = message.content.iter().map(part).collect();
        json!({ "role": name(message.role), "content": content })
    });
    let root = json!({ "model": model, "messages": messages.collect::<Value>() });
    format!("{root:#}\n")
}

fn as_markdown(talk: &Conversation, model: &str) -> String {
    let mut text = format!("# Conversation with {model}\n");
    for message in talk.messages() {
        let who = match message.role {
            Role::System => "Instructions",
            Role::User => "You",
            Role::Assistant | Role::Tool => "Model",
        };
        let parts = message.content.iter().map(|part| match part {
            Part::Text { text } => text.trim().to_owned(),
            Part::Image { .. } | Part::Video { .. } => {
                format!("`{}`", talk.name_of(part).unwrap_or_default())
            }
        });
        let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
        for part in ["\n**", who, ":** ", &parts.join(" "), "\n"] {
            text.push_str(part);
        }
    }
    text
}
