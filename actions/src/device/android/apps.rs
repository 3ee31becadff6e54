//! Which app is meant by a name.
//!
//! The package manager knows packages; the names people use are in resources that a shell cannot
//! read. So an app goes by all it may be called: the label where the phone tells it, the names of
//! well-known packages, and the words of the package itself. A name is taken when it fits one app
//! clearly better than all others.

use super::adb::client::Client;
use super::adb::error::AdbError;

/// All apps of the home screen.
const QUERY: &str = "cmd package query-activities -a android.intent.action.MAIN \
                     -c android.intent.category.LAUNCHER";
/// How like a name must be, from 0 to 1.
const LIKE: f64 = 0.86;
/// By how much the best must be better than the next.
const CLEARLY: f64 = 0.04;

/// An app that can be opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct App {
    pub(crate) package: String,
    /// The activity to start; phones before Android 7 do not list them.
    pub(crate) activity: Option<String>,
    /// What the home screen calls it, where that is known.
    pub(crate) label: Option<String>,
}

impl App {
    /// Returns all the app may be called, folded.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.label.iter().map(|label| fold(label)).collect();
        let known = WELL_KNOWN.iter().filter(|(package, _)| *package == self.package);
        names.extend(known.flat_map(|(_, names)| names.iter().map(|name| fold(name))));
        // `com.google.android.deskclock` is `deskclock`; `org.mozilla.firefox` is also `mozilla firefox`.
        let words: Vec<&str> =
            self.package.split('.').filter(|word| !COMMON_WORDS.contains(word)).collect();
        if let Some(last) = words.last() {
            names.push(fold(last));
        }
        names.push(fold(&words.join(" ")));
        names
    }

    /// Returns the name to show to people.
    fn shown(&self) -> String {
        let known = WELL_KNOWN.iter().find(|(package, _)| *package == self.package);
        let name =
            self.label.as_deref().or_else(|| known.and_then(|(_, names)| names.first().copied()));
        name.map_or_else(|| self.package.clone(), |name| format!("{name} ({})", self.package))
    }

    /// Returns how well a folded name fits, from 0 to 1.
    fn likeness(&self, name: &str) -> f64 {
        let all = self.names().into_iter().map(|own| likeness(name, &own));
        all.fold(0.0, f64::max)
    }
}

fn likeness(wanted: &str, own: &str) -> f64 {
    if wanted == own {
        return 1.0;
    }
    let bare = |text: &str| text.replace(' ', "");
    if bare(wanted) == bare(own) {
        return 0.99;
    }
    strsim::jaro_winkler(wanted, own).min(0.98)
}

/// Lower case, with single spaces for all that is no letter or digit, and without the word `app`.
fn fold(name: &str) -> String {
    let spaced: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let lower = spaced.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let kept: Vec<&str> = words.iter().copied().filter(|word| *word != "app").collect();
    if kept.is_empty() { words.join(" ") } else { kept.join(" ") }
}

/// What a name led to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    /// One app.
    One(App),
    /// None; what is most like it.
    None(Vec<String>),
    /// Several that fit equally well.
    Several(Vec<String>),
}

/// Finds the app of a name or a package.
pub(crate) fn find(apps: &[App], name: &str) -> Found {
    const SHOWN: usize = 5;
    if let Some(app) = apps.iter().find(|app| app.package == name.trim()) {
        return Found::One(app.clone());
    }
    let folded = fold(name);
    let mut rated: Vec<(f64, &App)> = apps.iter().map(|app| (app.likeness(&folded), app)).collect();
    rated.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    let Some(&(best, app)) = rated.first() else { return Found::None(Vec::new()) };
    if best < LIKE {
        return Found::None(rated.iter().take(SHOWN).map(|(_, app)| app.shown()).collect());
    }
    // Nothing is clearer than the very name.
    let margin = if best > 0.985 { 0.005 } else { CLEARLY };
    let near: Vec<&App> =
        rated.iter().filter(|(rate, _)| best - rate < margin).map(|(_, app)| *app).collect();
    let packages: std::collections::BTreeSet<&str> =
        near.iter().map(|app| app.package.as_str()).collect();
    if packages.len() > 1 {
        return Found::Several(packages.into_iter().map(str::to_owned).collect());
    }
    Found::One(app.clone())
}

