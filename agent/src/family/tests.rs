//! The files that come with the program, and what is refused in others.

use super::*;
use crate::{PixelBudget, PromptProfile};
use handsight_actions::{AnswerPiece, CallForm, Size, Verb, call_forms};

#[test]
fn every_file_is_whole_and_named_after_its_family() {
    for (file, family) in FILES.iter().zip(Family::all()) {
        assert_eq!(file.0, format!("{}.toml", family.name));
        assert!(!family.about.is_empty());
        let acts = family.desktop.is_some() || family.mobile.is_some();
        assert!(acts || family.ground.is_some(), "{}", family.name);
    }
}

#[test]
fn a_model_is_known_by_its_repository_folder_or_file() {
    let check = |model: &str, expected: &str| {
        let found = Family::of_model([model]).map(|family| family.name.clone());
        assert_eq!(found.as_deref().unwrap_or("none"), expected, "{model}");
    };
    check("ByteDance-Seed/UI-TARS-1.5-7B", "ui-tars-1.5");
    check("bytedance-seed/ui-tars-1.5-7b@main", "ui-tars-1.5");
    check("/models/UI-TARS-1.5-7B", "ui-tars-1.5");
    check("UI-TARS-1.5-7B-Q4_K_M.gguf", "ui-tars-1.5");
    check("ByteDance-Seed/UI-TARS-7B-DPO", "none");
    check("Qwen/Qwen2.5-VL-7B-Instruct-AWQ", "qwen");
    check("Qwen/Qwen3-VL-8B-Instruct", "qwen3-vl");
    check("mPLUG/GUI-Owl-7B", "gui-owl");
    check("mPLUG/GUI-Owl-1.5-8B", "none");
    check("inclusionAI/UI-Venus-Ground-7B", "ui-venus");
    check("inclusionAI/UI-Venus-Navi-72B", "ui-venus");
    check("inclusionAI/UI-Venus-1.5-8B", "none");
    check("Hcompany/Holo1.5-3B", "holo1.5");
    check("HelloKKMe/GTA1-7B-2507", "gta1");
    check("HelloKKMe/GTA1-32B", "opencua");
    check("xlangai/OpenCUA-32B", "opencua");
    check("embedded", "none");
    check("", "none");
}

#[test]
fn patterns_match_whole_names() {
    assert!(matches("a*", "abc") && matches("a*c", "abc") && matches("abc", "abc"));
    assert!(matches("*", "") && matches("a*b*c", "a1b2c"));
    assert!(!matches("a", "ab") && !matches("a*d", "abc") && !matches("b*", "abc"));
}

#[test]
fn what_is_asked_for_comes_before_the_name_and_the_configuration() {
    let choose = |asked, name, configured| {
        let chosen = PromptProfile::choose(asked, [name], configured, None);
        chosen.map(|profile| profile.family().name.clone()).map_err(|error| error.to_string())
    };
    let tars = "ByteDance-Seed/UI-TARS-1.5-7B";
    assert_eq!(choose(None, "my-model", None).unwrap(), "qwen");
    assert_eq!(choose(None, tars, Some("computer-use-v1")).unwrap(), "ui-tars-1.5");
    assert_eq!(choose(Some("GTA1"), tars, None).unwrap(), "gta1");
    assert_eq!(choose(None, "my-model", Some("embedded-v1")).unwrap(), "embedded");
    let phone = PromptProfile::choose(None, ["my-model"], Some("mobile-use-v1"), None).unwrap();
    assert_eq!(phone.as_str(), "mobile-use-v1");
    assert_eq!(choose(Some("gpt"), tars, None).unwrap_err(), "there is no family `gpt`");
    let unknown = choose(None, "my-model", Some("telepathy")).unwrap_err();
    assert_eq!(unknown, "config.json names the prompt profile `telepathy`, which is unknown");
}

#[test]
fn each_family_counts_in_its_own_grid() {
    let screenshot = Size { width: 1920, height: 1080 };
    let resized = Size { width: 1932, height: 1092 };
    let grid = |family: &str| Family::open(family).unwrap().grid.frame(screenshot, resized).model;
    assert_eq!(grid("ui-tars-1.5"), resized);
    assert_eq!(grid("qwen3-vl"), Size { width: 1001, height: 1001 });
}

