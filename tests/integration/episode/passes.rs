//! How many passes through the decoder an action takes, by the vocabulary and the prompt of the released
//! checkpoints. What a model would say is dictated, since weights of theirs cannot be had here; the
//! grammar, the guesses and the passes are real.

use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use handsight_actions::{
    Action, ActionSpace, Direction, Key, ModelPoint, Observation, Screenshot, Status, print_action,
};
use handsight_agent::{
    AnswerError, ModelCard, ModelOptions, ModelPolicy, Policy, PromptProfile, StepSummary, Turn,
    Usage, VisionModel,
};
use handsight_model::{
    CancelFlag, Completion, Engine, EngineOptions, ModelError, PixelLimits, Request, TokenInfo,
    dictate,
};
use handsight_tests::golden::pattern;
use handsight_tests::random_checkpoint::{Shape, write_random_checkpoint};

/// Of the released checkpoints' vocabulary, and otherwise as small as can be.
const SMALL: Shape = Shape {
    hidden: 128,
    intermediate: 128,
    layers: 1,
    heads: 1,
    kv_heads: 1,
    vocab: 151_936,
    tied: true,
    depth: 1,
    awq: false,
};

/// An engine that answers what it is told to.
struct Dictated {
    engine: Engine,
    reply: Arc<Mutex<String>>,
}

impl VisionModel for Dictated {
    fn card(&self) -> ModelCard {
        self.engine.card()
    }

    fn resized_size_within(
        &self,
        width: u32,
        height: u32,
        limits: PixelLimits,
    ) -> Result<(u32, u32), ModelError> {
        self.engine.resized_size_within(width, height, limits)
    }

    fn answer(
        &self,
        request: &Request,
        _on_token: &mut dyn FnMut(&TokenInfo),
        cancel: &CancelFlag,
    ) -> Result<Completion, AnswerError> {
        Ok(dictate(&self.engine, request, &self.reply.lock().unwrap(), cancel)?)
    }
}

const GOAL: &str = "Fill \"Ada Lovelace\" in Name and \"Paris\" in City, and save the form.";

/// What a model does to reach that goal, on a grid of 644 × 476.
fn actions() -> Vec<Action<ModelPoint>> {
    let click = |x: i32, y: i32| Action::LeftClick { coordinate: ModelPoint { x, y } };
    let text = |text: &str| Action::Type { text: text.to_owned() };
    vec![
        click(318, 142),
        text("Ada Lovelace"),
        click(322, 197),
        text("Paris"),
        Action::Scroll { coordinate: None, direction: Direction::Down, amount: 5 },
        Action::Key { keys: Key::parse_chord("ctrl+s").unwrap() },
        click(587, 433),
        Action::Wait { time: 2.0 },
        Action::Terminate { status: Status::Success },
    ]
}

/// Lets the model decide these, one after the other, and returns what each cost.
fn costs(profile: &PromptProfile, speculate: bool, dir: &Path) -> Vec<Usage> {
    let options = EngineOptions { speculate, ..EngineOptions::default() };
    let engine = Engine::load(dir, &options).unwrap();
    let reply = Arc::new(Mutex::new(String::new()));
    let model = Dictated { engine, reply: reply.clone() };
    let mut policy = ModelPolicy::new(model, profile.clone(), ModelOptions::default());
    let screenshot = Screenshot::now(pattern(640, 480, 1), 1.0);
    let observation = Observation { screenshot, foreground_app: None };
    let action_space = ActionSpace::desktop();
    let mut history: Vec<StepSummary> = Vec::new();
    let mut costs = Vec::new();
    for action in actions() {
        *reply.lock().unwrap() = print_action(&action, profile.dialect());
        let turn = Turn {
            goal: GOAL,
            observation: &observation,
            history: &history,
            action_space: &action_space,
            feedback: None,
            said: None,
            attempt: 0,
        };
        let decision = policy.decide(&turn, &mut |_| {}, &CancelFlag::default()).unwrap();
        costs.push(decision.usage.unwrap());
        history.push(StepSummary {
            thought: decision.thought,
            action: decision.action,
            reply: decision.reply,
            screenshot: None,
            error: None,
            said: None,
        });
    }
    costs
}

#[test]
fn an_action_takes_far_fewer_passes_than_it_has_tokens() {
    let dir = tempfile::tempdir().unwrap();
    write_random_checkpoint(dir.path(), &SMALL).unwrap();
    let profile = PromptProfile::computer_use();
    let alone = costs(&profile, false, dir.path());
    let guessing = costs(&profile, true, dir.path());
    let mut table = "tokens | forced | passes | with guesses |\n".to_owned();
    let mut row = |alone: &Usage, guessing: &Usage, action: &str| {
        assert_eq!(alone.completion_tokens, guessing.completion_tokens);
        let Usage { completion_tokens, forced_tokens, forward_passes, .. } = alone;
        let fewer = guessing.forward_passes;
        writeln!(
            table,
            "{completion_tokens:>6} | {forced_tokens:>6} | {forward_passes:>6} | {fewer:>12} | {action}"
        )
        .unwrap();
    };
    let sum = |costs: &[Usage]| {
        costs[1..].iter().fold(costs[0], |mut sum, cost| {
            sum.add(cost);
            sum
        })
    };
    for ((alone, guessing), action) in alone.iter().zip(&guessing).zip(actions()) {
        row(alone, guessing, &serde_json::to_string(&action).unwrap());
    }
    let (alone, guessing) = (sum(&alone), sum(&guessing));
    row(&alone, &guessing, "all");
    insta::assert_snapshot!(table, @r#"
    tokens | forced | passes | with guesses |
        34 |     21 |     12 |           12 | {"action":"left_click","coordinate":[318,142]}
        28 |     19 |      8 |            8 | {"action":"type","text":"Ada Lovelace"}
        34 |     21 |     12 |            9 | {"action":"left_click","coordinate":[322,197]}
        25 |     19 |      5 |            5 | {"action":"type","text":"Paris"}
        27 |     19 |      7 |            7 | {"action":"scroll","direction":"down","amount":5}
        29 |     20 |      8 |            8 | {"action":"key","keys":["ctrl","s"]}
        34 |     21 |     12 |           11 | {"action":"left_click","coordinate":[587,433]}
        25 |     19 |      5 |            5 | {"action":"wait","time":2.0}
        25 |     20 |      4 |            4 | {"action":"terminate","status":"success"}
       261 |    179 |     73 |           69 | all
    "#);
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let share = |cost: &Usage| cost.forward_passes as f64 / cost.completion_tokens as f64;
    assert!(share(&alone) <= 0.65, "{}", share(&alone));
    assert!(share(&guessing) <= share(&alone), "{}", share(&guessing));
}
