//! The live suite: the pages in a real browser, by hands that do what the goal says and by the embedded model.

use handsight_actions::{Action, Halt, Status};
use handsight_agent::{CancelFlag, Controls, EpisodeOptions, ScriptedPolicy, run_episode};
use handsight_scenarios::live::{Family, LiveReport, LiveTask};
use handsight_tests::embedded_eval::embedded_policy;
use handsight_tests::live::play;
use handsight_tests::page::Page;
use handsight_tests::xserver::XServer;

use super::SCREEN;

#[test]
fn a_form_of_the_live_suite_judges_what_hands_do() {
    // `type "Paris" into "Comment", then click "OK"`; "Address" stands above it.
    let task = LiveTask::new(Family::Form, 3);
    let outcome = |text: &str| {
        let server = XServer::start_managed(SCREEN).unwrap();
        let page = Page::open(&server, task.html(), [560, 400]).unwrap();
        let [field, button] = ["f1", "ok"].map(|id| page.middle(id).unwrap());
        let mut policy = ScriptedPolicy::actions([
            Action::LeftClick { coordinate: field },
            Action::Type { text: text.to_owned() },
            Action::LeftClick { coordinate: button },
            Action::Terminate { status: Status::Success },
        ]);
        let mut controls = Controls {
            observer: &mut (),
            user: &mut (),
            cancel: &CancelFlag::default(),
            halt: &Halt::default(),
        };
        let (mut device, options) = (server.device().unwrap(), EpisodeOptions::default());
        run_episode(&mut device, &mut policy, task.goal(), &options, &mut controls).unwrap();
        page.settled().unwrap().text("outcome").to_owned()
    };
    let right = outcome("Paris");
    assert!(task.is_reached(&right), "{right}");
    let wrong = outcome("Rome");
    assert!(wrong.contains("Rome") && !task.is_reached(&wrong), "{wrong}");
}

#[test]
fn the_embedded_model_reaches_goals_of_the_live_suite() {
    // One of each kind it can do; how often it does is `make eval-live`'s to say.
    let tasks = [(Family::Menu, 0), (Family::Check, 0)];
    let mut policy = embedded_policy().unwrap();
    let mut report = LiveReport::default();
    for (family, seed) in tasks {
        report.episodes.push(play(&mut policy, &LiveTask::new(family, seed)));
    }
    assert_eq!(report.rate().hits, 2, "{report}\n{:#?}", report.episodes);
}

#[test]
fn what_breaks_is_an_episode_that_failed() {
    // A policy that has nothing to say.
    let mut policy = ScriptedPolicy::actions([]);
    let episode = play(&mut policy, &LiveTask::new(Family::Menu, 0));
    assert!(episode.crash.as_ref().unwrap().contains("the script has only 0 replies"));
    let report = LiveReport { episodes: vec![episode] };
    assert_eq!((report.crashes(), report.rate().hits, report.rate().tries), (1, 0, 1));
}