/// Lists the apps of the home screen.
pub(crate) fn list(client: &Client) -> Result<Vec<App>, AdbError> {
    let apps = read(&client.look(QUERY)?);
    if !apps.is_empty() {
        return Ok(apps);
    }
    let packages = client.look("pm list packages")?;
    let packages = packages.lines().filter_map(|line| line.trim().strip_prefix("package:"));
    Ok(packages
        .map(|package| App { package: package.to_owned(), activity: None, label: None })
        .collect())
}

/// Reads what `query-activities` writes.
fn read(text: &str) -> Vec<App> {
    let mut apps: Vec<App> = Vec::new();
    let mut open: Option<App> = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with("Activity #") {
            apps.extend(open.take());
            open = Some(App { package: String::new(), activity: None, label: None });
        }
        let Some(app) = &mut open else { continue };
        // The first of each is the activity's; those of its application follow.
        if let Some(name) = line.strip_prefix("name=") {
            app.activity.get_or_insert_with(|| name.to_owned());
        } else if let Some(package) = line.strip_prefix("packageName=") {
            if app.package.is_empty() {
                package.clone_into(&mut app.package);
            }
        } else if let Some((_, rest)) = line.split_once("nonLocalizedLabel=") {
            let label = rest.split(" icon=").next().unwrap_or_default().trim();
            if app.label.is_none() && !label.is_empty() && label != "null" {
                app.label = Some(label.to_owned());
            }
        }
    }
    apps.extend(open);
    apps.retain(|app| !app.package.is_empty());
    apps
}

/// Words of packages that say nothing about the app.
const COMMON_WORDS: &[&str] =
    &["com", "org", "net", "de", "io", "co", "google", "android", "apps", "app", "sec", "main"];

