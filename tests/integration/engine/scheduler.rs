//! Many requests at once.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use handsight_model::{
    CancelFlag, Completion, Constraint, EngineOptions, Event, GenerateOptions, ModelError, Request,
    Sampling, Scheduler, SchedulerLimits, StopReason,
};

use super::{answer, ask, assert_same, forgetful, look, tiny, watch};

/// Longer than anything here takes; a test that waits as long has failed.
const LONG: Duration = Duration::from_secs(60);

fn scheduler(limits: SchedulerLimits) -> Scheduler {
    Scheduler::new(Arc::new(tiny(&EngineOptions::default())), limits)
}

/// A request that was submitted.
struct Asked {
    events: Receiver<Event>,
    cancel: CancelFlag,
}

impl Asked {
    fn submit(scheduler: &Scheduler, request: &Request) -> Result<Self, ModelError> {
        let (send, events) = channel();
        let cancel = CancelFlag::default();
        let on_event = move |event| {
            // Who no longer listens is not told.
            let _ = send.send(event);
        };
        scheduler.submit(request.clone(), cancel.clone(), Box::new(on_event))?;
        Ok(Self { events, cancel })
    }

    /// Waits for the next event.
    #[track_caller]
    fn next(&self) -> Event {
        self.events.recv_timeout(LONG).unwrap()
    }

    /// Waits for the end; the tokens on the way must be the answer's.
    #[track_caller]
    fn done(&self) -> Result<Completion, ModelError> {
        let mut shown = Vec::new();
        loop {
            match self.next() {
                Event::Started { .. } => {}
                Event::Token(token) => shown.push(token),
                Event::Done(result) => {
                    if let Ok(answer) = result.as_ref() {
                        assert_eq!(shown, answer.tokens[answer.tokens.len() - shown.len()..]);
                    }
                    return *result;
                }
            }
        }
    }
}

/// Goes on until it is cancelled.
fn endless() -> Request {
    let options = GenerateOptions { max_new_tokens: 3_900, ignore_eos: true, ..Default::default() };
    Request { options, ..ask("Count.") }
}

#[test]
fn requests_that_run_together_answer_as_alone() {
    let sampling = Sampling::Random { temperature: 0.9, top_p: Some(0.9), top_k: None, seed: 7 };
    let drawn = GenerateOptions { max_new_tokens: 16, sampling, ..Default::default() };
    let mut requests = vec![
        ask("Hello?"),
        look("What is open?", (140, 112, 1)),
        Request { options: drawn, ..look("Where?", (84, 168, 2)) },
        watch("What happens?", 4),
        Request {
            constraint: Some(Constraint::Regex("[0-9]{3}(, [0-9]{3}){3}".to_owned())),
            options: GenerateOptions::default(),
            ..ask("Four numbers.")
        },
        look("A larger one", (400, 300, 5)),
    ];
    requests.extend_from_within(..3);
    let alone = forgetful();
    let scheduler = scheduler(SchedulerLimits { max_running: 5, ..Default::default() });
    let asked: Vec<Asked> =
        requests.iter().map(|request| Asked::submit(&scheduler, request).unwrap()).collect();
    for (asked, request) in asked.iter().zip(&requests) {
        assert_same(&asked.done().unwrap(), &answer(&alone, request));
    }
    let stats = scheduler.stats();
    assert_eq!((stats.accepted, stats.completed, stats.running, stats.queued), (9, 9, 0, 0));
    assert!(stats.sequences_in_passes > stats.passes, "they shared passes: {stats:?}");
}

/// The same request with draws of its own.
fn drawn(request: &Request, seed: u64) -> Request {
    let sampling = Sampling::Random { temperature: 1.5, top_p: None, top_k: None, seed };
    let options = GenerateOptions { sampling, ..request.options.clone() };
    Request { options, ..request.clone() }
}

