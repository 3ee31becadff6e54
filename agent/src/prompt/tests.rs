//! What each kind of checkpoint is shown, word for word.

use handsight_actions::{Action, ActionSpace, Observation, PixelPoint, Screenshot, Size, Status};
use handsight_model::{Message, Part};

use super::*;

const FRAME: Frame = Frame {
    screenshot: Size { width: 1280, height: 720 },
    model: Size { width: 1288, height: 728 },
};

fn screenshot() -> Screenshot {
    Screenshot::now(RgbImage::new(1280, 720), 1.0)
}

fn step(thought: &str, action: Action, error: Option<&str>) -> StepSummary {
    StepSummary {
        thought: thought.to_owned(),
        action,
        reply: format!("{thought}\n…"),
        screenshot: None,
        error: error.map(str::to_owned),
    }
}

fn click(x: i32, y: i32) -> Action {
    Action::LeftClick { coordinate: PixelPoint { x, y } }
}

/// Writes messages with one line per part, without the system turn.
fn shown(messages: &[Message]) -> String {
    let mut shown = String::new();
    for message in &messages[1..] {
        for part in &message.content {
            let part = match part {
                Part::Text { text } => text.clone(),
                Part::Image { image } => format!("<image {image}>"),
                Part::Video { video } => format!("<video {video}>"),
            };
            let _ = writeln!(shown, "{:?}: {part}", message.role);
        }
    }
    shown
}

fn built(profile: PromptProfile, history: &[StepSummary], feedback: Option<&str>) -> Prompt {
    let turn = Turn {
        goal: "save the file",
        observation: &Observation { screenshot: screenshot(), foreground_app: None },
        history,
        action_space: &ActionSpace::desktop(),
        feedback,
        attempt: 0,
    };
    build(profile, &turn, FRAME)
}

#[track_caller]
fn check(profile: PromptProfile, history: &[StepSummary], expected: &str) {
    assert_eq!(shown(&built(profile, history, None).messages), expected);
}

#[test]
fn the_embedded_checkpoint_sees_its_own_thoughts() {
    let system = &built(PromptProfile::EmbeddedV1, &[], None).messages[0];
    assert_eq!(*system, Message::text(Role::System, "You are a helpful assistant."));
    check(PromptProfile::EmbeddedV1, &[], "User: <image 0>\nUser: save the file\n");
    let history = [
        step("click \"File\"", click(10, 10), None),
        step("click \"Lost\"", click(10, 10), Some("no")),
        step("press Ctrl+S", Action::Wait { time: 1.0 }, None),
    ];
    check(
        PromptProfile::EmbeddedV1,
        &history,
        "User: <image 0>\nUser: save the file\nDone: click \"File\"; press Ctrl+S\n",
    );
}

#[test]
fn the_desktop_cookbook_starts_with_the_bare_goal() {
    check(PromptProfile::ComputerUse, &[], "User: save the file\nUser: <image 0>\n");
}

#[test]
fn earlier_steps_are_told_in_the_space_of_the_model() {
    let history = [
        step("", click(640, 360), None),
        step("", Action::Terminate { status: Status::Success }, Some("it cannot")),
    ];
    check(
        PromptProfile::ComputerUse,
        &history,
        "User: The user query:  save the file\n\
         Task progress (You have done the following operation on the current device): \
         Step 1: {\"name\": \"computer_use\", \"arguments\": {\"action\": \"left_click\", \
         \"coordinate\": [644, 364]}}; \
         Step 2: {\"name\": \"computer_use\", \"arguments\": {\"action\": \"terminate\", \
         \"status\": \"success\"}} (it cannot); \n\
         User: <image 0>\n",
    );
}

#[test]
fn the_phone_cookbook_always_tells_of_progress() {
    check(
        PromptProfile::MobileUse,
        &[],
        "User: The user query:  save the file\n\
         Task progress (You have done the following operation on the current device): \n\
         User: <image 0>\n",
    );
}

#[test]
fn steps_with_a_screenshot_are_turns_of_the_conversation() {
    let mut seen = step("I see", click(640, 360), Some("it is grey"));
    seen.screenshot = Some(screenshot());
    let prompt = built(PromptProfile::ComputerUse, &[seen], Some("no number"));
    assert_eq!(prompt.images.len(), 2);
    assert_eq!(
        shown(&prompt.messages),
        "User: save the file\nUser: <image 0>\nAssistant: I see\n…\n\
         User: The device could not carry out that call: it is grey.\nUser: <image 1>\n\
         User: Your last reply was not carried out: no number.\n\
         Look at the screenshot again and reply with one function call that avoids this.\n",
    );
}

#[test]
fn profiles_are_found_by_every_name_they_go_by() {
    for profile in [PromptProfile::EmbeddedV1, PromptProfile::ComputerUse, PromptProfile::MobileUse]
    {
        assert_eq!(PromptProfile::from_name(profile.as_str()), Some(profile));
    }
    assert_eq!(PromptProfile::from_name("computer_use"), Some(PromptProfile::ComputerUse));
    assert_eq!(PromptProfile::from_name("telepathy"), None);
}
