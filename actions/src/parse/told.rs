//! The parts of an earlier reply that a checkpoint is reminded of.
//!
//! Families differ in what they repeat of a step: the reply as it was, the thought and the call
//! between tags, or the one sentence in which the model said what it was doing.

use super::Dialect;

/// The parts of a reply, as it was written; a part that is not there is empty.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Told<'a> {
    /// What the model thought.
    pub thought: &'a str,
    /// The action, without the tags around it.
    pub call: &'a str,
    /// What the model said it was doing, in a sentence.
    pub summary: &'a str,
}

/// Returns the parts of a reply.
pub fn told(reply: &str, dialect: Dialect) -> Told<'_> {
    match dialect {
        Dialect::UiTars => {
            let (thought, call) = reply.split_once("Action:").unwrap_or((reply, ""));
            let thought = thought.trim().trim_start_matches("Thought:").trim();
            Told { thought, call: call.trim(), summary: thought }
        }
        Dialect::Pyautogui => {
            let thought = section(reply, "## Thought:", "## Action:");
            let summary = section(reply, "## Action:", "## Code:");
            let summary = summary.split("```").next().unwrap_or(summary).trim();
            Told { thought, call: between(reply, "```python", "```"), summary }
        }
        Dialect::UiVenus => Told {
            thought: between(reply, "<think>", "</think>"),
            call: between(reply, "<action>", "</action>"),
            summary: between(reply, "<conclusion>", "</conclusion>"),
        },
        Dialect::Json | Dialect::ComputerUse | Dialect::MobileUse | Dialect::OwlComputerUse => {
            Told {
                thought: between(reply, "<thinking>", "</thinking>"),
                call: between(reply, "<tool_call>", "</tool_call>"),
                summary: between(reply, "<conclusion>", "</conclusion>"),
            }
        }
    }
}

/// Returns what stands after `open` and before `close`, or before the end.
fn between<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
    let Some((_, rest)) = text.split_once(open) else { return "" };
    rest.split(close).next().unwrap_or(rest).trim()
}

fn section<'a>(text: &'a str, heading: &str, next: &str) -> &'a str {
    between(text, heading, next)
}
