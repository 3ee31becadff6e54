//! `input`: fingers, keys and text.

use std::time::Duration;

use super::Output;
use crate::device::android::fake::device::Phone;
use crate::device::android::keycode;
use crate::geometry::PixelPoint;

/// What `input` prints when it is asked for what it cannot do.
fn usage(problem: &str) -> Output {
    Output::error(255, &format!("Error: {problem}\nUsage: input [<source>] <command> [<arg>...]"))
}

pub(super) fn run(phone: &Phone, args: &[&str]) -> Output {
    let args = match args {
        ["touchscreen" | "keyboard" | "mouse", rest @ ..] => rest,
        args => args,
    };
    let Some((command, rest)) = args.split_first() else { return usage("no command") };
    match *command {
        "text" => text(phone, rest),
        "keyevent" => keys(phone, rest, false),
        "keycombination" if phone.lock().options.sdk >= 31 => keys(phone, rest, true),
        "tap" | "swipe" | "draganddrop" | "motionevent" => fingers(phone, command, rest),
        unknown => usage(&format!("Unknown command: {unknown}")),
    }
}

fn fingers(phone: &Phone, command: &str, args: &[&str]) -> Output {
    let (action, numbers) = match (command, args) {
        ("motionevent", [action, rest @ ..]) => (*action, rest),
        _ => (command, args),
    };
    let Some(numbers) =
        numbers.iter().map(|text| text.parse::<f64>().ok()).collect::<Option<Vec<_>>>()
    else {
        return usage("Invalid arguments for command");
    };
    let point =
        |index: usize| PixelPoint { x: whole(numbers[index]), y: whole(numbers[index + 1]) };
    let time = |index: usize| {
        let millis = numbers.get(index).copied().unwrap_or(300.0).clamp(0.0, 60_000.0);
        Duration::from_secs_f64(millis / 1000.0)
    };
    match (action, numbers.len()) {
        ("tap", 2) => phone.lock().swipe(point(0), point(0), Duration::ZERO),
        ("swipe", 4 | 5) => {
            phone.rest(time(4));
            phone.lock().swipe(point(0), point(2), time(4));
        }
        ("draganddrop", 4 | 5) => {
            phone.rest(time(4));
            phone.lock().drag(point(0), point(2));
        }
        ("DOWN", 2) => phone.lock().finger = Some(point(0)),
        ("MOVE", 2) => {}
        ("UP" | "CANCEL", 2) => {
            let mut system = phone.lock();
            if let Some(from) = system.finger.take()
                && action == "UP"
            {
                system.swipe(from, point(0), Duration::ZERO);
            }
        }
        _ => return usage(&format!("Invalid arguments for command: {action}")),
    }
    Output::default()
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and no screen is as large")]
fn whole(number: f64) -> i32 {
    number.floor() as i32
}

fn keys(phone: &Phone, args: &[&str], together: bool) -> Output {
    let args: &[&str] = match args {
        ["--longpress" | "--doubletap", rest @ ..] => rest,
        args => args,
    };
    if args.is_empty() {
        return usage("no key");
    }
    let mut codes = Vec::new();
    for name in args {
        match keycode::from_name(name) {
            Some(code) => codes.push(code),
            None => return usage(&format!("Unknown keycode: {name}")),
        }
    }
    let mut system = phone.lock();
    if together {
        system.chord(&codes);
    } else {
        for code in codes {
            system.key(code);
        }
    }
    Output::default()
}

/// Types what the virtual keyboard has keys for, and fails as Android does on anything else.
fn text(phone: &Phone, args: &[&str]) -> Output {
    let [text] = args else { return usage("Invalid arguments for command: text") };
    let text = spaces(text);
    if !text.chars().all(|character| matches!(character, ' '..='~')) {
        return Output::error(
            255,
            "\nException occurred while executing 'text':\n\
             java.lang.NullPointerException: Attempt to get length of null array\n\
             \tat com.android.server.input.InputShellCommand.sendText(InputShellCommand.java:313)",
        );
    }
    phone.lock().write(&text);
    Output::default()
}

/// Reads `%s` as a space, the way `input` does: after a `%` that may itself have ended an escape.
fn spaces(text: &str) -> String {
    let mut read = String::with_capacity(text.len());
    let mut after_percent = false;
    for character in text.chars() {
        if after_percent && character == 's' {
            read.pop();
            read.push(' ');
            after_percent = false;
        } else {
            read.push(character);
            after_percent = character == '%';
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_and_an_s_are_always_a_space() {
        assert_eq!(spaces("a%sb"), "a b");
        assert_eq!(spaces("%%s%"), "% %");
        assert_eq!(spaces("100%"), "100%");
        assert_eq!(spaces("%d%ss"), "%d s");
    }
}
