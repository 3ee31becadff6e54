//! What each kind of checkpoint is shown, word for word.

use handsight_actions::{Action, ActionSpace, Observation, PixelPoint, Screenshot, Size, Status};
use handsight_model::{Message, Part, Role};

use super::*;
use crate::family::{Family, Surface};

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
        said: None,
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

fn built(profile: &PromptProfile, history: &[StepSummary], feedback: Option<&str>) -> Prompt {
    let turn = Turn {
        goal: "save the file",
        observation: &Observation { screenshot: screenshot(), foreground_app: None },
        history,
        action_space: &ActionSpace::desktop(),
        feedback,
        said: None,
        attempt: 0,
    };
    build(profile.agent().unwrap(), &turn, FRAME, profile.limits())
}

#[track_caller]
fn check(profile: &PromptProfile, history: &[StepSummary], expected: &str) {
    assert_eq!(shown(&built(profile, history, None).messages), expected);
}

#[test]
fn the_embedded_checkpoint_sees_its_own_thoughts() {
    let system = &built(&PromptProfile::embedded(), &[], None).messages[0];
    assert_eq!(*system, Message::text(Role::System, "You are a helpful assistant."));
    check(&PromptProfile::embedded(), &[], "User: <image 0>\nUser: save the file\n");
    let history = [
        step("click \"File\"", click(10, 10), None),
        step("click \"Lost\"", click(10, 10), Some("no")),
        step("press Ctrl+S", Action::Wait { time: 1.0 }, None),
    ];
    check(
        &PromptProfile::embedded(),
        &history,
        "User: <image 0>\nUser: save the file\nDone: click \"File\"; press Ctrl+S\n",
    );
}

#[test]
fn the_desktop_cookbook_starts_with_the_bare_goal() {
    check(&PromptProfile::computer_use(), &[], "User: save the file\nUser: <image 0>\n");
}

