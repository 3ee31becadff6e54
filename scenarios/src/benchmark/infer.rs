//! Asking a model about every item of a set, and writing down what it wrote.
//!
//! Items that share a picture are asked one after another, so that the picture is encoded once. What is
//! done stays done: a run that was stopped or killed goes on where it was.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use fs_err as fs;
use handsight_actions::{PixelPoint, Rect, Size};
use handsight_agent::{
    AnswerError, AskOptions, BenchmarkPrompt, CancelFlag, Counts, GroundingError, PixelBudget,
    PolicyError, PromptProfile, Usage, VisionModel, ground, with_source,
};
use image::RgbImage;
use image::imageops::crop_imm;

use super::answer::read_place;
use super::dataset::Dataset;
use super::item::Item;
use super::prediction::{Click, Look, Prediction, PredictionError, PredictionLog, Timing, Tokens};
use super::run::{OWN_PROMPT, PROBES, PromptRef, Run};
use super::scorer::place_of;
use crate::files::short_digest;
use crate::suite::Shard;

/// The most requests under way at once.
pub const MAX_CONCURRENCY: usize = 256;

/// After so many errors in a row it is not the items' fault.
pub const MAX_ERRORS_IN_A_ROW: usize = 25;

/// The shortest side of a closer look, in pixels.
const MIN_PART: u32 = 56;

/// How a model is asked.
#[derive(Clone, Debug)]
pub enum Asking {
    /// As a published evaluation asks.
    Published {
        /// The question.
        prompt: Arc<BenchmarkPrompt>,
        /// What of it is not the prompt's.
        options: AskOptions,
        /// How many times closer a second look is, if there is one.
        zoom: Option<f64>,
    },
    /// As this program asks at work.
    Own(PromptProfile),
}

impl Asking {
    /// Returns what a manifest says of the prompt.
    pub fn prompt(&self) -> PromptRef {
        match self {
            Self::Published { prompt, .. } => PromptRef {
                name: prompt.name.clone(),
                sha256: Some(prompt.sha256.clone()),
                counts: prompt.counts,
                calls: prompt.calls(),
            },
            Self::Own(profile) => PromptRef {
                name: own_name(profile),
                sha256: None,
                counts: Counts::from(profile.family().grid),
                calls: profile.dialect().is_calls(),
            },
        }
    }

    /// Returns the options of asking as a manifest has them.
    pub fn options(&self) -> AskOptions {
        match self {
            Self::Published { options, .. } => *options,
            Self::Own(profile) => {
                let limits = profile.limits_to_ground();
                AskOptions {
                    min_pixels: limits.min_pixels,
                    max_pixels: limits.max_pixels,
                    ..AskOptions::default()
                }
            }
        }
    }

    /// Returns how many times closer a second look is, if there is one.
    pub fn zoom(&self) -> Option<f64> {
        if let Self::Published { zoom, .. } = self { *zoom } else { None }
    }

    /// Returns how large the model is shown pictures of some sizes.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] if it cannot be shown one of them.
    pub fn frames(&self, model: &dyn VisionModel) -> Result<Vec<(Size, Size)>, AnswerError> {
        let limits = self.options().limits();
        let shown = |size: Size| {
            let (width, height) = model.resized_size_within(size.width, size.height, limits)?;
            Ok((size, Size { width, height }))
        };
        PROBES.into_iter().map(shown).collect()
    }
}

/// Names the prompt of a family; with the budget, where that is another for every picture.
fn own_name(profile: &PromptProfile) -> String {
    let auto = if profile.budget() == PixelBudget::Auto { ",pixels=auto" } else { "" };
    format!("{OWN_PROMPT}:{}{auto}", profile.as_str())
}

/// Which items are asked about, and how many at once.
#[derive(Clone, Copy, Debug)]
pub struct InferOptions {
    /// Which part of them.
    pub shard: Option<Shard>,
    /// Whether those that ended in an error are asked about again.
    pub retry_errors: bool,
    /// How many requests may be under way; more than one only makes sense with a server.
    pub concurrency: usize,
}

/// What a run has come to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// How many items the run, or its part, has.
    pub of: usize,
    /// How many of them are done.
    pub done: usize,
    /// How many of those ended in an error.
    pub errors: usize,
}

