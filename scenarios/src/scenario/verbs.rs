//! Which steps do which actions: the one table, in which the compiler misses a new verb.

use handsight_actions::Verb;

/// Returns the step that does actions of a kind; `None` for those that only a policy has a use for.
pub fn step_of(verb: Verb) -> Option<&'static str> {
    Some(match verb {
        Verb::LeftClick => "click",
        Verb::RightClick => "right_click",
        Verb::MiddleClick => "middle_click",
        Verb::DoubleClick => "double_click",
        Verb::TripleClick => "triple_click",
        Verb::LongPress => "long_press",
        Verb::MouseMove => "hover",
        Verb::Drag => "drag",
        Verb::Swipe => "swipe",
        Verb::Scroll => "scroll",
        Verb::Type => "type",
        Verb::Key => "press",
        Verb::SystemButton => "button",
        Verb::OpenApp => "open",
        Verb::Wait => "wait",
        Verb::Answer | Verb::CallUser | Verb::Terminate => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::scenario_schema;

    #[test]
    fn every_action_that_is_not_for_policies_has_a_step() {
        let schema = scenario_schema().to_value();
        let fields = schema["$defs"]["Step"]["properties"].as_object().unwrap();
        for &verb in Verb::ALL {
            let step = step_of(verb);
            assert_eq!(step.is_none(), verb.is_for_policies(), "{verb}");
            let known = step.is_none_or(|step| fields.contains_key(step));
            assert!(known, "`{verb}` is to be done by a step that is none: {step:?}");
        }
    }
}