#[test]
fn a_prompt_that_is_asked_several_times_at_once_runs_once() {
    let request = look("What is open?", (280, 280, 1));
    let scheduler = scheduler(SchedulerLimits { max_running: 3, ..Default::default() });
    let requests: Vec<Request> = (0..5).map(|seed| drawn(&request, seed)).collect();
    let asked: Vec<Asked> =
        requests.iter().map(|request| Asked::submit(&scheduler, request).unwrap()).collect();
    let mut prompt_tokens = 0;
    for (asked, request) in asked.iter().zip(&requests) {
        let said = asked.done().unwrap();
        assert_same(&said, &answer(&forgetful(), request));
        prompt_tokens = said.stats.prompt_tokens as u64;
    }
    let stats = scheduler.stats();
    // Only the last token runs for each: what comes after it is drawn anew.
    assert_eq!(stats.prefilled_tokens, prompt_tokens + 4, "{stats:?}");
    assert_eq!(stats.cached_tokens, 4 * (prompt_tokens - 1), "{stats:?}");
    assert_eq!(stats.caches.vision_misses, 1);
}

#[test]
fn what_prompts_share_is_taken_from_one_that_still_runs() {
    let scheduler = Scheduler::new(Arc::new(forgetful()), SchedulerLimits::default());
    let first = look("What is open?", (280, 280, 1));
    let other = look("Where is the button?", (280, 280, 1));
    let lends = Request {
        options: GenerateOptions { max_new_tokens: 300, ignore_eos: true, ..Default::default() },
        ..first.clone()
    };
    let lender = Asked::submit(&scheduler, &lends).unwrap();
    while !matches!(lender.next(), Event::Token(_)) {}
    let same = Asked::submit(&scheduler, &first).unwrap().done().unwrap();
    let other_said = Asked::submit(&scheduler, &other).unwrap().done().unwrap();
    assert_same(&same, &answer(&forgetful(), &first));
    assert_same(&other_said, &answer(&forgetful(), &other));
    assert_eq!(same.stats.cached_tokens, same.stats.prompt_tokens - 1);
    let shared = other_said.stats.cached_tokens;
    assert!(shared > 100 && shared < other_said.stats.prompt_tokens - 1, "{shared}");
    assert_same(&lender.done().unwrap(), &answer(&forgetful(), &lends));
    let total = same.stats.prompt_tokens + 1 + other_said.stats.prompt_tokens - shared;
    assert_eq!(scheduler.stats().prefilled_tokens, total as u64);
}

#[test]
fn who_waits_for_another_goes_on_when_that_one_is_cancelled() {
    let scheduler = Scheduler::new(Arc::new(forgetful()), SchedulerLimits::default());
    // A prompt of several passes, so that the first is cancelled on its way through.
    let request = ask(&"Read all of this. ".repeat(150));
    let options = GenerateOptions { max_new_tokens: 1000, ignore_eos: true, ..Default::default() };
    let long = Request { options, ..request.clone() };
    let first = Asked::submit(&scheduler, &long).unwrap();
    let second = Asked::submit(&scheduler, &request).unwrap();
    let third = Asked::submit(&scheduler, &request).unwrap();
    assert!(matches!(second.next(), Event::Started { .. }));
    first.cancel.cancel();
    assert_eq!(first.done().unwrap().stop, StopReason::Cancelled);
    let expected = answer(&forgetful(), &request);
    assert!(expected.stats.prompt_tokens > 1024, "{}", expected.stats.prompt_tokens);
    assert_same(&second.done().unwrap(), &expected);
    assert_same(&third.done().unwrap(), &expected);
}

#[test]
fn a_cancelled_request_frees_its_place_and_disturbs_no_other() {
    let scheduler = scheduler(SchedulerLimits { max_running: 2, ..Default::default() });
    let stays = Request {
        options: GenerateOptions { max_new_tokens: 200, ignore_eos: true, ..Default::default() },
        ..look("What is open?", (140, 112, 1))
    };
    let cancelled = Asked::submit(&scheduler, &endless()).unwrap();
    let other = Asked::submit(&scheduler, &stays).unwrap();
    let waits = Asked::submit(&scheduler, &ask("Hello?")).unwrap();
    while !matches!(cancelled.next(), Event::Token(_)) {}
    cancelled.cancel.cancel();
    let said = cancelled.done().unwrap();
    assert_eq!(said.stop, StopReason::Cancelled);
    assert!(!said.tokens.is_empty(), "what was said is kept");
    assert_same(&waits.done().unwrap(), &answer(&forgetful(), &ask("Hello?")));
    assert_same(&other.done().unwrap(), &answer(&forgetful(), &stays));
    let stats = scheduler.stats();
    assert_eq!((stats.completed, stats.cancelled), (2, 1));
}

