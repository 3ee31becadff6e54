//! Screens that change between two runs, for measuring what anchors find and whether they err.
//!
//! Pages are drawn by Chromium in several layouts, and again in every way a screen changes; the
//! page itself says where each target is, so that a wrong click cannot hide.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use handsight_actions::{Device, PixelPoint, Rect};
use handsight_scenarios::anchor::{Anchor, Sighting};
use image::RgbImage;

use crate::page::Page;
use crate::xserver::XServer;

/// How a screen is changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Alteration {
    /// Not at all: drawn again by another browser.
    Same,
    /// All is further down and to the right.
    Moved,
    /// Rows and buttons are in another order.
    Shuffled,
    /// Something was put in above.
    Inserted,
    /// Buttons have another colour.
    Recoloured,
    /// Targets have other words.
    Renamed,
    /// Every target is there a second time, further down.
    Duplicated,
    /// Every other target is gone; those like it remain.
    Removed,
    /// A dark theme.
    Themed,
    /// All is larger by a quarter.
    Scaled,
    /// Fields and rows have other data in them.
    Filled,
}

impl Alteration {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Same,
        Self::Moved,
        Self::Shuffled,
        Self::Inserted,
        Self::Recoloured,
        Self::Renamed,
        Self::Duplicated,
        Self::Removed,
        Self::Themed,
        Self::Scaled,
        Self::Filled,
    ];

    /// Returns what a table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "nothing",
            Self::Moved => "moved",
            Self::Shuffled => "in another order",
            Self::Inserted => "something put in",
            Self::Recoloured => "recoloured",
            Self::Renamed => "renamed",
            Self::Duplicated => "duplicated",
            Self::Removed => "half removed",
            Self::Themed => "another theme",
            Self::Scaled => "another scale",
            Self::Filled => "other data",
        }
    }
}

/// How a page is laid out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layout {
    /// Labels, fields and two buttons.
    Form,
    /// A row of buttons above a text.
    Toolbar,
    /// Rows of a name and the same two buttons.
    Rows,
    /// A question with three answers, on a page.
    Dialog,
    /// Checkboxes and a menu.
    Settings,
    /// Cards with a title, a text and the same button.
    Cards,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Form, Self::Toolbar, Self::Rows, Self::Dialog, Self::Settings, Self::Cards];

    /// Returns how many targets it has.
    fn targets(self) -> usize {
        match self {
            Self::Form | Self::Toolbar | Self::Settings => 6,
            Self::Rows => 8,
            Self::Dialog => 3,
            Self::Cards => 4,
        }
    }
}

/// What became of the anchors of one page.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Found, and it was the target.
    pub found: usize,
    /// Found, and it was something else.
    pub wrong: usize,
    /// Not believed, or not there: the model is asked.
    pub left: usize,
    /// Targets that have no anchor, since nothing tells them apart.
    pub without: usize,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.found += other.found;
        self.wrong += other.wrong;
        self.left += other.left;
        self.without += other.without;
    }
}

/// A target of a page: its anchor, if it has one.
struct Target {
    id: String,
    anchor: Option<Anchor>,
}

/// The anchors of a layout.
pub struct Remembered {
    layout: Layout,
    targets: Vec<Target>,
}

/// Opens a layout as it is first seen, and remembers its targets.
///
/// # Errors
///
/// Fails if the browser does not show the page.
pub fn remember(server: &XServer, layout: Layout) -> Result<Remembered> {
    let (page, screen) = show(server, layout, Alteration::Same)?;
    let targets = (0..layout.targets()).map(|number| {
        let id = format!("t{number}");
        let point = page.middle(&id)?;
        let anchor = Anchor::of(&screen, point, None);
        Ok(Target { id, anchor })
    });
    Ok(Remembered { layout, targets: targets.collect::<Result<_>>()? })
}

