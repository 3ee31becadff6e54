//! `/metrics`, in the text form Prometheus reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use handsight_model::SchedulerStats;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// What one line of the request counter is about.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    path: &'static str,
    status: u16,
}

/// All that is counted.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Histogram,
    first_token: Histogram,
    running: Gauge,
    queued: Gauge,
    /// In the order of [`SCHEDULER`].
    scheduler: Vec<Counter<u64, AtomicU64>>,
}

/// The paths that are told apart: any other text would let clients fill memory with lines.
const PATHS: [&str; 6] =
    ["/v1/chat/completions", "/v1/models", "/tokenize", "/detokenize", "/healthz", "/metrics"];

/// The media type of what [`Metrics::text`] returns.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A counter of the scheduler's: its name, what it says, and where it stands.
type SchedulerCounter = (&'static str, &'static str, fn(&SchedulerStats) -> u64);

const SCHEDULER: [SchedulerCounter; 10] = [
    ("prompt_tokens", "Tokens of all prompts", |stats| stats.prompt_tokens),
    ("cached_tokens", "Tokens of prompts that were remembered", |stats| stats.cached_tokens),
    ("prefilled_tokens", "Tokens of prompts that went through the decoder", |stats| {
        stats.prefilled_tokens
    }),
    ("completion_tokens", "Tokens of all answers", |stats| stats.completion_tokens),
    ("generations_completed", "Answers that were generated whole", |stats| stats.completed),
    ("generations_cancelled", "Answers that were cancelled", |stats| stats.cancelled),
    ("generations_failed", "Answers that failed", |stats| stats.failed),
    ("generations_refused", "Answers refused because too many waited", |stats| stats.refused),
    ("decode_passes", "Passes through the decoder", |stats| stats.passes),
    ("decode_sequences", "Sequences in all passes through the decoder", |stats| {
        stats.sequences_in_passes
    }),
];

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("handsight");
        let seconds = || Histogram::new([0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]);
        let metrics = Self {
            requests: Family::default(),
            seconds: seconds(),
            first_token: seconds(),
            running: Gauge::default(),
            queued: Gauge::default(),
            scheduler: SCHEDULER.iter().map(|_| Counter::default()).collect(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests answered", metrics.requests.clone());
        let (help, unit) = ("Time from a chat request to the end of its answer", Unit::Seconds);
        registry.register_with_unit("request_duration", help, unit, metrics.seconds.clone());
        let (help, unit) = ("Time from request to the first token", Unit::Seconds);
        registry.register_with_unit("time_to_first_token", help, unit, metrics.first_token.clone());
        registry.register("running", "Answers being generated", metrics.running.clone());
        registry.register("queued", "Answers waiting", metrics.queued.clone());
        for ((name, help, _), counter) in SCHEDULER.iter().zip(&metrics.scheduler) {
            registry.register(*name, *help, counter.clone());
        }
        Self { registry, ..metrics }
    }

    /// Counts a request.
    pub(super) fn request(
        &self,
        path: &str,
        status: u16,
        elapsed: Duration,
        first_token: Option<Duration>,
    ) {
        let known = PATHS.iter().copied().find(|&known| known == path);
        let labels = RequestLabels { path: known.unwrap_or("other"), status };
        self.requests.get_or_create(&labels).inc();
        // Probes would drown what users wait for.
        if known == Some(PATHS[0]) {
            self.seconds.observe(elapsed.as_secs_f64());
        }
        if let Some(first_token) = first_token {
            self.first_token.observe(first_token.as_secs_f64());
        }
    }

    /// Returns all of it.
    pub(super) fn text(&self, stats: &SchedulerStats) -> String {
        let gauge = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.running.set(gauge(stats.running));
        self.queued.set(gauge(stats.queued));
        for ((.., read), counter) in SCHEDULER.iter().zip(&self.scheduler) {
            counter.inner().store(read(stats), Ordering::Relaxed);
        }
        let mut text = String::new();
        // A string takes every write.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::new();
        let second = Duration::from_secs(1);
        metrics.request("/v1/models", 200, second, None);
        metrics.request("/v1/chat/completions", 200, second, Some(second / 2));
        metrics.request("/etc/passwd", 404, second, None);
        let stats =
            SchedulerStats { running: 2, completion_tokens: 41, ..SchedulerStats::default() };
        let text = metrics.text(&stats);
        for line in [
            r#"handsight_requests_total{path="/v1/models",status="200"} 1"#,
            r#"handsight_requests_total{path="other",status="404"} 1"#,
            "handsight_request_duration_seconds_count 1",
            "handsight_time_to_first_token_seconds_sum 0.5",
            "handsight_running 2",
            "handsight_completion_tokens_total 41",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\nis not in\n{text}");
        }
    }
}
