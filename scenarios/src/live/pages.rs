//! The pages of each family: HTML, a goal in words, and the outcome that is meant.
//!
//! A page's script calls `end` with what was done; only the first call counts.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Family;
use super::draw::Draw;

const FIELDS: [&str; 10] = [
    "Name",
    "City",
    "Email",
    "Phone",
    "Country",
    "Company",
    "Subject",
    "Address",
    "First Name",
    "Comment",
];
const TEXTS: [&str; 10] =
    ["Ada", "Paris", "hello", "42", "ada@site.org", "Rome", "Zoë", "Grace", "blue", "555 0199"];
const BUTTONS: [&str; 6] = ["Save", "OK", "Send", "Submit", "Apply", "Done"];
const OTHERS: [&str; 5] = ["Cancel", "Close", "Back", "Reset", "Skip"];
const OPTIONS: [&str; 14] = [
    "Memory", "Updates", "Backup", "Sound", "Location", "Network", "Privacy", "Camera", "Printer",
    "Battery", "Display", "Keyboard", "Weather", "Calendar",
];
const SIZES: [&str; 8] =
    ["Small", "Large", "Express", "Standard", "Weekly", "Monthly", "Public", "Private"];
const TABS: [&str; 7] = ["Team", "Orders", "Reports", "Account", "Files", "Billing", "History"];
const DEEDS: [&str; 10] = [
    "Export",
    "Archive",
    "Rename",
    "Share",
    "Print",
    "Import",
    "Duplicate",
    "Refresh",
    "Delete",
    "Publish",
];
const MENUS: [&str; 6] = ["File", "Edit", "View", "Tools", "Window", "Help"];
const THINGS: [&str; 6] = ["Lamp", "Chair", "Table", "Clock", "Shelf", "Mirror"];
const KINDS: [&str; 6] = ["Desk", "Garden", "Kitchen", "Floor", "Wall", "Travel"];
const ANSWERS: [[&str; 2]; 5] = [
    ["Yes", "No"],
    ["Keep", "Discard"],
    ["Allow", "Block"],
    ["Continue", "Stop"],
    ["Accept", "Decline"],
];

/// A task, but for its name.
pub(super) struct Made {
    pub(super) goal: String,
    pub(super) html: String,
    pub(super) meant: Value,
}

