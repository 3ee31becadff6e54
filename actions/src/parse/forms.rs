//! The calls of each dialect, as templates: what a model may write and how an action is printed.
//!
//! A template is a call with holes: `{x}` and `{y}`, `{x2}` and `{y2}` for a second point, `{text}`
//! inside quotes, `{said}` for what the user is told, `{keys}`, `{direction}` and `{clicks}`. The
//! same table makes the grammar that a reply must follow and prints the actions of a history, so
//! the two cannot come apart.

use super::Dialect;
use crate::action::{Status, SystemButton, Verb};

/// One way in which a dialect writes a verb.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CallForm {
    /// The verb.
    pub verb: Verb,
    /// The button, where the call's name says it.
    pub button: Option<SystemButton>,
    /// The status, where the call's name says it.
    pub status: Option<Status>,
    /// The call, with holes.
    pub template: &'static str,
}

impl CallForm {
    const fn of(verb: Verb, template: &'static str) -> Self {
        Self { verb, button: None, status: None, template }
    }

    const fn button(button: SystemButton, template: &'static str) -> Self {
        Self { verb: Verb::SystemButton, button: Some(button), status: None, template }
    }

    const fn end(status: Status, template: &'static str) -> Self {
        Self { verb: Verb::Terminate, button: None, status: Some(status), template }
    }

    /// Returns the name of the call.
    pub fn name(&self) -> &'static str {
        self.template.split('(').next().unwrap_or(self.template)
    }
}

/// Returns the calls a dialect is documented to have; none for the dialects of JSON.
///
/// The first form of a verb is the one it is printed in. On a phone a drag is a swipe, and the
/// checkpoints have one word for both.
pub fn call_forms(dialect: Dialect) -> &'static [CallForm] {
    match dialect {
        Dialect::UiTars => UI_TARS,
        Dialect::UiVenus => UI_VENUS,
        Dialect::Pyautogui => PYAUTOGUI,
        Dialect::Json | Dialect::ComputerUse | Dialect::MobileUse | Dialect::OwlComputerUse => &[],
    }
}

/// # Source
///
/// `codes/ui_tars/prompt.py` in `bytedance/UI-TARS`, computer and phone together.
const UI_TARS: &[CallForm] = &[
    CallForm::of(Verb::LeftClick, "click(start_box='({x},{y})')"),
    CallForm::of(Verb::DoubleClick, "left_double(start_box='({x},{y})')"),
    CallForm::of(Verb::RightClick, "right_single(start_box='({x},{y})')"),
    CallForm::of(Verb::LongPress, "long_press(start_box='({x},{y})')"),
    CallForm::of(Verb::Drag, "drag(start_box='({x},{y})', end_box='({x2},{y2})')"),
    CallForm::of(Verb::Swipe, "drag(start_box='({x},{y})', end_box='({x2},{y2})')"),
    CallForm::of(Verb::Key, "hotkey(key='{keys}')"),
    CallForm::of(Verb::Type, "type(content='{text}')"),
    CallForm::of(Verb::Scroll, "scroll(start_box='({x},{y})', direction='{direction}')"),
    CallForm::of(Verb::OpenApp, "open_app(app_name='{text}')"),
    CallForm::button(SystemButton::Home, "press_home()"),
    CallForm::button(SystemButton::Back, "press_back()"),
    CallForm::of(Verb::Wait, "wait()"),
    CallForm::end(Status::Success, "finished(content='{said}')"),
    CallForm::end(Status::Success, "finished()"),
    CallForm::of(Verb::CallUser, "call_user()"),
];

/// # Source
///
/// `models/navigation/utils.py` in `inclusionAI/UI-Venus`, web and phone together.
const UI_VENUS: &[CallForm] = &[
    CallForm::of(Verb::LeftClick, "Click(box=({x},{y}))"),
    CallForm::of(Verb::DoubleClick, "DoubleClick(box=({x},{y}))"),
    CallForm::of(Verb::LongPress, "LongPress(box=({x},{y}))"),
    CallForm::of(Verb::MouseMove, "Hover(box=({x},{y}))"),
    CallForm::of(Verb::Drag, "Drag(start=({x},{y}), end=({x2},{y2}))"),
    CallForm::of(Verb::Swipe, "Drag(start=({x},{y}), end=({x2},{y2}))"),
    CallForm::of(Verb::Scroll, "Scroll(direction='{direction}')"),
    CallForm::of(Verb::Type, "Type(content='{text}')"),
    CallForm::of(Verb::OpenApp, "Launch(app='{text}')"),
    CallForm::of(Verb::Key, "Hotkey(keys=[{keys}])"),
    CallForm::of(Verb::Wait, "Wait()"),
    CallForm::of(Verb::Answer, "CallUser(content='{text}')"),
    CallForm::button(SystemButton::Back, "PressBack()"),
    CallForm::button(SystemButton::Home, "PressHome()"),
    CallForm::button(SystemButton::Enter, "PressEnter()"),
    CallForm::button(SystemButton::Menu, "PressRecent()"),
    CallForm::end(Status::Success, "Finished(content='{said}')"),
];

/// # Source
///
/// The system prompts of `OpenCUA`, and `PyAutoGUI` itself.
const PYAUTOGUI: &[CallForm] = &[
    CallForm::of(Verb::LeftClick, "pyautogui.click(x={x}, y={y})"),
    CallForm::of(Verb::DoubleClick, "pyautogui.doubleClick(x={x}, y={y})"),
    CallForm::of(Verb::RightClick, "pyautogui.rightClick(x={x}, y={y})"),
    CallForm::of(Verb::MiddleClick, "pyautogui.middleClick(x={x}, y={y})"),
    CallForm::of(Verb::TripleClick, "computer.triple_click(x={x}, y={y})"),
    CallForm::of(Verb::MouseMove, "pyautogui.moveTo(x={x}, y={y})"),
    CallForm::of(
        Verb::Drag,
        "pyautogui.moveTo(x={x}, y={y})\npyautogui.dragTo(x={x2}, y={y2}, button='left')",
    ),
    CallForm::of(Verb::Scroll, "pyautogui.scroll({clicks})"),
    CallForm::of(Verb::Scroll, "pyautogui.scroll({clicks}, x={x}, y={y})"),
    CallForm::of(Verb::Type, "pyautogui.write(message='{text}')"),
    CallForm::of(Verb::Key, "pyautogui.hotkey({keys})"),
    CallForm::of(Verb::Wait, "pyautogui.sleep({seconds})"),
    CallForm::end(Status::Success, "computer.terminate(status='success')"),
    CallForm::end(Status::Failure, "computer.terminate(status='failure')"),
];