/// What people call the apps that most phones have.
const WELL_KNOWN: &[(&str, &[&str])] = &[
    ("com.android.chrome", &["Chrome", "Google Chrome", "Browser"]),
    ("com.android.settings", &["Settings"]),
    ("com.android.vending", &["Play Store", "Google Play"]),
    ("com.android.camera2", &["Camera"]),
    ("com.google.android.GoogleCamera", &["Camera"]),
    ("com.android.contacts", &["Contacts"]),
    ("com.google.android.contacts", &["Contacts"]),
    ("com.android.dialer", &["Phone", "Dialer"]),
    ("com.google.android.dialer", &["Phone", "Dialer"]),
    ("com.android.deskclock", &["Clock", "Alarm"]),
    ("com.google.android.deskclock", &["Clock", "Alarm"]),
    ("com.android.calculator2", &["Calculator"]),
    ("com.google.android.calculator", &["Calculator"]),
    ("com.android.calendar", &["Calendar"]),
    ("com.google.android.calendar", &["Calendar", "Google Calendar"]),
    ("com.android.mms", &["Messages", "SMS"]),
    ("com.android.messaging", &["Messages", "SMS"]),
    ("com.google.android.apps.messaging", &["Messages", "SMS"]),
    ("com.android.documentsui", &["Files"]),
    ("com.google.android.documentsui", &["Files"]),
    ("com.google.android.apps.nbu.files", &["Files by Google", "Files"]),
    ("com.google.android.apps.photos", &["Photos", "Google Photos"]),
    ("com.android.gallery3d", &["Gallery"]),
    ("com.google.android.gm", &["Gmail", "Email"]),
    ("com.google.android.apps.maps", &["Maps", "Google Maps"]),
    ("com.google.android.youtube", &["YouTube"]),
    ("com.google.android.apps.youtube.music", &["YouTube Music"]),
    ("com.google.android.apps.docs", &["Drive", "Google Drive"]),
    ("com.google.android.googlequicksearchbox", &["Google", "Google Search"]),
    ("com.whatsapp", &["WhatsApp"]),
    ("org.telegram.messenger", &["Telegram"]),
    ("com.facebook.katana", &["Facebook"]),
    ("com.instagram.android", &["Instagram"]),
    ("com.twitter.android", &["X", "Twitter"]),
    ("com.zhiliaoapp.musically", &["TikTok"]),
    ("com.spotify.music", &["Spotify"]),
    ("com.netflix.mediaclient", &["Netflix"]),
    ("com.microsoft.office.outlook", &["Outlook"]),
    ("org.thoughtcrime.securesms", &["Signal"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn app(package: &str, label: Option<&str>) -> App {
        App {
            package: package.to_owned(),
            activity: Some(".Main".to_owned()),
            label: label.map(str::to_owned),
        }
    }

    fn phone() -> Vec<App> {
        vec![
            app("com.android.settings", None),
            app("com.google.android.deskclock", None),
            app("com.google.android.calendar", None),
            app("com.google.android.calculator", None),
            app("com.google.android.apps.nbu.files", None),
            app("com.google.android.youtube", None),
            app("com.google.android.apps.youtube.music", None),
            app("org.mozilla.firefox", None),
            app("net.example.notes", Some("Field Notes")),
            app("net.example.tasks", Some("Tasks")),
            app("org.example.tasks", Some("Tasks")),
        ]
    }

    #[test]
    fn names_people_use_find_their_app() {
        let check = |name: &str, package: &str| {
            let found = find(&phone(), name);
            let one = if let Found::One(app) = &found { app.package.as_str() } else { "" };
            assert_eq!(one, package, "{name}: {found:?}");
        };
        check("Settings", "com.android.settings");
        check("clock", "com.google.android.deskclock");
        check("the com.google.android.deskclock", "");
        check("com.google.android.deskclock", "com.google.android.deskclock");
        check("Calendar", "com.google.android.calendar");
        check("Calender", "com.google.android.calendar");
        check("Calculator app", "com.google.android.calculator");
        check("YouTube", "com.google.android.youtube");
        check("YouTube Music", "com.google.android.apps.youtube.music");
        check("Firefox", "org.mozilla.firefox");
        check("field-notes", "net.example.notes");
        check("Fieldnotes", "net.example.notes");
        check("net.example.tasks", "net.example.tasks");
    }

    #[test]
    fn what_fits_none_or_several_is_said() {
        let Found::Several(packages) = find(&phone(), "Tasks") else { panic!("one was taken") };
        assert_eq!(packages, ["net.example.tasks", "org.example.tasks"]);
        let Found::None(similar) = find(&phone(), "Netflix") else { panic!("one was taken") };
        assert_eq!(similar.len(), 5);
        assert_eq!(find(&[], "Clock"), Found::None(Vec::new()));
    }

    #[test]
    fn the_package_managers_list_is_read() {
        let text = "2 activities found:\n  Activity #0:\n    priority=0 isDefault=true\n    ActivityInfo:\n      \
                    name=com.a.Main\n      packageName=com.a\n      labelRes=0x7f nonLocalizedLabel=null \
                    icon=0x0 banner=0x0\n      ApplicationInfo:\n        name=com.a.App\n        \
                    packageName=com.other\n        labelRes=0x0 nonLocalizedLabel=An App icon=0x1 banner=0x0\n  \
                    Activity #1:\n    ActivityInfo:\n      name=com.b.Main\n      packageName=com.b\n";
        let apps = read(text);
        assert_eq!(apps.len(), 2);
        assert_eq!(apps[0].package, "com.a");
        assert_eq!(apps[0].activity.as_deref(), Some("com.a.Main"));
        assert_eq!(apps[0].label.as_deref(), Some("An App"));
        assert_eq!((apps[1].package.as_str(), apps[1].label.as_deref()), ("com.b", None));
        assert_eq!(read("Can't find service: package"), []);
    }
}