/// What all pages begin with. The outcome is kept where whoever shows the page reads it.
const SCRIPT: &str = "<input id=\"outcome\" type=\"hidden\"><script>
function end(what) {
  const outcome = document.getElementById(\"outcome\");
  if (!outcome.value) outcome.value = JSON.stringify(what);
}
function each(selector) { return [...document.querySelectorAll(selector)]; }
</script>";

pub(super) fn make(family: Family, draw: &mut Draw) -> Made {
    let style = style(draw);
    let made = match family {
        Family::Form => form(draw),
        Family::Check => check(draw),
        Family::Radio => radio(draw),
        Family::Tabs => tabs(draw),
        Family::Menu => menu(draw),
        Family::Search => search(draw),
        Family::List => list(draw),
        Family::Dialog => dialog(draw),
    };
    Made { html: format!("{style}{SCRIPT}{}", made.html), ..made }
}

/// Looks differ from task to task.
fn style(draw: &mut Draw) -> String {
    let size = draw.between(14, 17);
    let [ground, ink] =
        draw.one(&[["#ffffff", "#222222"], ["#f6f5f4", "#2e3436"], ["#eef2f7", "#1f2d3d"]]);
    let accent = draw.one(&["#3584e4", "#0078d7", "#2ea043", "#6f42c1", "#b35900"]);
    let font = draw.one(&["DejaVu Sans", "Liberation Sans"]);
    let (radius, gap) = (draw.between(0, 6), draw.between(8, 14));
    format!(
        "<style>
body {{ margin: 20px; font: {size}px \"{font}\", sans-serif; color: {ink}; background: {ground} }}
button, input {{ font: inherit }}
button {{ padding: 6px 14px; border: 1px solid #888; border-radius: {radius}px; background: #e4e4e4 }}
button.first {{ background: {accent}; border-color: {accent}; color: #fff }}
input[type=text] {{ padding: 6px; width: 220px; border: 1px solid #888 }}
form, .rows {{ display: grid; gap: {gap}px; justify-items: start }}
.field {{ display: grid; grid-template-columns: 120px 240px; align-items: center }}
.row {{ display: flex; gap: {gap}px }}
.pick {{ padding: 5px 8px; width: 220px; border-bottom: 1px solid #ccc }}
.pick.on {{ background: {accent}; color: #fff }}
.menu {{ position: absolute; top: 62px; background: #fff; border: 1px solid #888; display: none }}
dialog {{ border: 1px solid #888; padding: 20px }}
</style>"
    )
}

/// Two buttons, in any order; either ends the page.
fn buttons(draw: &mut Draw, script: &str) -> (String, &'static str) {
    let (meant, other) = (draw.one(&BUTTONS), draw.one(&OTHERS));
    let button = |label: &str, class: &str| {
        let id = label.to_lowercase();
        format!("<button id=\"{id}\" class=\"{class}\" onclick='{script}'>{label}</button>")
    };
    let mut pair = [button(meant, "first"), button(other, "")];
    if draw.below(2) == 1 {
        pair.reverse();
    }
    (format!("<div class=\"row\">{}</div>", pair.concat()), meant)
}

fn form(draw: &mut Draw) -> Made {
    let count = draw.between(2, 4);
    let fields = draw.some(count, &FIELDS);
    let (buttons, button) = buttons(
        draw,
        "end({ button: this.textContent, fields: Object.fromEntries(\
         each(\"[data-field]\").map((field) => [field.dataset.field, field.value])) })",
    );
    let filled = draw.between(1, 2);
    let filled = draw.some(filled, &fields);
    let texts = draw.some(filled.len(), &TEXTS);
    let mut html = String::from("<div class=\"rows\">");
    let mut meant = serde_json::Map::new();
    for (number, field) in fields.iter().enumerate() {
        let text = filled.iter().position(|name| name == field).map_or("", |place| texts[place]);
        meant.insert((*field).to_owned(), text.into());
        let _ = write!(
            html,
            "<div class=\"field\"><label for=\"f{number}\">{field}</label>\
             <input id=\"f{number}\" type=\"text\" autocomplete=\"off\" data-field=\"{field}\"></div>"
        );
    }
    let clause = |(place, name): (usize, &&str)| {
        if draw.below(3) == 0 {
            format!("fill \"{name}\" with \"{}\"", texts[place])
        } else {
            format!("type \"{}\" into \"{name}\"", texts[place])
        }
    };
    let clauses: Vec<String> = filled.iter().enumerate().map(clause).collect();
    Made {
        goal: format!("{}, then click \"{button}\"", clauses.join(", ")),
        html: format!("{html}{buttons}</div>"),
        meant: json!({ "button": button, "fields": meant }),
    }
}

fn check(draw: &mut Draw) -> Made {
    let count = draw.between(3, 6);
    let options = draw.some(count, &OPTIONS);
    let (buttons, button) = buttons(
        draw,
        "end({ button: this.textContent, \
         ticked: each(\"input:checked\").map((box) => box.dataset.label).sort() })",
    );
    let ticked = draw.between(1, 2);
    let ticked = draw.some(ticked, &options);
    let rows = marks("checkbox", &options);
    let clauses: Vec<String> = ticked
        .iter()
        .map(|label| format!("{} \"{label}\"", draw.one(&["tick", "check"])))
        .collect();
    let mut sorted = ticked.clone();
    sorted.sort_unstable();
    Made {
        goal: format!("{}, then click \"{button}\"", clauses.join(", ")),
        html: format!("<div class=\"rows\">{rows}{buttons}</div>"),
        meant: json!({ "button": button, "ticked": sorted }),
    }
}

fn radio(draw: &mut Draw) -> Made {
    let count = draw.between(3, 5);
    let options = draw.some(count, &SIZES);
    let (buttons, button) = buttons(
        draw,
        "end({ button: this.textContent, \
         chosen: each(\"input:checked\").map((box) => box.dataset.label) })",
    );
    let chosen = draw.one(&options);
    let verb = draw.one(&["choose", "select"]);
    Made {
        goal: format!("{verb} \"{chosen}\" and click \"{button}\""),
        html: format!("<div class=\"rows\">{}{buttons}</div>", marks("radio", &options)),
        meant: json!({ "button": button, "chosen": [chosen] }),
    }
}

/// Boxes or dots with their labels.
fn marks(kind: &str, labels: &[&str]) -> String {
    let row = |label: &&str| {
        format!(
            "<label><input type=\"{kind}\" name=\"mark\" data-label=\"{label}\"> {label}</label>"
        )
    };
    labels.iter().map(row).collect()
}

fn tabs(draw: &mut Draw) -> Made {
    let count = draw.between(3, 4);
    let tabs = draw.some(count, &TABS);
    let deeds = draw.some(2 * tabs.len(), &DEEDS);
    let (tab, side) = (draw.between(1, tabs.len() - 1), draw.below(2));
    let (mut heads, mut panels) = (String::new(), String::new());
    for (number, label) in tabs.iter().enumerate() {
        let _ = write!(
            heads,
            "<button onclick='each(\".panel\").forEach((panel, place) => \
             panel.hidden = place !== {number})'>{label}</button>"
        );
        let hidden = if number == 0 { "" } else { "hidden" };
        let own = deeds[2 * number..2 * number + 2].iter().map(|deed| {
            format!(
                "<button class=\"first\" onclick='end({{ tab: \"{label}\", \
                 deed: this.textContent }})'>{deed}</button> "
            )
        });
        let own: String = own.collect();
        let _ = write!(panels, "<div class=\"panel\" {hidden}><p>{label}</p>{own}</div>");
    }
    let deed = deeds[2 * tab + side];
    Made {
        goal: format!("open \"{}\", then click \"{deed}\"", tabs[tab]),
        html: format!("<div class=\"row\">{heads}</div>{panels}"),
        meant: json!({ "tab": tabs[tab], "deed": deed }),
    }
}

fn menu(draw: &mut Draw) -> Made {
    let menus = draw.some(3, &MENUS);
    let deeds = draw.some(9, &DEEDS);
    let (menu, place) = (draw.below(3), draw.below(3));
    let (mut heads, mut lists) = (String::new(), String::new());
    for (number, label) in menus.iter().enumerate() {
        let _ = write!(
            heads,
            "<button onclick='each(\".menu\").forEach((menu, place) => menu.style.display = \
             place === {number} ? \"block\" : \"none\"); each(\".menu\")[{number}].style.left = \
             this.offsetLeft + \"px\"'>{label}</button>"
        );
        let entry = |deed: &&str| {
            format!(
                "<div class=\"pick\" style=\"width: 120px\" onclick='end({{ menu: \"{label}\", \
                 entry: this.textContent }})'>{deed}</div>"
            )
        };
        let entries: String = deeds[3 * number..3 * number + 3].iter().map(entry).collect();
        let _ = write!(lists, "<div class=\"menu\">{entries}</div>");
    }
    let deed = deeds[3 * menu + place];
    Made {
        goal: format!("open \"{}\" and click \"{deed}\"", menus[menu]),
        html: format!("<div class=\"row\">{heads}</div>{lists}"),
        meant: json!({ "menu": menus[menu], "entry": deed }),
    }
}

fn search(draw: &mut Draw) -> Made {
    let things = draw.some(2, &THINGS);
    let kinds = draw.some(3, &KINDS);
    let (thing, kind) = (things[draw.below(2)], draw.one(&kinds));
    let query = thing.to_lowercase();
    let button = draw.one(&["Search", "Find", "Go"]);
    let label = draw.one(&["Query", "Keyword", "Product"]);
    let items: Vec<String> = things
        .iter()
        .flat_map(|thing| kinds.iter().map(move |kind| format!("{kind} {thing}")))
        .collect();
    let items = json!(items);
    let script = "<script>
function look() {
  const query = document.getElementById(\"query\").value;
  const found = query ? items.filter((item) => item.toLowerCase().includes(query.toLowerCase())) : [];
  document.getElementById(\"found\").replaceChildren(...found.map((item) => {
    const row = document.createElement(\"div\");
    [row.className, row.textContent] = [\"pick\", item];
    row.onclick = () => end({ query: query, opened: item });
    return row;
  }));
}
</script>";
    Made {
        goal: format!(
            "type \"{query}\" into \"{label}\", click \"{button}\", then click \"{kind} {thing}\""
        ),
        html: format!(
            "<script>const items = {items};</script>{script}<div class=\"rows\"><div class=\"field\">\
             <label for=\"query\">{label}</label><input id=\"query\" type=\"text\" \
             autocomplete=\"off\"></div><button class=\"first\" onclick=\"look()\">{button}</button>\
             <div id=\"found\"></div></div>"
        ),
        meant: json!({ "query": query, "opened": format!("{kind} {thing}") }),
    }
}

fn list(draw: &mut Draw) -> Made {
    let count = draw.between(4, 6);
    let entries = draw.some(count, &OPTIONS);
    let (buttons, button) = buttons(
        draw,
        "end({ button: this.textContent, selected: each(\".on\").map((row) => row.textContent) })",
    );
    let selected = draw.one(&entries);
    let row = |label: &&str| {
        format!(
            "<div class=\"pick\" onclick='each(\".on\").forEach((row) => \
             row.classList.remove(\"on\")); this.classList.add(\"on\")'>{label}</div>"
        )
    };
    let rows: String = entries.iter().map(row).collect();
    Made {
        goal: format!("select \"{selected}\", then click \"{button}\""),
        html: format!("<div>{rows}</div><p>{buttons}</p>"),
        meant: json!({ "button": button, "selected": [selected] }),
    }
}

fn dialog(draw: &mut Draw) -> Made {
    let deeds = draw.some(3, &DEEDS);
    let answers = draw.one(&ANSWERS);
    let (deed, answer) = (draw.one(&deeds), answers[draw.below(2)]);
    let opens = |deed: &&str| {
        format!(
            "<button onclick='document.querySelector(\"dialog\").dataset.deed = this.textContent; \
             document.querySelector(\"p\").textContent = this.textContent + \" all items?\"; \
             document.querySelector(\"dialog\").showModal()'>{deed}</button>"
        )
    };
    let rows: String = deeds.iter().map(opens).collect();
    let closes = |answer: &&str| {
        format!(
            "<button onclick='end({{ deed: this.closest(\"dialog\").dataset.deed, answer: \
             this.textContent }}); this.closest(\"dialog\").close()'>{answer}</button>"
        )
    };
    let answers: String = answers.iter().map(closes).collect();
    Made {
        goal: format!("click \"{deed}\", then click \"{answer}\""),
        html: format!(
            "<div class=\"row\">{rows}</div><dialog><p></p><div class=\"row\">{answers}</div></dialog>"
        ),
        meant: json!({ "deed": deed, "answer": answer }),
    }
}