/// Asks about the items of a run that are not done yet; `on_item` is told of each.
///
/// # Errors
///
/// [`PredictionError`] if the files of the run cannot be used, or too many items in a row end in an error.
/// That there is no answer to an item is written down and no error here; a run that `cancel` stops keeps
/// what it has.
pub fn infer(
    (run, dataset): (&Run, &Dataset),
    (model, asking): (&dyn VisionModel, &Asking),
    options: &InferOptions,
    cancel: &CancelFlag,
    on_item: &(dyn Fn(Progress, &Prediction) + Sync),
) -> Result<Progress, PredictionError> {
    if run.manifest.dataset.sha256 != dataset.info.sha256 {
        let folder = dataset.folder.clone();
        return Err(PredictionError::AnotherDataset { run: run.manifest.id(), folder });
    }
    let (log, mut there) = PredictionLog::open(run, dataset)?;
    let groups = by_picture(dataset, run.manifest.dataset.items);
    let groups = options.shard.map_or(groups.clone(), |shard| shard.part(groups));
    let of = groups.iter().map(Vec::len).sum();
    let is_open = |at: &usize| {
        let prediction = there.get(at);
        prediction.is_none_or(|there| options.retry_errors && there.error.is_some())
    };
    let open: Vec<Vec<usize>> = groups
        .iter()
        .map(|group| group.iter().copied().filter(is_open).collect())
        .filter(|group: &Vec<usize>| !group.is_empty())
        .collect();
    let n_open: usize = open.iter().map(Vec::len).sum();
    let errors = there.values().filter(|prediction| prediction.error.is_some()).count();
    let progress = Progress { of, done: of - n_open, errors };
    let mut in_a_row = 0;
    let shared = Mutex::new((log, &mut there, progress, &mut in_a_row, None));
    let next = AtomicUsize::new(0);
    let id = run.manifest.id();
    let work = || {
        while let Some(group) = open.get(next.fetch_add(1, Ordering::SeqCst)) {
            let mut picture = None;
            for &at in group {
                let item = &dataset.items[at];
                let start = Instant::now();
                let answer = match picture.get_or_insert_with(|| load(dataset, item)) {
                    Ok(image) => ask(model, asking, image, item, cancel),
                    Err(problem) => Err(problem.clone()),
                };
                if cancel.is_cancelled() {
                    return;
                }
                let (prediction, mut timing) = predict(&id, item, answer);
                timing.total_ms = start.elapsed().as_secs_f64() * 1000.0;
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let (log, there, progress, in_a_row, failed) = &mut *shared;
                if failed.is_some() {
                    return;
                }
                if let Err(error) = log.add(&prediction, &timing) {
                    *failed = Some(error.into());
                    return;
                }
                progress.done += 1;
                progress.errors += usize::from(prediction.error.is_some());
                on_item(*progress, &prediction);
                **in_a_row = if prediction.error.is_some() { **in_a_row + 1 } else { 0 };
                if let Some(last) = &prediction.error
                    && **in_a_row >= MAX_ERRORS_IN_A_ROW
                {
                    let (count, last) = (**in_a_row, last.clone());
                    *failed = Some(PredictionError::TooManyErrors { count, last });
                }
                there.insert(at, prediction);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..options.concurrency.clamp(1, MAX_CONCURRENCY) {
            scope.spawn(work);
        }
        work();
    });
    let (log, there, progress, _, failed) =
        shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = failed {
        return Err(error);
    }
    let errors = there.values().filter(|prediction| prediction.error.is_some()).count();
    let progress = Progress { errors, ..progress };
    if progress.done == progress.of {
        log.finish(there)?;
    }
    Ok(progress)
}

/// Returns the first items of a set by their pictures, those in the order in which they come first.
fn by_picture(dataset: &Dataset, limit: usize) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known = BTreeMap::new();
    for (at, item) in dataset.items.iter().enumerate().take(limit) {
        let group = *known.entry(&item.image).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(at);
    }
    groups
}

/// Reads a picture, if it is still the one that was imported.
fn load(dataset: &Dataset, item: &Item) -> Result<Arc<RgbImage>, String> {
    let path: PathBuf = dataset.picture(item);
    let bytes = fs::read(&path).map_err(|error| error.to_string())?;
    if short_digest(&bytes) != item.image_sha256 {
        return Err(format!("`{}` was changed after it was imported", path.display()));
    }
    let image = image::load_from_memory(&bytes).map_err(|error| error.to_string())?;
    Ok(Arc::new(image.into_rgb8()))
}

