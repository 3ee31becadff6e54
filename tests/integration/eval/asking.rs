//! How models are asked: closer looks, several requests at once, and what becomes of the numbers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use handsight_agent::{
    AnswerError, AskOptions, BenchmarkPrompt, CancelFlag, ModelCard, VisionModel,
};
use handsight_model::{
    Completion, Engine, ModelError, PixelLimits, Request, Scheduler, SchedulerLimits, Stats,
    StopReason, TokenInfo,
};
use handsight_scenarios::benchmark::import::schema::Schema;
use handsight_scenarios::benchmark::import::{ImportOptions, import};
use handsight_scenarios::benchmark::infer::{Asking, InferOptions, infer};
use handsight_scenarios::benchmark::prediction::read_predictions;
use handsight_scenarios::benchmark::run::{DatasetRef, ModelRef};
use handsight_scenarios::benchmark::summary::summarize;
use handsight_scenarios::benchmark::{Dataset, Run, RunManifest, Scorer};
use image::RgbImage;
use tempfile::TempDir;

use super::own_set;

/// A stand-in for a model: it sees pictures at twice their size, and writes what it is told to write of a
/// picture of that size.
struct Scripted<F: Fn(&RgbImage) -> String + Send + Sync> {
    writes: F,
    now: AtomicUsize,
    most: AtomicUsize,
    asked: Mutex<Vec<(u32, u32)>>,
}

impl<F: Fn(&RgbImage) -> String + Send + Sync> Scripted<F> {
    fn new(writes: F) -> Self {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { writes, now, most, asked: Mutex::default() }
    }
}

impl<F: Fn(&RgbImage) -> String + Send + Sync> VisionModel for Scripted<F> {
    fn card(&self) -> ModelCard {
        ModelCard { name: "a stand-in".to_owned(), ..ModelCard::default() }
    }

    fn resized_size_within(
        &self,
        width: u32,
        height: u32,
        _limits: PixelLimits,
    ) -> Result<(u32, u32), ModelError> {
        Ok((width * 2, height * 2))
    }

    fn answer(
        &self,
        request: &Request,
        _on_token: &mut dyn FnMut(&TokenInfo),
        _cancel: &CancelFlag,
    ) -> Result<Completion, AnswerError> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let image = &request.images[0].pixels;
        self.asked.lock().unwrap().push(image.dimensions());
        // Long enough for others to come, if they may.
        let (flag, condvar) = (Mutex::new(()), std::sync::Condvar::new());
        let wait = std::time::Duration::from_millis(15);
        drop(condvar.wait_timeout(flag.lock().unwrap(), wait).unwrap());
        let text = request.prefix.clone().unwrap_or_default() + &(self.writes)(image);
        self.now.fetch_sub(1, Ordering::SeqCst);
        let stats = Stats::default();
        Ok(Completion { text, tokens: Vec::new(), stop: StopReason::Stop, stats })
    }
}

/// A set of ten questions, asked; the box of each is from (10, 10) to (40, 30).
fn asked(
    model: &dyn VisionModel,
    prompt: &str,
    zoom: Option<f64>,
    concurrency: usize,
) -> (TempDir, Dataset, Run) {
    let folder = TempDir::new().unwrap();
    let file = own_set(folder.path(), 10);
    let options = ImportOptions {
        schema: Schema::named("handsight").unwrap(),
        name: None,
        images: None,
        drop_broken: false,
        only: None,
    };
    let out = folder.path().join("dataset");
    import(&[file], Some(&out), &options, &CancelFlag::default(), &mut |_| {}).unwrap();
    let dataset = Dataset::open(&out).unwrap();
    let prompt = BenchmarkPrompt::open(prompt).unwrap();
    let asking = Asking::Published { prompt, options: AskOptions::default(), zoom };
    let of = DatasetRef {
        name: dataset.info.name.clone(),
        sha256: dataset.info.sha256.clone(),
        items: dataset.items.len(),
        folder: dataset.folder.clone(),
    };
    let who = ModelRef {
        name: model.card().name,
        sha256: None,
        parameters: None,
        loaded: serde_json::Map::new(),
    };
    let frames = asking.frames(model).unwrap();
    let manifest =
        RunManifest::new(of, who, asking.prompt(), asking.options(), frames, asking.zoom());
    let run = Run::begin(&folder.path().join("run"), manifest).unwrap();
    let options = InferOptions { shard: None, retry_errors: false, concurrency };
    let cancel = CancelFlag::default();
    let progress =
        infer((&run, &dataset), (model, &asking), &options, &cancel, &|_, _| {}).unwrap();
    assert_eq!((progress.of, progress.done, progress.errors), (10, 10, 0));
    (folder, dataset, run)
}