#[test]
fn one_more_than_may_wait_is_refused_at_once() {
    let limits = SchedulerLimits { max_running: 1, max_queued: 1, ..Default::default() };
    let scheduler = scheduler(limits);
    let runs = Asked::submit(&scheduler, &endless()).unwrap();
    while !matches!(runs.next(), Event::Token(_)) {}
    let waits = Asked::submit(&scheduler, &ask("Hello?")).unwrap();
    let refused = Asked::submit(&scheduler, &ask("Hello?")).err().unwrap();
    assert!(matches!(refused, ModelError::Busy { queued: 1 }), "{refused}");
    runs.cancel.cancel();
    waits.done().unwrap();
    assert_eq!(scheduler.stats().refused, 1);
}

#[test]
fn a_request_that_cannot_run_fails_alone() {
    let scheduler = scheduler(SchedulerLimits { max_tokens: 400, ..Default::default() });
    let no_grammar = Constraint::Lark("start: nothing".to_owned());
    let broken = Request { constraint: Some(no_grammar), ..ask("Hello?") };
    let large = Request {
        options: GenerateOptions { max_new_tokens: 1000, ..Default::default() },
        ..ask("Hello?")
    };
    let good = Asked::submit(&scheduler, &ask("Hello?")).unwrap();
    let broken = Asked::submit(&scheduler, &broken).unwrap().done().unwrap_err();
    assert!(matches!(broken, ModelError::Constraint { .. }), "{broken}");
    let large = Asked::submit(&scheduler, &large).unwrap().done().unwrap_err();
    assert!(matches!(large, ModelError::PromptTooLong { limit: 400, .. }), "{large}");
    good.done().unwrap();
    assert_eq!(scheduler.stats().failed, 2);
}

#[test]
fn a_listener_that_panics_is_left_alone() {
    let scheduler = scheduler(SchedulerLimits::default());
    let panics = Box::new(|_: Event| panic!("a listener's own fault"));
    scheduler.submit(ask("Hello?"), CancelFlag::default(), panics).unwrap();
    Asked::submit(&scheduler, &ask("Hello?")).unwrap().done().unwrap();
}

#[test]
fn draining_ends_what_runs_and_takes_no_more() {
    let scheduler = scheduler(SchedulerLimits { max_running: 1, ..Default::default() });
    let first = Asked::submit(&scheduler, &look("What is open?", (140, 112, 1))).unwrap();
    let second = Asked::submit(&scheduler, &ask("Hello?")).unwrap();
    assert!(scheduler.drain(LONG));
    first.done().unwrap();
    second.done().unwrap();
    let refused = Asked::submit(&scheduler, &ask("Hello?")).err().unwrap();
    assert!(matches!(refused, ModelError::ShuttingDown), "{refused}");
}

#[test]
fn a_scheduler_that_is_dropped_answers_everyone() {
    let scheduler = scheduler(SchedulerLimits { max_running: 1, ..Default::default() });
    let runs = Asked::submit(&scheduler, &endless()).unwrap();
    let waits = Asked::submit(&scheduler, &ask("Hello?")).unwrap();
    while !matches!(runs.next(), Event::Token(_)) {}
    assert!(!scheduler.drain(Duration::from_millis(1)), "it would go on for long");
    drop(scheduler);
    assert_eq!(runs.done().unwrap().stop, StopReason::Cancelled);
    assert!(matches!(waits.done().unwrap_err(), ModelError::ShuttingDown));
}