#[test]
fn pixels_are_those_of_the_task_and_the_user_has_the_last_word() {
    let venus = PromptProfile::new(Family::open("ui-venus").unwrap(), Surface::Mobile);
    let limits = |limits: PixelLimits| (limits.min_pixels, limits.max_pixels);
    assert_eq!(limits(venus.limits()), (Some(830_000), Some(937_664)));
    assert_eq!(limits(venus.limits_to_ground()), (Some(2_000_000), Some(4_800_000)));
    let small = venus.with_budget(PixelBudget::Most(500_000));
    assert_eq!(limits(small.limits_to_ground()), (Some(500_000), Some(500_000)));
    let qwen = PromptProfile::computer_use();
    assert_eq!(limits(qwen.limits()), (None, None));
}

#[test]
fn a_family_that_only_finds_things_says_so() {
    let gta1 = PromptProfile::new(Family::open("gta1").unwrap(), Surface::Desktop);
    let error = gta1.check_acts().unwrap_err();
    assert_eq!(error.to_string(), "the family `gta1` was not made to pursue a goal on a desktop");
    assert!(error.hint().unwrap().contains("--family"));
    assert!(gta1.ground().is_ok());
    let cua = PromptProfile::new(Family::open("opencua").unwrap(), Surface::Mobile);
    assert!(cua.check_acts().is_err() && cua.ground().is_ok());
}

#[test]
fn every_call_a_prompt_shows_is_one_the_dialect_reads() {
    for family in Family::all() {
        for agent in [&family.desktop, &family.mobile].into_iter().flatten() {
            let names: Vec<_> = call_forms(agent.dialect).iter().map(CallForm::name).collect();
            if names.is_empty() {
                continue;
            }
            let says = |text: &str| {
                agent.user.says(text)
                    || agent.system.says(text)
                    || agent.opening.as_ref().is_some_and(|opening| opening.says(text))
            };
            let click = call_forms(agent.dialect).iter().find(|form| form.verb == Verb::LeftClick);
            let shown = click.unwrap().name();
            // OpenCUA is told of the library, and not of its functions.
            assert!(says(&format!("{shown}(")) || says("pyautogui"), "{}", agent.profile);
        }
    }
}

#[test]
fn answers_end_where_their_form_does() {
    for family in Family::all() {
        let own = family.mobile.as_ref().and_then(|agent| agent.ground.as_ref());
        for ground in [family.ground.as_ref(), own].into_iter().flatten() {
            let last = ground.answer.pieces().last();
            assert!(matches!(last, Some(AnswerPiece::Text(_))), "{}", family.name);
            if let Some(not_found) = &ground.not_found {
                let found = ground.answer.find(not_found);
                assert_eq!(found, Ok(handsight_actions::Answer::Nowhere), "{}", family.name);
            }
        }
    }
}

const SMALL: &str = "name = \"mine\"\nabout = \"x\"\nsources = []\ngrid = \"thousandths\"\n\
                     [ground]\nuser = \"{description}\"\nanswer = \"({x},{y})\"\n";

#[test]
fn a_file_of_the_users_is_a_family() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    fs_err::write(&path, SMALL).unwrap();
    let family = Family::open(path.to_str().unwrap()).unwrap();
    assert_eq!((family.name.as_str(), family.grid), ("mine", Grid::Thousandths));
    let missing = Family::open(dir.path().join("none.toml").to_str().unwrap()).unwrap_err();
    assert!(matches!(missing, FamilyError::Read { .. }), "{missing}");
}

#[test]
fn slips_in_a_file_are_named() {
    let check = |from: &str, to: &str, expected: &str| {
        let text = SMALL.replace(from, to);
        assert_ne!(text, SMALL);
        let error = file::read(&text, "f.toml").unwrap_err();
        let message = crate::error::with_source(&error);
        assert!(message.contains(expected), "{message}");
    };
    check("grid =", "gird =", "unknown field `gird`");
    check("thousandths", "inches", "unknown variant `inches`");
    check("name = \"mine\"\n", "", "missing field `name`");
    check("\"mine\"", "\"a b\"", "`name` has other characters");
    check("({x},{y})", "({x},{x})", "`answer` needs `{x}` and `{y}` once each");
    check("{description}", "find it", "`user` does not say the `{description}`");
    check("{description}", "{desc} {description}", "`user` has no hole `{desc}` to fill");
    check("[ground]", "[boxes]", "unknown field `answer`");
    check("[ground]", "[pixels]\nmin = 9\nmax = 3\n[ground]", "`pixels` allows no size");
    check("[ground]", "[ground]\nsystem = \"{tools}\"", "`dialect` is missing");
    let only = "name = \"a\"\nabout = \"\"\nsources = []\ngrid = \"thousandths\"\n";
    let error = file::read(only, "f.toml").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`f.toml`: `ground` is missing, and so are `desktop` and `mobile`"
    );
}