impl Remembered {
    /// Draws the page anew, changed, and looks for the targets on it. Of what was found wrongly,
    /// `tell` is told.
    ///
    /// # Errors
    ///
    /// Fails if the browser does not show the page.
    pub fn measure(
        &self,
        server: &XServer,
        alteration: Alteration,
        tell: &mut dyn FnMut(&str, &RgbImage, PixelPoint),
    ) -> Result<Counts> {
        let (page, screen) = show(server, self.layout, alteration)?;
        let mut counts = Counts::default();
        for target in &self.targets {
            let Some(anchor) = &target.anchor else {
                counts.without += 1;
                continue;
            };
            let Sighting::Found { point, .. } = anchor.find(&screen) else {
                counts.left += 1;
                continue;
            };
            // A target that was removed is nowhere.
            let is_it = page.rect(&target.id).is_ok_and(|[x, y, width, height]| {
                let side = |side: i32| u32::try_from(side).unwrap_or(0);
                Rect { x, y, width: side(width), height: side(height) }.contains(point)
            });
            if is_it {
                counts.found += 1;
            } else {
                counts.wrong += 1;
                tell(&format!("{:?}-{alteration:?}-{}", self.layout, target.id), &screen, point);
            }
        }
        Ok(counts)
    }
}

fn show(server: &XServer, layout: Layout, alteration: Alteration) -> Result<(Page, RgbImage)> {
    let page = Page::open(server, &body(layout, alteration), [1024, 720])?;
    page.settled()?;
    // Nothing is under the pointer that could light up.
    server.warp_pointer(1020, 700)?;
    page.settled()?;
    let screen = server.device()?.observe().context("no screenshot")?.screenshot.image;
    Ok((page, screen))
}

