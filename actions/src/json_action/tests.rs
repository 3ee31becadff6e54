//! There and back, and beside AndroidWorld's own reading.

use proptest::prelude::*;

use super::*;

const SCREEN: Size = Size { width: 1080, height: 2400 };

/// What `tests/peers/json_action_table.py` printed.
const TABLE: &str = include_str!("table.json");

#[test]
fn objects_are_read_written_and_refused_as_androidworld_does() {
    let rows: Vec<Value> = serde_json::from_str(TABLE).unwrap();
    assert!(rows.len() > 20);
    for row in rows {
        let read = JsonAction::parse(&row["read"].to_string());
        match (&read, row["written"].as_str()) {
            (Ok(read), Some(written)) => {
                let written: Value = serde_json::from_str(written).unwrap();
                let ours: Value = serde_json::from_str(&read.to_json()).unwrap();
                assert_eq!(ours, written, "{row}");
            }
            (Err(_), None) => assert!(row["refused"].is_string()),
            _ => panic!("{row}: {read:?}"),
        }
    }
}

#[test]
fn an_input_of_text_taps_types_and_presses_enter() {
    let json = r#"{"action_type":"input_text","x":3,"y":4,"text":"José"}"#;
    let actions = JsonAction::parse(json).unwrap().to_actions(SCREEN).unwrap();
    let words: Vec<_> = actions.iter().map(ToString::to_string).collect();
    assert_eq!(words, ["left_click (3, 4)", "type \"José\\n\""]);
    assert_eq!(JsonAction::of_actions(&actions, SCREEN).unwrap().to_json(), json);
    let json = r#"{"action_type":"input_text","x":3,"y":4,"text":"a","clear_text":true}"#;
    let actions = JsonAction::parse(json).unwrap().to_actions(SCREEN).unwrap();
    let words: Vec<_> = actions.iter().map(ToString::to_string).collect();
    assert_eq!(words, ["left_click (3, 4)", "key ctrl+a", "type \"a\\n\""]);
}

