//! `settings`, `getprop` and `dumpsys`.

use super::Output;
use crate::device::android::fake::device::Phone;
use crate::device::android::fake::system::{Lock, System, turned};

pub(super) fn settings(phone: &Phone, args: &[&str]) -> Output {
    let args: &[&str] = match args {
        ["--user", _, rest @ ..] => rest,
        args => args,
    };
    let mut system = phone.lock();
    let is_namespace = |name: &str| matches!(name, "system" | "secure" | "global");
    match *args {
        ["get", namespace, key] if is_namespace(namespace) => {
            Output::line(system.world.setting(namespace, key).unwrap_or("null"))
        }
        ["put", namespace, key, value] if is_namespace(namespace) => {
            system.world.set(namespace, key, value);
            Output::default()
        }
        ["delete", namespace, key] if is_namespace(namespace) => {
            let key = (namespace.to_owned(), key.to_owned());
            let count = usize::from(system.world.settings.remove(&key).is_some());
            Output::line(&format!("Deleted {count} rows"))
        }
        ["list", namespace] if is_namespace(namespace) => {
            let settings = system.world.settings.iter();
            let lines = settings.filter(|((of, _), _)| of == namespace);
            Output::lines(lines.map(|((_, key), value)| format!("{key}={value}")))
        }
        _ => Output::error(255, "Invalid command: try `settings get NAMESPACE KEY`"),
    }
}

pub(super) fn getprop(phone: &Phone, args: &[&str]) -> Output {
    let system = phone.lock();
    let options = &system.options;
    let properties = [
        ("ro.product.model", options.model.clone()),
        ("ro.product.manufacturer", "Handsight".to_owned()),
        ("ro.product.name", "fake_phone".to_owned()),
        ("ro.product.device", "fake".to_owned()),
        ("ro.serialno", "FAKE0001".to_owned()),
        ("ro.build.version.sdk", options.sdk.to_string()),
        ("ro.build.version.release", options.release().to_owned()),
        ("ro.sf.lcd_density", options.density.to_string()),
        ("sys.boot_completed", "1".to_owned()),
    ];
    match args {
        [] => Output::lines(properties.iter().map(|(name, value)| format!("[{name}]: [{value}]"))),
        [name, default @ ..] => {
            let value = properties.iter().find(|(known, _)| known == name);
            let default = default.first().copied().unwrap_or_default();
            Output::line(value.map_or(default, |(_, value)| value))
        }
    }
}

pub(super) fn dumpsys(phone: &Phone, args: &[&str]) -> Output {
    let system = phone.lock();
    let text = match args {
        ["battery"] => battery(&system),
        ["power"] => {
            let state = if system.awake { "Awake" } else { "Asleep" };
            format!("POWER MANAGER (dumpsys power)\n\n  mWakefulness={state}\n")
        }
        ["window", "displays"] => displays(&system),
        ["window", "windows"] => windows(&system),
        ["window", "policy"] => {
            let (locked, secure) = (system.lock != Lock::Open, system.lock == Lock::Secure);
            format!(
                "WINDOW MANAGER POLICY STATE (dumpsys window policy)\n    KeyguardServiceDelegate\n      \
                 showing={locked}\n      secure={secure}\n"
            )
        }
        ["window"] => displays(&system) + &windows(&system),
        ["activity", "activities"] => activities(&system),
        ["input_method"] => format!(
            "Current Input Method Manager state:\n  mCurMethodId={}\n  mInputShown={}\n",
            system.keyboard,
            system.keyboard_is_up(),
        ),
        [service, ..] => return Output::error(0, &format!("Can't find service: {service}")),
        [] => return Output::error(1, "dumpsys: name a service"),
    };
    Output::text(text)
}

fn battery(system: &System) -> String {
    format!(
        "Current Battery Service state:\n  AC powered: false\n  USB powered: true\n  Wireless powered: false\n  \
         status: 2\n  health: 2\n  present: true\n  level: {}\n  scale: 100\n  voltage: 4120\n  \
         temperature: 250\n  technology: Li-ion\n",
        system.options.battery
    )
}

/// Returns the name of the window that has the focus.
fn focused_window(system: &System) -> String {
    if system.lock != Lock::Open || !system.awake {
        return "Window{5a1 u0 NotificationShade}".to_owned();
    }
    let identity = system.front_app().identity();
    format!("Window{{5a{} u0 {}/{}}}", system.front(), identity.package, identity.activity)
}

fn record(system: &System) -> String {
    let component = system.front_app().identity().component();
    format!("ActivityRecord{{7b{} u0 {component} t{}}}", system.front(), system.front() + 1)
}

fn displays(system: &System) -> String {
    let display = &system.display;
    let shown = |size: crate::geometry::Size| format!("{}x{}", size.width, size.height);
    let base = if display.size_override.is_some() || display.density_override.is_some() {
        format!("base={} {}dpi ", shown(display.upright()), display.density())
    } else {
        String::new()
    };
    let current = shown(turned(display.upright(), system.rotation()));
    format!(
        "WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)\n  Display: mDisplayId=0\n    init={} {}dpi \
         {base}cur={current} app={current} rng={current}-{current}\n    deferred=false \
         mLayoutNeeded=false\n  mCurrentFocus={}\n  mFocusedApp={}\n    mCurrentRotation=ROTATION_{}\n",
        shown(display.physical),
        display.physical_density,
        focused_window(system),
        record(system),
        system.rotation() * 90,
    )
}

fn windows(system: &System) -> String {
    let app = system.front_app();
    let identity = app.identity();
    let secure = if app.is_secure() { " SECURE" } else { "" };
    format!(
        "WINDOW MANAGER WINDOWS (dumpsys window windows)\n  Window #0 Window{{5a1 u0 NotificationShade}}:\n    \
         mAttrs={{(0,0)(fillxfill) ty=NOTIFICATION_SHADE fmt=TRANSLUCENT\n      fl=NOT_FOCUSABLE\n  \
         Window #1 Window{{5a{} u0 {}/{}}}:\n    mAttrs={{(0,0)(fillxfill) sim={{adjust=pan}} \
         ty=BASE_APPLICATION fmt=TRANSLUCENT\n      fl=LAYOUT_IN_SCREEN{secure} LAYOUT_INSET_DECOR \
         HARDWARE_ACCELERATED\n  mCurrentFocus={}\n",
        system.front(),
        identity.package,
        identity.activity,
        focused_window(system),
    )
}

fn activities(system: &System) -> String {
    let record = record(system);
    format!(
        "ACTIVITY MANAGER ACTIVITIES (dumpsys activity activities)\nDisplay #0 (activities from top to \
         bottom):\n  topResumedActivity={record}\n  ResumedActivity: {record}\n"
    )
}