const STYLE: &str = "
body { font: 14px 'DejaVu Sans'; margin: 24px; background: #f6f6f6; color: #222 }
input, button, select { font: inherit; padding: 4px 10px; color: inherit }
button { background: #e4e4e4; border: 1px solid #999; border-radius: 4px }
.row, .field { display: flex; gap: 12px; align-items: center; margin: 8px 0 }
.field label { width: 130px } .row span { width: 220px }
.card { display: inline-block; width: 200px; border: 1px solid #bbb; padding: 10px; margin: 6px }
.dialog { width: 420px; margin: 120px auto; border: 1px solid #777; background: #fff; padding: 18px }
.bar { border-bottom: 1px solid #aaa; padding-bottom: 8px } p { max-width: 640px }
";

const NAMES: [&str; 8] = [
    "Ada Lovelace",
    "Bo Lindqvist",
    "Chen Wei",
    "Dora Maar",
    "Emil Nolde",
    "Fay Wray",
    "Gil Evans",
    "Ida Lupino",
];
const OTHERS: [&str; 8] = [
    "Hedy Lamarr",
    "Ivo Pogorelich",
    "Jane Goodall",
    "Karl Popper",
    "Lise Meitner",
    "Max Planck",
    "Nina Simone",
    "Otto Dix",
];

/// Returns the page of a layout, changed.
fn body(layout: Layout, alteration: Alteration) -> String {
    let mut parts = parts(layout, alteration);
    if alteration == Alteration::Shuffled {
        parts.rotate_left(1);
        parts.reverse();
    }
    if alteration == Alteration::Duplicated {
        // The second ones are not the targets: they have no ids.
        let copies: Vec<String> = parts.iter().map(|part| without_ids(part)).collect();
        parts.push("<hr>".to_owned());
        parts.extend(copies);
    }
    let change = match alteration {
        Alteration::Moved => "body { margin: 61px 0 0 97px }",
        Alteration::Recoloured => "button, select, input { background: #3584e4; color: #fff }",
        Alteration::Themed => {
            "body, .dialog { background: #242424; color: #eee } \
             button, input, select { background: #3a3a3a; border: 1px solid #666 }"
        }
        Alteration::Scaled => "body { zoom: 1.25 }",
        _ => "",
    };
    let inserted = if alteration == Alteration::Inserted {
        "<p><b>New:</b> your data is now kept for thirty days. <a href=#>Learn more</a></p>"
    } else {
        ""
    };
    let parts = parts.concat();
    let whole = match layout {
        Layout::Toolbar => format!(
            "<div class=bar>{parts}</div><p>Select a document on the left to see it here. \
             Documents that were changed have a dot beside their name.</p>"
        ),
        Layout::Dialog => format!(
            "<p>Notes of the meeting on Tuesday</p><div class=dialog><p>Save changes before \
             closing?</p>{parts}</div>"
        ),
        _ => parts,
    };
    format!("<style>{STYLE}{change}</style>{inserted}{whole}")
}

/// Returns the parts of a layout that can change places, with ids `t0`, `t1` … on its targets.
fn parts(layout: Layout, alteration: Alteration) -> Vec<String> {
    let words = Words {
        renamed: alteration == Alteration::Renamed,
        data: if alteration == Alteration::Filled { OTHERS } else { NAMES },
    };
    let parts = match layout {
        Layout::Form => words.form(),
        Layout::Toolbar => words.buttons(&[
            ("New", "Create"),
            ("Open", "Load"),
            ("Save", "Store"),
            ("Print", "Output"),
            ("Find", "Search"),
            ("Help", "Guide"),
        ]),
        Layout::Rows => words.rows(),
        Layout::Dialog => {
            words.buttons(&[("Discard", "Drop"), ("Cancel", "Back"), ("Save", "Keep")])
        }
        Layout::Settings => words.settings(),
        Layout::Cards => words.cards(),
    };
    let is_there = |number: usize| alteration != Alteration::Removed || number % 2 == 1;
    let numbered = parts.into_iter().enumerate().filter(|(number, _)| is_there(*number));
    numbered.map(|(_, part)| part).collect()
}

/// The words and the data of a page.
struct Words {
    renamed: bool,
    data: [&'static str; 8],
}

/// What something is called, and what it is called once it was renamed.
type Names = (&'static str, &'static str);

impl Words {
    fn of(&self, (old, new): Names) -> &'static str {
        if self.renamed { new } else { old }
    }

    fn buttons(&self, names: &[Names]) -> Vec<String> {
        let numbered = names.iter().enumerate();
        numbered.map(|(n, &name)| format!("<button id=t{n}>{}</button> ", self.of(name))).collect()
    }

    fn form(&self) -> Vec<String> {
        let labels = [
            ("First name", "Given name"),
            ("Last name", "Surname"),
            ("Company", "Employer"),
            ("City", "Town"),
        ];
        let values = [self.data[0], self.data[1], "", ""];
        let fields = labels.into_iter().zip(values).enumerate().map(|(n, (label, value))| {
            format!(
                "<div class=field><label>{}</label><input id=t{n} size=28 value='{value}'></div>",
                self.of(label)
            )
        });
        let buttons = [("Save", "Apply"), ("Cancel", "Discard")].into_iter().zip(4..);
        let buttons =
            buttons.map(|(name, n)| format!("<button id=t{n}>{}</button> ", self.of(name)));
        fields.chain(buttons).collect()
    }

    fn rows(&self) -> Vec<String> {
        let (edit, delete) = (self.of(("Edit", "Change")), self.of(("Delete", "Remove")));
        let rows = self.data[..4].iter().enumerate();
        rows.map(|(row, name)| {
            format!(
                "<div class=row><span>{name}</span><button id=t{}>{edit}</button>\
                 <button id=t{}>{delete}</button></div>",
                2 * row,
                2 * row + 1
            )
        })
        .collect()
    }

    fn settings(&self) -> Vec<String> {
        let labels = [
            ("Send me news", "Newsletter"),
            ("Remember me", "Stay signed in"),
            ("Show hidden files", "List dot files"),
            ("Start with the computer", "Autostart"),
        ];
        let boxes = labels.into_iter().enumerate().map(|(n, label)| {
            format!(
                "<div class=row><input type=checkbox id=t{n}><label>{}</label></div>",
                self.of(label)
            )
        });
        let menu = format!(
            "<div class=field><label>{}</label><select id=t4><option>English<option>Deutsch\
             </select></div>",
            self.of(("Language", "Tongue"))
        );
        let button = format!("<button id=t5>{}</button>", self.of(("Reset", "Restore")));
        boxes.chain([menu, button]).collect()
    }

    fn cards(&self) -> Vec<String> {
        let button = self.of(("Add to cart", "Buy"));
        let cards = self.data[..4].iter().enumerate();
        cards
            .map(|(n, name)| {
                format!(
                    "<div class=card><b>{name}</b><p>Portrait, oil on canvas</p>\
                     <button id=t{n}>{button}</button></div>"
                )
            })
            .collect()
    }
}

/// Returns a text without its ids.
fn without_ids(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once(" id=t") {
        let after = after.trim_start_matches(|char: char| char.is_ascii_digit());
        let _ = write!(text, "{before}");
        rest = after;
    }
    text + rest
}