/// What was written about an item, and what it took.
struct Answered {
    looks: Vec<Look>,
    click: Option<Click>,
    usage: Usage,
}

fn ask(
    model: &dyn VisionModel,
    asking: &Asking,
    image: &Arc<RgbImage>,
    item: &Item,
    cancel: &CancelFlag,
) -> Result<Answered, String> {
    match asking {
        Asking::Own(profile) => own(model, profile, image, item, cancel),
        Asking::Published { prompt, options, zoom } => {
            let ask = |image: &Arc<RgbImage>| {
                let words = (item.instruction.as_str(), item.history.as_slice());
                let answer = prompt.ask(model, image, words, options, cancel);
                answer.map_err(|error| with_source(&error))
            };
            let answer = ask(image)?;
            let mut usage = answer.usage;
            let mut looks = vec![Look {
                raw: answer.text,
                part: None,
                resized: answer.resized,
                probability: answer.probability,
            }];
            if let Some(part) =
                zoom.and_then(|zoom| closer(&looks[0], item.size, prompt.counts, zoom))
            {
                let (x, y) = (part.x.unsigned_abs(), part.y.unsigned_abs());
                let cut = crop_imm(image.as_ref(), x, y, part.width, part.height).to_image();
                let answer = ask(&Arc::new(cut))?;
                usage.add(&answer.usage);
                looks.push(Look {
                    raw: answer.text,
                    part: Some(part),
                    resized: answer.resized,
                    probability: answer.probability,
                });
            }
            Ok(Answered { looks, click: None, usage })
        }
    }
}

/// Returns the part of a picture around what a look found; nothing if it found no place.
fn closer(look: &Look, whole: Size, counts: Counts, zoom: f64) -> Option<Rect> {
    let point = read_place(&look.raw).ok()?.click()?;
    let [x, y] = place_of(point, look, whole, counts);
    let along = |share: f64, length: u32| {
        let part = ((f64::from(length) / zoom) as u32).clamp(MIN_PART.min(length), length);
        let start = share.clamp(0.0, 1.0) * f64::from(length) - f64::from(part) / 2.0;
        (start.clamp(0.0, f64::from(length - part)) as i32, part)
    };
    let ((left, width), (top, height)) = (along(x, whole.width), along(y, whole.height));
    Some(Rect { x: left, y: top, width, height })
}

/// Asks as this program does at work.
fn own(
    model: &dyn VisionModel,
    profile: &PromptProfile,
    image: &RgbImage,
    item: &Item,
    cancel: &CancelFlag,
) -> Result<Answered, String> {
    match ground(model, profile, image, &item.instruction, cancel) {
        Ok(found) => {
            let PixelPoint { x, y } = found.point;
            let at = Click::At([f64::from(x) + 0.5, f64::from(y) + 0.5]);
            let click = if found.found { at } else { Click::Nowhere };
            let looks = vec![Look {
                raw: found.reply,
                part: found.looked_at,
                resized: found.frame.model,
                probability: found.probability,
            }];
            Ok(Answered { looks, click: Some(click), usage: found.usage })
        }
        Err(GroundingError::Policy(PolicyError::InvalidReply { reply, .. })) => {
            let looks =
                vec![Look { raw: reply, part: None, resized: item.size, probability: None }];
            Ok(Answered { looks, click: None, usage: Usage::default() })
        }
        Err(error) => Err(with_source(&error)),
    }
}

fn predict(run: &str, item: &Item, answer: Result<Answered, String>) -> (Prediction, Timing) {
    let mut prediction = Prediction {
        run: run.to_owned(),
        id: item.id.clone(),
        looks: Vec::new(),
        click: None,
        error: None,
        tokens: Tokens::default(),
    };
    let mut timing = Timing { id: item.id.clone(), ..Timing::default() };
    match answer {
        Err(problem) => prediction.error = Some(problem),
        Ok(Answered { looks, click, usage }) => {
            prediction.looks = looks;
            prediction.click = click;
            prediction.tokens = Tokens {
                image: usage.image_tokens,
                prompt: usage.prompt_tokens,
                output: usage.completion_tokens,
            };
            timing.preprocess_ms = usage.preprocess_ms;
            timing.vision_ms = usage.vision_ms;
            timing.prefill_ms = usage.prefill_ms;
            timing.decode_ms = usage.decode_ms;
        }
    }
    (prediction, timing)
}
