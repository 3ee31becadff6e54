//! What an import found: counts beside the published ones, and what is broken or odd.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

use super::schema::Schema;
use crate::benchmark::item::{Item, Target};
use crate::benchmark::region::center;

/// Something about one record.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// Where it stands.
    pub place: String,
    /// The item's id, if it got as far as that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What is wrong or odd.
    pub problem: String,
}

impl Finding {
    /// Returns what a list calls it by.
    pub fn name(&self) -> String {
        self.id.clone().unwrap_or_else(|| self.place.clone())
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// A count beside the published one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Counted {
    /// What was counted: `items`, or a tag and its value.
    pub what: String,
    /// How many there are.
    pub found: usize,
    /// How many the published set has, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<usize>,
}

/// What an import found.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Counts, beside the published ones.
    pub counts: Vec<Counted>,
    /// How many pictures there are.
    pub pictures: usize,
    /// Records that no answer can be judged by.
    pub broken: Vec<Finding>,
    /// Items that can be judged, but look wrong.
    pub odd: Vec<Finding>,
    #[serde(skip)]
    schema: &'static Schema,
    #[serde(skip)]
    items: usize,
    #[serde(skip)]
    tags: BTreeMap<(String, String), usize>,
    #[serde(skip)]
    seen_pictures: HashSet<String>,
    /// Pictures with their instruction, to find what is there twice.
    #[serde(skip)]
    questions: HashSet<(String, String, String)>,
}

impl Check {
    pub(super) fn new(schema: &'static Schema) -> Self {
        Self {
            counts: Vec::new(),
            pictures: 0,
            broken: Vec::new(),
            odd: Vec::new(),
            schema,
            items: 0,
            tags: BTreeMap::new(),
            seen_pictures: HashSet::new(),
            questions: HashSet::new(),
        }
    }

    pub(super) fn broken(&mut self, place: String, id: Option<String>, problem: String) {
        self.broken.push(Finding { place, id, problem });
    }

    pub(super) fn item(&mut self, place: &str, item: &Item) {
        self.items += 1;
        for (tag, value) in &item.tags {
            // What names an episode or a step breaks nothing down.
            if !matches!(tag.as_str(), "episode" | "step") {
                *self.tags.entry((tag.clone(), value.clone())).or_default() += 1;
            }
        }
        if self.seen_pictures.insert(item.image_sha256.clone()) {
            self.pictures += 1;
        }
        let target = serde_json::to_string(&item.target).unwrap_or_default();
        let question = (item.image_sha256.clone(), item.instruction.clone(), target);
        let twice = !self.questions.insert(question);
        let problem = if twice {
            Some("the same question about the same picture is there twice".to_owned())
        } else {
            oddity(item)
        };
        if let Some(problem) = problem {
            let id = Some(item.id.clone());
            self.odd.push(Finding { place: place.to_owned(), id, problem });
        }
    }

    /// Counts what there is.
    pub(super) fn finish(mut self) -> Self {
        let schema = self.schema;
        let mut counts =
            vec![Counted { what: "items".to_owned(), found: self.items, published: schema.count }];
        let published = |tag: &str, value: &str| {
            let known = schema.counts.iter().find(|known| known.0 == tag && known.1 == value);
            known.map(|known| known.2)
        };
        for ((tag, value), found) in &self.tags {
            counts.push(Counted {
                what: format!("{tag} {value}"),
                found: *found,
                published: published(tag, value),
            });
        }
        for (tag, value, count) in schema.counts {
            if !self.tags.contains_key(&((*tag).to_owned(), (*value).to_owned())) {
                let what = format!("{tag} {value}");
                counts.push(Counted { what, found: 0, published: Some(*count) });
            }
        }
        self.counts = counts;
        self
    }

    /// Whether every count is that of the published set, as far as it is known.
    pub fn is_as_published(&self) -> bool {
        self.counts.iter().all(|count| count.published.is_none_or(|known| known == count.found))
    }
}

/// Says what is odd about an item that can be judged all the same.
fn oddity(item: &Item) -> Option<String> {
    let Target::Box(area) = item.target else { return None };
    let [left, top, right, bottom] = area;
    let (width, height) = (f64::from(item.size.width), f64::from(item.size.height));
    let [x, y] = center(area);
    if !(0.0..=width).contains(&x) || !(0.0..=height).contains(&y) {
        Some(format!("the middle of the box {area:?} lies outside the picture of {}", item.size))
    } else if left < 0.0 || top < 0.0 || right > width || bottom > height {
        Some(format!("the box {area:?} reaches out of the picture of {}", item.size))
    } else if item.target.area() <= 0.0 {
        Some(format!("the box {area:?} has no area"))
    } else if item.target.area() > width * height / 2.0 {
        Some(format!("the box {area:?} covers more than half of the picture"))
    } else {
        None
    }
}
