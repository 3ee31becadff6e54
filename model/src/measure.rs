//! How fast an engine is: the same step measured as an agent takes it, first cold, then with what a
//! first step leaves behind.

use std::time::Instant;

use image::RgbImage;

use crate::batch;
use crate::chat::{Message, Part, Role};
use crate::engine::Engine;
use crate::error::ModelError;
use crate::memory::peak_memory;
use crate::request::{CancelFlag, Completion, GenerateOptions, Request, Stats, TokenInfo};
use crate::sequence::Sequence;

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
    /// The same, and the answer was as before: an action like the last one is guessed from it.
    pub quarter_changed_alike: Stats,
    /// The same screen again, and the same answer.
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
    let changed = with_last_quarter_changed(&workload.image, 0xff);
    let start = |image: &RgbImage| {
        let request = workload.request(engine, image)?;
        engine.start(&request, cancel, usize::MAX)
    };
    let whole = |answer: Completion| {
        if cancel.is_cancelled() { Err(ModelError::Cancelled) } else { Ok(answer) }
    };
    let step = |image: &RgbImage| whole(engine.complete(start(image)?, &mut |_| {})?);
    engine.forget();
    // A cold step guesses nothing: random weights repeat themselves, which would flatter it.
    let cold = start(&workload.image)?.without_drafts();
    let cold = whole(engine.complete(cold, &mut |_| {})?)?;
    let cold_peak = peak_memory();
    // A trained model says the same of the same screen; of random weights the smallest rounding says another.
    let saying = |said: &Completion, image: &RgbImage| {
        let rest = |answer: &[TokenInfo]| {
            Ok(said.tokens[answer.len()..].iter().map(|token| token.id).collect())
        };
        whole(complete_as(engine, start(image)?, &rest)?)
    };
    let unchanged = saying(&cold, &workload.image)?;
    let quarter_changed = step(&changed)?;
    let changed_again = with_last_quarter_changed(&workload.image, 0x3f);
    let quarter_changed_alike = saying(&quarter_changed, &changed_again)?;
    let together = together(engine, workload.new_tokens, cancel)?;
    engine.forget();
    Ok(Steps {
        cold: cold.stats,
        cold_peak,
        quarter_changed: quarter_changed.stats,
        quarter_changed_alike: quarter_changed_alike.stats,
        unchanged: unchanged.stats,
        together,
    })
}

/// Answers a request with the given text, as if the model found it the likeliest, and so tells in
/// [`Stats`] what an answer costs that this model might never give: how many of its tokens the grammar
/// forces, how many are guessed, and how many passes are left.
///
/// # Errors
///
/// [`ModelError`] if the engine cannot answer; [`ModelError::Constraint`] if the request allows no such text.
pub fn dictate(
    engine: &Engine,
    request: &Request,
    text: &str,
    cancel: &CancelFlag,
) -> Result<Completion, ModelError> {
    let sequence = engine.start(request, cancel, usize::MAX)?;
    let completion = complete_as(engine, sequence, &|answer| {
        let written: usize = answer.iter().map(|token| token.bytes.len()).sum();
        engine.tokenizer().encode(text.get(written..).unwrap_or_default())
    })?;
    if completion.text == text || cancel.is_cancelled() {
        return Ok(completion);
    }
    let problem = format!("`{text}` is not allowed; it became `{}`", completion.text);
    Err(ModelError::Constraint { problem })
}

/// Returns what is to follow an answer so far.
type Rest<'a> = dyn Fn(&[TokenInfo]) -> Result<Vec<u32>, ModelError> + 'a;

/// Completes an answer as if the tokens that `rest` returns for an answer so far were the likeliest to
/// follow, and then its end.
fn complete_as(
    engine: &Engine,
    sequence: Sequence<'_>,
    rest: &Rest<'_>,
) -> Result<Completion, ModelError> {
    let mut say = |sequence: &Sequence<'_>, logits: &mut [Vec<f32>]| {
        let tokens = rest(sequence.answer())?;
        let likeliest = tokens.iter().chain(engine.stop_ids());
        for (logits, &id) in logits.iter_mut().zip(likeliest) {
            logits.fill(0.0);
            logits[id as usize] = 1.0;
        }
        Ok(())
    };
    engine.complete_with(sequence, &mut say, &mut |_| {})
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
        /// Words that are counted.
        const SOME: usize = 64;
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
        let (width, height) = engine.resized_size(image.width(), image.height())?;
        let image_tokens = engine.processor().grid(width, height, 1).merged_len();
        // What the turns themselves take, and what a word adds: a token, or more of a small vocabulary.
        let frame = engine.prompt_tokens(&request(0))?.len();
        let some = engine.prompt_tokens(&request(SOME))?.len() - frame;
        let missing = self.prompt_tokens.saturating_sub(frame - image_tokens);
        Ok(request(missing * SOME / some.max(1)))
    }
}

/// Returns the image with these bits of its lower right quarter turned over.
fn with_last_quarter_changed(image: &RgbImage, bits: u8) -> RgbImage {
    let (width, height) = image.dimensions();
    let mut changed = image.clone();
    for (x, y, pixel) in changed.enumerate_pixels_mut() {
        if x >= width / 2 && y >= height / 2 {
            pixel.0 = pixel.0.map(|level| level ^ bits);
        }
    }
    changed
}
