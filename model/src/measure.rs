//! How fast an engine is: the same step measured as an agent takes it, first cold, then with what a
//! first step leaves behind.

use image::RgbImage;

use crate::chat::{Message, Part, Role};
use crate::engine::Engine;
use crate::error::ModelError;
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
    /// The screen had changed in its last quarter since the step before.
    pub quarter_changed: Stats,
    /// The same screen again.
    pub unchanged: Stats,
}

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
    let step = |image: &RgbImage| {
        let request = workload.request(engine, image)?;
        let answer = engine.generate(&request, &mut |_| {}, cancel)?;
        if cancel.is_cancelled() { Err(ModelError::Cancelled) } else { Ok(answer.stats) }
    };
    engine.forget();
    let cold = step(&workload.image)?;
    let unchanged = step(&workload.image)?;
    let quarter_changed = step(&changed)?;
    engine.forget();
    Ok(Steps { cold, quarter_changed, unchanged })
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
