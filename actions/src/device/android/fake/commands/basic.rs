//! The programs every phone has from toybox.

use std::time::Duration;

use super::Output;
use crate::device::android::fake::device::Phone;

/// The longest `sleep`.
const LONGEST_SLEEP: f64 = 3600.0;

/// Runs a program, if there is one of that name.
pub(super) fn run(phone: &Phone, name: &str, args: &[&str], input: &[u8]) -> Option<Output> {
    Some(match name {
        "true" | ":" | "wait" | "mkdir" | "sync" | "chmod" => Output::default(),
        "false" => Output { code: 1, ..Output::default() },
        "echo" => match args.split_first() {
            Some((&"-n", rest)) => Output::text(rest.join(" ")),
            _ => Output::line(&args.join(" ")),
        },
        "whoami" => Output::line("shell"),
        "id" => Output::line("uid=2000(shell) gid=2000(shell) groups=2000(shell)"),
        "cat" => cat(phone, args, input),
        "ls" => ls(phone, args),
        "rm" => rm(phone, args),
        "sleep" => sleep(phone, args),
        "grep" => grep(args, input),
        "wc" if args == ["-c"] => Output::line(&input.len().to_string()),
        _ => return None,
    })
}

fn cat(phone: &Phone, args: &[&str], input: &[u8]) -> Output {
    if args.is_empty() {
        return Output::bytes(input.to_vec());
    }
    let mut output = Output::default();
    for path in args {
        match phone.read_file(path) {
            Ok(data) => output.out.extend_from_slice(&data),
            Err(problem) => {
                output.err.extend_from_slice(format!("cat: {path}: {problem}\n").as_bytes());
                output.code = 1;
            }
        }
    }
    output
}

fn ls(phone: &Phone, args: &[&str]) -> Output {
    let mut output = Output::default();
    let paths: Vec<&str> = args.iter().copied().filter(|arg| !arg.starts_with('-')).collect();
    for path in if paths.is_empty() { vec!["/"] } else { paths } {
        let system = phone.lock();
        let files = &system.world.files;
        if files.is_folder(path) {
            for (name, _) in files.list(path) {
                output.out.extend_from_slice(format!("{name}\n").as_bytes());
            }
        } else if files.read(path).is_ok() {
            output.out.extend_from_slice(format!("{path}\n").as_bytes());
        } else {
            let problem = format!("ls: {path}: No such file or directory\n");
            output.err.extend_from_slice(problem.as_bytes());
            output.code = 1;
        }
    }
    output
}

fn rm(phone: &Phone, args: &[&str]) -> Output {
    let mut output = Output::default();
    let force = args.contains(&"-f");
    for path in args.iter().filter(|arg| !arg.starts_with('-')) {
        if let Err(problem) = phone.lock().world.files.remove(path)
            && !force
        {
            output.err.extend_from_slice(format!("rm: {path}: {problem}\n").as_bytes());
            output.code = 1;
        }
    }
    output
}

fn sleep(phone: &Phone, args: &[&str]) -> Output {
    let seconds = args.first().and_then(|text| text.parse::<f64>().ok());
    match seconds.filter(|seconds| (0.0..=LONGEST_SLEEP).contains(seconds)) {
        Some(seconds) => {
            phone.rest(Duration::from_secs_f64(seconds));
            Output::default()
        }
        None => Output::error(1, "sleep: not a number of seconds"),
    }
}

/// Finds lines that contain one of some fixed texts.
fn grep(args: &[&str], input: &[u8]) -> Output {
    let (mut wanted, mut most, mut fixed) = (Vec::new(), usize::MAX, false);
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match *arg {
            "-F" => fixed = true,
            "-e" => wanted.extend(rest.next().copied()),
            "-m" => most = rest.next().and_then(|count| count.parse().ok()).unwrap_or(0),
            pattern if wanted.is_empty() && !pattern.starts_with('-') => wanted.push(pattern),
            unknown => return Output::error(2, &format!("grep: `{unknown}` is not in this fake")),
        }
    }
    let is_plain = |text: &&str| fixed || !text.contains(['\\', '[', '*', '^', '$', '(', '|']);
    if wanted.is_empty() || !wanted.iter().all(is_plain) {
        return Output::error(2, "grep: only fixed texts are in this fake: use -F");
    }
    let text = String::from_utf8_lossy(input);
    let lines = text.lines().filter(|line| wanted.iter().any(|wanted| line.contains(wanted)));
    let found = Output::lines(lines.take(most).map(str::to_owned));
    Output { code: u8::from(found.out.is_empty()), ..found }
}
