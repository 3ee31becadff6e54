//! Notices a policy that does the same thing to the same screen again.

use std::collections::VecDeque;

use handsight_actions::{Action, PixelPoint, Screenshot, Verb};

use crate::settle::Change;

/// How many steps are remembered, to notice going round in circles.
const MEMORY: usize = 12;

/// How often one action on one screen may occur among the remembered steps.
const MOST_TIMES: usize = 2;

/// How often in a row a policy may wait for a screen that does not change.
const MOST_WAITS: usize = 5;

/// The recent steps, as far as it takes to notice that nothing changes.
#[derive(Debug, Default)]
pub(super) struct RepeatDetector {
    recent: VecDeque<(u64, Action<PixelPoint>)>,
    last_screenshot: Option<Screenshot>,
}

impl RepeatDetector {
    /// Whether `action` on this screen would be a repetition without effect.
    ///
    /// It would be if the last step was the same action on the same screen, or if the same pair
    /// came up before that and again. A blinking caret does not make a screen a different one.
    pub(super) fn is_stuck(&self, screenshot: &Screenshot, action: &Action<PixelPoint>) -> bool {
        let fingerprint = screenshot.fingerprint();
        let last_is_same = self.last_screenshot.as_ref().is_some_and(|last| {
            last.fingerprint() == fingerprint
                || Change::between(&last.image, &screenshot.image).is_nothing()
        });
        let same = |past: &&(u64, Action<PixelPoint>)| past.1 == *action;
        if action.verb() == Verb::Wait {
            // Waiting is meant to change nothing; only patience is limited.
            return last_is_same && self.recent.iter().rev().take_while(same).count() >= MOST_WAITS;
        }
        let again = last_is_same && self.recent.back().as_ref().is_some_and(same);
        let circles = |past: &&(u64, Action<PixelPoint>)| past.0 == fingerprint && same(past);
        again || self.recent.iter().filter(circles).count() >= MOST_TIMES
    }

    /// Remembers a step.
    pub(super) fn record(&mut self, screenshot: &Screenshot, action: &Action<PixelPoint>) {
        if self.recent.len() == MEMORY {
            self.recent.pop_front();
        }
        self.recent.push_back((screenshot.fingerprint(), action.clone()));
        self.last_screenshot = Some(screenshot.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    fn screen(paint: &[(u32, u32)]) -> Screenshot {
        let mut image = RgbImage::new(200, 200);
        for &(x, y) in paint {
            image.put_pixel(x, y, Rgb([255, 255, 255]));
        }
        Screenshot::now(image, 1.0)
    }

    fn click(x: i32) -> Action<PixelPoint> {
        Action::LeftClick { coordinate: PixelPoint { x, y: 1 } }
    }

    /// Plays steps and returns the number, from 1, of the first one that is stuck.
    fn first_stuck(steps: &[(&Screenshot, Action<PixelPoint>)]) -> Option<usize> {
        let mut detector = RepeatDetector::default();
        for (index, (screenshot, action)) in steps.iter().enumerate() {
            if detector.is_stuck(screenshot, action) {
                return Some(index + 1);
            }
            detector.record(screenshot, action);
        }
        None
    }

    #[test]
    fn the_same_action_on_the_same_screen_is_stuck_at_once() {
        let a = screen(&[]);
        assert_eq!(first_stuck(&[(&a, click(1)), (&a, click(1))]), Some(2));
        assert_eq!(first_stuck(&[(&a, click(1)), (&a, click(2)), (&a, click(1))]), None);
    }

    #[test]
    fn a_caret_changes_nothing_and_a_digit_does() {
        let caret: Vec<_> = (10..26).map(|y| (50, y)).collect();
        let digit: Vec<_> = (10..18).map(|x| (x, 20)).collect();
        let (bare, caret, digit) = (screen(&[]), screen(&caret), screen(&digit));
        assert_eq!(first_stuck(&[(&bare, click(1)), (&caret, click(1))]), Some(2));
        assert_eq!(first_stuck(&[(&bare, click(1)), (&digit, click(1))]), None);
    }

    #[test]
    fn going_round_in_circles_is_stuck_the_third_time() {
        let (a, b) = (screen(&[]), screen(&[(1, 1), (90, 90)]));
        let round = [(&a, click(1)), (&b, click(2))];
        assert_eq!(first_stuck(&[round.clone(), round.clone(), round].concat()), Some(5));
    }

    #[test]
    fn waiting_is_allowed_for_a_while() {
        let a = screen(&[]);
        let wait = (&a, Action::Wait { time: 1.0 });
        assert_eq!(first_stuck(&vec![wait; 9]), Some(MOST_WAITS + 1));
    }
}