#[test]
fn earlier_steps_are_told_in_the_space_of_the_model() {
    let history = [
        step("", click(640, 360), None),
        step("", Action::Terminate { status: Status::Success }, Some("it cannot")),
    ];
    check(
        &PromptProfile::computer_use(),
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
        &PromptProfile::mobile_use(),
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
    let prompt = built(&PromptProfile::computer_use(), &[seen], Some("no number"));
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
    let found = |name: &str| PromptProfile::from_name(name).map(|found| found.as_str().to_owned());
    for family in crate::Family::all() {
        for agent in [&family.desktop, &family.mobile].into_iter().flatten() {
            assert_eq!(found(&agent.profile).as_deref(), Some(agent.profile.as_str()));
        }
    }
    assert_eq!(found("computer_use").as_deref(), Some("computer-use-v1"));
    assert_eq!(found("mobile-use").as_deref(), Some("mobile-use-v1"));
    assert_eq!(found("telepathy"), None);
}

/// A family's prompt after two steps, the second of which still has its screenshot.
fn after_two_steps(profile: &str, replies: [&str; 2]) -> String {
    let mut told = step("first", click(640, 360), None);
    told.reply = replies[0].to_owned();
    let mut seen = step("second", click(64, 36), None);
    seen.reply = replies[1].to_owned();
    seen.screenshot = Some(screenshot());
    let profile = PromptProfile::from_name(profile).unwrap();
    shown(&built(&profile, &[told, seen], None).messages)
}

#[test]
fn ui_tars_gets_the_goal_in_a_turn_of_its_own_and_its_replies_as_they_were() {
    let replies = ["Thought: a\nAction: wait()", "Thought: b\nAction: press_back()"];
    let shown = after_two_steps("ui-tars-computer", replies);
    let (opening, rest) = shown.split_once("## User Instruction\n").unwrap();
    assert!(opening.contains("click(start_box='<|box_start|>(x1,y1)<|box_end|>')"), "{opening}");
    assert_eq!(
        rest,
        "save the file\nAssistant: Thought: a\nAction: wait()\nUser: <image 0>\n\
         Assistant: Thought: b\nAction: press_back()\nUser: <image 1>\n",
    );
}

#[test]
fn opencua_gets_the_task_last_and_its_instructions_back() {
    let reply =
        |said: &str| format!("## Thought:\nx\n\n## Action:\n{said}\n\n## Code:\n```python\n```");
    let shown = after_two_steps("opencua-l2", [&reply("Wait."), &reply("Go back.")]);
    assert_eq!(
        shown,
        "Assistant: # Step 1:\n## Action:\nWait.\n\nUser: <image 0>\n\
         Assistant: # Step 2:\n## Action:\nGo back.\n\nUser: <image 1>\n\
         User: # Task Instruction:\nsave the file\n\nPlease generate the next move according to the \
         screenshot, task instruction and previous steps (if provided).\n\n",
    );
}

#[test]
fn ui_venus_and_gui_owl_are_told_what_was_done() {
    let history = |reply: &str| {
        let mut done = step("I open it", click(640, 360), Some("it is grey"));
        done.reply = reply.to_owned();
        done
    };
    let venus = PromptProfile::from_name("ui-venus-web").unwrap();
    let reply = "<think>I see.</think>\n<action>Wait()</action>\n<conclusion>c</conclusion>";
    let prompt = built(&venus, &[history(reply), history("")], None);
    assert_eq!(prompt.messages[0].role, Role::User);
    let text = shown(&[&prompt.messages[..1], &prompt.messages].concat());
    assert!(text.starts_with("User: <image 0>\nUser: **You are a GUI Agent.**"), "{text}");
    let steps = "### Previous Actions\n\
                 Step 0: <think>I see.</think><action>Wait()</action> (it is grey)\n\
                 Step 1: <think>I open it</think><action>Click(box=(644,364))</action> (it is grey)\n";
    assert!(text.contains(steps), "{text}");

    let owl = PromptProfile::from_name("gui-owl-computer").unwrap();
    let reply = "<tool_call>{}</tool_call>\n<conclusion>\nI \"waited\".\n</conclusion>";
    let text = shown(&built(&owl, &[history(reply)], None).messages);
    assert!(
        text.contains(
            "Instruction: save the file\nPrevious actions:\nStep 1: I waited. (it is grey); \n"
        ),
        "{text}"
    );
    let system = &built(&owl, &[], None).messages[0];
    let Part::Text { text } = &system.content[0] else { panic!("the system turn is text") };
    assert!(text.contains("resolution is 1288x728") && text.contains("\"coordinate2\""), "{text}");
}

#[test]
fn a_goal_that_looks_like_a_hole_stays_a_goal() {
    let turn = Turn {
        goal: "write {steps} and {goal}",
        observation: &Observation { screenshot: screenshot(), foreground_app: None },
        history: &[],
        action_space: &ActionSpace::desktop(),
        feedback: None,
        said: None,
        attempt: 0,
    };
    let profile = PromptProfile::from_name("ui-venus-mobile").unwrap();
    let prompt = build(profile.agent().unwrap(), &turn, FRAME, profile.limits());
    let Part::Text { text } = &prompt.messages[0].content[1] else { panic!("the task is text") };
    assert!(text.contains("### User Task\nwrite {steps} and {goal}\n"), "{text}");
    assert_eq!(prompt.limits.max_pixels, Some(937_664));
    let request = prompt.into_request();
    assert_eq!(request.images[0].limits.min_pixels, Some(830_000));
}

#[test]
fn what_the_user_said_stands_where_it_was_said() {
    let mut asked = step("I ask", Action::CallUser { text: String::new() }, None);
    asked.said = Some("the blue one".to_owned());
    let turn = Turn {
        goal: "save the file",
        observation: &Observation { screenshot: screenshot(), foreground_app: None },
        history: &[asked.clone()],
        action_space: &ActionSpace::desktop(),
        feedback: None,
        said: Some("hurry"),
        attempt: 0,
    };
    let profile = PromptProfile::from_name("computer-use").unwrap();
    let text = shown(&build(profile.agent().unwrap(), &turn, FRAME, profile.limits()).messages);
    let (told, now) = text.split_once("The user says: hurry").unwrap();
    assert!(told.contains("(The user says: the blue one)") && now.trim().is_empty(), "{text}");
    asked.screenshot = Some(screenshot());
    let turn = Turn { history: &[asked], ..turn };
    let profile = PromptProfile::from_name("ui-tars-computer").unwrap();
    let text = shown(&build(profile.agent().unwrap(), &turn, FRAME, profile.limits()).messages);
    let at = |piece: &str| text.find(piece).unwrap_or_else(|| panic!("no {piece} in {text}"));
    assert!(at("The user says: the blue one") < at("Assistant:"));
    assert!(at("Assistant:") < at("The user says: hurry"));
}

#[test]
fn every_checkpoint_that_can_listen_is_told_whose_word_counts() {
    for family in Family::all() {
        for surface in [Surface::Desktop, Surface::Mobile] {
            let Some(agent) = family.agent(surface) else { continue };
            let observation = Observation { screenshot: screenshot(), foreground_app: None };
            let text = |goal| {
                let turn = Turn {
                    goal,
                    observation: &observation,
                    history: &[],
                    action_space: &ActionSpace::desktop(),
                    feedback: None,
                    said: None,
                    attempt: 0,
                };
                let prompt = build(agent, &turn, FRAME, PixelLimits::default());
                format!("{:?}", prompt.messages)
            };
            let plain = text("save the file");
            let is_embedded = agent.layout == Layout::Embedded;
            let profile = &agent.profile;
            assert_eq!(plain.matches(RULES.trim()).count(), usize::from(!is_embedded), "{profile}");
            assert!(!plain.contains(SECRETS.trim()), "{profile}");
            assert_eq!(
                plain.contains(CALL_USER.trim()),
                agent.dialect.tool().is_some(),
                "{profile}"
            );
            let secret = text("type {{secret:bank}}");
            assert_eq!(secret.contains(SECRETS.trim()), !is_embedded, "{profile}");
        }
    }
}
