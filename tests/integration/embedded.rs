//! The embedded checkpoint does what was measured of it: a sample of the cases of `make eval`, with
//! floors a little under the committed figures, since another processor rounds differently.

use handsight_tests::embedded_eval::{ask, cases, embedded_policy};

#[test]
fn the_embedded_checkpoint_finds_what_it_is_told_to_click() {
    let mut policy = embedded_policy().unwrap();
    let sample: Vec<_> = cases().unwrap().into_iter().step_by(20).collect();
    let mut wrong = Vec::new();
    let (mut named, mut absent) = ((0, 0), (0, 0));
    for case in &sample {
        let outcome = ask(&mut policy, case).unwrap();
        let count = if case.r#box.is_some() { &mut named } else { &mut absent };
        count.0 += i32::from(outcome.hit);
        count.1 += 1;
        if !outcome.hit {
            wrong.push(format!("{}: {} → {}", case.id, case.goal, outcome.reply));
        }
    }
    let report = format!("named {named:?}, absent {absent:?}, wrong:\n{}", wrong.join("\n"));
    assert!(named.1 >= 25 && absent.1 >= 3, "too few cases: {report}");
    assert!(named.0 * 100 >= named.1 * NAMED_FLOOR, "{report}");
    assert!(absent.0 * 100 >= absent.1 * ABSENT_FLOOR, "{report}");
}

/// Percent of the sample that names a widget, unknown words included.
const NAMED_FLOOR: i32 = 55;

/// Percent of the sample that names nothing on the screen.
const ABSENT_FLOOR: i32 = 60;
