//! How published evaluations ask where something is: one small data file each, pinned by its hash.
//!
//! Beside [`ground`](crate::ground), which asks as this program does at work, a benchmark needs the
//! questions other people's numbers were made with, and the answer as the model wrote it: nothing holds
//! it to a grammar, and nothing is read out of it here. What a number in it counts stands in the file,
//! so that it is never guessed from the number.

mod error;
mod file;

use std::borrow::Cow;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use fs_err as fs;
use handsight_actions::{Dialect, Grid, Size};
use handsight_model::{
    CancelFlag, GenerateOptions, ImageInput, Message, Part, PixelLimits, Request, Role, StopReason,
};
use image::RgbImage;
use serde::{Deserialize, Serialize};

pub use self::error::BenchmarkPromptError;
use crate::family::{Hole, Template};
use crate::policy::model::probability_between;
use crate::prompt::Screen;
use crate::trace::event::Usage;
use crate::vision_model::{AnswerError, VisionModel};

/// The files that come with the program.
const FILES: &[(&str, &str)] = &[
    ("qwen-guided.toml", include_str!("benchmark_prompt/qwen-guided.toml")),
    ("qwen-computer-use.toml", include_str!("benchmark_prompt/qwen-computer-use.toml")),
    ("qwen-mobile-use.toml", include_str!("benchmark_prompt/qwen-mobile-use.toml")),
    ("agentnet.toml", include_str!("benchmark_prompt/agentnet.toml")),
    ("point.toml", include_str!("benchmark_prompt/point.toml")),
    ("bbox.toml", include_str!("benchmark_prompt/bbox.toml")),
    ("ui-tars.toml", include_str!("benchmark_prompt/ui-tars.toml")),
    ("os-atlas.toml", include_str!("benchmark_prompt/os-atlas.toml")),
    ("pyautogui.toml", include_str!("benchmark_prompt/pyautogui.toml")),
    ("unit-point.toml", include_str!("benchmark_prompt/unit-point.toml")),
    ("plain.toml", include_str!("benchmark_prompt/plain.toml")),
];

/// Larger than any such file.
const MAX_FILE: u64 = 1 << 20;

/// What the numbers of an answer count.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counts {
    /// Pixels of the image the model was shown.
    ResizedPixels,
    /// Pixels of the picture before it was resized.
    OriginalPixels,
    /// Thousandths of each side.
    Thousandths,
    /// Shares of each side, 0..1.
    Unit,
}

impl Counts {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::ResizedPixels, Self::OriginalPixels, Self::Thousandths, Self::Unit];

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResizedPixels => "resized-pixels",
            Self::OriginalPixels => "original-pixels",
            Self::Thousandths => "thousandths",
            Self::Unit => "unit",
        }
    }

    /// Returns the (width, height) that the numbers of an answer are shares of.
    pub fn sides(self, original: Size, resized: Size) -> [f64; 2] {
        let of = |size: Size| [f64::from(size.width), f64::from(size.height)];
        match self {
            Self::ResizedPixels => of(resized),
            Self::OriginalPixels => of(original),
            Self::Thousandths => [1000.0; 2],
            Self::Unit => [1.0; 2],
        }
    }
}

impl From<Grid> for Counts {
    fn from(grid: Grid) -> Self {
        match grid {
            Grid::ResizedPixels => Self::ResizedPixels,
            Grid::Thousandths => Self::Thousandths,
            Grid::OriginalPixels => Self::OriginalPixels,
        }
    }
}

/// How an evaluation asks where something is.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchmarkPrompt {
    /// Its name.
    pub name: String,
    /// What it is, in a sentence.
    pub about: String,
    /// What the numbers of its answers count.
    pub counts: Counts,
    /// The SHA-256 of its file, in hexadecimal.
    pub sha256: String,
    dialect: Option<Dialect>,
    system: Template,
    user: Template,
    text_first: bool,
    between_steps: Option<String>,
    no_steps: String,
    begin: Option<String>,
}

/// What of asking is the evaluation's and not the prompt's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskOptions {
    /// The fewest pixels the model is shown, if that is not left to the checkpoint.
    pub min_pixels: Option<u64>,
    /// The most.
    pub max_pixels: Option<u64>,
    /// Divides the positive logits of tokens seen before; 1 leaves them alone.
    pub repetition_penalty: f32,
    /// The most tokens of an answer.
    pub max_new_tokens: usize,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self { min_pixels: None, max_pixels: None, repetition_penalty: 1.0, max_new_tokens: 128 }
    }
}

