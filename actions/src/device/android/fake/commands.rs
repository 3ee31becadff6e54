//! The programs of the fake phone, with the words and exit codes of Android's own.

mod apps;
mod basic;
mod facts;
mod input;
pub(super) mod screen;

use super::device::Phone;
use super::fingers;

/// What a program wrote, and its exit code.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
    pub(super) code: u8,
}

impl Output {
    /// Returns a line on stdout.
    pub(super) fn line(text: &str) -> Self {
        Self::text(format!("{text}\n"))
    }

    /// Returns a text on stdout.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::bytes(text.into().into_bytes())
    }

    /// Returns lines on stdout.
    pub(super) fn lines(lines: impl Iterator<Item = String>) -> Self {
        Self::text(lines.flat_map(|line| [line, "\n".to_owned()]).collect::<String>())
    }

    /// Returns bytes on stdout.
    pub(super) fn bytes(out: Vec<u8>) -> Self {
        Self { out, ..Self::default() }
    }

    /// Returns a line on stderr and an exit code.
    pub(super) fn error(code: u8, text: &str) -> Self {
        Self { err: format!("{text}\n").into_bytes(), code, ..Self::default() }
    }
}

/// Runs a program.
pub(super) fn run(phone: &Phone, words: &[String], input: &[u8]) -> Output {
    let Some((name, args)) = words.split_first() else { return Output::default() };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let name = name.strip_prefix("/system/bin/").unwrap_or(name);
    if let Some(fault) = phone.fault_of_command(words) {
        return fault;
    }
    let output = match name {
        "input" => {
            phone.lock().record(words);
            input::run(phone, &args)
        }
        "getevent" if args == ["-lp"] => Output::text(fingers::INPUTS),
        "screencap" => screen::screencap(phone, &args),
        "uiautomator" => screen::uiautomator(phone, &args),
        "wm" => screen::wm(phone, &args),
        "settings" => facts::settings(phone, &args),
        "getprop" => facts::getprop(phone, &args),
        "dumpsys" => facts::dumpsys(phone, &args),
        "ime" => apps::ime(phone, &args),
        "am" => apps::am(phone, &args),
        "monkey" => apps::monkey(phone, &args),
        "pm" => apps::pm(phone, &args),
        "cmd" => match args.split_first() {
            Some((&"package", rest)) => apps::pm(phone, rest),
            Some((&"activity", rest)) => apps::am(phone, rest),
            Some((&"window", rest)) => screen::wm(phone, rest),
            Some((&"input_method", rest)) => apps::ime(phone, rest),
            Some((&"clipboard", rest)) => apps::clipboard(phone, rest),
            Some((&"settings", rest)) => facts::settings(phone, rest),
            Some((service, _)) => Output::error(20, &format!("cmd: Can't find service: {service}")),
            None => Output::error(255, "cmd: No service specified; use -l to list all services"),
        },
        _ => basic::run(phone, name, &args, input).unwrap_or_else(|| {
            Output::error(127, &format!("/system/bin/sh: {name}: inaccessible or not found"))
        }),
    };
    phone.hang_after(words);
    output
}
