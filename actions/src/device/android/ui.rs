//! What `uiautomator dump` tells of the screen: every view with its text and its place.
//!
//! It is optional: games, pages and players often tell nothing, and the dump takes a second or two on
//! a phone. Checks and people read it; what is pursued is decided from pixels.

use super::adb::client::Client;
use super::adb::error::AdbError;
use super::adb::link::Patience;
use crate::geometry::Rect;

/// Where the phone writes it.
const FILE: &str = "/data/local/tmp/handsight-ui.xml";
/// The most views of a screen.
const MOST_NODES: u32 = 50_000;

/// The views of a screen, in the order in which they are drawn.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UiTree {
    /// The views; what lies inside another follows it and is deeper.
    pub nodes: Vec<UiNode>,
}

/// One view.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "they are what Android tells of a view")]
pub struct UiNode {
    /// How many others it lies in.
    pub depth: u32,
    /// Its Java class, such as `android.widget.EditText`.
    pub class: String,
    /// The package of its app.
    pub package: String,
    /// Its id, such as `com.example:id/save`; empty if it has none.
    pub resource_id: String,
    /// What is written on it.
    pub text: String,
    /// What is read aloud instead.
    pub description: String,
    /// Where it is, in the pixels in which `input` counts.
    pub bounds: Rect,
    /// Whether it can be tapped.
    pub clickable: bool,
    /// Whether it can be used at all.
    pub enabled: bool,
    /// Whether keys go to it.
    pub focused: bool,
    /// Whether it is chosen in a list.
    pub selected: bool,
    /// Whether it can be scrolled.
    pub scrollable: bool,
    /// Whether it is on, if it is something that can be on or off.
    pub checked: Option<bool>,
    /// Whether what is typed into it is not shown.
    pub password: bool,
}

impl UiTree {
    /// Returns the first view with this id, text or description; an id counts without its package, too.
    pub fn find(&self, name: &str) -> Option<&UiNode> {
        self.nodes.iter().find(|node| {
            let short_id = node.resource_id.rsplit_once('/').map(|(_, id)| id);
            [node.text.as_str(), &node.description, &node.resource_id].contains(&name)
                || short_id == Some(name)
        })
    }
}

/// Asks the phone.
pub(crate) fn ask(client: &Client, patience: &Patience<'_>) -> Result<UiTree, AdbError> {
    let task = "uiautomator dump";
    let command = format!("uiautomator dump {FILE} >/dev/null && cat {FILE}; rm -f {FILE}");
    let output = client.shell(&command, patience)?;
    read(&output.text()).map_err(|problem| {
        let said = output.complaint();
        let problem = if output.stdout.is_empty() { said } else { problem };
        AdbError::Protocol { task: task.to_owned(), problem }
    })
}

/// Reads a dump.
fn read(text: &str) -> Result<UiTree, String> {
    let start = text.find("<?xml").or_else(|| text.find("<hierarchy")).ok_or("it is no XML")?;
    let options = roxmltree::ParsingOptions { nodes_limit: MOST_NODES, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(text[start..].trim_end(), options)
        .map_err(|error| error.to_string())?;
    let nodes = document.descendants().filter(|node| node.has_tag_name("node"));
    let nodes = nodes.map(|node| {
        let word = |name: &str| node.attribute(name).unwrap_or_default().to_owned();
        let is = |name: &str| node.attribute(name) == Some("true");
        // The document and its `hierarchy` are above all views.
        let depth = node.ancestors().skip(1).filter(|above| above.has_tag_name("node")).count();
        UiNode {
            depth: u32::try_from(depth).unwrap_or(u32::MAX),
            class: word("class"),
            package: word("package"),
            resource_id: word("resource-id"),
            text: word("text"),
            description: word("content-desc"),
            bounds: bounds(&word("bounds")).unwrap_or(Rect { x: 0, y: 0, width: 0, height: 0 }),
            clickable: is("clickable"),
            enabled: is("enabled"),
            focused: is("focused"),
            selected: is("selected"),
            scrollable: is("scrollable"),
            checked: is("checkable").then(|| is("checked")),
            password: is("password"),
        }
    });
    Ok(UiTree { nodes: nodes.collect() })
}

/// Reads `[left,top][right,bottom]`.
fn bounds(text: &str) -> Option<Rect> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let (from, to) = inner.split_once("][")?;
    let corner = |text: &str| {
        let (x, y) = text.split_once(',')?;
        Some((x.parse::<i32>().ok()?, y.parse::<i32>().ok()?))
    };
    let ((x, y), (right, bottom)) = (corner(from)?, corner(to)?);
    let side = |from: i32, to: i32| u32::try_from(i64::from(to) - i64::from(from)).ok();
    Some(Rect { x, y, width: side(x, right)?, height: side(y, bottom)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_read_with_places_and_states() {
        let text = "<?xml version='1.0' encoding='UTF-8' standalone='yes' ?><hierarchy rotation=\"0\">\
                    <node class=\"a.Frame\" bounds=\"[0,0][100,200]\" enabled=\"true\">\
                    <node class=\"a.Check\" text=\"A &amp; B\" resource-id=\"a.b:id/box\" checkable=\"true\" \
                    checked=\"true\" bounds=\"[-5,10][20,40]\" /></node></hierarchy>\n";
        let tree = read(text).unwrap();
        assert_eq!(tree.nodes.len(), 2);
        let check = tree.find("A & B").unwrap();
        assert_eq!(tree.find("box"), Some(check));
        assert_eq!((check.depth, check.checked), (1, Some(true)));
        assert_eq!(check.bounds, Rect { x: -5, y: 10, width: 25, height: 30 });
        assert_eq!(tree.nodes[0].checked, None);
        assert!(tree.nodes[0].enabled && !check.enabled);
        assert_eq!(tree.find("nothing"), None);
    }

    #[test]
    fn what_is_no_dump_is_refused_and_not_endless() {
        assert!(read("ERROR: null root node returned").is_err());
        assert!(read("<hierarchy><node></hierarchy>").is_err());
        let deep = format!("<hierarchy>{}", "<node>".repeat(60_000));
        assert!(read(&deep).is_err());
        assert_eq!(bounds("[0,0][-1,5]"), None);
        assert_eq!(bounds("[0,0]"), None);
    }
}
