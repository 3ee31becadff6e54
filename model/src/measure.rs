//! How fast an engine is: the same step measured as an agent takes it, first cold, then with what a
//! first step leaves behind.

use std::time::Instant;

use image::RgbImage;

use crate::batch;
use crate::chat::{Message, Part, Role};
use crate::engine::Engine;
use crate::error::ModelError;
use crate::memory::peak_memory;
use crate::request::{CancelFlag, GenerateOptions, Request, Stats};

/// One step of an agent: a constant system turn, a screenshot and a short goal in, an action out.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The screenshot.
    pub image: RgbImage,
    /// Tokens of the prompt beside the image's, about.
    pub prompt_tokens: usize,
    /// Tokens of the answer.
    pub new_tokens: usize,
}

/// What a step cost, by what was known before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    /// Nothing was known.
    pub cold: Stats,
    /// The most bytes the process had in memory until then, if the system tells.
    pub cold_peak: Option<u64>,
    /// The screen had changed in its last quarter since the step before.
    pub quarter_changed: Stats,
    /// The same screen again.
    pub unchanged: Stats,
    /// Tokens a second of [`TOGETHER`] answers that grow in the same passes, all together.
    pub together: f64,
}

/// How many answers grow together when that is measured.
pub const TOGETHER: usize = 4;

/// Measures the steps once. What the engine remembers is forgotten first, and again at the end.
///
/// # Errors
///
/// [`ModelError`] if the engine cannot answer; [`ModelError::Cancelled`] if it was cancelled.
pub fn measure(
    engine: &Engine,
    workload: &Workload,
    cancel: &CancelFlag,
) -> Result<Steps, ModelError> {
    let changed = with_last_quarter_changed(&workload.image);
    // A cold step guesses nothing: random weights repeat themselves, which would flatter it.
    let step = |image: &RgbImage, drafts: bool| {
        let request = workload.request(engine, image)?;
        let sequence = engine.start(&request, cancel, usize::MAX)?;
        let sequence = if drafts { sequence } else { sequence.without_drafts() };
        let answer = engine.complete(sequence, &mut |_| {})?;
        if cancel.is_cancelled() { Err(ModelError::Cancelled) } else { Ok(answer.stats) }
    };
    engine.forget();
    let cold = step(&workload.image, false)?;
    let cold_peak = peak_memory();
    let unchanged = step(&workload.image, true)?;
    let quarter_changed = step(&changed, true)?;
    let together = together(engine, workload.new_tokens, cancel)?;
    engine.forget();
    Ok(Steps { cold, cold_peak, quarter_changed, unchanged, together })
}

/// Measures how fast several answers grow together, after short prompts.
fn together(engine: &Engine, new_tokens: usize, cancel: &CancelFlag) -> Result<f64, ModelError> {
    let start = |at: usize| {
        let request = Request {
            messages: vec![Message::text(Role::User, format!("Say {at}."))],
            options: GenerateOptions {
                max_new_tokens: new_tokens + 1,
                ignore_eos: true,
                ..GenerateOptions::default()
            },
            ..Request::default()
        };
        Ok(engine.start(&request, cancel, usize::MAX)?.without_drafts())
    };
    let mut sequences = (0..TOGETHER).map(start).collect::<Result<Vec<_>, ModelError>>()?;
    let mut pass = || {
        let logits = batch::pass(engine.model(), &mut sequences.iter_mut().collect::<Vec<_>>())?;
        for (sequence, logits) in sequences.iter_mut().zip(logits) {
            if let Some(logits) = logits {
                sequence.advance(logits, &mut |_| {})?;
            }
        }
        if cancel.is_cancelled() { Err(ModelError::Cancelled) } else { Ok(()) }
    };
    pass()?; // the prompts
    let start = Instant::now();
    for _ in 0..new_tokens {
        pass()?;
    }
    let seconds = start.elapsed().as_secs_f64();
    for sequence in sequences {
        engine.finish(sequence);
    }
    Ok((TOGETHER * new_tokens) as f64 / seconds.max(1e-9))
}

impl Workload {
    fn request(&self, engine: &Engine, image: &RgbImage) -> Result<Request, ModelError> {
        let request = |words: usize| Request {
            messages: vec![
                Message::text(Role::System, "word ".repeat(words)),
                Message::new(
                    Role::User,
                    vec![
                        Part::Image { image: 0 },
                        Part::Text { text: "Click the button.".to_owned() },
                    ],
                ),
            ],
            images: vec![image.clone().into()],
            options: GenerateOptions {
                max_new_tokens: self.new_tokens,
                ignore_eos: true,
                ..GenerateOptions::default()
            },
            ..Request::default()
        };
        // What the turns themselves take; every further word is a token.
        let image_tokens = {
            let (width, height) = engine.resized_size(image.width(), image.height())?;
            engine.processor().grid(width, height, 1).merged_len()
        };
        let frame = engine.prompt_tokens(&request(0))?.len() - image_tokens;
        Ok(request(self.prompt_tokens.saturating_sub(frame)))
    }
}

/// Returns the image with its lower right quarter turned upside down in colour.
fn with_last_quarter_changed(image: &RgbImage) -> RgbImage {
    let (width, height) = image.dimensions();
    let mut changed = image.clone();
    for (x, y, pixel) in changed.enumerate_pixels_mut() {
        if x >= width / 2 && y >= height / 2 {
            pixel.0 = pixel.0.map(|level| !level);
        }
    }
    changed
}
