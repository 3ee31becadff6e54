//! The dialects of calls: what their makers publish, what models make of it, and what is refused.

use super::{check, read};
use crate::parse::{Dialect, parse_action, told};

const TARS: Dialect = Dialect::UiTars;
const VENUS: Dialect = Dialect::UiVenus;
const CUA: Dialect = Dialect::Pyautogui;
const OWL: Dialect = Dialect::OwlComputerUse;

/// An action of UI-TARS after a thought.
#[track_caller]
fn tars(call: &str, expected: &str) {
    check(&format!("Thought: I should do it.\nAction: {call}"), TARS, expected);
}

/// An action of UI-Venus between its tags.
#[track_caller]
fn venus(call: &str, expected: &str) {
    let reply = format!(
        "<think>The field is empty.</think>\n<action>{call}</action>\n<conclusion>Done.</conclusion>"
    );
    check(&reply, VENUS, expected);
}

/// A step of `OpenCUA` with its code.
#[track_caller]
fn cua(code: &str, expected: &str) {
    let reply = format!(
        "## Thought:\nThe menu is open.\n\n## Action:\nClick it.\n\n## Code:\n```python\n{code}\n```"
    );
    check(&reply, CUA, expected);
}

#[test]
fn ui_tars_says_what_it_publishes() {
    tars("click(start_box='(197,525)')", "left_click (197, 525)");
    tars("click(start_box='<|box_start|>(197,525)<|box_end|>')", "left_click (197, 525)");
    tars("click(point='<point>197 525</point>')", "left_click (197, 525)");
    tars("click(start_box='[10, 20, 31, 40]')", "left_click (20, 30)");
    tars("click(start_box='<bbox>637 964 637 964</bbox>')", "left_click (637, 964)");
    tars("left_double(start_box='(7, 8)')", "double_click (7, 8)");
    tars("right_single(start_box='(7,8)')", "right_click (7, 8)");
    tars("hover(start_box='(7,8)')", "mouse_move (7, 8)");
    tars("long_press(start_box='(7,8)')", "long_press (7, 8) 1 s");
    tars("drag(start_box='(1,2)', end_box='(3,4)')", "drag (1, 2) → (3, 4)");
    tars(
        "drag(start_point='<point>0 0</point>', end_point='<point>3 0</point>')",
        "drag (0, 0) → (3, 0)",
    );
    tars("scroll(start_box='(7,8)', direction='down')", "scroll (7, 8) down 5");
    tars("scroll(direction='left')", "scroll left 5");
    tars("scroll(start_box='(800,200)', end_box='(200,800)')", "swipe (800, 200) → (200, 800)");
    tars("hotkey(key='ctrl c')", "key ctrl+c");
    tars("hotkey(key='arrowleft')", "key left");
    tars("hotkey(key='back')", "system_button back");
    tars(r#"type(content='it\'s \"so\"\n')"#, "type \"it's \\\"so\\\"\\n\"");
    tars("open_app(app_name='Clock')", "open_app \"Clock\"");
    tars("press_home()", "system_button home");
    tars("press_back()", "system_button back");
    tars("wait()", "wait 5 s");
    tars("finished()", "terminate success");
    tars("finished(content='42')", "terminate success");
    tars("call_user()", "call_user");
    tars("call_user(content='Which one?')", "call_user \"Which one?\"");
    let reply = parse_action("Thought: It says 42.\nAction: finished(content='42')", TARS).unwrap();
    assert_eq!(reply.thought, "It says 42.\n42");
}

#[test]
fn slips_of_ui_tars_are_mended() {
    check("click(start_box='(1,2)')", TARS, "left_click (1, 2) | no `Action:`");
    check(
        "Thought: a\nAction: click(start_box='(1,2)'",
        TARS,
        "left_click (1, 2) | a missing closing parenthesis",
    );
    check("Thought: a\n```\nAction:\nclick(start_box='(1,2)')\n```", TARS, "left_click (1, 2)");
    check("Thought: Action: is what I take.\nAction: wait()", TARS, "wait 5 s");
    check(
        "Action: click(start_box='(1,2)')\n\nclick(start_box='(3,4)')",
        TARS,
        "left_click (1, 2) | further actions were left out",
    );
    tars("type(content='it's here')", "type \"it's here\" | an unescaped quote in a string");
    tars("type(content='a\nb')", "type \"a\\nb\" | a raw line break in a string");
    tars("type('hello')", "type \"hello\" | an argument without a name");
    tars("click('(1,2)')", "left_click (1, 2) | an argument without a name");
    tars("click(start_box=<point>1 2</point>)", "left_click (1, 2) | a point without quotes");
    tars("click(start_box=(1, 2))", "left_click (1, 2)");
    tars("click(coordinate='(1,2)')", "left_click (1, 2) | `coordinate` for `start_box`");
    tars("middle_click(start_box='(1,2)')", "middle_click (1, 2)");
    tars("tap(start_box='(1,2)')", "left_click (1, 2) | `tap` for `click`");
    tars("hotkey(key='ctrl+c')", "key ctrl+c | the chord `ctrl+c` as one key");
    tars("type(content='a', replace=True)", "type \"a\" | ignored the field `replace`");
}

#[test]
fn what_ui_tars_garbles_is_refused() {
    let error = |call: &str, problem: &str| tars(call, &format!("error: {problem}"));
    error("click(start_box='=')", "`start_box` at byte 49: expected a number, found \"=\"");
    error(
        "click(start_box='(12,')",
        "`start_box` at byte 49: 1 numbers are neither a point [x, y] nor a box [x1, y1, x2, y2]",
    );
    error("click(start_box='(12,3", "broken call at byte 55: the reply breaks off inside a string");
    error("click(start_box=(12, 3", "broken call at byte 54: the reply breaks off inside a number");
    error("click(start_box=(12,", "broken call at byte 53: the reply breaks off inside a list");
    error("click(start_box='(-1,-1)')", "`start_box` at byte 49: -1 is not a pixel of the image");
    error(
        "click(start_box='(0.12,0.5)')",
        "`start_box` at byte 49: coordinates are pixels of the image, not fractions of it",
    );
    error("click()", "`click` needs `start_box`, which the action at byte 33 lacks");
    error("click(start_box)", "broken call at byte 39: expected a value, found 's'");
    error("drag(start_box='(1,2)')", "`drag` needs `end_box`, which the action at byte 33 lacks");
    error(
        "click(start_box='(1,2)', start_box='(3,4)')",
        "`start_box` at byte 58: it is there twice",
    );
    error(
        "scroll(direction='sideways')",
        "`direction` at byte 50: `sideways` is not one of up, down, left, right",
    );
    error("press(key='ctrl')", "unknown action `press` at byte 33");
    error("navigate(content='x')", "unknown action `navigate` at byte 33");
    error("hotkey(key='ctrl hyper')", "`key` at byte 44: `hyper` is not the name of a key");
    error(
        "type(content='smile :') now')",
        "broken call at byte 57: expected the end of the line, found 'n'",
    );
    error(
        "finished()\n\nclick(start_box='(1,2)')",
        "the reply has a second action at byte 45: write exactly one",
    );
    error(
        "__import__('os').system('x')",
        "broken call at byte 49: expected the end of the line, found '.'",
    );
    error("finished(", "broken call at byte 42: the reply breaks off inside a call");
    error("eval('x')", "unknown action `eval` at byte 33");
    let no_action = "error: the reply has no action: expected `Action:` and one call, such as \
                     `click(start_box='(12,34)')`";
    for reply in ["", "!!!!", "Thought: done", "Action: click", "I will click (1,2)."] {
        check(reply, TARS, no_action);
    }
    let deep = format!("Action: click(start_box={}", "(".repeat(100_000));
    check(&deep, TARS, "error: broken call at byte 31: values are nested too deep");
    let many = format!("Action: click({}", "1,".repeat(100_000));
    assert!(read(&many, TARS, None).starts_with("error: broken call at byte"));
}

#[test]
fn ui_venus_says_what_it_publishes() {
    venus("Click(box=(197, 525))", "left_click (197, 525)");
    venus("Click(box=(197,525))", "left_click (197, 525)");
    venus("LongPress(box=(7,8))", "long_press (7, 8) 1 s");
    venus("Hover(box=(7,8))", "mouse_move (7, 8)");
    venus("DoubleClick(box=(7,8))", "double_click (7, 8)");
    venus("Drag(start=(1,2), end=(3,4))", "drag (1, 2) → (3, 4)");
    venus("Scroll(start=(1,2), end=(3,4), direction='down')", "swipe (1, 2) → (3, 4)");
    venus("Scroll(direction='up')", "scroll up 5");
    venus("Scroll(start=(), end=(), direction='up')", "scroll up 5");
    venus(
        "Type(content='a, (b) and 'c'')",
        "type \"a, (b) and 'c'\" | an unescaped quote in a string",
    );
    venus("Launch(app='Clock')", "open_app \"Clock\"");
    venus("Hotkey(keys=['ctrl', 'c'])", "key ctrl+c");
    venus("Wait()", "wait 1 s");
    venus("PressBack()", "system_button back");
    venus("PressHome()", "system_button home");
    venus("PressEnter()", "system_button enter");
    venus("PressRecent()", "system_button menu");
    venus("CallUser(content='It is 42.')", "answer \"It is 42.\"");
    venus("Finished(content='')", "terminate success");
    let reply = "<think>The field\nis empty.</think>\n<action>Wait()</action>";
    assert_eq!(parse_action(reply, VENUS).unwrap().thought, "The field\nis empty.");
}

#[test]
fn what_ui_venus_garbles_is_mended_or_refused() {
    check("Click(box=(1,2))", VENUS, "left_click (1, 2) | no `<action>` tag");
    check("<action>Click(box=(1,2))", VENUS, "left_click (1, 2) | no `</action>` tag");
    venus("click(box=(1,2))", "left_click (1, 2) | `click` for `Click`");
    venus("Click(box='(1,2)')", "left_click (1, 2) | a string in `box`");
    let error = |call: &str, problem: &str| venus(call, &format!("error: {problem}"));
    error("Click(box=)", "broken call at byte 53: expected a value, found ')'");
    error("Click()", "`Click` needs `box`, which the action at byte 43 lacks");
    error("Launch(url='http://x')", "`Launch` needs `app`, which the action at byte 43 lacks");
    error("Scroll(start=(1,2))", "`Scroll` needs `direction`, which the action at byte 43 lacks");
    error("click here", "broken call at byte 49: expected `(`, found 'h'");
    error("", "broken call at byte 43: expected the name of an action, found the end");
    check(
        "<think>Click(box=(1,2))</think>",
        VENUS,
        "error: the reply has no action: expected `<action>` and one call, such as \
         `Click(box=(12,34))`",
    );
}

#[test]
fn opencua_says_what_it_publishes() {
    cua("pyautogui.click(x=1424, y=264)", "left_click (1424, 264)");
    cua("import pyautogui\npyautogui.click(12, 34)", "left_click (12, 34)");
    cua("pyautogui.click(x=12, y=34, clicks=2)", "double_click (12, 34)");
    cua("pyautogui.click(12, 34, clicks=3, interval=0.1)", "triple_click (12, 34)");
    cua("pyautogui.click(x=12, y=34, button='right')", "right_click (12, 34)");
    cua("pyautogui.click(x=12, y=34, button=\"middle\")", "middle_click (12, 34)");
    cua("pyautogui.doubleClick(x=12, y=34)", "double_click (12, 34)");
    cua("pyautogui.rightClick(x=12, y=34)", "right_click (12, 34)");
    cua("computer.triple_click(x=12, y=34)", "triple_click (12, 34)");
    cua("pyautogui.moveTo(x=12, y=34, duration=0.5)", "mouse_move (12, 34)");
    cua(
        "pyautogui.moveTo(x=1, y=2)\npyautogui.dragTo(x=3, y=4, button='left')",
        "drag (1, 2) → (3, 4)",
    );
    cua("pyautogui.moveTo(1, 2)\npyautogui.click()", "left_click (1, 2)");
    cua("pyautogui.scroll(-5)", "scroll down 5");
    cua("pyautogui.scroll(3, x=7, y=8)", "scroll (7, 8) up 3");
    cua("pyautogui.hscroll(3)", "scroll right 3");
    cua("pyautogui.write(message='a\\nb')", "type \"a\\nb\"");
    cua("pyautogui.write(\"it's\", interval=0.02)", "type \"it's\"");
    cua("pyautogui.typewrite('a')", "type \"a\"");
    cua("pyautogui.press('enter')", "key enter");
    cua("pyautogui.press(keys=['enter'])", "key enter");
    cua("pyautogui.hotkey('ctrl', 'shift', 't')", "key ctrl+shift+t");
    cua("pyautogui.hotkey(['ctrl', 's'])", "key ctrl+s");
    cua("pyautogui.hotkey(keys=['ctrl', 's'])", "key ctrl+s");
    cua("time.sleep(2)", "wait 2 s");
    cua("computer.wait()", "wait 1 s");
    let end =
        "# Step 3:\n## Action:\nAll is done.\n```code\ncomputer.terminate(status='success')\n```";
    check(end, CUA, "terminate success");
    let fail = "```code\ncomputer.terminate(status=\"failure\", answer=\"no\")\n```";
    assert_eq!(parse_action(fail, CUA).unwrap().thought, "no");
    let reply = "## Thought:\nIt is open.\n\n## Action:\nClick.\n\n## Code:\n```python\n\
                 pyautogui.click(x=1, y=2)\n```";
    assert_eq!(parse_action(reply, CUA).unwrap().thought, "It is open.");
}

#[test]
fn what_opencua_garbles_is_mended_or_refused() {
    check("pyautogui.click(x=1, y=2)", CUA, "left_click (1, 2) | no code block");
    check(
        "So I click.\npyautogui.click(x=1, y=2)\nThat opens it.",
        CUA,
        "left_click (1, 2) | no code block",
    );
    check("```python\npyautogui.click(x=1, y=2)", CUA, "left_click (1, 2) | no closing code fence");
    cua(
        "pyautogui.click(x=1, y=2)\npyautogui.write('a')",
        "left_click (1, 2) | further actions were left out",
    );
    cua("pyautogui.press('down', presses=3)", "key down | one press for 3");
    cua("pyautogui.scroll(-300)", "scroll down 50 | 50 notches for 300");
    cua("pyautogui.write(text='a')", "type \"a\"");
    let error = |code: &str, problem: &str| cua(code, &format!("error: {problem}"));
    error("pyautogui.click(x=1)", "`pyautogui.click` needs `y`, which the action at byte 72 lacks");
    error(
        "pyautogui.click()",
        "`pyautogui.click` needs `coordinate`, which the action at byte 72 lacks",
    );
    error(
        "pyautogui.click(x=0.25, y=0.5)",
        "`coordinate` at byte 90: coordinates are pixels of the image, not fractions of it",
    );
    error("pyautogui.click(x=w/2, y=3)", "broken call at byte 90: expected a value, found 'w'");
    error(
        "x, y = 1, 2",
        "the reply has no action: expected a code block with one call, such as `pyautogui.click(x=12, y=34)`",
    );
    error(
        "pyautogui.click(x=1, y=2, clicks=9)",
        "broken call at byte 72: expected one to three clicks of the left button, or one of \
         another, found 9 of `left`",
    );
    error("pyautogui.keyDown('ctrl')", "unknown action `pyautogui.keyDown` at byte 72");
    error(
        "pyautogui.locateOnScreen('a.png')",
        "unknown action `pyautogui.locateOnScreen` at byte 72",
    );
    error(
        "pyautogui.click(x=1, y=2) if ok else None",
        "broken call at byte 97: expected the end of the line, found 'i'",
    );
    error(
        "os.system('rm -rf /')",
        "the reply has no action: expected a code block with one call, such as \
         `pyautogui.click(x=12, y=34)`",
    );
    error(
        "pyautogui.click(x=1, y=2); exec(code)",
        "broken call at byte 104: expected a value, found 'c'",
    );
    cua(
        "pyautogui.click(x=1, y=2); exec('code')",
        "left_click (1, 2) | further actions were left out",
    );
    check(
        "```python\npyautogui.hotkey('ctrl'",
        CUA,
        "error: broken call at byte 33: the reply breaks off inside a call",
    );
    error(
        "computer.terminate()",
        "`computer.terminate` needs `status`, which the action at byte 72 lacks",
    );
    error(
        "computer.terminate(status='success')\npyautogui.click(x=1, y=2)",
        "the reply has a second action at byte 109: write exactly one",
    );
}

#[test]
fn gui_owl_says_what_it_publishes() {
    let owl = |arguments: &str, expected: &str| {
        let reply = format!(
            "<thinking>\nThe box is empty.\n</thinking>\n<tool_call>\n{{\"name\": \"computer_use\", \
             \"arguments\": {arguments}}}\n</tool_call>\n<conclusion>\nClick.\n</conclusion>"
        );
        check(&reply, OWL, expected);
    };
    owl(r#"{"action": "click", "coordinate": [1, 2]}"#, "left_click (1, 2)");
    owl(
        r#"{"action": "drag", "coordinate": [1, 2], "coordinate2": [3, 4]}"#,
        "drag (1, 2) → (3, 4)",
    );
    owl(r#"{"action": "scroll", "pixels": -5}"#, "scroll down 5");
    owl(r#"{"action": "type", "text": "a", "clear": 0, "enter": 1}"#, "type \"a\\n\"");
    owl(r#"{"action": "type", "text": "a"}"#, "type \"a\"");
    owl(r#"{"action": "key", "keys": ["ctrl", "a"]}"#, "key ctrl+a");
    owl(
        r#"{"action": "type", "text": "a", "clear": 1, "enter": 0}"#,
        "error: `clear` at byte 132: emptying a field takes an action of its own: select all there \
         first, then type with `clear` 0",
    );
    owl(
        r#"{"action": "type", "text": "a", "clear": 7}"#,
        "error: `clear` at byte 132: 7 is not 0 or 1",
    );
}

#[test]
fn the_parts_of_an_earlier_reply() {
    let tars = told("Thought: I open it.\nAction: click(start_box='(1,2)')", TARS);
    assert_eq!([tars.thought, tars.call], ["I open it.", "click(start_box='(1,2)')"]);
    let venus = told(
        "<think>I see.</think>\n<action>Wait()</action>\n<conclusion>I waited.</conclusion>",
        VENUS,
    );
    assert_eq!([venus.thought, venus.call, venus.summary], ["I see.", "Wait()", "I waited."]);
    let cua = told(
        "## Thought:\nIt is open.\n\n## Action:\nClick it.\n\n## Code:\n```python\npyautogui.click(x=1, y=2)\n```",
        CUA,
    );
    let expected = ["It is open.", "pyautogui.click(x=1, y=2)", "Click it."];
    assert_eq!([cua.thought, cua.call, cua.summary], expected);
    let owl =
        told("<thinking>a</thinking><tool_call>{}</tool_call><conclusion>b</conclusion>", OWL);
    assert_eq!([owl.thought, owl.call, owl.summary], ["a", "{}", "b"]);
    assert_eq!(told("", TARS).call, "");
}