impl AskOptions {
    /// Returns how large the model is shown a picture.
    pub fn limits(&self) -> PixelLimits {
        PixelLimits { min_pixels: self.min_pixels, max_pixels: self.max_pixels, resized: None }
    }
}

/// An answer as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct RawAnswer {
    /// All of it, what was begun for the model included.
    pub text: String,
    /// The size the model was shown the picture at.
    pub resized: Size,
    /// The probability the model gave to exactly these digits; `None` from a server that does not tell.
    pub probability: Option<f64>,
    /// What it cost.
    pub usage: Usage,
}

static ALL: LazyLock<Vec<Arc<BenchmarkPrompt>>> = LazyLock::new(|| {
    let read = |&(file, text): &(&str, &str)| {
        let prompt = file::read(text, file);
        Arc::new(prompt.unwrap_or_else(|error| panic!("a file of this crate: {error}")))
    };
    FILES.iter().map(read).collect()
});

impl BenchmarkPrompt {
    /// Returns those that come with the program.
    pub fn all() -> &'static [Arc<Self>] {
        &ALL
    }

    /// Returns the prompt of that name, or of that file if it ends in `.toml`.
    ///
    /// # Errors
    ///
    /// [`BenchmarkPromptError`] if there is none, or if the file is not one.
    pub fn open(name: &str) -> Result<Arc<Self>, BenchmarkPromptError> {
        let path = Path::new(name);
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
            let read = |source| BenchmarkPromptError::Read { source };
            let mut text = String::new();
            fs::File::open(path)
                .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
                .map_err(read)?;
            if text.len() as u64 > MAX_FILE {
                return Err(BenchmarkPromptError::TooLarge {
                    file: name.to_owned(),
                    limit: MAX_FILE,
                });
            }
            return Ok(Arc::new(file::read(&text, name)?));
        }
        let found = ALL.iter().find(|prompt| prompt.name == name);
        found.cloned().ok_or_else(|| BenchmarkPromptError::Unknown {
            name: name.to_owned(),
            known: ALL.iter().map(|prompt| prompt.name.clone()).collect(),
        })
    }

    /// Whether it asks for the call of a function.
    pub fn calls(&self) -> bool {
        self.dialect.is_some()
    }

    /// Asks where on a picture the thing of an instruction is, or what is to be done next; `history` is
    /// what has been done so far, in words.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] if there is no answer. An answer that was cut short by `cancel` is an answer.
    pub fn ask(
        &self,
        model: &dyn VisionModel,
        image: &Arc<RgbImage>,
        (instruction, history): (&str, &[String]),
        options: &AskOptions,
        cancel: &CancelFlag,
    ) -> Result<RawAnswer, AnswerError> {
        let limits = options.limits();
        let (width, height) = image.dimensions();
        let (width, height) = model.resized_size_within(width, height, limits)?;
        let resized = Size { width, height };
        let request = Request {
            messages: self.messages(instruction, history, resized),
            images: vec![ImageInput { pixels: Arc::clone(image), limits }],
            prefix: self.begin.clone(),
            options: GenerateOptions {
                max_new_tokens: options.max_new_tokens,
                repetition_penalty: options.repetition_penalty,
                ..GenerateOptions::default()
            },
            ..Request::default()
        };
        let completion = model.answer(&request, &mut |_| {}, cancel)?;
        model.check_frame(&completion)?;
        let told = !completion.tokens.is_empty() && completion.stop != StopReason::Cancelled;
        Ok(RawAnswer {
            probability: told.then(|| probability_between(&completion.tokens, 0, usize::MAX)),
            usage: Usage::from(&completion.stats),
            text: completion.text,
            resized,
        })
    }

    /// Returns the messages about a picture that the model is shown at a size.
    fn messages(&self, instruction: &str, history: &[String], resized: Size) -> Vec<Message> {
        let screen = Screen {
            dialect: self.dialect.unwrap_or(Dialect::Json),
            resolution: None,
            frame: Grid::ResizedPixels.frame(resized, resized),
        };
        let system = self.system.fill(|hole| screen.value(hole));
        // The names of control tokens would be taken for the tokens.
        let plain = |text: &str| text.replace("<|", "< |");
        let instruction = plain(instruction);
        let steps = history.iter().enumerate();
        let steps = steps.map(|(index, step)| format!("Step {}: {}", index + 1, plain(step)));
        let steps: Vec<_> = steps.collect();
        let steps = match &self.between_steps {
            _ if steps.is_empty() => self.no_steps.clone(),
            Some(between) => steps.join(between),
            None => steps.join("; ") + "; ",
        };
        let user = self.user.fill(|hole| match hole {
            Hole::Description => Cow::Borrowed(instruction.as_str()),
            Hole::Steps => Cow::Borrowed(steps.as_str()),
            hole => screen.value(hole),
        });
        let mut parts = vec![Part::Image { image: 0 }, Part::Text { text: user }];
        if self.text_first {
            parts.reverse();
        }
        let mut messages = Vec::new();
        if !system.is_empty() {
            messages.push(Message::text(Role::System, system));
        }
        messages.push(Message::new(Role::User, parts));
        messages
    }

    /// Returns the text of its messages about a picture shown at a size, for tests of what is asked.
    pub fn text_of(&self, instruction: &str, resized: Size) -> String {
        let mut text = String::new();
        for message in self.messages(instruction, &[], resized) {
            for part in message.content {
                match part {
                    Part::Text { text: words } => text.push_str(&words),
                    _ => text.push_str("<image>"),
                }
            }
            text.push('\n');
        }
        text + self.begin.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_can_be_read_and_differ() {
        let mut names: Vec<_> = BenchmarkPrompt::all().iter().map(|prompt| &prompt.name).collect();
        assert_eq!(names.len(), FILES.len());
        names.sort();
        names.dedup();
        assert_eq!(names.len(), FILES.len());
        for prompt in BenchmarkPrompt::all() {
            assert_eq!(BenchmarkPrompt::open(&prompt.name).unwrap(), *prompt);
            let text =
                prompt.text_of("the {tools} <|im_end|> button", Size { width: 56, height: 28 });
            assert!(text.contains("the {tools} < |im_end|> button"), "{text}");
        }
    }

    #[test]
    fn the_guided_prompt_says_the_size_and_begins_the_call() {
        let prompt = BenchmarkPrompt::open("qwen-guided").unwrap();
        let text = prompt.text_of("Save", Size { width: 1288, height: 728 });
        assert!(text.contains("The screen's resolution is 1288x728."), "{text}");
        assert!(text.ends_with(
            "<image>Save\n<tool_call>\n{\"name\": \"computer_use\", \"arguments\": {\"action\": \
             \"left_click\", \"coordinate\": ["
        ));
    }

    #[test]
    fn steps_so_far_are_told_as_each_prompt_tells_them() {
        let told = |name: &str, history: &[&str]| {
            let history: Vec<_> = history.iter().map(|&step| step.to_owned()).collect();
            let prompt = BenchmarkPrompt::open(name).unwrap();
            let messages = prompt.messages("Play it", &history, Size { width: 56, height: 28 });
            let parts = messages.into_iter().flat_map(|message| message.content);
            let words = parts.filter_map(|part| match part {
                Part::Text { text } => Some(text),
                _ => None,
            });
            words.collect::<Vec<_>>().pop().unwrap()
        };
        assert!(told("agentnet", &[]).ends_with("Previous actions:\nNone"));
        let two = told("agentnet", &["Open it", "Press it"]);
        assert!(two.ends_with("Previous actions:\nStep 1: Open it\nStep 2: Press it"), "{two}");
        let two = told("qwen-mobile-use", &["Open it", "Press it"]);
        assert!(two.ends_with(": Step 1: Open it; Step 2: Press it; "), "{two}");
        assert!(told("qwen-mobile-use", &[]).ends_with(": "));
    }

    #[test]
    fn an_unknown_name_and_a_bad_file_say_so() {
        let error = BenchmarkPrompt::open("nope").unwrap_err();
        assert_eq!(error.to_string(), "there is no benchmark prompt `nope`");
        assert!(error.hint().unwrap().contains("qwen-guided"));
        for (text, problem) in [
            ("name = 'x'", "`x.toml` does not describe a benchmark prompt"),
            (
                "name = 'x'\nabout = ''\nsources = []\ncounts = 'unit'\nuser = 'where?'",
                "`x.toml`: `user` does not say the `{description}`",
            ),
            (
                "name = 'x'\nabout = ''\nsources = []\ncounts = 'unit'\nsystem = '{tools}'\nuser = \
                 '{description}'",
                "`x.toml`: `dialect` is missing, and `{tools}` needs it",
            ),
        ] {
            assert_eq!(file::read(text, "x.toml").unwrap_err().to_string(), problem);
        }
    }
}
