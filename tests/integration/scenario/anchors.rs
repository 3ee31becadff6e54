//! Anchors on screens that change: a sample of what `make eval-anchors` measures.

use handsight_tests::anchor_eval::{Alteration, Counts, Layout, remember};
use handsight_tests::xserver::XServer;

#[test]
fn anchors_never_click_on_something_else() {
    let server = XServer::start_managed("1024x768x24").unwrap();
    // Where the same buttons come again and again.
    for layout in [Layout::Rows, Layout::Form] {
        let remembered = remember(&server, layout).unwrap();
        for alteration in [Alteration::Same, Alteration::Shuffled, Alteration::Removed] {
            let mut wrong = Vec::new();
            let mut tell = |name: &str, _: &_, point| wrong.push(format!("{name} at {point}"));
            let counts: Counts = remembered.measure(&server, alteration, &mut tell).unwrap();
            assert_eq!(counts.wrong, 0, "{wrong:?}");
            if alteration == Alteration::Same {
                assert_eq!((counts.left, counts.without), (0, 0), "{layout:?}");
            }
        }
    }
}
