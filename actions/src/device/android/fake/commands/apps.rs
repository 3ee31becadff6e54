//! `am`, `pm`, `monkey`, `ime` and `cmd clipboard`: starting apps and choosing keyboards.

use base64::Engine as _;

use super::Output;
use crate::device::android::fake::apps::App;
use crate::device::android::fake::device::Phone;
use crate::device::android::fake::system::{ADB_KEYBOARD, System};

pub(super) fn am(phone: &Phone, args: &[&str]) -> Output {
    match args {
        ["start" | "start-activity", rest @ ..] => start(&mut phone.lock(), rest),
        ["force-stop", package] => {
            phone.lock().stop(package);
            Output::default()
        }
        ["broadcast", rest @ ..] => broadcast(&mut phone.lock(), rest),
        _ => Output::error(255, &format!("Unknown command: {}", args.join(" "))),
    }
}

/// Returns the value after an option.
fn option<'a>(args: &[&'a str], name: &str) -> Option<&'a str> {
    let at = args.iter().position(|arg| *arg == name)?;
    args.get(at + 1).copied()
}

fn start(system: &mut System, args: &[&str]) -> Output {
    if option(args, "-c") == Some("android.intent.category.HOME") {
        system.open("com.android.launcher3");
        return Output::line("Starting: Intent { cat=[android.intent.category.HOME] }");
    }
    let Some(component) = option(args, "-n") else {
        return Output::error(1, "Error: Activity not started, unable to resolve Intent");
    };
    let intent = format!("Intent {{ cmp={component} }}");
    let is_known = |system: &System| {
        system.apps().any(|app| {
            let identity = app.identity();
            let whole = format!("{}/{}", identity.package, identity.activity);
            component == whole || component == identity.component()
        })
    };
    let package = component.split('/').next().unwrap_or_default();
    if is_known(system) && system.open(package) {
        return Output::line(&format!("Starting: {intent}"));
    }
    let problem = format!("Error type 3\nError: Activity class {{{component}}} does not exist.");
    Output { out: format!("Starting: {intent}\n").into_bytes(), ..Output::error(1, &problem) }
}

/// What the keyboard that types what it is sent does with a broadcast.
fn broadcast(system: &mut System, args: &[&str]) -> Output {
    let (action, message) = (option(args, "-a"), option(args, "--es"));
    let value = args.iter().position(|arg| *arg == "--es").and_then(|at| args.get(at + 2));
    let sent = Output::line("Broadcasting: Intent\nBroadcast completed: result=0");
    // A broadcast that nobody receives completes just the same.
    if system.keyboard != ADB_KEYBOARD || message != Some("msg") {
        return sent;
    }
    let Some(value) = value else { return sent };
    let decoded = base64::engine::general_purpose::STANDARD.decode(value);
    match (action, decoded) {
        (Some("ADB_INPUT_B64"), Ok(bytes)) => system.write(&String::from_utf8_lossy(&bytes)),
        (Some("ADB_INPUT_TEXT"), _) => system.write(value),
        _ => {}
    }
    sent
}

pub(super) fn monkey(phone: &Phone, args: &[&str]) -> Output {
    let Some(package) = option(args, "-p") else {
        return Output::error(255, "** Error: no package");
    };
    if phone.lock().open(package) {
        return Output::line("Events injected: 1");
    }
    Output::error(252, "** No activities found to run, monkey aborted.")
}

pub(super) fn pm(phone: &Phone, args: &[&str]) -> Output {
    let mut system = phone.lock();
    match args {
        ["list", "packages", rest @ ..] => {
            let adb = system.options.adb_keyboard.then_some("com.android.adbkeyboard");
            let packages = system.apps().map(|app| app.identity().package);
            let only = rest.first().filter(|filter| !filter.starts_with('-')).copied();
            let wanted = |package: &&str| package.contains(only.unwrap_or_default());
            let packages = packages.chain(adb).filter(wanted);
            Output::lines(packages.map(|package| format!("package:{package}")))
        }
        ["query-activities", rest @ ..] => activities(&system, rest.contains(&"--brief")),
        ["clear", package] => {
            system.stop(package);
            Output::line("Success")
        }
        _ => Output::error(255, &format!("Unknown command: {}", args.join(" "))),
    }
}

/// Returns the apps of the home screen, as the package manager lists them.
fn activities(system: &System, brief: bool) -> Output {
    let apps: Vec<_> = system.apps().skip(1).map(App::identity).collect();
    let mut lines = vec![format!("{} activities found:", apps.len())];
    for (index, app) in apps.iter().enumerate() {
        lines.push(format!("  Activity #{index}:"));
        lines.push(
            "    priority=0 preferredOrder=0 match=0x108000 specificIndex=-1 isDefault=true"
                .to_owned(),
        );
        lines.push(if brief {
            format!("    {}", app.component())
        } else {
            format!(
                "    ActivityInfo:\n      name={}\n      packageName={}\n      labelRes=0x0 \
                 nonLocalizedLabel={} icon=0x7f080001 banner=0x0",
                app.activity, app.package, app.label
            )
        });
    }
    Output::lines(lines.into_iter())
}

pub(super) fn ime(phone: &Phone, args: &[&str]) -> Output {
    let mut system = phone.lock();
    match args {
        ["list", rest @ ..] => {
            let all = rest.contains(&"-a");
            let keyboards = system.keyboards.iter().filter(|keyboard| all || keyboard.enabled);
            Output::lines(keyboards.map(|keyboard| keyboard.id.to_owned()))
        }
        [change @ ("enable" | "disable"), id] => {
            let mut keyboards = system.keyboards.iter_mut();
            match keyboards.find(|keyboard| keyboard.id == *id) {
                Some(keyboard) => {
                    keyboard.enabled = *change == "enable";
                    Output::line(&format!("Input method {id}: now {change}d for user #0"))
                }
                None => unknown(id, &format!("{change}d")),
            }
        }
        ["set", id] => {
            if !system.keyboards.iter().any(|keyboard| keyboard.id == *id && keyboard.enabled) {
                return unknown(id, "selected");
            }
            (*id).clone_into(&mut system.keyboard);
            system.world.set("secure", "default_input_method", id);
            Output::line(&format!("Input method {id} selected for user #0"))
        }
        _ => Output::error(255, &format!("Unknown command: {}", args.join(" "))),
    }
}

fn unknown(id: &str, what: &str) -> Output {
    Output::error(255, &format!("Unknown input method {id} cannot be {what} for user #0"))
}

/// `cmd clipboard`, which most versions of Android answer with a sentence and no error.
pub(super) fn clipboard(phone: &Phone, args: &[&str]) -> Output {
    let mut system = phone.lock();
    if !system.options.clipboard_command {
        return Output::line("No shell command implementation.");
    }
    match args {
        ["set", text] => {
            (*text).clone_into(&mut system.clipboard);
            Output::default()
        }
        ["get"] => Output::line(&system.clipboard),
        _ => Output::error(255, "Unknown command"),
    }
}