#[test]
fn what_does_not_map_is_refused_with_the_reason() {
    let performed = |json: &str| match JsonAction::parse(json).unwrap().to_actions(SCREEN) {
        Ok(actions) => format!("{actions:?}"),
        Err(error) => error.to_string(),
    };
    assert_eq!(
        performed(r#"{"action_type":"click","index":3}"#),
        "`click` cannot be carried out: an `index` counts views, which are not in it; give `x` and `y`"
    );
    assert!(performed(r#"{"action_type":"click"}"#).ends_with("it needs `x` and `y`"));
    assert!(
        performed(r#"{"action_type":"input_text","x":1,"y":1}"#).ends_with("it needs a `text`")
    );
    assert!(performed(r#"{"action_type":"input_text","text":"a"}"#).ends_with("`x` and `y`"));
    assert!(performed(r#"{"action_type":"status","goal_status":"done"}"#).contains("neither"));
    assert!(performed(r#"{"action_type":"unknown"}"#).ends_with("nothing was understood"));
    let expressed = |json: &str| {
        let actions: Vec<Action> = serde_json::from_str(json).unwrap();
        JsonAction::of_actions(&actions, SCREEN).unwrap_err().to_string()
    };
    assert_eq!(
        expressed(r#"[{"action":"wait","time":2.0}]"#),
        "AndroidWorld has no action for wait: it waits for one second only"
    );
    let secret = expressed(r#"[{"action":"type","text":"hunter2"}]"#);
    assert!(secret.contains("only after a tap") && !secret.contains("hunter2"), "{secret}");
    assert!(expressed(r#"[{"action":"key","keys":["enter"]}]"#).ends_with("nothing like it"));
    assert!(expressed("[]").contains("for nothing"));
}

fn point() -> impl Strategy<Value = PixelPoint> {
    (0..1080_i32, 0..2400_i32).prop_map(|(x, y)| PixelPoint { x, y })
}

fn direction() -> impl Strategy<Value = Direction> {
    proptest::sample::select(
        &[Direction::Up, Direction::Down, Direction::Left, Direction::Right][..],
    )
}

/// Actions of all kinds, more of which map than do not.
fn action() -> impl Strategy<Value = Action> {
    let time = proptest::sample::select(&[1.0, 1.0, 0.5, 2.0][..]);
    let status = proptest::sample::select(&[Status::Success, Status::Failure][..]);
    let button = [SystemButton::Back, SystemButton::Home, SystemButton::Menu, SystemButton::Enter];
    prop_oneof![
        point().prop_map(|coordinate| Action::LeftClick { coordinate }),
        point().prop_map(|coordinate| Action::DoubleClick { coordinate }),
        point().prop_map(|coordinate| Action::RightClick { coordinate }),
        (point(), time.clone())
            .prop_map(|(coordinate, time)| Action::LongPress { coordinate, time }),
        (point(), point())
            .prop_map(|(coordinate, coordinate2)| Action::Swipe { coordinate, coordinate2 }),
        (point(), point())
            .prop_map(|(coordinate, coordinate2)| Action::Drag { coordinate, coordinate2 }),
        direction().prop_map(|direction| {
            let [coordinate, coordinate2] = swipe(direction, SCREEN);
            Action::Swipe { coordinate, coordinate2 }
        }),
        (proptest::option::of(point()), direction(), 5..8_u32).prop_map(
            |(coordinate, direction, amount)| Action::Scroll { coordinate, direction, amount }
        ),
        "\\PC{1,12}\n?".prop_map(|text| Action::Type { text }),
        proptest::sample::select(button.to_vec())
            .prop_map(|button| Action::SystemButton { button }),
        "\\PC{1,12}".prop_map(|app| Action::OpenApp { app }),
        time.prop_map(|time| Action::Wait { time }),
        "\\PC{1,12}".prop_map(|text| Action::Answer { text }),
        status.prop_map(|status| Action::Terminate { status }),
        Just(Action::Key { keys: select_all() }),
    ]
}

fn json_action() -> impl Strategy<Value = JsonAction> {
    use JsonActionType as Kind;
    let plain = [Kind::NavigateHome, Kind::NavigateBack, Kind::KeyboardEnter, Kind::Wait];
    let moves = [Kind::Scroll, Kind::Swipe];
    let taps = [Kind::Click, Kind::DoubleTap, Kind::LongPress];
    prop_oneof![
        proptest::sample::select(plain.to_vec()).prop_map(JsonAction::new),
        (proptest::sample::select(taps.to_vec()), point())
            .prop_map(|(kind, point)| JsonAction::at(kind, point)),
        (proptest::sample::select(moves.to_vec()), direction()).prop_map(|(kind, direction)| {
            JsonAction { direction: Some(direction), ..JsonAction::new(kind) }
        }),
        (point(), "\\PC{1,12}", any::<bool>()).prop_map(|(point, text, clears)| JsonAction {
            text: Some(text),
            clear_text: clears.then_some(true),
            ..JsonAction::at(Kind::InputText, point)
        }),
        "\\PC{1,12}"
            .prop_map(|app| JsonAction { app_name: Some(app), ..JsonAction::new(Kind::OpenApp) }),
        "\\PC{1,12}"
            .prop_map(|text| JsonAction { text: Some(text), ..JsonAction::new(Kind::Answer) }),
        proptest::sample::select(&["complete", "infeasible"][..]).prop_map(|status| JsonAction {
            goal_status: Some(status.to_owned()),
            ..JsonAction::new(Kind::Status)
        }),
    ]
}

proptest! {
    #[test]
    fn what_can_be_expressed_comes_back_as_it_was(
        actions in proptest::collection::vec(action(), 1..4),
    ) {
        if let Ok(json) = JsonAction::of_actions(&actions, SCREEN) {
            let read = JsonAction::parse(&json.to_json()).unwrap();
            prop_assert_eq!(&read, &json);
            prop_assert_eq!(read.to_actions(SCREEN).unwrap(), actions);
        }
    }

    #[test]
    fn what_can_be_performed_comes_back_as_it_was(json in json_action()) {
        let actions = json.to_actions(SCREEN).unwrap();
        for action in &actions {
            prop_assert!(action.validate(SCREEN).is_ok());
        }
        prop_assert_eq!(JsonAction::of_actions(&actions, SCREEN).unwrap(), json);
    }
}