fn strict(dataset: &Dataset, run: &Run) -> (u32, Option<u32>) {
    let predictions = read_predictions(run, dataset).unwrap();
    let summary = summarize(run, dataset, &predictions, &[Scorer::Strict]);
    let first = summary.first_look.map(|cell| cell.correct);
    (summary.scores[0].overall.correct, first)
}

#[test]
fn a_closer_look_is_mapped_back_and_stands_beside_the_first() {
    // The middle of the box is (25, 20), and both looks are shown at twice their size. The first is 20 pixels
    // too low; the second sees what begins at (0, 12).
    let model = Scripted::new(|image: &RgbImage| match image.height() {
        84 => "50, 80]}}\n</tool_call>".to_owned(),
        _ => "50, 16]}}\n</tool_call>".to_owned(),
    });
    let (_folder, dataset, run) = asked(&model, "qwen-guided", Some(1.5), 1);
    let (zoomed, first) = strict(&dataset, &run);
    assert_eq!((zoomed, first), (10, Some(0)), "{:?}", model.asked.lock().unwrap());
    // Those who take the numbers for pixels take them for pixels of the part that was shown: (50, 16) from
    // (0, 12) is (50, 28), beside the box.
    let predictions = read_predictions(&run, &dataset).unwrap();
    let summary = summarize(&run, &dataset, &predictions, &[Scorer::Lmms, Scorer::Clawgui]);
    for scores in &summary.scores {
        let points = scores.judged.iter().flatten().filter_map(|judged| judged.point);
        assert!(points.clone().count() == 10, "{}", scores.scorer);
        for [x, y] in points {
            assert!(
                (x - 50.0).abs() < 1e-9 && (y - 28.0).abs() < 1e-9,
                "{} {x} {y}",
                scores.scorer
            );
        }
    }
    let asked = model.asked.lock().unwrap();
    assert_eq!(asked.len(), 20);
    assert!(asked.iter().skip(1).step_by(2).all(|size| size.1 == 56), "{asked:?}");
}

#[test]
fn requests_to_a_server_go_out_together_and_change_nothing() {
    let writes = |image: &RgbImage| format!("[{}, 40]", 30 + image.width() / 28);
    let (one, many) = (Scripted::new(writes), Scripted::new(writes));
    let (_first, dataset, straight) = asked(&one, "plain", None, 1);
    let (_second, _, together) = asked(&many, "plain", None, 4);
    assert_eq!(one.most.load(Ordering::SeqCst), 1);
    let most = many.most.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most}");
    let text = |run: &Run| fs_err::read_to_string(run.folder.join("predictions.jsonl")).unwrap();
    assert_eq!(text(&straight), text(&together));
    assert_eq!(strict(&dataset, &straight), (10, None));
}

/// The embedded checkpoint, which answers questions about several pictures in common passes. What is added up
/// in another order differs in the last digits of a probability.
#[test]
fn a_batch_shares_passes_and_answers_the_same() {
    let engine = Engine::embedded().unwrap();
    let (_first, dataset, straight) = asked(&engine, "qwen-guided", None, 1);
    let limits = SchedulerLimits { max_running: 4, ..SchedulerLimits::default() };
    let scheduler = Scheduler::new(Arc::new(Engine::embedded().unwrap()), limits);
    let (_second, _, together) = asked(&scheduler, "qwen-guided", None, 4);
    let stats = scheduler.stats();
    assert!(stats.completed == 10 && stats.sequences_in_passes > stats.passes, "{stats:?}");
    let [mut straight, mut together] =
        [straight, together].map(|run| read_predictions(&run, &dataset).unwrap());
    for (one, other) in straight.values_mut().zip(together.values_mut()) {
        for (one, other) in one.looks.iter_mut().zip(&mut other.looks) {
            let [one, other] = [one, other].map(|look| look.probability.take().unwrap());
            assert!((one - other).abs() < 1e-6, "{one}, not {other}");
        }
    }
    assert_eq!(straight, together);
}

#[test]
fn what_a_number_counts_is_known_and_another_count_is_shown_beside() {
    // Right if the numbers counted pixels of the picture; the prompt says that they are the shown one's.
    let model = Scripted::new(|_: &RgbImage| "(25, 25)".to_owned());
    let (_folder, dataset, run) = asked(&model, "plain", None, 1);
    let predictions = read_predictions(&run, &dataset).unwrap();
    let summary = summarize(&run, &dataset, &predictions, &[Scorer::Strict]);
    assert_eq!(summary.scores[0].overall.correct, 10);
    let counted: Vec<_> =
        summary.if_counted.iter().map(|(counts, cell)| (counts.as_str(), cell.correct)).collect();
    // (25, 25) of the shown picture is (12.5, 12.5) of the real one: both lie in the box.
    assert_eq!(
        counted,
        [("resized-pixels", 10), ("original-pixels", 10), ("thousandths", 0), ("unit", 0)]
    );
}
